/* test_breaker.c - the circuit breaker, with a clock of its own: every outcome in every mode, probes, leases, orders */
#include "proc/breaker.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static const struct breaker_policy policy = {.failures = 5,
                                             .rate_percent = 50,
                                             .window_ms = 30000,
                                             .open_ms = 1000,
                                             .open_cap_ms = 8000,
                                             .account_open_ms = 40000,
                                             .lease_ms = 5000};

#define T0 INT64_C(1000000)

static enum breaker_change report(struct breaker *b, enum breaker_outcome o, int64_t now)
{
    return breaker_report(b, &policy, NULL, o, now);
}

static struct breaker_view view(struct breaker *b, int64_t now)
{
    struct breaker_view v;

    breaker_look(b, &policy, now, &v);
    return v;
}

static enum breaker_answer ask(struct breaker *b, int64_t now, struct breaker_lease *lease)
{
    int64_t wait = -1;
    enum breaker_answer a = breaker_ask(b, &policy, now, lease, &wait);

    cr_assert((a == BREAKER_WAIT) == (wait > 0), "answer %d with a wait of %ld", (int)a, (long)wait);
    cr_assert((a == BREAKER_PROBE) == (lease->word != 0));
    return a;
}

/* Opened by failures at `now`. */
static struct breaker opened(int64_t now)
{
    struct breaker b = {0};

    for (int i = 0; i < 4; i++)
        cr_assert_eq(report(&b, OUTCOME_FAILED, now), BREAKER_UNCHANGED);
    cr_assert_eq(report(&b, OUTCOME_FAILED, now), BREAKER_OPENED);
    return b;
}

/* Opened, and the probe is under way since `now`. */
static struct breaker probing(int64_t now, struct breaker_lease *lease)
{
    struct breaker b = opened(now - 2000);

    cr_assert_eq(ask(&b, now, lease), BREAKER_PROBE);
    return b;
}

/* ---- opening ---- */

Test(breaker, opens_when_count_and_rate_are_both_reached)
{
    struct breaker b = {0};
    struct breaker_lease lease;

    for (int i = 0; i < 10; i++)
        report(&b, OUTCOME_OK, T0);
    for (int i = 0; i < 9; i++)
        cr_assert_eq(report(&b, OUTCOME_FAILED, T0 + i), BREAKER_UNCHANGED, "9 of 19 are less than half");
    cr_assert_eq(ask(&b, T0 + 10, &lease), BREAKER_GO);
    cr_assert_eq(report(&b, OUTCOME_FAILED, T0 + 10), BREAKER_OPENED);
    cr_assert_eq(ask(&b, T0 + 10, &lease), BREAKER_WAIT);
    cr_assert_eq(view(&b, T0 + 10).cause, BREAKER_CAUSE_FAILURES);
}

Test(breaker, failures_older_than_the_window_do_not_count)
{
    struct breaker b = {0};

    for (int i = 0; i < 4; i++)
        report(&b, OUTCOME_FAILED, T0);
    cr_assert_eq(report(&b, OUTCOME_FAILED, T0 + policy.window_ms + 1), BREAKER_UNCHANGED);
    cr_assert_eq(view(&b, T0 + policy.window_ms + 1).failures, 1);
}

Test(breaker, documents_that_are_refused_and_limits_do_not_open_it)
{
    struct breaker b = {0};

    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(report(&b, OUTCOME_LIMITED, T0 + i), BREAKER_UNCHANGED);
        cr_assert_eq(report(&b, OUTCOME_ABANDONED, T0 + i), BREAKER_UNCHANGED);
    }
    cr_assert_eq(view(&b, T0 + 1000).mode, BREAKER_CLOSED);
    cr_assert_eq(view(&b, T0 + 1000).answers, 0);
}

Test(breaker, quota_key_and_spending_limit_open_it_at_once_and_for_a_wait_of_their_own)
{
    static const struct {
        enum breaker_outcome outcome;
        enum breaker_cause cause;
    } rows[] = {{OUTCOME_QUOTA, BREAKER_CAUSE_QUOTA},
                {OUTCOME_KEY, BREAKER_CAUSE_KEY},
                {OUTCOME_SPENDING, BREAKER_CAUSE_SPENDING}};

    for (int i = 0; i < 3; i++) {
        struct breaker b = {0};
        struct breaker_lease lease;
        struct breaker_view v;

        for (int k = 0; k < 1000; k++)
            report(&b, OUTCOME_OK, T0);
        cr_assert_eq(report(&b, rows[i].outcome, T0), BREAKER_OPENED);
        v = view(&b, T0);
        cr_assert_eq(v.cause, rows[i].cause);
        cr_assert(v.wait_ms >= policy.account_open_ms / 2 && v.wait_ms <= policy.account_open_ms, "%ld",
                  (long)v.wait_ms);
        for (int64_t now = T0 + v.wait_ms, tries = 0; tries < 5; tries++) { /* no shorter and no longer later */
            cr_assert_eq(ask(&b, now, &lease), BREAKER_PROBE);
            cr_assert_eq(breaker_report(&b, &policy, &lease, rows[i].outcome, now), BREAKER_UNCHANGED);
            v = view(&b, now);
            cr_assert(v.wait_ms >= policy.account_open_ms / 2 && v.wait_ms <= policy.account_open_ms, "%ld",
                      (long)v.wait_ms);
            now += v.wait_ms;
        }
    }
}

Test(breaker, one_of_those_that_comes_late_names_the_cause)
{
    struct breaker b = opened(T0);

    cr_assert_eq(report(&b, OUTCOME_QUOTA, T0 + 10), BREAKER_OPENED);
    cr_assert_eq(view(&b, T0 + 10).cause, BREAKER_CAUSE_QUOTA);
    cr_assert_geq(view(&b, T0 + 10).wait_ms, policy.account_open_ms / 2);
    cr_assert_eq(report(&b, OUTCOME_QUOTA, T0 + 20), BREAKER_UNCHANGED, "said once");
}

/* ---- every outcome in every mode ---- */

Test(breaker, every_outcome_in_every_mode_has_its_effect)
{
    enum { C = BREAKER_CLOSED, O = BREAKER_OPEN, H = BREAKER_HALF_OPEN };
    /* OK FAILED LIMITED QUOTA KEY SPENDING ABANDONED; one failure does not open */
    static const int others[BREAKER_MODE_MAX_][OUTCOME_MAX_] = {
        [C] = {C, C, C, O, O, O, C}, [O] = {O, O, O, O, O, O, O}, [H] = {H, H, H, H, H, H, H}};
    static const int probe[OUTCOME_MAX_] = {C, O, C, O, O, O, O};

    for (int o = 0; o < OUTCOME_MAX_; o++) {
        for (int mode = 0; mode < BREAKER_MODE_MAX_; mode++) {
            struct breaker_lease lease = {0};
            struct breaker b = mode == C ? (struct breaker){0} : mode == O ? opened(T0) : probing(T0, &lease);

            report(&b, (enum breaker_outcome)o, T0);
            cr_expect_eq((int)view(&b, T0).mode, others[mode][o], "mode %d, outcome %d", mode, o);
        }
        struct breaker_lease lease;
        struct breaker b = probing(T0, &lease);
        enum breaker_change c = breaker_report(&b, &policy, &lease, (enum breaker_outcome)o, T0);

        cr_expect_eq((int)view(&b, T0).mode, probe[o], "the probe's outcome %d", o);
        cr_expect_eq(c == BREAKER_CLOSED_NOW, probe[o] == C);
    }
}

/* ---- half-open ---- */

Test(breaker, one_probe_goes_and_the_others_wait_for_it)
{
    struct breaker b = opened(T0);
    struct breaker_lease lease, other;
    int64_t wait;

    cr_assert_eq(ask(&b, T0 + 499, &lease), BREAKER_WAIT, "the first wait is half of open_ms at least");
    cr_assert_eq(breaker_peek(&b, T0 + 1000, &wait), BREAKER_PROBE);
    cr_assert_eq(ask(&b, T0 + 1000, &lease), BREAKER_PROBE);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(ask(&b, T0 + 1000 + i, &other), BREAKER_WAIT);
    cr_assert_eq(breaker_report(&b, &policy, &lease, OUTCOME_OK, T0 + 1200), BREAKER_CLOSED_NOW);
    cr_assert_eq(ask(&b, T0 + 1200, &other), BREAKER_GO);
    cr_assert_eq(report(&b, OUTCOME_FAILED, T0 + 1200), BREAKER_UNCHANGED, "the old failures are forgotten");
}

Test(breaker, waits_double_up_to_the_cap)
{
    struct breaker b = opened(T0);
    int64_t now = T0, base = policy.open_ms;

    for (int i = 0; i < 8; i++) {
        struct breaker_lease lease;
        struct breaker_view v = view(&b, now);

        cr_assert(v.wait_ms >= base / 2 && v.wait_ms <= base, "try %d: %ld of %ld", i, (long)v.wait_ms, (long)base);
        cr_assert_eq(v.tries, i);
        now += v.wait_ms;
        cr_assert_eq(ask(&b, now, &lease), BREAKER_PROBE);
        cr_assert_eq(breaker_report(&b, &policy, &lease, OUTCOME_FAILED, now), BREAKER_UNCHANGED);
        base = base * 2 < policy.open_cap_ms ? base * 2 : policy.open_cap_ms;
    }
}

Test(breaker, a_probe_that_never_reports_gives_way_when_its_lease_ends)
{
    struct breaker_lease first, second;
    struct breaker b = probing(T0, &first);

    cr_assert_eq(ask(&b, T0 + policy.lease_ms - 1, &second), BREAKER_WAIT);
    cr_assert_eq(ask(&b, T0 + policy.lease_ms, &second), BREAKER_PROBE);
    cr_assert_eq(breaker_report(&b, &policy, &first, OUTCOME_OK, T0 + policy.lease_ms + 1), BREAKER_UNCHANGED,
                 "its late answer is an answer from before");
    cr_assert_eq(breaker_report(&b, &policy, &second, OUTCOME_OK, T0 + policy.lease_ms + 2), BREAKER_CLOSED_NOW);
}

Test(breaker, a_probe_whose_process_is_dead_gives_way_at_once)
{
    struct breaker_lease first, second;
    struct breaker b = probing(T0, &first);

    breaker_forget(&b, getpid() + 1, T0 + 1);
    cr_assert_eq(ask(&b, T0 + 2, &second), BREAKER_WAIT);
    breaker_forget(&b, getpid(), T0 + 3);
    cr_assert_eq(ask(&b, T0 + 3, &second), BREAKER_PROBE);
}

Test(breaker, an_abandoned_probe_lets_another_go_at_once_and_counts_as_no_try)
{
    struct breaker_lease lease;
    struct breaker b = probing(T0, &lease);

    breaker_report(&b, &policy, &lease, OUTCOME_ABANDONED, T0 + 5);
    cr_assert_eq(view(&b, T0 + 5).tries, 0);
    cr_assert_eq(ask(&b, T0 + 5, &lease), BREAKER_PROBE);
}

/* ---- since when ---- */

Test(breaker, it_is_down_from_the_first_opening_until_it_closes)
{
    struct breaker b = opened(T0);
    struct breaker_lease lease;
    int64_t now = T0 + 1000;

    for (int i = 0; i < 3; i++) {
        cr_assert_eq(ask(&b, now, &lease), BREAKER_PROBE);
        breaker_report(&b, &policy, &lease, OUTCOME_FAILED, now);
        now += 8000;
        cr_assert_eq(breaker_down_ms(&b, now), now - T0);
    }
    cr_assert_eq(ask(&b, now, &lease), BREAKER_PROBE);
    cr_assert_eq(breaker_down_ms(&b, now), now - T0, "half-open is out of service");
    breaker_report(&b, &policy, &lease, OUTCOME_OK, now);
    cr_assert_eq(breaker_down_ms(&b, now), 0);
    b.word = opened(now).word; /* opened by one who was killed before he noted when */
    cr_assert_eq(breaker_down_ms(&b, now + 5), 1);
    cr_assert_eq(breaker_down_ms(&b, now + 15), 10);
}

/* ---- orders ---- */

Test(breaker, held_open_it_stays_open_whatever_happens)
{
    struct breaker b = {0};
    struct breaker_lease lease;

    cr_assert_eq(breaker_order(&b, BREAKER_ORDER_OPEN, T0), BREAKER_OPENED);
    for (int o = 0; o < OUTCOME_MAX_; o++)
        cr_assert_eq(report(&b, (enum breaker_outcome)o, T0 + 1), BREAKER_UNCHANGED);
    cr_assert_eq(ask(&b, T0 + INT64_C(1000000000), &lease), BREAKER_WAIT);
    cr_assert_eq(view(&b, T0 + 1).cause, BREAKER_CAUSE_OPERATOR);
    cr_assert(view(&b, T0 + 1).held);
    cr_assert_eq(view(&b, T0 + 1).wait_ms, -1);
}

Test(breaker, close_closes_and_it_opens_again_by_itself)
{
    struct breaker b = opened(T0);
    struct breaker_lease lease;

    cr_assert_eq(breaker_order(&b, BREAKER_ORDER_CLOSE, T0 + 1), BREAKER_CLOSED_NOW);
    cr_assert_eq(ask(&b, T0 + 1, &lease), BREAKER_GO);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(report(&b, OUTCOME_FAILED, T0 + 2), BREAKER_UNCHANGED);
    cr_assert_eq(report(&b, OUTCOME_FAILED, T0 + 2), BREAKER_OPENED);
}

Test(breaker, probe_lets_one_try_now_and_ends_a_held_open)
{
    struct breaker b = {0};
    struct breaker_lease lease, other;

    breaker_order(&b, BREAKER_ORDER_PROBE, T0);
    cr_assert_eq(view(&b, T0).mode, BREAKER_CLOSED, "a closed one stays closed");
    breaker_order(&b, BREAKER_ORDER_OPEN, T0);
    breaker_order(&b, BREAKER_ORDER_PROBE, T0 + 1);
    cr_assert_eq(ask(&b, T0 + 1, &lease), BREAKER_PROBE);
    cr_assert_eq(ask(&b, T0 + 1, &other), BREAKER_WAIT);
    breaker_report(&b, &policy, &lease, OUTCOME_FAILED, T0 + 2);
    cr_assert_eq(view(&b, T0 + 2).cause, BREAKER_CAUSE_FAILURES);
    breaker_order(&b, BREAKER_ORDER_PROBE, T0 + 3);
    cr_assert_eq(ask(&b, T0 + 3, &lease), BREAKER_PROBE, "whatever the wait was");
    breaker_report(&b, &policy, &lease, OUTCOME_OK, T0 + 4);
    cr_assert_eq(view(&b, T0 + 4).mode, BREAKER_CLOSED);
}

Test(breaker, orders_are_words)
{
    cr_assert_eq(breaker_order_parse("open"), BREAKER_ORDER_OPEN);
    cr_assert_eq(breaker_order_parse("close"), BREAKER_ORDER_CLOSE);
    cr_assert_eq(breaker_order_parse("probe"), BREAKER_ORDER_PROBE);
    cr_assert_eq(breaker_order_parse("closed"), -EINVAL);
}

Test(breaker, words_that_a_mad_child_wrote_are_shown_within_bounds)
{
    for (unsigned seed = 0; seed < 2000; seed++) {
        struct breaker b;
        struct breaker_view v;
        uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15);

        for (size_t i = 0; i < sizeof b; i++) {
            x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
            ((unsigned char *)&b)[i] = (unsigned char)(x >> 56);
        }
        v = view(&b, T0);
        cr_assert(v.mode >= 0 && v.mode < BREAKER_MODE_MAX_ && v.cause >= 0 && v.cause < BREAKER_CAUSE_MAX_);
        cr_assert_not_null(breaker_mode_name(v.mode));
        cr_assert_not_null(breaker_cause_words(v.cause));
        cr_assert(v.down_ms >= 0 && v.wait_ms >= -1);
        breaker_order(&b, BREAKER_ORDER_CLOSE, T0);
        cr_assert_eq(view(&b, T0).mode, BREAKER_CLOSED);
    }
}
