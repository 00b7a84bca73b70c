/*
 * chunker.h - markdown-simple@1
 *
 * Cuts normalised text into chunks. A heading begins a chunk and never ends one; '#' in a code fence is no heading; a
 * chunk never exceeds max_tokens (tokens.h); tables, lists and fences are split only when they alone exceed it. Chunks
 * cover the text in order without gaps: chunk i is text[start - overlap .. end), where `overlap` bytes at its front
 * repeat the end of chunk i-1, so concatenating every chunk less its overlap gives the text back, byte for byte.
 * Deterministic: the same text, options and version give the same chunks anywhere.
 *
 * Pure and streaming: the callback sees one chunk at a time; memory does not grow with the document but for a heading
 * path and the input itself.
 */
#ifndef TEXT_CHUNKER_H
#define TEXT_CHUNKER_H

#include <stddef.h>
#include <stdint.h>

#define CHUNKER_NAME    "markdown-simple"
#define CHUNKER_VERSION 1
#define CHUNKER_ID      1 /* as stored in upload_jobs.chunker */

struct chunk_options {
    int max_tokens;     /* 16 .. 8000 */
    int overlap_tokens; /* 0 .. max_tokens / 2 */
};

struct chunk {
    int ord;             /* from 0 */
    size_t start, end;   /* bytes in the text that are this chunk's own */
    size_t overlap;      /* bytes before start that are repeated in it: its text is text[start - overlap, end) */
    int tokens;          /* of the text with the overlap; <= max_tokens */
    int page;            /* from 1, of `start` */
    const char *heading_path; /* "Manual > Install > Debian", at most 1000 bytes; "" before the first heading */
};

/* Return 0 to go on, else chunking stops and returns that value. */
typedef int (*chunk_fn)(void *arg, const struct chunk *c);

/* 0, -EINVAL (bad options), -ENOMEM, or what fn returned. Text of len 0 gives no chunk. */
int chunk_text(const char *text, size_t len, const uint32_t *page_starts, int n_pages,
               const struct chunk_options *o, chunk_fn fn, void *arg);

#endif
