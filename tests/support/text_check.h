/*
 * text_check.h - what must hold of every normalised text and of its chunks
 *
 * Used by unit tests, fuzzers and docmill-chunk-dump alike, so that a property is written once. A check answers NULL,
 * or a sentence about the first violation (static storage, valid until the next call).
 */
#ifndef SUPPORT_TEXT_CHECK_H
#define SUPPORT_TEXT_CHECK_H

#include "text/chunker.h"
#include "text/normalise.h"

/* The form, pages and idempotence of what normalise() made. */
const char *text_check_normalised(enum normalise_kind kind, const struct normalised *n);
/* Chunks the text with these options and checks all that chunker.h promises of normalised text. */
const char *text_check_chunks(const struct normalised *n, const struct chunk_options *o);
/* The same of any bytes: without the promises that need normal form. */
const char *text_check_raw_chunks(const char *text, size_t len, const struct chunk_options *o);
/* normalise() and both checks with several options. */
const char *text_check_all(enum normalise_kind kind, const char *in, size_t len);

#endif
