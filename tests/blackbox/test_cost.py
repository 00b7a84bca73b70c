"""test_cost.py - what outside services cost, as the API and docmillctl tell it, and what a budget does to jobs

Rows come through the functions that workers call (reserve_cost, settle_cost).
"""

import json
import os
import socket
import uuid

import psycopg
import pytest

from harness.account import wait_for
from harness.daemon import Daemon
from test_ctl import OK, REFUSED, USAGE, ctl
from test_plans import nodes, plans_of

NO_WORKERS = [{"name": "coordinator", "role": "coordinator", "min": 1, "max": 1},
              {"name": "api", "role": "api", "min": 1, "max": 1}]
NOBODY = 65534


@pytest.fixture(scope="module")
def shared(programs, cluster):
    database = cluster.create_database()
    one = Daemon(programs, database, pools=NO_WORKERS)
    try:
        one.migrate()
        one.start()
        one.sql("SELECT upload_pipeline.ensure_collection('default', 'builtin', 1, 512, 'cosine', 'none')")
        yield one
    finally:
        one.close()
        database.drop()


@pytest.fixture
def paid(shared):
    """The shared daemon with an empty ledger."""
    shared.sql("TRUNCATE upload_pipeline.usage_ledger, upload_pipeline.usage_daily, upload_pipeline.usage_days,"
               " upload_pipeline.usage_reservations, upload_pipeline.budget_waits, upload_pipeline.budget_notices")
    return shared


def settle(one, user, document, quantity, picodollars, act=None, unit="tokens", provider="openai", model="small",
           day=None):
    act = act or str(uuid.uuid4())
    job = uuid.uuid4()
    if day is not None:
        one.sql("INSERT INTO upload_pipeline.usage_reservations (act, line, day, expires_at, lease, user_id, document_id,"
                " job_id, provider, model, unit, quantity, cost_usd, repeated) VALUES (%s, 0, %s, now(), 0, %s, %s, %s,"
                " 'p', 'm', 'tokens', 0, 0, false)", (act, day, user, document, job))
    one.sql("SELECT upload_pipeline.settle_cost(ARRAY[%s], ARRAY[0], ARRAY[%s]::uuid[], ARRAY[%s]::uuid[],"
            " ARRAY[%s]::uuid[], ARRAY[%s], ARRAY[%s], ARRAY[%s], ARRAY[%s]::bigint[], ARRAY[%s]::bigint[],"
            " ARRAY['used'], ARRAY[false], ARRAY[NULL]::text[])",
            (act, job, document, user, provider, model, unit, quantity, picodollars))


def owner(one):
    """The user whom the token and the socket stand for, and one document of that user."""
    answer = one.upload(b"# Cost\n\nA page about money.\n", "money.md")
    document = answer.json["document_id"]
    (row,) = one.sql("SELECT user_id FROM upload_pipeline.documents WHERE document_id = %s", (document,))
    return str(row[0]), document


def cost(one, query="", **more):
    answer = one.http("GET", "/v1/cost" + query, **more)
    assert answer.status == 200, answer
    return answer.json


def test_sums_are_exact_decimals_by_every_key(paid):
    user, document = owner(paid)
    for _ in range(10):
        settle(paid, user, document, 3, 60_001)
    settle(paid, user, document, 7, 8_750_000_000, unit="pages", provider="llamaparse", model="cost_effective")
    total = "0.00875060001"
    (row,) = cost(paid, "?by=day")["rows"]
    assert (row["tokens"], row["pages"], row["requests"], row["acts"]) == ("30", "7", None, 11)
    assert row["cost_usd"] == total
    (row,) = cost(paid, "?by=document")["rows"]
    assert (row["document_id"], row["filename"], row["cost_usd"], row["unknown"]) == (document, "money.md", total, 0)
    (row,) = cost(paid, "?by=user")["rows"]
    assert row["user_id"] == user and row["cost_usd"] == total
    answer = cost(paid, "?by=provider")
    assert [(r["provider"], r["model"], r["cost_usd"]) for r in answer["rows"]] == [
        ("llamaparse", "cost_effective", "0.00875"), ("openai", "small", "0.00000060001")]
    assert answer["total_usd"] == total and answer["more"] is False


def test_days_are_bounds_on_both_sides_and_a_limit_cuts_lines_but_not_the_total(paid):
    user, document = owner(paid)
    for day in ("2026-01-30", "2026-01-31", "2026-02-01", "2026-02-02"):
        settle(paid, user, document, 1, 10**12, day=day)
    answer = cost(paid, "?from=2026-01-31&to=2026-02-01")
    assert [r["day"] for r in answer["rows"]] == ["2026-01-31", "2026-02-01"]
    assert (answer["from"], answer["to"], answer["total_usd"]) == ("2026-01-31", "2026-02-01", "2")
    answer = cost(paid, "?from=2026-01-01&to=2026-03-01&limit=1")
    assert len(answer["rows"]) == 1 and answer["total_usd"] == "4" and answer["more"] is True
    answer = cost(paid, "?from=2020-01-01&to=2020-01-02")
    assert answer["rows"] == [] and answer["total_usd"] == "0"


def test_a_user_sees_own_cost_only(paid):
    user, document = owner(paid)
    settle(paid, user, document, 1, 5)
    settle(paid, uuid.uuid4(), uuid.uuid4(), 1, 10**12)
    for by in ("day", "user", "document", "provider"):
        assert cost(paid, f"?by={by}")["total_usd"] == "0.000000000005", by


def test_all_users_are_for_operators_over_the_socket(paid):
    user, document = owner(paid)
    settle(paid, user, document, 1, 10**12)
    settle(paid, uuid.uuid4(), uuid.uuid4(), 1, 2 * 10**12)
    answer = cost(paid, "?by=user&all=1", unix=True)  # this test runs as root
    assert answer["total_usd"] == "3" and len(answer["rows"]) == 2 and answer["all"] is True
    assert cost(paid, "?by=user", unix=True)["total_usd"] == "1"
    answer = paid.http("GET", "/v1/cost?all=1")  # over TCP a token is a user, never an operator
    assert (answer.status, answer.reason) == (403, "forbidden")


def ask_as(uid, path, target):
    """The status of a request that another uid sends over the socket."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10)
                s.connect(path)
                s.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                os.write(write, s.recv(12))
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as answer:
        return answer.read().split()[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed")
def test_another_uid_of_the_machine_is_no_operator(paid):
    assert ask_as(NOBODY, paid.run_dir + "/api.sock", "/v1/cost") == "200"
    assert ask_as(NOBODY, paid.run_dir + "/api.sock", "/v1/cost?all=1") == "403"


@pytest.mark.parametrize("query", ["by=month", "from=2026-02-29", "from=2026-1-1", "to=yesterday", "all=yes", "limit=0",
                                   "limit=5001", "since=2026-01-01"])
def test_what_is_not_understood_is_said(paid, query):
    answer = paid.http("GET", "/v1/cost?" + query)
    assert (answer.status, answer.reason) == (400, "bad_request")


def test_the_role_of_the_api_cannot_read_other_users_cost_by_itself(paid):
    """The report of all users needs an operator in the claims."""
    user, document = owner(paid)
    settle(paid, uuid.uuid4(), uuid.uuid4(), 1, 10**12)
    with psycopg.connect(paid.database.url) as connection:
        connection.execute("SET ROLE docmill_api")
        connection.execute("SELECT set_config('request.jwt.claims', %s, false)", (json.dumps({"sub": user}),))
        assert connection.execute("SELECT count(*) FROM upload_pipeline.usage_ledger").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM upload_pipeline.usage_daily").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM upload_pipeline.usage_report('2026-01-01', '2027-01-01', 'day', true, 9)")


def test_docmillctl_shows_a_table_and_json(paid):
    user, document = owner(paid)
    settle(paid, user, document, 30, 600_000)
    done = ctl(paid, "cost", "--by", "document")
    assert done.returncode == OK, done.stderr
    lines = done.stdout.split("\n")
    assert lines[0].split() == ["DOCUMENT", "FILE", "TOKENS", "PAGES", "REQUESTS", "USD"]
    assert lines[1].split() == [document, "money.md", "30", "0.0000006"]
    assert lines[3].startswith("0.0000006 USD from ")
    done = ctl(paid, "cost", "--all", "--by", "provider", "--json")
    assert done.returncode == OK, done.stderr
    assert json.loads(done.stdout)["rows"][0]["cost_usd"] == "0.0000006"
    assert ctl(paid, "cost", "--by", "moon").returncode == USAGE
    assert ctl(paid, "cost", "--from", "2026-13-01").returncode == REFUSED


def stop_by_budget(one, text, asked, age):
    """A document that a budget has stopped, as a worker leaves it; its id."""
    document = one.upload(text.encode(), "budget.md").json["document_id"]
    job = one.document(document)["job_id"]
    one.sql("UPDATE upload_pipeline.upload_jobs SET state = 5, run_at = now() + interval '9 hours' WHERE id = %s", (job,))
    one.sql("UPDATE upload_pipeline.upload_job_details SET error_reason = 'budget_exceeded' WHERE job_id = %s", (job,))
    one.sql("INSERT INTO upload_pipeline.budget_waits (job_id, user_id, cost_usd, since)"
            " SELECT id, user_id, %s, now() - %s * interval '1 s' FROM upload_pipeline.upload_jobs WHERE id = %s",
            (asked, age, job))
    return document


def restart(one, budget):
    one.stop()
    one.keys["budget.daily"] = budget
    one.write_conf()
    one.start()


def test_what_a_budget_stopped_goes_on_when_the_budget_is_raised_and_has_room_for_it(daemon):
    one = daemon({"budget.daily": "0.01"}, pools=NO_WORKERS)
    cheap = stop_by_budget(one, "# Budget\n\nThis text waits for little money.\n", "0.10", 20)
    dear = stop_by_budget(one, "# Budget\n\nThis text waits for much money.\n", "1.50", 10)
    one.pools = None
    restart(one, "1.59")
    wait_for(lambda: one.document(cheap)["status"] == "complete", 30, "the cheap document to go on")
    assert one.sql("SELECT count(*) FROM upload_pipeline.budget_waits") == [(1,)]
    assert one.document(dear)["status"] == "uploaded"
    restart(one, "1.60")
    wait_for(lambda: one.document(dear)["status"] == "complete", 30, "the dear document to go on")
    assert one.sql("SELECT count(*) FROM upload_pipeline.budget_waits") == [(0,)]


def test_reservations_of_the_dead_are_given_back_by_the_leader(paid):
    paid.sql("SELECT * FROM upload_pipeline.reserve_cost('dead', 'openai', 'small', 'tokens', 60000, false, NULL, NULL,"
             " ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], ARRAY[3]::bigint[],"
             " ARRAY[100]::bigint[], ARRAY[5]::bigint[])")
    wait_for(lambda: paid.sql("SELECT outcome, note FROM upload_pipeline.usage_ledger WHERE act = 'dead'") ==
             [("unknown", "100 tokens for 0.000000000005 USD may have been paid for")], 20, "the leader's sweep")
    assert paid.sql("SELECT count(*) FROM upload_pipeline.usage_reservations") == [(0,)]


# Two years, 400 users.
FILL = """
SET session_replication_role = replica;
SET synchronous_commit = off;
INSERT INTO upload_pipeline.usage_ledger (day, act, line, user_id, document_id, job_id, provider, model, unit, quantity,
                                          cost_usd, outcome, repeated)
  SELECT '2024-01-01'::date + i / 170, i::text, 0, md5('user' || i % 400)::uuid, gen_random_uuid(), gen_random_uuid(),
         'openai', 'small', 'tokens', 1, 1, 'used', false FROM generate_series(1, 120000) i;
INSERT INTO upload_pipeline.usage_daily (day, slot, user_id, provider, model, unit, acts, quantity, cost_usd)
  SELECT day, 0, user_id, provider, model, unit, count(*), sum(quantity), sum(cost_usd)
  FROM upload_pipeline.usage_ledger GROUP BY day, user_id, provider, model, unit;
INSERT INTO upload_pipeline.usage_days (day, slot, cost_usd)
  SELECT day, 0, sum(cost_usd) FROM upload_pipeline.usage_ledger GROUP BY day;
"""


def test_reports_and_budgets_use_an_index_among_many_rows(daemon, cluster):
    one = daemon({"budget.daily": "1000"}, start=False, pools=NO_WORKERS)
    one.sql(FILL)
    one.sql("ANALYZE upload_pipeline.usage_ledger, upload_pipeline.usage_daily, upload_pipeline.usage_days")
    for setting in ("session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0",
                    "auto_explain.log_format = 'json'", "auto_explain.log_nested_statements = on"):
        one.sql(f"ALTER DATABASE {one.database.name} SET {setting}")
    with open(cluster.directory + "/postgres.log", "rb") as f:
        f.seek(0, 2)
        mark = f.tell()
    one.start()
    user, document = owner(one)
    for by in ("day", "user", "document", "provider"):
        cost(one, f"?by={by}&from=2025-03-01&to=2025-03-30")
        cost(one, f"?by={by}&from=2025-03-01&to=2025-03-30&all=1", unix=True)
    one.sql("SELECT * FROM upload_pipeline.reserve_cost('act', 'openai', 'small', 'tokens', 60000, false, 1, 1,"
            " ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], ARRAY[%s]::uuid[], ARRAY[3]::bigint[],"
            " ARRAY[100]::bigint[], ARRAY[5]::bigint[])", (user,))
    settle(one, user, document, 1, 5)
    one.stop()
    with open(cluster.directory + "/postgres.log", "rb") as f:
        f.seek(mark)
        plans = plans_of("\n" + f.read().decode(errors="replace"))
    seen = set()
    for text, plan in plans:
        for node in nodes(plan):
            relation = node.get("Relation Name", "")
            if relation.startswith("usage_") and node["Node Type"] != "ModifyTable":
                seen.add(relation)
                assert node["Node Type"] != "Seq Scan" or relation in ("usage_days", "usage_reservations"), \
                    f"{text}\n{json.dumps(plan, indent=1)[:4000]}"
    assert {"usage_ledger", "usage_daily"} <= seen
