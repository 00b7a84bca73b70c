/*
 * gates.c - how many of the jobs that wait for an outside service may go on
 *
 * While a service's circuit breaker on this node is closed, all that there is room for; while it is open, none; when it
 * may be tried, one, whose request is the probe; when another parser takes its documents, all again. Each node judges by
 * its own breakers, and a job that is let out too early waits again, at no cost but the round trip.
 *
 * Tells the operator, once LlamaParse is back, what others parsed in its place.
 *
 * Depends on proc, queue.
 */
#include "coordinator/coordinator.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "core/state.h"
#include "provider/embedder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MOST_AT_ONCE  500
#define LEAST_WAIT_MS 50
#define KEEP_MS       (7 * 24 * 3600 * 1000LL) /* ended submissions and the log of callbacks */

/* LlamaParse has been away for so long that the local parsers take its documents. */
static bool falls_back(const struct coordinator *c, int64_t now_ms)
{
    return c->conf->parser_fallback_after > 0 && strstr(c->conf->parser_order, "local") != NULL &&
           services_down_ms(c->child.services, SERVICE_LLAMAPARSE, now_ms) >= c->conf->parser_fallback_after;
}

/* Whether it has just come back from such an absence. */
bool gates_recovered(struct coordinator *c)
{
    int64_t now = clock_ms();
    bool back = c->fell_back && services_down_ms(c->child.services, SERVICE_LLAMAPARSE, now) == 0;

    c->fell_back = falls_back(c, now) || (c->fell_back && !back);
    return back;
}

/* $1 the parser whose place others took */
const char gates_fallbacks_sql[] =
    "SELECT count(*), coalesce(string_agg(DISTINCT parsed_by, ', '), '') FROM documents\n"
    "WHERE parsed_instead_of = $1 AND live_generation IS NOT NULL";

void gates_fallbacks_params(struct coordinator *c, struct pg_params *p)
{
    (void)c;
    pg_add_text(p, service_name(SERVICE_LLAMAPARSE));
}

void gates_tell_fallbacks(struct coordinator *c, const PGresult *r)
{
    const char *name = service_name(SERVICE_LLAMAPARSE);
    int64_t n = pg_get_int(r, 0, 0);
    char text[240];

    if (n == 0)
        return;
    snprintf(text, sizeof text,
             "%s is back; %" PRId64 " document%s parsed by %s meanwhile: docmillctl reparse --fallback", name, n,
             n == 1 ? " was" : "s were", pg_get_text(r, 0, 1));
    log_warn("coordinator", text, "service", name, "documents", LOG_I(n), NULL);
    services_raise(c->child.services, "coordinator", reason_name(REASON_parsed_by_fallback), text, clock_ms());
}

static int32_t let_out(struct coordinator *c, enum service v)
{
    struct service_view view;
    int64_t now = clock_ms();

    if (v == SERVICE_LLAMAPARSE && falls_back(c, now))
        return MOST_AT_ONCE;

    services_look(c->child.services, v, now, &view);
    if (view.breaker.mode == BREAKER_CLOSED)
        return MOST_AT_ONCE;
    return services_closed_for(c->child.services, v, now) == 0 ? 1 : 0;
}

/* Without it there are no places to count: what waits for one is parsed here. */
static bool parses_outside(const struct coordinator *c)
{
    return strstr(c->conf->parser_order, service_name(SERVICE_LLAMAPARSE)) != NULL;
}

bool gates_used(const struct coordinator *c)
{
    return parses_outside(c) || embedder_outside(c->conf);
}

void gates_params(struct coordinator *c, struct pg_params *p)
{
    pg_add_text(p, service_name(SERVICE_LLAMAPARSE));
    pg_add_int4(p, parses_outside(c) && !falls_back(c, clock_ms()) ? (int32_t)c->conf->llamaparse_max_jobs : INT32_MAX);
    pg_add_int4(p, let_out(c, SERVICE_LLAMAPARSE));
    pg_add_int2(p, STATUS_EMBEDDING_IN_PROGRESS);
    pg_add_int4(p, let_out(c, SERVICE_EMBEDDER));
}

/* A breaker that may be tried before then is not kept waiting: what it holds up goes on the sooner. */
int64_t gates_wait_ms(const struct coordinator *c, int64_t most_ms)
{
    int64_t now = clock_ms(), wait = most_ms;

    for (int v = 0; v < SERVICE_MAX_; v++) {
        int64_t closed = services_closed_for(c->child.services, (enum service)v, now);
        if (closed > 0 && closed < wait)
            wait = closed;
    }
    return wait < LEAST_WAIT_MS ? LEAST_WAIT_MS : wait;
}

void gates_tidy_params(struct coordinator *c, struct pg_params *p)
{
    (void)c;
    pg_add_int8(p, KEEP_MS);
}
