/*
 * test_budget.c - budgets stop before they are exceeded, and let go on when there is room
 *
 * Against a real server, with many connections at once where it matters.
 */
#include "cost_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

TestSuite(budget, .timeout = 120);

Test(budget, a_budget_refuses_what_would_exceed_it_and_grants_what_fits)
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

Test(budget, a_users_budget_stops_that_user_only)
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

Test(budget, eighty_per_cent_is_said_once_a_day_and_budget)
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
        l = line_of(&a, 0, 1, 3 * CENT);
        if (cost_settle(p, &l, 1, &e) != 0)
            break;
        s->spent += 3 * CENT;
        s->rounds++;
    }
    pg_free(&p);
    return NULL;
}

Test(budget, many_workers_at_once_spend_a_budget_to_its_end_and_not_beyond)
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

Test(budget, who_dies_between_reserve_and_settle_gives_the_reservation_back_with_the_job)
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
    struct cost_line l = line_of(&a, 0, 480, 96 * CENT);
    l.dropped = true;
    settle(q->other, &l, 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.usage_ledger WHERE outcome = 'dropped'"
                           " AND cost_usd = 0.96 AND quantity = 480"),
                 1);
    cr_assert(totals_agree(q));
    qt_close(q);
}

Test(budget, what_outlives_its_worker_is_given_back_only_when_it_expires)
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

Test(budget, a_cost_counts_on_the_day_on_which_it_was_reserved)
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
    struct cost_line l = line_of(&a, 0, 5, 90 * CENT);
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

Test(budget, a_refused_job_waits_for_the_next_utc_day_and_keeps_its_attempts)
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

Test(budget, waiting_jobs_go_on_when_the_budget_is_raised_as_many_as_it_has_room_for)
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

Test(budget, one_that_asks_for_more_than_there_is_holds_up_nobody)
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

Test(budget, a_user_without_room_does_not_hold_up_the_others)
{
    struct qt *q = qt_open("qt_cost_others");
    for (int i = 0; i < 4; i++)
        qt_submit(q, i == 3 ? 2 : 1, i, 1, 100);

    for (int i = 0; i < 4; i++)
        be_refused(q, (struct cost_limits){-1, CENT}, 2 * CENT);
    cr_assert_eq(release(q, (struct cost_limits){100 * CENT, 3 * CENT}), 2, "one of each user");
    qt_close(q);
}
