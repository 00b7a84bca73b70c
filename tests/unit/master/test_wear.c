/* test_wear.c - when a child has done enough */
#include "master/wear.h"

#include <criterion/criterion.h>

#define MB ((int64_t)1024 * 1024)

static const struct wear_limits limits = {.max_jobs = 1000, .max_age_ms = 100000, .max_memory = 100 * MB};

Test(wear, without_limits_a_child_stays)
{
    const struct wear_limits none = {0};
    const struct wear w = {.jobs = 1u << 30, .age_ms = INT64_MAX / 2, .memory = INT64_MAX / 2};

    cr_assert_eq(wear_verdict(&none, &w, 0), RETIRE_NOT);
    cr_assert(wear_memory_is_possible(&none, INT64_MAX / 2));
}

Test(wear, each_limit_by_itself_is_enough)
{
    const struct wear below = {.jobs = 999, .age_ms = 99999, .memory = 100 * MB};
    const struct wear jobs = {.jobs = 1000}, age = {.age_ms = 100000}, memory = {.memory = 100 * MB + 1};

    cr_assert_eq(wear_verdict(&limits, &below, 0), RETIRE_NOT);
    cr_assert_eq(wear_verdict(&limits, &jobs, 0), RETIRE_JOBS);
    cr_assert_eq(wear_verdict(&limits, &age, 0), RETIRE_AGE);
    cr_assert_eq(wear_verdict(&limits, &memory, 0), RETIRE_MEMORY);
}

Test(wear, jitter_takes_up_to_a_fifth_off_and_never_adds)
{
    const struct wear at_800 = {.jobs = 801}, at_799 = {.jobs = 799};

    cr_assert_eq(wear_verdict(&limits, &at_800, 1023), RETIRE_JOBS);
    cr_assert_eq(wear_verdict(&limits, &at_799, 1023), RETIRE_NOT);
    for (unsigned j = 0; j < 1024; j++) {
        const struct wear full = {.jobs = 1000};
        cr_assert_eq(wear_verdict(&limits, &full, j), RETIRE_JOBS);
    }
}

Test(wear, a_limit_of_one_job_means_one)
{
    const struct wear_limits one = {.max_jobs = 1};
    const struct wear none = {.jobs = 0}, first = {.jobs = 1};

    cr_assert_eq(wear_verdict(&one, &none, 1023), RETIRE_NOT);
    cr_assert_eq(wear_verdict(&one, &first, 0), RETIRE_JOBS);
}

Test(wear, children_that_started_together_do_not_go_together)
{
    unsigned least = 1024, most = 0;

    for (int64_t serial = 1; serial <= 16; serial++) {
        unsigned j = wear_jitter(serial);

        cr_assert_lt(j, 1024);
        least = j < least ? j : least;
        most = j > most ? j : most;
    }
    cr_assert_gt(most - least, 800, "%u to %u", least, most);
}

Test(wear, a_memory_limit_that_a_fresh_child_does_not_stay_well_below_is_refused)
{
    cr_assert(wear_memory_is_possible(&limits, 80 * MB));
    cr_assert_not(wear_memory_is_possible(&limits, 81 * MB));
    cr_assert_not(wear_memory_is_possible(&limits, 200 * MB));
}
