"""Everything at once: children are killed, stopped and crashed at random while the daemon reloads, scales, drains and
replaces them, in whatever order chance brings. Afterwards nothing may be left of it: every pool as it should be, every
death told once, no descriptor, no zombie and no child too many."""

import contextlib
import os
import random
import signal
import time

import pytest

from harness import control
from harness.account import kill, wait_for
from harness.supervised import COORDINATOR, pool

SIZES = {"good": (2, 5), "toggle": (1, 4), "slow": (1, 2), "doer": (1, 3), "good-api": (1, 3)}
KEYS = {"reload.canary_idle": "50ms", "reload.canary_timeout": "2s", "supervise.drain_timeout": "2s",
        "supervise.ready_timeout": "3s", "supervise.backoff_first": "100ms", "supervise.backoff_cap": "400ms",
        "supervise.fail_deaths": 0, "supervise.hang_timeout": "4s", "log.level": "debug", "log.burst": 100000}
SIGNALS = (signal.SIGKILL,) * 6 + (signal.SIGTERM, signal.SIGXCPU, signal.SIGABRT, signal.SIGSTOP)


def pools(chance=None):
    """All of them, or most, of sizes within their own."""
    made = [COORDINATOR]
    for name, (low, high) in SIZES.items():
        if chance and chance.random() < 0.15 and name != "good-api":
            continue
        most = chance.randint(low, high) if chance else high
        made.append({"name": name, "role": "api" if "api" in name else "worker", "min": low, "max": most})
    return made


class Turmoil:
    def __init__(self, m, seed):
        self.m, self.chance, self.refused = m, random.Random(seed), 0
        self.stopped, self.done = [], {}

    def children(self):
        return [c for c in self.m.status()["children"] if c["pid"]]

    def strike(self):
        child = self.chance.choice(self.children() or [None])
        number = self.chance.choice(SIGNALS)
        if child is None:
            return
        if number == signal.SIGSTOP:
            self.stopped.append((time.monotonic() + self.chance.random() * 0.3, child["pid"]))
        kill(child["pid"], number)

    def release(self, all_of_them=False):
        now = time.monotonic()
        for at, pid in [s for s in self.stopped if all_of_them or s[0] <= now]:
            kill(pid, signal.SIGCONT)
            self.stopped.remove((at, pid))

    def reload(self):
        self.m.write_conf({"queue.claim_batch": self.chance.randint(1, 9),
                           "openai.organization": self.chance.choice(["a", "b"])}, pools(self.chance))
        if self.chance.random() < 0.3:
            self.m.signal(signal.SIGHUP)
        else:
            self.m.call("reload", mode=self.chance.choice(["run", "run", "plan"]))

    def order(self):
        name = self.chance.choice([*SIZES, "coordinator"])
        verb = self.chance.choice(["recycle", "restart", "reset", "scale", "scale", "drain", "drain", "drain"])
        args = {"pool": name}
        if verb == "scale":
            args["size"] = self.chance.choice(["1", "2", "3", "auto"])
        if verb == "drain":
            args["order"] = self.chance.choice(["begin", "cancel", "cancel"])
        self.m.call(verb, **args)

    def step(self):
        what = self.chance.choice([self.strike] * 5 + [self.reload] + [self.order] * 3 + [self.mark_busy, self.reopen])
        self.release()
        self.done[what.__name__] = self.done.get(what.__name__, 0) + 1
        try:
            what()
        except control.Refused:
            self.refused += 1
        time.sleep(self.chance.random() * 0.04)

    def mark_busy(self):
        path = self.m.run_dir + "/busy"
        if os.path.exists(path):
            os.unlink(path)
        else:
            open(path, "w", encoding="ascii").close()

    def reopen(self):
        self.m.signal(signal.SIGUSR1)

    def calm(self):
        """All orders taken back, and the first configuration again."""
        self.release(all_of_them=True)
        if os.path.exists(self.m.run_dir + "/busy"):
            self.mark_busy()
        self.m.call("drain", order="cancel")
        wait_for(lambda: (self.m.status()["reload"] or {}).get("outcome") != "running", 60, "the last reload to end",
                 dump=self.m.log)
        self.m.write_conf({"queue.claim_batch": 10, "openai.organization": "end"}, pools())
        wait_for(self.reload_to_the_end, 60, "a reload that is done", dump=self.m.log)
        for name in SIZES:
            self.m.call("scale", pool=name, size="auto")
            self.m.call("reset", pool=name)

    def reload_to_the_end(self):
        try:
            return self.m.wait_reload(self.m.call("reload")["number"], 60)["ok"]
        except control.Refused:
            return False


def own_descriptors(m):
    """The master's, less the two that each child costs."""
    return len(os.listdir(f"/proc/{m.process.pid}/fd")) - 2 * len(children(m))


def children(m):
    with open(f"/proc/{m.process.pid}/task/{m.process.pid}/children", encoding="ascii") as f:
        return sorted(int(pid) for pid in f.read().split())


def at_rest(m):
    """Nothing is under way."""
    status = m.status()
    whole = all(p["ready"] == p["size"] >= p["min"] and not p["retiring"] and not p["backoff"] and not p["starting"]
                for p in status["pools"])
    return status if whole and not status["deaths_pending"] and not status["audit"]["pending"] else None


def assert_nothing_is_left(m, before):
    status = wait_for(lambda: at_rest(m), 30, "every pool to be as it should be", dump=m.log)
    assert {p["name"] for p in status["pools"]} == {*SIZES, "coordinator"}
    known = sorted(c["pid"] for c in status["children"] if c["pid"])
    assert children(m) == known, "no zombie, nobody whom the master does not know"
    wait_for(lambda: own_descriptors(m) == before, 5, f"{before} descriptors again")
    assert status["totals"]["starts"] - status["totals"]["deaths"] == len(known)
    # A dead worker is told to a coordinator that may die with it unheard: at least once, that is.
    told = {d["serial"] for d in m.deaths()}
    workers = [d for d in status["deaths"] if d["pool"] not in ("coordinator", "good-api")]
    assert {d["serial"] for d in workers} <= told, "every death of a worker"


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_left_of_a_turmoil(master, seed):
    seconds = float(os.environ.get("DOCMILL_TEST_TURMOIL_SECONDS", "20"))
    m = master(*pools(), keys=KEYS)
    m.signal(signal.SIGTERM)
    m.ends(10)
    m.write_conf({"log.file": m.dir + "/log"})
    m.start()
    wait_for(lambda: at_rest(m), 20, "the start", dump=m.log)
    before = min(own_descriptors(m) for _ in range(20) if not time.sleep(0.01))  # less who is just asking
    turmoil = Turmoil(m, int(os.environ.get("DOCMILL_TEST_SEED", "0")) * 100 + seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        turmoil.step()
    turmoil.calm()
    assert_nothing_is_left(m, before)
    m.signal(signal.SIGTERM)
    m.ends(10)


@pytest.mark.long
@pytest.mark.parametrize("number, limit", [(signal.SIGTERM, 8), (signal.SIGQUIT, 3)])
def test_it_can_be_ended_in_the_midst_of_a_turmoil(master, number, limit):
    m = master(*pools(), keys=KEYS)
    for seed in range(8):
        turmoil = Turmoil(m, seed)
        for _ in range(turmoil.chance.randint(5, 60)):
            turmoil.step()
        m.signal(number)
        if seed % 2 and number == signal.SIGTERM:
            with contextlib.suppress(OSError):  # it may be gone
                turmoil.strike()
        m.ends(limit)
        m.write_conf({"queue.claim_batch": 10}, pools())
        m.start()
        wait_for(lambda: at_rest(m), 20, "the start", dump=m.log)
