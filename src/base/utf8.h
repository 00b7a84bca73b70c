/*
 * utf8.h - is this UTF-8, and what does it say?
 *
 * By the letter of the standard: no overlong forms, no surrogates, nothing over U+10FFFF. Of an ill-formed sequence
 * its longest well-begun part counts as one error, as WHATWG has it.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes taken, 1 to 4, with *cp set; or minus the bytes of an ill-formed sequence. n > 0. */
int utf8_decode(const char *s, size_t n, uint32_t *cp);

/* Writes cp, which is a character and no surrogate, as 1 to 4 bytes to `to`; returns how many. */
size_t utf8_encode(uint32_t cp, char to[static 4]);

/* Bytes of the valid sequence at p (1 to 4) of which at most n may be read; 0 if there is none. */
size_t utf8_sequence(const char *p, size_t n);
bool utf8_valid(const char *s, size_t n, size_t *bad_at); /* bad_at may be NULL */

#endif
