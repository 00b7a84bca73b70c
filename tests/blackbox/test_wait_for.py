"""wait ready, drained, idle"""

import json
import os
import signal
import subprocess
import time

from harness import account
from harness.account import wait_for

POOLS = [{"name": "coordinator", "role": "coordinator"}, {"name": "api", "role": "api", "min": 1, "max": 1},
         {"name": "work", "role": "worker", "min": 1, "max": 1}]


def begin(one, *more):
    return account.popen([f"{one.programs}/docmillctl", "wait", "--run-dir", one.run_dir, *more],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process, limit=30):
    said, why = process.communicate(timeout=limit)
    return process.returncode, said, why


def test_ready_waits_for_a_daemon_that_is_not_there_yet(daemon):
    one = daemon(pools=POOLS, start=False)
    late = one.ctl("wait", "ready", "--timeout", "300ms", check=False, as_json=False)
    assert late.returncode == 6 and "not ready in time: No docmilld answers" in late.stderr
    waiting = begin(one, "ready")
    assert waiting.stderr.readline().startswith("waiting: No docmilld answers on ")
    one.start(ready=False)
    status, said, _ = end(waiting)
    assert (status, said) == (0, "ready\n")
    assert one.is_ready()
    assert one.ctl("wait", "ready")["is"] == "ready"


def test_ready_says_what_is_missing(daemon):
    one = daemon(pools=POOLS)
    worker = one.children("worker")[0]["pid"]
    os.kill(one.children("coordinator")[0]["pid"], signal.SIGSTOP)
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: one.children("worker") and one.children("worker")[0]["pid"] != worker, 10, "another worker")
    os.kill(one.children("coordinator")[0]["pid"], signal.SIGCONT)
    assert end(begin(one, "ready"))[0] == 0


def test_drained_waits_for_what_is_in_hand(daemon):
    one = daemon(pools=POOLS, keys={"queue.claim_batch": 1})
    refused = one.ctl("wait", "drained", "--timeout", "300ms", check=False, as_json=False)
    assert refused.returncode == 6 and "no pool is drained: docmillctl drain, or docmillctl pause all" in refused.stderr
    worker, _ = one.hold_worker()
    try:
        one.ctl("pause", "all")
        waiting = begin(one, "drained")
        assert waiting.stderr.readline() == "waiting: 1 job in hand\n"
        assert waiting.poll() is None
    finally:
        os.kill(worker, signal.SIGCONT)
    status, said, _ = end(waiting)
    assert (status, said) == (0, "drained\n")
    assert not any(c["in_hand"] for c in one.children("worker"))
    one.ctl("resume", "all")


def test_drained_is_true_of_drained_pools_and_of_a_daemon_that_went_away(daemon):
    one = daemon(pools=POOLS)
    one.ctl("drain")
    assert one.ctl("wait", "drained", "--timeout", "20s")["is"] == "drained"
    assert not one.children("worker")
    one.ctl("drain", "cancel")
    one.wait_ready()
    waiting = begin(one, "drained")
    assert "no pool is drained" in waiting.stderr.readline()
    one.stop()
    assert end(waiting)[:2] == (0, "drained\n")
    absent = one.ctl("wait", "drained", check=False, as_json=False)
    assert absent.returncode == 3, "it was not there to begin with"


def test_idle_believes_a_count_that_is_newer_than_the_question(daemon):
    one = daemon(pools=POOLS)
    assert one.ctl("wait", "idle", "--timeout", "20s")["is"] == "idle"
    one.ctl("pause", "all")
    one.upload(b"# Waits\n\nfor somebody", "waits.md")
    waiting = begin(one, "idle", "--timeout", "20s")
    words = [waiting.stderr.readline() for _ in range(2)]
    assert "waiting: 1 job not finished, and work is paused: docmillctl pause\n" in words
    one.ctl("resume", "all")
    status, said, _ = end(waiting)
    assert (status, said) == (0, "idle\n")
    assert not one.sql("SELECT 1 FROM upload_pipeline.upload_jobs WHERE state < 6")


def test_states_of_the_daemon_and_ids_are_told_apart(daemon):
    one = daemon(pools=POOLS)
    done = one.put(b"# Done\n\nlong ago", "done.md")
    assert one.ctl("wait", done["document_id"])["open"] == 0
    assert one.ctl("wait")["documents"] == 1
    mixed = one.ctl("wait", "idle", done["document_id"], check=False, as_json=False)
    assert mixed.returncode == 2 and '"idle" is waited for by itself' in mixed.stderr
    started = time.monotonic()
    unknown = one.ctl("wait", "redy", check=False)
    assert unknown.returncode == 4 and json.loads(unknown.stderr)["reason"] == "bad_request"
    assert time.monotonic() - started < 5
