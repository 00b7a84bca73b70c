/*
 * ready.c - see ready.h
 *
 * Diagnostics
 *   warns   a write that fails, once until one succeeds
 */
#include "api/ready.h"

#include "api/api.h"
#include "api/stores.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define POOLS_EVERY_MS 500

enum write_state { WRITE_UNKNOWN, WRITE_GOOD, WRITE_BAD };

struct ready {
    struct api *api;
    struct db_call *call; /* the write under way */
    int64_t polled_ms, began_ms;
    enum write_state write;
    int64_t pools_ms; /* when the pools were last looked at */
    bool pools_good;
    struct totals totals;
    struct score_data *slots; /* SCORE_SLOTS of them */
};

struct ready *ready_new(struct api *api)
{
    struct ready *r = talloc_zero(api, struct ready);

    if (r == NULL)
        log_panic("ready", "out of memory");
    r->api = api;
    r->slots = calloc(SCORE_SLOTS, sizeof *r->slots); /* of the kernel's zero pages until there are so many children */
    if (r->slots == NULL)
        log_panic("ready", "out of memory");
    return r;
}

void ready_free(struct ready **ready)
{
    struct ready *r = *ready;

    *ready = NULL;
    if (r == NULL)
        return;
    dbpool_forget(&r->call);
    free(r->slots);
    talloc_free(r);
}

/* ---- the write ---- */

static void note_write(struct ready *r, bool good, const struct error *e)
{
    if (!good && r->write != WRITE_BAD)
        log_warn("ready", "the database cannot be written", "reason", e->reason, "error", e->message, NULL);
    else if (good && r->write == WRITE_BAD)
        log_info("ready", "the database can be written again", NULL);
    r->write = good ? WRITE_GOOD : WRITE_BAD;
}

static void handle_written(void *arg, const PGresult *res, const char *sqlstate, const struct error *e)
{
    struct ready *r = arg;

    (void)sqlstate;
    r->call = NULL;
    note_write(r, res != NULL, e);
}

static void begin_write(struct ready *r)
{
    struct db_call *call = dbpool_call(r->api->db, NULL, "SELECT upload_pipeline.probe_write($1, $2)", false);
    struct pg_params *p = dbpool_params(call);
    struct error e;

    r->began_ms = clock_ms();
    pg_add_text(p, r->api->conf->node_name);
    pg_add_int4(p, r->api->child.slot);
    dbpool_first(call, READY_DEADLINE_MS);
    if (dbpool_submit(&call, handle_written, r, &e) == 0)
        r->call = call;
    else
        note_write(r, false, &e);
}

static bool polled(const struct ready *r, int64_t now)
{
    return r->polled_ms != 0 && now - r->polled_ms < READY_DEMAND_MS;
}

static void keep_writing(struct ready *r, int64_t now)
{
    if (r->call == NULL && polled(r, now) && (r->began_ms == 0 || now - r->began_ms >= READY_EVERY_MS))
        begin_write(r);
}

/* ---- the pools ---- */

/* As the child says itself: connected, and not about to go. */
static bool child_serves(const struct score_data *d)
{
    return d->pid > 0 && d->phase != SCORE_FREE && d->phase != SCORE_DRAINING &&
           (d->phase != SCORE_STARTING || d->db_ok == 1);
}

/* Of the pools as the master has them now, which a reload may have changed since this process began. */
static bool look_at_pools(struct ready *r)
{
    bool served[CONF_MAX_POOLS] = {false};

    (void)scoreboard_read_all(r->api->child.score, &r->totals, r->slots); /* good enough, and looked at again soon */
    for (int i = 0; i < SCORE_SLOTS; i++) {
        const struct score_data *d = &r->slots[i];
        if (child_serves(d) && d->pool >= 0 && d->pool < CONF_MAX_POOLS)
            served[d->pool] = true;
    }
    for (int p = 0; p < CONF_MAX_POOLS; p++)
        if (!served[p] && r->totals.pools[p].min > 0)
            return false;
    return true;
}

/* ---- answers ---- */

void ready_tick(struct ready *r)
{
    keep_writing(r, clock_ms());
}

static const char *database_state(const struct ready *r, int64_t now)
{
    if (!dbpool_ok(r->api->db))
        return "does not answer";
    if (r->call != NULL && now - r->began_ms > READY_DEADLINE_MS)
        return "does not answer in time";
    return r->write == WRITE_BAD ? "cannot be written" : "ok";
}

void ready_look(struct ready *r, struct ready_view *out)
{
    int64_t now = clock_ms();
    const char *why = "";

    if (!polled(r, now))
        r->write = WRITE_UNKNOWN; /* what was true then says nothing now */
    r->polled_ms = now;
    keep_writing(r, now);
    if (r->pools_ms == 0 || now - r->pools_ms >= POOLS_EVERY_MS) {
        r->pools_good = look_at_pools(r);
        r->pools_ms = now;
    }
    *out = (struct ready_view){
        .database = database_state(r, now),
        .storage = stores_state(r->api->stores, &why) == 1 ? "ok" : "does not work",
        .pools = r->pools_good ? "ok" : "a pool has no child that is ready",
        .configuration = services_differs(r->api->child.services) ? "differs from the other nodes'" : "ok",
        .draining = r->api->draining,
    };
    out->ready = !out->draining && strcmp(out->database, "ok") == 0 && strcmp(out->storage, "ok") == 0 &&
                 strcmp(out->pools, "ok") == 0 && strcmp(out->configuration, "ok") == 0;
}
