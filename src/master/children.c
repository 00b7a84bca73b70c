/*
 * children.c - one child: what it says, how it starts, is told to go, and dies
 *
 * handle_exit and handle_channel record what happened to one child; what follows from that is supervise.c's.
 *
 * A child's channel that breaks the protocol, or closes while the child lives, ends that child: the master isolates,
 * logs and goes on. So does one that sends without end. Until that is sure, TURN_MESSAGES of it are read at a time, and
 * what else there is to do comes first.
 *
 * Diagnostics
 *   warns   a child that could not be started, or that sends what it must not
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "proc/trace.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <errno.h>
#include <unistd.h>

#define WAKE_IDLE_MAX    8     /* idle workers that one WAKE reaches */
#define TURN_MESSAGES    64    /* of one child, before all others have their turn */
#define LAST_MESSAGES    4096  /* of a dead child: more than its channel can hold */
#define FLOOD_MESSAGES   10000 /* in a second: no work that a child does leads to so many */
#define FLOOD_MS         1000
#define PRIORITY_CROWDED (SD_EVENT_PRIORITY_IDLE + 1)

enum pool_role child_role(const struct child_slot *s)
{
    return s->master->conf->pools[s->pool].role;
}

const char *child_pool_name(const struct child_slot *s)
{
    return s->master->conf->pools[s->pool].name;
}

bool slot_has_ready_child(const struct child_slot *s)
{
    return s->pid != 0 && s->policy.state == SLOT_UP;
}

void child_log(enum log_level level, const struct child_slot *s, const char *msg)
{
    log_event(level, "supervise", msg, "pool", child_pool_name(s), "slot", LOG_I(s->number), "child", LOG_I(s->pid),
              "serial", LOG_I(s->serial), NULL);
}

static void say_hang(struct child_slot *s, const struct slot_pulse *p)
{
    const struct policy_limits *l = &s->master->limits;
    int64_t now = clock_ms();

    switch (slot_hangs(&s->policy, p, now, l)) {
    case HANG_NOT:
        s->hang[0] = '\0';
        return;
    case HANG_DEADLINE:
        snprintf(s->hang, sizeof s->hang, "its work passed its deadline");
        return;
    case HANG_LOOP:
        snprintf(s->hang, sizeof s->hang, "its loop did not move for %lld ms", (long long)(now - p->beat_ms));
        return;
    case HANG_STUCK:
        snprintf(s->hang, sizeof s->hang, "its work did not get on for %lld ms",
                 (long long)(now - s->policy.progress_ms));
        return;
    }
}

void child_ask_trace(struct child_slot *s, const struct slot_pulse *p)
{
    say_hang(s, p);
    log_event(LOG_LVL_WARN, "supervise", "child hangs, it is asked where", "pool", child_pool_name(s), "slot",
              LOG_I(s->number), "child", LOG_I(s->pid), "serial", LOG_I(s->serial), "why", s->hang, NULL);
    kill(s->pid, TRACE_SIGNAL);
    slot_set_state(&s->policy, SLOT_TRACED, clock_ms());
}

void child_tell_trace(struct child_slot *s, char out[MASTER_TRACE_BYTES])
{
    struct score_trace t;
    char address[24] = "";

    out[0] = '\0';
    if (!scoreboard_trace(s->master->board, s->index, &t))
        return;
    trace_format(&t, out, MASTER_TRACE_BYTES);
    if (s->trace_told)
        return;
    s->trace_told = true;
    if (t.address != 0)
        snprintf(address, sizeof address, "0x%llx", (unsigned long long)t.address);
    log_event(LOG_LVL_WARN, "supervise", "where the child was", "pool", child_pool_name(s), "slot", LOG_I(s->number),
              "child", LOG_I(s->pid), "serial", LOG_I(s->serial), "signal", sigabbrev_np(t.signal), "address", address,
              "build_id", trace_build_id(), "trace", out, NULL);
}

void child_kill(struct child_slot *s, int sig, enum kill_cause cause)
{
    if (s->pid == 0 || s->reaped)
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

        if (child_role(s) != POOL_WORKER || !slot_has_ready_child(s))
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

    log_event(LOG_LVL_INFO, "supervise", "child is ready", "pool", child_pool_name(s), "slot", LOG_I(s->number),
              "child", LOG_I(s->pid), "after_ms", LOG_I(clock_ms() - s->started_ms), NULL);
    slot_became_ready(&s->policy, clock_ms());
    if (child_role(s) != POOL_COORDINATOR)
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
        if (child_role(s) != POOL_WORKER)
            relay_wake(m, msg);
        if (child_role(s) == POOL_API)
            tell_coordinator(m, msg);
        return;
    case CHANNEL_BYE:
        s->asked = true;
        return;
    case CHANNEL_FATAL:
        s->fatal = msg->fatal;
        if (child_role(s) != POOL_COORDINATOR)
            return;
        m->taken = strcmp(msg->fatal.reason, reason_name(REASON_node_taken)) == 0;
        m->refused = m->taken || strcmp(msg->fatal.reason, reason_name(REASON_conflict)) == 0;
        return;
    case CHANNEL_RELEASED:
        if (child_role(s) == POOL_COORDINATOR)
            death_released(m, &msg->released);
        return;
    case CHANNEL_AUDITED:
        if (child_role(s) == POOL_COORDINATOR)
            audit_written(m, &msg->audited);
        return;
    case CHANNEL_PONG:
        return; /* its beat moved by that: see pool_policy */
    case CHANNEL_LOG:
        if (msg->fd >= 0)
            close(msg->fd); /* nobody asked for it */
        /* fall through */
    case CHANNEL_DRAIN:
    case CHANNEL_DEATH:
    case CHANNEL_AUDIT:
    case CHANNEL_PING:
        child_log(LOG_LVL_WARN, s, "child sent a message that only the master sends");
        child_kill(s, SIGKILL, KILL_BROKEN);
        return;
    }
}

static void end_broken(struct child_slot *s, const char *error)
{
    log_warn("supervise", "child broke the channel's protocol", "pool", child_pool_name(s), "child", LOG_I(s->pid),
             "error", error, NULL);
    child_kill(s, SIGKILL, KILL_BROKEN);
}

/* Whether its messages of this second are too many; said and acted on once. */
static bool floods(struct child_slot *s, int n)
{
    int64_t now = clock_ms();

    if (now - s->second_ms >= FLOOD_MS) {
        s->second_ms = now;
        s->second_messages = 0;
    }
    s->second_messages += n;
    if (s->second_messages <= FLOOD_MESSAGES)
        return false;
    if (s->policy.state != SLOT_KILLED)
        end_broken(s, "It sends without end.");
    return true;
}

/* Reads what there is, `most` messages at most. False if nothing more will come. */
static bool read_channel(struct child_slot *s, int most, int *n)
{
    struct channel_msg msg;
    struct error e = {0};
    int r = 0;

    for (*n = 0; *n < most && (r = channel_recv(s->channel, &msg, &e)) == 0; (*n)++)
        record_message(s, &msg);
    if (r == -EPROTO)
        end_broken(s, e.message);
    return r == 0 || r == -EAGAIN;
}

static int handle_channel(sd_event_source *src, int fd, uint32_t events, void *arg)
{
    struct child_slot *s = arg;
    int n;
    bool open = read_channel(s, TURN_MESSAGES, &n);

    (void)fd;
    (void)events;
    if (!open || floods(s, n))
        sd_event_source_set_enabled(src, SD_EVENT_OFF); /* closed: its end is near, and comes by the pidfd */
    sd_event_source_set_priority(src, n < TURN_MESSAGES ? SD_EVENT_PRIORITY_NORMAL : PRIORITY_CROWDED);
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
    struct slot_death death;
    int64_t wait_ms;
    int status, n;

    (void)src;
    (void)fd;
    (void)events;
    if (wait4(s->pid, &status, WNOHANG, &ru) != s->pid)
        return 0;
    s->reaped = true;                         /* its number may be another's already */
    (void)read_channel(s, LAST_MESSAGES, &n); /* what it said before it went */
    death = death_record(m, s, status, &ru);
    services_child_died(m->services, s->pid, clock_ms());
    if (death.kind == DEATH_FAULT)
        services_raise(m->services, child_pool_name(s),
                       s->fatal.reason[0] != '\0' ? s->fatal.reason : reason_name(REASON_worker_lost), s->last_death,
                       clock_ms());
    reload_child_gone(m, s, &death);
    forget_child(s);
    share_living(m, s); /* in one step with its death that is now owed to the coordinator */
    scoreboard_reset(m->board, s->index, s->pool);
    if (child_role(s) == POOL_COORDINATOR) {
        death_unsend(m);
        audit_unsend(m);
    } else {
        death_send(m); /* before anything else: jobs wait for it */
    }
    wait_ms = slot_died(&s->policy, &death, clock_ms(), &m->limits);
    pools_child_gone(m, s, &death);
    if (wait_ms > 0 && m->stop.mode == STOP_NONE)
        log_warn("supervise", "waiting before the next start", "pool", child_pool_name(s), "slot", LOG_I(s->number),
                 "wait_ms", LOG_I(wait_ms), "failures", LOG_I(s->policy.failures), NULL);
    return 0;
}

/* ---- orders ---- */

void child_start(struct master *m, struct child_slot *s)
{
    struct error e = {0};
    int r;

    s->sent_signal = 0;
    s->kill_cause = KILL_NONE;
    s->asked = s->drain_owed = s->log_owed = false;
    s->trace_told = s->reaped = false;
    s->trace_asked_ms = 0;
    s->second_ms = s->second_messages = 0;
    s->hang[0] = '\0';
    memset(&s->fatal, 0, sizeof s->fatal);
    r = spawn_child(m, s, &e);
    if (r != 0) {
        snprintf(s->last_death, sizeof s->last_death, "not started: %.150s", e.message);
        log_warn("supervise", "child could not be started", "pool", child_pool_name(s), "error", e.message, NULL);
        slot_start_failed(&s->policy, clock_ms(), &m->limits);
        return;
    }
    s->started_ms = clock_ms();
    s->starts++;
    m->totals.starts++;
    share_start(m, s);
    slot_started(&s->policy, s->started_ms);
    r = sd_event_add_io(m->event, &s->pid_source, s->pidfd, EPOLLIN, handle_exit, s);
    if (r >= 0)
        r = sd_event_add_io(m->event, &s->channel_source, s->channel, EPOLLIN, handle_channel, s);
    if (r < 0) /* out of descriptors or memory: without eyes on it, it must not live */
        log_panic("supervise", "a child cannot be watched");
    /* Deaths go before hints and questions: jobs wait for them. */
    sd_event_source_set_priority(s->pid_source, SD_EVENT_PRIORITY_IMPORTANT);
    child_log(LOG_LVL_DEBUG, s, "child started");
}

void child_ping(struct child_slot *s)
{
    const struct channel_msg ping = {.kind = CHANNEL_PING};

    (void)channel_send(s->channel, &ping); /* a full channel is answered by the hang limit */
    slot_pinged(&s->policy, clock_ms());
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
