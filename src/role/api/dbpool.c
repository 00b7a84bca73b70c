/*
 * dbpool.c - see dbpool.h
 *
 * Every event of a connection ends in conn_arm(), every change of the queue or of a connection in a deferred
 * dispatch(): a callback of pg only records what came and never starts another statement, so no connection's
 * descriptor is opened while another one's is being closed.
 */
#include "api/dbpool.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/queue.h>
#include <talloc.h>

#define PROBE_EVERY_MS    4000 /* while nothing else asks */
#define PROBE_DEADLINE_MS 5000
#define FRESH_MS          12000 /* an answer that is older says nothing about now */
#define BACKOFF_FIRST_MS  100
#define BACKOFF_CAP_MS    2000

TAILQ_HEAD(db_calls, db_call);

struct db_call {
    TAILQ_ENTRY(db_call) entry;
    struct dbpool *pool;
    const char *sql;
    char *claims;
    struct pg_params params;
    int64_t deadline_ms;
    bool repeatable, again, probe, queued, first;
    int cuts;     /* of connections that were made before it, under it */
    db_done done; /* NULL: nobody listens any more */
    void *arg;
};

struct db_conn {
    struct dbpool *pool;
    struct pg *pg;
    sd_event_source *io, *timer;
    int io_fd;
    uint64_t epoch;
    struct db_call *call; /* NULL: free */
    bool made_before;     /* its call was given to it when it was connected already */
};

struct dbpool {
    sd_event *event;
    const struct conf *conf;
    sd_event_source *dispatch;
    struct db_calls queue;
    int n_queued;
    bool down;
    unsigned tries;         /* of reaching it while it is down */
    int64_t last_answer_ms; /* 0: never */
    int64_t next_probe_ms;
    sd_event_source *probe_timer;
    int n_conns;
    struct db_conn *conns;
};

static void dispatch_soon(struct dbpool *p)
{
    sd_event_source_set_enabled(p->dispatch, SD_EVENT_ONESHOT);
}

/* ---- calls ---- */

struct db_call *dbpool_call(struct dbpool *pool, const char *claims, const char *sql, bool repeatable)
{
    struct db_call *c = talloc_zero(pool, struct db_call);

    if (c == NULL)
        log_panic("dbpool", "out of memory");
    c->pool = pool;
    c->sql = sql;
    c->claims = claims != NULL ? talloc_strdup(c, claims) : NULL;
    c->repeatable = repeatable;
    c->deadline_ms = clock_ms() + pool->conf->database_statement_timeout;
    pg_params_init(&c->params, c);
    return c;
}

struct pg_params *dbpool_params(struct db_call *call)
{
    return &call->params;
}

void dbpool_add_vector(struct db_call *call, const float *v, int dim)
{
    pg_add_vector(&call->params, call->pool->conns[0].pg, v, dim);
}

static void queue_remove(struct dbpool *p, struct db_call *c)
{
    TAILQ_REMOVE(&p->queue, c, entry);
    c->queued = false;
    p->n_queued--;
}

static void call_finish(struct db_call *c, const PGresult *res, const char *sqlstate, const struct error *e)
{
    db_done done = c->done;

    if (c->queued)
        queue_remove(c->pool, c);
    c->done = NULL;
    if (done != NULL)
        done(c->arg, res, sqlstate, e);
    talloc_free(c);
}

static int unavailable(struct error *e)
{
    reason_error(e, REASON_db_unavailable, ENOTCONN, NULL);
    error_hint(e, "Try again shortly; the service reconnects by itself.");
    return -ENOTCONN;
}

int dbpool_check(const struct dbpool *pool, struct error *e)
{
    return pool->down ? unavailable(e) : 0;
}

void dbpool_first(struct db_call *call, int64_t limit_ms)
{
    call->first = true;
    call->deadline_ms = clock_ms() + limit_ms;
}

int dbpool_submit(struct db_call **call, db_done done, void *arg, struct error *e)
{
    struct db_call *c = *call;
    struct dbpool *p = c->pool;
    int rc = dbpool_check(p, e);

    if (rc == 0 && p->n_queued >= p->conf->api_queue)
        rc = reason_error(e, REASON_overloaded, EBUSY, NULL);
    if (rc != 0) {
        talloc_free(c);
        *call = NULL;
        return rc;
    }
    c->done = done;
    c->arg = arg;
    c->queued = true;
    if (c->first)
        TAILQ_INSERT_HEAD(&p->queue, c, entry);
    else
        TAILQ_INSERT_TAIL(&p->queue, c, entry);
    p->n_queued++;
    dispatch_soon(p);
    return 0;
}

void dbpool_forget(struct db_call **call)
{
    struct db_call *c = *call;

    *call = NULL;
    if (c == NULL)
        return;
    c->done = NULL;
    if (c->queued) {
        queue_remove(c->pool, c);
        talloc_free(c);
    }
}

/* ---- up and down ---- */

static void probe_after(struct dbpool *p, int64_t wait_ms)
{
    p->next_probe_ms = clock_ms() + wait_ms;
    sd_event_source_set_time(p->probe_timer, (uint64_t)p->next_probe_ms * 1000);
    sd_event_source_set_enabled(p->probe_timer, SD_EVENT_ONESHOT);
}

static void process_answer(struct dbpool *p)
{
    p->last_answer_ms = clock_ms();
    if (p->down)
        log_info("dbpool", "database answers again", NULL);
    p->down = false;
    p->tries = 0;
    probe_after(p, PROBE_EVERY_MS);
}

/* Down: what waits is answered so, and what the answered send now is refused. */
static void lose_queue(struct dbpool *p)
{
    struct db_calls lost = TAILQ_HEAD_INITIALIZER(lost);
    struct db_call *c;
    struct error e;

    p->down = true;
    unavailable(&e);
    TAILQ_CONCAT(&lost, &p->queue, entry);
    p->n_queued = 0;
    while ((c = TAILQ_FIRST(&lost)) != NULL) {
        TAILQ_REMOVE(&lost, c, entry);
        c->queued = false;
        call_finish(c, NULL, "", &e);
    }
}

static void process_gone(struct dbpool *p, const struct error *why)
{
    if (!p->down)
        log_warn("dbpool", "database does not answer", "reason", why->reason, "error", why->message, NULL);
    probe_after(p, backoff_ms(BACKOFF_FIRST_MS, BACKOFF_CAP_MS, p->tries++));
    lose_queue(p);
}

/* ---- connections ---- */

static int handle_io(sd_event_source *s, int fd, uint32_t revents, void *arg);

/* The descriptor may be another one after every step, even under the same number: a source is kept only while the
 * connection is the same one. */
static void conn_arm(struct db_conn *c)
{
    int fd = pg_fd(c->pg);
    uint32_t events = pg_events(c->pg) & POLLOUT ? EPOLLIN | EPOLLOUT : EPOLLIN;
    int64_t wakeup_ms = pg_wakeup_ms(c->pg);

    if (c->io != NULL && (fd != c->io_fd || c->epoch != pg_epoch(c->pg) || !pg_connected(c->pg)))
        c->io = sd_event_source_disable_unref(c->io);
    c->io_fd = fd;
    c->epoch = pg_epoch(c->pg);
    if (fd >= 0 && c->io == NULL && sd_event_add_io(c->pool->event, &c->io, fd, events, handle_io, c) < 0)
        log_error("dbpool", "cannot watch a connection", NULL);
    else if (c->io != NULL)
        sd_event_source_set_io_events(c->io, events);
    if (wakeup_ms >= 0)
        sd_event_source_set_time(c->timer, (uint64_t)wakeup_ms * 1000);
    sd_event_source_set_enabled(c->timer, wakeup_ms >= 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* One connection that fails (too many of them, one that was ended by hand) does not mean that the database is gone. */
static bool others_answer(const struct db_conn *failed)
{
    const struct dbpool *p = failed->pool;

    if (clock_ms() - p->last_answer_ms > PROBE_EVERY_MS)
        return false;
    for (int i = 0; i < p->n_conns; i++)
        if (&p->conns[i] != failed && pg_connected(p->conns[i].pg))
            return true;
    return false;
}

/* A connection that was made before says with its end nothing of the server now, nor of the others that were made before:
 * all may have been ended, and not all have been found dead. The one that is made for the call tells. */
static bool may_repeat(const struct db_conn *conn, struct db_call *call)
{
    bool first = !call->again;

    if (!call->repeatable || call->done == NULL || conn->pool->down)
        return false;
    if (conn->made_before)
        return call->cuts++ < conn->pool->n_conns;
    call->again = true;
    return first;
}

static void conn_failed(struct db_conn *conn, struct db_call *call, const struct error *e)
{
    struct dbpool *p = conn->pool;

    if (reason_parse(e->reason) != REASON_db_unavailable) {
        if (reason_parse(e->reason) != REASON_db_timeout)
            process_answer(p);
        call_finish(call, NULL, pg_sqlstate(conn->pg), e);
        return;
    }
    if (may_repeat(conn, call)) {
        call->queued = true;
        TAILQ_INSERT_HEAD(&p->queue, call, entry);
        p->n_queued++;
        return;
    }
    call_finish(call, NULL, "", e);
    if (conn->made_before)
        probe_after(p, 0);
    else if (!others_answer(conn))
        process_gone(p, e);
}

static void handle_result(void *arg, const PGresult *res, const struct error *e)
{
    struct db_conn *conn = arg;
    struct db_call *call = conn->call;

    conn->call = NULL;
    dispatch_soon(conn->pool);
    if (res == NULL) {
        conn_failed(conn, call, e);
        return;
    }
    process_answer(conn->pool);
    call_finish(call, res, "", NULL);
}

static int handle_io(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
    struct db_conn *c = arg;
    bool was_connected = pg_connected(c->pg);

    (void)s;
    (void)fd;
    pg_process(c->pg, (short)((revents & EPOLLOUT ? POLLOUT : 0) | (revents & ~(uint32_t)EPOLLOUT ? POLLIN : 0)));
    conn_arm(c);
    if (was_connected && !pg_connected(c->pg))
        probe_after(c->pool, 0); /* this one, or all of them? */
    return 0;
}

static int handle_timer(sd_event_source *s, uint64_t usec, void *arg)
{
    struct db_conn *c = arg;

    (void)s;
    (void)usec;
    pg_process(c->pg, 0);
    conn_arm(c);
    return 0;
}

static void conn_send(struct db_conn *conn, struct db_call *call)
{
    struct error e = {0};
    int rc;

    conn->call = call;
    conn->made_before = pg_connected(conn->pg);
    if (call->claims != NULL)
        rc = pg_submit_as(conn->pg, call->claims, call->sql, &call->params, call->deadline_ms, handle_result, conn, &e);
    else
        rc = pg_submit(conn->pg, call->sql, &call->params, call->deadline_ms, handle_result, conn, &e);
    if (rc != 0) {
        conn->call = NULL;
        conn_failed(conn, call, &e);
    }
    conn_arm(conn);
}

/* A connected one if there is one. */
static struct db_conn *conn_free(struct dbpool *p)
{
    struct db_conn *best = NULL;

    for (int i = 0; i < p->n_conns; i++) {
        struct db_conn *c = &p->conns[i];
        if (c->call != NULL || pg_busy(c->pg))
            continue;
        if (pg_connected(c->pg))
            return c;
        if (best == NULL)
            best = c;
    }
    return best;
}

static int process_queue(sd_event_source *s, void *arg)
{
    struct dbpool *p = arg;
    struct db_conn *conn;
    struct db_call *call;

    (void)s;
    while ((call = TAILQ_FIRST(&p->queue)) != NULL && (conn = conn_free(p)) != NULL) {
        queue_remove(p, call);
        conn_send(conn, call);
    }
    return 0;
}

static int handle_probe(sd_event_source *s, uint64_t usec, void *arg)
{
    struct dbpool *p = arg;
    struct db_conn *conn = conn_free(p);
    struct db_call *call;

    (void)s;
    (void)usec;
    probe_after(p, PROBE_EVERY_MS);
    if (conn == NULL)
        return 0; /* all are busy: their answers will tell */
    call = dbpool_call(p, NULL, "SELECT 1", false);
    call->deadline_ms = clock_ms() + PROBE_DEADLINE_MS;
    conn_send(conn, call);
    return 0;
}

/* ---- the pool ---- */

bool dbpool_ok(const struct dbpool *pool)
{
    return !pool->down && pool->last_answer_ms > 0 && clock_ms() - pool->last_answer_ms < FRESH_MS;
}

bool dbpool_untried(const struct dbpool *pool)
{
    return !pool->down && pool->last_answer_ms == 0;
}

void dbpool_tick(struct dbpool *pool)
{
    int64_t now = clock_ms();
    struct db_call *c = TAILQ_FIRST(&pool->queue);
    struct error e;

    reason_error(&e, REASON_db_timeout, ETIMEDOUT, "No database connection came free before the deadline.");
    while (c != NULL) {
        struct db_call *next = TAILQ_NEXT(c, entry);
        if (c->deadline_ms <= now)
            call_finish(c, NULL, "", &e);
        c = next;
    }
}

static int conn_init(struct dbpool *p, struct db_conn *c)
{
    const struct pg_options o = {
        .url = p->conf->database_url,
        .role = "docmill_api",
        .application = "docmill api",
        .connect_timeout_ms = p->conf->database_connect_timeout,
        .statement_timeout_ms = p->conf->database_statement_timeout,
    };

    c->pool = p;
    c->io_fd = -1;
    c->pg = pg_new(p, &o);
    if (sd_event_add_time(p->event, &c->timer, CLOCK_MONOTONIC, 0, 1000, handle_timer, c) < 0)
        return -ENOMEM;
    return sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
}

struct dbpool *dbpool_new(const void *talloc_parent, sd_event *event, const struct conf *conf, struct error *e)
{
    struct dbpool *p = talloc_zero(talloc_parent, struct dbpool);
    int rc;

    if (p == NULL)
        log_panic("dbpool", "out of memory");
    p->event = event;
    p->conf = conf;
    TAILQ_INIT(&p->queue);
    p->n_conns = (int)conf->api_db_connections;
    p->conns = talloc_zero_array(p, struct db_conn, (unsigned)p->n_conns);
    rc = sd_event_add_defer(event, &p->dispatch, process_queue, p);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(p->dispatch, SD_EVENT_OFF);
    if (rc >= 0)
        rc = sd_event_add_time(event, &p->probe_timer, CLOCK_MONOTONIC, 0, 1000, handle_probe, p);
    for (int i = 0; rc >= 0 && i < p->n_conns; i++)
        rc = conn_init(p, &p->conns[i]);
    if (rc < 0) {
        reason_error(e, REASON_internal, rc, "cannot make event sources: %s", strerror(-rc));
        dbpool_free(&p);
    }
    return p;
}

void dbpool_free(struct dbpool **pool)
{
    struct dbpool *p = *pool;

    *pool = NULL;
    if (p == NULL)
        return;
    lose_queue(p);
    for (int i = 0; i < p->n_conns; i++) {
        sd_event_source_disable_unref(p->conns[i].io);
        sd_event_source_disable_unref(p->conns[i].timer);
        if (p->conns[i].pg != NULL)
            pg_free(&p->conns[i].pg);
    }
    sd_event_source_disable_unref(p->dispatch);
    sd_event_source_disable_unref(p->probe_timer);
    talloc_free(p);
}
