/*
 * test_error.c - struct error: filled, cut, cleared
 */
#include "base/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(error, set_fills_everything_and_returns_the_code_made_negative)
{
    struct error e;

    memset(&e, 'x', sizeof e);
    cr_expect_eq(error_set(&e, EIO, ERR_TRANSIENT, "db_timeout", "waited %d ms", 5), -EIO);
    cr_expect_eq(e.code, -EIO);
    cr_expect_eq(e.cls, ERR_TRANSIENT);
    cr_expect_str_eq(e.reason, "db_timeout");
    cr_expect_str_eq(e.message, "waited 5 ms");
    cr_expect_str_eq(e.hint, "");
    cr_expect_eq(error_set(&e, -EIO, ERR_TRANSIENT, "x", "y"), -EIO);
}

Test(error, without_a_struct_only_the_code_is_returned)
{
    cr_expect_eq(error_set(NULL, -EINVAL, ERR_PERMANENT, "x", "y"), -EINVAL);
    error_hint(NULL, "nothing");
    error_clear(NULL);
}

Test(error, long_texts_are_cut)
{
    struct error e;
    char big[2000];

    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    (void)error_set(&e, EIO, ERR_INTERNAL, big, "%s", big);
    error_hint(&e, "%s", big);
    cr_expect_eq(strlen(e.reason), sizeof e.reason - 1);
    cr_expect_eq(strlen(e.message), sizeof e.message - 1);
    cr_expect_eq(strlen(e.hint), sizeof e.hint - 1);
}

Test(error, a_new_error_has_no_hint_of_the_last_one)
{
    struct error e;

    (void)error_set(&e, EIO, ERR_INTERNAL, "a", "b");
    error_hint(&e, "try %s", "this");
    cr_expect_str_eq(e.hint, "try this");
    (void)error_set(&e, EIO, ERR_INTERNAL, "c", "d");
    cr_expect_str_eq(e.hint, "");
    error_clear(&e);
    cr_expect_eq(e.code, 0);
    cr_expect_str_eq(e.message, "");
}
