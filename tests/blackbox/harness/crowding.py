"""crowding.py - a crowd at the control socket, and how long `status` takes amid it

The crowd (crowd.py) is other processes, of other users if wanted; the asker is this one, anew for each question, as
docmillctl is. First in line, master and asker have a real-time priority: then what is slow is the master, and not the
machine's scheduler, which on a busy machine lets anyone wait for several ms.
"""

import contextlib
import grp
import os
import socket
import struct
import subprocess
import sys
import time

from harness import control

CROWD = os.path.join(os.path.dirname(__file__), "crowd.py")
READERS = "games"  # a group that there is; the crowd is of it
FIRST_USER = 60000
_FRAME = control.pack([control.VERSION, 1, "status", {}])
_REQUEST = struct.pack(">I", len(_FRAME)) + _FRAME


@contextlib.contextmanager
def crowd(path, uids, clients, seconds, manner="mixed"):
    """CLIENTS for each of the users, who have all been there once. uid None: our own. Gives the processes."""
    group = grp.getgrnam(READERS).gr_gid
    people = []
    try:
        for uid in uids:
            as_user = {} if uid is None else {"user": uid, "group": group, "extra_groups": []}
            people.append(subprocess.Popen([sys.executable, CROWD, path, str(clients), str(seconds), manner],
                                           stdout=subprocess.PIPE, text=True, **as_user))
            assert people[-1].stdout.readline() == "crowded\n"
        yield people
    finally:
        for person in people:
            person.kill()
            person.wait()


@contextlib.contextmanager
def first_in_line(pid):
    """The master's and our own priority above all others'; gives False, and changes nothing, where that is not allowed."""
    try:
        for who in (pid, 0):
            os.sched_setscheduler(who, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(5))
        yield True
    except PermissionError:
        yield False
    finally:
        for who in (pid, 0):
            with contextlib.suppress(OSError):
                os.sched_setscheduler(who, os.SCHED_OTHER, os.sched_param(0))


def ask(path):
    """A connection on which `status` has been asked; answered() reads the answer and ends it."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(path)
    with contextlib.suppress(ConnectionError):
        connection.sendall(_REQUEST)
    return connection


def answered(connection):
    """Whether there was an answer; False: hung up on."""
    with connection:
        try:
            control.read(connection, struct.unpack(">I", control.read(connection, 4))[0])
        except ConnectionError:
            return False
    return True


def status_ms(path):
    """From connecting to the answer's last byte; None: hung up on."""
    began = time.perf_counter()
    there = answered(ask(path))
    return (time.perf_counter() - began) * 1000 if there else None


def percentile(values, percent):
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]
