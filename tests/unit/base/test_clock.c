/*
 * test_clock.c - the clock goes forward; backoff stays in its bounds
 */
#include "base/clock.h"

#include <criterion/criterion.h>

Test(clock, milliseconds_and_nanoseconds_are_the_same_clock_going_forward)
{
    int64_t ms = clock_ms(), ns = clock_ns(), last = ns;

    cr_expect_leq(ms, ns / 1000000);
    cr_expect_lt(ns / 1000000 - ms, 5000);
    for (int i = 0; i < 1000; i++) {
        ns = clock_ns();
        cr_expect_geq(ns, last);
        last = ns;
    }
}

static void stays_between(int64_t first, int64_t cap, unsigned try_no, int64_t lo, int64_t hi)
{
    for (int i = 0; i < 200; i++) {
        int64_t b = backoff_ms(first, cap, try_no);
        cr_expect(b >= lo && b <= hi, "first %ld cap %ld try %u gave %ld", (long)first, (long)cap, try_no, (long)b);
    }
}

Test(clock, backoff_doubles_with_jitter_up_to_its_cap)
{
    stays_between(100, 1000, 0, 50, 100);
    stays_between(100, 1000, 1, 100, 200);
    stays_between(100, 1000, 3, 400, 800);
    stays_between(100, 1000, 4, 500, 1000);
    stays_between(100, 1000, 1000000, 500, 1000);
    stays_between(100, 1000, 4294967295u, 500, 1000);
    stays_between(5000, 1000, 0, 500, 1000);
}

Test(clock, backoff_at_the_edges_neither_overflows_nor_spins, .timeout = 10)
{
    stays_between(0, 1000, 4294967295u, 0, 0);
    stays_between(-5, 1000, 10, 0, 0);
    stays_between(1, 1, 3, 1, 1);
    stays_between(3, INT64_MAX, 4294967295u, INT64_MAX / 2, INT64_MAX);
    stays_between(INT64_MAX, INT64_MAX, 4294967295u, INT64_MAX / 2, INT64_MAX);
}

Test(clock, backoff_spreads_over_its_whole_range)
{
    int seen[101] = {0};

    for (int i = 0; i < 20000; i++)
        seen[backoff_ms(100, 100, 0)]++;
    for (int v = 50; v <= 100; v++)
        cr_expect_gt(seen[v], 0, "%d never came", v);
}
