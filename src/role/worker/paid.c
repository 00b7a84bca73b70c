/*
 * paid.c - see paid.h
 *
 * A budget that is nearly used up, or refuses something, is raised for docmillctl errors by the first who meets it.
 *
 * Depends on base, core, proc, provider, queue.
 */
#include "worker/paid.h"

#include "base/clock.h"
#include "core/reason.h"
#include "provider/llamaparse_tables.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int paid_open(struct paid *p, struct worker *w, struct error *e)
{
    const struct conf *c = w->conf;
    int rc = cost_limits_of(c, &p->limits, e);

    if (rc != 0)
        return rc;
    p->w = w;
    p->limited = p->limits.daily >= 0 || p->limits.user_daily >= 0;
    if (c->llamaparse_price_per_page == NULL)
        p->page_price = llamaparse_page_price(c->llamaparse_tier);
    else if (money_parse(c->llamaparse_price_per_page, MONEY_DECIMALS, &p->page_price) != 0)
        return reason_error(e, REASON_bad_config, EINVAL, "llamaparse.price_per_page is no amount");
    return 0;
}

int64_t paid_times(int64_t each, int64_t n)
{
    int64_t out;

    return money_times(each, n, &out) == 0 ? out : INT64_MAX;
}

int64_t paid_for_pages(const struct paid *p, int64_t pages)
{
    return paid_times(p->page_price, pages);
}

static void raise_notices(const struct paid *p, const struct cost_ask *ask)
{
    char text[300];

    for (int i = 0; i < ask->n_notices; i++)
        services_raise(p->w->child.services, "cost", reason_name(REASON_budget_exceeded),
                       cost_notice_text(&ask->notices[i], text, sizeof text), clock_ms());
}

int paid_reserve(struct paid *p, const struct queue_job *j, const char *provider, const char *model,
                 enum cost_unit unit, int64_t quantity, int64_t cost, int64_t hold_ms, bool outlives, bool repeated,
                 const char *act, struct error *why, struct error *e)
{
    struct cost_item item = {.job = j, .quantity = quantity, .cost = cost};
    struct cost_ask ask = {.provider = provider,
                           .model = model,
                           .unit = unit,
                           .limits = p->limits,
                           .hold_ms = hold_ms,
                           .outlives = outlives,
                           .repeated = repeated,
                           .items = &item,
                           .n_items = 1};
    int granted;

    if (!p->limited)
        return 1;
    snprintf(ask.act, sizeof ask.act, "%s", act);
    granted = cost_reserve(p->w->pg, &ask, e);
    raise_notices(p, &ask);
    if (granted == 0)
        (void)cost_refusal(&item, why);
    return granted;
}

int paid_settle(struct paid *p, const struct cost_line *line, struct error *e)
{
    return cost_settle(p->w->pg, line, 1, e);
}

int paid_give_back(struct paid *p, const char *act, struct error *e)
{
    return p->limited ? cost_give_back(p->w->pg, act, e) : 0;
}
