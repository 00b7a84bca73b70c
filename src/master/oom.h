/*
 * oom.h - was it the kernel that killed a child, for want of memory?
 *
 * An out-of-memory kill looks like kill -9. What tells them apart are counters: of this control group (memory.events of
 * cgroup v2, memory.oom_control of v1), which count every victim within it, whoever ran out; or, where the group's cannot
 * be read, the machine's (/proc/vmstat), which count everybody's. A counter's rise explains one death, not two.
 *
 * The counters are read at every tick as well, and a rise that no death has claimed by the tick after is taken for
 * somebody else's (a parser's, say). A rise that was there before the last tick is claimed with a "probably".
 *
 * Depends on base.
 */
#ifndef MASTER_OOM_H
#define MASTER_OOM_H

#include <stdint.h>

struct oom_counter {
    int fd;           /* -1: not there */
    const char *word; /* that stands before the number */
    int64_t claimed;  /* up to here deaths are explained, or it was somebody else's */
    int64_t at_tick;  /* as last read by a tick */
};

struct oom_watch {
    struct oom_counter group, machine;
};

enum oom_cause { OOM_HIDDEN = -1, OOM_NOT = 0, OOM_PROBABLE = 1, OOM_CERTAIN = 2 };

/* root: "" but in tests. */
void oom_open(struct oom_watch *w, const char *root);
void oom_close(struct oom_watch *w);
void oom_tick(struct oom_watch *w);
/* A child died by a KILL that was not ours. */
enum oom_cause oom_claim(struct oom_watch *w);

#endif
