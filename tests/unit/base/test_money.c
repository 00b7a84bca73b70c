/* test_money.c - amounts are exact, and what does not fit is said */
#include "base/money.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>

static int64_t amount(const char *text)
{
    int64_t v = -7;

    cr_assert_eq(money_parse(text, MONEY_DECIMALS, &v), 0, "%s", text);
    return v;
}

Test(money, text_is_read_to_the_last_decimal_and_written_the_same)
{
    static const char *const same[] = {"0",    "12",      "0.02",     "0.000000000001",        "1.5",
                                       "-1.5", "0.00125", "-0.00002", "-9223372.036854775808", "9223372.036854775807"};
    char buf[MONEY_TEXT];

    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        cr_assert_str_eq(money_text(amount(same[i]), buf), same[i]);
    cr_assert_eq(amount("0.00125"), 1250000000);
    cr_assert_str_eq(money_text(amount("007.500"), buf), "7.5");
    cr_assert_eq(amount("-0"), 0);
}

Test(money, what_is_no_amount_is_refused)
{
    static const char *const wrong[] = {"",   "-",   ".5",  "1.",    "1e3", "+1",  " 1",
                                        "1 ", "1,5", "0x1", "1.2.3", "nan", "--1", "0.0000000000001"};
    int64_t v = 42;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(money_parse(wrong[i], MONEY_DECIMALS, &v), -EINVAL, "%s", wrong[i]);
    cr_assert_eq(money_parse("9223372.036854775808", MONEY_DECIMALS, &v), -ERANGE);
    cr_assert_eq(money_parse("99999999999999999999999", MONEY_DECIMALS, &v), -ERANGE);
    cr_assert_eq(money_parse("-9223372.036854775809", MONEY_DECIMALS, &v), -ERANGE);
    cr_assert_eq(v, 42, "left alone");
}

Test(money, a_price_per_million_tokens_is_exact_for_one_token)
{
    int64_t each, cost;
    char buf[MONEY_TEXT];

    cr_assert_eq(money_parse_per_million("0.02", &each), 0);
    cr_assert_eq(each, 20000);
    cr_assert_eq(money_times(each, 1234567, &cost), 0);
    cr_assert_str_eq(money_text(cost, buf), "0.02469134");
    cr_assert_eq(money_parse_per_million("0.000001", &each), 0);
    cr_assert_eq(each, 1);
    cr_assert_eq(money_parse_per_million("0.0000001", &each), -EINVAL);
}

Test(money, a_product_that_does_not_fit_is_said)
{
    int64_t v = 1;

    cr_assert_eq(money_times(INT64_MAX / 2, 3, &v), -ERANGE);
    cr_assert_eq(v, 1);
}
