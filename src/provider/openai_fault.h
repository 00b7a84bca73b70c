/*
 * openai_fault.h - what an error of an embeddings server means
 *
 * One table; the first row that fits wins. It fits when the status is in its range, and the error's type or code is its
 * word (if it has one), and its phrase is in the message (if it has one). A group's rows with a word or a phrase come
 * before the bare status that they refine.
 *
 * Pure.
 */
#ifndef PROVIDER_OPENAI_FAULT_H
#define PROVIDER_OPENAI_FAULT_H

#include "provider/verdict.h"

#include <stddef.h>
#include <stdio.h>

/* clang-format off */
/* X(lowest status, highest, type or code, phrase, act, reason, slow down) */
#define OPENAI_FAULTS(X)                                                                              \
    /* the account: nothing will succeed before a person acts */                                      \
    X(400, 599, "insufficient_quota", NULL, OPEN, provider_quota, false)                              \
    X(400, 599, "credit_balance_exhausted", NULL, OPEN, provider_quota, false)                        \
    X(400, 599, "organization_spend_limit_exceeded", NULL, OPEN, provider_quota, false)               \
    X(400, 599, "project_spend_limit_exceeded", NULL, OPEN, provider_quota, false)                    \
    X(400, 599, "organization_usage_limit_exceeded", NULL, OPEN, provider_quota, false)               \
    X(400, 599, "billing_hard_limit_reached", NULL, OPEN, provider_quota, false)                      \
    X(400, 599, "billing_not_active", NULL, OPEN, provider_quota, false)                              \
    X(400, 599, "invalid_api_key", NULL, OPEN, provider_denied, false)                                \
    X(400, 400, NULL, "API key not valid", OPEN, provider_denied, false)                              \
    X(402, 402, NULL, NULL, OPEN, provider_quota, false)                                              \
    X(401, 401, NULL, NULL, OPEN, provider_denied, false)                                             \
    X(403, 403, NULL, NULL, OPEN, provider_denied, false)                                             \
    /* too much in one request */                                                                     \
    X(400, 400, "max_tokens_per_request", NULL, SPLIT_TOKENS, embed_too_long, false)                  \
    X(400, 400, NULL, "tokens per request", SPLIT_TOKENS, embed_too_long, false)                      \
    X(400, 422, NULL, "maximum allowed batch size", SPLIT_ITEMS, embed_refused, false)                \
    X(400, 400, NULL, "array too long", SPLIT_ITEMS, embed_refused, false)                            \
    X(413, 413, NULL, NULL, SPLIT_ITEMS, embed_too_long, false)                                       \
    /* the configuration */                                                                           \
    X(400, 499, "model_not_found", NULL, CONFIG, provider_config, false)                              \
    X(400, 499, "DeploymentNotFound", NULL, CONFIG, provider_config, false)                           \
    X(400, 422, NULL, "specifying dimensions", CONFIG, provider_config, false)                        \
    X(400, 422, NULL, "matryoshka", CONFIG, provider_config, false)                                   \
    X(400, 400, NULL, "Pooling type", CONFIG, provider_config, false)                                 \
    X(404, 406, NULL, NULL, CONFIG, provider_config, false)                                           \
    X(415, 415, NULL, NULL, CONFIG, provider_config, false)                                           \
    X(501, 501, NULL, NULL, CONFIG, provider_config, false)                                           \
    X(300, 399, NULL, NULL, CONFIG, provider_config, false)                                           \
    /* a text */                                                                                      \
    X(400, 499, "context_length_exceeded", NULL, ITEM, embed_too_long, false)                         \
    X(400, 499, "exceed_context_size_error", NULL, ITEM, embed_too_long, false)                       \
    X(400, 500, NULL, "context length", ITEM, embed_too_long, false)                                  \
    X(400, 500, NULL, "too large to process", ITEM, embed_too_long, false)                            \
    X(400, 422, NULL, "must have less than", ITEM, embed_too_long, false)                             \
    X(500, 500, NULL, "unsupported value: NaN", ITEM, embed_bad_vector, false)                        \
    X(400, 400, NULL, NULL, ITEM, embed_refused, false)                                               \
    X(422, 422, NULL, NULL, ITEM, embed_refused, false)                                               \
    /* limits */                                                                                      \
    X(429, 429, "slow_down", NULL, WAIT, provider_limited, true)                                      \
    X(429, 429, NULL, NULL, WAIT, provider_limited, false)                                            \
    /* the service */                                                                                 \
    X(503, 503, "server_is_overloaded", NULL, RETRY, provider_failed, false)                          \
    X(408, 409, NULL, NULL, RETRY, provider_failed, false)                                            \
    X(424, 425, NULL, NULL, RETRY, provider_failed, false)                                            \
    X(500, 599, NULL, NULL, RETRY, provider_failed, false)                                            \
    X(0, 999, NULL, NULL, RETRY, embed_bad_answer, false)
/* clang-format on */

struct openai_fault_row {
    int lowest, highest;
    const char *word, *phrase;
    enum provider_act act;
    enum reason reason;
    bool slow_down;
};

/* An error's body, whatever its shape; "" for what it does not say. Not fit to be shown: redact() first. */
struct openai_error {
    char type[64], code[64], param[64];
    char message[2048];
};

void openai_error_read(const char *body, size_t len, struct openai_error *out);
const struct openai_fault_row *openai_fault_of(int status, const struct openai_error *err); /* never NULL */
const struct openai_fault_row *openai_fault_row(int i);                                     /* NULL after the last */
void openai_print_faults(FILE *f);
/* Which input the service names ("input[3]"), or -1. */
int openai_error_item(const struct openai_error *err);

#endif
