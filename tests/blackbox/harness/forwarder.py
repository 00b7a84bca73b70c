"""forwarder.py - an HTTP proxy before a server, that keeps what was asked and answered"""

import http.client
import http.server
import socket
import threading
from collections import namedtuple

Exchange = namedtuple("Exchange", "method path headers body status answer_headers answer")
HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


class Forwarder:
    def __init__(self, port, timeout=60):
        """To port of 127.0.0.1, which need not be there yet: without it connections are hung up."""
        self.exchanges = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                there = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
                try:
                    there.request(self.command, self.path, body, dict(self.headers.items()))
                    got = there.getresponse()
                    answer = got.read()
                except (OSError, http.client.HTTPException):
                    self.close_connection = True
                    return
                finally:
                    there.close()
                outer.exchanges.append(Exchange(self.command, self.path, {k.lower(): v for k, v in self.headers.items()},
                                                body, got.status, {k.lower(): v for k, v in got.getheaders()}, answer))
                self.send_response(got.status)
                for name, value in got.getheaders():
                    if name.lower() not in HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward

            def log_message(self, *_):
                pass

            def setup(self):
                super().setup()
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
