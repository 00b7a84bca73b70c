"""test_kill.py - whatever is killed, the rows that come out are those of an undisturbed run

Short versions run in the quick suite on generated documents; those marked long (scripts/test-kill) run on 200 documents
of the corpus, with 100 kills, at least five in each stage.
"""

import glob
import http.client
import os
import time

import pytest

from harness import account, documents
from harness.account import wait_for
from harness.killer import Killer
from harness.proxy import CommitCutter

QUICK_RETRY = {"supervise.backoff_first": "20ms", "supervise.backoff_cap": "200ms", "queue.retry_first": "50ms",
               "queue.retry_cap": "500ms", "database.connect_timeout": "2s"}

# Everything a reader can see, without times and counters.
FINGERPRINT = {
    "documents": """SELECT document_id::text, encode(sha256, 'hex'), encode(parsed_sha256, 'hex'), chunks, pages, j.status
                    FROM upload_pipeline.documents d JOIN upload_pipeline.upload_jobs j USING (user_id, document_id)""",
    "chunks": """SELECT c.document_id::text, c.ord, c.chunk_id::text, c.byte_start, c.byte_end, c.heading_path, c.page,
                        md5(c.text)
                 FROM upload_pipeline.document_chunks c JOIN upload_pipeline.documents d USING (user_id, document_id)
                 WHERE c.generation = d.live_generation""",
    "vectors": """SELECT v.document_id::text, v.ord, md5(vector_send(v.embedding))
                  FROM upload_pipeline.vectors_1 v JOIN upload_pipeline.documents d USING (user_id, document_id)
                  WHERE v.generation = d.live_generation""",
}


def generated(number):
    """Small and middling documents of three types, and a few large ones, whose chunks are stored in slices."""
    made = {}
    for i in range(number):
        if i % 5 == 0:
            made[f"{i}.pdf"] = documents.pdf(5 + i, f"lantern{i} " + "mill wheel " * 8)
        elif i % 5 == 1:
            body = "".join(f"<h2>Part {k}</h2><p>{documents.prose(80, i + k)}</p>" for k in range(20))
            made[f"{i}.html"] = f"<!doctype html><html><body><h1>Lantern {i}</h1>{body}</body></html>".encode()
        elif i % 15 == 2:
            made[f"{i}.md"] = documents.markdown(f"Lantern {i}", sections=40, words=6000, seed=i)
        else:
            made[f"{i}.md"] = documents.markdown(f"Lantern {i}", sections=3 + (i * 37) % 60, words=150, seed=i)
    return made


def of_corpus(number):
    folder = os.environ.get("DOCMILL_CORPUS", "")
    if not os.path.isdir(folder):
        pytest.skip("DOCMILL_CORPUS names no corpus (scripts/corpus makes it)")
    made = {}
    for path in sorted(p for p in glob.glob(folder + "/*/*") if os.path.isfile(p)):
        with open(path, "rb") as f:
            made[os.path.basename(path)] = f.read()
    # every kind and size stays in it
    step = max(1, len(made) - number)
    left_out = set(list(made)[::max(1, len(made) // step)][:len(made) - number]) if len(made) > number else set()
    return {name: content for name, content in made.items() if name not in left_out}


def upload_all(d, files, patient=False):
    """With patience: again, as a client would, when a child or the database goes away in the middle."""
    for name, content in files.items():
        end = time.monotonic() + 60
        while True:
            try:
                answer = d.upload(content, name, unix=False)
                if answer.status in (200, 202):
                    break
                assert patient and answer.status in (500, 503), answer
            except (OSError, http.client.HTTPException):
                assert patient
            assert time.monotonic() < end, f"could not upload {name}"
            time.sleep(0.05)


def fingerprint(database):
    return {what: sorted(database.sql(text), key=repr) for what, text in FINGERPRINT.items()}


_undisturbed = {}


def undisturbed(cluster, daemon, files):
    """The rows of a run in a fresh database in which nothing happened."""
    key = tuple(sorted(files))
    if key not in _undisturbed:
        database = cluster.create_database()
        d = daemon(database=database)
        upload_all(d, files)
        d.wait_all(600)
        _undisturbed[key] = fingerprint(database)
        d.stop()
        database.drop()
    return _undisturbed[key]


def assert_same_as_undisturbed(d, expected):
    failed = d.sql("""SELECT d.filename, j.status, j.attempt, j.crashes, t.error_reason, t.error_message
                      FROM upload_pipeline.documents d JOIN upload_pipeline.upload_jobs j USING (user_id, document_id)
                      JOIN upload_pipeline.upload_job_details t ON t.job_id = j.id WHERE j.status <> 10""")
    assert not failed, failed
    found = fingerprint(d.database)
    for what, rows in expected.items():
        assert len(found[what]) == len(rows), what
        different = [(a, b) for a, b in zip(found[what], rows) if a != b]
        assert not different, (what, different[:3])


def assert_attempts_are_own(d, hits):
    """A job's attempts are one, and one more for each time that it was itself in a killed worker's hands."""
    for job, attempt in d.sql("SELECT id::text, attempt FROM upload_pipeline.upload_jobs"):
        assert attempt <= 1 + hits.get(job, 0), f"job {job}: attempt {attempt}, killed {hits.get(job, 0)} times"


def open_jobs(d):
    return d.sql("SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state < 6")[0][0]


def kill_workers(cluster, daemon, files, kills, in_each_stage, limit):
    expected = undisturbed(cluster, daemon, files)
    no_workers = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1}]
    d = daemon(keys={**QUICK_RETRY, "queue.max_attempts": 50, "queue.crash_budget": 50}, pools=no_workers)
    upload_all(d, files)
    d.stop()
    d.pools = no_workers + [{"name": "w", "role": "worker", "min": 2, "max": 2}]
    d.start()
    master = d.pid
    killer = Killer(d, kills, in_each_stage)
    killer.run(lambda: open_jobs(d) == 0, limit)
    print(f"kills by stage: {killer.by_stage}, torn slots: {killer.torn}")
    assert killer.enough(), f"the ingest ended after {killer.total()} kills: {killer.by_stage}"
    d.wait_all(limit)
    assert d.alive and d.pid == master
    assert_same_as_undisturbed(d, expected)
    assert_attempts_are_own(d, killer.hits)


def test_killed_workers_lose_and_double_nothing(cluster, daemon):
    kill_workers(cluster, daemon, generated(60), kills=15, in_each_stage=2, limit=60)


@pytest.mark.long
def test_hundred_killed_workers_lose_and_double_nothing(cluster, daemon):
    kill_workers(cluster, daemon, of_corpus(200), kills=100, in_each_stage=5, limit=1200)


def kill_role(cluster, daemon, files, role, kills, limit):
    expected = undisturbed(cluster, daemon, files)
    d = daemon(keys=QUICK_RETRY)
    master, names, killed = d.pid, list(files), 0
    share = max(1, len(names) // kills)
    for at in range(0, len(names), share):
        upload_all(d, {n: files[n] for n in names[at:at + share]}, patient=True)
        if killed < kills:
            victims = wait_for(lambda: d.children(role), 20, f"a child of role {role}", dump=d.log)
            killed += account.kill(victims[0]["pid"])
    assert killed >= kills
    d.wait_all(limit)
    assert d.alive and d.pid == master
    assert_same_as_undisturbed(d, expected)
    assert_attempts_are_own(d, {})


@pytest.mark.parametrize("role", ["coordinator", "api"])
def test_a_killed_role_loses_nothing(cluster, daemon, role):
    kill_role(cluster, daemon, generated(60), role, kills=4, limit=60)


@pytest.mark.long
@pytest.mark.parametrize("role", ["coordinator", "api"])
def test_a_role_killed_again_and_again_loses_nothing(cluster, daemon, role):
    kill_role(cluster, daemon, of_corpus(200), role, kills=40, limit=600)


def restart_database(cluster, own_cluster, daemon, files, restarts, limit):
    expected = undisturbed(cluster, daemon, files)
    d = daemon(keys=QUICK_RETRY, database=own_cluster.create_database())
    master, names, done = d.pid, list(files), 0
    share = max(1, len(names) // restarts)
    for at in range(0, len(names), share):
        upload_all(d, {n: files[n] for n in names[at:at + share]}, patient=True)
        if done < restarts:
            own_cluster.stop(immediate=done % 2 == 0)
            time.sleep(0.3)
            assert d.alive and d.status()["pid"] == master
            own_cluster.start()
            done += 1
    d.wait_all(limit)
    assert d.alive and d.pid == master
    assert_same_as_undisturbed(d, expected)
    wait_for(lambda: d.health()["ok"], 60, "health after the last restart", dump=d.log)


def test_a_restarted_database_loses_nothing(cluster, own_cluster, daemon):
    restart_database(cluster, own_cluster, daemon, generated(60), restarts=2, limit=90)


@pytest.mark.long
def test_a_database_restarted_again_and_again_loses_nothing(cluster, own_cluster, daemon):
    restart_database(cluster, own_cluster, daemon, of_corpus(200), restarts=10, limit=900)


def cut_around_commit(cluster, daemon, db, files, every, limit):
    expected = undisturbed(cluster, daemon, files)
    cutter = CommitCutter(cluster.sockets, every)
    try:
        url = db.url.replace(cluster.sockets, cutter.directory)
        d = daemon(keys={**QUICK_RETRY, "database.url": url, "database.migrate_url": db.migrate_url})
        upload_all(d, files, patient=True)
        d.wait_all(limit)
        cutter.armed = False
        assert min(cutter.cuts.values()) >= 3, cutter.cuts
        assert_same_as_undisturbed(d, expected)
        doubled = d.sql("""SELECT job_id, lease, to_status, count(*) FROM upload_pipeline.events
                           WHERE from_status <> to_status GROUP BY 1, 2, 3 HAVING count(*) > 1""")
        assert doubled == []
    finally:
        cutter.close()


def test_connections_cut_around_commit_lose_and_double_nothing(cluster, daemon, db):
    cut_around_commit(cluster, daemon, db, generated(60), every=5, limit=90)


@pytest.mark.long
def test_many_connections_cut_around_commit_lose_and_double_nothing(cluster, daemon, db):
    cut_around_commit(cluster, daemon, db, of_corpus(200), every=4, limit=900)
