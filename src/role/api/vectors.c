/* vectors.c - see vectors.h: one block of entries, a hash table of lists over them, and a list by age */
#include "api/vectors.h"
#include "base/log.h"

#include <string.h>
#include <sys/queue.h>
#include <talloc.h>

TAILQ_HEAD(ages, entry);
LIST_HEAD(chain, entry);

struct entry {
    TAILQ_ENTRY(entry) age;
    LIST_ENTRY(entry) link;
    uint8_t key[SHA256_BYTES];
    float *vector;
};

struct vectors {
    int dimension, n, room;
    unsigned n_chains;
    struct ages ages; /* the latest first */
    struct chain *chains;
    struct entry *entries;
    float *floats;
};

struct vectors *vectors_new(const void *talloc_parent, size_t max_bytes, int dimension)
{
    size_t each = sizeof(struct entry) + (size_t)dimension * sizeof(float);
    struct vectors *v = talloc_zero(talloc_parent, struct vectors);

    if (v == NULL)
        log_panic("vectors", "out of memory");
    v->dimension = dimension;
    v->room = max_bytes / each > 1 ? (int)(max_bytes / each) : 1;
    v->n_chains = (unsigned)v->room;
    v->entries = talloc_zero_array(v, struct entry, (unsigned)v->room);
    v->chains = talloc_zero_array(v, struct chain, v->n_chains);
    v->floats = talloc_array(v, float, (unsigned)v->room *(unsigned)dimension);
    if (v->entries == NULL || v->chains == NULL || v->floats == NULL)
        log_panic("vectors", "out of memory");
    TAILQ_INIT(&v->ages);
    for (int i = 0; i < v->room; i++)
        v->entries[i].vector = v->floats + (size_t)i * (size_t)dimension;
    return v;
}

static struct chain *chain_of(const struct vectors *v, const uint8_t *key)
{
    uint32_t h;

    memcpy(&h, key, sizeof h);
    return &v->chains[h % v->n_chains];
}

static struct entry *entry_of(const struct vectors *v, const uint8_t *key)
{
    struct entry *e;

    LIST_FOREACH(e, chain_of(v, key), link)
    if (memcmp(e->key, key, SHA256_BYTES) == 0)
        return e;
    return NULL;
}

const float *vectors_find(struct vectors *v, const uint8_t key[SHA256_BYTES])
{
    struct entry *e = entry_of(v, key);

    if (e == NULL)
        return NULL;
    TAILQ_REMOVE(&v->ages, e, age);
    TAILQ_INSERT_HEAD(&v->ages, e, age);
    return e->vector;
}

/* An entry that is on no list. */
static struct entry *take_entry(struct vectors *v)
{
    struct entry *e;

    if (v->n < v->room)
        return &v->entries[v->n++];
    e = TAILQ_LAST(&v->ages, ages);
    TAILQ_REMOVE(&v->ages, e, age);
    LIST_REMOVE(e, link);
    return e;
}

void vectors_put(struct vectors *v, const uint8_t key[SHA256_BYTES], const float *vector)
{
    struct entry *e = entry_of(v, key);

    if (e != NULL) {
        TAILQ_REMOVE(&v->ages, e, age);
    } else {
        e = take_entry(v);
        memcpy(e->key, key, SHA256_BYTES);
        LIST_INSERT_HEAD(chain_of(v, key), e, link);
    }
    TAILQ_INSERT_HEAD(&v->ages, e, age);
    memcpy(e->vector, vector, (size_t)v->dimension * sizeof *vector);
}
