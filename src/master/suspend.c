/*
 * suspend.c - see suspend.h
 *
 * Pure. Called by supervise.c only. Depends on nothing.
 */
#include "master/suspend.h"

int64_t suspend_look(struct suspend_watch *w, int64_t monotonic_ms, int64_t boottime_ms)
{
    int64_t ahead = boottime_ms - monotonic_ms;
    int64_t slept = w->due_ms != 0 ? ahead - w->ahead_ms : 0;
    int64_t late = w->due_ms != 0 ? monotonic_ms - w->due_ms : 0;

    w->ahead_ms = ahead;
    if (slept >= SUSPEND_SLEPT_MS)
        return slept;
    return late >= SUSPEND_LATE_MS ? late : 0;
}

void suspend_next(struct suspend_watch *w, int64_t due_ms)
{
    w->due_ms = due_ms;
}
