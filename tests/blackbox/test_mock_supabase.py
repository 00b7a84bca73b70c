"""test_mock_supabase.py - the storage mock keeps objects by Supabase's REST and by S3, and believes no signature"""

import base64
import datetime
import hashlib
import json
import re
import shutil
import subprocess
from urllib.parse import quote

import pytest

from harness import sigv4
from harness.sigv4 import Signer

REST = "/storage/v1"
S3 = "/storage/v1/s3"
KEY = {"Authorization": "Bearer service-role", "apikey": "service-role"}
ODD = "u/a b+c(1)!&$=@;:,?'*.pdf"


@pytest.fixture(name="store")
def store_fixture(mock):
    return mock("supabase", "--bucket", "docmill", "--public-bucket", "open", "--min-part", "10")


def rest(store, method, path, body=None, **headers):
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    return store.request(method, REST + quote(path), body, {**KEY, **headers})


def put(store, key, body=b"hello", **headers):
    return rest(store, "POST", f"/object/docmill/{key}", body, **headers)


def error_of(answer):
    body = json.loads(answer.body)
    assert set(body) == {"statusCode", "error", "code", "message"}
    return answer.status, body["statusCode"], body["code"]


# ---- REST


def test_upload_download_and_delete(store):
    answer = put(store, ODD, b"\x00\xff bytes", Content_Type="application/pdf", cache_control="max-age=60")
    made = json.loads(answer.body)
    assert answer.status == 200 and made["Key"] == f"docmill/{ODD}" and re.fullmatch(r"[0-9a-f-]{36}", made["Id"])
    for path in ("/object/authenticated/docmill/", "/object/docmill/"):
        got = store.request("GET", REST + path + quote(ODD), None, KEY)
        assert (got.status, got.body) == (200, b"\x00\xff bytes")
        assert got.headers["content-type"] == "application/pdf" and got.headers["cache-control"] == "max-age=60"
    assert store.request("DELETE", REST + "/object/docmill/" + quote(ODD), None, KEY).status == 200
    assert error_of(store.request("GET", REST + "/object/docmill/" + quote(ODD), None, KEY)) == (400, "404", "NoSuchKey")


def test_the_status_is_in_the_body(store, mock):
    put(store, "a")
    assert error_of(put(store, "a")) == (400, "409", "KeyAlreadyExists")
    assert error_of(rest(store, "GET", "/object/nobucket/a")) == (400, "404", "NoSuchBucket")
    assert error_of(put(store, "a\u00e4")) == (400, "400", "InvalidKey")
    assert error_of(store.request("GET", f"{REST}/object/docmill/a", None, {})) == (400, "400", "InvalidRequest")
    honest = mock("supabase", "--honest-status", "--key", "right", "--max-object", "3", "--only-type", "text/")
    assert error_of(put(honest, "a")) == (403, "403", "AccessDenied")
    key = {"Authorization": "Bearer right"}
    assert error_of(honest.request("POST", f"{REST}/object/docmill/a", b"1234", key)) == (413, "413", "EntityTooLarge")
    assert error_of(honest.request("POST", f"{REST}/object/docmill/a", b"1", {**key, "Content-Type": "image/png"})) == (
        415, "415", "InvalidMimeType")


def test_upsert_and_update(store):
    put(store, "a", b"one")
    first = json.loads(put(store, "a", b"two", x_upsert="true").body)
    second = json.loads(rest(store, "PUT", "/object/docmill/a", b"three").body)
    assert first["Id"] == second["Id"] and rest(store, "GET", "/object/docmill/a").body == b"three"


def test_a_multipart_upload_and_metadata(store):
    body = (b'--x\r\nContent-Disposition: form-data; name="cacheControl"\r\n\r\n3600\r\n--x\r\nContent-Disposition: '
            b'form-data; name=""; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nin parts\r\n--x--\r\n')
    assert put(store, "m", body, Content_Type="multipart/form-data; boundary=x").status == 200
    assert rest(store, "GET", "/object/docmill/m").body == b"in parts"
    put(store, "n", b"abc", x_metadata=base64.b64encode(b'{"sha": "1"}').decode())
    info = json.loads(rest(store, "GET", "/object/info/docmill/n").body)
    assert info["size"] == 3 and info["metadata"] == {"sha": "1"} and info["name"] == "n"
    assert error_of(rest(store, "GET", "/object/info/authenticated/docmill/x"))[1] == "404"


def test_ranges(store):
    put(store, "r", b"0123456789")
    got = [rest(store, "GET", "/object/docmill/r", None, Range=f"bytes={r}") for r in ("2-4", "7-", "-2", "5-99")]
    assert [(g.status, g.body) for g in got] == [(206, b"234"), (206, b"789"), (206, b"89"), (206, b"56789")]
    assert got[0].headers["content-range"] == "bytes 2-4/10"
    assert error_of(rest(store, "GET", "/object/docmill/r", None, Range="bytes=10-"))[1] == "416"
    head = rest(store, "HEAD", "/object/docmill/r")
    assert head.status == 200 and head.headers["content-length"] == "10" and head.body == b""


def test_signed_urls_expire(store):
    put(store, "s", b"signed")
    answer = rest(store, "POST", "/object/sign/docmill/s", {"expiresIn": 60})
    url = json.loads(answer.body)["signedURL"]
    assert url.startswith("/object/sign/docmill/s?token=")
    assert store.request("GET", REST + url).body == b"signed"
    assert store.request("GET", REST + url + "0").status == 400
    store.advance(61)
    assert store.request("GET", REST + url).status == 400
    assert error_of(rest(store, "POST", "/object/sign/docmill/none", {"expiresIn": 60}))[1] == "404"
    many = json.loads(rest(store, "POST", "/object/sign/docmill", {"expiresIn": 9, "paths": ["s", "none"]}).body)
    assert many[0]["signedURL"] and many[1]["signedURL"] is None and many[1]["error"]


def test_upload_by_a_signed_url(store):
    made = json.loads(rest(store, "POST", "/object/upload/sign/docmill/u", {}).body)
    assert set(made) == {"url", "token"}
    assert store.request("PUT", REST + made["url"], b"by token").status == 200
    assert rest(store, "GET", "/object/docmill/u").body == b"by token"


def test_public_buckets_only(store):
    put(store, "p")
    rest(store, "POST", "/object/open/p", b"all may read")
    assert store.request("GET", f"{REST}/object/public/open/p").body == b"all may read"
    assert error_of(store.request("GET", f"{REST}/object/public/docmill/p"))[1] == "404"
    assert [b["name"] for b in json.loads(rest(store, "GET", "/bucket").body)] == ["docmill", "open"]
    assert json.loads(rest(store, "GET", "/bucket/open").body)["public"] is True


def test_lists(store):
    for key in ("u/2", "u/1", "u/deep/3", "u/deep/4", "v/5", "top"):
        put(store, key)
    listed = lambda **what: [(e["name"], e["id"] is None) for e in
                             json.loads(rest(store, "POST", "/object/list/docmill", what).body)]
    assert listed(prefix="u") == listed(prefix="u/") == [("1", False), ("2", False), ("deep", True)]
    assert listed(prefix="u", limit=1, offset=1) == [("2", False)]
    assert listed(prefix="", sortBy={"column": "name", "order": "desc"}) == [("v", True), ("u", True), ("top", False)]
    first = json.loads(rest(store, "POST", "/object/list-v2/docmill", {"prefix": "u/", "limit": 3}).body)
    assert first["hasNext"] and [o["name"] for o in first["objects"]] == ["u/1", "u/2", "u/deep/3"]
    rest_of = json.loads(rest(store, "POST", "/object/list-v2/docmill",
                              {"prefix": "u/", "cursor": first["nextCursor"]}).body)
    assert not rest_of["hasNext"] and [o["name"] for o in rest_of["objects"]] == ["u/deep/4"]


def test_bulk_delete(store):
    for key in ("a", "b", "c"):
        put(store, key)
    gone = json.loads(rest(store, "DELETE", "/object/docmill", {"prefixes": ["a", "c", "none"]}).body)
    assert [o["name"] for o in gone] == ["a", "c"] and store.usage()["objects"] == 1
    assert rest(store, "DELETE", "/object/docmill", {"prefixes": ["x"] * 1001}).status == 400


def test_faults_of_storage(store):
    store.faults(rules=[{"fault": "status", "status": 429, "count": 1}])
    assert error_of(put(store, "a")) == (429, "429", "SlowDown")
    store.faults(lose_object={"count": 1}, wrong_bytes={"count": 1})
    assert put(store, "lost").status == 200 and rest(store, "GET", "/object/docmill/lost").status == 400
    put(store, "kept", b"hello")
    assert [rest(store, "GET", "/object/docmill/kept").body == b"hello" for _ in range(2)] == [False, True]


def test_objects_over_a_restart(mock, tmp_path):
    store = mock("supabase", state=str(tmp_path / "state.json"))
    put(store, "a", bytes(range(256)), Content_Type="x/y")
    store.restart()
    got = rest(store, "GET", "/object/docmill/a")
    assert got.body == bytes(range(256)) and got.headers["content-type"] == "x/y"


# ---- S3


class Bucket:
    def __init__(self, store, signer=None):
        self.store, self.signer = store, signer or Signer()
        self.host = f"127.0.0.1:{store.port}"

    def do(self, method, key="", args=None, body=b"", send=None, **how):
        path = f"{S3}/docmill/{key}" if key else f"{S3}/docmill"
        args = args or {}
        headers = self.signer.headers(method, self.host, path, args, body, **how)
        query = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in args.items())
        url = quote(path, safe="/-_.~") + ("?" + query if query else "")
        return self.store.request(method, url, send if send is not None else body or None, headers)


@pytest.fixture
def bucket(store):
    return Bucket(store)


def code(answer):
    return answer.status, re.search(rb"<Code>(.*?)</Code>", answer.body).group(1).decode()


def test_the_signer_makes_aws_published_signature():
    at = datetime.datetime(2013, 5, 24, tzinfo=datetime.timezone.utc)
    signer = Signer("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    headers = signer.headers("GET", "examplebucket.s3.amazonaws.com", "/test.txt", at=at, more={"range": "bytes=0-9"})
    assert headers["Authorization"].endswith("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
    assert signer.presigned("GET", "examplebucket.s3.amazonaws.com", "/test.txt", 86400, at).endswith(
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


def test_s3_objects(bucket):
    md5 = hashlib.md5(b"\x00data").hexdigest()
    assert bucket.do("PUT", ODD, body=b"\x00data").headers["etag"] == f'"{md5}"'
    got = bucket.do("GET", ODD)
    assert (got.status, got.body) == (200, b"\x00data")
    assert bucket.do("HEAD", ODD).headers["content-length"] == "5"
    assert bucket.do("DELETE", ODD).status == 204 and bucket.do("DELETE", ODD).status == 204
    assert code(bucket.do("GET", ODD)) == (404, "NoSuchKey") and bucket.do("HEAD", ODD).status == 404
    assert bucket.do("HEAD").status == 200


def test_both_protocols_see_the_same_objects(store, bucket):
    bucket.do("PUT", "both", body=b"x")
    assert rest(store, "GET", "/object/docmill/both").body == b"x"


def test_no_signature_and_wrong_ones(store, bucket):
    bucket.do("PUT", "a", body=b"x")
    assert code(store.request("GET", f"{S3}/docmill/a")) == (403, "AccessDenied")
    assert code(Bucket(store, Signer(secret="wrong")).do("GET", "a")) == (403, "SignatureDoesNotMatch")
    assert code(Bucket(store, Signer(key="nobody")).do("GET", "a")) == (403, "InvalidAccessKeyId")
    headers = bucket.signer.headers("GET", bucket.host, f"{S3}/docmill/a")
    assert code(store.request("GET", f"{S3}/docmill/b", None, headers)) == (403, "SignatureDoesNotMatch")
    assert code(store.request("GET", f"{S3}/docmill/a?x=1", None, headers)) == (403, "SignatureDoesNotMatch")
    assert code(store.request("GET", f"{S3}/docmill/a", None, {**headers, "x-amz-acl": "p"})) == (403, "AccessDenied")
    broken = {**headers, "Authorization": "AWS4-HMAC-SHA256 nothing"}
    assert code(store.request("GET", f"{S3}/docmill/a", None, broken)) == (400, "AuthorizationHeaderMalformed")


def test_the_payload_must_be_what_was_signed(bucket, mock):
    assert code(bucket.do("PUT", "a", body=b"signed", send=b"other")) == (400, "XAmzContentSHA256Mismatch")
    assert bucket.do("PUT", "a", body=b"any", payload="UNSIGNED-PAYLOAD").status == 200
    strict = Bucket(mock("supabase", "--refuse-unsigned", "--region", "eu-west-1"), Signer(region="eu-west-1"))
    assert code(strict.do("PUT", "a", body=b"any", payload="UNSIGNED-PAYLOAD")) == (400, "InvalidRequest")
    assert strict.do("PUT", "a", body=b"any").status == 200
    assert code(Bucket(strict.store).do("GET", "a")) == (400, "AuthorizationHeaderMalformed")


def test_old_dates(bucket):
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=16)
    assert code(bucket.do("GET", "a", at=past)) == (403, "RequestTimeTooSkewed")


def test_presigned_urls(store, bucket):
    bucket.do("PUT", ODD, body=b"x")
    url = bucket.signer.presigned("GET", bucket.host, f"{S3}/docmill/{ODD}", 60)
    assert store.request("GET", url).body == b"x"
    assert code(store.request("GET", url[:-1] + ("0" if url[-1] != "0" else "1"))) == (403, "SignatureDoesNotMatch")
    assert code(store.request("PUT", url, b"y")) == (403, "SignatureDoesNotMatch")
    store.advance(61)
    assert code(store.request("GET", url)) == (403, "AccessDenied")
    to_put = Signer().presigned("PUT", bucket.host, f"{S3}/docmill/b", 3600)
    assert store.request("PUT", to_put, b"y").status == 200


def test_conditions_and_digests(bucket):
    none = {"if-none-match": "*"}
    assert bucket.do("PUT", "c", body=b"1", more=none).status == 200
    assert code(bucket.do("PUT", "c", body=b"2", more=none)) == (412, "PreconditionFailed")
    right = base64.b64encode(hashlib.md5(b"3").digest()).decode()
    assert bucket.do("PUT", "c", body=b"3", more={"content-md5": right}).status == 200
    assert code(bucket.do("PUT", "c", body=b"4", more={"content-md5": right})) == (400, "BadDigest")


def test_s3_lists_page_by_page(bucket):
    for key in ("u/1", "u/2", "u/<3>&", "v/4", "v/5"):
        bucket.do("PUT", key, body=b"x")
    keys = lambda a: re.findall(rb"<Key>(.*?)</Key>", a.body)
    first = bucket.do("GET", args={"list-type": "2", "prefix": "u/", "max-keys": "2"})
    token = re.search(rb"<NextContinuationToken>(.*?)<", first.body).group(1).decode()
    second = bucket.do("GET", args={"list-type": "2", "prefix": "u/", "continuation-token": token})
    assert keys(first) + keys(second) == [b"u/1", b"u/2", b"u/&lt;3&gt;&amp;"] and b"<IsTruncated>false" in second.body
    folders = bucket.do("GET", args={"list-type": "2", "delimiter": "/"})
    assert re.findall(rb"<CommonPrefixes><Prefix>(.*?)</Prefix>", folders.body) == [b"u/", b"v/"]


def test_s3_bulk_delete(store, bucket):
    for key in ("a", "b&", "c"):
        bucket.do("PUT", key, body=b"x")
    body = b"<Delete><Object><Key>a</Key></Object><Object><Key>b&amp;</Key></Object></Delete>"
    answer = bucket.do("POST", args={"delete": ""}, body=body)
    assert answer.status == 200 and answer.body.count(b"<Deleted>") == 2 and store.usage()["objects"] == 1


def test_multipart_uploads(store, bucket):
    begun = bucket.do("POST", "big", args={"uploads": ""})
    upload = re.search(rb"<UploadId>(.*?)<", begun.body).group(1).decode()
    etags = [bucket.do("PUT", "big", args={"partNumber": str(n), "uploadId": upload}, body=part).headers["etag"]
             for n, part in ((2, b"second"), (1, b"first of all"))][::-1]
    part = "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>".format
    whole = lambda *ps: "<CompleteMultipartUpload>{}</CompleteMultipartUpload>".format("".join(ps)).encode()
    finish = lambda body: bucket.do("POST", "big", args={"uploadId": upload}, body=body)
    assert code(finish(whole(part(2, etags[1]), part(1, etags[0])))) in ((400, "InvalidPartOrder"), (400, "EntityTooSmall"))
    assert code(finish(whole(part(1, etags[1])))) == (400, "InvalidPart")
    done = finish(whole(part(1, etags[0]), part(2, etags[1])))
    assert done.status == 200 and bucket.do("GET", "big").body == b"first of allsecond"
    raw = b"".join(hashlib.md5(p).digest() for p in (b"first of all", b"second"))
    assert bucket.do("HEAD", "big").headers["etag"] == f'"{hashlib.md5(raw).hexdigest()}-2"'
    assert code(finish(whole(part(1, etags[0])))) == (404, "NoSuchUpload")


def test_aborted_and_small_parts(bucket):
    begin = lambda: re.search(rb"<UploadId>(.*?)<", bucket.do("POST", "x", args={"uploads": ""}).body).group(1).decode()
    upload = begin()
    parts = [bucket.do("PUT", "x", args={"partNumber": str(n), "uploadId": upload}, body=b"tiny").headers["etag"]
             for n in (1, 2)]
    body = "<C>" + "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in zip((1, 2), parts))
    assert code(bucket.do("POST", "x", args={"uploadId": upload}, body=body.encode())) == (400, "EntityTooSmall")
    assert bucket.do("DELETE", "x", args={"uploadId": upload}).status == 204
    assert code(bucket.do("PUT", "x", args={"partNumber": "1", "uploadId": upload}, body=b"y")) == (404, "NoSuchUpload")


def test_host_style(store):
    host = f"docmill.s3.localhost:{store.port}"
    headers = Signer().headers("PUT", host, "/by-host", body=b"x")
    assert store.request("PUT", "/by-host", b"x", {**headers, "Host": host}).status == 200
    assert rest(store, "GET", "/object/docmill/by-host").body == b"x"


def test_s3_faults_are_xml(store, bucket):
    store.faults(status={"status": 503, "count": 1})
    assert code(bucket.do("GET", "a")) == (503, "SlowDown")


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_a_signature_made_by_curl(store, tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"from curl")
    base = ["curl", "-sS", "--noproxy", "*", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user",
            "docmill-test:docmill-test-secret"]
    sha = hashlib.sha256(b"from curl").hexdigest()
    url = f"{store.url}{S3}/docmill/by/curl.txt"
    subprocess.run([*base, "-f", "-H", f"x-amz-content-sha256: {sha}", "-T", str(file), url], check=True, timeout=20)
    got = subprocess.run([*base, "-f", "-H", f"x-amz-content-sha256: {sigv4.EMPTY}", url], check=True, timeout=20,
                         capture_output=True)
    assert got.stdout == b"from curl"
