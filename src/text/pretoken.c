/*
 * pretoken.c - see pretoken.h
 */
#include <stdbool.h>

#include "text/pretoken.h"
#include "text/unicode_class.h"
#include "text/utf8.h"

#define DIGITS_A_PIECE 3

/* clang-format off */
static const uint8_t ascii[128] = {
    ['\t' ... '\r'] = UNICODE_SPACE, [' '] = UNICODE_SPACE,     ['0' ... '9'] = UNICODE_NUMBER,
    ['A' ... 'Z'] = UNICODE_LETTER,  ['a' ... 'z'] = UNICODE_LETTER,
};
/* clang-format on */

struct character {
    enum unicode_class class;
    size_t end; /* where the next one begins */
};

static struct character look_far(const char *s, size_t n, size_t at)
{
    uint32_t cp;
    int took = utf8_decode(s + at, n - at, &cp);

    if (took < 0)
        return (struct character){UNICODE_OTHER, at + (size_t)-took};
    return (struct character){unicode_class(cp), at + (size_t)took};
}

/* The character at `at`, which is < n. */
static inline struct character look(const char *s, size_t n, size_t at)
{
    unsigned char c = (unsigned char)s[at];

    return c < 0x80 ? (struct character){(enum unicode_class)ascii[c], at + 1} : look_far(s, n, at);
}

static bool is_line_end(char c)
{
    return c == '\r' || c == '\n';
}

/* Past the characters of a class from `at` on, at most so many. */
static inline size_t skip(const char *s, size_t n, size_t at, enum unicode_class class, size_t most)
{
    while (at < n && most-- > 0) {
        struct character c = look(s, n, at);

        if (c.class != class)
            break;
        at = c.end;
    }
    return at;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Bytes of the ending that follows an apostrophe; 0 when there is none. */
static size_t english_ending(const char *s, size_t n)
{
    char a = n > 0 ? lower(s[0]) : '\0', b = n > 1 ? lower(s[1]) : '\0';

    if (a == 's' || a == 'd' || a == 'm' || a == 't')
        return 1;
    if ((a == 'l' && b == 'l') || (a == 'v' && b == 'e') || (a == 'r' && b == 'e'))
        return 2;
    return n > 1 && s[0] == '\xC5' && s[1] == '\xBF' ? 2 : 0;
}

/* White space that begins at `at`, none of which goes with letters or marks behind it. */
static size_t white_end(const char *s, size_t n, size_t at)
{
    size_t i = at, last = at, line_end = 0;

    while (i < n) {
        struct character c = look(s, n, i);

        if (c.class != UNICODE_SPACE)
            break;
        if (is_line_end(s[i]))
            line_end = c.end;
        last = i;
        i = c.end;
    }
    if (i == n)
        return n;
    if (line_end > 0)
        return line_end;
    return last > at ? last : i;
}

size_t pretoken_end(const char *s, size_t n, size_t at)
{
    struct character c = look(s, n, at), next;
    size_t ending;

    if (s[at] == '\'' && (ending = english_ending(s + at + 1, n - at - 1)) > 0)
        return at + 1 + ending;
    if (c.class == UNICODE_LETTER)
        return skip(s, n, c.end, UNICODE_LETTER, SIZE_MAX);
    if (c.class == UNICODE_NUMBER)
        return skip(s, n, c.end, UNICODE_NUMBER, DIGITS_A_PIECE - 1);
    if (c.end < n && !is_line_end(s[at])) {
        next = look(s, n, c.end);
        if (next.class == UNICODE_LETTER)
            return skip(s, n, next.end, UNICODE_LETTER, SIZE_MAX);
        if (s[at] == ' ' && next.class == UNICODE_OTHER)
            c = next;
    }
    if (c.class == UNICODE_SPACE)
        return white_end(s, n, at);
    at = skip(s, n, c.end, UNICODE_OTHER, SIZE_MAX);
    while (at < n && is_line_end(s[at]))
        at++;
    return at;
}
