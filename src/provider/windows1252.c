/*
 * windows1252.c - see windows1252.h
 *
 * Nothing in such a file says what it is, so its bytes over 0x7F are weighed. It is windows-1252 when all of this holds:
 *   - they are hardly ever part of a well-formed UTF-8 sequence (at most one in eight: two accented letters that are one
 *     by chance are rare). UTF-8 with some bad bytes has far more of those, and is repaired instead (normalise.h);
 *   - most of them (two in three) stand alone between ASCII bytes, as accented letters and curly quotes do. In Cyrillic,
 *     Greek or Asian encodings they stand in rows: those would become letters that nobody wrote;
 *   - none is one of the five that windows-1252 leaves undefined.
 * ISO-8859-1 is the same but for C1 control codes, which no text has; ISO-8859-15 and other western sets differ in a few
 * marks, which come out wrong. What does not look like windows-1252 is left as it is.
 *
 * Pure. Depends on base.
 */
#include "provider/windows1252.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ONE_IN_UTF8 8
#define MOST_BYTES  3 /* that one byte may become */

/* 0x80 to 0x9F; 0: undefined. The others are the character of their own number. */
static const uint16_t high_controls[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178,
};

struct weights {
    size_t high, alone, in_utf8;
    bool undefined;
};

static bool is_high(char c)
{
    return (unsigned char)c >= 0x80;
}

static uint32_t character(char c)
{
    unsigned char b = (unsigned char)c;

    return b >= 0x80 && b < 0xA0 ? high_controls[b - 0x80] : b;
}

/* Where the next byte over 0x7F is; n when there is none. */
static size_t skip_ascii(const char *s, size_t n, size_t i)
{
    uint64_t eight;

    for (; i + sizeof eight <= n; i += sizeof eight) {
        memcpy(&eight, s + i, sizeof eight);
        if ((eight & 0x8080808080808080u) != 0)
            break;
    }
    while (i < n && !is_high(s[i]))
        i++;
    return i;
}

static struct weights weigh(const char *s, size_t n)
{
    struct weights w = {0};
    size_t i = 0, len;

    while ((i = skip_ascii(s, n, i)) < n) {
        len = utf8_sequence(s + i, n - i);
        if (len > 0) {
            w.high += len;
            w.in_utf8 += len;
            for (; len > 0; len--, i++)
                w.undefined |= character(s[i]) == 0;
            continue;
        }
        w.high++;
        w.alone += (i == 0 || !is_high(s[i - 1])) && (i + 1 == n || !is_high(s[i + 1]));
        w.undefined |= character(s[i]) == 0;
        i++;
    }
    return w;
}

int windows1252_to_utf8(const char *in, size_t n, char **out, size_t *out_n)
{
    struct weights w = weigh(in, n);
    size_t to = 0, i;
    char *made;

    if (w.high == 0 || w.undefined || w.in_utf8 > w.high / ONE_IN_UTF8 || w.alone < w.high - w.high / 3)
        return 0;
    made = malloc(n + w.high * (MOST_BYTES - 1) + 4);
    if (made == NULL)
        return -ENOMEM;
    for (i = 0; i < n; i++)
        to += utf8_encode(character(in[i]), made + to);
    *out = made;
    *out_n = to;
    return 1;
}
