/*
 * documents.c - the caller's documents: list, one, remove, counts
 *
 * Lists are pages by key: (created_at, id) falling, along the index; `next` is the cursor of the page after.
 *
 * Depends on base, core, db.
 */
#include "api/answer.h"
#include "api/api.h"
#include "api/handlers.h"
#include "api/lists.h"
#include "core/reason.h"
#include "core/state.h"

#include <errno.h>
#include <string.h>

#define DOCUMENT_COLUMNS                                                                                               \
    "d.document_id, (extract(epoch FROM d.created_at) * 1000000)::int8, d.job_id, j.status, j.state, "                 \
    "d.filename, d.content_type, d.bytes, d.pages, d.chunks, d.duplicate_of, d.created_at, d.updated_at, j.lane, "     \
    "(SELECT c.name FROM upload_pipeline.collections c WHERE c.id = d.collection), d.parsed_by, d.parsed_instead_of"

/* The page first, by its index, then what belongs to it. The policy alone names the user: named here again, the planner
 * would take the two for independent, expect one row, and read and sort all of a user's rows for one page. */
static const char list_sql[] =
    "SELECT " DOCUMENT_COLUMNS " FROM (SELECT * FROM upload_pipeline.documents p WHERE (p.created_at, p.document_id) < "
    "('epoch'::timestamptz + $1::int8 * interval '1 microsecond', $2::uuid) "
    "AND ($4::text IS NULL OR p.parsed_by = $4::text) AND (NOT $5::bool OR p.parsed_instead_of IS NOT NULL) "
    "ORDER BY p.created_at DESC, p.document_id DESC LIMIT $3) d "
    "LEFT JOIN upload_pipeline.upload_jobs j ON j.id = d.job_id "
    "ORDER BY d.created_at DESC, d.document_id DESC";

static const char get_sql[] =
    "SELECT " DOCUMENT_COLUMNS ", d.sha256, d.parsed_bytes, d.parsed_sha256, d.live_generation, j.attempt, j.crashes, "
    "t.error_reason, t.error_message, t.error_hint "
    "FROM upload_pipeline.documents d JOIN upload_pipeline.upload_jobs j ON j.id = d.job_id "
    "LEFT JOIN upload_pipeline.upload_job_details t ON t.job_id = j.id "
    "WHERE d.user_id = $1 AND d.document_id = $2";

static const char delete_sql[] = "SELECT job_id, status, state FROM upload_pipeline.delete_document($1)";

static const char stats_sql[] =
    "SELECT status, state, count(*) FROM upload_pipeline.upload_jobs WHERE user_id = $1 GROUP BY status, state";

static const struct answer_column columns[] = {
    {"document_id", AS_UUID},
    {"cursor", AS_NOTHING},
    {"job_id", AS_UUID},
    {"status", AS_STATUS},
    {"state", AS_STATE},
    {"filename", AS_TEXT},
    {"content_type", AS_TEXT},
    {"bytes", AS_INT},
    {"pages", AS_INT},
    {"chunks", AS_INT},
    {"duplicate_of", AS_UUID},
    {"created_at", AS_TIME},
    {"updated_at", AS_TIME},
    {"lane", AS_LANE},
    {"collection", AS_TEXT},
    {"parsed_by", AS_TEXT},
    {"parsed_instead_of", AS_TEXT},
};
static const struct answer_column more_columns[] = {
    {"sha256", AS_HEX},          {"parsed_bytes", AS_INT},   {"parsed_sha256", AS_HEX},
    {"live_generation", AS_INT}, {"attempt", AS_INT},        {"crashes", AS_INT},
    {"error_reason", AS_TEXT},   {"error_message", AS_TEXT}, {"error_hint", AS_TEXT},
};

#define N_COLUMNS      ((int)(sizeof columns / sizeof columns[0]))
#define N_MORE_COLUMNS ((int)(sizeof more_columns / sizeof more_columns[0]))
#define COL_STATUS     3

static json_t *document_json(const PGresult *res, int row)
{
    json_t *j = json_object();

    answer_add_row(j, res, row, 0, columns, N_COLUMNS);
    json_object_set_new(j, "progress", json_integer(status_progress((int)pg_get_int(res, row, COL_STATUS))));
    return j;
}

static int list_rows(struct request *r, const PGresult *res, struct error *e)
{
    return list_answer(r, res, "documents", document_json, e);
}

int documents_list(struct request *r, struct error *e)
{
    struct pg_params *p;
    struct list_page page;
    int64_t fallback = 0;
    int rc = list_page_of(r, &page, e);

    if (rc == 0)
        rc = query_get_int(&r->query, "fallback", 0, 0, 1, &fallback, e);
    if (rc != 0)
        return rc;
    p = request_sql(r, list_sql, true);
    list_add_page(p, &page);
    pg_add_text(p, query_get(&r->query, "parsed_by"));
    pg_add_bool(p, fallback == 1);
    return request_wait_db(r, list_rows, NULL, e);
}

static int get_rows(struct request *r, const PGresult *res, struct error *e)
{
    json_t *j;

    if (PQntuples(res) == 0)
        return reason_error(e, REASON_not_found, ENOENT, NULL);
    j = document_json(res, 0);
    answer_add_row(j, res, 0, N_COLUMNS, more_columns, N_MORE_COLUMNS);
    request_answer(r, 200, j);
    return 0;
}

int documents_get(struct request *r, struct error *e)
{
    struct pg_params *p = request_sql(r, get_sql, true);

    pg_add_uuid(p, &r->user);
    pg_add_uuid(p, &r->id);
    return request_wait_db(r, get_rows, NULL, e);
}

int documents_delete(struct request *r, struct error *e)
{
    struct pg_params *p = request_sql(r, delete_sql, false);

    pg_add_uuid(p, &r->id);
    return request_wait_db(r, job_moved, job_sqlstate, e);
}

static void count_by(json_t *counts, json_t *name, int64_t n)
{
    const char *key = json_string_value(name);
    json_t *had = key != NULL ? json_object_get(counts, key) : NULL;

    if (key != NULL)
        json_object_set_new(counts, key, json_integer(json_integer_value(had) + n));
    json_decref(name);
}

static int stats_rows(struct request *r, const PGresult *res, struct error *e)
{
    json_t *j = json_object();
    json_t *by_status = json_object();
    json_t *by_state = json_object();
    int64_t all = 0;
    int64_t open = 0;
    int64_t failed = 0;

    (void)e;
    for (int i = 0; i < PQntuples(res); i++) {
        int64_t state = pg_get_int(res, i, 1);
        int64_t n = pg_get_int(res, i, 2);
        all += n;
        open += state_is_end((int)state) ? 0 : n;
        failed += state == STATE_DEADLETTER || state == STATE_QUARANTINED ? n : 0;
        count_by(by_status, answer_status(pg_get_int(res, i, 0)), n);
        count_by(by_state, answer_state(state), n);
    }
    json_object_set_new(j, "documents", json_integer(all));
    json_object_set_new(j, "open", json_integer(open));
    json_object_set_new(j, "failed", json_integer(failed));
    json_object_set_new(j, "by_status", by_status);
    json_object_set_new(j, "by_state", by_state);
    request_answer(r, 200, j);
    return 0;
}

int stats_get(struct request *r, struct error *e)
{
    struct pg_params *p = request_sql(r, stats_sql, true);

    pg_add_uuid(p, &r->user);
    return request_wait_db(r, stats_rows, NULL, e);
}
