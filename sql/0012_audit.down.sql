-- 0012_audit: the table as it was in 0001. Records stay.

SET LOCAL search_path = upload_pipeline, public;

DROP FUNCTION forget_audit(bigint, int);
DROP FUNCTION audit_report(bigint, int);
DROP FUNCTION note_audit(text, bigint, text, jsonb, text);
SET LOCAL ROLE docmill_owner;
REVOKE SELECT ON audit_log FROM docmill_search;
DROP POLICY owner_forgets ON audit_log;
DROP POLICY owner_reads ON audit_log;
GRANT UPDATE, DELETE ON audit_log TO docmill_worker;
DROP INDEX audit_log_at;
DROP INDEX audit_log_once;
ALTER TABLE audit_log DROP COLUMN seq, DROP COLUMN incarnation;
RESET ROLE;
