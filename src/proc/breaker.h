/*
 * breaker.h - the circuit breaker of one outside service, shared by the workers of a node
 *
 * Shared words and pure logic: struct breaker lies in memory that all children of the node map (proc/services.h); the
 * time comes in, as CLOCK_MONOTONIC milliseconds. Nothing blocks, allocates or locks. Mode, cause, deadline and number
 * of tries are one 64-bit word that is changed by compare-and-swap; whoever is killed anywhere leaves it whole.
 *
 *   closed     everybody goes. Failures are counted in time slots; `failures` of them within `window_ms`, being at least
 *              `rate_percent` of all answers, open it
 *   open       nobody goes, for open_ms; that doubles with each failed probe up to open_cap_ms, with jitter. Quota, key
 *              and spending limit open it at once and for account_open_ms, however many answers were good
 *   half-open  one goes: the probe. It holds a lease; if it does not report within lease_ms, or its process is known to
 *              be dead, the next who asks is the probe. A good answer closes, a failure opens again
 *
 * Answers to requests that were sent before it opened change nothing any more, but that quota, key and spending limit
 * name the cause. An operator can hold it open; then nothing but an operator closes it.
 *
 * Depends on base.
 */
#ifndef PROC_BREAKER_H
#define PROC_BREAKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BREAKER_SLOTS 16 /* of a tenth of the window */

/* X(NAME, "name") */
#define BREAKER_MODES(X)                                                                                               \
    X(CLOSED, "closed")                                                                                                \
    X(OPEN, "open")                                                                                                    \
    X(HALF_OPEN, "half-open")

/* X(NAME, "reason", "why it is open, in words") */
#define BREAKER_CAUSES(X)                                                                                              \
    X(NONE, "", "")                                                                                                    \
    X(FAILURES, "failures", "too many requests failed")                                                                \
    X(QUOTA, "quota", "its quota is used up")                                                                          \
    X(KEY, "key", "it refuses the key")                                                                                \
    X(SPENDING, "spending_limit", "its spending limit is reached")                                                     \
    X(OPERATOR, "operator", "an operator holds it open")

/* What became of a request. X(NAME, what it means) */
#define BREAKER_OUTCOMES(X)                                                                                            \
    X(OK, "the service did its work, also if it refused this one document")                                            \
    X(FAILED, "no connection, a timeout, 5xx, or an answer that makes no sense")                                       \
    X(LIMITED, "429: it works, and wants fewer requests")                                                              \
    X(QUOTA, "the quota or the credit is used up")                                                                     \
    X(KEY, "the key is invalid, or may not do this")                                                                   \
    X(SPENDING, "a spending limit is reached")                                                                         \
    X(ABANDONED, "given up by us; it says nothing about the service")

/* What an operator can order. X(NAME, "word", help) */
#define BREAKER_ORDERS(X)                                                                                              \
    X(OPEN, "open", "send nothing until an operator says otherwise")                                                   \
    X(CLOSE, "close", "send again; it opens again by itself if requests fail")                                         \
    X(PROBE, "probe", "let one request try now, and close if it succeeds")

#define X_NAME(name, ...) BREAKER_##name,
enum breaker_mode { BREAKER_MODES(X_NAME) BREAKER_MODE_MAX_ };
#undef X_NAME
#define X_NAME(name, ...) BREAKER_CAUSE_##name,
enum breaker_cause { BREAKER_CAUSES(X_NAME) BREAKER_CAUSE_MAX_ };
#undef X_NAME
#define X_NAME(name, ...) OUTCOME_##name,
enum breaker_outcome { BREAKER_OUTCOMES(X_NAME) OUTCOME_MAX_ };
#undef X_NAME
#define X_NAME(name, ...) BREAKER_ORDER_##name,
enum breaker_order { BREAKER_ORDERS(X_NAME) BREAKER_ORDER_MAX_ };
#undef X_NAME

/* The shared words. All zero is a closed breaker. */
struct breaker {
    _Atomic uint64_t word;                 /* mode, held, cause, tries, until_ms: see breaker.c */
    _Atomic int64_t since_ms;              /* out of service since; 0: it is in service, or the time was lost */
    _Atomic int32_t prober;                /* process of the probe under way */
    _Atomic uint64_t slots[BREAKER_SLOTS]; /* slot number, failures, answers */
};

struct breaker_policy {
    int64_t failures, rate_percent, window_ms, open_ms, open_cap_ms;
    int64_t account_open_ms; /* for quota, key and spending limit: trying again helps nobody */
    int64_t lease_ms;        /* a probe that has not reported by then is given up */
};

enum breaker_answer { BREAKER_GO, BREAKER_PROBE, BREAKER_WAIT };

/* Handed in again with the outcome; all zero: an ordinary request. */
struct breaker_lease {
    uint64_t word;
};

/* May a request be sent now? On WAIT *wait_ms says when to ask again. After PROBE breaker_report is owed. */
enum breaker_answer breaker_ask(struct breaker *b, const struct breaker_policy *p, int64_t now_ms,
                                struct breaker_lease *lease, int64_t *wait_ms);
/* As breaker_ask, but takes no lease: BREAKER_PROBE means that one could be had. */
enum breaker_answer breaker_peek(const struct breaker *b, int64_t now_ms, int64_t *wait_ms);

enum breaker_change { BREAKER_UNCHANGED, BREAKER_OPENED, BREAKER_CLOSED_NOW };

/* BREAKER_OPENED and BREAKER_CLOSED_NOW are returned to exactly one caller for each such change. A probe that fails
 * leaves it open: unchanged. A cause that becomes another while it is open counts as opened. */
enum breaker_change breaker_report(struct breaker *b, const struct breaker_policy *p, const struct breaker_lease *lease,
                                   enum breaker_outcome outcome, int64_t now_ms);
enum breaker_change breaker_order(struct breaker *b, enum breaker_order order, int64_t now_ms);
/* The process is dead: if it was the probe, the next who asks takes its place. */
void breaker_forget(struct breaker *b, pid_t pid, int64_t now_ms);

/* Milliseconds since it went out of service; 0: it is in service. */
int64_t breaker_down_ms(struct breaker *b, int64_t now_ms);

/* For showing. Every member is within its bounds, whatever the words hold. */
struct breaker_view {
    enum breaker_mode mode;
    enum breaker_cause cause;
    bool held;                 /* by an operator */
    int tries;                 /* failed probes */
    int64_t wait_ms;           /* open: until the next probe may go; half-open: until the lease ends; -1: held */
    int64_t down_ms;           /* as breaker_down_ms */
    int64_t failures, answers; /* within the window */
};
void breaker_look(struct breaker *b, const struct breaker_policy *p, int64_t now_ms, struct breaker_view *out);

const char *breaker_mode_name(enum breaker_mode m);
const char *breaker_cause_name(enum breaker_cause c);  /* "quota" */
const char *breaker_cause_words(enum breaker_cause c); /* "its quota is used up" */
int breaker_order_parse(const char *word);             /* enum breaker_order, or -EINVAL */

#endif
