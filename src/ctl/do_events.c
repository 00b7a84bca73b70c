/*
 * do_events.c - docmillctl events [--follow]: what happened to documents
 *
 * Followed, a round is asked for every half second, at once after one that brought something; what is printed is printed
 * once, in the order in which it became visible. A daemon that goes away is waited for, and missed events are then read.
 *
 * Depends on base, core.
 */
#include "base/clock.h"
#include "core/reason.h"
#include "ctl/follow.h"
#include "ctl/lists.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#define ROUND_MS     500
#define PAGE         1000
#define TAIL_DEFAULT 10 /* that --follow shows of what was before */

struct events {
    struct ctl *c;
    void *whole; /* memory of the call; c->mem is that of a round */
    const char *all;
    struct follow *follow;
    bool lost;
};

/* ---- printing ---- */

/* "2026-01-31T12:01:02.345Z  DOCUMENT  parsed > complete (done), by worker": the time as logs and audit have it. */
static void print_event(const struct events *ev, const json_t *v)
{
    const char *reason = ctl_string(v, "reason");
    char text[400];
    int n;

    if (ev->c->json) {
        ctl_put_json(stdout, v, JSON_COMPACT);
        putchar('\n');
        return;
    }
    n = snprintf(text, sizeof text, "%s  %s  ", ctl_string(v, "at"), ctl_string(v, "document_id"));
    if (strcmp(ctl_string(v, "from_status"), ctl_string(v, "to_status")) != 0 && n > 0 && (size_t)n < sizeof text)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s > ", ctl_string(v, "from_status"));
    if (n > 0 && (size_t)n < sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, "%s (%s), by %s%s%s", ctl_string(v, "to_status"),
                 ctl_string(v, "to_state"), ctl_string(v, "actor"), reason[0] != '\0' ? ": " : "", reason);
    text_print(stdout, text, 0);
    putchar('\n');
}

/* ---- a list ---- */

static void reverse(json_t *list)
{
    size_t n = json_array_size(list);

    for (size_t i = 0; i < n / 2; i++) {
        json_t *first = json_incref(json_array_get(list, i)), *last = json_incref(json_array_get(list, n - 1 - i));
        json_array_set_new(list, i, last);
        json_array_set_new(list, n - 1 - i, first);
    }
}

static int list(struct events *ev, int64_t limit, const char *after)
{
    json_t *all = json_array(), *body = NULL;
    const char *from = after != NULL ? talloc_asprintf(ev->c->mem, "&after=%s", after) : "";
    int rc = CTL_OK;
    size_t n;

    do {
        json_t *page;
        int64_t want = limit - (int64_t)json_array_size(all);
        rc = client_call(
            ev->c, "GET",
            talloc_asprintf(ev->c->mem, "/v1/events?limit=%" PRId64 "%s%s", want < PAGE ? want : PAGE, ev->all, from),
            &body);
        if (rc != CTL_OK)
            break;
        page = json_object_get(body, "events");
        n = json_array_size(page);
        json_array_extend(all, page);
        if (n > 0)
            from = talloc_asprintf(ev->c->mem, "&%s=%" PRId64, after != NULL ? "after" : "before",
                                   ctl_int(json_array_get(page, n - 1), "id"));
        json_decref(body);
    } while (n == PAGE && (int64_t)json_array_size(all) < limit);
    n = json_array_size(all);
    if (rc == CTL_OK && after == NULL) /* came as the newest first */
        reverse(all);
    if (rc == CTL_OK && ev->c->json)
        ctl_print_json(ev->c, all);
    for (size_t i = 0; rc == CTL_OK && !ev->c->json && i < n; i++)
        print_event(ev, json_array_get(all, i));
    if (rc == CTL_OK && n == 0 && !ev->c->json)
        fputs("no events\n", stderr);
    json_decref(all);
    return rc;
}

/* ---- follow ---- */

static int page(struct events *ev, int64_t after, json_t **body, struct error *e)
{
    return client_try(
        ev->c, "GET",
        talloc_asprintf(ev->c->mem, "/v1/events?follow=1&limit=%d&after=%" PRId64 "%s", PAGE, after, ev->all), body, e);
}

/* All that is after the base; how many events were new in *fresh. A round that breaks off is simply read again. */
static int round_trip(struct events *ev, int *fresh, struct error *e)
{
    int64_t after = ev->follow->base, last = 0;
    char *writers = NULL;
    size_t n;

    *fresh = 0;
    do {
        json_t *body = NULL, *v;
        size_t i;
        int rc = page(ev, after, &body, e);
        if (rc != CTL_OK)
            return rc;
        if (writers == NULL) {
            last = ctl_int(body, "last");
            writers = talloc_strdup(ev->c->mem, ctl_string(body, "writers"));
        }
        n = json_array_size(json_object_get(body, "events"));
        json_array_foreach(json_object_get(body, "events"), i, v)
        {
            after = ctl_int(v, "id");
            if (follow_see(ev->follow, after)) {
                print_event(ev, v);
                ++*fresh;
            }
        }
        json_decref(body);
    } while (n == PAGE);
    follow_round(ev->follow, last, writers);
    return CTL_OK;
}

/* The newest: `tail` of them are printed, all of them are known from now on. */
static int begin(struct events *ev, int64_t tail)
{
    json_t *body = NULL, *rows;
    size_t n;
    int rc =
        client_call(ev->c, "GET", talloc_asprintf(ev->c->mem, "/v1/events?follow=1&limit=%d%s", PAGE, ev->all), &body);

    if (rc != CTL_OK)
        return rc;
    rows = json_object_get(body, "events");
    n = json_array_size(rows);
    ev->follow = follow_new(ev->whole, n == PAGE ? ctl_int(json_array_get(rows, n - 1), "id") - 1 : 0);
    for (size_t i = n; i-- > 0;) {
        (void)follow_see(ev->follow, ctl_int(json_array_get(rows, i), "id"));
        if ((int64_t)i < tail)
            print_event(ev, json_array_get(rows, i));
    }
    follow_round(ev->follow, ctl_int(body, "last"), ctl_string(body, "writers"));
    json_decref(body);
    return CTL_OK;
}

/* Whether it may pass: the daemon restarts, or its database does. Said once. */
static bool may_pass(struct events *ev, int rc, const struct error *e)
{
    if (rc != CTL_UNREACHABLE && rc != CTL_SERVER && rc != CTL_TIMEOUT)
        return false;
    if (!ev->lost)
        fprintf(stderr, "docmillctl: waiting for the daemon: %s\n", e->message);
    ev->lost = true;
    return true;
}

static int follow(struct events *ev, int64_t tail, const char *after, int64_t after_id)
{
    int rc = CTL_OK;

    if (after != NULL)
        ev->follow = follow_new(ev->whole, after_id);
    else
        rc = begin(ev, tail);
    while (rc == CTL_OK) {
        struct error e = {0};
        int fresh = 0;
        if (fflush(stdout) != 0 || ferror(stdout))
            return CTL_FAILED; /* who read it has gone */
        ev->c->mem = talloc_new(ev->whole);
        rc = round_trip(ev, &fresh, &e);
        if (rc == CTL_OK)
            ev->lost = false;
        else if (may_pass(ev, rc, &e))
            rc = CTL_OK;
        else
            rc = ctl_fail(ev->c, rc, &e);
        talloc_free(ev->c->mem);
        ev->c->mem = ev->whole;
        fflush(stdout);
        if (rc == CTL_OK && fresh == 0 && !ctl_rest(ROUND_MS))
            rc = CTL_FAILED;
    }
    return rc;
}

int do_events(struct ctl *c)
{
    bool follows = args_option(&c->args, "follow") != NULL;
    const char *after = args_option(&c->args, "after");
    struct events ev = {.c = c, .whole = c->mem, .all = args_option(&c->args, "all") != NULL ? "&all=1" : ""};
    struct error e = {0};
    int64_t limit, after_id;

    if (args_number(&c->args, "limit", follows ? TAIL_DEFAULT : LIST_DEFAULT, follows ? 0 : 1,
                    follows ? PAGE : LIST_MAX, &limit, &e) != 0 ||
        args_number(&c->args, "after", 0, 0, INT64_MAX, &after_id, &e) != 0)
        return ctl_usage(c, &e);
    return follows ? follow(&ev, limit, after, after_id) : list(&ev, limit, after);
}
