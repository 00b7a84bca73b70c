/* test_pool_size.c - more children when there is work for them, fewer when there is not */
#include "master/pool_size.h"

#include <criterion/criterion.h>

#define T0      1000000
#define IDLE_MS 30000
#define DOWN_MS (IDLE_MS / SIZE_DOWN_PART)

static const struct pool_range range = {.min = 2, .max = 20, .spare = 0, .idle_ms = IDLE_MS};
static struct pool_size size;
static int64_t now = T0, wake;

static int look(const struct pool_range *r, int idle, int busy, bool waits)
{
    const struct pool_load l = {.held = idle + busy, .idle = idle, .busy = busy, .waits = waits};

    wake = INT64_MAX;
    pool_size_step(&size, r, &l, now, &wake);
    return size.size;
}

Test(pool_size, a_pool_begins_with_its_least)
{
    const struct pool_range spared = {.min = 1, .max = 4, .spare = 3};

    pool_size_begin(&size, &range);
    cr_assert_eq(size.size, 2);
    pool_size_begin(&size, &spared);
    cr_assert_eq(size.size, 3, "and its spare ones");
}

Test(pool_size, a_pool_of_one_size_keeps_it_and_wakes_nobody)
{
    const struct pool_range fixed = {.min = 3, .max = 3};

    pool_size_begin(&size, &fixed);
    cr_assert_eq(look(&fixed, 0, 3, true), 3);
    cr_assert_eq(look(&fixed, 3, 0, false), 3);
    cr_assert_eq(wake, INT64_MAX);
}

Test(pool_size, all_busy_and_work_waiting_grows_it_faster_and_faster_up_to_its_most)
{
    static const int sizes[] = {3, 5, 9, 17, 20, 20};

    pool_size_begin(&size, &range);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        cr_assert_eq(look(&range, 0, size.size, true), sizes[i], "look %zu: %d", i, size.size);
        cr_assert_eq(wake, now + SIZE_LOOK_MS);
        now += SIZE_UP_MS;
    }
}

Test(pool_size, it_grows_once_in_a_second_at_most)
{
    pool_size_begin(&size, &range);
    cr_assert_eq(look(&range, 0, 2, true), 3);
    now += SIZE_UP_MS - 1;
    cr_assert_eq(look(&range, 0, 3, true), 3);
}

Test(pool_size, what_was_added_comes_into_its_own_first)
{
    pool_size_begin(&size, &range);
    cr_assert_eq(look(&range, 0, 2, true), 3);
    now += 5000;
    cr_assert_eq(look(&range, 1, 2, true), 3, "one is starting");
    cr_assert_eq(look(&range, 0, 2, true), 3, "one is wanted and not there yet");
}

Test(pool_size, a_pool_whose_children_do_not_come_up_does_not_grow)
{
    const struct pool_load waiting = {.held = 2, .waits = true}, half = {.held = 2, .busy = 1, .waits = true};

    pool_size_begin(&size, &range);
    for (int i = 0; i < 10; i++, now += 5000) {
        pool_size_step(&size, &range, &waiting, now, &wake);
        pool_size_step(&size, &range, &half, now, &wake);
    }
    cr_assert_eq(size.size, 2);
}

Test(pool_size, busy_without_work_waiting_is_enough)
{
    pool_size_begin(&size, &range);
    cr_assert_eq(look(&range, 0, 2, false), 2);
}

Test(pool_size, spare_ones_are_there_beyond_the_busy)
{
    const struct pool_range spared = {.min = 1, .max = 10, .spare = 2};

    pool_size_begin(&size, &spared);
    cr_assert_eq(size.size, 2);
    cr_assert_eq(look(&spared, 1, 1, false), 3);
    cr_assert_eq(look(&spared, 0, 3, false), 5);
    now += 100;
    cr_assert_eq(look(&spared, 0, 9, false), 10, "up to its most");
}

Test(pool_size, from_none_it_grows_when_work_waits)
{
    const struct pool_range none = {.min = 0, .max = 4};

    pool_size_begin(&size, &none);
    cr_assert_eq(look(&none, 0, 0, false), 0);
    cr_assert_eq(look(&none, 0, 0, true), 1);
}

Test(pool_size, it_shrinks_one_at_a_time_after_a_while_without_work)
{
    pool_size_begin(&size, &range);
    size.size = 5;
    cr_assert_eq(look(&range, 5, 0, false), 5);
    now += IDLE_MS - 1;
    cr_assert_eq(look(&range, 5, 0, false), 5);
    now += 1;
    cr_assert_eq(look(&range, 5, 0, false), 4);
    cr_assert_eq(look(&range, 4, 0, false), 4);
    now += DOWN_MS;
    cr_assert_eq(look(&range, 4, 0, false), 3);
    now += DOWN_MS;
    cr_assert_eq(look(&range, 3, 0, false), 2);
    now += DOWN_MS;
    cr_assert_eq(look(&range, 2, 0, false), 2, "not below its least");
}

Test(pool_size, a_moment_of_work_begins_the_wait_anew)
{
    pool_size_begin(&size, &range);
    size.size = 4;
    cr_assert_eq(look(&range, 4, 0, false), 4);
    now += IDLE_MS - 1;
    cr_assert_eq(look(&range, 0, 4, false), 4);
    now += 1;
    cr_assert_eq(look(&range, 4, 0, false), 4);
    now += IDLE_MS - 1;
    cr_assert_eq(look(&range, 4, 0, false), 4);
}

Test(pool_size, it_says_when_it_is_to_be_asked_again)
{
    const struct pool_range brief = {.min = 2, .max = 20, .idle_ms = 600};

    pool_size_begin(&size, &brief);
    size.size = 4;
    cr_assert_eq(look(&brief, 4, 0, false), 4);
    cr_assert_eq(wake, now + 600);
    now += 600;
    cr_assert_eq(look(&brief, 4, 0, false), 3);
    cr_assert_eq(look(&brief, 3, 0, false), 3);
    cr_assert_eq(wake, now + 100);
}
