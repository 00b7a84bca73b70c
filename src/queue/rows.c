/*
 * rows.c - reading back what a generation holds already, to go on where an earlier attempt stopped
 *
 * Depends on base, core, db.
 */
#include "queue/queue.h"
#include "queue/sql.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

static void add_generation(struct pg_params *params, const void *ctx, const struct queue_job *j)
{
    pg_params_init(params, ctx);
    pg_add_uuid(params, &j->user_id);
    pg_add_uuid(params, &j->document_id);
    pg_add_int4(params, j->generation);
}

static int read_count(struct pg *p, const char *sql, const struct queue_job *j, struct error *e)
{
    void *tmp = talloc_new(NULL);
    struct pg_params params;
    PGresult *r;
    int n;

    add_generation(&params, tmp, j);
    r = pg_exec(p, sql, &params, 0, e);
    talloc_free(tmp);
    if (r == NULL)
        return e->code;
    n = (int)pg_get_int(r, 0, 0);
    PQclear(r);
    return n;
}

int queue_stored_vectors(struct pg *p, const struct queue_job *j, struct error *e)
{
    char *sql = sql_for_space(NULL, sql_stored_vectors_at, j->space);
    int n = read_count(p, sql, j, e);

    talloc_free(sql);
    return n;
}

int queue_count_chunks(struct pg *p, const struct queue_job *j, struct error *e)
{
    return read_count(p, sql_count_chunks, j, e);
}

/* The text is believed only with the hash that was stored beside it. */
static int read_chunk(const void *ctx, const PGresult *r, int row, struct queue_chunk *c, struct error *e)
{
    uint8_t hash[SHA256_BYTES];
    size_t n = 0, hash_len = 0;
    const uint8_t *text, *stored;

    pg_get_uuid(r, row, 0, &c->chunk_id);
    c->ord = (int)pg_get_int(r, row, 1);
    c->tokens = (int)pg_get_int(r, row, 2);
    c->page = (int)pg_get_int(r, row, 3);
    c->overlap = (int)pg_get_int(r, row, 4);
    c->byte_start = pg_get_int(r, row, 5);
    c->byte_end = pg_get_int(r, row, 6);
    c->heading_path = talloc_strdup(ctx, pg_get_text(r, row, 7));
    text = pg_get_bytes(r, row, 8, &n);
    c->text = talloc_strndup(ctx, (const char *)text, n);
    c->text_len = n;
    stored = pg_get_bytes(r, row, 9, &hash_len);
    sha256_of(c->text, n, hash);
    if (hash_len != sizeof hash || memcmp(hash, stored, sizeof hash) != 0)
        return reason_error(e, REASON_blob_corrupt, EIO, "chunk %d in the database does not have its recorded SHA-256",
                            c->ord);
    return 0;
}

int queue_read_chunks(struct pg *p, const void *ctx, const struct queue_job *j, int first, int limit,
                      struct queue_chunk **chunks, struct error *e)
{
    void *tmp = talloc_new(NULL);
    struct pg_params params;
    PGresult *r;
    int n, rc = 0;

    add_generation(&params, tmp, j);
    pg_add_int4(&params, first);
    pg_add_int4(&params, limit);
    r = pg_exec(p, sql_read_chunks, &params, 0, e);
    talloc_free(tmp);
    if (r == NULL)
        return e->code;
    n = PQntuples(r);
    *chunks = talloc_zero_array(ctx, struct queue_chunk, (unsigned)(n > 0 ? n : 1));
    for (int i = 0; i < n && rc == 0; i++)
        rc = read_chunk(*chunks, r, i, &(*chunks)[i], e);
    PQclear(r);
    return rc != 0 ? rc : n;
}
