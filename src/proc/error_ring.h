/*
 * error_ring.h - the last errors that want a person's attention, in shared memory (`docmillctl errors`)
 *
 * Raised by any process of the node, at changes and not at every failure; read by the master. An error that is raised
 * again while it is still among the last few only counts up. Nothing blocks, allocates or locks. Who is killed while he
 * writes leaves an entry that no reader takes for whole: it has a sequence number and a checksum, and the next lap
 * writes over it.
 *
 * Messages are for people and are shown to operators: no secret belongs in them.
 *
 * Depends on base.
 */
#ifndef PROC_ERROR_RING_H
#define PROC_ERROR_RING_H

#include <stdbool.h>
#include <stdint.h>

#define ERROR_RING_ENTRIES 128
#define ERROR_RING_SAME_MS INT64_C(600000) /* the same error within this is one entry */

struct error_text {
    char module[24];   /* a service's name, or the part of docmill that raised it */
    char reason[40];   /* of core/reason.h */
    char message[224]; /* for a person */
};

struct error_slot {
    _Atomic uint64_t seq; /* odd: being written; 2 n + 2: holds the n-th error ever */
    _Atomic uint64_t checksum;
    _Atomic int64_t first_ms, last_ms;
    _Atomic int64_t times;
    struct error_text text;
};

/* The shared memory. All zero is an empty ring. */
struct error_ring {
    _Atomic uint64_t n; /* errors ever begun */
    struct error_slot slots[ERROR_RING_ENTRIES];
};

/* A copy; text is terminated and valid UTF-8 without control characters. */
struct error_seen {
    int64_t first_ms, last_ms, times;
    struct error_text text;
};

/* module and reason are cut, message too. */
void error_ring_raise(struct error_ring *r, const char *module, const char *reason, const char *message,
                      int64_t now_ms);
/* The i-th last one (0: the newest begun). False: there is none, or it is not whole. */
bool error_ring_read(const struct error_ring *r, int i, struct error_seen *out);

#endif
