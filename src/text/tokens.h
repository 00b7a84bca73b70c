/*
 * tokens.h - how many tokens a text has
 *
 * TOKENS_APPROX is a stated estimator, not a tokenizer: over each run of the text, words cost ceil(letters / 4) (ASCII),
 * digits ceil(n / 3), every other ASCII mark 1, CJK and other non-Latin letters 1 each, other non-ASCII letters
 * ceil(bytes / 2); white space is free but newlines cost 1 a run. It is deterministic, additive to within one token at
 * a cut between runs, and errs high. The exact cl100k_base counter takes its place behind the same calls.
 */
#ifndef TEXT_TOKENS_H
#define TEXT_TOKENS_H

#include <stddef.h>

size_t tokens_count(const char *s, size_t n);
/* Longest prefix of s, in bytes, ending at a run's end (or inside a run only when the first run alone is over budget,
 * then at a UTF-8 boundary), whose count is at most budget. At least one character when n > 0. */
size_t tokens_prefix(const char *s, size_t n, size_t budget);

#endif
