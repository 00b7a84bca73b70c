/*
 * conf_agree.c - see conf_agree.h
 *
 * Depends on base/hash, talloc.
 */
#include "core/conf_agree.h"

#include "base/hash.h"
#include "core/conf_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define DIGEST_BYTES 8
#define ROOM_SHARE   4 /* one successor for so many children */

struct agreed_row {
    int key;
    const char *only;
};

#define X_ROW(field, only) {CONF_KEY_##field, only},
static const struct agreed_row rows[] = {CONF_AGREED(X_ROW)};
#undef X_ROW

static bool counts(const struct conf *c, const char *only)
{
    const char *backend = c->blob_backend != NULL ? c->blob_backend : "";
    const char *embedder = c->embedder_name != NULL ? c->embedder_name : "";

    return *only == '\0' || strcmp(only, backend) == 0 || strcmp(only, embedder) == 0 ||
           (strcmp(only, "object") == 0 && strcmp(backend, "fs") != 0);
}

static char *value_of(const void *ctx, struct conf *c, int key)
{
    const char **text = conf_field_text(c, key);
    const int64_t *n = conf_field_int(c, key);

    if (text != NULL)
        return talloc_strdup(ctx, *text != NULL ? *text : "");
    if (n != NULL)
        return talloc_asprintf(ctx, "%" PRId64, *n);
    return talloc_strdup(ctx, *conf_field_bool(c, key) ? "true" : "false");
}

/* Appends "name": "digest", which stands for name and value. */
static char *add(char *json, const char *name, const char *value)
{
    char *both = talloc_asprintf(json, "%s=%s", name, value), hex[2 * DIGEST_BYTES + 1];
    uint8_t sum[SHA256_BYTES];

    if (both == NULL)
        return NULL;
    sha256_of(both, strlen(both), sum);
    hex_encode(sum, DIGEST_BYTES, hex);
    talloc_free(both);
    return talloc_asprintf_append(json, "%s\"%s\": \"%s\"", json[1] != '\0' ? ", " : "", name, hex);
}

static char *add_keys(char *json, struct conf *c)
{
    for (size_t i = 0; json != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        char *value;

        if (!counts(c, rows[i].only))
            continue;
        value = value_of(json, c, rows[i].key);
        json = value != NULL ? add(json, conf_keys[rows[i].key].name, value) : NULL;
        talloc_free(value);
    }
    return json;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct collection_conf *)a)->name, ((const struct collection_conf *)b)->name);
}

static char *add_collections(char *json, const struct conf *c)
{
    struct collection_conf sorted[CONF_MAX_COLLECTIONS];

    memcpy(sorted, c->collections, sizeof sorted);
    qsort(sorted, (size_t)c->n_collections, sizeof sorted[0], by_name);
    for (int i = 0; json != NULL && i < c->n_collections; i++) {
        const struct collection_conf *o = &sorted[i];
        const char *model = o->model[0] != '\0' || !o->outside ? o->model : c->openai_model;
        int64_t dimension = o->dimension != 0 ? o->dimension : c->embedder_dimension;
        char *name = talloc_asprintf(json, "collections.%s", o->name);
        char *value = talloc_asprintf(json, "%d %s %" PRId64, o->outside, model != NULL ? model : "", dimension);

        json = name != NULL && value != NULL ? add(json, name, value) : NULL;
        talloc_free(name);
        talloc_free(value);
    }
    return json;
}

char *conf_agreement(const void *talloc_parent, const struct conf *c, char fingerprint[CONF_FINGERPRINT_MAX + 1])
{
    char *json = talloc_strdup(talloc_parent, "{");
    uint8_t sum[SHA256_BYTES];

    if (json != NULL)
        json = add_keys(json, (struct conf *)(uintptr_t)c);
    if (json != NULL)
        json = add_collections(json, c);
    if (json != NULL)
        json = talloc_strdup_append(json, "}");
    if (json == NULL)
        return NULL;
    sha256_of(json, strlen(json), sum);
    hex_encode(sum, CONF_FINGERPRINT_MAX / 2, fingerprint);
    return json;
}

int conf_pool_room(int max)
{
    return (max + ROOM_SHARE - 1) / ROOM_SHARE;
}

/* There is one coordinator at a time: its successor waits for the node's lock. */
int conf_pool_children(const struct pool_conf *p)
{
    return p->max + (p->role == POOL_COORDINATOR ? 0 : conf_pool_room(p->max));
}

int conf_connections(const struct conf *c)
{
    int64_t n = 0;

    for (int i = 0; i < c->n_pools; i++)
        n += conf_pool_children(&c->pools[i]) * (c->pools[i].role == POOL_API ? c->api_db_connections : 1);
    return (int)n;
}
