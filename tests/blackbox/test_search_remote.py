"""test_search_remote.py - searches whose text is embedded by an outside service, and what they answer while it is not well"""

import concurrent.futures
import time
import urllib.parse

import pytest

from harness import documents
from harness.account import wait_for
from harness.daemon import Daemon
from harness.mock import Mock

MODEL = "text-embedding-3-small"
KEY = "sk-test-0123456789abcdef"
DIMENSION = 64
WORDS = "# Lanterns\n\nA lantern hangs over the harbour gate.\n"


POOLS = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1},
         {"name": "w", "role": "worker", "min": 1, "max": 1}]


def keys_of(service, **more):
    return {"embedder.name": "openai", "embedder.dimension": DIMENSION, "openai.base_url": service.url + "/v1",
            "openai.api_key": KEY, "openai.model": MODEL, "http.allow_private": "127.0.0.1",
            **{k.replace("__", "."): v for k, v in more.items()}}


@pytest.fixture(scope="module")
def pair(programs, cluster):
    """A daemon and its service for all tests that leave neither of them unwell; each asks for texts of its own."""
    mock = Mock("openai", "--key", KEY)
    database = cluster.create_database()
    one = Daemon(programs, database, keys_of(mock, breaker__failures=1000, search__timeout="4s"), POOLS)
    try:
        one.migrate()
        one.start()
        yield one, mock
    finally:
        one.close()
        database.drop()
        mock.stop()


@pytest.fixture
def d(pair):
    yield pair[0]
    pair[1].faults()


@pytest.fixture
def service(pair):
    return pair[1]


@pytest.fixture
def own(daemon, mock):
    """A factory of pairs for tests that need one of their own."""
    def make(**more):
        service = mock("openai", "--key", KEY)
        return daemon(keys=keys_of(service, **more), pools=POOLS), service

    return make


def search(d, text, **more):
    return d.http("GET", "/v1/search?" + urllib.parse.urlencode({"q": text}), **more)


def asked(service):
    return [e for e in service.journal() if e["path"].endswith("/embeddings")]


def test_a_search_finds_by_the_services_vector_and_is_asked_for_once(d, service):
    ids = [d.put(documents.markdown(f"Other {i}", sections=1, words=40, seed=i), f"{i}.md")["document_id"]
           for i in range(3)]
    mine = d.put(WORDS.encode(), "lantern.md")["document_id"]
    (text,), = d.sql(f"SELECT text FROM upload_pipeline.document_chunks WHERE document_id = '{mine}'")
    before = len(asked(service))
    results = d.search(text)
    assert results[0]["document_id"] == mine and results[0]["score"] > 0.999, results
    assert {mine, *ids} <= {r["document_id"] for r in results}
    assert len(asked(service)) == before + 1
    assert d.search(text, limit=1)[0]["document_id"] == mine
    assert len(asked(service)) == before + 1, "a repeated query was paid for again"
    answer = d.ctl("search", "lantern", "harbour")
    assert mine in [r["document_id"] for r in answer]


def test_one_text_asked_for_by_many_at_once_is_asked_of_the_service_once(d, service):
    before = len(asked(service))
    service.faults(delay={"kind": "fixed", "ms": 400})
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda i: search(d, "harbour" if i < 8 else f"gate {i}"), range(10)))
    assert [a.status for a in answers] == [200] * 10
    assert len(asked(service)) == before + 3


def test_nobody_else_waits_while_a_search_waits_for_the_service(d, service):
    service.faults(delay={"kind": "fixed", "ms": 1500})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(search, d, "slow")
        answered = 0
        while not slow.done():
            assert d.http("GET", "/v1/stats").status == 200
            answered += 1
        assert answered > 20 and slow.result().status == 200


def test_a_service_that_is_away_is_named_and_then_not_asked_until_it_is_back(own):
    d, service = own(breaker__failures=3, breaker__window="20s", breaker__open="300ms", breaker__open_cap="300ms")
    d.put(WORDS.encode(), "lantern.md")
    service.stop()
    answer = search(d, "lantern")
    assert answer.reason in ("http_unreachable", "provider_failed", "provider_away"), answer
    assert answer.status in (502, 503) and service.url not in answer.body.decode()
    wait_for(lambda: search(d, "lantern").reason == "provider_away", 10, "the breaker to open")
    service.start()
    wait_for(lambda: search(d, "lantern").status == 200, 10, "the breaker to close")


def test_an_open_breaker_answers_at_once_and_says_what_and_when(d, service):
    document = d.put(b"# Gate\n\nThe gate stands open.\n", "gate.md")["document_id"]
    before = len(asked(service))
    assert search(d, "known").status == 200
    d.ctl("breakers", "open", "embedder")
    began = time.monotonic()
    answer = search(d, "not known")
    assert (answer.status, answer.reason) == (503, "provider_away") and time.monotonic() - began < 1
    assert "an operator holds it open" in answer.json["detail"] and "breakers" in answer.json["hint"]
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert search(d, "known").status == 200, "what is known needs no service"
    assert d.document(document)["status"] == "complete" and len(asked(service)) == before + 1
    d.ctl("breakers", "close", "embedder")
    assert search(d, "not known").status == 200


@pytest.mark.parametrize("fault", ["wrong_dimension", "zero_vector", "malformed_body", "wrong_count"])
def test_an_answer_that_is_wrong_is_never_searched_with(d, service, fault):
    service.faults(**{fault: {"probability": 1}})
    answer = search(d, fault)
    assert (answer.status, answer.reason) == (502, "embed_bad_answer"), answer
    service.faults()
    before = len(asked(service))
    assert search(d, fault).status == 200 and len(asked(service)) == before + 1, "it was kept"


def test_what_fails_once_is_tried_again(d, service):
    service.faults(rules=[{"fault": "status", "status": 500, "count": 1}])
    assert search(d, "twice").status == 200


def test_a_short_pause_of_the_service_is_waited_for(own):
    d, service = own()
    service.faults(rules=[{"fault": "status", "status": 429, "count": 1, "retry_after": 1}])
    assert search(d, "lantern").status == 200


def test_a_long_pause_of_the_service_is_told_and_not_waited_for(own):
    d, service = own()
    service.faults(rules=[{"fault": "status", "status": 429, "count": 1, "retry_after": 40}])
    began = time.monotonic()
    answer = search(d, "lantern")
    assert (answer.status, answer.reason) == (503, "provider_limited"), answer
    assert 20 <= int(answer.headers["Retry-After"]) <= 60 and time.monotonic() - began < 5


def test_a_service_that_hangs_is_waited_for_as_long_as_is_configured(d, service):
    service.faults(hang={"probability": 1, "count": 1})
    began = time.monotonic()
    answer = search(d, "hang")
    assert (answer.status, answer.reason) in ((504, "http_timeout"), (502, "provider_failed")), answer
    assert 3 < time.monotonic() - began < 8


def test_a_key_that_is_refused_is_shown_to_nobody(own):
    d, service = own(openai__api_key="sk-wrong-0123456789")
    answer = search(d, "lantern")
    assert (answer.status, answer.reason) == (503, "provider_denied"), answer
    answer = search(d, "lantern")
    assert (answer.status, answer.reason) == (503, "provider_away") and "key" in answer.json["detail"]
    assert "sk-wrong" not in d.log() and "sk-wrong" not in answer.body.decode()


def test_a_text_that_the_service_does_not_take_is_the_clients(d, service):
    service.faults(bad_item={"probability": 1, "match": "unspeakable"})
    answer = search(d, "an unspeakable word")
    assert (answer.status, answer.reason) == (400, "bad_request"), answer
    assert search(d, "a speakable word").status == 200


def test_a_search_that_waits_does_not_hold_up_the_end_and_is_answered(own):
    d, service = own(supervise__drain_timeout="2s")
    service.faults(hang={"probability": 1})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(search, d, "lantern")
        wait_for(lambda: [b for b in d.ctl("breakers")["services"] if b["service"] == "embedder"][0]["requests"] == 1,
                 10, "the query to be sent")
        began = time.monotonic()
        assert d.stop() == 0 and time.monotonic() - began < 10
        answer = waiting.result(10)
    assert (answer.status, answer.reason) == (503, "draining"), answer
