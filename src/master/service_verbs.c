/*
 * service_verbs.c - what the control socket answers about the outside services: breakers, breaker, errors
 *
 * From the shared words of proc/services.h, which are shown and not believed. The shapes are in proc/control.h.
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "proc/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool service_trouble(struct master *m, enum service v, char *out, size_t size)
{
    struct service_view s;
    int n;

    services_look(m->services, v, clock_ms(), &s);
    if (s.breaker.mode == BREAKER_CLOSED)
        return false;
    n = snprintf(out, size, "%s has been out of service for %lld s: %s", service_title(v),
                 (long long)s.breaker.down_ms / 1000, breaker_cause_words(s.breaker.cause));
    if (n < 0 || (size_t)n >= size)
        return true;
    if (s.breaker.held)
        snprintf(out + n, size - (size_t)n, "; docmillctl breakers probe %s ends that", service_name(v));
    else if (s.breaker.mode == BREAKER_HALF_OPEN)
        snprintf(out + n, size - (size_t)n, "; it is being tried");
    else if (s.breaker.wait_ms <= 0)
        snprintf(out + n, size - (size_t)n, "; the next request tries it");
    else
        snprintf(out + n, size - (size_t)n, "; it is tried again in %lld s",
                 (long long)(s.breaker.wait_ms + 999) / 1000);
    return true;
}

static void put_rate(struct pack *p, const char *key, int64_t thousandths)
{
    pack_str(p, key);
    if (thousandths > 0)
        pack_double(p, (double)thousandths / 1000);
    else
        pack_nil(p);
}

static void put_breaker(struct pack *p, const struct breaker_view *b)
{
    bool open = b->mode != BREAKER_CLOSED;

    pack_put_str(p, "state", breaker_mode_name(b->mode));
    pack_put_bool(p, "held", b->held);
    pack_put_str(p, "cause", open ? breaker_cause_name(b->cause) : NULL);
    pack_put_str(p, "why", open ? breaker_cause_words(b->cause) : NULL);
    pack_put_int(p, "down_ms", b->down_ms);
    pack_str(p, "probe_in_ms");
    if (b->mode == BREAKER_OPEN && !b->held)
        pack_int(p, b->wait_ms);
    else
        pack_nil(p);
    pack_put_int(p, "failed_probes", b->tries);
    pack_put_int(p, "window_requests", b->answers);
    pack_put_int(p, "window_failures", b->failures);
}

/* Its members, into the map that is open. */
static void put_service(struct pack *p, struct master *m, enum service v, int64_t now)
{
    struct service_view s;

    services_look(m->services, v, now, &s);
    pack_put_str(p, "service", service_name(v));
    put_breaker(p, &s.breaker);
    put_rate(p, "requests_per_minute", s.rate[LIMIT_REQUESTS]);
    put_rate(p, "tokens_per_minute", s.rate[LIMIT_TOKENS]);
    pack_put_int(p, "accepted_last_minute", s.accepted);
    pack_put_int(p, "pause_ms", s.hold_ms);
    pack_put_int(p, "requests", s.requests);
    pack_put_int(p, "failures", s.failures);
    pack_put_int(p, "refused", s.refused);
    pack_put_int(p, "waited", s.waited);
    pack_put_int(p, "waited_ms", s.waited_ms);
}

int verb_breakers(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    int64_t now = clock_ms();

    (void)r;
    (void)e;
    pack_put_int(p, "nodes", services_nodes(m->services));
    pack_str(p, "services");
    pack_array(p);
    for (int v = 0; v < SERVICE_MAX_; v++) {
        pack_map(p);
        put_service(p, m, (enum service)v, now);
        pack_end(p);
    }
    pack_end(p);
    return 0;
}

static void name_services(char *out, size_t size)
{
    size_t n = 0;

    out[0] = '\0';
    for (int v = 0; v < SERVICE_MAX_ && n < size; v++)
        n += (size_t)snprintf(out + n, size - n, "%s%s",
                              v == 0                 ? ""
                              : v + 1 < SERVICE_MAX_ ? ", "
                                                     : " or ",
                              service_name((enum service)v));
}

int verb_breaker(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    char name[32], order[16], known[160];
    int bad, v, o;

    bad = control_arg_text(r, "service", "", name, sizeof name, e);
    if (bad == 0)
        bad = control_arg_text(r, "order", "", order, sizeof order, e);
    if (bad != 0)
        return bad;
    v = service_parse(name);
    o = breaker_order_parse(order);
    name_services(known, sizeof known);
    if (v < 0)
        return reason_error(e, REASON_not_found, ENOENT, "There is no service \"%s\"; it may be %s.", name, known);
    if (o < 0)
        return reason_error(e, REASON_bad_request, EINVAL, "\"%s\" is no order; it may be open, close or probe.",
                            order);
    (void)services_order(m->services, (enum service)v, (enum breaker_order)o, clock_ms());
    log_warn("breaker", "an operator changed it", "service", name, "order", order, NULL);
    put_service(p, m, (enum service)v, clock_ms());
    return 0;
}

int verb_errors(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    int64_t now = clock_ms();

    (void)r;
    (void)e;
    pack_str(p, "errors");
    pack_array(p);
    for (int i = 0; i < ERROR_RING_ENTRIES; i++) {
        struct error_seen s;

        if (!services_error(m->services, i, &s))
            continue;
        pack_map(p);
        pack_put_int(p, "ago_ms", s.last_ms > 0 && s.last_ms <= now ? now - s.last_ms : 0);
        pack_put_int(p, "first_ago_ms", s.first_ms > 0 && s.first_ms <= now ? now - s.first_ms : 0);
        pack_put_int(p, "times", s.times > 0 ? s.times : 1);
        pack_put_str(p, "module", s.text.module);
        pack_put_str(p, "reason", s.text.reason);
        pack_put_str(p, "message", s.text.message);
        pack_end(p);
    }
    pack_end(p);
    return 0;
}
