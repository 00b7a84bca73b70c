"""Listening sockets outlive the children that accept from them: who waits in one is answered by the next child.

Each test stops (SIGSTOP) the only api child, so that what connects then is in the kernel's queue and nowhere else. A
successor that opened a socket of its own, even on the same port, would leave those to the one that is stopped.
"""

import os
import signal
import socket
import time

import pytest

from harness import account
from harness.account import wait_for
from test_reload_served import QUICK, SMALL, reload

WAITING = 5
LISTEN = "0A"  # /proc/net/tcp
REQUEST = b"GET /livez HTTP/1.1\r\nHost: docmill\r\nConnection: close\r\n\r\n"


def tcp_listeners(port):
    """Of each socket that listens on the port: inode and how many connections nobody has accepted yet."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return {int(r[9]): int(r[4].split(":")[1], 16) for r in rows
            if r[3] == LISTEN and int(r[1].split(":")[1], 16) == port}


def unix_listener(path):
    with open("/proc/net/unix", encoding="ascii") as f:
        (inode,) = {int(r[6]) for r in map(str.split, f) if r[-1] == path and r[3] == "00010000"}  # SO_ACCEPTCON
    return inode


def listening(d):
    return {*tcp_listeners(d.port), unix_listener(d.run_dir + "/api.sock")}


def held_by(pid, inodes):
    """Which of the sockets a process has open."""
    links = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return {i for i in inodes if f"socket:[{i}]" in links}


def api_pid(d):
    (child,) = [c for c in d.children("api") if c["phase"] in ("ready", "busy")]
    return child["pid"]


def stop_process(pid):
    """Every thread of it has stopped: a child that is awake for one more moment would accept."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: all(open(f"/proc/{pid}/task/{t}/stat", encoding="ascii").read().rpartition(")")[2].split()[0] == "T"
                         for t in os.listdir(f"/proc/{pid}/task")), 5, every=0.002)


def connect_all(d):
    """WAITING clients by TCP and one over the Unix socket, connected, with their request sent."""
    clients = [socket.create_connection(("127.0.0.1", d.port), 15) for _ in range(WAITING)]
    unix = socket.socket(socket.AF_UNIX)
    unix.settimeout(15)
    unix.connect(d.run_dir + "/api.sock")
    for c in clients + [unix]:
        c.sendall(REQUEST)
    return clients + [unix]


def connect_and_wait(d):
    """The same while nobody accepts."""
    clients = connect_all(d)
    assert list(tcp_listeners(d.port).values()) == [WAITING], "all of them wait, in the one socket there is"
    return clients


def assert_answered(clients):
    for c in clients:
        with c:
            answer = b"".join(iter(lambda c=c: c.recv(4096), b""))
            assert answer.startswith(b"HTTP/1.1 200 "), answer


def test_who_waits_in_the_queue_of_a_child_that_dies_is_answered_by_its_successor(daemon):
    d = daemon(keys=QUICK, pools=SMALL)
    elder, sockets = api_pid(d), listening(d)
    assert held_by(d.pid, sockets) == held_by(elder, sockets) == sockets and len(sockets) == 2
    stop_process(elder)
    clients = connect_and_wait(d)
    os.kill(elder, signal.SIGKILL)
    assert_answered(clients)
    assert listening(d) == sockets
    assert api_pid(d) != elder and held_by(api_pid(d), sockets) == held_by(d.pid, sockets) == sockets


@pytest.mark.parametrize("how", ["reload", "recycle"])
def test_who_waits_for_a_child_that_is_replaced_is_answered_by_its_successor(daemon, how):
    """The elder does not wake up before they have their answers, so it is not he who gave them."""
    d = daemon(keys={**QUICK, "reload.canary_idle": "10s"}, pools=SMALL)
    elder, sockets = api_pid(d), listening(d)
    stop_process(elder)
    clients = connect_and_wait(d)
    try:
        if how == "reload":
            d.keys["api.queue"] = 500
            d.write_conf()
            d.control("reload")
        else:
            d.ctl("recycle", "web")
        assert_answered(clients)
        successor = wait_for(lambda: next((c["pid"] for c in d.children("api") if c["pid"] != elder), None), 10)
        assert held_by(elder, sockets) == held_by(successor, sockets) == held_by(d.pid, sockets) == sockets
    finally:
        os.kill(elder, signal.SIGCONT)
    wait_for(lambda: account.gone(elder), 10, "the elder to finish", dump=d.log)
    assert listening(d) == sockets and held_by(successor, sockets) == sockets
    assert_answered(connect_all(d))  # the elder's end has closed it for nobody


def test_who_waits_while_no_child_can_start_is_answered_when_one_does(daemon):
    """Deaths before the first finished request: the master waits, and the socket is the master's alone meanwhile."""
    d = daemon(keys={**QUICK, "supervise.backoff_first": "1200ms"}, pools=SMALL)
    d.ctl("recycle", "web")
    elder = wait_for(lambda: api_pid(d) if len(d.children("api")) == 1 and "retired" in d.log() else None, 10)
    sockets = listening(d)
    os.kill(elder, signal.SIGABRT)
    wait_for(lambda: not d.children("api"), 5, dump=d.log, every=0.002)
    began = time.monotonic()
    assert held_by(d.pid, sockets) == sockets == listening(d)
    assert_answered(connect_and_wait(d))
    assert time.monotonic() - began > 0.1, "nobody was there to answer at once"


def test_another_address_waits_for_a_restart_and_nobody_is_refused_at_the_one_there_is(daemon):
    d = daemon(keys=QUICK, pools=SMALL)
    sockets = listening(d)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        other = s.getsockname()[1]
    report = reload(d, api__listen=f"127.0.0.1:{other}", api__queue=500)
    assert {c["key"]: c["needs_restart"] for c in report["changes"]} == {"api.listen": True, "api.queue": False}
    assert listening(d) == sockets and not tcp_listeners(other)
    assert held_by(api_pid(d), sockets) == sockets
    assert_answered(connect_all(d))
