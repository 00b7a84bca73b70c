/*
 * conf.c - reading the configuration: the table of keys, the order of the sources, the answer
 *
 * File, then environment, then defaults for what is still unset, then what is required, then the checks across keys.
 * A secret may be given in the file by KEY or KEY_file and in the environment by DOCMILL_KEY or DOCMILL_KEY_FILE; both
 * at the same place is a fault, and the environment as a whole wins over the file.
 *
 * Owns the loader for one reading. Secrets are wiped when a generation is freed. Reads only the files that are named.
 *
 * Depends on base, libconfig (through conf_file.c), talloc.
 */
#include "core/conf_internal.h"
#include "base/files.h"
#include "core/reason.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#define X_KEY(f, key, t, d, low, high, fl, r, h)                                                                       \
    [CONF_KEY_##f] = {.name = (key),                                                                                   \
                      .type = CONF_##t,                                                                                \
                      .def = (d),                                                                                      \
                      .lo = (low),                                                                                     \
                      .hi = (high),                                                                                    \
                      .flags = (fl),                                                                                   \
                      .roles = (r),                                                                                    \
                      .help = (h),                                                                                     \
                      .offset = offsetof(struct conf, f)},
const struct conf_key conf_keys[CONF_N_KEYS] = {CONF_KEYS(X_KEY)};
#undef X_KEY

#define X_TEXT(f, text) [CONF_KEY_##f] = (text),
const char *const conf_choices[CONF_N_KEYS] = {CONF_ENUMS(X_TEXT)};
const char *const conf_examples[CONF_N_KEYS] = {CONF_EXAMPLES(X_TEXT)};
#undef X_TEXT

int conf_find_key(const char *name)
{
    for (int i = 0; i < CONF_N_KEYS; i++)
        if (strcmp(conf_keys[i].name, name) == 0)
            return i;
    return -1;
}

static void describe_place(const char *file, int line, const char *key, char *out, size_t size)
{
    char where[400] = "";

    if (file != NULL && line > 0)
        snprintf(where, sizeof where, "%.300s:%d: ", file, line);
    else if (file != NULL)
        snprintf(where, sizeof where, "%.300s: ", file);
    snprintf(out, size, "%s%.80s%s", where, key != NULL ? key : "", key != NULL ? ": " : "");
}

void conf_fault(struct conf_loader *l, const char *file, int line, const char *key, const char *fmt, ...)
{
    char place[500];
    char text[400];
    va_list ap;

    if (l->n_faults == CONF_MAX_FAULTS)
        return;
    describe_place(file, line, key, place, sizeof place);
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    error_clear(&l->faults[l->n_faults]);
    reason_error(&l->faults[l->n_faults], REASON_bad_config, -EINVAL, "%s%s", place, text);
    l->n_faults++;
}

void conf_fault_hint(struct conf_loader *l, const char *fmt, ...)
{
    char text[240];
    va_list ap;

    if (l->n_faults == 0)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    error_hint(&l->faults[l->n_faults - 1], "%s", text);
}

/* Without a newline; NULL with a fault added. The buffer is wiped by the caller. */
static char *read_first_line(struct conf_loader *l, const char *key, const char *file,
                             const struct conf_origin *named_at, size_t *n)
{
    struct error e;
    char *text = NULL;
    size_t len;

    if (file[0] != '/') {
        conf_fault(l, named_at->file, named_at->line, key, "the path of a secret's file must be absolute");
        return NULL;
    }
    if (file_read(l, file, CONF_MAX_SECRET_FILE, &text, n, &e) != 0) {
        conf_fault(l, named_at->file, named_at->line, key, "%s", e.message);
        return NULL;
    }
    len = strcspn(text, "\r\n");
    if (strlen(text) != *n || len == 0) {
        conf_fault(l, named_at->file, named_at->line, key, "%s %s", file,
                   len == 0 ? "has an empty first line" : "holds a NUL byte");
        explicit_bzero(text, *n);
        talloc_free(text);
        return NULL;
    }
    text[len] = '\0';
    return text;
}

void conf_set_from_secret_file(struct conf_loader *l, int key, const char *file, const struct conf_origin *named_at)
{
    struct conf_origin o = {.source = CONF_SRC_SECRET_FILE};
    char name[100];
    size_t n = 0;
    char *text;

    snprintf(name, sizeof name, "%s_file", conf_keys[key].name);
    text = read_first_line(l, name, file, named_at, &n);
    if (text == NULL)
        return;
    o.file = talloc_strdup(l->conf, file);
    conf_set_text(l, key, text, &o);
    explicit_bzero(text, n);
    talloc_free(text);
}

static void apply_environment_key(struct conf_loader *l, int key)
{
    struct conf_origin o = {.source = CONF_SRC_ENV};
    char name[128], file_name[128];
    const char *value, *file = NULL;

    conf_env_name(key, false, name, sizeof name);
    conf_env_name(key, true, file_name, sizeof file_name);
    value = getenv(name);
    if ((conf_keys[key].flags & CF_SECRET) != 0)
        file = getenv(file_name);
    if (value != NULL && file != NULL) {
        conf_fault(l, NULL, 0, conf_keys[key].name, "set twice in the environment, by %s and by %s", name, file_name);
        return;
    }
    if (value != NULL)
        conf_set_text(l, key, value, &o);
    if (file != NULL)
        conf_set_from_secret_file(l, key, file, &o);
}

static void apply_default(struct conf_loader *l, int key)
{
    struct conf_origin o = {.source = CONF_SRC_DEFAULT};
    char host[HOST_NAME_MAX + 1] = "";

    if (l->origins[key].source != CONF_SRC_UNSET)
        return;
    if (key == CONF_KEY_node_name) {
        if (gethostname(host, sizeof host - 1) == 0 && host[0] != '\0')
            conf_set_text(l, key, host, &o);
        else
            conf_fault(l, l->path, 0, conf_keys[key].name, "the host has no name; set a node name");
    } else if (conf_keys[key].def != NULL) {
        conf_set_text(l, key, conf_keys[key].def, &o);
    }
}

static void check_required(struct conf_loader *l, int key)
{
    char env[128];

    if ((conf_keys[key].flags & CF_REQUIRED) == 0 || l->origins[key].source != CONF_SRC_UNSET)
        return;
    conf_fault(l, l->path, 0, conf_keys[key].name, "missing; it is required and has no default");
    conf_env_name(key, false, env, sizeof env);
    conf_fault_hint(l, "set it in the file or by %s in the environment", env);
}

/* Wipes what must not stay in freed memory. */
static int wipe_secrets(struct conf *c)
{
    for (int i = 0; i < CONF_N_KEYS; i++) {
        const char **text = (conf_keys[i].flags & CF_SECRET) != 0 ? conf_field_text(c, i) : NULL;
        if (text != NULL && *text != NULL)
            explicit_bzero((char *)(uintptr_t)*text, strlen(*text));
    }
    for (int i = 0; i < c->n_formers; i++)
        explicit_bzero((char *)(uintptr_t)c->formers[i].text, strlen(c->formers[i].text));
    return 0;
}

struct conf *conf_new(const void *talloc_parent)
{
    struct conf *c = talloc_zero(talloc_parent, struct conf);
    struct conf_origin *origins;

    if (c == NULL)
        abort();
    origins = talloc_zero_array(c, struct conf_origin, CONF_N_KEYS);
    if (origins == NULL)
        abort();
    c->origins = origins;
    talloc_set_destructor(c, wipe_secrets);
    return c;
}

int conf_accepted(const struct conf *c, const char *const *field, int64_t now_ms,
                  const char *list[CONF_MAX_ACCEPTED + 1])
{
    size_t offset = (size_t)((const char *)field - (const char *)c);
    int n = 0;

    if (*field != NULL)
        list[n++] = *field;
    for (int i = 0; *field != NULL && i < c->n_formers; i++)
        if (conf_keys[c->formers[i].key].offset == offset && now_ms < c->formers[i].until_ms)
            list[n++] = c->formers[i].text;
    list[n] = NULL;
    return n;
}

struct conf_loader *conf_read(const void *talloc_parent, const char *path)
{
    struct conf_loader *l = talloc_zero(talloc_parent, struct conf_loader);

    if (l == NULL)
        abort();
    l->faults = talloc_zero_array(l, struct error, CONF_MAX_FAULTS);
    if (l->faults == NULL)
        abort();
    l->path = path;
    l->conf = conf_new(l);
    l->origins = (struct conf_origin *)(uintptr_t)l->conf->origins;
    conf_file_apply(l);
    for (int i = 0; i < CONF_N_KEYS; i++)
        apply_environment_key(l, i);
    for (int i = 0; i < CONF_N_KEYS; i++)
        apply_default(l, i);
    if (l->conf->pools_origin.source == CONF_SRC_UNSET)
        conf_pools_default(l->conf);
    if (l->n_faults > 0)
        return l; /* a key that could not be read would look missing, and checks across keys would mislead */
    for (int i = 0; i < CONF_N_KEYS; i++)
        check_required(l, i);
    conf_check(l);
    return l;
}

void conf_first_fault(const struct conf_loader *l, struct error *e)
{
    *e = l->faults[0];
    if (e->hint[0] == '\0' && l->n_faults > 1)
        error_hint(e, "and %zu more; docmilld -t shows them all", l->n_faults - 1);
}

struct conf *conf_load(const void *talloc_parent, const char *path, struct error *e)
{
    struct conf_loader *l = conf_read(talloc_parent, path);
    struct conf *c = NULL;

    if (l->n_faults == 0) {
        c = talloc_steal(talloc_parent, l->conf);
    } else if (e != NULL) {
        conf_first_fault(l, e);
    }
    talloc_free(l);
    return c;
}
