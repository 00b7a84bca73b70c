/*
 * state.h - the one table of statuses, states and allowed moves
 *
 * Status says where a document is, state says what the queue does with it. C enums, the SQL lookup tables and the
 * database's own check (sql/, printed by `docmilld --print-state-sql`), the documentation, the model's constants and
 * the tests all come from the tables below. Numbers are stored in the database: never reuse or renumber one.
 *
 * STATUSES:  X(NAME, number, progress %, legal states mask, meaning)
 * STATES:    X(NAME, number, claimable, ends, meaning)
 * EDGES:     X(FROM, TO, actors mask)          one hop forward, or an operator's or rescue's way back
 * LATER_EDGES: X(FROM, TO, actors mask, n)     those that the database has since migration n
 *
 * A transition may pass several FORWARD edges at once (a path); a path never leads through an end. Edges that lead
 * out of an end stand alone.
 *
 * Depends on nothing.
 */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* clang-format off */
/* States first: statuses name the ones that are legal for them. */
#define STATES(X)                                                                                    \
    X(QUEUED, 1, true, false, "may be claimed now")                                                  \
    X(WORKING, 2, false, false, "a worker holds the lease")                                          \
    X(WAITING, 3, false, false, "waits for an outside service's answer, with a deadline")            \
    X(PARKED, 4, false, false, "held back because its user is over a limit")                         \
    X(RETRYABLE, 5, false, false, "failed for now; becomes queued again at run_at")                  \
    X(DONE, 6, false, true, "finished")                                                              \
    X(DEADLETTER, 7, false, true, "failed for good, with a typed reason")                            \
    X(QUARANTINED, 8, false, true, "kills its worker; set aside with evidence")                      \
    X(CANCELLED, 9, false, true, "cancelled by its user or an operator")

#define STATE_BIT(n) (1u << (n))
#define LEGAL_LOCAL  (STATE_BIT(1) | STATE_BIT(2) | STATE_BIT(4) | STATE_BIT(5))
#define LEGAL_REMOTE (LEGAL_LOCAL | STATE_BIT(3))
#define LEGAL_DONE   STATE_BIT(6)
#define LEGAL_FAILED (STATE_BIT(7) | STATE_BIT(8))
#define LEGAL_CANCEL STATE_BIT(9)

#define STATUSES(X)                                                                                  \
    X(UPLOADED, uploaded, 1, 0, LEGAL_LOCAL, "bytes are durable and hashed")                         \
    X(PARSE_QUEUED, parse_queued, 2, 5, LEGAL_REMOTE, "handed to a parser")                          \
    X(PARSED, parsed, 3, 30, LEGAL_LOCAL, "the parser's text is durable")                            \
    X(PARSE_VALIDATED, parse_validated, 4, 40, LEGAL_LOCAL, "normalised, hashed, not a duplicate")   \
    X(CHUNKING, chunking, 5, 45, LEGAL_LOCAL, "being cut into chunks")                               \
    X(CHUNKS_STORED, chunks_stored, 6, 60, LEGAL_LOCAL, "all chunk rows of the generation stored")   \
    X(EMBEDDING_QUEUED, embedding_queued, 7, 65, LEGAL_LOCAL, "waits for the embedder")              \
    X(EMBEDDING_IN_PROGRESS, embedding_in_progress, 8, 70, LEGAL_REMOTE, "some vectors may be stored") \
    X(EMBEDDINGS_STORED, embeddings_stored, 9, 95, LEGAL_LOCAL, "every chunk has its vector")        \
    X(COMPLETE, complete, 10, 100, LEGAL_DONE, "visible to search")                                  \
    X(FAILED_PARSE, failed_parse, 11, 100, LEGAL_FAILED, "could not be parsed")                      \
    X(FAILED_CHUNKING, failed_chunking, 12, 100, LEGAL_FAILED, "could not be chunked")               \
    X(FAILED_EMBEDDING, failed_embedding, 13, 100, LEGAL_FAILED, "could not be embedded")            \
    X(DUPLICATE, duplicate, 14, 100, LEGAL_DONE, "same content as another document of this user")    \
    X(CANCELLED, cancelled, 15, 100, LEGAL_CANCEL, "cancelled")

/* Who may take an edge. */
enum actor {
    ACTOR_WORKER = 1,
    ACTOR_WEBHOOK = 2,
    ACTOR_RESCUE = 4,   /* coordinator: death, expiry */
    ACTOR_OPERATOR = 8, /* docmillctl, or the user through the API */
};
#define BY_WORKER (ACTOR_WORKER | ACTOR_RESCUE)
#define BY_PARSER (ACTOR_WORKER | ACTOR_WEBHOOK | ACTOR_RESCUE)

#define EDGES(X)                                                                                     \
    X(UPLOADED, PARSE_QUEUED, BY_WORKER)                                                             \
    X(PARSE_QUEUED, PARSED, BY_PARSER)                                                               \
    X(PARSED, PARSE_VALIDATED, BY_WORKER)                                                            \
    X(PARSED, DUPLICATE, BY_WORKER)                                                                  \
    X(PARSE_VALIDATED, CHUNKING, BY_WORKER)                                                          \
    X(CHUNKING, CHUNKS_STORED, BY_WORKER)                                                            \
    X(CHUNKS_STORED, EMBEDDING_QUEUED, BY_WORKER)                                                    \
    X(EMBEDDING_QUEUED, EMBEDDING_IN_PROGRESS, BY_WORKER)                                            \
    X(EMBEDDING_IN_PROGRESS, EMBEDDINGS_STORED, BY_WORKER)                                           \
    X(EMBEDDINGS_STORED, COMPLETE, BY_WORKER)                                                        \
    X(UPLOADED, FAILED_PARSE, BY_WORKER)                                                             \
    X(PARSE_QUEUED, FAILED_PARSE, BY_PARSER)                                                         \
    X(PARSED, FAILED_PARSE, BY_WORKER)                                                               \
    X(PARSE_VALIDATED, FAILED_CHUNKING, BY_WORKER)                                                   \
    X(CHUNKING, FAILED_CHUNKING, BY_WORKER)                                                          \
    X(CHUNKS_STORED, FAILED_EMBEDDING, BY_WORKER)                                                    \
    X(EMBEDDING_QUEUED, FAILED_EMBEDDING, BY_WORKER)                                                 \
    X(EMBEDDING_IN_PROGRESS, FAILED_EMBEDDING, BY_WORKER)                                            \
    X(EMBEDDINGS_STORED, FAILED_EMBEDDING, BY_WORKER)                                                \
    X(UPLOADED, CANCELLED, ACTOR_OPERATOR)                                                           \
    X(PARSE_QUEUED, CANCELLED, ACTOR_OPERATOR)                                                       \
    X(PARSED, CANCELLED, ACTOR_OPERATOR)                                                             \
    X(PARSE_VALIDATED, CANCELLED, ACTOR_OPERATOR)                                                    \
    X(CHUNKING, CANCELLED, ACTOR_OPERATOR)                                                           \
    X(CHUNKS_STORED, CANCELLED, ACTOR_OPERATOR)                                                      \
    X(EMBEDDING_QUEUED, CANCELLED, ACTOR_OPERATOR)                                                   \
    X(EMBEDDING_IN_PROGRESS, CANCELLED, ACTOR_OPERATOR)                                              \
    X(EMBEDDINGS_STORED, CANCELLED, ACTOR_OPERATOR)                                                  \
    X(FAILED_PARSE, UPLOADED, ACTOR_OPERATOR)                                                        \
    X(FAILED_CHUNKING, UPLOADED, ACTOR_OPERATOR)                                                     \
    X(FAILED_EMBEDDING, UPLOADED, ACTOR_OPERATOR)                                                    \
    X(CANCELLED, UPLOADED, ACTOR_OPERATOR)                                                           \
    X(DUPLICATE, UPLOADED, ACTOR_OPERATOR | ACTOR_RESCUE)

#define LATER_EDGES(X)                                                                               \
    X(COMPLETE, UPLOADED, ACTOR_OPERATOR, 5)
/* clang-format on */

#define X_STATE(NAME, n, claimable, ends, meaning) STATE_##NAME = n,
enum job_state { STATES(X_STATE) STATE_MAX_ };
#undef X_STATE

#define X_STATUS(NAME, text, n, progress, legal, meaning) STATUS_##NAME = n,
enum job_status { STATUSES(X_STATUS) STATUS_MAX_ };
#undef X_STATUS

/* Names are lower case, as stored in the lookup tables and shown in JSON. NULL for an unknown number. */
const char *status_name(int status);
const char *state_name(int state);
int status_parse(const char *name); /* number, or -EINVAL */
int state_parse(const char *name);  /* number, or -EINVAL */

int status_progress(int status); /* percent, -1 if unknown */
bool status_is_end(int status);
bool state_is_end(int state);
bool state_legal(int status, int state);

/* The single edge from -> to exists, and (path) it is reachable by forward edges not leading through an end. */
bool edge_allowed(int from, int to, unsigned actors);
bool path_allowed(int from, int to, unsigned actors);

/* The failure end that belongs to a status: where a document that fails for good there goes. */
int status_failure_of(int status);

/* INSERTs for the lookup tables job_statuses, job_states and job_edges, as migration 1 holds them (later ones hold
 * LATER_EDGES); docs/states.md. */
void state_print_sql(FILE *out);
void state_print_markdown(FILE *out);

#endif
