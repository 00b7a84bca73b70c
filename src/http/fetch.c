/*
 * fetch.c - one request from start to end, for those who have nothing else to do
 *
 * Waits in slices, so that the caller's tick (heartbeat, progress) and its wish to stop are heard.
 *
 * Depends on http.h, core/reason.h, talloc.
 */
#include "core/reason.h"
#include "http/http_int.h"

#include <errno.h>
#include <talloc.h>

#define SLICE_MS 100

struct fetch {
    const void *ctx;
    struct http_response *r;
    bool done;
};

static void handle_done(void *arg, const struct http_response *r)
{
    struct fetch *f = arg;

    *f->r = *r;
    talloc_steal(f->ctx, r->memory);
    f->done = true;
}

int http_fetch(struct http_engine *h, const void *ctx, const struct http_request *q, void (*tick)(void *arg),
               bool (*cancelled)(void *arg), void *arg, struct http_response *r, struct error *e)
{
    struct fetch f = {.ctx = ctx, .r = r};
    struct http_request own = *q;
    struct http_call *c;
    int rc = 0;

    *r = (struct http_response){0};
    own.done = handle_done;
    own.arg = &f;
    c = http_start(h, &own, &r->error);
    while (c != NULL && !f.done && rc >= 0) {
        rc = http_wait(h, NULL, 0, SLICE_MS, &r->error);
        if (tick != NULL)
            tick(arg);
        if (!f.done && cancelled != NULL && cancelled(arg))
            http_cancel(c);
    }
    if (rc < 0 && !f.done) {
        http_forget(c);
        r->status = 0;
    }
    if (r->status == 0 && e != NULL)
        *e = r->error;
    return r->status != 0 ? 0 : r->error.code;
}
