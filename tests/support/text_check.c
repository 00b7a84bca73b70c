/*
 * text_check.c - see text_check.h
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "text/block.h"
#include "text/token_scan.h"
#include "text/utf8.h"
#include "text_check.h"

static char why[400];

static const char *say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return why;
}

/* ---- normal form ---- */

static const char *check_characters(const char *s, size_t n)
{
    size_t i = 0, blanks = 0;
    uint32_t cp = 0;
    int took;

    while (i < n) {
        took = utf8_decode(s + i, n - i, &cp);
        if (took < 0)
            return say("ill-formed UTF-8 at byte %zu", i);
        if ((cp < 0x20 && cp != '\n' && cp != '\t') || utf8_is_control(cp) || utf8_is_line_end(cp) || utf8_is_space(cp))
            return say("U+%04X at byte %zu", cp, i);
        blanks = cp == ' ' || cp == '\t' ? blanks + 1 : 0;
        if (blanks > NORMALISE_MAX_BLANKS)
            return say("more than %d blanks at byte %zu", NORMALISE_MAX_BLANKS, i);
        i += (size_t)took;
    }
    return NULL;
}

static const char *check_lines(const char *s, size_t n)
{
    size_t i;

    if (n == 0)
        return NULL;
    if (s[0] == '\n')
        return "begins with a blank line";
    if (s[n - 1] != '\n' || (n > 1 && s[n - 2] == '\n'))
        return "does not end with one newline";
    for (i = 0; i + 1 < n; i++) {
        if ((s[i] == ' ' || s[i] == '\t') && s[i + 1] == '\n')
            return say("blank at the end of a line at byte %zu", i);
        if (i + 2 < n && memcmp(s + i, "\n\n\n", 3) == 0)
            return say("two blank lines at byte %zu", i);
    }
    return NULL;
}

static const char *check_pages(const struct normalised *n)
{
    int i;

    if (n->n_pages < 1 || n->page_starts[0] != 0)
        return "page 0 does not start at 0";
    for (i = 1; i < n->n_pages; i++) {
        uint32_t at = n->page_starts[i];

        if (at < n->page_starts[i - 1] || at > n->len)
            return say("page %d starts at %u", i, at);
        if (at > 0 && n->text[at - 1] != '\n')
            return say("page %d starts within a line, at %u", i, at);
    }
    return NULL;
}

static const char *check_idempotent(enum normalise_kind kind, const struct normalised *n)
{
    struct normalised again;
    const char *bad = NULL;
    size_t i = 0;

    if (normalise(NULL, kind, n->text, n->len, &again) != 0)
        return "cannot be normalised again";
    while (i < n->len && i < again.len && n->text[i] == again.text[i])
        i++;
    if (again.len != n->len || i < n->len)
        bad = say("not idempotent: differs at byte %zu", i);
    else if (again.removed != 0 || again.repaired != 0 || again.n_pages != 1)
        bad = "normalised again, counts removals, repairs or pages";
    talloc_free(again.text);
    talloc_free(again.page_starts);
    return bad;
}

const char *text_check_normalised(enum normalise_kind kind, const struct normalised *n)
{
    const char *bad = check_characters(n->text, n->len);

    if (n->text[n->len] != '\0')
        return "no NUL after the text";
    if (bad == NULL)
        bad = check_lines(n->text, n->len);
    if (bad == NULL)
        bad = check_pages(n);
    return bad == NULL ? check_idempotent(kind, n) : bad;
}

/* ---- chunks ---- */

struct seen {
    const char *text;
    size_t len;
    const struct normalised *normal; /* NULL for raw text */
    const struct chunk_options *o;
    size_t end, last_start;
    int ord, page;
    uint64_t digest;
    const char *bad;
    struct place *places; /* of all chunks */
};

struct place {
    size_t start, end, overlap;
};

static void digest_add(uint64_t *d, uint64_t v)
{
    *d = (*d ^ v) * 0x9E3779B97F4A7C15u;
    *d ^= *d >> 29;
}

static bool blank(const char *s, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\n' && s[i] != '\t')
            return false;
    return true;
}

static int page_at(const struct normalised *n, size_t at)
{
    int i, page = n != NULL && n->n_pages > 0 ? 1 : 0;

    for (i = 0; n != NULL && i < n->n_pages; i++)
        if (n->page_starts[i] <= at)
            page = i + 1;
    return page;
}

static const char *check_place(const struct seen *s, const struct chunk *c)
{
    if (c->ord != s->ord)
        return say("chunk %d comes as %d", s->ord, c->ord);
    if (c->start != s->end || c->end <= c->start || c->end > s->len)
        return say("chunk %d is [%zu, %zu) after %zu of %zu", c->ord, c->start, c->end, s->end, s->len);
    if (c->overlap > c->start - s->last_start)
        return say("chunk %d repeats more than its predecessor", c->ord);
    if (tokens_count(s->o->tokenizer, s->text + c->start - c->overlap, c->end - c->start + c->overlap) !=
        (size_t)c->tokens)
        return say("chunk %d does not have %d tokens", c->ord, c->tokens);
    if (c->tokens > s->o->max_tokens)
        return say("chunk %d has %d tokens", c->ord, c->tokens);
    if (tokens_count(s->o->tokenizer, s->text + c->start - c->overlap, c->overlap) > (size_t)s->o->overlap_tokens)
        return say("the overlap of chunk %d is too long", c->ord);
    if (strlen(c->heading_path) > 1000)
        return say("the heading path of chunk %d is too long", c->ord);
    return NULL;
}

static const char *check_normal(const struct seen *s, const struct chunk *c)
{
    const char *own = s->text + c->start, *overlap = own - c->overlap;
    uint32_t cp;
    size_t i;

    if (blank(own, c->end - c->start) || (c->overlap > 0 && blank(overlap, c->overlap)))
        return say("chunk %d or its overlap is blank", c->ord);
    if (utf8_is_continuation(*own) || utf8_is_continuation(*overlap))
        return say("chunk %d begins within a character", c->ord);
    if (c->overlap > 0 && overlap > s->text && *overlap > ' ' && overlap[-1] > ' ')
        return say("the overlap of chunk %d begins within a word", c->ord);
    if (s->o->plain && c->heading_path[0] != '\0')
        return say("chunk %d of a plain text has a heading path", c->ord);
    if (c->page != page_at(s->normal, c->start) || c->page < s->page)
        return say("chunk %d is said to be on page %d", c->ord, c->page);
    for (i = 0; c->heading_path[i] != '\0';) {
        int took = utf8_decode(c->heading_path + i, strlen(c->heading_path + i), &cp);

        if (took < 0)
            return say("the heading path of chunk %d is not UTF-8", c->ord);
        i += (size_t)took;
    }
    return NULL;
}

static int see(void *arg, const struct chunk *c)
{
    struct seen *s = arg;

    s->places = talloc_realloc(NULL, s->places, struct place, (unsigned)s->ord + 1);
    s->places[s->ord] = (struct place){c->start, c->end, c->overlap};
    s->bad = check_place(s, c);
    if (s->bad == NULL && s->normal != NULL)
        s->bad = check_normal(s, c);
    digest_add(&s->digest, c->end);
    digest_add(&s->digest, c->overlap);
    digest_add(&s->digest, (uint64_t)c->heading_path[0]);
    s->last_start = c->start;
    s->end = c->end;
    s->page = c->page;
    s->ord++;
    return s->bad != NULL;
}

static const char *check(struct seen *s, const uint32_t *page_starts, int n_pages)
{
    uint64_t first = 0;
    int round;

    for (round = 0; round < 2; round++) {
        s->end = s->last_start = 0;
        s->ord = s->page = 0;
        s->digest = 0;
        if (chunk_text(s->text, s->len, page_starts, n_pages, s->o, see, s) != 0)
            return s->bad == NULL ? "chunk_text failed" : s->bad;
        if (s->end != s->len)
            return say("the chunks end at %zu of %zu", s->end, s->len);
        if (round == 1 && s->digest != first)
            return "two runs gave different chunks";
        first = s->digest;
    }
    return NULL;
}

/* ---- chunks and blocks ---- */

/* Whether text[from, to) is within the budget; looks at no more of it than that takes. */
static bool within_budget(const struct seen *s, size_t from, size_t to, size_t budget)
{
    struct token_counter counter = {.tokenizer = s->o->tokenizer};
    struct token_scan scan;

    token_scan_begin(&scan, &counter);
    return token_scan_feed(&scan, s->text + from, to - from, budget) == to - from;
}

/* Two characters of a block, which a chunk must not have had room for when it ends before them. */
static size_t first_two(const struct seen *s, const struct block *b)
{
    size_t at = utf8_next(s->text, b->end, b->start);

    return at < b->end ? utf8_next(s->text, b->end, at) : b->end;
}

static const char *check_heading(const struct seen *s, const struct block *b, const struct place *c, bool headings_only,
                                 const struct block *next)
{
    if (c->start < b->start && !headings_only)
        return say("the heading at %zu begins no chunk", b->start);
    if (c->end == b->end && next != NULL && next->kind != BLOCK_HEADING &&
        tokens_count(s->o->tokenizer, s->text + c->start, first_two(s, next) - c->start) + 1 <=
            (size_t)s->o->max_tokens)
        return say("the heading at %zu ends a chunk", b->start);
    if (c->start == b->start && c->overlap > 0)
        return say("an overlap reaches over the heading at %zu", b->start);
    return NULL;
}

/* Every heading begins a chunk, none ends one without need, and no block is split without need. */
static const char *check_blocks(const struct seen *s)
{
    struct block_scan scan;
    struct block b, next;
    const struct place *c = s->places;
    bool more, headings_only = true;
    const char *bad = NULL;
    size_t begun = SIZE_MAX;

    block_scan_begin(&scan, s->text, s->len, s->o->plain);
    more = block_next(&scan, &b);
    while (more && bad == NULL) {
        more = block_next(&scan, &next);
        while (c->end <= b.start)
            c++;
        if (c->start != begun)
            headings_only = true;
        begun = c->start;
        if (c->end < b.end && within_budget(s, c->start, b.end, (size_t)s->o->max_tokens))
            bad = say("the block at %zu is split without need", b.start);
        else if (s->o->plain && b.kind != BLOCK_TEXT)
            bad = say("the block at %zu of a plain text is of kind %d", b.start, (int)b.kind);
        else if (c->end < b.end && c->start < b.start && !headings_only)
            bad = say("the block at %zu is split in a chunk that it does not begin", b.start);
        else if (b.kind == BLOCK_HEADING)
            bad = check_heading(s, &b, c, headings_only, more ? &next : NULL);
        headings_only = headings_only && b.kind == BLOCK_HEADING;
        b = next;
    }
    return bad;
}

const char *text_check_chunks(const struct normalised *n, const struct chunk_options *o)
{
    struct seen s = {.text = n->text, .len = n->len, .normal = n, .o = o};
    const char *bad = check(&s, n->page_starts, n->n_pages);

    if (bad == NULL && n->len > 0)
        bad = check_blocks(&s);
    talloc_free(s.places);
    return bad;
}

const char *text_check_raw_chunks(const char *text, size_t len, const struct chunk_options *o)
{
    struct seen s = {.text = text, .len = len, .o = o};
    const char *bad = check(&s, NULL, 0);

    talloc_free(s.places);
    return bad;
}

const char *text_check_all(enum normalise_kind kind, const char *in, size_t len)
{
    static const int sizes[][2] = {{16, 0}, {16, 8}, {40, 10}, {400, 40}};
    struct normalised n;
    const char *bad;
    size_t i;

    if (normalise(NULL, kind, in, len, &n) != 0)
        return "normalise failed";
    bad = text_check_normalised(kind, &n);
    for (i = 0; bad == NULL && i < sizeof sizes / sizeof *sizes; i++) {
        struct chunk_options o = {
            .max_tokens = sizes[i][0], .overlap_tokens = sizes[i][1], .plain = kind == NORMALISE_PLAIN};

        for (o.tokenizer = 0; bad == NULL && o.tokenizer < TOKENIZERS_; o.tokenizer++)
            bad = text_check_chunks(&n, &o);
    }
    talloc_free(n.text);
    talloc_free(n.page_starts);
    return bad;
}
