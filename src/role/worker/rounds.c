/*
 * rounds.c - one round of the worker: claim, work through, collect, store
 *
 * A round claims if there is room, takes each new job as far as it goes, collects what came back from outside services
 * for those that wait, and stores what is done. Jobs that wait keep their place in hand; the others are let go when the
 * round ends. A failure of the database gives everything back.
 *
 * A suspect (in hand with others when a worker crashed) is worked on alone: when one turns up among others it goes back,
 * nothing more is claimed until the hands are empty, and then one job by itself.
 *
 * Depends on base, queue.
 */
#include "worker/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "queue/cost.h"

#include <talloc.h>

#define BATCH_TARGET_US 250000 /* claim about so much work at once */
#define KEEP_UNBEGUN_MS 1000   /* then what was not begun goes back to the others */

/* ---- giving back ---- */

static int hand_back_hands(struct worker *w, struct hand *const *hands, int n, struct error *e)
{
    const struct queue_job *back[WORKER_MAX_CLAIM] = {NULL};
    int rc;

    for (int i = 0; i < n; i++)
        back[i] = hands[i]->job;
    if (n == 0)
        return 0;
    if ((rc = queue_hand_back(w->pg, back, n, e)) != 0)
        return rc;
    for (int i = 0; i < n; i++)
        hands[i]->over = true;
    hands_publish(w);
    return 0;
}

/* Gives back what has not begun, or everything. */
static int hand_back_where(struct worker *w, bool begun_too, struct error *e)
{
    struct hand *back[WORKER_MAX_CLAIM];
    int n = 0;

    for (int i = 0; i < w->n_hands; i++)
        if (!w->hands[i]->over && (begun_too || !w->hands[i]->begun))
            back[n++] = w->hands[i];
    return hand_back_hands(w, back, n, e);
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

/* Of the jobs from `first` on, which were claimed just now. Before them are those that wait. */
static int isolate_suspects(struct worker *w, int first, struct error *e)
{
    struct hand *back[WORKER_MAX_CLAIM];
    bool alone = first == 0;
    int n = 0;

    for (int i = first; i < w->n_hands; i++) {
        bool with_suspect = i > 0 && w->hands[0]->job->suspect;
        if (!w->hands[i]->job->suspect && !with_suspect)
            continue;
        if (alone && i == 0)
            continue;
        w->want_alone = true;
        back[n++] = w->hands[i];
    }
    return hand_back_hands(w, back, n, e);
}

static int work_through(struct worker *w, int first, struct error *e)
{
    int64_t began = clock_ms();
    int rc = isolate_suspects(w, first, e);

    for (int i = first; rc == 0 && i < w->n_hands; i++) {
        worker_tick(w);
        if (worker_leaving(w) || (i > first && clock_ms() - began > KEEP_UNBEGUN_MS))
            return hand_back_where(w, false, e);
        if (!w->hands[i]->over)
            rc = run_one(w, w->hands[i], e);
    }
    return rc;
}

/* What was paid for and could not be stored with its line of the ledger is at least in the log. */
static void tell_unwritten_costs(const struct worker *w)
{
    for (int i = 0; i < w->n_batch; i++) {
        const struct queue_work *work = &w->batch[i].work;
        for (int k = 0; k < work->n_costs && work->outcome == QUEUE_PENDING; k++)
            log_warn("worker", "a cost could not be written", "provider", work->costs[k].provider, "quantity",
                     LOG_I(work->costs[k].quantity), NULL);
    }
}

/* The work could not go on. What is still ours is given back if the database can be reached at all; if not, it is
 * found by queue_reclaim at the next connection, or by the deadline. */
static void give_all_back(struct worker *w)
{
    struct error e;

    tell_unwritten_costs(w);
    batch_drop(w);
    outside_drop(w);
    pg_rollback(w->pg);
    if (hand_back_where(w, true, &e) != 0)
        w->epoch = 0; /* reclaim before the next claim */
    for (int i = 0; i < w->n_hands; i++) {
        w->hands[i]->over = true;
        pipeline_forget(w->hands[i]);
    }
    hands_let_go(w);
    hands_publish(w);
    score_stage(w->child.score, 0, 0);
}

void rounds_leave(struct worker *w)
{
    log_info("worker", "work that is not finished is given back", "jobs", LOG_I(w->n_hands), NULL);
    give_all_back(w);
}

/* ---- a round ---- */

static bool may_claim(struct worker *w)
{
    if (w->n_hands == 0) {
        w->alone_now = w->want_alone;
        w->want_alone = false;
        return true;
    }
    return !w->want_alone && !w->hands[0]->job->suspect && outside_room(w, false) && clock_ms() >= w->next_claim_ms;
}

/* What rests is not asked for. With a lane paused between others it takes a statement for each side. */
static int claim_unpaused(struct worker *w, const struct queue_filter *f, int want, struct queue_job **jobs,
                          struct error *e)
{
    uint32_t paused = services_paused(w->child.services);
    struct queue_filter part;
    int lane = f->lane_min, n = 0;

    while (n == 0 && queue_unpaused(paused, f, &lane, &part)) {
        TALLOC_FREE(*jobs);
        n = queue_claim(w->pg, NULL, &w->owner, &part, want, w->conf->queue_stage_deadline, jobs, e);
    }
    return n;
}

/* 1: jobs were taken, 0: there are none, or negative: nothing of what is in hand was touched. */
static int claim(struct worker *w, struct error *e)
{
    struct queue_filter f = {
        .stages = w->child.pool->stages, .lane_min = w->child.pool->lane_min, .lane_max = w->child.pool->lane_max};
    struct queue_job *jobs = NULL;
    int want = w->alone_now ? 1 : claim_size(w), n;

    w->alone_now = false;
    if (f.lane_max >= QUEUE_LANE_FILL && !outside_room(w, true))
        f.lane_max = QUEUE_LANE_FILL - 1;
    if (want > WORKER_MAX_CLAIM - w->n_hands)
        want = WORKER_MAX_CLAIM - w->n_hands;
    if (want == 0)
        return 0;
    w->woken = false;
    n = claim_unpaused(w, &f, want, &jobs, e);
    if (n < 0) {
        w->epoch = 0; /* the claim may have happened */
        w->late_claim = true;
        return n;
    }
    w->next_claim_ms = n > 0 ? 0 : clock_ms() + w->conf->queue_poll_interval;
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
    return 1;
}

/* What was just claimed, and what waited. */
static int work(struct worker *w, int first, bool *moved, struct error *e)
{
    int rc = first < w->n_hands ? work_through(w, first, e) : 0;

    if (rc == 0)
        rc = batch_flush(w, e);
    if (rc == 0) {
        rc = outside_collect(w, e);
        *moved = *moved || rc > 0;
    }
    return rc < 0 ? rc : batch_flush(w, e);
}

int round_trip(struct worker *w, bool claiming, struct error *e)
{
    int first = w->n_hands, rc;
    bool moved = false;

    if ((rc = pg_connect(w->pg, e)) != 0)
        return rc;
    if (pg_epoch(w->pg) != w->epoch && (rc = reclaim(w, e)) != 0)
        return rc;
    if (w->woken) { /* remembered as a claim that is due: without room for one, answers must be waited for */
        w->next_claim_ms = 0;
        w->woken = false;
    }
    if (claiming && !services_differs(w->child.services) && may_claim(w)) {
        if ((rc = claim(w, e)) < 0)
            return rc;
        moved = rc > 0;
    }
    rc = work(w, first, &moved, e);
    if (rc != 0) {
        if (w->n_hands > 0) {
            log_warn("worker", "work given back", "reason", e->reason, "error", e->message, NULL);
            give_all_back(w);
        }
        return rc;
    }
    hands_let_go(w);
    if (moved) {
        hands_publish(w);
        score_stage(w->child.score, 0, 0);
    }
    return moved;
}
