/*
 * spaces.c - the collections' embedding spaces: wanted, filled, flipped
 *
 * The rules are functions of the database (sql/0004), one statement each. Every node makes sure at its start that the
 * collections of its configuration are there; the leader alone decides that one is to have another space, makes fill
 * jobs for its documents a few at a time, and flips when all are done.
 *
 * Logs: what began, was flipped, given up or emptied. Raises: documents that hold up a flip, when their number changes.
 *
 * Depends on base, core, db, proc, provider.
 */
#include "coordinator/coordinator.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "provider/embedder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SCAN_DOCUMENTS  500  /* looked at in one step */
#define OPEN_FILLS      2000 /* jobs of a space that may wait; there is no use in more */
#define TIDY_ROWS       1000
#define STEP_IDLE_MS    2000
#define STEP_FILLING_MS 500
#define STEP_MORE_MS    50
#define WANT_AGAIN_MS   500

void spaces_ensure_params(struct coordinator *c, struct pg_params *p)
{
    struct embedder_identity want = embedder_identity(c->conf, c->collection);

    pg_add_text(p, embedder_collection(c->conf, c->collection));
    pg_add_text(p, want.model);
    pg_add_int4(p, want.version);
    pg_add_int4(p, want.dimension);
    pg_add_text(p, want.metric);
    pg_add_text(p, c->conf->search_index);
}

void spaces_step_params(struct coordinator *c, struct pg_params *p)
{
    pg_add_int4(p, SCAN_DOCUMENTS);
    pg_add_int4(p, OPEN_FILLS);
    pg_add_int4(p, TIDY_ROWS);
    pg_add_int8(p, c->conf->retention_generations);
}

int64_t spaces_wanted(struct coordinator *c, const PGresult *r)
{
    const char *verdict = pg_get_text(r, 0, 0), *name = embedder_collection(c->conf, c->collection);
    struct embedder_identity want = embedder_identity(c->conf, c->collection);

    if (strcmp(verdict, "not leading") == 0)
        return -1;
    if (strcmp(verdict, "busy") == 0 || strcmp(verdict, "clearing") == 0)
        return WANT_AGAIN_MS;
    if (strcmp(verdict, "begun") == 0)
        log_info("coordinator", "a new embedding space is being filled; searches use the old one meanwhile",
                 "collection", name, "model", want.model, "dimension", LOG_I(want.dimension), NULL);
    else if (strcmp(verdict, "given up") == 0)
        log_info("coordinator", "the embedding space that was being filled is given up", "collection", name, NULL);
    return ++c->collection <= c->conf->n_collections ? 0 : -1;
}

static void tell_failed(struct coordinator *c, int64_t failed, const char *collection)
{
    char text[240];

    if (failed == c->fills_failed)
        return;
    c->fills_failed = failed;
    if (failed == 0)
        return;
    snprintf(text, sizeof text,
             "%" PRId64 " documents could not be embedded for the new space of collection %s, which waits for them",
             failed, collection);
    log_warn("coordinator", text, "hint", "docmillctl spaces", NULL);
    services_raise(c->child.services, "spaces", reason_name(REASON_fill_failed), text, clock_ms());
}

int64_t spaces_stepped(struct coordinator *c, const PGresult *r, bool *wake)
{
    int64_t wait = STEP_IDLE_MS, failed = 0;
    const char *failing = "";

    *wake = false;
    for (int i = 0; i < PQntuples(r); i++) {
        const char *collection = pg_get_text(r, i, 0), *verdict = pg_get_text(r, i, 1);
        bool moved = pg_get_bool(r, i, 2);
        if (collection != NULL && wait > STEP_FILLING_MS)
            wait = STEP_FILLING_MS;
        if (moved)
            wait = STEP_MORE_MS;
        *wake = *wake || moved;
        if (strcmp(verdict, "flipped") == 0)
            log_info("coordinator", "searches use the new embedding space", "collection", collection, "space",
                     LOG_I(pg_get_int(r, i, 3)), NULL);
        if (strcmp(verdict, "emptied") == 0)
            log_info("coordinator", "the vectors of a retired embedding space were removed", "space",
                     LOG_I(pg_get_int(r, i, 3)), NULL);
        if (strcmp(verdict, "failed") == 0)
            failing = collection;
        failed += pg_get_int(r, i, 4);
    }
    tell_failed(c, failed, failing);
    return wait;
}
