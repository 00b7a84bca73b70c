/*
 * test_properties.c - what must hold of every document, tried on made-up ones
 *
 * The generator is deterministic: a failure names the seed, and the seed makes the document again. The properties are
 * in tests/support/text_check.c.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "text_check.h"

#define DOCUMENTS  250 /* the fuzzers of this folder check the same for as long as one likes */
#define MAX_PIECES 120
#define LENGTH(a)  (sizeof(a) / sizeof *(a))

struct made {
    uint64_t seed;
    char text[64 * 1024];
    size_t len;
};

static uint64_t roll(struct made *m, uint64_t sides)
{
    m->seed ^= m->seed << 13;
    m->seed ^= m->seed >> 7;
    m->seed ^= m->seed << 17;
    return m->seed % sides;
}

static void put(struct made *m, const char *s, size_t n)
{
    if (m->len + n > sizeof m->text)
        return;
    memcpy(m->text + m->len, s, n);
    m->len += n;
}

static void put_one_of(struct made *m, const char *const *list, size_t n)
{
    const char *s = list[roll(m, n)];

    put(m, s, strlen(s));
}

static const char *const line_begins[] = {
    "",      "",     "",      "",        "# ",       "## ",       "###### ", "####",     "#",
    "   # ", "    ", "\t",    "- ",      "* ",       "+  ",       "  - ",    "      * ", "1. ",
    "23)  ", "> ",   "| ",    "```",     "```c ",    "  ```",     "~~~",     "~~~~~",    "- ```",
    "---",   "===",  "* * *", "<table>", "</table>", "|---|---|", "...",     "\f",       "    \t ",
};
/* clang-format off */
static const char *const words[] = {
    "word", "a", "Sentence.", "Is it?", "e.g.", "12345", "x = y;", "`code  here`", "``", "`", "**bold**", "[l](http://e)",
    "  ", "   ", "\t", "|", "\\", "\\`", "#", "supercalifragilisticexpialidocious", "na\xC3\xAFve", "\xE2\x80\x94",
    "\xE4\xB8\xAD\xE6\x96\x87\xE5\xAD\x97\xE3\x80\x82", "\xE0\xB8\x81\xE0\xB8\xB4", "\xD8\xB3\xE2\x80\x8C\xD9\x85",
    "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB", "e\xCC\x81\xCC\x81", "\xE2\x80\x8B", "\xEF\xBB\xBF", "\xC2\xA0",
    "\xE3\x80\x80", "\xFF", "\xE2\x82", "\xED\xA0\x80", "\x01", "\x7F", "\xC2\x85", "\xE2\x80\xA8", "\r", "\xC2\xAD",
    "\xF3\xA0\x81\xA7", "\xF0\x9F\x8F\xB4", "QmFzZTY0QmFzZTY0QmFzZTY0QmFzZTY0QmFzZTY0QmFzZTY0QmFzZTY0QmFzZTY0QmFz",
};
/* clang-format on */
static const char *const line_ends[] = {"\n", "\n", "\n", "\n\n", "\n\n", "\r\n", "  \n", "\n\n\n\n", "\r", "\n\f"};

static void make_document(struct made *m, uint64_t seed)
{
    size_t lines = 0, i;

    m->seed = seed * 0x9E3779B97F4A7C15u | 1;
    m->len = 0;
    lines = roll(m, MAX_PIECES);
    while (lines-- > 0) {
        put_one_of(m, line_begins, LENGTH(line_begins));
        for (i = roll(m, roll(m, 20) == 0 ? 200 : 12); i > 0; i--) {
            put_one_of(m, words, LENGTH(words));
            if (roll(m, 8) > 0)
                put(m, " ", 1);
        }
        put_one_of(m, line_ends, LENGTH(line_ends));
    }
}

static void check_documents(enum normalise_kind kind)
{
    struct made *m = malloc(sizeof *m);
    const char *bad;
    uint64_t seed;

    for (seed = 1; seed <= DOCUMENTS; seed++) {
        make_document(m, seed);
        bad = text_check_all(kind, m->text, m->len);
        cr_assert_null(bad, "seed %llu: %s", (unsigned long long)seed, bad);
    }
    free(m);
}

Test(properties, hold_of_made_up_markdown, .timeout = 120)
{
    check_documents(NORMALISE_MARKDOWN);
}

Test(properties, hold_of_made_up_plain_text, .timeout = 120)
{
    check_documents(NORMALISE_PLAIN);
}

Test(properties, hold_of_chunks_of_text_that_is_not_normalised, .timeout = 120)
{
    const struct chunk_options o[] = {
        {16, 8, false, TOKENS_APPROX}, {50, 20, false, TOKENS_APPROX}, {16, 8, true, TOKENS_APPROX},
        {50, 20, true, TOKENS_APPROX}, {16, 8, false, TOKENS_CL100K},  {50, 20, false, TOKENS_CL100K},
        {16, 8, true, TOKENS_CL100K},  {50, 20, true, TOKENS_CL100K},
    };
    struct made *m = malloc(sizeof *m);
    const char *bad;
    uint64_t seed;

    for (seed = 1; seed <= DOCUMENTS; seed++) {
        make_document(m, seed);
        bad = text_check_raw_chunks(m->text, m->len, &o[seed % 8]);
        cr_assert_null(bad, "seed %llu: %s", (unsigned long long)seed, bad);
    }
    free(m);
}

/*
 * Shapes that make such code quadratic. At this size quadratic time is minutes, linear time a fraction of a second, and
 * the limit is far from both, for slow machines and sanitizers.
 */
#define BIG     (1500u * 1000)
#define LIMIT_S 15
#define SLOWER  8 /* of the text for the exact tokenizer, which is so much slower and more */

static int ignore(void *arg, const struct chunk *c)
{
    (void)arg;
    (void)c;
    return 0;
}

static void run_big(const char *head, const char *unit, const char *tail)
{
    struct chunk_options o = {.max_tokens = 16, .overlap_tokens = 8};
    size_t n = strlen(head), unit_len = strlen(unit);
    char *text = malloc(BIG + 1024);
    struct normalised out;

    memcpy(text, head, n);
    for (; n < BIG; n += unit_len)
        memcpy(text + n, unit, unit_len);
    memcpy(text + n, tail, strlen(tail));
    n += strlen(tail);
    cr_assert_eq(normalise(NULL, NORMALISE_MARKDOWN, text, n, &out), 0);
    for (o.tokenizer = 0; o.tokenizer < TOKENIZERS_; o.tokenizer++) {
        size_t part = o.tokenizer == TOKENS_APPROX ? 1 : SLOWER;

        o.plain = false;
        cr_expect_eq(chunk_text(out.text, out.len / part, out.page_starts, out.n_pages, &o, ignore, NULL), 0);
        cr_expect_eq(chunk_text(text, n / part, NULL, 0, &o, ignore, NULL), 0);
        o.plain = true;
        cr_expect_eq(chunk_text(text, n / part, NULL, 0, &o, ignore, NULL), 0);
    }
    talloc_free(out.text);
    talloc_free(out.page_starts);
    free(text);
}

#define LINEAR(name, head, unit, tail)                                                                                 \
    Test(linear, name, .timeout = LIMIT_S)                                                                             \
    {                                                                                                                  \
        run_big(head, unit, tail);                                                                                     \
    }

LINEAR(one_line, "", "word ", "\n")
LINEAR(one_word, "", "a", "")
LINEAR(one_line_of_sentences, "", "A. ", "\n")
LINEAR(headings, "", "# H\n", "")
LINEAR(deep_headings, "", "# A\n## B\n###### C\n", "")
LINEAR(one_heading, "# ", "[a](", "\n")
LINEAR(list, "", "- a\n", "")
LINEAR(list_of_one_item, "- a\n", "  b\n", "")
LINEAR(nested_markers, "", "- ", "x\n")
LINEAR(item_of_one_line, "- a\n  ", "word ", "\nx\n- b\n")
LINEAR(unclosed_fence, "```\n", "int a;\n\n", "")
LINEAR(fences, "", "```\na\n```\n", "")
LINEAR(fence_in_a_list, "- ```\n", "  a b\n", "")
LINEAR(fence_of_spaces, "```\n", "        ", "x\n")
LINEAR(table, "| a |\n|---|\n", "| b |\n", "")
LINEAR(one_row, "| a |\n|---|\n", "| b ", "|\n")
LINEAR(html_tables, "", "<table>\n\n", "")
LINEAR(spaces, "", "  ", "")
LINEAR(newlines, "", "\n", "")
LINEAR(chinese, "", "\xE4\xB8\xAD", "")
LINEAR(combining_marks, "e", "\xCC\x81", "")
LINEAR(joined_emoji, "", "\xF0\x9F\x91\xA8\xE2\x80\x8D", "")
LINEAR(joiners, "\xDB\x8C", "\xE2\x80\x8D", "\xDB\x8C")
LINEAR(continuation_bytes, "", "\x80", "")
LINEAR(backticks, "", "` `` ``` ", "")
LINEAR(tabs, "x", "\t", "x")
LINEAR(page_breaks, "", "a\f", "")
LINEAR(closers, "a.", "\"", " B\n")
LINEAR(words_after_a_line_that_never_fits, "- a\n",
       "bbbb cccc dddd eeee ffff gggg hhhh iiii jjjj kkkk llll mmmm nnnn\n", "")
