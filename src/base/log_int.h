/*
 * log_int.h - what the files of the log share
 *
 *   log.c         levels, the way of an event
 *   log_line.c    an event as a line of logfmt, of JSON, or as the journal's fields
 *   log_sink.c    where lines go
 *   log_repeat.c  how many lines of one kind are written
 */
#ifndef BASE_LOG_INT_H
#define BASE_LOG_INT_H

#include "base/log.h"

#include <stdbool.h>

#define LOG_PAIRS_MAX     32
#define LOG_LINE_BYTES    4096 /* not above PIPE_BUF: a pipe takes all of it or nothing */
#define LOG_JOURNAL_BYTES 12288

struct log_record {
    enum log_level level;
    const char *process, *module, *msg;
    int n;
    const char *keys[LOG_PAIRS_MAX], *values[LOG_PAIRS_MAX];
};

struct log_line {
    char text[LOG_JOURNAL_BYTES];
    size_t len;
    size_t room; /* what may be used of text before the end is put */
    int cut;     /* something did not fit: nothing but the end follows */
};

/* log_line.c */
void log_line_make(struct log_line *l, const struct log_record *r, enum log_format format);
bool log_value_is_number(const char *value); /* log.c: it came from log_i() */

/* log_sink.c */
bool log_sink_write(const struct log_record *r); /* false: dropped */

/* log_repeat.c */
#define LOG_KIND_MSG_MAX 95
struct log_summary {
    enum log_level level;
    char module[LOG_MODULE_MAX + 1], msg[LOG_KIND_MSG_MAX + 1];
    int64_t repeated, within_ms;
};
void log_repeat_limit(int lines);
/* Whether the event may be written. *ended: something else is to be told first, in *s. */
bool log_repeat_admit(const struct log_record *r, int64_t now_ms, struct log_summary *s, bool *ended);
/* The next kind whose time is over (all: or not) and of which something was held back; false: none. */
bool log_repeat_next(int64_t now_ms, bool all, struct log_summary *s);

#endif
