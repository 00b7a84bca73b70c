/*
 * supervise.c - the children: events in, actions out
 *
 * handle_exit and handle_channel record what happened to one child. supervise_process() runs after every event (a post
 * source): it carries out what pool_policy and stop_policy answer, gives deaths to the coordinator, and sets the one
 * timer for the next moment at which something is due. With nothing due the master sleeps.
 *
 * A child's channel that breaks the protocol, or closes while the child lives, ends that child: the master isolates,
 * logs and goes on.
 *
 * Diagnostics
 *   warns   a child that could not be started, is late, hangs, or sends what it must not
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
#include <sys/epoll.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#define TERM_GRACE_MS 5000
#define IDLE_TICK_MS  10000 /* the longest sleep: refreshes the memory baseline and systemd's status */
#define LATE_TICK_MS  5000  /* a loop that wakes so late was itself suspended: nobody is called hung for it */
#define WAKE_IDLE_MAX 8     /* idle workers that one WAKE reaches */
#define API_ALONE_MS  10000 /* with the database away, api is started without a coordinator after this */

static enum pool_role role_of(const struct master *m, const struct child_slot *s)
{
    return m->conf->pools[s->pool].role;
}

static const char *pool_name(const struct child_slot *s)
{
    return s->master->conf->pools[s->pool].name;
}

bool slot_has_ready_child(const struct child_slot *s)
{
    return s->pid != 0 && s->policy.state == SLOT_UP;
}

static void log_child(enum log_level level, const struct child_slot *s, const char *msg)
{
    log_event(level, "supervise", msg, "pool", pool_name(s), "slot", LOG_I(s->number), "child", LOG_I(s->pid), "serial",
              LOG_I(s->serial), NULL);
}

void child_kill(struct child_slot *s, int sig, enum kill_cause cause)
{
    if (s->pid == 0)
        return;
    s->sent_signal = sig;
    s->kill_cause = cause;
    kill(s->pid, sig); /* not reaped yet, so the number is still its own */
    slot_set_state(&s->policy, sig == SIGKILL ? SLOT_KILLED : SLOT_TERMED, clock_ms());
}

/* ---- events: record only ---- */

static void relay_wake(struct master *m, const struct channel_msg *msg)
{
    int sent = 0, busy = -1;

    for (int i = 0; i < m->n_slots && sent < WAKE_IDLE_MAX; i++) {
        int at = (m->next_wake + i) % m->n_slots;
        struct child_slot *s = &m->slots[at];
        struct score_pulse pulse;

        if (role_of(m, s) != POOL_WORKER || !slot_has_ready_child(s))
            continue;
        scoreboard_pulse(m->board, at, &pulse);
        if (pulse.phase != SCORE_READY)
            busy = at;
        else if (channel_send(s->channel, msg) == 0)
            sent++;
    }
    if (sent == 0)
        m->missed_ms = clock_ms();
    if (sent == 0 && busy >= 0)
        (void)channel_send(m->slots[busy].channel, msg); /* a hint: it will look once more before it rests */
    m->next_wake = (m->next_wake + 1) % m->n_slots;
}

/* Work that came to this node: the coordinator tells the other nodes. */
static void tell_coordinator(struct master *m, const struct channel_msg *msg)
{
    struct child_slot *c = coordinator_slot(m);

    if (c != NULL)
        (void)channel_send(c->channel, msg);
}

static void record_ready(struct child_slot *s)
{
    struct master *m = s->master;

    log_event(LOG_LVL_INFO, "supervise", "child is ready", "pool", pool_name(s), "slot", LOG_I(s->number), "child",
              LOG_I(s->pid), "after_ms", LOG_I(clock_ms() - s->started_ms), NULL);
    slot_became_ready(&s->policy, clock_ms());
    if (role_of(m, s) != POOL_COORDINATOR)
        return;
    m->coordinated = true;
    for (int i = 0; i < m->n_slots; i++) /* the database answers: who failed for want of it need not wait on */
        slot_try_now(&m->slots[i].policy, clock_ms());
}

static void record_message(struct child_slot *s, const struct channel_msg *msg)
{
    struct master *m = s->master;

    switch (msg->kind) {
    case CHANNEL_READY:
        record_ready(s);
        return;
    case CHANNEL_WAKE:
        if (role_of(m, s) != POOL_WORKER)
            relay_wake(m, msg);
        if (role_of(m, s) == POOL_API)
            tell_coordinator(m, msg);
        return;
    case CHANNEL_BYE:
        s->asked = true;
        return;
    case CHANNEL_FATAL:
        s->fatal = msg->fatal;
        if (role_of(m, s) != POOL_COORDINATOR)
            return;
        m->taken = strcmp(msg->fatal.reason, reason_name(REASON_node_taken)) == 0;
        m->refused = m->taken || strcmp(msg->fatal.reason, reason_name(REASON_conflict)) == 0;
        return;
    case CHANNEL_RELEASED:
        if (role_of(m, s) == POOL_COORDINATOR)
            death_released(m, &msg->released);
        return;
    case CHANNEL_AUDITED:
        if (role_of(m, s) == POOL_COORDINATOR)
            audit_written(m, &msg->audited);
        return;
    case CHANNEL_PONG:
        return; /* its beat moved by that: see pool_policy */
    case CHANNEL_DRAIN:
    case CHANNEL_DEATH:
    case CHANNEL_AUDIT:
    case CHANNEL_PING:
    case CHANNEL_LOG:
        log_child(LOG_LVL_WARN, s, "child sent a message that only the master sends");
        child_kill(s, SIGKILL, KILL_BROKEN);
        return;
    }
}

/* Reads all there is. False if nothing more will come. */
static bool read_channel(struct child_slot *s)
{
    struct channel_msg msg;
    struct error e = {0};
    int r;

    while ((r = channel_recv(s->channel, &msg, &e)) == 0)
        record_message(s, &msg);
    if (r == -EAGAIN)
        return true;
    if (r == -EPROTO) {
        log_warn("supervise", "child broke the channel's protocol", "pool", pool_name(s), "child", LOG_I(s->pid),
                 "error", e.message, NULL);
        child_kill(s, SIGKILL, KILL_BROKEN);
    }
    return false;
}

static int handle_channel(sd_event_source *src, int fd, uint32_t events, void *arg)
{
    struct child_slot *s = arg;

    (void)fd;
    (void)events;
    if (!read_channel(s))
        sd_event_source_set_enabled(src, SD_EVENT_OFF); /* closed: its end is near, and comes by the pidfd */
    return 0;
}

static void forget_child(struct child_slot *s)
{
    s->pid_source = sd_event_source_disable_unref(s->pid_source);
    s->channel_source = sd_event_source_disable_unref(s->channel_source);
    if (s->pidfd >= 0)
        close(s->pidfd);
    if (s->channel >= 0)
        close(s->channel);
    s->pidfd = s->channel = -1;
    s->pid = 0;
}

static int handle_exit(sd_event_source *src, int fd, uint32_t events, void *arg)
{
    struct child_slot *s = arg;
    struct master *m = s->master;
    struct rusage ru;
    enum death_kind kind;
    int64_t wait_ms;
    int status;

    (void)src;
    (void)fd;
    (void)events;
    if (wait4(s->pid, &status, WNOHANG, &ru) != s->pid)
        return 0;
    (void)read_channel(s); /* what it said before it went */
    kind = death_record(m, s, status, &ru);
    services_child_died(m->services, s->pid, clock_ms());
    if (kind == DEATH_FAULT)
        services_raise(m->services, pool_name(s),
                       s->fatal.reason[0] != '\0' ? s->fatal.reason : reason_name(REASON_worker_lost), s->last_death,
                       clock_ms());
    if (kind == DEATH_FAULT && s->generation == m->generation) {
        m->generation_faults++;
        memcpy(m->generation_fault, s->last_death, sizeof m->generation_fault);
    }
    forget_child(s);
    scoreboard_reset(m->board, s->index, s->pool);
    if (role_of(m, s) == POOL_COORDINATOR) {
        death_unsend(m);
        audit_unsend(m);
    } else {
        death_send(m); /* before anything else: jobs wait for it */
    }
    wait_ms = slot_died(&s->policy, kind, clock_ms(), &m->limits);
    pools_child_gone(m, s);
    if (wait_ms > 0 && m->stop.mode == STOP_NONE)
        log_warn("supervise", "waiting before the next start", "pool", pool_name(s), "slot", LOG_I(s->number),
                 "wait_ms", LOG_I(wait_ms), "failures", LOG_I(s->policy.failures), NULL);
    return 0;
}

/* ---- actions ---- */

static void start_child(struct master *m, struct child_slot *s)
{
    struct error e = {0};
    int r;

    s->sent_signal = 0;
    s->kill_cause = KILL_NONE;
    s->asked = s->drain_owed = s->log_owed = false;
    memset(&s->fatal, 0, sizeof s->fatal);
    r = spawn_child(m, s, &e);
    if (r != 0) {
        snprintf(s->last_death, sizeof s->last_death, "not started: %.150s", e.message);
        log_warn("supervise", "child could not be started", "pool", pool_name(s), "error", e.message, NULL);
        slot_start_failed(&s->policy, clock_ms(), &m->limits);
        return;
    }
    s->started_ms = clock_ms();
    s->generation = m->generation;
    s->starts++;
    m->totals.starts++;
    slot_started(&s->policy, s->started_ms);
    r = sd_event_add_io(m->event, &s->pid_source, s->pidfd, EPOLLIN, handle_exit, s);
    if (r >= 0)
        r = sd_event_add_io(m->event, &s->channel_source, s->channel, EPOLLIN, handle_channel, s);
    if (r < 0) /* out of descriptors or memory: without eyes on it, it must not live */
        log_panic("supervise", "a child cannot be watched");
    /* Deaths go before hints and questions: jobs wait for them. */
    sd_event_source_set_priority(s->pid_source, SD_EVENT_PRIORITY_IMPORTANT);
    log_child(LOG_LVL_DEBUG, s, "child started");
}

static void send_ping(struct child_slot *s)
{
    const struct channel_msg ping = {.kind = CHANNEL_PING};

    (void)channel_send(s->channel, &ping); /* a full channel is answered by the hang limit */
    slot_pinged(&s->policy, clock_ms());
}

static void act(struct master *m, struct child_slot *s, enum slot_action action)
{
    switch (action) {
    case SLOT_NOTHING:
        return;
    case SLOT_START:
        start_child(m, s);
        return;
    case SLOT_PING:
        send_ping(s);
        return;
    case SLOT_KILL_LATE:
        log_child(LOG_LVL_WARN, s, "child is not ready in time");
        child_kill(s, SIGKILL, KILL_LATE);
        return;
    case SLOT_TERM_HUNG:
        log_child(LOG_LVL_WARN, s, "child hangs: its loop or its work passed the deadline; TERM");
        child_kill(s, SIGTERM, KILL_HUNG);
        return;
    case SLOT_KILL_HUNG:
        log_child(LOG_LVL_WARN, s, "child still hangs; KILL");
        child_kill(s, SIGKILL, KILL_HUNG);
        return;
    case SLOT_KILL_SLOW:
        log_child(LOG_LVL_WARN, s, "child did not finish within the limit; KILL");
        child_kill(s, SIGKILL, KILL_RETIRED);
        return;
    }
}

/* Nobody works under a node name that another master may hold: the first coordinator has to be ready before the rest
 * start. With the database away, api starts all the same, so that /livez is answered. */
static bool may_start(const struct master *m, const struct child_slot *s, int64_t now, int64_t *wake)
{
    int64_t alone = m->started_ms + API_ALONE_MS;

    if (m->coordinated || role_of(m, s) == POOL_COORDINATOR)
        return true;
    if (role_of(m, s) != POOL_API || m->refused)
        return false;
    if (now < alone && alone < *wake)
        *wake = alone;
    return now >= alone;
}

static bool wanted(const struct master *m, const struct child_slot *s, int64_t now, int64_t *wake)
{
    if (m->stop.mode == STOP_NONE)
        return s->policy.place == PLACE_HELD && (s->policy.state != SLOT_EMPTY || may_start(m, s, now, wake));
    /* Workers that drain need somebody who takes back what they leave. */
    return m->stop.mode == STOP_DRAIN && role_of(m, s) == POOL_COORDINATOR && !m->stop.coord_told;
}

static void process_slots(struct master *m, int64_t now, int64_t *wake)
{
    for (int i = 0; i < m->n_slots; i++) {
        struct child_slot *s = &m->slots[i];
        struct slot_pulse pulse = {0};
        bool want;

        if (s->policy.state == SLOT_UP) {
            struct score_pulse p;
            scoreboard_pulse(m->board, i, &p);
            pulse = (struct slot_pulse){.beat_ms = p.beat_ms, .busy_deadline_ms = p.busy_deadline_ms};
        }
        want = wanted(m, s, now, wake);
        act(m, s, slot_step(&s->policy, &pulse, want, now, &m->limits, wake));
        /* What was just begun has its own time. */
        (void)slot_step(&s->policy, &pulse, want, now, &m->limits, wake);
    }
}

void child_drain(struct child_slot *s, int64_t limit_ms, enum kill_cause cause)
{
    struct channel_msg msg = {.kind = CHANNEL_DRAIN};

    if (s->pid == 0 || s->policy.state == SLOT_KILLED)
        return;
    if (s->policy.state == SLOT_STARTING) { /* has nothing in hand, and may not listen yet */
        child_kill(s, SIGKILL, cause);
        return;
    }
    msg.drain.limit_ms = limit_ms;
    s->asked = true;
    s->drain_owed = channel_send(s->channel, &msg) == -EAGAIN;
    if (s->policy.state == SLOT_UP)
        slot_set_state(&s->policy, SLOT_DRAINING, clock_ms());
}

static void for_role(struct master *m, bool front, bool kill_it, int64_t limit_ms)
{
    for (int i = 0; i < m->n_slots; i++) {
        struct child_slot *s = &m->slots[i];

        if ((role_of(m, s) != POOL_COORDINATOR) != front || s->pid == 0)
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
        if (m->slots[i].pid != 0 && role_of(m, &m->slots[i]) == POOL_COORDINATOR)
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
    return role_of(m, s) == POOL_COORDINATOR ? stop_coord_limit_ms(&m->stop, now) : stop_front_limit_ms(&m->stop, now);
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
        if (role_of(m, &m->slots[i]) == POOL_COORDINATOR)
            log_error("supervise", "cannot work: the coordinator is refused", "cause", m->slots[i].last_death, NULL);
    m->failed = true;
    supervise_stop(m, STOP_FAST);
}

void supervise_process(struct master *m)
{
    int64_t now = clock_ms(), wake = now + IDLE_TICK_MS;

    process_refusal(m, now, &wake);
    process_stop(m, now, &wake);
    pools_process(m, now, &wake);
    process_slots(m, now, &wake);
    process_owed(m, now, &wake);
    logfile_process(m, now, &wake);
    death_send(m);
    audit_send(m);
    sd_event_source_set_time(m->timer, (uint64_t)(wake > now ? wake : now + 1) * 1000);
    sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT);
}

void supervise_stop(struct master *m, enum stop_mode mode)
{
    static const char *const words[] = {"", "draining", "stopping fast", "stopping at once"};

    if (mode <= m->stop.mode)
        return;
    log_info("supervise", words[mode], "limit_ms", LOG_I(m->conf->supervise_drain_timeout), NULL);
    stop_begin(&m->stop, mode, mode == STOP_NOW ? 0 : m->conf->supervise_drain_timeout, clock_ms());
    rundir_close_api(m); /* who connects now is refused, not left waiting */
}

/* ---- set-up ---- */

static int handle_timer(sd_event_source *src, uint64_t due_us, void *arg)
{
    struct master *m = arg;
    int64_t late_ms = clock_ms() - (int64_t)(due_us / 1000);

    (void)src;
    if (late_ms > LATE_TICK_MS) {
        log_warn("supervise", "the master itself was held up; nobody is called hung for it", "late_ms", LOG_I(late_ms),
                 NULL);
        for (int i = 0; i < m->n_slots; i++)
            if (m->slots[i].policy.state == SLOT_UP || m->slots[i].policy.state == SLOT_STARTING)
                slot_set_state(&m->slots[i].policy, m->slots[i].policy.state, clock_ms());
    }
    death_baseline(m);
    return 0;
}

int supervise_init(struct master *m, struct error *e)
{
    int r;

    m->limits = (struct policy_limits){
        .ready_ms = m->conf->supervise_ready_timeout,
        .backoff_first_ms = m->conf->supervise_backoff_first,
        .backoff_cap_ms = m->conf->supervise_backoff_cap,
        .hang_ms = m->conf->supervise_hang_timeout,
        .term_ms = TERM_GRACE_MS,
    };
    r = pools_init(m, e);
    if (r != 0)
        return r;
    r = sd_event_add_time(m->event, &m->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, handle_timer, m);
    if (r < 0)
        return reason_error(e, REASON_os_error, -r, "timer: %s", strerror(-r));
    return 0;
}
