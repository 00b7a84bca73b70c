"""test_mock_fixtures.py - the stand-ins answer in the shapes that are kept in tests/fixtures

The same files are what the clients' unit tests read. A shape is the names and kinds of what is in a payload; null
stands for any kind, and a name may be missing that stands in tests/fixtures/sometimes.json.
"""

import json
import os

import pytest

from harness.programs import SOURCE
from harness.receiver import Receiver
from test_mock_llamaparse import PAGES, TEXT, TIER, get, submit, upload
from test_mock_openai import KEY, SMALL



def fixture(name):
    with open(os.path.join(SOURCE, "tests", "fixtures", name + ".json"), encoding="utf-8") as file:
        return json.load(file)


# given now and then by the service: confidence of a page, headers and footers
SOMETIMES = set(fixture("sometimes"))


def kind(value):
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def assert_alike(wanted, got, at="$"):
    if wanted is None or got is None:
        return
    assert kind(wanted) == kind(got), f"{at}: {wanted!r} and {got!r}"
    if isinstance(wanted, dict):
        assert not (set(wanted) ^ set(got)) - SOMETIMES, f"{at}: {sorted(wanted)} and {sorted(got)}"
        for name in set(wanted) & set(got):
            assert_alike(wanted[name], got[name], f"{at}.{name}")
    if isinstance(wanted, list) and wanted and got:
        assert_alike(wanted[0], got[0], at + "[0]")


@pytest.fixture
def hook():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def llama(mock):
    return mock("llamaparse", "--job-ms", "0")


# ---- embeddings


def ask(mock, given="a", key=KEY, faults=None, **more):
    mock.faults(**(faults or {}))
    answer = mock.request("POST", "/v1/embeddings", {"model": SMALL, "input": given, **{"dimensions": 4, **more}}, key)
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize("name,more", [("embeddings_float", {}), ("embeddings_base64", {"encoding_format": "base64"})])
def test_embeddings(mock, name, more):
    wanted = fixture(f"openai/{name}")
    status, body = ask(mock("openai"), ["a", "b"], **more)
    assert status == 200
    assert_alike(wanted, body)


@pytest.mark.parametrize("name,status,how", [
    ("empty_input", 400, {"given": ""}), ("insufficient_quota", 429, {"faults": {"quota": True}}),
    ("invalid_api_key", 401, {"key": {"Authorization": "Bearer wrong-0123456789"}}),
    ("max_tokens_per_request", 400, {"given": [[1] * 8000] * 38}), ("model_not_found", 404, {"model": "none"}),
    ("overloaded", 503, {"faults": {"status": {"status": 503}}}), ("too_long", 400, {"given": [[1] * 8193]}),
    ("rate_limit", 429, {"given": [[1] * 90], "faults": {"tokens_per_minute": 10}}),
    ("server_error", 500, {"faults": {"status": {"status": 500}}}),
    ("slow_down", 429, {"faults": {"status": {"status": 429, "code": "slow_down"}}})])
def test_errors_of_openai(mock, name, status, how):
    wanted = fixture(f"openai/error_{name}")
    got, body = ask(mock("openai"), **how)
    assert got == status
    assert_alike(wanted, body)
    assert (body["error"]["type"], body["error"]["code"]) == (wanted["error"]["type"], wanted["error"]["code"])


@pytest.mark.parametrize("style,name,how", [
    ("tei", "tei_batch", {"given": ["a"] * 33, "dimensions": None}), ("tei", "tei_overloaded", {"faults": {"status": {"status": 429}}}),
    ("ollama", "ollama_not_found", {"model": "none"}),
    ("llamacpp", "llamacpp_loading", {"faults": {"status": {"status": 503}}}),
    ("llamacpp", "llamacpp_too_large", {"given": [[1] * 513], "dimensions": None})])
def test_errors_of_the_compatible(mock, style, name, how):
    wanted = fixture(f"openai/error_{name}")
    _, body = ask(mock("openai", "--style", style), **how)
    assert_alike(wanted, body)
    flat, flat_wanted = body.get("error", body), wanted.get("error", wanted)
    assert (flat["type"].lower(), flat["code"]) == (flat_wanted["type"].lower(), flat_wanted["code"])


# ---- parsing


def test_v1_upload_and_statuses(llama, mock):
    status, body = upload(llama, **TIER)
    assert status == 200
    assert_alike(fixture("llamaparse/v1_upload"), body)
    job = lambda m, i: get(m, f"/api/v1/parsing/job/{i}")[1]
    assert_alike(fixture("llamaparse/v1_job_success"), job(llama, body["id"]))
    slow = mock("llamaparse", "--job-ms", "60000")
    assert_alike(fixture("llamaparse/v1_job_pending"), job(slow, submit(slow)))
    llama.faults(job_error={"count": 1, "code": "PDF_IS_PROTECTED"})
    assert_alike(fixture("llamaparse/v1_job_error"), job(llama, submit(llama, b"error")))
    llama.faults(job_partial={"count": 1})
    assert_alike(fixture("llamaparse/v1_job_partial"), job(llama, submit(llama, PAGES)))
    assert job(llama, "none") == fixture("llamaparse/v1_not_found")
    assert_alike(fixture("llamaparse/v1_invalid"), upload(llama, tier="none", version="latest")[1])


def test_v1_results(llama):
    result = lambda i, kind: get(llama, f"/api/v1/parsing/job/{i}/result/{kind}")[1]
    job = submit(llama, TEXT)
    assert_alike(fixture("llamaparse/v1_result_markdown"), result(job, "markdown"))
    assert_alike(fixture("llamaparse/v1_result_json"), result(job, "json"))
    llama.faults(job_partial={"count": 1})
    wanted, got = fixture("llamaparse/v1_result_partial"), result(submit(llama, PAGES), "json")
    assert_alike(wanted, got)
    assert_alike(wanted["pages"][1], got["pages"][2])
    assert (wanted["pages"][1]["status"], wanted["job_metadata"]["job_pages"]) == (
        got["pages"][2]["status"], got["job_metadata"]["job_pages"])


def test_v2(mock):
    llama = mock("llamaparse", "--job-ms", "10000")
    made = lambda data: upload(llama, data, path="/api/v2/parse/upload", configuration=json.dumps(TIER))[1]
    state = lambda i: get(llama, f"/api/v2/parse/{i}?expand=markdown,usage,job_metadata")[1]
    llama.faults(job_error={"match": "bad", "code": "PDF_IS_PROTECTED"}, job_partial={"match": "zwei"})
    good, bad = made(PAGES), made(b"bad")
    assert_alike(fixture("llamaparse/v2_upload"), good)
    llama.advance(5)
    assert_alike(fixture("llamaparse/v2_running"), state(good["id"]))
    llama.advance(6)
    wanted, got = fixture("llamaparse/v2_completed"), state(good["id"])
    assert_alike(wanted, got)
    assert_alike(wanted["markdown"]["pages"][1], got["markdown"]["pages"][2])
    assert_alike(fixture("llamaparse/v2_failed"), state(bad["id"]))


def test_webhooks(llama, hook):
    configuration = {"webhook_url": hook.url, "webhook_events": ["parse.success"]}
    configured = lambda **more: {"webhook_configurations": json.dumps([{**configuration, **more}])}
    submit(llama, b"one", **configured(webhook_output_format="json"))
    assert_alike(fixture("llamaparse/webhook_event"), json.loads(hook.wait(1)[0].body))
    submit(llama, b"two", **configured())
    string = json.loads(hook.wait(2)[1].body)
    assert_alike(fixture("llamaparse/webhook_event_string"), string)
    assert_alike(json.loads(fixture("llamaparse/webhook_event_string")), json.loads(string))
    submit(llama, b"three", webhook_url=hook.url)
    wanted, got = fixture("llamaparse/webhook_result"), json.loads(hook.wait(3)[2].body)
    assert set(wanted) == set(got) and set(wanted["json"][0]) <= set(got["json"][0])
