/*
 * unicode_class.h - letters (L), numbers (N) and White_Space, as the Unicode Character Database has them
 *
 * What cl100k_base's splitting is defined by. A table of blocks of 128 characters, two bits each; unicode_class.c is made
 * by scripts/unicode-classes. The coarser classes that the chunker's rules need are in utf8.h.
 *
 * Diagnostics: none. Private to src/text.
 */
#ifndef TEXT_UNICODE_CLASS_H
#define TEXT_UNICODE_CLASS_H

#include <stdint.h>

enum unicode_class { UNICODE_OTHER, UNICODE_LETTER, UNICODE_NUMBER, UNICODE_SPACE };

extern const uint8_t unicode_class_index[8704];
extern const uint8_t unicode_class_blocks[];

/* cp <= U+10FFFF */
static inline enum unicode_class unicode_class(uint32_t cp)
{
    const uint8_t *block = unicode_class_blocks + unicode_class_index[cp >> 7] * 32u;

    return (enum unicode_class)(block[cp >> 2 & 31] >> (cp & 3) * 2 & 3);
}

#endif
