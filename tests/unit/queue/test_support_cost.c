/* test_support_cost.c - see cost_test.h */
#include "cost_test.h"

#include <string.h>

const struct cost_limits no_limits = {-1, -1};

struct cost_ask ask_of(struct cost_item *items, int n, struct cost_limits limits)
{
    return (struct cost_ask){.provider = "openai",
                             .model = "text-embedding-3-small",
                             .unit = COST_tokens,
                             .limits = limits,
                             .hold_ms = 60000,
                             .items = items,
                             .n_items = n};
}

int reserve(struct pg *p, struct cost_ask *a)
{
    struct error e = {0};
    int rc = cost_reserve(p, a, &e);

    cr_assert_geq(rc, 0, "%s", e.message);
    return rc;
}

void settle(struct pg *p, const struct cost_line *lines, int n)
{
    struct error e = {0};

    cr_assert_eq(cost_settle(p, lines, n, &e), 0, "%s", e.message);
}

bool holds(struct qt *q, const char *what)
{
    return qt_int(q, "SELECT (%s)::int", what) == 1;
}

bool totals_agree(struct qt *q)
{
    return holds(q, "(SELECT coalesce(sum(cost_usd), 0) FROM upload_pipeline.usage_ledger)"
                    " = (SELECT coalesce(sum(cost_usd), 0) FROM upload_pipeline.usage_daily)") &&
           holds(q, "(SELECT coalesce(sum(cost_usd), 0) FROM upload_pipeline.usage_ledger)"
                    " = (SELECT coalesce(sum(cost_usd), 0) FROM upload_pipeline.usage_days)") &&
           holds(q, "(SELECT coalesce(sum(quantity), 0) FROM upload_pipeline.usage_ledger)"
                    " = (SELECT coalesce(sum(quantity), 0) FROM upload_pipeline.usage_daily)");
}

struct cost_line line_of(const struct cost_ask *ask, int i, int64_t quantity, int64_t cost)
{
    struct cost_line l = {.job = ask->items[i].job,
                          .line = i,
                          .provider = ask->provider,
                          .model = ask->model,
                          .unit = ask->unit,
                          .quantity = quantity,
                          .cost = cost,
                          .repeated = ask->repeated};

    memcpy(l.act, ask->act, sizeof l.act);
    return l;
}
