/*
 * services.h - what the children of a node share: pace and circuit breaker of outside services, last errors, pauses
 *
 * A memfd made by the master and mapped writable by it and by every child; sealed against resizing. Nothing in it is
 * ever locked or half written: each change is one atomic word (limit.h, breaker.h, error_ring.h), and a child that is
 * killed loses at most the time it had reserved. The master reads it and believes nothing: whatever the words hold,
 * every answer is within its bounds.
 *
 * For a worker, each request to a service goes so; no call blocks, allocates or waits:
 *
 *     struct service_permit permit = {0};                          one for each request, also for a repeated one
 *     wait = services_ask(s, &permit, SERVICE_EMBEDDER, tokens, max_wait_ms, clock_ms());
 *     wait > 0   not now. Ask again with the same permit after `wait` milliseconds.
 *                permit.reserved: a time of its own is kept for it, at most max_wait_ms away: it should come back.
 *                else: the service is out of service (permit.breaker) or the next free time is further away than
 *                max_wait_ms; nothing is kept, and the job may as well go back to the queue for that long. That costs
 *                it no attempt.
 *     wait == 0  send it now. Then, whatever becomes of it, exactly once
 *                    change = services_done(s, &permit, &result, clock_ms());
 *     given up before it was sent:  services_drop(s, &permit)      also for a permit that was never asked with
 *
 * A request that says "now" and is the breaker's probe (permit.lease.word != 0) has a deadline: it should be answered
 * within the lease, breaker.h, or another request takes its place. services_done tells one caller of each change:
 *     BREAKER_OPENED       the service went out of service; the error has been raised; the caller may log it
 *     BREAKER_CLOSED_NOW   it is back: the caller wakes those whose jobs wait (CHANNEL_WAKE)
 *
 * Outcomes (breaker.h): a 4xx for one document is OUTCOME_OK, since the service works; 429 is OUTCOME_LIMITED unless its
 * code says quota; 401 and 403 are OUTCOME_KEY; 402 and insufficient_quota OUTCOME_QUOTA; a request that we cancelled
 * OUTCOME_ABANDONED. The numbers of the rate headers go in as they are, result.answer (limit.h).
 *
 * Fair between nodes: what is configured and told for all nodes is divided by the number of live ones, which the
 * coordinator counts with every heartbeat (services_set_nodes). A node that joins others holds still for one heartbeat,
 * by which time they have made room; a dead one's share comes free after node.grace. A node without work leaves its
 * share unused.
 *
 * Readiness does not look here: a node whose services are away is ready, takes uploads, and works on every document
 * that does not need them.
 *
 * Diagnostics (as struct error): os_error. Depends on base, core.
 */
#ifndef PROC_SERVICES_H
#define PROC_SERVICES_H

#include "base/error.h"
#include "core/conf.h"
#include "core/pause.h"
#include "proc/breaker.h"
#include "proc/error_ring.h"
#include "proc/limit.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* X(NAME, "name", what, requests a minute, tokens a minute, requests a minute of the quick start, probe's lease in ms);
 * `c` is the configuration. */
#define SERVICES(X)                                                                                                    \
    X(LLAMAPARSE, "llamaparse", "LlamaParse", c->llamaparse_requests_per_minute, 0, 600, 60000)                        \
    X(EMBEDDER, "embedder", "embeddings service", c->openai_requests_per_minute, c->openai_tokens_per_minute, 1200,    \
      c->openai_timeout + 5000)

#define X_SERVICE(name, ...) SERVICE_##name,
enum service { SERVICES(X_SERVICE) SERVICE_MAX_ };
#undef X_SERVICE

const char *service_name(enum service v);  /* "llamaparse" */
const char *service_title(enum service v); /* "LlamaParse", for sentences */
int service_parse(const char *name);       /* enum service, or -EINVAL */

struct services;

/* Master: makes it. Child: maps the inherited descriptor. What it needs of conf is copied; with conf NULL nothing is
 * limited and the breakers have the defaults. NULL on error. */
struct services *services_create(const struct conf *conf, struct error *e) MUST_CHECK;
struct services *services_attach(int fd, const struct conf *conf, struct error *e) MUST_CHECK;
void services_apply(struct services *s, const struct conf *conf); /* the limits and thresholds of another one */
int services_fd(const struct services *s);
void services_free(struct services **s);

/* ---- requests ---- */

struct service_permit {
    enum service service;
    bool asked, granted, reserved, breaker;
    int64_t asked_ms; /* first asked for */
    struct limit_ticket ticket;
    struct breaker_lease lease;
};

struct service_result {
    enum breaker_outcome outcome;
    struct limit_answer answer; /* LIMIT_ANSWER_SILENT and the status, where there are no headers */
    const char *reason,
        *message; /* of a failure, for the error that is raised when it opens the breaker; may be NULL */
};

int64_t services_ask(struct services *s, struct service_permit *permit, enum service v, int64_t tokens,
                     int64_t max_wait_ms, int64_t now_ms);
enum breaker_change services_done(struct services *s, struct service_permit *permit, const struct service_result *r,
                                  int64_t now_ms);
void services_drop(struct services *s, struct service_permit *permit, int64_t now_ms);

/* Before a document's stage begins: milliseconds to wait while the breaker is open, 0 if a request might go. Takes
 * nothing. */
int64_t services_closed_for(const struct services *s, enum service v, int64_t now_ms);
/* How long it has been out of service, 0: it is in service (parser.fallback_after). */
int64_t services_down_ms(struct services *s, enum service v, int64_t now_ms);

/* ---- errors ---- */

void services_raise(struct services *s, const char *module, const char *reason, const char *message, int64_t now_ms);
bool services_error(const struct services *s, int i, struct error_seen *out); /* as error_ring_read */

/* ---- coordinator and master ---- */

/* Live nodes, this one included. settle_ms: how long a node that finds others holds still at its first count. */
void services_set_nodes(struct services *s, int nodes, int64_t settle_ms, int64_t now_ms);
int services_nodes(const struct services *s);
void services_child_died(struct services *s, pid_t pid, int64_t now_ms);
enum breaker_change services_order(struct services *s, enum service v, enum breaker_order order, int64_t now_ms);

/* Whether this node's configuration differs from the other nodes' where it must not: written by the coordinator, read by
 * workers before each claim. Outlives the coordinator. */
void services_set_differs(struct services *s, bool differs);
bool services_differs(const struct services *s);
/* What operators have paused (core/pause.h): written by the coordinator from the table, read by workers before each
 * claim, so that no message has to arrive first. since_ms by clock_ms() for each PAUSE_BIT of mask. */
void services_set_paused(struct services *s, uint32_t mask, const int64_t since_ms[PAUSE_MAX_]);
uint32_t services_paused(const struct services *s);
int64_t services_paused_since(const struct services *s, enum pause p);

struct service_view {
    struct breaker_view breaker;
    int64_t rate[LIMIT_BUCKETS]; /* thousandths of a unit a minute for this node; 0: no limit */
    int64_t accepted;            /* requests in the last minute */
    int64_t hold_ms;             /* pause that the service asked for */
    int64_t requests, failures, refused, waited, waited_ms;
};
void services_look(struct services *s, enum service v, int64_t now_ms, struct service_view *out);

#endif
