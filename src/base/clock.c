/*
 * clock.c - see clock.h
 *
 * Jitter comes from getrandom; a failure there (impossible after boot) gives the middle of the range, not an error.
 */
#include "base/clock.h"

#include <sys/random.h>
#include <time.h>

int64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_ms(void)
{
    return clock_ns() / 1000000;
}

int64_t clock_boot_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t backoff_ms(int64_t first_ms, int64_t cap_ms, unsigned try_no)
{
    int64_t base = first_ms;
    uint64_t r = 0;

    if (first_ms <= 0)
        return 0;
    while (try_no-- > 0 && base < cap_ms)
        base = base > INT64_MAX / 2 ? cap_ms : 2 * base;
    if (base > cap_ms)
        base = cap_ms;
    if (base < 2)
        return base;
    if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
        r = (uint64_t)(base - base / 2) / 2;
    return base / 2 + (int64_t)(r % (uint64_t)(base - base / 2 + 1));
}
