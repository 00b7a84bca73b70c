/* money.c - see money.h */
#include "base/money.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Appends one decimal digit to a number that grows away from zero on the negative side, where there is more room. */
static int push_digit(int64_t *negative, int digit)
{
    int64_t v;

    if (__builtin_mul_overflow(*negative, 10, &v) || __builtin_sub_overflow(v, digit, &v))
        return -ERANGE;
    *negative = v;
    return 0;
}

int money_parse(const char *text, int max_decimals, int64_t *picodollars)
{
    bool minus = text[0] == '-';
    const char *p = text + minus;
    int64_t v = 0;
    int decimals = 0, rc = 0;

    if (!isdigit((unsigned char)*p))
        return -EINVAL;
    for (; rc == 0 && isdigit((unsigned char)*p); p++)
        rc = push_digit(&v, *p - '0');
    if (*p == '.') {
        for (p++; isdigit((unsigned char)*p); p++) {
            if (++decimals > max_decimals)
                return -EINVAL;
            rc = rc == 0 ? push_digit(&v, *p - '0') : rc;
        }
        if (decimals == 0)
            return -EINVAL;
    }
    if (*p != '\0' && rc == 0)
        return -EINVAL;
    for (; rc == 0 && decimals < MONEY_DECIMALS; decimals++)
        rc = push_digit(&v, 0);
    if (rc == 0 && !minus && __builtin_sub_overflow(0, v, &v))
        rc = -ERANGE;
    if (rc == 0)
        *picodollars = v;
    return rc;
}

int money_parse_per_million(const char *text, int64_t *picodollars_each)
{
    int64_t million;
    int rc = money_parse(text, MONEY_PER_MILLION_DECIMALS, &million);

    if (rc == 0)
        *picodollars_each = million / 1000000; /* exact: the last six of twelve decimals are zeros */
    return rc;
}

const char *money_text(int64_t picodollars, char buf[MONEY_TEXT])
{
    /* The absolute value as unsigned, so that the smallest number has one. */
    unsigned long long v = picodollars < 0 ? 0 - (unsigned long long)picodollars : (unsigned long long)picodollars;
    size_t n;

    snprintf(buf, MONEY_TEXT, "%s%llu.%012llu", picodollars < 0 ? "-" : "", v / MONEY_DOLLAR, v % MONEY_DOLLAR);
    for (n = strlen(buf); buf[n - 1] == '0'; n--)
        ;
    if (buf[n - 1] == '.')
        n--;
    buf[n] = '\0';
    return buf;
}

int money_times(int64_t each, int64_t count, int64_t *out)
{
    int64_t v;

    if (__builtin_mul_overflow(each, count, &v))
        return -ERANGE;
    *out = v;
    return 0;
}
