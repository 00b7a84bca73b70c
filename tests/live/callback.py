"""callback.py - one document through a real docmilld, whose parsing the service tells of by a signed callback

scripts/live has started the daemon, which asks the service so seldom that only the callback can be in time. Between the
public address and the daemon stands a door of this program that lets callbacks through and keeps what it saw: so the
signature is computed here as well as there, and the payload's shape is compared. Then the same callback is sent to the
public address again, once as it was and once with another signature.
"""

import hashlib
import hmac
import http.server
import json
import os
import secrets
import threading
import time
from collections import namedtuple

from ask import NoAnswer, ask, ask_once
from samples import new_word, pdf

PATH = "/v1/webhooks/llamaparse/"
BODY_MAX = 8 << 20
HEADERS_KEPT = ("content-type", "lc-signature", "x-docmill-token", "webhook-id", "webhook-timestamp", "webhook-signature")
Seen = namedtuple("Seen", "path headers body status answer")


class Door:
    """Listens on a port of 127.0.0.1 and hands callbacks on to the daemon."""

    def __init__(self, port, daemon_url):
        self.seen = []
        door = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 60

            def do_POST(self):
                length = self.headers.get("Content-Length", "0")
                size = int(length) if length.isdigit() else BODY_MAX + 1
                if not self.path.startswith(PATH) or size > BODY_MAX:
                    self.send_error(404 if size <= BODY_MAX else 413)
                    return
                body = self.rfile.read(size)
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
                try:
                    answer = ask_once("POST", daemon_url + self.path, body, headers)
                except OSError:
                    self.send_error(502)
                    return
                door.seen.append(Seen(self.path, self.headers, body, answer.status, answer.body))
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def of(self, token):
        return [s for s in self.seen if s.path == PATH + token]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def most(options):
    return options.page_price


def run(live):
    door = Door(live.options.listen, os.environ["LIVE_DAEMON"])
    try:
        check_way(live, door)
        job, document = send_document(live)
        seen = wait_for_callback(live, door, document)
        check_payload(live, seen)
        check_signature(live, seen)
        check_outcome(live, job)
        check_repeats(live, seen)
    finally:
        door.close()


def check_way(live, door):
    """Before anything is paid: does the public address lead here?"""
    token = secrets.token_hex(24)
    answer = ask("POST", live.options.public_url + PATH + token, b"{}", {"Content-Type": "application/json"})
    if not door.of(token):
        raise NoAnswer(f"the public address does not lead to 127.0.0.1:{live.options.listen}: it answered "
                       f"{answer.status} by itself")
    if answer.status not in (401, 404):
        raise NoAnswer(f"a callback that nobody waits for was answered {answer.status} on the public way")
    door.seen.clear()


def daemon(method, path, body=None, content_type="application/json"):
    with open(os.environ["LIVE_TOKEN_FILE"], encoding="ascii") as file:
        token = file.read().strip()
    answer = ask(method, os.environ["LIVE_DAEMON"] + path, body, {"Authorization": f"Bearer {token}", "Content-Type": content_type})
    if answer.status >= 300:
        raise NoAnswer(f"docmilld answered {path} with {answer.status}: {answer.body[:200]!r}")
    return answer.json


def send_document(live):
    live.spend.reserve(most(live.options))
    made = daemon("POST", "/v1/documents?filename=docmill-live.pdf", pdf(new_word()), "application/pdf")
    return made["job_id"], made["document_id"]


def wait_for_callback(live, door, document):
    """The first event; NoAnswer if the document ends or time passes without one."""
    end = time.monotonic() + live.options.wait
    while time.monotonic() < end:
        state = daemon("GET", f"/v1/documents/{document}")
        if state.get("error_reason"):
            raise NoAnswer(f"the document failed: {state['error_reason']}: {live.clean(str(state.get('error_message')))}")
        taken = [s for s in list(door.seen) if s.status == 200 and b'"noted"' not in s.answer]
        if taken and state["status"] == "complete":
            return taken[0]
        time.sleep(0.2)
    refused = sorted({s.status for s in door.seen if s.status != 200})
    raise NoAnswer(f"no callback was taken in {live.options.wait} s" + (f"; some were answered {refused}" if refused else ""))


def check_payload(live, seen):
    try:
        body = json.loads(seen.body)
        live.compare_value("llamaparse/webhook_event_string" if isinstance(body, str) else "llamaparse/webhook_event", body)
        if isinstance(body, str):
            live.compare_value("llamaparse/webhook_event", json.loads(body))
    except ValueError:
        live.differ("the callback is no JSON")


def check_signature(live, seen):
    with open(os.environ["LIVE_SECRET_FILE"], encoding="ascii") as file:
        secret = file.read().strip()
    right = "sha256=" + hmac.new(secret.encode(), seen.body, hashlib.sha256).hexdigest()
    if not seen.headers.get("LC-Signature"):
        live.differ("header LC-Signature: is missing")
    elif not hmac.compare_digest(seen.headers["LC-Signature"], right):
        live.differ("header LC-Signature: is not sha256= and the HMAC of the body")


def check_outcome(live, job):
    """The callback moved the document: nothing else could."""
    state = daemon("GET", f"/v1/jobs/{job}")
    reasons = [event.get("reason") for event in state["events"]]
    live.say(f"docmilld: the document is {state['status']}; it went on by "
             + ("the callback" if "called_back" in reasons else "an early callback"))


def check_repeats(live, seen):
    kept = {k: v for k, v in seen.headers.items() if k.lower() in HEADERS_KEPT}
    again = ask("POST", live.options.public_url + seen.path, seen.body, kept)
    if again.status != 200 or b'"taken"' in again.body:
        live.differ(f"the same callback again: {again.status} {again.body[:100]!r}, where 200 and duplicate or late is right")
    forged = {k: "sha256=" + "0" * 64 if k.lower() == "lc-signature" else v for k, v in kept.items()}
    answer = ask("POST", live.options.public_url + seen.path, seen.body + b" ", forged)
    if answer.status != 401:
        live.differ(f"a callback with another signature: {answer.status} instead of 401")
