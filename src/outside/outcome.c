/* outcome.c - see outcome.h */
#include "outside/outcome.h"

#include <string.h>

enum breaker_outcome outside_outcome(const struct provider_verdict *v, const struct http_response *r)
{
    if (r->status == 0 && strcmp(r->error.reason, reason_name(REASON_cancelled)) == 0)
        return OUTCOME_ABANDONED;
    switch (v->act) {
    case PROVIDER_WAIT:
        return OUTCOME_LIMITED;
    case PROVIDER_RETRY:
        return v->use_float ? OUTCOME_OK : OUTCOME_FAILED;
    case PROVIDER_OPEN:
        return v->reason == REASON_provider_quota ? OUTCOME_QUOTA : OUTCOME_KEY;
    case PROVIDER_CONFIG:
        return OUTCOME_KEY;
    default:
        return OUTCOME_OK;
    }
}

static void fill_window(struct limit_answer *a, enum limit_bucket b, const struct rate_window *w)
{
    a->limit[b] = w->limit;
    a->remaining[b] = w->remaining;
    a->reset_ms[b] = w->reset_ms;
}

struct service_result outside_result(const struct provider_verdict *v, const struct http_response *r,
                                     const struct rate_head *head, int64_t tokens)
{
    struct service_result result = {.outcome = outside_outcome(v, r),
                                    .answer = LIMIT_ANSWER_SILENT,
                                    .reason = v->error.reason,
                                    .message = v->error.message};

    if (v->act != PROVIDER_OPEN) /* a quota's 429 says nothing of the pace */
        result.answer.status = r->status;
    fill_window(&result.answer, LIMIT_REQUESTS, &head->requests);
    fill_window(&result.answer, LIMIT_TOKENS, &head->tokens);
    result.answer.retry_after_ms = v->wait_ms >= 0 ? v->wait_ms : head->retry_after_ms;
    result.answer.tokens = tokens;
    return result;
}
