/*
 * chunk_cut.c - see chunk_cut.h
 *
 * A boundary of a better kind wins over a later one of a lesser kind, but not when it leaves the chunk nearly empty:
 * it must lie behind the first quarter of the window. Of lists, tables and fences any line will do, since what they
 * say lies in the line, and between words any place. A kind is searched only when the better ones failed, and what a
 * search passes over in vain holds no boundary of that kind for the next chunk either, so the number of searches of
 * any byte is bounded by the number of kinds.
 */
#include <string.h>

#include "text/chunk_cut.h"
#include "text/utf8.h"

/* A line is looked at only so far to see whether it begins an item. */
#define PEEK_BYTES 256
/* A cut goes back so far at most to keep a letter and its marks, or the parts of an emoji, together. */
#define CLUSTER_BYTES 64

static bool is_white(char c)
{
    return c == ' ' || c == '\n' || c == '\t';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static uint32_t char_at(const char *text, size_t end, size_t i)
{
    uint32_t cp;

    return i < end && utf8_decode(text + i, end - i, &cp) > 0 ? cp : 0;
}

/* The character that ends at i; 0 at `lo`. */
static uint32_t char_before(const char *text, size_t lo, size_t i)
{
    return i > lo ? char_at(text, i, utf8_floor(text, i, i - 1)) : 0;
}

bool cut_is_blank(const char *text, size_t from, size_t to)
{
    while (from < to && is_white(text[from]))
        from++;
    return from == to;
}

size_t cut_last_visible(const char *text, size_t from, size_t to)
{
    size_t i = to;

    while (i > from && is_white(text[i - 1]))
        i--;
    return i == from ? to : utf8_floor(text, i, i - 1);
}

static bool is_cjk_stop(uint32_t cp)
{
    return cp == 0x3002 || cp == 0xFF01 || cp == 0xFF1F || cp == 0xFF0E || cp == 0xFF61;
}

static bool is_closer(uint32_t cp)
{
    return cp == '"' || cp == '\'' || cp == ')' || cp == ']' || cp == '*' || cp == '_' || cp == 0x2019 ||
           cp == 0x201D || cp == 0xBB || cp == 0x300D || cp == 0x300F || cp == 0xFF09;
}

/* A word begins at i: after white space, or a character of a script without spaces that is not a mark. */
static bool word_begins(const char *text, size_t lo, size_t end, size_t i)
{
    uint32_t cp;

    if (i >= end || is_white(text[i]) || utf8_is_continuation(text[i]))
        return false;
    if (i == 0 || is_white(text[i - 1]))
        return true;
    if ((unsigned char)text[i] < 0x80 && (unsigned char)text[i - 1] < 0x80)
        return false;
    cp = char_at(text, end, i);
    return (utf8_is_unspaced(cp) || utf8_is_unspaced(char_before(text, lo, i))) && !utf8_is_extender(cp);
}

/* A sentence begins at i, given that a word does: after a stop and its closing quotes, or after a blank line. */
static bool sentence_begins(const char *text, size_t lo, size_t i)
{
    size_t p = i, steps = 0;
    uint32_t cp;

    while (p > lo && is_white(text[p - 1]) && steps++ < 8)
        p--;
    if (i - p >= 2 && text[i - 1] == '\n' && text[i - 2] == '\n')
        return true;
    for (cp = char_before(text, lo, p), steps = 0; is_closer(cp) && steps < 4; steps++) {
        p = utf8_floor(text, p, p - 1);
        cp = char_before(text, lo, p);
    }
    if (is_cjk_stop(cp))
        return true;
    if (p == i || !is_white(text[i - 1]) || is_lower(text[i]))
        return false;
    return cp == '.' || cp == '!' || cp == '?' || cp == 0x2026 || cp == 0x0964 || cp == 0x061F || cp == 0x06D4;
}

void cut_walk_begin(struct cut_walk *w, const char *text, const struct block *b)
{
    *w = (struct cut_walk){.text = text, .block = *b, .line = b->start, .state = b->state};
}

enum line_rank { RANK_NONE, RANK_FENCE_LINE, RANK_LINE, RANK_PARAGRAPH, RANKS };

struct line_cut {
    size_t at;
    struct md_state state;
};

static enum line_rank rank_of_line(const struct cut_walk *w, const struct md_state *st, size_t at)
{
    const char *s = w->text + at, *nl;
    size_t n = w->block.end - at;
    struct md_state copy = *st;
    struct md_line line;

    if (st->fence_char != 0 && w->block.kind == BLOCK_LIST)
        return RANK_FENCE_LINE;
    if (st->after_blank)
        return RANK_PARAGRAPH;
    if (w->block.kind != BLOCK_LIST)
        return RANK_LINE;
    if (n > PEEK_BYTES)
        n = PEEK_BYTES;
    nl = memchr(s, '\n', n);
    md_classify(&copy, s, nl == NULL ? n : (size_t)(nl - s), &line);
    return line.kind == MD_ITEM ? RANK_PARAGRAPH : RANK_LINE;
}

/* The last line of each rank that begins in (pos, limit]. */
static void find_lines(const struct cut_walk *w, size_t pos, size_t limit, struct line_cut best[RANKS])
{
    struct md_state st = w->state;
    size_t line = w->line, next;
    struct md_line what;
    const char *nl;

    memset(best, 0, sizeof *best * RANKS);
    for (;; line = next) {
        size_t from = line > pos ? line : pos;

        nl = limit > from ? memchr(w->text + from, '\n', limit - from) : NULL;
        if (nl == NULL)
            return;
        next = (size_t)(nl - w->text) + 1;
        md_classify(&st, w->text + line, next - 1 - line, &what);
        if (w->text[next] != '\n')
            best[rank_of_line(w, &st, next)] = (struct line_cut){next, st};
    }
}

static size_t find_line(struct cut_walk *w, size_t pos, size_t limit)
{
    bool prose = w->block.kind == BLOCK_TEXT || w->block.kind == BLOCK_HEADING;
    struct line_cut best[RANKS], *c = NULL;
    size_t quarter = pos + (limit - pos) / 4;

    find_lines(w, pos, limit, best);
    if (best[RANK_PARAGRAPH].at > quarter)
        c = &best[RANK_PARAGRAPH];
    else if (best[RANK_LINE].at > (prose ? quarter : pos))
        c = &best[RANK_LINE];
    else if (best[RANK_PARAGRAPH].at > pos)
        c = &best[RANK_PARAGRAPH];
    else if (best[RANK_FENCE_LINE].at > pos)
        c = &best[RANK_FENCE_LINE];
    if (c == NULL)
        return pos;
    w->line = c->at;
    w->state = c->state;
    return c->at;
}

static size_t find_sentence(const char *text, size_t pos, size_t limit, size_t end)
{
    size_t least = pos + (limit - pos) / 4, i;

    for (i = limit; i > least; i--)
        if (word_begins(text, pos, end, i) && sentence_begins(text, pos, i))
            return i;
    return pos;
}

static size_t find_word(const char *text, size_t pos, size_t limit, size_t end)
{
    size_t i;

    for (i = limit; i > pos; i--)
        if (word_begins(text, pos, end, i))
            return i;
    return pos;
}

/* limit, or so little before it that no mark, joiner or part of an emoji is torn off. */
static size_t find_character(const char *text, size_t pos, size_t limit, size_t end)
{
    size_t i = limit;

    while (i > pos && limit - i < CLUSTER_BYTES &&
           (utf8_is_extender(char_at(text, end, i)) || char_before(text, pos, i) == UTF8_ZWJ))
        i = utf8_floor(text, end, i - 1);
    return i > pos && limit - i < CLUSTER_BYTES ? i : limit;
}

/* White space that pos may stand before is passed over first: no cut leaves only that behind it. */
size_t cut_choose(struct cut_walk *w, size_t pos, size_t limit)
{
    size_t cut;

    while (pos < limit && is_white(w->text[pos]))
        pos++;
    if (limit <= pos)
        return limit;
    cut = find_line(w, pos, limit);
    if (cut == pos)
        cut = find_sentence(w->text, pos, limit, w->block.end);
    if (cut == pos)
        cut = find_word(w->text, pos, limit, w->block.end);
    if (cut == pos)
        cut = find_character(w->text, pos, limit, w->block.end);
    return cut;
}

/* The best begin of an overlap in [from, end). */
static size_t overlap_begin(const char *text, size_t lo, size_t from, size_t end)
{
    size_t half = from + (end - from) / 2, line = end, word = end, i;

    for (i = from; i < end; i++) {
        if (i > half && word < end)
            break;
        if (!word_begins(text, lo, end, i))
            continue;
        if (word == end)
            word = i;
        if (i <= half && line == end && i > lo && text[i - 1] == '\n')
            line = i;
        if (i <= half && sentence_begins(text, lo, i))
            return i;
    }
    return line < end ? line : word;
}

/* A begin within a word may make more tokens of what is left of it; then less is tried. */
size_t cut_overlap(struct token_counter *c, const char *text, size_t lo, size_t end, size_t budget)
{
    size_t try = budget, at, over;
    struct token_scan t;

    while (try > 0) {
        at = overlap_begin(text, lo, lo + token_scan_suffix(c, text + lo, end - lo, try), end);
        token_scan_begin(&t, c);
        if (at == end || token_scan_feed(&t, text + at, end - at, budget) == end - at)
            return at;
        over = tokens_count(c->tokenizer, text + at, end - at) - budget;
        try = try > over ? try - over : 0;
    }
    return end;
}
