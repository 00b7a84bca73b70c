"""test_webhooks.py - callbacks of LlamaParse, each kind with its right answer and what it does to the job

No worker runs: the tests stand in for one by calling the functions of the database that it calls.
"""

import concurrent.futures
import hashlib
import hmac
import base64
import json
import secrets
import socket
import time
import uuid

import pytest

from harness.account import wait_for
from harness.daemon import Daemon

POOLS = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1}]
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()
WORKING, WAITING, QUEUED, DONE = 2, 3, 1, 6
PARSE_QUEUED = 2


def make(programs, cluster, **keys):
    database = cluster.create_database()
    one = Daemon(programs, database, {"log.level": "debug", **keys}, POOLS)
    one.migrate()
    return one.start()


def give_back(one):
    one.close()
    one.database.drop()


@pytest.fixture(scope="module")
def plain(programs, cluster):
    one = make(programs, cluster)
    yield one
    give_back(one)


@pytest.fixture(scope="module")
def guarded(programs, cluster):
    """A daemon with a secret for signatures."""
    one = make(programs, cluster, **{"llamaparse.webhook_secret": SECRET})
    yield one
    give_back(one)


class Submission:
    """A document that a worker has given to the service, or is about to."""

    def __init__(self, d, answered=True):
        self.d, self.token, self.external = d, secrets.token_hex(24), str(uuid.uuid4())
        answer = d.upload(f"# {uuid.uuid4()}\n".encode(), "a.md")
        assert answer.status == 202, answer
        self.document, self.job = answer.json["document_id"], answer.json["job_id"]
        d.sql("""UPDATE upload_pipeline.upload_jobs SET state = 2, lease = lease + 1, attempt = 1, owner_child = 999999,
                 owner_node = (SELECT max(incarnation) FROM upload_pipeline.nodes), deadline = now() + interval '1 hour'
                 WHERE id = %s""", (self.job,))
        self.id = self.ask("SELECT submission FROM upload_pipeline.begin_submission(%s, %s, 1::smallint, 'llamaparse', %s,"
                           " 1000)", self.job, self.lease, hashlib.sha256(self.token.encode()).digest())
        if answered:
            assert self.answer() == "waiting"

    def ask(self, statement, *parameters):
        return self.d.sql(statement, parameters)[0][0]

    @property
    def lease(self):
        return self.ask("SELECT lease FROM upload_pipeline.upload_jobs WHERE id = %s", self.job)

    @property
    def state(self):
        return self.ask("SELECT state FROM upload_pipeline.upload_jobs WHERE id = %s", self.job)

    @property
    def log(self):
        return [r[0] for r in self.d.sql("SELECT verdict FROM upload_pipeline.webhook_log WHERE job_id = %s ORDER BY id",
                                         (self.job,))]

    def answer(self):
        return self.ask("SELECT upload_pipeline.answer_submission(%s, %s, %s, %s, 60000, 600000)", self.id, self.external,
                        self.job, self.lease)

    def event(self, kind="parse.success", event_id=None, job=None):
        return {"event_id": event_id or str(uuid.uuid4()), "event_type": kind, "timestamp": time.time(),
                "data": {"id": job or self.external, "job_id": job or self.external}}

    def call(self, body, headers=None, token=None):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.d.http("POST", f"/v1/webhooks/llamaparse/{token or self.token}", body,
                           {"Content-Type": "application/json", **(headers or {})}, token=None)

    def verdict(self, body, **more):
        answer = self.call(body, **more)
        assert answer.status == 200, answer
        return answer.json["verdict"]


def lc(body, secret=SECRET):
    return {"LC-Signature": "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()}


def standard(body, at=None, prefix="webhook", key=SECRET):
    at, name = str(int(at if at is not None else time.time())), "msg_" + secrets.token_hex(8)
    mac = hmac.new(base64.b64decode(key.removeprefix("whsec_")), f"{name}.{at}.".encode() + body, "sha256").digest()
    return {f"{prefix}-id": name, f"{prefix}-timestamp": at,
            f"{prefix}-signature": "v1,bm9uZQ== v1," + base64.b64encode(mac).decode()}


@pytest.mark.parametrize("kind", ["parse.success", "parse.error", "parse.partial_success", "parse.cancelled"])
def test_an_event_that_ends_a_job_lets_the_document_go_on(plain, kind):
    s = Submission(plain)
    assert s.state == WAITING
    assert s.verdict(s.event(kind)) == "taken"
    assert (s.state, s.log) == (QUEUED, ["taken"])
    assert s.ask("SELECT count(*) FROM upload_pipeline.events WHERE job_id = %s AND reason = 'called_back'", s.job) == 1


def test_both_shapes_and_the_string_are_understood(plain):
    s = Submission(plain)
    assert s.verdict(json.dumps(json.dumps(s.event())).encode()) == "taken"
    s = Submission(plain)
    result = {"txt": "x", "md": "# x", "json": [{"page": 1, "text": "x", "md": "# x", "images": []}], "images": []}
    assert s.verdict(result) == "taken" and s.state == QUEUED
    assert s.verdict(result) == "duplicate"
    s = Submission(plain)
    large = {"txt": "x" * 3_000_000, "md": "# " + "x" * 3_000_000, "json": [], "images": []}
    assert s.verdict(large) == "taken", "a large one is read by a thread"
    assert Submission(plain).call(b"[" * 100_000).status == 400


def test_before_the_submit_has_returned_it_is_kept_for_whoever_submits(plain):
    s = Submission(plain, answered=False)
    assert s.verdict(s.event()) == "early"
    assert s.state == WORKING
    assert s.answer() == "heard", "the worker is told when it writes down the answer"


def test_a_duplicate_does_nothing_however_many_come_at_once(plain):
    s = Submission(plain)
    event = s.event()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda _: s.verdict(event), range(8)))
    assert sorted(verdicts) == ["duplicate"] * 7 + ["taken"]
    assert s.log == ["taken"]
    lease = s.lease
    assert s.verdict(event) == "duplicate" and s.lease == lease


def test_a_late_one_and_one_for_a_finished_job_change_nothing(plain):
    s = Submission(plain)
    s.d.sql("SELECT upload_pipeline.end_submission(%s, 'done', 1)", (s.id,))
    assert s.verdict(s.event()) == "late" and s.state == WAITING
    s = Submission(plain)
    assert s.d.http("POST", f"/v1/jobs/{s.job}/cancel").status == 200
    before = (s.state, s.lease)
    assert s.verdict(s.event()) == "late" and (s.state, s.lease) == before
    s = Submission(plain)
    assert s.d.http("DELETE", f"/v1/documents/{s.document}").status in (200, 204)
    assert s.verdict(s.event()) == "late"


def test_an_unknown_token_is_told_nothing(plain):
    s = Submission(plain)
    rows = s.ask("SELECT count(*) FROM upload_pipeline.webhook_log")
    for token in (secrets.token_hex(24), "0" * 48, "x", "0" * 64, "0" * 500, s.token[:-1], s.token.upper() + "0"):
        answer = s.call(s.event(), token=token)
        assert (answer.status, answer.reason) == (404, "not_found"), token
    assert s.ask("SELECT count(*) FROM upload_pipeline.webhook_log") == rows and s.state == WAITING


def test_an_event_about_another_job_is_refused(plain):
    s = Submission(plain)
    answer = s.call(s.event(job=str(uuid.uuid4())))
    assert (answer.status, answer.reason) == (409, "conflict") and s.state == WAITING
    assert s.verdict(s.event()) == "taken", "the right one still counts"


def test_an_unknown_status_and_news_of_the_way_are_noted(plain):
    s = Submission(plain)
    for kind in ("parse.pending", "parse.running", "parse.levitated", "extract.success"):
        assert s.verdict(s.event(kind)) == "noted"
        assert s.state == WAITING
    assert s.verdict(s.event()) == "taken"


def test_out_of_order_the_end_counts_and_what_should_have_come_before_is_harmless(plain):
    s = Submission(plain)
    assert s.verdict(s.event("parse.success")) == "taken"
    lease = s.lease
    assert [s.verdict(s.event(k)) for k in ("parse.running", "parse.pending")] == ["noted", "noted"]
    assert (s.state, s.lease) == (QUEUED, lease)


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"\xff\xfe", b'"text"', b"{}",
                                  b'{"event_type":"parse.success","data":{}}'])
def test_what_is_no_callback_is_malformed(plain, body):
    s = Submission(plain)
    answer = s.call(body)
    assert (answer.status, answer.reason) == (400, "bad_request") and s.state == WAITING and s.log == []


def test_a_body_that_is_too_large_is_refused(plain):
    s = Submission(plain)
    answer = s.call(b'{"md": "' + b"x" * (8 << 20) + b'"}')
    assert (answer.status, answer.reason) == (413, "body_too_large")
    assert s.verdict(s.event()) == "taken"


def test_strangers_that_only_announce_large_bodies_take_no_room_from_the_others(plain):
    s = Submission(plain)
    head = (f"POST /v1/webhooks/llamaparse/{secrets.token_hex(24)} HTTP/1.1\r\nHost: x\r\n"
            f"Content-Length: {(8 << 20) - 1}\r\n\r\n").encode()
    strangers = [socket.create_connection(("127.0.0.1", plain.port)) for _ in range(8)]
    try:
        for one in strangers:
            one.sendall(head + b'{"md": "')
        assert s.verdict({"txt": "x" * 3_000_000, "md": "# x", "json": [], "images": []}) == "taken"
    finally:
        for one in strangers:
            one.close()


def test_without_a_secret_a_signature_is_not_asked_for_and_the_header_must_fit(plain):
    s = Submission(plain)
    answer = s.call(s.event(), headers={"X-Docmill-Token": secrets.token_hex(24)})
    assert (answer.status, answer.reason) == (401, "bad_signature") and s.state == WAITING
    assert s.verdict(s.event(), headers={"X-Docmill-Token": s.token, "LC-Signature": "sha256=00"}) == "taken"


def test_with_a_secret_each_kind_of_signature_is_taken(guarded):
    for sign in (lc, standard, lambda b: standard(b, prefix="svix")):
        s = Submission(guarded)
        body = json.dumps(s.event()).encode()
        assert s.verdict(body, headers=sign(body)) == "taken"


def test_with_a_secret_what_is_badly_signed_is_refused_and_said_once(guarded):
    s = Submission(guarded)
    body = json.dumps(s.event()).encode()
    other = json.dumps(s.event("parse.error")).encode()
    wrong = [{}, lc(body, "another secret"), lc(other), {"LC-Signature": "sha256=xyz"}, {"LC-Signature": ""},
             standard(other), standard(body, key="whsec_" + "A" * 32), {**standard(body), "webhook-id": "msg_2"},
             {**standard(body), **lc(other)}]
    for headers in wrong:
        answer = s.call(body, headers=headers)
        assert (answer.status, answer.reason) == (401, "bad_signature"), headers
    answer = s.call(body, headers=standard(body, time.time() - 400))
    assert (answer.status, answer.reason) == (401, "stale_signature")
    assert s.state == WAITING and s.log == []
    assert guarded.log().count("a callback was refused") == 1
    assert s.verdict(body, headers=lc(body)) == "taken"


def test_no_token_is_in_the_log(plain, guarded):
    for d in (plain, guarded):
        s = Submission(d)
        s.call(s.event())
        d.http("GET", f"/v1/webhooks/llamaparse/{s.token}")
        wait_for(lambda: "/v1/webhooks/llamaparse/{token}" in d.log(), 10, "the request in the log")
        assert s.token not in d.log() and SECRET not in d.log()


def test_only_posts_are_answered_without_an_identity(plain):
    s = Submission(plain)
    path = f"/v1/webhooks/llamaparse/{s.token}"
    assert plain.http("GET", path, token=None).status == 401
    assert plain.http("GET", path).status == 405
    assert plain.http("POST", "/v1/webhooks/other/" + s.token, b"{}", token=None).status == 401


def test_while_the_database_is_away_nothing_is_confirmed(programs, own_cluster):
    one = make(programs, own_cluster)
    try:
        s = Submission(one)
        own_cluster.stop()
        wait_for(lambda: s.call(s.event()).status == 503, 20, "the database's absence to be seen")
        answer = s.call(s.event())
        assert answer.reason in ("db_unavailable", "db_timeout") and "Retry-After" in answer.headers
        own_cluster.start()
        event = s.event()
        wait_for(lambda: s.call(event).status == 200, 30, "the database to be back")
        assert s.state == QUEUED
    finally:
        give_back(one)
