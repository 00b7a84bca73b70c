/* utf16.h - text files with a UTF-16 byte-order mark; private to src/provider */
#ifndef PROVIDER_UTF16_H
#define PROVIDER_UTF16_H

#include <stddef.h>

/* 1: *out is a malloc'ed UTF-8 copy (lone surrogates become U+FFFD); 0: no UTF-16, *out and *out_n untouched;
 * -ENOMEM. */
int utf16_to_utf8(const char *in, size_t n, char **out, size_t *out_n);

#endif
