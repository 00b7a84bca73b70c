/*
 * deaths.c - dead children: from the master's evidence to the queue's statement
 *
 * The master sends each death once, at most DEATHS_AT_ONCE without an answer, so the ring here is never too small; what
 * does not fit breaks that promise and is left to be sent again. It is kept here until the database has answered.
 *
 * What a child asked of the database in its last moment may be done after its jobs were released: see unheard.c.
 *
 * Depends on base, queue, proc.
 */
#include "coordinator/coordinator.h"

#include "base/log.h"
#include "core/state.h"
#include "queue/rescue.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define TELL_AGAIN_MS 100

static void pop(struct coordinator *c)
{
    c->first_death = (c->first_death + 1) % DEATHS_AT_ONCE;
    c->n_deaths--;
}

void deaths_want(struct coordinator *c)
{
    if (c->n_deaths > 0)
        tasks_want(c, TASK_RELEASE);
}

void deaths_add(struct coordinator *c, const struct msg_death *d)
{
    if (c->n_deaths == DEATHS_AT_ONCE) {
        log_warn("coordinator", "more deaths than agreed", "serial", LOG_I(d->serial), NULL);
        return;
    }
    c->deaths[(c->first_death + c->n_deaths) % DEATHS_AT_ONCE] = *d;
    c->n_deaths++;
    tasks_want(c, TASK_RELEASE);
}

struct rescue_limits coord_limits(const struct coordinator *c)
{
    return (struct rescue_limits){.max_attempts = (int)c->conf->queue_max_attempts,
                                  .crash_budget = (int)c->conf->queue_crash_budget,
                                  .retry_ms = c->conf->queue_retry_first};
}

static char *evidence_text(const void *ctx, const struct msg_death *d)
{
    const char *stage = status_name(d->stage);
    json_t *j = json_pack("{s:i, s:i, s:i, s:b, s:b, s:i, s:s, s:i, s:I, s:I, s:I, s:I}", "pid", d->pid, "exit_code",
                          d->exit_code, "signal", d->signal, "sent_by_us", d->sent_by_us, "hung", d->hung, "oom",
                          d->oom, "stage", stage != NULL ? stage : "none", "in_hand", d->n_in_hand, "in_hand_ms",
                          (json_int_t)d->in_hand_ms, "utime_ms", (json_int_t)d->utime_ms, "stime_ms",
                          (json_int_t)d->stime_ms, "maxrss_kb", (json_int_t)d->maxrss_kb);
    char *dumped = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;
    char *text = dumped != NULL ? talloc_strdup(ctx, dumped) : NULL;

    free(dumped);
    json_decref(j);
    return text;
}

static void release_params(struct coordinator *c, const struct msg_death *d, struct pg_params *p)
{
    struct rescue_evidence v = {.signal = d->signal,
                                .exit_code = d->exit_code,
                                .sent_by_us = d->sent_by_us != 0,
                                .hung = d->hung != 0,
                                .oom = d->oom == 1};
    struct uuid begun[SCORE_IN_HAND_MAX];
    bool known = !d->torn && d->n_in_hand <= SCORE_IN_HAND_MAX;
    struct rescue_limits limits = coord_limits(c);
    enum rescue_blame blame;

    for (int i = 0; i < d->n_jobs && i < SCORE_IN_HAND_MAX; i++)
        if (d->jobs[i].status > 0)
            begun[v.n_begun++] = d->jobs[i].job_id;
    if (!known)
        v.n_begun = 0;
    blame = known ? rescue_blame(&v) : BLAME_NONE;
    rescue_release_params(p, c->running_ctx, c->child.incarnation, d->serial, known ? begun : NULL, v.n_begun, blame,
                          rescue_suspects(&v), &limits, evidence_text(c->running_ctx, d));
}

void deaths_params(struct coordinator *c, struct pg_params *p)
{
    release_params(c, &c->deaths[c->first_death], p);
}

void deaths_answered(struct coordinator *c, int jobs)
{
    int64_t serial = c->deaths[c->first_death].serial;
    struct channel_msg m = {.kind = CHANNEL_RELEASED, .released = {.serial = serial, .jobs = jobs}};

    if (jobs > 0) {
        log_info("coordinator", "jobs of a dead child released", "serial", LOG_I(serial), "jobs", LOG_I(jobs), NULL);
        tasks_wake_workers(c);
    }
    if (channel_send(c->child.channel, &m) == -EAGAIN) { /* the master must hear it; twice released is no harm */
        tasks_again_in(c, TASK_RELEASE, TELL_AGAIN_MS);
        return;
    }
    pop(c);
    deaths_want(c);
}
