"""Children that hang: found, asked where they are, ended; and what only looks like hanging is left alone."""

import os
import re
import signal
import time

import pytest

from harness import account
from harness.account import wait_for
from harness.programs import build_dir
from harness.proxy import Silence
from harness.supervised import COORDINATOR, pool
from test_supervisor import POOLS, assert_all_done, holder, upload_many

QUICK = {"supervise.hang_timeout": "1s"}
asan = pytest.mark.skipif("asan" in build_dir(), reason="crashes are the sanitizer's there")


def death(m, pool_name, words, limit=20):
    def look():
        return next((d for d in m.status()["deaths"] if d["pool"] == pool_name and words in d["cause"]), None)

    return wait_for(look, limit, f"{pool_name} to die: {words}", dump=m.log)


def test_an_endless_loop_is_ended_and_says_where_it_was(master):
    m = master(COORDINATOR, pool("spinner"), keys=QUICK)
    d = death(m, "spinner", "killed by docmill (TERM): it hung: its loop did not move for ")
    assert re.match(r"docmilld\+0x[0-9a-f]+ docmilld\+0x", d["trace"]), d
    line = next(line for line in m.log().splitlines() if "where the child was" in line)
    second = wait_for(lambda: len([x for x in m.log().splitlines() if "where the child was" in x]) > 1, 15)
    assert second, "each of them says it"
    assert f'trace="{d["trace"]}"' in line and re.search(r"build_id=[0-9a-f]{40}", line) and "signal=USR2" in line


def test_a_blocked_read_is_ended_and_says_where_it_was(master):
    m = master(COORDINATOR, pool("blocked"), keys=QUICK)
    d = death(m, "blocked", "killed by docmill (KILL): it hung: its loop did not move for ")
    assert d["trace"].startswith("libc.so.6+0x") and " docmilld+0x" in d["trace"], d


def test_a_stopped_child_cannot_say_where_it_was(master):
    m = master(COORDINATOR, pool("good"), keys=QUICK)
    os.kill(m.wait_phase("good", "ready")["pid"], signal.SIGSTOP)
    d = death(m, "good", "killed by docmill (KILL): it hung")
    assert d["trace"] is None
    assert "child hangs and did not say where; TERM" in m.log()


def test_work_that_never_gets_on_is_ended_though_the_loop_beats(master):
    m = master(COORDINATOR, pool("stuck"), keys={"queue.stage_deadline": "2s", "parser.timeout": "1s"})
    assert death(m, "stuck", "it hung: its work did not get on for 2")["trace"]


def test_who_is_late_or_does_not_finish_says_where_it_was_too(master):
    m = master(COORDINATOR, pool("mute"), pool("stubborn"),
               keys={"supervise.ready_timeout": "1s", "supervise.drain_timeout": "1s"})
    d = death(m, "mute", "killed by docmill (KILL): was not ready in time")
    assert "docmilld+0x" in d["trace"], d
    wait_for(lambda: m.child("stubborn")["phase"] == "ready", 5)
    m.call("recycle", pool="stubborn")
    assert "docmilld+0x" in death(m, "stubborn", "killed by docmill (KILL): it was to go")["trace"]


def test_one_that_hangs_leaves_the_others_alone(master):
    m = master(COORDINATOR, pool("spinner"), pool("good", size=2), keys=QUICK)
    death(m, "spinner", "it hung")
    assert [c["starts"] for c in m.children("good")] == [1, 1]


@asan
@pytest.mark.parametrize("name, cause", [("fragile", "killed by signal 6 (ABRT)"), ("segv", "killed by signal 11 (SEGV)")])
def test_a_crash_says_where_it_was(master, name, cause):
    m = master(COORDINATOR, pool(name))
    d = death(m, name, cause)
    assert "docmilld+0x" in d["trace"], d
    line = next(line for line in m.log().splitlines() if "where the child was" in line)
    assert ("address=0x18" in line) == (name == "segv"), line


def test_a_frozen_master_calls_nobody_hung_for_it(master):
    m = master(COORDINATOR, pool("good", size=2), keys=QUICK)
    wait_for(lambda: all(c["phase"] == "ready" for c in m.children("good")), 10)
    time.sleep(0.5)
    pids = {c["pid"] for c in m.children("good")}
    below = account.descendants(m.process.pid)
    for pid in (m.process.pid, *below):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(6.5)
    for pid in (m.process.pid, *below):
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: "was held up" in m.log(), 5)
    time.sleep(1.5)
    assert {c["pid"] for c in m.children("good")} == pids, m.log()


# ---- what only looks like hanging ----

PATIENT = {"supervise.hang_timeout": "2s", "database.statement_timeout": "4s", "database.connect_timeout": "4s"}


def hung(d):
    return [x for x in d.status()["deaths"] if "it hung" in x["cause"]]


def test_a_database_that_accepts_and_never_answers_makes_nobody_hang(daemon, cluster, db):
    silence = Silence(cluster.sockets)
    try:
        d = daemon(keys={**PATIENT, "database.migrate_url": db.migrate_url,
                         "database.url": db.url.replace(cluster.sockets, silence.directory)}, pools=POOLS)
        upload_many(d, 12, paragraphs=200)
        wait_for(lambda: holder(d), 30)
        silence.on.set()
        wait_for(lambda: any("database" in r for r in d.health()["ready"]["reasons"]), 20, "it to be missed")
        time.sleep(3)  # longer than hang_timeout: loops beat while they wait
        assert not hung(d), d.log()[-3000:]
        silence.on.clear()
        assert_all_done(d, 12)
    finally:
        silence.close()


def test_a_service_that_drips_makes_nobody_hang(daemon, mock):
    service = mock("openai", "--key", "sk-test")
    keys = {**PATIENT, "embedder.name": "openai", "embedder.dimension": 64, "openai.base_url": service.url + "/v1",
            "openai.api_key": "sk-test", "openai.model": "text-embedding-3-small", "openai.timeout": "3s",
            "http.allow_private": "127.0.0.1", "queue.retry_first": "50ms", "queue.retry_cap": "500ms",
            "breaker.failures": 1000}
    d = daemon(keys=keys, pools=POOLS)
    service.faults(drip={"bytes": 1, "ms": 200, "count": 1})
    upload_many(d, 1, paragraphs=3)
    assert_all_done(d, 1)
    assert d.status()["uptime_ms"] > 3000, "it dripped past the deadline"
    assert not hung(d) and "child is gone" not in d.log()


# ---- the real roles ----


def loop_for_ever(pid):
    """Puts a jump to itself where the process will go on: what is interrupted in a system call returns into it."""
    with open(f"/proc/{pid}/syscall", encoding="ascii") as f:
        fields = f.read().split()
    if fields[0] == "running":
        return False
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(int(fields[-1], 16))
        memory.write(b"\xeb\xfe")
    return True


@pytest.mark.skipif(os.geteuid() != 0 or os.uname().machine != "x86_64", reason="needs root, and writes x86 code")
def test_a_worker_in_an_endless_loop_is_replaced_and_its_jobs_are_done(daemon):
    d = daemon(keys={"supervise.hang_timeout": "2s", "queue.max_attempts": 100}, pools=POOLS)
    upload_many(d, 12, paragraphs=300)
    busy = wait_for(lambda: holder(d), 30)
    wait_for(lambda: loop_for_ever(busy["pid"]), 10, "it to be in a system call", every=0.001)
    found = wait_for(lambda: next((x for x in d.status()["deaths"] if x["pid"] == busy["pid"]), None), 20)
    assert "it hung" in found["cause"] and found["trace"], found
    assert_all_done(d, 12)


@asan
@pytest.mark.parametrize("role", ["coordinator", "api", "worker"])
def test_each_role_says_where_it_crashed(daemon, role):
    d = daemon(pools=POOLS)
    pid = d.children(role)[0]["pid"]
    account.kill(pid, signal.SIGABRT)
    found = wait_for(lambda: next((x for x in d.status()["deaths"] if x["pid"] == pid), None), 10)
    assert found["cause"].startswith("killed by signal 6 (ABRT), not by docmill") and "docmilld+0x" in found["trace"], found
    d.wait_ready()
