-- 0009_reparse_room: as it was in 0005.

SET LOCAL search_path = upload_pipeline, public;

-- Up to p_limit complete documents that were parsed instead of p_parser, of the caller or, for an operator, of all.
-- Returns how many, and how many there still are (users without room keep theirs for later).
CREATE OR REPLACE FUNCTION reparse_fallbacks(p_parser text, p_all boolean, p_limit int, p_max_active bigint)
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
