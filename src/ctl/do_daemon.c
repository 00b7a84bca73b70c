/*
 * do_daemon.c - docmillctl health, stop, version: the supervisor, over control.sock
 *
 * Depends on base, core, proc/control.
 */
#include "base/clock.h"
#include "core/reason.h"
#include "ctl/lists.h"
#include "ctl/status.h"
#include "proc/control.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define STOP_MARGIN_MS 10000 /* beyond the daemon's own limit for draining */
#define STOP_ROUND_MS  100

/* ---- health ---- */

static void show_signal(const char *label, const json_t *signal)
{
    json_t *reason;
    size_t i;

    printf("%-9s %s\n", label, json_is_true(json_object_get(signal, "ok")) ? "ok" : "NOT OK");
    json_array_foreach(json_object_get(signal, "reasons"), i, reason)
    {
        fputs("  - ", stdout);
        text_print(stdout, json_string_value(reason) != NULL ? json_string_value(reason) : "", 0);
        putchar('\n');
    }
}

int do_health(struct ctl *c)
{
    struct error e = {0};
    json_t *h = NULL;
    bool ok;
    int rc = ctl_control(c, "health", NULL, &h, &e);

    if (rc != CTL_OK)
        return ctl_fail(c, rc, &e);
    ok = json_is_true(json_object_get(h, "ok"));
    if (c->json) {
        ctl_print_json(c, h);
    } else {
        show_signal("alive", json_object_get(h, "live"));
        show_signal("progress", json_object_get(h, "progress"));
        show_signal("ready", json_object_get(h, "ready"));
        if (json_is_false(json_object_get(json_object_get(h, "services"), "ok")))
            show_signal("services", json_object_get(h, "services"));
        status_show_paused(json_object_get(h, "paused"), stdout);
    }
    json_decref(h);
    return ok ? CTL_OK : CTL_FAILED;
}

/* ---- stop ---- */

/* Until nobody answers on the socket any more. */
static int wait_until_gone(struct ctl *c, int64_t limit_ms, struct error *e)
{
    int64_t until = clock_ms() + limit_ms;

    while (clock_ms() < until) {
        json_t *body = NULL;
        int rc = ctl_control(c, "version", NULL, &body, e);
        json_decref(body);
        if (rc == CTL_UNREACHABLE)
            return CTL_OK;
        poll(NULL, 0, STOP_ROUND_MS);
    }
    reason_error(e, REASON_control_timeout, ETIMEDOUT, "the daemon has not stopped after %" PRId64 " s",
                 limit_ms / 1000);
    error_hint(e, "docmillctl stop --now kills what is left.");
    return CTL_TIMEOUT;
}

int do_stop(struct ctl *c)
{
    const char *mode = args_option(&c->args, "now") != NULL    ? "now"
                       : args_option(&c->args, "fast") != NULL ? "fast"
                                                               : "drain";
    struct error e = {0};
    json_t *args = json_pack("{s:s}", "mode", mode);
    json_t *body = NULL;
    int64_t limit_ms = 0;
    int rc = ctl_control(c, "stop", args, &body, &e);

    json_decref(args);
    if (rc != CTL_OK)
        return ctl_fail(c, rc, &e);
    limit_ms = ctl_int(body, "limit_ms");
    rc = wait_until_gone(c, limit_ms + STOP_MARGIN_MS, &e);
    if (rc == CTL_OK && c->json)
        ctl_print_json(c, body);
    else if (rc == CTL_OK)
        puts("stopped");
    json_decref(body);
    return rc == CTL_OK ? rc : ctl_fail(c, rc, &e);
}

/* ---- version ---- */

int do_version(struct ctl *c)
{
    struct error e = {0};
    json_t *body = NULL;
    const char *daemon = NULL;
    int rc = ctl_control(c, "version", NULL, &body, &e);

    if (rc == CTL_OK)
        daemon = ctl_string(body, "version");
    if (c->json) {
        json_t *j = json_pack("{s:s, s:s?}", "docmillctl", DOCMILL_VERSION, "docmilld", daemon);
        ctl_print_json(c, j);
        json_decref(j);
    } else {
        printf("docmillctl %s\ndocmilld   ", DOCMILL_VERSION);
        if (daemon == NULL && rc != CTL_UNREACHABLE)
            printf("is not known: ");
        text_print(stdout, daemon != NULL ? daemon : rc == CTL_UNREACHABLE ? "does not run here" : e.message, 0);
        putchar('\n');
    }
    json_decref(body);
    return CTL_OK;
}
