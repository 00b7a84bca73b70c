/*
 * supervise.c - the children: what is due, and when
 *
 * supervise_process() runs after every event (a post source): it carries out what pool_policy and stop_policy answer,
 * gives deaths to the coordinator, and sets the one timer for the next moment at which something is due. With nothing
 * due the master sleeps.
 *
 * Diagnostics
 *   warns   a child that is late, hangs, or does not finish
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "proc/trace.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#define TERM_GRACE_MS 5000
#define IDLE_TICK_MS  10000 /* the longest sleep: refreshes the memory baseline and systemd's status */
#define TRACE_WAIT_MS 1000
#define API_ALONE_MS  10000 /* with the database away, api is started without a coordinator after this */

/* ---- actions ---- */

/* Asks a child that is to be killed where it is, and gives it a moment to say so. True: it has, or the moment is over. */
static bool said_where(struct child_slot *s, enum kill_cause cause, int64_t now, int64_t *wake)
{
    char trace[MASTER_TRACE_BYTES];
    struct score_trace t;

    if (s->trace_asked_ms == 0) {
        s->trace_asked_ms = now;
        s->sent_signal = TRACE_SIGNAL; /* so early in its life that it has no handler yet, it dies of that */
        s->kill_cause = cause;
        kill(s->pid, TRACE_SIGNAL);
    }
    if (now - s->trace_asked_ms >= TRACE_WAIT_MS ||
        scoreboard_trace(s->master->board, s->index, &t) == SCORE_TRACE_WHOLE) {
        child_tell_trace(s, trace);
        return true;
    }
    if (now + POLICY_TRACE_LOOK_MS < *wake)
        *wake = now + POLICY_TRACE_LOOK_MS;
    return false;
}

static void act(struct master *m, struct child_slot *s, enum slot_action action, const struct slot_pulse *pulse,
                int64_t now, int64_t *wake)
{
    char trace[MASTER_TRACE_BYTES];

    switch (action) {
    case SLOT_NOTHING:
        return;
    case SLOT_START:
        child_start(m, s);
        return;
    case SLOT_PING:
        child_ping(s);
        return;
    case SLOT_KILL_LATE:
        if (!said_where(s, KILL_LATE, now, wake))
            return;
        child_log(LOG_LVL_WARN, s, "child is not ready in time");
        child_kill(s, SIGKILL, KILL_LATE);
        return;
    case SLOT_TRACE_HUNG:
        child_ask_trace(s, pulse);
        return;
    case SLOT_TERM_HUNG:
        child_tell_trace(s, trace);
        child_log(LOG_LVL_WARN, s, trace[0] != '\0' ? "child hangs; TERM" : "child hangs and did not say where; TERM");
        child_kill(s, SIGTERM, KILL_HUNG);
        return;
    case SLOT_KILL_HUNG:
        child_log(LOG_LVL_WARN, s, "child still hangs; KILL");
        child_kill(s, SIGKILL, KILL_HUNG);
        return;
    case SLOT_KILL_SLOW:
        if (!said_where(s, KILL_RETIRED, now, wake))
            return;
        child_log(LOG_LVL_WARN, s, "child did not finish within the limit; KILL");
        child_kill(s, SIGKILL, KILL_RETIRED);
        return;
    }
}

/* Nobody works under a node name that another master may hold: the first coordinator has to be ready before the rest
 * start. With the database away, api starts all the same, so that /livez is answered. */
static bool may_start(const struct master *m, const struct child_slot *s, int64_t now, int64_t *wake)
{
    int64_t alone = m->started_ms + API_ALONE_MS;

    if (m->coordinated || child_role(s) == POOL_COORDINATOR)
        return true;
    if (child_role(s) != POOL_API || m->refused)
        return false;
    if (now < alone && alone < *wake)
        *wake = alone;
    return now >= alone;
}

static bool wanted(const struct master *m, const struct child_slot *s, int64_t now, int64_t *wake)
{
    if (m->stop.mode == STOP_NONE)
        return s->policy.place == PLACE_HELD && !m->pools[s->pool].faults.failed &&
               (s->policy.state != SLOT_EMPTY || may_start(m, s, now, wake));
    /* Workers that drain need somebody who takes back what they leave. */
    return m->stop.mode == STOP_DRAIN && child_role(s) == POOL_COORDINATOR && !m->stop.coord_told;
}

static struct slot_pulse pulse_of(const struct master *m, const struct child_slot *s)
{
    struct score_pulse p;
    struct score_trace t;

    if (s->policy.state == SLOT_TRACED)
        return (struct slot_pulse){.traced = scoreboard_trace(m->board, s->index, &t) == SCORE_TRACE_WHOLE};
    if (s->policy.state != SLOT_UP)
        return (struct slot_pulse){0};
    scoreboard_pulse(m->board, s->index, &p);
    return (struct slot_pulse){.beat_ms = p.beat_ms,
                               .busy_deadline_ms = p.busy_deadline_ms,
                               .progress = p.progress,
                               .working = child_role(s) == POOL_WORKER && p.phase == SCORE_BUSY};
}

static void process_slots(struct master *m, int64_t now, int64_t *wake)
{
    for (int i = 0; i < m->n_slots; i++) {
        struct child_slot *s = &m->slots[i];
        struct slot_pulse pulse = pulse_of(m, s);
        bool want = wanted(m, s, now, wake);

        slot_looked_at(&s->policy, &pulse, now);
        act(m, s, slot_step(&s->policy, &pulse, want, now, &m->limits, wake), &pulse, now, wake);
        /* What was just begun has its own time. */
        (void)slot_step(&s->policy, &pulse, want, now, &m->limits, wake);
    }
}

static void for_role(struct master *m, bool front, bool kill_it, int64_t limit_ms)
{
    for (int i = 0; i < m->n_slots; i++) {
        struct child_slot *s = &m->slots[i];

        if ((child_role(s) != POOL_COORDINATOR) != front || s->pid == 0)
            continue;
        if (kill_it)
            child_kill(s, SIGKILL, KILL_STOP);
        else
            child_drain(s, limit_ms, KILL_STOP);
    }
}

static void stop_look(struct master *m, struct stop_view *v)
{
    struct child_slot *c = coordinator_slot(m);
    struct score_data score;

    *v = (struct stop_view){0};
    for (int i = 0; i < m->n_slots; i++) {
        if (m->slots[i].pid != 0 && child_role(&m->slots[i]) == POOL_COORDINATOR)
            v->coord_alive++;
        else if (m->slots[i].pid != 0)
            v->front_alive++;
    }
    /* A coordinator without its database releases nothing: do not wait for it. */
    if (c != NULL && scoreboard_read(m->board, c->index, &score) == 0 && score.db_ok == 1)
        v->deaths_unanswered = m->n_deaths + audit_pending(m);
}

static void process_stop(struct master *m, int64_t now, int64_t *wake)
{
    enum stop_action a;

    do {
        struct stop_view v;

        stop_look(m, &v);
        a = stop_step(&m->stop, &v, now, wake);
        switch (a) {
        case STOP_WAIT:
            break;
        case STOP_DRAIN_FRONT:
            for_role(m, true, false, stop_front_limit_ms(&m->stop, now));
            break;
        case STOP_KILL_FRONT:
            log_warn("supervise", "children did not finish within the limit; KILL", NULL);
            for_role(m, true, true, 0);
            break;
        case STOP_DRAIN_COORD:
            for_role(m, false, false, stop_coord_limit_ms(&m->stop, now));
            break;
        case STOP_KILL_ALL:
            for_role(m, true, true, 0);
            for_role(m, false, true, 0);
            break;
        case STOP_DONE:
            sd_event_exit(m->event, 0);
            break;
        }
    } while (a != STOP_WAIT && a != STOP_DONE);
}

static int64_t owed_limit_ms(const struct master *m, const struct child_slot *s, int64_t now)
{
    if (m->stop.mode == STOP_NONE)
        return s->policy.drain_by_ms > now ? s->policy.drain_by_ms - now : 0;
    return child_role(s) == POOL_COORDINATOR ? stop_coord_limit_ms(&m->stop, now) : stop_front_limit_ms(&m->stop, now);
}

/* DRAIN that a full channel refused is a promise, not a hint. */
static void process_owed(struct master *m, int64_t now, int64_t *wake)
{
    for (int i = 0; i < m->n_slots; i++) {
        struct child_slot *s = &m->slots[i];

        if (!s->drain_owed || s->pid == 0)
            continue;
        child_drain(s, owed_limit_ms(m, s, now), KILL_STOP);
        if (s->drain_owed && now + 100 < *wake)
            *wake = now + 100;
    }
}

/* A name that stays taken is not a start-up failure to wait out: the daemon says so and ends. Unless its holder was seen
 * to live, it is tried again for a while, since the server may not have noticed yet that this node's former life is
 * gone. */
static void process_refusal(struct master *m, int64_t now, int64_t *wake)
{
    int64_t until = m->started_ms + m->limits.ready_ms;

    if (m->coordinated || !m->refused || m->stop.mode != STOP_NONE)
        return;
    if (now < until && !m->taken) {
        if (until < *wake)
            *wake = until;
        return;
    }
    for (int i = 0; i < m->n_slots; i++)
        if (child_role(&m->slots[i]) == POOL_COORDINATOR)
            log_error("supervise", "cannot work: the coordinator is refused", "cause", m->slots[i].last_death, NULL);
    m->failed = true;
    supervise_stop(m, STOP_FAST);
}

/* After a suspend connections are dead and loops stand where they stood. */
static void process_suspend(struct master *m, int64_t now)
{
    int64_t held_ms = suspend_look(&m->suspend, now, clock_boot_ms());

    if (held_ms == 0)
        return;
    log_warn("supervise", "the machine or the master was held up; nobody is called hung for it", "for_ms",
             LOG_I(held_ms), NULL);
    for (int i = 0; i < m->n_slots; i++)
        slot_excuse(&m->slots[i].policy, now, &m->limits);
}

void supervise_process(struct master *m)
{
    int64_t now = clock_ms(), wake = now + IDLE_TICK_MS;

    process_suspend(m, now);
    process_refusal(m, now, &wake);
    process_stop(m, now, &wake);
    reload_process(m, now, &wake);
    pools_process(m, now, &wake);
    process_slots(m, now, &wake);
    process_owed(m, now, &wake);
    logfile_process(m, now, &wake);
    share_process(m, now);
    death_send(m);
    audit_send(m);
    suspend_next(&m->suspend, wake);
    sd_event_source_set_time(m->timer, (uint64_t)(wake > now ? wake : now + 1) * 1000);
    sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT);
}

void supervise_stop(struct master *m, enum stop_mode mode)
{
    static const char *const words[] = {"", "draining", "stopping fast", "stopping at once"};

    if (mode <= m->stop.mode)
        return;
    reload_abandon(m);
    log_info("supervise", words[mode], "limit_ms", LOG_I(m->conf->supervise_drain_timeout), NULL);
    stop_begin(&m->stop, mode, mode == STOP_NOW ? 0 : m->conf->supervise_drain_timeout, clock_ms());
    rundir_close_api(m); /* who connects now is refused, not left waiting */
}

/* ---- set-up ---- */

static int handle_timer(sd_event_source *src, uint64_t due_us, void *arg)
{
    (void)src;
    (void)due_us;
    death_baseline(arg);
    return 0;
}

void supervise_apply(struct master *m)
{
    m->limits = (struct policy_limits){
        .ready_ms = m->conf->supervise_ready_timeout,
        .backoff_first_ms = m->conf->supervise_backoff_first,
        .backoff_cap_ms = m->conf->supervise_backoff_cap,
        .hang_ms = m->conf->supervise_hang_timeout,
        .stuck_ms = m->conf->queue_stage_deadline,
        .trace_ms = TRACE_WAIT_MS,
        .term_ms = TERM_GRACE_MS,
        .fail_deaths = (int)m->conf->supervise_fail_deaths,
        .fail_window_ms = m->conf->supervise_fail_window,
    };
}

int supervise_init(struct master *m, struct error *e)
{
    int r;

    supervise_apply(m);
    r = pools_init(m, e);
    if (r != 0)
        return r;
    r = sd_event_add_time(m->event, &m->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, handle_timer, m);
    if (r < 0)
        return reason_error(e, REASON_os_error, -r, "timer: %s", strerror(-r));
    return 0;
}
