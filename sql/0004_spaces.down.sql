-- 0004_spaces, undone. What the schema before knows no place for makes it refuse: another collection, a space that is
-- being filled, documents that are missing in the live one.
SET LOCAL search_path = upload_pipeline, public;
SELECT '[1]'::vector; -- as in 0001
SET LOCAL row_security = off; -- rows behind a policy are not taken for none
DO $$
BEGIN
    IF EXISTS (SELECT FROM documents WHERE collection <> 1) THEN
        RAISE EXCEPTION 'there are documents in other collections than default';
    END IF;
    IF EXISTS (SELECT FROM collections WHERE next_space IS NOT NULL)
            OR EXISTS (SELECT FROM upload_jobs WHERE purpose = 2 AND state <> 6) THEN
        RAISE EXCEPTION 'an embedding space is being filled, or documents are missing in one';
    END IF;
    IF EXISTS (SELECT FROM embedding_spaces WHERE collection <> 1) THEN
        RAISE EXCEPTION 'there are embedding spaces of other collections than default';
    END IF;
END
$$;
DROP FUNCTION search_chunks(vector, text, int, int, text, text, int, int);
DROP FUNCTION may_submit(uuid, text, bigint);
DROP FUNCTION submit_document(uuid, text, text, bigint, bytea, smallint, text, smallint, bigint, uuid);
DROP FUNCTION flip_without_failed(text);
DROP FUNCTION retry_fills(text);
DROP FUNCTION spaces_report();
DROP FUNCTION step_spaces(int, int, int, bigint);
DROP FUNCTION empty_retired_space(bigint);
DROP FUNCTION tidy_fills(int);
DROP FUNCTION flip_collection(smallint);
DROP FUNCTION walk_collection(smallint, int, int);
DROP FUNCTION make_fills(smallint, smallint, uuid[], uuid[]);
DROP FUNCTION want_space(text, text, int, int, text, text);
DROP FUNCTION ensure_collection(text, text, int, int, text, text);
DROP FUNCTION make_space(smallint, text, int, int, text, text, text);
DROP FUNCTION collection_named(text);
DROP TRIGGER upload_jobs_drop_fills ON upload_jobs;
DROP FUNCTION drop_fills();
DROP POLICY own_rows ON upload_jobs;
DROP POLICY own_rows_read ON upload_jobs;
DELETE FROM upload_job_details t USING upload_jobs f WHERE f.purpose = 2 AND t.job_id = f.id;
DELETE FROM upload_jobs WHERE purpose = 2;
DROP INDEX upload_jobs_list;
DROP INDEX upload_jobs_filling;
DROP INDEX upload_jobs_fill;
ALTER TABLE upload_jobs DROP CONSTRAINT upload_jobs_lane_check, DROP collection, DROP purpose,
    ADD CONSTRAINT upload_jobs_lane_check CHECK (lane IN (1, 2));
CREATE INDEX upload_jobs_list ON upload_jobs (user_id, created_at, id);
CREATE POLICY own_rows ON upload_jobs TO docmill_api USING (user_id = (SELECT current_user_id()))
    WITH CHECK (user_id = (SELECT current_user_id()));
CREATE POLICY own_rows_read ON upload_jobs FOR SELECT TO docmill_user USING (user_id = (SELECT current_user_id()));
ALTER TABLE document_contents DROP CONSTRAINT document_contents_pkey, DROP collection,
    ADD PRIMARY KEY (user_id, parsed_sha256);
ALTER TABLE documents DROP collection;
REVOKE UPDATE (state, retired_at, emptied) ON embedding_spaces FROM docmill_worker;
ALTER TABLE embedding_spaces DROP CONSTRAINT embedding_spaces_collection_model_version_dimension_key, DROP emptied,
    DROP retired_at, DROP collection, ADD UNIQUE (model, version, dimension);
DROP TABLE collections;
REVOKE EXECUTE ON FUNCTION current_is_operator() FROM docmill_worker;
SET LOCAL ROLE docmill_owner;

CREATE FUNCTION ensure_embedding_space(p_model text, p_version int, p_dimension int, p_metric text, p_index text)
    RETURNS smallint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = upload_pipeline, public, pg_temp
AS $$
DECLARE
    v_space smallint;
    v_table text;
BEGIN
    SELECT space INTO v_space FROM embedding_spaces
    WHERE model = p_model AND version = p_version AND dimension = p_dimension;
    IF FOUND THEN
        RETURN v_space;
    END IF;
    LOCK TABLE embedding_spaces IN SHARE ROW EXCLUSIVE MODE;
    SELECT space INTO v_space FROM embedding_spaces
    WHERE model = p_model AND version = p_version AND dimension = p_dimension;
    IF FOUND THEN
        RETURN v_space;
    END IF;
    INSERT INTO embedding_spaces (model, version, dimension, metric, type, state, indexed)
    VALUES (p_model, p_version, p_dimension, p_metric, 'vector', 'live', p_index = 'hnsw')
    RETURNING space INTO v_space;
    v_table := 'vectors_' || v_space;
    EXECUTE format(
        'CREATE TABLE %I (user_id uuid NOT NULL, document_id uuid NOT NULL, generation int NOT NULL, ord int NOT NULL,'
        ' embedding vector(%s) NOT NULL CHECK (vector_norm(embedding) > 0),'
        ' PRIMARY KEY (user_id, document_id, generation, ord),'
        ' FOREIGN KEY (user_id, document_id, generation, ord) REFERENCES document_chunks ON DELETE CASCADE)',
        v_table, p_dimension);
    -- A vector that fits a page is kept in the row: the exact scan then reads no other table.
    IF p_dimension <= 1900 THEN
        EXECUTE format('ALTER TABLE %I ALTER COLUMN embedding SET STORAGE PLAIN', v_table);
    END IF;
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', v_table);
    EXECUTE format('CREATE POLICY worker_all ON %I TO docmill_worker USING (true) WITH CHECK (true)', v_table);
    EXECUTE format('CREATE POLICY own_rows ON %I FOR SELECT TO docmill_api USING (user_id = (SELECT current_user_id()))',
                   v_table);
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON %I TO docmill_worker', v_table);
    EXECUTE format('GRANT SELECT ON %I TO docmill_api, docmill_search', v_table);
    EXECUTE 'CREATE OR REPLACE VIEW document_vector_buffer WITH (security_invoker = true) AS '
        || (SELECT string_agg(format(
                'SELECT %s::smallint AS space, v.user_id, v.document_id, v.generation, v.ord'
                ' FROM %I v JOIN documents d USING (user_id, document_id)'
                ' WHERE v.generation IS DISTINCT FROM d.live_generation', space, 'vectors_' || space), ' UNION ALL ')
            FROM embedding_spaces);
    GRANT SELECT ON document_vector_buffer TO docmill_worker;
    IF p_index = 'hnsw' THEN
        EXECUTE format('CREATE INDEX %I ON %I USING hnsw (embedding vector_cosine_ops)', v_table || '_hnsw', v_table);
    END IF;
    RETURN v_space;
END
$$;

-- A document and its job. The same bytes of the same user are the same document: nothing new is made, and a failed one
-- starts again. DM001: too many unfinished documents. DM002: no embedding space for that model yet.
CREATE FUNCTION submit_document(p_document uuid, p_filename text, p_content_type text, p_bytes bigint, p_sha256 bytea,
                                p_lane smallint, p_model text, p_model_version int, p_dimension int,
                                p_chunker smallint, p_max_active bigint, p_correlation uuid)
    RETURNS TABLE (document_id uuid, job_id uuid, created boolean, status smallint, state smallint, generation int)
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_user   uuid := current_user_id();
    v_space  smallint;
    v_job    uuid;
    v_state  smallint;
    v_status smallint;
    v_active bigint;
BEGIN
    IF v_user IS NULL THEN
        RAISE EXCEPTION 'no user in the claims' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT s.space INTO v_space FROM embedding_spaces s
    WHERE s.model = p_model AND s.version = p_model_version AND s.dimension = p_dimension AND s.state <> 'retired';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no embedding space for % version % dimension %', p_model, p_model_version, p_dimension
            USING ERRCODE = 'DM002';
    END IF;
    INSERT INTO user_lanes (user_id) VALUES (v_user) ON CONFLICT DO NOTHING;
    SELECT u.active_seen INTO v_active FROM user_lanes u WHERE u.user_id = v_user FOR UPDATE;
    SELECT j.id, j.status, j.state INTO v_job, v_status, v_state
    FROM documents d JOIN upload_jobs j ON j.id = d.job_id
    WHERE d.user_id = v_user AND d.document_id = p_document;
    IF FOUND AND v_state NOT IN (7, 8, 9) THEN
        RETURN QUERY SELECT j.document_id, j.id, false, j.status, j.state, j.generation
                     FROM upload_jobs j WHERE j.id = v_job;
        RETURN;
    END IF;
    IF v_active + 1 > p_max_active THEN
        SELECT count(*) INTO v_active FROM upload_jobs j WHERE j.user_id = v_user AND j.state < 6;
        UPDATE user_lanes u SET active_seen = v_active WHERE u.user_id = v_user;
        IF v_active + 1 > p_max_active THEN
            RAISE EXCEPTION 'user has % unfinished documents, the limit is %', v_active, p_max_active
                USING ERRCODE = 'DM001';
        END IF;
    END IF;
    UPDATE user_lanes u SET active_seen = v_active + 1 WHERE u.user_id = v_user;
    IF v_job IS NOT NULL THEN
        PERFORM restart_job(v_job, 8::smallint);
        UPDATE upload_jobs j SET chunker = p_chunker, space = v_space WHERE j.id = v_job;
        RETURN QUERY SELECT j.document_id, j.id, false, j.status, j.state, j.generation
                     FROM upload_jobs j WHERE j.id = v_job;
        RETURN;
    END IF;
    v_job := gen_random_uuid();
    INSERT INTO documents (user_id, document_id, job_id, bytes, sha256, filename, content_type)
    VALUES (v_user, p_document, v_job, p_bytes, p_sha256, p_filename, p_content_type);
    INSERT INTO upload_jobs (id, document_id, user_id, lane, fair_key, status, state, chunker, space)
    VALUES (v_job, p_document, v_user, p_lane, next_fair_key(v_user, p_lane, p_bytes), 1, 1, p_chunker, v_space);
    INSERT INTO upload_job_details (job_id, user_id, correlation) VALUES (v_job, v_user, p_correlation);
    INSERT INTO events (job_id, document_id, user_id, correlation, lease, from_status, to_status, from_state, to_state,
                        attempt, actor)
    VALUES (v_job, p_document, v_user, p_correlation, 0, 0, 1, 0, 1, 0, 8);
    RETURN QUERY SELECT p_document, v_job, true, 1::smallint, 1::smallint, 1;
END
$$;

-- Would submit_document take it? Asked before the bytes get their name in the blob store, so that what is refused leaves
-- nothing there. Writes nothing and locks nothing; the errors are submit_document's, which asks again.
CREATE FUNCTION may_submit(p_document uuid, p_model text, p_model_version int, p_dimension int, p_max_active bigint)
    RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    v_user   uuid := current_user_id();
    v_active bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM embedding_spaces s WHERE s.model = p_model AND s.version = p_model_version
                   AND s.dimension = p_dimension AND s.state <> 'retired') THEN
        RAISE EXCEPTION 'no embedding space for % version % dimension %', p_model, p_model_version, p_dimension
            USING ERRCODE = 'DM002';
    END IF;
    SELECT u.active_seen INTO v_active FROM user_lanes u WHERE u.user_id = v_user;
    IF coalesce(v_active, 0) + 1 <= p_max_active
            OR EXISTS (SELECT FROM documents d JOIN upload_jobs j ON j.id = d.job_id
                       WHERE d.user_id = v_user AND d.document_id = p_document AND j.state NOT IN (7, 8, 9)) THEN
        RETURN true;
    END IF;
    SELECT count(*) INTO v_active FROM upload_jobs j WHERE j.user_id = v_user AND j.state < 6;
    IF v_active + 1 > p_max_active THEN
        RAISE EXCEPTION 'user has % unfinished documents, the limit is %', v_active, p_max_active
            USING ERRCODE = 'DM001';
    END IF;
    RETURN true;
END
$$;

-- The best chunks for a query, among the caller's visible ones only. The user comes from the claims, never from an
-- argument, and stands in every branch; the function's owner bypasses row-level security because a policy would keep
-- the text index from being used. Ranked by reciprocal rank over two lists: nearest vectors, and chunks that hold all
-- the words; the score is the cosine similarity, so that it says the same in every answer.
CREATE FUNCTION search_chunks(p_query vector, p_text text, p_limit int, p_exact_limit int, p_model text,
                              p_model_version int, p_dimension int)
    RETURNS TABLE (document_id uuid, chunk_id uuid, ord int, filename text, heading_path text, page int,
                   score double precision, text text, byte_start bigint, byte_end bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = upload_pipeline, public, pg_temp
    SET hnsw.iterative_scan = 'relaxed_order'
AS $$
DECLARE
    v_user    uuid := current_user_id();
    v_space   smallint;
    v_visible bigint;
    v_nearest text;
BEGIN
    IF v_user IS NULL THEN
        RAISE EXCEPTION 'no user in the claims' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT s.space INTO v_space FROM embedding_spaces s
    WHERE s.model = p_model AND s.version = p_model_version AND s.dimension = p_dimension AND s.state = 'live';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no live embedding space for % version % dimension %', p_model, p_model_version, p_dimension
            USING ERRCODE = 'DM002';
    END IF;
    SELECT coalesce(sum(d.chunks), 0) INTO v_visible FROM documents d
    WHERE d.user_id = v_user AND d.live_generation IS NOT NULL;
    IF v_visible = 0 THEN
        RETURN;
    END IF;
    IF v_visible <= p_exact_limit THEN
        v_nearest := 'SELECT v.document_id, v.generation, v.ord, v.embedding <=> $2 AS distance
                      FROM documents d JOIN %1$I v ON v.user_id = $1 AND v.document_id = d.document_id
                       AND v.generation = d.live_generation
                      WHERE d.user_id = $1 AND d.live_generation IS NOT NULL
                      ORDER BY distance LIMIT $4';
    ELSE
        v_nearest := 'SELECT v.document_id, v.generation, v.ord, v.embedding <=> $2 AS distance
                      FROM %1$I v
                      WHERE v.user_id = $1 AND EXISTS (
                          SELECT FROM documents d WHERE d.user_id = $1 AND d.document_id = v.document_id
                          AND d.live_generation = v.generation)
                      ORDER BY v.embedding <=> $2 LIMIT $4';
    END IF;
    RETURN QUERY EXECUTE format('
        WITH q AS MATERIALIZED (SELECT plainto_tsquery(''simple'', $3) AS words),
        nearest AS MATERIALIZED (SELECT n.*, row_number() OVER (ORDER BY n.distance) AS place FROM (' || v_nearest || ') n),
        worded AS MATERIALIZED (
            SELECT w.*, row_number() OVER (ORDER BY w.rank DESC, w.document_id, w.ord) AS place FROM (
                SELECT c.document_id, c.generation, c.ord, ts_rank_cd(c.tsv, q.words) AS rank
                FROM q, document_chunks c JOIN documents d
                  ON d.user_id = $1 AND d.document_id = c.document_id AND d.live_generation = c.generation
                WHERE numnode(q.words) > 0 AND c.user_id = $1 AND c.tsv @@ q.words
                ORDER BY rank DESC, c.document_id, c.ord LIMIT $4) w),
        merged AS (
            SELECT document_id, generation, ord, sum(1.0 / (60 + place)) AS weight
            FROM (SELECT document_id, generation, ord, place FROM nearest
                  UNION ALL SELECT document_id, generation, ord, place FROM worded) b
            GROUP BY document_id, generation, ord
            ORDER BY weight DESC, document_id, ord LIMIT $5)
        SELECT m.document_id, c.chunk_id, m.ord, d.filename, c.heading_path, c.page,
               1 - (v.embedding <=> $2) AS score, c.text, c.byte_start, c.byte_end
        FROM merged m
        JOIN documents d ON d.user_id = $1 AND d.document_id = m.document_id
        JOIN document_chunks c ON c.user_id = $1 AND c.document_id = m.document_id AND c.generation = m.generation
          AND c.ord = m.ord
        JOIN %1$I v ON v.user_id = $1 AND v.document_id = m.document_id AND v.generation = m.generation
          AND v.ord = m.ord
        ORDER BY m.weight DESC, m.document_id, m.ord', 'vectors_' || v_space)
    USING v_user, p_query, p_text, greatest(p_limit * 4, 40), p_limit;
END
$$;

REVOKE ALL ON FUNCTION ensure_embedding_space(text, int, int, text, text),
    submit_document(uuid, text, text, bigint, bytea, smallint, text, int, int, smallint, bigint, uuid),
    may_submit(uuid, text, int, int, bigint), search_chunks(vector, text, int, int, text, int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_embedding_space(text, int, int, text, text) TO docmill_worker;
GRANT EXECUTE ON FUNCTION submit_document(uuid, text, text, bigint, bytea, smallint, text, int, int, smallint, bigint, uuid),
    may_submit(uuid, text, int, int, bigint) TO docmill_api;
GRANT EXECUTE ON FUNCTION search_chunks(vector, text, int, int, text, int, int) TO docmill_api, docmill_user;
RESET ROLE;
ALTER FUNCTION upload_pipeline.search_chunks(vector, text, int, int, text, int, int) OWNER TO docmill_search;
