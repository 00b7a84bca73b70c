/*
 * pipeline_large.c - a document that is too large for one transaction: its rows go in slices
 *
 * Each slice is durable by itself, so that an attempt that ends in the middle is taken up where it was.
 *
 * Depends on base, queue.
 */
#include "worker/passage.h"

#include "base/clock.h"

#include <errno.h>
#include <talloc.h>

int passage_store_chunks(struct passage *p, struct error *e)
{
    int64_t began = clock_ms();
    bool clear = !p->fresh;
    int rc = 1;

    for (int first = 0; rc == 1 && first < p->n_chunks; first += SLICE_CHUNKS) {
        struct queue_work work = {.chunks = p->chunks + first};
        bool last = first + SLICE_CHUNKS >= p->n_chunks;
        work.n_chunks = last ? p->n_chunks - first : SLICE_CHUNKS;
        work.clear_chunks = clear && first == 0;
        work.to_status = last ? STATUS_CHUNKS_STORED : STATUS_CHUNKING;
        passage_put_parsed(p, &work);
        if ((rc = hand_check_deadline(p->w, p->h, e)) != 0)
            return rc;
        rc = passage_store_step(p, &work, e);
    }
    if (rc == 1)
        hand_stage_done(p->w, &p->work, STATUS_CHUNKS_STORED, began);
    return rc;
}

/* Exactly n chunks from the database, or an error. */
static int read_slice(struct passage *p, const void *ctx, int first, int n, struct queue_chunk **chunks,
                      struct error *e)
{
    int rc = queue_read_chunks(p->w->pg, ctx, p->h->job, first, n, chunks, e);

    if (rc >= 0 && rc != n)
        return reason_error(e, REASON_count_mismatch, EIO, NULL);
    return rc < 0 ? rc : 0;
}

static int embed_slices(struct passage *p, int first, int expected, int dimension, struct error *e)
{
    int rc = 1;

    while (rc == 1 && first < expected) {
        void *ctx = talloc_new(p->ctx);
        struct queue_work work = {.first_vector = first, .to_status = STATUS_EMBEDDING_IN_PROGRESS};
        struct queue_chunk *chunks = p->chunks != NULL ? p->chunks + first : NULL;
        int n = expected - first < SLICE_CHUNKS ? expected - first : SLICE_CHUNKS;
        hand_stage(p->w, p->h, STATUS_EMBEDDING_IN_PROGRESS, STAGE_BUSY_MS);
        rc = hand_check_deadline(p->w, p->h, e);
        if (rc == 0 && chunks == NULL)
            rc = read_slice(p, ctx, first, n, &chunks, e);
        if (rc == 0) {
            work.vectors = passage_embed(p, ctx, chunks, n, dimension, e);
            work.n_vectors = n;
            rc = work.vectors != NULL ? passage_store_step(p, &work, e) : e->code;
        }
        first += n;
        talloc_free(ctx);
    }
    return rc;
}

int passage_finish_large(struct passage *p, struct error *e)
{
    struct queue_work work = {.to_status = STATUS_COMPLETE};
    int64_t began = clock_ms();
    int first, rc;

    first = queue_stored_vectors(p->w->pg, p->h->job, e);
    work.expected_chunks = p->n_chunks > 0 ? p->n_chunks : queue_count_chunks(p->w->pg, p->h->job, e);
    if (first < 0 || work.expected_chunks < 0)
        return e->code;
    rc = embed_slices(p, first, work.expected_chunks, p->space.dimension, e);
    if (rc != 1)
        return rc;
    hand_stage_done(p->w, &p->work, STATUS_EMBEDDING_IN_PROGRESS, began);
    began = clock_ms();
    hand_stage(p->w, p->h, STATUS_EMBEDDINGS_STORED, STAGE_BUSY_MS);
    rc = passage_store_step(p, &work, e);
    score_stage_done(p->w->child.score, STATUS_EMBEDDINGS_STORED, clock_ms() - began, 1);
    return rc;
}
