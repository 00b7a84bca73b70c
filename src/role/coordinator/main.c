/*
 * main.c - the coordinator: one event loop over the master's channel, the database session and a timer
 *
 * Callbacks never wait. Leaves with 0 when drained (after its goodbye, or at the limit) or when the master is gone,
 * with 70 when it cannot do its work at all, after saying why.
 *
 * Depends on base, db, proc.
 */
#include "coordinator/coordinator.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "db/pg_meter.h"
#include "proc/logs.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <talloc.h>

#define BEAT_MS 1000

static void process(struct coordinator *c);

static uint32_t epoll_of(short events)
{
    return ((events & POLLIN) ? (uint32_t)EPOLLIN : 0) | ((events & POLLOUT) ? (uint32_t)EPOLLOUT : 0);
}

static short poll_of(uint32_t events)
{
    return (short)(((events & EPOLLIN) ? POLLIN : 0) | ((events & EPOLLOUT) ? POLLOUT : 0) |
                   ((events & EPOLLERR) ? POLLERR : 0) | ((events & EPOLLHUP) ? POLLHUP : 0));
}

static int handle_pg(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
    struct coordinator *c = arg;

    (void)s;
    (void)fd;
    pg_process(c->pg, poll_of(revents));
    process(c);
    return 0;
}

static int handle_timer(sd_event_source *s, uint64_t usec, void *arg)
{
    struct coordinator *c = arg;

    (void)s;
    (void)usec;
    child_look_at_memory(&c->child);
    pg_process(c->pg, 0);
    process(c);
    return 0;
}

static void hear(struct coordinator *c, const struct channel_msg *m)
{
    struct channel_msg pong = {.kind = CHANNEL_PONG};

    switch (m->kind) {
    case CHANNEL_DEATH:
        deaths_add(c, &m->death);
        break;
    case CHANNEL_AUDIT:
        audit_add(c, &m->audit);
        break;
    case CHANNEL_WAKE: /* this node has new work: tell the others */
        tasks_want(c, TASK_NOTIFY);
        break;
    case CHANNEL_DRAIN:
        c->draining = true;
        c->drain_until_ms = clock_ms() + m->drain.limit_ms;
        break;
    case CHANNEL_PING:
        (void)channel_send(c->child.channel, &pong);
        break;
    case CHANNEL_LOG:
        logs_take(m);
        break;
    default:
        log_warn("coordinator", "a message that a coordinator does not take", "kind", LOG_I(m->kind), NULL);
    }
}

static int handle_channel(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
    struct coordinator *c = arg;
    struct channel_msg m;
    struct error e;
    int rc;

    (void)s;
    (void)revents;
    while ((rc = channel_recv(fd, &m, &e)) == 0)
        hear(c, &m);
    if (rc == -EPIPE)
        sd_event_exit(c->event, 0);
    else if (rc != -EAGAIN)
        log_warn("coordinator", "bad message from the master", "error", e.message, NULL);
    process(c);
    return 0;
}

/* Notifications of other nodes; our own come back too and say nothing new. */
static void hear_notifications(struct coordinator *c)
{
    char channel[64], payload[256];
    struct channel_msg wake = {.kind = CHANNEL_WAKE};

    while (pg_notification(c->pg, channel, payload)) {
        if (strcmp(payload, "pauses") == 0 && c->set_up)
            tasks_want(c, TASK_PAUSES);
        else if (strtoll(payload, NULL, 10) != c->child.incarnation)
            (void)channel_send(c->child.channel, &wake);
    }
}

/* libpq's socket may be another one after every step. */
static void watch_pg(struct coordinator *c)
{
    int fd = pg_fd(c->pg);

    if (c->io != NULL && fd != c->pg_fd_seen)
        c->io = sd_event_source_disable_unref(c->io);
    if (fd >= 0 && c->io == NULL) {
        if (sd_event_add_io(c->event, &c->io, fd, epoll_of(pg_events(c->pg)), handle_pg, c) < 0)
            log_panic("coordinator", "sd_event_add_io failed");
    } else if (fd >= 0) {
        sd_event_source_set_io_events(c->io, epoll_of(pg_events(c->pg)));
    }
    c->pg_fd_seen = fd;
}

static void set_timer(struct coordinator *c)
{
    int64_t now = clock_ms(), next = now + BEAT_MS, t;

    if (c->running == TASK_COUNT_ && (t = tasks_next_ms(c)) < next)
        next = t;
    if ((t = pg_wakeup_ms(c->pg)) >= 0 && t < next)
        next = t;
    if (next < now)
        next = now;
    sd_event_source_set_time(c->timer, (uint64_t)next * 1000);
    sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static void process_drain(struct coordinator *c)
{
    if (!c->draining || c->gone)
        return;
    if (clock_ms() >= c->drain_until_ms || !c->set_up) {
        c->gone = true;
        return;
    }
    if (c->n_deaths == 0 && c->n_audits == 0 && c->running == TASK_COUNT_ && c->due_ms[TASK_GOODBYE] == INT64_MAX) {
        for (int t = 0; t < TASK_COUNT_; t++)
            c->due_ms[t] = INT64_MAX;
        tasks_want(c, TASK_GOODBYE);
    }
}

/* The one place that acts, after every event. */
static void process(struct coordinator *c)
{
    score_beat(c->child.score); /* at every event: each puts the timer off, so that it alone might never come */
    log_tick();
    hear_notifications(c);
    process_drain(c);
    tasks_step(c);
    audit_tell(c);
    if (c->fatal != NULL) {
        child_say_fatal(&c->child, &c->fatal_error);
        sd_event_exit(c->event, 70);
        return;
    }
    if (c->gone) {
        child_say_bye(&c->child);
        sd_event_exit(c->event, 0);
        return;
    }
    watch_pg(c);
    set_timer(c);
}

static int set_up_loop(struct coordinator *c, struct error *e)
{
    if (sd_event_new(&c->event) < 0 ||
        sd_event_add_io(c->event, &c->channel, c->child.channel, EPOLLIN, handle_channel, c) < 0 ||
        sd_event_add_time(c->event, &c->timer, CLOCK_MONOTONIC, 0, 1000, handle_timer, c) < 0)
        return reason_error(e, REASON_internal, ENOMEM, "the event loop could not be made");
    return 0;
}

static int coordinator_run(struct coordinator *c)
{
    struct pg_options o = {.role = "docmill_worker", .application = "docmill coordinator"};
    struct error e;
    int rc;

    c->running = TASK_COUNT_;
    c->pg_fd_seen = -1;
    if (child_begin(&c->child, "coordinator", &e) != 0 || set_up_loop(c, &e) != 0) {
        child_say_fatal(&c->child, &e);
        return 70;
    }
    c->conf = c->child.conf;
    c->child.db_waits = &pg_meter()->waits;
    c->child.db_connects = &pg_meter()->connects;
    o.url = c->conf->database_direct_url != NULL ? c->conf->database_direct_url : c->conf->database_url;
    o.connect_timeout_ms = c->conf->database_connect_timeout;
    o.statement_timeout_ms = c->conf->database_statement_timeout;
    c->pg = pg_new(NULL, &o);
    tasks_session_lost(c);
    tasks_want(c, TASK_SESSION);
    process(c);
    rc = sd_event_loop(c->event);
    return rc < 0 ? 70 : rc;
}

int coordinator_main(void)
{
    struct coordinator *c = talloc_zero(NULL, struct coordinator);
    int status = coordinator_run(c);

    sd_event_source_disable_unref(c->io);
    sd_event_source_disable_unref(c->timer);
    sd_event_source_disable_unref(c->channel);
    sd_event_unref(c->event);
    pg_free(&c->pg);
    child_end(&c->child);
    talloc_free(c);
    return status;
}
