/* base64_avx2.h - base64, 32 characters at a time, where the processor can; inside of base64.c */
#ifndef BASE_BASE64_AVX2_H
#define BASE_BASE64_AVX2_H

#include <stddef.h>
#include <stdint.h>

/* Decodes groups of four characters from *s to *out as far as it goes, and moves both on: what is left of `groups` is for
 * the caller. *bad is not 0 afterwards if a character was foreign. Needs all of the groups' room at *out. On a processor
 * without AVX2 it does nothing. */
size_t base64_decode_avx2(const uint8_t **s, size_t groups, uint8_t **out, uint32_t *bad);

#endif
