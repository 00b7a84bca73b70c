/*
 * pg_connect.c - from a wish to a session that is set up
 *
 * Nothing here waits: names are resolved by pg_resolve.c, connecting is PQconnectPoll, the session's settings are
 * statements like any other. A failed attempt is followed by another after a backoff, as long as the wish's window is
 * open; the backoff outlives the wish, so that a caller in a tight loop does not hammer a server that is down.
 *
 * Diagnostics
 *   debug  notices of the server; connected; a setting that this server refuses
 *
 * Depends on base, core/reason.h, libpq.
 */
#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "db/pg_int.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#define RETRY_FIRST_MS 50
#define RETRY_CAP_MS   2000
#define OLDEST_SERVER  150000

void pg_connect_failed(struct pg *p, const struct error *e, bool again)
{
    int64_t now = clock_ms();

    p->connect_error = *e;
    pg_drop(p);
    p->state = PG_RETRY;
    p->retry_at_ms = now + backoff_ms(RETRY_FIRST_MS, RETRY_CAP_MS, p->tries);
    if (p->tries < 30)
        p->tries++;
    if (!again || p->retry_at_ms >= p->connect_until_ms) {
        p->state = PG_DOWN;
        pg_fail(p, e);
    }
}

/* Also gets an error that comes while nothing runs: the server's last word before it closes the connection. */
static void receive_notice(void *arg, const PGresult *res)
{
    struct pg *p = arg;
    const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

    severity = severity == NULL ? "" : severity;
    if (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0)
        p->dying = true;
    log_debug("pg", "notice of the server", "severity", severity, "text", text == NULL ? "" : text, NULL);
}

static void connect_next(struct pg *p, PostgresPollingStatusType next)
{
    struct error e;

    switch (next) {
    case PGRES_POLLING_READING:
        p->events = POLLIN;
        return;
    case PGRES_POLLING_OK:
        p->state = PG_SETUP;
        p->setup_step = 0;
        p->events = 0;
        return;
    case PGRES_POLLING_FAILED:
        pg_error_conn(p, "no connection to the database", &e);
        if (strstr(e.message, "root certificate file") != NULL)
            error_hint(&e, "Add sslrootcert=FILE to the database URL: the certificate authority that signed the "
                           "server's certificate.");
        /* A password that was asked for and refused, or that is missing, will not become right by itself. */
        pg_connect_failed(p, &e, !PQconnectionNeedsPassword(p->conn) && !PQconnectionUsedPassword(p->conn));
        return;
    default:
        p->events = POLLOUT;
        return;
    }
}

static void connect_start(struct pg *p)
{
    p->state = PG_CONNECTING;
    p->dying = false;
    p->conn = pg_must(PQconnectStartParams(p->target->keys, p->target->values, 0));
    if (PQstatus(p->conn) == CONNECTION_BAD) {
        connect_next(p, PGRES_POLLING_FAILED);
        return;
    }
    PQsetNoticeReceiver(p->conn, receive_notice, p);
    connect_next(p, PGRES_POLLING_WRITING);
}

void pg_connect_begin(struct pg *p)
{
    struct error e;

    talloc_free(p->target);
    p->target = pg_target_make(p, &p->o, &e);
    if (p->target == NULL) {
        pg_connect_failed(p, &e, false);
    } else if (!p->target->names) {
        connect_start(p);
    } else if (pg_resolve_start(p, &e) == 0) {
        p->state = PG_RESOLVING;
    } else {
        pg_connect_failed(p, &e, e.code == -EAGAIN);
    }
}

void pg_connect_resolve(struct pg *p)
{
    struct error e;
    int code = pg_resolve_poll(p, &e);

    if (code == 0)
        connect_start(p);
    else if (code != -EAGAIN)
        pg_connect_failed(p, &e, true);
}

void pg_connect_poll(struct pg *p)
{
    connect_next(p, PQconnectPoll(p->conn));
}

/* ---- the session's settings ---- */

/* $3 is the process number that the connection's greeting named. A transaction pooler makes one up: then these settings
 * hold for this statement only, since the session is somebody else's, and every transaction sends its own. */
static const char setup_sql[] =
    "SELECT set_config('search_path', 'upload_pipeline, public', pooled),"
    " set_config('statement_timeout', $1, pooled),"
    " set_config('tcp_keepalives_idle', '10', pooled),"
    " set_config('tcp_keepalives_interval', '3', pooled),"
    " set_config('tcp_keepalives_count', '3', pooled),"
    " set_config('tcp_user_timeout', '9000', pooled),"
    " coalesce((SELECT t.oid FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_type t"
    "   ON t.typnamespace = e.extnamespace AND t.typname = 'vector' WHERE e.extname = 'vector'), 0)::int8,"
    " set_config('role', coalesce($2, current_setting('role')), pooled),"
    " pooled,"
    " set_config('idle_in_transaction_session_timeout', '" PG_IDLE_TX_MS "', pooled)"
    " FROM (SELECT pg_backend_pid() <> $3::int4 AS pooled) AS s";

/* Refused where the server's platform cannot see a closed socket: then statement_timeout alone ends an orphan. */
static const char check_interval_sql[] =
    "SELECT set_config('client_connection_check_interval', '" PG_CLIENT_CHECK_MS "', $1::bool)";

static bool setup_send(struct pg *p)
{
    char timeout[24], pid[24];
    const char *values[3] = {timeout, p->o.role, pid};
    static const Oid types[3] = {PG_TEXT, PG_TEXT, PG_INT4};

    if (p->setup_step == 1) {
        values[0] = p->pooled ? "true" : "false";
        return PQsendQueryParams(p->conn, check_interval_sql, 1, types, values, NULL, NULL, 1) == 1;
    }
    p->session_timeout_ms = pg_session_timeout_ms(p->o.statement_timeout_ms);
    snprintf(timeout, sizeof timeout, "%" PRId64, p->session_timeout_ms);
    snprintf(pid, sizeof pid, "%d", PQbackendPID(p->conn));
    return PQsendQueryParams(p->conn, setup_sql, 3, types, values, NULL, NULL, 1) == 1;
}

static void setup_start(struct pg *p)
{
    struct error e;

    if (PQserverVersion(p->conn) < OLDEST_SERVER) {
        reason_error(&e, REASON_db_unavailable, ENOTSUP, "the database server is PostgreSQL %d.%d, docmill needs 15",
                     PQserverVersion(p->conn) / 10000, PQserverVersion(p->conn) % 10000);
        pg_connect_failed(p, &e, false);
        return;
    }
    if (PQsetnonblocking(p->conn, 1) != 0 || !setup_send(p)) {
        pg_error_conn(p, "the database took no session settings", &e);
        pg_connect_failed(p, &e, true);
        return;
    }
    p->events = POLLIN;
}

/* The two steps of an installation that are forgotten most. */
static void hint_role(const struct pg *p, struct error *e)
{
    if (strcmp(p->sqlstate, "22023") == 0)
        error_hint(e, "Run `docmilld migrate up`: it makes the roles and the tables.");
    else if (strcmp(p->sqlstate, "42501") == 0)
        error_hint(e, "Let a superuser run in this database: GRANT docmill_worker, docmill_api TO \"%.100s\"",
                   PQuser(p->conn));
}

/* One setting statement has been answered. Returns false if the attempt has failed. */
static bool setup_answer(struct pg *p, const PGresult *res)
{
    struct error e;

    if (PQresultStatus(res) != PGRES_TUPLES_OK) {
        pg_error_result(p, res, &e);
        if (p->setup_step == 1 && PQstatus(p->conn) == CONNECTION_OK) {
            log_debug("pg", "server does not check for lost clients", "why", e.message, NULL);
            return true;
        }
        hint_role(p, &e);
        pg_connect_failed(p, &e, e.cls == ERR_RECOVERABLE);
        return false;
    }
    if (p->setup_step == 0) {
        p->vector_type = (Oid)pg_get_int(res, 0, 6);
        p->pooled = pg_get_bool(res, 0, 8);
    }
    p->checks_client = p->setup_step == 1;
    return true;
}

static void setup_done(struct pg *p)
{
    p->state = PG_READY;
    p->events = POLLIN;
    p->epoch++;
    pg_meter_connect();
    p->tries = 0;
    p->retry_at_ms = 0;
    p->sqlstate[0] = '\0';
    log_debug("pg", "connected", "epoch", LOG_I(p->epoch), NULL);
    if (p->connect_wish) {
        p->connect_wish = false;
        p->finished = true;
    }
}

void pg_setup_poll(struct pg *p)
{
    struct error e;
    PGresult *res;
    int unsent = 0;
    bool alive, ok = true;

    if (p->events == 0) {
        setup_start(p);
        if (p->state != PG_SETUP)
            return;
    }
    alive = PQconsumeInput(p->conn) == 1 && (unsent = PQflush(p->conn)) >= 0;
    p->events = unsent > 0 ? POLLIN | POLLOUT : POLLIN;
    while (alive && !PQisBusy(p->conn)) {
        res = PQgetResult(p->conn);
        if (res == NULL) {
            if (++p->setup_step == 2) {
                setup_done(p);
                return;
            }
            alive = setup_send(p);
            continue;
        }
        ok = setup_answer(p, res);
        PQclear(res);
        if (!ok)
            return;
    }
    if (!alive || PQstatus(p->conn) == CONNECTION_BAD) {
        pg_error_conn(p, "connection to the database lost while it was set up", &e);
        pg_connect_failed(p, &e, true);
    }
}
