/*
 * store_spaces.c - what a transaction of store.c does in the embedding spaces
 *
 * The fence has got the locks of the collections concerned, shared: their spaces stay what they are until the commit. A
 * job whose space is retired by then is lost; the leader queues it again for the space that is live. What becomes
 * visible in a collection that is being filled gets its fill job in the same transaction.
 *
 * Warns: documents whose counts do not match. Depends on base, core, db.
 */
#include "queue/sql.h"
#include "queue/store_int.h"

#include "base/log.h"
#include "db/locks.h"

#include <stdlib.h>
#include <talloc.h>

_Static_assert(LOCK_CLASS_COLLECTION == 1684865029, "keyspace of locks.h");

/* ---- collections ---- */

static int by_number(const void *a, const void *b)
{
    return *(const int16_t *)a - *(const int16_t *)b;
}

struct pg_array *store_collections(const struct store_try *a)
{
    struct pg_array *out = pg_array_new(a->ctx, PG_INT4);
    int16_t *ids = talloc_array(a->ctx, int16_t, (unsigned)a->n);
    int n = 0;

    for (int i = 0; i < a->n; i++)
        if (a->in[i])
            ids[n++] = a->work[i].job->collection;
    qsort(ids, (size_t)n, sizeof *ids, by_number);
    for (int i = 0; i < n; i++)
        if (i == 0 || ids[i] != ids[i - 1])
            pg_array_int4(out, ids[i]);
    return out;
}

static const struct store_collection *collection_of(const struct store_try *a, int i)
{
    for (int k = 0; k < a->n_collections; k++)
        if (a->collections[k].id == a->work[i].job->collection)
            return &a->collections[k];
    return NULL;
}

/* A document becomes visible in the space that is read, and fills that or the next one. */
static bool space_is_good(const struct store_try *a, int i)
{
    const struct store_collection *c = collection_of(a, i);
    const struct queue_job *j = a->work[i].job;

    return c != NULL && (j->space == c->live || (j->purpose == PURPOSE_FILL && j->space == c->next));
}

int store_check_spaces(struct store_try *a)
{
    struct pg_array *ids = store_collections(a);
    struct pg_params params;
    PGresult *r;

    a->n_collections = 0;
    if (pg_array_count(ids) == 0)
        return 0;
    pg_params_init(&params, a->ctx);
    pg_add_array(&params, ids);
    r = pg_exec(a->p, sql_spaces_of, &params, 0, a->e);
    if (r == NULL)
        return a->e->code;
    a->n_collections = PQntuples(r);
    a->collections = talloc_array(a->ctx, struct store_collection, (unsigned)a->n_collections);
    for (int row = 0; row < a->n_collections; row++)
        a->collections[row] = (struct store_collection){.id = (int16_t)pg_get_int(r, row, 0),
                                                        .live = (int16_t)pg_get_int(r, row, 1),
                                                        .next = (int16_t)pg_get_int(r, row, 2)};
    PQclear(r);
    for (int i = 0; i < a->n; i++) {
        if (a->in[i] && !space_is_good(a, i)) {
            a->in[i] = false;
            a->work[i].outcome = QUEUE_LOST;
        }
    }
    return 0;
}

/* ---- vectors ---- */

static int insert_vectors_of(struct store_try *a, const bool *duplicate, int space)
{
    struct pg_array *users = pg_array_new(a->ctx, PG_UUID);
    struct pg_array *documents = pg_array_new(a->ctx, PG_UUID);
    struct pg_array *generations = pg_array_new(a->ctx, PG_INT4);
    struct pg_array *ords = pg_array_new(a->ctx, PG_INT4);
    struct pg_array *vectors = pg_array_new(a->ctx, pg_vector_type(a->p));
    struct pg_params params;

    for (int i = 0; i < a->n; i++) {
        const struct queue_work *w = &a->work[i];
        if (!store_brings_rows(a, duplicate, i) || w->job->space != space)
            continue;
        for (int k = 0; k < w->n_vectors; k++) {
            pg_array_uuid(users, &w->job->user_id);
            pg_array_uuid(documents, &w->job->document_id);
            pg_array_int4(generations, w->job->generation);
            pg_array_int4(ords, w->first_vector + k);
            pg_array_vector(vectors, w->vectors + (size_t)k * (size_t)a->dimension, a->dimension);
        }
    }
    if (pg_array_count(users) == 0)
        return 0;
    pg_params_init(&params, a->ctx);
    pg_add_array(&params, users);
    pg_add_array(&params, documents);
    pg_add_array(&params, generations);
    pg_add_array(&params, ords);
    pg_add_array(&params, vectors);
    return pg_run(a->p, sql_for_space(a->ctx, sql_insert_vectors_at, space), &params, 0, a->e);
}

/* Calls fn once for every space among the works that bring rows. */
static int for_each_space(struct store_try *a, const bool *duplicate, int (*fn)(struct store_try *, const bool *, int))
{
    for (int i = 0; i < a->n; i++) {
        bool seen = false;
        int rc;
        if (!store_brings_rows(a, duplicate, i))
            continue;
        for (int k = 0; k < i && !seen; k++)
            seen = store_brings_rows(a, duplicate, k) && a->work[k].job->space == a->work[i].job->space;
        if (!seen && (rc = fn(a, duplicate, a->work[i].job->space)) != 0)
            return rc;
    }
    return 0;
}

int store_vectors(struct store_try *a, const bool *duplicate)
{
    return for_each_space(a, duplicate, insert_vectors_of);
}

/* ---- the end ---- */

static bool completes(const struct store_try *a, const bool *duplicate, int i, int space, enum queue_purpose purpose)
{
    return store_brings_rows(a, duplicate, i) && a->work[i].to_status == STATUS_COMPLETE &&
           a->work[i].job->space == space && a->work[i].job->purpose == (int16_t)purpose;
}

/* Documents of one space and purpose, and how many chunks each must have. Returns how many. */
static int add_completing(struct store_try *a, const bool *duplicate, int space, enum queue_purpose purpose,
                          struct pg_params *params)
{
    struct pg_array *users = pg_array_new(a->ctx, PG_UUID);
    struct pg_array *documents = pg_array_new(a->ctx, PG_UUID);
    struct pg_array *generations = pg_array_new(a->ctx, PG_INT4);
    struct pg_array *expected = pg_array_new(a->ctx, PG_INT4);

    for (int i = 0; i < a->n; i++) {
        if (!completes(a, duplicate, i, space, purpose))
            continue;
        pg_array_uuid(users, &a->work[i].job->user_id);
        pg_array_uuid(documents, &a->work[i].job->document_id);
        pg_array_int4(generations, a->work[i].job->generation);
        pg_array_int4(expected, a->work[i].expected_chunks);
    }
    pg_params_init(params, a->ctx);
    pg_add_array(params, users);
    pg_add_array(params, documents);
    pg_add_array(params, generations);
    pg_add_array(params, expected);
    return pg_array_count(users);
}

static bool answer_names(const PGresult *r, const struct uuid *document)
{
    for (int row = 0; row < PQntuples(r); row++) {
        struct uuid id;
        pg_get_uuid(r, row, 0, &id);
        if (uuid_equal(&id, document))
            return true;
    }
    return false;
}

/* Those that the statement did not name are not whole. */
static int finish_of(struct store_try *a, const bool *duplicate, int space, enum queue_purpose purpose, const char *sql)
{
    struct pg_params params;
    PGresult *r;

    if (add_completing(a, duplicate, space, purpose, &params) == 0)
        return 0;
    r = pg_exec(a->p, sql_for_space(a->ctx, sql, space), &params, 0, a->e);
    if (r == NULL)
        return a->e->code;
    for (int i = 0; i < a->n; i++) {
        if (completes(a, duplicate, i, space, purpose) && !answer_names(r, &a->work[i].job->document_id)) {
            a->in[i] = false;
            a->work[i].outcome = QUEUE_MISCOUNT;
            log_warn("queue", "chunk or vector rows do not match the count", "expected",
                     LOG_I(a->work[i].expected_chunks), NULL);
        }
    }
    PQclear(r);
    return 0;
}

static int finish_space(struct store_try *a, const bool *duplicate, int space)
{
    int rc = finish_of(a, duplicate, space, PURPOSE_INGEST, sql_flip_at);

    return rc != 0 ? rc : finish_of(a, duplicate, space, PURPOSE_FILL, sql_covered_at);
}

/* What has just become visible in the live space of a collection that is being filled is filled too. */
static int make_fills(struct store_try *a, const bool *duplicate, const struct store_collection *c)
{
    struct pg_array *users = pg_array_new(a->ctx, PG_UUID);
    struct pg_array *documents = pg_array_new(a->ctx, PG_UUID);
    struct pg_params params;

    for (int i = 0; i < a->n; i++) {
        if (a->work[i].job->collection != c->id || !completes(a, duplicate, i, c->live, PURPOSE_INGEST))
            continue;
        pg_array_uuid(users, &a->work[i].job->user_id);
        pg_array_uuid(documents, &a->work[i].job->document_id);
    }
    if (pg_array_count(users) == 0)
        return 0;
    pg_params_init(&params, a->ctx);
    pg_add_int2(&params, c->id);
    pg_add_int2(&params, c->next);
    pg_add_array(&params, users);
    pg_add_array(&params, documents);
    return pg_run(a->p, sql_make_fills, &params, 0, a->e);
}

int store_finish(struct store_try *a, const bool *duplicate)
{
    int rc = for_each_space(a, duplicate, finish_space);

    for (int k = 0; rc == 0 && k < a->n_collections; k++)
        if (a->collections[k].next != 0)
            rc = make_fills(a, duplicate, &a->collections[k]);
    return rc;
}
