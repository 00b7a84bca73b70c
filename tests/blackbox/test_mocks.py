"""test_mocks.py - the common part of the stand-ins: faults, journal, clock, state; by way of the embeddings mock"""

import http.client
import json

import pytest

KEY = {"Authorization": "Bearer sk-test-0123456789"}
PATH = "/v1/embeddings"


def embed(mock, texts=("one",), **more):
    body = {"model": "text-embedding-3-small", "input": list(texts), "dimensions": 8, **more}
    return mock.request("POST", PATH, body, KEY)


def statuses(mock, n):
    return [embed(mock).status for _ in range(n)]


@pytest.fixture
def openai(mock):
    return mock("openai")


def test_health_names_the_program(openai):
    assert openai.control("GET", "/health")["program"] == "docmill-mock-openai"


def test_same_seed_same_failures(mock):
    flags = ("--failure-rate", "0.4", "--status-codes", "500:2,503:1", "--seed", "11")
    first, second = (statuses(mock("openai", *flags), 30) for _ in range(2))
    other = statuses(mock("openai", *flags[:-1], "12"), 30)
    assert first == second != other
    assert set(first) == {200, 500, 503}
    assert 4 <= sum(s != 200 for s in first) <= 22


def test_a_fault_is_for_the_next_n_requests(openai):
    openai.faults(rules=[{"fault": "status", "status": 503, "count": 2, "after": 1, "retry_after": 7}])
    assert statuses(openai, 5) == [200, 503, 503, 200, 200]
    assert openai.control("GET", "/__faults")["rules"][0]["hits"] == 2


def test_a_fault_is_for_a_path_and_a_word(openai):
    openai.faults(status={"status": 500, "path": "/v1/embeddings", "match": "poison"})
    assert embed(openai, ["fine"]).status == 200
    assert embed(openai, ["some poison here"]).status == 500
    assert openai.request("GET", "/v1/models", None, KEY).status == 200


def test_posted_faults_are_added_and_deleted_ones_gone(openai):
    openai.faults(failure_rate=1)
    openai.control("POST", "/__faults", {"fault": "delay_more", "ms": 1, "count": 1})
    shown = openai.control("GET", "/__faults")
    assert shown["failure_rate"] == 1 and len(shown["rules"]) == 1
    openai.control("DELETE", "/__faults")
    assert embed(openai).status == 200


def test_a_wrong_change_changes_nothing(openai):
    openai.faults(status={"status": 503, "count": 1})
    for wrong in ({"no_such_fault": 1}, {"delay": {"kind": "long"}}, {"rules": 3}, {"zero_vector": 2},
                  {"failure_rate": 0.5, "webhook_lost": 1}):
        status, value = openai.json("PUT", "/__faults", wrong)
        assert status == 400 and value["error"]
    shown = openai.control("GET", "/__faults")
    assert shown["failure_rate"] == 0 and shown["rules"][0]["left"] == 1


def test_wrong_flags_are_refused(mock):
    with pytest.raises(AssertionError):
        mock("openai", "--no-such-flag", "1")


@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
def test_a_dropped_connection(openai, fault):
    openai.faults(**{fault: {"count": 1}})
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        embed(openai)
    assert openai.usage()["requests"] == (1 if fault == "drop_after" else 0)
    assert openai.journal()[0]["status"] == 0
    assert embed(openai).status == 200


def test_a_reset_in_the_middle_of_the_body(openai):
    openai.faults(reset_mid_body={"count": 1, "bytes": 20})
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        embed(openai)
    usage = openai.wait_for(lambda: openai.journal()[0]["end"] == "broken" and openai.usage())
    assert usage["requests"] == 1 and usage["delivered"]["requests"] == 0


def test_half_a_body_and_a_body_that_is_no_json(openai):
    openai.faults(partial_body={"count": 1})
    with pytest.raises(ValueError):
        json.loads(embed(openai).body)
    openai.faults(malformed_body={"count": 1, "body": "<html>", "type": "text/html"})
    answer = embed(openai)
    assert answer.body == b"<html>" and answer.headers["content-type"] == "text/html"


def test_a_dripped_body_is_whole(openai):
    openai.faults(drip={"bytes": 40, "ms": 2, "count": 1})
    slow, quick = embed(openai), embed(openai)
    assert slow.body == quick.body


def test_a_delay_ends_when_the_clock_is_moved(openai):
    openai.faults(delay={"kind": "fixed", "ms": 3600000})
    connection = http.client.HTTPConnection("127.0.0.1", openai.port, timeout=20)
    connection.request("POST", PATH, json.dumps({"model": "text-embedding-ada-002", "input": "x"}), KEY)
    openai.wait_for(lambda: openai.usage()["requests"] == 1)
    openai.advance(3600)
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize("delay", [{"kind": "uniform", "min_ms": 0, "max_ms": 3},
                                   {"kind": "lognormal", "median_ms": 1, "sigma": 0.5}])
def test_distributions_of_delay(openai, delay):
    openai.faults(delay=delay)
    assert statuses(openai, 5) == [200] * 5


def test_the_journal_masks_secrets_and_can_be_reset(openai):
    embed(openai, ["alpha", "beta"])
    (entry,) = openai.journal(PATH)
    assert entry["number"] == 1 and entry["method"] == "POST" and entry["status"] == 200
    assert entry["summary"]["inputs"] == 2 and entry["summary"]["first"] == "alpha"
    assert "0123456789" not in json.dumps(entry) and entry["headers"]["authorization"].startswith("Bearer ***")
    assert openai.journal(since=1) == []
    assert openai.control("DELETE", "/__journal")["requests"] == []


def test_state_over_a_restart(mock, tmp_path):
    one = mock("openai", state=str(tmp_path / "state.json"))
    embed(one, ["alpha"])
    before = one.usage()
    one.restart()
    assert one.usage() == before and before["tokens"] > 0
    embed(one)
    assert [e["number"] for e in one.journal()] == [1, 2]
