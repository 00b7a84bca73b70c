/*
 * worker.h - the worker's inside
 *
 *   main.c     start, wait, drain: the loop
 *   rounds.c   claim, work through what was claimed, collect what came back, store
 *   pipeline.c one job through its stages, from wherever an earlier attempt got to
 *   pipeline_large.c  one that is too large for one transaction
 *   batch.c    what is finished in memory and waits to be stored in one transaction
 *   leftovers.c  removes blobs that no document names
 *   outside.c  documents that wait for an outside service
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
#define WORKER_MAX_SPACES   64
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
    bool batched;            /* the batch points to it */
    struct passage *passage; /* what waits for an outside service; NULL: nothing does */
    int16_t stage;           /* where the document is in our hands */
    int16_t status;          /* what the database has under our lease */
    int64_t progress_ms;     /* last thing stored for it */
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
    struct outside *outside;
    bool woken, draining, master_gone;
    bool want_alone, alone_now; /* a suspect is about: claim one job by itself when the hands are empty */
    int64_t next_claim_ms;      /* nothing was there: not before this, unless woken */
    bool late_claim;            /* a claim lost its answer: look once more for what it took */
    int64_t drain_until_ms;
    uint64_t epoch;  /* of the connection when jobs were last claimed */
    int64_t ewma_us; /* of one job */
    int64_t done;
    int64_t leftovers_ms; /* when to ask next */
    bool leftovers_failing;
};

/* leftovers.c: between jobs, one step if one is due */
void leftovers_step(struct worker *w);
/* main.c */
bool worker_leaving(const struct worker *w);

/* rounds.c. 1: something was done, 0: nothing to do now, negative: the database failed and everything was given back. */
int round_trip(struct worker *w, bool claiming, struct error *e) MUST_CHECK;
void rounds_leave(struct worker *w); /* gives back what is in hand */

/* outside.c */
int outside_open(struct worker *w, struct error *e) MUST_CHECK;
void outside_close(struct worker *w);
void outside_tick(struct worker *w);       /* from worker_tick(): moves requests, records answers */
bool outside_busy(const struct worker *w); /* something waits for an answer or for its turn to ask */
/* More documents may be taken in hand: of those that somebody uploaded, or of those too that are to fill a space. */
bool outside_room(const struct worker *w, bool to_fill);
/* At most ms, or until something came back or the master said something. */
int outside_wait(struct worker *w, int64_t ms, struct error *e) MUST_CHECK;
/* Takes what came back; what is done goes into the batch. How many documents moved, or negative. */
int outside_collect(struct worker *w, struct error *e) MUST_CHECK;
void outside_drop(struct worker *w); /* all that waits is forgotten; its owner gives the jobs back */

/* hand.c */
void hands_take(struct worker *w, struct queue_job *jobs, int n); /* jobs: talloc; it is the hands' now */
void hands_let_go(struct worker *w);                              /* of those that are over */
void hand_begin(struct worker *w, struct hand *h);
void hand_stage(struct worker *w, struct hand *h, int stage, int64_t busy_ms); /* also on the scoreboard */
void hand_stage_done(struct worker *w, struct queue_work *work, int stage, int64_t began_ms);
void hand_over(struct worker *w, struct hand *h, bool done, bool lost);
void hand_leave(struct worker *w, struct hand *h); /* it waits in the database now, and is nobody's */
int hand_check_deadline(const struct worker *w, const struct hand *h, struct error *e) MUST_CHECK;
void hands_publish(struct worker *w);
void worker_tick(void *arg); /* beats, hears the master */

/* pipeline.c: takes a begun job to its end, into the batch, or to a failure that it has written. A negative return
 * means that the database or the process cannot go on. */
int pipeline_run(struct worker *w, struct hand *h, struct error *e) MUST_CHECK;
/* Takes up a job that waited; 1: it moved, 0: it still waits, or negative as above. */
int pipeline_resume(struct worker *w, struct hand *h, struct error *e) MUST_CHECK;
void pipeline_forget(struct hand *h); /* of a job that is given back */
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
