/*
 * token_scan.h - counting tokens piece by piece
 *
 * The chunker grows a chunk block by block and must know its exact count each time without counting from its start
 * again. A scan remembers the run it stopped in, so that feeding a text in any pieces gives tokens_count() of the
 * whole. Private to src/text.
 */
#ifndef TEXT_TOKEN_SCAN_H
#define TEXT_TOKEN_SCAN_H

#include <stddef.h>

struct token_scan {
    size_t count; /* tokens of all that was fed */
    unsigned at;  /* where in a run it stopped */
};

void token_scan_begin(struct token_scan *t);
/*
 * Feeds the longest prefix of s that keeps count at most `budget` and ends between two characters, also inside a run;
 * returns its length. budget >= count. A prefix of a longer text never has more tokens than the whole.
 */
size_t token_scan_feed(struct token_scan *t, const char *s, size_t n, size_t budget);
/* Where the longest suffix of s begins that has at most `budget` tokens and begins between two characters. */
size_t token_scan_suffix(const char *s, size_t n, size_t budget);

#endif
