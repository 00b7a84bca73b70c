/*
 * utf8.h - stepping over UTF-8 a character at a time, and the few character classes that the text rules need
 *
 * The classes are ranges, not the Unicode database: they say what normalise.h and chunker.h promise and no more.
 *
 * Diagnostics: none. Depends on base/utf8, for decoding.
 */
#ifndef TEXT_UTF8_H
#define TEXT_UTF8_H

#include "base/utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_ZWNJ 0x200Cu
#define UTF8_ZWJ  0x200Du

static inline bool utf8_is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Where the character after the one at i begins. A run of stray continuation bytes counts as characters of four. */
static inline size_t utf8_next(const char *s, size_t n, size_t i)
{
    size_t end = i + 4 < n ? i + 4 : n;

    for (i++; i < end && utf8_is_continuation(s[i]); i++)
        ;
    return i;
}

/* i itself when a character begins there, else where the character it is inside begins. i <= n. */
static inline size_t utf8_floor(const char *s, size_t n, size_t i)
{
    size_t back = 0;

    if (i >= n)
        return n;
    while (back < 3 && back < i && utf8_is_continuation(s[i - back]))
        back++;
    return utf8_is_continuation(s[i - back]) ? i : i - back;
}

bool utf8_is_space(uint32_t cp);    /* Unicode's space separators beyond U+0020 */
bool utf8_is_line_end(uint32_t cp); /* NEL, LS, PS */
bool utf8_is_control(uint32_t cp);  /* C1, bidirectional and other format controls that have no width */
bool utf8_is_tag(uint32_t cp);      /* U+E0020..E007F: letters of flag emoji, invisible elsewhere */
bool utf8_is_joinable(uint32_t cp); /* a non-ASCII letter, mark or emoji: what ZWJ and ZWNJ may stand between */
bool utf8_is_extender(uint32_t cp); /* belongs to the character before it: mark, joiner, variation, skin tone */
bool utf8_is_unspaced(uint32_t cp); /* of a script written without spaces between words */

#endif
