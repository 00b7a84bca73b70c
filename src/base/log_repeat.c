/*
 * log_repeat.c - how many lines of one kind are written
 *
 * A kind is level, module and message; values do not matter, since a flood differs in them. The first lines of a kind
 * within LOG_WINDOW_MS pass, the others are counted, and the count is told: with the kind's next line after that time,
 * by log_tick(), or when the table needs the place.
 *
 * Owns one table a process. Threads that meet here do not wait: who finds the table in use writes its line.
 *
 * Depends on libc.
 */
#include "base/log_int.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define KINDS 64

struct kind {
    bool used;
    struct log_summary told; /* what will be said; `repeated` is what was held back so far */
    int64_t since_ms;
    int written;
};

static pthread_mutex_t in_use = PTHREAD_MUTEX_INITIALIZER;
static struct kind kinds[KINDS];
static int limit;

void log_repeat_limit(int lines)
{
    limit = lines > 0 ? lines : 0;
}

void log_set_burst(int lines)
{
    log_repeat_limit(lines);
}

static bool same(const struct kind *k, const struct log_record *r)
{
    return k->used && k->told.level == r->level && strncmp(k->told.msg, r->msg, LOG_KIND_MSG_MAX) == 0 &&
           strncmp(k->told.module, r->module, LOG_MODULE_MAX) == 0;
}

/* What a kind has to say at the end of its time; false: nothing. */
static bool take_summary(struct kind *k, int64_t now_ms, struct log_summary *s)
{
    if (k->told.repeated == 0)
        return false;
    *s = k->told;
    s->within_ms = now_ms - k->since_ms;
    k->told.repeated = 0;
    return true;
}

/* The kind of the event, or the place for it: a free one, or that of the one that began longest ago. */
static struct kind *find(const struct log_record *r)
{
    struct kind *best = &kinds[0];

    for (int i = 0; i < KINDS; i++) {
        if (same(&kinds[i], r))
            return &kinds[i];
        if (best->used && (!kinds[i].used || kinds[i].since_ms < best->since_ms))
            best = &kinds[i];
    }
    return best;
}

static bool admit(const struct log_record *r, int64_t now_ms, struct log_summary *s, bool *ended)
{
    struct kind *k = find(r);
    bool known = same(k, r);

    if (!known || now_ms - k->since_ms >= LOG_WINDOW_MS) {
        *ended = k->used && take_summary(k, now_ms, s);
        *k = (struct kind){.used = true, .since_ms = now_ms, .told = {.level = r->level}};
        snprintf(k->told.module, sizeof k->told.module, "%s", r->module);
        snprintf(k->told.msg, sizeof k->told.msg, "%s", r->msg);
    }
    if (k->written < limit) {
        k->written++;
        return true;
    }
    k->told.repeated++;
    return false;
}

bool log_repeat_admit(const struct log_record *r, int64_t now_ms, struct log_summary *s, bool *ended)
{
    bool yes;

    *ended = false;
    if (limit == 0 || r->level == LOG_LVL_DEBUG || pthread_mutex_trylock(&in_use) != 0)
        return true;
    yes = admit(r, now_ms, s, ended);
    pthread_mutex_unlock(&in_use);
    return yes;
}

bool log_repeat_next(int64_t now_ms, bool all, struct log_summary *s)
{
    bool found = false;

    if (limit == 0 || pthread_mutex_trylock(&in_use) != 0)
        return false;
    for (int i = 0; i < KINDS && !found; i++)
        if (kinds[i].used && (all || now_ms - kinds[i].since_ms >= LOG_WINDOW_MS))
            found = take_summary(&kinds[i], now_ms, s);
    pthread_mutex_unlock(&in_use);
    return found;
}
