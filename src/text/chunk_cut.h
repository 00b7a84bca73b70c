/*
 * chunk_cut.h - where to cut a block that is too big, and where an overlap begins
 *
 * Both look only at the window they are given, so that the cost of a chunk is bounded by its own size.
 *
 * Diagnostics: none. Private to src/text.
 */
#ifndef TEXT_CHUNK_CUT_H
#define TEXT_CHUNK_CUT_H

#include "text/block.h"
#include "text/token_scan.h"

/* Walks along a block while it is split: the line that the last cut was in, and the state before that line. */
struct cut_walk {
    const char *text;
    struct block block;
    size_t line;           /* begin of that line */
    struct md_state state; /* before it */
};

void cut_walk_begin(struct cut_walk *w, const char *text, const struct block *b);
/*
 * The best cut in (pos, limit], limit < block.end: a paragraph's or item's begin, else a line's (outside a fence,
 * then inside), else a sentence's, else a word's, else between two characters. Returns pos when limit == pos.
 */
size_t cut_choose(struct cut_walk *w, size_t pos, size_t limit);
/*
 * The begin of an overlap that ends at `end`, not before lo, of at most `budget` tokens: a sentence's begin if there
 * is one in its first half, else a line's, else a word's. Returns end when there is none.
 */
size_t cut_overlap(struct token_counter *c, const char *text, size_t lo, size_t end, size_t budget);
/* True when there is nothing but white space in text[from, to). */
bool cut_is_blank(const char *text, size_t from, size_t to);
/* Begin of the last character in text[from, to) that is not white space; `to` when there is none. */
size_t cut_last_visible(const char *text, size_t from, size_t to);

#endif
