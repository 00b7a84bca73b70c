/*
 * do_wait.c - docmillctl wait: until documents are finished
 *
 * Without ids one small request a round (the counts by status); with ids one a document that is not finished yet. On
 * a terminal a bar that redraws its line, otherwise a line when something has changed. A daemon that restarts
 * meanwhile is waited for, at most PATIENCE_MS.
 *
 * Depends on base, core.
 */
#include "base/clock.h"
#include "core/reason.h"
#include "core/state.h"
#include "ctl/lists.h"
#include "ctl/wait.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#define ROUND_MS     500
#define ROUND_CAP_MS 2000
#define LINE_MS      2000 /* between lines that are no bar */
#define PATIENCE_MS  30000
#define BAR_COLUMNS  30

struct wait_counts {
    int64_t total, open, failed;
};

struct wait_one {
    const char *id;
    bool open, failed;
};

struct wait {
    struct ctl *c;
    int64_t started_ms, deadline_ms; /* 0: none */
    int64_t lost_ms;                 /* since when the daemon cannot be reached; 0: it can */
    int64_t shown_ms;
    bool bar;
    struct wait_counts now, shown;
    int n;
    struct wait_one *ones;
};

/* ---- asking ---- */

static int ask_stats(struct wait *w, struct error *e)
{
    json_t *body = NULL;
    int rc = client_try(w->c, "GET", "/v1/stats", &body, e);

    if (rc != CTL_OK)
        return rc;
    w->now = (struct wait_counts){ctl_int(body, "documents"), ctl_int(body, "open"), ctl_int(body, "failed")};
    json_decref(body);
    return CTL_OK;
}

/* An id may be a document's or a job's. */
static int ask_id(struct wait *w, struct wait_one *o, struct error *e)
{
    const char *id = client_escape(w->c, o->id);
    json_t *body = NULL;
    int state;
    int rc = client_try(w->c, "GET", talloc_asprintf(w->c->mem, "/v1/documents/%s", id), &body, e);

    if (rc == CTL_REFUSED && strcmp(e->reason, "not_found") == 0)
        rc = client_try(w->c, "GET", talloc_asprintf(w->c->mem, "/v1/jobs/%s", id), &body, e);
    if (rc != CTL_OK)
        return rc;
    state = state_parse(ctl_string(body, "state"));
    o->open = state < 0 || !state_is_end(state);
    o->failed = state == STATE_DEADLETTER || state == STATE_QUARANTINED || state == STATE_CANCELLED;
    json_decref(body);
    return CTL_OK;
}

static int ask_ids(struct wait *w, struct error *e)
{
    w->now = (struct wait_counts){.total = w->n};
    for (int i = 0; i < w->n; i++) {
        int rc = w->ones[i].open ? ask_id(w, &w->ones[i], e) : CTL_OK;
        if (rc != CTL_OK)
            return rc;
        w->now.open += w->ones[i].open;
        w->now.failed += w->ones[i].failed;
    }
    return CTL_OK;
}

/* ---- showing ---- */

static void show_bar(const struct wait *w)
{
    int64_t done = w->now.total - w->now.open;
    int filled = w->now.total > 0 ? (int)(done * BAR_COLUMNS / w->now.total) : BAR_COLUMNS;
    int64_t seconds = (clock_ms() - w->started_ms) / 1000;

    fputs("\r\033[K[", stderr);
    for (int i = 0; i < BAR_COLUMNS; i++)
        fputc(i < filled ? '#' : '.', stderr);
    fprintf(stderr, "] %" PRId64 "/%" PRId64 " finished", done, w->now.total);
    if (w->now.failed > 0)
        fprintf(stderr, ", %" PRId64 " failed", w->now.failed);
    fprintf(stderr, "  %02" PRId64 ":%02" PRId64, seconds / 60, seconds % 60);
    if (w->lost_ms != 0)
        fputs("  (daemon does not answer)", stderr);
    fflush(stderr);
}

static void show(struct wait *w, bool last)
{
    bool changed = memcmp(&w->now, &w->shown, sizeof w->now) != 0;

    if (w->c->json)
        return;
    if (w->bar) {
        show_bar(w);
        if (last)
            fputc('\n', stderr);
    } else if (changed && (last || clock_ms() - w->shown_ms >= LINE_MS)) {
        fprintf(stderr, "%" PRId64 " of %" PRId64 " finished, %" PRId64 " failed\n", w->now.total - w->now.open,
                w->now.total, w->now.failed);
        w->shown = w->now;
        w->shown_ms = clock_ms();
    }
}

/* ---- waiting ---- */

/* Whether an error is worth patience: the daemon restarts, or its database does. */
static bool may_pass(struct wait *w, int rc)
{
    if (rc != CTL_UNREACHABLE && rc != CTL_SERVER && rc != CTL_TIMEOUT)
        return false;
    if (w->shown_ms == 0 && w->lost_ms == 0 && rc == CTL_UNREACHABLE)
        return false; /* it was not there to begin with */
    if (w->lost_ms == 0)
        w->lost_ms = clock_ms();
    return clock_ms() - w->lost_ms < PATIENCE_MS;
}

static void pause_round(const struct wait *w, unsigned round)
{
    int64_t ms = ROUND_MS + 50 * (int64_t)round;

    if (ms > ROUND_CAP_MS)
        ms = ROUND_CAP_MS;
    if (w->deadline_ms != 0 && w->deadline_ms - clock_ms() < ms)
        ms = w->deadline_ms - clock_ms();
    if (ms > 0)
        poll(NULL, 0, (int)ms);
}

static int wait_rounds(struct wait *w, struct error *e)
{
    for (unsigned round = 0;; round++) {
        int rc = w->n > 0 ? ask_ids(w, e) : ask_stats(w, e);

        if (rc == CTL_OK)
            w->lost_ms = 0;
        else if (!may_pass(w, rc))
            return rc;
        show(w, rc == CTL_OK && w->now.open == 0);
        if (rc == CTL_OK && w->now.open == 0)
            return w->now.failed > 0 ? CTL_FAILED : CTL_OK;
        if (w->deadline_ms != 0 && clock_ms() >= w->deadline_ms) {
            reason_error(e, REASON_control_timeout, ETIMEDOUT, "%" PRId64 " of %" PRId64 " are not finished",
                         w->now.open, w->now.total);
            return CTL_TIMEOUT;
        }
        pause_round(w, round);
    }
}

static int conclude(struct wait *w, int rc, const struct error *e)
{
    if (rc != CTL_OK && rc != CTL_FAILED) {
        if (w->bar)
            fputc('\n', stderr);
        return ctl_fail(w->c, rc, e);
    }
    if (w->c->json) {
        json_t *j = json_pack("{s:I, s:I, s:I}", "documents", (json_int_t)w->now.total, "open", (json_int_t)w->now.open,
                              "failed", (json_int_t)w->now.failed);
        ctl_print_json(w->c, j);
        json_decref(j);
    } else if (rc == CTL_FAILED) {
        fprintf(stderr, "%" PRId64 " failed: docmillctl jobs --state deadletter\n", w->now.failed);
    }
    return rc;
}

int do_wait(struct ctl *c)
{
    const char *timeout = args_option(&c->args, "timeout");
    struct wait w = {.c = c, .started_ms = clock_ms(), .n = c->args.n_words, .shown = {-1, -1, -1}};
    struct error e = {0};
    int64_t ms = 0;

    if (timeout != NULL && ctl_parse_duration(timeout, &ms) != 0) {
        reason_error(&e, REASON_bad_request, EINVAL, "--timeout must be a time such as 90s or 5m, not \"%.40s\"",
                     timeout);
        return ctl_usage(c, &e);
    }
    for (int i = 0; i < w.n; i++) {
        if (!wait_is_condition(c->args.words[i]))
            continue;
        if (w.n == 1)
            return wait_for_daemon(c, timeout != NULL ? ms : -1);
        reason_error(&e, REASON_bad_request, EINVAL, "\"%.40s\" is waited for by itself", c->args.words[i]);
        return ctl_usage(c, &e);
    }
    if (timeout != NULL)
        w.deadline_ms = w.started_ms + ms;
    w.bar = !c->json && isatty(STDERR_FILENO);
    w.ones = talloc_zero_array(c->mem, struct wait_one, (unsigned)w.n);
    for (int i = 0; i < w.n; i++)
        w.ones[i] = (struct wait_one){.id = c->args.words[i], .open = true};
    return conclude(&w, wait_rounds(&w, &e), &e);
}
