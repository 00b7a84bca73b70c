/*
 * tokens.h - how many tokens a text has
 *
 * TOKENS_APPROX is a stated estimator, not a tokenizer. A text is a row of runs:
 *   ASCII letters           ceil(n / 4)
 *   digits                  ceil(n / 3)
 *   newlines                1, and 1 more for each 16
 *   spaces, tabs, controls  free when single, else 1 and 1 more for each 16
 *   other ASCII marks       1 each
 *   other characters        by their length in UTF-8: of 2 bytes 1 (accented Latin, Greek, Cyrillic, Hebrew, Arabic);
 *                           of 3 bytes 1 from U+3000 (Chinese, Japanese, Korean), 2 below (Indic, Thai, Georgian,
 *                           typographic marks); of 4 bytes 3 (emoji, rare letters)
 * It is deterministic, a prefix never has more than the whole, a cut between runs changes the sum by at most one, and it
 * errs high. The exact cl100k_base counter takes its place behind the same calls. Text that is not UTF-8 is counted
 * safely but means nothing.
 */
#ifndef TEXT_TOKENS_H
#define TEXT_TOKENS_H

#include <stddef.h>

size_t tokens_count(const char *s, size_t n);
/* Longest prefix of s, in bytes, ending at a run's end (or inside a run only when the first run alone is over budget,
 * then at a UTF-8 boundary), whose count is at most budget. At least one character when n > 0. */
size_t tokens_prefix(const char *s, size_t n, size_t budget);

#endif
