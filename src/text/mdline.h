/*
 * mdline.h - what kind of Markdown line this is
 *
 * One classifier for normalise and chunker, so that both agree on what is in a fence. It looks at one line and at a
 * few words of state, never ahead, so its time is linear. It is less than CommonMark where CommonMark needs to look
 * ahead or to parse containers:
 *   - a list lasts until a line without indentation follows a blank line (or a heading, fence or table stands there);
 *     within a list nothing is indented code, and a fence may open and close at any indentation;
 *   - outside a list a line indented by 4 columns or more is code, also within a paragraph;
 *   - a block quote is text: headings and fences in it are not seen;
 *   - a fence that is never closed reaches to the end;
 *   - two or more '#' directly before a letter, digit or non-ASCII character are a heading whose space was forgotten;
 *     one '#' is not (#tag, #include, #12).
 *
 * Diagnostics: none. Depends on nothing.
 */
#ifndef TEXT_MDLINE_H
#define TEXT_MDLINE_H

#include <stdbool.h>
#include <stddef.h>

enum md_kind {
    MD_BLANK,
    MD_TEXT,
    MD_HEADING,
    MD_ITEM,  /* first line of a list item; it may open a fence too: see md_state.fence_char */
    MD_TABLE, /* begins with '|' */
    MD_CODE,  /* indented code */
    MD_FENCE_OPEN,
    MD_FENCE_BODY,
    MD_FENCE_CLOSE
};

struct md_state {
    bool plain; /* plain text: a line is blank or text, whatever it looks like */
    bool in_list;
    bool after_blank;
    char fence_char; /* '`' or '~' in a fence, else 0 */
    size_t fence_len;
};

struct md_line {
    enum md_kind kind;
    size_t indent; /* bytes of blanks it begins with */
    size_t marker; /* MD_HEADING: number of '#'; MD_ITEM: bytes of the marker */
};

void md_begin(struct md_state *st, bool plain);
/* One line without its newline. */
void md_classify(struct md_state *st, const char *s, size_t n, struct md_line *out);
/* A thematic break: only one of * - _ and blanks, three marks or more. */
bool md_is_rule(const char *s, size_t n);
/* A table's second row: only | - : and blanks, with a | and a -. */
bool md_is_delimiter_row(const char *s, size_t n);

static inline bool md_is_blank_char(char c)
{
    return c == ' ' || c == '\t';
}

#endif
