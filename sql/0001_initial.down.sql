-- 0001_initial, undone: everything in the schema goes, the schema and the roles stay (other databases use the roles).
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT c.relname, c.relkind FROM pg_class c
             WHERE c.relnamespace = 'upload_pipeline'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
               AND c.relname <> 'schema_migrations' AND NOT c.relispartition
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('i', 'a')
                               AND d.classid = 'pg_class'::regclass AND c.relkind = 'S')
             ORDER BY c.relkind = 'v' DESC
    LOOP
        EXECUTE format('DROP %s IF EXISTS upload_pipeline.%I CASCADE',
                       CASE r.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, r.relname);
    END LOOP;
    FOR r IN SELECT p.oid::regprocedure AS signature FROM pg_proc p
             WHERE p.pronamespace = 'upload_pipeline'::regnamespace
    LOOP
        EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', r.signature);
    END LOOP;
END
$$;
