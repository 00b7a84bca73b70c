/*
 * main.c - the worker: claim, work, store, wait
 *
 * No event loop. Whatever waits (database, parser, idle) calls worker_tick() at least every 100 ms, so that a busy
 * worker still beats and hears its master; what was heard is acted on between jobs only.
 *
 * Ready means connected. What takes longer to find out (do the parsers run in their sandbox, can the blob store be
 * written) is asked after the first round, since a dead worker's jobs wait for the one that is started in its place.
 *
 * Leaves by itself when drained (0), when the master is gone (0), or when it cannot start (70, after saying why).
 * What it has not begun is handed back; what was begun and cannot be finished in the time given is handed back too.
 *
 * Warns: database failures, once an outage. Depends on base, core, db, queue, blob, provider, proc.
 */
#include "worker/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "db/migrate.h"
#include "db/pg_meter.h"
#include "provider/parser.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define LEFTOVERS_MS     1000 /* after the start: the first jobs go ahead */
#define TRIM_ABOVE_BYTES (8 * 1024 * 1024)
#define FINISH_SPARE_MS  500 /* of the drain's time, to hand back what is not finished */

static volatile sig_atomic_t got_term;

static void handle_term(int sig)
{
    (void)sig;
    got_term = 1;
}

static void set_health(struct worker *w, bool db_ok, int storage_ok, const char *note)
{
    struct score_data *s = score_begin(w->child.score);

    s->db_ok = db_ok;
    if (storage_ok >= 0)
        s->storage_ok = storage_ok;
    snprintf(s->note, sizeof s->note, "%.*s", (int)sizeof s->note - 1, note);
    score_end(w->child.score);
}

bool worker_leaving(const struct worker *w)
{
    return w->draining || w->master_gone || got_term;
}

/* Waits up to ms, or until the master says something. */
static void idle(struct worker *w, int64_t ms)
{
    int64_t until = clock_ms() + ms;

    while (!w->woken && !worker_leaving(w)) {
        int64_t left = until - clock_ms();
        struct pollfd fd = {.fd = w->child.channel, .events = POLLIN};
        if (left <= 0)
            break;
        (void)poll(&fd, 1, left > 1000 ? 1000 : (int)left);
        worker_tick(w);
    }
    w->woken = false;
}

/* Nothing to claim: until the master wakes it, something outside has moved, or it is time to look again. */
static void wait_step(struct worker *w, unsigned *failures)
{
    struct error e;

    if (!outside_busy(w)) {
        idle(w, w->conf->queue_poll_interval);
    } else if (outside_wait(w, w->conf->queue_poll_interval, &e) != 0) {
        log_warn("worker", "waiting for an outside service failed", "reason", e.reason, "error", e.message, NULL);
        idle(w, backoff_ms(100, 1000, ++*failures));
    }
}

static void trim_memory(void)
{
    struct mallinfo2 m = mallinfo2();

    if (m.fordblks > TRIM_ABOVE_BYTES)
        malloc_trim(0);
}

static void check_parsers(struct worker *w)
{
    struct error e;

    if (parse_check(w->conf, &e) == 0)
        return;
    log_warn("worker", "some files cannot be parsed on this node", "reason", e.reason, "error", e.message, "hint",
             e.hint, NULL);
    services_raise(w->child.services, "parser", e.reason, e.message, clock_ms());
}

/* A store that cannot be written is told in the health, and nothing is claimed until it can. */
static bool probe_storage(struct worker *w)
{
    struct error e;
    bool good = blob_probe(w->blobs, &e) == 0;

    if (!good && w->storage != STORAGE_BROKEN)
        log_error("worker", "the blob store cannot be used", "reason", e.reason, "error", e.message, NULL);
    else if (good && w->storage == STORAGE_BROKEN)
        log_info("worker", "the blob store is back", NULL);
    w->storage = good ? STORAGE_GOOD : STORAGE_BROKEN;
    set_health(w, pg_connected(w->pg), good, good ? "" : e.message);
    return good;
}

static void check_surroundings(struct worker *w)
{
    check_parsers(w);
    (void)probe_storage(w);
    malloc_trim(0);
}

static void run(struct worker *w)
{
    unsigned failures = 0, broken = 0;

    w->leftovers_ms = clock_ms() + LEFTOVERS_MS;
    while (!worker_leaving(w)) {
        struct error e = {0};
        int rc;
        child_look_at_memory(&w->child);
        if (w->storage == STORAGE_BROKEN && !probe_storage(w)) {
            idle(w, backoff_ms(100, 5000, ++broken));
            continue;
        }
        broken = 0;
        rc = round_trip(w, true, &e);
        if (w->storage == STORAGE_UNKNOWN && !worker_leaving(w))
            check_surroundings(w);
        if (rc < 0) {
            if (failures++ == 0)
                log_warn("worker", "database trouble, trying again", "reason", e.reason, "error", e.message, NULL);
            set_health(w, pg_connected(w->pg), -1, e.message);
            idle(w, backoff_ms(100, 5000, failures));
            continue;
        }
        if (failures > 0) {
            log_info("worker", "database is back", NULL);
            failures = 0;
            set_health(w, true, -1, "");
        }
        if (!worker_leaving(w) && !services_differs(w->child.services))
            leftovers_step(w);
        if (rc == 0) {
            trim_memory();
            wait_step(w, &failures);
        }
    }
}

/* What waits outside is finished if it can be in the time that is left, and handed back if not. */
static void finish(struct worker *w)
{
    struct error e = {0};

    while (outside_busy(w) && w->draining && !w->master_gone && !got_term &&
           clock_ms() < w->drain_until_ms - FINISH_SPARE_MS) {
        int rc = round_trip(w, false, &e);
        if (rc < 0)
            break;
        if (rc == 0 && outside_wait(w, 100, &e) != 0)
            break;
    }
    if (w->n_hands > 0)
        rounds_leave(w);
}

/* ---- start and end ---- */

/* No time is left to finish what is in hand. */
static bool must_leave(void *arg)
{
    const struct worker *w = arg;

    return w->master_gone || (w->draining && clock_ms() >= w->drain_until_ms);
}

static int start(struct worker *w, struct error *e)
{
    struct pg_options o = {.url = w->conf->database_url,
                           .role = "docmill_worker",
                           .application = "docmill worker",
                           .connect_timeout_ms = w->conf->database_connect_timeout,
                           .statement_timeout_ms = w->conf->database_statement_timeout,
                           .tick = worker_tick,
                           .tick_arg = w};
    struct blob_hooks hooks = {.tick = worker_tick, .stop = must_leave, .arg = w};
    int rc, version;

    w->blobs = blob_open(NULL, w->conf, e);
    if (w->blobs == NULL)
        return e->code;
    blob_set_hooks(w->blobs, &hooks);
    if ((rc = outside_open(w, e)) != 0)
        return rc;
    w->pg = pg_new(NULL, &o);
    if ((rc = pg_connect(w->pg, e)) != 0 || (rc = migrate_check(w->pg, &version, e)) != 0)
        return rc;
    w->epoch = pg_epoch(w->pg); /* a serial number is nobody else's: nothing can be ours yet */
    set_health(w, true, -1, "");
    return 0;
}

static int worker_run(struct worker *w)
{
    struct sigaction sa = {.sa_handler = handle_term};
    struct error e;

    if (child_begin(&w->child, "worker", &e) != 0) {
        child_say_fatal(&w->child, &e);
        return 70;
    }
    sigaction(SIGTERM, &sa, NULL);
    w->conf = w->child.conf;
    w->child.db_waits = &pg_meter()->waits;
    w->child.db_connects = &pg_meter()->connects;
    w->owner = (struct queue_owner){w->child.incarnation, w->child.serial};
    w->policy =
        (struct queue_policy){(int)w->conf->queue_max_attempts, w->conf->queue_retry_first, w->conf->queue_retry_cap};
    if (start(w, &e) != 0) {
        child_say_fatal(&w->child, &e);
        return 70;
    }
    malloc_trim(0);
    child_say_ready(&w->child);
    run(w);
    finish(w);
    child_say_bye(&w->child);
    return 0;
}

int worker_main(void)
{
    struct worker *w = talloc_zero(NULL, struct worker);
    int status = worker_run(w);

    outside_close(w);
    pg_free(&w->pg);
    talloc_free(w->blobs);
    child_end(&w->child);
    talloc_free(w);
    return status;
}
