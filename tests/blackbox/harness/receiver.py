"""receiver.py - an HTTP server of the test's own that keeps what it is sent, to stand for a webhook's receiver"""

import http.server
import threading
import time
from collections import namedtuple

Received = namedtuple("Received", "path headers body at")


class Receiver:
    def __init__(self, statuses=()):
        """Answers with these statuses in turn, and with 200 afterwards."""
        self.received = []
        self.statuses = list(statuses)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body,
                                               time.monotonic()))
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def wait(self, n, seconds=20):
        end = time.monotonic() + seconds
        while len(self.received) < n and time.monotonic() < end:
            time.sleep(0.01)
        assert len(self.received) >= n, f"{len(self.received)} of {n}"
        return self.received

    def close(self):
        self.server.shutdown()
        self.server.server_close()
