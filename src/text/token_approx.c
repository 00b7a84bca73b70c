/*
 * token_approx.c - TOKENS_APPROX: the stated estimator of tokens.h
 *
 * A byte has a class, equal classes in a row are a run, and what the next byte of a run costs depends only on where
 * in the run it is. So the count is a small automaton: a state says how far into which run, and an entry gives the
 * next state and the cost. Per byte that is two loads and an addition without a branch to mispredict, which is what
 * made a loop over runs several times slower on text rich in markup. Bytes of a character after its first are free,
 * so a character is paid at its first byte and nothing is decoded. Costs are the same read backwards, which measures
 * an overlap from its end.
 *
 * Diagnostics: none; any bytes may come. Depends on nothing.
 */
#include <stdbool.h>
#include <stdint.h>

#include "text/token_scan.h"
#include "text/utf8.h"

enum token_class {
    CLS_LETTER,
    CLS_DIGIT,
    CLS_NEWLINE,
    CLS_BLANK,
    CLS_ONE,   /* mark, or first byte of a character of one token */
    CLS_TWO,   /* of two */
    CLS_THREE, /* of three */
    CLS_FREE,  /* the other bytes of a character */
    CLASSES
};

/* clang-format off */
#define SPAN(a, z, c) [a ... z] = c

static const uint8_t classes[256] = {
    SPAN(0x00, 0x09, CLS_BLANK), ['\n'] = CLS_NEWLINE,       SPAN(0x0B, ' ', CLS_BLANK),
    SPAN('!', '/', CLS_ONE),     SPAN('0', '9', CLS_DIGIT),  SPAN(':', '@', CLS_ONE),
    SPAN('A', 'Z', CLS_LETTER),  SPAN('[', '`', CLS_ONE),    SPAN('a', 'z', CLS_LETTER),
    SPAN('{', 0x7F, CLS_ONE),    SPAN(0x80, 0xBF, CLS_FREE), SPAN(0xC0, 0xD3, CLS_ONE),
    SPAN(0xD4, 0xD7, CLS_TWO),   SPAN(0xD8, 0xDF, CLS_ONE),  SPAN(0xE0, 0xE2, CLS_TWO),
    SPAN(0xE3, 0xEF, CLS_ONE),   SPAN(0xF0, 0xFF, CLS_THREE),
};

/* The number is how many of its class stand behind. Where a run's next byte is paid like a first one, it is NEW. */
enum token_state {
    NEW,
    LETTER_1, LETTER_2, LETTER_3,
    DIGIT_1, DIGIT_2,
    NEWLINE_1,
    NEWLINE_15 = NEWLINE_1 + 14,
    BLANK_1,
    BLANK_17 = BLANK_1 + 16,
    STATES
};

/* An entry is the place of the next state's row in the table, and the cost in its two low bits. */
#define GO(state, cost)  (uint16_t)((state) * CLASSES << 2 | (cost))
#define ROW(letter, digit, newline, blank)                                                                    \
    {                                                                                                         \
        letter, digit, newline, blank, GO(NEW, 1), GO(NEW, 2), GO(NEW, 3), GO(NEW, 0)                         \
    }
#define FIRST_LETTER     GO(LETTER_1, 1)
#define FIRST_DIGIT      GO(DIGIT_1, 1)
#define FIRST_NEWLINE    GO(NEWLINE_1, 1)
#define FIRST_BLANK      GO(BLANK_1, 0)
#define LETTERS(next)    ROW(GO(next, 0), FIRST_DIGIT, FIRST_NEWLINE, FIRST_BLANK)
#define DIGITS(next)     ROW(FIRST_LETTER, GO(next, 0), FIRST_NEWLINE, FIRST_BLANK)
#define NEWLINES(next)   ROW(FIRST_LETTER, FIRST_DIGIT, GO(next, 0), FIRST_BLANK)
#define BLANKS(go)       ROW(FIRST_LETTER, FIRST_DIGIT, FIRST_NEWLINE, go)
#define NEWLINE_AFTER(k) [NEWLINE_1 + (k) - 1] = NEWLINES(NEWLINE_1 + (k))
#define BLANK_AFTER(k)   [BLANK_1 + (k) - 1] = BLANKS(GO(BLANK_1 + (k), 0))

static const uint16_t table[STATES][CLASSES] = {
    [NEW] = ROW(FIRST_LETTER, FIRST_DIGIT, FIRST_NEWLINE, FIRST_BLANK),
    [LETTER_1] = LETTERS(LETTER_2), [LETTER_2] = LETTERS(LETTER_3), [LETTER_3] = LETTERS(NEW),
    [DIGIT_1] = DIGITS(DIGIT_2), [DIGIT_2] = DIGITS(NEW),
    NEWLINE_AFTER(1), NEWLINE_AFTER(2), NEWLINE_AFTER(3), NEWLINE_AFTER(4), NEWLINE_AFTER(5), NEWLINE_AFTER(6),
    NEWLINE_AFTER(7), NEWLINE_AFTER(8), NEWLINE_AFTER(9), NEWLINE_AFTER(10), NEWLINE_AFTER(11), NEWLINE_AFTER(12),
    NEWLINE_AFTER(13), NEWLINE_AFTER(14), [NEWLINE_15] = NEWLINES(NEW),
    [BLANK_1] = BLANKS(GO(BLANK_1 + 1, 1)),
    BLANK_AFTER(2), BLANK_AFTER(3), BLANK_AFTER(4), BLANK_AFTER(5), BLANK_AFTER(6), BLANK_AFTER(7), BLANK_AFTER(8),
    BLANK_AFTER(9), BLANK_AFTER(10), BLANK_AFTER(11), BLANK_AFTER(12), BLANK_AFTER(13), BLANK_AFTER(14),
    BLANK_AFTER(15), BLANK_AFTER(16), [BLANK_17] = BLANKS(GO(BLANK_1 + 1, 1)),
};
/* clang-format on */

static inline unsigned step(unsigned at, char c)
{
    return (&table[0][0])[(at >> 2) + classes[(unsigned char)c]];
}

static inline unsigned cost_of(unsigned entry)
{
    return entry & 3;
}

const unsigned token_approx_begin = GO(NEW, 0);

size_t token_approx_feed(struct token_scan *t, const char *s, size_t n, size_t budget)
{
    size_t i, left = budget - t->count;
    unsigned at = t->at, next;

    for (i = 0; i < n; i++) {
        next = step(at, s[i]);
        if (cost_of(next) > left)
            break;
        left -= cost_of(next);
        at = next;
    }
    t->count = budget - left;
    t->at = at;
    return i;
}

size_t token_approx_suffix(const char *s, size_t n, size_t budget)
{
    unsigned at = GO(NEW, 0);
    size_t i, left = budget;

    for (i = n; i > 0; i--) {
        at = step(at, s[i - 1]);
        if (cost_of(at) > left)
            break;
        left -= cost_of(at);
    }
    while (i < n && utf8_is_continuation(s[i]))
        i++;
    return i;
}
