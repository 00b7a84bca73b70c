/*
 * normalise.h - Markdown in, docmill's normal form out
 *
 * Idempotent, deterministic, linear in time. First the characters, in code and out of it:
 *   - ill-formed UTF-8 becomes U+FFFD, a sequence at a time (as WHATWG does);
 *   - CR, CR LF, VT, NEL, U+2028 and U+2029 end a line as LF does; a form feed ends the line and begins a page;
 *   - control characters and format characters without width go: C0 but for tab, DEL, C1, soft hyphen, U+200B,
 *     U+2060, U+FEFF, bidirectional marks, tag characters but in an emoji flag;
 *   - ZWJ and ZWNJ, which carry meaning in Persian, Indic scripts and emoji, stay between two non-ASCII letters,
 *     marks or emoji, one at a place, and go elsewhere;
 *   - Unicode's other spaces become U+0020. Nothing else that is not ASCII is ever changed or dropped.
 * Then the lines:
 *   - blanks at a line's end go, blank lines at the beginning and end of the text too; elsewhere at most one in a
 *     row; one final newline;
 *   - outside code a run of spaces and tabs becomes one space. Code is fenced, indented, or `inline` within a line
 *     (see mdline.h); tabs stay in it; no run in it is longer than NORMALISE_MAX_BLANKS;
 *   - headings: no indentation, one space after the '#'s. A paragraph of one line becomes a heading with '#' or '##'
 *     when '=' or '-', three or more, underline it, but not in front matter (from a first line "---" to the next);
 *   - bullets '*' and '+' become '-', one space after a marker;
 *   - indentation stays in lists, where it says how deep, and before a fence; elsewhere one of less than four columns
 *     goes.
 * NORMALISE_PLAIN knows no heading, bullet or code: characters as above, spaces collapse, indentation goes.
 *
 * Pages come back as byte offsets into the output, of the first line of each; a page without text begins where the
 * next one does. A form feed after which nothing comes ends the last page and begins none.
 *
 * Pure; depends on base.
 */
#ifndef TEXT_NORMALISE_H
#define TEXT_NORMALISE_H

#include <stddef.h>
#include <stdint.h>

enum normalise_kind { NORMALISE_MARKDOWN, NORMALISE_PLAIN };

struct normalised {
    char *text; /* talloc child of the context given; NUL after len */
    size_t len;
    uint32_t *page_starts; /* byte offset at which page i (from 0) starts; page_starts[0] == 0 */
    int n_pages;           /* at least 1; 1 also when the input has no page breaks */
    uint64_t repaired;     /* invalid UTF-8 sequences replaced */
    uint64_t removed;      /* control and zero-width characters removed */
};

#define NORMALISE_MAX_BLANKS 128
#define NORMALISE_MAX_BYTES  0x0fff0000u /* of output: what one talloc block can hold */

/* 0, -ENOMEM, or -EFBIG when the output would be too big; then *out is empty. Empty or all-blank input gives len 0. */
int normalise(const void *talloc_ctx, enum normalise_kind kind, const char *in, size_t n, struct normalised *out);

#endif
