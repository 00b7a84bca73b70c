/*
 * test_chunker.c - where chunks begin and end, one rule a test
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "text/chunker.h"
#include "text/tokens.h"
#include "text_check.h"

#define MOST 64

struct got {
    const char *text;
    struct chunk c[MOST];
    char path[MOST][1100];
    char own[MOST][4000];
    char overlap[MOST][1000];
    int n;
};

static struct got g;

static int collect(void *arg, const struct chunk *c)
{
    (void)arg;
    cr_assert_lt(g.n, MOST);
    g.c[g.n] = *c;
    snprintf(g.path[g.n], sizeof g.path[0], "%s", c->heading_path);
    snprintf(g.own[g.n], sizeof g.own[0], "%.*s", (int)(c->end - c->start), g.text + c->start);
    snprintf(g.overlap[g.n], sizeof g.overlap[0], "%.*s", (int)c->overlap, g.text + c->start - c->overlap);
    g.n++;
    return 0;
}

static void chunk_as(bool plain, const char *text, int max_tokens, int overlap_tokens)
{
    struct chunk_options o = {
        .max_tokens = max_tokens, .overlap_tokens = overlap_tokens, .plain = plain, .tokenizer = TOKENS_APPROX};
    const char *bad = text_check_raw_chunks(text, strlen(text), &o);

    cr_assert_null(bad, "%s", bad);
    memset(&g, 0, sizeof g);
    g.text = text;
    cr_assert_eq(chunk_text(text, strlen(text), NULL, 0, &o, collect, NULL), 0);
}

static void chunk(const char *text, int max_tokens, int overlap_tokens)
{
    chunk_as(false, text, max_tokens, overlap_tokens);
}

static void chunk_plain(const char *text, int max_tokens, int overlap_tokens)
{
    chunk_as(true, text, max_tokens, overlap_tokens);
}

Test(chunker, empty_text_gives_no_chunk)
{
    chunk("", 16, 0);
    cr_expect_eq(g.n, 0);
}

Test(chunker, a_small_text_is_one_chunk)
{
    chunk("One.\n\nTwo.\n", 400, 40);
    cr_assert_eq(g.n, 1);
    cr_expect_str_eq(g.own[0], "One.\n\nTwo.\n");
    cr_expect_eq(g.c[0].tokens, (int)tokens_count(TOKENS_APPROX, g.text, strlen(g.text)));
    cr_expect_str_eq(g.path[0], "");
}

Test(chunker, bad_options_are_refused)
{
    struct chunk_options o[] = {{15, 0, false, TOKENS_APPROX},
                                {8001, 0, false, TOKENS_APPROX},
                                {16, 9, false, TOKENS_APPROX},
                                {16, -1, false, TOKENS_APPROX},
                                {16, 8, false, TOKENIZERS_}};
    size_t i;

    for (i = 0; i < 5; i++)
        cr_expect_eq(chunk_text("a", 1, NULL, 0, &o[i], collect, NULL), -EINVAL);
    cr_expect_eq(chunk_text("a", 1, NULL, 1, &(struct chunk_options){.max_tokens = 16}, collect, NULL), -EINVAL);
}

static int refuse(void *arg, const struct chunk *c)
{
    ++*(int *)arg;
    return c->ord == 1 ? -EIO : 0;
}

Test(chunker, the_callback_can_stop_it)
{
    struct chunk_options o = {.max_tokens = 16, .tokenizer = TOKENS_APPROX};
    int calls = 0;

    cr_expect_eq(chunk_text("# A\na\n# B\nb\n# C\nc\n", 18, NULL, 0, &o, refuse, &calls), -EIO);
    cr_expect_eq(calls, 2);
}

Test(chunker, every_heading_begins_a_chunk)
{
    chunk("intro\n\n# A\n\na\n\n## B\n\nb\n", 400, 40);
    cr_assert_eq(g.n, 3);
    cr_expect_str_eq(g.own[0], "intro\n\n");
    cr_expect_str_eq(g.own[1], "# A\n\na\n\n");
    cr_expect_str_eq(g.own[2], "## B\n\nb\n");
}

Test(chunker, headings_in_a_row_stay_together)
{
    chunk("# A\n\n## B\n\nb\n", 400, 40);
    cr_assert_eq(g.n, 1);
    cr_expect_str_eq(g.path[0], "A > B");
}

Test(chunker, a_heading_goes_with_the_paragraph_that_is_too_long_for_both)
{
    chunk("# Head\n\nAlpha beta gamma delta. Epsilon zeta eta theta. Iota kappa lambda mu.\n", 16, 0);
    cr_assert_gt(g.n, 1);
    cr_expect_str_eq(g.own[0], "# Head\n\nAlpha beta gamma delta. ");
}

Test(chunker, a_hash_in_a_fence_is_no_heading)
{
    chunk("# A\n\n```\n# not\n```\n\nend\n", 400, 0);
    cr_assert_eq(g.n, 1);
    cr_expect_str_eq(g.path[0], "A");
}

Test(chunker, a_hash_in_a_fence_in_a_list_is_no_heading)
{
    chunk("- a\n\n  ```\n# not\n  ```\n\n# H\n", 400, 0);
    cr_assert_eq(g.n, 2);
    cr_expect_str_eq(g.own[1], "# H\n");
}

Test(chunker, paragraphs_are_not_split_when_they_fit_alone)
{
    chunk("aaaa bbbb cccc dddd eeee ffff gggg hhhh\n\niiii jjjj kkkk llll mmmm nnnn oooo pppp\n", 16, 0);
    cr_assert_eq(g.n, 2);
    cr_expect_str_eq(g.own[1], "iiii jjjj kkkk llll mmmm nnnn oooo pppp\n");
}

Test(chunker, a_table_that_fits_alone_is_not_split)
{
    chunk("Some words come first here and fill it.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", 30, 0);
    cr_assert_eq(g.n, 2);
    cr_expect_str_eq(g.own[1], "| a | b |\n|---|---|\n| 1 | 2 |\n");
}

Test(chunker, a_table_too_big_is_split_between_rows)
{
    chunk("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |\n| 7 | 8 |\n", 16, 0);
    cr_assert_gt(g.n, 1);
    for (int i = 0; i < g.n; i++) {
        cr_expect_eq(g.own[i][0], '|');
        cr_expect_eq(g.own[i][strlen(g.own[i]) - 1], '\n');
    }
}

Test(chunker, an_html_table_that_fits_alone_is_not_split)
{
    chunk("Some words come first here and fill it.\n\n<table>\n\n<td>x</td>\n\n</table>\n\nEnd.\n", 26, 0);
    cr_assert_geq(g.n, 2);
    cr_expect(strstr(g.own[1], "<table>\n\n<td>x</td>\n\n</table>\n") != NULL, "%s", g.own[1]);
}

Test(chunker, an_html_table_without_end_ends_at_a_heading)
{
    chunk("<table>\n\nx\n\n# H\n\ny\n", 400, 0);
    cr_assert_eq(g.n, 2);
    cr_expect_str_eq(g.own[1], "# H\n\ny\n");
}

Test(chunker, a_fence_that_fits_alone_is_not_split)
{
    chunk("Some words come first.\n\n```\nint a;\n\nint b;\n```\n", 18, 0);
    cr_assert_eq(g.n, 2);
    cr_expect_str_eq(g.own[1], "```\nint a;\n\nint b;\n```\n");
}

Test(chunker, a_list_too_big_is_split_between_items)
{
    chunk("- one two three four\n- five six seven eight\n  nine\n- ten eleven twelve\n", 16, 0);
    cr_assert_gt(g.n, 1);
    for (int i = 0; i < g.n; i++)
        cr_expect_eq(g.own[i][0], '-', "%s", g.own[i]);
}

Test(chunker, a_fence_in_a_list_is_split_last)
{
    chunk("- one two three four five\n  ```\n  a b c\n\n  d e f\n  ```\n- six seven eight nine ten eleven\n", 20, 10);
    cr_assert_geq(g.n, 2);
    cr_expect(strstr(g.own[1], "  ```\n  a b c\n\n  d e f\n  ```\n") != NULL, "%s", g.own[1]);
}

Test(chunker, prose_is_split_at_sentences)
{
    chunk("Alpha beta gamma delta. Epsilon zeta eta theta. Iota kappa lambda mu nu xi.\n", 16, 0);
    cr_assert_eq(g.n, 2);
    cr_expect_str_eq(g.own[0], "Alpha beta gamma delta. Epsilon zeta eta theta. ");
}

Test(chunker, a_stop_before_a_small_letter_ends_no_sentence)
{
    chunk("Alpha beta e.g. gamma delta zeta eta theta iota kappa lambda mu nu xi omicron\n", 16, 0);
    cr_expect_neq(g.own[0][strlen(g.own[0]) - 2], '.', "%s", g.own[0]);
}

Test(chunker, chinese_is_split_after_its_full_stop)
{
    /* ten characters, a full stop, ten characters */
    chunk("\xE4\xB8\xAD\xE6\x96\x87\xE4\xB8\xAD\xE6\x96\x87\xE4\xB8\xAD\xE6\x96\x87\xE4\xB8\xAD\xE6\x96\x87\xE4\xB8\xAD"
          "\xE6\x96\x87\xE3\x80\x82"
          "\xE4\xB8\xAD\xE6\x96\x87\xE4\xB8\xAD\xE6\x96\x87\xE4\xB8\xAD\xE6\x96\x87\xE4\xB8\xAD\xE6\x96\x87\xE4\xB8\xAD"
          "\xE6\x96\x87\n",
          16, 0);
    cr_assert_eq(g.n, 2);
    cr_expect_eq(g.c[0].end, 33);
}

Test(chunker, a_word_is_not_split_when_it_fits)
{
    chunk("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n", 16, 0);
    cr_assert_eq(g.n, 2);
    cr_expect_eq(g.own[1][0], 'b');
}

Test(chunker, a_long_word_is_split_between_characters)
{
    char text[300];

    for (size_t i = 0; i < 99; i++)
        memcpy(text + 3 * i, "\xE0\xA4\x95", 3);
    memcpy(text + 297, "\n", 2);
    chunk(text, 17, 4);
    cr_assert_gt(g.n, 5);
    for (int i = 0; i < g.n; i++)
        cr_expect_eq(g.c[i].start % 3, 0);
}

Test(chunker, a_cut_tears_no_mark_off_its_letter)
{
    char text[400];
    size_t n = 0;

    for (int i = 0; i < 100; i++) {
        memcpy(text + n, "e\xCC\x81", 3);
        n += 3;
    }
    memcpy(text + n, "\n", 2);
    chunk(text, 17, 0);
    cr_assert_gt(g.n, 2);
    for (int i = 0; i < g.n; i++)
        cr_expect_eq(g.own[i][0], 'e');
}

Test(chunker, a_split_section_overlaps_at_a_sentence)
{
    chunk("Alpha beta gamma delta. Epsilon zeta. Iota kappa lambda mu. Nu xi omicron pi rho.\n", 20, 8);
    cr_assert_gt(g.n, 1);
    cr_expect_gt(g.c[1].overlap, 0);
    cr_expect_str_eq(g.overlap[1], "Iota kappa lambda mu. ");
}

Test(chunker, an_overlap_begins_at_a_sentence_rather_than_a_word)
{
    chunk("Alpha beta gamma delta epsilon zeta eta theta iota kappa. Lambda mu nu xi omicron pi rho.\n\nMore words.\n",
          32, 16);
    cr_assert_geq(g.n, 2);
    cr_expect_str_eq(g.overlap[1], "Lambda mu nu xi omicron pi rho.\n\n");
}

Test(chunker, an_overlap_begins_at_a_word_when_no_sentence_does)
{
    chunk("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau\n", 16, 4);
    cr_assert_geq(g.n, 2);
    cr_expect_gt(g.c[1].overlap, 0);
    cr_expect_eq(g.text[g.c[1].start - g.c[1].overlap - 1], ' ');
}

Test(chunker, no_overlap_begins_within_a_long_word)
{
    char text[301];

    memset(text, 'a', 300);
    memcpy(text + 299, "\n", 2);
    chunk(text, 16, 8);
    cr_assert_geq(g.n, 2);
    cr_expect_eq(g.c[1].overlap, 0);
}

Test(chunker, no_overlap_reaches_over_a_heading)
{
    chunk("# A\n\nAlpha beta gamma. Delta epsilon.\n\n# B\n\nMore.\n", 20, 8);
    cr_assert_eq(g.n, 2);
    cr_expect_eq(g.c[1].overlap, 0);
}

Test(chunker, an_overlap_gives_way_to_a_block_that_would_be_split)
{
    chunk("Alpha beta gamma. Delta epsilon zeta.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", 25, 10);
    cr_assert_eq(g.n, 2);
    cr_expect_str_eq(g.own[1], "| a | b |\n|---|---|\n| 1 | 2 |\n");
}

Test(chunker, the_path_names_the_headings_above)
{
    chunk("# Manual\nx\n## Install\nx\n### Debian\nx\n## Use\nx\n# Index\nx\n", 400, 0);
    cr_assert_eq(g.n, 5);
    cr_expect_str_eq(g.path[2], "Manual > Install > Debian");
    cr_expect_str_eq(g.path[3], "Manual > Use");
    cr_expect_str_eq(g.path[4], "Index");
}

Test(chunker, the_path_has_no_markup)
{
    chunk("# **A** `b` [c](http://d) ![e](f) ##\nx\n# G {#g}\nx\n# C#\nx\n# [h] i\nx\n", 400, 0);
    cr_assert_eq(g.n, 4);
    cr_expect_str_eq(g.path[0], "A b c e");
    cr_expect_str_eq(g.path[1], "G");
    cr_expect_str_eq(g.path[2], "C#");
    cr_expect_str_eq(g.path[3], "[h] i");
}

Test(chunker, a_long_path_is_cut_between_characters)
{
    static char text[4000];

    strcpy(text, "# x");
    for (int i = 0; i < 1000; i++)
        strcat(text, "\xC3\xA9");
    strcat(text, "\nx\n");
    chunk(text, 8000, 0);
    cr_assert_eq(g.n, 1);
    cr_expect_eq(strlen(g.path[0]), 999);
}

Test(chunker, a_chunk_is_on_the_page_it_starts_on)
{
    const char *text = "# A\na\n# B\nb\n# C\nc\n";
    uint32_t pages[] = {0, 6, 6, 9};
    struct chunk_options o = {.max_tokens = 400, .tokenizer = TOKENS_APPROX};

    memset(&g, 0, sizeof g);
    g.text = text;
    cr_assert_eq(chunk_text(text, strlen(text), pages, 4, &o, collect, NULL), 0);
    cr_assert_eq(g.n, 3);
    cr_expect_eq(g.c[0].page, 1);
    cr_expect_eq(g.c[1].page, 3);
    cr_expect_eq(g.c[2].page, 4);
}

Test(chunker, text_without_pages_is_on_none)
{
    chunk("One.\n", 400, 0);
    cr_assert_eq(g.n, 1);
    cr_expect_eq(g.c[0].page, 0);
}

Test(chunker, a_comment_in_plain_text_is_no_heading)
{
    chunk_plain("# fetch the list\n\nget list\n\n## then\nsort list\n", 400, 0);
    cr_assert_eq(g.n, 1);
    cr_expect_str_eq(g.path[0], "");
}

Test(chunker, plain_text_has_no_fence_list_or_table)
{
    chunk_plain("```\n\naaaa bbbb cccc dddd eeee ffff gggg\n\n- hhhh iiii jjjj\n\n  kkkk\n\n| llll |\n\n"
                "mmmm nnnn oooo pppp qqqq rrrr ssss tttt\n",
                16, 0);
    cr_assert_eq(g.n, 3);
    cr_expect_str_eq(g.own[0], "```\n\naaaa bbbb cccc dddd eeee ffff gggg\n\n");
    cr_expect_str_eq(g.own[1], "- hhhh iiii jjjj\n\n  kkkk\n\n| llll |\n\n");
}

Test(chunker, plain_text_is_split_at_paragraphs_lines_and_sentences)
{
    chunk_plain("- One two three. Four five six.\n- Seven eight nine ten eleven twelve.\n# Thirteen.\n", 16, 0);
    cr_assert_eq(g.n, 3);
    cr_expect_str_eq(g.own[0], "- One two three. Four five six.\n");
    chunk_plain("One two three four five. Six seven eight nine ten eleven. Twelve thirteen.\n", 16, 0);
    cr_assert_gt(g.n, 1);
    cr_expect_str_eq(g.own[0], "One two three four five. ");
}

Test(chunker, an_overlap_in_plain_text_reaches_over_what_looks_like_a_heading)
{
    chunk_plain("aaaa bbbb cccc dddd eeee ffff.\n\n# gggg\n\nhhhh iiii jjjj kkkk llll mmmm nnnn oooo\n", 16, 8);
    cr_assert_eq(g.n, 2);
    cr_expect_str_eq(g.overlap[1], "eeee ffff.\n\n# gggg\n\n");
}

Test(chunker, a_final_newline_is_no_chunk_of_its_own)
{
    for (int n = 50; n < 80; n++) {
        char text[100];

        memset(text, 'a', (size_t)n);
        memcpy(text + n, "\n", 2);
        chunk(text, 16, 0);
        cr_expect_neq(g.own[g.n - 1][0], '\n');
    }
}
