/*
 * deaths.c - dead children: from the master's evidence to the queue's statement
 *
 * The master sends each death once; it is kept here until the database has answered. When the ring is full the oldest
 * is dropped with a warning: its jobs are then taken by their deadline, as if this node had died.
 *
 * What a child asked of the database in its last moment may be done after it is dead, and after its jobs were released: a
 * claim that nobody has heard of. So each is released once more a little later; what is found then was never begun.
 *
 * Depends on base, queue, proc.
 */
#include "coordinator/coordinator.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/state.h"
#include "queue/rescue.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

/* Longer than a statement that is on its way takes to arrive, and to be given up without its client. */
#define LATE_MS 2000

static void pop(struct coordinator *c)
{
    c->first_death = (c->first_death + 1) % COORD_MAX_DEATHS;
    c->n_deaths--;
}

static void pop_late(struct coordinator *c)
{
    c->first_late = (c->first_late + 1) % COORD_MAX_DEATHS;
    c->n_late--;
}

static void add_late(struct coordinator *c, int64_t serial)
{
    if (c->n_late == COORD_MAX_DEATHS)
        pop_late(c);
    c->late[(c->first_late + c->n_late++) % COORD_MAX_DEATHS] =
        (struct late_death){.serial = serial, .at_ms = clock_ms() + LATE_MS};
}

void deaths_want(struct coordinator *c)
{
    int64_t now = clock_ms(), at = c->n_late > 0 ? c->late[c->first_late].at_ms : now;

    if (c->n_deaths > 0)
        tasks_want(c, TASK_RELEASE);
    else if (c->n_late > 0)
        tasks_again_in(c, TASK_RELEASE, at > now ? at - now : 0);
}

void deaths_add(struct coordinator *c, const struct msg_death *d)
{
    if (c->n_deaths == COORD_MAX_DEATHS) {
        log_warn("coordinator", "too many deaths wait for the database, one is left to its deadline", "serial",
                 LOG_I(c->deaths[c->first_death].serial), NULL);
        pop(c);
    }
    c->deaths[(c->first_death + c->n_deaths) % COORD_MAX_DEATHS] = *d;
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
    const struct msg_death again = {.serial = c->n_late > 0 ? c->late[c->first_late].serial : 0};

    c->releasing_late = c->n_deaths == 0;
    release_params(c, c->releasing_late ? &again : &c->deaths[c->first_death], p);
}

static void tell_released(struct coordinator *c, int64_t serial, int jobs)
{
    struct channel_msg m = {.kind = CHANNEL_RELEASED, .released = {.serial = serial, .jobs = jobs}};

    if (!c->releasing_late)
        (void)channel_send(c->child.channel, &m);
    if (jobs == 0)
        return;
    log_info("coordinator",
             c->releasing_late ? "jobs that a child claimed while it died released" : "jobs of a dead child released",
             "serial", LOG_I(serial), "jobs", LOG_I(jobs), NULL);
    m = (struct channel_msg){.kind = CHANNEL_WAKE};
    (void)channel_send(c->child.channel, &m);
}

void deaths_answered(struct coordinator *c, int jobs)
{
    int64_t serial;

    if (c->releasing_late && c->n_late > 0) {
        tell_released(c, c->late[c->first_late].serial, jobs);
        pop_late(c);
    } else if (c->n_deaths > 0) {
        serial = c->deaths[c->first_death].serial;
        tell_released(c, serial, jobs);
        add_late(c, serial);
        pop(c);
    }
}
