"""Retiring, replacing, scaling and draining: the supervisor with children that behave as their pool's name says."""

import os
import signal
import time

import pytest

from harness import control
from harness.account import wait_for
from harness.supervised import COORDINATOR, pool


def up(m, name, n):
    """The pool's children when n are there, all of them ready and none retiring."""
    def look():
        children = m.children(name)
        return children if len(children) == n and all(c["phase"] in ("ready", "busy") for c in children) else None

    return wait_for(look, 10, f"{n} of {name}", dump=m.log)


def pids(children):
    return {c["pid"] for c in children}


def row(m, name):
    return next(p for p in m.status()["pools"] if p["name"] == name)


def test_a_recycled_child_is_replaced_before_it_goes(master):
    m = master(COORDINATOR, pool("slow"))
    old = up(m, "slow", 1)[0]["pid"]
    began = time.monotonic()
    assert m.call("recycle", pool="slow")["to_replace"] == 1
    new = wait_for(lambda: next((c for c in m.children("slow") if c["pid"] != old and c["phase"] == "ready"), None), 5)
    assert time.monotonic() - began < 1.2, "long before the elder has finished"
    assert {c["phase"] for c in m.children("slow")} == {"ready", "draining"}
    assert row(m, "slow")["size"] == 1 and row(m, "slow")["retiring"] == 1
    assert m.health()["ready"]["ok"]
    assert pids(up(m, "slow", 1)) == {new["pid"]}
    assert row(m, "slow")["restarts"] == 0 and row(m, "slow")["retiring"] == 0
    assert any(d["cause"] == "retired: an operator had it replaced" for d in m.status()["deaths"])


def test_a_pool_is_recycled_a_few_at_a_time(master):
    m = master(COORDINATOR, pool("slow", size=5))
    old = pids(up(m, "slow", 5))
    m.call("recycle", pool="slow")
    most = 0

    def renewed():
        nonlocal most
        children = m.children("slow")
        most = max(most, len(children))
        return len(children) == 5 and not pids(children) & old

    wait_for(renewed, 15, "all to be replaced", every=0.05, dump=m.log)
    assert 5 < most <= 7, "two successors at a time is what five have room for"


def test_a_successor_that_cannot_start_leaves_the_elder_in_service(master):
    m = master(COORDINATOR, pool("once"), keys={"supervise.backoff_first": "100ms", "supervise.backoff_cap": "100ms"})
    old = up(m, "once", 1)[0]["pid"]
    m.call("recycle", pool="once")
    wait_for(lambda: sum(c["starts"] for c in m.children("once")) > 3, 10, "some tries", dump=m.log)
    assert next(c for c in m.children("once") if c["pid"] == old)["phase"] == "retiring"
    assert m.health()["ready"]["ok"], "it serves"
    os.remove(m.run_dir + "/first")
    assert old not in pids(up(m, "once", 1))


def test_the_coordinator_is_replaced_one_after_the_other(master):
    m = master(COORDINATOR, pool("good"))
    old = m.wait_phase("coordinator", "ready")["pid"]
    up(m, "good", 1)
    m.call("recycle", pool="coordinator")
    wait_for(lambda: m.child("coordinator")["phase"] == "ready" and m.child("coordinator")["pid"] != old, 5)
    assert len(m.children("coordinator")) == 1


def test_restart_ends_all_at_once(master):
    m = master(COORDINATOR, pool("good", size=4))
    old = pids(up(m, "good", 4))
    m.call("restart", pool="good")
    wait_for(lambda: len(m.children("good")) == 4 and not pids(m.children("good")) & old, 5)
    assert all(c["last_death"] == "retired: an operator had it restarted" for c in up(m, "good", 4))


def test_a_child_that_never_finishes_is_killed_at_the_limit(master):
    m = master(COORDINATOR, pool("stubborn"), keys={"supervise.drain_timeout": "1s"})
    old = up(m, "stubborn", 1)[0]["pid"]
    m.call("recycle", pool="stubborn")
    wait_for(lambda: old not in pids(m.children("stubborn")), 6, "it to be killed", dump=m.log)
    assert any("killed by docmill (KILL)" in d["cause"] and d["pid"] == old for d in m.status()["deaths"])


def test_scale_makes_fewer_and_more(master):
    m = master(COORDINATOR, pool("good", size=4))
    first = pids(up(m, "good", 4))
    assert m.call("scale", pool="good", size="2")["size"] == 2
    assert pids(up(m, "good", 2)) < first
    m.call("scale", pool="good", size="3")
    up(m, "good", 3)
    m.call("scale", pool="good", size="auto")
    up(m, "good", 4)


def test_a_pool_grows_while_all_are_busy_and_work_comes(master):
    m = master(COORDINATOR, {"name": "toggle", "role": "worker", "min": 1, "max": 4}, pool("waker", "api"))
    first = pids(up(m, "toggle", 1))
    assert row(m, "toggle")["size"] == 1
    open(m.run_dir + "/busy", "w").close()
    began = time.monotonic()
    grown = wait_for(lambda: len(c := m.children("toggle")) == 4 and c, 10, "four children", dump=m.log)
    assert first < pids(grown) and time.monotonic() - began > 0.9, "step by step"
    m.call("scale", pool="toggle", size="2")
    wait_for(lambda: len(m.children("toggle")) == 2, 5, "an operator's word goes above")
    assert row(m, "toggle")["scaled"]


def test_idle_ones_are_kept_spare(master):
    m = master(COORDINATOR, {"name": "toggle", "role": "worker", "min": 1, "max": 6, "spare": 2})
    up(m, "toggle", 2)
    open(m.run_dir + "/busy", "w").close()
    wait_for(lambda: len(m.children("toggle")) == 6, 10)


def shrinks(m, name, least):
    """Its sizes and when each was seen first, until it has its least; the deaths of those who went."""
    before, sizes = pids(m.children(name)), []

    def look():
        children = m.children(name)
        n = sum(c["phase"] not in ("retiring", "draining") for c in children)
        if not sizes or n != sizes[-1][0]:
            sizes.append((n, time.monotonic()))
        return n == len(children) == least and row(m, name)["size"] == least

    wait_for(look, 10, f"{least} of {name}", every=0.01, dump=m.log)
    return sizes, [d for d in m.status()["deaths"] if d["pid"] in before]


def grown(m, name, n):
    open(m.run_dir + "/busy", "w").close()
    wait_for(lambda: len(up(m, name, n)) == n, 10, "it to grow", dump=m.log)
    os.remove(m.run_dir + "/busy")


def test_a_pool_shrinks_one_by_one_when_it_is_idle(master):
    m = master(COORDINATOR, {"name": "toggle", "role": "worker", "min": 1, "max": 4, "spare": 2},
               keys={"supervise.idle_timeout": "600ms"})
    up(m, "toggle", 2)
    grown(m, "toggle", 4)
    began = time.monotonic()
    first = pids(c for c in m.children("toggle") if c["slot"] < 2)
    sizes, deaths = shrinks(m, "toggle", 2)
    assert [n for n, _ in sizes] == [4, 3, 2], "one at a time, down to its spare"
    assert sizes[1][1] - began > 0.5 and sizes[2][1] - sizes[1][1] > 0.08
    assert pids(up(m, "toggle", 2)) == first
    assert [d["cause"] for d in deaths] == 2 * ["retired: the pool needs fewer children"]
    assert all(d["exit_code"] == 0 and d["signal"] == 0 for d in deaths) and row(m, "toggle")["restarts"] == 0
    grown(m, "toggle", 4)


# ---- enough done ----


def retired(m, why):
    return [d for d in m.status()["deaths"] if d["cause"] == f"retired: {why}"]


def test_a_child_that_has_done_its_jobs_is_replaced(master):
    m = master(COORDINATOR, {**pool("doer", size=2), "max_jobs": 40})
    wait_for(lambda: len(retired(m, "it has done its number of jobs")) >= 2, 15, "two to be replaced", dump=m.log)
    assert not row(m, "doer")["memory_refused"]
    assert all(c["jobs_done"] < 80 for c in m.children("doer"))


def test_a_child_that_is_old_enough_is_replaced(master):
    m = master(COORDINATOR, {**pool("good", size=3), "max_age": "3s"})
    old = pids(up(m, "good", 3))
    time.sleep(1.5)
    assert pids(m.children("good")) == old
    wait_for(lambda: len(retired(m, "it has reached its age")) >= 3, 10, "all to be replaced", dump=m.log)
    assert len(up(m, "good", 3)) == 3


def test_a_child_that_uses_too_much_memory_is_replaced(master):
    m = master(COORDINATOR, {**pool("eater"), "max_memory": "60MB"})
    wait_for(lambda: retired(m, "it uses more memory than it may"), 20, "it to be replaced", dump=m.log)
    assert row(m, "eater")["fresh_bytes"] < 20 << 20 and not row(m, "eater")["memory_refused"]


def test_a_memory_limit_below_a_fresh_child_is_refused_and_said_once(master):
    m = master(COORDINATOR, {**pool("good", size=2), "max_memory": "100KB"})
    old = pids(up(m, "good", 2))
    wait_for(lambda: row(m, "good")["memory_refused"], 10, dump=m.log)
    errors = wait_for(lambda: m.call("errors")["errors"], 5)
    assert [e["times"] for e in errors if "max_memory of pool good is 100 kB" in e["message"]] == [1], errors
    time.sleep(2)
    assert pids(m.children("good")) == old, "nobody is replaced for it"


@pytest.mark.parametrize("args, words", [
    ({"pool": "goods", "size": "1"}, 'There is no pool "goods"'),
    ({"pool": "good", "size": "5"}, "1 to 4"),
    ({"pool": "good", "size": "0"}, "1 to 4"),
    ({"pool": "good", "size": "2x"}, "1 to 4"),
    ({"pool": "good"}, "1 to 4"),
])
def test_scale_says_what_it_does_not_take(master, args, words):
    m = master(COORDINATOR, pool("good", size=4))
    with pytest.raises(control.Refused) as refused:
        m.call("scale", **args)
    assert words in str(refused.value)


def test_a_drained_node_stays_up_without_workers_until_it_is_taken_back(master):
    m = master(COORDINATOR, pool("good", size=2), pool("good-api", "api"))
    up(m, "good", 2)
    up(m, "good-api", 1)
    assert m.call("drain")["left"] == 2
    wait_for(lambda: not m.children("good"), 5, "the workers to finish")
    status = m.status()
    assert status["state"] == "drained" and row(m, "good")["drained"] and not row(m, "good-api")["drained"]
    assert m.call("drain")["left"] == 0
    reasons = m.health()["ready"]["reasons"]
    assert any("an operator drains this node" in r for r in reasons) and not any("pool good" in r for r in reasons)
    assert len(m.children("good-api")) == 1 and len(m.children("coordinator")) == 1
    m.call("drain", order="cancel")
    up(m, "good", 2)
    assert m.status()["state"] == "running" and m.health()["ready"]["ok"]


def test_one_pool_is_drained_and_the_rest_goes_on(master):
    m = master(COORDINATOR, pool("slow", size=2), pool("good"))
    up(m, "slow", 2)
    m.call("drain", pool="slow")
    wait_for(lambda: {c["phase"] for c in m.children("slow")} <= {"retiring", "draining"}, 1, every=0.01)
    wait_for(lambda: not m.children("slow"), 5)
    up(m, "good", 1)
    m.call("drain", pool="slow", order="cancel")
    up(m, "slow", 2)


def test_the_coordinator_cannot_be_drained(master):
    m = master(COORDINATOR, pool("good"))
    with pytest.raises(control.Refused):
        m.call("drain", pool="coordinator")


def test_a_drained_node_ends_when_it_is_told_to(master):
    m = master(COORDINATOR, pool("good", size=2))
    up(m, "good", 2)
    m.call("drain")
    wait_for(lambda: not m.children("good"), 5)
    m.signal(signal.SIGTERM)
    assert m.ends(5) < 2
