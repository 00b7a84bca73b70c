"""What passes between the daemon and a service manager: sockets that outlive it, the watchdog, what it says."""

import os
import shutil
import signal
import socket
import tempfile
import threading

import pytest

from harness.account import wait_for
from harness.service_manager import ServiceManager


@pytest.fixture
def manager():
    directory = tempfile.mkdtemp(prefix="dm-sm-", dir="/tmp")
    os.chmod(directory, 0o755)
    one = ServiceManager(directory)
    yield one
    one.close()
    shutil.rmtree(directory)


def said(manager, key, value=None):
    return any(key in m and value in (None, m[key]) for m in manager.listen().said)


def test_sockets_are_kept_over_a_restart_with_who_waits_in_them(daemon, manager):
    d = daemon(start=False)
    d.migrate()
    manager.starts(d)
    assert len(manager.listen().store) >= 3, "control.sock, api.sock and a TCP socket"
    before = {name: os.fstat(fd).st_ino for name, fd in manager.store.items()}
    assert d.stop() == 0
    answers = []
    waiting = [threading.Thread(target=lambda: answers.append(d.http("GET", "/livez", timeout=30).status))
               for _ in range(5)]
    for one in waiting:
        one.start()  # connected, but nobody is there
    manager.starts(d)
    for one in waiting:
        one.join(30)
    assert answers == [200] * 5
    assert {name: os.fstat(fd).st_ino for name, fd in manager.listen().store.items()} == before


def test_sockets_that_the_configuration_names_no_more_leave_the_store(daemon, manager):
    d = daemon(start=False)
    d.migrate()
    manager.starts(d)
    names = set(manager.listen().store)
    d.stop()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        d.port = s.getsockname()[1]
    d.keys["api.listen"] = f"127.0.0.1:{d.port}"
    manager.starts(d)
    after = set(manager.listen().store)
    assert len(after) == len(names) and len(after & names) == 2, "control.sock and api.sock stay"


def test_a_socket_that_is_handed_over_serves_every_child_of_the_pool(daemon, manager):
    """As docmill.socket does; bound by somebody else, so that none of the daemon's own can stand beside it."""
    pools = [{"name": "coordinator", "role": "coordinator", "min": 1, "max": 1},
             {"name": "api", "role": "api", "min": 2, "max": 2}, {"name": "workers", "role": "worker", "min": 1, "max": 1}]
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(16)
        d = daemon(start=False, pools=pools)
        d.migrate()
        d.port = s.getsockname()[1]
        d.keys["api.listen"] = f"127.0.0.1:{d.port}"
        manager.starts(d, sockets=[("api", s.fileno())])
        assert d.http("GET", "/livez").status == 200
        inode = os.fstat(s.fileno()).st_ino
        for child in d.children("api"):
            links = [os.readlink(f"/proc/{child['pid']}/fd/{n}") for n in os.listdir(f"/proc/{child['pid']}/fd")]
            assert f"socket:[{inode}]" in links
        d.stop()


def test_it_says_when_it_is_ready_how_it_is_and_that_it_stops(daemon, manager):
    d = daemon(start=False)
    d.migrate()
    manager.starts(d)
    wait_for(lambda: said(manager, "READY", "1"), 10)
    assert any(m.get("STATUS", "").startswith("running: ready are ") for m in manager.said)
    d.stop()
    stopping = next(m for m in manager.listen().said if "STOPPING" in m)
    assert int(stopping["EXTEND_TIMEOUT_USEC"]) >= 30_000_000, "at least supervise.drain_timeout"


def test_the_watchdog_is_fed_while_a_pool_serves_and_no_longer(daemon, manager):
    """Crashes before the first finished job make the master wait; meanwhile it lives, and nobody serves."""
    pools = [{"name": "coordinator", "role": "coordinator", "min": 1, "max": 1},
             {"name": "workers", "role": "worker", "min": 1, "max": 1}]
    d = daemon(start=False, pools=pools, tcp=False, keys={"supervise.backoff_first": "3s"})
    d.migrate()
    manager.starts(d, serves=False, env={"WATCHDOG_USEC": "300000"})
    manager.hears(lambda: said(manager, "WATCHDOG"), d)
    d.control("drain", pool="workers")
    manager.hears(lambda: not d.children("worker"), d)
    manager.listen().said.clear()
    manager.hears(lambda: sum("WATCHDOG" in m for m in manager.said) >= 3, d)  # nobody serves, as it was told
    d.control("drain", pool="workers", order="cancel")
    manager.hears(lambda: any(c["phase"] == "ready" for c in d.children("worker")), d)
    os.kill(d.children("worker")[0]["pid"], signal.SIGABRT)
    manager.hears(lambda: "the watchdog is not fed" in d.log(), d)
    manager.listen().said.clear()
    manager.hears(lambda: said(manager, "WATCHDOG"), d)
    assert d.children("worker")
