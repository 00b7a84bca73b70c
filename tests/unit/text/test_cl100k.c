/*
 * test_cl100k.c - the tokens of cl100k_base, against others' vectors and against the plainest way to find them
 *
 * fixtures/cl100k_plans.txt: the cl100k_base part of data/TestPlans.txt of npm's gpt-tokenizer 4.0.0 (data/MIT.txt).
 * fixtures/mixed.txt: words, marks, white space and random characters of all scripts; its tokens and those of the
 * golden documents are as gpt-tokenizer makes them (node tests/tokenizer/compare.cjs --expect).
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "text/cl100k.h"
#include "text/pretoken.h"
#include "text/tokens.h"
#include "text/unicode_class.h"

#define RANKS_SHA256 "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"

struct got {
    uint32_t *ranks;
    size_t n, room;
    const char *text;
    size_t end; /* of the last token */
    bool broken;
};

static int take(void *arg, uint32_t rank, size_t end)
{
    struct got *g = arg;
    const struct cl100k_table *t = &cl100k_table;

    if (g->n == g->room)
        g->ranks = realloc(g->ranks, (g->room = g->room * 2 + 64) * sizeof *g->ranks);
    g->ranks[g->n++] = rank;
    if (rank >= CL100K_TOKENS || end <= g->end || end - g->end != t->starts[rank + 1] - t->starts[rank] ||
        memcmp(t->bytes + t->starts[rank], g->text + g->end, end - g->end) != 0)
        g->broken = true;
    g->end = end;
    return 0;
}

/* The tokens of a text, whose bytes together are the text. */
static struct got tokens_of(const char *s, size_t n)
{
    struct got g = {.text = s};

    cr_assert_eq(cl100k_text(s, n, take, &g), 0);
    cr_assert_not(g.broken, "a token is not the text that it stands for");
    cr_assert_eq(g.end, n);
    cr_assert_eq(tokens_count(TOKENS_CL100K, s, n), g.n);
    return g;
}

static char *read_all(const char *path, size_t *n)
{
    char *text = malloc(1 << 20);
    FILE *f = fopen(path, "rb");

    cr_assert_not_null(f, "%s", path);
    *n = fread(text, 1, (1 << 20) - 1, f);
    text[*n] = '\0';
    fclose(f);
    return text;
}

/* ---- the table ---- */

static void put_base64(FILE *f, const uint8_t *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t i;

    for (i = 0; i < n; i += 3) {
        unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);

        fputc(digits[v >> 18], f);
        fputc(digits[v >> 12 & 63], f);
        fputc(i + 1 < n ? digits[v >> 6 & 63] : '=', f);
        fputc(i + 2 < n ? digits[v & 63] : '=', f);
    }
}

Test(cl100k, the_table_is_the_published_file)
{
    const struct cl100k_table *t = &cl100k_table;
    uint8_t digest[SHA256_BYTES];
    char *text = NULL, hex[SHA256_HEX_LEN + 1];
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    for (uint32_t rank = 0; rank < CL100K_TOKENS; rank++) {
        put_base64(f, t->bytes + t->starts[rank], t->starts[rank + 1] - t->starts[rank]);
        fprintf(f, " %u\n", rank);
    }
    fclose(f);
    sha256_of(text, n, digest);
    hex_encode(digest, sizeof digest, hex);
    cr_assert_str_eq(hex, RANKS_SHA256);
    free(text);
}

Test(cl100k, every_token_is_found_by_its_bytes_and_nothing_else_is)
{
    const struct cl100k_table *t = &cl100k_table;
    char longer[CL100K_MAX_BYTES + 2];

    for (uint32_t rank = 0; rank < CL100K_TOKENS; rank++)
        cr_assert_eq(cl100k_rank((const char *)t->bytes + t->starts[rank], t->starts[rank + 1] - t->starts[rank]),
                     rank);
    memset(longer, ' ', sizeof longer);
    cr_expect_lt(cl100k_rank(longer, 80), CL100K_TOKENS);
    cr_expect_eq(cl100k_rank(longer, sizeof longer), CL100K_TOKENS);
    cr_expect_eq(cl100k_rank("\xFF\xFE\xFD", 3), CL100K_TOKENS);
}

/* ---- others' vectors ---- */

static size_t parse_ranks(const char *s, uint32_t *out)
{
    size_t n = 0;
    char *end;

    for (s = strchr(s, '[') + 1; *s != ']'; s = *end == ',' ? end + 1 : end)
        out[n++] = (uint32_t)strtoul(s, &end, 10);
    return n;
}

Test(cl100k, the_vectors_of_gpt_tokenizer_pass)
{
    size_t n, plans = 0, count;
    char *all = read_all(TEXT_FIXTURES "/cl100k_plans.txt", &n), *at = all, *sample, *encoded;
    uint32_t want[4096];

    while ((sample = strstr(at, "Sample: ")) != NULL) {
        struct got g;

        sample += strlen("Sample: ");
        encoded = strstr(sample, "\nEncoded: ");
        at = strchr(encoded + 1, '\n');
        *encoded = *at = '\0';
        count = parse_ranks(encoded + 1, want);
        g = tokens_of(sample, strlen(sample));
        cr_expect(g.n == count && (count == 0 || memcmp(g.ranks, want, count * sizeof *want) == 0), "%s", sample);
        free(g.ranks);
        plans++;
        at++;
    }
    cr_expect_eq(plans, 64);
    free(all);
}

Test(cl100k, fixed_texts_have_the_tokens_that_gpt_tokenizer_finds)
{
    static const struct {
        const char *path;
        size_t tokens;
        const char *sha256; /* of the ranks as 32-bit numbers, lowest byte first */
    } files[] = {
        {TEXT_FIXTURES "/mixed.txt", 14977, "a896b120d0886eaa869a957bef04059b3275d17361300e8c12f3f387863dbab7"},
        {GOLDEN_INPUTS "/bees.md", 5762, "71acf3bf119670a1755dafd176c01c67e8817e51918d3ca98294d6b0dd006cb1"},
        {GOLDEN_INPUTS "/ledger.txt", 49, "624a029e568d999cbb9b4560be850376487f903626993eebfb113156d0363de9"},
        {GOLDEN_INPUTS "/mill.md", 243, "6ba0b065cda24d3896c439df586fac86c4c29d1d8f09448b8239b2247d5517ef"},
        {GOLDEN_INPUTS "/observatory.html", 218, "6b66abbd1019be33b19d87b0202ea12fea6952a23207bd10d94b4d26f62554c6"},
    };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        uint8_t digest[SHA256_BYTES];
        char hex[SHA256_HEX_LEN + 1], *text;
        size_t n;
        struct got g;

        text = read_all(files[i].path, &n);
        g = tokens_of(text, n);
        sha256_of(g.ranks, g.n * sizeof *g.ranks, digest);
        hex_encode(digest, sizeof digest, hex);
        cr_expect_eq(g.n, files[i].tokens, "%s", files[i].path);
        cr_expect_str_eq(hex, files[i].sha256, "%s", files[i].path);
        free(g.ranks);
        free(text);
    }
}

/* ---- pieces ---- */

/* The pieces of a text, with a | after each. */
static const char *split(const char *s)
{
    static char out[400];
    size_t n = strlen(s), at = 0, end, to = 0;

    for (; at < n; at = end) {
        end = pretoken_end(s, n, at);
        to += (size_t)snprintf(out + to, sizeof out - to, "%.*s|", (int)(end - at), s + at);
    }
    return out;
}

Test(pretoken, words_take_the_mark_or_blank_before_them)
{
    cr_expect_str_eq(split("one two\tthree(four)"), "one| two|\tthree|(four|)|");
    cr_expect_str_eq(split("na\xC3\xAFve \xD0\xBC\xD0\xB8\xD1\x80"), "na\xC3\xAFve| \xD0\xBC\xD0\xB8\xD1\x80|");
}

Test(pretoken, digits_go_in_threes)
{
    cr_expect_str_eq(split("1234567 \xC2\xBD"), "123|456|7| |\xC2\xBD|");
}

Test(pretoken, english_endings_are_split_off_in_any_case)
{
    cr_expect_str_eq(split("it's we'LL I'd'Ve\n'rest '"), "it|'s| we|'LL| I|'d|'Ve|\n|'re|st| '|");
    cr_expect_str_eq(split("x'\xC5\xBF"
                           "ay"),
                     "x|'\xC5\xBF|ay|");
}

Test(pretoken, marks_take_a_space_before_and_line_ends_behind)
{
    cr_expect_str_eq(split("a !?\n\n b"), "a| !?\n\n| b|");
    cr_expect_str_eq(split("-- --"), "--| --|");
}

Test(pretoken, white_space_leaves_its_last_for_the_word)
{
    cr_expect_str_eq(split("a   b"), "a|  | b|");
    cr_expect_str_eq(split("a \n  \n  b"), "a| \n  \n| | b|");
    cr_expect_str_eq(split("a\xC2\x85\xE3\x80\x80"
                           "b"),
                     "a|\xC2\x85|\xE3\x80\x80"
                     "b|");
}

Test(pretoken, white_space_at_the_end_is_one_piece)
{
    cr_expect_str_eq(split("a\n  "), "a|\n  |");
}

Test(pretoken, ill_formed_bytes_are_marks)
{
    cr_expect_str_eq(split("a\xFF\xC3( \x80 b"), "a|\xFF\xC3(| \x80| b|");
}

Test(unicode_class, letters_numbers_and_white_space)
{
    cr_expect_eq(unicode_class('a'), UNICODE_LETTER);
    cr_expect_eq(unicode_class(0x4E2D), UNICODE_LETTER);
    cr_expect_eq(unicode_class(0x2FA1D), UNICODE_LETTER);
    cr_expect_eq(unicode_class('7'), UNICODE_NUMBER);
    cr_expect_eq(unicode_class(0x2167), UNICODE_NUMBER);
    cr_expect_eq(unicode_class(0x85), UNICODE_SPACE);
    cr_expect_eq(unicode_class(0x3000), UNICODE_SPACE);
    cr_expect_eq(unicode_class(0x200B), UNICODE_OTHER);
    cr_expect_eq(unicode_class(0x301), UNICODE_OTHER);
    cr_expect_eq(unicode_class(0x1F600), UNICODE_OTHER);
    cr_expect_eq(unicode_class(0x10FFFF), UNICODE_OTHER);
}

/* ---- joining ---- */

/* What the encoding is defined by: join the pair of the lowest rank, the leftmost first, until none is a token. */
static size_t join_plainly(const char *s, size_t n, size_t *ends)
{
    size_t parts = n, i, best, at = 0;

    for (i = 0; i < n; i++)
        ends[i] = i + 1;
    for (;;) {
        for (best = CL100K_TOKENS, i = 0; i + 1 < parts; i++) {
            size_t begin = i == 0 ? 0 : ends[i - 1], rank = cl100k_rank(s + begin, ends[i + 1] - begin);

            if (rank < best) {
                best = rank;
                at = i;
            }
        }
        if (best == CL100K_TOKENS)
            return parts;
        memmove(ends + at, ends + at + 1, (--parts - at) * sizeof *ends);
    }
}

static int take_end(void *arg, uint32_t rank, size_t end)
{
    size_t **to = arg;

    (void)rank;
    *(*to)++ = end;
    return 0;
}

static void expect_joined(const char *s, size_t n)
{
    size_t *want = malloc((n + 1) * sizeof *want), *got = malloc((n + 1) * sizeof *got), *to = got, parts;

    parts = join_plainly(s, n, want);
    cr_assert_eq(cl100k_piece(s, n, take_end, &to), 0);
    cr_assert_eq(to - got, (ptrdiff_t)parts);
    cr_assert_arr_eq(got, want, parts * sizeof *want);
    free(want);
    free(got);
}

Test(cl100k, pieces_of_any_length_are_joined_as_defined)
{
    static const char *const alphabets[] = {"a", "ab", "abcde fghi", "etaoinshrdlu", "\xE4\xB8\xAD\xE6\x96\x87", "= -"};
    char s[1200];
    unsigned seed = 7;

    for (size_t k = 0; k < sizeof alphabets / sizeof *alphabets; k++)
        for (size_t n = 1; n < sizeof s; n = n < 40 ? n + 1 : n * 5 / 4) {
            for (size_t i = 0; i < n; i++) {
                seed = seed * 1103515245 + 12345;
                s[i] = alphabets[k][(seed >> 16) % strlen(alphabets[k])];
            }
            expect_joined(s, n);
        }
}

static int stop_at_once(void *arg, uint32_t rank, size_t end)
{
    (void)arg;
    (void)rank;
    (void)end;
    return 42;
}

Test(cl100k, what_the_caller_returns_stops_it)
{
    cr_expect_eq(cl100k_text("one two three", 13, stop_at_once, NULL), 42);
}

/* A scan over all pairs for each join would take hours. */
Test(cl100k, a_word_of_two_megabytes_takes_a_moment, .timeout = 120)
{
    size_t n = 2 * 1000 * 1000;
    char *s = malloc(n);

    memset(s, 'a', n);
    cr_expect_eq(tokens_count(TOKENS_CL100K, s, n), n / 8);
    free(s);
}
