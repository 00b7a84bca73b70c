"""test_services.py - what an operator sees of the outside services, and does to them: breakers, limits, errors"""

import signal

import pytest

from harness import account, control
from harness.account import wait_for

OK, FAILED, USAGE, UNREACHABLE, REFUSED, SERVER, TIMEOUT = range(7)
QUICK = {"node.heartbeat": "200ms", "node.grace": "2s"}
LIMITS = {"openai.requests_per_minute": 600, "openai.tokens_per_minute": 1000000}


@pytest.fixture
def one(daemon):
    return daemon(keys=LIMITS)


def ctl(one, *arguments):
    return one.ctl(*arguments, check=False, as_json=False)


def service(one, name="embedder"):
    return {s["service"]: s for s in one.ctl("breakers")["services"]}[name]


def test_a_breaker_opened_by_hand_is_shown_and_the_node_stays_ready(one):
    fresh = service(one)
    assert (fresh["state"], fresh["held"], fresh["cause"], fresh["down_ms"]) == ("closed", False, None, 0)
    assert fresh["requests_per_minute"] == 585 and fresh["tokens_per_minute"] == 975000
    assert service(one, "llamaparse")["tokens_per_minute"] is None

    done = ctl(one, "breakers", "open", "embedder")
    assert (done.returncode, done.stdout) == (OK, "embedder: open, until you say otherwise\n")
    assert "operator's verb" in one.log() and "verb=breaker" in one.log()
    held = service(one)
    assert (held["state"], held["held"], held["cause"], held["probe_in_ms"]) == ("open", True, "operator", None)
    wait_for(lambda: service(one)["down_ms"] > 0, 5, "its time out of service to pass")
    assert service(one, "llamaparse")["state"] == "closed"

    health = ctl(one, "health")
    assert health.returncode == OK, "a service that is away takes nobody's readiness"
    assert "services  NOT OK\n  - embeddings service has been out of service for" in health.stdout
    assert "an operator holds it open; docmillctl breakers probe embedder ends that" in health.stdout
    assert one.http("GET", "/readyz").status == 200
    assert one.health()["ok"] is True and one.health()["services"]["ok"] is False
    status = ctl(one, "status").stdout
    assert "service   embeddings service has been out of service" in status and "NOT READY" not in status
    assert one.put("# Still\n\nworks without any service\n", "a.md")["status"] == "complete"

    assert ctl(one, "breakers", "probe", "embedder").stdout == "embedder: open\n"
    assert service(one)["held"] is False and service(one)["probe_in_ms"] == 0
    assert "the next request tries it" in ctl(one, "health").stdout
    assert one.ctl("breakers", "close", "embedder")["state"] == "closed"
    assert one.health()["services"] == {"ok": True, "reasons": []}
    assert "service " not in ctl(one, "status").stdout


def test_the_breakers_stand_in_a_table(one):
    lines = ctl(one, "breakers").stdout.splitlines()
    assert lines[0].split()[:2] == ["SERVICE", "BREAKER"] and len(lines) == 3
    assert [line.split()[:2] for line in lines[1:]] == [["llamaparse", "closed"], ["embedder", "closed"]]
    assert lines[2].split()[2:] == ["585", "975000", "0", "0", "0", "0"]


@pytest.mark.parametrize("arguments,code,words", [
    (["open"], USAGE, "SERVICE is missing"),
    (["explode", "embedder"], USAGE, "it may be open, close or probe"),
    (["open", "nothing"], REFUSED, "it may be llamaparse or embedder"),
    (["open", "embedder", "now"], USAGE, "one argument too many"),
])
def test_wrong_orders_are_refused_in_words(one, arguments, code, words):
    done = ctl(one, "breakers", *arguments)
    assert done.returncode == code and words in done.stderr
    assert service(one)["state"] == "closed"


@pytest.mark.parametrize("arguments", [{}, {"service": "embedder"}, {"service": "embedder", "order": ""},
                                       {"service": 7, "order": "open"}, {"service": "x" * 31, "order": "open"}])
def test_orders_that_no_docmillctl_sends_are_refused(one, arguments):
    connection = control.Control(one.run_dir + "/control.sock")
    with pytest.raises(control.Refused):
        connection.call("breaker", **arguments)
    connection.close()
    assert service(one)["state"] == "closed"


def test_a_worker_that_crashes_is_among_the_errors(one):
    assert ctl(one, "errors").stdout == "no errors\n"
    (pid,) = [c["pid"] for c in one.children("worker")][:1]
    account.kill(pid, signal.SIGABRT)
    (error,) = wait_for(lambda: one.ctl("errors"), 10, "the error", dump=one.log)
    assert (error["reason"], error["times"]) == ("worker_lost", 1) and error["ago_ms"] <= 10000
    assert "ABRT" in error["message"] or "Abort" in error["message"], error
    lines = ctl(one, "errors").stdout.splitlines()
    assert lines[0].split() == ["AGO", "TIMES", "WHERE", "REASON", "MESSAGE"] and len(lines) == 2
    assert one.ctl("errors", "-n", "1") and ctl(one, "errors", "-n", "0").returncode == USAGE


def test_nodes_share_what_is_allowed_to_all_and_a_dead_ones_share_comes_free(daemon):
    first = daemon(keys={**LIMITS, **QUICK})
    assert first.ctl("breakers")["nodes"] == 1
    second = daemon(keys={**LIMITS, **QUICK, "blob.fs.root": first.blobs})
    for each in (first, second):
        wait_for(lambda each=each: each.ctl("breakers")["nodes"] == 2, 10, "two nodes to be counted", dump=each.log)
        assert service(each)["requests_per_minute"] == 292.5
    second.kill_master()
    wait_for(lambda: first.ctl("breakers")["nodes"] == 1, 15, "the dead node's share to come free", dump=first.log)
    assert service(first)["requests_per_minute"] == 585
    second.start()
    wait_for(lambda: first.ctl("breakers")["nodes"] == 2, 10, "it to be counted again", dump=first.log)
    second.stop()
    wait_for(lambda: first.ctl("breakers")["nodes"] == 1, 2, "who said goodbye to be left out at once", dump=first.log)


def test_a_node_that_joins_others_holds_still_for_a_heartbeat(daemon):
    first = daemon(keys={**LIMITS, "node.heartbeat": "10s"})
    second = daemon(keys={**LIMITS, "node.heartbeat": "10s", "blob.fs.root": first.blobs})
    assert service(first)["pause_ms"] == 0
    assert 0 < service(second)["pause_ms"] <= 10500
    assert "pauses for" in ctl(second, "breakers").stdout
