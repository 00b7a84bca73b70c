/*
 * rates.c - requests and tokens a minute, and the headers that tell of them
 *
 * Both are buckets that refill evenly; a refused request takes nothing from them. Without a limit the headers still
 * tell of one, as the service's do, and nothing is refused.
 *
 * Depends on common.
 */
#include "common/faults.h"
#include "openai/openai.h"

#include <stdio.h>

#define TOLD_REQUESTS 10000
#define TOLD_TOKENS   10000000

static void headers(struct openai *o, struct mock_request *q, struct mock_answer *a)
{
    char reset[48];

    if (!o->style.rate_headers)
        return;
    answer_header(q, a, "x-ratelimit-limit-requests", "%.0f", o->requests.capacity);
    answer_header(q, a, "x-ratelimit-remaining-requests", "%lld", (long long)o->requests.left);
    go_duration(bucket_full_ms(&o->requests), reset, sizeof reset);
    answer_header(q, a, "x-ratelimit-reset-requests", "%s", reset);
    answer_header(q, a, "x-ratelimit-limit-tokens", "%.0f", o->tokens.capacity);
    answer_header(q, a, "x-ratelimit-remaining-tokens", "%lld", (long long)o->tokens.left);
    go_duration(bucket_full_ms(&o->tokens), reset, sizeof reset);
    answer_header(q, a, "x-ratelimit-reset-tokens", "%s", reset);
}

static void retry_headers(struct openai *o, struct mock_request *q, struct mock_answer *a, int64_t wait_ms)
{
    if (!o->style.rate_headers || wait_ms < 0)
        return;
    answer_header(q, a, "Retry-After", "%lld", (long long)((wait_ms + 999) / 1000));
    if (o->style.shape == SHAPE_AZURE)
        answer_header(q, a, "retry-after-ms", "%lld", (long long)wait_ms);
}

static void refuse(struct openai *o, struct mock_request *q, struct mock_answer *a, bool by_tokens, int64_t wanted,
                   int64_t wait_ms)
{
    const struct bucket *b = by_tokens ? &o->tokens : &o->requests;
    char wait[48];

    go_duration(wait_ms, wait, sizeof wait);
    if (wait_ms < 0)
        openai_problem(o, q, a, P_RATE_TOKENS, NULL, NULL,
                       "Request too large on tokens per min (TPM): Limit %.0f, Requested %lld. The input must be "
                       "reduced in order to run successfully.",
                       b->capacity, (long long)wanted);
    else
        openai_problem(o, q, a, by_tokens ? P_RATE_TOKENS : P_RATE_REQUESTS, NULL, NULL,
                       "Rate limit reached on %s per min (%s): Limit %.0f, Used %.0f, Requested %lld. Please try again "
                       "in %s.",
                       by_tokens ? "tokens" : "requests", by_tokens ? "TPM" : "RPM", b->capacity, b->capacity - b->left,
                       (long long)wanted, wait);
    retry_headers(o, q, a, wait_ms);
    o->refused++;
}

static void renew(struct openai *o, const struct fault_limits *l, int64_t now_ms)
{
    if (o->limits_generation == l->generation + 1)
        return;
    o->limits_generation = l->generation + 1;
    bucket_init(&o->requests, l->requests_per_minute > 0 ? l->requests_per_minute : TOLD_REQUESTS, now_ms);
    bucket_init(&o->tokens, l->tokens_per_minute > 0 ? l->tokens_per_minute : TOLD_TOKENS, now_ms);
}

static void take(struct bucket *b, double n, bool limited)
{
    b->left -= n;
    if (!limited && b->left < 0)
        b->left = 0;
}

bool openai_rates(struct openai *o, struct mock_request *q, struct mock_answer *a, int64_t tokens)
{
    int64_t now = mock_now_ms(o->mock), wait_requests = 0, wait_tokens = 0;
    struct fault_limits l;
    bool passed;

    mock_lock(o->mock);
    l = fault_limits_of(mock_faults(o->mock));
    renew(o, &l, now);
    bucket_fill(&o->requests, now);
    bucket_fill(&o->tokens, now);
    if (l.requests_per_minute > 0)
        wait_requests = bucket_wait_ms(&o->requests, 1);
    if (l.tokens_per_minute > 0)
        wait_tokens = bucket_wait_ms(&o->tokens, (double)tokens);
    passed = wait_requests == 0 && wait_tokens == 0;
    if (passed) {
        take(&o->requests, 1, l.requests_per_minute > 0);
        take(&o->tokens, (double)tokens, l.tokens_per_minute > 0);
    } else if (wait_tokens < 0 || wait_tokens > wait_requests) {
        refuse(o, q, a, true, tokens, wait_tokens);
    } else {
        refuse(o, q, a, false, 1, wait_requests);
    }
    headers(o, q, a);
    mock_unlock(o->mock);
    return passed;
}
