/*
 * metrics_get.c - GET /metrics: who may, and in which format
 *
 * Over api.sock who may ask the control socket what the daemon does (the right read). Over TCP who comes from an address
 * of metrics.allow or bears metrics.token; api.token is a user's and says nothing about the node. Answered from shared
 * memory, without the database, so also while that is away.
 *
 * Depends on base, core, proc.
 */
#include "api/api.h"
#include "api/handlers.h"
#include "api/identity.h"
#include "api/metrics.h"
#include "base/addr.h"
#include "base/clock.h"
#include "core/reason.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

static bool address_may(const struct request *r)
{
    struct addr_list *allowed = addr_list_parse(r, r->api->conf->metrics_allow);
    bool may = allowed != NULL && addr_list_has(allowed, (const struct sockaddr *)&r->peer.address);

    talloc_free(allowed);
    return may;
}

static int check_reader(const struct request *r, struct error *e)
{
    const struct conf *c = r->api->conf;

    if (r->peer.is_unix ? r->peer.is_reader
                        : address_may(r) || identity_bears(c, &c->metrics_token, r->headers.authorization))
        return 0;
    (void)reason_error(e, r->peer.is_unix ? REASON_forbidden : REASON_unauthenticated, EACCES,
                       "The node's metrics are not for this caller.");
    error_hint(e, r->peer.is_unix
                      ? "control.read_group names the group that may read them over api.sock."
                      : "Set metrics.token and send it as bearer token, or name the address in metrics.allow.");
    return -EACCES;
}

int metrics_get(struct request *r, struct error *e)
{
    const char *accept = r->header(r, "Accept");
    bool openmetrics = accept != NULL && strcasestr(accept, "application/openmetrics-text") != NULL;
    struct metrics_view v = {.services = r->api->child.services, .now_ms = clock_ms()};
    int rc = check_reader(r, e);
    char *text = NULL;
    size_t n = 0;

    if (rc != 0)
        return rc;
    child_look_at_memory(&r->api->child);
    v.slots = calloc(SCORE_SLOTS, sizeof *v.slots); /* the kernel's zero pages, as far as there are no children */
    if (v.slots != NULL) {
        (void)scoreboard_read_all(r->api->child.score, &v.totals, v.slots);
        text = metrics_text(r, &v, openmetrics, &n);
    }
    free(v.slots);
    if (text == NULL)
        return reason_error(e, REASON_internal, ENOMEM, "out of memory");
    request_answer_text(r, text, n,
                        openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                    : "text/plain; version=0.0.4; charset=utf-8");
    return 0;
}
