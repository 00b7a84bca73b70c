-- 0005_parsed_by, undone. Documents that are being parsed again go on to their end.
SET LOCAL search_path = upload_pipeline, public;
DROP TRIGGER documents_drop_former_fills ON documents;
DROP FUNCTION drop_former_fills();
DROP FUNCTION reparse_fallbacks(text, boolean, int, bigint);
DROP FUNCTION reparse_document(uuid, bigint);
DROP FUNCTION reparse_room(uuid, bigint);
DROP FUNCTION begin_reparse(upload_jobs);
DELETE FROM job_paths WHERE from_status = 10 AND to_status = 1;
DELETE FROM job_edges WHERE from_status = 10 AND to_status = 1;
DROP INDEX documents_fallback;
ALTER TABLE documents DROP parsed_instead_of, DROP parsed_by;
