/*
 * histogram.h - how long things took, in buckets that double
 *
 * Plain counters for one writer; whoever shares them says how. Depends on nothing.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS  20
#define HISTOGRAM_FIRST_US 250 /* bucket i counts times up to 250 us << i; the last one takes the rest */

struct histogram {
    uint64_t sum_us;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline void histogram_add(struct histogram *h, int64_t took_us)
{
    int i = 0;

    while (i < HISTOGRAM_BUCKETS - 1 && took_us > (int64_t)HISTOGRAM_FIRST_US << i)
        i++;
    h->bucket[i]++;
    h->sum_us += took_us > 0 ? (uint64_t)took_us : 0;
}

#endif
