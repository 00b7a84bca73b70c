/*
 * vectors.h - the vectors of the latest queries, so that a repeated one costs nothing
 *
 * The key is a hash of whatever the vector depends on; no text is kept. What has not been asked for the longest goes
 * when there is no more room.
 *
 * Pure. Depends on base.
 */
#ifndef API_VECTORS_H
#define API_VECTORS_H

#include "base/hash.h"

#include <stddef.h>
#include <stdint.h>

struct vectors;

/* As many as fit into max_bytes, at least one. */
struct vectors *vectors_new(const void *talloc_parent, size_t max_bytes, int dimension);
/* NULL: not there. Valid until the next vectors_put(). */
const float *vectors_find(struct vectors *v, const uint8_t key[SHA256_BYTES]);
void vectors_put(struct vectors *v, const uint8_t key[SHA256_BYTES], const float *vector);

#endif
