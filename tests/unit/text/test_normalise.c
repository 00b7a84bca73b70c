/*
 * test_normalise.c - the normal form, one rule a test
 */
#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "text/normalise.h"

static struct normalised last;

static void run(enum normalise_kind kind, const char *in, size_t n)
{
    cr_assert_eq(normalise(NULL, kind, in, n, &last), 0);
}

static void done(void)
{
    talloc_free(last.text);
    talloc_free(last.page_starts);
    memset(&last, 0, sizeof last);
}

#define BECOMES_OF(kind, in, want)                                                                                     \
    do {                                                                                                               \
        run(kind, in, sizeof(in) - 1);                                                                                 \
        cr_expect_str_eq(last.text, want);                                                                             \
        cr_expect_eq(last.len, strlen(want));                                                                          \
        done();                                                                                                        \
    } while (0)
#define BECOMES(in, want)       BECOMES_OF(NORMALISE_MARKDOWN, in, want)
#define PLAIN_BECOMES(in, want) BECOMES_OF(NORMALISE_PLAIN, in, want)

Test(normalise, empty_and_blank_input_give_nothing)
{
    BECOMES("", "");
    BECOMES(" \n\t\n\n\r\n", "");
    BECOMES("\xEF\xBB\xBF", "");
    BECOMES("\f\f", "");
}

Test(normalise, line_ends_become_lf)
{
    BECOMES("a\r\nb\rc\nd\ve\xC2\x85"
            "f\xE2\x80\xA8g\xE2\x80\xA9h",
            "a\nb\nc\nd\ne\nf\ng\nh\n");
}

Test(normalise, one_final_newline)
{
    BECOMES("a", "a\n");
    BECOMES("a\n\n\n", "a\n");
}

Test(normalise, at_most_one_blank_line_in_a_row)
{
    BECOMES("\n\na\n\n\n\nb\n \t\n\nc", "a\n\nb\n\nc\n");
    BECOMES("```\na\n\n\n\nb\n```\n", "```\na\n\nb\n```\n");
}

Test(normalise, line_ends_are_trimmed_everywhere)
{
    BECOMES("a  \nb\t\n```\nc  \n```  \n", "a\nb\n```\nc\n```\n");
}

Test(normalise, headings_get_one_space)
{
    BECOMES("#  A\n##\tB  ##\n   ### C", "# A\n## B ##\n### C\n");
    BECOMES("##Forgotten\n", "## Forgotten\n");
    BECOMES("######6\n", "###### 6\n");
}

Test(normalise, one_hash_before_a_word_is_no_heading)
{
    BECOMES("#tag   x\n#include  <a>\n####### seven  x\n", "#tag x\n#include <a>\n####### seven x\n");
}

Test(normalise, underlined_titles_become_headings)
{
    BECOMES("Title\n=====\nSub  title\n---\ntext\n", "# Title\n## Sub title\ntext\n");
    BECOMES("a\n\nTitle\n  ------\n\nb\n", "a\n\n## Title\n\nb\n");
}

Test(normalise, rules_underline_nothing)
{
    BECOMES("two\nlines\n---\n", "two\nlines\n---\n");
    BECOMES("three\nlines\nhere\n---\n", "three\nlines\nhere\n---\n");
    BECOMES("a\n\n---\n***\n---\n", "a\n\n---\n***\n---\n");
    BECOMES("- a\n---\n| a |\n---\n--\n", "- a\n---\n| a |\n---\n--\n");
    BECOMES("a\n--\n", "a\n--\n");
}

Test(normalise, front_matter_is_no_title)
{
    BECOMES("---\ntitle: x\n---\nTitle\n---\n", "---\ntitle: x\n---\n## Title\n");
}

Test(normalise, a_page_that_begins_with_an_underline_begins_after_it)
{
    run(NORMALISE_MARKDOWN, "a\n\f---\nb\n", 9);
    cr_expect_str_eq(last.text, "## a\nb\n");
    cr_assert_eq(last.n_pages, 2);
    cr_expect_eq(last.page_starts[1], 5);
    done();
}

Test(normalise, bullets_become_dashes)
{
    BECOMES("* a\n+   b\n- c\n  *\td\n", "- a\n- b\n- c\n  - d\n");
}

Test(normalise, emphasis_and_rules_are_no_bullets)
{
    BECOMES("*a*  b\n**c**\n***\n* * *\n+1\n", "*a* b\n**c**\n***\n* * *\n+1\n");
}

Test(normalise, ordered_items_keep_their_numbers)
{
    BECOMES("1.   a\n10)  b\n", "1. a\n10) b\n");
}

Test(normalise, spaces_collapse_outside_code)
{
    BECOMES("a  b \t c\n| x   |  y |\n", "a b c\n| x | y |\n");
}

Test(normalise, code_keeps_its_spaces_and_tabs)
{
    BECOMES("```c\n\tint  x;\n  y\n```\na  b\n", "```c\n\tint  x;\n  y\n```\na b\n");
    BECOMES("~~~\n```  x\n~~~\na  b\n", "~~~\n```  x\n~~~\na b\n");
    BECOMES("a\n\n    code  x\n\tcode  y\n\nb  c\n", "a\n\n    code  x\n\tcode  y\n\nb c\n");
    BECOMES("use `a  b` and  ``c ` d  e`` but \\`f  g`\n", "use `a  b` and ``c ` d  e`` but \\`f g`\n");
}

Test(normalise, an_unmatched_backtick_is_no_code)
{
    BECOMES("a ` b  c\n``d  e`\n", "a ` b c\n``d e`\n");
}

Test(normalise, an_unclosed_fence_reaches_to_the_end)
{
    BECOMES("```\n#  a\n* b  c\n", "```\n#  a\n* b  c\n");
}

Test(normalise, a_fence_closes_with_as_many_marks_or_more)
{
    BECOMES("````\n```\na  b\n`````\nc  d\n", "````\n```\na  b\n`````\nc d\n");
}

Test(normalise, an_item_may_open_a_fence)
{
    BECOMES("1. ```sh\n   a  b\n   ```\n#  H\n", "1. ```sh\n   a  b\n   ```\n# H\n");
}

Test(normalise, indentation_in_a_list_stays)
{
    BECOMES("- a\n\n  more  text\n    - b\n\n   out\n\nend\n\n   x\n",
            "- a\n\n  more text\n    - b\n\n   out\n\nend\n\nx\n");
}

Test(normalise, long_blank_runs_in_code_are_capped)
{
    char in[400], want[400];

    memcpy(in, "```\na", 5);
    memset(in + 5, ' ', 300);
    memcpy(in + 305, "b\n", 3);
    memcpy(want, "```\na", 5);
    memset(want + 5, ' ', NORMALISE_MAX_BLANKS);
    memcpy(want + 5 + NORMALISE_MAX_BLANKS, "b\n", 3);
    run(NORMALISE_MARKDOWN, in, strlen(in));
    cr_expect_str_eq(last.text, want);
    done();
}

Test(normalise, control_characters_go_and_are_counted)
{
    run(NORMALISE_MARKDOWN,
        "a\0b\x01\x7F\xC2\x80"
        "c\x1B[0m",
        12);
    cr_expect_str_eq(last.text, "abc[0m\n");
    cr_expect_eq(last.removed, 5);
    done();
}

Test(normalise, zero_width_characters_go)
{
    BECOMES("\xEF\xBB\xBF"
            "a\xE2\x80\x8B"
            "b\xE2\x81\xA0"
            "c\xEF\xBB\xBF"
            "d\xC2\xAD"
            "e\xE2\x80\xAE",
            "abcde\n");
}

Test(normalise, joiners_stay_between_letters_and_emoji_that_are_not_ascii)
{
    /* Persian "mi-khaham" with ZWNJ; man, ZWJ, woman */
    BECOMES("\xDB\x8C\xE2\x80\x8C\xD8\xAE", "\xDB\x8C\xE2\x80\x8C\xD8\xAE\n");
    BECOMES("\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9", "\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\n");
    BECOMES("\xDB\x8C\xE2\x80\x8C\xE2\x80\x8B\xE2\x80\x8D\xD8\xAE", "\xDB\x8C\xE2\x80\x8C\xD8\xAE\n");
}

Test(normalise, joiners_go_elsewhere)
{
    BECOMES("a\xE2\x80\x8D"
            "b \xE2\x80\x8C\xDB\x8C\xE2\x80\x8D x\xE2\x80\x8D",
            "ab \xDB\x8C x\n");
}

Test(normalise, tags_stay_in_a_flag_only)
{
    BECOMES("\xF0\x9F\x8F\xB4\xF3\xA0\x81\xA7\xF3\xA0\x81\xBF", "\xF0\x9F\x8F\xB4\xF3\xA0\x81\xA7\xF3\xA0\x81\xBF\n");
    BECOMES("a\xF3\xA0\x81\xA7"
            "b",
            "ab\n");
}

Test(normalise, text_that_is_not_ascii_stays)
{
    BECOMES("\xC3\xA9t\xC3\xA9 \xE4\xB8\xAD\xE6\x96\x87 e\xCC\x81 \xE2\x80\x94 \xF0\x9F\x98\x80\n",
            "\xC3\xA9t\xC3\xA9 \xE4\xB8\xAD\xE6\x96\x87 e\xCC\x81 \xE2\x80\x94 \xF0\x9F\x98\x80\n");
}

Test(normalise, unicode_spaces_become_spaces)
{
    BECOMES("a\xC2\xA0"
            "b\xE3\x80\x80\xE2\x80\x83"
            "c\xE2\x80\xAF\n",
            "a b c\n");
}

Test(normalise, ill_formed_sequences_are_replaced_one_by_one)
{
    run(NORMALISE_MARKDOWN,
        "a\xFF"
        "b\xE2\x82"
        "c\xED\xA0\x80\xC0\x80\xF0\x9F",
        12);
    /* FF; E2 82; ED, A0, 80; C0, 80; F0 9F */
    cr_expect_str_eq(last.text, "a\xEF\xBF\xBD"
                                "b\xEF\xBF\xBD"
                                "c"
                                "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\n");
    cr_expect_eq(last.repaired, 8);
    done();
}

Test(normalise, growth_by_replacement_is_no_overflow)
{
    char in[5000];

    memset(in, 0xFF, sizeof in);
    run(NORMALISE_MARKDOWN, in, sizeof in);
    cr_expect_eq(last.len, 3 * sizeof in + 1);
    cr_expect_eq(last.repaired, sizeof in);
    done();
}

Test(normalise, form_feeds_begin_pages)
{
    run(NORMALISE_MARKDOWN, "one\n\ftwo\n\n\fthree\fstill", 22);
    cr_expect_str_eq(last.text, "one\ntwo\n\nthree\nstill\n");
    cr_assert_eq(last.n_pages, 4);
    cr_expect_eq(last.page_starts[0], 0);
    cr_expect_eq(last.page_starts[1], 4);
    cr_expect_eq(last.page_starts[2], 9);
    cr_expect_eq(last.page_starts[3], 15);
    done();
}

Test(normalise, a_form_feed_at_the_end_begins_no_page)
{
    run(NORMALISE_MARKDOWN, "one\n\ftwo\n\f", 10);
    cr_expect_eq(last.n_pages, 2);
    done();
    run(NORMALISE_MARKDOWN, "one\n\f\n\f", 7);
    cr_assert_eq(last.n_pages, 2);
    cr_expect_eq(last.page_starts[1], last.len);
    done();
}

Test(normalise, a_page_without_text_begins_where_the_next_does)
{
    run(NORMALISE_MARKDOWN, "one\f\f\fx", 7);
    cr_assert_eq(last.n_pages, 4);
    cr_expect_eq(last.page_starts[1], 4);
    cr_expect_eq(last.page_starts[2], 4);
    cr_expect_eq(last.page_starts[3], 4);
    done();
}

Test(normalise, text_without_breaks_is_one_page)
{
    run(NORMALISE_MARKDOWN, "one", 3);
    cr_expect_eq(last.n_pages, 1);
    done();
}

Test(normalise, plain_text_knows_no_markup)
{
    PLAIN_BECOMES("#  a\n*  b\n##c\n    d  e\n```\n f   g\n", "# a\n* b\n##c\nd e\n```\nf g\n");
    PLAIN_BECOMES("a `b  c`\n\n\n\nd", "a `b c`\n\nd\n");
}

Test(normalise, the_text_is_a_child_of_the_context)
{
    void *ctx = talloc_new(NULL);

    cr_assert_eq(normalise(ctx, NORMALISE_MARKDOWN, "a", 1, &last), 0);
    cr_expect_eq(talloc_parent(last.text), ctx);
    cr_expect_eq(talloc_parent(last.page_starts), ctx);
    talloc_free(ctx);
}
