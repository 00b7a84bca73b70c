/* fuzz_provider_ratehead.c - any bytes as headers: every number is in its range or not said */
#include "provider/ratehead.h"
#include "provider/redact.h"

#include "base/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *same_for_all(const void *arg, const char *name)
{
    (void)name;
    return arg;
}

static void check_wait(int64_t ms)
{
    if (ms < -1 || ms > RATEHEAD_MAX_WAIT_MS)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = malloc(n + 1), shown[64];
    struct rate_head h;

    memcpy(text, data, n);
    text[n] = '\0';
    ratehead_read(same_for_all, text, &h);
    check_wait(h.retry_after_ms);
    check_wait(h.requests.reset_ms);
    check_wait(ratehead_duration_ms(text));
    if (h.tokens.limit == 0 || h.tokens.limit < -1 || h.tokens.remaining < -1)
        abort();
    redact("secret key", text, n, shown, sizeof shown);
    if (!utf8_valid(shown, strlen(shown), NULL) || strstr(shown, "secret key") != NULL)
        abort();
    free(text);
    return 0;
}
