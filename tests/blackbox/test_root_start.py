"""A daemon that root starts by hand is an ordinary user's before it does anything."""

import os
import subprocess

import pytest

from harness import account, inject
from harness.account import wait_for
from test_sandboxes import (bait, forbidden_calls_that_work, forbidden_files_that_open, processes, status_of,
                            unconfined)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it as root")


def start_as_root(d, run_dir_of=account.UID, **more):
    d.write_conf()
    if os.path.exists(d.run_dir):
        os.chown(d.run_dir, run_dir_of, run_dir_of)
    with open(d.log_path, "ab") as log:
        d.process = subprocess.Popen([f"{d.programs}/docmilld", "-c", d.conf], cwd="/", start_new_session=True,
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                     env={"PATH": os.environ["PATH"], **d._environment()}, **more)


def test_it_becomes_the_configured_user_for_good(daemon):
    d = daemon(start=False, keys={"user": account.ACCOUNT})
    d.migrate()
    start_as_root(d, extra_groups=[0, 1, 4, 27])
    d.wait_ready()
    uid, gid = str(account.UID), str(account.GID)
    for role, pid in processes(d).items():
        s = status_of(pid)
        assert s["Uid"].split() == [uid] * 4, role
        assert s["Gid"].split() == [gid] * 4, role
        assert s["Groups"].split() == [], role
        assert {s[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}, role
        assert s["NoNewPrivs"] == "1"
    assert d.put(b"# As anybody\n\nWould.\n", "a.md")["state"] == "done"


@pytest.mark.skipif(not inject.possible, reason="needs gdb")
def test_it_is_shut_in_as_if_the_user_had_started_it(daemon):
    d = daemon(start=False, keys={"user": account.ACCOUNT})
    d.migrate()
    start_as_root(d)
    d.wait_ready()
    if unconfined(d):
        pytest.skip("built with a sanitizer or coverage counters")
    bait(d)
    assert not forbidden_calls_that_work(d, "master")
    assert not forbidden_calls_that_work(d, "worker")
    assert forbidden_files_that_open(d, "worker") == ({}, True)


def test_a_user_that_is_not_there_or_is_root_is_refused(daemon):
    for name in ("no-such-user", "root"):
        d = daemon(start=False, keys={"user": name})
        start_as_root(d)
        assert d.process.wait(20) == 1
        assert f'user: ' in d.log() and name in d.log()
        d.process = None


def test_run_dir_is_made_and_given_to_the_user(daemon):
    d = daemon(start=False, keys={"user": account.ACCOUNT})
    d.migrate()
    os.rmdir(d.run_dir)
    start_as_root(d)
    wait_for(d.is_ready, 30, "docmilld to be ready", dump=d.log)
    assert os.stat(d.run_dir).st_uid == account.UID


def test_a_run_dir_of_somebody_else_is_not_taken(daemon):
    d = daemon(start=False, keys={"user": account.ACCOUNT})
    start_as_root(d, run_dir_of=12345)
    assert d.process.wait(20) == 1
    assert "belongs to somebody else" in d.log()
    d.process = None
    os.chown(d.run_dir, account.UID, account.GID)
