/*
 * hand.c - which jobs are in hand, for the scoreboard and for their deadlines
 *
 * The scoreboard is what is left if this process is killed: a job stands there before anything is done for it, with
 * stage 0 until it is begun. The master's evidence, and so who is blamed for a crash, is made of that.
 *
 * Depends on base, proc, queue.
 */
#include "worker/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "proc/logs.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

void hands_publish(struct worker *w)
{
    struct score_data *s = score_begin(w->child.score);
    int n = 0, shown = 0;

    for (int pass = 0; pass < 2; pass++) { /* the begun ones first: they matter if there are too many to show */
        for (int i = 0; i < w->n_hands; i++) {
            const struct hand *h = w->hands[i];
            if (h->over || h->begun != (pass == 0))
                continue;
            n++;
            if (shown >= SCORE_IN_HAND_MAX)
                continue;
            s->in_hand[shown].job_id = h->job->id;
            s->in_hand[shown].lease = h->job->lease;
            s->in_hand[shown].status = h->begun ? h->stage : 0;
            shown++;
        }
    }
    s->n_in_hand = n;
    s->phase = w->draining ? SCORE_DRAINING : n > 0 ? SCORE_BUSY : SCORE_READY;
    s->progress++;
    score_end(w->child.score);
}

void hands_take(struct worker *w, struct queue_job *jobs, int n)
{
    struct claim *claim = talloc_zero(w, struct claim);
    int64_t now = clock_ms();

    claim->jobs = talloc_steal(claim, jobs);
    claim->n_held = n;
    for (int i = 0; i < n; i++) {
        struct hand *h = talloc_zero(w, struct hand);
        *h = (struct hand){
            .claim = claim, .job = &jobs[i], .status = jobs[i].status, .stage = jobs[i].status, .progress_ms = now};
        w->hands[w->n_hands++] = h;
    }
    hands_publish(w);
}

void hands_let_go(struct worker *w)
{
    int kept = 0;

    for (int i = 0; i < w->n_hands; i++) {
        struct hand *h = w->hands[i];
        if (!h->over || h->batched || h->passage != NULL) { /* who has the passage lets it go */
            w->hands[kept++] = h;
            continue;
        }
        if (--h->claim->n_held == 0)
            talloc_free(h->claim);
        talloc_free(h);
    }
    w->n_hands = kept;
}

void hand_begin(struct worker *w, struct hand *h)
{
    h->begun = true;
    h->progress_ms = clock_ms();
    hands_publish(w);
}

void hand_stage(struct worker *w, struct hand *h, int stage, int64_t busy_ms)
{
    h->stage = (int16_t)stage;
    hands_publish(w);
    score_stage(w->child.score, stage, busy_ms);
}

void hand_stage_done(struct worker *w, struct queue_work *work, int stage, int64_t began_ms)
{
    int64_t took = clock_ms() - began_ms;

    score_stage_done(w->child.score, stage, took, 1);
    if (work->n_hops < QUEUE_MAX_HOPS)
        work->hops[work->n_hops++] = (struct queue_hop){(int16_t)stage, (int32_t)took};
}

void hand_over(struct worker *w, struct hand *h, bool done, bool lost)
{
    struct score_data *s;

    if (h->over)
        return;
    h->over = true;
    s = score_begin(w->child.score);
    if (lost)
        s->jobs_lost++;
    else if (done)
        s->jobs_done++;
    else
        s->jobs_failed++;
    score_end(w->child.score);
    w->done++;
    hands_publish(w);
}

void hand_leave(struct worker *w, struct hand *h)
{
    h->over = true;
    hands_publish(w);
}

/* At 80 % of the stage's deadline the worker stops itself, before the coordinator takes the job away. */
int hand_check_deadline(const struct worker *w, const struct hand *h, struct error *e)
{
    int64_t limit = w->conf->queue_stage_deadline / 5 * 4;

    if (clock_ms() - h->progress_ms < limit)
        return 0;
    return reason_error(e, REASON_stage_deadline, ETIMEDOUT, NULL);
}

static void hear(struct worker *w, const struct channel_msg *m)
{
    switch (m->kind) {
    case CHANNEL_WAKE:
        w->woken = true;
        break;
    case CHANNEL_DRAIN:
        if (!w->draining)
            log_info("worker", "draining", "limit_ms", LOG_I(m->drain.limit_ms), NULL);
        w->draining = true;
        w->drain_until_ms = clock_ms() + m->drain.limit_ms;
        break;
    case CHANNEL_PING: {
        struct channel_msg pong = {.kind = CHANNEL_PONG};
        (void)channel_send(w->child.channel, &pong);
        break;
    }
    case CHANNEL_LOG:
        logs_take(m);
        break;
    default:
        log_warn("worker", "a message that a worker does not take", "kind", LOG_I(m->kind), NULL);
    }
}

void worker_tick(void *arg)
{
    struct worker *w = arg;
    struct channel_msg m;
    struct error e;
    int rc;

    score_beat(w->child.score);
    while ((rc = channel_recv(w->child.channel, &m, &e)) == 0)
        hear(w, &m);
    if (rc == -EPIPE)
        w->master_gone = true;
    else if (rc != -EAGAIN)
        log_warn("worker", "bad message from the master", "error", e.message, NULL);
    log_tick();
    outside_tick(w);
}
