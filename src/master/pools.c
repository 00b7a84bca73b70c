/*
 * pools.c - which slots hold a pool's children: retiring, replacing, more and fewer of them
 *
 * Carries out what pool_plan.c answers, after every event. A pool has room for its largest number of children and for
 * pools_room() successors; the room bounds how many retiring children there are at once, with their memory and their
 * database connections.
 *
 * An api place's listening socket outlives its children. It goes with the place: a successor gets the socket of the
 * child that it relieves, both accept from it until the elder drains, so nobody is refused and nobody waits.
 *
 * Diagnostics
 *   errors  a memory limit that a fresh child does not keep; it is not applied
 *   warns   a place that has no listening socket because none could be made
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#define WEAR_EVERY_MS 1000

int pools_target(const struct master *m, int pool)
{
    const struct pool_state *state = &m->pools[pool];

    int target = state->scaled != POOL_BY_DEMAND ? state->scaled : state->size.size;

    if (state->drained || pool_is_gone(m, pool))
        return 0;
    return target < state->most ? target : state->most;
}

/* ---- carrying out ---- */

static bool is_api(const struct child_slot *s)
{
    return s->master->conf->pools[s->pool].role == POOL_API;
}

static void listen_at(struct master *m, struct child_slot *s)
{
    struct error e = {0};

    if (is_api(s) && s->listen_tcp < 0 && rundir_listen_slot(m, s, &e) != 0)
        log_warn("pools", "no listening socket for one more child", "error", e.message, NULL);
}

static void tell(const struct child_slot *s, const char *msg, enum retire_cause cause)
{
    log_event(LOG_LVL_INFO, "pools", msg, "pool", s->master->conf->pools[s->pool].name, "slot", LOG_I(s->number),
              "child", LOG_I(s->pid), "serial", LOG_I(s->serial), "why", retire_cause_text(cause), NULL);
}

static void drain_retiring(struct child_slot *s, int64_t limit_ms)
{
    child_drain(s, limit_ms, KILL_RETIRED);
    if (s->policy.state == SLOT_DRAINING)
        s->policy.drain_by_ms = clock_ms() + limit_ms;
}

/* The coordinator keeps the node's name locked until it is gone, and a goodbye would tell the other nodes that this one
 * leaves: its successor takes over as after a crash. */
static void restart_child(struct child_slot *s)
{
    if (s->master->conf->pools[s->pool].role == POOL_COORDINATOR)
        child_kill(s, SIGTERM, KILL_RETIRED);
    else
        drain_retiring(s, STOP_FAST_MS);
}

static void carry_out(struct master *m, int pool, const struct pool_action *a)
{
    struct child_slot *s = pool_slot(m, pool, a->slot);

    switch (a->kind) {
    case POOL_NOTHING:
        return;
    case POOL_HOLD:
        listen_at(m, s);
        return;
    case POOL_RELEASE:
        rundir_close_slot(m, s); /* before its child drains: then nobody is sent there any more */
        if (s->pid == 0)
            return;
        tell(s, "child retires", a->cause);
        if (s->policy.state == SLOT_STARTING)
            child_kill(s, SIGKILL, KILL_RETIRED);
        return;
    case POOL_REPLACE:
        tell(s, "child retires, its successor is started", a->cause);
        pool_slot(m, pool, a->successor)->listen_tcp = s->listen_tcp;
        s->listen_tcp = -1;
        return;
    case POOL_DRAIN:
        drain_retiring(s, m->conf->supervise_drain_timeout);
        return;
    case POOL_RESTART:
        tell(s, "child is restarted", a->cause);
        restart_child(s);
        return;
    }
}

static void process_pool(struct master *m, int pool)
{
    const struct pool_state *state = &m->pools[pool];
    const struct pool_goal goal = {.target = pools_target(m, pool),
                                   .overlap = m->conf->pools[pool].role != POOL_COORDINATOR};
    struct slot_policy *policies[CONF_MAX_POOL_SIZE * 2];
    bool busy[CONF_MAX_POOL_SIZE * 2];
    struct pool_action a;

    for (int i = 0; i < state->n_slots; i++) {
        struct score_pulse pulse;

        policies[i] = &pool_slot(m, pool, i)->policy;
        scoreboard_pulse(m->board, pool_slot(m, pool, i)->index, &pulse);
        busy[i] = pulse.phase == SCORE_BUSY;
    }
    while ((a = pool_plan_step(policies, busy, state->n_slots, &goal)).kind != POOL_NOTHING) {
        pool_plan_apply(policies, state->n_slots, &a);
        carry_out(m, pool, &a);
    }
}

/* ---- how many ---- */

static bool work_is_queued(const struct master *m)
{
    const struct child_slot *c = coordinator_slot(m);
    struct score_data score;

    if (c == NULL || scoreboard_read(m->board, c->index, &score) != 0)
        return false;
    return score.queue_counted_ms > 0 && score.queue_by_state[STATE_QUEUED] > 0;
}

/* Of an api child that is busy nobody knows what waits in its socket. */
static bool work_waits(const struct master *m, int pool, int64_t now)
{
    if (m->conf->pools[pool].role == POOL_API)
        return true;
    return (m->missed_ms > 0 && now - m->missed_ms <= SIZE_UP_MS) || work_is_queued(m);
}

static void process_size(struct master *m, int pool, int64_t now, int64_t *wake)
{
    struct pool_state *state = &m->pools[pool];
    const struct pool_conf *p = &m->conf->pools[pool];
    const struct pool_range range = {
        .min = p->min, .max = p->max, .spare = p->spare, .idle_ms = m->conf->supervise_idle_timeout};
    int before = state->size.size;
    struct pool_load load = {0};

    for (int i = 0; i < state->n_slots; i++) {
        const struct child_slot *s = pool_slot(m, pool, i);
        struct score_pulse pulse;

        if (s->policy.place != PLACE_HELD)
            continue;
        scoreboard_pulse(m->board, s->index, &pulse);
        load.held++;
        load.busy += s->policy.state == SLOT_UP && pulse.phase == SCORE_BUSY;
        load.idle += s->policy.state == SLOT_STARTING || (s->policy.state == SLOT_UP && pulse.phase != SCORE_BUSY);
    }
    load.waits = load.busy == load.held && work_waits(m, pool, now);
    pool_size_step(&state->size, &range, &load, now, wake);
    if (state->size.size != before)
        log_info("pools", state->size.size > before ? "more children for the work" : "fewer children, some are idle",
                 "pool", m->conf->pools[pool].name, "size", LOG_I(state->size.size), "busy", LOG_I(load.busy), NULL);
}

/* ---- enough done ---- */

static void hold_against_fresh(struct master *m, int pool, const struct wear_limits *l, int64_t fresh_bytes)
{
    struct pool_state *state = &m->pools[pool];
    const char *name = m->conf->pools[pool].name;
    char text[200];

    if (fresh_bytes <= 0 || (state->fresh_bytes > 0 && fresh_bytes >= state->fresh_bytes))
        return;
    state->fresh_bytes = fresh_bytes;
    if (wear_memory_is_possible(l, fresh_bytes) || state->memory_refused)
        return;
    state->memory_refused = true;
    snprintf(text, sizeof text,
             "max_memory of pool %s is %lld kB, and a fresh child uses %lld kB already: the limit is not applied", name,
             (long long)l->max_memory / 1024, (long long)fresh_bytes / 1024);
    log_error("pools", text, "hint", "Set it to twice what a fresh child uses, or more.", NULL);
    services_raise(m->services, name, reason_name(REASON_bad_config), text, clock_ms());
}

static void look_at_wear(struct master *m, struct child_slot *s, const struct wear_limits *given, int64_t now)
{
    struct wear_limits l = *given;
    struct score_data score;
    struct wear w;
    enum retire_cause why;

    if (s->policy.place != PLACE_HELD || s->policy.state != SLOT_UP || scoreboard_read(m->board, s->index, &score) != 0)
        return;
    hold_against_fresh(m, s->pool, &l, score.fresh_bytes);
    if (m->pools[s->pool].memory_refused)
        l.max_memory = 0;
    w = (struct wear){.jobs = score.jobs_done + score.jobs_failed + score.requests,
                      .age_ms = now - s->started_ms,
                      .memory = score.private_bytes};
    why = wear_verdict(&l, &w, wear_jitter(s->serial));
    if (why != RETIRE_NOT)
        slot_wish(&s->policy, why);
}

static void process_wear(struct master *m, int pool, int64_t now, int64_t *wake)
{
    const struct pool_conf *p = &m->conf->pools[pool];
    const struct wear_limits l = {.max_jobs = p->max_jobs, .max_age_ms = p->max_age_ms, .max_memory = p->max_memory};
    struct pool_state *state = &m->pools[pool];

    if (l.max_jobs == 0 && l.max_age_ms == 0 && l.max_memory == 0)
        return;
    if (now - state->wear_ms >= WEAR_EVERY_MS) {
        state->wear_ms = now;
        for (int i = 0; i < state->n_slots; i++)
            look_at_wear(m, pool_slot(m, pool, i), &l, now);
    }
    if (state->wear_ms + WEAR_EVERY_MS < *wake)
        *wake = state->wear_ms + WEAR_EVERY_MS;
}

void pools_process(struct master *m, int64_t now, int64_t *wake)
{
    if (m->stop.mode != STOP_NONE)
        return;
    for (int p = 0; p < m->conf->n_pools; p++) {
        if (m->conf->pools[p].min < m->conf->pools[p].max && !m->pools[p].drained &&
            m->pools[p].scaled == POOL_BY_DEMAND)
            process_size(m, p, now, wake);
        process_wear(m, p, now, wake);
        process_pool(m, p);
    }
}

/* ---- for the other files ---- */

int pools_retire(struct master *m, int slot, enum retire_cause cause)
{
    struct child_slot *s = &m->slots[slot];

    if (s->pid == 0 || s->policy.place != PLACE_HELD)
        return -ESRCH;
    slot_wish(&s->policy, cause);
    return 0;
}

int pools_retire_all(struct master *m, int pool, enum retire_cause cause)
{
    const struct pool_state *state = &m->pools[pool];
    int n = 0;

    for (int i = 0; i < state->n_slots; i++)
        n += pools_retire(m, pool_slot(m, pool, i)->index, cause) == 0;
    return n;
}

void pools_try_now(struct master *m, int pool)
{
    for (int i = 0; i < m->pools[pool].n_slots; i++)
        slot_try_now(&pool_slot(m, pool, i)->policy, clock_ms());
}

static void count_one(const struct child_slot *s, struct pool_count *out)
{
    if (s->policy.place == PLACE_RETIRING)
        out->retiring++;
    if (s->policy.place != PLACE_HELD)
        return;
    out->held++;
    out->wishes += s->policy.wish != RETIRE_NOT;
    out->waiting += s->pid == 0;
    out->starting += s->policy.state == SLOT_STARTING;
    out->up += s->policy.state == SLOT_UP;
}

void pools_count(const struct master *m, int pool, struct pool_count *out)
{
    const struct pool_state *state = &m->pools[pool];

    *out = (struct pool_count){0};
    for (int i = 0; i < state->n_slots; i++)
        count_one(pool_slot(m, pool, i), out);
}

/* ---- failed for good ---- */

static uint64_t finished_by_living(const struct master *m, int pool)
{
    const struct pool_state *state = &m->pools[pool];
    uint64_t n = 0;

    for (int i = 0; i < state->n_slots; i++) {
        const struct child_slot *s = pool_slot(m, pool, i);
        struct score_data score;

        if (s->pid == 0)
            continue;
        (void)scoreboard_read(m->board, s->index, &score);
        n += score.jobs_done + score.jobs_failed + score.requests;
    }
    return n;
}

static void fail_pool(struct master *m, int pool)
{
    struct pool_state *state = &m->pools[pool];
    char text[300];

    snprintf(text, sizeof text, "pool %s is given up after %d faults: %s; `docmillctl reset %s` tries again",
             m->conf->pools[pool].name, state->faults.n, state->fault, m->conf->pools[pool].name);
    log_error("pools", text, NULL);
    services_raise(m->services, m->conf->pools[pool].name, reason_name(REASON_start_failed), text, clock_ms());
}

static void count_fault(struct master *m, struct child_slot *s, const struct slot_death *d)
{
    struct pool_state *state = &m->pools[s->pool];
    uint64_t finished = finished_by_living(m, s->pool);

    if (d->kind == DEATH_FAULT)
        memcpy(state->fault, s->last_death, sizeof state->fault);
    if (finished > state->finished_before)
        state->faults.n = 0; /* the others get on */
    if (state->faults.n == 0)
        state->finished_before = finished;
    if (pool_fault(&state->faults, d, pools_target(m, s->pool), clock_ms(), &m->limits))
        fail_pool(m, s->pool);
}

void pools_reset(struct master *m, int pool)
{
    struct pool_state *state = &m->pools[pool];

    state->faults = (struct pool_faults){0};
    for (int i = 0; i < state->n_slots; i++)
        slot_forgive(&pool_slot(m, pool, i)->policy);
}

void pools_child_gone(struct master *m, struct child_slot *s, const struct slot_death *d)
{
    const struct pool_state *state = &m->pools[s->pool];
    struct slot_policy *policies[CONF_MAX_POOL_SIZE * 2];

    for (int i = 0; i < state->n_slots; i++)
        policies[i] = &pool_slot(m, s->pool, i)->policy;
    pool_plan_child_gone(policies, state->n_slots, s->number);
    count_fault(m, s, d);
}
