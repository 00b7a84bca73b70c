"""peer.py - a server that nobody here wrote, as a child process on a port of 127.0.0.1

scripts/test-peers fetches them and names each one's program in the environment: DOCMILL_PEER_LLAMACPP (llama-server),
DOCMILL_PEER_MOTO (a Python that has moto), DOCMILL_PEER_S3RVER (a node that has s3rver). Tests that want one that is not
named are left out and say so.
"""

import http.client
import os
import signal
import subprocess
import sys
import tempfile

import pytest

from . import account
from .account import wait_for
from .daemon import free_port
from .programs import SOURCE

START_LIMIT = 60


def program(name):
    """Its program, or the end of the test."""
    path = os.environ.get("DOCMILL_PEER_" + name.upper())
    if not path:
        pytest.skip(f"{name} is not here: scripts/test-peers fetches and runs it")
    return path


class Peer:
    """Runs argv, in which {port} is a free port; answers says when it is up."""

    def __init__(self, argv, answers, port=None):
        self.argv, self.answers = argv, answers
        self.port = port or free_port()
        self.process = None
        self.output = tempfile.TemporaryFile()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self, ready=True):
        argv = [str(a).format(port=self.port) for a in self.argv]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT,
                                        preexec_fn=account.die_with_parent)
        if ready:
            wait_for(self._up, START_LIMIT, f"{argv[0]} to answer", dump=self.log)
        return self

    def _up(self):
        assert self.process.poll() is None, f"{self.argv[0]} ended with {self.process.returncode}:\n{self.log()[-3000:]}"
        try:
            return self.answers(self)
        except (OSError, http.client.HTTPException):
            return False

    def log(self):
        self.output.seek(0)
        return self.output.read().decode(errors="replace")

    def stop(self):
        if self.process is not None:
            account.end_process(self.process, signal.SIGTERM, 10)
            self.process = None

    def request(self, method, path, body=None, headers=None):
        """Status, headers with lower-case names, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            got = connection.getresponse()
            return got.status, {k.lower(): v for k, v in got.getheaders()}, got.read()
        finally:
            connection.close()


def tiny_model(directory, dimension):
    """A model of random weights for llama.cpp; its path."""
    path = os.path.join(directory, f"tiny-{dimension}.gguf")
    subprocess.run([sys.executable, os.path.join(SOURCE, "tests", "peers", "tiny_gguf.py"), path, str(dimension)],
                   check=True, timeout=60)
    return path
