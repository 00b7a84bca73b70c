/*
 * spaces.c - the collections' embedding spaces: how far a new one is filled, and what an operator decides about it
 *
 * Only operators may ask: the numbers are of all users' documents. The database asks again.
 *
 * Depends on base, core, db.
 */
#include "api/answer.h"
#include "api/api.h"
#include "api/audit.h"
#include "api/collections.h"
#include "api/handlers.h"
#include "core/reason.h"

#include <errno.h>

static const char report_sql[] =
    "SELECT collection, space, model, dimension, state, documents, covered, failed, reason, since "
    "FROM upload_pipeline.spaces_report()";
/* $1 collection; no number: there was nothing to decide about */
#define DECIDE(function)                                                                                               \
    "WITH did AS MATERIALIZED (SELECT upload_pipeline." function "($1) AS n)\n"                                        \
    "SELECT n, " NOTED("$2, $3, $4, $5", "CASE WHEN n IS NULL THEN 'not_found' ELSE 'done' END") " FROM did"
static const char retry_sql[] = DECIDE("retry_fills");
static const char flip_sql[] = DECIDE("flip_without_failed");

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

static int decide(struct request *r, const char *verb, const char *sql, request_rows rows, struct error *e)
{
    struct pg_params *p;
    int rc = request_claim_operator(r, "Decisions about embedding spaces are", e);

    if (rc != 0)
        return rc;
    p = request_sql(r, sql, false);
    pg_add_text(p, collections_named(r));
    audit_add_params(r, p, verb, json_pack("{s:s}", "collection", collections_named(r)));
    return request_wait_db(r, rows, NULL, e);
}

int spaces_retry(struct request *r, struct error *e)
{
    return decide(r, "spaces retry", retry_sql, retried, e);
}

int spaces_flip(struct request *r, struct error *e)
{
    return decide(r, "spaces flip", flip_sql, flipped, e);
}
