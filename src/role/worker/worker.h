/*
 * worker.h - the worker's inside
 *
 *   main.c     start, claim, wait, drain: the loop
 *   pipeline.c one job through its stages, from wherever an earlier attempt got to
 *   batch.c    what is finished in memory and waits to be stored in one transaction
 *   leftovers.c  removes blobs that no document names
 *   hand.c     which jobs are in hand, on the scoreboard; deadlines
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "base/error.h"
#include "blob/blob.h"
#include "core/conf.h"
#include "db/pg.h"
#include "proc/child.h"
#include "queue/queue.h"

#define WORKER_MAX_CLAIM    256
#define WORKER_MAX_SPACES   8
#define BATCH_MAX_CHUNKS    512 /* stored in one transaction */
#define BATCH_MAX_BYTES     (4 * 1024 * 1024)
#define BATCH_MAX_DOCUMENTS 64

/* Jobs that were claimed together; freed when the last of them is let go. */
struct claim {
    struct queue_job *jobs;
    int n_held;
};

/* A job in hand. Its address stays until it is let go. */
struct hand {
    struct claim *claim;
    const struct queue_job *job;
    bool begun, over;
    bool batched;        /* the batch points to it */
    int16_t stage;       /* where the document is in our hands */
    int16_t status;      /* what the database has under our lease */
    int64_t progress_ms; /* last thing stored for it */
};

/* A document that is done in memory; its memory hangs on ctx. */
struct batch_item {
    void *ctx;
    struct hand *hand;
    struct queue_work work;
};

enum worker_storage { STORAGE_UNKNOWN, STORAGE_GOOD, STORAGE_BROKEN };

struct worker {
    struct child child;
    const struct conf *conf;
    struct pg *pg;
    struct blob_store *blobs;
    enum worker_storage storage; /* as last tried */
    struct queue_owner owner;
    struct queue_policy policy;
    struct hand *hands[WORKER_MAX_CLAIM];
    int n_hands;
    struct batch_item batch[BATCH_MAX_DOCUMENTS];
    int n_batch, batch_chunks;
    size_t batch_bytes;
    struct queue_space spaces[WORKER_MAX_SPACES];
    int n_spaces;
    bool woken, draining, master_gone;
    bool late_claim; /* a claim lost its answer: look once more for what it took */
    int64_t drain_until_ms;
    uint64_t epoch;  /* of the connection when jobs were last claimed */
    int64_t ewma_us; /* of one job */
    int64_t done;
    int64_t leftovers_ms; /* when to ask next */
    bool leftovers_failing;
};

/* leftovers.c: between jobs, one step if one is due */
void leftovers_step(struct worker *w);

/* hand.c */
void hands_take(struct worker *w, struct queue_job *jobs, int n); /* jobs: talloc; it is the hands' now */
void hands_let_go(struct worker *w);                              /* of those that are over */
void hand_begin(struct worker *w, struct hand *h);
void hand_stage(struct worker *w, struct hand *h, int stage, int64_t busy_ms); /* also on the scoreboard */
void hand_stage_done(struct worker *w, struct queue_work *work, int stage, int64_t began_ms);
void hand_over(struct worker *w, struct hand *h, bool done, bool lost);
int hand_check_deadline(const struct worker *w, const struct hand *h, struct error *e) MUST_CHECK;
void hands_publish(struct worker *w);
void worker_tick(void *arg); /* beats, hears the master */

/* pipeline.c: takes a begun job to its end, into the batch, or to a failure that it has written. A negative return
 * means that the database or the process cannot go on. */
int pipeline_run(struct worker *w, struct hand *h, struct error *e) MUST_CHECK;
int pipeline_fail(struct worker *w, struct hand *h, const struct error *why, struct error *e) MUST_CHECK;

/* batch.c */
struct batch_item *batch_add(struct worker *w, struct hand *h, void *ctx);
bool batch_full(const struct worker *w);
int batch_flush(struct worker *w, struct error *e) MUST_CHECK;
void batch_drop(struct worker *w); /* what was not stored is lost to this process, not to the database */
/* One document's work by itself, now. 1: stored, 0: over (lost or duplicate; the hand is closed), or negative. */
int store_one(struct worker *w, struct hand *h, struct queue_work *work, struct error *e) MUST_CHECK;
/* The space of a job, and the configuration with that space's dimension. */
int worker_space(struct worker *w, const struct queue_job *j, struct queue_space *out, struct error *e) MUST_CHECK;

#endif
