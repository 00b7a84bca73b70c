/*
 * conf_pools.c - the list `pools`: read, checked, defaulted, explained
 *
 * A pool is a group of the keys in CONF_POOL_KEYS. Faults name the place, pools[i].key, what was found, what is
 * allowed.
 *
 * Depends on libconfig, core/state.
 */
#include "core/conf_internal.h"
#include "core/state.h"

#include <inttypes.h>
#include <libconfig.h>
#include <string.h>
#include <unistd.h>

#define MAX_LANE 32767

static const char *const role_names[] = {
    [POOL_COORDINATOR] = "coordinator", [POOL_API] = "api", [POOL_WORKER] = "worker"};

#define X_NAME(name, type, help) #name,
static const char *const pool_keys[] = {CONF_POOL_KEYS(X_NAME)};
#undef X_NAME
#define N_POOL_KEYS (sizeof pool_keys / sizeof pool_keys[0])

const char *conf_pool_role_name(enum pool_role r)
{
    return (unsigned)r < sizeof role_names / sizeof role_names[0] ? role_names[r] : "unknown";
}

static int processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n > CONF_MAX_POOL_SIZE ? CONF_MAX_POOL_SIZE : (int)n;
}

/* One pool being read. */
struct pool_read {
    struct conf_loader *l;
    const struct conf_source *source;
    struct pool_conf *pool;
    int index;
    bool role_given, max_given, min_given;
};

void conf_entry_fault(struct conf_loader *l, const struct conf_source *source, const char *list, int index,
                      const config_setting_t *s, const char *allowed)
{
    struct conf_place at = conf_source_place(source, (int)config_setting_source_line(s));
    char key[80], found[80];

    snprintf(key, sizeof key, "%.20s[%d].%.40s", list, index,
             config_setting_name(s) != NULL ? config_setting_name(s) : "");
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_STRING:
        conf_printable(config_setting_get_string(s), found, sizeof found);
        conf_fault(l, at.file, at.line, key, "found \"%s\", allowed is %s", found, allowed);
        return;
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        conf_fault(l, at.file, at.line, key, "found %lld, allowed is %s", config_setting_get_int64(s), allowed);
        return;
    default:
        conf_fault(l, at.file, at.line, key, "wrong type; allowed is %s", allowed);
    }
}

static void pool_fault(const struct pool_read *r, const config_setting_t *s, const char *allowed)
{
    conf_entry_fault(r->l, r->source, "pools", r->index, s, allowed);
}

static bool is_integer(const config_setting_t *s)
{
    return s != NULL && (config_setting_type(s) == CONFIG_TYPE_INT || config_setting_type(s) == CONFIG_TYPE_INT64);
}

static bool get_count(const struct pool_read *r, const config_setting_t *s, int64_t lo, int64_t hi, int64_t *out)
{
    char allowed[80];

    if (is_integer(s) && config_setting_get_int64(s) >= lo && config_setting_get_int64(s) <= hi) {
        *out = config_setting_get_int64(s);
        return true;
    }
    snprintf(allowed, sizeof allowed, "an integer, %" PRId64 " to %" PRId64, lo, hi);
    pool_fault(r, s, allowed);
    return false;
}

static void get_name(struct pool_read *r, const config_setting_t *s)
{
    const char *name = config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s) : "";
    size_t n = strlen(name);

    if (n == 0 || n >= sizeof r->pool->name || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != n) {
        pool_fault(r, s, "1 to 31 of a-z, 0-9, _ and -");
        return;
    }
    memcpy(r->pool->name, name, n + 1);
}

static void get_role(struct pool_read *r, const config_setting_t *s)
{
    const char *name = config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s) : "";

    r->role_given = true;
    for (size_t i = 0; i < sizeof role_names / sizeof role_names[0]; i++) {
        if (strcmp(role_names[i], name) == 0) {
            r->pool->role = (enum pool_role)i;
            return;
        }
    }
    pool_fault(r, s, "coordinator, api or worker");
}

static bool is_sequence(const config_setting_t *s)
{
    return config_setting_is_list(s) || config_setting_is_array(s);
}

static void get_stages(struct pool_read *r, const config_setting_t *s)
{
    for (int i = 0; is_sequence(s) && i < config_setting_length(s); i++) {
        const char *name = config_setting_get_string_elem(s, i);
        int status = name != NULL ? status_parse(name) : -1;
        if (status < 0 || status_is_end(status)) {
            pool_fault(r, s, "a list of statuses that are not ends, such as (\"uploaded\", \"parsed\")");
            return;
        }
        r->pool->stages |= 1u << status;
    }
    if (r->pool->stages == 0)
        pool_fault(r, s, "a list of at least one status, such as (\"uploaded\")");
}

static void get_lanes(struct pool_read *r, const config_setting_t *s)
{
    int64_t lane[2] = {-1, -1};

    for (int i = 0; i < 2 && is_sequence(s) && config_setting_length(s) == 2; i++)
        if (is_integer(config_setting_get_elem(s, (unsigned)i)))
            lane[i] = config_setting_get_int64_elem(s, i);
    if (lane[0] < 0 || lane[1] > MAX_LANE || lane[0] > lane[1]) {
        pool_fault(r, s, "two integers, 0 to 32767, the lower first, such as (0, 100)");
        return;
    }
    r->pool->lane_min = (int)lane[0];
    r->pool->lane_max = (int)lane[1];
}

static void get_unit(struct pool_read *r, const config_setting_t *s, int (*parse)(const char *, int64_t *), int64_t hi,
                     const char *allowed, int64_t *out)
{
    int64_t n = -1;

    if (config_setting_type(s) == CONFIG_TYPE_STRING && parse(config_setting_get_string(s), &n) != 0)
        n = -1;
    if (is_integer(s) && config_setting_get_int64(s) == 0)
        n = 0;
    if (n < 0 || n > hi)
        pool_fault(r, s, allowed);
    else
        *out = n;
}

static void get_key(struct pool_read *r, const config_setting_t *s)
{
    const char *key = config_setting_name(s);
    struct conf_place at = conf_source_place(r->source, (int)config_setting_source_line(s));
    const char *near;
    int64_t n;
    char name[80];

    if (strcmp(key, "name") == 0) {
        get_name(r, s);
    } else if (strcmp(key, "role") == 0) {
        get_role(r, s);
    } else if (strcmp(key, "max") == 0) {
        r->max_given = true;
        r->pool->max = get_count(r, s, 1, CONF_MAX_POOL_SIZE, &n) ? (int)n : 1;
    } else if (strcmp(key, "min") == 0) {
        r->min_given = true;
        r->pool->min = get_count(r, s, 0, CONF_MAX_POOL_SIZE, &n) ? (int)n : 0;
    } else if (strcmp(key, "spare") == 0) {
        r->pool->spare = get_count(r, s, 0, CONF_MAX_POOL_SIZE, &n) ? (int)n : 0;
    } else if (strcmp(key, "stages") == 0) {
        get_stages(r, s);
    } else if (strcmp(key, "lanes") == 0) {
        get_lanes(r, s);
    } else if (strcmp(key, "max_jobs") == 0) {
        r->pool->max_jobs = get_count(r, s, 0, INT64_C(1) << 40, &n) ? n : 0;
    } else if (strcmp(key, "max_age") == 0) {
        get_unit(r, s, conf_parse_duration, 365 * DAY, "a duration of at most \"365d\"", &r->pool->max_age_ms);
    } else if (strcmp(key, "max_memory") == 0) {
        get_unit(r, s, conf_parse_size, 1024 * GB, "a size of at most \"1TB\"", &r->pool->max_memory);
    } else {
        snprintf(name, sizeof name, "pools[%d].%.40s", r->index, key);
        conf_fault(r->l, at.file, at.line, name, "unknown key of a pool");
        near = conf_nearest(key, pool_keys, N_POOL_KEYS);
        if (near != NULL)
            conf_fault_hint(r->l, "did you mean %s?", near);
    }
}

static void check_pool(struct pool_read *r, const struct conf_place *at)
{
    struct pool_conf *p = r->pool;
    char key[40];

    snprintf(key, sizeof key, "pools[%d]", r->index);
    if (p->name[0] == '\0' || !r->role_given) {
        conf_fault(r->l, at->file, at->line, key, "a pool needs a name and a role");
        return;
    }
    if (!r->max_given)
        p->max = p->role == POOL_WORKER ? processors() : 1;
    if (!r->min_given)
        p->min = p->max;
    if (p->min > p->max || p->spare > p->max)
        conf_fault(r->l, at->file, at->line, key, "found min %d, spare %d, max %d; allowed are min and spare up to max",
                   p->min, p->spare, p->max);
    if (p->role == POOL_COORDINATOR && (p->max != 1 || p->min != 1))
        conf_fault(r->l, at->file, at->line, key, "found %d to %d coordinators, allowed is exactly 1", p->min, p->max);
    if (p->role != POOL_WORKER && (p->stages != 0 || p->lane_min != 0 || p->lane_max != MAX_LANE))
        conf_fault(r->l, at->file, at->line, key, "stages and lanes are allowed for the role worker only");
}

static void pool_init(struct pool_conf *p)
{
    memset(p, 0, sizeof *p);
    p->lane_max = MAX_LANE;
}

static void read_pool(struct conf_loader *l, const config_setting_t *s, const struct conf_source *source, int index)
{
    struct conf *c = l->conf;
    struct pool_read r = {.l = l, .source = source, .pool = &c->pools[c->n_pools], .index = index};
    struct conf_place at = conf_source_place(source, (int)config_setting_source_line(s));

    if (!config_setting_is_group(s)) {
        conf_fault(l, at.file, at.line, "pools", "entry %d has the wrong type; allowed is a group { ... }", index);
        return;
    }
    pool_init(r.pool);
    for (int i = 0; i < config_setting_length(s); i++)
        get_key(&r, config_setting_get_elem(s, (unsigned)i));
    check_pool(&r, &at);
    for (int i = 0; i < c->n_pools; i++)
        if (strcmp(c->pools[i].name, r.pool->name) == 0)
            conf_fault(l, at.file, at.line, "pools", "the name \"%s\" is used twice", r.pool->name);
    c->n_pools++;
}

void conf_pools_apply(struct conf_loader *l, config_setting_t *pools, const struct conf_source *source)
{
    struct conf_place at = conf_source_place(source, (int)config_setting_source_line(pools));
    int coordinators = 0;

    if (!config_setting_is_list(pools)) {
        conf_fault(l, at.file, at.line, "pools", "wrong type; allowed is a list, pools = ( { ... }, { ... } )");
        return;
    }
    if (config_setting_length(pools) > CONF_MAX_POOLS) {
        conf_fault(l, at.file, at.line, "pools", "found %d pools, allowed are at most %d", config_setting_length(pools),
                   CONF_MAX_POOLS);
        return;
    }
    for (int i = 0; i < config_setting_length(pools); i++)
        read_pool(l, config_setting_get_elem(pools, (unsigned)i), source, i);
    for (int i = 0; i < l->conf->n_pools; i++)
        coordinators += l->conf->pools[i].role == POOL_COORDINATOR;
    if (coordinators != 1 && l->n_faults == 0)
        conf_fault(l, at.file, at.line, "pools", "found %d coordinator pools, allowed is exactly 1", coordinators);
}

static void add_default(struct conf *c, const char *name, enum pool_role role, int n)
{
    struct pool_conf *p = &c->pools[c->n_pools++];

    pool_init(p);
    snprintf(p->name, sizeof p->name, "%s", name);
    p->role = role;
    p->min = p->max = n;
}

void conf_pools_default(struct conf *c)
{
    c->n_pools = 0;
    add_default(c, "coordinator", POOL_COORDINATOR, 1);
    add_default(c, "api", POOL_API, 1);
    add_default(c, "workers", POOL_WORKER, processors());
    c->pools_origin.source = CONF_SRC_DEFAULT;
}
