-- 0014_read_events: events, one's own or everybody's, in pages by id and followed.

SET LOCAL search_path = upload_pipeline, public;
SET LOCAL ROLE docmill_owner;

CREATE INDEX events_user ON events (user_id, id);

-- Of the caller, or of all users if an operator asks: up to p_limit events after p_after, oldest first; without it the
-- newest (before p_before), newest first. One row at least: without an event its columns are null.
--
-- Ids come from a sequence, and transactions commit in another order, so an event may appear below one that was read.
-- For who follows, last is the highest id given out, and writers are the transactions that could then have had one that
-- is not to be seen yet: each holds a lock on the table before it is given an id, and until it has ended. So the order of
-- the three statements matters: last, then writers, then (each statement sees anew) the events. When none of these
-- writers is among those of a later call, that call has seen every event up to this last that there will ever be.
CREATE FUNCTION read_events(p_all boolean, p_after bigint, p_before bigint, p_limit int, p_follow boolean)
    RETURNS TABLE (last bigint, writers text, id bigint, at timestamptz, document_id uuid, job_id uuid, user_id uuid,
                   from_status smallint, to_status smallint, from_state smallint, to_state smallint, lease bigint,
                   attempt smallint, actor smallint, reason text, hops jsonb)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = upload_pipeline, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_user    uuid := current_user_id();
    v_last    bigint;
    v_writers text;
BEGIN
    IF v_user IS NULL OR (p_all AND NOT current_is_operator()) THEN
        RAISE EXCEPTION 'the claims do not allow this' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF p_follow THEN
        SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END INTO v_last FROM events_id_seq s;
        SELECT coalesce(string_agg(DISTINCT l.virtualtransaction, ' '), '') INTO v_writers FROM pg_locks l
        WHERE l.locktype = 'relation' AND l.relation = 'upload_pipeline.events'::regclass AND l.granted
          AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
          AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock');
    END IF;
    RETURN QUERY EXECUTE format('
        SELECT $5, $6, e.id, e.at, e.document_id, e.job_id, e.user_id, e.from_status, e.to_status, e.from_state,
               e.to_state, e.lease, e.attempt, e.actor, e.reason, e.hops
        FROM (SELECT) one LEFT JOIN LATERAL (
            SELECT * FROM events v WHERE %s %s ORDER BY v.id %s LIMIT $4) e ON true ORDER BY e.id %3$s',
        CASE WHEN p_all THEN '$1 IS NOT NULL' ELSE 'v.user_id = $1' END,
        CASE WHEN p_after IS NOT NULL THEN 'AND v.id > $2' WHEN p_before IS NOT NULL THEN 'AND v.id < $3' ELSE '' END,
        CASE WHEN p_after IS NOT NULL THEN 'ASC' ELSE 'DESC' END)
    USING v_user, p_after, p_before, p_limit, v_last, v_writers;
END
$$;
REVOKE ALL ON FUNCTION read_events(boolean, bigint, bigint, int, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_events(boolean, bigint, bigint, int, boolean) TO docmill_api;
GRANT SELECT ON SEQUENCE events_id_seq TO docmill_worker;
RESET ROLE;
ALTER FUNCTION upload_pipeline.read_events(boolean, bigint, bigint, int, boolean) OWNER TO docmill_worker;
