/*
 * events.c - GET /v1/events: what happened to the caller's documents, or to everybody's if an operator asks
 *
 * Pages by id: after=ID goes on from there, oldest first; without it the newest come first, and before=ID goes back.
 * Ids do not become visible in their order. Who follows (follow=1) is told `last` and `writers` with each page, which
 * say when everything up to an id has been seen; sql/0014 has the reasoning, src/ctl/follow.c does it.
 *
 * Depends on base, core, db.
 */
#include "api/answer.h"
#include "api/handlers.h"
#include "core/reason.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     1000

static const char read_sql[] = "SELECT last, writers, id, at, document_id, job_id, user_id, from_status, to_status, "
                               "from_state, to_state, lease, attempt, actor, reason, hops "
                               "FROM upload_pipeline.read_events($1, $2, $3, $4, $5)";

enum { COL_LAST, COL_WRITERS, COL_EVENT };

static const struct answer_column columns[] = {
    {"id", AS_INT},           {"at", AS_TIME},          {"document_id", AS_UUID},
    {"job_id", AS_UUID},      {"user_id", AS_UUID},     {"from_status", AS_STATUS},
    {"to_status", AS_STATUS}, {"from_state", AS_STATE}, {"to_state", AS_STATE},
    {"lease", AS_INT},        {"attempt", AS_INT},      {"actor", AS_ACTOR},
    {"reason", AS_TEXT},      {"hops", AS_HOPS},
};

static bool flag(const struct request *r, const char *name)
{
    const char *value = query_get(&r->query, name);

    return value != NULL && strcmp(value, "1") == 0;
}

static int check_flag(const struct request *r, const char *name, struct error *e)
{
    const char *value = query_get(&r->query, name);

    if (value == NULL || strcmp(value, "0") == 0 || strcmp(value, "1") == 0)
        return 0;
    return reason_error(e, REASON_bad_request, EINVAL, "%s must be 0 or 1.", name);
}

static int event_rows(struct request *r, const PGresult *res, struct error *e)
{
    json_t *list = json_array(), *j = json_object();

    (void)e;
    for (int i = 0; i < PQntuples(res); i++) {
        json_t *row;
        if (pg_is_null(res, i, COL_EVENT))
            continue;
        row = json_object();
        answer_add_row(row, res, i, COL_EVENT, columns, sizeof columns / sizeof columns[0]);
        json_array_append_new(list, row);
    }
    json_object_set_new(j, "events", list);
    if (flag(r, "follow")) {
        json_object_set_new(j, "last", json_integer(pg_get_int(res, 0, COL_LAST)));
        json_object_set_new(j, "writers", json_string(pg_get_text(res, 0, COL_WRITERS)));
    }
    request_answer(r, 200, j);
    return 0;
}

static void add_id(struct pg_params *p, const struct request *r, const char *name, int64_t id)
{
    if (query_get(&r->query, name) != NULL)
        pg_add_int8(p, id);
    else
        pg_add_null(p, PG_INT8);
}

int events_list(struct request *r, struct error *e)
{
    int64_t after, before, limit;
    struct pg_params *p;
    int rc;

    if ((rc = query_get_int(&r->query, "after", 0, 0, INT64_MAX, &after, e)) != 0 ||
        (rc = query_get_int(&r->query, "before", 0, 0, INT64_MAX, &before, e)) != 0 ||
        (rc = query_get_int(&r->query, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX, &limit, e)) != 0 ||
        (rc = check_flag(r, "all", e)) != 0 || (rc = check_flag(r, "follow", e)) != 0)
        return rc;
    if (query_get(&r->query, "after") != NULL && query_get(&r->query, "before") != NULL)
        return reason_error(e, REASON_bad_request, EINVAL, "after and before do not go together.");
    if (flag(r, "all") && (rc = request_claim_operator(r, "The events of all users are", e)) != 0)
        return rc;
    p = request_sql(r, read_sql, true);
    pg_add_bool(p, flag(r, "all"));
    add_id(p, r, "after", after);
    add_id(p, r, "before", before);
    pg_add_int4(p, (int32_t)limit);
    pg_add_bool(p, flag(r, "follow"));
    return request_wait_db(r, event_rows, NULL, e);
}
