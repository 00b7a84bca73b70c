/*
 * usage.h - processor and memory of the daemon's processes, as the kernel of this machine tells them
 *
 * Asked of /proc by the client, so that the daemon does not look at hundreds of files for a `status`. Where /proc hides
 * them (hidepid, another pid namespace) they are not known: -1.
 *
 * Depends on base.
 */
#ifndef CTL_USAGE_H
#define CTL_USAGE_H

#include <jansson.h>
#include <stdint.h>

struct usage {
    int64_t cpu_ms; /* since its start */
    int64_t bytes;  /* that it shares with no file: status' own number if it has one */
};

/* Of a child of `status`. */
void usage_of(const json_t *child, struct usage *out);

#endif
