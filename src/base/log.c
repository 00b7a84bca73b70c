/*
 * log.c - see log.h
 *
 * Owns one static line buffer a call (on the stack) and the process-wide level and name. Safe after fork. Wall-clock
 * time is used for the reader's benefit only; nothing decides by it.
 *
 * Depends on base/utf8 and libc.
 */
#include "base/log.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
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

#define LINE_BYTES 4096 /* not above PIPE_BUF: a pipe takes all of it or nothing */
#define LINE_ROOM  (LINE_BYTES - 4)

/* LINE_ROOM leaves space for a closing quote and the line's end. Once something did not fit, nothing but those follows:
 * a cut line is still well-formed. */
struct line {
    char text[LINE_BYTES];
    size_t len;
    int cut;
};

static void line_put(struct line *l, const char *s, size_t n)
{
    if (l->cut || l->len + n > LINE_ROOM) {
        l->cut = 1;
        return;
    }
    memcpy(l->text + l->len, s, n);
    l->len += n;
}

static void line_puts(struct line *l, const char *s)
{
    line_put(l, s, strlen(s));
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

static int needs_quotes(const char *s)
{
    size_t n;

    if (*s == '\0')
        return 1;
    for (; *s != '\0'; s += n) {
        n = plain_bytes(s);
        if (n == 0 || *s == ' ' || *s == '=')
            return 1;
    }
    return 0;
}

static void line_escaped(struct line *l, char c)
{
    char esc[8];

    if (c == '"' || c == '\\')
        snprintf(esc, sizeof esc, "\\%c", c);
    else if (c == '\n')
        snprintf(esc, sizeof esc, "\\n");
    else
        snprintf(esc, sizeof esc, "\\x%02x", (unsigned char)c);
    line_puts(l, esc);
}

static void line_value(struct line *l, const char *s)
{
    int quoted = needs_quotes(s);

    if (quoted)
        line_put(l, "\"", 1);
    while (*s != '\0' && !l->cut) {
        size_t n = plain_bytes(s);
        if (n > 0)
            line_put(l, s, n);
        else
            line_escaped(l, *s);
        s += n > 0 ? n : 1;
    }
    if (quoted)
        l->text[l->len++] = '"';
}

/* All of the key or nothing, so that a cut falls into a value. */
static void line_pair(struct line *l, const char *key, const char *value)
{
    if (l->cut || l->len + strlen(key) + 3 > LINE_ROOM) {
        l->cut = 1;
        return;
    }
    line_put(l, " ", 1);
    line_puts(l, key);
    line_put(l, "=", 1);
    line_value(l, value != NULL ? value : "-");
}

/* A plain write after poll is not enough for a pipe: another process may fill it in between, and then the write waits.
 */
static ssize_t write_now(const char *text, size_t n)
{
    struct iovec v = {.iov_base = (char *)(uintptr_t)text, .iov_len = n};
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    struct stat st;
    ssize_t r;

    if (fstat(STDERR_FILENO, &st) != 0)
        return -1;
    if (S_ISSOCK(st.st_mode))
        return send(STDERR_FILENO, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (S_ISFIFO(st.st_mode)) {
        r = pwritev2(STDERR_FILENO, &v, 1, -1, RWF_NOWAIT);
        if (r >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL))
            return r;
    }
    if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0)
        return -1;
    return write(STDERR_FILENO, text, n);
}

static int line_write(struct line *l)
{
    int saved = errno;
    int written;

    l->text[l->len++] = '\n';
    written = write_now(l->text, l->len) == (ssize_t)l->len;
    errno = saved;
    return written;
}

static void line_begin(struct line *l, enum log_level lvl, const char *module, const char *msg)
{
    struct timespec now;
    struct tm tm;
    char stamp[40], ms[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "ts=%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ms, sizeof ms, ".%03ldZ", now.tv_nsec / 1000000);
    line_puts(l, stamp);
    line_puts(l, ms);
    line_pair(l, "level", level_names[lvl]);
    line_pair(l, "proc", process_name);
    line_pair(l, "pid", log_i(getpid()));
    line_pair(l, "module", module);
    line_pair(l, "msg", msg);
}

void log_event(enum log_level lvl, const char *module, const char *msg, ...)
{
    struct line l = {.len = 0};
    uint64_t dropped = dropped_lines - dropped_reported;
    va_list ap;
    const char *key;

    if (lvl < min_level)
        return;
    line_begin(&l, lvl, module, msg);
    if (dropped > 0)
        line_pair(&l, "dropped", log_i((int64_t)dropped));
    va_start(ap, msg);
    while ((key = va_arg(ap, const char *)) != NULL)
        line_pair(&l, key, va_arg(ap, const char *));
    va_end(ap);
    if (line_write(&l))
        dropped_reported += dropped;
    else
        dropped_lines++;
}

_Noreturn void log_panic(const char *module, const char *msg)
{
    log_event(LOG_LVL_ERROR, module, msg, "panic", "yes", NULL);
    abort();
}
