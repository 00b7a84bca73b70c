"""crowd.py - many bad clients of the control socket, in a process of its own

    python3 crowd.py SOCKET CLIENTS SECONDS

Keeps CLIENTS connections, a sixth of each kind; who is hung up on comes back, a few at a time, as a crowd does whose
members each wait a moment. Prints "crowded" when all have connected once.
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
ROUND_S = 0.1
BACK_A_ROUND = 10  # of those that were hung up on


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
    os.nice(10)  # it is the daemon that is measured, not the machine's scheduler
    clients = [Client(path, KINDS[i % len(KINDS)]) for i in range(count)]
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
        for client in [c for c in clients if not c.socket][:BACK_A_ROUND]:
            client.connect()
        for client in clients:
            client.drip()
        time.sleep(ROUND_S)


main()
