"""A claim that is committed after the death of the worker that asked for it, and after its jobs were released.

The claim is held in the database by a trigger that waits for a lock of the test's; meanwhile it sees nothing of its
client's end, as in the moment of a commit. The stage's deadline, which would end such a claim too, is minutes away.
"""

import contextlib
import os
import signal

import psycopg

from harness import account
from harness.account import wait_for

HOLD = 4242
POOLS = [{"name": "coordinator", "role": "coordinator", "max": 1}, {"name": "web", "role": "api", "max": 1},
         {"name": "workers", "role": "worker", "min": 1, "max": 2}]
SOON = 8
TRIGGER = f"""
CREATE FUNCTION public.hold_claim() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('client_connection_check_interval', '0', true);
    PERFORM pg_advisory_xact_lock_shared({HOLD});
    RETURN NEW;
END $$;
CREATE TRIGGER hold_claim BEFORE UPDATE ON upload_pipeline.upload_jobs FOR EACH ROW
    WHEN (OLD.state = 1 AND NEW.state = 2) EXECUTE FUNCTION public.hold_claim();
"""
REFUSE_BLAME = """
CREATE FUNCTION public.refuse_blame() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
CREATE TRIGGER refuse_blame BEFORE UPDATE ON upload_pipeline.upload_jobs FOR EACH ROW
    WHEN (NEW.crashes > OLD.crashes) EXECUTE FUNCTION public.refuse_blame();
"""
WAITS = f"""
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {HOLD} AND NOT granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@contextlib.contextmanager
def held_claim(d):
    """A document whose claim is under way, until this ends; its id."""
    with psycopg.connect(d.database.cluster.url(d.database.name), autocommit=True) as lock:
        lock.execute(TRIGGER)
        lock.execute("SELECT pg_advisory_lock(%s)", (HOLD,))
        document = d.upload(b"# late\n\nA claim that nobody has heard of.\n", "late.md").json["document_id"]
        wait_for(lambda: d.sql(WAITS) == [(1,)], 10, "a worker to claim", dump=d.log)
        yield document
        assert d.sql(WAITS) == [(1,)], "still under way"


def workers(d):
    return {c["pid"] for c in d.children("worker") if c["phase"] in ("ready", "busy")}


def kill_worker(d, other=None):
    """Not the other one. Its death has been answered by the coordinator, and its successor is there, when this returns."""
    (worker,) = workers(d) - {other}
    account.kill(worker)
    wait_for(lambda: d.status()["deaths_pending"] == 0 and workers(d) - {other, worker}, 10, dump=d.log)


def kill_coordinator(d):
    (coordinator,) = [c["pid"] for c in d.children("coordinator")]
    account.kill(coordinator)
    wait_for(lambda: any(c["pid"] != coordinator and c["phase"] in ("ready", "busy") for c in d.children("coordinator")), 10,
             dump=d.log)


def releases(d, document):
    return d.sql("SELECT reason, attempt FROM upload_pipeline.events WHERE document_id = %s AND actor = 4", (document,))


def assert_released_once_unblamed(d, document):
    assert d.wait_end(document, SOON)["status"] == "complete"
    assert releases(d, document) == [("worker_lost", 0)], "it had not been begun"


def test_a_claim_that_is_committed_after_the_release_is_released_too_and_what_the_living_hold_is_theirs(daemon):
    d = daemon(pools=POOLS)
    d.ctl("scale", "workers", "1")
    wait_for(lambda: len(workers(d)) == 1, 10)
    still, job = d.hold_worker()
    d.ctl("scale", "workers", "2")
    wait_for(lambda: len(workers(d)) == 2, 10)
    with held_claim(d) as document:
        kill_worker(d, other=still)
    assert_released_once_unblamed(d, document)
    held = "SELECT document_id, state, lease FROM upload_pipeline.upload_jobs WHERE id = %s"
    ((document, state, lease),) = d.sql(held, (job,))
    assert (state, lease) == (2, 1)
    os.kill(still, signal.SIGCONT)
    assert d.wait_end(document, SOON)["status"] == "complete" and releases(d, document) == []


def test_also_when_the_coordinator_that_released_the_others_has_died(daemon):
    d = daemon(pools=POOLS)
    with held_claim(d) as document:
        kill_worker(d)
        kill_coordinator(d)
    assert_released_once_unblamed(d, document)


def test_also_when_the_whole_node_has_died_and_lives_again(daemon):
    d = daemon(pools=POOLS, keys={"node.heartbeat": "200ms", "node.grace": "1s"})
    with held_claim(d) as document:
        d.kill_master()
        d.start()
    assert_released_once_unblamed(d, document)


def test_what_a_crash_had_in_hand_waits_for_its_evidence(daemon):
    """Its owner does not live, and it is not taken as a claim that nobody has heard of: there is a document to blame."""
    d = daemon(pools=POOLS, keys={"node.heartbeat": "200ms"})
    d.sql(REFUSE_BLAME)
    worker, job = d.hold_worker()
    os.kill(worker, signal.SIGABRT)
    os.kill(worker, signal.SIGCONT)
    wait_for(lambda: "task=release" in d.log(), 10, "the release to fail", dump=d.log)
    beat = "SELECT extract(epoch FROM heartbeat_at)::float8 FROM upload_pipeline.nodes"
    ((then,),) = d.sql(beat)
    wait_for(lambda: d.sql(beat)[0][0] > then + 1.5, 10, "the coordinator to do all that it does every second")
    assert d.status()["deaths_pending"] == 1
    d.sql("DROP TRIGGER refuse_blame ON upload_pipeline.upload_jobs")
    wait_for(lambda: d.status()["deaths_pending"] == 0, 10, dump=d.log)
    assert d.sql("SELECT crashes FROM upload_pipeline.upload_jobs WHERE id = %s", (job,)) == [(1,)]
    d.wait_all(SOON)
