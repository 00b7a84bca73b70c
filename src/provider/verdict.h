/*
 * verdict.h - what an outside service's answer means for the work behind it
 *
 * The clients (openai, llamaparse) turn an answer or its absence into one verdict; who called acts on it. A message in
 * a verdict holds no key: services echo them, redact.h takes them out.
 *
 * Pure; depends on base, core.
 */
#ifndef PROVIDER_VERDICT_H
#define PROVIDER_VERDICT_H

#include "core/reason.h"

#include <stdbool.h>
#include <stdint.h>

/* X(ENUM, name, what to do, counts as a failure of the service for its breaker) */
#define PROVIDER_ACTS(X)                                                                                               \
    X(OK, "ok", "use the answer", false)                                                                               \
    X(PENDING, "pending", "not ready yet: ask again later", false)                                                     \
    X(ITEM, "item", "refused for good: end it; of several inputs find it by halving", false)                           \
    X(SPLIT_TOKENS, "split_tokens", "too many tokens in one request: halve it, send less from now on", false)          \
    X(SPLIT_ITEMS, "split_items", "too many inputs in one request: halve it, send fewer from now on", false)           \
    X(WAIT, "wait", "rate limited: wait, no attempt is lost", false)                                                   \
    X(RETRY, "retry", "the service failed: back off and send it again", true)                                          \
    X(NEW_JOB, "new_job", "the service's job came to nothing: submit again, an attempt is lost", false)                \
    X(OPEN, "open", "no request will succeed before a person acts: open the breaker, raise an error", true)            \
    X(CONFIG, "config", "the configuration does not fit the service: open the breaker, raise an error", true)

#define X_ACT(id, name, does, failure) PROVIDER_##id,
enum provider_act { PROVIDER_ACTS(X_ACT) PROVIDER_ACT_MAX_ };
#undef X_ACT

struct provider_verdict {
    enum provider_act act;
    enum reason reason; /* REASON_NONE with OK and PENDING */
    int64_t wait_ms;    /* what the service asks for; -1: it does not say */
    bool slow_down;     /* requests rise too fast: lower the rate, then raise it slowly */
    bool use_float;     /* the service does not know base64: ask for numbers from now on */
    bool unsure;        /* the request may have arrived: what it asked for may have been done */
    int item;           /* ITEM: which input the service names; -1: it does not say */
    struct error error; /* with a reason, a message and what to do about it; no secret in it */
};

const char *provider_act_name(enum provider_act act);
const char *provider_act_does(enum provider_act act);
bool provider_act_is_failure(enum provider_act act);

#endif
