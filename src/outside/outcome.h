/*
 * outcome.h - what an outside service's answer means for the node's pace and circuit breaker
 *
 * Between provider (verdicts) and proc (services), which do not know each other; for every role that sends requests.
 *
 * Pure. Depends on base, core, http, provider, proc (their structs).
 */
#ifndef OUTSIDE_OUTCOME_H
#define OUTSIDE_OUTCOME_H

#include "http/http.h"
#include "proc/services.h"
#include "provider/ratehead.h"
#include "provider/verdict.h"

enum breaker_outcome outside_outcome(const struct provider_verdict *v, const struct http_response *r);
/* For services_done(). tokens: what the request took. Borrows the verdict's words. */
struct service_result outside_result(const struct provider_verdict *v, const struct http_response *r,
                                     const struct rate_head *head, int64_t tokens);

#endif
