/*
 * dbpool.h - a few database connections for many requests, in the event loop
 *
 * A call waits in one queue of bounded length until a connection is free, and has one deadline for waiting and running
 * together. Its callback comes exactly once, never from within dbpool_submit. When the database cannot be reached the
 * pool says so at once to everybody (db_unavailable) and tries by itself, with backoff, until it answers again. A
 * repeatable call that loses its connection is sent once more.
 *
 * Diagnostics: logs when the database goes away and when it comes back, once each.
 *
 * Depends on base, core, db, libsystemd.
 */
#ifndef API_DBPOOL_H
#define API_DBPOOL_H

#include "core/conf.h"
#include "db/pg.h"

#include <systemd/sd-event.h>

struct dbpool;
struct db_call;

/* res is NULL on error; sqlstate is "" if there is none. */
typedef void (*db_done)(void *arg, const PGresult *res, const char *sqlstate, const struct error *e);

struct dbpool *dbpool_new(const void *talloc_parent, sd_event *event, const struct conf *conf,
                          struct error *e) MUST_CHECK;
void dbpool_free(struct dbpool **pool);

/* Makes a call; fill dbpool_params, then submit. sql is kept as a pointer. claims may be NULL. */
struct db_call *dbpool_call(struct dbpool *pool, const char *claims, const char *sql, bool repeatable);
struct pg_params *dbpool_params(struct db_call *call);
void dbpool_add_vector(struct db_call *call, const float *v, int dim);
/* Before what waits already, with a deadline of its own: for questions about the database itself. */
void dbpool_first(struct db_call *call, int64_t limit_ms);
/* Queues it. On error (overloaded, db_unavailable) the call is gone and the callback will not come. */
int dbpool_submit(struct db_call **call, db_done done, void *arg, struct error *e) MUST_CHECK;
/* The caller goes away: the callback will not come; a statement that runs ends by itself. */
void dbpool_forget(struct db_call **call);

/* 0, or db_unavailable if it is known that no call can succeed now. */
int dbpool_check(const struct dbpool *pool, struct error *e) MUST_CHECK;
bool dbpool_ok(const struct dbpool *pool);      /* it answered lately */
bool dbpool_untried(const struct dbpool *pool); /* it neither answered nor failed yet */
/* Every second: expires waiting calls, probes. */
void dbpool_tick(struct dbpool *pool);

#endif
