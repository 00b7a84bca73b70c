/*
 * conf_print.c - what an administrator asks of a configuration: is it good (-t), what is in effect (-T)
 *
 * Secrets are never printed; of connection strings only what is known to be harmless (conf_mask.c).
 *
 * Depends on talloc.
 */
#include "core/conf_internal.h"
#include "core/state.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>

extern char **environ;

static void describe_origin(int key, const struct conf_origin *o, char *out, size_t size)
{
    char env[128];

    switch (o->source) {
    case CONF_SRC_UNSET:
        snprintf(out, size, "unset");
        return;
    case CONF_SRC_DEFAULT:
        snprintf(out, size, "default");
        return;
    case CONF_SRC_FILE:
        snprintf(out, size, "%s:%d", o->file, o->line);
        return;
    case CONF_SRC_ENV:
        conf_env_name(key, false, env, sizeof env);
        snprintf(out, size, "environment %s", env);
        return;
    case CONF_SRC_SECRET_FILE:
        snprintf(out, size, "file %s", o->file);
        return;
    }
}

static void print_quoted(FILE *out, const char *s)
{
    fputc('"', out);
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            fputc('\\', out);
        fputc(*s, out);
    }
    fputc('"', out);
}

static void print_text(FILE *out, int key, const char *value)
{
    char masked[2100];

    if (value == NULL) {
        fputs("(unset)", out);
    } else if ((conf_keys[key].flags & CF_SECRET) == 0) {
        print_quoted(out, value);
    } else if (strstr(conf_keys[key].name, "url") != NULL) {
        conf_mask_url(value, masked, sizeof masked);
        print_quoted(out, masked);
    } else {
        fputs("\"***\"", out);
    }
}

void conf_print_value(FILE *out, const struct conf *conf, int key)
{
    struct conf *c = (struct conf *)(uintptr_t)conf;
    char text[40];

    if (conf_key_is_text(key)) {
        print_text(out, key, *conf_field_text(c, key));
    } else if (conf_keys[key].type == CONF_BOOL) {
        fputs(*conf_field_bool(c, key) ? "true" : "false", out);
    } else if (conf_keys[key].type == CONF_INT) {
        fprintf(out, "%" PRId64, *conf_field_int(c, key));
    } else {
        if (conf_keys[key].type == CONF_SIZE)
            conf_format_size(*conf_field_int(c, key), text, sizeof text);
        else
            conf_format_duration(*conf_field_int(c, key), text, sizeof text);
        fprintf(out, "\"%s\"", text);
    }
}

void conf_print_pool(FILE *out, const struct pool_conf *p)
{
    char age[40], memory[40];
    const char *comma = "";

    conf_format_duration(p->max_age_ms, age, sizeof age);
    conf_format_size(p->max_memory, memory, sizeof memory);
    fprintf(out, "name = \"%s\"; role = \"%s\"; min = %d; max = %d; spare = %d;", p->name, conf_pool_role_name(p->role),
            p->min, p->max, p->spare);
    if (p->role == POOL_WORKER)
        fprintf(out, " lanes = (%d, %d);", p->lane_min, p->lane_max);
    if (p->stages != 0)
        fputs(" stages = (", out);
    for (int status = 1; status < STATUS_MAX_; status++) {
        if ((p->stages & (1u << status)) == 0)
            continue;
        fprintf(out, "%s\"%s\"", comma, status_name(status));
        comma = ", ";
    }
    fprintf(out, "%s max_jobs = %" PRId64 "; max_age = \"%s\"; max_memory = \"%s\";", p->stages != 0 ? ");" : "",
            p->max_jobs, age, memory);
}

static void print_member(FILE *out, const char *name, const char *text)
{
    if (text[0] != '\0')
        fprintf(out, " %s = \"%s\";", name, text);
}

void conf_print_collection(FILE *out, const struct collection_conf *one)
{
    fprintf(out, "name = \"%s\"; embedder = \"%s\";", one->name, one->outside ? "openai" : "builtin");
    print_member(out, "model", one->model);
    if (one->dimension > 0)
        fprintf(out, " dimension = %d;", one->dimension);
    print_member(out, "price_per_million_tokens", one->price);
}

static void print_collections(const struct conf *c, FILE *out)
{
    if (c->collections_origin.source != CONF_SRC_FILE)
        return;
    fprintf(out, "collections = (    # %s:%d\n", c->collections_origin.file, c->collections_origin.line);
    for (int i = 0; i < c->n_collections; i++) {
        fputs("    { ", out);
        conf_print_collection(out, &c->collections[i]);
        fprintf(out, " }%s\n", i + 1 < c->n_collections ? "," : "");
    }
    fputs(")\n", out);
}

void conf_dump(const struct conf *c, FILE *out)
{
    char origin[512];

    for (int i = 0; i < CONF_N_KEYS; i++) {
        describe_origin(i, &c->origins[i], origin, sizeof origin);
        fprintf(out, "%s = ", conf_keys[i].name);
        conf_print_value(out, c, i);
        fprintf(out, "    # %s\n", origin);
    }
    if (c->pools_origin.source == CONF_SRC_FILE)
        snprintf(origin, sizeof origin, "%s:%d", c->pools_origin.file, c->pools_origin.line);
    else
        snprintf(origin, sizeof origin, "default");
    fprintf(out, "pools = (    # %s\n", origin);
    for (int i = 0; i < c->n_pools; i++) {
        fputs("    { ", out);
        conf_print_pool(out, &c->pools[i]);
        fprintf(out, " }%s\n", i + 1 < c->n_pools ? "," : "");
    }
    fputs(")\n", out);
    print_collections(c, out);
}

static const char *verdict(const struct conf_loader *l, int key)
{
    if (l->wrong[key])
        return "wrong";
    switch (l->origins[key].source) {
    case CONF_SRC_UNSET:
        return (conf_keys[key].flags & CF_REQUIRED) != 0 ? "missing" : "unset";
    case CONF_SRC_DEFAULT:
        return "default";
    default:
        return "set";
    }
}

static void print_keys(const struct conf_loader *l, FILE *out)
{
    char origin[512];

    for (int i = 0; i < CONF_N_KEYS; i++) {
        origin[0] = '\0';
        if (l->origins[i].source > CONF_SRC_DEFAULT && !l->wrong[i])
            describe_origin(i, &l->origins[i], origin, sizeof origin);
        fprintf(out, "  %-30s %s%s%s\n", conf_keys[i].name, verdict(l, i), origin[0] != '\0' ? "      " : "", origin);
    }
    fprintf(out, "  %-30s %s\n", "pools", l->conf->pools_origin.source == CONF_SRC_FILE ? "set" : "default");
    fprintf(out, "  %-30s %s\n", "collections",
            l->conf->collections_origin.source == CONF_SRC_FILE ? "set" : "default");
}

/* A variable of the environment that looks like a key, but like one that does not exist. */
static bool is_stray_variable(const char *entry)
{
    static const char *const internal[] = {"DOCMILL_SLOT", "DOCMILL_SERIAL", "DOCMILL_POOL", "DOCMILL_INCARNATION",
                                           "DOCMILL_MASTER_PID"};
    size_t n = strcspn(entry, "=");
    char name[128];

    if (strncmp(entry, CONF_ENV_PREFIX, strlen(CONF_ENV_PREFIX)) != 0)
        return false;
    for (size_t i = 0; i < sizeof internal / sizeof internal[0]; i++)
        if (strlen(internal[i]) == n && memcmp(internal[i], entry, n) == 0)
            return false;
    for (int i = 0; i < 2 * CONF_N_KEYS; i++) {
        if (i % 2 == 1 && (conf_keys[i / 2].flags & CF_SECRET) == 0)
            continue;
        conf_env_name(i / 2, i % 2 == 1, name, sizeof name);
        if (strlen(name) == n && memcmp(name, entry, n) == 0)
            return false;
    }
    return true;
}

/* A connection string without a password is no secret. */
static bool holds_secret(const struct conf_loader *l, int key)
{
    const char *value = conf_key_is_text(key) ? *conf_field_text(l->conf, key) : NULL;
    char masked[2100];

    if ((conf_keys[key].flags & CF_SECRET) == 0 || value == NULL)
        return false;
    if (strstr(conf_keys[key].name, "url") == NULL)
        return true;
    conf_mask_url(value, masked, sizeof masked);
    return strcmp(masked, value) != 0;
}

static void warn_readable(const struct conf_loader *l, int key, FILE *out)
{
    const struct conf_origin *o = &l->origins[key];
    struct stat st;

    if (o->file != NULL && holds_secret(l, key) && stat(o->file, &st) == 0 && (st.st_mode & S_IROTH) != 0)
        fprintf(out, "warning: %s: everyone may read this file, and %s is in it\n", o->file, conf_keys[key].name);
}

static void print_warnings(const struct conf_loader *l, FILE *out)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        if (is_stray_variable(*entry))
            fprintf(out, "warning: environment %.*s: no key has this name; it is left alone\n",
                    (int)strcspn(*entry, "="), *entry);
    for (int i = 0; i < CONF_N_KEYS; i++)
        warn_readable(l, i, out);
}

int conf_test(const char *path, FILE *out, int (*more)(const struct conf *c, FILE *out))
{
    struct conf_loader *l = conf_read(NULL, path);
    int n = (int)l->n_faults;

    print_keys(l, out);
    print_warnings(l, out);
    for (int i = 0; i < n; i++) {
        fprintf(out, "error: %s\n", l->faults[i].message);
        if (l->faults[i].hint[0] != '\0')
            fprintf(out, "       %s\n", l->faults[i].hint);
    }
    if (n == 0 && more != NULL)
        n = more(l->conf, out);
    if (n == 0)
        fprintf(out, "%s is good\n", path);
    else
        fprintf(out, "%s has %d error%s\n", path, n, n == 1 ? "" : "s");
    talloc_free(l);
    return n;
}
