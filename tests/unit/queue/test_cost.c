/*
 * test_cost.c - the ledger is exact and written once
 *
 * Against a real server, behind a bad network where it matters.
 */
#include "cost_test.h"
#include "test_proxy.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

TestSuite(cost, .timeout = 120);

/* ---- dividing a bill ---- */

Test(cost_divide, parts_add_up_to_the_bill_and_follow_the_weights)
{
    static const int64_t weights[] = {1, 1, 1};
    static const int64_t uneven[] = {5, 0, 95};
    int64_t parts[3];

    cost_divide(100, weights, 3, parts);
    cr_assert_eq(parts[0], 34);
    cr_assert_eq(parts[1], 33);
    cr_assert_eq(parts[2], 33);
    cost_divide(100, uneven, 3, parts);
    cr_assert_eq(parts[0], 5);
    cr_assert_eq(parts[1], 0);
    cr_assert_eq(parts[2], 95);
}

Test(cost_divide, the_largest_remainder_gets_what_is_left)
{
    static const int64_t weights[] = {10, 28, 62};
    int64_t parts[3];

    cost_divide(7, weights, 3, parts); /* 0.70, 1.96, 4.34 */
    cr_assert_eq(parts[0], 1);
    cr_assert_eq(parts[1], 2);
    cr_assert_eq(parts[2], 4);
}

Test(cost_divide, the_sum_is_exact_for_the_largest_amounts_and_without_weights)
{
    int64_t weights[300], parts[300], sum = 0;

    for (int i = 0; i < 300; i++)
        weights[i] = INT64_MAX / 7 - i;
    cost_divide(INT64_MAX, weights, 300, parts);
    for (int i = 0; i < 300; i++)
        sum += parts[i];
    cr_assert_eq(sum, INT64_MAX);
    memset(weights, 0, sizeof weights);
    cost_divide(301, weights, 300, parts);
    cr_assert_eq(parts[0], 2);
    cr_assert_eq(parts[299], 1);
}

Test(cost_limits, amounts_are_exact_and_what_is_none_is_refused)
{
    struct conf c = {.budget_daily = "12.50"};
    struct cost_limits l;
    struct error e;

    cr_assert_eq(cost_limits_of(&c, &l, &e), 0);
    cr_assert_eq(l.daily, 1250 * CENT);
    cr_assert_eq(l.user_daily, -1);
    c.budget_user_daily = "1e3";
    cr_assert_eq(cost_limits_of(&c, &l, &e), -EINVAL);
    cr_assert_str_eq(e.reason, "bad_config");
    cr_assert_not_null(strstr(e.message, "budget.user_daily"));
}

/* ---- the ledger ---- */

Test(cost, a_line_enters_ledger_and_totals_once_however_often_it_is_settled)
{
    struct qt *q = qt_open("qt_cost_once");
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct cost_item item = {.job = j, .quantity = 1000, .cost = 3};
    struct cost_ask a = ask_of(&item, 1, no_limits);

    cr_assert_eq(reserve(q->worker, &a), 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.usage_reservations"), 1);
    struct cost_line l = line_of(&a, 0, 1001, 20020001);
    for (int i = 0; i < 3; i++)
        settle(i == 1 ? q->other : q->worker, &l, 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.usage_ledger"), 1);
    cr_assert(holds(q, "(SELECT sum(cost_usd) FROM upload_pipeline.usage_days) = 0.000020020001"));
    cr_assert(holds(q, "(SELECT sum(quantity) FROM upload_pipeline.usage_daily) = 1001"));
    cr_assert(holds(q, "(SELECT sum(acts) FROM upload_pipeline.usage_daily) = 1"));
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.usage_reservations"), 0);
    cr_assert(totals_agree(q));
    qt_close(q);
}

Test(cost, what_was_not_paid_for_is_given_back_without_a_trace)
{
    struct qt *q = qt_open("qt_cost_back");
    struct error e;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct cost_item item = {.job = j, .quantity = 1000, .cost = 90 * CENT};
    struct cost_ask a = ask_of(&item, 1, (struct cost_limits){100 * CENT, -1});

    cr_assert_eq(reserve(q->worker, &a), 1);
    cr_assert_eq(cost_give_back(q->worker, a.act, &e), 0);
    a.act[0] = '\0';
    cr_assert_eq(reserve(q->worker, &a), 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.usage_ledger"), 0);
    qt_close(q);
}

/* ---- in the transaction of what was paid for ---- */

static struct cost_line paid(const struct queue_job *j, const char *act, int line, int64_t cost)
{
    struct cost_line l = {.job = j,
                          .line = line,
                          .provider = "openai",
                          .model = "text-embedding-3-small",
                          .unit = COST_tokens,
                          .quantity = 10,
                          .cost = cost};

    snprintf(l.act, sizeof l.act, "%s", act);
    return l;
}

Test(cost, a_batch_across_documents_has_a_row_each_and_a_lost_one_is_written_as_dropped)
{
    struct qt *q = qt_open("qt_cost_store");
    int n;
    qt_submit(q, 1, 1, 1, 100);
    qt_submit(q, 2, 2, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, 2, &n);
    struct queue_work w[2] = {qt_work(q, &j[0], 3), qt_work(q, &j[1], 2)};
    struct cost_line lines[2] = {paid(&j[0], "batch", 0, 7), paid(&j[1], "batch", 1, 5)};

    for (int i = 0; i < 2; i++) {
        w[i].costs = &lines[i];
        w[i].n_costs = 1;
    }
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET lease = lease + 1 WHERE id = %s", qt_id(q, &j[1].id));
    cr_assert_eq(qt_store(q, w, 2), 0);
    cr_assert_eq(w[1].outcome, QUEUE_LOST);
    cr_assert_eq(qt_int(q,
                        "SELECT count(*) FROM upload_pipeline.usage_ledger WHERE outcome = 'used' AND document_id = %s",
                        qt_id(q, &j[0].document_id)),
                 1);
    cr_assert_eq(qt_int(q,
                        "SELECT count(*) FROM upload_pipeline.usage_ledger WHERE outcome = 'dropped'"
                        " AND document_id = %s AND cost_usd = 0.000000000005",
                        qt_id(q, &j[1].document_id)),
                 1);
    cr_assert(totals_agree(q));
    qt_close(q);
}

struct cutting {
    struct qt *q;
    struct proxy *x;
    struct pg *p;
    const char *meanwhile;
};

static void at_cut(void *arg)
{
    struct cutting *c = arg;

    if (c->meanwhile != NULL)
        qt_run(c->q, "%s", c->meanwhile);
    proxy_set(c->x, PROXY_PASS);
}

/* Stores one document with its cost over a network that is cut off at the COMMIT. */
static enum queue_outcome store_cut_off(struct cutting *c, const char *name, enum proxy_mode mode)
{
    struct pg_options o = {.role = "docmill_worker",
                           .application = "docmill test",
                           .connect_timeout_ms = 10000,
                           .statement_timeout_ms = 10000};
    struct error e = {0};

    c->q = qt_open(name);
    c->x = proxy_start(NULL, false, PROXY_PASS);
    o.url = talloc_asprintf(c->q, "%s dbname='%s'", proxy_url(c->x), name);
    c->p = qt_connect(&o);
    proxy_at_cut(c->x, at_cut, c);
    qt_submit(c->q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(c->q);
    struct queue_work w = qt_work(c->q, j, 3);
    struct cost_line l = paid(j, "batch", 0, 7);
    w.costs = &l;
    w.n_costs = 1;
    proxy_set(c->x, mode);
    cr_assert_eq(queue_store(c->p, &w, 1, QT_DIM, 60000, clock_ms() + 60000, &e), 0, "%s", e.message);
    return w.outcome;
}

static void close_cutting(struct cutting *c)
{
    pg_free(&c->p);
    proxy_stop(&c->x);
    qt_close(c->q);
}

static void assert_one_row(struct cutting *c, const char *outcome)
{
    cr_assert_eq(qt_int(c->q, "SELECT count(*) FROM upload_pipeline.usage_ledger"), 1);
    cr_assert_eq(qt_int(c->q, "SELECT count(*) FROM upload_pipeline.usage_ledger WHERE outcome = '%s'", outcome), 1);
    cr_assert(holds(c->q, "(SELECT sum(cost_usd) FROM upload_pipeline.usage_days) = 0.000000000007"));
    cr_assert(totals_agree(c->q));
}

Test(cost, a_commit_whose_answer_was_lost_writes_the_ledger_once)
{
    struct cutting c = {0};

    cr_assert_eq(store_cut_off(&c, "qt_cost_after", PROXY_CUT_AFTER), QUEUE_STORED);
    assert_one_row(&c, "used");
    close_cutting(&c);
}

Test(cost, a_commit_that_did_not_happen_writes_the_ledger_when_it_does)
{
    struct cutting c = {0};

    cr_assert_eq(store_cut_off(&c, "qt_cost_before", PROXY_CUT_BEFORE), QUEUE_STORED);
    assert_one_row(&c, "used");
    close_cutting(&c);
}

Test(cost, what_was_paid_for_a_job_lost_during_the_commit_is_written_down_too)
{
    struct cutting c = {.meanwhile = "UPDATE upload_pipeline.upload_jobs SET lease = lease + 1, owner_child = 99"};

    cr_assert_eq(store_cut_off(&c, "qt_cost_lost", PROXY_CUT_BEFORE), QUEUE_LOST);
    assert_one_row(&c, "dropped");
    close_cutting(&c);
}
