/*
 * conf_collections.c - the list `collections`: read and checked
 *
 * A collection is a group of the keys in CONF_COLLECTION_KEYS. Faults name the place, collections[i].key, what was
 * found, what is allowed.
 *
 * Depends on libconfig, base/money.
 */
#include "base/money.h"
#include "core/conf_internal.h"

#include <libconfig.h>
#include <string.h>

#define LEAST_DIMENSION 8 /* as embedder.dimension */
#define MOST_DIMENSION  4000
#define MOST_INDEXED    2000 /* by hnsw */

#define X_NAME(name, type, help) #name,
static const char *const keys[] = {CONF_COLLECTION_KEYS(X_NAME)};
#undef X_NAME
#define N_KEYS (sizeof keys / sizeof keys[0])

/* One collection being read. */
struct reading {
    struct conf_loader *l;
    const struct conf_source *source;
    struct collection_conf *c;
    int index;
    bool embedder_given;
};

static void fault(const struct reading *r, const config_setting_t *s, const char *allowed)
{
    conf_entry_fault(r->l, r->source, "collections", r->index, s, allowed);
}

static const char *text_of(const config_setting_t *s)
{
    return config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s) : "";
}

static void get_name(const struct reading *r, const config_setting_t *s)
{
    const char *name = text_of(s);
    size_t n = strlen(name);

    if (n == 0 || n >= sizeof r->c->name || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != n)
        fault(r, s, "1 to 31 of a-z, 0-9, _ and -");
    else if (strcmp(name, "default") == 0)
        fault(r, s, "another name: default is the collection of embedder.*");
    else
        memcpy(r->c->name, name, n + 1);
}

static void get_embedder(struct reading *r, const config_setting_t *s)
{
    r->embedder_given = true;
    r->c->outside = strcmp(text_of(s), "openai") == 0;
    if (!r->c->outside && strcmp(text_of(s), "builtin") != 0)
        fault(r, s, "builtin or openai");
}

static void get_model(const struct reading *r, const config_setting_t *s)
{
    size_t n = strlen(text_of(s));

    if (n == 0 || n >= sizeof r->c->model || strcmp(text_of(s), "builtin") == 0)
        fault(r, s, "the name of a model of the service, 1 to 64 characters");
    else
        memcpy(r->c->model, text_of(s), n + 1);
}

static void get_dimension(const struct reading *r, const config_setting_t *s)
{
    int type = config_setting_type(s);
    long long n = type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64 ? config_setting_get_int64(s) : 0;

    if (n < LEAST_DIMENSION || n > MOST_DIMENSION)
        fault(r, s, "an integer, 8 to 4000");
    else
        r->c->dimension = (int)n;
}

static void get_price(const struct reading *r, const config_setting_t *s)
{
    size_t n = strlen(text_of(s));
    int64_t price = -1;

    if (n == 0 || n >= sizeof r->c->price || money_parse_per_million(text_of(s), &price) != 0 || price < 0)
        fault(r, s, "an amount of US dollars with at most 6 decimals, such as \"0.02\"");
    else
        memcpy(r->c->price, text_of(s), n + 1);
}

static void get_key(struct reading *r, const config_setting_t *s)
{
    const char *key = config_setting_name(s), *near;
    struct conf_place at = conf_source_place(r->source, (int)config_setting_source_line(s));
    char name[80];

    if (strcmp(key, "name") == 0) {
        get_name(r, s);
    } else if (strcmp(key, "embedder") == 0) {
        get_embedder(r, s);
    } else if (strcmp(key, "model") == 0) {
        get_model(r, s);
    } else if (strcmp(key, "dimension") == 0) {
        get_dimension(r, s);
    } else if (strcmp(key, "price_per_million_tokens") == 0) {
        get_price(r, s);
    } else {
        snprintf(name, sizeof name, "collections[%d].%.40s", r->index, key);
        conf_fault(r->l, at.file, at.line, name, "unknown key of a collection");
        near = conf_nearest(key, keys, N_KEYS);
        if (near != NULL)
            conf_fault_hint(r->l, "did you mean %s?", near);
    }
}

static void read_collection(struct conf_loader *l, config_setting_t *s, const struct conf_source *source, int index)
{
    struct conf *c = l->conf;
    struct reading r = {.l = l, .source = source, .c = &c->collections[c->n_collections], .index = index};
    struct conf_place at = conf_source_place(source, (int)config_setting_source_line(s));
    char key[40];

    snprintf(key, sizeof key, "collections[%d]", index);
    if (!config_setting_is_group(s)) {
        conf_fault(l, at.file, at.line, key, "wrong type; allowed is a group { ... }");
        return;
    }
    memset(r.c, 0, sizeof *r.c);
    for (int i = 0; i < config_setting_length(s); i++)
        get_key(&r, config_setting_get_elem(s, (unsigned)i));
    if (config_setting_get_member(s, "name") == NULL || !r.embedder_given)
        conf_fault(l, at.file, at.line, key, "a collection needs a name and an embedder");
    if (!r.c->outside && (r.c->model[0] != '\0' || r.c->price[0] != '\0'))
        conf_fault(l, at.file, at.line, key, "model and price_per_million_tokens are allowed with openai only");
    for (int i = 0; i < c->n_collections; i++)
        if (strcmp(c->collections[i].name, r.c->name) == 0)
            conf_fault(l, at.file, at.line, key, "the name \"%s\" is used twice", r.c->name);
    c->n_collections++;
}

void conf_collections_apply(struct conf_loader *l, config_setting_t *list, const struct conf_source *source)
{
    struct conf_place at = conf_source_place(source, (int)config_setting_source_line(list));

    if (!config_setting_is_list(list)) {
        conf_fault(l, at.file, at.line, "collections",
                   "wrong type; allowed is a list, collections = ( { ... }, { ... } )");
        return;
    }
    if (config_setting_length(list) > CONF_MAX_COLLECTIONS) {
        conf_fault(l, at.file, at.line, "collections", "found %d collections, allowed are at most %d",
                   config_setting_length(list), CONF_MAX_COLLECTIONS);
        return;
    }
    l->conf->n_collections = 0;
    for (int i = 0; i < config_setting_length(list); i++)
        read_collection(l, config_setting_get_elem(list, (unsigned)i), source, i);
}

void conf_collections_check(struct conf_loader *l)
{
    const struct conf *c = l->conf;
    const struct conf_origin *at = &c->collections_origin;
    char key[40];

    for (int i = 0; i < c->n_collections; i++) {
        const struct collection_conf *one = &c->collections[i];
        int64_t dimension = one->dimension > 0 ? one->dimension : c->embedder_dimension;
        snprintf(key, sizeof key, "collections[%d]", i);
        if (one->outside && one->model[0] == '\0' && c->openai_model == NULL)
            conf_fault(l, at->file, at->line, key, "a model is missing, here or as openai.model");
        if (strcmp(c->search_index, "hnsw") == 0 && dimension > MOST_INDEXED)
            conf_fault(l, at->file, at->line, key,
                       "found dimension %d, allowed is at most %d with search.index = \"hnsw\"", (int)dimension,
                       MOST_INDEXED);
    }
}
