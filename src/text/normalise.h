/*
 * normalise.h - Markdown in, docmill's normal form out
 *
 * LF; at most one blank line in a row; line ends trimmed; one space after a heading's '#'s; bullets '-'; runs of
 * spaces collapsed outside code (fenced, indented, `inline`); no zero-width and no control characters (tab in code
 * stays); invalid UTF-8 replaced by U+FFFD, a sequence at a time (as WHATWG does); one final newline. Non-ASCII text is
 * never dropped. Form feeds are page breaks: pages come back as byte offsets into the output. Idempotent.
 *
 * Pure; depends on base.
 */
#ifndef TEXT_NORMALISE_H
#define TEXT_NORMALISE_H

#include <stddef.h>
#include <stdint.h>

enum normalise_kind { NORMALISE_MARKDOWN, NORMALISE_PLAIN }; /* plain: no heading, bullet or code rules; spaces collapse */

struct normalised {
    char *text; /* talloc child of the context given; NUL after len */
    size_t len;
    uint32_t *page_starts; /* byte offset at which page i (from 0) starts; page_starts[0] == 0 */
    int n_pages;           /* at least 1; 1 also when the input has no page breaks */
    uint64_t repaired;     /* invalid UTF-8 sequences replaced */
    uint64_t removed;      /* control and zero-width characters removed */
};

/* Input of up to 4 GiB - 1. Returns 0 or -ENOMEM / -EFBIG. Empty or all-blank input gives len 0. */
int normalise(const void *talloc_ctx, enum normalise_kind kind, const char *in, size_t n, struct normalised *out);

#endif
