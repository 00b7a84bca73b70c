/*
 * cl100k.h - cl100k_base, exactly: the tokens that tiktoken makes of a text as ordinary text
 *
 * What looks like a special token ("<|endoftext|>") is text. The tokens of a piece (pretoken.h) are found by joining
 * its bytes pairwise, the pair of the lowest rank first, the leftmost among equals. Two ways to find that pair: a scan
 * over the pairs for short pieces, a heap for long ones, so that time grows with n log n whatever the text is.
 *
 * What is joined does not depend on what follows a token's end: the text of the first k tokens of a piece has, as a
 * piece by itself, just those k. The chunker cuts by that.
 *
 * Diagnostics
 *   -ENOMEM   a piece of more than CL100K_STACK_BYTES had no memory; 28 bytes a byte for the length of the call
 *
 * Private to src/text; others count by tokens.h.
 */
#ifndef TEXT_CL100K_H
#define TEXT_CL100K_H

#include <stddef.h>
#include <stdint.h>

#include "text/cl100k_table.h"

#define CL100K_STACK_BYTES 512

extern const struct cl100k_table cl100k_table;

/* Takes the tokens of a piece one by one; end: where it ends in the piece. Anything but 0 stops and is returned. */
typedef int (*cl100k_token_fn)(void *arg, uint32_t rank, size_t end);

/* The rank of the token whose bytes these are; CL100K_TOKENS when there is none. n > 0 */
uint32_t cl100k_rank(const char *s, size_t n);
/* 0, -ENOMEM, or what fn returned. */
int cl100k_piece(const char *s, size_t n, cl100k_token_fn fn, void *arg);
/* Every token of a text, end counted in the text. 0, -ENOMEM, or what fn returned. */
int cl100k_text(const char *s, size_t n, cl100k_token_fn fn, void *arg);

#endif
