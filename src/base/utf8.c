/*
 * utf8.c - see utf8.h. Pure.
 */
#include "base/utf8.h"

/* The lowest and highest second byte after a lead, by which overlong forms, surrogates and the top are refused. */
static void second_byte_bounds(unsigned char lead, unsigned char *lo, unsigned char *hi)
{
    *lo = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    *hi = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
}

int utf8_decode(const char *s, size_t n, uint32_t *cp)
{
    const unsigned char *u = (const unsigned char *)s;
    unsigned char lo, hi;
    uint32_t value;
    int need, i;

    if (u[0] < 0x80) {
        *cp = u[0];
        return 1;
    }
    if (u[0] < 0xC2 || u[0] > 0xF4)
        return -1;
    need = u[0] < 0xE0 ? 1 : u[0] < 0xF0 ? 2 : 3;
    value = u[0] & (0x3Fu >> need);
    second_byte_bounds(u[0], &lo, &hi);
    for (i = 1; i <= need; i++) {
        if ((size_t)i >= n || u[i] < lo || u[i] > hi)
            return -i;
        value = value << 6 | (u[i] & 0x3Fu);
        lo = 0x80;
        hi = 0xBF;
    }
    *cp = value;
    return need + 1;
}

size_t utf8_encode(uint32_t cp, char to[static 4])
{
    if (cp < 0x80) {
        to[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        to[0] = (char)(0xC0 | cp >> 6);
        to[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        to[0] = (char)(0xE0 | cp >> 12);
        to[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        to[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    to[0] = (char)(0xF0 | cp >> 18);
    to[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    to[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    to[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

size_t utf8_sequence(const char *s, size_t n)
{
    uint32_t cp;
    int len = n == 0 ? 0 : utf8_decode(s, n, &cp);

    return len > 0 ? (size_t)len : 0;
}

bool utf8_valid(const char *s, size_t n, size_t *bad_at)
{
    for (size_t i = 0; i < n;) {
        size_t len = utf8_sequence(s + i, n - i);
        if (len == 0) {
            if (bad_at != NULL)
                *bad_at = i;
            return false;
        }
        i += len;
    }
    return true;
}
