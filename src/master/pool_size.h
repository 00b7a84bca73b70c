/*
 * pool_size.h - how many children a pool's work wants, between its min and its max
 *
 * pool_size_step() is asked about once a second, and whenever something has happened, with what the pool does now. Pure;
 * the time comes in.
 *
 *   - Up: there are always `spare` idle children beyond the busy ones; and while all are busy and work waits, more are
 *     added: 1, then 2, 4, 8 at a time, one step in SIZE_UP_MS, as long as that lasts. Children that are starting
 *     or wait for a start are not busy: what was added comes into its own first, and a pool that fails does not grow.
 *   - Down: one in a SIZE_DOWN_PART of idle_ms, once more than `spare` have been idle for idle_ms without a break. So a
 *     pool grows in seconds and shrinks in minutes, and does not swing.
 *
 * Depends on nothing.
 */
#ifndef MASTER_POOL_SIZE_H
#define MASTER_POOL_SIZE_H

#include <stdbool.h>
#include <stdint.h>

#define SIZE_LOOK_MS   1000
#define SIZE_UP_MS     1000
#define SIZE_UP_MOST   8
#define SIZE_DOWN_PART 6

struct pool_range {
    int min, max, spare;
    int64_t idle_ms;
};

struct pool_load {
    int held; /* children that count, waiting ones too */
    int idle; /* of these: up and without work, or starting */
    int busy;
    bool waits; /* there is work that nobody has taken */
};

struct pool_size {
    int size;              /* what is wanted */
    int step;              /* of the last growth */
    int64_t grown_ms;      /* when */
    int64_t idle_since_ms; /* more than spare; 0: not now */
    int64_t shrunk_ms;
};

/* The range is another one now. */
void pool_size_fit(struct pool_size *s, const struct pool_range *r);
void pool_size_begin(struct pool_size *s, const struct pool_range *r);
/* Brings s->size up to date. *wake_ms is lowered to when to ask again. */
void pool_size_step(struct pool_size *s, const struct pool_range *r, const struct pool_load *l, int64_t now_ms,
                    int64_t *wake_ms);

#endif
