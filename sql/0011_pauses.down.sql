-- 0011_pauses: nothing can be paused.

SET LOCAL search_path = upload_pipeline, public;

DROP FUNCTION set_pause(text, boolean, bigint, text);
DROP FUNCTION list_pauses();
DROP TABLE pauses;
