/*
 * base64_avx2.c - see base64_avx2.h
 *
 * After Wojciech Mula and Daniel Lemire, "Faster Base64 Encoding and Decoding Using AVX2 Instructions" (2018): the upper
 * and the lower half of a character each look up a set of bits that have one in common if the character is foreign, and
 * the upper half says what is to be added to make it the six bits it stands for. A step writes 32 bytes, of which 24 are
 * decoded, so the last groups are left to the caller.
 */
#include "base/base64_avx2.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define STEP_GROUPS 8  /* of four characters, decoded by one step */
#define LEAST       11 /* groups whose bytes are at least the 32 that a step writes */

#define BOTH(...) _mm256_setr_epi8(__VA_ARGS__, __VA_ARGS__)

/* The 24 bytes of 32 characters, in the lower bytes; the foreign ones are noted in *bad. */
__attribute__((target("avx2"))) static __m256i decode_step(__m256i text, __m256i *bad)
{
    const __m256i foreign_by_low =
        BOTH(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1A, 0x1B, 0x1B, 0x1B, 0x1A);
    const __m256i foreign_by_high =
        BOTH(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10);
    const __m256i shift_by_high = BOTH(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i order = BOTH(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    const __m256i slash = _mm256_set1_epi8(0x2F); /* '/', and a mask that keeps what a look-up looks at */
    __m256i high = _mm256_and_si256(_mm256_srli_epi32(text, 4), slash), low = _mm256_and_si256(text, slash), sextets;

    *bad = _mm256_or_si256(
        *bad, _mm256_and_si256(_mm256_shuffle_epi8(foreign_by_low, low), _mm256_shuffle_epi8(foreign_by_high, high)));
    high = _mm256_add_epi8(_mm256_cmpeq_epi8(text, slash), high); /* '/' alone differs from its row */
    sextets = _mm256_add_epi8(text, _mm256_shuffle_epi8(shift_by_high, high));
    sextets = _mm256_maddubs_epi16(sextets, _mm256_set1_epi32(0x01400140));
    sextets = _mm256_madd_epi16(sextets, _mm256_set1_epi32(0x00011000));
    return _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(sextets, order),
                                       _mm256_setr_epi32(0, 1, 2, 4, 5, 6, -1, -1));
}

__attribute__((target("avx2"))) static size_t decode(const uint8_t **s, size_t groups, uint8_t **out, uint32_t *bad)
{
    const uint8_t *from = *s;
    uint8_t *to = *out;
    __m256i wrong = _mm256_setzero_si256();

    for (; groups >= LEAST; groups -= STEP_GROUPS) {
        __m256i bytes = decode_step(_mm256_loadu_si256((const void *)from), &wrong);
        _mm256_storeu_si256((void *)to, bytes);
        from += STEP_GROUPS * 4;
        to += STEP_GROUPS * 3;
    }
    *s = from;
    *out = to;
    *bad |= _mm256_testz_si256(wrong, wrong) ? 0 : 1;
    return groups;
}

size_t base64_decode_avx2(const uint8_t **s, size_t groups, uint8_t **out, uint32_t *bad)
{
    return groups >= LEAST && __builtin_cpu_supports("avx2") ? decode(s, groups, out, bad) : groups;
}

#else

size_t base64_decode_avx2(const uint8_t **s, size_t groups, uint8_t **out, uint32_t *bad)
{
    (void)s;
    (void)out;
    (void)bad;
    return groups;
}

#endif
