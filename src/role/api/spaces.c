/*
 * spaces.c - the collections' embedding spaces: how far a new one is filled, and what an operator decides about it
 *
 * Only operators may ask: the numbers are of all users' documents. The database asks again.
 *
 * Depends on base, core, db.
 */
#include "api/answer.h"
#include "api/api.h"
#include "api/collections.h"
#include "api/handlers.h"
#include "core/reason.h"

#include <errno.h>

static const char report_sql[] =
    "SELECT collection, space, model, dimension, state, documents, covered, failed, reason, since "
    "FROM upload_pipeline.spaces_report()";
static const char retry_sql[] = "SELECT upload_pipeline.retry_fills($1)";
static const char flip_sql[] = "SELECT upload_pipeline.flip_without_failed($1)";

static const struct answer_column columns[] = {
    {"collection", AS_TEXT},    {"space", AS_INT},     {"model", AS_TEXT},       {"dimension", AS_INT},
    {"state", AS_TEXT},         {"documents", AS_INT}, {"documents_in", AS_INT}, {"failed", AS_INT},
    {"failed_reason", AS_TEXT}, {"since", AS_TIME},
};

static int report_rows(struct request *r, const PGresult *res, struct error *e)
{
    json_t *list = json_array();

    (void)e;
    for (int i = 0; i < PQntuples(res); i++) {
        json_t *j = json_object();
        answer_add_row(j, res, i, 0, columns, sizeof columns / sizeof columns[0]);
        json_array_append_new(list, j);
    }
    request_answer(r, 200, json_pack("{s:o}", "spaces", list));
    return 0;
}

int spaces_get(struct request *r, struct error *e)
{
    int rc = request_claim_operator(r, "The embedding spaces are", e);

    if (rc != 0)
        return rc;
    (void)request_sql(r, report_sql, true);
    return request_wait_db(r, report_rows, NULL, e);
}

/* One number, or NULL: there was nothing to decide about. */
static int decided(struct request *r, const PGresult *res, const char *member, struct error *e)
{
    if (pg_is_null(res, 0, 0))
        return reason_error(e, REASON_not_found, ENOENT,
                            "There is no collection \"%.40s\" with an embedding space to decide about.",
                            collections_named(r));
    request_answer(
        r, 200, json_pack("{s:s, s:I}", "collection", collections_named(r), member, (json_int_t)pg_get_int(res, 0, 0)));
    return 0;
}

static int retried(struct request *r, const PGresult *res, struct error *e)
{
    api_wake_workers(r->api, LANE_BULK);
    return decided(r, res, "tried_again", e);
}

static int flipped(struct request *r, const PGresult *res, struct error *e)
{
    return decided(r, res, "left_out", e);
}

static int decide(struct request *r, const char *sql, request_rows rows, struct error *e)
{
    int rc = request_claim_operator(r, "Decisions about embedding spaces are", e);

    if (rc != 0)
        return rc;
    pg_add_text(request_sql(r, sql, true), collections_named(r));
    return request_wait_db(r, rows, NULL, e);
}

int spaces_retry(struct request *r, struct error *e)
{
    return decide(r, retry_sql, retried, e);
}

int spaces_flip(struct request *r, struct error *e)
{
    return decide(r, flip_sql, flipped, e);
}
