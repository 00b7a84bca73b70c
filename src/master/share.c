/*
 * share.c - what the master knows, where its children can read it: totals and the living, in the scoreboard's head
 *
 * A child that is gone moves to the totals out of its slot in one step, so that no counter is seen twice or goes back.
 * The api shows them at /metrics; nothing is decided by them. Who lives is for the coordinator, which takes back what
 * the dead still get in the database.
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "proc/usage.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define USAGE_EVERY_MS 5000

static enum death_cause cause_of(const struct child_slot *s, const struct msg_death *d)
{
    if (d->sent_by_us)
        return s->kill_cause == KILL_LATE ? CAUSE_LATE : s->kill_cause == KILL_HUNG ? CAUSE_HUNG : CAUSE_ENDED;
    if (d->signal == SIGKILL && d->oom == 1)
        return CAUSE_MEMORY;
    if (d->signal == SIGKILL || d->signal == SIGTERM)
        return CAUSE_OUTSIDER;
    if (d->signal != 0)
        return CAUSE_CRASH;
    return s->asked && d->exit_code == 0 ? CAUSE_ASKED : CAUSE_EXIT;
}

static uint64_t us_of(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

void share_start(struct master *m, const struct child_slot *s)
{
    scoreboard_totals_begin(m->board)->pools[s->pool].starts++;
    scoreboard_totals_end(m->board);
    share_living(m, s);
}

void share_living(struct master *m, const struct child_slot *s)
{
    scoreboard_set_living(m->board, s != NULL ? s->index : -1, s != NULL && s->pid != 0 ? s->serial : 0, m->next_serial,
                          m->n_deaths);
}

void share_death(struct master *m, const struct child_slot *s, const struct msg_death *d, const struct rusage *ru,
                 const struct score_data *score)
{
    struct totals *t = scoreboard_totals_begin(m->board);
    struct pool_totals *p = &t->pools[s->pool];

    p->deaths[cause_of(s, d)]++;
    p->user_us += us_of(&ru->ru_utime);
    p->system_us += us_of(&ru->ru_stime);
    counters_add(&t->gone, &score->counters);
    scoreboard_reset(m->board, s->index, s->pool);
    scoreboard_totals_end(m->board);
}

static void share_pool(struct master *m, int i)
{
    const struct pool_conf *c = &m->conf->pools[i];
    struct pool_totals *p;
    int target = m->drained ? c->min : pools_target(m, i); /* a drained node is not ready, and /readyz says so */

    p = scoreboard_totals_begin(m->board)->pools + i;
    memcpy(p->name, c->name, sizeof p->name);
    p->role = (int32_t)c->role;
    p->min = c->min < target ? c->min : target;
    scoreboard_totals_end(m->board);
}

void share_new_pool(struct master *m, int i)
{
    memset(scoreboard_totals_begin(m->board)->pools + i, 0, sizeof(struct pool_totals));
    scoreboard_totals_end(m->board);
}

static void share_usage(struct master *m, int64_t now)
{
    struct usage u;
    struct totals *t;
    int64_t bytes = 0;

    if (m->usage_ms != 0 && now - m->usage_ms < USAGE_EVERY_MS)
        return;
    m->usage_ms = now;
    usage_read(&u);
    (void)memory_watch_due(&m->memory, now, &bytes);
    t = scoreboard_totals_begin(m->board);
    t->started_ms = m->started_ms;
    t->user_us = u.user_us;
    t->system_us = u.system_us;
    t->descriptors = u.descriptors;
    t->log_dropped = log_dropped();
    if (bytes > 0)
        t->pss_bytes = bytes;
    scoreboard_totals_end(m->board);
}

void share_process(struct master *m, int64_t now)
{
    for (int i = 0; i < m->conf->n_pools; i++)
        share_pool(m, i);
    share_usage(m, now);
}
