-- 0003_cost: what outside services cost, exactly, and budgets that stop before they are exceeded.
--
-- Before something is asked of a paid service its estimated cost is reserved (reserve_cost); when the answer is there,
-- settle_cost writes one row of the ledger for every document that had a part in it, in the transaction that stores what
-- was paid for. (act, line) names a paid act's share of one document: however often a transaction is repeated, it is in
-- the ledger once, and daily totals count exactly what entered the ledger.
--
-- Amounts are numeric, US dollars; they come from C as whole picodollars. A cost counts on the UTC day on which it was
-- reserved, so that an answer after midnight cannot overrun the new day's budget.

SET LOCAL ROLE docmill_owner;
SET LOCAL search_path = upload_pipeline, public;

CREATE TABLE usage_ledger (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    day         date NOT NULL,
    line        int NOT NULL,
    act         text NOT NULL,
    user_id     uuid NOT NULL,
    document_id uuid NOT NULL,
    job_id      uuid NOT NULL,
    provider    text NOT NULL,
    model       text NOT NULL, -- or tier
    unit        text NOT NULL CHECK (unit IN ('tokens', 'pages', 'requests')),
    quantity    numeric NOT NULL CHECK (quantity >= 0),
    cost_usd    numeric NOT NULL CHECK (cost_usd >= 0),
    -- used; dropped: paid for, but the job was another's by then; unknown: whoever asked died before the answer was
    -- written down, so that nobody knows whether it was paid for (quantity and cost are 0, the note has the estimate)
    outcome     text NOT NULL CHECK (outcome IN ('used', 'dropped', 'unknown')),
    repeated    boolean NOT NULL, -- an earlier request for the same may have been paid for too
    note        text,
    UNIQUE (act, line)
);
CREATE INDEX usage_ledger_user ON usage_ledger (user_id, day);
CREATE INDEX usage_ledger_day ON usage_ledger (day);
CREATE INDEX usage_ledger_document ON usage_ledger (user_id, document_id);

-- Sums of the ledger. A slot belongs to one session in eight, so that workers seldom wait for one another.
CREATE TABLE usage_daily (
    day      date NOT NULL,
    slot     smallint NOT NULL,
    user_id  uuid NOT NULL,
    provider text NOT NULL,
    model    text NOT NULL,
    unit     text NOT NULL,
    acts     bigint NOT NULL,
    quantity numeric NOT NULL,
    cost_usd numeric NOT NULL,
    PRIMARY KEY (user_id, day, provider, model, unit, slot)
) WITH (fillfactor = 50);
CREATE INDEX usage_daily_day ON usage_daily (day);
CREATE TABLE usage_days (
    day      date NOT NULL,
    slot     smallint NOT NULL,
    cost_usd numeric NOT NULL,
    PRIMARY KEY (day, slot)
) WITH (fillfactor = 50);

-- What was asked for and is not settled. A lease above 0: it is given back as soon as the job is no longer worked on
-- under that lease; 0: it outlives its worker, as a submission does.
CREATE TABLE usage_reservations (
    act         text NOT NULL,
    line        int NOT NULL,
    day         date NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    lease       bigint NOT NULL,
    user_id     uuid NOT NULL,
    document_id uuid NOT NULL,
    job_id      uuid NOT NULL,
    provider    text NOT NULL,
    model       text NOT NULL,
    unit        text NOT NULL,
    quantity    numeric NOT NULL,
    cost_usd    numeric NOT NULL CHECK (cost_usd >= 0),
    repeated    boolean NOT NULL,
    PRIMARY KEY (act, line)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX usage_reservations_user ON usage_reservations (user_id, day);

-- Jobs that a budget stopped, and how much each asked for.
CREATE TABLE budget_waits (
    job_id   uuid PRIMARY KEY,
    user_id  uuid NOT NULL,
    since    timestamptz NOT NULL DEFAULT now(),
    cost_usd numeric NOT NULL
);
CREATE INDEX budget_waits_user ON budget_waits (user_id, since);

-- Once a day, budget and level (80: warned, 100: something was stopped). user_id of zeros: the budget of all.
CREATE TABLE budget_notices (
    day     date NOT NULL,
    user_id uuid NOT NULL,
    level   smallint NOT NULL,
    budget  numeric NOT NULL,
    used    numeric NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (day, user_id, level, budget)
);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['usage_ledger', 'usage_daily', 'usage_days', 'usage_reservations', 'budget_waits',
                             'budget_notices'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY worker_all ON %I TO docmill_worker USING (true) WITH CHECK (true)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO docmill_worker', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['usage_ledger', 'usage_daily'] LOOP
        EXECUTE format('CREATE POLICY own_rows ON %I FOR SELECT TO docmill_api'
                       ' USING (user_id = (SELECT current_user_id()))', t);
        EXECUTE format('GRANT SELECT ON %I TO docmill_api, docmill_search', t);
    END LOOP;
END
$$;
REVOKE DELETE ON usage_ledger FROM docmill_worker;

CREATE FUNCTION utc_day() RETURNS date
    LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT (now() AT TIME ZONE 'UTC')::date $$;

-- Used and reserved: of all, of one user.
CREATE FUNCTION budget_used(p_day date) RETURNS numeric
    LANGUAGE sql STABLE SET search_path = upload_pipeline, pg_temp
AS $$
    SELECT coalesce((SELECT sum(cost_usd) FROM usage_days WHERE day = p_day), 0)
         + coalesce((SELECT sum(cost_usd) FROM usage_reservations WHERE day = p_day AND expires_at > now()), 0)
$$;
CREATE FUNCTION budget_used_by(p_day date, p_user uuid) RETURNS numeric
    LANGUAGE sql STABLE SET search_path = upload_pipeline, pg_temp
AS $$
    SELECT coalesce((SELECT sum(cost_usd) FROM usage_daily WHERE user_id = p_user AND day = p_day), 0)
         + coalesce((SELECT sum(cost_usd) FROM usage_reservations
                     WHERE user_id = p_user AND day = p_day AND expires_at > now()), 0)
$$;

-- Says once a day that a budget is at a level.
CREATE FUNCTION note_budget(p_day date, p_user uuid, p_level smallint, p_budget numeric, p_used numeric)
    RETURNS boolean
    LANGUAGE sql SET search_path = upload_pipeline, pg_temp
AS $$
    WITH n AS (
        INSERT INTO budget_notices (day, user_id, level, budget, used)
        VALUES (p_day, p_user, p_level, p_budget, p_used) ON CONFLICT DO NOTHING RETURNING 1)
    SELECT EXISTS (SELECT FROM n)
$$;

-- Reserves for the documents of one request; line i belongs to element i + 1. A budget of NULL: none. Budgets are looked
-- at one after another (the lock), so concurrent requests cannot exceed one together; what is settled meanwhile only
-- turns from reserved into used. The lock is held without waiting for the disk: a reservation that a crash of the server
-- loses is worth at most one request.
-- Rows of line >= 0: verdict 0 granted, 1 the budget of all, 2 that of the user. Rows of line -1: a budget has reached
-- `level` for the first time today. `used` is without what was refused.
-- Runs in a transaction of its own. Asked again with the same act it gives the same answer.
CREATE FUNCTION reserve_cost(p_act text, p_provider text, p_model text, p_unit text, p_hold_ms bigint,
                             p_repeated boolean, p_budget bigint, p_user_budget bigint, p_jobs uuid[],
                             p_documents uuid[], p_users uuid[], p_leases bigint[], p_quantities bigint[],
                             p_costs bigint[])
    RETURNS TABLE (line int, verdict smallint, level smallint, user_id uuid, budget text, used text)
    LANGUAGE plpgsql SET search_path = upload_pipeline, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    c_all    constant uuid := '00000000-0000-0000-0000-000000000000';
    v_day    date := utc_day();
    v_budget numeric := p_budget * 0.000000000001;
    v_each   numeric := p_user_budget * 0.000000000001;
    v_cost   numeric;
    v_used   numeric;
    v_mine   numeric;
    v_user   uuid;
    v_refused boolean := false;
BEGIN
    IF EXISTS (SELECT FROM usage_reservations r WHERE r.act = p_act) THEN
        RETURN QUERY SELECT i - 1, CASE WHEN r.act IS NULL THEN 1 ELSE 0 END::smallint, NULL::smallint, p_users[i],
                            NULL::text, NULL::text
                     FROM generate_subscripts(p_jobs, 1) i
                     LEFT JOIN usage_reservations r ON r.act = p_act AND r.line = i - 1;
        RETURN;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    IF p_budget IS NOT NULL OR p_user_budget IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(1684865028, 0);
    END IF;
    IF p_budget IS NOT NULL THEN
        v_used := budget_used(v_day);
    END IF;
    FOR i IN 1 .. coalesce(array_length(p_jobs, 1), 0) LOOP
        v_cost := p_costs[i] * 0.000000000001;
        verdict := 0;
        budget := NULL;
        used := NULL;
        IF p_user_budget IS NOT NULL THEN
            v_mine := budget_used_by(v_day, p_users[i]);
            IF v_cost > 0 AND v_mine + v_cost > v_each THEN
                verdict := 2;
                budget := trim_scale(v_each)::text;
                used := trim_scale(v_mine)::text;
            END IF;
        END IF;
        IF p_budget IS NOT NULL AND v_cost > 0 AND v_used + v_cost > v_budget THEN
            verdict := 1;
            budget := trim_scale(v_budget)::text;
            used := trim_scale(v_used)::text;
        END IF;
        IF verdict = 0 THEN
            INSERT INTO usage_reservations (act, line, day, expires_at, lease, user_id, document_id, job_id, provider,
                                            model, unit, quantity, cost_usd, repeated)
            VALUES (p_act, i - 1, v_day, now() + p_hold_ms * interval '1 millisecond', p_leases[i], p_users[i],
                    p_documents[i], p_jobs[i], p_provider, p_model, p_unit, p_quantities[i], v_cost, p_repeated);
            v_used := v_used + v_cost;
        ELSE
            INSERT INTO budget_waits (job_id, user_id, cost_usd) VALUES (p_jobs[i], p_users[i], v_cost)
            ON CONFLICT (job_id) DO UPDATE SET cost_usd = excluded.cost_usd;
        END IF;
        line := i - 1;
        level := NULL;
        user_id := p_users[i];
        RETURN NEXT;
        IF verdict = 2 THEN
            IF note_budget(v_day, p_users[i], 100::smallint, v_each, v_mine) THEN
                line := -1;
                level := 100;
                RETURN NEXT;
            END IF;
        END IF;
        v_refused := v_refused OR verdict = 1;
    END LOOP;
    line := -1;
    verdict := NULL;
    user_id := c_all;
    budget := trim_scale(v_budget)::text;
    used := trim_scale(v_used)::text;
    IF v_refused THEN
        IF note_budget(v_day, c_all, 100::smallint, v_budget, v_used) THEN
            level := 100;
            RETURN NEXT;
        END IF;
    END IF;
    IF v_budget > 0 AND v_used >= v_budget * 0.8 THEN -- not true without a budget
        IF note_budget(v_day, c_all, 80::smallint, v_budget, v_used) THEN
            level := 80;
            RETURN NEXT;
        END IF;
    END IF;
    IF v_each > 0 THEN
        budget := trim_scale(v_each)::text;
        FOR v_user IN SELECT DISTINCT u FROM unnest(p_users) u LOOP
            v_mine := budget_used_by(v_day, v_user);
            IF v_mine >= v_each * 0.8 THEN
                IF note_budget(v_day, v_user, 80::smallint, v_each, v_mine) THEN
                    level := 80;
                    user_id := v_user;
                    used := trim_scale(v_mine)::text;
                    RETURN NEXT;
                END IF;
            END IF;
        END LOOP;
    END IF;
END
$$;

-- Writes down what was paid for, each (act, line) once; a reservation of it goes, and a row that says `unknown` becomes
-- what it is. Rows and totals are taken in one order, so that two never wait for each other. Returns how many entered.
CREATE FUNCTION settle_cost(p_acts text[], p_lines int[], p_jobs uuid[], p_documents uuid[], p_users uuid[],
                            p_providers text[], p_models text[], p_units text[], p_quantities bigint[], p_costs bigint[],
                            p_outcomes text[], p_repeated boolean[], p_notes text[])
    RETURNS bigint
    LANGUAGE sql SET search_path = upload_pipeline, pg_temp
AS $$
    WITH t AS MATERIALIZED (
        SELECT * FROM unnest(p_acts, p_lines, p_jobs, p_documents, p_users, p_providers, p_models, p_units, p_quantities,
                             p_costs, p_outcomes, p_repeated, p_notes)
            AS t(act, line, job_id, document_id, user_id, provider, model, unit, quantity, cost, outcome, repeated, note)),
    r AS (
        DELETE FROM usage_reservations r USING t WHERE r.act = t.act AND r.line = t.line
        RETURNING r.act, r.line, r.day),
    l AS (
        INSERT INTO usage_ledger (day, act, line, user_id, document_id, job_id, provider, model, unit, quantity, cost_usd,
                                  outcome, repeated, note)
        SELECT coalesce(r.day, utc_day()), t.act, t.line, t.user_id, t.document_id, t.job_id, t.provider, t.model, t.unit,
               t.quantity, t.cost * 0.000000000001, t.outcome, t.repeated, t.note
        FROM t LEFT JOIN r ON r.act = t.act AND r.line = t.line
        ORDER BY t.act, t.line
        ON CONFLICT (act, line) DO UPDATE
            SET at = clock_timestamp(), quantity = excluded.quantity, cost_usd = excluded.cost_usd,
                outcome = excluded.outcome, repeated = excluded.repeated, note = excluded.note
            WHERE usage_ledger.outcome = 'unknown'
        RETURNING day, user_id, provider, model, unit, quantity, cost_usd),
    d AS (
        INSERT INTO usage_daily AS d (day, slot, user_id, provider, model, unit, acts, quantity, cost_usd)
        SELECT day, pg_backend_pid() % 8, user_id, provider, model, unit, count(*), sum(quantity), sum(cost_usd)
        FROM l GROUP BY day, user_id, provider, model, unit ORDER BY user_id, day, provider, model, unit
        ON CONFLICT (user_id, day, provider, model, unit, slot) DO UPDATE
            SET acts = d.acts + excluded.acts, quantity = d.quantity + excluded.quantity,
                cost_usd = d.cost_usd + excluded.cost_usd
        RETURNING 1),
    s AS (
        INSERT INTO usage_days AS s (day, slot, cost_usd)
        SELECT day, pg_backend_pid() % 8, sum(cost_usd) FROM l, (SELECT count(*) FROM d) first
        GROUP BY day ORDER BY day
        ON CONFLICT (day, slot) DO UPDATE SET cost_usd = s.cost_usd + excluded.cost_usd)
    SELECT count(*) FROM l
$$;

-- What a search cost: no document has a part in it (the ids are zeros). The user comes from the claims. It is not
-- reserved, so a budget does not stop it, but what it cost is used up for the documents after it.
CREATE FUNCTION settle_search(p_act text, p_provider text, p_model text, p_tokens bigint, p_cost bigint, p_note text)
    RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = upload_pipeline, pg_temp
AS $$
DECLARE
    c_none constant uuid := '00000000-0000-0000-0000-000000000000';
    v_user uuid := current_user_id();
BEGIN
    IF v_user IS NULL THEN
        RAISE EXCEPTION 'the claims name no user' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN settle_cost(ARRAY[p_act], ARRAY[0], ARRAY[c_none], ARRAY[c_none], ARRAY[v_user], ARRAY[p_provider],
                       ARRAY[p_model], ARRAY['tokens'], ARRAY[p_tokens], ARRAY[p_cost], ARRAY['used'], ARRAY[false],
                       ARRAY[p_note]);
END
$$;

-- Upkeep: reservations of the dead are given back. Nobody knows whether their requests were paid for: the ledger says so.
CREATE FUNCTION expire_reservations(p_limit int) RETURNS bigint
    LANGUAGE sql SET search_path = upload_pipeline, pg_temp
AS $$
    WITH o AS MATERIALIZED (
        SELECT r.* FROM usage_reservations r LEFT JOIN upload_jobs j ON j.id = r.job_id
        WHERE r.expires_at < now()
           OR (r.lease > 0 AND (j.lease IS DISTINCT FROM r.lease OR j.state <> 2))
        ORDER BY r.act, r.line LIMIT p_limit FOR UPDATE OF r SKIP LOCKED),
    g AS (DELETE FROM usage_reservations r USING o WHERE r.act = o.act AND r.line = o.line),
    l AS (
        INSERT INTO usage_ledger (day, act, line, user_id, document_id, job_id, provider, model, unit, quantity, cost_usd,
                                  outcome, repeated, note)
        SELECT day, act, line, user_id, document_id, job_id, provider, model, unit, 0, 0, 'unknown', repeated,
               format('%s %s for %s USD may have been paid for', trim_scale(quantity), unit, trim_scale(cost_usd))
        FROM o ORDER BY act, line ON CONFLICT DO NOTHING)
    SELECT count(*) FROM o
$$;

-- Lets jobs go on that a budget stopped, oldest first, as many as it has room for by what each asked; one that asks for
-- more than there is holds up nobody. Returns how many.
CREATE FUNCTION release_budget_waits(p_budget bigint, p_user_budget bigint, p_limit int) RETURNS bigint
    LANGUAGE sql SET search_path = upload_pipeline, pg_temp
AS $$
    WITH room AS MATERIALIZED (
        SELECT coalesce(p_budget * 0.000000000001 - budget_used(utc_day()), 'Infinity') AS usd),
    users AS MATERIALIZED (
        SELECT u.user_id, coalesce(p_user_budget * 0.000000000001 - budget_used_by(utc_day(), u.user_id), 'Infinity') AS usd
        FROM (SELECT DISTINCT user_id FROM budget_waits) u),
    w AS (
        SELECT w.*, u.usd AS user_room, sum(w.cost_usd) OVER (PARTITION BY w.user_id ORDER BY w.since, w.job_id) AS mine
        FROM users u CROSS JOIN LATERAL (
            SELECT b.* FROM budget_waits b JOIN upload_jobs j ON j.id = b.job_id AND j.state = 5
            WHERE b.user_id = u.user_id AND b.cost_usd <= least(u.usd, (SELECT usd FROM room))
            ORDER BY b.since, b.job_id LIMIT p_limit) w
        WHERE u.usd > 0 AND (SELECT usd FROM room) > 0),
    a AS (
        SELECT w.job_id, sum(w.cost_usd) OVER (ORDER BY w.since, w.job_id) AS total FROM w WHERE w.mine <= w.user_room),
    o AS MATERIALIZED (
        SELECT j.id FROM a JOIN upload_jobs j ON j.id = a.job_id
        WHERE a.total <= (SELECT usd FROM room) AND j.state = 5 ORDER BY a.total, j.id LIMIT p_limit
        FOR NO KEY UPDATE OF j SKIP LOCKED),
    u AS (UPDATE upload_jobs j SET run_at = now(), updated_at = now() FROM o WHERE j.id = o.id),
    d AS (DELETE FROM budget_waits b USING o WHERE b.job_id = o.id),
    gone AS (
        DELETE FROM budget_waits b WHERE b.since < now() - interval '5 minutes'
        AND NOT EXISTS (SELECT FROM upload_jobs j WHERE j.id = b.job_id AND j.state = 5))
    SELECT count(*) FROM o
$$;

-- Whether the transaction speaks for an operator of the daemon, as the API has found by the peer of its socket.
CREATE FUNCTION current_is_operator() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT coalesce((nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'operator')::boolean, false) $$;

-- Cost between two days, grouped by day, user, document or provider (that is provider, model and unit); of the caller,
-- or of all users if an operator asks for it. The user comes from the claims. Totals stand on every row.
CREATE FUNCTION usage_report(p_from date, p_to date, p_by text, p_all boolean, p_limit int)
    RETURNS TABLE (day date, user_id uuid, document_id uuid, provider text, model text, tokens text, pages text,
                   requests text, acts bigint, unknown bigint, cost_usd text, total_usd text, n_rows bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = upload_pipeline, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_user uuid := current_user_id();
    v_of   text := CASE WHEN p_all THEN '' ELSE 'user_id = $3 AND ' END;
    v_keys text := CASE p_by WHEN 'day' THEN 'day' WHEN 'user' THEN 'user_id' WHEN 'document' THEN 'user_id, document_id'
                             WHEN 'provider' THEN 'provider, model' END;
BEGIN
    IF v_user IS NULL OR (p_all AND NOT current_is_operator()) THEN
        RAISE EXCEPTION 'the claims do not allow this' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF v_keys IS NULL THEN
        RAISE EXCEPTION 'cost cannot be grouped by %', p_by USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY EXECUTE format('
        WITH g AS (
            SELECT %1$s, sum(quantity) FILTER (WHERE unit = ''tokens'') AS tokens,
                   sum(quantity) FILTER (WHERE unit = ''pages'') AS pages,
                   sum(quantity) FILTER (WHERE unit = ''requests'') AS requests,
                   %2$s, sum(cost_usd) AS cost
            FROM %3$s WHERE ' || v_of || 'day BETWEEN $1 AND $2 GROUP BY %1$s)
        SELECT %4$s, trim_scale(tokens)::text, trim_scale(pages)::text, trim_scale(requests)::text, acts::bigint,
               unknown::bigint, trim_scale(cost)::text, trim_scale(sum(cost) OVER ())::text, count(*) OVER ()
        FROM g ORDER BY %5$s LIMIT $4',
        v_keys,
        CASE p_by WHEN 'document' THEN 'count(*) FILTER (WHERE outcome <> ''unknown'') AS acts, '
                                       'count(*) FILTER (WHERE outcome = ''unknown'') AS unknown'
                  ELSE 'sum(acts) AS acts, NULL::bigint AS unknown' END,
        CASE p_by WHEN 'document' THEN 'usage_ledger' ELSE 'usage_daily' END,
        CASE p_by WHEN 'day' THEN 'day, NULL::uuid, NULL::uuid, NULL, NULL'
                  WHEN 'user' THEN 'NULL::date, user_id, NULL::uuid, NULL, NULL'
                  WHEN 'document' THEN 'NULL::date, user_id, document_id, NULL, NULL'
                  ELSE 'NULL::date, NULL::uuid, NULL::uuid, provider, model' END,
        CASE p_by WHEN 'day' THEN 'day' ELSE 'cost DESC, ' || v_keys END)
    USING p_from, p_to, v_user, p_limit;
END
$$;

REVOKE ALL ON FUNCTION utc_day(), budget_used(date), budget_used_by(date, uuid),
    note_budget(date, uuid, smallint, numeric, numeric),
    reserve_cost(text, text, text, text, bigint, boolean, bigint, bigint, uuid[], uuid[], uuid[], bigint[], bigint[],
                 bigint[]),
    settle_cost(text[], int[], uuid[], uuid[], uuid[], text[], text[], text[], bigint[], bigint[], text[], boolean[],
                text[]),
    settle_search(text, text, text, bigint, bigint, text),
    expire_reservations(int), release_budget_waits(bigint, bigint, int), current_is_operator(),
    usage_report(date, date, text, boolean, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION utc_day(), budget_used(date), budget_used_by(date, uuid),
    note_budget(date, uuid, smallint, numeric, numeric),
    reserve_cost(text, text, text, text, bigint, boolean, bigint, bigint, uuid[], uuid[], uuid[], bigint[], bigint[],
                 bigint[]),
    settle_cost(text[], int[], uuid[], uuid[], uuid[], text[], text[], text[], bigint[], bigint[], text[], boolean[],
                text[]),
    expire_reservations(int), release_budget_waits(bigint, bigint, int) TO docmill_worker;
GRANT EXECUTE ON FUNCTION utc_day(), current_is_operator() TO docmill_api, docmill_search;
GRANT EXECUTE ON FUNCTION usage_report(date, date, text, boolean, int),
    settle_search(text, text, text, bigint, bigint, text) TO docmill_api;
RESET ROLE;
ALTER FUNCTION upload_pipeline.settle_search(text, text, text, bigint, bigint, text) OWNER TO docmill_worker;
ALTER FUNCTION upload_pipeline.usage_report(date, date, text, boolean, int) OWNER TO docmill_search;
