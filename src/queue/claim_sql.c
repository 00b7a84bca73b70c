/*
 * claim_sql.c - the statements of claim.c
 *
 * Parameters stand in the comment before each.
 */
#include "queue/sql.h"

/* $1 want, $2 node, $3 child, $4 stage deadline ms, $5 $6 lanes, $7 statuses
 * The lock order is the index order; MATERIALIZED keeps the planner from running the subquery twice. The few rows
 * claimed are put in order by the caller, so that nothing here sorts. What was begun in a space that is no longer live
 * is begun again in the one that is. */
const char sql_claim[] =
    "WITH c AS MATERIALIZED (\n"
    "  SELECT id, lane, fair_key FROM upload_jobs\n"
    "  WHERE state = 1 AND lane BETWEEN $5 AND $6 AND status = ANY ($7)\n"
    "  ORDER BY lane, fair_key LIMIT $1\n"
    "  FOR NO KEY UPDATE SKIP LOCKED),\n"
    "u AS (\n"
    "  UPDATE upload_jobs j SET state = 2, lease = j.lease + 1, attempt = j.attempt + 1, owner_node = $2,\n"
    "    owner_child = $3, deadline = now() + $4 * interval '1 millisecond', updated_at = now(),\n"
    "    space = CASE WHEN j.purpose = 1\n"
    "      THEN coalesce((SELECT o.live_space FROM collections o WHERE o.id = j.collection), j.space) ELSE j.space END\n"
    "  FROM c WHERE j.id = c.id\n"
    "  RETURNING j.*),\n"
    "k AS MATERIALIZED (\n"
    "  SELECT setval('lane_clock_interactive', greatest(max(fair_key), (SELECT last_value FROM lane_clock_interactive)))\n"
    "  FROM c WHERE lane = 1 HAVING max(fair_key) IS NOT NULL\n"
    "  UNION ALL\n"
    "  SELECT setval('lane_clock_bulk', greatest(max(fair_key), (SELECT last_value FROM lane_clock_bulk)))\n"
    "  FROM c WHERE lane = 2 HAVING max(fair_key) IS NOT NULL)\n"
    "SELECT u.id, u.document_id, u.user_id, u.lease, u.generation, u.lane, u.status, u.attempt, u.crashes, u.chunker,\n"
    "  u.space, u.suspect, d.bytes, d.sha256, d.filename, d.content_type, d.parsed_sha256, d.parsed_bytes, d.parsed_plain,\n"
    "  d.pages, array_to_string(d.page_starts, ','), u.fair_key, u.collection, u.purpose,\n"
    "  d.live_generation IS NOT NULL\n"
    "FROM u JOIN documents d ON d.user_id = u.user_id AND d.document_id = u.document_id, (SELECT count(*) FROM k) done";

/* $1 ids, $2 leases: claimed by us, not begun */
const char sql_hand_back[] =
    "UPDATE upload_jobs j SET state = 1, attempt = greatest(j.attempt - 1, 0), owner_node = NULL, owner_child = NULL,\n"
    "  deadline = NULL, updated_at = now()\n"
    "FROM unnest($1, $2) AS t(id, lease)\n"
    "WHERE j.id = t.id AND j.lease = t.lease AND j.state = 2";

/* $1 node, $2 child, $3 ids that the child does hold */
const char sql_reclaim[] =
    "UPDATE upload_jobs j SET state = 1, attempt = greatest(j.attempt - 1, 0), lease = j.lease + 1, owner_node = NULL,\n"
    "  owner_child = NULL, deadline = NULL, updated_at = now()\n"
    "WHERE j.owner_node = $1 AND j.owner_child = $2 AND j.state = 2 AND j.id <> ALL ($3)";

/* $1 space */
const char sql_read_space[] = "SELECT model, version, dimension FROM embedding_spaces WHERE space = $1";
