/* builtin.h - the builtin embedder, behind embedder.h; private to src/provider. The algorithm stands in builtin.c. */
#ifndef PROVIDER_BUILTIN_H
#define PROVIDER_BUILTIN_H

#include <stddef.h>

#define BUILTIN_VERSION 1

/* Writes the unit vector of a text of n > 0 bytes. 0 or -ENOMEM. */
int builtin_embed(const char *text, size_t n, int dimension, float *out);

#endif
