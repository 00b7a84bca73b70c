/*
 * store.c - one transaction for the work of many documents
 *
 * Order within it: fence every job, take the contents (duplicates fall out here), clear and insert rows, write what
 * was parsed, flip the generations that are whole, move the jobs with their events, write down what was paid, commit.
 * What concerns the embedding spaces is in store_spaces.c. Whatever lost its lease is left out of every later statement
 * but the last: what was paid stays paid. A failure of the database makes the whole transaction start again, after a read
 * of the rows that says whether the lost one was committed.
 *
 * Warns: documents whose counts do not match. Depends on base, core, db.
 */
#include "queue/cost.h"
#include "queue/queue.h"
#include "queue/sql.h"
#include "queue/store_int.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define MAX_TRIES 50

static int find_job(const struct queue_work *work, int n, const struct uuid *id)
{
    for (int i = 0; i < n; i++)
        if (uuid_equal(&work[i].job->id, id))
            return i;
    return -1;
}

/* ---- fence ---- */

static int by_job_id(const void *a, const void *b)
{
    const struct queue_work *const *x = a, *const *y = b;

    return memcmp((*x)->job->id.b, (*y)->job->id.b, sizeof(*x)->job->id.b);
}

/* The works that take part, in the order in which their jobs are locked. */
static int in_lock_order(const struct store_try *a, const struct queue_work **sorted)
{
    int n = 0;

    for (int i = 0; i < a->n; i++)
        if (a->in[i])
            sorted[n++] = &a->work[i];
    qsort(sorted, (size_t)n, sizeof *sorted, by_job_id); /* NOLINT(bugprone-sizeof-expression): pointers are sorted */
    return n;
}

static int fence(struct store_try *a)
{
    struct pg_array *ids = pg_array_new(a->ctx, PG_UUID);
    struct pg_array *leases = pg_array_new(a->ctx, PG_INT8);
    struct pg_array *statuses = pg_array_new(a->ctx, PG_INT2);
    struct pg_params params;
    bool *alive = talloc_zero_array(a->ctx, bool, (unsigned)a->n);
    const struct queue_work **sorted = talloc_array(a->ctx, const struct queue_work *, (unsigned)a->n);
    int n = in_lock_order(a, sorted);
    PGresult *r;

    for (int i = 0; i < n; i++) {
        pg_array_uuid(ids, &sorted[i]->job->id);
        pg_array_int8(leases, sorted[i]->job->lease);
        pg_array_int2(statuses, sorted[i]->from_status);
    }
    pg_params_init(&params, a->ctx);
    pg_add_array(&params, ids);
    pg_add_array(&params, leases);
    pg_add_array(&params, statuses);
    pg_add_array(&params, store_collections(a));
    r = pg_exec(a->p, sql_fence, &params, 0, a->e);
    if (r == NULL)
        return a->e->code;
    for (int row = 0; row < PQntuples(r); row++) {
        struct uuid id;
        int i;
        pg_get_uuid(r, row, 0, &id);
        i = find_job(a->work, a->n, &id);
        if (i >= 0)
            alive[i] = true;
    }
    PQclear(r);
    for (int i = 0; i < a->n; i++) {
        if (a->in[i] && !alive[i]) {
            a->in[i] = false;
            a->work[i].outcome = QUEUE_LOST;
        }
    }
    return 0;
}

/* ---- duplicates ---- */

/* A document takes its content when its parsed text becomes durable. */
static bool takes_content(const struct store_try *a, int i)
{
    return a->in[i] && a->work[i].set_parsed;
}

static int take_contents(struct store_try *a, bool *duplicate)
{
    struct pg_array *users = pg_array_new(a->ctx, PG_UUID);
    struct pg_array *collections = pg_array_new(a->ctx, PG_INT2);
    struct pg_array *hashes = pg_array_new(a->ctx, PG_BYTEA);
    struct pg_array *documents = pg_array_new(a->ctx, PG_UUID);
    int *index = talloc_array(a->ctx, int, (unsigned)a->n);
    bool *owned = talloc_zero_array(a->ctx, bool, (unsigned)a->n);
    struct pg_params params;
    PGresult *r;
    int n = 0;

    for (int i = 0; i < a->n; i++) {
        if (!takes_content(a, i))
            continue;
        index[n++] = i;
        pg_array_uuid(users, &a->work[i].job->user_id);
        pg_array_int2(collections, a->work[i].job->collection);
        pg_array_bytes(hashes, a->work[i].parsed_sha256, SHA256_BYTES);
        pg_array_uuid(documents, &a->work[i].job->document_id);
    }
    if (n == 0)
        return 0;
    pg_params_init(&params, a->ctx);
    pg_add_array(&params, users);
    pg_add_array(&params, collections);
    pg_add_array(&params, hashes);
    pg_add_array(&params, documents);
    if (pg_run(a->p, sql_contents_take, &params, 0, a->e) != 0)
        return a->e->code;
    params.n = 3;
    r = pg_exec(a->p, sql_contents_owner, &params, 0, a->e);
    if (r == NULL)
        return a->e->code;
    for (int row = 0; row < PQntuples(r); row++) {
        int i = index[pg_get_int(r, row, 0) - 1];
        struct uuid owner;
        pg_get_uuid(r, row, 1, &owner);
        owned[i] = true;
        duplicate[i] = !uuid_equal(&owner, &a->work[i].job->document_id);
        a->work[i].duplicate_of = owner;
    }
    PQclear(r);
    for (int k = 0; k < n; k++)
        if (!owned[index[k]]) /* its owner was deleted between the two statements */
            return reason_error(a->e, REASON_db_conflict, EAGAIN, "the canonical document went away meanwhile");
    return 0;
}

/* ---- rows ---- */

bool store_brings_rows(const struct store_try *a, const bool *duplicate, int i)
{
    return a->in[i] && !duplicate[i];
}

static int clear_chunks(struct store_try *a, const bool *duplicate)
{
    struct pg_array *users = pg_array_new(a->ctx, PG_UUID);
    struct pg_array *documents = pg_array_new(a->ctx, PG_UUID);
    struct pg_array *generations = pg_array_new(a->ctx, PG_INT4);
    struct pg_params params;

    for (int i = 0; i < a->n; i++) {
        if (!store_brings_rows(a, duplicate, i) || !a->work[i].clear_chunks)
            continue;
        pg_array_uuid(users, &a->work[i].job->user_id);
        pg_array_uuid(documents, &a->work[i].job->document_id);
        pg_array_int4(generations, a->work[i].job->generation);
    }
    if (pg_array_count(users) == 0)
        return 0;
    pg_params_init(&params, a->ctx);
    pg_add_array(&params, users);
    pg_add_array(&params, documents);
    pg_add_array(&params, generations);
    return pg_run(a->p, sql_clear_chunks, &params, 0, a->e);
}

/* The columns of the chunk rows, in the order of sql_insert_chunks. */
/* clang-format off */
enum { C_USER, C_DOCUMENT, C_GENERATION, C_ORD, C_ID, C_START, C_END, C_OVERLAP, C_TOKENS, C_PAGE, C_HASH, C_PATH, C_TEXT,
       C_COLUMNS };
/* clang-format on */

/* A number of a page or of pages; what has none has NULL. */
static void add_pages(struct pg_array *a, int n)
{
    if (n > 0)
        pg_array_int4(a, n);
    else
        pg_array_null(a);
}

static void add_chunk(struct pg_array *const *col, const struct queue_job *j, const struct queue_chunk *c)
{
    uint8_t hash[SHA256_BYTES];

    sha256_of(c->text, c->text_len, hash);
    pg_array_uuid(col[C_USER], &j->user_id);
    pg_array_uuid(col[C_DOCUMENT], &j->document_id);
    pg_array_int4(col[C_GENERATION], j->generation);
    pg_array_int4(col[C_ORD], c->ord);
    pg_array_uuid(col[C_ID], &c->chunk_id);
    pg_array_int8(col[C_START], c->byte_start);
    pg_array_int8(col[C_END], c->byte_end);
    pg_array_int4(col[C_OVERLAP], c->overlap);
    pg_array_int4(col[C_TOKENS], c->tokens);
    add_pages(col[C_PAGE], c->page);
    pg_array_bytes(col[C_HASH], hash, sizeof hash);
    pg_array_bytes(col[C_PATH], c->heading_path, strlen(c->heading_path));
    pg_array_bytes(col[C_TEXT], c->text, c->text_len);
}

static int insert_chunks(struct store_try *a, const bool *duplicate)
{
    static const Oid types[C_COLUMNS] = {PG_UUID, PG_UUID, PG_INT4, PG_INT4,  PG_UUID, PG_INT8, PG_INT8,
                                         PG_INT4, PG_INT4, PG_INT4, PG_BYTEA, PG_TEXT, PG_TEXT};
    struct pg_array *col[C_COLUMNS];
    struct pg_params params;

    for (int c = 0; c < C_COLUMNS; c++)
        col[c] = pg_array_new(a->ctx, types[c]);
    for (int i = 0; i < a->n; i++)
        for (int k = 0; store_brings_rows(a, duplicate, i) && k < a->work[i].n_chunks; k++)
            add_chunk(col, a->work[i].job, &a->work[i].chunks[k]);
    if (pg_array_count(col[0]) == 0)
        return 0;
    pg_params_init(&params, a->ctx);
    for (int c = 0; c < C_COLUMNS; c++)
        pg_add_array(&params, col[c]);
    return pg_run(a->p, sql_insert_chunks, &params, 0, a->e);
}

/* ---- documents ---- */

static const char *array_text(const void *ctx, const uint32_t *v, int n)
{
    char *s = talloc_strdup(ctx, "{");

    for (int i = 0; i < n; i++)
        s = talloc_asprintf_append_buffer(s, i == 0 ? "%u" : ",%u", v[i]);
    return talloc_strdup_append_buffer(s, "}");
}

static void add_name(struct pg_array *a, const char *name)
{
    if (name != NULL)
        pg_array_bytes(a, name, strlen(name));
    else
        pg_array_null(a);
}

static int set_parsed(struct store_try *a, const bool *duplicate)
{
    enum { COLUMNS = 10 };
    static const Oid types[COLUMNS] = {PG_UUID, PG_UUID, PG_BYTEA, PG_INT8, PG_BOOL,
                                       PG_INT4, PG_TEXT, PG_UUID,  PG_TEXT, PG_TEXT};
    struct pg_array *col[COLUMNS];
    struct pg_params params;

    for (int c = 0; c < COLUMNS; c++)
        col[c] = pg_array_new(a->ctx, types[c]);
    for (int i = 0; i < a->n; i++) {
        const struct queue_work *w = &a->work[i];
        const char *starts;
        if (!takes_content(a, i))
            continue;
        starts = array_text(a->ctx, w->page_starts, w->n_page_starts);
        pg_array_uuid(col[0], &w->job->user_id);
        pg_array_uuid(col[1], &w->job->document_id);
        pg_array_bytes(col[2], w->parsed_sha256, SHA256_BYTES);
        pg_array_int8(col[3], w->parsed_bytes);
        pg_array_bytes(col[4], &w->parsed_plain, 1);
        add_pages(col[5], w->pages);
        pg_array_bytes(col[6], starts, strlen(starts));
        if (duplicate[i])
            pg_array_uuid(col[7], &w->duplicate_of);
        else
            pg_array_null(col[7]);
        add_name(col[8], w->parsed_by);
        add_name(col[9], w->parsed_instead_of);
    }
    if (pg_array_count(col[0]) == 0)
        return 0;
    pg_params_init(&params, a->ctx);
    for (int c = 0; c < COLUMNS; c++)
        pg_add_array(&params, col[c]);
    return pg_run(a->p, sql_set_parsed, &params, 0, a->e);
}

/* ---- jobs ---- */

static const char *hops_json(const void *ctx, const struct queue_work *w, bool duplicate)
{
    char *s = talloc_strdup(ctx, "[");

    for (int i = 0; i < w->n_hops; i++) {
        if (duplicate && w->hops[i].status > STATUS_PARSED)
            break;
        s = talloc_asprintf_append_buffer(s, "%s[%d,%d]", i == 0 ? "" : ",", w->hops[i].status, w->hops[i].took_ms);
    }
    return talloc_strdup_append_buffer(s, "]");
}

/* What the event says of a text that a fallback made: "fallback_local". */
static const char *event_reason(const void *ctx, const struct queue_work *w)
{
    return w->set_parsed && w->parsed_instead_of != NULL ? talloc_asprintf(ctx, "fallback_%s", w->parsed_by) : NULL;
}

static int end_state(int status)
{
    return status == STATUS_COMPLETE || status == STATUS_DUPLICATE ? STATE_DONE : STATE_WORKING;
}

static int advance(struct store_try *a, const bool *duplicate)
{
    static const Oid types[7] = {PG_UUID, PG_INT8, PG_INT2, PG_INT2, PG_INT2, PG_JSONB, PG_TEXT};
    struct pg_array *col[7];
    struct pg_params params;
    PGresult *r;
    int n;

    for (int c = 0; c < 7; c++)
        col[c] = pg_array_new(a->ctx, types[c]);
    for (int i = 0; i < a->n; i++) {
        const struct queue_work *w = &a->work[i];
        int to = duplicate[i] ? STATUS_DUPLICATE : w->to_status;
        const char *hops;
        if (!a->in[i])
            continue;
        hops = hops_json(a->ctx, w, duplicate[i]);
        pg_array_uuid(col[0], &w->job->id);
        pg_array_int8(col[1], w->job->lease);
        pg_array_int2(col[2], w->from_status);
        pg_array_int2(col[3], (int16_t)to);
        pg_array_int2(col[4], (int16_t)end_state(to));
        pg_array_bytes(col[5], hops, strlen(hops));
        add_name(col[6], event_reason(a->ctx, w));
    }
    n = pg_array_count(col[0]);
    if (n == 0)
        return 0;
    pg_params_init(&params, a->ctx);
    for (int c = 0; c < 5; c++)
        pg_add_array(&params, col[c]);
    pg_add_int8(&params, a->stage_deadline_ms);
    pg_add_array(&params, col[5]);
    pg_add_array(&params, col[6]);
    r = pg_exec(a->p, sql_advance, &params, 0, a->e);
    if (r == NULL)
        return a->e->code;
    if (PQntuples(r) != n) {
        PQclear(r);
        return reason_error(a->e, REASON_internal, EPROTO, "a fenced job was not moved");
    }
    PQclear(r);
    return 0;
}

/* ---- what was paid ---- */

static int settle_costs(struct store_try *a)
{
    struct cost_line *lines;
    int n = 0;

    for (int i = 0; i < a->n; i++)
        n += a->work[i].n_costs;
    if (n == 0)
        return 0;
    lines = talloc_array(a->ctx, struct cost_line, (unsigned)n);
    n = 0;
    for (int i = 0; i < a->n; i++) {
        const struct queue_work *w = &a->work[i];
        for (int k = 0; k < w->n_costs; k++, n++) {
            lines[n] = w->costs[k];
            lines[n].dropped = lines[n].dropped || w->outcome == QUEUE_LOST;
        }
    }
    return cost_settle(a->p, lines, n, a->e);
}

/* ---- the transaction ---- */

static int run_statements(struct store_try *a, bool *duplicate)
{
    int rc;

    if ((rc = fence(a)) != 0 || (rc = store_check_spaces(a)) != 0 || (rc = take_contents(a, duplicate)) != 0 ||
        (rc = clear_chunks(a, duplicate)) != 0 || (rc = insert_chunks(a, duplicate)) != 0 ||
        (rc = store_vectors(a, duplicate)) != 0 || (rc = set_parsed(a, duplicate)) != 0 ||
        (rc = store_finish(a, duplicate)) != 0)
        return rc;
    if ((rc = advance(a, duplicate)) != 0)
        return rc;
    return settle_costs(a); /* last: others may wait for the rows of the totals */
}

static int expected_status(const struct queue_work *w, bool duplicate)
{
    return duplicate ? STATUS_DUPLICATE : w->to_status;
}

static void settle(struct queue_work *w, bool duplicate)
{
    w->outcome = duplicate ? QUEUE_DUPLICATE : QUEUE_STORED;
}

/* What a row says of one work whose transaction's answer was lost. */
static void weigh(struct queue_work *w, bool duplicate, int64_t lease, int64_t status, int64_t state)
{
    if (lease != w->job->lease)
        w->outcome = QUEUE_LOST;
    else if (w->from_status != w->to_status && status == expected_status(w, duplicate))
        settle(w, duplicate);
    else if (status != w->from_status || state != STATE_WORKING)
        w->outcome = QUEUE_LOST;
}

/* After a lost answer: did it happen? What is still as it was stays pending and is done again. */
static int probe(struct store_try *a, const bool *duplicate)
{
    struct pg_array *ids = pg_array_new(a->ctx, PG_UUID);
    bool *seen = talloc_zero_array(a->ctx, bool, (unsigned)a->n);
    struct pg_params params;
    PGresult *r;

    for (int i = 0; i < a->n; i++)
        if (a->work[i].outcome == QUEUE_PENDING)
            pg_array_uuid(ids, &a->work[i].job->id);
    pg_params_init(&params, a->ctx);
    pg_add_array(&params, ids);
    r = pg_exec(a->p, sql_probe, &params, 0, a->e);
    if (r == NULL)
        return a->e->code;
    for (int row = 0; row < PQntuples(r); row++) {
        struct uuid id;
        int i;
        pg_get_uuid(r, row, 0, &id);
        i = find_job(a->work, a->n, &id);
        if (i >= 0) {
            seen[i] = true;
            weigh(&a->work[i], duplicate[i], pg_get_int(r, row, 1), pg_get_int(r, row, 2), pg_get_int(r, row, 3));
        }
    }
    PQclear(r);
    for (int i = 0; i < a->n; i++)
        if (a->work[i].outcome == QUEUE_PENDING && !seen[i])
            a->work[i].outcome = QUEUE_LOST; /* deleted */
    return 0;
}

static int try_once(struct store_try *a, bool *duplicate, bool *unknown)
{
    int rc;

    *unknown = false;
    for (int i = 0; i < a->n; i++) {
        a->in[i] = a->work[i].outcome == QUEUE_PENDING;
        duplicate[i] = false;
    }
    if ((rc = pg_begin(a->p, a->e)) != 0)
        return rc;
    if ((rc = run_statements(a, duplicate)) != 0) {
        pg_rollback(a->p);
        for (int i = 0; i < a->n; i++)
            a->work[i].outcome = a->work[i].outcome == QUEUE_MISCOUNT ? QUEUE_PENDING : a->work[i].outcome;
        return rc;
    }
    return pg_commit(a->p, unknown, a->e);
}

static int count_pending(const struct queue_work *work, int n)
{
    int pending = 0;

    for (int i = 0; i < n; i++)
        pending += work[i].outcome == QUEUE_PENDING;
    return pending;
}

static bool has_costs(const struct queue_work *work, int n)
{
    bool has = false;

    for (int i = 0; i < n; i++)
        has = has || work[i].n_costs > 0;
    return has;
}

int queue_store(struct pg *p, struct queue_work *work, int n, int dimension, int64_t stage_deadline_ms,
                int64_t give_up_ms, struct error *e)
{
    struct store_try a = {
        .p = p, .work = work, .n = n, .dimension = dimension, .stage_deadline_ms = stage_deadline_ms, .e = e};
    void *top = talloc_new(NULL);
    bool *duplicate = talloc_zero_array(top, bool, (unsigned)(n > 0 ? n : 1));
    bool unknown = false, owed;
    int rc = 0;

    a.in = talloc_zero_array(top, bool, (unsigned)(n > 0 ? n : 1));
    owed = has_costs(work, n);
    for (unsigned try_no = 0; count_pending(work, n) > 0 || owed; try_no++) {
        a.ctx = talloc_new(top);
        rc = unknown ? probe(&a, duplicate) : 0;
        if (rc == 0 && count_pending(work, n) > 0) {
            rc = try_once(&a, duplicate, &unknown);
            for (int i = 0; rc == 0 && i < n; i++)
                if (a.in[i])
                    settle(&work[i], duplicate[i]);
        } else if (rc == 0) { /* all are known, and what the lost ones cost is still to be written down */
            rc = settle_costs(&a);
        }
        owed = owed && rc != 0;
        TALLOC_FREE(a.ctx);
        if (rc != 0 &&
            (e->cls == ERR_PERMANENT || e->cls == ERR_INTERNAL || try_no >= MAX_TRIES || clock_ms() >= give_up_ms))
            break;
        if (rc != 0)
            pg_pause(p, backoff_ms(50, 2000, try_no));
    }
    talloc_free(top);
    return rc;
}
