-- 0010_shared_names: a service may give two submissions the same name.
--
-- One that keeps its results by the file's content answers the second submission of the same bytes with the first one's
-- job. Nothing looks for a submission by that name: a callback is known by its token, a job by its row.

SET LOCAL ROLE docmill_owner;
SET LOCAL search_path = upload_pipeline, public;

DROP INDEX parser_submissions_external;
RESET ROLE;
