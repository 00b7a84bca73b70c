/*
 * limit.h - how often the workers of a node may call one outside service
 *
 * Shared words and pure logic: struct limit lies in memory that all children of the node map (proc/services.h); the
 * time comes in, as CLOCK_MONOTONIC nanoseconds. Nothing blocks, allocates or locks. Each change is one atomic word, so
 * a process that is killed anywhere leaves nothing torn; it loses at most the slot that it had reserved.
 *
 * Requests and tokens are paced by the generic cell rate algorithm: one word each says when the next call is due. Who
 * asks reserves a time of his own, so that any number of waiters go one after the other, also after a pause that the
 * service ordered. There is no burst worth the name: in a steady pace every window of the service, wherever it
 * begins, holds what it allows, and LIMIT_USED_PERCENT leaves room for what the network shifts.
 *
 * How fast is the smallest of
 *   configured   for all nodes together, divided by the live nodes
 *   told         by the service's rate headers, for all nodes together, divided by the live nodes
 *   learned      by this node: a service that tells nothing is met with a quick start that doubles, and after a refusal
 *                (429) with a little less than what it accepted in the last minute, from where it is tried in steps of
 *                1, 2, 4, ... per cent, each over a hundred requests and a minute at least. Requests that fail for
 *                another reason have used the pace as well as those that are accepted
 *                What is configured or told is not given up for a bad moment: the first pause that is ordered by
 *                Retry-After leaves the pace as it is, and a refusal takes half of it at most.
 * A refusal pauses the node: as long as Retry-After says, or until the header's reset, or until the oldest of the last
 * minute's requests is a minute old.
 *
 * Depends on nothing.
 */
#ifndef PROC_LIMIT_H
#define PROC_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_USED_PERCENT 97.5                /* of what is allowed */
#define LIMIT_CREDIT_NS    INT64_C(250000000)  /* so much time may be made up for when nobody had reserved */
#define LIMIT_STALE_NS     INT64_C(1000000000) /* a reserved time is forfeit when its owner comes later than this */
#define LIMIT_MOST_HOLD_MS INT64_C(600000)
#define LIMIT_SLOTS        8 /* of 10 s: accepted requests, for what the last minute held */

enum limit_bucket { LIMIT_REQUESTS, LIMIT_TOKENS, LIMIT_BUCKETS };

/* The shared words. All zero is a good beginning. Rates are thousandths of a unit a minute. */
struct limit {
    _Atomic int64_t next_ns[LIMIT_BUCKETS]; /* when the next call is due */
    _Atomic int64_t told[LIMIT_BUCKETS];    /* by the service, for all nodes; 0: nothing */
    _Atomic int64_t hold_ns;                /* nobody goes before this */
    _Atomic int64_t learned;                /* requests, of this node; 0: nothing yet */
    _Atomic int64_t growth;                 /* 0: quick start, no refusal seen; n: the n-th step since the last one */
    _Atomic int64_t step_ns, step_used;     /* the present step: its beginning, its requests */
    _Atomic int64_t refused_ns, streak;     /* last refusal that changed anything; how many without an acceptance */
    _Atomic uint64_t accepted[LIMIT_SLOTS]; /* slot number << 32 | requests that were not refused */
    _Atomic uint64_t lots;                  /* for jitter */
};

/* What the caller knows from its configuration, and the number of live nodes. */
struct limit_policy {
    int64_t per_minute[LIMIT_BUCKETS]; /* 0: not configured */
    int64_t start_per_minute;          /* of the quick start, requests */
    int nodes;                         /* at least 1 */
};

/* One caller's reserved time. All zero: none. */
struct limit_ticket {
    int64_t at_ns;
    int64_t paid_ns[LIMIT_BUCKETS];
};

/* What one answer said; -1: nothing. All members but `status` are -1 in LIMIT_ANSWER_SILENT. */
struct limit_answer {
    int status; /* of HTTP; 0: there was no answer */
    int64_t limit[LIMIT_BUCKETS], remaining[LIMIT_BUCKETS], reset_ms[LIMIT_BUCKETS];
    int64_t retry_after_ms;
    int64_t tokens; /* that this request took, 0 where they do not count */
};
#define LIMIT_ANSWER_SILENT                                                                                            \
    {                                                                                                                  \
        .limit = {-1, -1}, .remaining = {-1, -1}, .reset_ms = {-1, -1}, .retry_after_ms = -1, .tokens = 0              \
    }

/* 0: go now. Otherwise nanoseconds to wait before asking again with the same ticket: until the own time if t->at_ns is
 * set, else (it would be more than max_wait_ns away, and nothing was reserved) until it is worth asking, with jitter. A
 * ticket is used up by going: make it all zero. */
int64_t limit_take(struct limit *l, const struct limit_policy *p, int64_t tokens, int64_t now_ns, int64_t max_wait_ns,
                   struct limit_ticket *t);
/* A ticket that was not used. */
void limit_give_back(struct limit *l, struct limit_ticket *t);
/* For each request that was sent. True if it was a refusal that began a pause. */
bool limit_learn(struct limit *l, const struct limit_policy *p, const struct limit_answer *a, int64_t now_ns);
/* Nobody goes before until_ns; afterwards one after the other. */
void limit_hold(struct limit *l, int64_t until_ns);

/* For showing: thousandths of a unit a minute that this node may use now, 0: no limit; not refused in the last minute. */
int64_t limit_rate(const struct limit *l, const struct limit_policy *p, enum limit_bucket b);
int64_t limit_accepted(const struct limit *l, int64_t now_ns);

#endif
