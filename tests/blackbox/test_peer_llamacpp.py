"""test_peer_llamacpp.py - documents embedded by llama.cpp's own server, as Debian builds it

The model has random weights (tests/peers/tiny_gguf.py): what is shown is the protocol, in both directions. A token of it
is a character, so that a text's length in tokens is that of its letters and two more.
"""

import base64
import json
import math
import os
import re
import struct
import subprocess

import pytest

from harness import documents, peer
from harness.account import wait_for
from harness.forwarder import Forwarder
from harness.programs import SOURCE

DIMENSION = 64
KEY = "llama-key-0123456789abcdef"
CONTEXT = 4096
POOLS = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1},
         {"name": "w", "role": "worker", "min": 1, "max": 1}]
LONG_WORDS = ("internationalization responsibilities administration infrastructure characteristics "
              "recommendations transformation understanding").split()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    peer.program("llamacpp")
    return peer.tiny_model(tmp_path_factory.mktemp("model"), DIMENSION)


@pytest.fixture
def llama(model):
    """A factory of servers."""
    made = []

    def make(*flags, embedding=True, start=True, batch=CONTEXT):
        argv = [peer.program("llamacpp"), "-m", model, "--host", "127.0.0.1", "--port", "{port}", "-c", CONTEXT, "-b", batch,
                "-ub", batch, "-t", 1, *(["--embedding"] if embedding else []), *flags]
        made.append(peer.Peer(argv, lambda p: p.request("GET", "/health")[0] == 200))
        return made[-1].start() if start else made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def watched():
    """A factory of proxies that keep what is said."""
    made = []

    def make(server):
        made.append(Forwarder(server.port))
        return made[-1]

    yield make
    for one in made:
        one.close()


def keys_of(url, **more):
    keys = {"embedder.name": "openai", "embedder.dimension": DIMENSION, "openai.kind": "llamacpp", "openai.base_url": url,
            "openai.model": "tiny", "http.allow_private": "127.0.0.1", "queue.retry_first": "50ms",
            "queue.retry_cap": "500ms"}
    keys.update({k.replace("__", "."): v for k, v in more.items()})
    return keys


def ask(server, given, key=None, **more):
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    status, heads, body = server.request("POST", "/v1/embeddings", json.dumps({"input": given, **more}), headers)
    return status, heads, json.loads(body)


def vectors(server, texts):
    """What the server says of each text by itself, as numbers in text."""
    return [ask(server, text, encoding_format="float")[2]["data"][0]["embedding"] for text in texts]


def stored(d, document_id):
    rows = d.sql("""SELECT v.embedding::text, c.text FROM upload_pipeline.vectors_1 v
                    JOIN upload_pipeline.document_chunks c USING (user_id, document_id, generation, ord)
                    WHERE v.document_id = %s ORDER BY v.ord""", (document_id,))
    return [[float(x) for x in vector.strip("[]").split(",")] for vector, _ in rows], [text for _, text in rows]


def farthest(some, others):
    assert len(some) == len(others)
    return max(abs(a - b) for one, other in zip(some, others) for a, b in zip(one, other))


def services(d):
    return {s["service"]: s for s in d.ctl("breakers")["services"]}


def long_words(n, seed=0):
    return " ".join(LONG_WORDS[(i * 3 + seed) % len(LONG_WORDS)] for i in range(n))


# ---- a document's whole way


def test_a_document_gets_the_servers_own_vectors_and_is_found_by_them(daemon, llama, watched):
    server = llama("--pooling", "mean")
    proxy = watched(server)
    d = daemon(keys=keys_of(proxy.url), pools=POOLS)
    document = d.put(documents.markdown("Lantern", sections=6, words=200), "lantern.md")
    assert document["status"] == "complete", document
    got, texts = stored(d, document["document_id"])
    assert len(got) == document["chunks"] > 3
    assert farthest(got, vectors(server, texts)) < 1e-4

    other = d.put(b"# Weather\n\nZinc quays jut; vexed wolves gaze.\n", "weather.md")
    (found, *_) = d.search("Zinc quays jut; vexed wolves gaze.")
    assert found["document_id"] == other["document_id"]
    embedded = [json.loads(e.body)["input"] for e in proxy.exchanges]
    assert ["Zinc quays jut; vexed wolves gaze."] in embedded, "the search asked the server"


def test_many_texts_go_in_one_request_packed_across_documents(daemon, llama, watched):
    server = llama("--pooling", "mean", start=False)
    proxy = watched(server)
    d = daemon(keys=keys_of(proxy.url), pools=POOLS)
    ids = [d.upload(documents.markdown(f"Short {i}", sections=1, words=20, seed=i), f"{i}.md").json["document_id"]
           for i in range(20)]
    waiting = "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE status = 8"
    wait_for(lambda: d.sql(waiting)[0][0] == len(ids), 20, "all documents to wait for the server", dump=d.log)
    server.start()
    for document_id in ids:
        assert d.wait_end(document_id)["status"] == "complete"
    asked = [json.loads(e.body) for e in proxy.exchanges if e.status == 200]
    counts = [len(a["input"]) for a in asked]
    assert sum(counts) >= 20 and max(counts) > 5, counts
    assert all(a["encoding_format"] == "base64" and "dimensions" not in a for a in asked)
    for document_id in ids:
        got, texts = stored(d, document_id)
        assert farthest(got, vectors(server, texts)) < 1e-4
    attempts = d.sql("SELECT max(attempt) FROM upload_pipeline.upload_jobs")[0][0]
    assert attempts == 1, "a server that was not there yet is no document's fault"


# ---- what it refuses


def test_a_text_that_is_too_long_for_it_ends_its_document_and_no_other(daemon, llama, watched):
    server = llama("--pooling", "mean", batch=400)
    proxy = watched(server)
    d = daemon(keys=keys_of(proxy.url, chunk__max_tokens=64, chunk__overlap_tokens=0), pools=POOLS)
    good = [d.upload(f"# Good {i}\n\nA small lamp, number {i}.\n".encode(), f"g{i}.md").json["document_id"]
            for i in range(6)]
    bad = d.upload(f"# Bad\n\n{long_words(40)}\n".encode(), "bad.md").json["document_id"]
    failed = d.wait_end(bad)
    assert (failed["status"], failed["error_reason"]) == ("failed_embedding", "embed_too_long"), failed
    assert "too large to process" in json.dumps(failed), failed
    for document_id in good:
        assert d.wait_end(document_id)["status"] == "complete"
    refused = [e for e in proxy.exchanges if e.status == 500]
    assert 1 <= len(refused) < 10, "found by halving, and not sent again"
    assert services(d)["embedder"]["state"] == "closed"


def test_another_dimension_than_the_configured_is_named_and_ends_no_document(daemon, llama):
    server = llama("--pooling", "mean")
    d = daemon(keys=keys_of(server.url, embedder__dimension=DIMENSION * 2), pools=POOLS)
    document_id = d.upload(b"# Wide\n\nOne line.\n", "wide.md").json["document_id"]
    wanted = f"has {DIMENSION} dimensions, not {DIMENSION * 2}"
    wait_for(lambda: wanted in json.dumps(d.ctl("errors")), 30, "the difference to be named", dump=d.log)
    wait_for(lambda: services(d)["embedder"]["failed_probes"] >= 3, 20, "the service to be tried again", dump=d.log)
    assert d.document(document_id)["state"] not in ("done", "deadletter"), "it waits for the configuration"
    assert d.sql("SELECT count(*) FROM upload_pipeline.vectors_1")[0][0] == 0


@pytest.mark.parametrize("flags, embedding, said", [
    (("--pooling", "none"), True, "Pooling type 'none' is not OAI compatible"),
    ((), False, "This server does not support embeddings")])
def test_a_server_that_was_started_wrongly_is_the_configurations_fault(daemon, llama, flags, embedding, said):
    server = llama(*flags, embedding=embedding)
    d = daemon(keys=keys_of(server.url), pools=POOLS)
    document_id = d.upload(documents.markdown("Waits"), "waits.md").json["document_id"]
    (error,) = wait_for(lambda: d.ctl("errors"), 30, "the error", dump=d.log)
    assert error["reason"] == "provider_config" and said in json.dumps(error), error
    assert d.document(document_id)["state"] not in ("done", "deadletter"), "it waits, at no attempt"


def test_its_key_is_sent_and_a_wrong_one_is_told(daemon, llama):
    server = llama("--pooling", "mean", "--api-key", KEY)
    d = daemon(keys=keys_of(server.url, openai__api_key=KEY), pools=POOLS)
    assert d.put(documents.markdown("Keyed"), "a.md")["status"] == "complete"
    d.stop()
    other = daemon(keys=keys_of(server.url, openai__api_key="wrong-0123456789abcdef"), pools=POOLS)
    other.upload(documents.markdown("Locked out"), "b.md")
    errors = lambda: [e for e in other.ctl("errors") if e["reason"] == "provider_denied"]
    (error, *_) = wait_for(errors, 30, "the error", dump=other.log)
    assert "Invalid API Key" in json.dumps(error)
    assert KEY not in other.log() + d.log() and "wrong-0123" not in other.log()


# ---- what docmill says that it can


def capabilities(programs):
    """The row of the table that docmill runs by."""
    page = subprocess.run([os.path.join(programs, "docmilld"), "--print-providers-markdown"], capture_output=True, text=True,
                          timeout=10, check=True).stdout
    head = next(line for line in page.splitlines() if line.startswith("| kind |"))
    row = next(line for line in page.splitlines() if line.startswith("| llamacpp |"))
    cells = lambda line: [c.strip() for c in line.strip("|").split("|")]
    return dict(zip(cells(head), cells(row)))


def test_the_table_says_what_the_server_does(programs, llama):
    can, server = capabilities(programs), llama("--pooling", "mean")
    status, heads, plain = ask(server, ["one", "two"], model="a name", encoding_format="float")
    assert status == 200 and [d["index"] for d in plain["data"]] == [0, 1]
    assert (can["key"], can["known from"]) == ("none needed", "seen")
    assert can["rate headers"] == "no" and not [h for h in heads if h.startswith("x-ratelimit")]

    packed = ask(server, ["one", "two"], encoding_format="base64")[2]
    raw = [base64.b64decode(d["embedding"]) for d in packed["data"]]
    assert can["base64"] == "yes"
    assert farthest([struct.unpack(f"<{DIMENSION}f", r) for r in raw], [d["embedding"] for d in plain["data"]]) < 1e-6

    short = ask(server, "one", dimensions=8)[2]["data"][0]["embedding"]
    assert can["dimensions"] == "no" and len(short) == DIMENSION, "it passes over what it does not know"

    assert can["length 1"] == "checked"
    assert all(abs(math.sqrt(sum(x * x for x in d["embedding"])) - 1) < 1e-5 for d in plain["data"])

    assert can["model's name"] == "not checked" and plain["model"] == "a name"
    assert ask(server, "one")[2]["model"].endswith(".gguf")

    assert can["inputs"] == "-" and len(ask(server, ["x"] * 600)[2]["data"]) == 600
    assert ask(server, [[5, 6, 7]])[0] == 200, "token numbers"

    status, _, refused = ask(server, [])
    assert can["errors"] == "wrapped" and status == 400 and refused["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("name, status", [
    ("too_large", 500), ("context", 400), ("pooling", 400), ("no_embeddings", 501), ("key", 401)])
def test_its_refusals_are_the_fixtures(llama, name, status):
    with open(os.path.join(SOURCE, "tests", "fixtures", "openai", f"error_llamacpp_{name}.json"), encoding="utf-8") as f:
        kept = json.load(f)["error"]
    flags = {"pooling": ("--pooling", "none"), "key": ("--pooling", "mean", "--api-key", KEY), "no_embeddings": (),
             "context": ("--pooling", "mean", "-np", 1, "-c", 256)}.get(name, ("--pooling", "mean"))
    server = llama(*flags, embedding=name != "no_embeddings", batch=256 if name == "too_large" else CONTEXT)
    length = 281 if name == "too_large" else 800
    got, _, answer = ask(server, "x" + " x" * (length - 1) if name in ("too_large", "context") else "x")
    assert got == status == kept["code"]
    said = answer["error"]
    assert said.keys() == kept.keys() and said["type"] == kept["type"]
    assert re.sub(r"\d+", "N", said["message"]) == re.sub(r"\d+", "N", kept["message"])
