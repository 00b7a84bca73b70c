-- 0007_fill_generations, undone.
SET LOCAL ROLE docmill_owner;
SET LOCAL search_path = upload_pipeline, public;
SET LOCAL row_security = on; -- the function below is looked through when it is made
CREATE OR REPLACE FUNCTION make_fills(p_collection smallint, p_space smallint, p_users uuid[], p_documents uuid[]) RETURNS bigint
    LANGUAGE sql SET search_path = upload_pipeline, pg_temp
AS $$
    WITH f AS (
        INSERT INTO upload_jobs (id, document_id, user_id, collection, purpose, lane, fair_key, generation, status, state,
                                 chunker, space)
        SELECT gen_random_uuid(), d.document_id, d.user_id, p_collection, 2, 3,
               (extract(epoch FROM now()) * 1000)::bigint, d.live_generation, 6, 1, 0, p_space
        FROM unnest(p_users, p_documents) AS t(user_id, document_id)
        JOIN documents d ON d.user_id = t.user_id AND d.document_id = t.document_id
        WHERE d.live_generation IS NOT NULL AND d.collection = p_collection
        ON CONFLICT DO NOTHING RETURNING id, user_id),
    i AS (
        INSERT INTO upload_job_details (job_id, user_id, correlation)
        SELECT id, user_id, gen_random_uuid() FROM f)
    SELECT count(*) FROM f
$$;
RESET ROLE;
