/*
 * totals.h - what the node counted since the daemon's start, also by children that are gone
 *
 * In the head of the scoreboard, written by the master alone, under a sequence lock. When a child dies its counters move
 * here out of its slot in one step: a reader that looks at all slots and at this within one unchanged sequence number
 * sees every count once, and no counter ever goes back.
 *
 * Depends on base, core.
 */
#ifndef PROC_TOTALS_H
#define PROC_TOTALS_H

#include "base/histogram.h"
#include "core/conf.h"
#include "core/state.h"

#include <stdbool.h>
#include <stdint.h>

#define SCORE_HIST_BUCKETS 20 /* stage latency: bucket i counts times below 1 ms << i; the last one is the rest */

/* Why a child is gone: X(NAME, "label", what) */
#define DEATH_CAUSES(X)                                                                                                \
    X(ASKED, "asked", "it was told to end, or retired")                                                                \
    X(EXIT, "exit", "it ended by itself")                                                                              \
    X(CRASH, "crash", "a signal of its own making, such as SEGV")                                                      \
    X(MEMORY, "memory", "the kernel ended it for memory, probably")                                                    \
    X(OUTSIDER, "outsider", "somebody else killed it")                                                                 \
    X(LATE, "late", "it was not ready in time, and we ended it")                                                       \
    X(HUNG, "hung", "it hung, and we ended it")                                                                        \
    X(ENDED, "ended", "we ended it for another reason")

#define X_CAUSE(NAME, ...) CAUSE_##NAME,
enum death_cause { DEATH_CAUSES(X_CAUSE) CAUSE_MAX_ };
#undef X_CAUSE

const char *death_cause_name(enum death_cause c);

/* What a child counts, by itself in its slot. All of it is uint64_t. */
#define SCORE_COUNTER_FIELDS                                                                                           \
    uint64_t jobs_done, jobs_failed, jobs_lost, claims, db_reconnects, requests, bytes_in;                             \
    uint64_t db_connects, log_dropped;                                                                                 \
    uint64_t stage_count[STATUS_MAX_]; /* passed through that status */                                                \
    uint64_t stage_hist[STATUS_MAX_][SCORE_HIST_BUCKETS];                                                              \
    uint64_t stage_sum_ms[STATUS_MAX_];                                                                                \
    struct histogram db_waits;

struct score_counters {
    SCORE_COUNTER_FIELDS
};

struct pool_totals {
    char name[32]; /* "": there is none */
    int32_t role;  /* enum pool_role */
    int32_t min;   /* children that it should have at least now */
    uint64_t starts, deaths[CAUSE_MAX_];
    uint64_t user_us, system_us; /* of children that are gone, as the kernel says */
};

struct totals {
    struct pool_totals pools[CONF_MAX_POOLS];
    struct score_counters gone; /* of children that are gone */
    /* the master itself */
    int64_t started_ms;
    uint64_t user_us, system_us, log_dropped;
    int64_t pss_bytes, descriptors;
};

void counters_add(struct score_counters *to, const struct score_counters *from);

#endif
