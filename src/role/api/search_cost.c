/*
 * search_cost.c - see search_cost.h
 *
 * The act's name makes the statement safe to send twice.
 *
 * Diagnostics
 *   warns  what could not be written, with the amount: the database went away between the answer and now
 */
#include "api/search_cost.h"
#include "base/log.h"
#include "base/money.h"
#include "core/reason.h"

#include <errno.h>
#include <stdio.h>
#include <talloc.h>

static const char settle_sql[] = "SELECT upload_pipeline.settle_search($1, $2, $3, $4, $5, $6)";

struct settling {
    struct api *api;
    int64_t tokens, cost;
};

static void say_lost(const struct settling *s, const struct error *e)
{
    char usd[MONEY_TEXT];

    log_warn("search", "the cost of a search is not in the ledger", "tokens", LOG_I(s->tokens), "usd",
             money_text(s->cost, usd), "reason", e->reason, "error", e->message, NULL);
}

static void handle_settled(void *arg, const PGresult *res, const char *sqlstate, const struct error *e)
{
    struct settling *s = arg;

    (void)sqlstate;
    if (res == NULL)
        say_lost(s, e);
    talloc_free(s);
}

void search_cost_settle(struct api *api, const char *claims, const char *model, int64_t price, int64_t tokens,
                        bool estimated)
{
    struct settling *s = talloc_zero(api->db, struct settling);
    struct db_call *call = dbpool_call(api->db, claims, settle_sql, true);
    struct pg_params *p = dbpool_params(call);
    char id[UUID_TEXT_LEN + 1], act[64];
    struct uuid random;
    struct error e;

    if (s == NULL)
        log_panic("search", "out of memory");
    s->api = api;
    s->tokens = tokens;
    if (money_times(price, tokens, &s->cost) != 0)
        s->cost = INT64_MAX;
    uuid_v4(&random);
    uuid_format(&random, id);
    snprintf(act, sizeof act, "search-%s", id);
    pg_add_text(p, talloc_strdup(call, act));
    pg_add_text(p, service_name(SERVICE_EMBEDDER));
    pg_add_text(p, model);
    pg_add_int8(p, tokens);
    pg_add_int8(p, s->cost);
    pg_add_text(p, estimated ? "search, tokens estimated" : "search");
    if (dbpool_submit(&call, handle_settled, s, &e) == 0)
        return;
    say_lost(s, &e);
    talloc_free(s);
}
