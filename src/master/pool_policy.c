/*
 * pool_policy.c - see pool_policy.h
 *
 * Pure but for the jitter of a backoff. Called by supervise.c only.
 *
 * Depends on base.
 */
#include "master/pool_policy.h"

#include "base/clock.h"

#include <signal.h>
#include <string.h>

static void wake_at(int64_t *wake_ms, int64_t at_ms)
{
    if (at_ms < *wake_ms)
        *wake_ms = at_ms;
}

void slot_set_state(struct slot_policy *s, enum slot_state state, int64_t now_ms)
{
    s->state = state;
    s->since_ms = now_ms;
}

void slot_started(struct slot_policy *s, int64_t now_ms)
{
    slot_set_state(s, SLOT_STARTING, now_ms);
    s->ready_ms = 0;
    s->pinged_ms = 0;
    s->progress_ms = 0;
    s->drain_by_ms = 0;
    s->wish = 0; /* this one is the replacement */
}

void slot_became_ready(struct slot_policy *s, int64_t now_ms)
{
    if (s->state != SLOT_STARTING)
        return; /* said late or twice: what we do with it stands */
    slot_set_state(s, SLOT_UP, now_ms);
    s->ready_ms = now_ms;
}

void slot_try_now(struct slot_policy *s, int64_t now_ms)
{
    if (s->state == SLOT_EMPTY && s->start_at_ms > now_ms)
        s->start_at_ms = now_ms;
}

void slot_pinged(struct slot_policy *s, int64_t now_ms)
{
    s->pinged_ms = now_ms;
}

static int64_t wait_longer(struct slot_policy *s, int64_t now_ms, const struct policy_limits *l)
{
    int64_t wait = backoff_ms(l->backoff_first_ms, l->backoff_cap_ms, s->failures);

    s->failures++;
    s->start_at_ms = now_ms + wait;
    return wait;
}

void slot_start_failed(struct slot_policy *s, int64_t now_ms, const struct policy_limits *l)
{
    slot_set_state(s, SLOT_EMPTY, now_ms);
    (void)wait_longer(s, now_ms, l);
}

/* Enters a death in the ring; true if the ring was full of deaths within the window. */
static bool too_many_deaths(struct slot_policy *s, int64_t now_ms)
{
    int64_t *oldest = &s->deaths_ms[s->n_deaths % POLICY_WINDOW_DEATHS];
    bool full = s->n_deaths >= POLICY_WINDOW_DEATHS && now_ms - *oldest < POLICY_WINDOW_MS;

    *oldest = now_ms;
    s->n_deaths++;
    return full;
}

void slot_forgive(struct slot_policy *s)
{
    s->failures = 0;
    s->n_deaths = 0;
    s->start_at_ms = 0;
}

int64_t slot_died(struct slot_policy *s, const struct slot_death *d, int64_t now_ms, const struct policy_limits *l)
{
    bool was_ready = s->ready_ms != 0;
    bool stable = was_ready && now_ms - s->ready_ms >= POLICY_STABLE_MS;

    slot_set_state(s, SLOT_EMPTY, now_ms);
    s->start_at_ms = now_ms;
    if (stable) {
        s->failures = 0;
        s->n_deaths = 0;
    }
    s->ready_ms = 0;
    if (d->kind == DEATH_OUTSIDER && was_ready)
        return 0;
    if (d->kind == DEATH_ASKED && s->retires != 0)
        return 0;
    if (too_many_deaths(s, now_ms) || (d->kind == DEATH_FAULT && !d->finished && !stable))
        return wait_longer(s, now_ms, l);
    return 0;
}

bool pool_fault(struct pool_faults *f, const struct slot_death *d, int children, int64_t now_ms,
                const struct policy_limits *l)
{
    if (d->finished)
        f->n = 0;
    if (d->kind != DEATH_FAULT || d->by_us || d->in_hand || d->outside || l->fail_deaths == 0 || f->failed)
        return false;
    if (f->n == 0 || now_ms - f->first_ms > l->fail_window_ms) {
        f->n = 0;
        f->first_ms = now_ms;
    }
    f->n++;
    if (f->n < l->fail_deaths * (children > 0 ? children : 1))
        return false;
    f->failed = true;
    f->failed_ms = now_ms;
    return true;
}

void slot_looked_at(struct slot_policy *s, const struct slot_pulse *p, int64_t now_ms)
{
    if (s->state == SLOT_UP && p->working && p->progress == s->progress && s->progress_ms != 0)
        return;
    s->progress = p->progress;
    s->progress_ms = now_ms;
}

void slot_excuse(struct slot_policy *s, int64_t now_ms, const struct policy_limits *l)
{
    s->excused_ms = now_ms + l->hang_ms;
    s->progress_ms = now_ms;
    if (s->state == SLOT_STARTING)
        s->since_ms = now_ms;
}

static int64_t last_beat(const struct slot_policy *s, const struct slot_pulse *p)
{
    return p->beat_ms > s->since_ms ? p->beat_ms : s->since_ms;
}

enum slot_hang slot_hangs(const struct slot_policy *s, const struct slot_pulse *p, int64_t now_ms,
                          const struct policy_limits *l)
{
    if (now_ms < s->excused_ms)
        return HANG_NOT;
    if (p->busy_deadline_ms > 0 && now_ms > p->busy_deadline_ms)
        return HANG_DEADLINE;
    if (now_ms - last_beat(s, p) >= l->hang_ms)
        return HANG_LOOP;
    if (p->working && s->progress_ms > 0 && now_ms - s->progress_ms >= l->stuck_ms)
        return HANG_STUCK;
    return HANG_NOT;
}

static enum slot_action step_up(const struct slot_policy *s, const struct slot_pulse *p, int64_t now_ms,
                                const struct policy_limits *l, int64_t *wake_ms)
{
    int64_t beat = last_beat(s, p);

    if (slot_hangs(s, p, now_ms, l) != HANG_NOT)
        return SLOT_TRACE_HUNG;
    if (now_ms < s->excused_ms)
        wake_at(wake_ms, s->excused_ms);
    if (now_ms - beat >= l->hang_ms / 2 && now_ms - s->pinged_ms >= POLICY_PING_MS)
        return SLOT_PING;
    if (p->busy_deadline_ms >= now_ms)
        wake_at(wake_ms, p->busy_deadline_ms + 1);
    if (p->working && s->progress_ms + l->stuck_ms > now_ms)
        wake_at(wake_ms, s->progress_ms + l->stuck_ms);
    if (now_ms - beat < l->hang_ms / 2) {
        wake_at(wake_ms, beat + l->hang_ms / 2);
    } else {
        wake_at(wake_ms, s->pinged_ms + POLICY_PING_MS);
        if (beat + l->hang_ms > now_ms)
            wake_at(wake_ms, beat + l->hang_ms);
    }
    return SLOT_NOTHING;
}

enum slot_action slot_step(const struct slot_policy *s, const struct slot_pulse *pulse, bool wanted, int64_t now_ms,
                           const struct policy_limits *l, int64_t *wake_ms)
{
    switch (s->state) {
    case SLOT_EMPTY:
        if (!wanted)
            return SLOT_NOTHING;
        if (now_ms >= s->start_at_ms)
            return SLOT_START;
        wake_at(wake_ms, s->start_at_ms);
        return SLOT_NOTHING;
    case SLOT_STARTING:
        if (now_ms - s->since_ms >= l->ready_ms)
            return SLOT_KILL_LATE;
        wake_at(wake_ms, s->since_ms + l->ready_ms);
        return SLOT_NOTHING;
    case SLOT_UP:
        return step_up(s, pulse, now_ms, l, wake_ms);
    case SLOT_TRACED:
        if (pulse->traced || now_ms - s->since_ms >= l->trace_ms)
            return SLOT_TERM_HUNG;
        wake_at(wake_ms, now_ms + POLICY_TRACE_LOOK_MS);
        return SLOT_NOTHING;
    case SLOT_TERMED:
        if (now_ms - s->since_ms >= l->term_ms)
            return SLOT_KILL_HUNG;
        wake_at(wake_ms, s->since_ms + l->term_ms);
        return SLOT_NOTHING;
    case SLOT_DRAINING:
        if (s->drain_by_ms == 0)
            return SLOT_NOTHING; /* stop_policy.c keeps the time */
        if (now_ms >= s->drain_by_ms)
            return SLOT_KILL_SLOW;
        wake_at(wake_ms, s->drain_by_ms);
        return SLOT_NOTHING;
    case SLOT_KILLED:
        return SLOT_NOTHING;
    }
    return SLOT_NOTHING;
}

enum death_kind death_kind_of(const struct death_facts *f)
{
    bool kill_or_term = f->signal == SIGKILL || f->signal == SIGTERM;

    if (f->sent_by_us && kill_or_term)
        return f->hung ? DEATH_FAULT : DEATH_ASKED;
    if (kill_or_term && f->oom == 0)
        return DEATH_OUTSIDER;
    /* Whether memory ran out is hidden from us: after it was ready, believe in somebody's hand. */
    if (kill_or_term && f->oom < 0 && f->was_ready)
        return DEATH_OUTSIDER;
    if (f->asked && f->signal == 0 && f->exit_code == 0)
        return DEATH_ASKED;
    return DEATH_FAULT;
}
