/*
 * jobs.c - the caller's jobs: list, one with its events, retry, cancel
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

#define EVENTS_MAX 500 /* newest, of one job in an answer */

#define JOB_COLUMNS                                                                                                    \
    "j.id, (extract(epoch FROM j.created_at) * 1000000)::int8, j.document_id, j.status, j.state, j.lane, "             \
    "j.attempt, j.crashes, j.generation, j.lease, j.run_at, j.deadline, j.created_at, j.updated_at"
#define DETAIL_COLUMNS "t.error_reason, t.error_message, t.error_hint"

/* As the list of documents: the page first, and the policy alone names the user. */
static const char list_sql[] =
    "SELECT " JOB_COLUMNS ", d.filename, " DETAIL_COLUMNS " FROM (SELECT * FROM upload_pipeline.upload_jobs p "
    "WHERE (p.created_at, p.id) < ('epoch'::timestamptz + $1::int8 * interval '1 microsecond', $2::uuid) "
    "AND ($4::int2 IS NULL OR p.state = $4::int2) ORDER BY p.created_at DESC, p.id DESC LIMIT $3) j "
    "LEFT JOIN upload_pipeline.documents d ON d.user_id = j.user_id AND d.document_id = j.document_id "
    "LEFT JOIN upload_pipeline.upload_job_details t ON t.job_id = j.id "
    "ORDER BY j.created_at DESC, j.id DESC";

static const char get_sql[] =
    "SELECT " JOB_COLUMNS ", d.filename, " DETAIL_COLUMNS ", t.correlation, t.evidence, "
    "d.parsed_by, d.parsed_instead_of, e.id, e.at, e.from_status, e.to_status, e.from_state, e.to_state, e.lease, e.attempt, e.actor, e.reason, e.hops "
    "FROM upload_pipeline.upload_jobs j "
    "LEFT JOIN upload_pipeline.documents d ON d.user_id = j.user_id AND d.document_id = j.document_id "
    "LEFT JOIN upload_pipeline.upload_job_details t ON t.job_id = j.id "
    "LEFT JOIN LATERAL (SELECT * FROM upload_pipeline.events v WHERE v.job_id = j.id AND v.user_id = j.user_id "
    "ORDER BY v.at DESC, v.id DESC LIMIT $3) e ON true "
    "WHERE j.user_id = $1 AND j.id = $2 ORDER BY e.at, e.id";

static const char retry_sql[] = "SELECT job_id, status, state FROM upload_pipeline.retry_job($1)";
static const char cancel_sql[] = "SELECT job_id, status, state FROM upload_pipeline.cancel_job($1)";

static const struct answer_column columns[] = {
    {"job_id", AS_UUID},        {"cursor", AS_NOTHING},  {"document_id", AS_UUID}, {"status", AS_STATUS},
    {"state", AS_STATE},        {"lane", AS_LANE},       {"attempt", AS_INT},      {"crashes", AS_INT},
    {"generation", AS_INT},     {"lease", AS_INT},       {"run_at", AS_TIME},      {"deadline", AS_TIME},
    {"created_at", AS_TIME},    {"updated_at", AS_TIME}, {"filename", AS_TEXT},    {"error_reason", AS_TEXT},
    {"error_message", AS_TEXT}, {"error_hint", AS_TEXT},
};
static const struct answer_column more_columns[] = {
    {"correlation_id", AS_UUID}, {"evidence", AS_JSON}, {"parsed_by", AS_TEXT}, {"parsed_instead_of", AS_TEXT}};
static const struct answer_column event_columns[] = {
    {"id", AS_INT},           {"at", AS_TIME},        {"from_status", AS_STATUS}, {"to_status", AS_STATUS},
    {"from_state", AS_STATE}, {"to_state", AS_STATE}, {"lease", AS_INT},          {"attempt", AS_INT},
    {"actor", AS_ACTOR},      {"reason", AS_TEXT},    {"hops", AS_HOPS},
};

#define N(array)   ((int)(sizeof(array) / sizeof(array)[0]))
#define COL_STATUS 3
#define COL_EVENT  (N(columns) + N(more_columns))

static json_t *job_json(const PGresult *res, int row)
{
    json_t *j = json_object();

    answer_add_row(j, res, row, 0, columns, N(columns));
    json_object_set_new(j, "progress", json_integer(status_progress((int)pg_get_int(res, row, COL_STATUS))));
    return j;
}

static int list_rows(struct request *r, const PGresult *res, struct error *e)
{
    return list_answer(r, res, "jobs", job_json, e);
}

int jobs_list(struct request *r, struct error *e)
{
    const char *name = query_get(&r->query, "state");
    int state = name != NULL ? state_parse(name) : 0;
    struct pg_params *p;
    struct list_page page;
    int rc = list_page_of(r, &page, e);

    if (rc != 0)
        return rc;
    if (state < 0) {
        reason_error(e, REASON_bad_request, EINVAL, "state=%.40s is not known.", name);
        error_hint(e, "States: queued, working, waiting, parked, retryable, done, deadletter, quarantined, cancelled.");
        return -EINVAL;
    }
    p = request_sql(r, list_sql, true);
    list_add_page(p, &page);
    if (state == 0)
        pg_add_null(p, PG_INT2);
    else
        pg_add_int2(p, (int16_t)state);
    return request_wait_db(r, list_rows, NULL, e);
}

static json_t *events_json(const PGresult *res)
{
    json_t *list = json_array();

    for (int i = 0; i < PQntuples(res); i++) {
        json_t *event;
        if (pg_is_null(res, i, COL_EVENT))
            continue;
        event = json_object();
        answer_add_row(event, res, i, COL_EVENT, event_columns, N(event_columns));
        json_array_append_new(list, event);
    }
    return list;
}

static int get_rows(struct request *r, const PGresult *res, struct error *e)
{
    json_t *j;

    if (PQntuples(res) == 0)
        return reason_error(e, REASON_not_found, ENOENT, NULL);
    j = job_json(res, 0);
    answer_add_row(j, res, 0, N(columns), more_columns, N(more_columns));
    json_object_set_new(j, "events", events_json(res));
    request_answer(r, 200, j);
    return 0;
}

int jobs_get(struct request *r, struct error *e)
{
    struct pg_params *p = request_sql(r, get_sql, true);

    pg_add_uuid(p, &r->user);
    pg_add_uuid(p, &r->id);
    pg_add_int8(p, EVENTS_MAX);
    return request_wait_db(r, get_rows, NULL, e);
}

/* The function's own words say in which state the job is: "job is done already (SQLSTATE DM003)". */
void job_sqlstate(const char *sqlstate, struct error *e)
{
    const struct error had = *e;
    size_t n;

    if (strcmp(sqlstate, "DM003") != 0)
        return;
    n = strcspn(had.message, "(");
    while (n > 0 && had.message[n - 1] == ' ')
        n--;
    reason_error(e, REASON_conflict, EBUSY, "The %.*s.", (int)n, had.message);
}

int job_moved(struct request *r, const PGresult *res, struct error *e)
{
    static const struct answer_column moved[] = {{"job_id", AS_UUID}, {"status", AS_STATUS}, {"state", AS_STATE}};
    json_t *j;

    if (PQntuples(res) == 0)
        return reason_error(e, REASON_not_found, ENOENT, NULL);
    j = json_object();
    answer_add_row(j, res, 0, 0, moved, N(moved));
    request_answer(r, 200, j);
    return 0;
}

static int retried(struct request *r, const PGresult *res, struct error *e)
{
    int rc = job_moved(r, res, e);

    if (rc == 0)
        api_wake_workers(r->api, LANE_INTERACTIVE);
    return rc;
}

int jobs_retry(struct request *r, struct error *e)
{
    pg_add_uuid(request_sql(r, retry_sql, false), &r->id);
    return request_wait_db(r, retried, job_sqlstate, e);
}

int jobs_cancel(struct request *r, struct error *e)
{
    pg_add_uuid(request_sql(r, cancel_sql, false), &r->id);
    return request_wait_db(r, job_moved, job_sqlstate, e);
}
