/*
 * text.h - text on a terminal: width of UTF-8, cutting, aligned tables, wrapped passages
 *
 * What a document's name or text holds is not trusted: control characters and broken UTF-8 are shown as '?', so that
 * nothing can steer the terminal.
 *
 * Pure. Depends on nothing.
 */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The next character of s and its columns (0, 1 or 2); returns its bytes, 0 at the end. *bad: to be shown as '?'. */
size_t text_next(const char *s, int *columns, bool *bad);
int text_width(const char *s);
/* Prints s in at most `width` columns (0: as it is), cut with an ellipsis; returns the columns used. */
int text_print(FILE *out, const char *s, int width);
/* Prints words of s wrapped at width, each line after indent spaces, at most max_lines (then an ellipsis). */
void text_wrap(FILE *out, const char *s, int indent, int width, int max_lines);

#define TABLE_MAX_COLUMNS 12

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table_column {
    const char *title;
    enum table_align align;
    bool shrinks; /* may be cut to make the table fit */
};

struct table;

struct table *table_new(const void *talloc_ctx, const struct table_column *columns, int n);
/* Adds a cell; after the last column the next row begins. NULL is an empty cell. Copied. */
void table_cell(struct table *t, const char *text);
void table_cell_number(struct table *t, int64_t v);
int table_rows(const struct table *t);
/* width 0: nothing is cut. */
void table_print(const struct table *t, FILE *out, int width);

#endif
