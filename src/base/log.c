/*
 * log.c - see log.h: levels, and the way of an event
 *
 * Owns the process-wide name and levels. Safe after fork and from several threads. Wall-clock time is used for the
 * reader's benefit only; nothing decides by it.
 *
 * Depends on base/clock and libc.
 */
#include "base/log_int.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 1000

static struct log_levels own_levels = {.level = LOG_LVL_INFO};
static struct log_levels *levels = &own_levels;
static struct log_levels *told; /* a copy of our own, which others obey; NULL: none */
static char process_name[32] = "docmill";
static _Atomic uint64_t dropped, dropped_told;
static _Atomic int64_t ticked_ms;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* ---- levels ---- */

void log_init(const char *process, enum log_level min)
{
    snprintf(process_name, sizeof process_name, "%s", process);
    if (told != NULL)
        return; /* they are everybody's, and log_set_level()'s to change */
    own_levels.level = (int32_t)min;
    own_levels.n = 0;
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

const char *log_level_name(enum log_level level)
{
    return level >= LOG_LVL_DEBUG && level <= LOG_LVL_ERROR ? level_names[level] : "unknown";
}

void log_use_levels(struct log_levels *l)
{
    levels = l != NULL ? l : &own_levels;
    told = NULL;
}

/* The name is there before the number that makes it seen, so that a reader finds it whole. */
static void tell_levels(void)
{
    if (told == NULL)
        return;
    for (uint32_t i = 0; i < own_levels.n; i++) {
        memcpy(told->own[i].module, own_levels.own[i].module, sizeof told->own[i].module);
        told->own[i].level = own_levels.own[i].level;
    }
    atomic_store_explicit(&told->n, own_levels.n, memory_order_release);
    told->level = own_levels.level;
}

void log_share_levels(struct log_levels *l)
{
    told = l;
    tell_levels();
}

/* The memory may be one that others can write to: a number there is no index before it was looked at. */
static uint32_t count_own(void)
{
    uint32_t n = atomic_load_explicit(&levels->n, memory_order_acquire);

    return n < LOG_MODULES_MAX ? n : LOG_MODULES_MAX;
}

static struct log_own_level *find_own(const char *module)
{
    uint32_t n = count_own();

    for (uint32_t i = 0; i < n; i++)
        if (strncmp(levels->own[i].module, module, LOG_MODULE_MAX + 1) == 0)
            return &levels->own[i];
    return NULL;
}

static int set_level(const char *module, enum log_level level)
{
    struct log_own_level *o;
    uint32_t n = count_own();

    if (module == NULL) {
        for (uint32_t i = 0; i < n; i++)
            levels->own[i].level = -1;
        levels->level = (int32_t)level;
        return 0;
    }
    if (*module == '\0' || strlen(module) > LOG_MODULE_MAX)
        return -EINVAL;
    o = find_own(module);
    if (o == NULL) {
        if (n >= LOG_MODULES_MAX)
            return -ENOSPC;
        o = &levels->own[n];
        snprintf(o->module, sizeof o->module, "%s", module);
        levels->n = n + 1;
    }
    o->level = (int32_t)level;
    return 0;
}

int log_set_level(const char *module, enum log_level level)
{
    int r = set_level(module, level);

    tell_levels();
    return r;
}

void log_unset_level(const char *module)
{
    struct log_own_level *o = find_own(module);

    if (o != NULL)
        o->level = -1;
    tell_levels();
}

enum log_level log_level_of(const char *module)
{
    struct log_own_level *o = levels->n > 0 ? find_own(module) : NULL;
    int32_t v = o != NULL ? o->level : -1;

    if (v < 0)
        v = levels->level;
    return v >= LOG_LVL_DEBUG && v <= LOG_LVL_ERROR ? (enum log_level)v : LOG_LVL_INFO;
}

/* ---- numbers ---- */

#define NUMBERS 32

static _Thread_local char numbers[NUMBERS][24];

const char *log_i(int64_t v)
{
    static _Thread_local unsigned next;
    char *b = numbers[next++ % NUMBERS];

    snprintf(b, sizeof numbers[0], "%" PRId64, v);
    return b;
}

bool log_value_is_number(const char *value)
{
    return (uintptr_t)value >= (uintptr_t)numbers && (uintptr_t)value < (uintptr_t)numbers + sizeof numbers;
}

/* ---- events ---- */

static void add_pair(struct log_record *r, const char *key, const char *value)
{
    if (r->n == LOG_PAIRS_MAX)
        return;
    r->keys[r->n] = key;
    r->values[r->n++] = value;
}

static void add_pairs(struct log_record *r, va_list ap)
{
    const char *key;

    while ((key = va_arg(ap, const char *)) != NULL)
        add_pair(r, key, va_arg(ap, const char *));
}

/* What was lost so far goes with the next line that is not. */
static bool write_record(const struct log_record *r)
{
    struct log_record more;
    uint64_t lost = dropped, missing = lost - dropped_told;
    char text[24];
    int saved = errno;
    bool written;

    if (missing > 0) {
        snprintf(text, sizeof text, "%" PRIu64, missing);
        more = *r;
        memmove(more.keys + 1, r->keys, sizeof r->keys - sizeof r->keys[0]);
        memmove(more.values + 1, r->values, sizeof r->values - sizeof r->values[0]);
        more.n += r->n < LOG_PAIRS_MAX;
        more.keys[0] = "dropped";
        more.values[0] = text;
        r = &more;
    }
    written = log_sink_write(r);
    if (written && missing > 0)
        dropped_told = lost;
    errno = saved;
    return written;
}

static void write_summary(const struct log_summary *s)
{
    struct log_record r = {.level = s->level, .process = process_name, .module = s->module, .msg = s->msg};

    add_pair(&r, "repeated", log_i(s->repeated));
    add_pair(&r, "within_ms", log_i(s->within_ms));
    if (!write_record(&r))
        dropped++;
}

void log_event(enum log_level lvl, const char *module, const char *msg, ...)
{
    struct log_record r = {.level = lvl, .process = process_name, .module = module, .msg = msg};
    struct log_summary ended;
    bool tell = false, admitted;
    va_list ap;

    if (lvl < log_level_of(module))
        return;
    admitted = log_repeat_admit(&r, clock_ms(), &ended, &tell);
    if (tell)
        write_summary(&ended);
    if (!admitted)
        return;
    va_start(ap, msg);
    add_pairs(&r, ap);
    va_end(ap);
    if (!write_record(&r))
        dropped++;
}

_Noreturn void log_panic(const char *module, const char *msg)
{
    struct log_record r = {.level = LOG_LVL_ERROR, .process = process_name, .module = module, .msg = msg};

    add_pair(&r, "panic", "yes");
    (void)write_record(&r);
    abort();
}

/* ---- what was not said ---- */

static void tell_missing(void)
{
    struct log_record r = {
        .level = LOG_LVL_WARN, .process = process_name, .module = "log", .msg = "lines could not be written"};

    if (dropped != dropped_told)
        (void)write_record(&r); /* itself no loss */
}

static void tell_all(int64_t now, bool all)
{
    struct log_summary s;

    while (log_repeat_next(now, all, &s))
        write_summary(&s);
}

void log_tick(void)
{
    int64_t now = clock_ms();

    if (now - ticked_ms < TICK_MS)
        return;
    ticked_ms = now;
    tell_all(now, false);
    tell_missing();
}

void log_flush(void)
{
    tell_all(clock_ms(), true);
    tell_missing();
}

uint64_t log_dropped(void)
{
    return dropped;
}
