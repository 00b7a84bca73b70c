/*
 * store_sql.c - the statements of store.c, in the order of its transaction
 *
 * Parameters stand in the comment before each. Arrays of one statement have equal length.
 */
#include "queue/sql.h"

#include <string.h>
#include <talloc.h>

char *sql_for_space(const void *ctx, const char *sql, int space)
{
    const char *mark = strchr(sql, '@');

    return talloc_asprintf(ctx, "%.*s%d%s", (int)(mark - sql), sql, space, mark + 1);
}

/* $1 ids, $2 leases, $3 from statuses, sorted by id: the jobs that are still ours are locked one by one in that order,
 * which is everybody's. $4 their collections: while this transaction lasts their spaces stay what they are. 1684865029 is
 * LOCK_CLASS_COLLECTION. */
const char sql_fence[] =
    "WITH l AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(1684865029, c) FROM unnest($4) c)\n"
    "SELECT j.id FROM (SELECT count(*) FROM l) locked, unnest($1, $2, $3) AS t(id, lease, status), LATERAL (\n"
    "  SELECT k.id FROM upload_jobs k\n"
    "  WHERE k.id = t.id AND k.lease = t.lease AND k.status = t.status AND k.state = 2 FOR NO KEY UPDATE) j";

/* $1 collections -> id, live space, next space. A statement of its own: it sees what was true when the lock was got. */
const char sql_spaces_of[] = "SELECT id, coalesce(live_space, 0), coalesce(next_space, 0) FROM collections\n"
                             "WHERE id = ANY ($1)";

/* $1 users, $2 collections, $3 hashes, $4 documents: the first of a user in a collection with a content keeps it.
 * Sorted, so that two transactions wait for each other in one order. */
const char sql_contents_take[] =
    "INSERT INTO document_contents (user_id, collection, parsed_sha256, document_id)\n"
    "SELECT user_id, collection, sha256, document_id\n"
    "FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS t(user_id, collection, sha256, document_id, n)\n"
    "ORDER BY user_id, collection, sha256, n ON CONFLICT DO NOTHING";

/* $1 users, $2 collections, $3 hashes -> (n from 1, document) of the owners */
const char sql_contents_owner[] =
    "SELECT t.n, c.document_id\n"
    "FROM unnest($1, $2, $3) WITH ORDINALITY AS t(user_id, collection, sha256, n)\n"
    "JOIN document_contents c ON c.user_id = t.user_id AND c.collection = t.collection AND c.parsed_sha256 = t.sha256";

/* $1 users, $2 documents, $3 generations; vectors go with the chunks */
const char sql_clear_chunks[] =
    "DELETE FROM document_chunks c USING unnest($1, $2, $3) AS t(user_id, document_id, generation)\n"
    "WHERE c.user_id = t.user_id AND c.document_id = t.document_id AND c.generation = t.generation";

/* $1 users, $2 documents, $3 generations (one a chunk), $4 ords, $5 chunk ids, $6 starts, $7 ends, $8 overlaps,
 * $9 tokens, $10 pages, $11 hashes, $12 heading paths, $13 texts */
const char sql_insert_chunks[] =
    "INSERT INTO document_chunks (user_id, document_id, generation, ord, chunk_id, byte_start, byte_end, overlap,\n"
    "  tokens, page, sha256, heading_path, text)\n"
    "SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)\n"
    "ON CONFLICT (user_id, document_id, generation, ord) DO NOTHING";

/* @ is the space; $1 users, $2 documents, $3 generations, $4 ords, $5 vectors */
const char sql_insert_vectors_at[] = "INSERT INTO vectors_@ (user_id, document_id, generation, ord, embedding)\n"
                                     "SELECT * FROM unnest($1, $2, $3, $4, $5::vector[])\n"
                                     "ON CONFLICT (user_id, document_id, generation, ord) DO NOTHING";

/* $1 users, $2 documents, $3 parsed hashes, $4 parsed bytes, $5 plain, $6 pages, $7 page starts as array text,
 * $8 duplicate_of, $9 parsers, $10 whose place they took. What was visible of a document that is a duplicate now, after
 * it was parsed again, is no longer. */
const char sql_set_parsed[] =
    "WITH t AS MATERIALIZED (\n"
    "  SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)\n"
    "    AS t(user_id, document_id, sha256, bytes, plain, pages, page_starts, duplicate_of, parsed_by, instead_of)),\n"
    "s AS (\n"
    "  INSERT INTO stale_generations (user_id, document_id, generation)\n"
    "  SELECT d.user_id, d.document_id, d.live_generation\n"
    "  FROM t JOIN documents d ON d.user_id = t.user_id AND d.document_id = t.document_id\n"
    "  WHERE t.duplicate_of IS NOT NULL AND d.live_generation IS NOT NULL ON CONFLICT DO NOTHING)\n"
    "UPDATE documents d SET parsed_sha256 = t.sha256, parsed_bytes = t.bytes, parsed_plain = t.plain, pages = t.pages,\n"
    "  page_starts = t.page_starts::int[], duplicate_of = t.duplicate_of, parsed_by = t.parsed_by,\n"
    "  parsed_instead_of = t.instead_of, updated_at = now(),\n"
    "  live_generation = CASE WHEN t.duplicate_of IS NULL THEN d.live_generation END,\n"
    "  chunks = CASE WHEN t.duplicate_of IS NULL THEN d.chunks END\n"
    "FROM t WHERE d.user_id = t.user_id AND d.document_id = t.document_id";

/* @ is the space; $1 users, $2 documents, $3 generations, $4 expected. Only documents whose rows are all there are
 * flipped; the generation that was visible before goes on the list of stale ones. -> documents */
const char sql_flip_at[] =
    "WITH t AS MATERIALIZED (\n"
    "  SELECT t.* FROM unnest($1, $2, $3, $4) AS t(user_id, document_id, generation, expected)\n"
    "  WHERE (SELECT count(*) FROM document_chunks c WHERE c.user_id = t.user_id AND c.document_id = t.document_id\n"
    "         AND c.generation = t.generation) = t.expected\n"
    "    AND (SELECT count(*) FROM vectors_@ v WHERE v.user_id = t.user_id AND v.document_id = t.document_id\n"
    "         AND v.generation = t.generation) = t.expected),\n"
    "s AS (\n"
    "  INSERT INTO stale_generations (user_id, document_id, generation)\n"
    "  SELECT d.user_id, d.document_id, d.live_generation\n"
    "  FROM t JOIN documents d ON d.user_id = t.user_id AND d.document_id = t.document_id\n"
    "  WHERE d.live_generation <> t.generation ON CONFLICT DO NOTHING)\n"
    "UPDATE documents d SET live_generation = t.generation, chunks = t.expected, updated_at = now()\n"
    "FROM t WHERE d.user_id = t.user_id AND d.document_id = t.document_id\n"
    "RETURNING d.document_id";

/* @ is the space; as above, for documents that are visible already and are to be in one more space: those whose rows are
 * all there, of the generation that is visible. Changes nothing. -> documents */
const char sql_covered_at[] =
    "SELECT t.document_id FROM unnest($1, $2, $3, $4) AS t(user_id, document_id, generation, expected)\n"
    "JOIN documents d ON d.user_id = t.user_id AND d.document_id = t.document_id\n"
    "  AND d.live_generation = t.generation AND d.chunks = t.expected\n"
    "WHERE (SELECT count(*) FROM vectors_@ v WHERE v.user_id = t.user_id AND v.document_id = t.document_id\n"
    "       AND v.generation = t.generation) = t.expected";

/* $1 collection, $2 space, $3 users, $4 documents, that have just become visible */
const char sql_make_fills[] = "SELECT make_fills($1, $2, $3, $4)";

/* $1 ids, $2 leases, $3 from, $4 to statuses, $5 to states, $6 stage deadline ms, $7 hops as JSON, $8 reasons.
 * The move itself and its event; an attempt that got anywhere starts its count anew, and a job that is done has nothing
 * wrong any more (its events remember). -> ids */
const char sql_advance[] =
    "WITH t AS MATERIALIZED (\n"
    "  SELECT * FROM unnest($1, $2, $3, $4, $5, $7, $8)\n"
    "    AS t(id, lease, from_status, to_status, to_state, hops, reason)),\n"
    "u AS (\n"
    "  UPDATE upload_jobs j SET status = t.to_status, state = t.to_state,\n"
    "    owner_node = CASE WHEN t.to_state = 2 THEN j.owner_node END,\n"
    "    owner_child = CASE WHEN t.to_state = 2 THEN j.owner_child END,\n"
    "    deadline = CASE WHEN t.to_state = 2 THEN now() + $6 * interval '1 millisecond' END,\n"
    "    attempt = 1, suspect = false, updated_at = now()\n"
    "  FROM t WHERE j.id = t.id AND j.lease = t.lease AND j.status = t.from_status AND j.state = 2\n"
    "  RETURNING j.id, j.document_id, j.user_id, j.lease, j.attempt, t.from_status, t.to_status, t.to_state, t.hops,\n"
    "    t.reason),\n"
    "v AS (\n"
    "  INSERT INTO events (job_id, document_id, user_id, correlation, lease, from_status, to_status, from_state,\n"
    "    to_state, attempt, actor, hops, reason)\n"
    "  SELECT u.id, u.document_id, u.user_id, d.correlation, u.lease, u.from_status, u.to_status, 2, u.to_state,\n"
    "    u.attempt, 1, u.hops, u.reason\n"
    "  FROM u LEFT JOIN upload_job_details d ON d.job_id = u.id WHERE u.from_status <> u.to_status),\n"
    "e AS (\n"
    "  UPDATE upload_job_details d SET error_reason = NULL, error_message = NULL, error_hint = NULL\n"
    "  FROM u WHERE d.job_id = u.id AND u.to_state = 6 AND d.error_reason IS NOT NULL)\n"
    "SELECT id FROM u";

/* $1 ids -> id, lease, status, state: what became of a transaction whose answer was lost */
const char sql_probe[] = "SELECT id, lease, status, state FROM upload_jobs WHERE id = ANY ($1)";

/* @ is the space; $1 user, $2 document, $3 generation -> how many ords 0 .. n-1 are there without a gap */
const char sql_stored_vectors_at[] =
    "SELECT CASE WHEN count(*) = coalesce(max(ord), -1) + 1 THEN count(*) ELSE 0 END::int\n"
    "FROM vectors_@ WHERE user_id = $1 AND document_id = $2 AND generation = $3";

/* $1 user, $2 document, $3 generation, $4 first, $5 limit */
const char sql_read_chunks[] =
    "SELECT chunk_id, ord, tokens, page, overlap, byte_start, byte_end, heading_path, text, sha256\n"
    "FROM document_chunks WHERE user_id = $1 AND document_id = $2 AND generation = $3 AND ord >= $4\n"
    "ORDER BY user_id, document_id, generation, ord LIMIT $5";

/* $1 user, $2 document, $3 generation */
const char sql_count_chunks[] =
    "SELECT count(*)::int FROM document_chunks WHERE user_id = $1 AND document_id = $2 AND generation = $3";

/* $1 id, $2 lease, $3 from status, $4 to status, $5 to state, $6 wait ms, $7 refund, $8 reason, $9 message, $10 hint,
 * $11 the wait begins with the next UTC day.
 * A dead one's rows become stale, and a content that it was the canonical holder of goes to its oldest duplicate; not so
 * if it was to fill a space, since its document is as visible as before.
 * -> id */
const char sql_fail[] =
    "WITH u AS (\n"
    "  UPDATE upload_jobs j SET status = $4, state = $5, owner_node = NULL, owner_child = NULL, deadline = NULL,\n"
    "    attempt = greatest(j.attempt - CASE WHEN $7 THEN 1 ELSE 0 END, 0),\n"
    "    run_at = CASE WHEN $11 THEN (utc_day() + 1)::timestamp AT TIME ZONE 'UTC' ELSE now() END\n"
    "      + $6 * interval '1 millisecond', updated_at = now()\n"
    "  WHERE j.id = $1 AND j.lease = $2 AND j.status = $3 AND j.state = 2\n"
    "  RETURNING j.*),\n"
    "d AS (\n"
    "  UPDATE upload_job_details d SET error_reason = $8, error_message = $9, error_hint = $10\n"
    "  FROM u WHERE d.job_id = u.id RETURNING d.correlation),\n"
    "s AS (\n"
    "  INSERT INTO stale_generations (user_id, document_id, generation)\n"
    "  SELECT user_id, document_id, generation FROM u WHERE $5 = 7 AND purpose = 1 ON CONFLICT DO NOTHING),\n"
    "k AS (\n"
    "  DELETE FROM document_contents c USING u\n"
    "  WHERE $5 = 7 AND u.purpose = 1 AND c.user_id = u.user_id AND c.document_id = u.document_id),\n"
    "p AS MATERIALIZED (SELECT promote_duplicate(user_id, document_id) FROM u WHERE $5 = 7 AND purpose = 1),\n"
    "v AS (\n"
    "  INSERT INTO events (job_id, document_id, user_id, correlation, lease, from_status, to_status, from_state,\n"
    "    to_state, attempt, actor, reason)\n"
    "  SELECT u.id, u.document_id, u.user_id, d.correlation, u.lease, $3, $4, 2, $5, u.attempt, 1, $8\n"
    "  FROM u LEFT JOIN d ON true)\n"
    "SELECT id FROM u, (SELECT count(*) FROM p) promoted";
