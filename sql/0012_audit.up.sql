-- 0012_audit: who told the daemon to do what.
--
-- A record comes once, though its node may send it twice: a node numbers its records, (incarnation, seq). What is
-- written stays as it is: the worker's role adds and reads, and only forget_audit() removes, what is old.

SET LOCAL ROLE docmill_owner;
SET LOCAL search_path = upload_pipeline, public;

ALTER TABLE audit_log ADD COLUMN incarnation bigint, ADD COLUMN seq bigint;
CREATE UNIQUE INDEX audit_log_once ON audit_log (incarnation, seq);
CREATE INDEX audit_log_at ON audit_log (at);
REVOKE UPDATE, DELETE ON audit_log FROM docmill_worker;
CREATE POLICY owner_reads ON audit_log FOR SELECT TO docmill_owner USING (true);
CREATE POLICY owner_forgets ON audit_log FOR DELETE TO docmill_owner USING (true);
GRANT SELECT ON audit_log TO docmill_search;

-- What an operator did over the HTTP interface, in the transaction that did it.
CREATE FUNCTION note_audit(p_node text, p_uid bigint, p_verb text, p_arguments jsonb, p_result text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = upload_pipeline, pg_temp
AS $$
BEGIN
    IF NOT current_is_operator() THEN
        RAISE EXCEPTION 'the claims do not allow this' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO audit_log (node, uid, verb, arguments, result) VALUES (p_node, p_uid, p_verb, p_arguments, p_result);
END
$$;

-- The newest records, of the last p_within_ms milliseconds unless that is null.
CREATE FUNCTION audit_report(p_within_ms bigint, p_limit int)
    RETURNS TABLE (id bigint, at timestamptz, node text, uid bigint, verb text, arguments jsonb, result text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = upload_pipeline, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF NOT current_is_operator() THEN
        RAISE EXCEPTION 'the claims do not allow this' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY
        SELECT a.id, a.at, a.node, a.uid, a.verb, a.arguments, a.result FROM audit_log a
        WHERE a.at > coalesce(now() - p_within_ms * interval '1 millisecond', '-infinity')
        ORDER BY a.at DESC, a.id DESC LIMIT p_limit;
END
$$;

-- Removes up to p_limit records that are older than p_keep_ms milliseconds, and a day at least. Returns how many.
CREATE FUNCTION forget_audit(p_keep_ms bigint, p_limit int) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = upload_pipeline, pg_temp
AS $$
    WITH gone AS (
        DELETE FROM audit_log WHERE id IN (
            SELECT id FROM audit_log
            WHERE at < now() - greatest(p_keep_ms, 86400000) * interval '1 millisecond' ORDER BY at LIMIT p_limit)
        RETURNING 1)
    SELECT count(*) FROM gone
$$;

REVOKE ALL ON FUNCTION note_audit(text, bigint, text, jsonb, text), audit_report(bigint, int), forget_audit(bigint, int)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION note_audit(text, bigint, text, jsonb, text), audit_report(bigint, int) TO docmill_api;
GRANT EXECUTE ON FUNCTION forget_audit(bigint, int) TO docmill_worker;
RESET ROLE;
ALTER FUNCTION upload_pipeline.note_audit(text, bigint, text, jsonb, text) OWNER TO docmill_worker;
ALTER FUNCTION upload_pipeline.audit_report(bigint, int) OWNER TO docmill_search;
