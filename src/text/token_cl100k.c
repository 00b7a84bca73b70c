/*
 * token_cl100k.c - TOKENS_CL100K: the scans of token_scan.h over cl100k_base
 *
 * How a text ends changes only its last piece (pretoken.h). So a scan keeps where the last piece began, and each feed
 * works from there; all before it is settled. No more of a text is looked at than could fit: a token has at most
 * CL100K_MAX_BYTES bytes.
 *
 * A piece that is long for the tokens that are left is counted by a window over its beginning, which grows only while
 * the count stays near what is left. Without that, each chunk of a word of megabytes would pay for all of it.
 *
 * Diagnostics
 *   -ENOMEM   of cl100k_piece(), in token_counter.failed
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "text/cl100k.h"
#include "text/pretoken.h"
#include "text/token_scan.h"
#include "text/utf8.h"

/* Of a piece longer than this so much is looked at first for each token that is left. */
#define WINDOW_BYTES 64
#define TOKEN_BYTES  8
/* A suffix is sought in so much first: tokens of prose have between four and five bytes. */
#define SUFFIX_BYTES       64
#define SUFFIX_TOKEN_BYTES 5
/* A window that has so many more tokens than are left shows that the whole has more, too: a text that goes on may change
 * the tokens near the window's end, not a quarter of them. */
#define MARGIN(left) ((left) / 4 + 8)
/* Where tokens and characters do not end together for long, so many characters are tried one by one. */
#define CHARACTERS 8

struct tally {
    const char *s;
    size_t n, left, most; /* stop when there are more than `most` */
    size_t count;
    size_t fits; /* end of the last token that ends with a character, of the first `left` */
};

static int add_token(void *arg, uint32_t rank, size_t end)
{
    struct tally *t = arg;

    (void)rank;
    t->count++;
    if (t->count <= t->left && (end == t->n || !utf8_is_continuation(t->s[end])))
        t->fits = end;
    return t->count > t->most;
}

static size_t count_piece(struct token_counter *c, const char *s, size_t n, size_t left, size_t most, size_t *fits)
{
    struct tally t = {.s = s, .n = n, .left = left, .most = most};
    int rc = cl100k_piece(s, n, add_token, &t);

    if (rc < 0) {
        c->failed = rc;
        return SIZE_MAX;
    }
    *fits = t.fits;
    return t.count;
}

/* The longest beginning of a few characters that has at most `left` tokens. */
static size_t fit_characters(struct token_counter *c, const char *s, size_t n, size_t left)
{
    size_t fits = 0, end, ignored;
    int tries;

    for (tries = CHARACTERS; tries > 0 && fits < n; tries--) {
        end = utf8_next(s, n, fits);
        if (count_piece(c, s, end, left, left, &ignored) > left)
            break;
        fits = end;
    }
    return fits;
}

/* The tokens of a piece, or more than `left`; then *fits is how much of it fits. */
static size_t count_within(struct token_counter *c, const char *s, size_t n, size_t left, size_t *fits)
{
    size_t window = left < SIZE_MAX / TOKEN_BYTES / 2 ? left * TOKEN_BYTES + WINDOW_BYTES : n, count = 0;

    *fits = 0;
    if (left == 0)
        return 1;
    for (; window < n; window *= 2) {
        count = count_piece(c, s, window, left, left + MARGIN(left), fits);
        if (count > left + MARGIN(left))
            break;
    }
    if (window >= n)
        count = count_piece(c, s, n, left, left, fits);
    if (count > left && *fits == 0 && c->failed == 0)
        *fits = fit_characters(c, s, n, left);
    return count;
}

size_t token_cl100k_feed(struct token_scan *t, const char *s, size_t n, size_t budget)
{
    const char *from = t->piece == NULL ? s : t->piece;
    size_t count = t->settled, view = (size_t)(s - from) + n, at, end, fits, took;
    bool all = budget - count >= (view + CL100K_MAX_BYTES - 1) / CL100K_MAX_BYTES;

    if (n == 0)
        return 0;
    if (!all)
        view = utf8_floor(from, view, (budget - count) * CL100K_MAX_BYTES);
    for (at = 0; at < view; at = end) {
        end = pretoken_end(from, view, at);
        took = count_within(t->counter, from + at, end - at, budget - count, &fits);
        if (t->counter->failed != 0 || took > budget - count) {
            at += fits;
            break;
        }
        t->piece = from + at;
        t->settled = count;
        count += took;
    }
    t->count = count;
    return from + at > s ? (size_t)(from + at - s) : 0;
}

/* ---- suffix ---- */

struct tail {
    const char *s;
    size_t n, skip; /* tokens to pass over */
    size_t from;    /* the first end of a token and a character behind them */
};

static int pass_token(void *arg, uint32_t rank, size_t end)
{
    struct tail *t = arg;

    (void)rank;
    if (t->skip > 0)
        t->skip--;
    if (t->skip > 0 || (end < t->n && utf8_is_continuation(t->s[end])))
        return 0;
    t->from = end;
    return 1;
}

size_t token_cl100k_suffix(struct token_counter *c, const char *s, size_t n, size_t budget)
{
    size_t window = budget * SUFFIX_TOKEN_BYTES + SUFFIX_BYTES, begin, count;
    struct tail t;

    for (;; window *= 2) {
        begin = window < n ? utf8_floor(s, n, n - window) : 0;
        count = tokens_count(TOKENS_CL100K, s + begin, n - begin);
        if (count > budget || begin == 0)
            break;
    }
    if (count <= budget)
        return 0;
    t = (struct tail){.s = s + begin, .n = n - begin, .skip = count - budget, .from = n - begin};
    if (count == SIZE_MAX || cl100k_text(t.s, t.n, pass_token, &t) < 0)
        c->failed = -ENOMEM;
    return begin + t.from;
}
