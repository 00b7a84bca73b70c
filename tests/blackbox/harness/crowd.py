"""crowd.py - many bad clients of the control socket, in a process of its own

    python3 crowd.py SOCKET CLIENTS SECONDS [MANNER]

Keeps CLIENTS connections, as many of each kind. "mixed" (the default): all kinds; who is hung up on comes back, a few at a
time, as a crowd does whose members each wait a moment. "half-open": those that never finish a request. "pushing": the
same, and who is hung up on comes back at once. Prints "crowded" when all have connected once.
"""

import os
import select
import socket
import struct
import sys
import time

STATUS = b"\x94\x01\x07\xa6status\x80"
FRAME = struct.pack(">I", len(STATUS)) + STATUS
KINDS = ("silent", "begun", "drips", "giant", "garbage", "never reads")
HALF_OPEN = KINDS[:3]
# Kinds, seconds between looks at who was hung up on, and how many of those come back after a look.
MANNERS = {"mixed": (KINDS, 0.1, 10), "half-open": (HALF_OPEN, 0.1, 10), "pushing": (HALF_OPEN, 0, 1000000)}


class Client:
    def __init__(self, path, kind):
        self.path, self.kind, self.socket, self.at = path, kind, None, 0

    def connect(self):
        self.close()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.setblocking(False)
        try:
            self.socket.connect(self.path)
        except BlockingIOError:  # the backlog is full
            self.close()
            return
        self.at = 0
        first = {"silent": b"", "begun": FRAME[:6], "drips": FRAME[:1], "giant": b"\xff" * 64, "garbage": os.urandom(600),
                 "never reads": FRAME * 50}[self.kind]
        self.send(first)

    def send(self, data):
        try:
            self.socket.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def drip(self):
        if self.kind == "drips" and self.socket:
            self.at += 1
            self.send(FRAME[self.at % len(FRAME):][:1])

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None


def main():
    path, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    kinds, pause, back = MANNERS[sys.argv[4] if len(sys.argv) > 4 else "mixed"]
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(10)  # it is the daemon that is measured, not the machine's scheduler
    clients = [Client(path, kinds[i % len(kinds)]) for i in range(count)]
    for client in clients:
        client.connect()
    print("crowded", flush=True)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        poll = select.poll()
        for i, client in enumerate(clients):
            if client.socket:
                poll.register(client.socket, select.POLLHUP)
        by_fd = {c.socket.fileno(): c for c in clients if c.socket}
        for fd, _ in poll.poll(0):
            by_fd[fd].close()
        for client in [c for c in clients if not c.socket][:back]:
            client.connect()
        for client in clients:
            client.drip()
        time.sleep(pause)


main()
