/* fuzz_provider_llamaparse.c - any bytes as an answer of LlamaParse: a verdict, and a text whose pages are right */
#include "provider/llamaparse.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_result(const struct llamaparse_answer *a)
{
    int breaks = 0, failed = 0;

    for (size_t i = 0; i < a->len; i++)
        breaks += a->text[i] == '\f';
    if (a->text[a->len] != '\0')
        abort();
    for (int i = 0; i < a->n_pages; i++) {
        failed += a->pages[i].error != NULL;
        if (a->pages[i].number < 1 || (i > 0 && a->pages[i].number < a->pages[i - 1].number))
            abort();
    }
    if (failed != a->n_failed || (a->n_pages > 0 && breaks != a->pages[a->n_pages - 1].number - 1))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct llamaparse_endpoint ep = {.api_key = "llx-the-key", .tier = "fast"};
    struct http_response r = {0};
    struct llamaparse_answer a;
    struct rate_head h;
    enum llamaparse_step step;
    void *ctx;
    char *body;

    if (n < 2)
        return 0;
    ep.api = data[0] & 1 ? LLAMAPARSE_V1 : LLAMAPARSE_V2;
    step = (enum llamaparse_step)((data[0] >> 1) % 3);
    r.status = data[1] < 128 ? 200 : 400 + data[1] - 128;
    r.len = n - 2;
    body = malloc(r.len + 1);
    memcpy(body, data + 2, r.len);
    body[r.len] = '\0';
    r.body = body;
    ctx = talloc_new(NULL);
    ratehead_none(&h);
    llamaparse_judge(ctx, &ep, step, &r, &h, &a);
    if (a.text != NULL)
        check_result(&a);
    else if (step == LLAMAPARSE_RESULT && a.verdict.act == PROVIDER_OK)
        abort();
    if (a.job_id[0] != '\0' && !llamaparse_is_id(a.job_id))
        abort();
    if ((a.verdict.act != PROVIDER_OK && a.verdict.act != PROVIDER_PENDING) != (a.verdict.reason != REASON_NONE) &&
        a.verdict.act != PROVIDER_PENDING)
        abort();
    if (strstr(a.verdict.error.message, "llx-the-key") != NULL || a.page_count < -1 || a.credits_milli < -1)
        abort();
    talloc_free(ctx);
    free(body);
    return 0;
}
