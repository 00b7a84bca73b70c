/*
 * wear.h - when a child has done enough: by jobs, by age, by memory
 *
 * Pure. The limits are a pool's; the jitter, a child's own, takes up to a fifth off jobs and age, so that children that
 * started together do not go together.
 *
 * A memory limit that a fresh child does not stay well below (by a quarter) would replace children without end. It is
 * refused: said once, and not applied.
 *
 * Depends on base.
 */
#ifndef MASTER_WEAR_H
#define MASTER_WEAR_H

#include "master/pool_plan.h"

#include <stdint.h>

struct wear_limits {
    int64_t max_jobs, max_age_ms, max_memory; /* 0: none */
};

struct wear {
    uint64_t jobs;
    int64_t age_ms;
    int64_t memory; /* bytes, as last read; 0: not yet */
};

unsigned wear_jitter(int64_t serial); /* 0 to 1023 */
/* Why it should be replaced, or RETIRE_NOT. */
enum retire_cause wear_verdict(const struct wear_limits *l, const struct wear *w, unsigned jitter);
/* A fresh child uses so much: can the limit be kept? */
bool wear_memory_is_possible(const struct wear_limits *l, int64_t fresh_bytes);

#endif
