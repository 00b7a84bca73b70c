/*
 * one_at_a_time.c - linked into the unit tests of the sanitizer build: no tests side by side
 *
 * criterion 2.4.1's runner leaks when tests of unequal length run side by side, and its frames are in every test's
 * stack, so that the report cannot be suppressed without suppressing ours.
 */
#include <stdlib.h>

static __attribute__((constructor)) void run_one_at_a_time(void)
{
    setenv("CRITERION_JOBS", "1", 0);
}
