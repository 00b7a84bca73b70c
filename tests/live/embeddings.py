"""embeddings.py - the steps that ask a service of embeddings: OpenAI, or a server that speaks its language

Ordinary answers are compared for every kind of server; refusals only where a fixture of that kind is kept.
"""

import base64
import math
import re
import struct

from ask import NoAnswer, ask, json_body
from spend import for_tokens, most_tokens, usd

TEXTS = ["The mill at the river grinds corn.", "Ein Müller, der nachts mahlt."]
TOO_LONG = "mill " * 9000  # 8192 tokens are allowed
FIXTURES_OF_KIND = {  # kind: fixture of an unknown model
    "openai": "openai/error_model_not_found", "ollama": "openai/error_ollama_not_found",
}
KINDS = ("openai", "azure", "ollama", "llamacpp", "tei", "vllm", "generic")
WITHOUT_BASE64 = ("generic",)
RATE_HEADERS = ("x-ratelimit-limit-requests", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-requests",
                "x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens")
GO_DURATION = re.compile(r"^([0-9.]+(ns|us|µs|ms|s|m|h))+$")
NEAR = 1e-2  # the service computes the same text twice, and not to the last digit


def post(live, body, key=None):
    o = live.options
    key = o.openai_key if key is None else key
    data, headers = json_body(body)
    if key:
        headers["api-key" if o.openai_kind == "azure" else "Authorization"] = (
            key if o.openai_kind == "azure" else f"Bearer {key}")
    return ask("POST", o.openai_url + "/embeddings", data, headers)


def embed(live, text_or_texts, most, **more):
    """An answer, what it cost settled."""
    live.spend.reserve(most)
    answer = post(live, {"model": live.options.openai_model, "input": text_or_texts, **more})
    if answer.is_refusal:
        live.spend.settle(most, most * 0)
    if answer.status != 200:
        return answer
    used = answer.json.get("usage") if isinstance(answer.json, dict) else None
    tokens = used.get("total_tokens") if isinstance(used, dict) else None
    if isinstance(tokens, int):
        real = for_tokens(tokens, live.options.token_price)
        if real > most:
            live.differ(f"counts {tokens} tokens, which cost more than was thought possible ({usd(most)})")
        live.spend.settle(most, real)
    return answer


def numbers_of(live, answer, packed):
    """The vectors by index, or None."""
    try:
        rows = answer.json["data"]
        if sorted(r["index"] for r in rows) != list(range(len(TEXTS))):
            live.differ(f"$.data: has the indices {[r['index'] for r in rows]} for {len(TEXTS)} texts")
            return None
        vectors = [None] * len(TEXTS)
        for row in rows:
            value = row["embedding"]
            if packed and isinstance(value, str):
                raw = base64.b64decode(value, validate=True)
                value = struct.unpack(f"<{len(raw) // 4}f", raw)
            vectors[row["index"]] = [float(x) for x in value]
    except (KeyError, TypeError, ValueError, struct.error) as error:
        live.differ(f"$.data: cannot be read as vectors ({type(error).__name__})")
        return None
    for vector in vectors:
        if not vector or not all(map(math.isfinite, vector)) or not any(vector):
            live.differ("a vector is empty, zero or has a number that is none")
    if len({len(v) for v in vectors}) != 1:
        live.differ(f"the vectors have {[len(v) for v in vectors]} numbers")
    return vectors


def check_headers(live, answer):
    for name in RATE_HEADERS:
        value = answer.headers.get(name)
        if value is None:
            live.differ(f"header {name}: is missing")
        elif not (GO_DURATION.match(value) if "reset" in name else value.lstrip("-").isdigit()):
            live.differ(f"header {name}: {value[:40]!r} cannot be read")


def most_of_embeddings(options):
    once = for_tokens(most_tokens(TEXTS), options.token_price)
    return once if options.openai_kind in WITHOUT_BASE64 else once * 2


def run_embeddings(live):
    o = live.options
    once = for_tokens(most_tokens(TEXTS), o.token_price)
    plain = embed(live, TEXTS, once, encoding_format="float")
    live.compare("openai/embeddings_tei" if o.openai_kind == "tei" else "openai/embeddings_float", plain, 200)
    if plain.status != 200:
        raise NoAnswer(f"status {plain.status}")
    first = numbers_of(live, plain, False)
    if o.openai_kind == "openai":
        check_headers(live, plain)
        for vector in first or []:
            if abs(math.sqrt(sum(x * x for x in vector)) - 1) > NEAR:
                live.differ("a vector's length is not 1")
    if o.openai_kind in WITHOUT_BASE64:
        return
    packed = embed(live, TEXTS, once, encoding_format="base64")
    live.compare("openai/embeddings_base64", packed, 200)
    second = numbers_of(live, packed, True) if packed.status == 200 else None
    if first and second:
        compare_vectors(live, first, second)


def compare_vectors(live, first, second):
    for one, other in zip(first, second):
        if len(one) != len(other):
            live.differ(f"{len(one)} numbers as text, {len(other)} in base64")
        elif max(abs(x - y) for x, y in zip(one, other)) > NEAR:
            live.differ("the numbers in base64 are others than those in text")


def refusals_of(options):
    """(fixture, status, what is sent instead)"""
    if options.openai_kind not in FIXTURES_OF_KIND:
        return []
    found = [(FIXTURES_OF_KIND[options.openai_kind], 404, {"model": "docmill-no-such-model"})]
    if options.openai_kind == "openai":
        found += [("openai/error_empty_input", 400, {"input": [TEXTS[0], TEXTS[1], TEXTS[0], ""]}),
                  ("openai/error_too_long", 400, {"input": [TOO_LONG]}),
                  ("openai/error_invalid_api_key", 401, {"key": "wrong-0123456789abcdef"})]
    return found


def most_of_refusal(options, instead):
    given = instead.get("input", TEXTS[:1])
    return for_tokens(most_tokens(given), options.token_price)


def most_of_refusals(options):
    return sum((most_of_refusal(options, instead) for _, _, instead in refusals_of(options)), options.token_price * 0)


def run_refusals(live):
    o = live.options
    for fixture, status, instead in refusals_of(o):
        most = most_of_refusal(o, instead)
        live.spend.reserve(most)
        answer = post(live, {"model": instead.get("model", o.openai_model), "input": instead.get("input", TEXTS[:1])},
                      instead.get("key"))
        if answer.is_refusal:
            live.spend.settle(most, most * 0)
        live.compare(fixture, answer, status)
        live.compare_words(fixture, answer, [("error", "type"), ("error", "code")])
