"""service_manager.py - what systemd does for a service, as far as a test wants it

Listens to notifications, keeps what is put into its descriptor store, and hands that, or listening sockets of its own, to
the next start. A real systemd is asked by scripts/test-systemd.
"""

import array
import os
import socket
import sys

from .account import wait_for

# Puts the descriptors where the protocol wants them, under the pid that it will have as the daemon.
_HAND_OVER = """
import os, sys
fds = [int(n) for n in sys.argv[1].split(",")]
high = [os.dup2(fd, 200 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
    os.close(fd)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class ServiceManager:
    def __init__(self, directory):
        self.path = directory + "/notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o777)
        self._socket.settimeout(10)
        self.store = {}  # name -> descriptor
        self.said = []

    def listen(self):
        """Reads what was said so far."""
        self._socket.setblocking(False)
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(16 * 4))
            except BlockingIOError:
                return self
            fds = array.array("i")
            for level, kind, content in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(content)
            message = dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line)
            self.said.append(message)
            if "FDSTORE" in message:
                self.store[message["FDNAME"]] = fds[0]
            elif "FDSTOREREMOVE" in message:
                os.close(self.store.pop(message["FDNAME"]))

    def starts(self, daemon, sockets=None, serves=True, env=None):
        """Starts it with what is in the store, or with sockets: a list of (name, descriptor). serves: it has an API."""
        handed = list(self.store.items()) if sockets is None else sockets
        environment = {"NOTIFY_SOCKET": self.path, **(env or {})}
        before = ()
        if handed:
            environment["LISTEN_FDS"] = str(len(handed))
            environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in handed)
            before = (sys.executable, "-c", _HAND_OVER, ",".join(str(fd) for _, fd in handed))
        daemon.start(ready=False, before=before, env=environment, pass_fds=[fd for _, fd in handed])
        if serves:
            self.hears(daemon.is_ready, daemon)
        else:
            self.hears(lambda: any("READY" in m for m in self.said), daemon)

    def hears(self, condition, daemon):
        """Waits for condition, hearing what is said meanwhile: whoever tells systemd waits until it hears."""
        wait_for(lambda: self.listen() and condition(), 30, dump=daemon.log)

    def close(self):
        self._socket.close()
        for fd in self.store.values():
            os.close(fd)
