"""test_faults.py - each way in which an outside service fails has its end, and no document has another

TABLE names the end for each knob of the stand-ins (mocks/README.md) that is on all the time: the document is complete
all the same, or dead with a reason, or it waits, behind the service's breaker or for its turn, loses no attempt, and is
complete when the knob is turned off. Then all of them at once, outages, and what an outage must not touch. A few documents each in the
quick suite; those marked long (scripts/test-faults) with 200.
"""

import tempfile
import time
from collections import namedtuple

import pytest

from harness import documents
from harness.account import wait_for
from harness.daemon import Daemon
from harness.mock import Mock

PARSER_KEY, EMBEDDER_KEY = "llx-test-0123456789", "sk-test-0123456789abcdef"
MODEL = "text-embedding-3-small"
POOLS = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1},
         {"name": "w", "role": "worker", "min": 2, "max": 2}]
MANY = 200

COMPLETE, WAITS, HELD = "complete", "waits behind the breaker", "waits for its turn"
Dead = namedtuple("Dead", "status reason")


def parse_dead(reason):
    return Dead("failed_parse", reason)


BAD_VECTOR = Dead("failed_embedding", "embed_bad_vector")
OWN = {"node.heartbeat": "1s"}  # a daemon of its own: its pace is slow afterwards
GIVEN_UP = {"llamaparse.job_timeout": "1s", "llamaparse.page_timeout": "0s"}

Knob = namedtuple("Knob", "service fault how end keys alone", defaults=({}, False))

# fault is a knob of /__faults, how its parameters. keys: a daemon of its own, with these; alone: one document at a time,
# since the fault spoils one vector of a request, whosever it is.
TABLE = [
    Knob("openai", "status", {"status": 500}, WAITS),
    Knob("openai", "status", {"status": 503}, WAITS),
    Knob("openai", "status", {"status": 429, "retry_after": 1}, HELD, OWN),
    Knob("openai", "quota", {"code": "insufficient_quota"}, WAITS),
    Knob("openai", "delay_more", {"ms": 100}, COMPLETE),
    Knob("openai", "hang", {"ms": 4000}, WAITS, {"openai.timeout": "500ms"}),
    Knob("openai", "drop_before", {}, WAITS),
    Knob("openai", "drop_after", {}, WAITS),
    Knob("openai", "partial_body", {}, WAITS),
    Knob("openai", "malformed_body", {}, WAITS),
    Knob("openai", "reset_mid_body", {}, WAITS),
    Knob("openai", "drip", {"bytes": 2048, "ms": 10}, COMPLETE),
    Knob("openai", "wrong_count", {}, WAITS),
    Knob("openai", "wrong_dimension", {}, WAITS),
    Knob("openai", "zero_vector", {}, BAD_VECTOR, alone=True),
    Knob("openai", "nan_vector", {}, BAD_VECTOR, alone=True),
    Knob("openai", "bad_norm", {}, BAD_VECTOR, alone=True),
    Knob("openai", "shuffled", {}, COMPLETE),
    Knob("openai", "bad_index", {}, WAITS),
    Knob("openai", "float_only", {}, COMPLETE),
    Knob("openai", "bad_item", {"match": "of this page"}, Dead("failed_embedding", "embed_refused")),
    Knob("openai", "no_usage", {}, COMPLETE),
    Knob("openai", "requests_per_minute", 600, COMPLETE),
    Knob("openai", "tokens_per_minute", 2000000, COMPLETE),
    Knob("llamaparse", "status", {"status": 500}, WAITS),
    Knob("llamaparse", "status", {"status": 503}, WAITS),
    Knob("llamaparse", "quota", {}, WAITS),
    Knob("llamaparse", "delay_more", {"ms": 100}, COMPLETE),
    Knob("llamaparse", "hang", {"ms": 500}, COMPLETE),
    Knob("llamaparse", "drop_before", {}, WAITS),
    Knob("llamaparse", "drop_after", {}, WAITS),
    Knob("llamaparse", "partial_body", {}, WAITS),
    Knob("llamaparse", "malformed_body", {}, WAITS),
    Knob("llamaparse", "reset_mid_body", {}, WAITS),
    Knob("llamaparse", "drip", {"bytes": 256, "ms": 10}, COMPLETE),
    Knob("llamaparse", "job_error", {"code": "PDF_IS_PROTECTED"}, parse_dead("parse_encrypted")),
    Knob("llamaparse", "job_error", {"code": "UNSUPPORTED_FILE_TYPE"}, parse_dead("unsupported_type")),
    Knob("llamaparse", "job_error", {"code": "ERROR_DURING_PROCESSING"}, parse_dead("parse_job_failed")),
    Knob("llamaparse", "job_partial", {"pages": 1}, COMPLETE),
    Knob("llamaparse", "job_cancelled", {}, parse_dead("parse_job_failed")),
    Knob("llamaparse", "job_stuck", {}, parse_dead("stage_deadline"), GIVEN_UP),
    Knob("llamaparse", "job_lost", {}, parse_dead("parse_job_failed")),
    Knob("llamaparse", "unknown_status", {}, parse_dead("stage_deadline"), GIVEN_UP),
    Knob("llamaparse", "result_missing", {}, parse_dead("stage_deadline"), GIVEN_UP),
    Knob("llamaparse", "empty_result", {}, parse_dead("parse_no_text")),
    *(Knob("llamaparse", fault, {}, COMPLETE) for fault in (
        "webhook_lost", "webhook_late", "webhook_early", "webhook_doubled", "webhook_badly_signed", "webhook_unsigned",
        "webhook_out_of_order", "webhook_unknown_status", "webhook_unknown_job", "webhook_malformed")),
]

# Each of them passes: with every tenth request of each kind all documents are complete. (A vector that is no vector
# three times in a row does not: TABLE.)
EVERY_TENTH = {
    "openai": ["drop_before", "drop_after", "partial_body", "malformed_body", "reset_mid_body", "wrong_count",
               "bad_index", "shuffled", "float_only", "no_usage"],
    "llamaparse": ["drop_before", "drop_after", "partial_body", "malformed_body", "reset_mid_body", "job_error",
                   "job_cancelled", "job_lost", "result_missing", "webhook_lost", "webhook_late", "webhook_early",
                   "webhook_doubled", "webhook_badly_signed"],
}


def name_of(knob):
    how = knob.how if isinstance(knob.how, dict) else {}
    return "-".join([knob.service, knob.fault, *(str(how[k]) for k in ("status", "code") if k in how)])


class Services:
    """Both stand-ins, and daemons that use them."""

    def __init__(self):
        # what ends and begins again is the same service: it gives no job the name of an earlier one
        self.memory = tempfile.TemporaryDirectory(prefix="dm-services-")
        self.mocks = {"llamaparse": Mock("llamaparse", "--key", PARSER_KEY, "--job-ms", "20", "--upload-limit", "0",
                                         state=self.memory.name + "/llamaparse"),
                      "openai": Mock("openai", "--key", EMBEDDER_KEY)}

    def __getitem__(self, service):
        return self.mocks[service]

    def keys(self, **more):
        return {"parser.order": "llamaparse", "llamaparse.base_url": self["llamaparse"].url,
                "llamaparse.api_key": PARSER_KEY, "llamaparse.poll_first": "100ms", "llamaparse.poll_cap": "500ms",
                "llamaparse.max_jobs": 40, "llamaparse.job_timeout": "60s",
                "embedder.name": "openai", "embedder.dimension": 64, "openai.base_url": self["openai"].url + "/v1",
                "openai.api_key": EMBEDDER_KEY, "openai.model": MODEL, "http.allow_private": "127.0.0.1",
                "queue.retry_first": "50ms", "queue.retry_cap": "200ms", "queue.max_attempts": 2,
                "breaker.failures": 3, "breaker.rate": 1, "breaker.window": "5s", "breaker.open": "100ms",
                "breaker.open_cap": "500ms", **{k.replace("__", "."): v for k, v in more.items()}}

    def reset(self, d):
        for mock in self.mocks.values():
            mock.faults()
        for service in ("llamaparse", "embedder"):
            d.ctl("breakers", "close", service)

    def close(self):
        for mock in self.mocks.values():
            mock.stop()
        self.memory.cleanup()


@pytest.fixture(name="services", scope="module")
def services_fixture():
    both = Services()
    yield both
    both.close()


@pytest.fixture(name="shared", scope="module")
def shared_fixture(programs, cluster, services):
    database = cluster.create_database()
    one = Daemon(programs, database, keys=services.keys(), pools=POOLS)
    one.keys["llamaparse.webhook_url"] = f"http://127.0.0.1:{one.port}"
    try:
        one.migrate()
        one.start()
        yield one
    finally:
        one.close()
        database.drop()


_made = 0


def upload(d, number, kind):
    """So many documents that no other test has uploaded."""
    global _made
    ids = []
    for _ in range(number):
        _made += 1
        if kind == "llamaparse":
            answer = d.upload(documents.pdf(2, f"lantern {_made}"), f"{_made}.pdf")
        else:
            answer = d.upload(documents.markdown(f"Lantern {_made} of this page", sections=3, words=150, seed=_made),
                              f"{_made}.md")
        assert answer.status in (200, 202), answer
        ids.append(answer.json["document_id"])
    return ids


def jobs(d, ids):
    """(status, state, at the gate, attempt, reason) of each."""
    return d.sql("""SELECT s.name, j.state, j.state = 3 AND j.run_at = 'infinity', j.attempt, t.error_reason
                    FROM upload_pipeline.upload_jobs j JOIN upload_pipeline.job_statuses s USING (status)
                    JOIN upload_pipeline.upload_job_details t ON t.job_id = j.id
                    WHERE j.document_id = ANY(%s::uuid[])""", (ids,))


def all_ended(d, ids, limit):
    def ended():
        return all(j[1] >= 6 for j in jobs(d, ids))
    wait_for(ended, limit, "all documents to end", every=0.05, dump=lambda: f"{jobs(d, ids)[:5]}\n{d.log()}")
    return jobs(d, ids)


def all_complete(d, ids, limit):
    others = [j for j in all_ended(d, ids, limit) if j[0] != "complete"]
    assert not others, others


def wait_at_gate(d, ids, limit):
    """Until nearly all wait: one at a time is let out to try."""
    wait_for(lambda: sum(j[2] for j in jobs(d, ids)) >= len(ids) - max(1, len(ids) // 5), limit, "documents behind the gate",
             dump=lambda: f"{jobs(d, ids)[:5]}\n{d.log()}")


def check_waits(d, services, knob, ids, limit):
    wait_at_gate(d, ids, limit)
    assert not [j for j in jobs(d, ids) if j[1] >= 6 or j[3] > 1]  # the breaker may open under one that fails
    breaker = {s["service"]: s for s in d.ctl("breakers")["services"]}
    assert breaker["embedder" if knob.service == "openai" else knob.service]["state"] != "closed"
    services.reset(d)
    all_complete(d, ids, limit)
    assert max(j[3] for j in jobs(d, ids)) <= 1, "waiting cost an attempt"


def check_held(d, services, knob, ids, limit):
    asked = len(services[knob.service].journal())
    wait_for(lambda: len(services[knob.service].journal()) >= asked + 3, limit, "it to be asked again", dump=d.log)
    assert not [j for j in jobs(d, ids) if j[1] >= 6 or j[3] > 1]  # the breaker may open under one that fails
    services.reset(d)
    all_complete(d, ids, limit)
    assert max(j[3] for j in jobs(d, ids)) <= 1, "waiting cost an attempt"


def ends_as_the_table_says(d, services, knob, number, limit):
    services.reset(d)
    params = {"probability": 1, **knob.how} if isinstance(knob.how, dict) else knob.how
    services[knob.service].faults(**{knob.fault: params})
    try:
        if knob.alone:
            ids = []
            for _ in range(number):
                ids += upload(d, 1, knob.service)
                all_ended(d, ids[-1:], limit)
        else:
            ids = upload(d, number, knob.service)
        if knob.end == WAITS:
            check_waits(d, services, knob, ids, limit)
        elif knob.end == HELD:
            check_held(d, services, knob, ids, limit)
        elif knob.end == COMPLETE:
            all_complete(d, ids, limit)
        else:
            assert {(j[0], j[4]) for j in all_ended(d, ids, limit)} == {tuple(knob.end)}
    finally:
        services.reset(d)


def run_knob(daemon, shared, services, knob, number, limit):
    d = daemon(keys=services.keys(**knob.keys), pools=POOLS) if knob.keys else shared
    ends_as_the_table_says(d, services, knob, number, limit)


@pytest.mark.parametrize("knob", TABLE, ids=name_of)
def test_each_fault_has_the_end_that_the_table_names(daemon, shared, services, knob):
    run_knob(daemon, shared, services, knob, 2, 30)


@pytest.mark.long
@pytest.mark.parametrize("knob", TABLE, ids=name_of)
def test_each_fault_has_that_end_for_many_documents(daemon, shared, services, knob):
    run_knob(daemon, shared, services, knob, MANY, 300)


def test_the_table_knows_every_fault_of_the_stand_ins(services):
    for service in ("openai", "llamaparse"):
        known = set(services[service].control("GET", "/__faults")["known"])
        assert known == {k.fault for k in TABLE if k.service == service} - {"requests_per_minute", "tokens_per_minute"}


# ---- all at once ----


def everything_at_once(daemon, services, number, limit):
    """Every tenth request of each kind: most fail, and the breakers open again and again."""
    d = daemon(keys=services.keys(breaker__rate=90, queue__max_attempts=20), pools=POOLS)
    try:
        for service, faults in EVERY_TENTH.items():
            services[service].faults(failure_rate=0.1, status_codes={"500": 1, "503": 1},
                                     delay={"kind": "lognormal", "median_ms": 10, "sigma": 1},
                                     **{fault: 0.1 for fault in faults})
        ids = upload(d, number // 2, "llamaparse") + upload(d, number - number // 2, "openai")
        all_complete(d, ids, limit)
        assert d.sql("""SELECT count(*) FROM upload_pipeline.documents d WHERE d.chunks <> (
                            SELECT count(*) FROM upload_pipeline.vectors_1 v WHERE v.user_id = d.user_id
                            AND v.document_id = d.document_id AND v.generation = d.live_generation)""") == [(0,)]
    finally:
        for mock in services.mocks.values():
            mock.faults()


def test_every_tenth_request_of_every_kind_fails_and_all_documents_are_complete(daemon, services):
    everything_at_once(daemon, services, 20, 90)


@pytest.mark.long
def test_every_tenth_request_of_every_kind_fails_and_many_documents_are_complete(daemon, services):
    everything_at_once(daemon, services, MANY, 600)


# ---- outages ----


def first_done(d, ids):
    return any(j[1] >= 6 for j in jobs(d, ids))


def outage(daemon, services, service, number, seconds):
    d = daemon(keys=services.keys(breaker__rate=50, breaker__open_cap="1s"), pools=POOLS)
    all_complete(d, upload(d, 10, service), 60)  # it has answered well until now
    services[service].stop()
    began = time.monotonic()
    try:
        ids = upload(d, number, service)
        wait_at_gate(d, ids, 30)
        wait_for(lambda: time.monotonic() - began >= seconds, seconds + 5, "the outage to last", every=0.2)
        wait_at_gate(d, ids, 5)
    finally:
        services[service].start()
    back = time.monotonic()
    wait_for(lambda: first_done(d, ids), 10, "work to be resumed", every=0.02, dump=d.log)
    resumed = time.monotonic() - back
    assert resumed <= 2, f"work went on {resumed:.1f} s after the service's return"
    all_complete(d, ids, 120)
    assert max(j[3] for j in jobs(d, ids)) <= 1, "the outage cost an attempt"


@pytest.mark.parametrize("service", ["openai", "llamaparse"])
def test_an_outage_costs_no_attempt_and_work_goes_on_at_once_when_it_is_over(daemon, services, service):
    outage(daemon, services, service, 12, 3)


@pytest.mark.long
@pytest.mark.parametrize("service", ["openai", "llamaparse"])
def test_an_outage_of_a_minute_costs_no_attempt_and_work_goes_on_at_once_when_it_is_over(daemon, services, service):
    outage(daemon, services, service, MANY, 60)


def test_requests_that_nobody_answered_do_not_count_as_failures_of_the_document(daemon, services):
    """What was tried during an outage does not count: a failure of the document's own is still tried again."""
    d = daemon(keys=services.keys(breaker__open_cap="150ms"), pools=POOLS)
    parser = services["llamaparse"]
    parser.faults(drop_before={"probability": 1})
    try:
        ids = upload(d, 1, "llamaparse")
        tried = "SELECT count(*) FROM upload_pipeline.parser_submissions"
        wait_for(lambda: d.sql(tried)[0][0] >= 4, 30, "some tries", dump=d.log)
        parser.faults(job_cancelled={"probability": 1, "count": 1})
        all_complete(d, ids, 30)
    finally:
        parser.faults()


def test_an_outage_of_one_service_delays_nothing_that_does_not_need_it(daemon, services):
    d = daemon(keys=services.keys(), pools=POOLS)
    services["llamaparse"].stop()
    try:
        stuck = upload(d, 20, "llamaparse")
        wait_at_gate(d, stuck, 30)
        began = time.monotonic()
        all_complete(d, upload(d, 20, "openai"), 30)
        assert time.monotonic() - began < 10
    finally:
        services["llamaparse"].start()
    all_complete(d, stuck, 60)
    services["openai"].stop()
    try:
        parsed = upload(d, 10, "llamaparse")
        wait_for(lambda: all(j[0] == "embedding_in_progress" and j[2] for j in jobs(d, parsed)), 30,
                 "documents to be parsed without the embedder", dump=d.log)
    finally:
        services["openai"].start()
    all_complete(d, parsed, 60)
