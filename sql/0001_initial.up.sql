-- 0001_initial: the whole data shape.
--
-- Two groups. Coordination (upload_jobs and what belongs to the queue) stays on one server; data (documents, chunks,
-- vectors) has user_id in every primary, unique and foreign key, so that it can be distributed by user. No foreign key
-- crosses the groups. Every table with a user_id is under forced row-level security.
--
-- Run by a role that may create roles and extensions. Afterwards grant docmill_worker and docmill_api to the daemon's
-- login role.

-- lookup: job_statuses job_states job_edges job_paths database_identity blob_walk

-- ---------------------------------------------------------------------------------------------------------------
-- Roles (of the whole server: other databases may have made them already, at this very moment too)

DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT * FROM (VALUES
            ('docmill_owner',  'NOLOGIN'),
            ('docmill_worker', 'NOLOGIN'),
            ('docmill_api',    'NOLOGIN'),
            ('docmill_user',   'NOLOGIN'),
            ('docmill_search', 'NOLOGIN BYPASSRLS')) AS v(name, options)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r.name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I %s', r.name, r.options);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
END
$$;

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;
-- Where the extension was there before, this loads its library: only then its settings exist, which a function below
-- sets and only a superuser may invent.
SELECT '[1]'::public.vector;
CREATE SCHEMA IF NOT EXISTS upload_pipeline;
ALTER SCHEMA upload_pipeline OWNER TO docmill_owner;
GRANT USAGE ON SCHEMA upload_pipeline TO docmill_worker, docmill_api, docmill_user, docmill_search;
GRANT USAGE ON SCHEMA public TO docmill_owner, docmill_search;
SET LOCAL ROLE docmill_owner;
SET LOCAL search_path = upload_pipeline, public;

-- Who is asking: the subject of the transaction's claims, NULL without one. After a commit the setting is '' rather
-- than NULL.
CREATE FUNCTION current_user_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;

-- ---------------------------------------------------------------------------------------------------------------
-- The state table, as printed by `docmilld --print-state-sql` (a test compares the two)

CREATE TABLE job_statuses (
    status       smallint PRIMARY KEY,
    name         text NOT NULL UNIQUE,
    progress     smallint NOT NULL,
    legal_states int NOT NULL,
    is_end       boolean NOT NULL,
    meaning      text NOT NULL
);
CREATE TABLE job_states (
    state     smallint PRIMARY KEY,
    name      text NOT NULL UNIQUE,
    claimable boolean NOT NULL,
    is_end    boolean NOT NULL,
    meaning   text NOT NULL
);
CREATE TABLE job_edges (
    from_status smallint NOT NULL REFERENCES job_statuses,
    to_status   smallint NOT NULL REFERENCES job_statuses,
    actors      int NOT NULL,
    PRIMARY KEY (from_status, to_status)
);
INSERT INTO job_statuses (status, name, progress, legal_states, is_end, meaning) VALUES
    (1, 'uploaded', 0, 54, false, 'bytes are durable and hashed'),
    (2, 'parse_queued', 5, 62, false, 'handed to a parser'),
    (3, 'parsed', 30, 54, false, 'the parser''s text is durable'),
    (4, 'parse_validated', 40, 54, false, 'normalised, hashed, not a duplicate'),
    (5, 'chunking', 45, 54, false, 'being cut into chunks'),
    (6, 'chunks_stored', 60, 54, false, 'all chunk rows of the generation stored'),
    (7, 'embedding_queued', 65, 54, false, 'waits for the embedder'),
    (8, 'embedding_in_progress', 70, 62, false, 'some vectors may be stored'),
    (9, 'embeddings_stored', 95, 54, false, 'every chunk has its vector'),
    (10, 'complete', 100, 64, true, 'visible to search'),
    (11, 'failed_parse', 100, 384, true, 'could not be parsed'),
    (12, 'failed_chunking', 100, 384, true, 'could not be chunked'),
    (13, 'failed_embedding', 100, 384, true, 'could not be embedded'),
    (14, 'duplicate', 100, 64, true, 'same content as another document of this user'),
    (15, 'cancelled', 100, 512, true, 'cancelled');
INSERT INTO job_states (state, name, claimable, is_end, meaning) VALUES
    (1, 'queued', true, false, 'may be claimed now'),
    (2, 'working', false, false, 'a worker holds the lease'),
    (3, 'waiting', false, false, 'waits for an outside service''s answer, with a deadline'),
    (4, 'parked', false, false, 'held back because its user is over a limit'),
    (5, 'retryable', false, false, 'failed for now; becomes queued again at run_at'),
    (6, 'done', false, true, 'finished'),
    (7, 'deadletter', false, true, 'failed for good, with a typed reason'),
    (8, 'quarantined', false, true, 'kills its worker; set aside with evidence'),
    (9, 'cancelled', false, true, 'cancelled by its user or an operator');
INSERT INTO job_edges (from_status, to_status, actors) VALUES
    (1, 2, 5),
    (2, 3, 7),
    (3, 4, 5),
    (3, 14, 5),
    (4, 5, 5),
    (5, 6, 5),
    (6, 7, 5),
    (7, 8, 5),
    (8, 9, 5),
    (9, 10, 5),
    (1, 11, 5),
    (2, 11, 7),
    (3, 11, 5),
    (4, 12, 5),
    (5, 12, 5),
    (6, 13, 5),
    (7, 13, 5),
    (8, 13, 5),
    (9, 13, 5),
    (1, 15, 8),
    (2, 15, 8),
    (3, 15, 8),
    (4, 15, 8),
    (5, 15, 8),
    (6, 15, 8),
    (7, 15, 8),
    (8, 15, 8),
    (9, 15, 8),
    (11, 1, 8),
    (12, 1, 8),
    (13, 1, 8),
    (15, 1, 8),
    (14, 1, 12);
-- Every pair that one transaction may pass: a single edge, or a path of edges that leads through no end.
CREATE TABLE job_paths (
    from_status smallint NOT NULL,
    to_status   smallint NOT NULL,
    PRIMARY KEY (from_status, to_status)
);
INSERT INTO job_paths
WITH RECURSIVE walk(from_status, to_status) AS (
    SELECT from_status, to_status FROM job_edges
    UNION
    SELECT w.from_status, e.to_status
    FROM walk w
    JOIN job_statuses s ON s.status = w.to_status AND NOT s.is_end
    JOIN job_statuses f ON f.status = w.from_status AND NOT f.is_end
    JOIN job_edges e ON e.from_status = w.to_status
)
SELECT from_status, to_status FROM walk;
GRANT SELECT ON job_statuses, job_states, job_edges, job_paths
    TO docmill_worker, docmill_api, docmill_user, docmill_search;

-- The end where a document that fails for good in a status goes.
CREATE FUNCTION failure_of(p_status smallint) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN p_status <= 3 THEN 11 WHEN p_status <= 5 THEN 12 ELSE 13 END::smallint $$;

-- ---------------------------------------------------------------------------------------------------------------
-- Coordination

CREATE TABLE upload_jobs (
    id          uuid PRIMARY KEY,
    document_id uuid NOT NULL,
    user_id     uuid NOT NULL,
    lease       bigint NOT NULL DEFAULT 0,      -- rises at every claim and at every transition that is not its owner's
    fair_key    bigint NOT NULL,                -- order within a lane
    owner_node  bigint,                         -- incarnation of the master
    owner_child bigint,                         -- serial of the child in that master's life
    run_at      timestamptz NOT NULL DEFAULT now(),
    deadline    timestamptz,                    -- of working and waiting
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    generation  int NOT NULL DEFAULT 1,
    lane        smallint NOT NULL CHECK (lane IN (1, 2)),
    status      smallint NOT NULL REFERENCES job_statuses,
    state       smallint NOT NULL REFERENCES job_states,
    attempt     smallint NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    crashes     smallint NOT NULL DEFAULT 0 CHECK (crashes >= 0),
    chunker     smallint NOT NULL,
    space       smallint NOT NULL,
    suspect     boolean NOT NULL DEFAULT false, -- in hand, with others, when its worker crashed: to be worked on alone
    CHECK ((state = 2) = (owner_node IS NOT NULL)),
    CHECK (state NOT IN (2, 3) OR deadline IS NOT NULL)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX upload_jobs_claim ON upload_jobs (lane, fair_key) WHERE state = 1;
CREATE INDEX upload_jobs_owner ON upload_jobs (owner_node, owner_child) WHERE state = 2;
CREATE INDEX upload_jobs_deadline ON upload_jobs (deadline) WHERE state IN (2, 3);
CREATE INDEX upload_jobs_retry ON upload_jobs (run_at) WHERE state = 5;
CREATE INDEX upload_jobs_open ON upload_jobs (user_id, status, state) WHERE state < 6;
CREATE INDEX upload_jobs_dead ON upload_jobs (state, updated_at) WHERE state IN (7, 8);
CREATE INDEX upload_jobs_list ON upload_jobs (user_id, created_at, id);
CREATE INDEX upload_jobs_document ON upload_jobs (document_id);

CREATE TABLE upload_job_details (
    job_id        uuid PRIMARY KEY,
    user_id       uuid NOT NULL,
    correlation   uuid NOT NULL,
    progress      jsonb,
    error_reason  text,
    error_message text,
    error_hint    text,
    webhook_secret_hash bytea,
    evidence      jsonb
) WITH (fillfactor = 80);

-- Fair queueing: the last key given to a user in each lane. active_seen is an upper estimate of the user's unfinished
-- jobs, counted anew only when it reaches the limit.
CREATE TABLE user_lanes (
    user_id          uuid PRIMARY KEY,
    weight           real NOT NULL DEFAULT 1 CHECK (weight > 0),
    last_interactive bigint NOT NULL DEFAULT 0,
    last_bulk        bigint NOT NULL DEFAULT 0,
    active_seen      bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
-- A lane's clock: the key of the last job begun. Sequences, since nobody should wait for them.
CREATE SEQUENCE lane_clock_interactive MINVALUE 0 START 0;
CREATE SEQUENCE lane_clock_bulk MINVALUE 0 START 0;

CREATE TABLE events (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    job_id      uuid NOT NULL,
    document_id uuid NOT NULL,
    user_id     uuid NOT NULL,
    correlation uuid,
    lease       bigint NOT NULL,
    from_status smallint NOT NULL,
    to_status   smallint NOT NULL,
    from_state  smallint NOT NULL,
    to_state    smallint NOT NULL,
    attempt     smallint NOT NULL,
    actor       smallint NOT NULL,
    hops        jsonb,
    reason      text,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX events_job ON events (job_id, at);
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- One partition a month, made ahead; a month that the default partition has rows of already stays there.
CREATE FUNCTION ensure_event_partitions(p_ahead int DEFAULT 2) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    v_start timestamptz;
    v_name  text;
    v_made  int := 0;
BEGIN
    FOR i IN 0 .. p_ahead LOOP
        v_start := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(months => i);
        v_name := 'events_' || to_char(v_start AT TIME ZONE 'UTC', 'YYYYMM');
        IF to_regclass('upload_pipeline.' || v_name) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE TABLE upload_pipeline.%I PARTITION OF upload_pipeline.events'
                               ' FOR VALUES FROM (%L) TO (%L)', v_name, v_start, v_start + interval '1 month');
                EXECUTE format('ALTER TABLE upload_pipeline.%I ENABLE ROW LEVEL SECURITY', v_name);
                EXECUTE format('ALTER TABLE upload_pipeline.%I FORCE ROW LEVEL SECURITY', v_name);
                v_made := v_made + 1;
            EXCEPTION WHEN check_violation OR duplicate_table THEN
                NULL;
            END;
        END IF;
    END LOOP;
    RETURN v_made;
END
$$;
-- Drops whole partitions that ended before p_before; returns how many.
CREATE FUNCTION drop_event_partitions(p_before timestamptz) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    r record;
    v_dropped int := 0;
BEGIN
    FOR r IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'upload_pipeline.events'::regclass AND c.relname ~ '^events_[0-9]{6}$'
          AND (to_date(substr(c.relname, 8), 'YYYYMM') + interval '1 month') AT TIME ZONE 'UTC' <= p_before
    LOOP
        EXECUTE format('DROP TABLE upload_pipeline.%I', r.relname);
        v_dropped := v_dropped + 1;
    END LOOP;
    RETURN v_dropped;
END
$$;

CREATE TABLE webhook_log (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    provider    text NOT NULL,
    nonce       text NOT NULL,
    job_id      uuid,
    verdict     text NOT NULL,
    detail      jsonb,
    UNIQUE (provider, nonce)
);
CREATE TABLE nodes (
    name         text PRIMARY KEY,
    incarnation  bigint NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now(),
    said_goodbye boolean NOT NULL DEFAULT false,
    version      text NOT NULL,
    fingerprint  text NOT NULL DEFAULT ''
) WITH (fillfactor = 50);
CREATE TABLE audit_log (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    node      text NOT NULL,
    uid       bigint,
    verb      text NOT NULL,
    arguments jsonb,
    result    text NOT NULL
);
-- The walk through the blob store that finds what no document names: how far it got, and when the next step, or the
-- next walk, is due. Whoever takes a step moves next_at on; a worker that dies in it has only delayed it.
CREATE TABLE blob_walk (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    cursor  text NOT NULL DEFAULT '',
    step    bigint NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO blob_walk DEFAULT VALUES;
-- What this database is, so that two programs can tell whether they speak to the same one.
CREATE TABLE database_identity (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    id     uuid NOT NULL DEFAULT gen_random_uuid(),
    made_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO database_identity DEFAULT VALUES;

-- What a row of the queue may become. The same table as in C; a path of allowed edges is one transition.
CREATE FUNCTION check_transition() RETURNS trigger
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
BEGIN
    IF NEW.lease < OLD.lease THEN
        RAISE EXCEPTION 'job %: lease may not go back from % to %', OLD.id, OLD.lease, NEW.lease
            USING ERRCODE = 'DM010';
    END IF;
    IF OLD.status <> NEW.status AND NOT EXISTS (
            SELECT FROM job_paths WHERE from_status = OLD.status AND to_status = NEW.status) THEN
        RAISE EXCEPTION 'job %: no path from status % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'DM010';
    END IF;
    IF OLD.status = NEW.status AND OLD.state <> NEW.state
            AND (SELECT is_end FROM job_states WHERE state = OLD.state) THEN
        RAISE EXCEPTION 'job %: state % has ended', OLD.id, OLD.state USING ERRCODE = 'DM010';
    END IF;
    IF NOT EXISTS (SELECT FROM job_statuses WHERE status = NEW.status AND legal_states & (1 << NEW.state) <> 0) THEN
        RAISE EXCEPTION 'job %: state % is not legal in status %', OLD.id, NEW.state, NEW.status
            USING ERRCODE = 'DM010';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER upload_jobs_transition BEFORE UPDATE OF status, state, lease ON upload_jobs
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.state IS DISTINCT FROM NEW.state
                       OR OLD.lease > NEW.lease)
    EXECUTE FUNCTION check_transition();

-- ---------------------------------------------------------------------------------------------------------------
-- Data

CREATE TABLE documents (
    user_id         uuid NOT NULL,
    document_id     uuid NOT NULL,
    job_id          uuid NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    bytes           bigint NOT NULL CHECK (bytes > 0),
    parsed_bytes    bigint,
    live_generation int,
    chunks          int,
    pages           int CHECK (pages > 0), -- null: it has none
    parsed_plain    boolean,
    sha256          bytea NOT NULL CHECK (length(sha256) = 32),
    parsed_sha256   bytea CHECK (length(parsed_sha256) = 32),
    duplicate_of    uuid,
    filename        text NOT NULL,
    content_type    text NOT NULL,
    page_starts     int[],
    PRIMARY KEY (user_id, document_id),
    CHECK ((live_generation IS NULL) = (chunks IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX documents_list ON documents (user_id, created_at, document_id);
-- Which blobs are named: each is looked up before it may be removed.
CREATE INDEX documents_blob ON documents (user_id, sha256);
CREATE INDEX documents_parsed_blob ON documents (user_id, parsed_sha256) WHERE parsed_sha256 IS NOT NULL;
CREATE INDEX documents_duplicates ON documents (user_id, duplicate_of) WHERE duplicate_of IS NOT NULL;

-- Whose normalised content is whose: the first document of a user with a content is its canonical one.
CREATE TABLE document_contents (
    user_id       uuid NOT NULL,
    parsed_sha256 bytea NOT NULL,
    document_id   uuid NOT NULL,
    PRIMARY KEY (user_id, parsed_sha256),
    FOREIGN KEY (user_id, document_id) REFERENCES documents ON DELETE CASCADE
);
CREATE INDEX document_contents_document ON document_contents (user_id, document_id);

CREATE TABLE document_chunks (
    user_id      uuid NOT NULL,
    document_id  uuid NOT NULL,
    chunk_id     uuid NOT NULL,
    byte_start   bigint NOT NULL,
    byte_end     bigint NOT NULL,
    generation   int NOT NULL,
    ord          int NOT NULL CHECK (ord >= 0),
    overlap      int NOT NULL,
    tokens       int NOT NULL,
    page         int CHECK (page > 0), -- null: the document has no pages
    sha256       bytea NOT NULL,
    heading_path text NOT NULL,
    text         text NOT NULL CHECK (text <> ''),
    tsv          tsvector GENERATED ALWAYS AS (to_tsvector('simple', text)) STORED,
    PRIMARY KEY (user_id, document_id, generation, ord),
    FOREIGN KEY (user_id, document_id) REFERENCES documents ON DELETE CASCADE
);
CREATE INDEX document_chunks_text ON document_chunks USING gin (tsv);

CREATE TABLE embedding_spaces (
    space     smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model     text NOT NULL,
    version   int NOT NULL,
    dimension int NOT NULL CHECK (dimension BETWEEN 1 AND 4000),
    metric    text NOT NULL CHECK (metric IN ('cosine')),
    type      text NOT NULL CHECK (type IN ('vector')),
    state     text NOT NULL CHECK (state IN ('building', 'live', 'retired')),
    indexed   boolean NOT NULL DEFAULT false,
    made_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (model, version, dimension)
);

-- Generations that nobody reads any more and nobody writes; the leader removes them after a while.
CREATE TABLE stale_generations (
    user_id     uuid NOT NULL,
    document_id uuid NOT NULL,
    generation  int NOT NULL,
    since       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, document_id, generation),
    FOREIGN KEY (user_id, document_id) REFERENCES documents ON DELETE CASCADE
);
CREATE INDEX stale_generations_since ON stale_generations (since);

-- ---------------------------------------------------------------------------------------------------------------
-- Row-level security: workers see everything, the API and users only the claims' user. Nobody else sees anything.

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['upload_jobs', 'upload_job_details', 'user_lanes', 'events', 'documents',
                             'document_contents', 'document_chunks', 'stale_generations'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY worker_all ON %I TO docmill_worker USING (true) WITH CHECK (true)', t);
        EXECUTE format('CREATE POLICY own_rows ON %I TO docmill_api USING (user_id = (SELECT current_user_id()))'
                       ' WITH CHECK (user_id = (SELECT current_user_id()))', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO docmill_worker', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['documents', 'document_chunks', 'upload_jobs', 'upload_job_details', 'events'] LOOP
        EXECUTE format('GRANT SELECT ON %I TO docmill_user', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['webhook_log', 'nodes', 'audit_log', 'embedding_spaces', 'database_identity',
                             'blob_walk'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY worker_all ON %I TO docmill_worker USING (true) WITH CHECK (true)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO docmill_worker', t);
    END LOOP;
END
$$;
ALTER TABLE events_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE events_default FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_makes ON embedding_spaces TO docmill_owner USING (true) WITH CHECK (true);
CREATE POLICY api_reads ON embedding_spaces FOR SELECT TO docmill_api, docmill_search USING (true);
CREATE POLICY api_reads ON database_identity FOR SELECT TO docmill_api USING (true);
GRANT SELECT ON embedding_spaces, database_identity TO docmill_api;
REVOKE INSERT, UPDATE, DELETE ON database_identity, embedding_spaces FROM docmill_worker;
REVOKE INSERT, DELETE ON blob_walk FROM docmill_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON upload_jobs, upload_job_details, user_lanes, documents, stale_generations
    TO docmill_api;
GRANT SELECT, INSERT ON events TO docmill_api;
GRANT SELECT ON document_chunks, document_contents TO docmill_api;
GRANT SELECT, UPDATE ON lane_clock_interactive, lane_clock_bulk TO docmill_worker;
GRANT SELECT ON lane_clock_interactive, lane_clock_bulk TO docmill_api;
GRANT SELECT ON documents, document_chunks, embedding_spaces TO docmill_search;
-- Users read the job's life but only the visible generation of its chunks.
CREATE POLICY own_rows_read ON documents FOR SELECT TO docmill_user USING (user_id = (SELECT current_user_id()));
CREATE POLICY own_rows_read ON upload_jobs FOR SELECT TO docmill_user USING (user_id = (SELECT current_user_id()));
CREATE POLICY own_rows_read ON upload_job_details FOR SELECT TO docmill_user
    USING (user_id = (SELECT current_user_id()));
CREATE POLICY own_rows_read ON events FOR SELECT TO docmill_user USING (user_id = (SELECT current_user_id()));
CREATE POLICY own_visible_read ON document_chunks FOR SELECT TO docmill_user
    USING (user_id = (SELECT current_user_id())
           AND generation = (SELECT d.live_generation FROM documents d
                             WHERE d.user_id = document_chunks.user_id AND d.document_id = document_chunks.document_id));

-- ---------------------------------------------------------------------------------------------------------------
-- Embedding spaces: one row, one table vectors_<n>

CREATE FUNCTION ensure_embedding_space(p_model text, p_version int, p_dimension int, p_metric text, p_index text)
    RETURNS smallint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = upload_pipeline, public, pg_temp
AS $$
DECLARE
    v_space smallint;
    v_table text;
BEGIN
    SELECT space INTO v_space FROM embedding_spaces
    WHERE model = p_model AND version = p_version AND dimension = p_dimension;
    IF FOUND THEN
        RETURN v_space;
    END IF;
    LOCK TABLE embedding_spaces IN SHARE ROW EXCLUSIVE MODE;
    SELECT space INTO v_space FROM embedding_spaces
    WHERE model = p_model AND version = p_version AND dimension = p_dimension;
    IF FOUND THEN
        RETURN v_space;
    END IF;
    INSERT INTO embedding_spaces (model, version, dimension, metric, type, state, indexed)
    VALUES (p_model, p_version, p_dimension, p_metric, 'vector', 'live', p_index = 'hnsw')
    RETURNING space INTO v_space;
    v_table := 'vectors_' || v_space;
    EXECUTE format(
        'CREATE TABLE %I (user_id uuid NOT NULL, document_id uuid NOT NULL, generation int NOT NULL, ord int NOT NULL,'
        ' embedding vector(%s) NOT NULL CHECK (vector_norm(embedding) > 0),'
        ' PRIMARY KEY (user_id, document_id, generation, ord),'
        ' FOREIGN KEY (user_id, document_id, generation, ord) REFERENCES document_chunks ON DELETE CASCADE)',
        v_table, p_dimension);
    -- A vector that fits a page is kept in the row: the exact scan then reads no other table.
    IF p_dimension <= 1900 THEN
        EXECUTE format('ALTER TABLE %I ALTER COLUMN embedding SET STORAGE PLAIN', v_table);
    END IF;
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', v_table);
    EXECUTE format('CREATE POLICY worker_all ON %I TO docmill_worker USING (true) WITH CHECK (true)', v_table);
    EXECUTE format('CREATE POLICY own_rows ON %I FOR SELECT TO docmill_api USING (user_id = (SELECT current_user_id()))',
                   v_table);
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON %I TO docmill_worker', v_table);
    EXECUTE format('GRANT SELECT ON %I TO docmill_api, docmill_search', v_table);
    EXECUTE 'CREATE OR REPLACE VIEW document_vector_buffer WITH (security_invoker = true) AS '
        || (SELECT string_agg(format(
                'SELECT %s::smallint AS space, v.user_id, v.document_id, v.generation, v.ord'
                ' FROM %I v JOIN documents d USING (user_id, document_id)'
                ' WHERE v.generation IS DISTINCT FROM d.live_generation', space, 'vectors_' || space), ' UNION ALL ')
            FROM embedding_spaces);
    GRANT SELECT ON document_vector_buffer TO docmill_worker;
    IF p_index = 'hnsw' THEN
        EXECUTE format('CREATE INDEX %I ON %I USING hnsw (embedding vector_cosine_ops)', v_table || '_hnsw', v_table);
    END IF;
    RETURN v_space;
END
$$;
REVOKE ALL ON FUNCTION ensure_embedding_space(text, int, int, text, text), ensure_event_partitions(int),
    drop_event_partitions(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_embedding_space(text, int, int, text, text), ensure_event_partitions(int),
    drop_event_partitions(timestamptz) TO docmill_worker;

-- Growth of what is not visible can be watched here: generations being written, and stale ones.
CREATE VIEW document_chunk_buffer WITH (security_invoker = true) AS
    SELECT c.* FROM document_chunks c JOIN documents d USING (user_id, document_id)
    WHERE c.generation IS DISTINCT FROM d.live_generation;
GRANT SELECT ON document_chunk_buffer TO docmill_worker;

-- ---------------------------------------------------------------------------------------------------------------
-- What the API calls. All run as the caller, under row-level security, but for the search.

-- The key that puts a job in its lane's order: start-time fair queueing. The later of the lane's clock and the user's
-- last key, plus the job's cost over the user's weight. The caller holds the user's row.
CREATE FUNCTION next_fair_key(p_user uuid, p_lane smallint, p_bytes bigint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    v_clock bigint;
    v_key   bigint;
    v_cost  double precision := 1000.0 * (1 + p_bytes / 262144.0);
BEGIN
    IF p_lane = 1 THEN
        SELECT last_value INTO v_clock FROM lane_clock_interactive;
        UPDATE user_lanes SET last_interactive = greatest(v_clock, last_interactive) + ceil(v_cost / weight)::bigint
        WHERE user_id = p_user RETURNING last_interactive INTO v_key;
    ELSE
        SELECT last_value INTO v_clock FROM lane_clock_bulk;
        UPDATE user_lanes SET last_bulk = greatest(v_clock, last_bulk) + ceil(v_cost / weight)::bigint
        WHERE user_id = p_user RETURNING last_bulk INTO v_key;
    END IF;
    RETURN v_key;
END
$$;

-- Back to the start under a new generation; what the old one wrote becomes stale. The caller has checked that the
-- job may go back; the lease rises, so that whoever still works on it loses.
CREATE FUNCTION restart_job(p_job uuid, p_actor smallint) RETURNS void
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    o upload_jobs;
BEGIN
    SELECT * INTO STRICT o FROM upload_jobs WHERE id = p_job FOR NO KEY UPDATE;
    INSERT INTO stale_generations (user_id, document_id, generation)
    SELECT o.user_id, o.document_id, o.generation
    WHERE EXISTS (SELECT FROM documents d WHERE d.user_id = o.user_id AND d.document_id = o.document_id
                  AND d.live_generation IS DISTINCT FROM o.generation)
    ON CONFLICT DO NOTHING;
    UPDATE upload_jobs SET status = 1, state = 1, lease = lease + 1, attempt = 0, crashes = 0, suspect = false, owner_node = NULL,
        owner_child = NULL, deadline = NULL, run_at = now(), generation = generation + 1, updated_at = now()
    WHERE id = p_job;
    UPDATE upload_job_details SET error_reason = NULL, error_message = NULL, error_hint = NULL, evidence = NULL
    WHERE job_id = p_job;
    INSERT INTO events (job_id, document_id, user_id, correlation, lease, from_status, to_status, from_state, to_state,
                        attempt, actor, reason)
    SELECT o.id, o.document_id, o.user_id, d.correlation, o.lease + 1, o.status, 1, o.state, 1, 0, p_actor, 'restarted'
    FROM upload_job_details d WHERE d.job_id = o.id;
END
$$;

-- A document and its job. The same bytes of the same user are the same document: nothing new is made, and a failed one
-- starts again. DM001: too many unfinished documents. DM002: no embedding space for that model yet.
CREATE FUNCTION submit_document(p_document uuid, p_filename text, p_content_type text, p_bytes bigint, p_sha256 bytea,
                                p_lane smallint, p_model text, p_model_version int, p_dimension int,
                                p_chunker smallint, p_max_active bigint, p_correlation uuid)
    RETURNS TABLE (document_id uuid, job_id uuid, created boolean, status smallint, state smallint, generation int)
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_user   uuid := current_user_id();
    v_space  smallint;
    v_job    uuid;
    v_state  smallint;
    v_status smallint;
    v_active bigint;
BEGIN
    IF v_user IS NULL THEN
        RAISE EXCEPTION 'no user in the claims' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT s.space INTO v_space FROM embedding_spaces s
    WHERE s.model = p_model AND s.version = p_model_version AND s.dimension = p_dimension AND s.state <> 'retired';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no embedding space for % version % dimension %', p_model, p_model_version, p_dimension
            USING ERRCODE = 'DM002';
    END IF;
    INSERT INTO user_lanes (user_id) VALUES (v_user) ON CONFLICT DO NOTHING;
    SELECT u.active_seen INTO v_active FROM user_lanes u WHERE u.user_id = v_user FOR UPDATE;
    SELECT j.id, j.status, j.state INTO v_job, v_status, v_state
    FROM documents d JOIN upload_jobs j ON j.id = d.job_id
    WHERE d.user_id = v_user AND d.document_id = p_document;
    IF FOUND AND v_state NOT IN (7, 8, 9) THEN
        RETURN QUERY SELECT j.document_id, j.id, false, j.status, j.state, j.generation
                     FROM upload_jobs j WHERE j.id = v_job;
        RETURN;
    END IF;
    IF v_active + 1 > p_max_active THEN
        SELECT count(*) INTO v_active FROM upload_jobs j WHERE j.user_id = v_user AND j.state < 6;
        UPDATE user_lanes u SET active_seen = v_active WHERE u.user_id = v_user;
        IF v_active + 1 > p_max_active THEN
            RAISE EXCEPTION 'user has % unfinished documents, the limit is %', v_active, p_max_active
                USING ERRCODE = 'DM001';
        END IF;
    END IF;
    UPDATE user_lanes u SET active_seen = v_active + 1 WHERE u.user_id = v_user;
    IF v_job IS NOT NULL THEN
        PERFORM restart_job(v_job, 8::smallint);
        UPDATE upload_jobs j SET chunker = p_chunker, space = v_space WHERE j.id = v_job;
        RETURN QUERY SELECT j.document_id, j.id, false, j.status, j.state, j.generation
                     FROM upload_jobs j WHERE j.id = v_job;
        RETURN;
    END IF;
    v_job := gen_random_uuid();
    INSERT INTO documents (user_id, document_id, job_id, bytes, sha256, filename, content_type)
    VALUES (v_user, p_document, v_job, p_bytes, p_sha256, p_filename, p_content_type);
    INSERT INTO upload_jobs (id, document_id, user_id, lane, fair_key, status, state, chunker, space)
    VALUES (v_job, p_document, v_user, p_lane, next_fair_key(v_user, p_lane, p_bytes), 1, 1, p_chunker, v_space);
    INSERT INTO upload_job_details (job_id, user_id, correlation) VALUES (v_job, v_user, p_correlation);
    INSERT INTO events (job_id, document_id, user_id, correlation, lease, from_status, to_status, from_state, to_state,
                        attempt, actor)
    VALUES (v_job, p_document, v_user, p_correlation, 0, 0, 1, 0, 1, 0, 8);
    RETURN QUERY SELECT p_document, v_job, true, 1::smallint, 1::smallint, 1;
END
$$;

-- Would submit_document take it? Asked before the bytes get their name in the blob store, so that what is refused leaves
-- nothing there. Writes nothing and locks nothing; the errors are submit_document's, which asks again.
CREATE FUNCTION may_submit(p_document uuid, p_model text, p_model_version int, p_dimension int, p_max_active bigint)
    RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    v_user   uuid := current_user_id();
    v_active bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM embedding_spaces s WHERE s.model = p_model AND s.version = p_model_version
                   AND s.dimension = p_dimension AND s.state <> 'retired') THEN
        RAISE EXCEPTION 'no embedding space for % version % dimension %', p_model, p_model_version, p_dimension
            USING ERRCODE = 'DM002';
    END IF;
    SELECT u.active_seen INTO v_active FROM user_lanes u WHERE u.user_id = v_user;
    IF coalesce(v_active, 0) + 1 <= p_max_active
            OR EXISTS (SELECT FROM documents d JOIN upload_jobs j ON j.id = d.job_id
                       WHERE d.user_id = v_user AND d.document_id = p_document AND j.state NOT IN (7, 8, 9)) THEN
        RETURN true;
    END IF;
    SELECT count(*) INTO v_active FROM upload_jobs j WHERE j.user_id = v_user AND j.state < 6;
    IF v_active + 1 > p_max_active THEN
        RAISE EXCEPTION 'user has % unfinished documents, the limit is %', v_active, p_max_active
            USING ERRCODE = 'DM001';
    END IF;
    RETURN true;
END
$$;

-- A failed, quarantined or cancelled job starts again. No row: not there, or not the caller's. DM003: not ended so.
CREATE FUNCTION retry_job(p_job uuid) RETURNS TABLE (job_id uuid, status smallint, state smallint)
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_state smallint;
BEGIN
    SELECT j.state INTO v_state FROM upload_jobs j
    WHERE j.id = p_job AND j.user_id = current_user_id() FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF v_state NOT IN (7, 8, 9) THEN
        RAISE EXCEPTION 'job is %, only failed and cancelled ones can be tried again',
            (SELECT s.name FROM job_states s WHERE s.state = v_state) USING ERRCODE = 'DM003';
    END IF;
    PERFORM restart_job(p_job, 8::smallint);
    RETURN QUERY SELECT j.id, j.status, j.state FROM upload_jobs j WHERE j.id = p_job;
END
$$;

-- If a canonical document goes, the oldest of its duplicates takes its place and is worked on again.
CREATE FUNCTION promote_duplicate(p_user uuid, p_document uuid) RETURNS uuid
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    v_next uuid;
    v_job  uuid;
BEGIN
    SELECT document_id, job_id INTO v_next, v_job FROM documents
    WHERE user_id = p_user AND duplicate_of = p_document
    ORDER BY created_at, document_id LIMIT 1 FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE documents SET duplicate_of = CASE WHEN document_id = v_next THEN NULL ELSE v_next END, updated_at = now()
    WHERE user_id = p_user AND duplicate_of = p_document;
    PERFORM restart_job(v_job, 4::smallint);
    RETURN v_next;
END
$$;

-- Stops a job that has not ended. DM003: it has.
CREATE FUNCTION cancel_job(p_job uuid) RETURNS TABLE (job_id uuid, status smallint, state smallint)
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    o upload_jobs;
BEGIN
    SELECT * INTO o FROM upload_jobs j WHERE j.id = p_job AND j.user_id = current_user_id() FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF o.state >= 6 THEN
        RAISE EXCEPTION 'job is % already', (SELECT s.name FROM job_states s WHERE s.state = o.state)
            USING ERRCODE = 'DM003';
    END IF;
    UPDATE upload_jobs j SET status = 15, state = 9, lease = j.lease + 1, owner_node = NULL, owner_child = NULL,
        deadline = NULL, updated_at = now()
    WHERE j.id = p_job;
    INSERT INTO stale_generations (user_id, document_id, generation)
    VALUES (o.user_id, o.document_id, o.generation) ON CONFLICT DO NOTHING;
    INSERT INTO events (job_id, document_id, user_id, correlation, lease, from_status, to_status, from_state, to_state,
                        attempt, actor, reason)
    SELECT o.id, o.document_id, o.user_id, d.correlation, o.lease + 1, o.status, 15, o.state, 9, o.attempt, 8, 'cancelled'
    FROM upload_job_details d WHERE d.job_id = o.id;
    -- Its content, if it was the canonical holder, goes to its oldest duplicate.
    DELETE FROM document_contents c WHERE c.user_id = o.user_id AND c.document_id = o.document_id;
    PERFORM promote_duplicate(o.user_id, o.document_id);
    RETURN QUERY SELECT j.id, j.status, j.state FROM upload_jobs j WHERE j.id = p_job;
END
$$;

-- Removes a document with its chunks, vectors and job; events and ledger stay. Workers that hold it lose it. Its blobs,
-- which nobody names now, are removed by the walk through the blob store (blob_walk).
CREATE FUNCTION delete_document(p_document uuid) RETURNS TABLE (job_id uuid, status smallint, state smallint)
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    o upload_jobs;
BEGIN
    SELECT j.* INTO o FROM documents d JOIN upload_jobs j ON j.id = d.job_id
    WHERE d.user_id = current_user_id() AND d.document_id = p_document FOR UPDATE OF j;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO events (job_id, document_id, user_id, correlation, lease, from_status, to_status, from_state, to_state,
                        attempt, actor, reason)
    SELECT o.id, o.document_id, o.user_id, d.correlation, o.lease + 1, o.status, o.status, o.state, o.state, o.attempt,
           8, 'deleted'
    FROM upload_job_details d WHERE d.job_id = o.id;
    DELETE FROM upload_job_details d WHERE d.job_id = o.id;
    DELETE FROM upload_jobs j WHERE j.id = o.id;
    DELETE FROM documents d WHERE d.user_id = o.user_id AND d.document_id = p_document;
    PERFORM promote_duplicate(o.user_id, p_document);
    RETURN QUERY SELECT o.id, o.status, o.state;
END
$$;

-- The best chunks for a query, among the caller's visible ones only. The user comes from the claims, never from an
-- argument, and stands in every branch; the function's owner bypasses row-level security because a policy would keep
-- the text index from being used. Ranked by reciprocal rank over two lists: nearest vectors, and chunks that hold all
-- the words; the score is the cosine similarity, so that it says the same in every answer.
CREATE FUNCTION search_chunks(p_query vector, p_text text, p_limit int, p_exact_limit int, p_model text,
                              p_model_version int, p_dimension int)
    RETURNS TABLE (document_id uuid, chunk_id uuid, ord int, filename text, heading_path text, page int,
                   score double precision, text text, byte_start bigint, byte_end bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = upload_pipeline, public, pg_temp
    SET hnsw.iterative_scan = 'relaxed_order'
AS $$
DECLARE
    v_user    uuid := current_user_id();
    v_space   smallint;
    v_visible bigint;
    v_nearest text;
BEGIN
    IF v_user IS NULL THEN
        RAISE EXCEPTION 'no user in the claims' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT s.space INTO v_space FROM embedding_spaces s
    WHERE s.model = p_model AND s.version = p_model_version AND s.dimension = p_dimension AND s.state = 'live';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no live embedding space for % version % dimension %', p_model, p_model_version, p_dimension
            USING ERRCODE = 'DM002';
    END IF;
    SELECT coalesce(sum(d.chunks), 0) INTO v_visible FROM documents d
    WHERE d.user_id = v_user AND d.live_generation IS NOT NULL;
    IF v_visible = 0 THEN
        RETURN;
    END IF;
    IF v_visible <= p_exact_limit THEN
        v_nearest := 'SELECT v.document_id, v.generation, v.ord, v.embedding <=> $2 AS distance
                      FROM documents d JOIN %1$I v ON v.user_id = $1 AND v.document_id = d.document_id
                       AND v.generation = d.live_generation
                      WHERE d.user_id = $1 AND d.live_generation IS NOT NULL
                      ORDER BY distance LIMIT $4';
    ELSE
        v_nearest := 'SELECT v.document_id, v.generation, v.ord, v.embedding <=> $2 AS distance
                      FROM %1$I v
                      WHERE v.user_id = $1 AND EXISTS (
                          SELECT FROM documents d WHERE d.user_id = $1 AND d.document_id = v.document_id
                          AND d.live_generation = v.generation)
                      ORDER BY v.embedding <=> $2 LIMIT $4';
    END IF;
    RETURN QUERY EXECUTE format('
        WITH q AS MATERIALIZED (SELECT plainto_tsquery(''simple'', $3) AS words),
        nearest AS MATERIALIZED (SELECT n.*, row_number() OVER (ORDER BY n.distance) AS place FROM (' || v_nearest || ') n),
        worded AS MATERIALIZED (
            SELECT w.*, row_number() OVER (ORDER BY w.rank DESC, w.document_id, w.ord) AS place FROM (
                SELECT c.document_id, c.generation, c.ord, ts_rank_cd(c.tsv, q.words) AS rank
                FROM q, document_chunks c JOIN documents d
                  ON d.user_id = $1 AND d.document_id = c.document_id AND d.live_generation = c.generation
                WHERE numnode(q.words) > 0 AND c.user_id = $1 AND c.tsv @@ q.words
                ORDER BY rank DESC, c.document_id, c.ord LIMIT $4) w),
        merged AS (
            SELECT document_id, generation, ord, sum(1.0 / (60 + place)) AS weight
            FROM (SELECT document_id, generation, ord, place FROM nearest
                  UNION ALL SELECT document_id, generation, ord, place FROM worded) b
            GROUP BY document_id, generation, ord
            ORDER BY weight DESC, document_id, ord LIMIT $5)
        SELECT m.document_id, c.chunk_id, m.ord, d.filename, c.heading_path, c.page,
               1 - (v.embedding <=> $2) AS score, c.text, c.byte_start, c.byte_end
        FROM merged m
        JOIN documents d ON d.user_id = $1 AND d.document_id = m.document_id
        JOIN document_chunks c ON c.user_id = $1 AND c.document_id = m.document_id AND c.generation = m.generation
          AND c.ord = m.ord
        JOIN %1$I v ON v.user_id = $1 AND v.document_id = m.document_id AND v.generation = m.generation
          AND v.ord = m.ord
        ORDER BY m.weight DESC, m.document_id, m.ord', 'vectors_' || v_space)
    USING v_user, p_query, p_text, greatest(p_limit * 4, 40), p_limit;
END
$$;

REVOKE ALL ON FUNCTION submit_document(uuid, text, text, bigint, bytea, smallint, text, int, int, smallint, bigint, uuid),
    may_submit(uuid, text, int, int, bigint), retry_job(uuid), cancel_job(uuid), delete_document(uuid),
    restart_job(uuid, smallint), promote_duplicate(uuid, uuid), next_fair_key(uuid, smallint, bigint),
    search_chunks(vector, text, int, int, text, int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    submit_document(uuid, text, text, bigint, bytea, smallint, text, int, int, smallint, bigint, uuid),
    may_submit(uuid, text, int, int, bigint), retry_job(uuid), cancel_job(uuid), delete_document(uuid),
    restart_job(uuid, smallint), promote_duplicate(uuid, uuid), next_fair_key(uuid, smallint, bigint) TO docmill_api;
GRANT EXECUTE ON FUNCTION restart_job(uuid, smallint), promote_duplicate(uuid, uuid),
    next_fair_key(uuid, smallint, bigint) TO docmill_worker;
GRANT EXECUTE ON FUNCTION search_chunks(vector, text, int, int, text, int, int) TO docmill_api, docmill_user;
GRANT DELETE ON document_contents TO docmill_api;
RESET ROLE;
ALTER FUNCTION upload_pipeline.search_chunks(vector, text, int, int, text, int, int) OWNER TO docmill_search;
