/*
 * pg_stmt.c - one statement: sent, answered, or given up
 *
 * With parameters (even none of them: an empty struct pg_params) or as a single statement it goes by the extended
 * protocol and its results are binary. Text that holds a semicolon before its end may be several statements: without
 * parameters it goes by the simple protocol, which runs them as one transaction and answers in text (pg_result.c reads
 * both); the session's statement_timeout holds for each of them. Claims go ahead of the statement in one pipeline and
 * one implicit transaction; a deadline that is far from the session's statement_timeout sends the right one ahead.
 * Behind a transaction pooler the session's settings go ahead of every transaction in the same way, BEGIN included,
 * which makes the implicit transaction an explicit one.
 *
 * After each answer the server's word on the transaction is taken over (in_tx). A connection that breaks while in_tx
 * leaves tx_lost behind, and every statement fails until the caller has noticed: see pg_begin and pg_rollback.
 *
 * Depends on base/clock.h, core/reason.h, libpq.
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

static const char timeout_sql[] = "SELECT set_config('statement_timeout', $1, $2::bool)";
static const char claims_sql[] = "SELECT set_config('request.jwt.claims', $1, true)";

int64_t pg_session_timeout_ms(int64_t wait_ms)
{
    int64_t margin = wait_ms / 10;

    if (margin > 500)
        margin = 500;
    if (margin < 20)
        margin = 20;
    return wait_ms > margin ? wait_ms - margin : 1;
}

/* A semicolon with something after it. One inside a literal counts too: the simple protocol runs that as well. */
static bool may_be_several(const char *sql)
{
    const char *semicolon = strchr(sql, ';');

    return semicolon != NULL && semicolon[1 + strspn(semicolon + 1, " \t\r\n;")] != '\0';
}

int pg_stmt_new(struct pg *p, const char *claims, const char *sql, const struct pg_params *params, int64_t deadline_ms,
                struct error *e)
{
    int64_t now = clock_ms(), connect_until = now + p->o.connect_timeout_ms;
    struct pg_statement *s;

    p->was_sent = false;
    if (p->stmt != NULL || p->connect_wish || p->stepping)
        return reason_error(e, REASON_internal, EBUSY, "the connection is busy with another statement");
    if (p->tx_lost)
        return reason_error(e, REASON_db_unavailable, ECONNABORTED,
                            "the connection broke inside a transaction, which is lost");
    if (deadline_ms == 0)
        deadline_ms = now + p->o.statement_timeout_ms;
    if (deadline_ms <= now) /* sent, it could only cost the connection */
        return reason_error(e, REASON_db_timeout, ETIMEDOUT, "the deadline passed before the statement was sent");
    s = pg_must(talloc_zero(p, struct pg_statement));
    s->sql = sql;
    s->began_ns = clock_ns();
    s->params = params;
    s->claims = claims;
    s->deadline_ms = deadline_ms;
    s->simple = claims == NULL && params == NULL && may_be_several(sql);
    p->stmt = s;
    pg_wish_connection(p, deadline_ms < connect_until ? deadline_ms : connect_until);
    return 0;
}

static bool send_one(struct pg *p, const char *sql, const struct pg_params *q)
{
    static const struct pg_params none = {.n = 0};

    if (q == NULL)
        q = &none;
    return PQsendQueryParams(p->conn, sql, q->n, q->types, q->values, q->lengths, q->formats, 1) == 1;
}

/* Whether the server's own limit is far from what this statement may take: it would cut the statement off too early,
 * or let it run on long after we have turned away. Not in a failed transaction, which takes no settings. */
static bool wants_timeout(const struct pg *p, const struct pg_statement *s, int64_t wanted_ms)
{
    int64_t have_ms = p->tx_timeout_ms > 0 ? p->tx_timeout_ms : p->session_timeout_ms;

    return !s->plain && !s->simple && PQtransactionStatus(p->conn) != PQTRANS_INERROR &&
           (wanted_ms > have_ms + have_ms / 16 || wanted_ms < have_ms / 2);
}

/* Inside a transaction for its length, else for the session: a Sync of its own keeps it out of the statement's
 * implicit transaction, so that also VACUUM can follow. */
static bool send_timeout(struct pg *p, struct pg_statement *s, int64_t wanted_ms)
{
    char text[24];
    const char *values[2] = {text, p->in_tx ? "true" : "false"};
    static const Oid types[2] = {PG_TEXT, PG_TEXT};

    snprintf(text, sizeof text, "%" PRId64, wanted_ms);
    if (p->in_tx)
        p->tx_timeout_ms = wanted_ms;
    else
        p->session_timeout_ms = wanted_ms;
    s->syncs++;
    return PQsendQueryParams(p->conn, timeout_sql, 2, types, values, NULL, NULL, 1) == 1 &&
           PQpipelineSync(p->conn) == 1;
}

/* Behind a transaction pooler each transaction brings its settings; talloc'd on the statement. */
static const char *settings_text(struct pg *p, struct pg_statement *s, int64_t wanted_ms)
{
    char *role = p->o.role == NULL ? NULL : pg_must(PQescapeLiteral(p->conn, p->o.role, strlen(p->o.role)));
    char *sql = talloc_asprintf(
        s,
        "SELECT set_config('search_path', 'upload_pipeline, public', true),"
        " set_config('statement_timeout', '%" PRId64 "', true),"
        " set_config('idle_in_transaction_session_timeout', '" PG_IDLE_TX_MS "', true)%s%s%s%s",
        wanted_ms,
        p->checks_client ? ", set_config('client_connection_check_interval', '" PG_CLIENT_CHECK_MS "', true)" : "",
        role == NULL ? "" : ", set_config('role', ", role == NULL ? "" : role, role == NULL ? "" : ", true)");

    PQfreemem(role);
    p->tx_timeout_ms = wanted_ms;
    return pg_must(sql);
}

static bool send_prefix(struct pg *p, struct pg_statement *s, const char *sql, const char *value)
{
    static const Oid type = PG_TEXT;

    s->skip++;
    return PQsendQueryParams(p->conn, sql, value == NULL ? 0 : 1, &type, &value, NULL, NULL, 1) == 1;
}

static bool send_all(struct pg *p, struct pg_statement *s)
{
    int64_t wanted_ms = pg_session_timeout_ms(s->deadline_ms - clock_ms());
    const char *settings = p->pooled && !p->in_tx ? settings_text(p, s, wanted_ms) : NULL;
    bool timeout = settings == NULL && wants_timeout(p, s, wanted_ms);

    if (s->simple)
        return PQsendQuery(p->conn,
                           settings == NULL ? s->sql : pg_must(talloc_asprintf(s, "%s; %s", settings, s->sql))) == 1;
    s->pipeline = timeout || settings != NULL || s->claims != NULL;
    if (!s->pipeline)
        return send_one(p, s->sql, s->params);
    if (PQenterPipelineMode(p->conn) != 1 || (timeout && !send_timeout(p, s, wanted_ms)) ||
        (settings != NULL && !send_prefix(p, s, settings, NULL)) ||
        (s->claims != NULL && !send_prefix(p, s, claims_sql, s->claims)))
        return false;
    s->syncs++;
    return send_one(p, s->sql, s->params) && PQpipelineSync(p->conn) == 1;
}

/* The statement ends with what was collected. */
static void finish(struct pg *p)
{
    struct pg_statement *s = p->stmt;
    ExecStatusType status = PQresultStatus(s->result);

    if (s->pipeline && PQexitPipelineMode(p->conn) != 1)
        pg_drop(p);
    if (p->conn != NULL) {
        p->in_tx = PQtransactionStatus(p->conn) != PQTRANS_IDLE;
        p->tx_timeout_ms = p->in_tx ? p->tx_timeout_ms : 0;
        p->state = PG_READY;
        p->events = POLLIN;
    }
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) {
        p->out_res = s->result;
    } else {
        pg_error_result(p, s->result, &p->out_err);
        PQclear(s->result);
    }
    s->result = NULL;
    p->finished = true;
    pg_meter_answer(p);
}

/* The connection broke. What the server said last (say, that it shuts down) is better than libpq's words. On a bad
 * connection PQgetResult does not wait; on a good one (a call was refused) it could, and has nothing to say. */
static void lost(struct pg *p)
{
    struct pg_statement *s = p->stmt;
    struct error e;
    PGresult *res;

    for (int i = 0; i < 8 && PQstatus(p->conn) == CONNECTION_BAD && (res = PQgetResult(p->conn)) != NULL; i++) {
        if (s->result == NULL && PQresultErrorField(res, PG_DIAG_SQLSTATE) != NULL)
            s->result = res;
        else
            PQclear(res);
    }
    if (s->result != NULL && PQresultErrorField(s->result, PG_DIAG_SQLSTATE) != NULL)
        pg_error_result(p, s->result, &e);
    else
        pg_error_conn(p, "connection to the database lost", &e);
    pg_drop(p);
    pg_fail(p, &e);
}

/* Reads what has come without being asked for; false if the connection is gone or the server said that it is going. */
static bool read_unasked(struct pg *p)
{
    struct pollfd fd = {.fd = PQsocket(p->conn), .events = POLLIN};

    for (int i = 0; i < 8 && poll(&fd, 1, 0) > 0; i++) /* the last words come before the end of file */
        if (PQconsumeInput(p->conn) != 1)
            return false;
    (void)PQisBusy(p->conn); /* parses, and so calls the notice receiver */
    return PQstatus(p->conn) == CONNECTION_OK && !p->dying;
}

void pg_idle_read(struct pg *p)
{
    if (!read_unasked(p))
        pg_drop(p);
}

void pg_stmt_send(struct pg *p)
{
    struct pg_statement *s = p->stmt;
    struct error e;

    /* As nothing was sent yet, another connection may serve, unless a transaction went with this one. */
    if (!read_unasked(p)) {
        pg_error_conn(p, "connection to the database lost", &e);
        pg_drop(p);
        if (p->tx_lost)
            pg_fail(p, &e);
        else
            p->state = PG_RETRY;
        return;
    }
    s->sent = p->was_sent = true;
    p->state = PG_RUNNING;
    if (!send_all(p, s))
        lost(p);
}

/* Takes one result in. Returns false if it cannot be dealt with. */
static bool take(struct pg_statement *s, PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);
    bool error = status == PGRES_FATAL_ERROR;
    bool had_error = s->result != NULL && PQresultStatus(s->result) == PGRES_FATAL_ERROR;

    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
        PQclear(res);
        return false;
    }
    if (status == PGRES_PIPELINE_SYNC) {
        s->syncs--;
        PQclear(res);
    } else if (s->syncs > 1) { /* of the timeout: if it failed, the statement runs under the old one */
        PQclear(res);
    } else if (had_error || status == PGRES_PIPELINE_ABORTED) {
        PQclear(res);
    } else if (s->skip > 0 && !error) {
        s->skip--;
        PQclear(res);
    } else {
        PQclear(s->result);
        s->result = res;
    }
    return true;
}

void pg_stmt_poll(struct pg *p)
{
    struct pg_statement *s = p->stmt;
    struct error e;
    PGresult *res;
    bool alive = PQconsumeInput(p->conn) == 1;
    int unsent = alive ? PQflush(p->conn) : -1;

    while (alive && !PQisBusy(p->conn)) {
        res = PQgetResult(p->conn);
        if (res == NULL && !s->pipeline) {
            finish(p);
            return;
        }
        if (res == NULL && PQstatus(p->conn) == CONNECTION_BAD)
            break;
        if (res == NULL) /* between two statements of a pipeline */
            continue;
        if (!take(s, res)) {
            reason_error(&e, REASON_internal, ENOTSUP, "COPY does not go through a statement");
            pg_drop(p);
            pg_fail(p, &e);
            return;
        }
        if (s->pipeline && s->syncs == 0) {
            finish(p);
            return;
        }
    }
    if (!alive || PQstatus(p->conn) == CONNECTION_BAD) {
        lost(p);
        return;
    }
    p->events = unsent > 0 ? POLLIN | POLLOUT : POLLIN;
}

/* A statement that must wait for its connection outlives the call, so what it points to must too. */
void pg_stmt_keep(struct pg *p)
{
    struct pg_statement *s = p->stmt;
    struct pg_params *copy;

    s->sql = pg_must(talloc_strdup(s, s->sql));
    if (s->claims != NULL)
        s->claims = pg_must(talloc_strdup(s, s->claims));
    if (s->params == NULL)
        return;
    copy = pg_must(talloc_memdup(s, s->params, sizeof *s->params));
    for (int i = 0; i < copy->n; i++) {
        size_t n = (size_t)copy->lengths[i];

        if (copy->values[i] == NULL)
            continue;
        copy->values[i] = pg_must(talloc_memdup(s, copy->values[i], n > 0 ? n : 1));
    }
    copy->ctx = s;
    s->params = copy;
}
