"""That every process of the daemon shuts itself in: the forbidden, tried in the real processes of each role."""

import contextlib
import errno
import os
import pathlib

import pytest

from harness import account, inject
from harness.account import wait_for

ALL = ("master", "coordinator", "api", "worker")
CHILDREN = ("coordinator", "api", "worker")
NOT_WORKER = ("coordinator", "api")


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def processes(d):
    """One process of each role."""
    found = {"master": d.pid}
    for child in d.children():
        found.setdefault(child["role"], child["pid"])
    assert set(found) == set(ALL)
    return found


def unconfined(d):
    """Sanitizers and coverage counters could not live in the sandbox: such builds have no filter."""
    return status_of(d.pid)["Seccomp"] != "2"


def test_every_process_has_no_new_privileges_and_a_filter_of_its_own(daemon):
    d = daemon()
    for pid in processes(d).values():
        assert status_of(pid)["NoNewPrivs"] == "1", account.command_of(pid)
    if unconfined(d):
        pytest.skip("built with a sanitizer or coverage counters")
    filters = {role: int(status_of(pid)["Seccomp_filters"]) for role, pid in processes(d).items()}
    assert {filters[role] - filters["master"] for role in CHILDREN} == {1}


def test_without_the_sandbox_when_the_configuration_says_so(daemon):
    d = daemon(keys={"sandbox.processes": False})
    assert {status_of(pid)["Seccomp"] for pid in processes(d).values()} == {"0"}


# name, arguments of syscall(), who must not
CALLS = [
    ("trace another process", "101, 16, {other}, 0, 0", ALL),
    ("read another's memory", "310, {other}, 0, 0, 0, 0, 0", ALL),
    ("load a BPF program", "321, 5, 0, 0", ALL),
    ("set up io_uring", "425, 1, 0", ALL),
    ("open a performance counter", "298, 0, 0, -1, -1, 0", ALL),
    ("catch page faults", "323, 0", ALL),
    ("use the kernel's keys", "250, 0, -3, 0", ALL),
    ("make a user namespace", "272, 0x10000000", ALL),
    ("fork into a user namespace", "56, 0x10000011, 0, 0, 0, 0", ALL),
    ("fork by the call that hides its flags", "435, 0, 0", ALL),
    ("enter a namespace", "308, 0, 0", ALL),
    ("mount", '165, "none", "/mnt", "tmpfs", 0, 0', ALL),
    ("change the root", '161, "/tmp"', ALL),
    ("become another user", "105, 0", ALL),
    ("become another group", "106, 0", ALL),
    ("set the clock", "227, 0, 0", ALL),
    ("change the personality", "135, 0x0400000", ALL),
    ("load a module", '313, -1, "", 0', ALL),
    ("change its priority", "141, 0, 0, -5", ALL),
    ("limit another process", "302, {other}, 7, 0, 0", ALL),
    ("map writable code", "9, 0, 4096, 7, 0x22, -1, 0", ALL),
    ("make data executable", "10, {page}, 4096, 5", ALL),
    ("become dumpable", "157, 4, 1, 0, 0, 0", ALL),
    ("open a netlink socket", "41, 16, 3, 0", ALL),
    ("open a packet socket", "41, 17, 3, 0", ALL),
    ("type into a terminal", "16, 0, 0x5412, 0", ALL),
    ("listen", "50, 0, 1", CHILDREN),
    ("bind", "49, 0, 0, 0", CHILDREN),
    ("accept", "288, 0, 0, 0, 0", ("coordinator", "worker")),
    ("make a file in memory", '319, "x", 0', CHILDREN),
    ("execute what is open", '322, 0, "", 0, 0, 0x1000', CHILDREN),
    ("fork", "56, 17, 0, 0, 0, 0", NOT_WORKER),
    ("execute", '59, "/bin/true", 0, 0', NOT_WORKER),
    ("signal anybody", "62, {other}, 0", CHILDREN),
    ("signal everybody", "62, -1, 0", CHILDREN),
    ("signal the master's thread", "234, {master}, {master}, 0", CHILDREN),
    ("remove a file", '87, "{dir}/bait"', ("coordinator",)),
]


def forbidden_calls_that_work(d, role):
    """Of CALLS, what does not answer that there is no such call: a dictionary by name."""
    pid = processes(d)[role]
    tried = [c for c in CALLS if role in c[2]]
    words = {"other": os.getpid(), "master": d.pid, "dir": d.dir, "page": writable_page(pid)}
    answers = inject.calls(pid, [c[1].format(**words) for c in tried])
    return {c[0]: a for c, a in zip(tried, answers) if a != (-1, errno.ENOSYS)}


@pytest.mark.skipif(not inject.possible, reason="needs root and gdb")
@pytest.mark.parametrize("role", ALL)
def test_forbidden_calls_do_not_exist_for(role, daemon):
    d = daemon(tcp=False)
    if unconfined(d):
        pytest.skip("built with a sanitizer or coverage counters")
    bait(d)
    assert not forbidden_calls_that_work(d, role)
    assert d.put(b"# after\n\nall that\n", "a.md")["state"] == "done"


def writable_page(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
        return next("0x" + line.split("-")[0] for line in f if line.split()[1] == "rw-p")


def bait(d):
    """A file that the account may read, write, execute and remove, if nothing but its mode is asked."""
    path = pathlib.Path(d.dir) / "bait"
    path.write_bytes(pathlib.Path("/bin/true").read_bytes())
    path.chmod(0o777)
    account.give_to_account(d.dir)


RUN_BAIT = f"/run/dm-bait-{os.getpid()}"  # as a credential would be there
O_WRONLY, O_CREAT, O_TRUNC = 1, 0o100, 0o1000

# name, arguments, who must not; and one that each may, which shows that it is not the file's mode
FILES = [
    ("read a file of others", '2, "{dir}/bait", 0, 0', CHILDREN),
    ("read what others keep in /run", '2, "{run_bait}", 0, 0', CHILDREN),
    ("list a directory of others", '2, "{dir}", 0x10000, 0', CHILDREN),
    ("write a file of others", f'2, "{{dir}}/bait", {O_WRONLY}, 0', ALL),
    ("cut a file of others", f'2, "{{dir}}/bait", {O_WRONLY | O_TRUNC}, 0', ALL),
    ("make a file", f'2, "{{dir}}/new", {O_WRONLY | O_CREAT}, 0644', ALL),
    ("make a directory", '83, "{dir}/new.d", 0755', ("master", "api", "worker")),
    ("rename", '82, "{dir}/bait", "{dir}/baited"', ("master", "api", "worker")),
    ("remove", '87, "{dir}/bait"', ("master", "api", "worker")),
    ("write a blob", f'2, "{{blobs}}/new", {O_WRONLY | O_CREAT}, 0644', ("coordinator",)),
    ("execute a program", '59, "{dir}/bait", 0, 0', ("master", "worker")),
    ("execute a shell", '59, "/bin/sh", 0, 0', ("worker",)),
]


@contextlib.contextmanager
def run_bait():
    pathlib.Path(RUN_BAIT).write_text("secret", encoding="ascii")
    os.chmod(RUN_BAIT, 0o644)
    try:
        yield
    finally:
        os.unlink(RUN_BAIT)


def forbidden_files_that_open(d, role):
    """Of FILES, what is not denied; and whether what everybody may read can be read."""
    tried = [c for c in FILES if role in c[2]]
    words = {"dir": d.dir, "blobs": d.blobs, "run_bait": RUN_BAIT}
    allowed = '2, "/etc/passwd", 0, 0'
    with run_bait():
        answers = inject.calls(processes(d)[role], [c[1].format(**words) for c in tried] + [allowed])
    return {c[0]: a for c, a in zip(tried, answers) if a != (-1, errno.EACCES)}, answers[-1][0] >= 0


@pytest.mark.skipif(not inject.possible, reason="needs root and gdb")
@pytest.mark.parametrize("role", ALL)
def test_files_that_are_not_its_own_are_denied_to(role, daemon):
    d = daemon(tcp=False)
    if unconfined(d):
        pytest.skip("built with a sanitizer or coverage counters")
    bait(d)
    assert forbidden_files_that_open(d, role) == ({}, True)
    assert d.put(b"# after\n\nall that\n", "a.md")["state"] == "done"


def memory_holds(pid, secret):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            span, mode = line.split()[:2]
            first, last = (int(n, 16) for n in span.split("-"))
            if not mode.startswith("r") or "[v" in line or last - first > 1 << 30:  # a sanitizer's shadow
                continue
            try:
                memory.seek(first)
                if secret in memory.read(last - first):
                    return True
            except OSError:
                continue
    return False


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: reads the memory of processes that cannot be dumped")
def test_secrets_that_a_role_does_not_need_are_not_in_its_memory(daemon):
    """Asked of the processes' memory, not of what they were meant to be given."""
    token, key = "token-" + os.urandom(12).hex(), "key-" + os.urandom(12).hex()
    d = daemon(keys={"api.token": token, "llamaparse.api_key": key})
    wait_for(lambda: len(d.children()) >= 4, 10, "all children")
    roles = {pid: role for role, pid in processes(d).items()}
    holds = {s: {role for pid, role in roles.items() if memory_holds(pid, s.encode())} for s in (token, key)}
    assert holds == {token: {"master", "api"}, key: {"master", "worker"}}


def test_scores_for_the_memory_killer_rise_with_the_role(daemon):
    d = daemon()
    scores = {}
    for role, pid in processes(d).items():
        with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as f:
            scores[role] = int(f.read())
    assert scores["master"] < scores["coordinator"] < scores["api"] < scores["worker"]


def test_the_stores_directory_is_made_as_without_the_sandbox(daemon):
    d = daemon(start=False)
    d.migrate()
    os.rmdir(d.blobs)
    d.start()
    assert d.put(b"# First\n\nOf all.\n", "a.md")["state"] == "done"
    assert os.stat(d.blobs).st_mode & 0o777 == 0o700
