/*
 * block.h - normalised Markdown, or plain text, as a row of blocks
 *
 * A block is what the chunker keeps together: a heading, a paragraph, a list with all that is in it, a table, a
 * fence, a piece of indented code. Blocks cover the text without gaps: blank lines belong to the block before them,
 * those at the very beginning to the first. Each line is classified once. Plain text has paragraphs only.
 *
 * Diagnostics: none. Private to src/text.
 */
#ifndef TEXT_BLOCK_H
#define TEXT_BLOCK_H

#include "text/mdline.h"

enum block_kind { BLOCK_TEXT, BLOCK_HEADING, BLOCK_LIST, BLOCK_TABLE, BLOCK_FENCE, BLOCK_CODE };

struct block {
    enum block_kind kind;
    size_t start, end;
    int level;                     /* of a heading */
    size_t title_start, title_end; /* of a heading: what follows the '#'s on the line */
    struct md_state state;         /* before its first line: to classify its lines again when it is split */
};

struct block_scan {
    const char *text;
    size_t len;
    size_t pos;             /* begin of the line that comes next */
    size_t line_end;        /* its end, without and */
    size_t line_next;       /* with its newline */
    struct md_line line;    /* what it is */
    struct md_state before; /* state before it */
    struct md_state state;  /* and after it */
};

void block_scan_begin(struct block_scan *b, const char *text, size_t len, bool plain);
bool block_next(struct block_scan *b, struct block *out); /* false at the end of the text */

#endif
