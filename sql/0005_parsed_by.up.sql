-- 0005_parsed_by: which parser made a document's text, and parsing a complete document again.
--
-- A document that is parsed again keeps its visible generation until the new one is whole: its job goes back from
-- complete to uploaded under the next generation. From then on its former text is nobody's: who uploads the same is no
-- duplicate of it.

SET LOCAL ROLE docmill_owner;
SET LOCAL search_path = upload_pipeline, public;

-- The parser of the text that parsed_sha256 names, NULL before that; and, where that was a fallback, whose place it took.
ALTER TABLE documents
    ADD parsed_by text CHECK (length(parsed_by) <= 32),
    ADD parsed_instead_of text CHECK (length(parsed_instead_of) <= 32),
    ADD CONSTRAINT documents_parsed_instead_of CHECK (parsed_instead_of IS NULL OR parsed_by IS NOT NULL);
CREATE INDEX documents_fallback ON documents (user_id, created_at, document_id) WHERE parsed_instead_of IS NOT NULL;

-- As LATER_EDGES of src/core/state.h has them (a test compares the two).
INSERT INTO job_edges (from_status, to_status, actors) VALUES
    (10, 1, 8);
INSERT INTO job_paths (from_status, to_status) VALUES (10, 1);

-- The job of a complete document, whose row the caller holds, begins again, behind everything that somebody waits for.
CREATE FUNCTION begin_reparse(o upload_jobs) RETURNS void
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    v_bytes bigint;
BEGIN
    SELECT d.bytes INTO STRICT v_bytes FROM documents d WHERE d.user_id = o.user_id AND d.document_id = o.document_id;
    INSERT INTO user_lanes (user_id) VALUES (o.user_id) ON CONFLICT DO NOTHING;
    UPDATE user_lanes u SET active_seen = u.active_seen + 1 WHERE u.user_id = o.user_id;
    DELETE FROM document_contents c WHERE c.user_id = o.user_id AND c.document_id = o.document_id;
    UPDATE upload_jobs j SET status = 1, state = 1, lease = j.lease + 1, attempt = 0, crashes = 0, suspect = false,
        run_at = now(), deadline = NULL, generation = j.generation + 1, lane = 2,
        fair_key = next_fair_key(o.user_id, 2::smallint, v_bytes), updated_at = now()
    WHERE j.id = o.id;
    UPDATE upload_job_details t SET progress = NULL WHERE t.job_id = o.id;
    INSERT INTO events (job_id, document_id, user_id, correlation, lease, from_status, to_status, from_state, to_state,
                        attempt, actor, reason)
    SELECT o.id, o.document_id, o.user_id, t.correlation, o.lease + 1, o.status, 1, o.state, 1, 0, 8, 'parse_again'
    FROM upload_job_details t WHERE t.job_id = o.id;
END
$$;

-- A fill job is about one generation. When another takes its place in sight, or none, it goes in that same transaction,
-- which makes another one if a space is being filled.
CREATE FUNCTION drop_former_fills() RETURNS trigger
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
BEGIN
    WITH f AS (
        DELETE FROM upload_jobs f WHERE f.document_id = OLD.document_id AND f.user_id = OLD.user_id AND f.purpose = 2
          AND f.generation = OLD.live_generation RETURNING f.id)
    DELETE FROM upload_job_details t USING f WHERE t.job_id = f.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER documents_drop_former_fills AFTER UPDATE OF live_generation ON documents FOR EACH ROW
    WHEN (OLD.live_generation IS DISTINCT FROM NEW.live_generation AND OLD.live_generation IS NOT NULL)
    EXECUTE FUNCTION drop_former_fills();

-- Whether a user may have one more document parsed again: half of the unfinished ones that a user may have, so that
-- uploads find room.
CREATE FUNCTION reparse_room(p_user uuid, p_max_active bigint) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = upload_pipeline, pg_temp
AS $$
    SELECT count(*) < greatest(p_max_active / 2, 1) FROM upload_jobs j WHERE j.user_id = p_user AND j.state < 6
$$;

-- One document of the caller's. No row: not there. DM001: no room. DM003: it is not complete.
CREATE FUNCTION reparse_document(p_document uuid, p_max_active bigint)
    RETURNS TABLE (job_id uuid, status smallint, state smallint)
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    o upload_jobs;
BEGIN
    SELECT j.* INTO o FROM documents d JOIN upload_jobs j ON j.id = d.job_id
    WHERE d.user_id = current_user_id() AND d.document_id = p_document FOR NO KEY UPDATE OF j;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF o.status <> 10 THEN
        RAISE EXCEPTION 'document is %, only a complete one can be parsed again',
            (SELECT s.name FROM job_statuses s WHERE s.status = o.status) USING ERRCODE = 'DM003';
    END IF;
    IF NOT reparse_room(o.user_id, p_max_active) THEN
        RAISE EXCEPTION 'half of the % unfinished documents that a user may have are there already', p_max_active
            USING ERRCODE = 'DM001';
    END IF;
    PERFORM begin_reparse(o);
    RETURN QUERY SELECT j.id, j.status, j.state FROM upload_jobs j WHERE j.id = o.id;
END
$$;

-- Up to p_limit complete documents that were parsed instead of p_parser, of the caller or, for an operator, of all.
-- Returns how many, and how many there still are (users without room keep theirs for later).
CREATE FUNCTION reparse_fallbacks(p_parser text, p_all boolean, p_limit int, p_max_active bigint)
    RETURNS TABLE (begun bigint, remaining bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    v_user uuid := current_user_id();
    o upload_jobs;
BEGIN
    IF v_user IS NULL OR (p_all AND NOT current_is_operator()) THEN
        RAISE EXCEPTION 'the claims do not allow this' USING ERRCODE = 'insufficient_privilege';
    END IF;
    begun := 0;
    FOR o IN SELECT j.* FROM documents d JOIN upload_jobs j ON j.id = d.job_id
             WHERE d.parsed_instead_of = p_parser AND (p_all OR d.user_id = v_user) AND j.status = 10
               AND reparse_room(d.user_id, p_max_active)
             ORDER BY d.user_id, d.created_at, d.document_id LIMIT p_limit FOR NO KEY UPDATE OF j SKIP LOCKED LOOP
        PERFORM begin_reparse(o);
        begun := begun + 1;
    END LOOP;
    SELECT count(*) INTO remaining FROM documents d JOIN upload_jobs j ON j.id = d.job_id
    WHERE d.parsed_instead_of = p_parser AND (p_all OR d.user_id = v_user) AND j.status = 10;
    RETURN NEXT;
END
$$;

REVOKE ALL ON FUNCTION drop_former_fills(), begin_reparse(upload_jobs), reparse_room(uuid, bigint), reparse_document(uuid, bigint),
    reparse_fallbacks(text, boolean, int, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION begin_reparse(upload_jobs), reparse_room(uuid, bigint) TO docmill_api, docmill_worker;
GRANT EXECUTE ON FUNCTION reparse_document(uuid, bigint), reparse_fallbacks(text, boolean, int, bigint) TO docmill_api;
GRANT EXECUTE ON FUNCTION current_is_operator() TO docmill_worker;
RESET ROLE;
-- As workers, to whom all rows belong.
ALTER FUNCTION upload_pipeline.reparse_fallbacks(text, boolean, int, bigint) OWNER TO docmill_worker;
