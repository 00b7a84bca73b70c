/*
 * batch.c - documents that are done in memory, stored together
 *
 * Most documents are small: one transaction for many of them costs a tenth of one each. If the transaction fails for a
 * reason that may be one document's, each is stored by itself, so that the fault is found and only its owner pays.
 *
 * Depends on base, queue.
 */
#include "worker/worker.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

struct batch_item *batch_add(struct worker *w, struct hand *h, void *ctx)
{
    struct batch_item *it = &w->batch[w->n_batch++];

    memset(it, 0, sizeof *it);
    it->ctx = talloc_steal(NULL, ctx);
    it->hand = h;
    h->batched = true;
    it->work.job = h->job;
    it->work.from_status = h->status;
    return it;
}

bool batch_full(const struct worker *w)
{
    return w->n_batch >= BATCH_MAX_DOCUMENTS || w->batch_chunks >= BATCH_MAX_CHUNKS ||
           w->batch_bytes >= BATCH_MAX_BYTES;
}

static int64_t give_up_at(const struct worker *w)
{
    int64_t now = clock_ms();

    if (w->draining)
        return w->drain_until_ms > now ? w->drain_until_ms : now;
    return now + w->conf->queue_stage_deadline / 5 * 2;
}

/* What a stored outcome means for the hand. Returns 1 if the document goes on, 0 if it is over, or negative. */
static int take_outcome(struct worker *w, struct hand *h, const struct queue_work *work, struct error *e)
{
    struct error why;

    switch (work->outcome) {
    case QUEUE_STORED:
        h->status = work->to_status;
        h->progress_ms = clock_ms();
        if (!status_is_end(work->to_status))
            return 1;
        hand_over(w, h, true, false);
        return 0;
    case QUEUE_DUPLICATE:
        hand_over(w, h, true, false);
        return 0;
    case QUEUE_MISCOUNT:
        reason_error(&why, REASON_count_mismatch, EIO, NULL);
        return pipeline_fail(w, h, &why, e);
    case QUEUE_LOST:
        log_info("worker", "lease lost, work dropped", NULL);
        hand_over(w, h, false, true);
        return 0;
    case QUEUE_PENDING:
        break;
    }
    return reason_error(e, REASON_internal, EPROTO, "stored work has no outcome");
}

int store_one(struct worker *w, struct hand *h, struct queue_work *work, struct error *e)
{
    struct queue_space space;
    struct error why;
    int rc;

    rc = worker_space(w, h->job, &space, e);
    if (rc != 0)
        return rc;
    rc = queue_store(w->pg, work, 1, space.dimension, w->conf->queue_stage_deadline, give_up_at(w), &why);
    if (rc == 0)
        return take_outcome(w, h, work, e);
    if (why.cls == ERR_PERMANENT || why.cls == ERR_INTERNAL)
        return pipeline_fail(w, h, &why, e);
    *e = why;
    return rc;
}

void batch_drop(struct worker *w)
{
    for (int i = 0; i < w->n_batch; i++) {
        w->batch[i].hand->batched = false;
        talloc_free(w->batch[i].ctx);
    }
    w->n_batch = 0;
    w->batch_chunks = 0;
    w->batch_bytes = 0;
}

static int store_each(struct worker *w, struct error *e)
{
    for (int i = 0; i < w->n_batch; i++) {
        int rc;
        if (w->batch[i].work.outcome != QUEUE_PENDING)
            continue;
        rc = store_one(w, w->batch[i].hand, &w->batch[i].work, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void publish_finalize(struct worker *w)
{
    for (int i = 0; i < w->n_batch; i++)
        w->batch[i].hand->stage = STATUS_EMBEDDINGS_STORED;
    hands_publish(w);
    score_stage(w->child.score, STATUS_EMBEDDINGS_STORED, w->conf->queue_stage_deadline);
}

static int store_group(struct worker *w, struct queue_work *work, int *index, int n, int dimension, struct error *e)
{
    int rc = queue_store(w->pg, work, n, dimension, w->conf->queue_stage_deadline, give_up_at(w), e);

    for (int k = 0; k < n; k++)
        w->batch[index[k]].work = work[k];
    return rc;
}

/* Documents of one dimension go in one transaction; nearly always that is all of them. */
static int store_all(struct worker *w, struct error *e)
{
    struct queue_work work[BATCH_MAX_DOCUMENTS];
    int index[BATCH_MAX_DOCUMENTS];
    bool taken[BATCH_MAX_DOCUMENTS] = {false};
    struct queue_space space, other;
    int rc;

    for (int i = 0; i < w->n_batch; i++) {
        int n = 0;
        if (taken[i])
            continue;
        if ((rc = worker_space(w, w->batch[i].hand->job, &space, e)) != 0)
            return rc;
        for (int k = i; k < w->n_batch; k++) {
            if (taken[k])
                continue;
            if ((rc = worker_space(w, w->batch[k].hand->job, &other, e)) != 0)
                return rc;
            if (other.dimension != space.dimension)
                continue;
            taken[k] = true;
            work[n] = w->batch[k].work;
            index[n++] = k;
        }
        if ((rc = store_group(w, work, index, n, space.dimension, e)) != 0)
            return rc;
    }
    return 0;
}

int batch_flush(struct worker *w, struct error *e)
{
    int64_t began = clock_ms();
    int rc;

    if (w->n_batch == 0)
        return 0;
    publish_finalize(w);
    rc = store_all(w, e);
    if (rc != 0 && (e->cls == ERR_PERMANENT || e->cls == ERR_INTERNAL)) {
        if (w->n_batch > 1)
            log_warn("worker", "a batch could not be stored, trying each document by itself", "error", e->message,
                     NULL);
        rc = store_each(w, e);
    }
    for (int i = 0; rc >= 0 && i < w->n_batch; i++) {
        if (!w->batch[i].hand->over)
            rc = take_outcome(w, w->batch[i].hand, &w->batch[i].work, e);
    }
    if (rc >= 0)
        score_stage_done(w->child.score, STATUS_EMBEDDINGS_STORED, clock_ms() - began, (uint64_t)w->n_batch);
    batch_drop(w);
    return rc < 0 ? rc : 0;
}
