/*
 * cost.c - GET /v1/cost: what outside services cost the caller, or all users if an operator asks
 *
 * Amounts and quantities are exact decimals, as text. Days are UTC days, both ends included. Whose rows they are is
 * decided in the database: the statement's claims name the user, and say that it is an operator only if this request
 * asks for all and its peer is one.
 *
 * Depends on base, core, db.
 */
#include "api/answer.h"
#include "api/handlers.h"
#include "core/reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX     5000
#define DAYS_DEFAULT  "29" /* before the last one */

/* One row at least, for the days; its sums are null if there is nothing in them. */
static const char report_sql[] =
    "SELECT r.first::text, r.last::text, u.total_usd, coalesce(u.n_rows, 0), u.day::text, u.user_id, "
    "nullif(u.document_id, '00000000-0000-0000-0000-000000000000'), "
    "d.filename, u.provider, u.model, u.acts, u.tokens, u.pages, u.requests, u.unknown, u.cost_usd "
    "FROM (SELECT coalesce($1::text::date, coalesce($2::text::date, upload_pipeline.utc_day()) - " DAYS_DEFAULT
    ") AS first, coalesce($2::text::date, upload_pipeline.utc_day()) AS last) r "
    "LEFT JOIN LATERAL upload_pipeline.usage_report(r.first, r.last, $3, $4, $5) u ON true "
    "LEFT JOIN upload_pipeline.documents d ON d.user_id = u.user_id AND d.document_id = u.document_id";

enum { COL_FIRST, COL_LAST, COL_TOTAL, COL_N, COL_ROW };

static const struct answer_column columns[] = {
    {"day", AS_TEXT},      {"user_id", AS_UUID},  {"document_id", AS_UUID}, {"filename", AS_TEXT},
    {"provider", AS_TEXT}, {"model", AS_TEXT},    {"acts", AS_INT},         {"tokens", AS_TEXT},
    {"pages", AS_TEXT},    {"requests", AS_TEXT}, {"unknown", AS_INT},      {"cost_usd", AS_TEXT},
};
#define N_COLUMNS ((int)(sizeof columns / sizeof columns[0]))
#define EVERY     "acts tokens pages requests cost_usd"

/* What each grouping shows of a row. */
static const struct grouping {
    const char *name, *shown;
} groupings[] = {
    {"day", "day " EVERY},
    {"user", "user_id " EVERY},
    {"document", "user_id document_id filename unknown " EVERY},
    {"provider", "provider model " EVERY},
};

static const struct grouping *grouping_of(const struct request *r)
{
    const char *by = query_get(&r->query, "by");

    for (size_t i = 0; i < sizeof groupings / sizeof groupings[0]; i++)
        if (strcmp(by != NULL ? by : "day", groupings[i].name) == 0)
            return &groupings[i];
    return NULL;
}

static bool asks_all(const struct request *r)
{
    const char *all = query_get(&r->query, "all");

    return all != NULL && strcmp(all, "1") == 0;
}

static int report_rows(struct request *r, const PGresult *res, struct error *e)
{
    const struct grouping *g = grouping_of(r);
    const char *total = pg_get_text(res, 0, COL_TOTAL);
    struct answer_column shown[N_COLUMNS];
    json_t *rows = json_array();
    json_t *j = json_object();

    (void)e;
    memcpy(shown, columns, sizeof shown);
    for (int i = 0; i < N_COLUMNS; i++)
        if (!query_is_word_of(columns[i].name, g->shown))
            shown[i].kind = AS_NOTHING;
    for (int i = 0; total != NULL && i < PQntuples(res); i++) {
        json_t *row = json_object();
        answer_add_row(row, res, i, COL_ROW, shown, N_COLUMNS);
        json_array_append_new(rows, row);
    }
    json_object_set_new(j, "from", json_string(pg_get_text(res, 0, COL_FIRST)));
    json_object_set_new(j, "to", json_string(pg_get_text(res, 0, COL_LAST)));
    json_object_set_new(j, "by", json_string(g->name));
    json_object_set_new(j, "all", json_boolean(asks_all(r)));
    json_object_set_new(j, "more", json_boolean(pg_get_int(res, 0, COL_N) > (int64_t)json_array_size(rows)));
    json_object_set_new(j, "total_usd", json_string(total != NULL ? total : "0"));
    json_object_set_new(j, "rows", rows);
    request_answer(r, 200, j);
    return 0;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

/* "2026-01-31", and a day that there was. NULL: not given. */
static int day_of(const struct request *r, const char *name, const char **day, struct error *e)
{
    int year, month, dom;

    *day = query_get(&r->query, name);
    if (*day == NULL)
        return 0;
    if (strlen(*day) == 10 && strspn(*day, "0123456789-") == 10 && (*day)[4] == '-' && (*day)[7] == '-' &&
        sscanf(*day, "%4d-%2d-%2d", &year, &month, &dom) == 3 && year >= 1970 && month >= 1 && month <= 12 &&
        dom >= 1 && dom <= month_days(year, month))
        return 0;
    return reason_error(e, REASON_bad_request, EINVAL, "%s must be a day, such as 2026-01-31.", name);
}

static int check_all(struct request *r, struct error *e)
{
    const char *all = query_get(&r->query, "all");

    if (all == NULL || strcmp(all, "0") == 0)
        return 0;
    if (strcmp(all, "1") != 0)
        return reason_error(e, REASON_bad_request, EINVAL, "all must be 0 or 1.");
    return request_claim_operator(r, "The cost of all users is", e);
}

int cost_get(struct request *r, struct error *e)
{
    const struct grouping *g = grouping_of(r);
    const char *first, *last;
    struct pg_params *p;
    int64_t limit = 0;
    int rc;

    if ((rc = day_of(r, "from", &first, e)) != 0 || (rc = day_of(r, "to", &last, e)) != 0 ||
        (rc = check_all(r, e)) != 0 ||
        (rc = query_get_int(&r->query, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX, &limit, e)) != 0)
        return rc;
    if (g == NULL)
        return reason_error(e, REASON_bad_request, EINVAL, "by must be day, user, document or provider.");
    p = request_sql(r, report_sql, true);
    pg_add_text(p, first);
    pg_add_text(p, last);
    pg_add_text(p, g->name);
    pg_add_bool(p, asks_all(r));
    pg_add_int4(p, (int32_t)limit);
    return request_wait_db(r, report_rows, NULL, e);
}
