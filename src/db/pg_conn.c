/*
 * pg_conn.c - one connection's life: made, moved step by step, dropped
 *
 * Owns the PGconn. pg_step() is the machine of pg_int.h; both drivers call it, and nothing in it waits.
 *
 * Diagnostics
 *   panics  out of memory
 *
 * Depends on base, core/reason.h, libpq.
 */
#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "db/pg_int.h"
#include "db/pg_meter.h"

#include <errno.h>
#include <sys/socket.h>
#include <talloc.h>

void *pg_must(void *pointer)
{
    if (pointer == NULL)
        log_panic("pg", "out of memory");
    return pointer;
}

/* However its memory is freed, the connection goes with it. */
static int destroy(struct pg *p)
{
    pg_drop(p);
    pg_resolve_leave(p);
    return 0;
}

struct pg *pg_new(const void *talloc_parent, const struct pg_options *o)
{
    struct pg *p = pg_must(talloc_zero(talloc_parent, struct pg));

    talloc_set_destructor(p, destroy);
    p->o = *o;
    p->o.role = o->role == NULL ? NULL : pg_must(talloc_strdup(p, o->role));
    p->o.application = o->application == NULL ? NULL : pg_must(talloc_strdup(p, o->application));
    return p;
}

void pg_free(struct pg **p)
{
    if (*p == NULL)
        return;
    pg_close(*p);
    talloc_free(*p);
    *p = NULL;
}

bool pg_connected(const struct pg *p)
{
    return p->state == PG_READY || p->state == PG_RUNNING;
}

uint64_t pg_epoch(const struct pg *p)
{
    return p->epoch;
}

const char *pg_sqlstate(const struct pg *p)
{
    return p->sqlstate;
}

bool pg_pooled(const struct pg *p)
{
    return p->pooled;
}

Oid pg_vector_type(const struct pg *p)
{
    return p->vector_type;
}

/* The shutdown comes first so that PQfinish's polite goodbye cannot wait for a peer that does not read, and so that
 * the server sees the end at once (client_connection_check_interval) and cancels what still runs. */
void pg_drop(struct pg *p)
{
    if (p->conn == NULL)
        return;
    if (PQsocket(p->conn) >= 0 && p->state != PG_READY)
        shutdown(PQsocket(p->conn), SHUT_RDWR);
    PQfinish(p->conn);
    p->conn = NULL;
    p->state = PG_DOWN;
    p->events = 0;
    p->tx_lost = p->tx_lost || p->in_tx;
    p->in_tx = false;
    p->tx_timeout_ms = 0;
}

static struct pg_meter meter;

const struct pg_meter *pg_meter(void)
{
    return &meter;
}

void pg_meter_answer(struct pg *p)
{
    if (p->stmt != NULL)
        histogram_add(&meter.waits, (clock_ns() - p->stmt->began_ns) / 1000);
}

void pg_meter_connect(void)
{
    meter.connects++;
}

void pg_fail(struct pg *p, const struct error *e)
{
    pg_meter_answer(p);
    p->out_err = *e;
    p->out_res = NULL;
    p->finished = true;
    p->connect_wish = false;
    if (p->stmt != NULL)
        PQclear(p->stmt->result);
}

/* ---- the machine ---- */

void pg_wish_connection(struct pg *p, int64_t until_ms)
{
    p->finished = false;
    p->out_res = NULL;
    error_clear(&p->out_err);
    p->connect_until_ms = until_ms;
    if (p->state == PG_DOWN)
        p->state = PG_RETRY;
}

/* Gives up what has waited too long. */
static void expire(struct pg *p)
{
    int64_t now = clock_ms();
    struct error e;

    if (p->finished)
        return;
    if (p->state == PG_RUNNING && now >= p->stmt->deadline_ms) {
        reason_error(&e, REASON_db_timeout, ETIMEDOUT,
                     "the database did not answer before the deadline; connection dropped");
        pg_drop(p);
        pg_fail(p, &e);
    } else if (p->state >= PG_RETRY && p->state <= PG_SETUP && now >= p->connect_until_ms) {
        if (p->state == PG_RETRY && p->connect_error.code != 0)
            e = p->connect_error;
        else
            reason_error(&e, REASON_db_unavailable, ETIMEDOUT, "no connection to the database in time");
        if (p->state == PG_RETRY) {
            p->state = PG_DOWN;
            pg_fail(p, &e);
        } else {
            pg_connect_failed(p, &e, false);
        }
    }
}

int pg_step(struct pg *p, short revents)
{
    enum pg_state before;

    do {
        before = p->state;
        switch (p->state) {
        case PG_DOWN:
            break;
        case PG_RESOLVING:
            pg_connect_resolve(p);
            break;
        case PG_RETRY:
            if (clock_ms() >= p->retry_at_ms)
                pg_connect_begin(p);
            break;
        case PG_CONNECTING:
            if (revents != 0)
                pg_connect_poll(p);
            break;
        case PG_SETUP:
            pg_setup_poll(p);
            break;
        case PG_READY:
            if (p->stmt != NULL && !p->stmt->sent)
                pg_stmt_send(p);
            else if (revents != 0)
                pg_idle_read(p);
            break;
        case PG_RUNNING:
            pg_stmt_poll(p);
            break;
        }
        revents = 0;
    } while (!p->finished && p->state != before);
    expire(p);
    return p->finished;
}
