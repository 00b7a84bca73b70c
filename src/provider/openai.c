/*
 * openai.c - the verdict on an answer of an embeddings server
 *
 * Depends on base, core, http (its structs).
 */
#include "provider/openai.h"
#include "provider/openai_fault.h"
#include "provider/redact.h"

#include <errno.h>
#include <string.h>

/* No answer at all. What was refused before anything was sent is the configuration's fault; the rest may pass. */
static void judge_silence(const struct http_response *r, struct provider_verdict *v)
{
    bool refused = strcmp(r->error.reason, "http_refused") == 0;

    v->act = refused ? PROVIDER_CONFIG : PROVIDER_RETRY;
    v->reason = refused ? REASON_provider_config : REASON_provider_failed;
    v->unsure = r->sent;
    reason_error(&v->error, v->reason, r->error.code == 0 ? EIO : r->error.code, "The embedding service: %.300s",
                 r->error.message);
}

/* How long a limit lasts when the answer does not say to wait: until the bucket that is empty is full again. */
static int64_t refill_ms(const struct rate_head *h)
{
    int64_t ms = -1;

    if (h->requests.remaining == 0)
        ms = h->requests.reset_ms;
    if (h->tokens.remaining == 0 && h->tokens.reset_ms > ms)
        ms = h->tokens.reset_ms;
    return ms;
}

/* A server that does not know base64 says so by the parameter's name. */
static bool refuses_base64(const struct openai_endpoint *ep, int status, const struct openai_error *err)
{
    return (status == 400 || status == 422) && openai_capabilities(ep->kind)->base64 && !ep->want_float &&
           (strcmp(err->param, "encoding_format") == 0 || strstr(err->message, "encoding_format") != NULL);
}

static void judge_error(const struct openai_endpoint *ep, const struct http_response *r, const struct rate_head *h,
                        struct provider_verdict *v)
{
    struct openai_error err;
    const struct openai_fault_row *row;
    char said[REDACT_SHOWN + 1], code[48];

    openai_error_read(r->body, r->len, &err);
    row = openai_fault_of(r->status, &err);
    v->act = row->act;
    v->reason = row->reason;
    v->slow_down = row->slow_down;
    v->wait_ms = h->retry_after_ms;
    if (v->act == PROVIDER_ITEM && (strcmp(err.param, "dimensions") == 0 || strcmp(err.param, "model") == 0 ||
                                    strcmp(err.param, "encoding_format") == 0)) {
        v->act = PROVIDER_CONFIG;
        v->reason = REASON_provider_config;
    }
    if (v->act == PROVIDER_WAIT && v->wait_ms < 0)
        v->wait_ms = refill_ms(h);
    if (v->act == PROVIDER_ITEM)
        v->item = openai_error_item(&err);
    if (refuses_base64(ep, r->status, &err)) {
        v->act = PROVIDER_RETRY;
        v->use_float = true;
    }
    redact(ep->api_key, err.message, strlen(err.message), said, sizeof said);
    if (said[0] != '\0' && said[strlen(said) - 1] == '.')
        said[strlen(said) - 1] = '\0';
    redact(ep->api_key, err.code[0] == '\0' ? err.type : err.code, strlen(err.code[0] == '\0' ? err.type : err.code),
           code, sizeof code);
    reason_error(&v->error, v->reason, EPROTO, "%s Status %d%s%s%s%s.", reason_sentence(v->reason), r->status,
                 code[0] == '\0' ? "" : " ", code, said[0] == '\0' ? "" : ": ", said);
    if (v->act == PROVIDER_OPEN || v->act == PROVIDER_CONFIG)
        error_hint(&v->error, "Work that needs it waits; put it right, then `docmillctl breakers probe`.");
}

void openai_judge(const struct openai_endpoint *ep, const struct http_response *r, const struct rate_head *h, int n,
                  float *out, uint8_t *item_bad, struct openai_outcome *o)
{
    struct provider_verdict *v = &o->verdict;
    struct error e = {0};

    if (r->status >= 200 && r->status <= 299) {
        if (openai_read(ep, r->body == NULL ? "" : r->body, r->body == NULL ? 0 : r->len, n, out, item_bad, o, &e) < 0)
            *v = (struct provider_verdict){
                .act = PROVIDER_RETRY, .reason = REASON_embed_bad_answer, .wait_ms = -1, .item = -1, .error = e};
        else if (o->n_bad > 0) {
            v->act = PROVIDER_ITEM;
            v->reason = REASON_embed_bad_vector;
        }
        return;
    }
    memset(item_bad, 0, (size_t)n);
    *o = (struct openai_outcome){.prompt_tokens = -1, .total_tokens = -1, .verdict = {.wait_ms = -1, .item = -1}};
    if (r->status == 0)
        judge_silence(r, v);
    else
        judge_error(ep, r, h, v);
}
