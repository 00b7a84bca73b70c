"""test_api.py - the HTTP API, route by route and error by error

The daemon here has no worker: no document moves on by itself, so each answer can be foretold.
"""

import hashlib
import http.client
import json
import os
import signal
import socket
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from harness import account
from harness.account import wait_for
from harness.cluster import Cluster
from harness.daemon import TOKEN, Daemon

NO_WORKERS = [{"name": "coordinator", "role": "coordinator", "min": 1, "max": 1},
              {"name": "api", "role": "api", "min": 1, "max": 1}]
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
TEXT = "# Title\n\nSome words about sailing boats.\n"


def make_space(one, dimension=512):
    one.sql("SELECT upload_pipeline.ensure_collection('default', 'builtin', 1, %s, 'cosine', 'none')", (dimension,))


@pytest.fixture(scope="module")
def shared(programs, cluster):
    """One daemon for all tests that do not need one of their own."""
    database = cluster.create_database()
    one = Daemon(programs, database, pools=NO_WORKERS)
    try:
        one.migrate()
        one.start()
        make_space(one)
        yield one
    finally:
        one.close()
        database.drop()


def emptied(one):
    try:
        one.sql("TRUNCATE upload_pipeline.documents, upload_pipeline.upload_jobs, upload_pipeline.upload_job_details,"
                " upload_pipeline.events, upload_pipeline.user_lanes CASCADE")
    except psycopg.errors.DeadlockDetected:
        return False
    return True


@pytest.fixture
def api(shared):
    """The shared daemon, empty."""
    wait_for(lambda: emptied(shared), 20, "the tables to be emptied beside the daemon's own statements")
    for path in files_below(shared.blobs):
        os.unlink(path)
    return shared


def api_pid(one):
    (child,) = [c for c in one.status()["children"] if c["role"] == "api"]
    return child["pid"]


def files_below(path):
    return [os.path.join(parent, name) for parent, _, names in os.walk(path) for name in names]


def raw(one, data, unix=False, limit=10):
    """Sends bytes as they are; everything that comes back until the server closes or limit seconds pass."""
    s = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    s.settimeout(limit)
    s.connect(one.run_dir + "/api.sock" if unix else ("127.0.0.1", one.port))
    with s:
        s.sendall(data)
        return read_all(s)


def read_all(s):
    got = b""
    try:
        while chunk := s.recv(65536):
            got += chunk
    except (socket.timeout, ConnectionResetError):
        pass
    return got


def headers(*more):
    return "".join(line + "\r\n" for line in ("Host: x", f"Authorization: Bearer {TOKEN}", *more)) + "\r\n"


# --- uploads


def test_upload_is_accepted_then_known(api):
    first = api.upload(TEXT, "boats.md")
    assert first.status == 202, first
    answer = first.json
    assert answer["created"] is True and answer["status"] == "uploaded" and answer["state"] == "queued"
    assert first.headers["Location"] == "/v1/documents/" + answer["document_id"]
    again = api.upload(TEXT, "other-name.md")
    assert again.status == 200, again
    assert again.json["created"] is False and again.json["document_id"] == answer["document_id"]
    assert api.sql("SELECT count(*) FROM upload_pipeline.documents") == [(1,)]
    stored = files_below(api.blobs)
    assert [os.path.basename(p) for p in stored] == [hashlib.sha256(TEXT.encode()).hexdigest()]


def test_document_id_is_the_published_one(api):
    """UUIDv5 of user and content hash, as anybody may compute it."""
    namespace = uuid.UUID("6c8a1e6e-1f0b-4aa8-9f0a-1a7c2e6f2b42")
    user = uuid.uuid5(namespace, "user:tester")
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    assert api.upload(TEXT, "a.md").json["document_id"] == str(uuid.uuid5(namespace, f"{user}:{digest}"))


def test_chunked_upload(api):
    body = TEXT.encode()
    answer = api.http("POST", "/v1/documents?filename=a.md", iter([body[:7], body[7:]]))
    assert answer.status == 202, answer
    assert api.document(answer.json["document_id"])["bytes"] == len(body)


def test_upload_with_expect_continue(api):
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as s:
        s.sendall(f"POST /v1/documents?filename=a.md HTTP/1.1\r\n".encode()
                  + headers(f"Content-Length: {len(TEXT)}", "Expect: 100-continue", "Connection: close").encode())
        assert s.recv(100).startswith(b"HTTP/1.1 100 ")
        s.sendall(TEXT.encode())
        assert b"HTTP/1.1 202 " in read_all(s)


def test_lane_and_correlation_reach_the_job(api):
    answer = api.http("POST", "/v1/documents?filename=a.md&lane=bulk", TEXT)
    job = api.http("GET", "/v1/jobs/" + answer.json["job_id"]).json
    assert job["lane"] == "bulk"
    assert job["correlation_id"] == job_correlation(api, answer.json["job_id"])


def job_correlation(one, job):
    return str(one.sql("SELECT correlation FROM upload_pipeline.upload_job_details WHERE job_id = %s", (job,))[0][0])


def test_announced_hash_is_checked(api):
    good = hashlib.sha256(TEXT.encode()).hexdigest()
    assert api.upload(TEXT, "a.md", headers={"X-Content-SHA256": good}).status == 202
    bad = api.upload(TEXT + "x", "b.md", headers={"X-Content-SHA256": good})
    assert (bad.status, bad.reason) == (422, "hash_mismatch")
    assert len(files_below(api.blobs)) == 1


@pytest.mark.parametrize("body,name,more,status,reason", [
    (b"", "a.md", {}, 422, "empty_file"),
    (b"\x00\x01\x02\x03" * 100, "a.bin", {}, 415, "unsupported_type"),
    (b"<html><body>x</body></html>", "a.pdf", {}, 422, "type_mismatch"),
    (PDF, "a.pdf", {"Content-Type": "text/html"}, 422, "type_mismatch"),
    (b"x", "", {}, 400, "bad_request"),
    (b"x", "a/b.md", {}, 400, "bad_request"),
    (b"x", "a\x01b.md", {}, 400, "bad_request"),
    (b"x", "a" * 256, {}, 400, "bad_request"),
    (b"x", "a.md", {"X-Content-SHA256": "abc"}, 400, "bad_request"),
    (b"x", "a.md", {"Transfer-Encoding": "gzip"}, 400, "bad_request"),
])
def test_refused_uploads_leave_nothing(api, body, name, more, status, reason):
    answer = api.upload(body, name, headers=more)
    assert (answer.status, answer.reason) == (status, reason), answer
    assert set(answer.json) >= {"type", "title", "status", "detail", "correlation_id"}
    assert answer.json["status"] == status
    assert files_below(api.blobs) == []
    assert api.sql("SELECT count(*) FROM upload_pipeline.upload_jobs") == [(0,)]


def test_declared_type_decides_between_kinds_of_text(api):
    plain = api.upload("plain words\n", "notes", headers={"Content-Type": "text/markdown; charset=utf-8"})
    assert plain.status == 202, plain
    assert api.document(plain.json["document_id"])["content_type"] == "text/markdown"


def test_unknown_lane_and_parameter(api):
    for query in ("filename=a.md&lane=fast", "filename=a.md&x=1", "filename=a.md&filename=b.md", "filename=%zz"):
        answer = api.http("POST", "/v1/documents?" + query, TEXT)
        assert (answer.status, answer.reason) == (400, "bad_request"), query


def test_upload_needs_a_length(api):
    got = raw(api, b"POST /v1/documents?filename=a.md HTTP/1.1\r\n" + headers("Connection: close").encode())
    assert got.startswith(b"HTTP/1.1 411 "), got[:300]


def test_length_and_chunked_together_are_refused(api):
    got = raw(api, b"POST /v1/documents?filename=a.md HTTP/1.1\r\n"
              + headers("Connection: close", "Content-Length: 3", "Transfer-Encoding: chunked").encode()
              + b"3\r\nabc\r\n0\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 400 "), got[:300]


@pytest.mark.parametrize("unix", [False, True])
def test_too_large_is_told_before_the_body(daemon, unix):
    one = daemon({"limits.max_upload": "1MB"}, NO_WORKERS)
    make_space(one)
    at_limit = one.upload(b"a" * 1024 * 1024, "a.txt", unix=unix)
    assert at_limit.status == 202, at_limit
    answer = one.upload(b"a" * (1024 * 1024 + 1), "a.txt", unix=unix)
    assert (answer.status, answer.reason) == (413, "too_large")
    # a client that first sends everything still reads the answer
    answer = one.upload(b"a" * (40 * 1024 * 1024), "a.txt", unix=unix)
    assert (answer.status, answer.reason) == (413, "too_large")
    assert len(files_below(one.blobs)) == 1


@pytest.mark.parametrize("megabytes", [2, 40])
def test_too_large_in_chunks(daemon, megabytes):
    one = daemon({"limits.max_upload": "1MB"}, NO_WORKERS)
    piece = b"a" * 65536
    answer = one.http("POST", "/v1/documents?filename=a.txt", iter([piece] * (16 * megabytes)))
    assert (answer.status, answer.reason) == (413, "too_large")
    assert files_below(one.blobs) == []


def test_upload_cut_half_way_leaves_nothing(api):
    for unix in (False, True):
        s = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        s.connect(api.run_dir + "/api.sock" if unix else ("127.0.0.1", api.port))
        s.sendall(b"POST /v1/documents?filename=a.md HTTP/1.1\r\n" + headers("Content-Length: 100000").encode() + b"x" * 50000)
        wait_for(lambda: files_below(api.blobs), 5, "the half-written file")
        s.close()
        wait_for(lambda: not files_below(api.blobs), 5, "the half-written file to go")
    assert api.sql("SELECT count(*) FROM upload_pipeline.documents") == [(0,)]
    assert api.http("GET", "/livez").status == 200


def test_concurrent_uploads_of_the_same_bytes_are_one_document(api):
    answers = []

    def upload():
        answers.append(api.upload(TEXT, "a.md"))

    threads = [threading.Thread(target=upload) for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(a.status for a in answers) == [200] * 15 + [202]
    assert len({a.json["job_id"] for a in answers}) == 1


def test_too_many_active(daemon):
    one = daemon({"limits.user_active": 2}, NO_WORKERS)
    make_space(one)
    assert [one.upload(f"text {i}\n", "a.txt").status for i in range(3)] == [202, 202, 429]
    refused = one.upload("text 4\n", "a.txt")
    assert refused.reason == "too_many_active" and int(refused.headers["Retry-After"]) > 0
    known = one.upload("text 0\n", "a.txt")
    assert known.status == 200, "a document that is there already is no new one"


def test_no_space_yet_is_not_ready(daemon):
    one = daemon(pools=NO_WORKERS)
    make_space(one)
    one.sql("UPDATE upload_pipeline.collections SET live_space = NULL")
    answer = one.upload(TEXT, "a.md")
    assert (answer.status, answer.reason) == (503, "not_ready")
    assert int(answer.headers["Retry-After"]) > 0
    answer = one.http("GET", "/v1/search?q=x")
    assert (answer.status, answer.reason) == (503, "not_ready")


def test_storage_that_cannot_be_written(api):
    account.run(["chmod", "500", api.blobs + "/tmp"])
    try:
        answer = api.upload(TEXT, "a.md")
        assert (answer.status, answer.reason) == (503, "blob_denied")
        wait_for(lambda: api.http("GET", "/readyz").status == 503, 25, "/readyz to notice")
    finally:
        account.run(["chmod", "700", api.blobs + "/tmp"])
    assert api.upload(TEXT, "a.md").status == 202
    wait_for(lambda: api.http("GET", "/readyz").status == 200, 25, "/readyz to recover")


# --- reading


def test_list_pages_by_cursor(api):
    for i in range(7):
        assert api.upload(f"document {i}\n", f"{i}.txt").status == 202
    seen, after, pages = [], "", 0
    while after is not None:
        page = api.http("GET", "/v1/documents?limit=3" + (f"&after={after}" if after else "")).json
        seen += [d["filename"] for d in page["documents"]]
        after = page["next"]
        pages += 1
    assert seen == [f"{i}.txt" for i in reversed(range(7))] and pages == 3
    jobs = api.http("GET", "/v1/jobs?limit=3").json
    assert [j["filename"] for j in jobs["jobs"]] == ["6.txt", "5.txt", "4.txt"] and jobs["next"]


def test_a_page_may_begin_between_rows_of_one_moment(api):
    for i in range(6):
        api.upload(f"document {i}\n", f"{i}.txt")
    api.sql("UPDATE upload_pipeline.documents SET created_at = '2024-01-01 00:00:00.123457+00'")
    seen, after = [], ""
    while after is not None:
        page = api.http("GET", "/v1/documents?limit=2" + (f"&after={after}" if after else "")).json
        seen += [d["document_id"] for d in page["documents"]]
        after = page["next"]
    assert len(seen) == len(set(seen)) == 6


@pytest.mark.parametrize("path", [
    "/v1/documents?limit=0", "/v1/documents?limit=1001", "/v1/documents?limit=x", "/v1/documents?after=1",
    "/v1/jobs?state=nonsense", "/v1/jobs?status=done", "/v1/search", "/v1/search?q=", "/v1/search?q=%20",
    "/v1/search?q=x&limit=0", "/v1/search?q=x&limit=201", "/v1/search?q=" + "x" * 4001, "/v1/documents/1",
    "/v1/stats?x", "/v1/search?q=%ff", "/v1/search?q=%00",
])
def test_bad_requests(api, path):
    answer = api.http("GET", path)
    assert (answer.status, answer.reason) == (400, "bad_request"), answer


def test_document_and_job_show_what_is_known(api):
    up = api.upload(TEXT, "boats.md").json
    document = api.document(up["document_id"])
    assert document["sha256"] == hashlib.sha256(TEXT.encode()).hexdigest()
    assert (document["filename"], document["bytes"], document["progress"]) == ("boats.md", len(TEXT), 0)
    assert document["job_id"] == up["job_id"] and document["chunks"] is None
    job = api.http("GET", "/v1/jobs/" + up["job_id"]).json
    assert (job["status"], job["state"], job["attempt"]) == ("uploaded", "queued", 0)
    (event,) = job["events"]
    assert (event["from_status"], event["to_status"], event["actor"]) == (None, "uploaded", "operator")
    listed = api.http("GET", "/v1/jobs?state=queued").json["jobs"]
    assert [j["job_id"] for j in listed] == [up["job_id"]]
    assert api.http("GET", "/v1/jobs?state=done").json == {"jobs": [], "next": None}


def test_stats_count_the_callers_documents(api):
    assert api.http("GET", "/v1/stats").json["documents"] == 0
    job = api.upload("one\n", "1.txt").json["job_id"]
    api.upload("two\n", "2.txt")
    api.http("POST", f"/v1/jobs/{job}/cancel")
    stats = api.http("GET", "/v1/stats").json
    assert (stats["documents"], stats["open"], stats["failed"]) == (2, 1, 0)
    assert stats["by_status"] == {"uploaded": 1, "cancelled": 1}
    assert stats["by_state"] == {"queued": 1, "cancelled": 1}


def test_search_with_nothing_visible_is_empty(api):
    api.upload(TEXT, "boats.md")
    assert api.http("GET", "/v1/search?q=sailing").json == {"results": []}


def test_search_finds_a_visible_chunk(api):
    up = api.upload(TEXT, "boats.md").json
    make_visible(api, up["document_id"], "Some words about sailing boats.")
    (hit,) = api.search("sailing boats", limit=3)
    assert hit["document_id"] == up["document_id"] and hit["filename"] == "boats.md"
    assert hit["text"] == "Some words about sailing boats." and hit["heading_path"] == "Title"
    assert set(hit) == {"document_id", "filename", "chunk_id", "ord", "heading_path", "page", "score", "text",
                        "byte_start", "byte_end"}


def make_visible(one, document, text):
    """What a worker would have done, in short."""
    values = "[" + ",".join(["0.1"] * 512) + "]"
    (user,) = one.sql("SELECT user_id FROM upload_pipeline.documents WHERE document_id = %s", (document,))[0]
    one.sql("INSERT INTO upload_pipeline.document_chunks (user_id, document_id, chunk_id, byte_start, byte_end,"
            " generation, ord, overlap, tokens, page, sha256, heading_path, text)"
            " VALUES (%s, %s, gen_random_uuid(), 0, 10, 1, 0, 0, 5, 1, sha256('x'), 'Title', %s)", (user, document, text))
    one.sql("INSERT INTO upload_pipeline.vectors_1 VALUES (%s, %s, 1, 0, %s::public.vector)", (user, document, values))
    one.sql("UPDATE upload_pipeline.documents SET live_generation = 1, chunks = 1 WHERE document_id = %s", (document,))


# --- changing


def test_cancel_and_retry(api):
    job = api.upload(TEXT, "a.md").json["job_id"]
    refused = api.http("POST", f"/v1/jobs/{job}/retry")
    assert (refused.status, refused.reason) == (409, "conflict")
    cancelled = api.http("POST", f"/v1/jobs/{job}/cancel")
    assert cancelled.status == 200 and cancelled.json == {"job_id": job, "status": "cancelled", "state": "cancelled"}
    twice = api.http("POST", f"/v1/jobs/{job}/cancel")
    assert (twice.status, twice.reason) == (409, "conflict")
    retried = api.http("POST", f"/v1/jobs/{job}/retry")
    assert retried.json == {"job_id": job, "status": "uploaded", "state": "queued"}
    assert len(api.http("GET", f"/v1/jobs/{job}").json["events"]) == 3


def test_delete(api):
    up = api.upload(TEXT, "a.md").json
    assert api.http("DELETE", "/v1/documents/" + up["document_id"]).status == 200
    gone = api.http("GET", "/v1/documents/" + up["document_id"])
    assert (gone.status, gone.reason) == (404, "not_found")
    again = api.http("DELETE", "/v1/documents/" + up["document_id"])
    assert (again.status, again.reason) == (404, "not_found")
    assert api.upload(TEXT, "a.md").status == 202


@pytest.mark.parametrize("method,path,status,reason", [
    ("GET", "/nowhere", 404, "not_found"),
    ("GET", "/v1/documents/", 404, "not_found"),
    ("PUT", "/v1/documents", 405, "method_not_allowed"),
    ("DELETE", "/livez", 405, "method_not_allowed"),
    ("GET", f"/v1/documents/{uuid.UUID(int=1)}", 404, "not_found"),
    ("GET", f"/v1/jobs/{uuid.UUID(int=1)}", 404, "not_found"),
    ("POST", f"/v1/jobs/{uuid.UUID(int=1)}/retry", 404, "not_found"),
    ("POST", f"/v1/jobs/{uuid.UUID(int=1)}/cancel", 404, "not_found"),
    ("DELETE", f"/v1/documents/{uuid.UUID(int=1)}", 404, "not_found"),
])
def test_what_is_not_there(api, method, path, status, reason):
    answer = api.http(method, path)
    assert (answer.status, answer.reason) == (status, reason), answer
    if status == 405:
        assert answer.headers["Allow"]


def test_routes_are_listed(api):
    listed = {(r["method"], r["path"]) for r in api.http("GET", "/v1").json["routes"]}
    assert ("POST", "/v1/documents") in listed and ("GET", "/readyz") in listed and len(listed) >= 20


# --- who


def test_tcp_needs_the_token(api):
    for token in (None, "wrong-token-0123456789", TOKEN + "x", TOKEN[:-1], ""):
        for method, path in (("GET", "/v1/documents"), ("POST", "/v1/documents?filename=a"), ("GET", "/nowhere"),
                             ("PUT", "/v1/documents")):
            answer = api.http(method, path, token=token)
            assert (answer.status, answer.reason) == (401, "unauthenticated"), (token, path)
            assert answer.headers["WWW-Authenticate"] == "Bearer" and answer.json["hint"]
    assert api.http("GET", "/livez", token=None).status == 200
    assert api.http("GET", "/readyz", token=None).status == 200
    assert TOKEN not in api.log()


def test_without_a_token_tcp_answers_only_the_probes(daemon):
    one = daemon({"api.token": None}, NO_WORKERS)
    answer = one.http("GET", "/v1/documents")
    assert (answer.status, answer.reason) == (401, "unauthenticated") and "api.token" in answer.json["hint"]
    assert one.http("GET", "/livez").status == 200
    assert one.http("GET", "/v1/documents", unix=True).status == 200


def test_two_users_see_nothing_of_each_other(daemon):
    """The token's user over TCP, and the uid of this process over the socket."""
    one = daemon({"api.socket_user": None}, NO_WORKERS)
    make_space(one)
    mine = one.upload(TEXT, "mine.md").json
    theirs = one.upload(TEXT, "theirs.md", unix=True).json
    assert mine["document_id"] != theirs["document_id"], "the same bytes, two users, two documents"
    make_visible(one, mine["document_id"], "alpha words")
    make_visible(one, theirs["document_id"], "beta words")
    namespace = uuid.UUID("6c8a1e6e-1f0b-4aa8-9f0a-1a7c2e6f2b42")
    users = {str(u) for (u,) in one.sql("SELECT user_id FROM upload_pipeline.documents")}
    assert users == {str(uuid.uuid5(namespace, "user:tester")), str(uuid.uuid5(namespace, f"uid:{os.geteuid()}"))}
    for unix, own, other, text in ((False, mine, theirs, "alpha words"), (True, theirs, mine, "beta words")):
        assert [d["document_id"] for d in one.http("GET", "/v1/documents", unix=unix).json["documents"]] == [own["document_id"]]
        assert [j["job_id"] for j in one.http("GET", "/v1/jobs", unix=unix).json["jobs"]] == [own["job_id"]]
        assert [h["text"] for h in one.http("GET", "/v1/search?q=words", unix=unix).json["results"]] == [text]
        assert one.http("GET", "/v1/stats", unix=unix).json["documents"] == 1
        for method, path in (("GET", f"/v1/documents/{other['document_id']}"), ("GET", f"/v1/jobs/{other['job_id']}"),
                             ("POST", f"/v1/jobs/{other['job_id']}/cancel"), ("POST", f"/v1/jobs/{other['job_id']}/retry"),
                             ("DELETE", f"/v1/documents/{other['document_id']}")):
            assert one.http(method, path, unix=unix).status == 404, (method, path)
    assert one.sql("SELECT count(*) FROM upload_pipeline.documents") == [(2,)]


# --- connections and load


def test_keep_alive_serves_many_requests(api):
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
    for i in range(50):
        path = "/v1/stats" if i % 2 else "/livez"
        connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        assert answer.status == 200 and json.loads(answer.read())
    # a refused small upload keeps the connection, too
    connection.request("POST", "/v1/documents?filename=a.bin", b"\0\1" * 1000, {"Authorization": f"Bearer {TOKEN}"})
    assert connection.getresponse().read()
    connection.request("GET", "/livez")
    assert connection.getresponse().status == 200
    connection.close()


def test_pipelined_requests_are_all_answered(api):
    got = raw(api, (b"GET /v1/stats HTTP/1.1\r\n" + headers().encode()) * 20
              + b"GET /v1/stats HTTP/1.1\r\n" + headers("Connection: close").encode())
    assert got.count(b"HTTP/1.1 200 ") == 21


def test_head_has_no_body(api):
    got = raw(api, b"HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 ") and got.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("data", [
    b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"\0" * 5000, b"GET /livez HTTP/9.9\r\n\r\n",
    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"POST /v1/documents HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
    b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
])
def test_nonsense_does_no_harm(api, data):
    pid = api_pid(api)
    raw(api, data, limit=2)
    assert api.http("GET", "/livez").status == 200
    assert api_pid(api) == pid


def test_slow_headers_are_cut(daemon):
    one = daemon({"api.idle_timeout": "2s"}, NO_WORKERS)
    with socket.create_connection(("127.0.0.1", one.port), timeout=15) as s:
        began = time.monotonic()
        try:
            for c in b"GET /livez HTTP/1.1\r\nX-Slow: " + b"a" * 100:
                s.sendall(bytes([c]))
                time.sleep(0.2)
            pytest.fail("a client that trickles headers was served for 20 s")
        except (BrokenPipeError, ConnectionResetError):
            assert time.monotonic() - began < 8


def test_silent_connections_are_closed(daemon):
    one = daemon({"api.idle_timeout": "1s"}, NO_WORKERS)
    with socket.create_connection(("127.0.0.1", one.port), timeout=10) as s:
        began = time.monotonic()
        assert s.recv(1) == b"" and time.monotonic() - began < 5


def test_a_body_that_trickles_is_cut(daemon):
    one = daemon({"api.idle_timeout": "1s"}, NO_WORKERS)
    with socket.create_connection(("127.0.0.1", one.port), timeout=15) as s:
        s.sendall(b"POST /v1/documents?filename=a.md HTTP/1.1\r\n" + headers("Content-Length: 100000").encode())
        got = b""
        s.settimeout(0.3)
        for _ in range(40):
            try:
                s.sendall(b"x")
                got += s.recv(1000)
                if got:
                    break
            except socket.timeout:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
        s.settimeout(3)
        got += read_all(s)
    assert got.startswith(b"HTTP/1.1 400 ") and b"urn:docmill:upload_incomplete" in got, got[:300]
    assert files_below(one.blobs) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: reads /proc of processes that cannot be dumped")
def test_connections_are_bounded(daemon):
    one = daemon({"api.max_connections": 5, "api.idle_timeout": "2s"}, NO_WORKERS)
    held = [socket.create_connection(("127.0.0.1", one.port), timeout=5) for _ in range(20)]
    time.sleep(0.5)
    descriptors = len(os.listdir(f"/proc/{api_pid(one)}/fd"))
    for s in held:
        s.close()
    assert descriptors < 60, descriptors
    wait_for(lambda: one.is_ready(), 10, "service after the crowd has gone")


def test_overload_is_bounded_and_told(daemon, db):
    one = daemon({"api.queue": 3, "api.db_connections": 1, "database.statement_timeout": "8s"}, NO_WORKERS)
    make_space(one)
    with psycopg.connect(db.cluster.url(db.name)) as lock:
        lock.execute("LOCK TABLE upload_pipeline.upload_jobs IN ACCESS EXCLUSIVE MODE")
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(one.http("GET", "/v1/stats"))) for _ in range(20)]
        for t in threads:
            t.start()
        wait_for(lambda: len(answers) >= 16, 5, "the requests beyond the queue to be refused")
        assert {(a.status, a.reason) for a in answers} == {(503, "overloaded")}
        assert all(int(a.headers["Retry-After"]) > 0 for a in answers)
        assert one.http("GET", "/livez").status == 200, "what needs no database goes on"
    for t in threads:
        t.join()
    assert sorted(a.status for a in answers) == [200] * 4 + [503] * 16


def test_a_statement_that_does_not_end(daemon, db):
    one = daemon({"database.statement_timeout": "1s"}, NO_WORKERS)
    with psycopg.connect(db.cluster.url(db.name)) as lock:
        lock.execute("LOCK TABLE upload_pipeline.upload_jobs IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        answer = one.http("GET", "/v1/stats")
        assert (answer.status, answer.reason) == (503, "db_timeout") and time.monotonic() - began < 4
    assert one.http("GET", "/v1/stats").status == 200


def test_several_children_share_the_sockets_and_one_may_die(daemon):
    one = daemon(pools=[{"name": "coordinator", "role": "coordinator", "min": 1, "max": 1},
                        {"name": "api", "role": "api", "min": 3, "max": 3}])
    make_space(one)
    children = [c["pid"] for c in one.status()["children"] if c["role"] == "api"]
    assert len(children) == 3
    results, stop = [], threading.Event()

    def ask(n):
        i = 0
        while not stop.is_set():
            i += 1
            try:
                answer = one.upload(f"client {n} file {i % 20}\n", "a.txt", unix=n % 2 == 0)
                results.append((time.monotonic(), answer.status))
            except (OSError, http.client.HTTPException):
                results.append((time.monotonic(), 0))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    wait_for(lambda: len(results) > 100, 20, "answers")
    killed = time.monotonic()
    os.kill(children[0], 9)
    wait_for(lambda: len(results) > 400, 20, "answers after the kill")
    wait_for(lambda: one.status()["ready"], 10, "the child to be replaced")
    stop.set()
    for t in threads:
        t.join()
    assert {status for _, status in results} <= {0, 200, 202}
    assert sum(status == 0 for _, status in results) <= 6, "only what was in the dead child's hands is lost"
    assert all(status for at, status in results if at < killed or at > killed + 5)
    served = [c["requests"] for c in one.status()["children"] if c["role"] == "api"]
    assert one.sql("SELECT count(*) FROM upload_pipeline.documents") == [(120,)], served


# --- the database goes away


@pytest.fixture
def own_cluster():
    one = Cluster.create()
    yield one
    one.remove()


def test_database_down_and_up(daemon, own_cluster):
    database = own_cluster.create_database()
    one = daemon(pools=NO_WORKERS, database=database)
    make_space(one)
    pid = api_pid(one)
    up = one.upload(TEXT, "a.md").json
    own_cluster.stop(immediate=True)
    wait_for(lambda: one.http("GET", "/readyz").status == 503, 15, "/readyz to notice")
    for _ in range(3):
        began = time.monotonic()
        answer = one.http("GET", "/v1/documents/" + up["document_id"])
        assert (answer.status, answer.reason) == (503, "db_unavailable"), answer
        assert int(answer.headers["Retry-After"]) > 0 and time.monotonic() - began < 1
        answer = one.upload("more\n", "b.txt")
        assert (answer.status, answer.reason) == (503, "db_unavailable")
    assert one.http("GET", "/livez").status == 200
    assert len(files_below(one.blobs)) == 1, "nothing is stored while no document can be made"
    own_cluster.start()
    wait_for(lambda: one.http("GET", "/readyz").status == 200, 10, "/readyz to recover")
    assert one.document(up["document_id"])["filename"] == "a.md"
    assert one.upload("more\n", "b.txt").status == 202
    assert api_pid(one) == pid, "the child lived through it"


def test_database_restart_between_requests_is_not_seen(daemon, own_cluster):
    database = own_cluster.create_database()
    one = daemon(pools=NO_WORKERS, database=database)
    assert one.http("GET", "/v1/stats").status == 200
    own_cluster.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s", (database.name,))
    assert [one.http("GET", "/v1/stats").status for _ in range(8)] == [200] * 8


def test_connections_that_end_one_after_the_other_under_a_statement_are_not_seen(daemon, own_cluster):
    """That one is found dead says nothing of the server, nor of the next one: all may have been made before."""
    database = own_cluster.create_database()
    one = daemon(keys={"api.db_connections": 3}, pools=NO_WORKERS, database=database)
    held = """SELECT pid FROM pg_stat_activity WHERE datname = %s AND application_name = 'docmill api'
              AND wait_event_type = 'Lock'"""
    with psycopg.connect(own_cluster.url(database.name)) as lock, ThreadPoolExecutor(3) as crowd:
        lock.execute("LOCK TABLE upload_pipeline.upload_jobs IN ACCESS EXCLUSIVE MODE")
        asked = [crowd.submit(one.http, "GET", "/v1/stats") for _ in range(3)]
        pids = wait_for(lambda: p if len(p := own_cluster.sql(held, (database.name,))) == 3 else None, 10)
        lock.rollback()  # so all connections have been made
        assert [a.result().status for a in asked] == [200] * 3
        lock.execute("LOCK TABLE upload_pipeline.upload_jobs IN ACCESS EXCLUSIVE MODE")
        asked = crowd.submit(one.http, "GET", "/v1/stats")
        for _ in pids:
            pid = wait_for(lambda: [p for p in own_cluster.sql(held, (database.name,)) if p in pids], 10)[0]
            own_cluster.sql("SELECT pg_terminate_backend(%s)", pid)
        wait_for(lambda: [p for p in own_cluster.sql(held, (database.name,)) if p not in pids], 10, "a new connection")
        lock.rollback()
        assert asked.result().status == 200


def test_a_connection_cut_under_a_statement_is_not_seen(daemon, db):
    """What may be repeated is sent once more; what may not is told as unavailable, and nothing else suffers."""
    one = daemon(pools=NO_WORKERS)
    make_space(one)
    job = one.upload(TEXT, "a.md").json["job_id"]
    answers = {}

    def ask(method, path):
        answers[path] = one.http(method, path)

    paths = [("GET", "/v1/stats"), ("GET", f"/v1/jobs/{job}"), ("POST", f"/v1/jobs/{job}/cancel")]
    threads = [threading.Thread(target=ask, args=p) for p in paths]
    with psycopg.connect(db.cluster.url(db.name)) as lock:
        lock.execute("LOCK TABLE upload_pipeline.upload_jobs IN ACCESS EXCLUSIVE MODE")
        for t in threads:
            t.start()
        waiting = ("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
                   " AND application_name = 'docmill api' AND wait_event_type = 'Lock'")
        wait_for(lambda: db.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
                                " AND application_name = 'docmill api'", (db.name,)) == [(3,)], 10, "three statements")
        assert db.sql(waiting, (db.name,)) == [(3,)]
        wait_for(lambda: paths[2][1] in answers, 10, "the cancel to be given up")
    for t in threads:
        t.join()
    assert answers[paths[2][1]].reason == "db_unavailable"
    assert [answers[p].status for _, p in paths[:2]] == [200, 200], answers
    assert one.http("GET", f"/v1/jobs/{job}").json["state"] == "queued"


# --- drain


def test_drain_finishes_what_is_in_flight(daemon, db):
    api = daemon(pools=NO_WORKERS)
    answers = []
    with psycopg.connect(db.cluster.url(db.name)) as lock:
        lock.execute("LOCK TABLE upload_pipeline.upload_jobs IN ACCESS EXCLUSIVE MODE")
        waiting = threading.Thread(target=lambda: answers.append(api.http("GET", "/v1/stats")))
        waiting.start()
        idle = socket.create_connection(("127.0.0.1", api.port), timeout=10)
        time.sleep(0.5)
        api.process.terminate()
        assert idle.recv(1) == b"", "an idle connection is closed"
        with pytest.raises(OSError):
            for _ in range(50):
                api.http("GET", "/livez", timeout=2)
                time.sleep(0.1)
    waiting.join(20)
    assert [a.status for a in answers] == [200]
    assert answers[0].headers["Connection"] == "close"
    assert api.process.wait(20) == 0
    api.process = None
