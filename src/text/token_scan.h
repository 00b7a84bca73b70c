/*
 * token_scan.h - counting tokens piece by piece, by either tokenizer
 *
 * The chunker grows a chunk block by block and must know its exact count each time without counting from its start
 * again. A scan remembers where what is settled ends, so that feeding a text in any pieces gives tokens_count() of the
 * whole. What is fed must follow in memory what was fed before.
 *
 * A text's count may be less than that of its beginning: a cut word can need more tokens than the whole. So what a feed
 * says would fit must be fed to be known.
 *
 * Diagnostics
 *   -ENOMEM   in token_counter.failed; the counts mean nothing from then on, and nothing fits
 *
 * Private to src/text.
 */
#ifndef TEXT_TOKEN_SCAN_H
#define TEXT_TOKEN_SCAN_H

#include "text/tokens.h"

struct token_counter {
    enum tokenizer tokenizer;
    int failed; /* 0 or -ENOMEM */
};

struct token_scan {
    struct token_counter *counter;
    size_t count; /* tokens of all that was fed */
    unsigned at;  /* approx: where in a run it stopped */
    /* cl100k_base: the last piece of what was fed, which more text may change, and the tokens of all before it */
    const char *piece;
    size_t settled;
};

void token_scan_begin(struct token_scan *t, struct token_counter *c);
/*
 * Feeds s, when that keeps count at most `budget`, and returns n. Else the scan is spent, and what is returned is how
 * much of s is likely to fit, up to between two characters. budget >= count.
 */
size_t token_scan_feed(struct token_scan *t, const char *s, size_t n, size_t budget);
/* Where about the longest suffix of s begins that has at most `budget` tokens and begins between two characters. */
size_t token_scan_suffix(struct token_counter *c, const char *s, size_t n, size_t budget);

/* The two tokenizers, behind the calls above. */
extern const unsigned token_approx_begin;
size_t token_approx_feed(struct token_scan *t, const char *s, size_t n, size_t budget);
size_t token_approx_suffix(const char *s, size_t n, size_t budget);
size_t token_cl100k_feed(struct token_scan *t, const char *s, size_t n, size_t budget);
size_t token_cl100k_suffix(struct token_counter *c, const char *s, size_t n, size_t budget);

#endif
