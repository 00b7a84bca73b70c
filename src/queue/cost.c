/*
 * cost.c - see cost.h
 *
 * The work is done in sql/0003_cost.up.sql; here are its callers. Depends on base, core, db.
 */
#include "queue/cost.h"
#include "queue/sql.h"

#include "base/log.h"
#include "db/locks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

_Static_assert(LOCK_CLASS_BUDGET == 1684865028, "keyspace of locks.h");

static const char sql_reserve[] = "SELECT line, verdict, level, user_id, budget, used\n"
                                  "FROM reserve_cost($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
static const char sql_settle[] = "SELECT settle_cost($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
static const char sql_give_back[] = "DELETE FROM usage_reservations WHERE act = $1";
const char cost_expire_sql[] = "SELECT expire_reservations($1) WHERE " LEADER_GUARD;
const char cost_release_sql[] = "SELECT release_budget_waits($1, $2, $3) WHERE " LEADER_GUARD;

const char *cost_unit_name(enum cost_unit u)
{
#define X_NAME(name) #name,
    static const char *const names[] = {COST_UNITS(X_NAME)};
#undef X_NAME

    return names[u];
}

static int limit_of(const char *key, const char *text, int64_t *out, struct error *e)
{
    *out = -1;
    if (text == NULL)
        return 0;
    if (money_parse(text, MONEY_DECIMALS, out) != 0 || *out < 0)
        return reason_error(e, REASON_bad_config, EINVAL, "%s = \"%.24s\" is no amount in US dollars, such as 12.50",
                            key, text);
    return 0;
}

int cost_limits_of(const struct conf *c, struct cost_limits *out, struct error *e)
{
    int rc = limit_of("budget.daily", c->budget_daily, &out->daily, e);

    return rc != 0 ? rc : limit_of("budget.user_daily", c->budget_user_daily, &out->user_daily, e);
}

static void add_limits(struct pg_params *p, const struct cost_limits *l)
{
    const int64_t limits[] = {l->daily, l->user_daily};

    for (int i = 0; i < 2; i++) {
        if (limits[i] >= 0)
            pg_add_int8(p, limits[i]);
        else
            pg_add_null(p, PG_INT8);
    }
}

void cost_release_params(struct pg_params *p, const struct cost_limits *l, int limit)
{
    add_limits(p, l);
    pg_add_int4(p, limit);
}

/* ---- reserve ---- */

static void add_items(struct pg_params *p, const void *ctx, const struct cost_ask *a)
{
    struct pg_array *jobs = pg_array_new(ctx, PG_UUID);
    struct pg_array *documents = pg_array_new(ctx, PG_UUID);
    struct pg_array *users = pg_array_new(ctx, PG_UUID);
    struct pg_array *leases = pg_array_new(ctx, PG_INT8);
    struct pg_array *quantities = pg_array_new(ctx, PG_INT8);
    struct pg_array *costs = pg_array_new(ctx, PG_INT8);

    for (int i = 0; i < a->n_items; i++) {
        const struct cost_item *it = &a->items[i];
        pg_array_uuid(jobs, &it->job->id);
        pg_array_uuid(documents, &it->job->document_id);
        pg_array_uuid(users, &it->job->user_id);
        pg_array_int8(leases, a->outlives ? 0 : it->job->lease);
        pg_array_int8(quantities, it->quantity);
        pg_array_int8(costs, it->cost);
    }
    pg_add_array(p, jobs);
    pg_add_array(p, documents);
    pg_add_array(p, users);
    pg_add_array(p, leases);
    pg_add_array(p, quantities);
    pg_add_array(p, costs);
}

static void copy_text(char *out, size_t size, const PGresult *r, int row, int col)
{
    const char *text = pg_get_text(r, row, col);

    snprintf(out, size, "%s", text != NULL ? text : "");
}

const char *cost_notice_text(const struct cost_notice *n, char *out, size_t size)
{
    char user[UUID_TEXT_LEN + 1];

    uuid_format(&n->user_id, user);
    snprintf(out, size, "%s%s: %s USD of today's %s are used or reserved%s", n->of_user ? "budget.user_daily of " : "",
             n->of_user ? user : "budget.daily", n->used, n->budget,
             n->level >= 100 ? "; what needs more waits for the next day (UTC) or a higher budget" : "");
    return out;
}

static void log_notice(const struct cost_notice *n)
{
    char text[256];

    log_warn("cost", cost_notice_text(n, text, sizeof text), "level", LOG_I(n->level), NULL);
}

static void take_notice(struct cost_ask *a, const PGresult *r, int row)
{
    static const struct uuid nobody;
    struct cost_notice n = {.level = (int)pg_get_int(r, row, 2)};

    pg_get_uuid(r, row, 3, &n.user_id);
    n.of_user = !uuid_equal(&n.user_id, &nobody);
    copy_text(n.budget, sizeof n.budget, r, row, 4);
    copy_text(n.used, sizeof n.used, r, row, 5);
    log_notice(&n);
    if (a->n_notices < COST_NOTICES_MAX)
        a->notices[a->n_notices++] = n;
}

static int take_rows(struct cost_ask *a, const PGresult *r)
{
    int granted = 0;

    a->n_notices = 0;
    for (int row = 0; row < PQntuples(r); row++) {
        int64_t line = pg_get_int(r, row, 0);
        if (line < 0) {
            take_notice(a, r, row);
        } else if (line < a->n_items) {
            struct cost_item *it = &a->items[line];
            it->verdict = (enum cost_verdict)pg_get_int(r, row, 1);
            copy_text(it->budget, sizeof it->budget, r, row, 4);
            copy_text(it->used, sizeof it->used, r, row, 5);
            granted += it->verdict == COST_GRANTED;
        }
    }
    return granted;
}

static void name_act(struct cost_ask *a)
{
    struct uuid id;

    if (a->act[0] != '\0')
        return;
    uuid_v4(&id);
    uuid_format(&id, a->act);
}

int cost_reserve(struct pg *p, struct cost_ask *ask, struct error *e)
{
    void *tmp = talloc_new(NULL);
    struct pg_params params;
    PGresult *r;
    int granted;

    name_act(ask);
    pg_params_init(&params, tmp);
    pg_add_text(&params, ask->act);
    pg_add_text(&params, ask->provider);
    pg_add_text(&params, ask->model);
    pg_add_text(&params, cost_unit_name(ask->unit));
    pg_add_int8(&params, ask->hold_ms);
    pg_add_bool(&params, ask->repeated);
    add_limits(&params, &ask->limits);
    add_items(&params, tmp, ask);
    r = pg_exec(p, sql_reserve, &params, 0, e);
    talloc_free(tmp);
    if (r == NULL)
        return e->code;
    granted = take_rows(ask, r);
    PQclear(r);
    return granted;
}

int cost_refusal(const struct cost_item *item, struct error *e)
{
    const char *key = item->verdict == COST_OVER_USER_DAILY ? "budget.user_daily" : "budget.daily";
    char needs[MONEY_TEXT];

    if (item->budget[0] == '\0')
        reason_error(e, REASON_budget_exceeded, EDQUOT, NULL);
    else
        reason_error(e, REASON_budget_exceeded, EDQUOT,
                     "%s is %s USD a day (UTC), of which %s are used or reserved; the next step needs %s.", key,
                     item->budget, item->used, money_text(item->cost, needs));
    error_hint(e, "It goes on by itself tomorrow, or within a minute after %s is raised.", key);
    return -EDQUOT;
}

/* ---- settle ---- */

__extension__ typedef __int128 wide; /* the product of two amounts */

struct share {
    wide rest;
    int i;
};

static int by_rest(const void *a, const void *b)
{
    const struct share *x = a, *y = b;

    return x->rest != y->rest ? (x->rest < y->rest) - (x->rest > y->rest) : (x->i > y->i) - (x->i < y->i);
}

void cost_divide(int64_t total, const int64_t *weights, int n, int64_t *parts)
{
    struct share *shares = talloc_array(NULL, struct share, (unsigned)n);
    int64_t left = total;
    wide sum = 0;

    for (int i = 0; i < n; i++)
        sum += weights[i];
    for (int i = 0; i < n; i++) {
        wide part = sum > 0 ? (wide)total * weights[i] : total;
        wide whole = sum > 0 ? sum : n;
        parts[i] = (int64_t)(part / whole);
        shares[i] = (struct share){part % whole, i};
        left -= parts[i];
    }
    qsort(shares, (size_t)n, sizeof *shares, by_rest);
    for (int i = 0; i < left; i++) /* fewer than n */
        parts[shares[i].i]++;
    talloc_free(shares);
}

static void text_to(struct pg_array *a, const char *s)
{
    if (s != NULL)
        pg_array_bytes(a, s, strlen(s));
    else
        pg_array_null(a);
}

/* The columns of settle_cost(), in its order. */
/* clang-format off */
enum { L_ACT, L_LINE, L_JOB, L_DOCUMENT, L_USER, L_PROVIDER, L_MODEL, L_UNIT, L_QUANTITY, L_COST, L_OUTCOME, L_REPEATED,
       L_NOTE, L_COLUMNS };
/* clang-format on */

static void add_line(struct pg_array *const *col, const struct cost_line *l)
{
    uint8_t repeated = l->repeated;

    text_to(col[L_ACT], l->act);
    pg_array_int4(col[L_LINE], l->line);
    pg_array_uuid(col[L_JOB], &l->job->id);
    pg_array_uuid(col[L_DOCUMENT], &l->job->document_id);
    pg_array_uuid(col[L_USER], &l->job->user_id);
    text_to(col[L_PROVIDER], l->provider);
    text_to(col[L_MODEL], l->model);
    text_to(col[L_UNIT], cost_unit_name(l->unit));
    pg_array_int8(col[L_QUANTITY], l->quantity);
    pg_array_int8(col[L_COST], l->cost);
    text_to(col[L_OUTCOME], l->dropped ? "dropped" : "used");
    pg_array_bytes(col[L_REPEATED], &repeated, 1);
    text_to(col[L_NOTE], l->note);
}

int cost_settle(struct pg *p, const struct cost_line *lines, int n, struct error *e)
{
    static const Oid types[L_COLUMNS] = {PG_TEXT, PG_INT4, PG_UUID, PG_UUID, PG_UUID, PG_TEXT, PG_TEXT,
                                         PG_TEXT, PG_INT8, PG_INT8, PG_TEXT, PG_BOOL, PG_TEXT};
    void *tmp = talloc_new(NULL);
    struct pg_array *col[L_COLUMNS];
    struct pg_params params;
    int rc;

    pg_params_init(&params, tmp);
    for (int c = 0; c < L_COLUMNS; c++)
        col[c] = pg_array_new(tmp, types[c]);
    for (int i = 0; i < n; i++)
        add_line(col, &lines[i]);
    for (int c = 0; c < L_COLUMNS; c++)
        pg_add_array(&params, col[c]);
    rc = n > 0 ? pg_run(p, sql_settle, &params, 0, e) : 0;
    talloc_free(tmp);
    return rc;
}

int cost_give_back(struct pg *p, const char *act, struct error *e)
{
    struct pg_params params;
    void *tmp = talloc_new(NULL);
    int rc;

    pg_params_init(&params, tmp);
    pg_add_text(&params, act);
    rc = pg_run(p, sql_give_back, &params, 0, e);
    talloc_free(tmp);
    return rc;
}
