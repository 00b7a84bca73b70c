/*
 * ratehead.h - what an answer's headers say about limits and waiting
 *
 * x-ratelimit-{limit,remaining,reset}-{requests,tokens} as OpenAI sends them: reset is a Go duration ("12ms", "6m0s");
 * a plain number is seconds, as Azure writes it. They say when a bucket is full again, not how long to wait. Azure
 * sends -1 or 0 where it has no limit: those count as not said, and so does a remaining of 0 beside neither a limit
 * nor a reset.
 *
 * retry-after-ms, then Retry-After in seconds or as an HTTP-date, say how long to wait. A date is measured against the
 * Date header of the same answer, by the service's own clock; without one it says nothing.
 *
 * Pure: headers come in by a function, so that nothing here knows a connection.
 */
#ifndef PROVIDER_RATEHEAD_H
#define PROVIDER_RATEHEAD_H

#include <stdint.h>

#define RATEHEAD_MAX_WAIT_MS (24 * 3600 * 1000LL) /* longer waits are cut to this */

struct rate_window {
    int64_t limit, remaining; /* -1: not said */
    int64_t reset_ms;         /* until the bucket is full again; -1: not said */
};

struct rate_head {
    struct rate_window requests, tokens;
    int64_t retry_after_ms; /* -1: not said */
};

/* Value of a header by its lower-case name, or NULL. */
typedef const char *ratehead_get(const void *arg, const char *name);

void ratehead_none(struct rate_head *out);
void ratehead_read(ratehead_get *get, const void *arg, struct rate_head *out);

/* A Go duration or a plain number of seconds, in milliseconds, rounded up; -1 if it is neither, or negative. */
int64_t ratehead_duration_ms(const char *text);

#endif
