/* windows1252.h - text files in the 8-bit encoding of western Windows and of ISO-8859-1; private to src/provider */
#ifndef PROVIDER_WINDOWS1252_H
#define PROVIDER_WINDOWS1252_H

#include <stddef.h>

/* 1: the bytes look like windows-1252 and *out is a malloc'ed UTF-8 copy, at most three times as long; 0: they do not,
 * *out and *out_n untouched; -ENOMEM. */
int windows1252_to_utf8(const char *in, size_t n, char **out, size_t *out_n);

#endif
