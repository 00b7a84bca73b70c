/*
 * fuzz_api_hook.c - any bytes as a callback, with and without a secret, with any text in its headers
 *
 * What is believed has a nonce that is plain text and names its job or none; with a secret nothing is believed.
 */
#include "api/hook.h"
#include "core/reason.h"

#include <stdlib.h>
#include <string.h>

#define TOKEN "0123456789abcdef0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct hook_in *in)
{
    struct hook_news news;
    struct error e = {0};

    if (hook_read(in, &news, &e) != 0) {
        if (reason_http(reason_parse(e.reason)) / 100 != 4)
            abort();
    } else {
        if (in->secrets[0] != NULL || news.nonce[0] == '\0' || strlen(news.nonce) >= sizeof news.nonce)
            abort();
        for (const char *c = news.nonce; *c != '\0'; c++)
            if (*c <= ' ' || *c > '~')
                abort();
        if (news.external_id[0] != '\0' && !llamaparse_is_id(news.external_id))
            abort();
    }
}

/* The first byte: how long the text of the headers is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hook_in in = {.token = TOKEN, .now = 1614265330};
    size_t head = size > 0 ? data[0] : 0;
    char *text, *body;

    head = size > 0 && head < size - 1 ? head : 0;
    text = strndup(size > 0 ? (const char *)data + 1 : "", head);
    in.len = size > 0 ? size - 1 - head : 0;
    body = malloc(in.len + 1);
    if (in.len > 0)
        memcpy(body, data + 1 + head, in.len);
    body[in.len] = '\0';
    in.body = body;
    check(&in);
    in.secrets[0] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for (int i = HOOK_LC; i < HOOK_HEADER_MAX_; i++)
        in.headers[i] = text;
    check(&in);
    in.headers[HOOK_LC] = NULL;
    in.headers[HOOK_TIMESTAMP] = "1614265330";
    check(&in);
    free(body);
    free(text);
    return 0;
}
