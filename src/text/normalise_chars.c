/*
 * normalise_chars.c - which characters stay
 *
 * Most text is runs of plain ASCII, copied eight bytes at a time; the rest is decoded. What stands after a joiner is
 * only known when the next character that stays has come, so a joiner waits for it.
 */
#include <string.h>

#include "text/normalise_line.h"
#include "text/utf8.h"

#define REPLACEMENT       "\xEF\xBF\xBD"
#define REPLACEMENT_BYTES 3
#define BLACK_FLAG        0x1F3F4u

#define ONES (~(uint64_t)0 / 255)
#define HIGH (ONES << 7)

/* A byte of w is not in 0x20 .. 0x7E: by carries into the byte's high bit, false alarms allowed. */
static inline bool has_special(uint64_t w)
{
    return ((w | (w - ONES * 0x20) | (w + ONES)) & HIGH) != 0;
}

static size_t plain_run(const char *s, size_t n)
{
    size_t i = 0;
    uint64_t w;

    for (; i + 8 <= n; i += 8) {
        memcpy(&w, s + i, 8);
        if (has_special(w))
            break;
    }
    while (i < n && ((s[i] >= 0x20 && s[i] < 0x7F) || s[i] == '\t'))
        i++;
    return i;
}

static void drop_joiner(struct char_writer *w)
{
    if (w->joiner != 0)
        w->removed++;
    w->joiner = 0;
}

static void put_ascii(struct char_writer *w, const char *s, size_t n)
{
    drop_joiner(w);
    memcpy(w->to + w->len, s, n);
    w->len += n;
    w->last = (unsigned char)s[n - 1];
    w->in_flag = false;
}

static void put_wide(struct char_writer *w, const char *s, size_t n, uint32_t cp)
{
    if (w->joiner != 0 && utf8_is_joinable(w->last) && utf8_is_joinable(cp)) {
        memcpy(w->to + w->len, w->joiner == UTF8_ZWJ ? "\xE2\x80\x8D" : "\xE2\x80\x8C", 3);
        w->len += 3;
        w->joiner = 0;
    }
    drop_joiner(w);
    memcpy(w->to + w->len, s, n);
    w->len += n;
    w->last = cp;
    w->in_flag = cp == BLACK_FLAG || (w->in_flag && utf8_is_tag(cp));
}

static void put_character(struct char_writer *w, const char *s, size_t n, uint32_t cp)
{
    if (cp == UTF8_ZWJ || cp == UTF8_ZWNJ) {
        if (w->joiner != 0)
            w->removed++;
        else
            w->joiner = cp;
    } else if (utf8_is_space(cp)) {
        put_ascii(w, " ", 1);
    } else if (cp < 0x20 || utf8_is_control(cp) || (utf8_is_tag(cp) && !w->in_flag)) {
        w->removed++;
    } else {
        put_wide(w, s, n, cp);
    }
}

/* Bytes of the line end at s, or 0; a lone CR counts as one, as do VT and Unicode's. */
static size_t line_end_at(const char *s, size_t n, uint32_t cp, size_t cp_bytes)
{
    if (cp == '\n' || cp == '\v' || cp == '\f' || utf8_is_line_end(cp))
        return cp_bytes;
    if (cp == '\r')
        return n > 1 && s[1] == '\n' ? 2 : 1;
    return 0;
}

void normalise_chars_begin(struct char_writer *w, char *to, size_t room)
{
    w->to = to;
    w->room = room;
    w->len = 0;
    w->last = 0;
    w->joiner = 0;
    w->in_flag = false;
}

enum line_end normalise_chars(struct char_writer *w, const char *in, size_t n, size_t *at)
{
    size_t i, took, room;
    uint32_t cp;
    int rc;

    for (i = *at; i < n; i += took) {
        room = w->room - w->len;
        if (room < NORMALISE_CHAR_BYTES) {
            *at = i;
            return LINE_END_ROOM;
        }
        took = plain_run(in + i, room < n - i ? room : n - i);
        if (took > 0) {
            put_ascii(w, in + i, took);
            continue;
        }
        rc = utf8_decode(in + i, n - i, &cp);
        took = (size_t)(rc < 0 ? -rc : rc);
        if (rc < 0) {
            put_wide(w, REPLACEMENT, REPLACEMENT_BYTES, 0xFFFD);
            w->repaired++;
        } else if (line_end_at(in + i, n - i, cp, took) > 0) {
            drop_joiner(w);
            *at = i + line_end_at(in + i, n - i, cp, took);
            return cp == '\f' ? LINE_END_PAGE : LINE_END_LINE;
        } else {
            put_character(w, in + i, took, cp);
        }
    }
    drop_joiner(w);
    *at = n;
    return LINE_END_TEXT;
}
