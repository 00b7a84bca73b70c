#!/usr/bin/python3
"""object_proxy.py - s3rver or moto behind a strict eye

    object_proxy.py s3rver|moto

Starts the server that DOCMILL_PEER_S3RVER or DOCMILL_PEER_MOTO names (scripts/test-peers fetches them) with an empty
bucket `docs`, and speaks for it as object_server.py would speak for itself: the same port on standard output, keys, styles,
controls and journal. What reaches the store has passed object_server's checks of signature, payload hash and dates, since
none of the two makes them all: s3rver lets wrong hashes pass and moto whatever comes. A GET that fails them is still put to
the store, and the journal has its answer as "upstream"; the client gets the refusal.

The age of an object cannot be set from outside, so it is the proxy that adds it, to Last-Modified and in listings.
"""
import calendar, ctypes, html, http.client, os, re, shutil, signal, socket, subprocess, sys, tempfile, time, urllib.parse

import object_server as base
from object_server import ACCESS, BUCKET, REGION, Refused

START_SECONDS = 60
HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = os.path.join(os.path.dirname(HERE), "peers")
HOP = ("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server", "content-type")
XML_TIME = re.compile(r"(<(?:LastModified|Initiated)>)([^<.]{19})([^<]*)(</)")
kind = sys.argv[1]
aged = 0.0  # seconds by which everything has become older so far
born = {}  # key: `aged` when it was written
upstream_port = 0


def shifted(text, form, seconds):
    return time.strftime(form, time.gmtime(calendar.timegm(time.strptime(text, form)) - seconds))


class Handler(base.Handler):
    def s3(self):
        refusal = None
        try:
            self.check_signature()
        except Refused as r:
            if self.command != "GET" or self.in_host_style():
                raise
            refusal = r
        status, headers, body = self.forward()
        self.entry["upstream"] = status
        if refusal:
            raise refusal
        key = self.key()
        if status // 100 == 2 and self.command in ("PUT", "POST") and "partNumber" not in self.q:
            born[key] = aged
        return status, self.made_older(body), self.headers_of(headers, key), headers.get("content-type", "")

    def in_host_style(self):
        return self.headers["Host"].split(":")[0].endswith(".localhost")

    def key(self):
        path = urllib.parse.unquote(self.raw_path)
        return path[1:] if self.in_host_style() else path.removeprefix("/" + BUCKET).lstrip("/")

    def forward(self):
        """As it came, for the store to judge; but neither knows host style as it is signed nowadays: it becomes path style,
        signed anew."""
        headers = {k.lower(): v for k, v in self.headers.items() if k.lower() != "connection"}
        if not self.in_host_style():
            return talk(self.command, self.path, self.body, headers)
        headers["host"], path = f"127.0.0.1:{upstream_port}", "/" + BUCKET + self.raw_path.rstrip("/")
        if "X-Amz-Signature" in self.q:
            return signed(self.command, self.key())
        names = re.search("SignedHeaders=([^,]+)", headers["authorization"])[1].split(";")
        headers["authorization"] = authorization(self.command, path, self.query, headers, names)
        query = self.path.partition("?")[2]
        return talk(self.command, path + ("?" + query if query else ""), self.body, headers)

    def made_older(self, body):
        if not body.startswith(b"<?xml") and not body.startswith(b"<List"):
            return body

        def entry(match):
            name = re.search(r"<Key>(.*?)</Key>", match[0])
            seconds = aged - born.get(html.unescape(name[1]), 0) if name else 0
            return XML_TIME.sub(lambda t: t[1] + shifted(t[2], "%Y-%m-%dT%H:%M:%S", seconds) + t[3] + t[4], match[0])

        return re.sub(r"<(Contents|Upload)>.*?</\1>", entry, body.decode(), flags=re.S).encode()

    def headers_of(self, headers, key):
        found = [(k, v) for k, v in headers.items() if k not in HOP]
        return [(k, shifted(v, "%a, %d %b %Y %H:%M:%S GMT", aged - born.get(key, 0)) if k == "last-modified" else v)
                for k, v in found]

    # ---- what is kept ----

    def contents(self):
        status, _, body = signed("GET", "", {"list-type": "2"})
        assert status == 200, body
        rows = re.findall(r"<Contents>.*?</Contents>", body.decode(), flags=re.S)
        one = lambda row, name: html.unescape(re.search(f"<{name}>(.*?)</{name}>", row)[1])
        return {"objects": {one(r, "Key"): int(one(r, "Size")) for r in rows}}

    def grow_older(self, seconds):
        global aged
        aged += seconds

    def damage(self, text):
        for key in self.contents()["objects"]:
            if text in key:
                data = signed("GET", key)[2]
                self.put(key, bytes([data[0] ^ 1]) + data[1:])

    def put(self, key, data):
        status, _, body = signed("PUT", key, body=data)
        assert status == 200, body


def talk(method, target, body, headers):
    there = http.client.HTTPConnection("127.0.0.1", upstream_port, timeout=60)
    try:
        there.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            there.putheader(name, value)
        there.endheaders(body)
        got = there.getresponse()
        return got.status, {k.lower(): v for k, v in got.getheaders()}, got.read()
    finally:
        there.close()


def authorization(method, path, query, headers, names):
    date, payload = headers["x-amz-date"], headers["x-amz-content-sha256"]
    scope = f"{date[:8]}/{REGION}/s3/aws4_request"
    made = base.signature(method, path, query, headers, names, payload, date, scope)
    return f"AWS4-HMAC-SHA256 Credential={ACCESS}/{scope}, SignedHeaders={';'.join(names)}, Signature={made}"


def signed(method, key, query=None, body=b""):
    """A request of the proxy's own."""
    path, query = "/" + BUCKET + ("/" + urllib.parse.quote(key) if key else ""), list((query or {}).items())
    headers = {"host": f"127.0.0.1:{upstream_port}", "x-amz-content-sha256": base.hashlib.sha256(body).hexdigest(),
               "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())}
    headers["authorization"] = authorization(method, path, query, headers, sorted(headers))
    headers["content-length"] = str(len(body))
    return talk(method, path + ("?" + urllib.parse.urlencode(query) if query else ""), body, headers)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(folder):
    """The store, with its bucket."""
    global upstream_port
    upstream_port = free_port()
    script = os.path.join(PEERS, {"s3rver": "s3rver.cjs", "moto": "moto_server.py"}[kind])
    libc = ctypes.CDLL(None)
    server = subprocess.Popen([os.environ["DOCMILL_PEER_" + kind.upper()], script, str(upstream_port), folder, ACCESS,
                               base.SECRET], stdin=subprocess.DEVNULL, stdout=2,
                              preexec_fn=lambda: libc.prctl(1, signal.SIGKILL, 0, 0, 0))  # dies with its parent
    end = time.monotonic() + START_SECONDS
    where = f"<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
    while server.poll() is None and time.monotonic() < end:
        try:
            status, _, body = signed("PUT", "", body=where.encode())
        except OSError:
            time.sleep(0.05)
            continue
        if status != 200:
            sys.exit(f"{kind} makes no bucket: {status} {body!r}")
        return server
    sys.exit(f"{kind} did not start")


if __name__ == "__main__":
    place = tempfile.mkdtemp(prefix="docmill-peer-")
    child = start(place)
    try:
        base.serve(Handler)
    finally:
        child.kill()
        child.wait()
        shutil.rmtree(place, ignore_errors=True)
