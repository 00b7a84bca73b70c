#!/usr/bin/python3
"""object_server.py - an S3 and a Supabase Storage in memory, strict where servers for tests are not

Recomputes every AWS signature (headers and presigned) by Python's own hmac, refuses payloads whose hash is not the
signed one, dates that are too far off and whatever is not signed at all. Bucket `docs`, key AKIDTEST / secrettest,
region test-1; path style, and host style as docs.s3.localhost. Supabase under /storage/v1 with the key `service-key`.

Prints its port. POST /__control takes JSON:
  {"fail": [{"method": "PUT", "path": "text in the path", "status": 503, "code": "SlowDown", "times": 2,
             "act": true}]}                          answer so (status 0: hang up), after acting all the same if told to
  {"older": 3600}                                    every object and upload becomes so many seconds older
  {"clock": 3600}                                    the server's clock goes so many seconds ahead
  {"late": {"DELETE": 0.2}}                          acts only so many seconds after the request came
  {"damage": "text in the key"}                      one bit of these objects flips
  {"put": "key", "text": "..."}                      an object from nowhere
GET /__state tells the keys with sizes, the unfinished uploads and the journal of requests.
"""
import calendar, hashlib, hmac, json, os, re, socketserver, sys, threading, time, urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

ACCESS, SECRET, REGION, BUCKET, SERVICE_KEY, TOKEN = "AKIDTEST", "secrettest", "test-1", "docs", "service-key", "jot"
lock = threading.RLock()
objects, uploads, journal, faults, late = {}, {}, [], [], {}
clock = 0.0


def now():
    return time.time() + clock


def iso(t):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) + ".%03dZ" % int(t % 1 * 1000)


def http_date(t):
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(t))


class Refused(Exception):
    def __init__(self, status, code):
        self.status, self.code = status, code


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature(method, path, query, headers, names, payload, date, scope):
    """The specification's own steps, from what came over the wire."""
    pairs = sorted((urllib.parse.quote(k, safe="-_.~"), urllib.parse.quote(v, safe="-_.~")) for k, v in query)
    canonical = "\n".join([method, path, "&".join(k + "=" + v for k, v in pairs),
                           "".join("%s:%s\n" % (n, " ".join(headers.get(n, "").split())) for n in names),
                           ";".join(names), payload])
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + SECRET).encode()
    for part in scope.split("/"):
        key = sign(key, part)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return http_date(now())

    def answer(self, status, body=b"", headers=(), kind="application/xml"):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, status, value):
        self.answer(status, json.dumps(value).encode(), kind="application/json")

    def handle_any(self):
        path, _, query = self.path.partition("?")
        self.raw_path, self.query = path, urllib.parse.parse_qsl(query, keep_blank_values=True)
        self.q = dict(self.query)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path.startswith("/__"):
            return self.control(path)
        with lock:
            self.entry = {"method": self.command, "path": self.path, "expect": self.headers.get("Expect"),
                          "headers": {k.lower(): v for k, v in self.headers.items()}, "bytes": len(self.body)}
            journal.append(self.entry)
            fault = self.fault()
        supabase = path.startswith("/storage/v1/")
        time.sleep(late.get(self.command, 0))
        try:
            if fault and not fault.get("act"):
                raise Refused(fault["status"], fault.get("code", ""))
            with lock:
                reply = self.supabase(path[len("/storage/v1"):]) if supabase else self.s3()
            if fault:
                raise Refused(fault["status"], fault.get("code", ""))
            self.answer(*reply)
        except Refused as r:
            self.entry["refused"] = r.code
            if r.status == 0:
                self.close_connection = True
            elif supabase:
                status = str(r.status)
                self.json(400 if r.status in (401, 403, 404, 409) else r.status,
                          {"statusCode": status, "error": r.code, "code": r.code, "message": "refused"})
            else:
                self.answer(r.status, ("<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>no</Message></Error>" %
                                       r.code).encode())

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def fault(self):
        for f in faults:
            if f.get("times", 1) > 0 and f.get("method", self.command) == self.command and f.get("path", "") in self.path:
                f["times"] = f.get("times", 1) - 1
                return f

    def control(self, path):
        global clock
        with lock:
            if path == "/__state":
                return self.json(200, {**self.contents(), "journal": journal})
            c = json.loads(self.body)
            faults[:] = c.get("fail", faults)
            clock = c.get("clock", clock)
            late.update(c.get("late", {}))
            self.grow_older(c.get("older", 0))
            if c.get("damage"):
                self.damage(c["damage"])
            if "put" in c:
                self.put(c["put"], c["text"].encode())
        self.json(200, {})

    # ---- what is kept ----

    def contents(self):
        return {"objects": {k: len(o["data"]) for k, o in objects.items()}, "uploads": [u["key"] for u in uploads.values()]}

    def grow_older(self, seconds):
        for o in list(objects.values()) + list(uploads.values()):
            o["time"] -= seconds

    def damage(self, text):
        for key, o in objects.items():
            if text in key:
                o["data"] = bytes([o["data"][0] ^ 1]) + o["data"][1:]

    def put(self, key, data):
        store(key, data)

    # ---- S3 ----

    def check_signature(self):
        headers = {k.lower(): v for k, v in self.headers.items()}
        if "X-Amz-Signature" in self.q:
            names, date = self.q["X-Amz-SignedHeaders"].split(";"), self.q["X-Amz-Date"]
            credential, given, payload = self.q["X-Amz-Credential"], self.q["X-Amz-Signature"], "UNSIGNED-PAYLOAD"
            query = [(k, v) for k, v in self.query if k != "X-Amz-Signature"]
            life = int(self.q["X-Amz-Expires"])
        else:
            m = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})",
                             headers.get("authorization", ""))
            if not m:
                raise Refused(403, "AccessDenied")
            credential, names, given = m[1], m[2].split(";"), m[3]
            date, payload, query, life = headers["x-amz-date"], headers["x-amz-content-sha256"], self.query, 900
            if payload != hashlib.sha256(self.body).hexdigest():
                raise Refused(400, "XAmzContentSHA256Mismatch")
            unsigned = [n for n in headers if n.startswith("x-amz-") and n not in names]
            if unsigned or "host" not in names:
                raise Refused(403, "AccessDenied")
        access, scope = credential.split("/", 1)
        if access != ACCESS:
            raise Refused(403, "InvalidAccessKeyId")
        if headers.get("x-amz-security-token", TOKEN) != TOKEN:
            raise Refused(403, "ExpiredToken")
        at = calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
        if "X-Amz-Signature" in self.q and now() >= at + life:
            raise Refused(403, "AccessDenied")
        if abs(now() - at) > max(life, 900):
            raise Refused(403, "RequestTimeTooSkewed")
        if scope != "%s/%s/s3/aws4_request" % (date[:8], REGION) or not hmac.compare_digest(
                given, signature(self.command, self.raw_path, query, headers, names, payload, date, scope)):
            raise Refused(403, "SignatureDoesNotMatch")

    def s3(self):
        self.check_signature()
        host, path = self.headers["Host"].split(":")[0], urllib.parse.unquote(self.raw_path)
        if host.endswith(".localhost"):
            bucket, key = host.partition(".")[0], path[1:]
        else:
            bucket, _, key = path[1:].partition("/")
        if bucket != BUCKET:
            raise Refused(404, "NoSuchBucket")
        name = {"GET": "get", "PUT": "put", "POST": "post", "DELETE": "delete", "HEAD": "get"}[self.command]
        return getattr(self, "s3_" + name)(key)

    def s3_get(self, key):
        if not key and "uploads" in self.q:
            rows = "".join("<Upload><Key>%s</Key><UploadId>%s</UploadId><Initiated>%s</Initiated></Upload>" %
                           (escape(u["key"]), escape(i), iso(u["time"])) for i, u in uploads.items()
                           if u["key"].startswith(self.q.get("prefix", "")))
            return 200, ("<ListMultipartUploadsResult>%s</ListMultipartUploadsResult>" % rows).encode()
        if not key:
            return self.s3_list()
        if key not in objects:
            raise Refused(404, "NoSuchKey")
        return 200, objects[key]["data"], [("ETag", etag(objects[key]["data"])),
                                           ("Last-Modified", http_date(objects[key]["time"]))], "binary/octet-stream"

    def s3_list(self):
        keys = [k for k in sorted(objects) if k.startswith(self.q.get("prefix", "")) and k > self.q.get("start-after", "")]
        n = min(int(self.q.get("max-keys", 1000)), 1000)
        rows = "".join("<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>%s</ETag><Size>%d</Size></Contents>" %
                       (escape(k), iso(objects[k]["time"]), escape(etag(b"")), len(objects[k]["data"])) for k in keys[:n])
        return 200, ("<?xml version=\"1.0\"?>\n<ListBucketResult><Name>docs</Name><IsTruncated>%s</IsTruncated>%s"
                     "</ListBucketResult>" % ("true" if len(keys) > n else "false", rows)).encode()

    def s3_put(self, key):
        if "partNumber" in self.q:
            if self.q["uploadId"] not in uploads:
                raise Refused(404, "NoSuchUpload")
            uploads[self.q["uploadId"]]["parts"][int(self.q["partNumber"])] = self.body
            return 200, b"", [("ETag", etag(self.body))]
        source = self.headers.get("x-amz-copy-source")
        if source:
            source = urllib.parse.unquote(source).lstrip("/").partition("/")[2]
            if source not in objects:
                raise Refused(404, "NoSuchKey")
            if source == key and self.headers.get("x-amz-metadata-directive") != "REPLACE":
                raise Refused(400, "InvalidRequest")
            store(key, objects[source]["data"])
            return 200, b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>"
        if self.headers.get("If-None-Match") == "*" and key in objects:
            raise Refused(412, "PreconditionFailed")
        store(key, self.body)
        return 200, b"", [("ETag", etag(self.body))]

    def s3_post(self, key):
        if "uploads" in self.q:
            upload = "up+/=" + str(len(journal))
            uploads[upload] = {"key": key, "time": now(), "parts": {}}
            return 200, ("<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>" %
                         upload).encode()
        up = uploads.get(self.q["uploadId"])
        if up is None:
            raise Refused(404, "NoSuchUpload")
        listed = re.findall(r"<PartNumber>(\d+)</PartNumber><ETag>(.*?)</ETag>", self.body.decode())
        sizes = [len(up["parts"][int(n)]) for n, _ in listed]
        if [int(n) for n, _ in listed] != sorted(up["parts"]) or any(etag(up["parts"][int(n)]) != t for n, t in listed):
            return 200, b"<Error><Code>InvalidPart</Code></Error>"
        if any(size < 5 << 20 for size in sizes[:-1]):
            return 200, b"<Error><Code>EntityTooSmall</Code></Error>"
        store(key, b"".join(up["parts"][int(n)] for n, _ in listed))
        del uploads[self.q["uploadId"]]
        return 200, b"<CompleteMultipartUploadResult><ETag>x-2</ETag></CompleteMultipartUploadResult>"

    def s3_delete(self, key):
        if "uploadId" in self.q:
            if uploads.pop(self.q["uploadId"], None) is None:
                raise Refused(404, "NoSuchUpload")
        else:
            objects.pop(key, None)
        return 204, b""

    # ---- Supabase Storage ----

    def supabase(self, path):
        parts = [urllib.parse.unquote(p) for p in path.strip("/").split("/")]
        if "token" in self.q and parts[:2] == ["object", "sign"]:
            key = "/".join(parts[3:])
            until = self.q["token"].partition(".")[0]
            if self.q["token"] != url_token(key, until) or key not in objects:
                raise Refused(400, "InvalidSignature")
            if now() >= int(until):
                raise Refused(400, "InvalidJWT")
            return 200, objects[key]["data"]
        if self.headers.get("Authorization") != "Bearer " + SERVICE_KEY or self.headers.get("apikey") != SERVICE_KEY:
            raise Refused(403, "AccessDenied")
        if parts[1] in ("list", "sign", "authenticated"):
            kind, bucket, key = parts[1], parts[2], "/".join(parts[3:])
        else:
            kind, bucket, key = "", parts[1], "/".join(parts[2:])
        if bucket != BUCKET:
            raise Refused(404, "NoSuchBucket")
        return getattr(self, "sb_" + (kind or self.command.lower()))(key)

    def sb_list(self, _):
        ask, seen = json.loads(self.body), {}
        folder = ask["prefix"].strip("/") + "/" if ask["prefix"].strip("/") else ""
        for k in objects:
            if k.startswith(folder):
                name, _, rest = k[len(folder):].partition("/")
                seen[name] = {"name": name, "id": None, "updated_at": None} if rest else {
                    "name": name, "id": "i", "updated_at": iso(objects[k]["time"]), "metadata": {}}
        rows = [seen[n] for n in sorted(seen)]
        return 200, json.dumps(rows[ask["offset"]:ask["offset"] + ask["limit"]]).encode(), (), "application/json"

    def sb_post(self, key):
        if key in objects and self.headers.get("x-upsert") != "true":
            raise Refused(409, "KeyAlreadyExists")
        store(key, self.body)
        return 200, json.dumps({"Id": "1", "Key": BUCKET + "/" + key}).encode(), (), "application/json"

    def sb_authenticated(self, key):
        if key not in objects:
            raise Refused(404, "NoSuchKey")
        return 200, objects[key]["data"]

    def sb_delete(self, key):
        if objects.pop(key, None) is None:
            raise Refused(404, "NoSuchKey")
        return 200, b'{"message":"Successfully deleted"}', (), "application/json"

    def sb_sign(self, key):
        if key not in objects:
            raise Refused(404, "NoSuchKey")
        token = url_token(key, "%d" % (now() + json.loads(self.body)["expiresIn"]))
        return 200, json.dumps({"signedURL": "/object/sign/%s/%s?token=%s" % (
            BUCKET, urllib.parse.quote(key), token)}).encode()


def url_token(key, until):
    return until + "." + sign(SERVICE_KEY.encode(), until + key).hex()


def etag(data):
    return '"%s"' % hashlib.md5(data).hexdigest()


def store(key, data):
    objects[key] = {"data": data, "time": now()}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # tests kill clients
            super().handle_error(request, client_address)

    def server_bind(self):  # HTTPServer's looks up this machine's name
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


def serve(handler):
    """Until standard input ends, which it does with whoever holds its other end."""
    server = Server(("127.0.0.1", 0), handler)
    os.write(1, b"%d\n" % server.server_port)
    threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    serve(Handler)
