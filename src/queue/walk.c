/*
 * walk.c - see walk.h
 *
 * Depends on base, core, db.
 */
#include "queue/walk.h"

#include "core/reason.h"

#include <errno.h>
#include <stdio.h>
#include <talloc.h>

/* $1 ms */
static const char sql_take[] =
    "UPDATE blob_walk SET next_at = now() + $1 * interval '1 millisecond', step = step + 1 WHERE next_at <= now()\n"
    "RETURNING step, cursor, (SELECT id FROM database_identity)";

/* $1 step, $2 cursor, $3 ms */
static const char sql_done[] =
    "UPDATE blob_walk SET next_at = now() + $3 * interval '1 millisecond', cursor = $2 WHERE step = $1";

/* $1 users, $2 hashes -> (n from 1, named) of all */
static const char sql_named[] =
    "SELECT t.n,\n"
    "  EXISTS (SELECT FROM documents d WHERE d.user_id = t.user_id AND d.sha256 = t.sha256)\n"
    "  OR EXISTS (SELECT FROM documents d WHERE d.user_id = t.user_id AND d.parsed_sha256 = t.sha256)\n"
    "FROM unnest($1, $2) WITH ORDINALITY AS t(user_id, sha256, n)";

int queue_walk_take(struct pg *p, int64_t take_ms, struct queue_walk *w, struct error *e)
{
    void *ctx = talloc_new(NULL);
    struct pg_params params;
    PGresult *r;
    int n;

    pg_params_init(&params, ctx);
    pg_add_int8(&params, take_ms);
    r = pg_exec(p, sql_take, &params, 0, e);
    talloc_free(ctx);
    if (r == NULL)
        return e->code;
    n = PQntuples(r);
    if (n == 1) {
        w->step = pg_get_int(r, 0, 0);
        snprintf(w->cursor, sizeof w->cursor, "%s", pg_get_text(r, 0, 1));
        pg_get_uuid(r, 0, 2, &w->database);
    }
    PQclear(r);
    return n;
}

int queue_walk_done(struct pg *p, const struct queue_walk *w, int64_t wait_ms, struct error *e)
{
    void *ctx = talloc_new(NULL);
    struct pg_params params;
    int rc;

    pg_params_init(&params, ctx);
    pg_add_int8(&params, w->step);
    pg_add_text(&params, w->cursor);
    pg_add_int8(&params, wait_ms);
    rc = pg_run(p, sql_done, &params, 0, e);
    talloc_free(ctx);
    return rc;
}

static int take_answers(const PGresult *r, struct queue_blob *blobs, int n, struct error *e)
{
    int answered = 0;

    for (int i = 0; i < n; i++)
        blobs[i].named = true; /* until it is said otherwise */
    for (int row = 0; row < PQntuples(r); row++) {
        int64_t i = pg_get_int(r, row, 0) - 1;
        if (i < 0 || i >= n)
            break;
        blobs[i].named = pg_get_bool(r, row, 1);
        answered++;
    }
    return answered == n
               ? 0
               : reason_error(e, REASON_internal, EPROTO, "asked for %d blobs, answered were %d", n, answered);
}

int queue_blobs_named(struct pg *p, struct queue_blob *blobs, int n, struct error *e)
{
    void *ctx = talloc_new(NULL);
    struct pg_array *users = pg_array_new(ctx, PG_UUID), *hashes = pg_array_new(ctx, PG_BYTEA);
    struct pg_params params;
    PGresult *r;
    int rc;

    for (int i = 0; i < n; i++) {
        pg_array_uuid(users, &blobs[i].user);
        pg_array_bytes(hashes, blobs[i].sha256, SHA256_BYTES);
    }
    pg_params_init(&params, ctx);
    pg_add_array(&params, users);
    pg_add_array(&params, hashes);
    r = pg_exec(p, sql_named, &params, 0, e);
    talloc_free(ctx);
    if (r == NULL)
        return e->code;
    rc = take_answers(r, blobs, n, e);
    PQclear(r);
    return rc;
}
