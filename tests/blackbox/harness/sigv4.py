"""sigv4.py - AWS Signature Version 4 for S3, written from its description and checked with its published example"""

import datetime
import hashlib
import hmac
from urllib.parse import quote

EMPTY = hashlib.sha256(b"").hexdigest()


def _mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature(secret, scope, date, canonical):
    day, region, service, end = scope.split("/")
    key = ("AWS4" + secret).encode()
    for part in (day, region, service, end):
        key = _mac(key, part)
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    return _mac(key, text).hex()


def canonical(method, path, args, headers, payload):
    query = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted(args.items()))
    names = sorted(headers)
    lines = "".join(f"{n}:{' '.join(headers[n].split())}\n" for n in names)
    return "\n".join([method, quote(path, safe="/-_.~"), query, lines, ";".join(names), payload])


def _now(at):
    return (at or datetime.datetime.now(datetime.timezone.utc)).strftime("%Y%m%dT%H%M%SZ")


class Signer:
    def __init__(self, key="docmill-test", secret="docmill-test-secret", region="us-east-1"):
        self.key, self.secret, self.region = key, secret, region

    def scope(self, date):
        return f"{date[:8]}/{self.region}/s3/aws4_request"

    def headers(self, method, host, path, args=None, body=b"", at=None, payload=None, more=None):
        """The headers to send, host not among them; path is not encoded."""
        date = _now(at)
        payload = payload or hashlib.sha256(body).hexdigest()
        headers = {"host": host, "x-amz-date": date, "x-amz-content-sha256": payload, **(more or {})}
        made = signature(self.secret, self.scope(date), date, canonical(method, path, args or {}, headers, payload))
        headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.key}/{self.scope(date)}, "
                                    f"SignedHeaders={';'.join(sorted(headers))}, Signature={made}")
        del headers["host"]
        return headers

    def presigned(self, method, host, path, seconds=60, at=None):
        """Path and query."""
        date = _now(at)
        args = {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{self.key}/{self.scope(date)}",
                "X-Amz-Date": date, "X-Amz-Expires": str(seconds), "X-Amz-SignedHeaders": "host"}
        text = canonical(method, path, args, {"host": host}, "UNSIGNED-PAYLOAD")
        args["X-Amz-Signature"] = signature(self.secret, self.scope(date), date, text)
        return quote(path, safe="/-_.~") + "?" + "&".join(f"{k}={quote(v, safe='')}" for k, v in args.items())
