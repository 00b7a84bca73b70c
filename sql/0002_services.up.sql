-- 0002_services: documents that wait for an outside service.
--
-- A job in state `waiting` has a run_at: when it is looked at again. 'infinity' means behind a gate, which is opened
-- when the service can take more (a free place, a closed circuit breaker). A submission is what was asked of an outside
-- parser; it is written before the request is sent, so that a killed worker's request is known, and the service's own
-- name for it is kept whoever brings it first, the answer or the callback.

-- lookup: services

SET LOCAL ROLE docmill_owner;
SET LOCAL search_path = upload_pipeline, public;

-- One row a parser; its lock makes counting and taking a place one step.
CREATE TABLE services (
    name text PRIMARY KEY
);
INSERT INTO services VALUES ('llamaparse');

CREATE TABLE parser_submissions (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    begun_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    heard_at    timestamptz, -- a callback came that nobody has looked at yet
    ended_at    timestamptz,
    deadline    timestamptz NOT NULL DEFAULT 'infinity',
    job_id      uuid NOT NULL,
    user_id     uuid NOT NULL,
    generation  int NOT NULL,
    pages       int,
    serial      smallint NOT NULL,
    polls       smallint NOT NULL DEFAULT 0,
    provider    text NOT NULL REFERENCES services,
    external_id text,
    outcome     text,
    token_hash  bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    UNIQUE (job_id, generation, serial)
);
CREATE INDEX parser_submissions_open ON parser_submissions (provider) WHERE ended_at IS NULL;
CREATE INDEX parser_submissions_ended ON parser_submissions (ended_at) WHERE ended_at IS NOT NULL;
CREATE UNIQUE INDEX parser_submissions_external ON parser_submissions (provider, external_id)
    WHERE external_id IS NOT NULL;
CREATE INDEX webhook_log_age ON webhook_log (received_at);
CREATE INDEX upload_jobs_wait ON upload_jobs (run_at) WHERE state = 3;
CREATE INDEX upload_jobs_gate ON upload_jobs (status, lane, fair_key) WHERE state = 3 AND run_at = 'infinity';

ALTER TABLE services ENABLE ROW LEVEL SECURITY;
ALTER TABLE services FORCE ROW LEVEL SECURITY;
ALTER TABLE parser_submissions ENABLE ROW LEVEL SECURITY;
ALTER TABLE parser_submissions FORCE ROW LEVEL SECURITY;
CREATE POLICY worker_all ON services TO docmill_worker USING (true) WITH CHECK (true);
CREATE POLICY worker_all ON parser_submissions TO docmill_worker USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON services TO docmill_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON parser_submissions TO docmill_worker;

-- From working under a lease to waiting; the attempt is given back, since waiting is not the document's fault. An event
-- only where something changed. False: another owner has the job.
CREATE FUNCTION wait_job(p_job uuid, p_lease bigint, p_from smallint, p_to smallint, p_run_at timestamptz,
                         p_deadline timestamptz, p_reason text, p_event boolean)
    RETURNS boolean
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    o upload_jobs;
BEGIN
    UPDATE upload_jobs SET status = p_to, state = 3, run_at = p_run_at, deadline = p_deadline, owner_node = NULL,
        owner_child = NULL, attempt = greatest(attempt - 1, 0), updated_at = now()
    WHERE id = p_job AND lease = p_lease AND status = p_from AND state = 2
    RETURNING * INTO o;
    IF NOT FOUND THEN -- or done already, and the answer was lost
        RETURN EXISTS (SELECT FROM upload_jobs WHERE id = p_job AND lease = p_lease AND status = p_to AND state = 3);
    END IF;
    IF p_event THEN
        INSERT INTO events (job_id, document_id, user_id, correlation, lease, from_status, to_status, from_state, to_state,
                            attempt, actor, reason)
        SELECT o.id, o.document_id, o.user_id, d.correlation, o.lease, p_from, p_to, 2, 3, o.attempt, 1, p_reason
        FROM upload_job_details d WHERE d.job_id = o.id;
    END IF;
    RETURN true;
END
$$;

-- Before a request is sent. verdict: lost; known (it was submitted already: external_id); busy (no place is free: the
-- job waits behind the gate); begun (serial above 1: an earlier request ended as `former` says; `unanswered`: it may have
-- been sent all the same).
CREATE FUNCTION begin_submission(p_job uuid, p_lease bigint, p_status smallint, p_provider text, p_token_hash bytea,
                                 p_max int)
    RETURNS TABLE (verdict text, submission bigint, serial smallint, external_id text, deadline_ms bigint, polls smallint,
                   former text)
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    o upload_jobs;
    s parser_submissions;
    v_serial smallint := 1;
    v_former text;
BEGIN
    SELECT * INTO o FROM upload_jobs j
    WHERE j.id = p_job AND j.lease = p_lease AND j.status IN (p_status, 2) AND j.state = 2 FOR NO KEY UPDATE;
    IF NOT FOUND THEN -- (2: this very call was committed and its answer was lost)
        RETURN QUERY SELECT 'lost', NULL::bigint, NULL::smallint, NULL::text, NULL::bigint, NULL::smallint, NULL::text;
        RETURN;
    END IF;
    PERFORM FROM services v WHERE v.name = p_provider FOR NO KEY UPDATE;
    SELECT * INTO s FROM parser_submissions p WHERE p.job_id = p_job AND p.generation = o.generation
    ORDER BY p.serial DESC LIMIT 1;
    IF FOUND THEN
        IF s.ended_at IS NULL AND s.external_id IS NOT NULL THEN
            UPDATE parser_submissions p SET heard_at = NULL WHERE p.id = s.id;
            RETURN QUERY SELECT 'known', s.id, s.serial, s.external_id,
                CASE WHEN s.deadline = 'infinity' THEN NULL
                     ELSE (extract(epoch FROM s.deadline - clock_timestamp()) * 1000)::bigint END, s.polls, NULL::text;
            RETURN;
        END IF;
        IF s.ended_at IS NULL AND s.token_hash = p_token_hash THEN -- begun by this very call, whose answer was lost
            RETURN QUERY SELECT 'begun', s.id, s.serial, NULL::text, NULL::bigint, 0::smallint,
                (SELECT f.outcome FROM parser_submissions f WHERE f.job_id = p_job AND f.generation = o.generation
                 AND f.serial = s.serial - 1);
            RETURN;
        END IF;
        UPDATE parser_submissions p SET ended_at = now(), outcome = 'unanswered' WHERE p.id = s.id AND p.ended_at IS NULL;
        v_serial := s.serial + 1;
        v_former := coalesce(s.outcome, 'unanswered');
    END IF;
    IF (SELECT count(*) FROM parser_submissions p WHERE p.provider = p_provider AND p.ended_at IS NULL) >= p_max THEN
        PERFORM wait_job(p_job, p_lease, p_status, 2::smallint, 'infinity', 'infinity', 'parser_busy', p_status <> 2);
        RETURN QUERY SELECT 'busy', NULL::bigint, NULL::smallint, NULL::text, NULL::bigint, NULL::smallint, NULL::text;
        RETURN;
    END IF;
    INSERT INTO parser_submissions (job_id, user_id, generation, serial, provider, token_hash)
    VALUES (p_job, o.user_id, o.generation, v_serial, p_provider, p_token_hash)
    RETURNING * INTO s;
    IF p_status <> 2 THEN
        UPDATE upload_jobs j SET status = 2, updated_at = now() WHERE j.id = p_job;
        INSERT INTO events (job_id, document_id, user_id, correlation, lease, from_status, to_status, from_state, to_state,
                            attempt, actor, reason)
        SELECT o.id, o.document_id, o.user_id, d.correlation, o.lease, o.status, 2, 2, 2, o.attempt, 1, 'submitting'
        FROM upload_job_details d WHERE d.job_id = o.id;
    END IF;
    RETURN QUERY SELECT 'begun', s.id, v_serial, NULL::text, NULL::bigint, 0::smallint, v_former;
END
$$;

-- The service's answer to the request. The name is kept even if the job is another's by now, whose owner finds it.
-- verdict: lost; heard (a callback was faster: go on with it now); waiting.
CREATE FUNCTION answer_submission(p_submission bigint, p_external text, p_job uuid, p_lease bigint, p_poll_ms bigint,
                                  p_deadline_ms bigint)
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

-- The service was asked and is not done. verdict as above.
CREATE FUNCTION wait_submission(p_submission bigint, p_job uuid, p_lease bigint, p_poll_ms bigint)
    RETURNS text
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    s parser_submissions;
BEGIN
    PERFORM FROM upload_jobs j WHERE j.id = p_job FOR NO KEY UPDATE;
    UPDATE parser_submissions p SET polls = least(p.polls + 1, 30000) WHERE p.id = p_submission RETURNING * INTO s;
    IF s.heard_at IS NOT NULL AND EXISTS (SELECT FROM upload_jobs j WHERE j.id = p_job AND j.lease = p_lease
                                          AND j.state = 2) THEN
        UPDATE parser_submissions p SET heard_at = NULL WHERE p.id = p_submission;
        RETURN 'heard';
    END IF;
    IF wait_job(p_job, p_lease, 2::smallint, 2::smallint,
                least(now() + p_poll_ms * interval '1 millisecond', s.deadline), s.deadline + interval '1 hour', NULL,
                false) THEN
        RETURN 'waiting';
    END IF;
    RETURN 'lost';
END
$$;

-- Its result is durable, or it failed: the place is free. What was certainly never sent leaves no trace.
CREATE FUNCTION end_submission(p_submission bigint, p_outcome text, p_pages int) RETURNS void
    LANGUAGE sql SET search_path = upload_pipeline, pg_temp
AS $$
    DELETE FROM parser_submissions WHERE id = p_submission AND p_outcome = 'not_sent';
    UPDATE parser_submissions SET ended_at = now(), outcome = p_outcome, pages = p_pages
    WHERE id = p_submission AND ended_at IS NULL
$$;

-- Pages that a parser could not read, of a document that has text all the same.
CREATE FUNCTION note_failed_pages(p_job uuid, p_lease bigint, p_pages jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    o upload_jobs;
BEGIN
    SELECT * INTO o FROM upload_jobs j WHERE j.id = p_job AND j.lease = p_lease AND j.state = 2 FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE upload_job_details d SET progress = coalesce(d.progress, '{}') || jsonb_build_object('failed_pages', p_pages)
    WHERE d.job_id = p_job;
    INSERT INTO events (job_id, document_id, user_id, correlation, lease, from_status, to_status, from_state, to_state,
                        attempt, actor, reason)
    SELECT o.id, o.document_id, o.user_id, d.correlation, o.lease, o.status, o.status, 2, 2, o.attempt, 1, 'pages_failed'
    FROM upload_job_details d WHERE d.job_id = o.id;
END
$$;

-- Lets up to p_limit jobs of a status out from behind the gate, in the order of the queue.
CREATE FUNCTION open_gate(p_status smallint, p_limit int) RETURNS bigint
    LANGUAGE sql SET search_path = upload_pipeline, pg_temp
AS $$
    WITH o AS MATERIALIZED (
        SELECT id FROM upload_jobs WHERE state = 3 AND run_at = 'infinity' AND status = p_status
        ORDER BY lane, fair_key LIMIT greatest(p_limit, 0) FOR NO KEY UPDATE SKIP LOCKED),
    u AS (
        UPDATE upload_jobs j SET state = 1, lease = j.lease + 1, run_at = now(), deadline = NULL, updated_at = now()
        FROM o WHERE j.id = o.id RETURNING j.id)
    SELECT count(*) FROM u
$$;

-- The gate of a parser, p_most at once: those whose document is at the service already and has its place there, then as
-- many as there are places.
CREATE FUNCTION open_parser_gate(p_provider text, p_max int, p_most int) RETURNS bigint
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    v_known bigint;
BEGIN
    WITH o AS MATERIALIZED (
        SELECT j.id FROM upload_jobs j WHERE j.state = 3 AND j.run_at = 'infinity' AND j.status = 2 AND EXISTS (
            SELECT FROM parser_submissions p WHERE p.job_id = j.id AND p.generation = j.generation
            AND p.provider = p_provider AND p.ended_at IS NULL)
        ORDER BY j.lane, j.fair_key LIMIT greatest(p_most, 0) FOR NO KEY UPDATE OF j SKIP LOCKED),
    u AS (
        UPDATE upload_jobs j SET state = 1, lease = j.lease + 1, run_at = now(), deadline = NULL, updated_at = now()
        FROM o WHERE j.id = o.id RETURNING j.id)
    SELECT count(*) INTO v_known FROM u;
    RETURN v_known + open_gate(2::smallint, least(p_most - v_known,
        p_max - (SELECT count(*) FROM parser_submissions p WHERE p.provider = p_provider AND p.ended_at IS NULL))::int);
END
$$;

-- A callback, verified by whoever calls this. p_hint: the event says that there is something to fetch. verdict: unknown
-- (no such token), duplicate (this event was taken before), foreign (the event names another submission), noted (nothing
-- to do about it), late (the job has gone on without it), early (the job is in a worker's hands, which will see it),
-- taken (the job is queued now).
CREATE FUNCTION hear_webhook(p_provider text, p_token_hash bytea, p_nonce text, p_external text, p_hint boolean,
                             p_detail jsonb)
    RETURNS TABLE (verdict text, job_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = upload_pipeline, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    s parser_submissions;
    o upload_jobs;
    v_log bigint;
    v_verdict text;
BEGIN
    SELECT * INTO s FROM parser_submissions p WHERE p.token_hash = p_token_hash AND p.provider = p_provider;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'unknown', NULL::uuid;
        RETURN;
    END IF;
    INSERT INTO webhook_log (provider, nonce, job_id, verdict, detail)
    VALUES (p_provider, s.id || ':' || p_nonce, s.job_id, 'arrived', p_detail)
    ON CONFLICT (provider, nonce) DO NOTHING RETURNING id INTO v_log;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'duplicate', s.job_id;
        RETURN;
    END IF;
    SELECT * INTO o FROM upload_jobs j WHERE j.id = s.job_id FOR NO KEY UPDATE;
    SELECT * INTO s FROM parser_submissions p WHERE p.id = s.id FOR NO KEY UPDATE;
    IF s.external_id <> p_external THEN
        v_verdict := 'foreign';
    ELSIF s.ended_at IS NOT NULL OR o.id IS NULL OR o.generation <> s.generation OR o.status <> 2 THEN
        v_verdict := 'late';
    ELSIF NOT p_hint THEN
        v_verdict := 'noted';
    ELSE
        UPDATE parser_submissions p SET heard_at = now(), external_id = coalesce(p.external_id, p_external)
        WHERE p.id = s.id;
        v_verdict := 'early';
        IF o.state IN (3, 5) THEN
            UPDATE upload_jobs j SET state = 1, lease = j.lease + 1, run_at = now(), deadline = NULL, updated_at = now()
            WHERE j.id = o.id;
            INSERT INTO events (job_id, document_id, user_id, correlation, lease, from_status, to_status, from_state,
                                to_state, attempt, actor, reason)
            SELECT o.id, o.document_id, o.user_id, d.correlation, o.lease + 1, 2, 2, o.state, 1, o.attempt, 2, 'called_back'
            FROM upload_job_details d WHERE d.job_id = o.id;
            v_verdict := 'taken';
        ELSIF o.state = 1 THEN
            v_verdict := 'taken';
        END IF;
    END IF;
    UPDATE webhook_log l SET verdict = v_verdict WHERE l.id = v_log;
    RETURN QUERY SELECT v_verdict, s.job_id;
END
$$;

-- Upkeep: submissions whose job has gone another way give their place back; old rows go.
CREATE FUNCTION tidy_submissions(p_keep interval) RETURNS bigint
    LANGUAGE sql SET search_path = upload_pipeline, pg_temp
AS $$
    WITH orphans AS (
        UPDATE parser_submissions p SET ended_at = now(), outcome = coalesce(p.outcome, 'abandoned')
        WHERE p.ended_at IS NULL
          AND NOT EXISTS (SELECT FROM upload_jobs j WHERE j.id = p.job_id AND j.generation = p.generation
                          AND j.status = 2 AND j.state < 6) RETURNING 1),
    old AS (DELETE FROM parser_submissions p WHERE p.ended_at < now() - p_keep RETURNING 1),
    logs AS (DELETE FROM webhook_log l WHERE l.received_at < now() - p_keep RETURNING 1)
    SELECT (SELECT count(*) FROM orphans) + (SELECT count(*) FROM old) + (SELECT count(*) FROM logs)
$$;

REVOKE ALL ON FUNCTION wait_job(uuid, bigint, smallint, smallint, timestamptz, timestamptz, text, boolean),
    begin_submission(uuid, bigint, smallint, text, bytea, int),
    answer_submission(bigint, text, uuid, bigint, bigint, bigint), wait_submission(bigint, uuid, bigint, bigint),
    end_submission(bigint, text, int), note_failed_pages(uuid, bigint, jsonb), open_gate(smallint, int), open_parser_gate(text, int, int),
    hear_webhook(text, bytea, text, text, boolean, jsonb), tidy_submissions(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION wait_job(uuid, bigint, smallint, smallint, timestamptz, timestamptz, text, boolean),
    begin_submission(uuid, bigint, smallint, text, bytea, int),
    answer_submission(bigint, text, uuid, bigint, bigint, bigint), wait_submission(bigint, uuid, bigint, bigint),
    end_submission(bigint, text, int), note_failed_pages(uuid, bigint, jsonb), open_gate(smallint, int), open_parser_gate(text, int, int),
    tidy_submissions(interval) TO docmill_worker;
GRANT EXECUTE ON FUNCTION hear_webhook(text, bytea, text, text, boolean, jsonb) TO docmill_api;
RESET ROLE;
-- As workers, to whom all rows belong; the API itself sees none of them.
ALTER FUNCTION upload_pipeline.hear_webhook(text, bytea, text, text, boolean, jsonb) OWNER TO docmill_worker;
