-- 0010_shared_names: as it was in 0002. Of submissions that share a name only the last keeps it.

SET LOCAL search_path = upload_pipeline, public;

SET LOCAL row_security = on; -- migrations have it off, and the rows belong to the workers
SET LOCAL ROLE docmill_worker;
UPDATE parser_submissions p SET external_id = NULL
WHERE EXISTS (SELECT FROM parser_submissions o
              WHERE o.provider = p.provider AND o.external_id = p.external_id AND o.id > p.id);
SET LOCAL row_security = off;
SET LOCAL ROLE docmill_owner;
CREATE UNIQUE INDEX parser_submissions_external ON parser_submissions (provider, external_id)
    WHERE external_id IS NOT NULL;
RESET ROLE;
