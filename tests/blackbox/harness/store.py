"""store.py - s3rver or moto behind the proxy that checks what they do not (tests/support/object_proxy.py)"""

import http.client
import json
import os
import subprocess

from . import account, peer
from .programs import SOURCE

ACCESS, SECRET, REGION, BUCKET = "AKIDTEST", "secrettest", "test-1", "docs"


class Store:
    def __init__(self, kind):
        peer.program(kind)
        self.kind = kind
        self.process = subprocess.Popen(["/usr/bin/python3", os.path.join(SOURCE, "tests", "support", "object_proxy.py"), kind],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=account.die_with_parent)
        line = self.process.stdout.readline()
        assert line, f"{kind} did not start"
        self.port = int(line)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def state(self):
        """What it keeps, and the journal of requests."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", "/__state")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def objects(self):
        return self.state()["objects"]

    def stop(self):
        """It ends with its standard input."""
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
