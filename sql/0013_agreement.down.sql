-- 0013_agreement: nodes say nothing of their configuration; nothing is written to see that one can.

SET LOCAL search_path = upload_pipeline, public;

DROP FUNCTION probe_write(text, int);
DROP TABLE probes;
DROP FUNCTION node_agreement(text, bigint);
ALTER TABLE nodes DROP COLUMN agreed, DROP COLUMN agreed_at, DROP COLUMN connections;
UPDATE nodes SET fingerprint = '';
