/*
 * pg_error.c - what went wrong, as struct error
 *
 * A server's error is mapped by its SQLSTATE through one table, longest prefix first; anything else that libpq reports
 * means that the connection is gone. Only the primary message and the names of objects are taken over: DETAIL and
 * CONTEXT may quote a user's data. Passwords are removed from whatever text passes here.
 *
 * Depends on core/reason.h, libpq.
 */
#include "core/reason.h"
#include "db/pg_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *prefix;
    enum reason reason;
    int code;
} sqlstates[] = {
    {"40001", REASON_db_conflict, EAGAIN},          /* serialization_failure */
    {"40P01", REASON_db_conflict, EAGAIN},          /* deadlock_detected */
    {"55P03", REASON_db_conflict, EAGAIN},          /* lock_not_available */
    {"57014", REASON_db_timeout, ETIMEDOUT},        /* query_canceled: statement_timeout, or an operator */
    {"57P", REASON_db_unavailable, ECONNABORTED},   /* shutdown, starting up, terminated */
    {"25P03", REASON_db_unavailable, ECONNABORTED}, /* idle_in_transaction_session_timeout */
    {"25006", REASON_db_unavailable, EROFS},        /* read_only_sql_transaction: a standby answers */
    {"08", REASON_db_unavailable, ECONNABORTED},    /* connection exceptions, as a pooler reports them */
    {"53", REASON_db_unavailable, ENOSPC},          /* disk full, out of memory, too many connections */
    {"58", REASON_db_unavailable, EIO},             /* the server's own input or output failed */
};

void pg_scrub(const struct pg_target *t, char *text)
{
    for (size_t i = 0; t != NULL && i < sizeof t->secrets / sizeof t->secrets[0]; i++) {
        const char *secret = t->secrets[i];
        size_t n = secret == NULL ? 0 : strlen(secret);
        char *hit;

        while (n > 0 && (hit = strstr(text, secret)) != NULL)
            memmove(hit, hit + n, strlen(hit + n) + 1);
    }
}

/* One line, no trailing white space: libpq ends its messages with a newline and may send several. */
static void flatten(char *text)
{
    size_t n = strlen(text);

    while (n > 0 && isspace((unsigned char)text[n - 1]))
        text[--n] = '\0';
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\n' || *c == '\t' || *c == '\r')
            *c = ' ';
}

void pg_error_conn(struct pg *p, const char *what, struct error *e)
{
    char text[400];

    snprintf(text, sizeof text, "%s", p->conn == NULL ? "" : PQerrorMessage(p->conn));
    flatten(text);
    pg_scrub(p->target, text);
    reason_error(e, REASON_db_unavailable, ECONNABORTED, "%s%s%s", what, *text != '\0' ? ": " : "", text);
}

static const char *field(const PGresult *res, int code)
{
    const char *s = PQresultErrorField(res, code);

    return s == NULL ? "" : s;
}

void pg_error_result(struct pg *p, const PGresult *res, struct error *e)
{
    const char *state = field(res, PG_DIAG_SQLSTATE);
    const char *constraint = field(res, PG_DIAG_CONSTRAINT_NAME);
    enum reason reason = REASON_db_error;
    int code = EPROTO;
    char text[400];

    snprintf(p->sqlstate, sizeof p->sqlstate, "%s", state);
    if (*state == '\0') { /* libpq's own words: the connection broke */
        pg_error_conn(p, "connection to the database lost", e);
        return;
    }
    for (size_t i = 0; i < sizeof sqlstates / sizeof sqlstates[0]; i++) {
        if (strncmp(state, sqlstates[i].prefix, strlen(sqlstates[i].prefix)) == 0) {
            reason = sqlstates[i].reason;
            code = sqlstates[i].code;
            break;
        }
    }
    snprintf(text, sizeof text, "%s", field(res, PG_DIAG_MESSAGE_PRIMARY));
    flatten(text);
    pg_scrub(p->target, text);
    reason_error(e, reason, code, "%s (SQLSTATE %s%s%s)", text, state, *constraint != '\0' ? ", constraint " : "",
                 constraint);
    if (*field(res, PG_DIAG_MESSAGE_HINT) != '\0')
        error_hint(e, "%s", field(res, PG_DIAG_MESSAGE_HINT));
}
