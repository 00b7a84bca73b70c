-- 0008_spaces_report, undone.
SET LOCAL search_path = upload_pipeline, public;
SET LOCAL row_security = on; -- the functions below are looked through when they are made

CREATE OR REPLACE FUNCTION spaces_report()
    RETURNS TABLE (collection text, space smallint, model text, version int, dimension int, state text, documents bigint,
                   covered bigint, failed bigint, reason text, since timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = upload_pipeline, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF NOT current_is_operator() THEN
        RAISE EXCEPTION 'the claims do not allow this' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY
        WITH n AS (SELECT d.collection, count(*) AS n FROM documents d WHERE d.live_generation IS NOT NULL GROUP BY 1),
        f AS (SELECT j.space, count(*) FILTER (WHERE j.state = 6) AS done, count(*) FILTER (WHERE j.state > 6) AS dead
              FROM upload_jobs j WHERE j.purpose = 2 GROUP BY 1)
        SELECT c.name, s.space, s.model, s.version, s.dimension, s.state, coalesce(n.n, 0),
               CASE s.state WHEN 'live' THEN coalesce(n.n, 0) - coalesce(f.dead, 0)
                            WHEN 'building' THEN coalesce(f.done, 0) ELSE 0 END,
               coalesce(f.dead, 0),
               (SELECT t.error_reason FROM upload_jobs j JOIN upload_job_details t ON t.job_id = j.id
                WHERE j.purpose = 2 AND j.space = s.space AND j.state > 6
                GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1),
               CASE s.state WHEN 'building' THEN c.next_at WHEN 'retired' THEN s.retired_at ELSE s.made_at END
        FROM collections c JOIN embedding_spaces s ON s.collection = c.id
        LEFT JOIN n ON n.collection = c.id LEFT JOIN f ON f.space = s.space
        WHERE NOT s.emptied ORDER BY c.name, s.space;
END
$$;

SET LOCAL ROLE docmill_owner;
CREATE OR REPLACE FUNCTION reparse_room(p_user uuid, p_max_active bigint) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = upload_pipeline, pg_temp
AS $$
    SELECT count(*) < greatest(p_max_active / 2, 1) FROM upload_jobs j WHERE j.user_id = p_user AND j.state < 6
$$;
RESET ROLE;
