"""Reload, with children that misbehave on demand: the master is the real one, the children do as the new configuration
tells them (helper_child.c, obey...). With real roles and documents: test_reload_served.py."""

import os
import signal
import time

import pytest

from harness import account, control
from harness.account import wait_for
from harness.supervised import COORDINATOR, pool

QUICK = {"reload.canary_idle": "200ms", "supervise.drain_timeout": "3s"}
TELL = "openai.organization"


def pids(m, name):
    return {c["pid"] for c in m.children(name) if c["pid"] and c["phase"] not in ("draining", "retiring")}


def wait_pids(m, name, n):
    return wait_for(lambda: p if len(p := pids(m, name)) == n and all(c["phase"] == "ready" for c in m.children(name)
                                                                       if c["pid"] in p) else None, 10,
                    f"{n} children of {name}", dump=m.log)


def ready(m, **sizes):
    return {name: wait_pids(m, name, n) for name, n in sizes.items()}


# ---- good ones ----


def test_a_change_replaces_those_who_see_it_and_nobody_else(master):
    m = master(COORDINATOR, pool("obey", size=3), pool("good", "api"), keys=QUICK)
    before = ready(m, obey=3, good=1, coordinator=1)
    report = m.reload({"queue.claim_batch": 3})
    assert report["outcome"] == "done" and report["ok"], report
    assert report["changes"] == [{"key": "queue.claim_batch", "from": "16", "to": "3", "needs_restart": False}]
    assert report["pools"] == [{"pool": "obey", "role": "worker", "fate": "replaced", "children": 3}]
    after = ready(m, obey=3, good=1, coordinator=1)
    assert not after["obey"] & before["obey"]
    assert (after["good"], after["coordinator"]) == (before["good"], before["coordinator"])
    assert m.status()["generation"] == 1


def test_the_coordinator_is_replaced_too_when_it_sees_a_change(master):
    m = master(COORDINATOR, pool("good"), keys=QUICK)
    before = ready(m, good=1, coordinator=1)
    assert m.reload({"node.heartbeat": "4s"})["ok"]
    after = ready(m, good=1, coordinator=1)
    assert after["coordinator"] != before["coordinator"] and after["good"] == before["good"]


def test_the_masters_own_keys_apply_at_once(master):
    m = master(COORDINATOR, pool("good"), keys={**QUICK, "log.level": "debug"})
    before = ready(m, good=1, coordinator=1)
    report = m.reload({"supervise.hang_timeout": "50s", "log.level": "error"})
    assert report["outcome"] == "done" and report["pools"] == [], report
    assert ready(m, good=1, coordinator=1) == before
    lines = m.log().count("level=info")
    m.call("status")
    m.signal(signal.SIGHUP)
    wait_for(lambda: m.status()["reload"]["number"] == 2 and m.status()["reload"]["outcome"] == "unchanged", 5)
    assert m.log().count("level=info") == lines, "the level counts from then on"


def test_hup_does_what_the_verb_does(master):
    m = master(COORDINATOR, pool("obey"), keys=QUICK)
    before = ready(m, obey=1)
    m.write_conf({"queue.claim_batch": 3})
    m.signal(signal.SIGHUP)
    report = wait_for(lambda: r if (r := m.status()["reload"]) and r["outcome"] == "done" else None, 10, dump=m.log)
    assert report["number"] == 1
    assert ready(m, obey=1)["obey"] != before["obey"]
    assert m.call("reload-status", number="1")["by"] == "HUP"


def test_what_is_the_same_does_nothing(master):
    m = master(COORDINATOR, pool("good"), keys=QUICK)
    before = ready(m, good=1, coordinator=1)
    report = m.reload()
    assert report["outcome"] == "unchanged" and report["ok"] and report["changes"] == []
    assert ready(m, good=1, coordinator=1) == before


def test_keys_that_need_a_restart_are_named_keep_their_value_and_the_rest_applies(master):
    m = master(COORDINATOR, pool("obey"), keys=QUICK)
    before = ready(m, obey=1)
    report = m.reload({"embedder.dimension": 64, "queue.claim_batch": 3, "node.name": "another"})
    assert report["outcome"] == "done"
    assert {c["key"]: (c["from"], c["to"], c["needs_restart"]) for c in report["changes"]} == {
        "embedder.dimension": ("512", "64", True), "node.name": ('"supervised"', '"another"', True),
        "queue.claim_batch": ("16", "3", False)}
    assert m.status()["restart_pending"] == "node.name, embedder.dimension"
    assert m.status()["node"] == "supervised"
    assert ready(m, obey=1)["obey"] != before["obey"]
    report = m.reload()
    assert report["outcome"] == "unchanged" and len(report["changes"]) == 2, "they are named each time"
    m.reload({"embedder.dimension": 512, "node.name": "supervised"})
    assert m.status()["restart_pending"] is None


def test_pools_come_go_grow_and_shrink(master):
    m = master(COORDINATOR, pool("good", size=1), pool("good-old", size=2), keys=QUICK)
    before = ready(m, good=1, **{"good-old": 2})
    report = m.reload(pools=[COORDINATOR, pool("good", size=4), pool("good-new", size=2)])
    assert report["outcome"] == "done", report
    assert {p["pool"]: p["fate"] for p in report["pools"]} == {"good": "resized", "good-old": "gone", "good-new": "new",
                                                             "coordinator": "replaced"}, "it publishes their sizes"
    after = ready(m, good=4, **{"good-new": 2})
    assert before["good"] < after["good"]
    wait_for(lambda: not m.children("good-old"), 10, "the former pool to be gone", dump=m.log)
    assert "good-old" not in [p["name"] for p in m.status()["pools"]]
    report = m.reload(pools=[COORDINATOR, pool("good", size=2), pool("good-third", size=3)])
    assert report["outcome"] == "done", report
    ready(m, good=2, **{"good-third": 3})
    wait_for(lambda: [p["name"] for p in m.status()["pools"]] == ["coordinator", "good", "good-third"], 5)
    assert m.health()["ok"], m.health()


# ---- bad ones ----


def test_a_new_pool_begins_without_the_faults_of_one_that_is_gone(master):
    m = master(COORDINATOR, pool("vanish"), keys=QUICK)
    m.wait_dead("vanish", "exited with status 3")
    assert m.reload(pools=[COORDINATOR])["ok"]
    wait_for(lambda: [p["name"] for p in m.status()["pools"]] == ["coordinator"], 5, "the pool to be gone")
    assert m.reload(pools=[COORDINATOR, pool("good")])["ok"]
    new = m.status()["pools"][1]
    assert (new["name"], new["fault"], new["faults"]) == ("good", None, 0)
    assert m.child("good")["last_death"] is None


def test_a_broken_file_keeps_everything_and_names_its_line(master):
    m = master(COORDINATOR, pool("obey"), keys=QUICK)
    before = ready(m, obey=1, coordinator=1)
    with open(m.dir + "/conf", "a", encoding="utf-8") as f:
        f.write('queue = { claim_batch = "many"; };\n')
    lines = len(open(m.dir + "/conf", encoding="utf-8").readlines())
    report = m.wait_reload(m.call("reload")["number"])
    assert report["outcome"] == "refused" and not report["ok"]
    assert report["error"]["reason"] == "bad_config"
    assert f"{m.dir}/conf:{lines}: queue.claim_batch: " in report["error"]["message"]
    assert ready(m, obey=1, coordinator=1) == before
    assert m.status()["generation"] == 0
    assert m.reload({"queue.claim_batch": 5})["ok"], "a good one is taken after it"


def test_a_file_that_is_gone_keeps_everything(master):
    m = master(COORDINATOR, pool("good"), keys=QUICK)
    ready(m, good=1)
    os.unlink(m.dir + "/conf")
    report = m.wait_reload(m.call("reload")["number"])
    assert report["outcome"] == "refused" and m.dir + "/conf" in report["error"]["message"]
    assert m.health()["ready"]["ok"]


@pytest.mark.parametrize("how, words", [
    ("fatal", "exited with status 70: bad_request: it is written so"),
    ("crash", "the first child with the new configuration died: killed by signal 6 (ABRT)"),
    ("mute", "was not ready in time"),
    ("busy", "neither finished a job nor rested in time"),
    ("denied", "The outside service refuses the key"),
])
def test_a_canary_that_fails_brings_the_former_configuration_back(master, how, words):
    m = master(COORDINATOR, pool("obey", size=3), keys={**QUICK, "reload.canary_idle": "1s", "supervise.ready_timeout": "2s",
                                                        "reload.canary_timeout": "2s", TELL: "good"})
    before = ready(m, obey=3)["obey"]
    report = m.reload({TELL: how})
    assert report["outcome"] == "taken-back" and not report["ok"], report
    assert words in report["error"]["message"], report["error"]
    after = ready(m, obey=3)["obey"]
    assert len(before & after) >= 2, "the others were never touched"
    assert m.status()["generation"] == 0
    assert any(words in e["message"] for e in m.call("errors")["errors"])
    assert m.reload({TELL: "done"})["outcome"] == "done"
    ready(m, obey=3)


def test_a_canary_of_another_pool_takes_all_back(master):
    m = master(COORDINATOR, pool("good", size=2), pool("obey", "api", size=2), keys=QUICK)
    before = ready(m, good=2, obey=2)
    report = m.reload({TELL: "fatal"})  # the workers are replaced first, and take it
    assert report["outcome"] == "taken-back" and "pool obey" in report["error"]["message"], report
    after = ready(m, good=2, obey=2)
    assert not before["good"] & after["good"], "replaced, and replaced again"
    assert m.status()["generation"] == 0
    assert m.health()["ready"]["ok"]


def test_a_new_pool_that_cannot_start_takes_all_back(master):
    m = master(COORDINATOR, pool("good"), keys=QUICK)
    before = ready(m, good=1)
    report = m.reload({"queue.claim_batch": 3}, pools=[COORDINATOR, pool("good"), pool("fatal", size=2)])
    assert report["outcome"] == "taken-back" and "pool fatal" in report["error"]["message"], report
    assert ready(m, good=1)["good"] != before["good"]
    wait_for(lambda: [p["name"] for p in m.status()["pools"]] == ["coordinator", "good"], 5)
    assert m.health()["ready"]["ok"]
    assert m.reload(pools=[COORDINATOR, pool("good"), pool("good-second")])["ok"]


def test_a_child_with_one_place_serves_on_while_its_canary_fails(master):
    m = master(COORDINATOR, pool("obey"), keys={**QUICK, TELL: "good"})
    before = ready(m, obey=1)["obey"]
    assert m.reload({TELL: "fatal"})["outcome"] == "taken-back"
    wait_for(lambda: len(m.children("obey")) == 1, 10)
    assert [d for d in m.status()["deaths"] if d["pid"] in before and "killed" in d["cause"]] == []


def test_a_pool_that_cannot_start_is_cured_by_a_reload(master):
    m = master(COORDINATOR, pool("obey", size=2), keys={**QUICK, TELL: "fatal"})
    wait_for(lambda: all(c["phase"] == "backoff" for c in m.children("obey")), 10, dump=m.log)
    report = m.reload({TELL: "done"})
    assert report["outcome"] == "done", report
    ready(m, obey=2)


def test_a_file_and_keys_that_stay_may_not_go_together(master):
    m = master(COORDINATOR, pool("good"), keys={**QUICK, "search.index": "none"})
    ready(m, good=1)
    report = m.reload(pools=[COORDINATOR, {"name": "good", "role": "api", "max": 1}])
    assert report["outcome"] == "refused" and "has the role worker" in report["error"]["message"], report


# ---- dry runs and plans ----


def test_a_dry_run_shows_the_plan_and_does_nothing(master):
    m = master(COORDINATOR, pool("obey", size=2), keys=QUICK)
    before = ready(m, obey=2, coordinator=1)
    report = m.reload({"queue.claim_batch": 3, "embedder.dimension": 64}, mode="plan",
                      pools=[COORDINATOR, pool("obey", size=2), pool("fatal")])
    assert report["outcome"] == "planned" and report["ok"] and report["dry_run"]
    assert [c["key"] for c in report["changes"]] == ["embedder.dimension", "queue.claim_batch", "pools.fatal"]
    assert {p["pool"]: p["fate"] for p in report["pools"]} == {"obey": "replaced", "fatal": "new", "coordinator": "replaced"}
    assert ready(m, obey=2, coordinator=1) == before
    assert m.status()["generation"] == 0 and m.status()["restart_pending"] is None


def test_a_plan_is_carried_out_only_as_it_was_shown(master):
    m = master(COORDINATOR, pool("obey"), keys=QUICK)
    ready(m, obey=1)
    plan = m.reload({"queue.claim_batch": 3}, mode="plan")["plan"]
    report = m.reload({"queue.claim_batch": 4}, plan=plan)
    assert report["outcome"] == "refused" and report["error"]["reason"] == "conflict", report
    assert plan in report["error"]["message"]
    assert m.reload({"queue.claim_batch": 3}, plan=plan)["outcome"] == "done"
    assert m.reload(plan=plan)["outcome"] == "refused", "it was a plan for what ran before"


def test_a_dry_run_of_a_broken_file_says_why(master):
    m = master(COORDINATOR, pool("good"), keys=QUICK)
    ready(m, good=1)
    report = m.reload({"queue.claim_batch": 0}, mode="plan")
    assert report["outcome"] == "refused" and "queue.claim_batch" in report["error"]["message"]


# ---- one at a time; amid other things ----


def slow_canary(m, **keys):
    """Begins a reload whose canary stays on trial."""
    m.write_conf({TELL: "busy", **keys})
    number = m.call("reload")["number"]
    wait_for(lambda: m.call("reload-status", number=str(number))["state"] == "canary", 10, dump=m.log)
    return number


def test_a_second_one_is_refused_while_a_canary_is_on_trial_and_hup_is_remembered(master):
    m = master(COORDINATOR, pool("obey", size=2), keys={**QUICK, "reload.canary_timeout": "3s"})
    ready(m, obey=2)
    number = slow_canary(m)
    with pytest.raises(control.Refused, match=f"Reload {number} runs"):
        m.call("reload")
    with pytest.raises(control.Refused, match=f"Reload {number} runs"):
        m.call("reload", mode="plan")
    m.write_conf({TELL: "done"})
    m.signal(signal.SIGHUP)
    m.signal(signal.SIGHUP)
    assert m.wait_reload(number)["outcome"] == "taken-back"
    assert m.wait_reload(number + 1)["outcome"] == "done"
    time.sleep(0.3)
    assert m.status()["reload"]["number"] == number + 1, "several are one"


def test_term_during_a_reload_ends_everything(master):
    m = master(COORDINATOR, pool("obey", size=2), keys=QUICK)
    ready(m, obey=2)
    slow_canary(m)
    m.signal(signal.SIGTERM)
    m.signal(signal.SIGHUP)
    assert m.ends(8) < 6
    assert "outcome=abandoned" in m.log()


def test_a_stopping_daemon_reloads_nothing(master):
    m = master(COORDINATOR, pool("stubborn"), keys={**QUICK, "supervise.drain_timeout": "2s"})
    ready(m, stubborn=1)
    m.signal(signal.SIGTERM)
    wait_for(lambda: m.status()["state"] == "draining", 3)
    with pytest.raises(control.Refused, match="stopping"):
        m.call("reload")


def test_the_coordinators_crash_during_a_reload_is_survived(master):
    m = master(COORDINATOR, pool("obey", size=2), keys={**QUICK, "reload.canary_idle": "2s"})
    before = ready(m, obey=2, coordinator=1)
    m.write_conf({"queue.claim_batch": 3, "node.grace": "40s"})
    number = m.call("reload")["number"]
    wait_for(lambda: m.call("reload-status", number=str(number))["state"] == "canary", 10)
    os.kill(before["coordinator"].pop(), signal.SIGKILL)
    assert m.wait_reload(number)["outcome"] == "done"
    ready(m, obey=2, coordinator=1)


def test_a_worker_that_dies_before_its_turn_starts_with_the_former_configuration(master):
    m = master(COORDINATOR, pool("obey", size=3), keys={**QUICK, "reload.canary_timeout": "4s", TELL: "good"})
    before = ready(m, obey=3)["obey"]
    number = slow_canary(m)
    victim = next(c["pid"] for c in m.children("obey") if c["pid"] in before and c["phase"] == "ready")
    os.kill(victim, signal.SIGKILL)
    successor = wait_for(lambda: next((c for c in m.children("obey") if c["phase"] == "ready" and c["pid"] not in before),
                                      None), 5, dump=m.log)
    assert m.call("reload-status", number=str(number))["outcome"] == "running"
    assert successor["phase"] == "ready", "it would be busy with the new one"
    m.wait_reload(number)
    assert successor["pid"] in ready(m, obey=3)["obey"]


@pytest.mark.parametrize("verb, args", [("restart", {}), ("recycle", {}), ("scale", {"size": "1"})])
def test_who_is_sent_away_on_trial_is_no_failure_and_another_goes_ahead(master, verb, args):
    m = master(COORDINATOR, {**pool("obey", size=2), "min": 1, "spare": 2}, keys={**QUICK, "reload.canary_idle": "400ms"})
    ready(m, obey=2)
    m.write_conf({"queue.claim_batch": 3})
    number = m.call("reload")["number"]
    wait_for(lambda: any(c["phase"] == "retiring" or c["phase"] == "draining" for c in m.children("obey"))
             or m.log().count("child is ready\" pool=obey") == 3, 5, "the first one to be replaced", every=0.01)
    m.call(verb, pool="obey", **args)
    report = m.wait_reload(number, 10)
    assert report["outcome"] == "done", report
    assert m.status()["generation"] == 1


def test_a_size_that_only_the_new_configuration_allowed_goes_with_it(master):
    m = master(COORDINATOR, pool("obey"), keys={**QUICK, "reload.canary_timeout": "1s"})
    ready(m, obey=1)
    m.write_conf({TELL: "busy"}, [COORDINATOR, {**pool("obey", size=3), "min": 1}])
    number = m.call("reload")["number"]
    wait_for(lambda: m.call("reload-status", number=str(number))["state"] == "canary", 5, every=0.01)
    assert m.call("scale", pool="obey", size="3")["size"] == 3
    assert m.wait_reload(number, 15)["outcome"] == "taken-back"
    ready(m, obey=1)
    assert [(p["size"], p["max"], p["scaled"]) for p in m.status()["pools"] if p["name"] == "obey"] == [(1, 1, False)]


def test_a_chosen_child_that_is_killed_before_its_relief_leaves_it_to_another_to_go_ahead(master):
    m = master(COORDINATOR, pool("slow"), keys={**QUICK, "reload.canary_idle": "50ms"})
    elder = ready(m, slow=1)["slow"]
    m.call("recycle", pool="slow")
    chosen = wait_for(lambda: (p := pids(m, "slow") - elder) and p, 5, "its successor, and no slot that is free")
    wait_for(lambda: any(c["phase"] == "ready" and c["pid"] in chosen for c in m.children("slow")), 5)
    m.write_conf({"queue.claim_batch": 3})
    number = m.call("reload")["number"]
    wait_for(lambda: m.call("reload-status", number=str(number))["state"] == "canary", 5, every=0.01)
    os.kill(chosen.pop(), signal.SIGKILL)
    assert m.wait_reload(number, 10)["outcome"] == "done"


def test_a_drained_pool_gets_the_new_configuration_when_it_is_wanted_again(master):
    m = master(COORDINATOR, pool("obey", size=2), keys=QUICK)
    ready(m, obey=2)
    m.call("drain", pool="obey")
    wait_for(lambda: not pids(m, "obey"), 5)
    assert m.reload({TELL: "busy"})["outcome"] == "done"
    m.call("drain", pool="obey", order="cancel")
    wait_for(lambda: [c["phase"] for c in m.children("obey")] == ["busy", "busy"], 5, dump=m.log)


# ---- systemd ----


def heard(m, wanted):
    said = []
    while not any(wanted in text for text in said):
        said.append(m.notify.recv(4096).decode())
    return said


def monotonic_of(text):
    return int(dict(line.split("=", 1) for line in text.splitlines())["MONOTONIC_USEC"])


def test_systemd_hears_when_a_reload_begins_and_ends(master):
    m = master(COORDINATOR, pool("obey"), keys=QUICK, notify=True)
    heard(m, "READY=1")
    before = time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6
    m.write_conf({"queue.claim_batch": 3})
    m.signal(signal.SIGHUP)
    said = heard(m, "RELOADING=1")
    assert before <= monotonic_of(said[-1]) <= time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6
    heard(m, "READY=1")
    assert m.status()["reload"]["outcome"] == "done", "READY comes when it is over"


def test_systemd_hears_the_end_of_a_reload_that_failed_and_why(master):
    m = master(COORDINATOR, pool("obey"), keys=QUICK, notify=True)
    heard(m, "READY=1")
    m.write_conf({"queue.claim_batch": 0})
    m.signal(signal.SIGHUP)
    heard(m, "RELOADING=1")
    said = heard(m, "READY=1")
    said += [] if any("reload 1 failed" in s for s in said) else heard(m, "reload 1 failed")
    assert any("reload 1 failed: " in s and "queue.claim_batch" in s for s in said), said
    m.reload({"queue.claim_batch": 3}, mode="plan")
    m.notify.settimeout(0.5)
    with pytest.raises(TimeoutError):
        heard(m, "RELOADING=1")


def test_systemd_is_not_left_waiting_for_a_hup_that_could_not_begin(master):
    m = master(COORDINATOR, pool("obey"), keys=QUICK, notify=True)
    heard(m, "READY=1")
    limit = ["prlimit", f"--pid={m.process.pid}"]
    before = account.run(limit + ["--nofile", "--output=SOFT", "--noheadings"]).stdout.strip()
    used = {int(n) for n in os.listdir(f"/proc/{m.process.pid}/fd")}
    free = next(n for n in range(1000) if n not in used)
    account.run(limit + [f"--nofile={free + 1}:"])  # one is left: not enough for the reader, but to tell systemd
    m.signal(signal.SIGHUP)
    wait_for(lambda: "HUP did nothing" in m.log(), 5)
    heard(m, "RELOADING=1")
    heard(m, "READY=1")
    account.run(limit + [f"--nofile={before}:"])
    assert m.reload({"queue.claim_batch": 3})["outcome"] == "done"
