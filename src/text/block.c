/*
 * block.c - see block.h
 */
#include <string.h>

#include "text/block.h"

/* Classifies the line at pos; at the end of the text there is none and line_next stays at pos. */
static void look(struct block_scan *b)
{
    const char *nl;

    b->line_end = b->line_next = b->len;
    if (b->pos >= b->len)
        return;
    nl = memchr(b->text + b->pos, '\n', b->len - b->pos);
    if (nl != NULL) {
        b->line_end = (size_t)(nl - b->text);
        b->line_next = b->line_end + 1;
    }
    b->before = b->state;
    md_classify(&b->state, b->text + b->pos, b->line_end - b->pos, &b->line);
}

static bool at_end(const struct block_scan *b)
{
    return b->pos >= b->len;
}

static void take_line(struct block_scan *b)
{
    b->pos = b->line_next;
    look(b);
}

static void take_blank_lines(struct block_scan *b)
{
    while (!at_end(b) && b->line.kind == MD_BLANK)
        take_line(b);
}

static void take_while(struct block_scan *b, enum md_kind kind)
{
    while (!at_end(b) && b->line.kind == kind)
        take_line(b);
}

static void take_heading(struct block_scan *b, struct block *out)
{
    out->level = (int)b->line.marker;
    out->title_start = b->pos + b->line.indent + b->line.marker;
    out->title_end = b->line_end;
    take_line(b);
}

static bool line_has(const struct block_scan *b, const char *what)
{
    return memmem(b->text + b->pos, b->line_end - b->pos, what, strlen(what)) != NULL;
}

/* HTML's table reaches over blank lines to its end, or, when it has none, to the next heading or fence. */
static void take_html_table(struct block_scan *b)
{
    while (!at_end(b) && !line_has(b, "</table>")) {
        take_line(b);
        if (!at_end(b) && (b->line.kind == MD_HEADING || b->line.kind == MD_FENCE_OPEN))
            return;
    }
    if (!at_end(b))
        take_line(b);
}

/* A paragraph; one whose second row is a table's delimiter row is a table without outer bars. */
static void take_text(struct block_scan *b, struct block *out)
{
    if (b->state.plain) {
        take_while(b, MD_TEXT);
        return;
    }
    if (b->line_end - b->pos >= 6 && memcmp(b->text + b->pos, "<table", 6) == 0) {
        out->kind = BLOCK_TABLE;
        take_html_table(b);
        return;
    }
    take_line(b);
    if (!at_end(b) && b->line.kind == MD_TEXT && md_is_delimiter_row(b->text + b->pos, b->line_end - b->pos))
        out->kind = BLOCK_TABLE;
    take_while(b, MD_TEXT);
}

static void take_list(struct block_scan *b)
{
    take_line(b);
    while (!at_end(b) && b->state.in_list)
        take_line(b);
}

/* Blank lines do not change what a fence is; without a closing line it reaches to the end. */
static void take_fence(struct block_scan *b)
{
    take_line(b);
    while (!at_end(b) && b->line.kind != MD_FENCE_CLOSE)
        take_line(b);
    if (!at_end(b))
        take_line(b);
}

static void take_code(struct block_scan *b)
{
    while (!at_end(b) && (b->line.kind == MD_CODE || b->line.kind == MD_BLANK))
        take_line(b);
}

void block_scan_begin(struct block_scan *b, const char *text, size_t len, bool plain)
{
    *b = (struct block_scan){.text = text, .len = len};
    md_begin(&b->state, plain);
    look(b);
}

bool block_next(struct block_scan *b, struct block *out)
{
    static const enum block_kind kinds[] = {
        [MD_BLANK] = BLOCK_TEXT,       [MD_TEXT] = BLOCK_TEXT,        [MD_HEADING] = BLOCK_HEADING,
        [MD_ITEM] = BLOCK_LIST,        [MD_TABLE] = BLOCK_TABLE,      [MD_CODE] = BLOCK_CODE,
        [MD_FENCE_OPEN] = BLOCK_FENCE, [MD_FENCE_BODY] = BLOCK_FENCE, [MD_FENCE_CLOSE] = BLOCK_FENCE,
    };

    if (at_end(b))
        return false;
    *out = (struct block){.start = b->pos, .state = b->before};
    take_blank_lines(b);
    if (!at_end(b)) {
        out->kind = kinds[b->line.kind];
        switch (out->kind) {
        case BLOCK_HEADING:
            take_heading(b, out);
            break;
        case BLOCK_TEXT:
            take_text(b, out);
            break;
        case BLOCK_LIST:
            take_list(b);
            break;
        case BLOCK_TABLE:
            take_while(b, MD_TABLE);
            break;
        case BLOCK_FENCE:
            take_fence(b);
            break;
        case BLOCK_CODE:
            take_code(b);
            break;
        }
        take_blank_lines(b);
    }
    out->end = b->pos;
    return true;
}
