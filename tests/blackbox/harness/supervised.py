"""A helper_master in a directory of its own: the real supervisor over children that misbehave on demand."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

from harness import account, control, settings
from harness.account import gone, wait_for
from harness.programs import build_dir

HELPERS = ("helper_master", "helper_child")


@contextlib.contextmanager
def _in_group(group):
    """What is started within is born into the control group (of v1, whose other controllers stay as they are)."""
    if group is None:
        yield
        return
    with open("/proc/self/cgroup", encoding="ascii") as f:
        before = next(line.rstrip("\n").split(":", 2)[2] for line in f if ":memory:" in line)
    try:
        _enter(group)
        yield
    finally:
        _enter("/sys/fs/cgroup/memory" + before)


def _enter(group):
    with open(group + "/cgroup.procs", "w", encoding="ascii") as f:
        f.write(str(os.getpid()))


def place_helpers():
    """A copy that the unprivileged account may run; the directory is the caller's."""
    built = os.path.join(build_dir(), "tests", "unit")
    copy = tempfile.mkdtemp(prefix="dm-help-", dir="/tmp")
    os.chmod(copy, 0o755)
    for name in HELPERS:
        shutil.copy2(os.path.join(built, name), copy)
    return copy


class Master:
    """One helper_master in a directory of its own."""

    def __init__(self, helpers, pools, keys=None, notify=False, group=None):
        """group: the directory of a control group to run in."""
        self.helpers = helpers
        self.group = group
        self.dir = tempfile.mkdtemp(prefix="dm-sv-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.run_dir = self.dir + "/r"
        self.socket = self.run_dir + "/control.sock"
        self.sanitizer_dir = account.make_private_dir(self.dir + "/san")
        os.mkdir(self.run_dir)
        keys = {"node.name": "supervised", "run_dir": self.run_dir, "database.url": "postgresql:///none",
                "api.listen": "", "blob.backend": "fs", "blob.fs.root": self.dir + "/blobs",
                "embedder.name": "builtin",
                "sandbox.processes": False,  # these children do what no real one may, and keep diaries
                **(keys or {})}
        self.keys, self.pools = keys, pools
        self.write_conf()
        self.process = None
        self.notify = None
        if notify:
            self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.notify.bind(self.dir + "/notify")
            self.notify.settimeout(10)
            os.chmod(self.dir + "/notify", 0o666)
        self.start()

    def write_conf(self, more=None, pools=None):
        """The configuration again, with other keys and pools."""
        self.keys = {**self.keys, **(more or {})}
        self.pools = pools or self.pools
        settings.write(self.dir + "/conf", self.keys, self.pools)
        account.give_to_account(self.dir)
        os.chmod(self.dir + "/conf", 0o600)

    def reload(self, more=None, pools=None, limit=20, **args):
        """Writes the configuration, has it reloaded, waits for the end; the report."""
        self.write_conf(more, pools)
        return self.wait_reload(self.call("reload", **args)["number"], limit)

    def wait_reload(self, number, limit=20):
        def look():
            report = self.call("reload-status", number=str(number))
            return report if report["outcome"] != "running" else None

        return wait_for(look, limit, f"reload {number} to end", dump=self.log)

    def _environment(self):
        log = f"log_path={self.sanitizer_dir}/report"
        more = {"NOTIFY_SOCKET": self.dir + "/notify"} if self.notify else {}
        return {"ASAN_OPTIONS": f"{log}:detect_leaks=1", "LSAN_OPTIONS": log, "UBSAN_OPTIONS": log, **more}

    def start(self):
        with open(self.dir + "/log", "ab") as log, _in_group(self.group):
            self.process = account.popen([self.helpers + "/helper_master", self.dir + "/conf",
                                          self.helpers + "/helper_child"], env=self._environment(), stdout=log,
                                         stderr=subprocess.STDOUT)
        wait_for(self.answers, 20, "the master to answer", dump=self.log)

    def answers(self):
        assert self.process.poll() is None, self.log()
        try:
            return control.call(self.socket, "version")["pid"] == self.process.pid
        except OSError:
            return False

    def status(self):
        return control.call(self.socket, "status")

    def health(self):
        return control.call(self.socket, "health")

    def children(self, pool):
        return [c for c in self.status()["children"] if c["pool"] == pool]

    def child(self, pool):
        return self.children(pool)[0]

    def wait_phase(self, pool, phase, limit=10):
        def look():
            child = self.child(pool)
            return child if child["phase"] == phase else None

        return wait_for(look, limit, f"{pool} to be {phase}", dump=self.log)

    def wait_dead(self, pool, text, limit=15):
        def look():
            cause = self.child(pool)["last_death"]
            return cause if cause and text in cause else None

        return wait_for(look, limit, f"{pool} to die: {text}", dump=self.log)

    def deaths(self):
        """What the coordinator was told."""
        try:
            with open(self.run_dir + "/deaths.log", encoding="utf-8") as f:
                return [json.loads(line) for line in f]
        except FileNotFoundError:
            return []

    def log(self):
        with open(self.dir + "/log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def call(self, verb, **args):
        return control.call(self.socket, verb, **args)

    def signal(self, number):
        self.process.send_signal(number)

    def ends(self, limit):
        """Waits for the master's end; how long it took, and that nothing is left."""
        below = account.descendants(self.process.pid)
        began = time.monotonic()
        try:
            status = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError("the master did not end:\n" + self.log()[-3000:]) from None
        took = time.monotonic() - began
        wait_for(lambda: all(gone(p) for p in below), 3, "children to be gone")
        assert status == 0, self.log()
        return took

    def close(self):
        if self.process.poll() is None:
            below = account.descendants(self.process.pid)
            self.process.kill()
            self.process.wait(10)
            for pid in below:
                account.kill(pid)
        reports = os.listdir(self.sanitizer_dir)
        for name in reports:
            with open(os.path.join(self.sanitizer_dir, name), encoding="utf-8", errors="replace") as f:
                report = f.read()
            # What is killed here while its leaks are being looked for leaves a line that says just that.
            if not re.fullmatch(r"(==\d+==Unable to get registers from thread \d+\.\s*)+", report):
                raise AssertionError("sanitizer report:\n" + report[:6000])
        account.remove_tree(self.dir)


def pool(name, role="worker", size=1):
    return {"name": name, "role": role, "min": size, "max": size}


COORDINATOR = pool("coordinator", "coordinator")
