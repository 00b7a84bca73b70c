/*
 * pg_wait.c - the waiting driver: pg_connect, pg_exec and transactions
 *
 * Polls the machine of pg_conn.c until it has finished, in slices short enough for the tick hook. The machine knows
 * every deadline, so the wait always ends.
 *
 * Diagnostics
 *   internal  a call from inside the tick hook, or while an event-driven statement runs (EBUSY); pg_begin inside a
 *             transaction
 *
 * Depends on base/clock.h, core/reason.h.
 */
#include "base/clock.h"
#include "core/reason.h"
#include "db/pg_int.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <talloc.h>

#define SLICE_MS    50
#define ROLLBACK_MS 5000

static void tick(struct pg *p, int64_t now)
{
    if (p->o.tick == NULL || now - p->last_tick_ms < SLICE_MS)
        return;
    p->last_tick_ms = now;
    p->o.tick(p->o.tick_arg);
}

static void wait_finished(struct pg *p)
{
    struct pollfd fd;
    int64_t now, until;
    short revents = 0;

    p->stepping = true;
    while (!pg_step(p, revents)) {
        now = clock_ms();
        tick(p, now);
        until = pg_wakeup_ms(p);
        if (until < 0 || until > now + SLICE_MS)
            until = now + SLICE_MS;
        fd = (struct pollfd){.fd = pg_fd(p), .events = pg_events(p)};
        revents = 0;
        if (poll(&fd, 1, until > now ? (int)(until - now) : 0) > 0)
            revents = fd.revents;
    }
    p->stepping = false;
    p->finished = false;
    talloc_free(p->stmt);
    p->stmt = NULL;
}

void pg_pause(struct pg *p, int64_t ms)
{
    int64_t until = clock_ms() + ms, now;

    while ((now = clock_ms()) < until) {
        tick(p, now);
        poll(NULL, 0, (int)(until - now < SLICE_MS ? until - now : SLICE_MS));
    }
}

int pg_connect(struct pg *p, struct error *e)
{
    if (p->stmt != NULL || p->connect_wish || p->stepping)
        return reason_error(e, REASON_internal, EBUSY, "the connection is busy with another statement");
    if (p->state == PG_READY)
        pg_idle_read(p);
    if (p->state == PG_READY)
        return 0;
    p->connect_wish = true;
    pg_wish_connection(p, clock_ms() + p->o.connect_timeout_ms);
    wait_finished(p);
    if (p->out_err.code != 0 && e != NULL)
        *e = p->out_err;
    return p->out_err.code;
}

/* plain: a statement that ends a transaction, with no settings ahead of it. e is not NULL. */
static PGresult *execute(struct pg *p, const char *sql, const struct pg_params *params, int64_t deadline_ms, bool plain,
                         struct error *e)
{
    if (pg_stmt_new(p, NULL, sql, params, deadline_ms, e) != 0)
        return NULL;
    p->stmt->plain = plain;
    wait_finished(p);
    if (p->out_res == NULL)
        *e = p->out_err;
    return p->out_res;
}

PGresult *pg_exec(struct pg *p, const char *sql, const struct pg_params *params, int64_t deadline_ms, struct error *e)
{
    struct error own;

    return execute(p, sql, params, deadline_ms, false, e == NULL ? &own : e);
}

int pg_run(struct pg *p, const char *sql, const struct pg_params *params, int64_t deadline_ms, struct error *e)
{
    struct error own;
    PGresult *res = pg_exec(p, sql, params, deadline_ms, &own);

    if (res != NULL) {
        PQclear(res);
        return 0;
    }
    if (e != NULL)
        *e = own;
    return own.code;
}

int pg_begin(struct pg *p, struct error *e)
{
    if (p->in_tx && pg_connected(p))
        return reason_error(e, REASON_internal, EALREADY, "a transaction is open already");
    p->tx_lost = false;
    return pg_run(p, "BEGIN", NULL, 0, e);
}

/* Whether the server said, in an error of this SQLSTATE, that the transaction did not commit. A cancelled COMMIT may
 * have been cancelled while it waited for a standby, after the commit itself. */
static bool surely_rolled_back(const struct pg *p)
{
    return pg_connected(p) && p->sqlstate[0] != '\0' && strcmp(p->sqlstate, "57014") != 0 &&
           strcmp(p->sqlstate, "40003") != 0 && strncmp(p->sqlstate, "08", 2) != 0;
}

int pg_commit(struct pg *p, bool *unknown, struct error *e)
{
    struct error own;
    PGresult *res;
    bool committed;

    *unknown = false;
    p->sqlstate[0] = '\0';
    res = execute(p, "COMMIT", NULL, 0, true, &own);
    p->tx_lost = false;
    if (res == NULL) {
        *unknown = p->was_sent && !surely_rolled_back(p);
        if (e != NULL)
            *e = own;
        return own.code;
    }
    committed = strcmp(PQcmdStatus(res), "COMMIT") == 0;
    PQclear(res);
    if (!committed)
        return reason_error(e, REASON_db_error, EPROTO, "the transaction had failed before, so it was rolled back");
    return 0;
}

void pg_rollback(struct pg *p)
{
    int64_t limit_ms = p->o.statement_timeout_ms < ROLLBACK_MS ? p->o.statement_timeout_ms : ROLLBACK_MS;
    struct error ignored;

    p->tx_lost = false;
    if (!p->in_tx || p->state != PG_READY)
        return;
    PQclear(execute(p, "ROLLBACK", NULL, clock_ms() + limit_ms, true, &ignored));
    if (p->in_tx)
        pg_close(p);
    p->tx_lost = false;
}
