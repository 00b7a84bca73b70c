/*
 * wear.c - see wear.h
 *
 * Pure. Called by pools.c only. Depends on base.
 */
#include "master/wear.h"

#define JITTER_MAX   1024
#define JITTER_SHARE 5 /* of a limit */
#define FRESH_SHARE  4 /* of what a fresh child uses, to be left for work */

unsigned wear_jitter(int64_t serial)
{
    return (unsigned)(((uint64_t)serial * UINT64_C(0x9E3779B97F4A7C15)) >> 54);
}

static int64_t sooner(int64_t limit, unsigned jitter)
{
    return limit - limit / JITTER_SHARE * (int64_t)jitter / JITTER_MAX;
}

enum retire_cause wear_verdict(const struct wear_limits *l, const struct wear *w, unsigned jitter)
{
    if (l->max_memory > 0 && w->memory > l->max_memory)
        return RETIRE_MEMORY;
    if (l->max_jobs > 0 && w->jobs >= (uint64_t)sooner(l->max_jobs, jitter))
        return RETIRE_JOBS;
    if (l->max_age_ms > 0 && w->age_ms >= sooner(l->max_age_ms, jitter))
        return RETIRE_AGE;
    return RETIRE_NOT;
}

bool wear_memory_is_possible(const struct wear_limits *l, int64_t fresh_bytes)
{
    return l->max_memory == 0 || l->max_memory >= fresh_bytes + fresh_bytes / FRESH_SHARE;
}
