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
#include "provider/parser.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define BATCH_TARGET_US  250000 /* claim about so much work at once */
#define KEEP_UNBEGUN_MS  1000   /* then what was not begun goes back to the others */
#define LEFTOVERS_MS     1000   /* after the start: the first jobs go ahead */
#define TRIM_ABOVE_BYTES (8 * 1024 * 1024)

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

static bool leaving(const struct worker *w)
{
    return w->draining || w->master_gone || got_term;
}

/* Waits up to ms, or until the master says something. */
static void idle(struct worker *w, int64_t ms)
{
    int64_t until = clock_ms() + ms;

    while (!w->woken && !leaving(w)) {
        int64_t left = until - clock_ms();
        struct pollfd fd = {.fd = w->child.channel, .events = POLLIN};
        if (left <= 0)
            break;
        (void)poll(&fd, 1, left > 1000 ? 1000 : (int)left);
        worker_tick(w);
    }
    w->woken = false;
}

/* ---- giving back ---- */

/* Gives back what has not begun, or everything. */
static int hand_back_where(struct worker *w, bool begun_too, struct error *e)
{
    const struct queue_job *back[WORKER_MAX_CLAIM];
    int n = 0, rc;

    for (int i = 0; i < w->n_hands; i++)
        if (!w->hands[i]->over && (begun_too || !w->hands[i]->begun))
            back[n++] = w->hands[i]->job;
    if (n == 0)
        return 0;
    rc = queue_hand_back(w->pg, back, n, e);
    if (rc != 0)
        return rc;
    for (int i = 0; i < w->n_hands; i++)
        if (begun_too || !w->hands[i]->begun)
            w->hands[i]->over = true;
    hands_publish(w);
    return 0;
}

/* A new connection: whatever the database says is ours and is not in hand goes back. */
static int reclaim(struct worker *w, struct error *e)
{
    struct uuid held[WORKER_MAX_CLAIM];
    int n = 0, rc;

    for (int i = 0; i < w->n_hands; i++)
        if (!w->hands[i]->over)
            held[n++] = w->hands[i]->job->id;
    rc = queue_reclaim(w->pg, &w->owner, held, n, e);
    if (rc == 0)
        w->epoch = pg_epoch(w->pg);
    return rc;
}

/* ---- working ---- */

static int claim_size(const struct worker *w)
{
    int64_t n = w->conf->queue_claim_batch;

    if (w->ewma_us > 0 && BATCH_TARGET_US / w->ewma_us < n)
        n = BATCH_TARGET_US / w->ewma_us;
    if (n < 1)
        n = 1;
    return n > WORKER_MAX_CLAIM ? WORKER_MAX_CLAIM : (int)n;
}

static int run_one(struct worker *w, struct hand *h, struct error *e)
{
    int64_t began = clock_ns();
    int rc;

    if ((rc = pipeline_run(w, h, e)) != 0)
        return rc;
    w->ewma_us += ((clock_ns() - began) / 1000 - w->ewma_us) / 8;
    return batch_full(w) || h->job->suspect ? batch_flush(w, e) : 0;
}

/* A job that is to be worked on alone keeps its place only if it is the first; the others go back. */
static int isolate_suspects(struct worker *w, struct error *e)
{
    const struct queue_job *back[WORKER_MAX_CLAIM];
    int n = 0, rc;

    for (int i = 1; i < w->n_hands; i++)
        if (w->hands[0]->job->suspect || w->hands[i]->job->suspect)
            back[n++] = w->hands[i]->job;
    if (n == 0)
        return 0;
    if ((rc = queue_hand_back(w->pg, back, n, e)) != 0)
        return rc;
    for (int i = 1; i < w->n_hands; i++)
        if (w->hands[0]->job->suspect || w->hands[i]->job->suspect)
            w->hands[i]->over = true;
    hands_publish(w);
    return 0;
}

static int work_through(struct worker *w, struct error *e)
{
    int64_t began = clock_ms();
    int rc = isolate_suspects(w, e);

    for (int i = 0; rc == 0 && i < w->n_hands; i++) {
        worker_tick(w);
        if (leaving(w) || (i > 0 && clock_ms() - began > KEEP_UNBEGUN_MS)) {
            rc = hand_back_where(w, false, e);
            break;
        }
        if (!w->hands[i]->over)
            rc = run_one(w, w->hands[i], e);
    }
    return rc == 0 ? batch_flush(w, e) : rc;
}

static void let_all_go(struct worker *w)
{
    for (int i = 0; i < w->n_hands; i++)
        w->hands[i]->over = true;
    hands_let_go(w);
    hands_publish(w);
}

/* The work could not go on. What is still ours is given back if the database can be reached at all; if not, it is
 * found by queue_reclaim at the next connection, or by the deadline. */
static void abandon(struct worker *w, const struct error *why)
{
    struct error e;

    log_warn("worker", "work given back", "reason", why->reason, "error", why->message, NULL);
    batch_drop(w);
    pg_rollback(w->pg);
    if (hand_back_where(w, true, &e) != 0)
        w->epoch = 0; /* reclaim before the next claim */
    let_all_go(w);
}

/* Claims and works. 1: there was work, 0: none, negative: the database failed. */
static int round_trip(struct worker *w, struct error *e)
{
    struct queue_filter f = {
        .stages = w->child.pool->stages, .lane_min = w->child.pool->lane_min, .lane_max = w->child.pool->lane_max};
    struct queue_job *jobs = NULL;
    int n, rc;

    if ((rc = pg_connect(w->pg, e)) != 0)
        return rc;
    if (pg_epoch(w->pg) != w->epoch && (rc = reclaim(w, e)) != 0)
        return rc;
    n = queue_claim(w->pg, NULL, &w->owner, &f, claim_size(w), w->conf->queue_stage_deadline, &jobs, e);
    if (n < 0) {
        w->epoch = 0; /* the claim may have happened */
        w->late_claim = true;
        return n;
    }
    if (n == 0) {
        talloc_free(jobs);
        if (w->late_claim) { /* the lost claim may have been committed after the reclaim looked for it */
            w->late_claim = false;
            return reclaim(w, e);
        }
        return 0;
    }
    hands_take(w, jobs, n);
    struct score_data *s = score_begin(w->child.score);
    s->claims++;
    score_end(w->child.score);
    rc = work_through(w, e);
    if (rc != 0)
        abandon(w, e);
    let_all_go(w);
    score_stage(w->child.score, 0, 0);
    return rc != 0 ? rc : 1;
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

    if (parse_check(w->conf, &e) != 0)
        log_warn("worker", "some files cannot be parsed on this node", "reason", e.reason, "error", e.message, "hint",
                 e.hint, NULL);
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
    while (!leaving(w)) {
        struct error e = {0};
        int rc;
        if (w->storage == STORAGE_BROKEN && !probe_storage(w)) {
            idle(w, backoff_ms(100, 5000, ++broken));
            continue;
        }
        broken = 0;
        rc = round_trip(w, &e);
        if (w->storage == STORAGE_UNKNOWN && !leaving(w))
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
        if (!leaving(w))
            leftovers_step(w);
        if (rc == 0) {
            trim_memory();
            idle(w, w->conf->queue_poll_interval);
        }
    }
}

/* ---- start and end ---- */

static int start(struct worker *w, struct error *e)
{
    struct pg_options o = {.url = w->conf->database_url,
                           .role = "docmill_worker",
                           .application = "docmill worker",
                           .connect_timeout_ms = w->conf->database_connect_timeout,
                           .statement_timeout_ms = w->conf->database_statement_timeout,
                           .tick = worker_tick,
                           .tick_arg = w};
    int rc, version;

    w->blobs = blob_open(NULL, w->conf, e);
    if (w->blobs == NULL)
        return e->code;
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
    child_say_bye(&w->child);
    return 0;
}

int worker_main(void)
{
    struct worker *w = talloc_zero(NULL, struct worker);
    int status = worker_run(w);

    pg_free(&w->pg);
    talloc_free(w->blobs);
    child_end(&w->child);
    talloc_free(w);
    return status;
}
