/*
 * base64.c - see base64.h
 *
 * Vectors come as base64, megabytes at a time: most of them is decoded by wide registers where there are any
 * (base64_avx2.c), and the loop for the rest has no branch on what it reads: a foreign character sets the high bit of an
 * accumulator that is looked at once at the end.
 */
#include "base/base64.h"
#include "base/base64_avx2.h"

#include <errno.h>

#define BAD 0x80

/* clang-format off */
static const uint8_t value_of[256] = {
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, 62, BAD, BAD, BAD, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, BAD, BAD, BAD, BAD, BAD,
    BAD, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
};
/* clang-format on */

/* What follows the whole groups of four: two or three characters for one or two bytes. */
static ssize_t decode_tail(const uint8_t *s, size_t n, uint8_t *out)
{
    uint32_t a = value_of[s[0]], b = value_of[s[1]], c = n == 3 ? value_of[s[2]] : 0;
    uint32_t spare = n == 3 ? c & 3 : b & 15;

    if (((a | b | c) & BAD) != 0 || spare != 0)
        return -EINVAL;
    out[0] = (uint8_t)(a << 2 | b >> 4);
    if (n == 3)
        out[1] = (uint8_t)(b << 4 | c >> 2);
    return (ssize_t)n - 1;
}

ssize_t base64_decode(const char *text, size_t n, uint8_t *out, size_t room)
{
    const uint8_t *s = (const uint8_t *)text;
    uint32_t bad = 0, foreign = 0;
    size_t groups, tail, made;
    ssize_t more = 0;

    if (n % 4 == 0 && n > 0 && s[n - 1] == '=')
        n -= s[n - 2] == '=' ? 2 : 1;
    groups = n / 4;
    tail = n % 4;
    made = groups * 3;
    if (tail == 1)
        return -EINVAL;
    if (room < made || room - made < (tail == 0 ? 0 : tail - 1))
        return -ENOSPC;
    for (groups = base64_decode_avx2(&s, groups, &out, &foreign); groups > 0; groups--, s += 4, out += 3) {
        uint32_t a = value_of[s[0]], b = value_of[s[1]], c = value_of[s[2]], d = value_of[s[3]];
        uint32_t v = a << 18 | b << 12 | c << 6 | d;
        bad |= a | b | c | d;
        out[0] = (uint8_t)(v >> 16);
        out[1] = (uint8_t)(v >> 8);
        out[2] = (uint8_t)v;
    }
    if (tail != 0)
        more = decode_tail(s, tail, out);
    if ((bad & BAD) != 0 || foreign != 0 || more < 0)
        return -EINVAL;
    return (ssize_t)made + more;
}
