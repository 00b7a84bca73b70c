/*
 * tokens.c - TOKENS_APPROX: the stated estimator of tokens.h
 *
 * A byte has a class, equal classes in a row are a run, and a run of n costs what run_cost() says. Bytes of a character
 * after its first are free, so a character is paid at its first byte and every cost is known without decoding. Costs
 * are the same read backwards, which the chunker uses to measure an overlap from its end.
 *
 * Diagnostics: none; any bytes may come. Depends on nothing.
 */
#include <stdint.h>

#include "text/token_scan.h"
#include "text/tokens.h"
#include "text/utf8.h"

enum token_class {
    CLS_NONE,    /* before the first byte */
    CLS_LETTER,  /* a run of n costs ceil(n / 4) */
    CLS_DIGIT,   /* ceil(n / 3) */
    CLS_NEWLINE, /* 1, and 1 more for each 16 */
    CLS_BLANK,   /* free alone, from two on 1, and 1 more for each 16 */
    CLS_MARK,    /* 1 each */
    CLS_ONE,     /* first byte of a character of one token */
    CLS_TWO,     /* of two */
    CLS_THREE,   /* of three */
    CLS_FREE     /* the other bytes of a character */
};

/* A run is looked at in parts of this size, so that a huge one costs no more than what of it fits. */
#define LOOK_BYTES 256

#define SPAN(a, z, c) [a ... z] = c

static const uint8_t classes[256] = {
    SPAN(0x00, 0x08, CLS_BLANK), ['\t'] = CLS_BLANK,      ['\n'] = CLS_NEWLINE,        SPAN(0x0B, 0x20, CLS_BLANK),
    SPAN('!', '/', CLS_MARK),    SPAN('0', '9', CLS_DIGIT), SPAN(':', '@', CLS_MARK),  SPAN('A', 'Z', CLS_LETTER),
    SPAN('[', '`', CLS_MARK),    SPAN('a', 'z', CLS_LETTER), SPAN('{', 0x7F, CLS_MARK), SPAN(0x80, 0xBF, CLS_FREE),
    SPAN(0xC0, 0xD3, CLS_ONE),   SPAN(0xD4, 0xD7, CLS_TWO), SPAN(0xD8, 0xDF, CLS_ONE), SPAN(0xE0, 0xE2, CLS_TWO),
    SPAN(0xE3, 0xEF, CLS_ONE),   SPAN(0xF0, 0xFF, CLS_THREE),
};

static inline size_t run_cost(int cls, size_t n)
{
    switch ((enum token_class)cls) {
    case CLS_LETTER:
        return (n + 3) / 4;
    case CLS_DIGIT:
        return (n + 2) / 3;
    case CLS_NEWLINE:
        return n == 0 ? 0 : 1 + (n - 1) / 16;
    case CLS_BLANK:
        return n < 2 ? 0 : 1 + (n - 2) / 16;
    case CLS_MARK:
    case CLS_ONE:
        return n;
    case CLS_TWO:
        return 2 * n;
    case CLS_THREE:
        return 3 * n;
    case CLS_NONE:
    case CLS_FREE:
        return 0;
    }
    return 0;
}

/* The longest run of this class that costs at most `budget`. */
static size_t run_for(int cls, size_t budget)
{
    switch ((enum token_class)cls) {
    case CLS_LETTER:
        return 4 * budget;
    case CLS_DIGIT:
        return 3 * budget;
    case CLS_NEWLINE:
        return 16 * budget;
    case CLS_BLANK:
        return 16 * budget + 1;
    case CLS_TWO:
        return budget / 2;
    case CLS_THREE:
        return budget / 3;
    default:
        return budget;
    }
}

void token_scan_begin(struct token_scan *t)
{
    *t = (struct token_scan){.cls = CLS_NONE};
}

size_t token_scan_feed(struct token_scan *t, const char *s, size_t n, size_t budget)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t i = 0, count = t->count, run = t->run;
    int cls = t->cls;

    while (i < n) {
        int c = classes[u[i]];
        size_t from = c == cls ? run : 0, end = i + 1, cost;
        size_t look = n - i < LOOK_BYTES ? n : i + LOOK_BYTES;

        while (end < look && classes[u[end]] == c)
            end++;
        cost = run_cost(c, from + end - i) - run_cost(c, from);
        if (count + cost > budget) {
            size_t most = run_for(c, budget - count + run_cost(c, from));

            if (most <= from)
                break;
            end = i + most - from;
            count += run_cost(c, most) - run_cost(c, from);
            run = most;
            cls = c;
            i = end;
            break;
        }
        count += cost;
        run = from + end - i;
        cls = c;
        i = end;
    }
    *t = (struct token_scan){.count = count, .run = run, .cls = cls};
    return i;
}

size_t token_scan_suffix(const char *s, size_t n, size_t budget)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t i = n, count = 0;

    while (i > 0) {
        int c = classes[u[i - 1]];
        size_t begin = i - 1;

        while (begin > 0 && classes[u[begin - 1]] == c)
            begin--;
        count += run_cost(c, i - begin);
        if (count > budget)
            break;
        i = begin;
    }
    while (i < n && utf8_is_continuation(s[i]))
        i++;
    return i;
}

size_t tokens_count(const char *s, size_t n)
{
    struct token_scan t;

    token_scan_begin(&t);
    (void)token_scan_feed(&t, s, n, SIZE_MAX);
    return t.count;
}

size_t tokens_prefix(const char *s, size_t n, size_t budget)
{
    struct token_scan t;
    size_t fits;

    if (n == 0)
        return 0;
    token_scan_begin(&t);
    fits = token_scan_feed(&t, s, n, budget);
    if (fits == 0)
        return utf8_next(s, n, 0);
    if (fits < n && t.run < fits && t.cls <= CLS_BLANK && classes[(unsigned char)s[fits]] == t.cls)
        fits -= t.run; /* do not end inside a run; marks and other characters are each their own */
    return fits;
}
