/* client.c - see client.h */
#include "client.h"
#include "base/clock.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

struct http_engine *engine;
void *mem;
static size_t kept_without_calls;

void client_open(const struct http_options *o)
{
    static const struct http_options loopback = {.allow_private = "127.0.0.0/8"};
    struct error e;

    signal(SIGPIPE, SIG_IGN);
    mem = talloc_new(NULL);
    engine = http_new(mem, o != NULL ? o : &loopback, &e);
    cr_assert_not_null(engine, "%s", e.message);
    kept_without_calls = talloc_total_blocks(engine);
}

size_t client_kept(void)
{
    return talloc_total_blocks(engine) - kept_without_calls;
}

void client_close(void)
{
    http_free(&engine);
    talloc_free(mem);
}

const char *url_of(const struct server *s, const char *path)
{
    static char texts[4][256];
    static int next;
    char *text = texts[next++ % 4];

    snprintf(text, sizeof texts[0], "%s://127.0.0.1:%d%s", s->tls ? "https" : "http", s->port, path);
    return text;
}

struct http_request get(const char *url)
{
    return (struct http_request){.method = "GET", .url = url, .body_fd = -1, .response_fd = -1, .total_ms = 15000};
}

struct http_request post(const char *url, const char *body)
{
    return (struct http_request){.method = "POST",
                                 .url = url,
                                 .body = body,
                                 .body_len = strlen(body),
                                 .body_fd = -1,
                                 .response_fd = -1,
                                 .total_ms = 15000};
}

struct http_response fetch(const struct http_request *q)
{
    struct http_response r;
    struct error e = {0};
    int rc = http_fetch(engine, mem, q, NULL, NULL, NULL, &r, &e);

    cr_assert_eq(rc == 0, r.status != 0, "%d %s", rc, e.message);
    cr_assert_eq(rc, r.error.code);
    return r;
}

static void handle_done(void *arg, const struct http_response *r)
{
    struct outcome *o = arg;

    o->times++;
    o->r = *r;
    o->memory = talloc_steal(mem, r->memory);
}

struct http_call *start(struct http_request *q, struct outcome *o)
{
    struct error e;
    struct http_call *c;

    q->done = handle_done;
    q->arg = o;
    c = http_start(engine, q, &e);
    cr_assert_not_null(c, "%s", e.message);
    return c;
}

void run_until(const struct outcome *o, int n)
{
    int64_t until = clock_ms() + SERVER_PATIENCE_MS;
    struct error e;

    while (o->times < n) {
        int rc = http_wait(engine, NULL, 0, 1000, &e);
        cr_assert_geq(rc, 0, "%s", e.message);
        cr_assert_lt(clock_ms(), until, "the request does not end");
    }
}
