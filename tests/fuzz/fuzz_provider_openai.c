/*
 * fuzz_provider_openai.c - any bytes as an answer or an error of an embeddings server
 *
 * What is taken as good must be: vectors of length one, usage that is not negative. An answer that the reader takes is
 * JSON to jansson too, so that nothing slips through a laxer grammar.
 */
#include "provider/openai.h"
#include "provider/openai_fault.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define DIMENSION 4
#define TEXTS     3

static void check_good(const float *out, const uint8_t *bad, int n)
{
    for (int i = 0; i < n; i++) {
        double squares = 0;
        if (bad[i] > 1)
            abort();
        for (int k = 0; k < DIMENSION && bad[i] == 0; k++)
            squares += (double)out[i * DIMENSION + k] * (double)out[i * DIMENSION + k];
        if (bad[i] == 0 && !(fabs(sqrt(squares) - 1) <= 2e-3))
            abort();
    }
}

/* Invalid UTF-8, and numbers that jansson has no room for, are the two differences. */
static void check_json(const char *body, size_t n)
{
    json_error_t why;
    json_t *j = json_loadb(body, n, JSON_ALLOW_NUL, &why);
    enum json_error_code code = j == NULL ? json_error_code(&why) : json_error_unknown;

    if (j == NULL && code != json_error_invalid_utf8 && code != json_error_numeric_overflow &&
        strstr(why.text, "surrogate") == NULL && strstr(why.text, "Unicode") == NULL)
        abort();
    json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct openai_endpoint ep = {.base_url = "http://h", .model = "m", .dimension = DIMENSION};
    float out[TEXTS * DIMENSION];
    uint8_t bad[TEXTS];
    struct openai_outcome o;
    struct rate_head h;
    struct http_response r = {0};
    char *body;
    int texts;

    if (n < 2)
        return 0;
    ep.kind = (enum openai_kind)(data[0] % OPENAI_KIND_MAX_);
    texts = 1 + data[1] % TEXTS;
    r.status = data[1] < 128 ? 200 : 400 + data[1] - 128;
    r.len = n - 2;
    body = malloc(r.len + 1);
    memcpy(body, data + 2, r.len);
    body[r.len] = '\0';
    r.body = body;
    ratehead_none(&h);
    openai_judge(&ep, &r, &h, texts, out, bad, &o);
    if (r.status == 200 && (o.verdict.act == PROVIDER_OK || o.verdict.act == PROVIDER_ITEM)) {
        check_good(out, bad, texts);
        check_json(body, r.len);
    } else if (o.verdict.act == PROVIDER_OK || o.verdict.reason == REASON_NONE || o.n_bad != 0) {
        abort();
    }
    if (o.prompt_tokens < -1 || o.total_tokens < -1)
        abort();
    free(body);
    return 0;
}
