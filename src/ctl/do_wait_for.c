/*
 * do_wait_for.c - docmillctl wait ready, drained, idle: until the daemon is so
 *
 *   ready    what `health` calls ready. A daemon that does not run yet is waited for too, READY_MS unless a time is given.
 *   drained  the workers of this node that are told to take no more (drain, pause all) have nothing in hand
 *   idle     no document of anybody waits or is worked on: by a count that was made after this began
 *
 * Why it is not so yet goes to standard error: on a terminal in a line that is drawn over, else when it changes.
 *
 * Depends on base, core, proc/control.
 */
#include "base/clock.h"
#include "core/reason.h"
#include "ctl/status.h"
#include "ctl/wait.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define ROUND_MS    200
#define READY_MS    60000
#define SETTLE_MS   600 /* a claim that was under way when the pause came shows itself by then */
#define WHY_BYTES   240
#define PATIENCE_MS 30000

struct wait_for {
    struct ctl *c;
    const char *what;
    int64_t started_ms, deadline_ms; /* INT64_MAX: none */
    int64_t lost_ms;                 /* since when nobody answers, 0: somebody does */
    bool seen;                       /* the daemon has answered */
    int64_t claims, calm_ms;         /* drained: since when nothing is in hand, with so many claims made; 0: it is */
    char why[WHY_BYTES], told[WHY_BYTES];
    bool bar;
};

#define because(w, ...) ((void)snprintf((w)->why, WHY_BYTES, __VA_ARGS__), false)

/* ---- the three conditions; false: not yet, because of w->why ---- */

static bool is_ready(struct wait_for *w, const json_t *health)
{
    const json_t *ready = json_object_get(health, "ready");
    const json_t *reasons = json_object_get(ready, "reasons");

    if (json_is_true(json_object_get(ready, "ok")))
        return true;
    return because(w, "not ready: %s",
                   json_string_value(json_array_get(reasons, 0)) != NULL ? json_string_value(json_array_get(reasons, 0))
                                                                         : "it does not say why");
}

static bool all_paused(const json_t *status)
{
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(status, "paused"), i, v)
    {
        if (strcmp(ctl_string(v, "name"), "all") == 0)
            return true;
    }
    return false;
}

/* Whether the pool is one of workers that takes no more work. */
static bool stopped(const json_t *pool, const json_t *status)
{
    return strcmp(ctl_string(pool, "role"), "worker") == 0 &&
           (json_is_true(json_object_get(pool, "drained")) || all_paused(status) ||
            strcmp(ctl_string(status, "state"), "draining") == 0);
}

struct held {
    int64_t jobs, leaving, claims;
};

static struct held held_by(const json_t *status, const char *pool)
{
    struct held h = {0};
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(status, "children"), i, v)
    {
        if (strcmp(ctl_string(v, "pool"), pool) != 0)
            continue;
        h.jobs += ctl_int(v, "in_hand");
        h.claims += ctl_int(v, "claims");
        h.leaving += strcmp(ctl_string(v, "phase"), "retiring") == 0 || strcmp(ctl_string(v, "phase"), "draining") == 0;
    }
    return h;
}

/* Nothing in hand is believed when it stays so, since a claim may have been under way. */
static bool is_calm(struct wait_for *w, int64_t claims)
{
    int64_t now = clock_ms();

    if (w->calm_ms == 0 || claims != w->claims)
        w->calm_ms = now;
    w->claims = claims;
    return now - w->calm_ms >= SETTLE_MS;
}

static bool is_drained(struct wait_for *w, const json_t *status)
{
    struct held sum = {0};
    const json_t *v;
    int pools = 0;
    size_t i;

    json_array_foreach(json_object_get(status, "pools"), i, v)
    {
        struct held h;
        if (!stopped(v, status))
            continue;
        pools++;
        h = held_by(status, ctl_string(v, "name"));
        sum.jobs += h.jobs;
        sum.leaving += h.leaving;
        sum.claims += h.claims;
    }
    if (pools == 0) {
        w->calm_ms = 0;
        return because(w, "no pool is drained: docmillctl drain, or docmillctl pause all");
    }
    if (sum.jobs > 0 || sum.leaving > 0) {
        w->calm_ms = 0;
        return because(w, "%" PRId64 " job%s in hand", sum.jobs, sum.jobs == 1 ? "" : "s");
    }
    return is_calm(w, sum.claims) || because(w, "nothing is in hand; does it stay so?");
}

static bool is_idle(struct wait_for *w, const json_t *status)
{
    static const char *const states[] = {"queued", "working", "waiting", "parked", "retryable"};
    const json_t *queue = json_object_get(status, "queue");
    const json_t *counts = json_object_get(queue, "by_state");
    int64_t open = 0;

    if (!json_is_object(queue) || ctl_int(queue, "age_ms") >= clock_ms() - w->started_ms)
        return because(w, "the queue is not counted yet");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        open += ctl_int(counts, states[i]);
    if (open == 0)
        return true;
    return because(w, "%" PRId64 " job%s not finished%s", open, open == 1 ? "" : "s",
                   json_array_size(json_object_get(status, "paused")) > 0 ? ", and work is paused: docmillctl pause"
                                                                          : "");
}

static const struct condition {
    const char *what, *verb;
    bool (*holds)(struct wait_for *w, const json_t *answer);
} conditions[] = {{"ready", "health", is_ready}, {"drained", "status", is_drained}, {"idle", "status", is_idle}};

static const struct condition *condition_of(const char *what)
{
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++)
        if (strcmp(conditions[i].what, what) == 0)
            return &conditions[i];
    return NULL;
}

/* ---- waiting ---- */

static void tell(struct wait_for *w)
{
    if (w->c->json || strcmp(w->why, w->told) == 0)
        return;
    memcpy(w->told, w->why, sizeof w->told);
    if (w->bar)
        fputs("\r\033[K", stderr);
    fputs("waiting: ", stderr);
    text_print(stderr, w->why, w->bar && w->c->width > 10 ? w->c->width - 10 : 0);
    if (!w->bar)
        fputc('\n', stderr);
    fflush(stderr);
}

/* Nobody answers. CTL_OK: that is what was waited for; CTL_FAILED: wait on; else the exit code. */
static int nobody(struct wait_for *w, int rc, const struct error *e)
{
    if (rc != CTL_UNREACHABLE && rc != CTL_TIMEOUT && rc != CTL_SERVER)
        return rc;
    if (strcmp(w->what, "drained") == 0 && w->seen && rc == CTL_UNREACHABLE)
        return CTL_OK;
    if (w->lost_ms == 0)
        w->lost_ms = clock_ms();
    if (strcmp(w->what, "ready") != 0 && (!w->seen || clock_ms() - w->lost_ms > PATIENCE_MS))
        return rc;
    w->calm_ms = 0;
    (void)because(w, "%.200s", e->message);
    return CTL_FAILED;
}

static int rounds(struct wait_for *w, const struct condition *k, struct error *e)
{
    for (;;) {
        json_t *answer = NULL;
        bool holds = false;
        int rc = ctl_control(w->c, k->verb, NULL, &answer, e);
        if (rc == CTL_OK) {
            w->seen = true;
            w->lost_ms = 0;
            holds = k->holds(w, answer);
        } else if ((rc = nobody(w, rc, e)) != CTL_FAILED) {
            return rc;
        }
        json_decref(answer);
        if (holds)
            return CTL_OK;
        if (clock_ms() >= w->deadline_ms) {
            reason_error(e, REASON_control_timeout, ETIMEDOUT, "not %s in time: %s", w->what, w->why);
            return CTL_TIMEOUT;
        }
        tell(w);
        poll(NULL, 0, ROUND_MS);
    }
}

int wait_for_daemon(struct ctl *c, int64_t timeout_ms)
{
    const struct condition *k = condition_of(c->args.words[0]);
    struct wait_for w = {.c = c, .what = k->what, .started_ms = clock_ms(), .deadline_ms = INT64_MAX};
    struct error e = {0};
    int rc;

    if (timeout_ms >= 0)
        w.deadline_ms = w.started_ms + timeout_ms;
    else if (strcmp(k->what, "ready") == 0)
        w.deadline_ms = w.started_ms + READY_MS;
    w.bar = !c->json && isatty(STDERR_FILENO);
    rc = rounds(&w, k, &e);
    if (w.bar && w.told[0] != '\0')
        fputs("\r\033[K", stderr);
    if (rc != CTL_OK)
        return ctl_fail(c, rc, &e);
    if (c->json) {
        json_t *j = json_pack("{s:s, s:I}", "is", k->what, "waited_ms", (json_int_t)(clock_ms() - w.started_ms));
        ctl_print_json(c, j);
        json_decref(j);
    } else {
        puts(k->what);
    }
    return rc;
}

bool wait_is_condition(const char *word)
{
    return condition_of(word) != NULL;
}
