/* test_text.c - widths, cutting and tables */
#include "ctl/text.h"
#include "ctl/ctl.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

static char *out;
static size_t out_len;
static FILE *f;

static void begin(void)
{
    f = open_memstream(&out, &out_len);
}

static void end(void)
{
    free(out);
    out = NULL;
}

static const char *done(void)
{
    fclose(f);
    return out;
}

TestSuite(text, .init = begin, .fini = end);

Test(text, counts_columns_not_bytes)
{
    fclose(f);
    cr_assert_eq(text_width("abc"), 3);
    cr_assert_eq(text_width("\xc3\xa9t\xc3\xa9"), 3);
    cr_assert_eq(text_width("e\xcc\x81"), 1);
    cr_assert_eq(text_width("\xe6\x97\xa5\xe6\x9c\xac"), 4);
    cr_assert_eq(text_width("\xff\xfe"), 2);
}

Test(text, cuts_at_the_width_and_says_so)
{
    cr_assert_eq(text_print(f, "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 4), 3);
    cr_assert_str_eq(done(), "\xe6\x97\xa5\xe2\x80\xa6");
}

Test(text, leaves_what_fits)
{
    cr_assert_eq(text_print(f, "abcd", 4), 4);
    cr_assert_str_eq(done(), "abcd");
}

Test(text, nothing_in_it_steers_the_terminal)
{
    text_print(f,
               "a\033[31mb\x9b\r\n\xc2\x9b"
               "c\xe2\x80\xae",
               0);
    cr_assert_str_eq(done(), "a?[31mb????c?");
}

Test(text, wraps_words_and_cuts_lines)
{
    text_wrap(f, "one two\n\nthree   four five six", 2, 10, 2);
    cr_assert_str_eq(done(), "  one two\n  three \xe2\x80\xa6\n");
}

Test(text, a_word_longer_than_the_line_stays_whole)
{
    text_wrap(f, "abcdefghijkl m", 0, 5, 9);
    cr_assert_str_eq(done(), "abcdefghijkl\nm\n");
}

Test(text, a_table_is_aligned)
{
    static const struct table_column cols[] = {
        {"NAME", TABLE_LEFT, true}, {"N", TABLE_RIGHT, false}, {"X", TABLE_LEFT, true}};
    struct table *t = table_new(NULL, cols, 3);

    table_cell(t, "\xc3\xa9t\xc3\xa9");
    table_cell_number(t, 5);
    table_cell(t, "a");
    table_cell(t, "winter");
    table_cell_number(t, 1234);
    table_cell(t, NULL);
    cr_assert_eq(table_rows(t), 2);
    table_print(t, f, 0);
    talloc_free(t);
    cr_assert_str_eq(done(), "NAME       N  X\n"
                             "\xc3\xa9t\xc3\xa9        5  a\n"
                             "winter  1234\n");
}

Test(text, a_table_is_cut_to_the_width_where_it_may_be)
{
    static const struct table_column cols[] = {{"ID", TABLE_LEFT, false}, {"FILE", TABLE_LEFT, true}};
    struct table *t = table_new(NULL, cols, 2);

    table_cell(t, "12345");
    table_cell(t, "a-rather-long-name.pdf");
    table_print(t, f, 20);
    talloc_free(t);
    cr_assert_str_eq(done(), "ID     FILE\n12345  a-rather-lon\xe2\x80\xa6\n");
}

/* A line that ends in blanks beyond the width makes an empty one on a terminal. */
Test(text, a_table_that_is_too_wide_leaves_out_what_holds_nothing)
{
    static const struct table_column cols[] = {{"POOL", TABLE_LEFT, false},
                                               {"STAGE", TABLE_LEFT, false},
                                               {"PID", TABLE_RIGHT, false},
                                               {"NOTE", TABLE_LEFT, true}};
    struct table *t = table_new(NULL, cols, 4);

    table_cell(t, "api");
    table_cell(t, "");
    table_cell_number(t, 12);
    table_cell(t, "");
    table_print(t, f, 18);
    table_print(t, f, 10);
    table_print(t, f, 0);
    talloc_free(t);
    cr_assert_str_eq(done(), "POOL  STAGE  PID\napi           12\nPOOL  PID\napi    12\n"
                             "POOL  STAGE  PID  NOTE\napi           12\n");
}

Test(json, what_a_terminal_would_obey_is_escaped)
{
    json_t *j = json_pack("{s:s}", "t",
                          "a\xc2\x9b"
                          "2Jb\x7f\xc3\xa9\x1b");
    char *text = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&text, &n);

    ctl_put_json(memory, j, JSON_COMPACT);
    fclose(memory);
    cr_assert_str_eq(text, "{\"t\":\"a\\u009b2Jb\\u007f\xc3\xa9\\u001B\"}");
    free(text);
    json_decref(j);
}
