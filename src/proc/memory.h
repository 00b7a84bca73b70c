/*
 * memory.h - what this process uses of the machine's memory: its proportional set size
 *
 * The kernel counts it by walking every page, which takes longer the more there is. So it is read seldom, and the less
 * often the longer the last reading took: at most a thousandth of the time goes into it.
 *
 * Depends on base.
 */
#ifndef PROC_MEMORY_H
#define PROC_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_EVERY_MS 5000

struct memory_watch {
    int fd; /* of /proc/self/smaps_rollup, opened before a sandbox closes the way; -1: not there */
    int64_t next_ms;
};

void memory_watch_open(struct memory_watch *w);
void memory_watch_close(struct memory_watch *w);
/* True, and *bytes set, if a reading was due and made. */
bool memory_watch_due(struct memory_watch *w, int64_t now_ms, int64_t *bytes);
int64_t memory_read(const struct memory_watch *w); /* bytes, now; 0: not known */

/* "Pss: 1234 kB" in the kernel's text, as bytes; 0 if it is not there. */
int64_t memory_parse(const char *text);

#endif
