/* test_httpdate.c - HTTP's dates in their three forms, and what is none */
#include "base/httpdate.h"

#include <criterion/criterion.h>

Test(httpdate, all_three_forms_are_read)
{
    cr_expect_eq(httpdate_parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    cr_expect_eq(httpdate_parse("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
    cr_expect_eq(httpdate_parse("Sun Nov  6 08:49:37 1994"), 784111777);
    cr_expect_eq(httpdate_parse("Sun, 06 Nov 1994 08:49:37 GMT \t"), 784111777);
}

Test(httpdate, what_is_none_or_before_1970_is_minus_one)
{
    static const char *const wrong[] = {"",
                                        "tomorrow",
                                        "Sun, 06 Nov 1994 08:49:37",
                                        "Sun, 06 Nov 1994 08:49:37 GMT+1",
                                        "Sun, 06 Nov 1994 08:49:37 GMT, again",
                                        "Wed, 31 Dec 1969 23:59:59 GMT",
                                        "1994-11-06T08:49:37Z"};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_eq(httpdate_parse(wrong[i]), -1, "%s", wrong[i]);
}
