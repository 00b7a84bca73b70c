/*
 * test_tokens.c - the estimator's rules and its prefix
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "text/token_scan.h"
#include "text/tokens.h"

static size_t count(const char *s)
{
    return tokens_count(s, strlen(s));
}

Test(tokens, nothing_costs_nothing)
{
    cr_expect_eq(tokens_count("", 0), 0);
    cr_expect_eq(tokens_prefix("", 0, 5), 0);
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

Test(tokens, feeding_in_pieces_counts_the_same)
{
    const char *s = "Hello  world, 12345 \xC3\xA9\xE4\xB8\xAD\n\n    code\n\xF0\x9F\x98\x80 end-of-it";
    size_t n = strlen(s), cut;

    for (cut = 0; cut <= n; cut++) {
        struct token_scan t;

        token_scan_begin(&t);
        cr_expect_eq(token_scan_feed(&t, s, cut, SIZE_MAX), cut);
        cr_expect_eq(token_scan_feed(&t, s + cut, n - cut, SIZE_MAX), n - cut);
        cr_expect_eq(t.count, count(s), "cut at %zu", cut);
    }
}

Test(tokens, a_prefix_ends_at_a_runs_end)
{
    cr_expect_eq(tokens_prefix("hello world", 11, 2), 6);
    cr_expect_eq(tokens_prefix("hello world", 11, 3), 6);
    cr_expect_eq(tokens_prefix("hello world", 11, 4), 11);
    cr_expect_eq(tokens_prefix("a,,,,", 5, 3), 3);
}

Test(tokens, a_first_run_over_budget_is_cut_inside)
{
    cr_expect_eq(tokens_prefix("abcdefghij", 10, 2), 8);
    cr_expect_eq(tokens_prefix("12345678", 8, 1), 3);
}

Test(tokens, a_prefix_has_one_character_at_least)
{
    cr_expect_eq(tokens_prefix("\xF0\x9F\x98\x80x", 5, 1), 4);
    cr_expect_eq(tokens_prefix("abc", 3, 0), 1);
}

Test(tokens, a_prefix_is_the_longest_within_budget)
{
    const char *s = "Hello  world, 12345 \xC3\xA9\xE4\xB8\xAD\n\n    code\n\xF0\x9F\x98\x80 end-of-it";
    size_t n = strlen(s), budget, p, last = 0;

    for (budget = 3; budget < 40; budget++) {
        p = tokens_prefix(s, n, budget);
        cr_expect_leq(tokens_count(s, p), budget);
        cr_expect_geq(p, last);
        last = p;
    }
    cr_expect_eq(last, n);
}

Test(tokens, a_suffix_is_the_longest_within_budget)
{
    cr_expect_eq(token_scan_suffix("hello world", 11, 2), 5);
    cr_expect_eq(token_scan_suffix("hello world", 11, 1), 7);
    cr_expect_eq(token_scan_suffix("ab \xE4\xB8\xAD\xE6\x96\x87", 9, 1), 6);
    cr_expect_eq(token_scan_suffix("ab", 2, 9), 0);
}
