/* test_pool_plan.c - which slots hold a pool's children, and in which order they are replaced */
#include "master/pool_plan.h"

#include <criterion/criterion.h>

#define MAX 8

static struct slot_policy slots[MAX];
static struct slot_policy *const all[MAX] = {&slots[0], &slots[1], &slots[2], &slots[3],
                                             &slots[4], &slots[5], &slots[6], &slots[7]};
static bool busy[MAX];

/* n slots, of which the first `held` hold a child that is up. */
static void pool_of(int held)
{
    for (int i = 0; i < held; i++) {
        slots[i].place = PLACE_HELD;
        slots[i].state = SLOT_UP;
    }
}

static struct pool_action step(int n, int target)
{
    const struct pool_goal goal = {.target = target, .overlap = true};
    struct pool_action a = pool_plan_step(all, busy, n, &goal);

    pool_plan_apply(all, n, &a);
    return a;
}

#define expect(a, k, s)                                                                                                \
    do {                                                                                                               \
        struct pool_action got = (a);                                                                                  \
        cr_assert_eq(got.kind, k, "kind %d", got.kind);                                                                \
        if (k != POOL_NOTHING)                                                                                         \
            cr_assert_eq(got.slot, s, "slot %d", got.slot);                                                            \
    } while (0)

static void dies(int n, int i)
{
    slots[i].state = SLOT_EMPTY;
    pool_plan_child_gone(all, n, i);
}

Test(pool_plan, a_pool_that_has_what_it_should_is_left_alone)
{
    pool_of(3);
    expect(step(5, 3), POOL_NOTHING, 0);
}

Test(pool_plan, free_slots_are_held_until_there_are_enough)
{
    expect(step(5, 2), POOL_HOLD, 0);
    expect(step(5, 2), POOL_HOLD, 1);
    expect(step(5, 2), POOL_NOTHING, 0);
}

Test(pool_plan, a_successor_starts_at_once_and_the_elder_drains_when_it_is_ready)
{
    struct pool_action a;

    pool_of(2);
    slot_wish(&slots[0], RETIRE_AGE);
    a = step(3, 2);
    expect(a, POOL_REPLACE, 0);
    cr_assert_eq(a.successor, 2);
    cr_assert_eq(slots[0].place, PLACE_RETIRING, "it no longer counts");
    cr_assert_eq(slots[2].place, PLACE_HELD);
    expect(step(3, 2), POOL_NOTHING, 0);
    slots[2].state = SLOT_STARTING;
    expect(step(3, 2), POOL_NOTHING, 0);
    slots[2].state = SLOT_UP;
    expect(step(3, 2), POOL_DRAIN, 0);
    slots[0].state = SLOT_DRAINING;
    expect(step(3, 2), POOL_NOTHING, 0);
    dies(3, 0);
    cr_assert_eq(slots[0].place, PLACE_FREE);
    expect(step(3, 2), POOL_NOTHING, 0);
}

Test(pool_plan, a_child_that_uses_too_much_memory_drains_at_once)
{
    pool_of(1);
    slot_wish(&slots[0], RETIRE_MEMORY);
    expect(step(2, 1), POOL_REPLACE, 0);
    expect(step(2, 1), POOL_DRAIN, 0);
}

Test(pool_plan, while_the_successor_cannot_start_the_elder_goes_on)
{
    pool_of(1);
    slot_wish(&slots[0], RETIRE_RELOAD);
    expect(step(2, 1), POOL_REPLACE, 0);
    for (int i = 0; i < 3; i++) {
        slots[1].state = SLOT_STARTING;
        expect(step(2, 1), POOL_NOTHING, 0);
        dies(2, 1);
        cr_assert_eq(slots[1].place, PLACE_HELD, "its slot waits for the next try");
        expect(step(2, 1), POOL_NOTHING, 0);
    }
    cr_assert_eq(slots[0].state, SLOT_UP);
}

Test(pool_plan, no_more_retire_at_once_than_there_is_room_for)
{
    pool_of(4);
    for (int i = 0; i < 4; i++)
        slot_wish(&slots[i], RETIRE_RECYCLE);
    expect(step(5, 4), POOL_REPLACE, 0);
    expect(step(5, 4), POOL_NOTHING, 0);
    slots[4].state = SLOT_UP;
    expect(step(5, 4), POOL_DRAIN, 0);
    slots[0].state = SLOT_DRAINING;
    expect(step(5, 4), POOL_NOTHING, 0);
    dies(5, 0);
    expect(step(5, 4), POOL_REPLACE, 1);
}

Test(pool_plan, an_elder_that_dies_before_it_drained_leaves_its_successor_in_place)
{
    pool_of(1);
    slot_wish(&slots[0], RETIRE_JOBS);
    expect(step(2, 1), POOL_REPLACE, 0);
    dies(2, 0);
    cr_assert_eq(slots[0].place, PLACE_FREE);
    cr_assert_eq(slots[1].relieves, 0);
    slots[1].state = SLOT_UP;
    expect(step(2, 1), POOL_NOTHING, 0);
}

Test(pool_plan, a_restart_stays_in_its_slot)
{
    pool_of(2);
    slot_wish(&slots[1], RETIRE_RESTART);
    expect(step(3, 2), POOL_RESTART, 1);
    slots[1].state = SLOT_DRAINING;
    expect(step(3, 2), POOL_NOTHING, 0);
    dies(3, 1);
    cr_assert_eq(slots[1].place, PLACE_HELD);
    expect(step(3, 2), POOL_NOTHING, 0);
}

Test(pool_plan, where_two_cannot_be_at_once_every_retirement_is_a_restart)
{
    const struct pool_goal goal = {.target = 1, .overlap = false};
    struct pool_action a;

    pool_of(1);
    slot_wish(&slots[0], RETIRE_RELOAD);
    a = pool_plan_step(all, busy, 1, &goal);
    expect(a, POOL_RESTART, 0);
}

Test(pool_plan, who_is_not_up_yet_is_replaced_when_it_is)
{
    pool_of(1);
    slots[0].state = SLOT_STARTING;
    slot_wish(&slots[0], RETIRE_RELOAD);
    expect(step(2, 1), POOL_NOTHING, 0);
    slots[0].state = SLOT_UP;
    expect(step(2, 1), POOL_REPLACE, 0);
}

Test(pool_plan, a_slot_without_a_child_needs_no_replacement)
{
    pool_of(1);
    slots[0].state = SLOT_EMPTY;
    slot_wish(&slots[0], RETIRE_RELOAD);
    cr_assert_eq(slots[0].wish, RETIRE_NOT);
}

Test(pool_plan, of_too_many_the_waiting_go_first_then_the_starting_the_idle_and_the_busy)
{
    pool_of(5);
    busy[3] = true;
    slots[0].state = SLOT_EMPTY;
    slots[1].state = SLOT_STARTING;
    expect(step(6, 4), POOL_RELEASE, 0);
    cr_assert_eq(slots[0].place, PLACE_FREE);
    expect(step(6, 3), POOL_RELEASE, 1);
    expect(step(6, 2), POOL_RELEASE, 4);
    expect(step(6, 2), POOL_DRAIN, 4);
    slots[4].state = SLOT_DRAINING;
    expect(step(6, 1), POOL_RELEASE, 2);
    expect(step(6, 1), POOL_DRAIN, 2);
    slots[2].state = SLOT_DRAINING;
    cr_assert_eq(slots[3].place, PLACE_HELD, "the busy one stays");
}

Test(pool_plan, who_retires_is_not_counted_when_there_are_too_few)
{
    pool_of(2);
    slot_wish(&slots[0], RETIRE_AGE);
    expect(step(4, 2), POOL_REPLACE, 0);
    expect(step(4, 3), POOL_HOLD, 3);
    expect(step(4, 3), POOL_NOTHING, 0);
}

Test(pool_plan, a_more_pressing_wish_goes_above_a_lesser_one)
{
    pool_of(1);
    slot_wish(&slots[0], RETIRE_AGE);
    slot_wish(&slots[0], RETIRE_MEMORY);
    cr_assert_eq(slots[0].wish, RETIRE_MEMORY);
    slot_wish(&slots[0], RETIRE_JOBS);
    cr_assert_eq(slots[0].wish, RETIRE_MEMORY);
    slot_wish(&slots[0], RETIRE_RESTART);
    cr_assert_eq(slots[0].wish, RETIRE_RESTART);
}
