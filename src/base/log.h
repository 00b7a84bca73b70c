/*
 * log.h - structured lines, never blocking
 *
 * One line an event: time, level, process, pid, module, message, and pairs of keys and values. Written as logfmt or JSON to
 * standard error, or as fields to the journal's socket. Values are quoted and escaped (control characters, C1, what is
 * not UTF-8); a line is one write of at most 4 KiB, cut in a value if it must be.
 *
 * Nothing here waits: not for a full pipe or socket, not for a terminal that is held. Lines that could not be written
 * are counted and told in the next one that can ("dropped=N"), by log_tick() if nothing else is said.
 *
 * Repeats are limited when log_set_burst() says so: of one kind (level, module, message) so many lines are written in
 * LOG_WINDOW_MS; the rest are counted, and told when that time is over ("repeated=N"). Debug lines are not limited.
 *
 * A module has the level that log_set_level() gave it, or the general one. The levels may lie in memory that several
 * processes share: one of them sets, all of them obey at once.
 *
 *   log_info("pool", "child ready", "slot", LOG_I(slot), "pid", LOG_I(pid), NULL);
 *
 * Keys and values alternate and are strings; LOG_I formats a number into a small rotating thread-local buffer.
 * Secrets never come here: there is no helper that prints a conf value.
 *
 * Depends on base only.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LVL_DEBUG, LOG_LVL_INFO, LOG_LVL_WARN, LOG_LVL_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON, LOG_JOURNALD };

#define LOG_WINDOW_MS   10000
#define LOG_MODULES_MAX 48
#define LOG_MODULE_MAX  23 /* characters of a module's name */

void log_init(const char *process, enum log_level min); /* the general level; modules keep none of their own */
void log_event(enum log_level lvl, const char *module, const char *msg, ...) __attribute__((sentinel));
const char *log_i(int64_t v);
_Noreturn void log_panic(const char *module, const char *msg); /* our bug: logs and aborts */

#define LOG_I(v)       log_i((int64_t)(v))
#define log_debug(...) log_event(LOG_LVL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_event(LOG_LVL_INFO, __VA_ARGS__)
#define log_warn(...)  log_event(LOG_LVL_WARN, __VA_ARGS__)
#define log_error(...) log_event(LOG_LVL_ERROR, __VA_ARGS__)

/* ---- levels ---- */

/* All zero but for `level` is: that level for every module. Written by one process, read by any. */
struct log_levels {
    _Atomic int32_t level;
    _Atomic uint32_t n;
    struct log_own_level {
        char module[LOG_MODULE_MAX + 1];
        _Atomic int32_t level; /* -1: the general one */
    } own[LOG_MODULES_MAX];
};

/* From now on these levels count, and log_set_level() writes there. They must stay as long as anything is logged; a
 * process that has them read-only must not set any. NULL: this process's own again. */
void log_use_levels(struct log_levels *l);
/* Whoever sets levels: its own, now and whenever they change, are written there too, for others to obey. It goes by its
 * own itself: what somebody else writes there changes nothing for it. */
void log_share_levels(struct log_levels *l);
/* The one of a module; NULL: the general one, and no module has its own any more. 0, -EINVAL (the name is too long),
 * -ENOSPC (too many modules have one). */
int log_set_level(const char *module, enum log_level level);
void log_unset_level(const char *module); /* the general one counts for it again */
enum log_level log_level_of(const char *module);

int log_level_parse(const char *name, enum log_level *out); /* 0, or -EINVAL */
const char *log_level_name(enum log_level level);

/* ---- where to and how ---- */

/* Makes the open file behind standard error this process's and its children's own where that is needed to never wait
 * (a pipe, a terminal). Once, before the first child. */
void log_own_stderr(void);
/* What is behind fd takes standard error's place; fd is closed. 0 or a negative errno. */
int log_adopt(int fd);
/* journal: the socket's path; kept. 0, or a negative errno (then logfmt it stays). */
int log_set_format(enum log_format format, const char *journal);
void log_set_burst(int lines); /* of one kind in LOG_WINDOW_MS; 0: no limit */
/* Often, from the loop: tells what was held back and what was lost, at most once a second. */
void log_tick(void);
void log_flush(void); /* the same at once, before the process ends */
uint64_t log_dropped(void);

#endif
