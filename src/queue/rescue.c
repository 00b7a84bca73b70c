/*
 * rescue.c - see rescue.h
 *
 * Depends on base, core, db.
 */
#include "queue/rescue.h"
#include "queue/sql.h"

#include "db/locks.h"

#include <signal.h>
#include <stdlib.h>

_Static_assert(LOCK_CLASS_LEADER == 1684865026 && LOCK_CLASS_NODE == 1684865027, "keyspace of locks.h");

/* A signal that a program brings on itself. SIGKILL is one only if memory ran out. */
static bool own_fault(const struct rescue_evidence *v)
{
    switch (v->signal) {
    case SIGSEGV:
    case SIGABRT:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGXCPU:
    case SIGSYS:
        return true;
    case SIGKILL:
        return v->oom;
    default:
        return false;
    }
}

/* Nobody can tell why: the kernel may have killed it for a document's sake, and a worker leaves by itself only when
 * nothing is in hand. Given back every time, such a document would come back for ever. */
static bool killed_or_exited(const struct rescue_evidence *v)
{
    return v->signal == SIGKILL || v->signal == 0;
}

enum rescue_blame rescue_blame(const struct rescue_evidence *v)
{
    if (v->n_begun != 1)
        return BLAME_NONE;
    if (v->sent_by_us) /* given back, a document that hangs would hang one worker after another for ever */
        return v->hung ? BLAME_ATTEMPT : BLAME_NONE;
    if (own_fault(v))
        return BLAME_CRASH;
    return killed_or_exited(v) ? BLAME_ATTEMPT : BLAME_NONE;
}

bool rescue_suspects(const struct rescue_evidence *v)
{
    bool theirs = v->sent_by_us ? v->hung : own_fault(v) || killed_or_exited(v);

    return theirs && v->n_begun != 1;
}

/* The common end of the statements that take jobs from a dead owner. Before it stands `o`: the jobs, locked, each with
 * its blame and with `suspected`. $3 max attempts, $4 crash budget, $5 retry ms, $6 evidence.
 * Who is not blamed is queued at once, and so is the first attempt lost to a kill; a crash, and a job whose worker is
 * killed again and again, waits longer each time, so that one spell of kills does not use up its attempts; over a budget
 * it is set aside, and its content goes to its oldest duplicate, unless the job was to fill a space. */
#define RELEASE_OWNED                                                                                                        \
    "t AS MATERIALIZED (\n"                                                                                                  \
    "  SELECT o.id, o.status AS from_status, o.blame > 0 AS blamed, o.suspect OR o.suspected AS suspect,\n"                  \
    "    CASE WHEN o.blame > 0 THEN o.attempt ELSE greatest(o.attempt - 1, 0) END AS attempt,\n"                             \
    "    CASE WHEN o.blame = 2 THEN o.crashes + 1 ELSE o.crashes END AS crashes,\n"                                          \
    "    CASE WHEN o.blame = 2 AND o.crashes + 1 >= $4 THEN 8\n"                                                             \
    "         WHEN o.blame > 0 AND o.attempt >= $3 THEN 7\n"                                                                 \
    "         WHEN o.blame > 0 AND (o.blame = 2 OR o.attempt > 1) THEN 5 ELSE 1 END AS to_state\n"                           \
    "  FROM o),\n"                                                                                                           \
    "u AS (\n"                                                                                                               \
    "  UPDATE upload_jobs j SET lease = j.lease + 1, state = t.to_state, attempt = t.attempt, crashes = t.crashes,\n"        \
    "    suspect = t.suspect,\n"                                                                                             \
    "    status = CASE WHEN t.to_state IN (7, 8) THEN failure_of(j.status) ELSE j.status END,\n"                             \
    "    run_at = CASE WHEN t.to_state = 5 THEN now() + $5 * power(2, least(t.attempt, 8) - 1) * interval '1 millisecond'\n" \
    "      ELSE now() END,\n"                                                                                                \
    "    owner_node = NULL, owner_child = NULL, deadline = NULL, updated_at = now()\n"                                       \
    "  FROM t WHERE j.id = t.id\n"                                                                                           \
    "  RETURNING j.id, j.document_id, j.user_id, j.lease, j.generation, j.purpose,\n"                                        \
    "    t.from_status, t.blamed, j.status, j.state, j.attempt),\n"                                                          \
    "d AS (\n"                                                                                                               \
    "  UPDATE upload_job_details d SET evidence = coalesce($6, d.evidence),\n"                                               \
    "    error_reason = CASE WHEN u.state = 8 THEN 'crashed_worker' WHEN u.state = 7 THEN 'attempts_exhausted'\n"            \
    "      ELSE d.error_reason END,\n"                                                                                       \
    "    error_message = CASE WHEN u.state IN (7, 8) THEN 'The worker that held the job alone died; see the evidence.'\n"    \
    "      ELSE d.error_message END\n"                                                                                       \
    "  FROM u WHERE d.job_id = u.id AND u.blamed RETURNING d.job_id),\n"                                                     \
    "s AS (\n"                                                                                                               \
    "  INSERT INTO stale_generations (user_id, document_id, generation)\n"                                                   \
    "  SELECT user_id, document_id, generation FROM u WHERE state IN (7, 8) AND purpose = 1\n"                               \
    "  ON CONFLICT DO NOTHING),\n"                                                                                           \
    "k AS (\n"                                                                                                               \
    "  DELETE FROM document_contents c USING u\n"                                                                            \
    "  WHERE u.state IN (7, 8) AND u.purpose = 1 AND c.user_id = u.user_id AND c.document_id = u.document_id),\n"            \
    "p AS MATERIALIZED (SELECT promote_duplicate(user_id, document_id) FROM u WHERE state IN (7, 8) AND purpose = 1),\n"     \
    "v AS (\n"                                                                                                               \
    "  INSERT INTO events (job_id, document_id, user_id, correlation, lease, from_status, to_status, from_state,\n"          \
    "    to_state, attempt, actor, reason)\n"                                                                                \
    "  SELECT u.id, u.document_id, u.user_id, c.correlation, u.lease, u.from_status, u.status, 2, u.state, u.attempt, 4,\n"  \
    "    CASE WHEN u.state = 8 THEN 'crashed_worker' ELSE 'worker_lost' END\n"                                               \
    "  FROM u LEFT JOIN upload_job_details c ON c.job_id = u.id)\n"

/* $1 node, $2 child, $3 to $6 as above, $7 begun or NULL, $8 blame, $9 suspect */
const char rescue_release_sql[] =
    "WITH o AS MATERIALIZED (\n"
    "  SELECT j.*, CASE WHEN j.id = ANY ($7) THEN $8 ELSE 0 END AS blame,\n"
    "    $9 AND ($7 IS NULL OR j.id = ANY ($7)) AS suspected FROM upload_jobs j\n"
    "  WHERE j.owner_node = $1 AND j.owner_child = $2 AND j.state = 2\n"
    "  ORDER BY j.id FOR NO KEY UPDATE),\n" RELEASE_OWNED "SELECT id, state FROM u, (SELECT count(*) FROM p) promoted";

static void add_limits(struct pg_params *p, const struct rescue_limits *l)
{
    pg_add_int4(p, l->max_attempts);
    pg_add_int4(p, l->crash_budget);
    pg_add_int8(p, l->retry_ms);
}

void rescue_release_params(struct pg_params *p, const void *ctx, int64_t node, int64_t child, const struct uuid *begun,
                           int n_begun, enum rescue_blame blame, bool suspect, const struct rescue_limits *l,
                           const char *evidence_json)
{
    pg_params_init(p, ctx);
    pg_add_int8(p, node);
    pg_add_int8(p, child);
    add_limits(p, l);
    if (evidence_json != NULL)
        pg_add_jsonb(p, evidence_json);
    else
        pg_add_null(p, PG_JSONB);
    if (begun != NULL) {
        struct pg_array *ids = pg_array_new(ctx, PG_UUID);
        for (int i = 0; i < n_begun; i++)
            pg_array_uuid(ids, &begun[i]);
        pg_add_array(p, ids);
    } else {
        pg_add_null(p, PG_UUID_ARRAY);
    }
    pg_add_int4(p, (int)blame);
    pg_add_bool(p, suspect);
}

/* $1 node, $2 the first number that is not given yet, $3 to $6 as above, $7 the living. Who is locked is looked at again
 * next time: nobody waits for a dead one's session. */
const char rescue_unheard_sql[] =
    "WITH o AS MATERIALIZED (\n"
    "  SELECT j.*, 0 AS blame, false AS suspected FROM upload_jobs j\n"
    "  WHERE j.owner_node = $1 AND j.owner_child < $2 AND j.state = 2 AND j.owner_child <> ALL ($7)\n"
    "  FOR NO KEY UPDATE SKIP LOCKED),\n" RELEASE_OWNED "SELECT count(*), (SELECT count(*) FROM p) AS promoted FROM u";

void rescue_unheard_params(struct pg_params *p, const void *ctx, int64_t node, int64_t from, const int64_t *living,
                           int n, const struct rescue_limits *l)
{
    struct pg_array *serials = pg_array_new(ctx, PG_INT8);

    pg_params_init(p, ctx);
    pg_add_int8(p, node);
    pg_add_int8(p, from);
    add_limits(p, l);
    pg_add_null(p, PG_JSONB);
    for (int i = 0; i < n; i++)
        pg_array_int8(serials, living[i]);
    pg_add_array(p, serials);
}

/* $1 own incarnation, $2 grace in ms, $3 to $6 as above */
const char rescue_nobodys_sql[] =
    "WITH g AS MATERIALIZED (SELECT " LEADER_GUARD " AS held),\n"
    "o AS MATERIALIZED (\n"
    "  SELECT j.*, 0 AS blame, false AS suspected FROM upload_jobs j\n"
    "  WHERE (SELECT held FROM g) AND j.state = 2 AND j.owner_node <> $1\n"
    "    AND NOT EXISTS (SELECT FROM nodes n WHERE n.incarnation = j.owner_node)\n"
    "    AND NOT EXISTS (SELECT FROM nodes n WHERE n.started_at > now() - $2 * interval '1 millisecond')\n"
    "  FOR NO KEY UPDATE SKIP LOCKED),\n" RELEASE_OWNED "SELECT count(*), (SELECT count(*) FROM p) AS promoted FROM u";

void rescue_nobodys_params(struct pg_params *p, const void *ctx, int64_t node, int64_t grace_ms,
                           const struct rescue_limits *l)
{
    pg_params_init(p, ctx);
    pg_add_int8(p, node);
    pg_add_int8(p, grace_ms);
    add_limits(p, l);
    pg_add_null(p, PG_JSONB);
}

/* $1 incarnation, $2 blame those that were alone, $3 to $6 as above, $7 $8 class and name of the lock that allows it.
 * Which jobs a lost node had begun is not known: a child's only job counts as begun. A worker that has one job to be
 * worked on alone owns no other, so that a document which takes its node down is told from the rest. */
const char rescue_node_sql[] =
    "WITH g AS MATERIALIZED (\n"
    "  SELECT pg_try_advisory_xact_lock($7, CASE WHEN $8 = '' THEN 0 ELSE hashtext($8) END) AS held),\n"
    "l AS MATERIALIZED (\n"
    "  SELECT j.* FROM upload_jobs j WHERE (SELECT held FROM g) AND j.owner_node = $1 AND j.state = 2\n"
    "  ORDER BY j.id FOR NO KEY UPDATE),\n"
    "o AS MATERIALIZED (\n"
    "  SELECT l.*, CASE WHEN $2 AND count(*) OVER child = 1 THEN 1 ELSE 0 END AS blame,\n"
    "    $2 AND count(*) OVER child > 1 AS suspected\n"
    "  FROM l WINDOW child AS (PARTITION BY owner_child)),\n" RELEASE_OWNED
    "SELECT (SELECT count(*) FROM u), (SELECT held FROM g), (SELECT count(*) FROM p) AS promoted";

static const char node_evidence[] = "{\"node_lost\": true}";

static void node_params(struct pg_params *p, const void *ctx, int64_t node, bool blame, const struct rescue_limits *l)
{
    pg_params_init(p, ctx);
    pg_add_int8(p, node);
    pg_add_bool(p, blame);
    add_limits(p, l);
    pg_add_jsonb(p, node_evidence);
}

void rescue_node_params(struct pg_params *p, const void *ctx, int64_t node, bool blame, const struct rescue_limits *l)
{
    node_params(p, ctx, node, blame, l);
    pg_add_int4(p, LOCK_CLASS_LEADER);
    pg_add_text(p, "");
}

void rescue_former_params(struct pg_params *p, const void *ctx, const char *name, int64_t node, bool blame,
                          const struct rescue_limits *l)
{
    node_params(p, ctx, node, blame, l);
    pg_add_int4(p, LOCK_CLASS_NODE);
    pg_add_text(p, name);
}

/* $1 grace ms, $2 own incarnation. The lock is tried, not read: if it could be taken, nobody held it (it is let go with
 * this transaction). 1684865027 is LOCK_CLASS_NODE. */
const char rescue_dead_nodes_sql[] =
    "WITH g AS MATERIALIZED (SELECT " LEADER_GUARD " AS held)\n"
    "SELECT n.name, n.incarnation, n.said_goodbye FROM nodes n\n"
    "WHERE (SELECT held FROM g) AND n.incarnation <> $2\n"
    "  AND (n.said_goodbye OR n.heartbeat_at < now() - $1 * interval '1 millisecond')\n"
    "  AND pg_postmaster_start_time() < now() - $1 * interval '1 millisecond'\n"
    "  AND (pg_try_advisory_xact_lock(1684865027, hashtext(n.name))\n"
    "       OR n.heartbeat_at < now() - 20 * $1 * interval '1 millisecond')";

/* $3 grace ms: one that beats again meanwhile keeps its row */
const char rescue_forget_node_sql[] = "DELETE FROM nodes WHERE name = $1 AND incarnation = $2 AND " LEADER_GUARD "\n"
                                      "  AND (said_goodbye OR heartbeat_at < now() - $3 * interval '1 millisecond')";

/* $1 max attempts, $2 retry ms */
const char rescue_expired_sql[] =
    "WITH o AS MATERIALIZED (\n"
    "  SELECT j.id, j.status, j.state, j.attempt + (j.state = 3)::int AS attempt FROM upload_jobs j WHERE j.state IN (2, 3) AND j.deadline < now()\n"
    "  ORDER BY j.deadline LIMIT 500 FOR NO KEY UPDATE SKIP LOCKED),\n"
    "u AS (\n"
    "  UPDATE upload_jobs j SET lease = j.lease + 1, owner_node = NULL, owner_child = NULL, deadline = NULL,\n"
    "    attempt = o.attempt, state = CASE WHEN o.attempt >= $1 THEN 7 ELSE 5 END,\n"
    "    status = CASE WHEN o.attempt >= $1 THEN failure_of(j.status) ELSE j.status END,\n"
    "    run_at = now() + $2 * interval '1 millisecond', updated_at = now()\n"
    "  FROM o WHERE j.id = o.id\n"
    "  RETURNING j.*, o.status AS from_status, o.state AS from_state),\n"
    "d AS (\n"
    "  UPDATE upload_job_details d SET error_reason = 'stage_deadline',\n"
    "    error_message = 'The stage did not finish before its deadline.'\n"
    "  FROM u WHERE d.job_id = u.id RETURNING d.job_id, d.correlation),\n"
    "s AS (\n"
    "  INSERT INTO stale_generations (user_id, document_id, generation)\n"
    "  SELECT user_id, document_id, generation FROM u WHERE state = 7 AND purpose = 1 ON CONFLICT DO NOTHING),\n"
    "k AS (\n"
    "  DELETE FROM document_contents c USING u\n"
    "  WHERE u.state = 7 AND u.purpose = 1 AND c.user_id = u.user_id AND c.document_id = u.document_id),\n"
    "p AS MATERIALIZED (SELECT promote_duplicate(user_id, document_id) FROM u WHERE state = 7 AND purpose = 1),\n"
    "v AS (\n"
    "  INSERT INTO events (job_id, document_id, user_id, correlation, lease, from_status, to_status, from_state,\n"
    "    to_state, attempt, actor, reason)\n"
    "  SELECT u.id, u.document_id, u.user_id, d.correlation, u.lease, u.from_status, u.status, u.from_state, u.state,\n"
    "    u.attempt, 4, 'stage_deadline'\n"
    "  FROM u LEFT JOIN d ON d.job_id = u.id)\n"
    "SELECT count(*) FROM u, (SELECT count(*) FROM p) promoted";

/* Nobody holds a lease of either; it rises all the same where a callback may be on its way. */
const char rescue_due_sql[] =
    "WITH r AS MATERIALIZED (\n"
    "  SELECT id FROM upload_jobs WHERE state = 5 AND run_at <= now() ORDER BY run_at LIMIT 500\n"
    "  FOR NO KEY UPDATE SKIP LOCKED),\n"
    "w AS MATERIALIZED (\n"
    "  SELECT id FROM upload_jobs WHERE state = 3 AND run_at <= now() ORDER BY run_at LIMIT 500\n"
    "  FOR NO KEY UPDATE SKIP LOCKED),\n"
    "u AS (\n"
    "  UPDATE upload_jobs j SET state = 1, lease = j.lease + (j.state = 3)::int, deadline = NULL, updated_at = now()\n"
    "  FROM (SELECT id FROM r UNION ALL SELECT id FROM w) o WHERE j.id = o.id RETURNING j.id)\n"
    "SELECT count(*) FROM u";

/* $1 age ms, $2 how many. A generation that became visible after it was listed is left alone. */
const char rescue_sweep_sql[] =
    "WITH g AS MATERIALIZED (\n"
    "  SELECT user_id, document_id, generation FROM stale_generations\n"
    "  WHERE since < now() - $1 * interval '1 millisecond' AND " LEADER_GUARD "\n"
    "  ORDER BY since LIMIT $2 FOR UPDATE SKIP LOCKED),\n"
    "c AS (\n"
    "  DELETE FROM document_chunks c USING g\n"
    "  WHERE c.user_id = g.user_id AND c.document_id = g.document_id AND c.generation = g.generation\n"
    "    AND NOT EXISTS (SELECT FROM documents d WHERE d.user_id = g.user_id AND d.document_id = g.document_id\n"
    "                    AND d.live_generation = g.generation)),\n"
    "s AS (\n"
    "  DELETE FROM stale_generations s USING g\n"
    "  WHERE s.user_id = g.user_id AND s.document_id = g.document_id AND s.generation = g.generation RETURNING 1)\n"
    "SELECT count(*) FROM s";

/* $1 retention ms */
const char rescue_partitions_sql[] =
    "SELECT ensure_event_partitions() + drop_event_partitions(now() - $1 * interval '1 millisecond')\n"
    "WHERE " LEADER_GUARD;

const char rescue_counts_sql[] =
    "SELECT status, state, count(*), 0::bigint, (extract(epoch FROM now() - min(updated_at)) * 1000)::bigint\n"
    "FROM upload_jobs WHERE state < 6 GROUP BY status, state\n"
    "UNION ALL\n"
    "SELECT 0::smallint, state, count(*), 0, 0 FROM upload_jobs WHERE state IN (7, 8) GROUP BY state\n"
    "UNION ALL\n"
    "(SELECT 0::smallint, 1::smallint, 0,\n"
    "   (extract(epoch FROM now() - greatest(run_at, created_at)) * 1000)::bigint, 0\n"
    " FROM upload_jobs WHERE state = 1 ORDER BY lane, fair_key LIMIT 1)";
