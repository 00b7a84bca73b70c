/*
 * pg_int.h - inside of pg.h: one connection as a state machine
 *
 * pg_step() is the only place that moves the machine; both drivers call it and nothing in it waits. What is wanted is
 * either a connection (connect_wish) or a statement (stmt); when the wish is fulfilled or has failed, `finished` is
 * set, with out_res or out_err.
 *
 *   DOWN --wish--> RETRY --retry_at--> RESOLVING --addresses--> CONNECTING --> SETUP --> READY --send--> RUNNING
 *                    ^                     |                       |            |          ^                |
 *                    +---- attempt failed, window still open ------+------------+          +---- result ----+
 *
 *   pg_url.c      connection string -> libpq's parameters, TLS policy
 *   pg_resolve.c  host names -> addresses, without blocking
 *   pg_connect.c  connecting and the session's settings
 *   pg_conn.c     life of the object, the step, dropping
 *   pg_stmt.c     one statement: send, read, give up at the deadline
 *   pg_error.c    what went wrong, from SQLSTATE or libpq's text
 *   pg_wait.c     waiting driver;  pg_event.c  event-loop driver
 *   pg_params.c, pg_array.c, pg_result.c, pg_wire.c  values
 */
#ifndef DB_PG_INT_H
#define DB_PG_INT_H

#include "db/pg.h"

/* How soon the server sees that a client is gone while it works for it: until then it keeps the locks of a killed
 * worker, and nobody else gets its jobs. A poll(2) each time, and only while a statement runs. */
#define PG_CLIENT_CHECK_MS "25"

/* A transaction is open only while we send its next statement, so one that is idle this long belongs to a process that
 * stands still: the server ends its session, and the rows that it had locked are free for others. */
#define PG_IDLE_TX_MS "3000"

enum pg_state { PG_DOWN, PG_RETRY, PG_RESOLVING, PG_CONNECTING, PG_SETUP, PG_READY, PG_RUNNING };

/* What PQconnectStartParams gets, and the secrets that no message may show. */
struct pg_target {
    const char **keys, **values; /* NULL-terminated */
    int n, room;
    const char *hosts, *hostaddrs, *ports; /* as the URL gave them; NULL: not given */
    bool names;                            /* some host is a name that needs resolving */
    const char *secrets[2];
};

struct pg_statement {
    const char *sql;
    const struct pg_params *params; /* NULL: none */
    const char *claims;             /* NULL: none */
    int64_t deadline_ms;
    bool sent;
    int64_t began_ns;
    bool simple;      /* several statements: simple protocol, text results */
    bool plain;       /* ends a transaction: no settings ahead of it */
    bool pipeline;    /* [timeout, Sync,] [settings,] [claims,] statement, Sync */
    int syncs;        /* pipeline: Syncs not yet answered */
    int skip;         /* results of settings and claims still to come */
    PGresult *result; /* the last good one, or the first error */
    pg_callback cb;   /* event driver; NULL: waiting driver */
    void *arg;
};

struct pg {
    struct pg_options o;
    struct pg_target *target;
    struct pg_resolver *resolver;
    PGconn *conn;
    enum pg_state state;
    short events;
    uint64_t epoch;
    Oid vector_type;
    char sqlstate[6];

    bool pooled;        /* a transaction pooler is between: the session is not ours */
    bool checks_client; /* the server can see that its client has gone */
    bool dying;         /* the server said that it ends this connection */
    bool in_tx;         /* by the server's last word */
    bool tx_lost; /* the connection broke inside a transaction, and the caller has not begun or rolled back since */
    int64_t session_timeout_ms; /* the statement_timeout that the session has */
    int64_t tx_timeout_ms;      /* and the one of this transaction; 0: the session's */

    unsigned tries;
    int64_t retry_at_ms, resolve_at_ms, connect_until_ms;
    int setup_step;
    struct error connect_error; /* of the last failed attempt */

    bool connect_wish;
    bool was_sent; /* the last statement began to go out, so it may have been carried out */
    struct pg_statement *stmt;
    bool finished;
    PGresult *out_res;
    struct error out_err;
    int64_t last_tick_ms;
    bool stepping; /* guards against calls from inside tick */
};

/* pg_url.c */
struct pg_target *pg_target_make(const void *talloc_parent, const struct pg_options *o, struct error *e) MUST_CHECK;
void pg_target_set(struct pg_target *t, const char *key, const char *value);
const char *pg_target_get(const struct pg_target *t, const char *key);

bool pg_host_is_name(const char *host); /* neither an address nor a socket's path */

/* pg_resolve.c */
int pg_resolve_start(struct pg *p, struct error *e) MUST_CHECK;
/* 0: the target now has addresses; -EAGAIN: not yet, look again at resolve_at_ms; else failed. */
int pg_resolve_poll(struct pg *p, struct error *e) MUST_CHECK;
void pg_resolve_leave(struct pg *p);

/* pg_connect.c */
void pg_connect_begin(struct pg *p);   /* RETRY -> RESOLVING or CONNECTING */
void pg_connect_resolve(struct pg *p); /* RESOLVING -> CONNECTING */
void pg_connect_poll(struct pg *p);    /* CONNECTING -> SETUP */
void pg_setup_poll(struct pg *p);      /* SETUP -> READY */
/* An attempt failed; another follows after a backoff if that can help and there is time, else the wish has failed. */
void pg_connect_failed(struct pg *p, const struct error *e, bool again);

/* pg_conn.c */
void pg_drop(struct pg *p);               /* closes the connection at once; remembers a lost transaction */
int pg_step(struct pg *p, short revents); /* 1: finished */
void pg_wish_connection(struct pg *p, int64_t until_ms);

/* pg_conn.c: the statement under way is answered, one way or another */
void pg_meter_answer(struct pg *p);
void pg_meter_connect(void);

/* pg_stmt.c */
int pg_stmt_new(struct pg *p, const char *claims, const char *sql, const struct pg_params *params, int64_t deadline_ms,
                struct error *e) MUST_CHECK;
void pg_stmt_send(struct pg *p);
void pg_stmt_poll(struct pg *p);
void pg_stmt_keep(struct pg *p);                   /* copies what belongs to the caller, since it is sent only later */
void pg_idle_read(struct pg *p);                   /* READY: notifications, or the end of the connection */
void pg_fail(struct pg *p, const struct error *e); /* ends the wish with an error */
int64_t pg_session_timeout_ms(int64_t wait_ms);    /* the server's limit for a wait of the caller */

/* pg_error.c */
void pg_error_result(struct pg *p, const PGresult *res, struct error *e);
void pg_error_conn(struct pg *p, const char *what, struct error *e); /* from PQerrorMessage */
void pg_scrub(const struct pg_target *t, char *text);                /* removes secrets */

void *pg_must(void *pointer); /* panics for NULL: out of memory */

#endif
