/*
 * query.c - see query.h
 *
 * The decoder works in place on a copy, since decoded text is never longer than encoded text.
 */
#include "api/query.h"
#include "base/utf8.h"
#include "core/reason.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes s in place. `slash`: whether an encoded slash is allowed; `plus`: whether '+' is a space. */
static int decode(char *s, bool slash, bool plus, const char *what, struct error *e)
{
    char *to = s;

    for (const char *from = s; *from != '\0'; from++) {
        char c = *from;
        if (c == '%') {
            int hi = hex_digit(from[1]);
            int lo = hi < 0 ? -1 : hex_digit(from[2]);
            if (lo < 0)
                return reason_error(e, REASON_bad_request, EINVAL, "The %s holds a broken percent escape.", what);
            c = (char)(hi << 4 | lo);
            from += 2;
            if (c == '/' && !slash)
                return reason_error(e, REASON_bad_request, EINVAL, "The %s holds an encoded slash.", what);
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if ((unsigned char)c < ' ' && c != '\n' && c != '\t' && c != '\r')
            return reason_error(e, REASON_bad_request, EINVAL, "The %s holds a control character.", what);
        *to++ = c;
    }
    *to = '\0';
    if (!utf8_valid(s, (size_t)(to - s), NULL))
        return reason_error(e, REASON_bad_request, EINVAL, "The %s is not UTF-8.", what);
    return 0;
}

static int add_param(struct query *q, char *pair, struct error *e)
{
    char *value = strchr(pair, '=');
    int rc;

    if (value != NULL)
        *value++ = '\0';
    else
        value = pair + strlen(pair);
    rc = decode(pair, true, true, "query", e);
    if (rc == 0)
        rc = decode(value, true, true, "query", e);
    if (rc != 0)
        return rc;
    if (query_get(q, pair) != NULL)
        return reason_error(e, REASON_bad_request, EINVAL, "The parameter %.60s is given twice.", pair);
    if (q->n == QUERY_MAX_PARAMS)
        return reason_error(e, REASON_bad_request, E2BIG, "More than %d parameters.", QUERY_MAX_PARAMS);
    q->params[q->n++] = (struct query_param){pair, value};
    return 0;
}

/* HTTP/1.1 allows the absolute form; the host in it decides nothing here. */
static const char *skip_origin(const char *target)
{
    const char *host = strstr(target, "://");

    if (target[0] == '/' || host == NULL)
        return target;
    host += 3;
    return host + strcspn(host, "/");
}

int query_parse(const void *talloc_ctx, const char *target, struct query *q, struct error *e)
{
    char *path;
    char *rest;
    int rc;

    *q = (struct query){.path = ""};
    if (strlen(target) > QUERY_MAX_BYTES)
        return reason_error(e, REASON_bad_request, E2BIG, "The request target is longer than %d bytes.",
                            QUERY_MAX_BYTES);
    path = talloc_strdup(talloc_ctx, skip_origin(target));
    if (path == NULL)
        return reason_error(e, REASON_internal, ENOMEM, "out of memory");
    rest = strchr(path, '?');
    if (rest != NULL)
        *rest++ = '\0';
    rc = decode(path, false, false, "path", e);
    q->path = path;
    while (rc == 0 && rest != NULL && *rest != '\0') {
        char *pair = strsep(&rest, "&");
        if (*pair != '\0')
            rc = add_param(q, pair, e);
    }
    return rc;
}

const char *query_get(const struct query *q, const char *name)
{
    for (int i = 0; i < q->n; i++)
        if (strcmp(q->params[i].name, name) == 0)
            return q->params[i].value;
    return NULL;
}

bool query_is_word_of(const char *word, const char *words)
{
    size_t n = strlen(word);

    for (const char *p = words; n > 0 && (p = strstr(p, word)) != NULL; p += n)
        if ((p == words || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
            return true;
    return false;
}

int query_check(const struct query *q, const char *known, struct error *e)
{
    for (int i = 0; i < q->n; i++) {
        const char *name = q->params[i].name;
        if (strchr(name, ' ') == NULL && query_is_word_of(name, known))
            continue;
        reason_error(e, REASON_bad_request, EINVAL, "The parameter %.60s is not known here.", name);
        error_hint(e, known[0] != '\0' ? "Known parameters: %s." : "This path takes no parameters.%s", known);
        return -EINVAL;
    }
    return 0;
}

int query_get_int(const struct query *q, const char *name, int64_t def, int64_t min, int64_t max, int64_t *out,
                  struct error *e)
{
    const char *text = query_get(q, name);
    char *end = NULL;

    *out = def;
    if (text == NULL)
        return 0;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if ((text[0] < '0' || text[0] > '9') || *end != '\0' || errno != 0 || *out < min || *out > max)
        return reason_error(e, REASON_bad_request, EINVAL, "%s must be a number from %" PRId64 " to %" PRId64 ".", name,
                            min, max);
    return 0;
}

void cursor_format(const struct cursor *c, char out[CURSOR_TEXT_MAX])
{
    char id[UUID_TEXT_LEN + 1];

    uuid_format(&c->id, id);
    snprintf(out, CURSOR_TEXT_MAX, "%" PRId64 ".%s", c->created_us, id);
}

int cursor_parse(const char *s, struct cursor *c)
{
    char *end = NULL;

    if (s[0] < '0' || s[0] > '9')
        return -EINVAL;
    errno = 0;
    c->created_us = strtoll(s, &end, 10);
    if (errno != 0 || *end != '.' || c->created_us > INT64_C(1) << 52)
        return -EINVAL;
    return uuid_parse(end + 1, &c->id);
}
