/*
 * conf_mask.c - a connection string that may be shown
 *
 * Works by what is known to be harmless, not by what is known to be secret: the value of a parameter that is not in
 * the list below, everything between a user's name and the last @, and any text that is not understood become ***. To
 * tell whether two differ in the password only, nothing but the password is masked.
 *
 * Pure. Depends on nothing.
 */
#include "core/conf_internal.h"

#include <string.h>

static const char *const harmless[] = {"host",
                                       "hostaddr",
                                       "port",
                                       "user",
                                       "sslmode",
                                       "connect_timeout",
                                       "application_name",
                                       "target_session_attrs",
                                       "sslrootcert",
                                       "channel_binding",
                                       "gssencmode"};

static bool is_harmless(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        if (strlen(harmless[i]) == n && memcmp(harmless[i], name, n) == 0)
            return true;
    return false;
}

/* A buffer that cuts instead of overrunning. */
struct masked {
    char *text;
    size_t n, size;
    bool password_only;
    bool unclear; /* something that was not understood was masked */
};

static bool may_show(const struct masked *m, const char *name, size_t n)
{
    return m->password_only ? n != 8 || memcmp(name, "password", 8) != 0 : is_harmless(name, n);
}

static void put(struct masked *m, const char *s, size_t n)
{
    for (; n > 0 && m->n + 1 < m->size; n--, s++)
        m->text[m->n++] = (unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s;
    m->text[m->n] = '\0';
}

static void put_secret(struct masked *m)
{
    put(m, "***", 3);
}

static void put_unclear(struct masked *m)
{
    m->unclear = true;
    put_secret(m);
}

/* host=x user=y password='z w': quotes and backslashes as libpq reads them. */
static const char *mask_pair(struct masked *m, const char *p)
{
    size_t name = strcspn(p, "= \t\n");
    const char *value = p + name + strspn(p + name, " \t\n");
    const char *end;
    bool quoted;

    if (name == 0 || *value != '=')
        return NULL;
    value += 1 + strspn(value + 1, " \t\n");
    quoted = *value == '\'';
    for (end = value + quoted; *end != '\0' && (quoted ? *end != '\'' : strchr(" \t\n", *end) == NULL); end++)
        if (*end == '\\' && end[1] != '\0')
            end++;
    if (quoted && *end != '\'')
        return NULL;
    end += quoted;
    put(m, p, name);
    put(m, "=", 1);
    /* dbname may itself be a connection string */
    if (may_show(m, p, name) ||
        (name == 6 && memcmp(p, "dbname", 6) == 0 && memchr(value, '=', (size_t)(end - value)) == NULL &&
         memchr(value, ':', (size_t)(end - value)) == NULL))
        put(m, value, (size_t)(end - value));
    else
        put_secret(m);
    return end + strspn(end, " \t\n");
}

static void mask_pairs(struct masked *m, const char *url)
{
    const char *p = url + strspn(url, " \t\n");

    while (p != NULL && *p != '\0') {
        if (m->n > 0)
            put(m, " ", 1);
        p = mask_pair(m, p);
    }
    if (p == NULL) {
        m->n = 0;
        put_unclear(m);
    }
}

/* name=value&name=value */
static void mask_query(struct masked *m, const char *p)
{
    while (*p != '\0') {
        size_t pair = strcspn(p, "&");
        const char *eq = memchr(p, '=', pair);
        if (eq != NULL && may_show(m, p, (size_t)(eq - p))) {
            put(m, p, pair);
        } else if (eq != NULL) {
            put(m, p, (size_t)(eq - p) + 1);
            put_secret(m);
        } else {
            put_unclear(m);
        }
        p += pair;
        if (*p == '&')
            put(m, p++, 1);
    }
}

static void mask_uri(struct masked *m, const char *url)
{
    const char *p = strstr(url, "://") + 3;
    const char *query = strchr(p, '?');
    const char *end = query != NULL ? query : p + strlen(p);
    const char *at = memrchr(p, '@', (size_t)(end - p));
    const char *colon;

    put(m, url, (size_t)(p - url));
    if (at == NULL && query != NULL && strchr(query, '@') != NULL) {
        put_unclear(m); /* perhaps a password with ? in it */
        return;
    }
    if (at != NULL) {
        colon = memchr(p, ':', (size_t)(at - p));
        put(m, p, colon != NULL ? (size_t)(colon - p) : (size_t)(at - p));
        if (colon != NULL) {
            put(m, ":", 1);
            put_secret(m);
        }
        p = at;
    }
    put(m, p, (size_t)(end - p));
    if (query != NULL) {
        put(m, "?", 1);
        mask_query(m, query + 1);
    }
}

static void mask(struct masked *m, const char *url)
{
    m->text[0] = '\0';
    if (strncmp(url, "postgresql://", 13) == 0 || strncmp(url, "postgres://", 11) == 0)
        mask_uri(m, url);
    else
        mask_pairs(m, url);
}

void conf_mask_url(const char *url, char *out, size_t size)
{
    struct masked m = {.text = out, .size = size};

    if (size > 0)
        mask(&m, url);
}

bool conf_url_same_but_password(const char *a, const char *b)
{
    char shown[2][4200];
    struct masked m[2] = {{.text = shown[0], .size = sizeof shown[0], .password_only = true},
                          {.text = shown[1], .size = sizeof shown[1], .password_only = true}};

    mask(&m[0], a);
    mask(&m[1], b);
    return !m[0].unclear && !m[1].unclear && strcmp(shown[0], shown[1]) == 0;
}
