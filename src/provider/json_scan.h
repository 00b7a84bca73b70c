/*
 * json_scan.h - strict JSON read in place, in one pass, without a tree
 *
 * For answers of megabytes whose shape is known (jansson takes 19 ms to build the tree of 256 vectors in base64, this
 * 2 ms with decoding). Everything else is read by jansson. The first fault sticks: after it every call answers false, and
 * json_scan_ok() at the end tells. No allocation, no recursion; nesting deeper than JSON_SCAN_DEPTH is a fault. The
 * text must be NUL-terminated behind its end.
 *
 * Pure.
 */
#ifndef PROVIDER_JSON_SCAN_H
#define PROVIDER_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_SCAN_DEPTH 64

struct json_scan {
    const char *at, *end;
    bool bad;
};

/* A string as it stands between its quotes. */
struct json_span {
    const char *p;
    size_t n;
    bool escaped; /* holds a backslash */
};

void json_scan_begin(struct json_scan *s, const char *text, size_t n);
/* The next value's first character without its blanks: { [ " t f n - or a digit; 0 at the end or after a fault. */
char json_scan_peek(struct json_scan *s);
/* Takes `c` ({ or [). */
bool json_scan_open(struct json_scan *s, char c);
/* Whether another member or element comes; takes the comma before it, or the closing character (} or ]). *first is true
 * before the first call. */
bool json_scan_next(struct json_scan *s, char close, bool *first);
/* A member's name and its colon. */
bool json_scan_key(struct json_scan *s, struct json_span *key);
bool json_scan_string(struct json_scan *s, struct json_span *text);
/* The nearest double; overflow gives infinity. */
bool json_scan_number(struct json_scan *s, double *v);
/* A number without fraction or exponent that fits. */
bool json_scan_int(struct json_scan *s, int64_t *v);
/* Any value, checked. */
bool json_scan_skip(struct json_scan *s);
/* Only blanks are left and nothing was wrong. */
bool json_scan_done(struct json_scan *s);

/* Same bytes, no escapes. */
bool json_span_is(const struct json_span *span, const char *text);

#endif
