/* test_ratehead.c - durations, waits and limits as services send them */
#include "headers.h"
#include "provider/ratehead.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(ratehead, go_durations_are_read)
{
    static const struct {
        const char *text;
        int64_t ms;
    } v[] = {
        {"12ms", 12},
        {"1s", 1000},
        {"6m0s", 360000},
        {"2m59.56s", 179560},
        {"1h2m3s", 3723000},
        {"0s", 0},
        {"1.5h", 5400000},
        {"500us", 1},
        {"1\xc2\xb5s", 1},
        {"999ns", 1},
        {"7.66s", 7660},
        {"59.999s", 59999},
        {"30", 30000},
        {"0.25", 250},
        {" 10 ", 10000},
        {"24h", 86400000},
        {"9999h", 86400000},
        {".5s", 500},
        {"99999999999999999999999999s", 86400000},
    };

    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        cr_assert_eq(ratehead_duration_ms(v[i].text), v[i].ms, "%s: %ld", v[i].text,
                     (long)ratehead_duration_ms(v[i].text));
}

Test(ratehead, what_is_no_duration_says_nothing)
{
    static const char *const wrong[] = {"",      "-1", "-1s", "s",   "1x", "1s2", "1 s",
                                        "1m 2s", ".",  ".s",  "1e3", "ms", "1ss"};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(ratehead_duration_ms(wrong[i]), -1, "%s", wrong[i]);
}

static struct rate_head head_of(const char *const *pairs)
{
    struct rate_head h;

    ratehead_read(header_of, pairs, &h);
    return h;
}

Test(ratehead, openai_s_headers_are_read_into_one_struct)
{
    const char *const h[] = {"x-ratelimit-limit-requests",
                             "3000",
                             "x-ratelimit-remaining-requests",
                             "2999",
                             "x-ratelimit-reset-requests",
                             "20ms",
                             "x-ratelimit-limit-tokens",
                             "1000000",
                             "x-ratelimit-remaining-tokens",
                             "0",
                             "x-ratelimit-reset-tokens",
                             "6m0s",
                             "x-request-id",
                             "req_1\x01",
                             "x-should-retry",
                             "false",
                             NULL};
    struct rate_head r = head_of(h);

    cr_assert_eq(r.requests.limit, 3000);
    cr_assert_eq(r.requests.remaining, 2999);
    cr_assert_eq(r.requests.reset_ms, 20);
    cr_assert_eq(r.tokens.limit, 1000000);
    cr_assert_eq(r.tokens.remaining, 0);
    cr_assert_eq(r.tokens.reset_ms, 360000);
    cr_assert_eq(r.retry_after_ms, -1);
}

Test(ratehead, azure_s_minus_one_and_zero_are_no_limit)
{
    const char *const minus[] = {"x-ratelimit-limit-requests", "-1", "x-ratelimit-remaining-requests", "-1", NULL};
    const char *const zero[] = {"x-ratelimit-limit-tokens", "0", "x-ratelimit-remaining-tokens", "0", NULL};
    const char *const rest[] = {"x-ratelimit-remaining-tokens", "119000", "x-ratelimit-reset-tokens", "10", NULL};
    struct rate_head a = head_of(minus), b = head_of(zero), c = head_of(rest), d = head_of(NULL);

    cr_assert(a.requests.limit == -1 && a.requests.remaining == -1 && a.requests.reset_ms == -1);
    cr_assert(b.tokens.limit == -1 && b.tokens.remaining == -1);
    cr_assert(c.tokens.limit == -1 && c.tokens.remaining == 119000 && c.tokens.reset_ms == 10000);
    cr_assert(d.tokens.limit == -1 && d.retry_after_ms == -1);
}

Test(ratehead, retry_after_comes_in_milliseconds_seconds_and_dates)
{
    const char *const ms[] = {"retry-after-ms", "100000", "Retry-After", "7", NULL};
    const char *const seconds[] = {"Retry-After", "7", NULL};
    const char *const date[] = {"Retry-After", "Sun, 06 Nov 1994 08:49:47 GMT", "Date", "Sun, 06 Nov 1994 08:49:37 GMT",
                                NULL};
    const char *const past[] = {"Retry-After", "Sun, 06 Nov 1994 08:49:27 GMT", "Date", "Sun, 06 Nov 1994 08:49:37 GMT",
                                NULL};
    const char *const alone[] = {"Retry-After", "Sun, 06 Nov 1994 08:49:47 GMT", NULL};
    const char *const words[] = {"Retry-After", "soon", NULL};

    cr_assert_eq(head_of(ms).retry_after_ms, 100000);
    cr_assert_eq(head_of(seconds).retry_after_ms, 7000);
    cr_assert_eq(head_of(date).retry_after_ms, 10000);
    cr_assert_eq(head_of(past).retry_after_ms, 0);
    cr_assert_eq(head_of(alone).retry_after_ms, -1, "no clock of ours is asked");
    cr_assert_eq(head_of(words).retry_after_ms, -1);
}
