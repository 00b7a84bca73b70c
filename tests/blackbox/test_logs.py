"""test_logs.py - the log in each format; a log that nobody reads holds nobody up, and what was lost is told"""

import fcntl
import json
import os
import select
import signal
import socket
import struct
import threading
import time

import pytest
from harness.account import wait_for

NOISY = {"log.level": "debug", "log.burst": 0}


def behind_stderr(pid):
    """The file that is behind a process's standard error."""
    return os.stat(f"/proc/{pid}/fd/2")


def same_file(a, b):
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)


def everybody(one):
    return [one.pid] + [c["pid"] for c in one.children()]


# --- the file


def test_usr1_opens_the_file_anew_in_every_process(daemon):
    one = daemon({"log.format": "json"}, start=False)
    one.keys["log.file"] = one.dir + "/docmill.log"
    one.start()
    os.rename(one.dir + "/docmill.log", one.dir + "/docmill.log.1")
    one.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: os.path.exists(one.dir + "/docmill.log"), 5, "the new file")
    new = os.stat(one.dir + "/docmill.log")
    wait_for(lambda: all(same_file(behind_stderr(p), new) for p in everybody(one)), 10, "everybody to write to it",
             dump=lambda: str({p: os.readlink(f"/proc/{p}/fd/2") for p in everybody(one)}))
    worker = one.children("worker")[0]["pid"]
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: one.children("worker") and one.children("worker")[0]["pid"] != worker, 10, "its successor")
    assert same_file(behind_stderr(one.children("worker")[0]["pid"]), new)
    one.stop()
    for name in ("docmill.log", "docmill.log.1"):
        with open(one.dir + "/" + name, encoding="utf-8") as f:
            lines = [json.loads(line) for line in f]
        assert lines and all(line["proc"] and isinstance(line["pid"], int) for line in lines), name
    assert one.log() == "", "nothing goes to standard error"


def test_a_file_that_cannot_be_opened_anew_keeps_the_old_one(daemon):
    one = daemon(start=False)
    os.mkdir(one.dir + "/logs")
    os.chmod(one.dir + "/logs", 0o777)
    one.keys["log.file"] = one.dir + "/logs/docmill.log"
    one.start()
    os.rename(one.dir + "/logs", one.dir + "/moved")
    one.process.send_signal(signal.SIGUSR1)

    def said():
        with open(one.dir + "/moved/docmill.log", encoding="utf-8") as f:
            return "the log is not opened anew" in f.read()

    wait_for(said, 5, "the complaint")
    assert one.health()["live"]["ok"]


def test_a_file_that_cannot_be_opened_ends_the_start(daemon):
    one = daemon({"log.file": "/nowhere/docmill.log"}, start=False)
    one.start(ready=False)
    assert one.process.wait(10) == 1
    assert "log.file /nowhere/docmill.log: No such file" in one.log()
    one.process = None


# --- a pipe that nobody reads


@pytest.fixture
def small_pipe():
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    yield reader, writer
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:
            pass


def test_a_pipe_that_nobody_reads_holds_nobody_up(daemon, small_pipe):
    reader, writer = small_pipe
    one = daemon(NOISY, start=False)
    one.start(output=writer)
    os.close(writer)
    for i in range(20):
        assert one.put(f"# Document {i}\n\ntext {i}\n".encode(), f"{i}.md")["status"] == "complete"
    os.kill(one.children("worker")[0]["pid"], signal.SIGKILL)
    assert one.put(b"# After a death\n\nmore\n", "after.md")["status"] == "complete"
    began = time.monotonic()
    assert one.health()["live"]["ok"]
    assert time.monotonic() - began < 1
    text = b""

    def told():
        nonlocal text
        while select.select([reader], [], [], 0)[0]:
            text += os.read(reader, 65536)
        return b"proc=master" in text and b" dropped=" in text

    wait_for(told, 20, "what was lost to be told", dump=lambda: text.decode()[-2000:])


# --- the journal


class Journal:
    """A stand-in of journald's socket."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.entries = []

    def read(self):
        while select.select([self.socket], [], [], 0)[0]:
            self.entries.append(self._fields(self.socket.recv(65536)))
        return self.entries

    @staticmethod
    def _fields(data):
        fields = {}
        while data:
            name, data = data.split(b"\n", 1)
            (n,) = struct.unpack("<Q", data[:8])
            fields[name.decode()] = data[8:8 + n].decode()
            assert data[8 + n:9 + n] == b"\n"
            data = data[9 + n:]
        return fields

    def close(self):
        self.socket.close()


def test_the_journal_gets_fields_and_its_stop_holds_nobody_up(daemon):
    one = daemon({"log.format": "journald", **NOISY}, start=False)
    journal = Journal(one.dir + "/journal")
    one.keys["log.journal"] = journal.path
    one.start()
    try:
        ready = [e for e in journal.read() if e["MESSAGE"].startswith("child is ready")]
        assert ready and {e["DOCMILL_PROC"] for e in ready} == {"master"}
        assert ready[0]["PRIORITY"] == "6" and ready[0]["DOCMILL_MODULE"] == "supervise"
        assert ready[0]["DOCMILL_POOL"] and ready[0]["SYSLOG_IDENTIFIER"] == "docmilld"
        # from here on nobody reads: the socket is full after a dozen lines
        for i in range(20):
            assert one.put(f"# Document {i}\n\ntext {i}\n".encode(), f"{i}.md")["status"] == "complete"
        for _ in range(3):
            worker = one.children("worker")[0]["pid"]
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda: worker not in [c["pid"] for c in one.children("worker")], 10, "its end")
        assert one.put(b"# After a death\n\nmore\n", "after.md")["status"] == "complete"
        journal.entries.clear()
        wait_for(lambda: any("DOCMILL_DROPPED" in e for e in journal.read()), 20, "what was lost to be told")
        # gone, as when it is started anew: standard error meanwhile, then the new socket
        journal.close()
        os.unlink(journal.path)
        one.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: "proc=master" in one.log(), 5, "standard error in its place")
        journal = Journal(journal.path)
        one.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: any(e["DOCMILL_PROC"] == "master" for e in journal.read()), 5, "the journal again")
    finally:
        journal.close()


# --- repeats


def test_what_repeats_is_counted_and_told(daemon):
    one = daemon({"log.burst": 3})

    def knock():
        for _ in range(20):
            one.process.send_signal(signal.SIGUSR1)
            time.sleep(0.01)

    threading.Thread(target=knock).start()
    wait_for(lambda: " repeated=" in one.log(), 25, "the count", dump=one.log)
    said = [line for line in one.log().splitlines() if "the log is not opened anew" in line]
    assert len([line for line in said if "repeated=" not in line]) == 3, said
