/*
 * roff.h - text in the language of manual pages
 *
 * Depends on libc.
 */
#ifndef BASE_ROFF_H
#define BASE_ROFF_H

#include <stddef.h>
#include <stdio.h>

/* s with what is special there escaped: backslash, minus, quote, and a dot or apostrophe at the start of a line. */
void roff_text(FILE *out, const char *s);
void roff_text_n(FILE *out, const char *s, size_t n);
/* The same, with the line's end. */
void roff_line(FILE *out, const char *s);

#endif
