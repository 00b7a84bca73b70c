/*
 * memory.c - see memory.h
 *
 * Depends on base.
 */
#include "proc/memory.h"

#include "base/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COST_SHARE 1000 /* of the time: one reading in a thousand times its own length */

void memory_watch_open(struct memory_watch *w)
{
    w->fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    w->next_ms = 0;
}

void memory_watch_close(struct memory_watch *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

int64_t memory_parse(const char *text)
{
    const char *at = strstr(text, "\nPss:");
    char *end;
    long long kb;

    if (at == NULL)
        return 0;
    at += strlen("\nPss:");
    kb = strtoll(at, &end, 10);
    if (end == at || kb < 0 || kb > INT64_MAX / 1024 || strncmp(end, " kB", 3) != 0)
        return 0;
    return (int64_t)kb * 1024;
}

int64_t memory_read(const struct memory_watch *w)
{
    char text[4096];
    ssize_t n = w->fd >= 0 ? pread(w->fd, text, sizeof text - 1, 0) : -1;

    if (n <= 0)
        return 0;
    text[n] = '\0';
    return memory_parse(text);
}

bool memory_watch_due(struct memory_watch *w, int64_t now_ms, int64_t *bytes)
{
    int64_t began, wait;

    if (now_ms < w->next_ms)
        return false;
    began = clock_ns();
    *bytes = memory_read(w);
    wait = (clock_ns() - began) / (1000000 / COST_SHARE);
    w->next_ms = now_ms + (wait > MEMORY_EVERY_MS ? wait : MEMORY_EVERY_MS);
    return *bytes > 0;
}
