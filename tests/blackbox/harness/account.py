"""account.py - run programs as the ordinary account, and let none of them outlive the tests

PostgreSQL refuses to run as root and docmilld should not: when the tests run as root, both run as `postgres` (or
DOCMILL_ACCOUNT). Every process started here dies with the test process (pdeathsig); what a daemon leaves behind is
reparented to the test process (subreaper), so that leftovers can be found and named.
"""

import ctypes
import grp
import os
import pwd
import shutil
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)

IS_ROOT = os.geteuid() == 0
ACCOUNT = os.environ.get("DOCMILL_ACCOUNT", "postgres") if IS_ROOT else pwd.getpwuid(os.geteuid()).pw_name
_entry = pwd.getpwnam(ACCOUNT)
UID, GID = _entry.pw_uid, _entry.pw_gid
GROUPS = os.getgrouplist(ACCOUNT, GID)


def become_subreaper():
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent():
    """For preexec_fn: what runs as the tests' own account ends with them too."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def give_to_account(path):
    """Makes the account own path and everything in it."""
    if not IS_ROOT:
        return
    os.chown(path, UID, GID)
    for parent, folders, files in os.walk(path):
        for name in folders + files:
            os.chown(os.path.join(parent, name), UID, GID, follow_symlinks=False)


def make_private_dir(path):
    os.makedirs(path, mode=0o700, exist_ok=True)
    os.chmod(path, 0o700)
    give_to_account(path)
    return path


def become_account(death_signal):
    def enter():
        if IS_ROOT:
            os.setgroups(GROUPS)
            os.setgid(GID)
            os.setuid(UID)
        # after the change of user, which clears it
        _libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)

    return enter


def account_environment(extra=None):
    keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL", "TMPDIR", "GCOV_PREFIX")}
    if IS_ROOT and "GCOV_PREFIX" in keep:  # coverage counts: it may not write where root has written
        keep["GCOV_PREFIX"] += "/" + ACCOUNT
    keep.update(HOME=_entry.pw_dir, USER=ACCOUNT, LOGNAME=ACCOUNT)
    keep.update(extra or {})
    return keep


def popen(argv, env=None, death_signal=signal.SIGKILL, **more):
    """A Popen as the account, in a session of its own."""
    return subprocess.Popen(argv, env=account_environment(env), cwd="/", start_new_session=True,
                            preexec_fn=become_account(death_signal), stdin=subprocess.DEVNULL, **more)


def run(argv, env=None, timeout=60, check=True, stdin=subprocess.DEVNULL):
    """Runs to the end as the account; output as text."""
    done = subprocess.run(argv, env=account_environment(env), cwd="/", timeout=timeout, stdin=stdin,
                          preexec_fn=become_account(signal.SIGKILL), capture_output=True, text=True,
                          errors="replace")
    if check and done.returncode != 0:
        raise AssertionError(f"{argv} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def can_execute(path):
    """The account can reach and run path."""
    return run(["test", "-x", path], check=False).returncode == 0


def parent_of(pid):
    """Parent's pid, or None if the process is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[1])


def descendants(root):
    """Pids of every live process below root, nearest first."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            parent = parent_of(int(name))
            if parent is not None:
                children.setdefault(parent, []).append(int(name))
    found, todo = [], [root]
    while todo:
        below = children.get(todo.pop(0), [])
        found += below
        todo += below
    return found


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def gone(pid):
    return parent_of(pid) is None


def end_process(process, number=signal.SIGTERM, limit=20):
    """Signals a Popen and waits; kills it after limit seconds. Returns the status."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait(10)


def wait_for(condition, deadline=30.0, what=None, every=0.05, dump=None):
    """Calls condition until its answer is true, and returns the answer; fails after deadline seconds, then with the
    end of what dump() tells."""
    end = time.monotonic() + deadline
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= end:
            more = "\n" + dump()[-3000:] if dump else ""
            raise AssertionError(f"waited {deadline} s for {what or condition}; last answer: {answer!r}{more}")
        time.sleep(every)


def remove_tree(path):
    shutil.rmtree(path, ignore_errors=True)
