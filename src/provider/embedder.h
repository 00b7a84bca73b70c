/*
 * embedder.h - text in, vectors out
 *
 * builtin@1: signed feature hashing of lower-cased words (weight 1 + log of their count, less for very short words; no
 * list of stop words, no language) and of the character 3- to 5-grams of each different word (a quarter of its weight),
 * into `dimension` buckets by a 64-bit hash, sign by another bit; unit length. Sums are integers, so the same text
 * gives the same bits on every machine. Finds by words, not by meaning. Text without a letter or digit hashes its
 * bytes' trigrams, so that no vector is ever zero. An empty text is an error. builtin.c has the exact algorithm.
 */
#ifndef PROVIDER_EMBEDDER_H
#define PROVIDER_EMBEDDER_H

#include "base/error.h"
#include "core/conf.h"

#include <stddef.h>

struct embed_input {
    const char *text;
    size_t len;
};

/* What a space is made of: goes into embedding_spaces. */
struct embedder_identity {
    const char *model; /* "builtin" */
    int version;       /* 1 */
    int dimension;
    const char *metric; /* "cosine" */
};

/* What the configuration wants: of `default` (0) and of its other collections (1 to n_collections). */
struct embedder_identity embedder_identity(const struct conf *c, int collection);
const char *embedder_collection(const struct conf *c, int collection); /* its name */
/* Is that model docmill's own, or the service's? */
bool embedder_is_builtin(const char *model);
int embedder_version(const char *model); /* that this program makes */
/* Whether there is a service that vectors can be had from: a collection is to have them, or may still have. */
bool embedder_outside(const struct conf *c);
/* Picodollars for a token of a model of the service. */
int embedder_price(const struct conf *c, const char *model, int64_t *picodollars, struct error *e) MUST_CHECK;
/* builtin, whatever the configuration says. out: n * dimension floats. Every vector is checked: finite, not zero, unit length within 1e-3. */
int embed_batch(const struct embed_input *in, int n, int dimension, float *out, struct error *e) MUST_CHECK;

/* The check by itself, for vectors from anywhere: reason embed_bad_vector. */
int embed_check(const float *v, int dimension, struct error *e) MUST_CHECK;

#endif
