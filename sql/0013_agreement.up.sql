-- 0013_agreement: what all nodes must agree on, what each needs of the server, and a row to write to see that one can.
--
-- `agreed` holds a digest of each key that must be the same on all nodes, `fingerprint` one of them all. The reference is
-- what most living nodes have, of equally many what one of them has had for longest; who differs from it claims nothing.

SET LOCAL search_path = upload_pipeline, public;
SET LOCAL ROLE docmill_owner;

ALTER TABLE nodes
    ADD COLUMN agreed jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN agreed_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN connections int NOT NULL DEFAULT 0;

-- p_grace in ms. One row: does p_name have the reference; if not, the keys in which it differs and who has the reference;
-- if so, the nodes that differ and in what. How many nodes neither live nor are known to be dead.
CREATE FUNCTION node_agreement(p_name text, p_grace bigint, OUT agrees boolean, OUT keys text, OUT others text,
                               OUT missing bigint)
    LANGUAGE sql STABLE SET search_path = upload_pipeline, pg_temp
AS $$
    WITH living AS MATERIALIZED (
        SELECT n.name, n.fingerprint, n.agreed, n.agreed_at FROM nodes n
        WHERE n.name = p_name OR (NOT n.said_goodbye AND n.fingerprint <> ''
                                  AND n.heartbeat_at > now() - p_grace * interval '1 millisecond')),
    reference AS MATERIALIZED (
        SELECT l.fingerprint, min(l.agreed::text)::jsonb AS agreed FROM living l
        GROUP BY l.fingerprint ORDER BY count(*) DESC, min(l.agreed_at), l.fingerprint LIMIT 1),
    me AS (SELECT l.* FROM living l WHERE l.name = p_name),
    strays AS (
        SELECT l.name, (SELECT string_agg(key, ', ' ORDER BY key)
                        FROM jsonb_each_text(l.agreed) a FULL JOIN jsonb_each_text(r.agreed) b USING (key)
                        WHERE a.value IS DISTINCT FROM b.value) AS keys
        FROM living l, reference r WHERE l.fingerprint <> r.fingerprint)
    SELECT me.fingerprint = r.fingerprint, (SELECT s.keys FROM strays s WHERE s.name = p_name),
        CASE WHEN me.fingerprint = r.fingerprint
            THEN (SELECT string_agg(s.name || ' (' || s.keys || ')', '; ' ORDER BY s.name)
                  FROM (SELECT * FROM strays ORDER BY name LIMIT 4) s)
            ELSE (SELECT string_agg(o.name, ', ' ORDER BY o.name)
                  FROM (SELECT l.name FROM living l WHERE l.fingerprint = r.fingerprint ORDER BY l.name LIMIT 4) o) END,
        (SELECT count(*) FROM nodes n WHERE n.name <> p_name AND NOT n.said_goodbye
            AND n.heartbeat_at <= now() - p_grace * interval '1 millisecond')
    FROM me, reference r
$$;
REVOKE ALL ON FUNCTION node_agreement(text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION node_agreement(text, bigint) TO docmill_worker;

-- One row an API child that was ever asked whether it is ready.
CREATE TABLE probes (
    node text NOT NULL,
    slot int NOT NULL,
    n    bigint NOT NULL DEFAULT 1,
    at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node, slot)
) WITH (fillfactor = 50);
ALTER TABLE probes ENABLE ROW LEVEL SECURITY;
ALTER TABLE probes FORCE ROW LEVEL SECURITY;
CREATE POLICY worker_all ON probes TO docmill_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON probes TO docmill_worker;
CREATE FUNCTION probe_write(p_node text, p_slot int) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = upload_pipeline, pg_temp
AS $$
    INSERT INTO probes AS p (node, slot) VALUES (p_node, p_slot)
    ON CONFLICT (node, slot) DO UPDATE SET n = p.n + 1, at = now()
$$;
REVOKE ALL ON FUNCTION probe_write(text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION probe_write(text, int) TO docmill_api;
RESET ROLE;
ALTER FUNCTION upload_pipeline.probe_write(text, int) OWNER TO docmill_worker;
