/* hash.h - SHA-256 by OpenSSL, one-shot and streaming; lower-case hex */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES   32
#define SHA256_HEX_LEN 64

struct sha256; /* streaming state, opaque */

struct sha256 *sha256_new(void); /* NULL when out of memory; free with sha256_free */
void sha256_update(struct sha256 *s, const void *p, size_t n);
void sha256_final(struct sha256 *s, uint8_t out[SHA256_BYTES]); /* may be called once */
void sha256_free(struct sha256 **s);
void sha256_of(const void *p, size_t n, uint8_t out[SHA256_BYTES]);

void hex_encode(const uint8_t *p, size_t n, char *out);      /* writes 2n characters and a NUL */
int hex_decode(const char *s, size_t n_chars, uint8_t *out); /* 0, or -EINVAL; n_chars must be even */

#endif
