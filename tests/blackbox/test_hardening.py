"""What the daemon does not let others do to it."""

import os
import socket
import time

import pytest

from harness import account
from harness.account import wait_for


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: reads /proc of processes that cannot be dumped")
def test_no_process_that_holds_secrets_can_be_dumped_or_traced(daemon):
    """The files of a process that is not dumpable belong to root, whoever it runs as; so does the right to trace it."""
    d = daemon()
    d_uid = os.stat(d.conf).st_uid
    pids = [d.pid] + [c["pid"] for c in d.children()]
    assert len(pids) >= 4 and d_uid != 0
    other = account.popen(["sleep", "60"])
    wait_for(lambda: account.command_of(other.pid).startswith("sleep"), 5)
    assert os.stat(f"/proc/{other.pid}/environ").st_uid == d_uid, "as it is for an ordinary process"
    account.end_process(other)
    with_sanitizer = "asan" in d.programs or any("asan" in line for line in open(f"/proc/{d.pid}/maps"))
    for pid in pids:
        if not with_sanitizer:  # the leak checker has to trace its own process
            assert os.stat(f"/proc/{pid}/environ").st_uid == 0, account.command_of(pid)
        with open(f"/proc/{pid}/environ", "rb") as f:
            assert b"PASSWORD" not in f.read().upper()


def test_a_run_dir_that_anybody_may_write_to_is_refused(daemon):
    """Its sockets could be replaced by anybody's."""
    d = daemon(start=False)
    os.chmod(d.run_dir, 0o777)
    done = d.docmilld(check=False, timeout=20)
    assert done.returncode == 1
    assert "may write to run_dir" in done.stderr + done.stdout


def test_a_node_that_was_taken_for_dead_registers_again(daemon):
    d = daemon(keys={"node.heartbeat": "200ms"})
    d.sql("DELETE FROM upload_pipeline.nodes")
    row = wait_for(lambda: d.sql("SELECT incarnation FROM upload_pipeline.nodes"), 15, "the node's row", dump=d.log)
    assert len(row) == 1
    assert d.put(b"# after\n\nall that\n", "a.md")["state"] == "done"
    assert d.status()["deaths_pending"] == 0


def half_asked(d, n):
    """Connections of strangers who begin a request and never end it."""
    held = []
    for _ in range(n):
        one = socket.create_connection(("127.0.0.1", d.port), timeout=5)
        one.sendall(b"GET /livez HTTP/1.1\r\n")
        held.append(one)
    return held


def test_strangers_who_hold_every_tcp_connection_do_not_shut_out_the_unix_socket(daemon):
    d = daemon(keys={"api.max_connections": 16})
    held = half_asked(d, 40)
    try:
        with pytest.raises(OSError):
            d.http("GET", "/livez", timeout=0.3)
        assert wait_for(lambda: d.http_or_none("/livez"), 5, "an answer on api.sock").status == 200
        began = time.monotonic()
        d.stop()
        assert time.monotonic() - began < 5, "who does not end his request is not waited for"
    finally:
        for one in held:
            one.close()


def test_strangers_who_leave_in_the_middle_of_a_request_make_room(daemon):
    d = daemon(keys={"api.max_connections": 16})
    for one in half_asked(d, 40):
        one.close()

    def answered():
        try:
            return d.http("GET", "/livez", timeout=1).status
        except OSError:
            return None

    assert wait_for(answered, 5, "an answer over TCP") == 200
