/*
 * log.c - see log.h
 *
 * Owns one static line buffer a call (on the stack) and the process-wide level and name. Safe after fork. Wall-clock
 * time is used for the reader's benefit only; nothing decides by it.
 *
 * Depends on nothing but libc.
 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level min_level = LOG_LVL_INFO;
static char process_name[32] = "docmill";
static uint64_t dropped_lines;
static uint64_t dropped_reported;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_init(const char *process, enum log_level min)
{
    snprintf(process_name, sizeof process_name, "%s", process);
    min_level = min;
}

int log_level_parse(const char *name, enum log_level *out)
{
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *log_i(int64_t v)
{
    static _Thread_local char bufs[16][24];
    static _Thread_local unsigned next;
    char *b = bufs[next++ % 16];

    snprintf(b, sizeof bufs[0], "%" PRId64, v);
    return b;
}

uint64_t log_dropped(void)
{
    return dropped_lines;
}

struct line {
    char text[4096];
    size_t len;
};

static void line_putc(struct line *l, char c)
{
    if (l->len < sizeof l->text - 2)
        l->text[l->len++] = c;
}

static void line_puts(struct line *l, const char *s)
{
    while (*s != '\0')
        line_putc(l, *s++);
}

static int needs_quotes(const char *s)
{
    if (*s == '\0')
        return 1;
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
            return 1;
    }
    return 0;
}

static void line_value(struct line *l, const char *s)
{
    if (s == NULL)
        s = "-";
    if (!needs_quotes(s)) {
        line_puts(l, s);
        return;
    }
    line_putc(l, '"');
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            line_putc(l, '\\');
            line_putc(l, (char)c);
        } else if (c == '\n') {
            line_puts(l, "\\n");
        } else if (c < ' ' || c == 0x7f) {
            char esc[8];
            snprintf(esc, sizeof esc, "\\x%02x", c);
            line_puts(l, esc);
        } else {
            line_putc(l, (char)c);
        }
    }
    line_putc(l, '"');
}

static void line_pair(struct line *l, const char *key, const char *value)
{
    line_putc(l, ' ');
    line_puts(l, key);
    line_putc(l, '=');
    line_value(l, value);
}

static void line_write(struct line *l)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

    l->text[l->len++] = '\n';
    if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0 ||
        write(STDERR_FILENO, l->text, l->len) != (ssize_t)l->len)
        dropped_lines++;
}

void log_event(enum log_level lvl, const char *module, const char *msg, ...)
{
    struct line l = {.len = 0};
    struct timespec now;
    struct tm tm;
    char stamp[40];
    va_list ap;
    const char *key;

    if (lvl < min_level)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    line_puts(&l, "ts=");
    line_puts(&l, stamp);
    snprintf(stamp, sizeof stamp, ".%03ldZ", now.tv_nsec / 1000000);
    line_puts(&l, stamp);
    line_pair(&l, "level", level_names[lvl]);
    line_pair(&l, "proc", process_name);
    line_pair(&l, "pid", log_i(getpid()));
    line_pair(&l, "module", module);
    line_pair(&l, "msg", msg);
    va_start(ap, msg);
    while ((key = va_arg(ap, const char *)) != NULL) {
        const char *value = va_arg(ap, const char *);
        line_pair(&l, key, value);
    }
    va_end(ap);
    if (dropped_lines != dropped_reported) {
        line_pair(&l, "dropped", log_i((int64_t)(dropped_lines - dropped_reported)));
        dropped_reported = dropped_lines;
    }
    line_write(&l);
}

_Noreturn void log_panic(const char *module, const char *msg)
{
    log_event(LOG_LVL_ERROR, module, msg, "panic", "yes", NULL);
    abort();
}
