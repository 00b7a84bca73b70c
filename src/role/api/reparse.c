/*
 * reparse.c - documents that are parsed again, most of them because a fallback parsed them
 *
 * Refused while the first of parser.order is out of service and may not even be tried: otherwise the answer would be the
 * same text again, or a wait without an end. What readers have of a document stays until its new version is whole.
 *
 * Depends on base, core, db, proc, provider.
 */
#include "api/answer.h"
#include "api/api.h"
#include "api/audit.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "core/reason.h"
#include "core/state.h"
#include "proc/services.h"
#include "provider/parser.h"

#include <errno.h>
#include <string.h>

#define AT_ONCE_DEFAULT 100
#define AT_ONCE_MAX     1000

static const char one_sql[] = "SELECT job_id, status, state FROM upload_pipeline.reparse_document($1, $2)";
static const char own_sql[] = "SELECT begun, remaining FROM upload_pipeline.reparse_fallbacks($1, $2, $3, $4)";

/* The same of all users, by an operator. */
static const char all_sql[] =
    "WITH did AS MATERIALIZED (SELECT begun, remaining FROM upload_pipeline.reparse_fallbacks($1, $2, $3, $4))\n"
    "SELECT begun, remaining, " NOTED("$5, $6, $7, $8", "'done'") " FROM did";

static int check_parser(const struct request *r, struct error *e)
{
    const struct api *api = r->api;

    if (!parser_is_first(api->conf, service_name(SERVICE_LLAMAPARSE)) ||
        services_closed_for(api->child.services, SERVICE_LLAMAPARSE, clock_ms()) == 0)
        return 0;
    (void)reason_error(e, REASON_provider_away, EAGAIN, "%s, which is to parse it, is out of service.",
                       service_title(SERVICE_LLAMAPARSE));
    error_hint(e, "`docmillctl breakers` shows why and when it is tried again; ask again then.");
    return -EAGAIN;
}

static void reparse_sqlstate(const char *sqlstate, struct error *e)
{
    if (strcmp(sqlstate, "DM001") == 0) {
        (void)reason_error(e, REASON_too_many_active, EAGAIN, "Half of limits.user_active are unfinished already.");
        error_hint(e, "Ask again when some of them are done; the other half is kept for uploads.");
        return;
    }
    job_sqlstate(sqlstate, e);
}

static int one_row(struct request *r, const PGresult *res, struct error *e)
{
    int rc = job_moved(r, res, e);

    if (rc == 0)
        api_wake_workers(r->api, LANE_BULK);
    return rc;
}

int documents_reparse(struct request *r, struct error *e)
{
    struct pg_params *p;
    int rc = check_parser(r, e);

    if (rc != 0)
        return rc;
    p = request_sql(r, one_sql, false);
    pg_add_uuid(p, &r->id);
    pg_add_int8(p, r->api->conf->limits_user_active);
    return request_wait_db(r, one_row, reparse_sqlstate, e);
}

static int all_rows(struct request *r, const PGresult *res, struct error *e)
{
    static const struct answer_column columns[] = {{"begun", AS_INT}, {"remaining", AS_INT}};
    json_t *j = json_object();

    (void)e;
    answer_add_row(j, res, 0, 0, columns, 2);
    request_answer(r, 200, j);
    if (pg_get_int(res, 0, 0) > 0)
        api_wake_workers(r->api, LANE_BULK);
    return 0;
}

int reparse_all(struct request *r, struct error *e)
{
    struct pg_params *p;
    int64_t limit, all;
    int rc;

    if ((rc = query_get_int(&r->query, "limit", AT_ONCE_DEFAULT, 1, AT_ONCE_MAX, &limit, e)) != 0 ||
        (rc = query_get_int(&r->query, "all", 0, 0, 1, &all, e)) != 0 ||
        (all == 1 && (rc = request_claim_operator(r, "Parsing everybody's documents again is", e)) != 0) ||
        (rc = check_parser(r, e)) != 0)
        return rc;
    p = request_sql(r, all == 1 ? all_sql : own_sql, false);
    pg_add_text(p, service_name(SERVICE_LLAMAPARSE));
    pg_add_bool(p, all == 1);
    pg_add_int4(p, (int32_t)limit);
    pg_add_int8(p, r->api->conf->limits_user_active);
    if (all == 1)
        audit_add_params(r, p, "reparse", json_pack("{s:b, s:I}", "all", 1, "limit", (json_int_t)limit));
    return request_wait_db(r, all_rows, reparse_sqlstate, e);
}
