/*
 * chunker.h - markdown-simple@1, and the numbers of the chunkers
 *
 * Cuts normalised text into chunks. Chunks cover the text in order without gaps: chunk i is text[start - overlap ..
 * end), where `overlap` bytes at its front repeat the end of chunk i-1, so concatenating every chunk less its overlap
 * gives the text back, byte for byte. Deterministic: the same text, options and version give the same chunks
 * anywhere.
 *
 *   Headings  Every heading begins a chunk, but headings with nothing between them stay together as far as the budget
 *             goes. A heading ends a chunk only before another heading, at the end of the text, or where headings
 *             leave no room for the beginning of what follows. '#' in a fence is no heading (mdline.h).
 *   Budget    A chunk, with its overlap, never exceeds max_tokens (tokens.h).
 *   Blocks    Paragraphs, lists, tables, fences and indented code (block.h) are packed in order and split only when
 *             they exceed the budget alone, or together with the headings that they stand directly under.
 *   Splits    Fall at a paragraph's or list item's begin, else a line's, else a sentence's, else a word's, else
 *             between two characters; a fence within a list is split last.
 *   Overlap   Only between chunks of one section, never over a heading: at most overlap_tokens and half of chunk
 *             i-1's own bytes, beginning at a sentence, else a line, else a word. None where that leaves nothing, and
 *             less where more would split the block that follows.
 *
 * Plain text (NORMALISE_PLAIN) has none of Markdown's signs: a line "# foo" is a line, there are paragraphs, lines and
 * sentences only, and the heading path is "". It is cut by the same rules, so this is the same chunker and version.
 *
 * Text that is not normalised is cut as safely, but may give chunks of white space only.
 *
 * Pure and streaming: the callback sees one chunk at a time; memory does not grow with the document.
 */
#ifndef TEXT_CHUNKER_H
#define TEXT_CHUNKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text/tokens.h"

/*
 * What a job is pinned to: number (as in upload_jobs.chunker; never used again), name and version (in a chunk's id) and
 * the tokenizer its budget counts by. Where chunks end depends on all of it, so another tokenizer is another chunker.
 */
#define CHUNKERS(X)                                                                                                    \
    X(1, "markdown-simple", 1, TOKENS_CL100K)                                                                          \
    X(2, "markdown-simple-approx", 1, TOKENS_APPROX)

struct chunker {
    int id;
    const char *name;
    int version;
    enum tokenizer tokenizer;
};

/* NULL when this program knows none such. */
const struct chunker *chunker_by_id(int id);
const struct chunker *chunker_by_tokenizer(enum tokenizer t);

#define CHUNK_MIN_TOKENS 16
#define CHUNK_MAX_TOKENS 8000

struct chunk_options {
    int max_tokens;     /* CHUNK_MIN_TOKENS .. CHUNK_MAX_TOKENS */
    int overlap_tokens; /* 0 .. max_tokens / 2 */
    bool plain;         /* plain text, not Markdown */
    enum tokenizer tokenizer;
};

struct chunk {
    int ord;           /* from 0 */
    size_t start, end; /* bytes in the text that are this chunk's own */
    size_t overlap;    /* bytes before start that are repeated in it: its text is text[start - overlap, end) */
    int tokens;        /* of the text with the overlap; <= max_tokens */
    int page;          /* from 1, of `start`; 0 when the text has no pages */
    /*
     * "Manual > Install > Debian": the headings over the chunk's text, its own included, without their markup; cut
     * to at most 1000 bytes between characters; "" before the first heading. Valid during the callback only.
     */
    const char *heading_path;
};

/* Return 0 to go on, else chunking stops and returns that value. */
typedef int (*chunk_fn)(void *arg, const struct chunk *c);

/* 0, -EINVAL (bad options), -ENOMEM (tokens.h), or what fn returned. n_pages is 0 for text without pages. Text of len 0
 * gives no chunk. */
int chunk_text(const char *text, size_t len, const uint32_t *page_starts, int n_pages, const struct chunk_options *o,
               chunk_fn fn, void *arg);

#endif
