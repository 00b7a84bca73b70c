-- 0006_answered_name, undone.
SET LOCAL ROLE docmill_owner;
SET LOCAL search_path = upload_pipeline, public;

CREATE OR REPLACE FUNCTION answer_submission(p_submission bigint, p_external text, p_job uuid, p_lease bigint,
                                             p_poll_ms bigint, p_deadline_ms bigint)
    RETURNS text
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    s parser_submissions;
BEGIN
    PERFORM FROM upload_jobs j WHERE j.id = p_job FOR NO KEY UPDATE;
    UPDATE parser_submissions p SET external_id = coalesce(p.external_id, p_external),
        deadline = now() + p_deadline_ms * interval '1 millisecond'
    WHERE p.id = p_submission RETURNING * INTO s;
    IF s.heard_at IS NOT NULL AND EXISTS (SELECT FROM upload_jobs j WHERE j.id = p_job AND j.lease = p_lease
                                          AND j.state = 2) THEN
        UPDATE parser_submissions p SET heard_at = NULL WHERE p.id = p_submission;
        RETURN 'heard';
    END IF;
    IF wait_job(p_job, p_lease, 2::smallint, 2::smallint,
                least(now() + p_poll_ms * interval '1 millisecond', s.deadline), s.deadline + interval '1 hour',
                'submitted', true) THEN
        RETURN 'waiting';
    END IF;
    RETURN 'lost';
END
$$;
RESET ROLE;
