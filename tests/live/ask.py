"""ask.py - HTTP requests to the services: no redirect is followed, no key is shown, every wait ends

What may be asked again is: reading, when it failed for the moment, and anything that was refused for coming too
fast. A request that may have cost something is never repeated.
"""

import http.client
import json
import time
import urllib.error
import urllib.request
import uuid

TIMEOUT_S = 60
PATIENCE_S = 75  # a limit a minute is over by then


class NoAnswer(Exception):
    pass


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise NoAnswer(f"status {self.status} and no JSON: {self.body[:80]!r}") from None

    @property
    def is_of_quota(self):
        return any(word in self.body for word in (b"quota", b"credit", b"spend_limit", b"usage_limit"))

    @property
    def is_refusal(self):
        """Refused before any work was done."""
        return 400 <= self.status < 500


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


_opener = urllib.request.build_opener(_NoRedirect)
_opener_here = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))  # this machine needs no proxy


def ask_once(method, url, body, headers):
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        here = request.host.split(":")[0] in ("127.0.0.1", "localhost")
        with (_opener_here if here else _opener).open(request, timeout=TIMEOUT_S) as response:
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Answer(refusal.code, refusal.headers, refusal.read())


def ask(method, url, body=None, headers=None):
    """An Answer of whatever status; NoAnswer if there is none."""
    end, wait = time.monotonic() + PATIENCE_S, 2
    while True:
        answer = fault = None
        try:
            answer = ask_once(method, url, body, headers or {})
            again = answer.status == 429 and not answer.is_of_quota or method == "GET" and answer.status >= 500
        except (OSError, ValueError, http.client.HTTPException) as error:
            fault, again = error, method == "GET"
        if not again or time.monotonic() + wait > end:
            if answer is None:
                raise NoAnswer(f"no answer: {fault}")
            return answer
        time.sleep(_told(answer) or wait)
        wait = min(wait * 2, 20)


def _told(answer):
    told = answer.headers.get("Retry-After", "") if answer else ""
    return min(int(told), 30) if told.isdigit() else None


def json_body(value):
    return json.dumps(value).encode(), {"Content-Type": "application/json"}


def form(fields, filename, data, content_type):
    """Body and headers of a form with one file."""
    boundary = "docmill" + uuid.uuid4().hex
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in fields]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
                 f"Content-Type: {content_type}\r\n\r\n".encode() + data + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}
