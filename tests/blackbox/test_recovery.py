"""test_recovery.py - who takes over: other nodes, another leader, the coordinator for the crashed, the late and the stale

Nodes are masters of different names over one database and one blob store.
"""

import os
import signal
import time

import psycopg
import pytest

from harness import account, documents
from harness.account import wait_for

LEADER_LOCK = 1684865026
FAST = {"node.grace": "1s", "node.heartbeat": "200ms", "queue.retry_first": "100ms", "queue.retry_cap": "500ms",
        "supervise.backoff_first": "50ms", "retention.generations": "1s"}
COORDINATOR_AND_API = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1}]


def pools(workers):
    return COORDINATOR_AND_API + [{"name": "w", "role": "worker", "min": workers, "max": workers}]


def large(number):
    return documents.markdown(f"Large {number}", sections=60, words=4000, seed=number)


def in_hand(d):
    """The workers that have begun a job, with the jobs that they have begun."""
    begun = {c["pid"]: [j["job_id"] for j in c["jobs"] if j["status"] is not None] for c in d.children("worker")}
    return {pid: jobs for pid, jobs in begun.items() if jobs}


def stop_with(d, least, most, limit=60):
    """Stops (SIGSTOP) a worker that has begun at least `least` and at most `most` jobs; (pid, jobs)."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        for pid in in_hand(d):
            if account.kill(pid, signal.SIGSTOP):
                time.sleep(0.02)
                jobs = in_hand(d).get(pid, [])
                if least <= len(jobs) <= most:
                    return pid, jobs
                account.kill(pid, signal.SIGCONT)
        time.sleep(0.005)
    raise AssertionError(f"no worker had {least} to {most} jobs in hand")


def crash(pid):
    """As a program's own fault, sent to a worker that stands still: SIGABRT, which sanitizers leave alone."""
    os.kill(pid, signal.SIGABRT)
    account.kill(pid, signal.SIGCONT)


def all_complete(d, n):
    d.wait_all(120)
    assert d.sql("SELECT status, count(*) FROM upload_pipeline.upload_jobs GROUP BY 1") == [(10, n)]
    assert d.sql("""SELECT count(*) FROM upload_pipeline.documents d WHERE d.chunks = 0 OR d.chunks <>
                    (SELECT count(*) FROM upload_pipeline.vectors_1 v
                     WHERE v.document_id = d.document_id AND v.generation = d.live_generation)""") == [(0,)]


def leaders(d):
    return [row[0] for row in d.sql("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND granted "
                                    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                                    (LEADER_LOCK,))]


def test_a_dead_nodes_jobs_are_taken_by_the_other_node(daemon):
    first = daemon(keys=FAST, pools=pools(1))
    second = daemon(keys={**FAST, "blob.fs.root": first.blobs}, pools=COORDINATOR_AND_API)
    for i in range(3):
        assert first.upload(large(i), f"{i}.md").status == 202
    wait_for(lambda: in_hand(first), 30, "work in hand", dump=first.log)
    first.kill_master()
    taken = "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 2"
    wait_for(lambda: second.sql(taken) == [(0,)], 30, "the dead node's jobs to be taken back", dump=second.log)
    wait_for(lambda: second.sql("SELECT count(*) FROM upload_pipeline.nodes WHERE name = %s",
                                (first.keys["node.name"],)) == [(0,)], 30, "the dead node to be forgotten")
    assert second.sql("SELECT count(*) > 0 FROM upload_pipeline.events WHERE actor = 4 AND reason = 'worker_lost'") == [
        (True,)]
    second.stop()
    second.pools = pools(2)
    second.start()
    all_complete(second, 3)
    assert second.sql("SELECT max(crashes) FROM upload_pipeline.upload_jobs") == [(0,)]


def test_when_the_leader_goes_the_other_node_leads_and_sweeps(daemon):
    first = daemon(keys=FAST, pools=pools(1))
    held = wait_for(lambda: leaders(first), 20, "a leader", dump=first.log)
    second = daemon(keys={**FAST, "blob.fs.root": first.blobs}, pools=pools(1))
    assert leaders(second) == held, "a second node does not take the lock away"
    first.stop()
    wait_for(lambda: (now := leaders(second)) and now != held, 20, "the second node to lead", dump=second.log)
    assert len(leaders(second)) == 1
    leave_a_stale_generation(second)
    wait_for(lambda: rows_of_generation(second, 77) == 0, 20, "the new leader to sweep", dump=second.log)


def leave_a_stale_generation(d):
    """What a dead attempt leaves: rows under a generation that no reader uses, listed as stale."""
    document = d.put(documents.markdown("Kept"), "kept.md")
    columns = "ord, chunk_id, byte_start, byte_end, overlap, tokens, page, sha256, heading_path, text"
    d.sql(f"""INSERT INTO upload_pipeline.document_chunks (user_id, document_id, generation, {columns})
              SELECT user_id, document_id, 77, {columns} FROM upload_pipeline.document_chunks""")
    d.sql("""INSERT INTO upload_pipeline.stale_generations (user_id, document_id, generation, since)
             SELECT user_id, document_id, g, now() - interval '1 hour' FROM upload_pipeline.documents,
             LATERAL (VALUES (77), (live_generation)) AS v(g)""")
    assert document["status"] == "complete"
    return document


def rows_of_generation(d, generation):
    return d.sql("SELECT count(*) FROM upload_pipeline.document_chunks WHERE generation = %s", (generation,))[0][0]


def test_stale_generations_are_swept_and_a_visible_one_never_even_if_it_is_listed(daemon):
    d = daemon(keys=FAST)
    document = leave_a_stale_generation(d)
    wait_for(lambda: d.sql("SELECT count(*) FROM upload_pipeline.stale_generations") == [(0,)], 20, "the sweep",
             dump=d.log)
    assert rows_of_generation(d, 77) == 0
    assert rows_of_generation(d, 1) == document["chunks"] > 0
    assert d.search("Kept")[0]["document_id"] == document["document_id"]


def test_old_partitions_of_events_go_and_coming_ones_are_made(daemon):
    d = daemon(keys=FAST, start=False)
    d.sql("CREATE TABLE upload_pipeline.events_202001 PARTITION OF upload_pipeline.events "
          "FOR VALUES FROM ('2020-01-01 00:00Z') TO ('2020-02-01 00:00Z')")
    d.sql("ALTER TABLE upload_pipeline.events_202001 OWNER TO docmill_owner")
    d.start()
    names = "SELECT relname FROM pg_class WHERE relname ~ '^events_[0-9]{6}$' ORDER BY 1"
    found = wait_for(lambda: (n := [r[0] for r in d.sql(names)]) and "events_202001" not in n and n, 20, "the partitions",
                     dump=d.log)
    assert found == [r[0] for r in d.sql("""SELECT 'events_' || to_char(date_trunc('month', now() AT TIME ZONE 'UTC')
                                              + make_interval(months => i), 'YYYYMM') FROM generate_series(0, 2) i""")]
    d.put(documents.markdown("Dated"), "dated.md")
    assert d.sql(f"SELECT count(*) > 0 FROM upload_pipeline.{found[0]}") == [(True,)]


def test_a_document_that_crashes_its_worker_twice_is_quarantined_with_evidence(daemon):
    d = daemon(keys={**FAST, "queue.crash_budget": 2}, pools=pools(1))
    document_id = d.upload(large(1), "poison.md").json["document_id"]
    for _ in range(2):
        pid, _ = stop_with(d, 1, 1)
        crash(pid)
        wait_for(lambda gone=pid: account.gone(gone), 10, "the crash")
    document = d.wait_end(document_id)
    assert (document["state"], document["error_reason"]) == ("quarantined", "crashed_worker"), document
    evidence, crashes = d.sql("""SELECT evidence, crashes FROM upload_pipeline.upload_job_details
                                 JOIN upload_pipeline.upload_jobs j ON j.id = job_id""")[0]
    assert crashes == 2 and evidence["signal"] in (signal.SIGABRT, "ABRT", "SIGABRT"), evidence
    assert d.put(documents.markdown("Next"), "next.md")["status"] == "complete"


def test_those_that_were_in_hand_together_at_a_crash_are_blamed_for_nothing_and_end_complete(daemon):
    d = daemon(keys=FAST, pools=COORDINATOR_AND_API)
    for i in range(60):
        assert d.upload(documents.markdown(f"Small {i}", sections=120, words=150, seed=i), f"{i}.md").status == 202
    d.stop()
    d.pools = pools(1)
    d.start()
    pid, jobs = stop_with(d, 2, 100)
    crash(pid)
    marked = wait_for(lambda: [r for r in d.sql("""SELECT j.job_id::text FROM upload_pipeline.events j
                                                   WHERE actor = 4 AND reason = 'worker_lost'""")], 20, "the release")
    assert set(jobs) <= {r[0] for r in marked}
    all_complete(d, 60)
    assert d.sql("SELECT max(crashes), bool_or(suspect) FROM upload_pipeline.upload_jobs") == [(0, False)]


def drops_its_job(d, pid, job):
    """The other worker finishes the document of a worker that stands still, which then wakes up and writes nothing."""
    wait_for(lambda: d.sql("SELECT status FROM upload_pipeline.upload_jobs WHERE id = %s", (job,)) == [(10,)], 30,
             "the other worker to complete it", dump=d.log)
    lease = d.sql("SELECT lease FROM upload_pipeline.upload_jobs WHERE id = %s", (job,))[0][0]
    assert lease >= 3, "claimed, taken away, claimed by the other"
    assert d.sql("SELECT count(*) > 0 FROM upload_pipeline.events WHERE reason = 'stage_deadline'") == [(True,)]
    events = "SELECT count(*) FROM upload_pipeline.events"
    before = d.sql(events)
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: pid not in in_hand(d), 30, "the late worker to drop it", dump=d.log)
    assert d.sql(events) == before
    all_complete(d, 1)


STANDS_STILL = {**FAST, "queue.stage_deadline": "1s", "parser.timeout": "700ms", "supervise.hang_timeout": "120s"}


def test_a_worker_that_stands_still_past_the_deadline_loses_its_job_and_writes_nothing_afterwards(daemon):
    """Wherever it was: in a transaction too, which the server ends."""
    d = daemon(keys=STANDS_STILL, pools=pools(2))
    d.upload(large(7), "late.md")
    pid, jobs = stop_with(d, 1, 1)
    drops_its_job(d, pid, jobs[0])


def test_a_worker_that_stands_still_inside_a_transaction_does_not_keep_the_rows_that_it_locked(daemon, db):
    d = daemon(keys=STANDS_STILL, pools=pools(2), database=db)
    waiting = """SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                 AND query LIKE '%document_chunks%' AND xact_start < query_start"""
    idle = """SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'
              AND application_name = 'docmill worker'"""
    with psycopg.connect(db.cluster.url(db.name)) as lock:
        lock.execute("LOCK TABLE upload_pipeline.document_chunks IN SHARE MODE")
        d.upload(documents.markdown("Small", sections=3, words=100), "small.md")  # one that the socket takes as a whole
        wait_for(lambda: d.sql(waiting), 20, "a worker in the middle of its transaction", every=0.02, dump=d.log)
        pid, jobs = stop_with(d, 1, 1)
    wait_for(lambda: d.sql(idle), 10, "the server to have done what it was told", every=0.02, dump=d.log)
    locked = "SELECT 1 FROM upload_pipeline.upload_jobs FOR UPDATE SKIP LOCKED"
    assert d.sql(locked) == [], "the job's row is in the transaction"
    drops_its_job(d, pid, jobs[0])


@pytest.mark.parametrize("immediate", [False, True], ids=["in order", "crashed"])
def test_after_a_restart_of_the_database_no_node_is_taken_for_dead(daemon, own_cluster, immediate):
    """All locks are free then, while every worker lives."""
    database = own_cluster.create_database()
    first = daemon(keys={**FAST, "node.grace": "4s"}, database=database, pools=pools(1))
    second = daemon(keys={**FAST, "node.grace": "4s", "blob.fs.root": first.blobs}, database=database, pools=pools(1))
    for i in range(4):
        assert first.upload(large(i), f"{i}.md").status == 202
    wait_for(lambda: in_hand(first), 30, "work in hand", dump=first.log)
    own_cluster.stop(immediate=immediate)
    own_cluster.start()
    for d in (first, second):
        wait_for(lambda d=d: d.health()["ok"], 60, "health", dump=d.log)
    all_complete(first, 4)
    assert len(leaders(first)) == 1
    names = {r[0] for r in first.sql("SELECT name FROM upload_pipeline.nodes")}
    assert names == {first.keys["node.name"], second.keys["node.name"]}
    assert first.sql("SELECT max(attempt) FROM upload_pipeline.upload_jobs") == [(1,)]
