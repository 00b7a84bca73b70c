"""The supervisor with the real roles and a database: nothing is lost, and everything can be asked at any time."""

import os
import random
import signal
import time

import pytest

from harness import account
from harness.account import wait_for

POOLS = [{"name": "coordinator", "role": "coordinator", "min": 1, "max": 1},
         {"name": "api", "role": "api", "min": 1, "max": 1},
         {"name": "workers", "role": "worker", "min": 3, "max": 3}]


def prose(number, paragraphs):
    words = random.Random(number)
    lines = [f"# Document {number}", ""]
    for i in range(paragraphs):
        lines += [f"## Part {i}", "", " ".join(f"word{words.randrange(5000)}" for _ in range(200)), ""]
    return "\n".join(lines).encode()


def upload_many(daemon, n, paragraphs=40, first=0):
    for i in range(first, first + n):
        answer = daemon.upload(prose(i, paragraphs), f"d{i}.md")
        assert answer.status == 202, answer


def counts(daemon):
    """Every document's end, its chunks and its vectors."""
    return daemon.sql("""SELECT d.filename, j.state, j.attempt,
          (SELECT count(*) FROM upload_pipeline.document_chunks c WHERE c.document_id = d.document_id)
        FROM upload_pipeline.documents d JOIN upload_pipeline.upload_jobs j USING (document_id) ORDER BY 1""")


def assert_all_done(daemon, n):
    daemon.wait_all(120)
    rows = counts(daemon)
    assert len(rows) == n
    assert not (bad := [r for r in rows if r[1] != 6 or r[3] == 0]), bad


def holder(daemon):
    """A worker with jobs in hand, or None."""
    return next((c for c in daemon.children("worker") if c["in_hand"] > 0), None)


def test_kill_9_of_busy_workers_loses_nothing(daemon):
    # Each unexplained kill is an attempt of the one document that was alone in hand, and this test hits the same again
    # and again: what is shown here is the supervisor's part.
    d = daemon(keys={"queue.max_attempts": 100}, pools=POOLS)
    upload_many(d, 16, paragraphs=450)  # large ones: small ones are done as fast as they arrive
    killed = set()
    while len(killed) < 12 and (busy := wait_for(lambda: holder(d) or done(d), 30)) is not True:
        account.kill(busy["pid"])
        killed.add(busy["pid"])
        time.sleep(0.05)
    assert_all_done(d, 16)
    assert len(killed) >= 3, "too few kills to prove anything"
    wait_for(lambda: restarts(d) == len(killed), 10, "one start for each death")
    wait_for(lambda: d.status()["deaths_pending"] == 0, 10, "the coordinator to have heard of all")


def restarts(d):
    return sum(p["restarts"] for p in d.status()["pools"] if p["name"] == "workers")


def done(d):
    return not d.sql("SELECT 1 FROM upload_pipeline.upload_jobs WHERE state < 6 LIMIT 1")


def test_a_worker_and_the_coordinator_killed_together_lose_nothing(daemon):
    d = daemon(keys={"queue.max_attempts": 100}, pools=POOLS)
    upload_many(d, 30)
    for _ in range(3):
        busy = wait_for(lambda: holder(d) or done(d), 30)
        if busy is True:
            break
        account.kill(busy["pid"])
        for c in d.children("coordinator"):
            account.kill(c["pid"])
        time.sleep(0.3)
    assert_all_done(d, 30)
    wait_for(lambda: d.status()["deaths_pending"] == 0, 10)


def test_a_stopped_worker_gives_up_its_jobs(daemon):
    d = daemon(keys={"supervise.hang_timeout": "2s"}, pools=POOLS)
    upload_many(d, 30)
    busy = wait_for(lambda: holder(d), 30)
    os.kill(busy["pid"], signal.SIGSTOP)
    assert_all_done(d, 30)
    wait_for(lambda: any("it hung" in x["cause"] for x in d.status()["deaths"]) or holder_is_idle(d, busy["pid"]), 20)


def holder_is_idle(d, pid):
    """It had nothing in hand when the stop took hold; it is replaced all the same."""
    return pid not in {c["pid"] for c in d.children("worker")}


def test_what_is_in_hand_at_the_end_is_done_after_the_next_start(daemon):
    d = daemon(pools=POOLS[:2])
    text = prose(0, 400)
    for i in range(12):  # large ones, all there before the first worker: the stops come long before the end of the work
        assert d.upload(f"# Number {i}\n\n".encode() + text, f"d{i}.md").status == 202
    d.stop()
    d.pools = POOLS
    for number in (signal.SIGTERM, signal.SIGQUIT):
        d.start()
        wait_for(lambda: holder(d), 30)
        began = time.monotonic()
        assert d.stop(number) == 0
        assert time.monotonic() - began < 15
        left = d.sql("SELECT count(*) FILTER (WHERE state = 2), count(*) FILTER (WHERE state < 6) "
                     "FROM upload_pipeline.upload_jobs")[0]
        if number == signal.SIGTERM:
            assert left[0] == 0, "a drain hands back what it does not finish"
        assert left[1] > 0, "it ended before everything was done, or nothing is shown"
    d.start()
    assert_all_done(d, 12)


def test_status_is_answered_while_the_database_is_away(daemon, own_cluster):
    d = daemon(pools=POOLS, database=own_cluster.create_database())
    upload_many(d, 3)
    d.wait_all()
    wait_for(lambda: d.status()["queue"], 20)
    own_cluster.stop(immediate=True)
    health = wait_for(lambda: not (h := d.health())["ok"] and h, 20)
    assert health["live"]["ok"] and any("database" in r for r in health["ready"]["reasons"]), health
    for _ in range(5):
        began = time.monotonic()
        status = d.status()
        assert time.monotonic() - began < 0.5
        assert not status["ready"] and status["totals"]["jobs_done"] == 3
        time.sleep(0.2)
    own_cluster.start()
    d.wait_ready(60)  # the api's own connections too
    upload_many(d, 3, first=10)
    assert_all_done(d, 6)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: reads /proc of processes that cannot be dumped")
def test_the_master_is_small_alone_and_holds_no_connection(daemon):
    d = daemon(pools=POOLS)
    upload_many(d, 10)
    assert_all_done(d, 10)
    assert os.listdir(f"/proc/{d.pid}/task") == [str(d.pid)], "one thread"
    with open(f"/proc/{d.pid}/status", encoding="ascii") as f:
        memory = {line.split(":")[0]: line.split()[1] for line in f if line.startswith("Rss")}
    if "ASAN_OPTIONS" not in os.environ and "asan" not in os.environ.get("DOCMILL_BUILD", ""):
        assert int(memory["RssAnon"]) + int(memory["RssShmem"]) < 4096, memory
        with open(f"/proc/{d.pid}/smaps_rollup", encoding="ascii") as f:
            share = int(next(line.split()[1] for line in f if line.startswith("Pss:")))
        assert share < 10 * 1024, "what it has in common with its children is counted once among them"
    with open(f"/proc/{d.pid}/net/tcp", encoding="ascii") as f:
        inodes = {line.split()[9] for line in f.readlines()[1:] if line.split()[3] == "01"}
    links = [os.readlink(f"/proc/{d.pid}/fd/{n}") for n in os.listdir(f"/proc/{d.pid}/fd")]
    assert not [x for x in links if x.startswith("socket:") and x[8:-1] in inodes], links


def test_processes_say_in_ps_what_they_are(daemon):
    d = daemon(pools=POOLS)
    expected = ["--child api api/0", "--child coordinator coordinator/0", "--child worker workers/0",
                "--child worker workers/1", "--child worker workers/2"]

    def titles():  # also of what a worker starts for a moment, or before it has a title
        return sorted(account.command_of(pid).partition(" ")[2] for pid in account.descendants(d.pid))

    wait_for(lambda: titles() == expected, 10, "only processes with their titles")


def test_a_port_that_is_taken_is_named(daemon):
    first = daemon(pools=POOLS)
    second = daemon(pools=POOLS, start=False)
    second.keys["api.listen"] = f"127.0.0.1:{first.port}"
    second.start(ready=False)
    assert second.process.wait(15) == 1
    second.process = None
    assert "Address already in use" in second.log()
