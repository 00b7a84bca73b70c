/*
 * do_daemon.c - docmillctl status, health, stop, version: the supervisor, over control.sock
 *
 * Depends on base, core, proc/control.
 */
#include "base/clock.h"
#include "core/reason.h"
#include "ctl/lists.h"
#include "proc/control.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define STOP_MARGIN_MS 10000 /* beyond the daemon's own limit for draining */
#define STOP_ROUND_MS  100

/* ---- status ---- */

static void show_children(struct ctl *c, const json_t *children)
{
    static const struct table_column columns[] = {
        {"POOL", TABLE_LEFT, false},    {"SLOT", TABLE_RIGHT, false},   {"PID", TABLE_RIGHT, false},
        {"PHASE", TABLE_LEFT, false},   {"FOR", TABLE_RIGHT, false},    {"STAGE", TABLE_LEFT, false},
        {"HELD", TABLE_RIGHT, false},   {"DONE", TABLE_RIGHT, false},   {"FAILED", TABLE_RIGHT, false},
        {"MEMORY", TABLE_RIGHT, false}, {"STARTS", TABLE_RIGHT, false}, {"NOTE", TABLE_LEFT, true},
    };
    struct table *t = table_new(c->mem, columns, (int)(sizeof columns / sizeof columns[0]));
    json_t *v;
    size_t i;

    json_array_foreach(children, i, v)
    {
        bool api = strcmp(ctl_string(v, "role"), "api") == 0;
        char since[24];
        char memory[24];
        ctl_span(ctl_int(v, "since_ms"), since);
        ctl_bytes(ctl_int(v, "private_bytes"), memory);
        table_cell(t, ctl_string(v, "pool"));
        table_cell_number(t, ctl_int(v, "slot"));
        table_cell_number(t, ctl_int(v, "pid"));
        table_cell(t, ctl_string(v, "phase"));
        table_cell(t, since);
        table_cell(t, ctl_string(v, "stage"));
        table_cell_number(t, ctl_int(v, "in_hand"));
        table_cell_number(t, ctl_int(v, api ? "requests" : "jobs_done"));
        table_cell_number(t, ctl_int(v, "jobs_failed"));
        table_cell(t, ctl_int(v, "private_bytes") > 0 ? memory : "-");
        table_cell_number(t, ctl_int(v, "starts"));
        table_cell(t, ctl_string(v, "note"));
    }
    table_print(t, stdout, c->width);
}

/* One line of counts that are not zero; `nothing` stands for none, NULL leaves the line out. */
static void show_counts(const char *label, const json_t *counts, const char *nothing)
{
    const char *key;
    json_t *v;
    bool any = false;

    json_object_foreach((json_t *)counts, key, v)
    {
        if (json_integer_value(v) == 0)
            continue;
        if (any)
            fputs(", ", stdout);
        else
            printf("%-10s", label);
        printf("%s %" PRId64, key, (int64_t)json_integer_value(v));
        any = true;
    }
    if (any)
        putchar('\n');
    else if (nothing != NULL)
        printf("%-10s%s\n", label, nothing);
}

static void show_queue(const json_t *queue)
{
    char age[24];

    if (!json_is_object(queue)) {
        puts("queue     not counted yet (is the coordinator connected?)");
        return;
    }
    show_counts("queue", json_object_get(queue, "by_state"), "empty");
    show_counts("documents", json_object_get(queue, "by_status"), NULL);
    if (ctl_int(queue, "oldest_queued_ms") <= 0)
        return;
    ctl_span(ctl_int(queue, "oldest_queued_ms"), age);
    printf("oldest    %s in the queue\n", age);
}

static void show_services_down(const json_t *down)
{
    json_t *v;
    size_t i;

    json_array_foreach(down, i, v)
    {
        fputs("service   ", stdout);
        text_print(stdout, ctl_string(v, "why"), 0);
        putchar('\n');
    }
}

/* What an operator has paused, where it cannot be overlooked. */
static void show_paused(const json_t *paused)
{
    json_t *v;
    size_t i;

    json_array_foreach(paused, i, v)
    {
        char since[24];
        ctl_span(ctl_int(v, "for_ms"), since);
        printf("PAUSED    %s, for %s, on all nodes: docmillctl resume %s\n", ctl_string(v, "rests"), since,
               ctl_string(v, "name"));
    }
}

static void show_deaths(const json_t *deaths)
{
    json_t *v;
    size_t i;

    if (json_array_size(deaths) > 0)
        puts("\nlast deaths");
    json_array_foreach(deaths, i, v)
    {
        char ago[24];
        if (i == 5)
            break;
        ctl_span(ctl_int(v, "ago_ms"), ago);
        printf("  %s ago  %s/%" PRId64 "  pid %" PRId64 "  ", ago, ctl_string(v, "pool"), (int64_t)ctl_int(v, "slot"),
               (int64_t)ctl_int(v, "pid"));
        text_print(stdout, ctl_string(v, "cause"), 0);
        putchar('\n');
    }
}

int do_status(struct ctl *c)
{
    struct error e = {0};
    json_t *s = NULL;
    char up[24];
    int rc = ctl_control(c, "status", NULL, &s, &e);

    if (rc != CTL_OK)
        return ctl_fail(c, rc, &e);
    if (c->json) {
        ctl_print_json(c, s);
    } else {
        ctl_span(ctl_int(s, "uptime_ms"), up);
        printf("docmill %s on %s, %s for %s (pid %" PRId64 ", %s)%s\n", ctl_string(s, "version"), ctl_string(s, "node"),
               ctl_string(s, "state"), up, (int64_t)ctl_int(s, "pid"), ctl_string(s, "run_dir"),
               json_is_true(json_object_get(s, "ready")) ? "" : ", NOT READY: see docmillctl health");
        show_paused(json_object_get(s, "paused"));
        show_queue(json_object_get(s, "queue"));
        show_services_down(json_object_get(s, "services_down"));
        putchar('\n');
        show_children(c, json_object_get(s, "children"));
        show_deaths(json_object_get(s, "deaths"));
    }
    json_decref(s);
    return rc;
}

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
        show_paused(json_object_get(h, "paused"));
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
        printf("docmillctl %s\ndocmilld   %s\n", DOCMILL_VERSION, daemon != NULL ? daemon : "does not run here");
    }
    json_decref(body);
    return CTL_OK;
}
