/*
 * utf16.c - see utf16.h
 *
 * UTF-16 without a mark is not guessed. Pure. Depends on base.
 */
#include "provider/utf16.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#define REPLACEMENT 0xfffdu

static uint32_t unit(const unsigned char *p, int big)
{
    return big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

int utf16_to_utf8(const char *in, size_t n, char **out, size_t *out_n)
{
    const unsigned char *p = (const unsigned char *)in;
    int big;
    char *made, *to;

    if (n < 2 || !((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff)))
        return 0;
    big = p[0] == 0xfe;
    made = to = malloc(n / 2 * 3 + 4); /* at most three bytes a unit */
    if (made == NULL)
        return -ENOMEM;
    for (size_t i = 2; i + 1 < n; i += 2) {
        uint32_t c = unit(p + i, big);
        if (c >= 0xd800 && c < 0xdc00 && i + 3 < n) {
            uint32_t low = unit(p + i + 2, big);
            if (low >= 0xdc00 && low < 0xe000) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                i += 2;
            }
        }
        to += utf8_encode(c >= 0xd800 && c < 0xe000 ? REPLACEMENT : c, to);
    }
    if (n % 2 != 0)
        to += utf8_encode(REPLACEMENT, to);
    *out = made;
    *out_n = (size_t)(to - made);
    return 1;
}
