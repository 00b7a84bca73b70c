/*
 * writer.h - Markdown as it is written, block by block
 *
 * The caller says what opens, closes and is text; the writer keeps the line, the prefixes of lists and quotes, and the
 * blank lines between. Text is collected until its block ends, so memory is bounded by the longest block.
 *
 * Errors stick in md_failed(): out of memory, or the output was not taken. Private to src/html.
 */
#ifndef HTML_WRITER_H
#define HTML_WRITER_H

#include "html/buffer.h"
#include "html/html_markdown.h"

#include <stdint.h>

/* Deeper lists and quotes are shown no further indented: the prefix of each line would outgrow the text. */
#define MD_CONTAINERS_MAX 24

struct md_container {
    uint8_t quote;       /* else a list item */
    uint8_t width;       /* of the item's marker */
    bool marker_pending; /* nothing of the item was written yet */
    char marker[16];
};

struct md_table {
    bool layout; /* holds blocks: its cells are written as blocks, not as a row */
    int rows, columns, cells;
};

struct md {
    html_write_fn write;
    void *arg;
    bool not_taken;
    struct buffer out;   /* waits for write */
    struct buffer line;  /* the block at hand: words, and '\n' for forced breaks; raw text within pre */
    struct buffer row;   /* the table row at hand */
    struct buffer title; /* waits for the first block */
    bool space;          /* a space is due before the next word */
    bool wrote;          /* something was written before */
    bool in_list;        /* the block before belonged to the list at hand */
    int quotes;          /* leading quotes that the block before shares with what is open now */
    int heading;         /* level, 0: none */
    int pre;             /* open pre elements */
    size_t code_at;      /* where inline code begins in line; SIZE_MAX: none */
    char language[24];   /* of the pre at hand */
    struct md_container containers[MD_CONTAINERS_MAX];
    int n_containers;
    struct md_table table; /* the innermost; every one around it is a layout table */
};

void md_start(struct md *m, html_write_fn write, void *arg);
void md_finish(struct md *m); /* writes what is left */
void md_free(struct md *m);
bool md_failed(const struct md *m);

void md_text(struct md *m, const char *p, size_t n);
void md_line_break(struct md *m);
void md_end_block(struct md *m); /* harmless if nothing was collected */
void md_set_heading(struct md *m, int level);
void md_take_title(struct md *m); /* the text collected is the page's title */
void md_open_code(struct md *m);
void md_close_code(struct md *m);
void md_open_pre(struct md *m);
void md_close_pre(struct md *m);
/* True if it was taken, then md_close_container must follow; too deep ones are not. */
bool md_open_quote(struct md *m);
bool md_open_item(struct md *m, long number); /* 0: a bullet */
void md_close_container(struct md *m);
void md_close_list(struct md *m);      /* the next item begins another list */
void md_table_is_layout(struct md *m); /* a block begins in a cell */
void md_end_cell(struct md *m);
void md_end_row(struct md *m);

#endif
