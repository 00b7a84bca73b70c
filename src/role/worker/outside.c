/*
 * outside.c - documents that wait for an outside service
 *
 * Owns the HTTP engine. Nothing here waits but outside_wait(), which also hears the master. A request goes when the
 * node's pace and circuit breaker (proc/services.h) let it; a service that fails is asked again with backoff until its
 * breaker opens, and then the documents that need it wait behind a gate in the database, so that they hold up nobody.
 *
 * Logs: a service that went out of service or came back, once for each change. Depends on base, core, http, proc,
 * provider, queue.
 */
#include "worker/outside.h"
#include "worker/parse_remote.h"

#include "base/clock.h"
#include "base/log.h"
#include "outside/outcome.h"
#include "provider/embedder.h"

#include <poll.h>
#include <string.h>
#include <talloc.h>

#define LONGEST_PACE_MS (10 * 60 * 1000) /* a request whose turn is further away asks again */
#define RETRY_FIRST_MS  200
#define RETRY_CAP_MS    5000
#define SLICE_MS        100

int outside_open(struct worker *w, struct error *e)
{
    bool embeds = embedder_outside(w->conf), parses = parse_remote_wanted(w->conf);
    struct http_options options = {.user_agent = "docmill/" DOCMILL_VERSION};
    struct outside *o;

    if (!embeds && !parses)
        return 0;
    o = talloc_zero(w, struct outside);
    o->w = w;
    http_options_of(w->conf, &options);
    o->http = http_new(NULL, &options, e);
    if (o->http == NULL)
        return e->code;
    w->outside = o;
    if (paid_open(&o->paid, w, e) != 0)
        return e->code;
    if (embeds && (o->embed = embed_remote_new(o, e)) == NULL)
        return e->code;
    if (parses && (o->parse = parse_remote_new(o, e)) == NULL)
        return e->code;
    return 0;
}

void outside_close(struct worker *w)
{
    if (w->outside == NULL)
        return;
    embed_remote_free(&w->outside->embed);
    parse_remote_free(&w->outside->parse);
    http_free(&w->outside->http);
    TALLOC_FREE(w->outside);
}

bool outside_busy(const struct worker *w)
{
    const struct outside *o = w->outside;

    return o != NULL &&
           ((o->embed != NULL && embed_remote_busy(o->embed)) || (o->parse != NULL && parse_remote_busy(o->parse)));
}

bool outside_room(const struct worker *w, bool to_fill)
{
    const struct outside *o = w->outside;

    return o == NULL || ((o->embed == NULL || embed_remote_room(o->embed, to_fill)) &&
                         (o->parse == NULL || parse_remote_room(o->parse)));
}

static int64_t next_ms(const struct outside *o)
{
    int64_t embed = o->embed != NULL ? embed_remote_next_ms(o->embed) : INT64_MAX;
    int64_t parse = o->parse != NULL ? parse_remote_next_ms(o->parse) : INT64_MAX;

    return embed < parse ? embed : parse;
}

int64_t outside_give_up_ms(const struct worker *w)
{
    int64_t now = clock_ms();

    if (w->draining)
        return w->drain_until_ms > now ? w->drain_until_ms : now;
    return now + w->conf->queue_stage_deadline / 5 * 2;
}

int outside_wait(struct worker *w, int64_t ms, struct error *e)
{
    struct outside *o = w->outside;
    int64_t until = clock_ms() + ms;

    while (!w->woken) {
        int64_t next = next_ms(o), left;
        struct http_fd channel = {.fd = w->child.channel, .events = POLLIN};
        int rc;
        left = (next < until ? next : until) - clock_ms();
        rc = http_wait(o->http, &channel, 1, left < 0 ? 0 : left > SLICE_MS ? SLICE_MS : (int)left, e);
        if (rc < 0)
            return rc;
        worker_tick(w);
        if (rc > 0 || left <= 0 || worker_leaving(w))
            return 0;
    }
    return 0;
}

void outside_tick(struct worker *w)
{
    struct error ignored;

    /* A broken engine shows itself at the next wait. */
    if (w->outside == NULL || http_run(w->outside->http, &ignored) < 0)
        return;
    if (w->outside->embed != NULL)
        embed_remote_send(w->outside->embed);
    if (w->outside->parse != NULL)
        parse_remote_send(w->outside->parse);
}

int outside_collect(struct worker *w, struct error *e)
{
    int moved = 0, rc;

    if (w->outside == NULL)
        return 0;
    if (w->outside->parse != NULL && (moved = parse_remote_collect(w->outside->parse, e)) < 0)
        return moved;
    for (int i = 0; i < w->n_hands; i++) {
        if ((rc = pipeline_resume(w, w->hands[i], e)) < 0)
            return rc;
        moved += rc;
    }
    rc = w->outside->embed != NULL ? embed_remote_collect(w->outside->embed, e) : 0;
    return rc < 0 ? rc : moved + rc;
}

void outside_drop(struct worker *w)
{
    struct outside *o = w->outside;
    struct error e;

    if (o == NULL)
        return;
    if (o->embed != NULL) {
        embed_remote_free(&o->embed);
        o->embed = embed_remote_new(o, &e);
    }
    if (o->parse != NULL) {
        parse_remote_free(&o->parse);
        o->parse = parse_remote_new(o, &e);
    }
}

/* ---- a request's permission and answer ---- */

enum outside_turn outside_ask(struct outside *o, struct outside_call *call, enum service service, int64_t tokens)
{
    int64_t now = clock_ms(), wait;

    if (call->not_before_ms > now)
        return OUTSIDE_LATER;
    wait = services_ask(o->w->child.services, &call->permit, service, tokens, LONGEST_PACE_MS, now);
    if (wait == 0)
        return OUTSIDE_GO;
    if (call->permit.breaker && !call->permit.reserved)
        return OUTSIDE_CLOSED; /* an operator may close it long before `wait`: who asks again asks by the gate */
    call->not_before_ms = now + wait;
    return OUTSIDE_LATER;
}

static void log_change(enum service service, enum breaker_change change, const struct provider_verdict *v)
{
    if (change == BREAKER_OPENED)
        log_warn("worker", "an outside service is out of service", "service", service_name(service), "reason",
                 v->error.reason, "error", v->error.message, NULL);
    else if (change == BREAKER_CLOSED_NOW)
        log_info("worker", "an outside service is back", "service", service_name(service), NULL);
}

void outside_answered(struct outside *o, struct outside_call *call, const struct http_response *r,
                      const struct provider_verdict *v, const struct rate_head *head, int64_t tokens)
{
    struct service_result result = outside_result(v, r, head, tokens);
    enum service service = call->permit.service;
    enum breaker_change change;

    change = services_done(o->w->child.services, &call->permit, &result, clock_ms());
    if (v->reason != REASON_NONE)
        score_fault(o->w->child.score, (int)v->reason);
    log_change(service, change, v);
    memset(&call->permit, 0, sizeof call->permit);
    call->http = NULL;
    call->not_before_ms = 0;
    if (v->act == PROVIDER_RETRY && !v->use_float) {
        call->not_before_ms =
            clock_ms() + (v->wait_ms > 0 ? v->wait_ms : backoff_ms(RETRY_FIRST_MS, RETRY_CAP_MS, call->tries));
        call->tries++;
    }
}

void outside_give_up(struct outside *o, struct outside_call *call)
{
    if (call->http != NULL) {
        http_cancel(call->http);
        return;
    }
    services_drop(o->w->child.services, &call->permit, clock_ms());
    memset(&call->permit, 0, sizeof call->permit);
}

void outside_abandoned(struct outside *o, struct outside_call *call)
{
    struct service_result result = {.outcome = OUTCOME_ABANDONED, .answer = LIMIT_ANSWER_SILENT};

    (void)services_done(o->w->child.services, &call->permit, &result, clock_ms());
}
