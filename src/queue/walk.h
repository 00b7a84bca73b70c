/*
 * walk.h - the database's side of the walk through the blob store
 *
 * The store is walked by one worker of all nodes at a time, a step each: queue_walk_take gives the step to one of those
 * who ask when it is due, queue_walk_done says how far it got. A step that is never done (its worker died) is due again
 * after the time it was taken for. Two that walk the same stretch after all do no harm.
 *
 * Depends on base, core, db.
 */
#ifndef QUEUE_WALK_H
#define QUEUE_WALK_H

#include "base/hash.h"
#include "db/pg.h"

#define QUEUE_CURSOR_BYTES 128

struct queue_walk {
    int64_t step;
    char cursor[QUEUE_CURSOR_BYTES];
    struct uuid database; /* its identity */
};

/* 1: the step is ours for take_ms, 0: it is not due, or somebody else's; or negative. */
int queue_walk_take(struct pg *p, int64_t take_ms, struct queue_walk *w, struct error *e) MUST_CHECK;
/* w->cursor is how far it got; the next step is due in wait_ms. Nothing if another has taken over meanwhile. */
int queue_walk_done(struct pg *p, const struct queue_walk *w, int64_t wait_ms, struct error *e) MUST_CHECK;

struct queue_blob {
    struct uuid user;
    uint8_t sha256[SHA256_BYTES];
    bool named; /* out */
};

/* Which of them a document of their user names, as its file or as its parsed text. All are answered, or it is an
 * error. */
int queue_blobs_named(struct pg *p, struct queue_blob *blobs, int n, struct error *e) MUST_CHECK;

#endif
