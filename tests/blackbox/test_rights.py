"""test_rights.py - who may do what over control.sock, by the groups of the caller

The master is the real one, its children are helpers. Callers are other users, so these tests need root.
"""

import grp
import json
import os
import subprocess
import tempfile

import pytest

from harness import account, settings
from harness.supervised import COORDINATOR, pool

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: callers are other users")

STRANGER = 54321
READERS, OPERATORS, ADMINS = "games", "news", "mail"
KEYS = {"control.read_group": READERS, "control.group": OPERATORS, "control.admin_group": ADMINS}


def ctl(m, programs, *words, group=None, extra=()):
    """docmillctl as a stranger with these groups: exit status and what it printed, errors as JSON."""
    done = subprocess.run(
        [os.path.join(programs, "docmillctl"), "--run-dir", m.run_dir, "--json", *words], capture_output=True, text=True,
        timeout=20, check=False, user=STRANGER, group=grp.getgrnam(group).gr_gid if group else STRANGER,
        extra_groups=[grp.getgrnam(g).gr_gid for g in extra])
    return done.returncode, json.loads(done.stdout or done.stderr)


@pytest.fixture
def grouped(master):  # noqa: F811
    m = master(COORDINATOR, pool("good"), keys=KEYS)
    m.wait_phase("good", "ready")
    return m


def test_each_group_has_its_right(grouped, programs):
    def may(verb, group):
        status, answer = ctl(grouped, programs, *verb, extra=[group])
        assert status == 0 or (status == 4 and answer["reason"] == "forbidden"), answer
        return status == 0

    read, operate = ["status"], ["breakers", "probe", "embedder"]
    assert [may(read, g) for g in (READERS, OPERATORS, ADMINS)] == [True, True, True]
    assert [may(operate, g) for g in (READERS, OPERATORS, ADMINS)] == [False, True, True]
    assert [may(["stop", "--fast"], g) for g in (READERS, OPERATORS)] == [False, False]
    assert grouped.status()["state"] == "running"
    assert ctl(grouped, programs, "stop", "--fast", group=ADMINS)[0] == 0


def test_a_refusal_names_the_right_and_the_group(grouped, programs):
    _, answer = ctl(grouped, programs, "stop", extra=[READERS])
    assert answer["message"] == '"stop" wants the right admin; you have read.'
    assert f"{ADMINS} (control.admin_group)" in answer["hint"] and OPERATORS not in answer["hint"]
    assert "operator's verb refused" in grouped.log() and f"uid={STRANGER}" in grouped.log()


def test_a_stranger_does_not_even_get_a_connection(grouped, programs):
    status, answer = ctl(grouped, programs, "status")
    assert (status, answer["reason"]) == (4, "forbidden") and "may not open" in answer["message"]
    assert "caller refused" not in grouped.log(), "the kernel refused, not the daemon"


def test_a_stranger_is_refused_even_if_the_socket_is_open_to_all(grouped, programs):
    os.removexattr(grouped.socket, "system.posix_acl_access")
    os.chmod(grouped.socket, 0o666)
    status, answer = ctl(grouped, programs, "status")
    assert (status, answer["reason"]) == (4, "forbidden")
    assert "wants the right read; you have none" in answer["message"]
    assert "caller refused" in grouped.log()


def test_without_groups_only_root_and_the_daemons_user_may(master, programs):  # noqa: F811
    m = master(COORDINATOR)
    assert ctl(m, programs, "status", extra=[READERS])[0] == 4
    assert m.status()["pid"] == m.process.pid


def test_a_group_that_is_not_there_ends_the_start(programs):
    place = account.make_private_dir(tempfile.mkdtemp(prefix="dm-group-", dir="/tmp"))
    settings.write(place + "/conf", {"run_dir": place, "control.read_group": "no-such-group", "api.listen": "",
                                     "database.url": "postgresql:///none", "embedder.name": "builtin",
                                     "blob.backend": "fs", "blob.fs.root": place}, None)
    account.give_to_account(place)
    done = subprocess.run([os.path.join(programs, "docmilld"), "-c", place + "/conf"], capture_output=True, text=True,
                          timeout=20, check=False, user=account.UID, group=account.GID)
    account.remove_tree(place)
    assert done.returncode == 1 and 'there is no group \\"no-such-group\\"' in done.stderr, done.stderr
