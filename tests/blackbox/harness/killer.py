"""killer.py - kill -9 of workers, aimed by the scoreboard

A worker is stopped, the scoreboard says in which stage it stands (nothing moves meanwhile), and then it is killed or
sent on. So the stage of each kill is known and not guessed, and rare stages can be hit as often as is wanted.
"""

import os
import random
import signal
import time

from . import account
from .control import Control

STAGES = ("parse_queued", "parsed", "chunking", "embedding_in_progress", "embeddings_stored")


class Killer:
    def __init__(self, daemon, kills, in_each_stage, stages=STAGES, seed=1):
        self.daemon = daemon
        self.control = Control(daemon.run_dir + "/control.sock")
        self.kills = kills
        self.in_each_stage = in_each_stage
        self.by_stage = dict.fromkeys(stages, 0)
        self.torn = 0
        self.hits = {}  # job id -> how often it was begun work in a killed worker's hands
        self.random = random.Random(seed)

    def total(self):
        return sum(self.by_stage.values()) + self.torn

    def enough(self):
        return self.total() >= self.kills and min(self.by_stage.values()) >= self.in_each_stage

    def _wants(self, stage):
        """A stage's share is used up before the others have had theirs: kills are not all spent on parsing."""
        missing = sum(max(0, self.in_each_stage - n) for s, n in self.by_stage.items() if s != stage)
        return self.by_stage[stage] < self.in_each_stage or self.total() + missing < self.kills

    def workers(self):
        return [c for c in self.control.call("status")["children"] if c["role"] == "worker" and c["phase"] == "busy"]

    def step(self):
        """Stops one busy worker and kills it if its stage is wanted. True if it was killed."""
        busy = self.workers()
        if not busy:
            time.sleep(0.002)
            return False
        pid = self.random.choice(busy)["pid"]
        if not account.kill(pid, signal.SIGSTOP) or not _stopped(pid):
            return False
        seen = [c for c in self.control.call("status")["children"] if c["pid"] == pid]
        if seen and self._takes(seen[0]):
            os.kill(pid, signal.SIGKILL)
            return True
        account.kill(pid, signal.SIGCONT)
        time.sleep(self.random.random() * 0.002)
        return False

    def _takes(self, child):
        if child["torn"]:
            self.torn += 1
        elif child["stage"] in self.by_stage and self._wants(child["stage"]):
            self.by_stage[child["stage"]] += 1
        else:
            return False
        for job in child["jobs"]:
            if job["status"] is not None or child["torn"]:
                self.hits[job["job_id"]] = self.hits.get(job["job_id"], 0) + 1
        return True

    def run(self, finished, limit):
        """Kills until it has been enough or finished() says that there is nothing more to do."""
        end = time.monotonic() + limit
        while not self.enough() and not finished():
            assert time.monotonic() < end, f"{self.total()} kills in {limit} s: {self.by_stage}"
            for _ in range(50):
                if self.step() and self.enough():
                    return


def _stopped(pid):
    end = time.monotonic() + 1
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/stat", "rb") as f:
                state = f.read().rpartition(b")")[2].split()[0]
        except OSError:
            return False
        if state == b"T":
            return True
        time.sleep(0.0002)
    return False
