/* test_pool_policy.c - when children are started, warned and ended */
#include "master/pool_policy.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <signal.h>

static const struct policy_limits limits = {.fail_deaths = 3,
                                            .fail_window_ms = 60000,
                                            .ready_ms = 30000,
                                            .backoff_first_ms = 2000,
                                            .backoff_cap_ms = 60000,
                                            .hang_ms = 60000,
                                            .stuck_ms = 900000,
                                            .trace_ms = 1000,
                                            .term_ms = 5000};

#define T0 1000000

static enum slot_action step(const struct slot_policy *s, int64_t beat, int64_t deadline, int64_t now, int64_t *wake)
{
    struct slot_pulse p = {.beat_ms = beat, .busy_deadline_ms = deadline};

    *wake = INT64_MAX;
    return slot_step(s, &p, true, now, &limits, wake);
}

/* Before it had finished anything. */
static int64_t died(struct slot_policy *s, enum death_kind kind, int64_t now)
{
    const struct slot_death d = {.kind = kind};

    return slot_died(s, &d, now, &limits);
}

static int64_t died_after_work(struct slot_policy *s, enum death_kind kind, int64_t now)
{
    const struct slot_death d = {.kind = kind, .finished = true};

    return slot_died(s, &d, now, &limits);
}

static struct slot_policy up_since(int64_t now)
{
    struct slot_policy s = {0};

    slot_started(&s, now);
    slot_became_ready(&s, now);
    return s;
}

Test(pool_policy, an_empty_slot_is_filled_at_once)
{
    struct slot_policy s = {0};
    int64_t wake;

    cr_assert_eq(step(&s, 0, 0, T0, &wake), SLOT_START);
}

Test(pool_policy, a_slot_that_is_not_wanted_stays_empty)
{
    struct slot_policy s = {0};
    struct slot_pulse p = {0};
    int64_t wake = INT64_MAX;

    cr_assert_eq(slot_step(&s, &p, false, T0, &limits, &wake), SLOT_NOTHING);
    cr_assert_eq(wake, INT64_MAX, "and wakes nobody");
}

Test(pool_policy, a_child_that_is_not_ready_by_its_deadline_is_killed)
{
    struct slot_policy s = {0};
    int64_t wake;

    slot_started(&s, T0);
    cr_assert_eq(step(&s, T0, 0, T0 + 29999, &wake), SLOT_NOTHING);
    cr_assert_eq(wake, T0 + 30000);
    cr_assert_eq(step(&s, T0, 0, T0 + 30000, &wake), SLOT_KILL_LATE);
}

Test(pool_policy, start_up_failures_wait_twice_as_long_each_time_up_to_the_cap)
{
    struct slot_policy s = {0};
    int64_t full = 2000, now = T0;

    for (int i = 0; i < 10; i++) {
        int64_t wait, wake;

        slot_started(&s, now);
        wait = died(&s, DEATH_FAULT, now);
        cr_assert_geq(wait, full / 2, "failure %d", i);
        cr_assert_leq(wait, full, "failure %d", i);
        cr_assert_eq(step(&s, 0, 0, now + wait - 1, &wake), SLOT_NOTHING);
        cr_assert_eq(wake, now + wait);
        cr_assert_eq(step(&s, 0, 0, now + wait, &wake), SLOT_START);
        now += 100000;
        full = full * 2 > 60000 ? 60000 : full * 2;
    }
}

Test(pool_policy, an_established_child_that_crashes_is_started_again_at_once)
{
    struct slot_policy s = up_since(T0);
    int64_t wake;

    cr_assert_eq(died_after_work(&s, DEATH_FAULT, T0 + 500), 0);
    cr_assert_eq(step(&s, 0, 0, T0 + 500, &wake), SLOT_START);
}

Test(pool_policy, a_crash_before_the_first_finished_job_is_a_start_up_failure)
{
    struct slot_policy s = up_since(T0);

    cr_assert_geq(died(&s, DEATH_FAULT, T0 + POLICY_STABLE_MS - 1), 1000);
    cr_assert_eq(s.failures, 1);
}

Test(pool_policy, a_child_that_had_nothing_to_do_for_a_while_is_no_start_up_failure)
{
    struct slot_policy s = up_since(T0);

    cr_assert_eq(died(&s, DEATH_FAULT, T0 + POLICY_STABLE_MS), 0);
    cr_assert_eq(s.failures, 0);
}

Test(pool_policy, a_crash_loop_after_work_waits_too)
{
    struct slot_policy s = {0};
    int64_t now = T0, wait = 0;
    int deaths = 0;

    while (wait == 0 && deaths < 100) {
        slot_started(&s, now);
        slot_became_ready(&s, now + 100);
        now += 200;
        wait = died_after_work(&s, DEATH_FAULT, now);
        deaths++;
    }
    cr_assert_eq(deaths, POLICY_WINDOW_DEATHS + 1);
    cr_assert_geq(wait, 1000);
}

Test(pool_policy, crashes_spread_over_time_do_not_wait)
{
    struct slot_policy s = {0};
    int64_t now = T0;

    for (int i = 0; i < 50; i++) {
        slot_started(&s, now);
        slot_became_ready(&s, now);
        now += 1500;
        cr_assert_eq(died_after_work(&s, DEATH_FAULT, now), 0, "crash %d", i);
    }
}

Test(pool_policy, kills_from_outside_never_make_a_ready_slot_wait)
{
    struct slot_policy s = {0};

    for (int i = 0; i < 200; i++) {
        slot_started(&s, T0 + i);
        slot_became_ready(&s, T0 + i);
        cr_assert_eq(died(&s, DEATH_OUTSIDER, T0 + i), 0, "kill %d", i);
    }
}

Test(pool_policy, kills_from_outside_before_ready_are_limited_by_the_window)
{
    struct slot_policy s = {0};
    int i = 0;

    do {
        slot_started(&s, T0 + i);
        i++;
    } while (died(&s, DEATH_OUTSIDER, T0 + i) == 0 && i < 100);
    cr_assert_eq(i, POLICY_WINDOW_DEATHS + 1);
}

Test(pool_policy, a_child_that_stayed_ready_wipes_the_slate)
{
    struct slot_policy s = {0};

    for (int i = 0; i < 5; i++) {
        slot_started(&s, T0);
        (void)died(&s, DEATH_FAULT, T0);
    }
    slot_started(&s, T0);
    slot_became_ready(&s, T0);
    cr_assert_eq(died(&s, DEATH_FAULT, T0 + POLICY_STABLE_MS), 0);
    slot_started(&s, T0);
    cr_assert_leq(died(&s, DEATH_FAULT, T0), 2000, "the next failure is a first one again");
}

Test(pool_policy, a_wait_can_be_cut_short)
{
    struct slot_policy s = {0};
    int64_t wake;

    slot_started(&s, T0);
    (void)died(&s, DEATH_FAULT, T0);
    cr_assert_eq(step(&s, 0, 0, T0 + 1, &wake), SLOT_NOTHING);
    slot_try_now(&s, T0 + 1);
    cr_assert_eq(step(&s, 0, 0, T0 + 1, &wake), SLOT_START);
}

Test(pool_policy, work_past_its_own_deadline_is_a_hang)
{
    struct slot_policy s = up_since(T0);
    int64_t wake;

    cr_assert_eq(step(&s, T0 + 100, T0 + 500, T0 + 100, &wake), SLOT_NOTHING);
    cr_assert_eq(wake, T0 + 501);
    cr_assert_eq(step(&s, T0 + 501, T0 + 500, T0 + 501, &wake), SLOT_TRACE_HUNG);
}

Test(pool_policy, a_loop_that_does_not_move_is_pinged_then_ended)
{
    struct slot_policy s = up_since(T0);
    int64_t wake;

    cr_assert_eq(step(&s, T0, 0, T0 + 29999, &wake), SLOT_NOTHING);
    cr_assert_eq(wake, T0 + 30000);
    cr_assert_eq(step(&s, T0, 0, T0 + 30000, &wake), SLOT_PING);
    slot_pinged(&s, T0 + 30000);
    cr_assert_eq(step(&s, T0, 0, T0 + 30001, &wake), SLOT_NOTHING);
    cr_assert_eq(wake, T0 + 35000);
    cr_assert_eq(step(&s, T0, 0, T0 + 35000, &wake), SLOT_PING);
    cr_assert_eq(step(&s, T0, 0, T0 + 60000, &wake), SLOT_TRACE_HUNG);
}

Test(pool_policy, a_beat_after_the_ping_calms_it)
{
    struct slot_policy s = up_since(T0);
    int64_t wake;

    slot_pinged(&s, T0 + 30000);
    cr_assert_eq(step(&s, T0 + 30001, 0, T0 + 60000, &wake), SLOT_NOTHING);
    cr_assert_eq(wake, T0 + 60001);
}

Test(pool_policy, term_is_followed_by_kill)
{
    struct slot_policy s = up_since(T0);
    int64_t wake;

    slot_set_state(&s, SLOT_TERMED, T0);
    cr_assert_eq(step(&s, T0, 0, T0 + 4999, &wake), SLOT_NOTHING);
    cr_assert_eq(wake, T0 + 5000);
    cr_assert_eq(step(&s, T0, 0, T0 + 5000, &wake), SLOT_KILL_HUNG);
    slot_set_state(&s, SLOT_KILLED, T0 + 5000);
    cr_assert_eq(step(&s, T0, 0, T0 + 500000, &wake), SLOT_NOTHING);
}

Test(pool_policy, ready_said_late_changes_nothing)
{
    struct slot_policy s = up_since(T0);

    slot_set_state(&s, SLOT_DRAINING, T0 + 1);
    slot_became_ready(&s, T0 + 2);
    cr_assert_eq(s.state, SLOT_DRAINING);
}

/* ---- what a death says ---- */

struct kind_case {
    struct death_facts f;
    enum death_kind want;
};

ParameterizedTestParameters(pool_policy, a_death_is_of_its_kind)
{
    static struct kind_case cases[] = {
        /* drained */
        {{.exit_code = 0, .asked = true, .was_ready = true}, DEATH_ASKED},
        /* drained badly */
        {{.exit_code = 70, .asked = true, .was_ready = true}, DEATH_FAULT},
        /* went by itself */
        {{.exit_code = 0, .was_ready = true}, DEATH_FAULT},
        /* crashed, also while draining */
        {{.exit_code = -1, .signal = SIGSEGV, .was_ready = true}, DEATH_FAULT},
        {{.exit_code = -1, .signal = SIGABRT, .asked = true, .was_ready = true}, DEATH_FAULT},
        /* killed by us: to stop; because it hung */
        {{.exit_code = -1, .signal = SIGKILL, .sent_by_us = true, .was_ready = true}, DEATH_ASKED},
        {{.exit_code = -1, .signal = SIGKILL, .sent_by_us = true, .hung = true, .was_ready = true}, DEATH_FAULT},
        /* killed by somebody */
        {{.exit_code = -1, .signal = SIGKILL, .was_ready = true}, DEATH_OUTSIDER},
        {{.exit_code = -1, .signal = SIGTERM, .was_ready = true}, DEATH_OUTSIDER},
        {{.exit_code = -1, .signal = SIGINT, .was_ready = true}, DEATH_FAULT},
        /* by the kernel for memory; and where /proc hides whether it was */
        {{.exit_code = -1, .signal = SIGKILL, .was_ready = true, .oom = 1}, DEATH_FAULT},
        {{.exit_code = -1, .signal = SIGKILL, .was_ready = true, .oom = -1}, DEATH_OUTSIDER},
        {{.exit_code = -1, .signal = SIGKILL, .oom = -1}, DEATH_FAULT},
    };

    return cr_make_param_array(struct kind_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct kind_case *c, pool_policy, a_death_is_of_its_kind)
{
    cr_assert_eq(death_kind_of(&c->f), c->want, "exit %d signal %d", c->f.exit_code, c->f.signal);
}

Test(pool_policy, a_child_that_drains_past_its_limit_is_killed)
{
    struct slot_policy s = up_since(T0);
    int64_t wake;

    slot_set_state(&s, SLOT_DRAINING, T0);
    cr_assert_eq(step(&s, 0, 0, T0 + 90000, &wake), SLOT_NOTHING, "the daemon's own end keeps the time");
    s.drain_by_ms = T0 + 30000;
    cr_assert_eq(step(&s, 0, 0, T0 + 29999, &wake), SLOT_NOTHING);
    cr_assert_eq(wake, T0 + 30000);
    cr_assert_eq(step(&s, 0, 0, T0 + 30000, &wake), SLOT_KILL_SLOW);
}

Test(pool_policy, a_restart_that_was_asked_for_is_no_death_to_count)
{
    struct slot_policy s = {0};

    for (int i = 0; i < 50; i++) {
        slot_started(&s, T0);
        slot_became_ready(&s, T0);
        s.retires = 1;
        cr_assert_eq(died(&s, DEATH_ASKED, T0 + 10), 0, "restart %d", i);
    }
}

static bool fault(struct pool_faults *f, int64_t now)
{
    const struct slot_death d = {.kind = DEATH_FAULT};

    return pool_fault(f, &d, 2, now, &limits);
}

Test(pool_policy, a_pool_fails_for_good_after_so_many_faults_a_child)
{
    struct pool_faults f = {0};

    for (int i = 0; i < 5; i++)
        cr_assert_not(fault(&f, T0 + i), "fault %d", i);
    cr_assert(fault(&f, T0 + 5), "three for each of two children");
    cr_assert(f.failed);
    cr_assert_eq(f.failed_ms, T0 + 5);
    cr_assert_not(fault(&f, T0 + 6), "it is said once");
}

Test(pool_policy, faults_far_apart_fail_no_pool)
{
    struct pool_faults f = {0};

    for (int i = 0; i < 50; i++)
        cr_assert_not(fault(&f, T0 + i * 20000), "fault %d", i);
}

Test(pool_policy, something_finished_in_between_begins_the_count_anew)
{
    struct pool_faults f = {0};
    const struct slot_death after_work = {.kind = DEATH_FAULT, .finished = true};

    for (int i = 0; i < 50; i++)
        cr_assert_not(pool_fault(&f, &after_work, 2, T0, &limits));
    for (int i = 0; i < 4; i++)
        cr_assert_not(fault(&f, T0));
    cr_assert_not(pool_fault(&f, &after_work, 2, T0, &limits));
    cr_assert_not(fault(&f, T0));
}

Test(pool_policy, kills_of_any_hand_documents_and_what_is_away_fail_no_pool)
{
    static const struct slot_death innocent[] = {
        {.kind = DEATH_OUTSIDER},
        {.kind = DEATH_ASKED},
        {.kind = DEATH_FAULT, .by_us = true},
        {.kind = DEATH_FAULT, .in_hand = true},
        {.kind = DEATH_FAULT, .outside = true},
    };
    struct pool_faults f = {0};

    for (int i = 0; i < 100; i++)
        cr_assert_not(pool_fault(&f, &innocent[(size_t)i % 5], 1, T0, &limits), "death %d", i);
}

Test(pool_policy, without_a_limit_no_pool_fails)
{
    struct policy_limits never = limits;
    struct pool_faults f = {0};
    const struct slot_death d = {.kind = DEATH_FAULT};

    never.fail_deaths = 0;
    for (int i = 0; i < 100; i++)
        cr_assert_not(pool_fault(&f, &d, 1, T0, &never));
}

Test(pool_policy, a_slot_that_is_forgiven_starts_at_once_and_waits_little_the_next_time)
{
    struct slot_policy s = {0};
    int64_t wake;

    for (int i = 0; i < 6; i++) {
        slot_started(&s, T0);
        (void)died(&s, DEATH_FAULT, T0);
    }
    slot_forgive(&s);
    cr_assert_eq(step(&s, 0, 0, T0 + 1, &wake), SLOT_START);
    slot_started(&s, T0);
    cr_assert_leq(died(&s, DEATH_FAULT, T0), 2000);
}

/* ---- hanging ---- */

static enum slot_action look(struct slot_policy *s, const struct slot_pulse *p, int64_t now)
{
    int64_t wake = INT64_MAX;

    slot_looked_at(s, p, now);
    return slot_step(s, p, true, now, &limits, &wake);
}

Test(pool_policy, who_hangs_is_asked_where_it_is_then_gets_term_and_then_kill)
{
    struct slot_policy s = up_since(T0);
    struct slot_pulse p = {.beat_ms = T0};
    int64_t now = T0 + 60000;

    cr_assert_eq(look(&s, &p, now), SLOT_TRACE_HUNG);
    slot_set_state(&s, SLOT_TRACED, now);
    cr_assert_eq(look(&s, &p, now + 999), SLOT_NOTHING);
    cr_assert_eq(look(&s, &p, now + 1000), SLOT_TERM_HUNG, "no answer");
    p.traced = true;
    cr_assert_eq(look(&s, &p, now + 1), SLOT_TERM_HUNG, "an answer");
    slot_set_state(&s, SLOT_TERMED, now + 1);
    cr_assert_eq(look(&s, &p, now + 5000), SLOT_NOTHING);
    cr_assert_eq(look(&s, &p, now + 5001), SLOT_KILL_HUNG);
}

Test(pool_policy, a_loop_that_beats_and_gets_nowhere_with_its_work_hangs)
{
    struct slot_policy s = up_since(T0);
    struct slot_pulse p = {.working = true, .progress = 7};
    int64_t now;

    for (now = T0; now < T0 + 900000; now += 1000) {
        p.beat_ms = now;
        cr_assert_eq(look(&s, &p, now), SLOT_NOTHING, "at %lld", (long long)(now - T0));
    }
    p.beat_ms = now;
    cr_assert_eq(look(&s, &p, now), SLOT_TRACE_HUNG);
    cr_assert_eq(slot_hangs(&s, &p, now, &limits), HANG_STUCK);
}

Test(pool_policy, any_step_and_any_rest_is_progress)
{
    struct slot_policy s = up_since(T0);
    struct slot_pulse p = {.working = true, .progress = 7};

    for (int64_t now = T0; now < T0 + 10000000; now += 100000) {
        p.beat_ms = now;
        p.progress += now % 200000 == 0;
        cr_assert_eq(look(&s, &p, now), SLOT_NOTHING);
    }
    for (int64_t now = T0 + 10000000; now < T0 + 20000000; now += 100000) {
        p.beat_ms = now;
        p.working = now % 200000 == 0;
        cr_assert_eq(look(&s, &p, now), SLOT_NOTHING);
    }
}

Test(pool_policy, after_a_suspend_nobody_hangs_for_a_while)
{
    struct slot_policy s = up_since(T0);
    struct slot_pulse p = {.beat_ms = T0, .busy_deadline_ms = T0 + 1000, .working = true};
    int64_t now = T0 + 7200000;

    (void)look(&s, &p, T0);
    slot_excuse(&s, now, &limits);
    cr_assert_neq(look(&s, &p, now), SLOT_TRACE_HUNG);
    cr_assert_neq(look(&s, &p, now + 59999), SLOT_TRACE_HUNG);
    cr_assert_eq(look(&s, &p, now + 60000), SLOT_TRACE_HUNG, "but not for ever");
}

Test(pool_policy, a_child_that_starts_has_its_time_again_after_a_suspend)
{
    struct slot_policy s = {0};
    struct slot_pulse p = {0};
    int64_t now = T0 + 7200000;

    slot_started(&s, T0);
    slot_excuse(&s, now, &limits);
    cr_assert_eq(look(&s, &p, now + 29999), SLOT_NOTHING);
    cr_assert_eq(look(&s, &p, now + 30000), SLOT_KILL_LATE);
}
