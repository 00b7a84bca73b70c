/*
 * usage.c - see usage.h
 *
 * Descriptors are counted by asking for each number up to the first long gap: they are given out from below.
 *
 * Depends on libc.
 */
#include "proc/usage.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/time.h>

#define GAP 256 /* numbers in a row without a descriptor: there are no more */

static uint64_t us_of(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

static int64_t count_descriptors(void)
{
    int64_t n = 0;
    int last = 0;

    for (int fd = 0; fd < USAGE_DESCRIPTORS_MAX && fd - last < GAP; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            continue;
        n++;
        last = fd;
    }
    return n;
}

void usage_read(struct usage *u)
{
    struct rusage ru = {0};

    (void)getrusage(RUSAGE_SELF, &ru); /* cannot fail for oneself */
    u->user_us = us_of(&ru.ru_utime);
    u->system_us = us_of(&ru.ru_stime);
    u->descriptors = count_descriptors();
}
