/*
 * suspend.h - was this machine, or this process, held up since the last look?
 *
 * A machine that sleeps stops CLOCK_MONOTONIC and not CLOCK_BOOTTIME: their difference grows. A process group that is
 * frozen or stopped, and a guest whose host took its processors away, see both go on; but the timer that should have woken
 * the master comes late. After either, connections are dead and loops stand where they stood: nobody is called hung for
 * that. Pure; both times come in.
 *
 * Depends on nothing.
 */
#ifndef MASTER_SUSPEND_H
#define MASTER_SUSPEND_H

#include <stdbool.h>
#include <stdint.h>

#define SUSPEND_SLEPT_MS 1000 /* the machine, while the monotonic clock stood still */
#define SUSPEND_LATE_MS  5000 /* a timer */

struct suspend_watch {
    int64_t ahead_ms; /* of CLOCK_BOOTTIME before CLOCK_MONOTONIC, as last seen */
    int64_t due_ms;   /* by when the next look should be, by the monotonic clock; 0: not known */
};

/* How long we were held up since the last look, in ms; 0: not. next_ms is given to suspend_next() afterwards. */
int64_t suspend_look(struct suspend_watch *w, int64_t monotonic_ms, int64_t boottime_ms);
void suspend_next(struct suspend_watch *w, int64_t due_ms);

#endif
