/*
 * rescue.h - the coordinator's side of the queue: taking jobs back from the dead, and upkeep
 *
 * Statements and their parameters only: the coordinator drives them over its event loop (pg_submit), one at a time.
 * Every one of them is harmless when done twice. Those of the leader carry LEADER_GUARD: they do nothing on a session
 * that does not hold the leader lock.
 *
 * Each transition here is not its owner's: it names the job's state, increments the lease (so that the old owner's next
 * write fails) and writes an event.
 *
 * Depends on base, core, db.
 */
#ifndef QUEUE_RESCUE_H
#define QUEUE_RESCUE_H

#include "core/conf.h"
#include "db/pg.h"

#include <stdbool.h>

/* ---- a child's death ---- */

/* What the evidence says of the jobs it owned. Pure: rescue_blame() decides it. */
enum rescue_blame {
    BLAME_NONE,    /* attempt given back to all: the cause is not theirs, or nobody can tell whose it is */
    BLAME_ATTEMPT, /* the one alone in hand keeps its attempt: an unexplained SIGKILL or exit, a hang that we ended */
    BLAME_CRASH,   /* the one that was alone in hand caused it: attempt and crash */
};

struct rescue_evidence {
    int signal, exit_code; /* exit_code -1: by signal */
    bool sent_by_us;
    bool hung; /* and it was sent because the child hung */
    bool oom;
    int n_begun; /* jobs in hand that had been begun */
};

enum rescue_blame rescue_blame(const struct rescue_evidence *v);
bool rescue_suspects(const struct rescue_evidence *v);

struct rescue_limits {
    int max_attempts, crash_budget;
    int64_t retry_ms;
};

/* Jobs of a dead child. begun: the jobs that it had begun (NULL: not known, taken as all). suspect: one of
 * them may have caused the death but nobody can tell which; they will be worked on alone. evidence_json may be NULL.
 * Result: one row a job (id, to_state). */
extern const char rescue_release_sql[];
void rescue_release_params(struct pg_params *p, const void *ctx, int64_t node, int64_t child, const struct uuid *begun,
                           int n_begun, enum rescue_blame blame, bool suspect, const struct rescue_limits *l,
                           const char *evidence_json);

/* ---- claims that were committed after the death of who asked for them ---- */

/* Jobs of this node whose owner is none of the living, whom no evidence is coming about: nobody has heard of such a
 * claim, so its attempt is given back. living: numbers of the children that live; from: who is started later has this
 * or a higher one. -> count */
extern const char rescue_unheard_sql[];
void rescue_unheard_params(struct pg_params *p, const void *ctx, int64_t node, int64_t from, const int64_t *living,
                           int n, const struct rescue_limits *l);
/* The same, for the leader, of nodes that nothing is known of any more: a former life, or one that was forgotten. Not
 * within grace_ms after a node's registration: it may still be taking its former jobs, with the blame that is due. */
extern const char rescue_nobodys_sql[];
void rescue_nobodys_params(struct pg_params *p, const void *ctx, int64_t node, int64_t grace_ms,
                           const struct rescue_limits *l);

/* ---- a dead node ---- */

/* All its jobs -> count, allowed (false: this session lacks the lock and nothing was done). blame (false if the node said
 * goodbye): as for an unexplained SIGKILL, a child's only job keeps its attempt, and those that a child owned together
 * become suspect. */
extern const char rescue_node_sql[];
/* For the leader. */
void rescue_node_params(struct pg_params *p, const void *ctx, int64_t node, bool blame, const struct rescue_limits *l);
/* For a node that takes over from its own former life: for the holder of the lock of its name. */
void rescue_former_params(struct pg_params *p, const void *ctx, const char *name, int64_t node, bool blame,
                          const struct rescue_limits *l);
/* Nodes that are dead: lock free, heartbeat older than the grace by the database's clock, server up longer than the
 * grace. $1 grace ms, $2 own incarnation -> name, incarnation, said_goodbye. */
extern const char rescue_dead_nodes_sql[];
/* $1 name, $2 incarnation, $3 grace ms: forgets a dead node's row after its jobs were taken. */
extern const char rescue_forget_node_sql[];

/* ---- time ---- */

/* Working and waiting jobs past their deadline. $1 max attempts, $2 retry ms -> count */
extern const char rescue_expired_sql[];
/* Retryable jobs whose time has come, and waiting ones that are to be looked at again, become queued. -> count */
extern const char rescue_due_sql[];

/* ---- upkeep (leader) ---- */

/* Removes rows of up to $2 stale generations older than $1 ms. -> count of generations */
extern const char rescue_sweep_sql[];
/* $1 retention ms of events -> made + dropped partitions */
extern const char rescue_partitions_sql[];

/* Unfinished jobs by status and state, with the age of the oldest claimable one: (status, state, n, oldest ms). */
extern const char rescue_counts_sql[];

#endif
