/*
 * usage.h - what this process uses of processor and descriptors
 *
 * Asked of the kernel by calls that a sandbox leaves open: no file is opened, no directory read.
 *
 * Depends on libc.
 */
#ifndef PROC_USAGE_H
#define PROC_USAGE_H

#include <stdint.h>

struct usage {
    uint64_t user_us, system_us;
    int64_t descriptors; /* counted up to USAGE_DESCRIPTORS_MAX */
};

#define USAGE_DESCRIPTORS_MAX 16384

void usage_read(struct usage *u);

#endif
