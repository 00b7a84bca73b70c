"""test_mock_openai.py - the embeddings mock answers as OpenAI and its compatibles do"""

import base64
import json
import math
import struct
from decimal import Decimal

import pytest

KEY = {"Authorization": "Bearer sk-test-0123456789"}
PATH = "/v1/embeddings"
SMALL = "text-embedding-3-small"


@pytest.fixture(name="openai")
def openai_fixture(mock):
    return mock("openai")


def post(mock, given, headers=None, path=PATH, model=SMALL, **more):
    answer = mock.request("POST", path, {"model": model, "input": given, **more}, KEY if headers is None else headers)
    return answer.status, json.loads(answer.body), answer.headers


def vectors(mock, given, **more):
    status, body, _ = post(mock, given, **more)
    assert status == 200, body
    assert [d["index"] for d in body["data"]] == list(range(len(body["data"])))
    return [d["embedding"] for d in body["data"]]


def unpack(text):
    raw = base64.b64decode(text)
    return struct.unpack(f"<{len(raw) // 4}f", raw)


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


# ---- vectors


@pytest.mark.parametrize("model,dimension", [(SMALL, 1536), ("text-embedding-3-large", 3072),
                                             ("text-embedding-ada-002", 1536)])
def test_dimensions_of_the_models(openai, model, dimension):
    (v,) = vectors(openai, "hello", model=model)
    assert len(v) == dimension and abs(dot(v, v) - 1) < 1e-5


def test_base64_is_the_same_vector(openai):
    (floats,), (packed,) = vectors(openai, "hello"), vectors(openai, "hello", encoding_format="base64")
    assert struct.pack("<1536f", *floats) == base64.b64decode(packed)
    assert len(packed) == 8192


def test_a_shorter_vector_is_the_head_of_the_longer(openai):
    (whole,), (short,) = vectors(openai, "hello you"), vectors(openai, "hello you", dimensions=256)
    length = math.sqrt(dot(whole[:256], whole[:256]))
    assert len(short) == 256 and abs(dot(short, short) - 1) < 1e-5
    assert all(abs(a / length - b) < 1e-5 for a, b in zip(whole, short))


def test_similar_texts_are_near_and_the_seed_does_not_matter(openai, mock):
    texts = ["The cat sat on the mat", "A cat sat on a mat", "Quarterly revenue rose by nine percent"]
    v = vectors(openai, texts)
    assert dot(v[0], v[1]) > dot(v[0], v[2]) + 0.2
    assert vectors(mock("openai", "--seed", "99"), texts) == v


def test_string_and_tokens_as_input(openai):
    assert len(vectors(openai, [1, 2, 3])) == 1
    status, body, _ = post(openai, [[1, 2, 3], [4]])
    assert status == 200 and body["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


# ---- the vendor's errors


def error_of(answer, status):
    assert answer[0] == status, answer
    assert set(answer[1]["error"]) == {"message", "type", "param", "code"}
    return answer[1]["error"]["type"], answer[1]["error"]["code"]


def test_too_many_items(openai):
    assert error_of(post(openai, ["a"] * 2049), 400) == ("invalid_request_error", "array_above_max_length")
    assert post(openai, ["a"] * 2048, dimensions=1)[0] == 200


def test_too_long_an_input(openai):
    answer = post(openai, [[1] * 8193])
    assert error_of(answer, 400) == ("invalid_request_error", None)
    assert "maximum context length is 8192 tokens" in answer[1]["error"]["message"]
    assert post(openai, [[1] * 8192])[0] == 200


def test_too_many_tokens_in_a_request(openai):
    answer = post(openai, [[1] * 8000] * 38)
    assert error_of(answer, 400) == ("max_tokens_per_request", "max_tokens_per_request")
    assert answer[1]["error"]["message"] == "Requested 304000 tokens, max 300000 tokens per request"


@pytest.mark.parametrize("given", ["", [], ["a", ""], [1.5], {}, None, [["a"]]])
def test_inputs_that_are_none(openai, given):
    assert error_of(post(openai, given), 400)[0] == "invalid_request_error"


def test_keys_and_models(openai, mock):
    assert error_of(post(openai, "a", headers={}), 401) == ("invalid_request_error", None)
    assert error_of(post(openai, "a", headers={"Authorization": "Bearer nothing-right"}), 401)[1] == "invalid_api_key"
    assert error_of(post(openai, "a", model="gpt-9"), 404)[1] == "model_not_found"
    assert error_of(post(openai, "a", dimensions=5, model="text-embedding-ada-002"), 400)
    assert error_of(post(openai, "a", dimensions=1537), 400)
    assert error_of(post(openai, "a", encoding_format="hex"), 400)
    assert post(mock("openai", "--key", "sk-only"), "a")[0] == 401


def test_a_body_that_is_no_json(openai):
    answer = openai.request("POST", PATH, b"{", KEY)
    assert answer.status == 400 and json.loads(answer.body)["error"]["type"] == "invalid_request_error"


def test_the_list_of_models(openai):
    status, body = openai.json("GET", "/v1/models", None, KEY)
    assert status == 200 and body["object"] == "list" and SMALL in [m["id"] for m in body["data"]]
    assert openai.json("GET", f"/v1/models/{SMALL}", None, KEY)[1]["id"] == SMALL
    assert openai.request("GET", "/v1/models/x", None, KEY).status == 404


# ---- limits and quota


def test_requests_a_minute_with_the_vendors_headers(openai):
    openai.faults(requests_per_minute=3)
    answers = [post(openai, "a") for _ in range(4)]
    assert [a[0] for a in answers] == [200, 200, 200, 429]
    assert error_of(answers[3], 429) == ("rate_limit_error", "rate_limit_exceeded")
    assert answers[0][2]["x-ratelimit-limit-requests"] == "3"
    assert answers[2][2]["x-ratelimit-remaining-requests"] == "0"
    assert answers[2][2]["x-ratelimit-reset-requests"] == "1m0s" or \
        50 < float(answers[2][2]["x-ratelimit-reset-requests"].rstrip("s")) < 60
    assert 1 <= int(answers[3][2]["retry-after"]) <= 20
    openai.advance(20)
    assert [post(openai, "a")[0] for _ in range(2)] == [200, 429]


def test_tokens_a_minute(openai):
    openai.faults(tokens_per_minute=100)
    assert post(openai, [[1] * 90])[0] == 200
    refused = post(openai, [[1] * 90])
    assert refused[0] == 429 and "TPM" in refused[1]["error"]["message"]
    assert 40 <= int(refused[2]["retry-after"]) <= 48
    never = post(openai, [[1] * 101])
    assert never[0] == 429 and "too large" in never[1]["error"]["message"] and "retry-after" not in never[2]
    openai.advance(60)
    assert post(openai, [[1] * 90])[0] == 200


@pytest.mark.parametrize("code", ["insufficient_quota", "credit_balance_exhausted", "project_spend_limit_exceeded"])
def test_quota(openai, code):
    openai.faults(quota={"code": code})
    answer = post(openai, "a")
    assert error_of(answer, 429) == ("insufficient_quota", code) and "retry-after" not in answer[2]


def test_slow_down_and_overload(openai):
    openai.faults(rules=[{"fault": "status", "status": 429, "code": "slow_down", "count": 1, "retry_after": 3},
                         {"fault": "status", "status": 503, "count": 1}, {"fault": "status", "status": 502, "count": 1}])
    first, second = post(openai, "a"), post(openai, "a")
    assert error_of(first, 429)[1] == "slow_down" and first[2]["retry-after"] == "3"
    assert error_of(second, 503) == ("service_unavailable_error", "server_is_overloaded")
    assert b"<html>" in openai.request("POST", PATH, {"model": SMALL, "input": "a"}, KEY).body


# ---- answers that are wrong


def bent(mock, n=4, **fault):
    mock.faults(**{name: {"count": 1, **(value or {})} for name, value in fault.items()})
    status, body, _ = post(mock, [f"text {i}" for i in range(n)], dimensions=16, encoding_format="base64")
    assert status == 200
    return body["data"]


def test_wrong_counts(openai):
    assert len(bent(openai, wrong_count=None)) == 3
    assert len(bent(openai, wrong_count={"by": 2})) == 6


def test_wrong_dimension(openai):
    assert {len(unpack(d["embedding"])) for d in bent(openai, wrong_dimension=None)} == {15}
    assert {len(unpack(d["embedding"])) for d in bent(openai, wrong_dimension={"dimension": 20})} == {20}


def test_zero_nan_and_long_vectors(openai):
    lengths = [dot(unpack(d["embedding"]), unpack(d["embedding"])) for d in bent(openai, zero_vector=None)]
    assert lengths.count(0) == 1
    assert sum(any(math.isnan(x) for x in unpack(d["embedding"])) for d in bent(openai, nan_vector=None)) == 1
    lengths = [dot(unpack(d["embedding"]), unpack(d["embedding"])) for d in bent(openai, bad_norm=None)]
    assert sum(abs(x - 9) < 1e-3 for x in lengths) == 1


def test_not_a_number_among_numbers(openai):
    openai.faults(nan_vector={"count": 1})
    assert b"NaN" in openai.request("POST", PATH, {"model": SMALL, "input": "a"}, KEY).body


@pytest.mark.parametrize("n", [2, 3, 4, 12, 100])
def test_shuffled_vectors_keep_their_index(openai, n):
    straight, shuffled = bent(openai, n), bent(openai, n, shuffled=None)
    assert [d["index"] for d in shuffled] != list(range(n))
    assert sorted(shuffled, key=lambda d: d["index"]) == straight


def test_an_index_twice_and_numbers_instead_of_base64(openai):
    assert [d["index"] for d in bent(openai, bad_index=None)] == [0, 1, 2, 0]
    assert all(isinstance(d["embedding"], list) for d in bent(openai, float_only=None))


def test_one_bad_item_spoils_the_request(openai):
    openai.faults(bad_item={"match": "poison"})
    assert post(openai, ["good", "some poison"])[0] == 400
    assert post(openai, ["good"])[0] == 200


# ---- counts


def test_usage_is_exact(openai):
    used = sum(post(openai, ["some words here", "more"], model=m)[1]["usage"]["total_tokens"]
               for m in (SMALL, "text-embedding-3-large"))
    usage = openai.usage()
    assert usage["requests"] == 2 and usage["inputs"] == 4 and usage["tokens"] == used
    prices = {SMALL: Decimal("0.02"), "text-embedding-3-large": Decimal("0.13")}
    cost = sum(usage["models"][m]["tokens"] * p / 1000000 for m, p in prices.items())
    assert Decimal(usage["cost_usd"]) == cost == Decimal(usage["delivered"]["cost_usd"])
    openai.control("DELETE", "/__usage")
    assert openai.usage()["cost_usd"] == "0"


@pytest.mark.parametrize("text,tokens", [("hello world", 2), ("tiktoken is great!", 6), (" \n\n  x", 3)])
def test_tokens_are_those_of_cl100k(openai, text, tokens):
    assert post(openai, text, dimensions=1)[1]["usage"]["prompt_tokens"] == tokens


# ---- the compatible servers


def test_tei_has_flat_errors_and_32_items(mock):
    tei = mock("openai", "--style", "tei")
    status, body, headers = post(tei, ["a"] * 33, headers={})
    assert status == 413 and body == {"message": "batch size 33 > maximum allowed batch size 32", "code": 413,
                                      "type": "Validation"}
    assert not [h for h in headers if h.startswith("x-ratelimit")]
    assert post(tei, "", headers={})[0] == 422
    tei.faults(rules=[{"fault": "status", "status": s, "count": 1} for s in (424, 429)], requests_per_minute=0)
    assert [post(tei, "a", headers={})[:2] for _ in range(2)][1] == (429, {
        "message": "Rate limit reached. Please try again later.", "code": 429, "type": "Overloaded"})
    assert post(tei, [[1] * 600], headers={})[1]["usage"]["total_tokens"] == 512


def test_azure_paths_and_key(mock):
    azure = mock("openai", "--style", "azure", "--key", "secret")
    deployment = f"/openai/deployments/{SMALL}/embeddings"
    key = {"api-key": "secret"}
    body = {"input": "a"}
    assert azure.request("POST", deployment + "?api-version=2024-10-21", body, key).status == 200
    assert azure.request("POST", deployment, body, key).status == 404
    assert post(azure, "a", path="/openai/v1/embeddings", headers=key)[0] == 200
    status, wrong, _ = post(azure, "a", path="/openai/v1/embeddings")
    assert status == 401 and wrong["error"]["code"] == "401"
    azure.faults(requests_per_minute=1)
    refused = [post(azure, "a", path="/openai/v1/embeddings", headers=key) for _ in range(2)][1]
    assert refused[0] == 429 and int(refused[2]["retry-after-ms"]) > 1000


def test_ollama_takes_no_tokens_and_has_no_codes(mock):
    ollama = mock("openai", "--style", "ollama", "--model", "nomic-embed-text:768")
    assert post(ollama, [1, 2], headers={})[0] == 400
    assert len(post(ollama, "a", headers={}, model="nomic-embed-text")[1]["data"][0]["embedding"]) == 768
    assert error_of(post(ollama, "a", headers={}, model="x"), 404) == ("not_found_error", None)


def test_llamacpp_and_vllm(mock):
    llamacpp, vllm = mock("openai", "--style", "llamacpp"), mock("openai", "--style", "vllm")
    assert post(llamacpp, "a", headers={}, model="whatever")[0] == 200
    assert post(llamacpp, [[1] * 513], headers={})[1]["error"]["code"] == 500
    status, body, _ = post(vllm, "a", headers={}, dimensions=5)
    assert status == 400 and body["error"]["type"] == "BadRequestError" and body["error"]["code"] == 400


def test_openrouter_says_402_for_quota(mock):
    router = mock("openai", "--style", "openrouter")
    router.faults(quota=True)
    assert post(router, "a")[:2] == (402, {"error": {"code": 402, "message":
                                                     "You exceeded your current quota, please check your plan and "
                                                     "billing details."}})
