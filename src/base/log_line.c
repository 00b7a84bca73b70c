/*
 * log_line.c - one event as a line of logfmt, of JSON, or as the journal's fields
 *
 * Whatever the values are, a line is one line, and well-formed: what a terminal or a reader could take for something
 * else is escaped, and what does not fit is cut within a value. In JSON a value that came from LOG_I is a number; bytes
 * that are not UTF-8 become U+FFFD there, and \xNN in logfmt. The journal takes any bytes: it gets MESSAGE for people
 * (message and pairs) and each pair as a field DOCMILL_KEY of its own.
 *
 * Depends on base/utf8 and libc.
 */
#include "base/log_int.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define END_BYTES 4 /* for a quote, a brace and the line's end */

static void put(struct log_line *l, const char *s, size_t n)
{
    if (l->cut || l->len + n > l->room) {
        l->cut = 1;
        return;
    }
    memcpy(l->text + l->len, s, n);
    l->len += n;
}

static void puts_(struct log_line *l, const char *s)
{
    put(l, s, strlen(s));
}

static void end(struct log_line *l, const char *s)
{
    memcpy(l->text + l->len, s, strlen(s));
    l->len += strlen(s);
}

/* Bytes at s that may be shown as they are: none for control characters (also C1, which terminals obey), for what must
 * be escaped in quotes, and for bytes that are not UTF-8. */
static size_t plain_bytes(const char *s)
{
    unsigned char c = (unsigned char)*s;
    size_t n;

    if (c < ' ' || c == '"' || c == '\\' || c == 0x7f)
        return 0;
    n = utf8_sequence(s, strnlen(s, 4));
    return n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0 ? 0 : n;
}

static void stamp(char *out, size_t size)
{
    struct timespec now;
    struct tm tm;
    size_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, size - n, ".%03ldZ", now.tv_nsec / 1000000);
}

/* ---- logfmt ---- */

static bool needs_quotes(const char *s)
{
    size_t n;

    if (*s == '\0')
        return true;
    for (; *s != '\0'; s += n) {
        n = plain_bytes(s);
        if (n == 0 || *s == ' ' || *s == '=')
            return true;
    }
    return false;
}

static void put_escaped(struct log_line *l, char c)
{
    char esc[8];

    if (c == '"' || c == '\\')
        snprintf(esc, sizeof esc, "\\%c", c);
    else if (c == '\n')
        snprintf(esc, sizeof esc, "\\n");
    else
        snprintf(esc, sizeof esc, "\\x%02x", (unsigned char)c);
    puts_(l, esc);
}

static void put_value(struct log_line *l, const char *s)
{
    bool quoted = needs_quotes(s);

    if (quoted)
        put(l, "\"", 1);
    while (*s != '\0' && !l->cut) {
        size_t n = plain_bytes(s);
        if (n > 0)
            put(l, s, n);
        else
            put_escaped(l, *s);
        s += n > 0 ? n : 1;
    }
    if (quoted)
        end(l, "\"");
}

/* All of the key or nothing, so that a cut falls into a value. */
static void put_pair(struct log_line *l, const char *key, const char *value)
{
    if (l->cut || l->len + strlen(key) + 3 > l->room) {
        l->cut = 1;
        return;
    }
    put(l, " ", 1);
    puts_(l, key);
    put(l, "=", 1);
    put_value(l, value != NULL ? value : "-");
}

static void put_pairs(struct log_line *l, const struct log_record *r)
{
    for (int i = 0; i < r->n; i++)
        put_pair(l, r->keys[i], r->values[i]);
}

static void make_logfmt(struct log_line *l, const struct log_record *r)
{
    char text[40], pid[16];

    stamp(text, sizeof text);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    puts_(l, "ts=");
    puts_(l, text);
    put_pair(l, "level", log_level_name(r->level));
    put_pair(l, "proc", r->process);
    put_pair(l, "pid", pid);
    put_pair(l, "module", r->module);
    put_pair(l, "msg", r->msg);
    put_pairs(l, r);
    end(l, "\n");
}

/* ---- JSON ---- */

/* How many bytes of s are shown by what is put. */
static size_t put_json_char(struct log_line *l, const char *s)
{
    unsigned char c = (unsigned char)*s;
    char esc[8];

    if (c == '"' || c == '\\')
        snprintf(esc, sizeof esc, "\\%c", c);
    else if (c == '\n')
        snprintf(esc, sizeof esc, "\\n");
    else if (c < ' ' || c == 0x7f)
        snprintf(esc, sizeof esc, "\\u%04x", c);
    else if (c == 0xc2 && utf8_sequence(s, strnlen(s, 4)) == 2)
        snprintf(esc, sizeof esc, "\\u%04x", (unsigned char)s[1]);
    else
        snprintf(esc, sizeof esc, "\\ufffd");
    puts_(l, esc);
    return c == 0xc2 && esc[2] == '0' ? 2 : 1;
}

static void put_json_text(struct log_line *l, const char *s)
{
    put(l, "\"", 1);
    while (*s != '\0' && !l->cut) {
        size_t n = plain_bytes(s);
        if (n > 0)
            put(l, s, n);
        else
            n = put_json_char(l, s);
        s += n;
    }
    end(l, "\"");
}

static void put_json_key(struct log_line *l, const char *key)
{
    put(l, ",\"", 2);
    puts_(l, key);
    put(l, "\":", 2);
}

static void put_json_pair(struct log_line *l, const char *key, const char *value)
{
    bool number = value != NULL && log_value_is_number(value);

    if (l->cut || l->len + strlen(key) + (number ? strlen(value) : 0) + 5 > l->room) {
        l->cut = 1;
        return;
    }
    put_json_key(l, key);
    if (number)
        puts_(l, value);
    else if (value == NULL)
        end(l, "null");
    else
        put_json_text(l, value);
}

static void make_json(struct log_line *l, const struct log_record *r)
{
    char text[40], pid[16];

    stamp(text, sizeof text);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    puts_(l, "{\"ts\":\"");
    puts_(l, text);
    puts_(l, "\"");
    put_json_pair(l, "level", log_level_name(r->level));
    put_json_pair(l, "proc", r->process);
    put_json_key(l, "pid");
    puts_(l, pid);
    put_json_pair(l, "module", r->module);
    put_json_pair(l, "msg", r->msg);
    for (int i = 0; i < r->n; i++)
        put_json_pair(l, r->keys[i], r->values[i]);
    end(l, "}\n");
}

/* ---- the journal's native protocol ---- */

/* A field whole or not at all: its value has its length before it, so that it may hold any bytes. */
static void put_field(struct log_line *l, const char *name, const char *value, size_t n)
{
    uint64_t left = n;
    char length[8];

    if (l->len + strlen(name) + n + sizeof length + 2 > LOG_JOURNAL_BYTES)
        return;
    for (size_t i = 0; i < sizeof length; i++, left >>= 8)
        length[i] = (char)(left & 0xff);
    l->room = LOG_JOURNAL_BYTES;
    puts_(l, name);
    put(l, "\n", 1);
    put(l, length, sizeof length);
    put(l, value, n);
    put(l, "\n", 1);
}

static void put_text_field(struct log_line *l, const char *name, const char *value)
{
    put_field(l, name, value, strlen(value));
}

static void put_own_field(struct log_line *l, const char *key, const char *value)
{
    char name[64] = "DOCMILL_";
    size_t at = strlen(name);

    for (; *key != '\0' && at < sizeof name - 1; key++, at++)
        name[at] = *key >= 'a' && *key <= 'z'                                     ? (char)(*key - 'a' + 'A')
                   : (*key >= '0' && *key <= '9') || (*key >= 'A' && *key <= 'Z') ? *key
                                                                                  : '_';
    name[at] = '\0';
    put_text_field(l, name, value);
}

/* The message as people read it, by the same rules as a line of logfmt. */
static void make_journal(struct log_line *l, const struct log_record *r)
{
    static const char *const priorities[] = {"7", "6", "4", "3"};
    struct log_line message = {.room = LOG_LINE_BYTES - END_BYTES};

    for (const char *s = r->msg; *s != '\0' && !message.cut;) {
        size_t n = plain_bytes(s);
        if (n > 0)
            put(&message, s, n);
        else
            put_escaped(&message, *s);
        s += n > 0 ? n : 1;
    }
    put_pairs(&message, r);
    put_field(l, "MESSAGE", message.text, message.len);
    put_text_field(l, "PRIORITY", priorities[r->level]);
    put_text_field(l, "SYSLOG_IDENTIFIER", "docmilld");
    put_own_field(l, "proc", r->process);
    put_own_field(l, "module", r->module);
    for (int i = 0; i < r->n; i++)
        put_own_field(l, r->keys[i], r->values[i] != NULL ? r->values[i] : "");
}

void log_line_make(struct log_line *l, const struct log_record *r, enum log_format format)
{
    l->len = 0;
    l->cut = 0;
    l->room = LOG_LINE_BYTES - END_BYTES;
    switch (format) {
    case LOG_LOGFMT:
        make_logfmt(l, r);
        break;
    case LOG_JSON:
        make_json(l, r);
        break;
    case LOG_JOURNALD:
        make_journal(l, r);
        break;
    }
}
