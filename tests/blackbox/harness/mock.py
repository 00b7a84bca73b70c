"""mock.py - a stand-in of an outside service as a child process, and what a test asks of it

Mock("openai", "--seed", "7") starts docmill-mock-openai on a free port of 127.0.0.1. With state= it may be stopped and
started again. Every wait has a deadline.
"""

import http.client
import json
import os
import signal
import subprocess
import time
from collections import namedtuple

from . import account
from .programs import build_dir

Answer = namedtuple("Answer", "status headers body")
DEADLINE = 20


class Mock:
    def __init__(self, name, *flags, state=None):
        self.name = name
        self.program = os.path.join(build_dir(), "mocks", name, f"docmill-mock-{name}")
        self.flags = list(flags) + (["--state", state] if state else [])
        self.process = None
        self.port = 0
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.program, "--port", str(self.port), *self.flags], stdout=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, text=True, preexec_fn=account.die_with_parent)
        line = self.process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:"), f"{self.name}: {line!r}"
        self.port = int(line.rsplit(":", 1)[1])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        """Ends it; a sanitizer's report makes the status other than 0."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(DEADLINE)
        self.process.stdout.close()
        self.process = None
        assert status == 0, f"{self.name} ended with {status}"

    def restart(self):
        self.stop()
        self.start()

    def request(self, method, path, body=None, headers=None, timeout=DEADLINE):
        """Body: bytes, or anything else as JSON. Answer with lower-case header names."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def json(self, method, path, body=None, headers=None):
        answer = self.request(method, path, body, headers)
        return answer.status, json.loads(answer.body)

    def control(self, method, path, body=None):
        status, value = self.json(method, path, body)
        assert status == 200, value
        return value

    def faults(self, **what):
        """Exactly these faults and knobs, and no others."""
        return self.control("PUT", "/__faults", what)

    def journal(self, path=None, since=0):
        query = f"?since={since}" + (f"&path={path}" if path else "")
        return self.control("GET", f"/__journal{query}")["requests"]

    def usage(self):
        return self.control("GET", "/__usage")

    def advance(self, seconds):
        """Moves the mock's clock; who waits on it goes on."""
        self.control("POST", "/__time", {"advance_ms": int(seconds * 1000)})

    def wait_for(self, what, seconds=DEADLINE):
        """Until what() is true; its value."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = what()
            if value:
                return value
            time.sleep(0.01)
        raise AssertionError(f"{self.name}: waited {seconds} s")
