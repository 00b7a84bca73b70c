"""supervisor.py - what the master costs, and how soon it puts another worker in a dead one's place

Each figure has a limit. The first is of the real daemon on a real database; the others are of the real master over the
tests' children (helper_child), since 256 workers need more memory and connections than the machine of a test has:

successor  kill -9 of an idle worker until the master hears that its successor is connected and may claim
status     a `status` with 256 workers, from the request's first byte to the answer's last, over a connection that stays
crowd      `status` while 1,000 half-open clients are at the socket: crowded.py
at rest    processor time of the master with 256 workers that have nothing to do, as a part of one core
memory     its private memory then
deaths     kill -9 of workers, one after another, 10,000 times after the first 1,000: how much the master's anonymous memory
           grows for each 1,000 of them, by a line through the samples. Quick: 1,500 times, and since the kernel counts
           pages, two of them are forgiven
"""

import os
import random
import signal
import socket
import statistics
import struct
import threading
import time
from collections import namedtuple

from crowded import Crowded
from harness import account, control
from harness.account import wait_for
from harness.daemon import Daemon
from harness.supervised import Master, place_helpers

WORKERS = 256
KILLS = {True: 15, False: 40}
DEATHS = {True: 1500, False: 10000}  # after WARM_UP
GRAIN_KB = 8
PENDING_MAX = 4
WARM_UP = 1000
REST_S = {True: 8, False: 30}
STATUS_CALLS = 300

KILL_MS, STATUS_MS, REST_SHARE, MEMORY_MB, SLOPE_KB = 50, 2, 0.01, 10, 1

Check = namedtuple("Check", "what figure limit verdict")


def pools(workers, kind="good"):
    return [{"name": "coordinator", "role": "coordinator", "max": 1},
            {"name": kind, "role": "worker", "min": workers, "max": workers}]


def processor_ns(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0])


def private_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_"))


def anonymous_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon"))


class ReadyLines:
    """The moments at which the daemon wrote that a child of a pool is ready, as they come through a pipe."""

    def __init__(self, pool):
        self.needle = f" pool={pool} ".encode()
        self.moments, self.changed = [], threading.Condition()
        self.reader, self.writer = os.pipe()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        rest = b""
        while piece := os.read(self.reader, 65536):
            now = time.monotonic()
            *lines, rest = (rest + piece).split(b"\n")
            ready = [line for line in lines if b"child is ready" in line and self.needle in line + b" "]
            with self.changed:
                self.moments += [now] * len(ready)
                self.changed.notify_all()

    def next_after(self, n, limit=20):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.moments) > n, limit), "no successor"
            return self.moments[n]


class Supervisor:
    def __init__(self, programs, cluster, say, quick):
        self.programs, self.cluster, self.say, self.quick = programs, cluster, say, quick
        self.checks = []

    def check(self, what, value, limit, form="{:.2f}", unit=""):
        self.verdict(what, form.format(value) + unit, f"under {limit}{unit}", value < limit)

    def verdict(self, what, figure, limit, well):
        self.checks.append(Check(what, figure, limit, "PASS" if well else "FAIL"))

    def figure(self, what, text):
        self.checks.append(Check(what, text, "", ""))

    # --- successor

    def successor(self):
        database = self.cluster.create_database()
        d = Daemon(self.programs, database, {"log.level": "info", "log.burst": 0}, pools(2, "workers"), tcp=False)
        d.pools.append({"name": "api", "role": "api", "max": 1})
        d.migrate()
        heard = ReadyLines("workers")
        d.start(output=heard.writer)
        times = []
        for _ in range(KILLS[self.quick]):
            idle = wait_for(lambda: [c for c in d.status()["children"] if c["pool"] == "workers" and c["phase"] == "ready"][1:]
                            and d.children("worker"), 20, "two workers at rest")
            time.sleep(random.uniform(0.02, 0.12))  # nowhere in particular in their waiting
            before = len(heard.moments)
            began = time.monotonic()
            os.kill(random.choice(idle)["pid"], signal.SIGKILL)
            times.append((heard.next_after(before) - began) * 1000)
        d.close()
        database.drop()
        self.check(f"kill -9 of a worker to its successor, median of {len(times)}", statistics.median(times), KILL_MS,
                   "{:.1f}", " ms")
        self.figure("  the slowest", f"{max(times):.1f} ms")

    # --- many workers

    @staticmethod
    def status_ms(connection):
        frame = control.pack([control.VERSION, 1, "status", {}])
        request = struct.pack(">I", len(frame)) + frame
        began = time.perf_counter()
        connection.sendall(request)
        size = struct.unpack(">I", control.read(connection, 4))[0]
        control.read(connection, size)
        return (time.perf_counter() - began) * 1000, size

    def many(self, helpers):
        m = Master(helpers, pools(WORKERS), {"supervise.ready_timeout": "120s", "log.level": "warn"})
        try:
            wait_for(lambda: sum(c["phase"] == "ready" for c in m.children("good")) == WORKERS, 120, "256 workers", every=1,
                     dump=m.log)
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(m.socket)
            answers = [self.status_ms(connection) for _ in range(STATUS_CALLS)]
            connection.close()
            self.check(f"status with {WORKERS} workers, median of {STATUS_CALLS}", statistics.median(t for t, _ in answers),
                       STATUS_MS, unit=" ms")
            self.figure("  of that size", f"{answers[0][1] / 1024:.0f} kB")
            time.sleep(2)
            before, began = processor_ns(m.process.pid), time.monotonic()
            time.sleep(REST_S[self.quick])
            share = (processor_ns(m.process.pid) - before) / 1e9 / (time.monotonic() - began)
            self.check(f"master at rest with {WORKERS} workers, of a core", share * 100, REST_SHARE * 100, "{:.3f}", " %")
            self.check("its private memory", private_kb(m.process.pid) / 1024, MEMORY_MB, unit=" MB")
        finally:
            self.end(m)

    # --- deaths

    def deaths(self, helpers):
        m = Master(helpers, pools(8), {"log.level": "error"})
        try:
            pid, samples, began = m.process.pid, [], time.monotonic()
            connection = control.Control(m.socket)
            seen = 0
            while seen < WARM_UP + DEATHS[self.quick]:
                status = connection.call("status")
                seen = status["totals"]["deaths"]
                if seen >= WARM_UP and (not samples or seen - samples[-1][0] >= 100):
                    samples.append((seen, anonymous_kb(pid)))
                if status["deaths_pending"] >= PENDING_MAX:
                    continue  # evidence that the coordinator has not taken yet is no growth
                for child in status["children"]:
                    if child["pool"] == "good" and child["phase"] == "ready":
                        account.kill(child["pid"])
            took = time.monotonic() - began
            connection.close()
            slope = self.slope(samples)
            self.check(f"growth in {seen - WARM_UP} deaths, for each 1,000", slope, SLOPE_KB, "{:.3f}", " kB")
            self.figure("  deaths a second", f"{seen / took:.0f}")
            self.figure("  anonymous memory after the first 1,000, and at the end", f"{samples[0][1]}, {samples[-1][1]} kB")
        finally:
            self.end(m)

    def slope(self, samples):
        if not self.quick:
            return statistics.linear_regression([n for n, _ in samples], [kb for _, kb in samples]).slope * 1000
        (first, least), (last, most) = samples[0], samples[-1]
        return max(0, most - least - GRAIN_KB) / (last - first) * 1000

    @staticmethod
    def end(m):
        m.signal(signal.SIGQUIT)
        m.ends(20)
        account.remove_tree(m.dir)

    def run(self):
        helpers = place_helpers()
        try:
            for part in (self.successor, lambda: self.many(helpers), Crowded(self, helpers).run, lambda: self.deaths(helpers)):
                part()
        finally:
            account.remove_tree(helpers)
        return all(c.verdict != "FAIL" for c in self.checks)
