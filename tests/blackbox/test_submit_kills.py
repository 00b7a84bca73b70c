"""test_submit_kills.py - a worker killed at each named point around a submission: what it costs, and that it is known

The points are the rows of a table that docs/providers.md is printed from; each has its test here, which holds the worker
exactly there (by a lock that it needs next, or a service that does not answer), sees that it stands there, and kills it.
"""

import os
import re
import signal
from contextlib import contextmanager

import psycopg
import pytest

from harness import account, documents
from harness.account import wait_for
from harness.programs import SOURCE
from harness.proxy import AnswerHolder

KEY = "llx-test-0123456789"
UPLOAD = "/api/v1/parsing/upload"
ADMISSION = 1684865028  # the advisory lock that reservations take one after another
BUSY = """SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
          AND query ~ %s"""


@pytest.fixture(name="parser")
def parser_fixture(mock):
    return mock("llamaparse", "--key", KEY, "--job-ms", "50")


def start(daemon, parser, **more):
    pools = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1},
             {"name": "w", "role": "worker", "min": 1, "max": 1}]
    keys = {"parser.order": "llamaparse", "llamaparse.base_url": parser.url, "llamaparse.api_key": KEY,
            "http.allow_private": "127.0.0.1", "queue.retry_first": "50ms", "queue.retry_cap": "500ms",
            "llamaparse.poll_first": "100ms", "llamaparse.poll_cap": "300ms", "budget.daily": "10",
            **{k.replace("__", "."): v for k, v in more.items()}}
    return daemon(keys=keys, pools=pools)


def kill_worker(d):
    pid = d.children("worker")[0]["pid"]
    account.kill(pid, signal.SIGKILL)
    wait_for(lambda: account.gone(pid), 10, "the worker to be gone")


def kill_where_it_waits(d, db, statement):
    """Kills the worker when its session waits for a lock in the statement; then waits for that session to end, so that
    what was not committed never is."""
    pids = wait_for(lambda: d.sql(BUSY, (statement,)), 20, f"the worker to wait in {statement}", dump=d.log)
    kill_worker(d)
    alive = "SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)"
    wait_for(lambda: not d.sql(alive, ([p for p, in pids],)), 20, "the server to notice")


@contextmanager
def locked(db, *statement):
    with psycopg.connect(db.cluster.url(db.name)) as lock:
        lock.execute(*statement)
        yield
        lock.rollback()


def upload(d):
    return d.upload(documents.pdf(2, "lantern mill"), "a.pdf").json["document_id"]


def kill_before_the_intent(d, db, parser):
    with locked(db, "SELECT FROM upload_pipeline.services WHERE name = 'llamaparse' FOR UPDATE"):
        document = upload(d)
        kill_where_it_waits(d, db, "begin_submission")
        assert not d.sql("SELECT 1 FROM upload_pipeline.parser_submissions")
    return document


def kill_before_the_request(d, db, parser):
    with locked(db, "SELECT pg_advisory_xact_lock(%s, 0)", (ADMISSION,)):
        document = upload(d)
        kill_where_it_waits(d, db, "reserve_cost")
        assert (None,) in d.sql("SELECT external_id FROM upload_pipeline.parser_submissions WHERE serial = 1")
        assert not posted(parser)
    return document


def kill_before_the_answer(d, db, parser):
    parser.faults(hang={"probability": 1, "count": 1, "ms": 3000, "path": UPLOAD})
    document = upload(d)
    wait_for(lambda: parser.usage()["jobs"] == 1, 20, "the submission to arrive", dump=d.log)
    kill_worker(d)
    return document


def kill_with_the_answer(d, db, parser):
    parser.faults(delay_more={"probability": 1, "count": 1, "ms": 1000, "path": UPLOAD})
    document = upload(d)
    begun = "SELECT 1 FROM upload_pipeline.usage_reservations"  # the last thing written before it is sent
    wait_for(lambda: d.sql(begun), 20, "the submission to be written down", dump=d.log)
    with locked(db, "SELECT FROM upload_pipeline.upload_jobs WHERE document_id = %s FOR UPDATE", (document,)):
        kill_where_it_waits(d, db, "answer_submission")
        assert len(posted(parser)) == 1
        assert d.sql("SELECT external_id FROM upload_pipeline.parser_submissions") == [(None,)]
    return document


def kill_with_the_answer_stored(d, db, parser):
    d.holder.hold(b"answer_submission")
    document = upload(d)
    wait_for(d.holder.held.is_set, 20, "the server's word that the answer is stored", dump=d.log)
    kill_worker(d)
    assert d.sql("SELECT 1 FROM upload_pipeline.parser_submissions WHERE external_id IS NOT NULL")
    return document


def kill_with_the_text(d, db, parser):
    document = upload(d)
    with locked(db, "SELECT FROM upload_pipeline.documents WHERE document_id = %s FOR UPDATE", (document,)):
        kill_where_it_waits(d, db, "INSERT INTO document_contents")
        assert any(e["path"].rpartition("/")[2] in ("json", "markdown", "text") for e in parser.journal())
    return document


POINTS = {
    "begin": kill_before_the_intent,
    "written": kill_before_the_request,
    "sent": kill_before_the_answer,
    "answered": kill_with_the_answer,
    "stored": kill_with_the_answer_stored,
    "fetched": kill_with_the_text,
}


def table():
    """{point: (submissions, marked)} of docs/providers.md."""
    with open(os.path.join(SOURCE, "docs", "providers.md"), encoding="utf-8") as f:
        page = f.read()
    found = re.findall(r"^\| `(\w+)` \| [^|]+ \| (\d) \| (yes|no) \|$", page, re.M)
    return {name: (int(submissions), marked == "yes") for name, submissions, marked in found}


def posted(parser):
    return [e for e in parser.journal() if e["method"] == "POST" and e["path"] == UPLOAD]


def submissions(d):
    return d.sql("SELECT serial, outcome FROM upload_pipeline.parser_submissions ORDER BY id")


def ledger(d):
    return d.sql("""SELECT act, outcome, repeated, quantity FROM upload_pipeline.usage_ledger
                    WHERE provider = 'llamaparse' ORDER BY id""")


def rows_of(d, document):
    """(chunks of the visible generation, their vectors, chunks of any other)"""
    return d.sql("""SELECT count(*) FILTER (WHERE c.generation = d.live_generation),
                           count(v) FILTER (WHERE c.generation = d.live_generation),
                           count(*) FILTER (WHERE c.generation <> d.live_generation)
                    FROM upload_pipeline.documents d JOIN upload_pipeline.document_chunks c USING (user_id, document_id)
                    LEFT JOIN upload_pipeline.vectors_1 v USING (user_id, document_id, generation, ord)
                    WHERE d.document_id = %s""", (document,))[0]


def test_every_point_of_the_table_has_its_kill():
    assert set(table()) == set(POINTS)


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_there_costs_what_the_table_says(daemon, parser, cluster, db, point):
    most, marked = table()[point]
    holder = AnswerHolder(cluster.sockets)
    try:
        d = start(daemon, parser, database__url=db.url.replace(cluster.sockets, holder.directory),
                  database__migrate_url=db.migrate_url)
        d.holder = holder
        document = d.wait_end(POINTS[point](d, db, parser))
        assert document["status"] == "complete", document
        wait_for(lambda: len(posted(parser)) == most, 10, f"{most} submissions in the journal", dump=d.log)
        chunks, vectors, others = rows_of(d, document["document_id"])
        assert (chunks, vectors, others) == (document["chunks"], document["chunks"], 0) and chunks > 0
        assert d.search("lantern")[0]["document_id"] == document["document_id"]
        ids = [i for i, in d.sql("SELECT id FROM upload_pipeline.parser_submissions ORDER BY id")]
        assert submissions(d) == ([(1, "unanswered"), (2, "complete")] if marked else [(1, "complete")])
        assert ledger(d) == [(f"submission:{ids[-1]}", "used", marked, 2)]
    finally:
        holder.close()


def test_the_request_whose_worker_died_is_in_the_ledger_as_unknown(daemon, parser, db):
    d = start(daemon, parser)
    document = d.wait_end(kill_before_the_answer(d, db, parser))
    assert document["status"] == "complete", document
    (first, second), = [[i for i, in d.sql("SELECT id FROM upload_pipeline.parser_submissions ORDER BY id")]]
    assert d.sql("SELECT act, repeated FROM upload_pipeline.usage_reservations") == [(f"submission:{first}", False)]
    d.sql("UPDATE upload_pipeline.usage_reservations SET expires_at = now()")
    wait_for(lambda: len(ledger(d)) == 2, 30, "the reservation to expire", dump=d.log)
    assert ledger(d) == [(f"submission:{second}", "used", True, 2), (f"submission:{first}", "unknown", False, 0)]
