/*
 * log.h - structured lines to standard error (logfmt), never blocking
 *
 * One line an event: ts level proc pid module msg key=value... Values are quoted and escaped (control characters, C1,
 * what is not UTF-8); a line is one write of at most 4 KiB, cut in a value if it must be. Standard error may be a full
 * pipe or socket: the write never waits (kernels before 6.5 leave a small window on a pipe that several processes
 * share), and lines that could not be written are counted and reported in the next one that can ("dropped=N").
 *
 *   log_info("pool", "child ready", "slot", LOG_I(slot), "pid", LOG_I(pid), NULL);
 *
 * Keys and values alternate and are strings; LOG_I formats a number into a small rotating thread-local buffer.
 * Secrets never come here: there is no helper that prints a conf value.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_LVL_DEBUG, LOG_LVL_INFO, LOG_LVL_WARN, LOG_LVL_ERROR };

void log_init(const char *process, enum log_level min);
int log_level_parse(const char *name, enum log_level *out); /* 0, or -EINVAL */
void log_event(enum log_level lvl, const char *module, const char *msg, ...) __attribute__((sentinel));
const char *log_i(int64_t v);
_Noreturn void log_panic(const char *module, const char *msg); /* our bug: logs and aborts */

#define LOG_I(v)       log_i((int64_t)(v))
#define log_debug(...) log_event(LOG_LVL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_event(LOG_LVL_INFO, __VA_ARGS__)
#define log_warn(...)  log_event(LOG_LVL_WARN, __VA_ARGS__)
#define log_error(...) log_event(LOG_LVL_ERROR, __VA_ARGS__)

#endif
