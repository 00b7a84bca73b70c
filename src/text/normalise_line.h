/*
 * normalise_line.h - the two halves of normalise: characters, then the line that they make
 *
 * Diagnostics: none. Private to src/text.
 */
#ifndef TEXT_NORMALISE_LINE_H
#define TEXT_NORMALISE_LINE_H

#include <stdint.h>

#include "text/mdline.h"

/* A character is at most this many bytes with the joiner before it; rewriting a line may add one byte. */
#define NORMALISE_CHAR_BYTES 8

enum line_end { LINE_END_TEXT, LINE_END_LINE, LINE_END_PAGE, LINE_END_ROOM };

/* A line being written: `to` has `room` bytes. */
struct char_writer {
    char *to;
    size_t len, room;
    uint32_t last;              /* last character that stayed */
    uint32_t joiner;            /* waiting ZWJ or ZWNJ, or 0 */
    bool in_flag;               /* last is a black flag or a tag after one */
    uint64_t repaired, removed; /* in all lines */
};

void normalise_chars_begin(struct char_writer *w, char *to, size_t room);
/*
 * Writes the characters that stay from in[*at, n) until the line ends, and says how; advances *at over its end. After
 * LINE_END_ROOM the same line goes on when called again with more room.
 */
enum line_end normalise_chars(struct char_writer *w, const char *in, size_t n, size_t *at);
/*
 * Rewrites a line without trailing blanks, not empty, in place; returns its new length, at most n + 1. *kind is what
 * the line is.
 */
size_t normalise_markdown_line(struct md_state *st, char *s, size_t n, enum md_kind *kind);
size_t normalise_plain_line(char *s, size_t n);

#endif
