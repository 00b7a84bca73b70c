/*
 * memory.h - how much memory this process and all beside it may use
 *
 * Depends on libc.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the machine or of the tightest control group above this process, whichever is less; where from in words. root:
 * "" (tests: a directory with proc/ and sys/ in it). 0: not known. */
int64_t memory_limit_bytes(const char *root, char *where, size_t size);

#endif
