/*
 * audit.c - what operators did: GET /v1/audit, and the record of what they do over this interface
 *
 * What is done here is recorded by the statement that does it, so that there is neither without the other. A refusal
 * changes nothing and leaves a line in the log. Verbs of the control socket come by the master and the coordinator.
 *
 * Depends on base, core, db.
 */
#include "api/audit.h"
#include "api/answer.h"
#include "api/api.h"
#include "api/handlers.h"
#include "core/reason.h"

#include <stdlib.h>

#define LIMIT_DEFAULT 50
#define LIMIT_MAX     5000
#define WITHIN_MAX_MS (36500LL * 24 * 3600 * 1000)

static const char report_sql[] =
    "SELECT id, at, node, uid, verb, arguments, result FROM upload_pipeline.audit_report($1, $2)";

static const struct answer_column columns[] = {
    {"id", AS_INT},    {"at", AS_TIME},        {"node", AS_TEXT},   {"uid", AS_INT},
    {"verb", AS_TEXT}, {"arguments", AS_JSON}, {"result", AS_TEXT},
};

void audit_add_params(const struct request *r, struct pg_params *p, const char *verb, json_t *arguments)
{
    char *text = json_dumps(arguments, JSON_COMPACT);

    json_decref(arguments);
    pg_add_text(p, r->api->conf->node_name);
    pg_add_int8(p, (int64_t)r->peer.uid);
    pg_add_text(p, verb);
    pg_add_jsonb(p, text != NULL ? text : "{}");
    free(text);
}

static int report_rows(struct request *r, const PGresult *res, struct error *e)
{
    json_t *list = json_array();

    (void)e;
    for (int i = 0; i < PQntuples(res); i++) {
        json_t *j = json_object();
        answer_add_row(j, res, i, 0, columns, sizeof columns / sizeof columns[0]);
        json_array_append_new(list, j);
    }
    request_answer(r, 200, json_pack("{s:o}", "audit", list));
    return 0;
}

int audit_get(struct request *r, struct error *e)
{
    struct pg_params *p;
    int64_t within, limit;
    int rc;

    if ((rc = request_claim_operator(r, "The audit log is", e)) != 0 ||
        (rc = query_get_int(&r->query, "within_ms", WITHIN_MAX_MS, 1, WITHIN_MAX_MS, &within, e)) != 0 ||
        (rc = query_get_int(&r->query, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX, &limit, e)) != 0)
        return rc;
    p = request_sql(r, report_sql, true);
    pg_add_int8(p, within);
    pg_add_int4(p, (int32_t)limit);
    return request_wait_db(r, report_rows, NULL, e);
}
