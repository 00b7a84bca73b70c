/* test_stop_policy.c - the order of going, and when patience ends */
#include "master/stop_policy.h"

#include <criterion/criterion.h>

#define T0 1000000

static enum stop_action at(struct stop_plan *p, int64_t now, int front, int coord, int deaths, int64_t *wake)
{
    struct stop_view v = {.front_alive = front, .coord_alive = coord, .deaths_unanswered = deaths};

    *wake = INT64_MAX;
    return stop_step(p, &v, now, wake);
}

Test(stop_policy, nothing_happens_unasked)
{
    struct stop_plan p = {0};
    int64_t wake;

    cr_assert_eq(at(&p, T0, 0, 0, 0, &wake), STOP_WAIT);
    cr_assert_eq(wake, INT64_MAX);
}

Test(stop_policy, the_front_goes_first_the_coordinator_last)
{
    struct stop_plan p = {0};
    int64_t wake;

    stop_begin(&p, STOP_DRAIN, 30000, T0);
    cr_assert_eq(at(&p, T0, 3, 1, 0, &wake), STOP_DRAIN_FRONT);
    cr_assert_eq(at(&p, T0, 3, 1, 0, &wake), STOP_WAIT);
    cr_assert_eq(wake, T0 + 28000);
    cr_assert_eq(at(&p, T0 + 50, 0, 1, 0, &wake), STOP_DRAIN_COORD);
    cr_assert_eq(at(&p, T0 + 60, 0, 1, 0, &wake), STOP_WAIT);
    cr_assert_eq(wake, T0 + 30000);
    cr_assert_eq(at(&p, T0 + 70, 0, 0, 0, &wake), STOP_DONE);
}

Test(stop_policy, the_coordinator_is_kept_until_it_released_what_the_dead_held)
{
    struct stop_plan p = {0};
    int64_t wake;

    stop_begin(&p, STOP_DRAIN, 30000, T0);
    (void)at(&p, T0, 1, 1, 0, &wake);
    cr_assert_eq(at(&p, T0 + 10, 0, 1, 2, &wake), STOP_WAIT);
    cr_assert_eq(at(&p, T0 + 20, 0, 1, 0, &wake), STOP_DRAIN_COORD);
}

Test(stop_policy, but_not_for_ever)
{
    struct stop_plan p = {0};
    int64_t wake;

    stop_begin(&p, STOP_DRAIN, 30000, T0);
    (void)at(&p, T0, 1, 1, 0, &wake);
    cr_assert_eq(at(&p, T0 + 28900, 0, 1, 2, &wake), STOP_WAIT);
    cr_assert_eq(wake, T0 + 29000);
    cr_assert_eq(at(&p, T0 + 29000, 0, 1, 2, &wake), STOP_DRAIN_COORD);
    cr_assert_eq(at(&p, T0 + 30000, 0, 1, 2, &wake), STOP_KILL_ALL);
}

Test(stop_policy, who_does_not_finish_is_killed_before_the_limit)
{
    struct stop_plan p = {0};
    int64_t wake;

    stop_begin(&p, STOP_DRAIN, 30000, T0);
    (void)at(&p, T0, 1, 1, 0, &wake);
    cr_assert_eq(at(&p, T0 + 28000, 1, 1, 0, &wake), STOP_KILL_FRONT);
    cr_assert_eq(at(&p, T0 + 28001, 1, 1, 0, &wake), STOP_WAIT);
    cr_assert_eq(wake, T0 + 30000);
}

Test(stop_policy, a_second_term_leaves_two_seconds)
{
    struct stop_plan p = {0};
    int64_t wake;

    stop_begin(&p, STOP_DRAIN, 30000, T0);
    (void)at(&p, T0, 1, 1, 0, &wake);
    stop_begin(&p, STOP_FAST, 30000, T0 + 1000);
    cr_assert_eq(at(&p, T0 + 1000, 1, 1, 0, &wake), STOP_DRAIN_FRONT, "the shorter limit is said");
    cr_assert_leq(stop_front_limit_ms(&p, T0 + 1000), 1500);
    cr_assert_eq(at(&p, T0 + 2500, 1, 1, 0, &wake), STOP_KILL_FRONT);
    cr_assert_eq(at(&p, T0 + 3000, 0, 1, 0, &wake), STOP_KILL_ALL);
}

Test(stop_policy, a_coordinator_that_drains_already_is_told_to_hurry)
{
    struct stop_plan p = {0};
    int64_t wake;

    stop_begin(&p, STOP_DRAIN, 30000, T0);
    cr_assert_eq(at(&p, T0, 0, 1, 0, &wake), STOP_DRAIN_COORD);
    stop_begin(&p, STOP_FAST, 30000, T0 + 1000);
    cr_assert_eq(at(&p, T0 + 1000, 0, 1, 0, &wake), STOP_DRAIN_COORD);
    cr_assert_leq(stop_coord_limit_ms(&p, T0 + 1000), 2000);
}

Test(stop_policy, hurry_never_makes_it_longer)
{
    struct stop_plan p = {0};

    stop_begin(&p, STOP_DRAIN, 3000, T0);
    stop_begin(&p, STOP_FAST, 30000, T0 + 2500);
    cr_assert_eq(p.all_by_ms, T0 + 3000);
    stop_begin(&p, STOP_DRAIN, 30000, T0 + 2600);
    cr_assert_eq(p.mode, STOP_FAST);
    cr_assert_eq(p.all_by_ms, T0 + 3000);
}

Test(stop_policy, quit_kills_at_once)
{
    struct stop_plan p = {0};
    int64_t wake;

    stop_begin(&p, STOP_NOW, 0, T0);
    cr_assert_eq(at(&p, T0, 3, 1, 5, &wake), STOP_KILL_ALL);
    cr_assert_eq(at(&p, T0, 3, 1, 5, &wake), STOP_WAIT);
    cr_assert_eq(at(&p, T0 + 1, 0, 0, 5, &wake), STOP_DONE);
}

Test(stop_policy, quit_while_draining_kills_at_once)
{
    struct stop_plan p = {0};
    int64_t wake;

    stop_begin(&p, STOP_DRAIN, 30000, T0);
    (void)at(&p, T0, 3, 1, 0, &wake);
    stop_begin(&p, STOP_NOW, 0, T0 + 5);
    cr_assert_eq(at(&p, T0 + 5, 3, 1, 0, &wake), STOP_KILL_ALL);
}

Test(stop_policy, a_child_that_cannot_even_die_does_not_keep_the_daemon)
{
    struct stop_plan p = {0};
    int64_t wake;

    stop_begin(&p, STOP_NOW, 0, T0);
    (void)at(&p, T0, 1, 0, 0, &wake);
    cr_assert_eq(at(&p, T0 + 4999, 1, 0, 0, &wake), STOP_WAIT);
    cr_assert_eq(wake, T0 + 5000);
    cr_assert_eq(at(&p, T0 + 5000, 1, 0, 0, &wake), STOP_DONE);
}

Test(stop_policy, children_are_told_less_than_they_have)
{
    struct stop_plan p = {0};

    stop_begin(&p, STOP_DRAIN, 30000, T0);
    cr_assert_eq(stop_front_limit_ms(&p, T0), 27500);
    cr_assert_eq(stop_coord_limit_ms(&p, T0), 29500);
    cr_assert_eq(stop_front_limit_ms(&p, T0 + 100000), 0);
}
