/* test_suspend.c - a machine that slept and a process that was frozen are told from one that hangs */
#include "master/suspend.h"

#include <criterion/criterion.h>

#define MONO 1000000
#define BOOT 5000000 /* it has slept before */

static struct suspend_watch watch;

Test(suspend, the_first_look_sees_nothing)
{
    cr_assert_eq(suspend_look(&watch, MONO, BOOT), 0);
}

Test(suspend, looks_in_time_see_nothing)
{
    for (int64_t t = 0; t < 100000; t += 10000) {
        cr_assert_eq(suspend_look(&watch, MONO + t, BOOT + t), 0);
        suspend_next(&watch, MONO + t + 10000);
    }
}

Test(suspend, a_machine_that_slept_is_seen_by_the_clock_that_went_on)
{
    (void)suspend_look(&watch, MONO, BOOT);
    suspend_next(&watch, MONO + 10000);
    cr_assert_eq(suspend_look(&watch, MONO + 3000, BOOT + 3000 + 3600000), 3600000);
    suspend_next(&watch, MONO + 13000);
    cr_assert_eq(suspend_look(&watch, MONO + 4000, BOOT + 4000 + 3600000), 0, "once");
}

Test(suspend, a_frozen_process_is_seen_by_its_late_timer)
{
    (void)suspend_look(&watch, MONO, BOOT);
    suspend_next(&watch, MONO + 10000);
    cr_assert_eq(suspend_look(&watch, MONO + 600000, BOOT + 600000), 590000);
}

Test(suspend, a_busy_machine_is_no_suspended_one)
{
    (void)suspend_look(&watch, MONO, BOOT);
    suspend_next(&watch, MONO + 1000);
    cr_assert_eq(suspend_look(&watch, MONO + 1000 + SUSPEND_LATE_MS - 1, BOOT + 1000 + SUSPEND_LATE_MS - 1), 0);
}
