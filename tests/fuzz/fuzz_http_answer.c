/*
 * fuzz_http_answer.c - header lines as a server may send them, and networks as a configuration may spell them
 *
 * Lines go to the collector one by one as libcurl hands them over; what it keeps must be names and values of the input,
 * within its limits.
 */
#include "base/addr.h"
#include "http/http_int.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lines(const char *at, size_t size)
{
    static struct http_engine engine = {.timer_fd = -1, .running = true};
    struct http_call *c = talloc_zero(NULL, struct http_call);
    struct http_response r = {0};

    c->engine = &engine;
    c->easy = curl_easy_init();
    c->q.max_response = 1000;
    c->answer = talloc_zero(c, struct http_answer);
    while (size > 0 && c->stop == HTTP_STOP_NONE) {
        const char *end = memchr(at, '\n', size);
        size_t n = end != NULL ? (size_t)(end - at) + 1 : size;

        http_answer_line(c, at, n);
        at += n;
        size -= n;
    }
    r.headers = c->answer->headers;
    r.n_headers = c->answer->n_headers;
    assert(r.n_headers <= 501);
    for (int i = 0; i < r.n_headers; i++) {
        assert(r.headers[i].name[0] != '\0' || r.headers[i].value != NULL);
        assert(http_response_header(&r, r.headers[i].name) != NULL);
    }
    curl_easy_cleanup(c->easy);
    talloc_free(c);
}

static void check_networks(const char *text)
{
    struct addr_list *l = addr_list_parse(NULL, text);
    struct sockaddr_storage a;
    char shown[64];

    if (addr_parse(text, &a)) {
        struct sockaddr_storage again;

        addr_text((struct sockaddr *)&a, shown, sizeof shown);
        assert(addr_parse(shown, &again));
        assert(addr_is_public((struct sockaddr *)&a) == addr_is_public((struct sockaddr *)&again));
        if (l != NULL)
            assert(addr_list_has(l, (struct sockaddr *)&a));
    }
    talloc_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    memcpy(text, data, size);
    text[size] = '\0';
    check_lines(text, size);
    check_networks(text);
    free(text);
    return 0;
}
