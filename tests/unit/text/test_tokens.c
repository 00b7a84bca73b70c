/*
 * test_tokens.c - the estimator's rules, and scans by both tokenizers
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "text/token_scan.h"
#include "text/tokens.h"

static size_t count(const char *s)
{
    return tokens_count(TOKENS_APPROX, s, strlen(s));
}

Test(tokens, nothing_costs_nothing)
{
    cr_expect_eq(tokens_count(TOKENS_APPROX, "", 0), 0);
    cr_expect_eq(tokens_count(TOKENS_CL100K, "", 0), 0);
}

Test(tokens, letters_cost_a_quarter_and_digits_a_third)
{
    cr_expect_eq(count("a"), 1);
    cr_expect_eq(count("abcd"), 1);
    cr_expect_eq(count("abcde"), 2);
    cr_expect_eq(count("123"), 1);
    cr_expect_eq(count("1234"), 2);
    cr_expect_eq(count("ab12"), 2);
}

Test(tokens, marks_cost_one_each)
{
    cr_expect_eq(count("a, b."), 4);
    cr_expect_eq(count("----"), 4);
}

Test(tokens, single_spaces_are_free_and_runs_are_not)
{
    cr_expect_eq(count("a b c"), 3);
    cr_expect_eq(count("a  b"), 3);
    cr_expect_eq(count("a                 b"), 3); /* 17 */
    cr_expect_eq(count("a                  b"), 4);
}

Test(tokens, newlines_cost_one_a_run)
{
    cr_expect_eq(count("a\nb"), 3);
    cr_expect_eq(count("a\n\nb"), 3);
    cr_expect_eq(count("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"), 1);
    cr_expect_eq(count("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"), 2);
}

Test(tokens, other_characters_cost_by_their_length)
{
    cr_expect_eq(count("\xC3\xA9"), 1);                 /* e acute */
    cr_expect_eq(count("\xE4\xB8\xAD\xE6\x96\x87"), 2); /* Chinese */
    cr_expect_eq(count("\xE0\xA4\x95"), 2);             /* Devanagari */
    cr_expect_eq(count("\xF0\x9F\x98\x80"), 3);         /* emoji */
}

static size_t feed_to(enum tokenizer tokenizer, const char *s, size_t n, size_t budget)
{
    struct token_counter c = {.tokenizer = tokenizer};
    struct token_scan t;

    token_scan_begin(&t, &c);
    return token_scan_feed(&t, s, n, budget);
}

static const char mixed[] = "Hello  world, it's 12345 \xC3\xA9\xE4\xB8\xAD\xE6\x96\x87\n\n    code  \n\n"
                            "\n   \xF0\x9F\x98\x80 they'll     ---- \r\nend-of-it  ";

Test(tokens, names_are_found)
{
    cr_expect_eq(tokenizer_by_name("cl100k_base"), TOKENS_CL100K);
    cr_expect_eq(tokenizer_by_name("approx"), TOKENS_APPROX);
    cr_expect_eq(tokenizer_by_name("o200k_base"), -1);
}

Test(tokens, feeding_in_pieces_counts_the_same)
{
    size_t n = strlen(mixed), a, b;

    for (enum tokenizer k = 0; k < TOKENIZERS_; k++)
        for (a = 0; a <= n; a++)
            for (b = a; b <= n; b++) {
                struct token_counter c = {.tokenizer = k};
                struct token_scan t;

                token_scan_begin(&t, &c);
                cr_assert_eq(token_scan_feed(&t, mixed, a, SIZE_MAX), a);
                cr_assert_eq(t.count, tokens_count(k, mixed, a));
                cr_assert_eq(token_scan_feed(&t, mixed + a, b - a, SIZE_MAX), b - a);
                cr_assert_eq(token_scan_feed(&t, mixed + b, n - b, SIZE_MAX), n - b);
                cr_assert_eq(t.count, tokens_count(k, mixed, n), "cut at %zu and %zu", a, b);
            }
}

Test(tokens, what_fits_is_fed_whole_and_what_does_not_is_not)
{
    size_t n = strlen(mixed), budget;

    for (enum tokenizer k = 0; k < TOKENIZERS_; k++)
        for (budget = 0; budget < 60; budget++)
            cr_expect_eq(feed_to(k, mixed, n, budget) == n, tokens_count(k, mixed, n) <= budget);
}

Test(tokens, what_is_said_to_fit_does)
{
    size_t n = strlen(mixed), budget, fits, last = 0;

    for (enum tokenizer k = 0; k < TOKENIZERS_; k++, last = 0)
        for (budget = 3; budget < 60; budget++) {
            fits = feed_to(k, mixed, n, budget);
            cr_expect_leq(tokens_count(k, mixed, fits), budget);
            cr_expect_geq(fits, last);
            last = fits;
        }
    cr_expect_eq(feed_to(TOKENS_APPROX, "hello world", 11, 3), 10);
    cr_expect_eq(feed_to(TOKENS_CL100K, "hello world", 11, 1), 5);
}

Test(tokens, a_character_of_several_tokens_is_not_cut)
{
    cr_expect_eq(feed_to(TOKENS_CL100K, "\xF0\x9F\xA6\xA9", 4, 2), 0); /* a flamingo */
    cr_expect_eq(feed_to(TOKENS_CL100K, "a\xF0\x9F\xA6\xA9", 5, 2), 1);
}

Test(tokens, a_suffix_is_about_the_longest_within_budget)
{
    struct token_counter approx = {.tokenizer = TOKENS_APPROX}, exact = {.tokenizer = TOKENS_CL100K};
    size_t n = strlen(mixed), budget, from;

    cr_expect_eq(token_scan_suffix(&approx, "hello world", 11, 2), 5);
    cr_expect_eq(token_scan_suffix(&approx, "hello world", 11, 1), 7);
    cr_expect_eq(token_scan_suffix(&approx, "ab \xE4\xB8\xAD\xE6\x96\x87", 9, 1), 6);
    cr_expect_eq(token_scan_suffix(&approx, "ab", 2, 9), 0);
    cr_expect_eq(token_scan_suffix(&exact, "hello world", 11, 1), 5);
    cr_expect_eq(token_scan_suffix(&exact, "hello world", 11, 2), 0);
    for (budget = 1; budget < 60; budget++) {
        from = token_scan_suffix(&exact, mixed, n, budget);
        cr_expect_leq(tokens_count(TOKENS_CL100K, mixed + from, n - from), budget);
    }
}

Test(tokens, a_prefix_has_one_character_at_least)
{
    cr_expect_eq(tokens_prefix(TOKENS_CL100K, "hello world", 11, 1), 5);
    cr_expect_eq(tokens_prefix(TOKENS_CL100K, "\xF0\x9F\xA6\xA9x", 5, 1), 4);
    cr_expect_eq(tokens_prefix(TOKENS_APPROX, "\xF0\x9F\x98\x80x", 5, 1), 4);
    cr_expect_eq(tokens_prefix(TOKENS_APPROX, "", 0, 5), 0);
}
