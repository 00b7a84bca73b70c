/*
 * test_reason.c - every reason has a name, a class and a sentence, and they fit where they are copied
 */
#include "core/reason.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

Test(reason, every_reason_is_complete_and_its_name_round_trips)
{
    struct error e;

    for (int i = 1; i < REASON_MAX_; i++) {
        enum reason r = (enum reason)i;
        const char *name = reason_name(r), *sentence = reason_sentence(r);
        size_t n = strlen(sentence);
        cr_expect_eq(reason_parse(name), r, "%s", name);
        cr_expect_lt(strlen(name), sizeof e.reason, "%s", name);
        cr_expect_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name), "%s", name);
        cr_expect(n > 10 && isalpha((unsigned char)sentence[0]) && sentence[n - 1] == '.', "%s: %s", name, sentence);
        cr_expect_lt(n, sizeof e.message, "%s", name);
        cr_expect(reason_class(r) > ERR_NONE && reason_class(r) <= ERR_INTERNAL, "%s", name);
        cr_expect(reason_http(r) == 0 || (reason_http(r) >= 400 && reason_http(r) <= 599), "%s", name);
    }
}

Test(reason, an_answer_fits_its_class)
{
    for (int i = 1; i < REASON_MAX_; i++) {
        enum reason r = (enum reason)i;
        int http = reason_http(r);
        if (http >= 400 && http < 500 && http != 429)
            cr_expect_eq(reason_class(r), ERR_PERMANENT, "%s", reason_name(r));
        if (http >= 500)
            cr_expect_neq(reason_class(r), ERR_PERMANENT, "%s", reason_name(r));
    }
}

Test(reason, names_are_unique)
{
    for (int i = 1; i < REASON_MAX_; i++)
        for (int j = i + 1; j < REASON_MAX_; j++)
            cr_expect_str_neq(reason_name((enum reason)i), reason_name((enum reason)j));
}

Test(reason, what_is_unknown_is_said_so)
{
    cr_expect_eq(reason_parse("no_such_reason"), REASON_NONE);
    cr_expect_eq(reason_parse(""), REASON_NONE);
    cr_expect_eq(reason_parse("none"), REASON_NONE);
    cr_expect_str_eq(reason_name((enum reason)REASON_MAX_), "internal");
    cr_expect_str_eq(reason_name((enum reason) - 1), "internal");
    cr_expect_eq(reason_class((enum reason)9999), ERR_INTERNAL);
    cr_expect_str_eq(reason_name(REASON_NONE), "none");
}

Test(reason, an_error_gets_class_name_and_sentence_of_the_table)
{
    struct error e;

    cr_expect_eq(reason_error(&e, REASON_too_large, EFBIG, NULL), -EFBIG);
    cr_expect_str_eq(e.reason, "too_large");
    cr_expect_eq(e.cls, ERR_PERMANENT);
    cr_expect_str_eq(e.message, reason_sentence(REASON_too_large));
    cr_expect_eq(reason_error(&e, REASON_db_timeout, -ETIMEDOUT, "after %d ms, 100%%", 5), -ETIMEDOUT);
    cr_expect_eq(e.cls, ERR_TRANSIENT);
    cr_expect_str_eq(e.message, "after 5 ms, 100%");
    cr_expect_eq(reason_error(NULL, REASON_db_timeout, EIO, NULL), -EIO);
}
