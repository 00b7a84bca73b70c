"""proxy.py - Unix-socket proxies before PostgreSQL, which keep from its clients what it did

CommitCutter cuts connections around COMMIT. Two cuts take turns: before (the server never sees the COMMIT) and after (the
server has committed, the client never hears of it). Which is what a client must be able to tell apart afterwards.

Silence accepts everybody and passes nothing on. AnswerHolder holds back the answer to one statement that is named: its work is done, and its client waits.
"""

import os
import random
import select
import selectors
import socket
import tempfile
import threading
import time

from . import account

PORT = 5432


class _Proxy:
    """Listens beside the server's socket; serve() has a client and its connection to the server."""

    def __init__(self, server_sockets):
        self.directory = tempfile.mkdtemp(prefix="dm-cut-", dir="/tmp")
        account.make_private_dir(self.directory)
        self.server = f"{server_sockets}/.s.PGSQL.{PORT}"
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{self.directory}/.s.PGSQL.{PORT}")
        os.chmod(f"{self.directory}/.s.PGSQL.{PORT}", 0o777)
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()
        account.remove_tree(self.directory)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client):
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.server)
        with client, server:
            self.serve(client, server)


class CommitCutter(_Proxy):
    def __init__(self, server_sockets, every):
        """Cuts at one in n COMMITs while `armed`, by a seeded die: a count could fall in step with a client's retries."""
        self.every = every
        self.armed = True
        self.die = random.Random(7)
        self.cuts = {"before": 0, "after": 0}
        super().__init__(server_sockets)

    def _choose(self):
        """What to do with this COMMIT: None, "before" or "after"."""
        with self.lock:
            if not self.armed or self.die.randrange(self.every):
                return None
            how = "before" if self.cuts["before"] <= self.cuts["after"] else "after"
            self.cuts[how] += 1
            return how

    def serve(self, client, server):
        cut_after = False
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    try:
                        piece = key.fileobj.recv(65536)
                        if not piece:
                            return
                        # the statement with its end, not the word in a document
                        if key.fileobj is client and (b"COMMIT\0" in piece or b"commit\0" in piece):
                            how = self._choose()
                            if how == "before":
                                return
                            cut_after = cut_after or how == "after"
                        if key.fileobj is server and cut_after and b"COMMIT\0" in piece:
                            return
                        key.data.sendall(piece)
                    except OSError:
                        return


class AnswerHolder(_Proxy):
    """hold(b"words"): the next statement with these words gets no answer; `held` is set when the server has given it."""

    def __init__(self, server_sockets):
        self.words = None
        self.held = threading.Event()
        super().__init__(server_sockets)

    def hold(self, words):
        self.held.clear()
        with self.lock:
            self.words = words

    def _is_it(self, piece):
        with self.lock:
            found = self.words is not None and self.words in piece
            if found:
                self.words = None
            return found

    def serve(self, client, server):
        holding = False
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    try:
                        piece = key.fileobj.recv(65536)
                        if not piece:
                            return
                        if holding and key.fileobj is server:
                            self.held.set()
                            continue
                        holding = holding or (key.fileobj is client and self._is_it(piece))
                        key.data.sendall(piece)
                    except OSError:
                        return


class Silence(_Proxy):
    """While `on`, everybody is accepted, and nothing that anybody says is passed on."""

    def __init__(self, server_sockets):
        self.on = threading.Event()
        super().__init__(server_sockets)

    def serve(self, client, server):
        while True:
            for one, other in ((client, server), (server, client)):
                try:
                    if not select.select([one], [], [], 0.005)[0]:
                        continue
                    while self.on.is_set():
                        time.sleep(0.05)
                    piece = one.recv(65536)
                    if not piece:
                        return
                    other.sendall(piece)
                except OSError:
                    return
