/*
 * leftovers.c - removes from the blob store what no document names
 *
 * A deleted document leaves its file and its parsed text, a document that was parsed again its former text, an upload
 * that the database refused at the last moment its file, a killed process a half-written one. Nobody removes a blob on
 * the spot: the same bytes may be on their way again, durable already and about to be named by a row. Instead the store
 * is walked, every half of retention.blobs, and for each blob that has been idle for retention.blobs the database is
 * asked whether a document of its user names it.
 *
 * Why that is enough, without a lock that is held over a removal. Let a be retention.blobs.
 *   1. Who will name a blob commits it, or puts it, first; its idle time then begins anew (blob.h).
 *   2. Its row is committed within a/2 of that, or never: an upload's statement has a deadline, a worker's store ends
 *      with its lease; conf_check.c holds retention.blobs to four times both together, upload.c and the lease fence
 *      refuse what is late.
 *   3. A removal comes at most a/4 after the question to the database began, and the look at the idle time and the
 *      removal are one step to all who commit (blob.h).
 * A blob removed at m was committed last before m - a, so its row, if it has one, was committed before m - a/2; the
 * question was asked after m - a/4, and has seen it. Two walkers, or one that was stopped and goes on, are as safe as
 * one. No transaction is open while the store is waited for.
 *
 * Only a store that belongs to this database is walked: one that was filled for another would look like leftovers.
 *
 * Warns: failures, and a store of another database, once until it goes well again.
 * Depends on base, core, db, queue, blob.
 */
#include "worker/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "queue/walk.h"

#include <errno.h>
#include <string.h>

#define STEP_BLOBS   500
#define TAKE_MS      (60 * 1000)
#define ASK_MIN_MS   250
#define ASK_MAX_MS   (60 * 1000) /* is a step due? */
#define AGAIN_MS     20          /* between steps of one walk */
#define AFTER_ERR_MS (10 * 1000)

_Static_assert(QUEUE_CURSOR_BYTES == BLOB_CURSOR_BYTES, "the database keeps the store's cursor");

static int remove_unnamed(struct worker *w, const struct queue_blob *blobs, int n, int64_t not_after_ms,
                          struct error *e)
{
    int removed = 0;

    for (int i = 0; i < n && clock_ms() <= not_after_ms; i++) {
        struct blob_name name = {.user = blobs[i].user};
        int rc;
        if (blobs[i].named)
            continue;
        memcpy(name.sha256, blobs[i].sha256, sizeof name.sha256);
        rc = blob_remove_idle(w->blobs, &name, w->conf->retention_blobs, not_after_ms, e);
        if (rc < 0)
            return rc;
        removed += rc;
        worker_tick(w);
    }
    return removed;
}

/* One stretch of the store. Moves the cursor on; returns how many blobs were removed. */
static int walk_stretch(struct worker *w, struct queue_walk *walk, struct error *e)
{
    struct blob_name names[STEP_BLOBS];
    struct queue_blob blobs[STEP_BLOBS];
    int64_t asked_ms;
    int n = blob_list(w->blobs, walk->cursor, w->conf->retention_blobs, names, STEP_BLOBS, e);
    int rc;

    if (n <= 0)
        return n;
    for (int i = 0; i < n; i++) {
        blobs[i].user = names[i].user;
        memcpy(blobs[i].sha256, names[i].sha256, sizeof blobs[i].sha256);
    }
    asked_ms = clock_ms();
    rc = queue_blobs_named(w->pg, blobs, n, e);
    if (rc < 0)
        return rc;
    return remove_unnamed(w, blobs, n, asked_ms + w->conf->retention_blobs / 4, e);
}

/* At the start of each walk: what killed processes had not finished writing. */
static int sweep_unfinished(struct worker *w, struct error *e)
{
    int n = blob_sweep(w->blobs, w->conf->retention_blobs, e);

    if (n > 0)
        log_info("worker", "half-written blobs removed", "files", LOG_I(n), NULL);
    return n < 0 ? n : 0;
}

/* 1: there is more to do at once, 0: not now, or negative. */
static int step(struct worker *w, struct error *e)
{
    struct queue_walk walk;
    int64_t wait_ms;
    int rc = queue_walk_take(w->pg, TAKE_MS, &walk, e);
    int removed;

    if (rc <= 0)
        return rc;
    if ((rc = blob_belongs(w->blobs, &walk.database, e)) != 0)
        return rc;
    if (walk.cursor[0] == '\0' && (rc = sweep_unfinished(w, e)) != 0)
        return rc;
    if ((removed = walk_stretch(w, &walk, e)) < 0)
        return removed;
    if (removed > 0)
        log_info("worker", "blobs that no document names removed", "files", LOG_I(removed), NULL);
    wait_ms = walk.cursor[0] != '\0' ? 0 : w->conf->retention_blobs / 2;
    rc = queue_walk_done(w->pg, &walk, wait_ms, e);
    return rc != 0 ? rc : wait_ms == 0;
}

static int64_t ask_every_ms(const struct worker *w)
{
    int64_t ms = w->conf->retention_blobs / 16;

    return ms < ASK_MIN_MS ? ASK_MIN_MS : ms > ASK_MAX_MS ? ASK_MAX_MS : ms;
}

void leftovers_step(struct worker *w)
{
    struct error e;
    int rc;

    if (clock_ms() < w->leftovers_ms)
        return;
    rc = step(w, &e);
    if (rc < 0 && !w->leftovers_failing)
        log_warn("worker", "leftovers in the blob store could not be removed", "reason", e.reason, "error", e.message,
                 "hint", e.hint, NULL);
    w->leftovers_failing = rc < 0;
    w->leftovers_ms = clock_ms() + (rc < 0 ? AFTER_ERR_MS : rc > 0 ? AGAIN_MS : ask_every_ms(w));
}
