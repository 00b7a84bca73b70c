-- 0002_services, undone.
SET LOCAL search_path = upload_pipeline, public;
DROP FUNCTION tidy_submissions(interval);
DROP FUNCTION hear_webhook(text, bytea, text, text, boolean, jsonb);
DROP FUNCTION open_parser_gate(text, int, int);
DROP FUNCTION open_gate(smallint, int);
DROP FUNCTION note_failed_pages(uuid, bigint, jsonb);
DROP FUNCTION end_submission(bigint, text, int);
DROP FUNCTION wait_submission(bigint, uuid, bigint, bigint);
DROP FUNCTION answer_submission(bigint, text, uuid, bigint, bigint, bigint);
DROP FUNCTION begin_submission(uuid, bigint, smallint, text, bytea, int);
DROP FUNCTION wait_job(uuid, bigint, smallint, smallint, timestamptz, timestamptz, text, boolean);
DROP INDEX upload_jobs_gate;
DROP INDEX upload_jobs_wait;
DROP INDEX webhook_log_age;
DROP TABLE parser_submissions;
DROP TABLE services;
