-- 0011_pauses: what an operator has paused: a stage, a lane, or all work.
--
-- A row holds for every node and until it is removed. Coordinators read the rows every few seconds, and at once when
-- they are told on docmill_wake; workers do not claim what rests. See core/pause.h for the names.

SET LOCAL search_path = upload_pipeline, public;
SET LOCAL ROLE docmill_owner;

CREATE TABLE pauses (
    name  text PRIMARY KEY CHECK (name ~ '^[a-z_]{1,32}$'),
    since timestamptz NOT NULL DEFAULT now(),
    uid   bigint
);
ALTER TABLE pauses ENABLE ROW LEVEL SECURITY;
ALTER TABLE pauses FORCE ROW LEVEL SECURITY;
CREATE POLICY worker_all ON pauses TO docmill_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, DELETE ON pauses TO docmill_worker;

-- [{name, since, uid}], oldest first; for operators.
CREATE FUNCTION list_pauses() RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = upload_pipeline, pg_temp
AS $$
BEGIN
    IF NOT current_is_operator() THEN
        RAISE EXCEPTION 'the claims do not allow this' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('name', p.name, 'uid', p.uid, 'since',
                to_char(p.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) ORDER BY p.since, p.name), '[]')
            FROM pauses p);
END
$$;

-- Pauses (p_pause) or resumes p_name; resuming all ends every pause. Both may be said twice. Whether something changed.
CREATE FUNCTION set_pause(p_name text, p_pause boolean, p_uid bigint, p_node text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    v_changed boolean;
BEGIN
    IF NOT current_is_operator() THEN
        RAISE EXCEPTION 'the claims do not allow this' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF p_pause THEN
        INSERT INTO pauses (name, uid) VALUES (p_name, p_uid) ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM pauses p WHERE p.name = p_name OR p_name = 'all';
    END IF;
    v_changed := FOUND;
    INSERT INTO audit_log (node, uid, verb, arguments, result)
    VALUES (p_node, p_uid, CASE WHEN p_pause THEN 'pause' ELSE 'resume' END, jsonb_build_object('what', p_name),
            CASE WHEN v_changed THEN 'done' ELSE 'nothing to do' END);
    IF v_changed THEN
        PERFORM pg_notify('docmill_wake', 'pauses');
    END IF;
    RETURN v_changed;
END
$$;
REVOKE ALL ON FUNCTION list_pauses(), set_pause(text, boolean, bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION list_pauses(), set_pause(text, boolean, bigint, text) TO docmill_api;
RESET ROLE;
ALTER FUNCTION upload_pipeline.list_pauses() OWNER TO docmill_worker;
ALTER FUNCTION upload_pipeline.set_pause(text, boolean, bigint, text) OWNER TO docmill_worker;
