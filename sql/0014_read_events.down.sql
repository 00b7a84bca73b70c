-- 0014_read_events: events are read by job only.

SET LOCAL search_path = upload_pipeline, public;

DROP FUNCTION read_events(boolean, bigint, bigint, int, boolean);
REVOKE SELECT ON SEQUENCE events_id_seq FROM docmill_worker;
DROP INDEX events_user;
