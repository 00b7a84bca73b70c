/* fuzz_provider_webhook.c - any bytes as a webhook: an event with a job, a result, or a refusal; never proven */
#include "provider/webhook.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *same_for_all(const void *arg, const char *name)
{
    (void)name;
    return arg;
}

static const char *time_is_right(const void *arg, const char *name)
{
    return strstr(name, "timestamp") != NULL ? "1000" : strstr(name, "-id") != NULL ? "m1" : arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const secrets[] = {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", NULL};
    char *body = malloc(n + 1), id[WEBHOOK_EVENT_ID];
    struct webhook w;
    struct error e;

    memcpy(body, data, n);
    body[n] = '\0';
    if (webhook_read(body, n, &w, &e) == 0) {
        if (w.kind == WEBHOOK_EVENT ? !llamaparse_is_id(w.job_id) : w.job_id[0] != '\0')
            abort();
    } else if (strcmp(e.reason, "bad_request") != 0) {
        abort();
    }
    if (webhook_verify_standard(secrets, same_for_all, body, body, n, 1000, 300, id, &e) == 0 ||
        webhook_verify_standard(secrets, time_is_right, body, body, n, 1000, 300, id, &e) == 0 ||
        webhook_verify_lc(secrets, same_for_all, body, body, n, &e) == 0)
        abort();
    free(body);
    return 0;
}
