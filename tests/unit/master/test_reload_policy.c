/*
 * test_reload_policy.c - when a new configuration goes on, and when it is taken back
 */
#include "master/reload_policy.h"

#include <criterion/criterion.h>

static const struct reload_limits limits = {.ready_ms = 30000, .idle_ms = 3000, .trial_ms = 60000, .retire_ms = 30000};
static struct reload_plan plan;
static struct reload_view view;
static int64_t now, wake;

static enum reload_action step(void)
{
    wake = now + 1000000;
    return reload_step(&plan, &view, &limits, now, &wake);
}

static void begin(int n_pools)
{
    now = 1000;
    view = (struct reload_view){.places = 3, .former = 3};
    reload_begin(&plan, n_pools, now);
}

/* The canary is up and waits to prove itself. */
static void canary_up(void)
{
    begin(1);
    cr_assert_eq(step(), RELOAD_SEND_CANARY);
    now += 100;
    view.canary.up = true;
    view.canary.up_ms = now;
    view.former = 2;
    view.fresh = 1;
    cr_assert_eq(step(), RELOAD_WAIT);
}

static void rolling(void)
{
    canary_up();
    view.canary.done = true;
    cr_assert_eq(step(), RELOAD_TRUST);
    cr_assert_eq(plan.state, RELOAD_ROLLING);
}

/* All that the new configuration had is gone from it. */
static void expect_back(enum reload_trouble why)
{
    cr_assert_eq(step(), RELOAD_TAKE_BACK);
    cr_assert_eq(plan.trouble, why, "%s", reload_trouble_text(plan.trouble));
    view = (struct reload_view){.places = 3, .former = 1, .fresh = 2};
    cr_assert_eq(step(), RELOAD_WAIT, "one has the new one still");
    view.former = 0;
    view.pending = 1;
    cr_assert_eq(step(), RELOAD_WAIT, "its successor is not there");
    view.pending = 0;
    view.fresh = 3;
    cr_assert_eq(step(), RELOAD_OVER);
    cr_assert_eq(plan.state, RELOAD_IDLE);
    cr_assert_eq(step(), RELOAD_WAIT);
}

Test(reload_policy, without_pools_it_is_done_at_once)
{
    begin(0);
    cr_assert_eq(step(), RELOAD_COMMIT);
    cr_assert_eq(plan.state, RELOAD_IDLE);
}

Test(reload_policy, the_canary_goes_alone_and_the_others_follow_when_it_has_finished_a_job)
{
    canary_up();
    now += 2999;
    cr_assert_eq(step(), RELOAD_WAIT, "busy, and nothing finished");
    cr_assert_leq(wake, now + 100, "it is looked at often");
    view.canary.done = true;
    cr_assert_eq(step(), RELOAD_TRUST);
}

Test(reload_policy, a_canary_that_rests_for_a_while_is_proven)
{
    canary_up();
    view.canary.idle_ms = 2999;
    cr_assert_eq(step(), RELOAD_WAIT);
    view.canary.idle_ms = 3000;
    cr_assert_eq(step(), RELOAD_TRUST);
}

Test(reload_policy, rolling_ends_when_all_are_replaced_and_then_it_is_committed)
{
    rolling();
    view.former = 1;
    view.pending = 1;
    view.fresh = 1;
    cr_assert_eq(step(), RELOAD_WAIT);
    view.former = 0;
    cr_assert_eq(step(), RELOAD_WAIT);
    view.pending = 0;
    view.fresh = 2;
    cr_assert_eq(step(), RELOAD_WAIT, "a place is empty");
    view.fresh = 3;
    cr_assert_eq(step(), RELOAD_WAIT);
    cr_assert_eq(wake, now, "it goes on at once");
    cr_assert_eq(step(), RELOAD_COMMIT);
}

Test(reload_policy, each_pool_has_its_canary)
{
    begin(2);
    cr_assert_eq(step(), RELOAD_SEND_CANARY);
    view.canary.up = view.canary.done = true;
    cr_assert_eq(step(), RELOAD_TRUST);
    view = (struct reload_view){.places = 3, .fresh = 3};
    cr_assert_eq(step(), RELOAD_WAIT);
    cr_assert_eq(plan.at, 1);
    view = (struct reload_view){.places = 1, .former = 1};
    cr_assert_eq(step(), RELOAD_SEND_CANARY);
    cr_assert_eq(step(), RELOAD_WAIT);
}

Test(reload_policy, a_pool_that_should_have_nobody_needs_no_canary)
{
    begin(1);
    view = (struct reload_view){0};
    cr_assert_eq(step(), RELOAD_TRUST);
    cr_assert_eq(step(), RELOAD_WAIT);
    cr_assert_eq(step(), RELOAD_COMMIT);
}

Test(reload_policy, a_canary_that_dies_takes_it_back)
{
    begin(1);
    cr_assert_eq(step(), RELOAD_SEND_CANARY);
    reload_child_died(&plan, true, false);
    expect_back(RELOAD_TROUBLE_CANARY_DIED);
}

Test(reload_policy, a_canary_that_dies_after_it_was_ready_takes_it_back_too)
{
    canary_up();
    reload_child_died(&plan, true, true);
    view.canary.done = true; /* whatever it did before */
    expect_back(RELOAD_TROUBLE_CANARY_DIED);
}

Test(reload_policy, a_canary_with_a_fault_of_the_configuration_takes_it_back)
{
    canary_up();
    view.canary.fault = view.canary.done = true;
    expect_back(RELOAD_TROUBLE_CANARY_FAULT);
}

Test(reload_policy, a_canary_that_shows_nothing_in_time_takes_it_back)
{
    canary_up();
    now += limits.trial_ms;
    expect_back(RELOAD_TROUBLE_CANARY_IDLE);
}

Test(reload_policy, a_canary_that_never_comes_takes_it_back)
{
    begin(1);
    cr_assert_eq(step(), RELOAD_SEND_CANARY);
    now += limits.ready_ms + limits.retire_ms;
    cr_assert_eq(step(), RELOAD_WAIT, "it may have to wait for room");
    now += 5000;
    expect_back(RELOAD_TROUBLE_CANARY_LATE);
}

Test(reload_policy, a_later_child_that_dies_before_it_is_ready_takes_it_back)
{
    rolling();
    reload_child_died(&plan, false, true);
    cr_assert_eq(step(), RELOAD_WAIT, "after that it is everyday life");
    reload_child_died(&plan, false, false);
    expect_back(RELOAD_TROUBLE_CHILD_DIED);
}

Test(reload_policy, children_that_cannot_be_replaced_take_it_back)
{
    rolling();
    view.former = 2;
    cr_assert_eq(step(), RELOAD_WAIT);
    now += limits.ready_ms + limits.retire_ms + 4000;
    view.former = 1;
    cr_assert_eq(step(), RELOAD_WAIT, "it moves");
    now += limits.ready_ms + limits.retire_ms + 4000;
    cr_assert_eq(step(), RELOAD_WAIT);
    now += 1000;
    expect_back(RELOAD_TROUBLE_STUCK);
}

Test(reload_policy, coming_back_does_not_wait_for_ever)
{
    canary_up();
    reload_child_died(&plan, true, true);
    cr_assert_eq(step(), RELOAD_TAKE_BACK);
    view = (struct reload_view){.places = 3, .fresh = 2, .pending = 1};
    cr_assert_eq(step(), RELOAD_WAIT);
    reload_child_died(&plan, false, false);
    cr_assert_eq(step(), RELOAD_WAIT, "there is nothing further to go back to");
    now += limits.ready_ms + limits.retire_ms + 5000;
    cr_assert_eq(step(), RELOAD_OVER);
}

Test(reload_policy, the_first_trouble_is_the_one_that_is_told)
{
    canary_up();
    reload_child_died(&plan, true, true);
    reload_child_died(&plan, false, false);
    cr_assert_eq(step(), RELOAD_TAKE_BACK);
    cr_assert_eq(plan.trouble, RELOAD_TROUBLE_CANARY_DIED);
}

Test(reload_policy, deaths_while_none_runs_are_nobodys)
{
    plan = (struct reload_plan){0};
    reload_child_died(&plan, true, false);
    cr_assert_eq(plan.trouble, RELOAD_TROUBLE_NONE);
    cr_assert_eq(step(), RELOAD_WAIT);
}
