/*
 * pg_event.c - the event-loop driver: pg_submit, pg_process, notifications
 *
 * Steps the machine of pg_conn.c when the loop says so; never waits. A callback is the last thing that pg_process
 * does, so it may submit the next statement, close or free the connection.
 *
 * Depends on base/log.h, core/reason.h.
 */
#include "base/log.h"
#include "core/reason.h"
#include "db/pg_int.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

/* Takes the finished statement out of p and tells its owner. */
static void deliver(struct pg *p)
{
    struct pg_statement *s = p->stmt;
    struct error e = p->out_err;
    PGresult *res = p->out_res;
    pg_callback cb = s == NULL ? NULL : s->cb;
    void *arg = s == NULL ? NULL : s->arg;

    p->stmt = NULL;
    p->out_res = NULL;
    p->finished = false;
    talloc_free(s);
    if (cb != NULL)
        cb(arg, res, res == NULL ? &e : NULL);
    PQclear(res);
}

static int submit(struct pg *p, const char *claims, const char *sql, const struct pg_params *params,
                  int64_t deadline_ms, pg_callback cb, void *arg, struct error *e)
{
    struct error own;
    int code = pg_stmt_new(p, claims, sql, params, deadline_ms, e);

    if (code != 0)
        return code;
    p->stmt->cb = cb;
    p->stmt->arg = arg;
    if (pg_step(p, 0) == 0) {
        if (!p->stmt->sent)
            pg_stmt_keep(p);
        return 0;
    }
    if (p->was_sent) /* answered already, well or badly: told by the next pg_process, never from inside pg_submit */
        return 0;
    own = p->out_err;
    talloc_free(p->stmt);
    p->stmt = NULL;
    p->finished = false;
    if (e != NULL)
        *e = own;
    return own.code;
}

int pg_submit(struct pg *p, const char *sql, const struct pg_params *params, int64_t deadline_ms, pg_callback cb,
              void *arg, struct error *e)
{
    return submit(p, NULL, sql, params, deadline_ms, cb, arg, e);
}

int pg_submit_as(struct pg *p, const char *claims_json, const char *sql, const struct pg_params *params,
                 int64_t deadline_ms, pg_callback cb, void *arg, struct error *e)
{
    return submit(p, claims_json, sql, params, deadline_ms, cb, arg, e);
}

bool pg_busy(const struct pg *p)
{
    return p->stmt != NULL || p->connect_wish;
}

int pg_fd(const struct pg *p)
{
    return p->conn == NULL ? -1 : PQsocket(p->conn);
}

short pg_events(const struct pg *p)
{
    return p->conn == NULL ? 0 : p->events;
}

int64_t pg_wakeup_ms(const struct pg *p)
{
    if (p->finished)
        return 0;
    switch (p->state) {
    case PG_RETRY:
        return p->retry_at_ms < p->connect_until_ms ? p->retry_at_ms : p->connect_until_ms;
    case PG_RESOLVING:
        return p->resolve_at_ms < p->connect_until_ms ? p->resolve_at_ms : p->connect_until_ms;
    case PG_CONNECTING:
    case PG_SETUP:
        return p->connect_until_ms;
    case PG_RUNNING:
        return p->stmt->deadline_ms;
    case PG_DOWN:
    case PG_READY:
        break;
    }
    return -1;
}

void pg_process(struct pg *p, short revents)
{
    if (p->finished || pg_step(p, revents) != 0)
        deliver(p);
}

bool pg_notification(struct pg *p, char channel[64], char payload[256])
{
    PGnotify *n = p->conn == NULL ? NULL : PQnotifies(p->conn);

    if (n == NULL)
        return false;
    snprintf(channel, 64, "%s", n->relname);
    snprintf(payload, 256, "%s", n->extra);
    PQfreemem(n);
    return true;
}

void pg_close(struct pg *p)
{
    if (p->stepping)
        log_panic("pg", "a connection was closed from its own tick hook");
    if (p->stmt != NULL && !p->finished) {
        reason_error(&p->out_err, REASON_db_unavailable, ECANCELED, "the connection was closed");
        PQclear(p->stmt->result);
        p->out_res = NULL;
    }
    pg_drop(p);
    p->state = PG_DOWN;
    p->connect_wish = p->tx_lost = false;
    if (p->stmt != NULL)
        deliver(p);
}
