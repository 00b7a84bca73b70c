/*
 * limits.h - rate limits: a bucket that refills evenly, a window that slides; durations as Go writes them
 *
 * Pure: the time comes in. A bucket begins full, so that a minute's allowance may be spent at once.
 */
#ifndef MOCKS_COMMON_LIMITS_H
#define MOCKS_COMMON_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bucket {
    double capacity, left, per_ms;
    int64_t at_ms;
};

void bucket_init(struct bucket *b, int64_t per_minute, int64_t now_ms);
void bucket_fill(struct bucket *b, int64_t now_ms);
/* Milliseconds until n are there, 0: now; -1: never, n is over the capacity. Call bucket_fill() before. */
int64_t bucket_wait_ms(const struct bucket *b, double n);
int64_t bucket_full_ms(const struct bucket *b); /* until it is full again */

#define WINDOW_MAX 256

struct window {
    int max; /* requests in `span_ms`; at most WINDOW_MAX; 0: no limit */
    int64_t span_ms;
    int64_t at[WINDOW_MAX]; /* ring of the last `max` that were let in */
    uint64_t n;
};

bool window_take(struct window *w, int64_t now_ms);

/* 12ms, 1s, 6m0s, 2m59.56s */
void go_duration(int64_t ms, char *out, size_t size);

#endif
