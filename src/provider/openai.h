/*
 * openai.h - embeddings from OpenAI and from servers that speak its language: requests out, answers in
 *
 * openai_request() fills a struct http_request; openai_judge() turns its response into a verdict and, when there are
 * vectors, puts them into the caller's array by their index. What each kind of server can do is one table
 * (openai_kinds.h), what each error means another (openai_fault.h).
 *
 * An answer is believed only as a whole: as many vectors as texts, each index once, the model that was asked for.
 * Otherwise the reason is embed_bad_answer and nothing of it is used. Then each vector by itself: right dimension,
 * finite, not zero, length one. One that fails is marked, the others stand, so that nothing is paid for twice; when all
 * of several fail, or the only one has another dimension, the answer is bad.
 *
 * No socket, no clock, no configuration: everything comes in.
 *
 * Depends on base, core, http (its structs).
 */
#ifndef PROVIDER_OPENAI_H
#define PROVIDER_OPENAI_H

#include "http/http.h"
#include "provider/embedder.h"
#include "provider/openai_kinds.h"
#include "provider/ratehead.h"
#include "provider/verdict.h"

/* When to send `dimensions`: if the model is known to be one that can be shortened and is to be; always; never. */
enum openai_shorten { OPENAI_SHORTEN_AUTO, OPENAI_SHORTEN_ALWAYS, OPENAI_SHORTEN_NEVER };

/* Filled by the caller from its configuration; strings are borrowed. */
struct openai_endpoint {
    enum openai_kind kind;
    const char *base_url;               /* https://api.openai.com/v1 */
    const char *api_key;                /* NULL: none */
    const char *organization, *project; /* NULL: not sent */
    const char *api_version;            /* AZURE: the older path, with api-version; NULL: the v1 path */
    const char *model;                  /* AZURE: the deployment */
    int dimension;                      /* of every vector that comes back */
    enum openai_shorten shorten;
    bool want_float; /* no base64, whatever the table says: set after a verdict with use_float */
    bool allow_private;
};

struct openai_outcome {
    struct provider_verdict verdict;     /* OK: all vectors are there; ITEM with n_bad > 0: all but the marked ones */
    int n_bad;                           /* vectors that came and cannot be used; the error tells of the first */
    int64_t prompt_tokens, total_tokens; /* -1: not said */
};

/* Whether requests can be made of it: reason bad_config. */
int openai_check(const struct openai_endpoint *ep, struct error *e) MUST_CHECK;
/* The model's own dimension if docmill knows the model, else 0. */
int openai_native_dimension(const char *model);

/* Fills *q but for deadlines, done and arg; what it points to belongs to ctx or to ep. embed_refused for a text that is
 * empty or no UTF-8 (*bad_item says which, and may be NULL), bad_config, internal. */
int openai_request(const void *ctx, const struct openai_endpoint *ep, const struct embed_input *in, int n,
                   struct http_request *q, int *bad_item, struct error *e) MUST_CHECK;

/* out: n * dimension floats. item_bad: n bytes, 1 where a vector came and cannot be used. Both hold nothing of use but
 * with OK, or with ITEM and n_bad > 0. The body is NUL-terminated, as http.h promises. */
void openai_judge(const struct openai_endpoint *ep, const struct http_response *r, const struct rate_head *h, int n,
                  float *out, uint8_t *item_bad, struct openai_outcome *o);

/* The reading of a 2xx body by itself: 0, or a code with reason embed_bad_answer. */
int openai_read(const struct openai_endpoint *ep, const char *body, size_t len, int n, float *out, uint8_t *item_bad,
                struct openai_outcome *o, struct error *e) MUST_CHECK;

#endif
