/*
 * json_scan.c - see json_scan.h
 *
 * Numbers of up to 19 digits with a power of ten up to 22 are exact by one multiplication or division; the others go
 * to strtod(), which reads the C locale, the only one that docmill has.
 */
#include "provider/json_scan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool fail(struct json_scan *s)
{
    s->bad = true;
    return false;
}

static void blanks(struct json_scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
        s->at++;
}

void json_scan_begin(struct json_scan *s, const char *text, size_t n)
{
    *s = (struct json_scan){text, text + n, false};
}

char json_scan_peek(struct json_scan *s)
{
    blanks(s);
    return s->bad || s->at == s->end ? 0 : *s->at;
}

static bool take(struct json_scan *s, char c)
{
    if (json_scan_peek(s) != c)
        return fail(s);
    s->at++;
    return true;
}

bool json_scan_open(struct json_scan *s, char c)
{
    return take(s, c);
}

bool json_scan_next(struct json_scan *s, char close, bool *first)
{
    bool was_first = *first;

    *first = false;
    if (json_scan_peek(s) == close) {
        s->at++;
        return false;
    }
    return was_first ? !s->bad : take(s, ',');
}

bool json_scan_key(struct json_scan *s, struct json_span *key)
{
    return json_scan_string(s, key) && take(s, ':');
}

typedef uint8_t block __attribute__((vector_size(16)));

/* A block at a time, as the compiler has registers for. */
static bool has_control(const char *p, size_t n)
{
    block b, found = {0};
    uint64_t any[2];
    size_t i = 0;

    for (; i + sizeof b <= n; i += sizeof b) {
        memcpy(&b, p + i, sizeof b);
        found |= (block)(b < 0x20);
    }
    memcpy(any, &found, sizeof any);
    for (; i < n; i++)
        any[0] |= (unsigned char)p[i] < 0x20;
    return (any[0] | any[1]) != 0;
}

/* Every backslash begins an escape that JSON knows. */
static bool escapes_are_right(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '\\')
            continue;
        if (++i == n || strchr("\"\\/bfnrtu", p[i]) == NULL || p[i] == '\0')
            return false;
        for (int k = 0; p[i] == 'u' && k < 4; k++)
            if (i + 1 + (size_t)k >= n || !isxdigit((unsigned char)p[i + 1 + (size_t)k]))
                return false;
    }
    return true;
}

bool json_scan_string(struct json_scan *s, struct json_span *text)
{
    const char *from, *quote;

    if (!take(s, '"'))
        return false;
    from = s->at;
    text->escaped = false;
    for (const char *p = from;; p = quote + 1) {
        size_t slashes = 0;
        quote = memchr(p, '"', (size_t)(s->end - p));
        if (quote == NULL)
            return fail(s);
        while (quote - slashes > from && quote[-1 - (ptrdiff_t)slashes] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            break;
    }
    text->p = from;
    text->n = (size_t)(quote - from);
    text->escaped = memchr(from, '\\', text->n) != NULL;
    s->at = quote + 1;
    if (has_control(from, text->n) || (text->escaped && !escapes_are_right(from, text->n)))
        return fail(s);
    return true;
}

struct number {
    uint64_t digits;
    int n_digits, point; /* significant digits taken; power of ten */
    bool minus, whole;
};

static void take_digits(struct json_scan *s, struct number *v, int shift)
{
    for (; s->at < s->end && isdigit((unsigned char)*s->at); s->at++) {
        if (v->n_digits < 20 && (v->digits != 0 || *s->at != '0'))
            v->n_digits++;
        if (v->n_digits < 20)
            v->digits = v->digits * 10 + (uint64_t)(*s->at - '0');
        v->point -= shift;
    }
}

static bool take_exponent(struct json_scan *s, struct number *v)
{
    int sign = 1, exponent = 0;

    s->at++;
    if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
        sign = *s->at++ == '-' ? -1 : 1;
    if (s->at == s->end || !isdigit((unsigned char)*s->at))
        return fail(s);
    for (; s->at < s->end && isdigit((unsigned char)*s->at); s->at++)
        exponent = exponent > 100000 ? exponent : exponent * 10 + (*s->at - '0');
    v->point += sign * exponent;
    v->whole = false;
    return true;
}

/* JSON's grammar of a number, to the letter. */
static bool take_number(struct json_scan *s, struct number *v)
{
    *v = (struct number){.whole = true};
    blanks(s);
    if (s->at < s->end && *s->at == '-') {
        v->minus = true;
        s->at++;
    }
    if (s->bad || s->at == s->end || !isdigit((unsigned char)*s->at))
        return fail(s);
    if (*s->at == '0')
        s->at++;
    else
        take_digits(s, v, 0);
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (s->at == s->end || !isdigit((unsigned char)*s->at))
            return fail(s);
        v->whole = false;
        take_digits(s, v, 1);
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E') && !take_exponent(s, v))
        return false;
    return s->at == s->end || !isdigit((unsigned char)*s->at) ? true : fail(s);
}

bool json_scan_number(struct json_scan *s, double *out)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *from;
    struct number v;

    blanks(s);
    from = s->at;
    if (!take_number(s, &v))
        return false;
    if (v.n_digits <= 19 && v.digits <= 1ULL << 53 && v.point >= -22 && v.point <= 22) {
        double d = (double)v.digits;
        d = v.point < 0 ? d / tens[-v.point] : d * tens[v.point];
        *out = v.minus ? -d : d;
    } else {
        *out = strtod(from, NULL);
    }
    return true;
}

bool json_scan_int(struct json_scan *s, int64_t *out)
{
    struct number v;

    if (!take_number(s, &v))
        return false;
    if (!v.whole || v.n_digits > 19 || v.digits > INT64_MAX)
        return fail(s);
    *out = v.minus ? -(int64_t)v.digits : (int64_t)v.digits;
    return true;
}

static bool skip_word(struct json_scan *s, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return fail(s);
    s->at += n;
    return true;
}

static bool skip_scalar(struct json_scan *s)
{
    struct json_span text;
    struct number v;

    switch (json_scan_peek(s)) {
    case '"':
        return json_scan_string(s, &text);
    case 't':
        return skip_word(s, "true");
    case 'f':
        return skip_word(s, "false");
    case 'n':
        return skip_word(s, "null");
    default:
        return take_number(s, &v);
    }
}

bool json_scan_skip(struct json_scan *s)
{
    char close[JSON_SCAN_DEPTH];
    bool first[JSON_SCAN_DEPTH];
    struct json_span key;
    int depth = 0;

    for (;;) {
        char c = json_scan_peek(s);
        if (c == '{' || c == '[') {
            if (depth == JSON_SCAN_DEPTH)
                return fail(s);
            s->at++;
            close[depth] = c == '{' ? '}' : ']';
            first[depth++] = true;
        } else if (!skip_scalar(s)) {
            return false;
        }
        while (depth > 0 && !json_scan_next(s, close[depth - 1], &first[depth - 1])) {
            if (s->bad)
                return false;
            depth--;
        }
        if (depth == 0)
            return true;
        if (close[depth - 1] == '}' && !json_scan_key(s, &key))
            return false;
    }
}

bool json_scan_done(struct json_scan *s)
{
    blanks(s);
    return !s->bad && s->at == s->end;
}

bool json_span_is(const struct json_span *span, const char *text)
{
    return span->n == strlen(text) && memcmp(span->p, text, span->n) == 0;
}
