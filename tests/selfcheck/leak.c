/*
 * leak.c - a criterion test that passes and leaks
 *
 * Built and run by scripts/test to show that a leak is caught: the program itself ends with status 0, only the
 * sanitizer's report betrays it.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(selfcheck, leaks_on_purpose)
{
    void *volatile lost = malloc(4321);
    cr_assert(lost != NULL);
    memset(lost, 1, 1);
    lost = NULL;
}
