/*
 * pg.h - libpq with deadlines
 *
 * One struct pg is one connection. Two ways to drive it, over one core:
 *   - pg_exec(): for the worker and the command line. Waits, at most until its deadline, in slices of at most 100 ms;
 *     between slices it calls the `tick` hook, so that a waiting worker still beats and hears its master.
 *   - pg_submit() with pg_fd/pg_events/pg_process: for roles with an event loop. Never waits.
 * Parameters and results are binary. SQL is unnamed, parameters only; a transaction pooler is allowed in between.
 *
 * At connect each session sets: role (SET ROLE by set_config), statement_timeout (just below the deadline),
 * idle_in_transaction_session_timeout, client_connection_check_interval, tcp_keepalives_*, tcp_user_timeout,
 * application_name, search_path = upload_pipeline, public. TLS is verify-full for hosts that are not local unless the URL names an sslmode itself
 * (lower than verify-full for a remote host is refused).
 *
 * A deadline far from the session's statement_timeout sends the right limit ahead of the statement, in the same packet.
 * Several statements at once keep the session's.
 *
 * After a failed or timed-out statement the connection may be dropped: pg_exec reconnects, with backoff, at the next
 * call, and says so by `epoch`, which rises at every connect. While the database is away, connecting is tried again
 * until connect_timeout_ms is over, or the deadline if that is sooner; then the answer is db_unavailable. Whether a
 * COMMIT whose answer was lost happened is the caller's question (queue.h).
 *
 * Errors (struct error.reason): db_unavailable, db_timeout, db_conflict (40001, 40P01, 55P03), db_error (sqlstate in
 * the message). Passwords never appear in a message.
 *
 * Depends on base, core.
 */
#ifndef DB_PG_H
#define DB_PG_H

#include "base/error.h"
#include "base/uuid.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg;

struct pg_options {
    const char *url;         /* kept as a pointer: lives as long as the connection (the conf does) */
    const char *role;        /* SET ROLE; NULL: stay */
    const char *application; /* application_name */
    int64_t connect_timeout_ms, statement_timeout_ms;
    void (*tick)(void *arg); /* called at least every 100 ms while pg_exec waits; may be NULL */
    void *tick_arg;
};

/* Whether a connection could be tried with it at all: its form, and TLS to another machine. Asks nobody. */
int pg_check_url(const char *url, struct error *e) MUST_CHECK;

/* Makes the object, does not connect. Never NULL (panics when out of memory). */
struct pg *pg_new(const void *talloc_parent, const struct pg_options *o);
void pg_close(struct pg *p); /* drops the connection, keeps the object */
void pg_free(struct pg **p);

int pg_connect(struct pg *p, struct error *e) MUST_CHECK; /* waits; 0 if connected (already) */
bool pg_connected(const struct pg *p);
uint64_t pg_epoch(const struct pg *p); /* number of connects so far */
/* Whether a transaction pooler is in between, as seen at connect. Then role, search path and limits go with every
 * transaction, and what belongs to a session does not work: LISTEN, session advisory locks, SET. */
bool pg_pooled(const struct pg *p);
const char *pg_sqlstate(const struct pg *p); /* of the last failed statement, five characters, "" if none */

/* ---- parameters ---- */

#define PG_MAX_PARAMS 48

struct pg_params {
    const void *ctx; /* talloc owner of encoded values */
    int n;
    Oid types[PG_MAX_PARAMS];
    const char *values[PG_MAX_PARAMS];
    int lengths[PG_MAX_PARAMS];
    int formats[PG_MAX_PARAMS];
};

void pg_params_init(struct pg_params *p, const void *talloc_ctx);
void pg_add_null(struct pg_params *p, Oid type);
void pg_add_int8(struct pg_params *p, int64_t v);
void pg_add_int4(struct pg_params *p, int32_t v);
void pg_add_int2(struct pg_params *p, int16_t v);
void pg_add_bool(struct pg_params *p, bool v);
void pg_add_text(struct pg_params *p, const char *s); /* NULL: SQL NULL; copied */
void pg_add_jsonb(struct pg_params *p, const char *json);
void pg_add_uuid(struct pg_params *p, const struct uuid *u);
void pg_add_bytea(struct pg_params *p, const void *b, size_t n);                       /* not copied */
void pg_add_vector(struct pg_params *p, const struct pg *pg, const float *v, int dim); /* pgvector, binary */

/* A one-dimensional binary array, grown element by element, then added as a parameter. Freed with its talloc ctx. For
 * element types that are not fixed in the catalogue (vector) the SQL must say the array's type: $1::vector[]. */
struct pg_array;
struct pg_array *pg_array_new(const void *talloc_ctx, Oid element_type);
void pg_array_null(struct pg_array *a);
void pg_array_int8(struct pg_array *a, int64_t v);
void pg_array_int4(struct pg_array *a, int32_t v);
void pg_array_int2(struct pg_array *a, int16_t v);
void pg_array_uuid(struct pg_array *a, const struct uuid *u);
void pg_array_bytes(struct pg_array *a, const void *b, size_t n); /* text, bytea, jsonb (with its version byte) */
void pg_array_vector(struct pg_array *a, const float *v, int dim);
int pg_array_count(const struct pg_array *a);
void pg_add_array(struct pg_params *p, const struct pg_array *a);

/* Type numbers that are fixed in PostgreSQL's catalogue. */
enum {
    PG_BOOL = 16,
    PG_BYTEA = 17,
    PG_INT8 = 20,
    PG_INT2 = 21,
    PG_INT4 = 23,
    PG_TEXT = 25,
    PG_FLOAT4 = 700,
    PG_FLOAT8 = 701,
    PG_TIMESTAMPTZ = 1184,
    PG_UUID = 2950,
    PG_JSONB = 3802,
    PG_UUID_ARRAY = 2951,
};
Oid pg_vector_type(const struct pg *p); /* pgvector's own, read at connect; 0 if the extension is absent */

/* ---- waiting calls ---- */

/* Runs one statement, or several with params NULL: these as one transaction, with a text result, of which numbers,
 * booleans, UUIDs and text can be read. Waits until deadline_ms of the monotonic clock (0: now +
 * statement timeout). Returns the result (PQclear it) or NULL with *e. Connects first if needed - unless a
 * transaction of the caller was lost with the old connection: then NULL, db_unavailable, until pg_begin, pg_rollback
 * or pg_close. Not from inside the tick hook. */
PGresult *pg_exec(struct pg *p, const char *sql, const struct pg_params *params, int64_t deadline_ms,
                  struct error *e) MUST_CHECK;
/* The same for statements without a result. */
int pg_run(struct pg *p, const char *sql, const struct pg_params *params, int64_t deadline_ms,
           struct error *e) MUST_CHECK;
int pg_begin(struct pg *p, struct error *e) MUST_CHECK;
/* 0; or an error, and then *unknown says whether the commit may have happened after all. */
int pg_commit(struct pg *p, bool *unknown, struct error *e) MUST_CHECK;
/* Waits without a statement, the tick hook going on. */
void pg_pause(struct pg *p, int64_t ms);
void pg_rollback(struct pg *p); /* best effort; drops the connection if it cannot */

/* ---- event-loop calls ---- */

/* Called once for every submitted statement, from pg_process or pg_close, never from pg_submit: res is owned by the
 * callee's caller (do not PQclear) and NULL on error. It may submit, close or free the connection. */
typedef void (*pg_callback)(void *arg, const PGresult *res, const struct error *e);

/* Starts connecting if needed and sends; one statement at a time (-EBUSY if one runs). What the arguments point to may
 * go when the call returns. */
int pg_submit(struct pg *p, const char *sql, const struct pg_params *params, int64_t deadline_ms, pg_callback cb,
              void *arg, struct error *e) MUST_CHECK;
/* The same, in one round trip and one implicit transaction, behind set_config('request.jwt.claims', claims_json, true):
 * row-level security then sees that user. The callback comes after the transaction has committed. */
int pg_submit_as(struct pg *p, const char *claims_json, const char *sql, const struct pg_params *params,
                 int64_t deadline_ms, pg_callback cb, void *arg, struct error *e) MUST_CHECK;
bool pg_busy(const struct pg *p);
int pg_fd(const struct pg *p);                /* -1: none now; may change at every pg_process */
short pg_events(const struct pg *p);          /* POLLIN | POLLOUT */
int64_t pg_wakeup_ms(const struct pg *p);     /* monotonic time at which pg_process must be called anyway; -1: none */
void pg_process(struct pg *p, short revents); /* moves on; may call the callback; also expires deadlines */
/* Next NOTIFY that arrived (channel and payload copied and cut to size), false if none. Call after pg_process. A new
 * epoch listens to nothing: LISTEN again, then look once at what may have been missed. */
bool pg_notification(struct pg *p, char channel[64], char payload[256]);

/* ---- reading results (binary) ----
 * A column of another type than its reader, or a cell that is not there, is our bug: panic. numeric has no reader:
 * cast.
 */

int64_t pg_get_int(const PGresult *r, int row, int col);  /* int2, int4, int8, oid; 0 for NULL */
double pg_get_float(const PGresult *r, int row, int col); /* float4, float8 */
bool pg_get_bool(const PGresult *r, int row, int col);
void pg_get_uuid(const PGresult *r, int row, int col, struct uuid *out); /* zeros for NULL */
const char *pg_get_text(const PGresult *r, int row, int col);            /* NUL-terminated, NULL for NULL */
const uint8_t *pg_get_bytes(const PGresult *r, int row, int col, size_t *n);
int64_t pg_get_time_ms(const PGresult *r, int row, int col); /* timestamptz as Unix milliseconds */
bool pg_is_null(const PGresult *r, int row, int col);

#endif
