/*
 * conf_diff.c - see conf_diff.h
 *
 * Pure but for conf_load_next(), which reads the file. Values are compared as they are, and shown as they may be.
 *
 * Depends on base, talloc.
 */
#include "core/conf_diff.h"

#include "core/conf_internal.h"
#include "core/reason.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#define ANOTHER " (another)" /* after two secrets that look alike, masked */

static struct conf *plain(const struct conf *c)
{
    return (struct conf *)(uintptr_t)c; /* the accessors of fields are for writers too */
}

/* ---- keys ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_value(const struct conf *a, const struct conf *b, int key)
{
    if (conf_key_is_text(key))
        return same_text(*conf_field_text(plain(a), key), *conf_field_text(plain(b), key));
    if (conf_keys[key].type == CONF_BOOL)
        return *conf_field_bool(plain(a), key) == *conf_field_bool(plain(b), key);
    return *conf_field_int(plain(a), key) == *conf_field_int(plain(b), key);
}

static bool is_connection(int key)
{
    return key == CONF_KEY_database_url || key == CONF_KEY_database_direct_url;
}

/* A change of it has to wait for a restart. */
static bool is_fixed(const struct conf *from, const struct conf *to, int key)
{
    if (is_connection(key)) {
        const char *a = *conf_field_text(plain(from), key), *b = *conf_field_text(plain(to), key);

        return a == NULL || b == NULL || !conf_url_same_but_password(a, b);
    }
    return (conf_keys[key].flags & CF_RELOAD) == 0;
}

static char *value_text(const void *mem, const struct conf *c, int key)
{
    char *buf = NULL, *text;
    size_t n = 0;
    FILE *f = open_memstream(&buf, &n);

    if (f == NULL)
        abort();
    conf_print_value(f, c, key);
    fclose(f);
    text = talloc_strdup(mem, buf);
    free(buf);
    if (text == NULL)
        abort();
    return text;
}

static struct conf_change *add_change(struct conf_diff *d, const char *name, unsigned roles, bool restart)
{
    struct conf_change *c;

    d->changes = talloc_realloc(d, d->changes, struct conf_change, (unsigned)d->n_changes + 1);
    if (d->changes == NULL)
        abort();
    c = &d->changes[d->n_changes++];
    *c = (struct conf_change){.name = talloc_strdup(d, name), .roles = roles, .restart = restart};
    if (restart)
        d->n_restart++;
    else
        d->roles |= roles;
    return c;
}

static void diff_key(struct conf_diff *d, const struct conf *from, const struct conf *to, int key)
{
    struct conf_change *c;

    if (conf_keys[key].roles == 0 || same_value(from, to, key)) /* no process sees the former */
        return;
    /* The master sets the level for all its children at once. */
    c = add_change(d, conf_keys[key].name, key == CONF_KEY_log_level ? CR_MASTER : conf_keys[key].roles,
                   is_fixed(from, to, key));
    c->from = value_text(d, from, key);
    c->to = value_text(d, to, key);
    if (strcmp(c->from, c->to) == 0)
        c->to = talloc_asprintf(d, "%s" ANOTHER, c->to);
}

/* ---- pools and collections ---- */

static bool same_for_children(const struct pool_conf *a, const struct pool_conf *b)
{
    return a->stages == b->stages && a->lane_min == b->lane_min && a->lane_max == b->lane_max;
}

/* What the master looks at. */
static bool same_for_master(const struct pool_conf *a, const struct pool_conf *b)
{
    return a->min == b->min && a->max == b->max && a->spare == b->spare && a->max_jobs == b->max_jobs &&
           a->max_age_ms == b->max_age_ms && a->max_memory == b->max_memory;
}

/* The one pool of coordinators is the same by whatever name. */
static const struct pool_conf *counterpart(const struct conf *c, const struct pool_conf *p)
{
    for (int i = 0; i < c->n_pools; i++)
        if (c->pools[i].max > 0 && c->pools[i].role == p->role &&
            (p->role == POOL_COORDINATOR || strcmp(c->pools[i].name, p->name) == 0))
            return &c->pools[i];
    return NULL;
}

static char *pool_text(const void *mem, const struct pool_conf *p)
{
    char *buf = NULL, *text;
    size_t n = 0;
    FILE *f = open_memstream(&buf, &n);

    if (f == NULL)
        abort();
    conf_print_pool(f, p);
    fclose(f);
    text = talloc_strdup(mem, buf);
    free(buf);
    return text;
}

/* Of the settings in text those that are not in other: "max = 4; spare = 1;". */
static const char *only_in(const void *mem, const char *text, const char *other)
{
    char *out = talloc_strdup(mem, "");

    for (const char *p = text; *p != '\0';) {
        size_t n = strcspn(p, ";") + 1;
        char *one = talloc_strndup(mem, p, n);

        if (strstr(other, one) == NULL)
            out = talloc_asprintf_append(out, "%s%s", *out != '\0' ? " " : "", one);
        talloc_free(one);
        p += n;
        p += strspn(p, " ");
    }
    return out;
}

static void pool_change(struct conf_diff *d, const struct conf_pool_change *p)
{
    const struct pool_conf *any = p->to != NULL ? p->to : p->from;
    char *name = talloc_asprintf(d, "pools.%s", any->name);
    const char *from = p->from != NULL ? pool_text(d, p->from) : NULL;
    const char *to = p->to != NULL ? pool_text(d, p->to) : NULL;
    struct conf_change *c = add_change(d, name, CR_MASTER, false);

    c->from = from == NULL ? "(none)" : to == NULL ? from : only_in(d, from, to);
    c->to = to == NULL ? "(none)" : from == NULL ? to : only_in(d, to, from);
}

static void diff_pools(struct conf_diff *d, const struct conf *from, const struct conf *to)
{
    for (int i = 0; i < to->n_pools; i++) {
        struct conf_pool_change *p = &d->pools[d->n_pools++];

        *p = (struct conf_pool_change){.to = &to->pools[i], .from = counterpart(from, &to->pools[i])};
        p->fate = p->from == NULL                      ? CONF_POOL_NEW
                  : !same_for_children(p->from, p->to) ? CONF_POOL_REPLACED
                  : !same_for_master(p->from, p->to)   ? CONF_POOL_RESIZED
                                                       : CONF_POOL_KEPT;
        if (p->fate != CONF_POOL_KEPT || strcmp(p->from->name, p->to->name) != 0)
            pool_change(d, p);
    }
    for (int i = 0; i < from->n_pools; i++) {
        struct conf_pool_change *p = &d->pools[d->n_pools];

        if (from->pools[i].max == 0 || counterpart(to, &from->pools[i]) != NULL)
            continue;
        *p = (struct conf_pool_change){.from = &from->pools[i], .fate = CONF_POOL_GONE};
        d->n_pools++;
        pool_change(d, p);
    }
}

static bool same_collections(const struct conf *a, const struct conf *b)
{
    if (a->n_collections != b->n_collections)
        return false;
    for (int i = 0; i < a->n_collections; i++) {
        const struct collection_conf *x = &a->collections[i], *y = &b->collections[i];

        if (strcmp(x->name, y->name) != 0 || x->outside != y->outside || strcmp(x->model, y->model) != 0 ||
            x->dimension != y->dimension || strcmp(x->price, y->price) != 0)
            return false;
    }
    return true;
}

static const char *collections_text(const void *mem, const struct conf *c)
{
    char *buf = NULL, *text;
    size_t n = 0;
    FILE *f = open_memstream(&buf, &n);

    if (f == NULL)
        abort();
    for (int i = 0; i < c->n_collections; i++) {
        fputs(i > 0 ? ", { " : "{ ", f);
        conf_print_collection(f, &c->collections[i]);
        fputs(" }", f);
    }
    fclose(f);
    text = talloc_strdup(mem, n > 0 ? buf : "(none)");
    free(buf);
    return text;
}

void conf_diff_touch(struct conf_diff *d, unsigned roles)
{
    static const unsigned seen_by[] = {[POOL_COORDINATOR] = CR_COORD, [POOL_API] = CR_API, [POOL_WORKER] = CR_WORKER};

    d->roles |= roles;
    for (int i = 0; i < d->n_pools; i++) {
        struct conf_pool_change *p = &d->pools[i];

        if (p->from != NULL && p->to != NULL && (seen_by[p->to->role] & roles) != 0)
            p->fate = CONF_POOL_REPLACED;
    }
}

/* The coordinator publishes how many connections the pools may need (conf_agree.h). */
static bool other_sizes(const struct conf_diff *d)
{
    for (int i = 0; i < d->n_pools; i++) {
        const struct conf_pool_change *p = &d->pools[i];

        if (p->from == NULL || p->to == NULL || p->from->max != p->to->max)
            return true;
    }
    return false;
}

struct conf_diff *conf_diff_make(const void *talloc_parent, const struct conf *from, const struct conf *to)
{
    struct conf_diff *d = talloc_zero(talloc_parent, struct conf_diff);
    unsigned keys;

    if (d == NULL)
        abort();
    d->running = from;
    for (int i = 0; i < CONF_N_KEYS; i++)
        diff_key(d, from, to, i);
    keys = d->roles;
    diff_pools(d, from, to);
    if (!same_collections(from, to)) {
        struct conf_change *c = add_change(d, "collections", CR_COORD | CR_API | CR_WORKER, true);

        c->from = collections_text(d, from);
        c->to = collections_text(d, to);
    }
    conf_diff_touch(d, keys | (other_sizes(d) ? CR_COORD : 0u));
    return d;
}

/* ---- what stays ---- */

static void keep_value(struct conf *next, const struct conf *running, int key)
{
    const char **text = conf_field_text(next, key);

    if (text != NULL) {
        const char *kept = *conf_field_text(plain(running), key);

        if (*text != NULL)
            explicit_bzero((char *)(uintptr_t)*text, strlen(*text));
        *text = kept != NULL ? talloc_strdup(next, kept) : NULL;
    } else if (conf_keys[key].type == CONF_BOOL) {
        *conf_field_bool(next, key) = *conf_field_bool(plain(running), key);
    } else {
        *conf_field_int(next, key) = *conf_field_int(plain(running), key);
    }
}

void conf_keep_fixed(struct conf *next, const struct conf *running)
{
    for (int i = 0; i < CONF_N_KEYS; i++)
        if (conf_keys[i].roles != 0 && !same_value(running, next, i) && is_fixed(running, next, i))
            keep_value(next, running, i);
    next->n_collections = running->n_collections;
    memcpy(next->collections, running->collections, sizeof next->collections);
}

static void add_former(struct conf *c, int key, const char *text, int64_t until_ms, int64_t now_ms)
{
    const char *present = *conf_field_text(c, key);

    if (until_ms <= now_ms || c->n_formers == CONF_MAX_FORMERS || present == NULL || strcmp(present, text) == 0)
        return;
    c->formers[c->n_formers++] = (struct conf_former){.key = key, .text = talloc_strdup(c, text), .until_ms = until_ms};
}

void conf_keep_former(struct conf *next, const struct conf *running, int64_t grace_ms, int64_t now_ms)
{
    for (int i = 0; i < CONF_N_KEYS; i++) {
        const char *was = (conf_keys[i].flags & CF_VERIFY) != 0 ? *conf_field_text(plain(running), i) : NULL;

        if (was != NULL)
            add_former(next, i, was, now_ms + grace_ms, now_ms);
    }
    for (int i = 0; i < running->n_formers; i++) {
        const struct conf_former *f = &running->formers[i];
        int64_t until = grace_ms == 0 ? 0 : f->until_ms; /* none is to be accepted now */

        add_former(next, f->key, f->text, until, now_ms);
    }
}

static bool keeps_former(const struct conf *c, const struct conf_former *f)
{
    for (int i = 0; i < c->n_formers; i++)
        if (c->formers[i].key == f->key && strcmp(c->formers[i].text, f->text) == 0)
            return true;
    return same_text(*conf_field_text(plain(c), f->key), f->text);
}

unsigned conf_former_dropped(const struct conf *next, const struct conf *running, int64_t now_ms)
{
    unsigned roles = 0;

    for (int i = 0; i < running->n_formers; i++)
        if (running->formers[i].until_ms > now_ms && !keeps_former(next, &running->formers[i]))
            roles |= conf_keys[running->formers[i].key].roles;
    return roles;
}

/* ---- reading ---- */

static void no_changed_role(struct conf_loader *l, const struct conf *running)
{
    const struct conf *c = l->conf;
    char text[160];

    for (int i = 0; i < c->n_pools; i++)
        for (int k = 0; k < running->n_pools; k++) {
            if (running->pools[k].max == 0 || strcmp(c->pools[i].name, running->pools[k].name) != 0 ||
                c->pools[i].role == running->pools[k].role)
                continue;
            snprintf(text, sizeof text,
                     "the running daemon's pool \"%s\" has the role %s; a pool with another role needs "
                     "another name, or a restart",
                     c->pools[i].name, conf_pool_role_name(running->pools[k].role));
            conf_fault(l, c->pools_origin.file, c->pools_origin.line, "pools", "%s", text);
        }
}

/* The keys that keep their value may not go with what is new. */
static void check_together(struct conf_loader *l, const struct conf *raw, const struct conf *running)
{
    struct conf_diff *d = conf_diff_make(l, running, raw);
    char *names = talloc_strdup(l, "");
    size_t before = l->n_faults;

    for (int i = 0; i < d->n_changes; i++)
        if (d->changes[i].restart)
            names = talloc_asprintf_append(names, "%s%s", *names != '\0' ? ", " : "", d->changes[i].name);
    if (d->n_restart > 0) {
        conf_keep_fixed(l->conf, running);
        conf_check(l);
    }
    if (l->n_faults > before)
        error_hint(&l->faults[before], "good in itself, but the running daemon keeps its %s: restart it instead",
                   names);
    talloc_free(d);
}

struct conf *conf_load_next(const void *talloc_parent, const char *path, const struct conf *running, struct error *e)
{
    struct conf_loader *l = conf_read(talloc_parent, path);
    struct conf *c = NULL;
    int fd;

    if (l->n_faults == 0)
        no_changed_role(l, running);
    if (l->n_faults == 0 && (fd = conf_export(l->conf, CR_ALL, e)) >= 0) {
        c = conf_import(talloc_parent, fd, e); /* a copy: the check below changes what was read */
        close(fd);
    }
    if (l->n_faults == 0 && c != NULL)
        check_together(l, c, running);
    if (l->n_faults > 0) {
        talloc_free(c);
        c = NULL;
        if (e != NULL)
            conf_first_fault(l, e);
    }
    talloc_free(l);
    return c;
}
