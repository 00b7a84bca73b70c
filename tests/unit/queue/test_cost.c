/*
 * test_cost.c - the ledger is exact and written once; budgets stop before they are exceeded
 *
 * Against a real server, with many connections at once where it matters.
 */
#include "queue_test.h"
#include "test_proxy.h"

#include "base/clock.h"
#include "queue/cost.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#define CENT (MONEY_DOLLAR / 100)

TestSuite(cost, .timeout = 120);

static const struct cost_limits no_limits = {-1, -1};

static struct cost_ask ask_of(struct cost_item *items, int n, struct cost_limits limits)
{
    return (struct cost_ask){.provider = "openai",
                             .model = "text-embedding-3-small",
                             .unit = COST_tokens,
                             .limits = limits,
                             .hold_ms = 60000,
                             .items = items,
                             .n_items = n};
}

static int reserve(struct pg *p, struct cost_ask *a)
{
    struct error e = {0};
    int rc = cost_reserve(p, a, &e);

    cr_assert_geq(rc, 0, "%s", e.message);
    return rc;
}

static void settle(struct pg *p, const struct cost_line *lines, int n)
{
    struct error e = {0};

    cr_assert_eq(cost_settle(p, lines, n, &e), 0, "%s", e.message);
}

/* Whether SQL's answer, a boolean, is true. */
static bool holds(struct qt *q, const char *what)
{
    return qt_int(q, "SELECT (%s)::int", what) == 1;
}

static bool totals_agree(struct qt *q)
{
    return holds(q, "(SELECT coalesce(sum(cost_usd), 0) FROM upload_pipeline.usage_ledger)"
                    " = (SELECT coalesce(sum(cost_usd), 0) FROM upload_pipeline.usage_daily)") &&
           holds(q, "(SELECT coalesce(sum(cost_usd), 0) FROM upload_pipeline.usage_ledger)"
                    " = (SELECT coalesce(sum(cost_usd), 0) FROM upload_pipeline.usage_days)") &&
           holds(q, "(SELECT coalesce(sum(quantity), 0) FROM upload_pipeline.usage_ledger)"
                    " = (SELECT coalesce(sum(quantity), 0) FROM upload_pipeline.usage_daily)");
}

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
    struct cost_line l = cost_line_of(&a, 0, 1001, 20020001);
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

/* ---- budgets ---- */

Test(cost, a_budget_refuses_what_would_exceed_it_and_grants_what_fits)
{
    struct qt *q = qt_open("qt_cost_fits");
    struct error e;
    int n;
    for (int i = 0; i < 3; i++)
        qt_submit(q, i, i, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, 3, &n);
    struct cost_item items[3] = {
        {.job = &j[0], .cost = 60 * CENT}, {.job = &j[1], .cost = 41 * CENT}, {.job = &j[2], .cost = 40 * CENT}};
    struct cost_ask a = ask_of(items, 3, (struct cost_limits){100 * CENT, -1});

    cr_assert_eq(reserve(q->worker, &a), 2);
    cr_assert_eq(items[0].verdict, COST_GRANTED);
    cr_assert_eq(items[1].verdict, COST_OVER_DAILY);
    cr_assert_eq(items[2].verdict, COST_GRANTED, "exactly the budget is not above it");
    cr_assert_eq(cost_refusal(&items[1], &e), -EDQUOT);
    cr_assert_str_eq(e.reason, "budget_exceeded");
    cr_assert_eq(e.cls, ERR_RECOVERABLE);
    cr_assert_str_eq(e.message, "budget.daily is 1 USD a day (UTC), of which 0.6 are used or reserved; the next step "
                                "needs 0.41.");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.budget_waits"), 1);
    /* the same ask again, as after a lost answer, reserves nothing twice */
    cr_assert_eq(reserve(q->worker, &a), 2);
    cr_assert_eq(items[1].verdict, COST_OVER_DAILY);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.usage_reservations"), 2);
    qt_close(q);
}

Test(cost, a_users_budget_stops_that_user_only)
{
    struct qt *q = qt_open("qt_cost_user");
    int n;
    qt_submit(q, 1, 1, 1, 100);
    qt_submit(q, 1, 2, 1, 100);
    qt_submit(q, 2, 3, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, 3, &n);
    struct uuid one = qt_user(1);
    struct cost_item items[3];
    struct cost_ask a = ask_of(items, 3, (struct cost_limits){-1, 10 * CENT});
    int over = 0;

    for (int i = 0; i < 3; i++)
        items[i] = (struct cost_item){.job = &j[i], .cost = 6 * CENT};
    cr_assert_eq(reserve(q->worker, &a), 2);
    for (int i = 0; i < 3; i++) {
        if (items[i].verdict == COST_GRANTED)
            continue;
        over++;
        cr_assert_eq(items[i].verdict, COST_OVER_USER_DAILY);
        cr_assert(uuid_equal(&j[i].user_id, &one));
    }
    cr_assert_eq(over, 1);
    cr_assert_eq(a.n_notices, 1);
    cr_assert_eq(a.notices[0].level, 100);
    cr_assert(a.notices[0].of_user && uuid_equal(&a.notices[0].user_id, &one));
    qt_close(q);
}

Test(cost, eighty_per_cent_is_said_once_a_day_and_budget)
{
    struct qt *q = qt_open("qt_cost_warn");
    int n, said = 0;
    char text[256];
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, 1, &n);

    for (int i = 0; i < 9; i++) {
        struct cost_item item = {.job = j, .cost = 10 * CENT};
        struct cost_ask a = ask_of(&item, 1, (struct cost_limits){100 * CENT, -1});
        cr_assert_eq(reserve(q->worker, &a), 1);
        cr_assert_eq(a.n_notices, i == 7, "round %d", i);
        said += a.n_notices;
        if (a.n_notices > 0) {
            cr_assert_eq(a.notices[0].level, 80);
            cr_assert_str_eq(a.notices[0].budget, "1");
            cr_assert_str_eq(a.notices[0].used, "0.8");
            cr_assert_str_eq(cost_notice_text(&a.notices[0], text, sizeof text),
                             "budget.daily: 0.8 USD of today's 1 are used or reserved");
        }
    }
    cr_assert_eq(said, 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.budget_notices"), 1);
    qt_close(q);
}

#define CONCURRENT 12

struct spender {
    const char *url;
    const struct queue_job *job;
    int64_t spent;
    int rounds;
};

/* Reserves and settles until refused. */
static void *spend(void *arg)
{
    struct spender *s = arg;
    struct pg_options o = {.url = s->url,
                           .role = "docmill_worker",
                           .application = "docmill test",
                           .connect_timeout_ms = 20000,
                           .statement_timeout_ms = 20000};
    struct pg *p = pg_new(NULL, &o);
    struct error e;

    for (;;) {
        struct cost_item item = {.job = s->job, .quantity = 1, .cost = 3 * CENT};
        struct cost_ask a = ask_of(&item, 1, (struct cost_limits){100 * CENT, -1});
        struct cost_line l;
        if (cost_reserve(p, &a, &e) != 1)
            break;
        l = cost_line_of(&a, 0, 1, 3 * CENT);
        if (cost_settle(p, &l, 1, &e) != 0)
            break;
        s->spent += 3 * CENT;
        s->rounds++;
    }
    pg_free(&p);
    return NULL;
}

Test(cost, many_workers_at_once_spend_a_budget_to_its_end_and_not_beyond)
{
    struct qt *q = qt_open("qt_cost_many");
    struct spender s[CONCURRENT] = {0};
    pthread_t threads[CONCURRENT];
    int64_t spent = 0;
    int n;

    for (int i = 0; i < CONCURRENT; i++)
        qt_submit(q, i % 3, i, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, CONCURRENT, &n);
    cr_assert_eq(n, CONCURRENT);
    for (int i = 0; i < CONCURRENT; i++) {
        s[i] = (struct spender){.url = q->url, .job = &j[i]};
        pthread_create(&threads[i], NULL, spend, &s[i]);
    }
    for (int i = 0; i < CONCURRENT; i++) {
        pthread_join(threads[i], NULL);
        spent += s[i].spent;
    }
    cr_assert_eq(spent, 99 * CENT, "33 times 3 cents fit into a dollar, found %lld", (long long)(spent / CENT));
    cr_assert(holds(q, "(SELECT sum(cost_usd) FROM upload_pipeline.usage_days) = 0.99"));
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.usage_ledger"), 33);
    cr_assert(totals_agree(q));
    qt_close(q);
}

/* ---- death and midnight ---- */

Test(cost, who_dies_between_reserve_and_settle_gives_the_reservation_back_with_the_job)
{
    struct qt *q = qt_open("qt_cost_dead");
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct cost_item item = {.job = j, .quantity = 500, .cost = 100 * CENT};
    struct cost_ask a = ask_of(&item, 1, (struct cost_limits){100 * CENT, -1});
    struct cost_ask again;

    cr_assert_eq(reserve(q->worker, &a), 1);
    cr_assert_eq(qt_int(q, "SELECT upload_pipeline.expire_reservations(100)"), 0, "its worker lives");
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET lease = lease + 1, state = 1, owner_node = NULL,"
              " owner_child = NULL, deadline = NULL");
    cr_assert_eq(qt_int(q, "SELECT upload_pipeline.expire_reservations(100)"), 1);
    cr_assert_eq(
        qt_int(q, "SELECT count(*) FROM upload_pipeline.usage_ledger WHERE outcome = 'unknown' AND cost_usd = 0"), 1);
    j = qt_claim_one(q);
    item.job = j;
    again = ask_of(&item, 1, a.limits);
    cr_assert_eq(reserve(q->worker, &again), 1, "the budget is free again");

    /* it was not dead but late: what it knows takes the place of the unknown */
    struct cost_line l = cost_line_of(&a, 0, 480, 96 * CENT);
    l.dropped = true;
    settle(q->other, &l, 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.usage_ledger WHERE outcome = 'dropped'"
                           " AND cost_usd = 0.96 AND quantity = 480"),
                 1);
    cr_assert(totals_agree(q));
    qt_close(q);
}

Test(cost, what_outlives_its_worker_is_given_back_only_when_it_expires)
{
    struct qt *q = qt_open("qt_cost_outlives");
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct cost_item item = {.job = j, .quantity = 5, .cost = 5 * CENT};
    struct cost_ask a = ask_of(&item, 1, no_limits);

    a.outlives = true;
    a.unit = COST_pages;
    a.repeated = true;
    snprintf(a.act, sizeof a.act, "submission:17");
    cr_assert_eq(reserve(q->worker, &a), 1);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET lease = lease + 1, state = 1, owner_node = NULL,"
              " owner_child = NULL, deadline = NULL");
    cr_assert_eq(qt_int(q, "SELECT upload_pipeline.expire_reservations(100)"), 0);
    qt_run(q, "UPDATE upload_pipeline.usage_reservations SET expires_at = now() - interval '1 second'");
    cr_assert_eq(qt_int(q, "SELECT upload_pipeline.expire_reservations(100)"), 1);
    cr_assert_eq(
        qt_int(q, "SELECT count(*) FROM upload_pipeline.usage_ledger WHERE repeated AND act = 'submission:17'"), 1);
    qt_close(q);
}

Test(cost, a_cost_counts_on_the_day_on_which_it_was_reserved)
{
    struct qt *q = qt_open("qt_cost_midnight");
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct cost_item item = {.job = j, .quantity = 5, .cost = 90 * CENT};
    struct cost_ask a = ask_of(&item, 1, (struct cost_limits){100 * CENT, 100 * CENT});
    struct cost_ask next = a;

    cr_assert_eq(reserve(q->worker, &a), 1);
    cr_assert_eq(reserve(q->worker, &next), 0);
    qt_run(q, "UPDATE upload_pipeline.usage_reservations SET day = day - 1"); /* midnight passes */
    next.act[0] = '\0';
    cr_assert_eq(reserve(q->worker, &next), 1, "the new day has a budget of its own");
    struct cost_line l = cost_line_of(&a, 0, 5, 90 * CENT);
    settle(q->worker, &l, 1);
    cr_assert(holds(q, "(SELECT sum(cost_usd) FROM upload_pipeline.usage_days"
                       " WHERE day = (now() AT TIME ZONE 'UTC')::date - 1) = 0.9"));
    cr_assert(holds(q, "upload_pipeline.budget_used((now() AT TIME ZONE 'UTC')::date) = 0.9"));
    cr_assert(totals_agree(q));
    qt_close(q);
}

/* ---- waiting for a budget ---- */

static const struct queue_policy policy = {.max_attempts = 3, .retry_first_ms = 1000, .retry_cap_ms = 8000};

/* Claims a job, is refused by the budget, and lets the job wait. */
static void be_refused(struct qt *q, struct cost_limits limits, int64_t cost)
{
    struct queue_job *j = qt_claim_one(q);
    struct cost_item item = {.job = j, .quantity = 5, .cost = cost};
    struct cost_ask a = ask_of(&item, 1, limits);
    struct error why, e;

    cr_assert_eq(reserve(q->worker, &a), 0);
    cost_refusal(&item, &why);
    cr_assert_eq(queue_fail(q->worker, j, j->status, STATUS_PARSE_QUEUED, &why, &policy, NULL, &e), 1, "%s", e.message);
}

Test(cost, a_refused_job_waits_for_the_next_utc_day_and_keeps_its_attempts)
{
    struct qt *q = qt_open("qt_cost_waits");
    qt_submit(q, 1, 1, 1, 100);

    be_refused(q, (struct cost_limits){CENT, -1}, 2 * CENT);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 5 AND attempt = 0"
                           " AND run_at >= ((now() AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC'"
                           " AND run_at <= ((now() AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC'"
                           "   + interval '10 minutes'"),
                 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_job_details"
                           " WHERE error_reason = 'budget_exceeded' AND error_message LIKE 'budget.daily is 0.01 USD%%'"
                           " AND error_hint LIKE 'It goes on by itself tomorrow%%'"),
                 1);
    qt_close(q);
}

static int64_t release(struct qt *q, struct cost_limits l)
{
    int64_t n;
    struct pg_params params;
    struct error e;
    PGresult *r;

    db_test_run(q->worker, "SELECT pg_try_advisory_lock(1684865026, 0)");
    pg_params_init(&params, q);
    cost_release_params(&params, &l, 1000);
    r = pg_exec(q->worker, cost_release_sql, &params, 0, &e);
    cr_assert_not_null(r, "%s", e.message);
    n = pg_get_int(r, 0, 0);
    PQclear(r);
    return n;
}

Test(cost, waiting_jobs_go_on_when_the_budget_is_raised_as_many_as_it_has_room_for)
{
    struct qt *q = qt_open("qt_cost_raise");
    for (int i = 0; i < 4; i++)
        qt_submit(q, i, i, 1, 100);

    for (int i = 0; i < 4; i++)
        be_refused(q, (struct cost_limits){CENT, -1}, 2 * CENT);
    cr_assert_eq(release(q, (struct cost_limits){CENT, -1}), 0);
    cr_assert_eq(release(q, (struct cost_limits){5 * CENT, -1}), 2);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 5 AND run_at <= now()"), 2);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.budget_waits"), 2);
    cr_assert_eq(release(q, no_limits), 2);
    qt_close(q);
}

Test(cost, one_that_asks_for_more_than_there_is_holds_up_nobody)
{
    struct qt *q = qt_open("qt_cost_greedy");
    for (int i = 0; i < 3; i++)
        qt_submit(q, i, i, 1, 100);

    be_refused(q, (struct cost_limits){CENT, -1}, 50 * CENT);
    be_refused(q, (struct cost_limits){CENT, -1}, 2 * CENT);
    be_refused(q, (struct cost_limits){CENT, -1}, 2 * CENT);
    cr_assert_eq(release(q, (struct cost_limits){5 * CENT, -1}), 2);
    qt_close(q);
}

Test(cost, a_user_without_room_does_not_hold_up_the_others)
{
    struct qt *q = qt_open("qt_cost_others");
    for (int i = 0; i < 4; i++)
        qt_submit(q, i == 3 ? 2 : 1, i, 1, 100);

    for (int i = 0; i < 4; i++)
        be_refused(q, (struct cost_limits){-1, CENT}, 2 * CENT);
    cr_assert_eq(release(q, (struct cost_limits){100 * CENT, 3 * CENT}), 2, "one of each user");
    qt_close(q);
}
