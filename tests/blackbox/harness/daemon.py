"""daemon.py - one docmilld under test, with its database, blob store, sockets and logs

Everything it has lives in one short temporary directory (a Unix socket's path holds 107 bytes). close() stops it and
fails the test if a process is left over, or if a sanitizer wrote a report.
"""

import glob
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import urllib.parse
import uuid

import psycopg

from . import account, control, documents, settings
from .account import wait_for

TOKEN = "test-token-" + secrets.token_hex(16)
ENDS = ("done", "deadletter", "quarantined", "cancelled")
MIGRATE_LOCK = 7230001  # roles belong to the whole cluster: one migration at a time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Answer:
    """An HTTP answer, read to its end."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def reason(self):
        """The stable name in a problem+json's type."""
        assert self.headers.get_content_type() == "application/problem+json", (self.status, self.body)
        assert self.json["status"] == self.status, self.json
        return self.json["type"].removeprefix("urn:docmill:")

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Daemon:
    def __init__(self, programs, database, keys=None, pools=None, tcp=True):
        self.programs = programs
        self.database = database
        self.dir = tempfile.mkdtemp(prefix="dm-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.run_dir = self.dir + "/r"
        self.blobs = self.dir + "/blobs"
        self.log_path = self.dir + "/log"
        self.sanitizer_dir = account.make_private_dir(self.dir + "/san")
        account.make_private_dir(self.blobs)
        os.mkdir(self.run_dir)
        account.give_to_account(self.dir)
        self.port = free_port() if tcp else None
        self.keys = {
            "node.name": "test-" + uuid.uuid4().hex[:8],
            "run_dir": self.run_dir,
            "database.url": database.url,
            "database.migrate_url": database.migrate_url,
            "api.listen": f"127.0.0.1:{self.port}" if tcp else "",
            "api.token": TOKEN,
            "api.token_user": "tester",
            "api.socket_user": "tester",
            "blob.backend": "fs",
            "blob.fs.root": self.blobs,
            "parser.libexec": programs,
            "embedder.name": "builtin",
            "queue.retry_first": "100ms",
            **(keys or {}),
        }
        self.pools = pools
        self.process = None

    # --- its life

    @property
    def conf(self):
        return self.dir + "/docmill.conf"

    def write_conf(self):
        settings.write(self.conf, self.keys, self.pools)
        account.give_to_account(self.dir)
        os.chmod(self.conf, 0o600)

    def _environment(self):
        log = f"log_path={self.sanitizer_dir}/report"
        return {"ASAN_OPTIONS": f"{log}:detect_leaks=1", "LSAN_OPTIONS": log,
                "UBSAN_OPTIONS": f"{log}:print_stacktrace=1"}

    def docmilld(self, *arguments, check=True, timeout=60):
        self.write_conf()
        return account.run([f"{self.programs}/docmilld", "-c", self.conf, *arguments], env=self._environment(),
                           check=check, timeout=timeout)

    def migrate(self):
        """`docmilld migrate up`, then the rights that the daemon's login role needs. A copy of a database that had
        both needs neither."""
        if self.database.migrated:
            return
        with psycopg.connect(self.database.cluster.url("postgres"), autocommit=True) as guard:
            guard.execute("SELECT pg_advisory_lock(%s)", (MIGRATE_LOCK,))
            self.docmilld("migrate", "up")
            self.database.grant_app_role()
        self.database.migrated = True

    def start(self, ready=True, limit=30, output=None, before=(), env=None, **more):
        """output: a file or descriptor that takes the log's place. before: a command that executes the daemon's, which
        follows it; env and more go to it."""
        self.write_conf()
        with open(self.log_path, "ab") if output is None else os.fdopen(os.dup(output), "wb") as log:
            self.process = account.popen([*before, f"{self.programs}/docmilld", "-c", self.conf],
                                         env={**self._environment(), **(env or {})}, stdout=log,
                                         stderr=subprocess.STDOUT, **more)
        if ready:
            self.wait_ready(limit)
        return self

    def wait_ready(self, limit=30):
        wait_for(self.is_ready, limit, "docmilld to be ready", dump=self.log)

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"docmilld ended with {self.process.returncode}:\n{self.log()[-3000:]}")
        answer = self.http_or_none("/readyz")
        return answer is not None and answer.status == 200 and self._health_ok()

    def _health_ok(self):
        try:
            return self.health()["ready"]["ok"]
        except (OSError, control.Refused):
            return False

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    @property
    def pid(self):
        return self.process.pid

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, number=signal.SIGTERM, limit=40):
        """Ends the master in order; its exit status. Fails if a child outlives it."""
        below = account.descendants(self.pid)
        status = account.end_process(self.process, number, limit)
        self.process = None
        try:
            wait_for(lambda: all(account.gone(p) for p in below), 5, "children to end with the master")
        finally:
            for pid in below:
                account.kill(pid)
        return status

    def kill_master(self):
        below = account.descendants(self.pid)
        self.process.kill()
        self.process.wait(10)
        self.process = None
        wait_for(lambda: all(account.gone(p) for p in below), 5, "children to die with the master")

    def close(self):
        try:
            if self.alive:
                self.stop()
            self.assert_no_sanitizer_report()
            self.assert_nothing_left_over()
        finally:
            if self.process is not None and self.process.poll() is None:
                for pid in account.descendants(self.pid) + [self.pid]:
                    account.kill(pid)
            account.remove_tree(self.dir)

    def assert_no_sanitizer_report(self):
        for path in glob.glob(self.sanitizer_dir + "/*"):
            with open(path, encoding="utf-8", errors="replace") as f:
                raise AssertionError("sanitizer report:\n" + f.read()[:6000])

    def assert_nothing_left_over(self):
        """Orphans come to the test process; those that belong to this daemon name its directory or programs."""
        left = {pid: account.command_of(pid) for pid in account.descendants(os.getpid())}
        left = {pid: command for pid, command in left.items() if self.dir in command}
        for pid in left:
            account.kill(pid)
        assert not left, f"left over: {left}"

    # --- asking it

    def http(self, method, path, body=None, headers=None, token=TOKEN, unix=False, timeout=30):
        if unix or self.port is None:
            connection = _UnixConnection(self.run_dir + "/api.sock", timeout)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = dict(headers or {})
        if token is not None and not unix:
            sent.setdefault("Authorization", f"Bearer {token}")
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def http_or_none(self, path):
        """The answer over the Unix socket, or None if nobody answers."""
        try:
            return self.http("GET", path, unix=True, timeout=3)
        except (OSError, http.client.HTTPException):
            return None

    def ctl(self, *arguments, check=True, timeout=120, as_json=True):
        """docmillctl VERB ...; with as_json its parsed answer, else the finished process."""
        verb, *rest = arguments
        argv = [f"{self.programs}/docmillctl", verb, "--run-dir", self.run_dir]
        argv += (["--json"] if as_json else []) + [str(a) for a in rest]
        done = account.run(argv, env=self._environment(), check=check, timeout=timeout)
        return json.loads(done.stdout) if as_json and check else done

    def status(self):
        return control.call(self.run_dir + "/control.sock", "status")

    def control(self, verb, **args):
        return control.call(self.run_dir + "/control.sock", verb, **args)

    def health(self):
        return control.call(self.run_dir + "/control.sock", "health")

    def children(self, role=None):
        """The live children as status tells them."""
        return [c for c in self.status()["children"] if c["pid"] and role in (None, c["role"])]

    def sql(self, text, parameters=None):
        return self.database.sql(text, parameters)

    def upload(self, content, filename, **more):
        """Uploads bytes; the answer."""
        path = "/v1/documents?" + urllib.parse.urlencode({"filename": filename})
        return self.http("POST", path, content, **more)

    def document(self, document_id):
        answer = self.http("GET", f"/v1/documents/{document_id}")
        assert answer.status == 200, answer
        return answer.json

    def wait_end(self, document_id, limit=60):
        """Waits until the document's job has ended; the document."""
        return wait_for(lambda: self._ended(document_id), limit, f"document {document_id} to end", dump=self.log)

    def _ended(self, document_id):
        document = self.document(document_id)
        return document if document["state"] in ENDS else None

    def wait_all(self, limit=120):
        """Waits until no job of any user is unfinished."""
        wait_for(lambda: not self.sql("SELECT 1 FROM upload_pipeline.upload_jobs WHERE state < 6 LIMIT 1"), limit,
                 "all jobs to end", dump=self.log)

    def put(self, content, filename, limit=60):
        """Uploads, expects acceptance, waits for the end; the document."""
        answer = self.upload(content, filename)
        assert answer.status in (200, 202), answer
        return self.wait_end(answer.json["document_id"], limit)

    def hold_worker(self):
        """Stops (SIGSTOP) the only worker with a document in hand: its pid and the job's id. The caller continues it."""
        worker = self.children("worker")[0]["pid"]
        for i in range(10):
            job = self.upload(documents.pdf(60, f"held {i}"), f"held{i}.pdf").json["job_id"]
            wait_for(lambda: self.children("worker")[0]["in_hand"], 10, "the document to be in hand", every=0.002)
            os.kill(worker, signal.SIGSTOP)
            if [j["job_id"] for j in self.children("worker")[0]["jobs"]] == [job]:
                return worker, job
            os.kill(worker, signal.SIGCONT)  # it was quicker
            self.wait_all()
        raise AssertionError("the worker was always quicker")

    def search(self, text, **parameters):
        answer = self.http("GET", "/v1/search?" + urllib.parse.urlencode({"q": text, **parameters}))
        assert answer.status == 200, answer
        return answer.json["results"]
