"""test_spaces.py - another model for documents that are there: filled in the background, flipped, and two at once"""

import signal
import threading
import time
import urllib.parse

import pytest

from harness import account, documents
from harness.account import wait_for
from harness.mock import Mock

SMALL, LARGE = "text-embedding-3-small", "text-embedding-3-large"
KEY = "sk-test-0123456789abcdef"
JOBS = "upload_pipeline.upload_jobs"


@pytest.fixture
def service():
    mock = Mock("openai", "--key", KEY)
    yield mock
    mock.stop()


def outside(mock, **more):
    return {"embedder.name": "openai", "embedder.dimension": 64, "openai.base_url": mock.url + "/v1",
            "openai.api_key": KEY, "openai.model": SMALL, "http.allow_private": "127.0.0.1",
            "queue.retry_first": "50ms", "queue.retry_cap": "300ms", "queue.poll_interval": "100ms",
            "retention.generations": "1s", **{k.replace("__", "."): v for k, v in more.items()}}


def pools(workers=1):
    return [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1},
            {"name": "w", "role": "worker", "min": workers, "max": workers}]


def restart(d, **keys):
    d.stop()
    d.keys.update({k.replace("__", "."): v for k, v in keys.items()})
    d.start()


def live(d, name="default"):
    """(space, model, dimension) that searches of a collection use."""
    rows = d.sql(f"""SELECT s.space, s.model, s.dimension FROM upload_pipeline.collections c
                     JOIN upload_pipeline.embedding_spaces s ON s.space = c.live_space WHERE c.name = '{name}'""")
    return tuple(rows[0]) if rows else None


def wait_live(d, model, dimension, limit=40, name="default"):
    return wait_for(lambda: live(d, name)[1:] == (model, dimension) and live(d, name), limit,
                    f"the flip to {model}/{dimension}", dump=d.log)[0]


def rows_of(d, space):
    return d.sql(f"SELECT count(*) FROM upload_pipeline.vectors_{space}")[0][0]


def visible_chunks(d, collection=1):
    return d.sql(f"SELECT coalesce(sum(chunks), 0) FROM upload_pipeline.documents WHERE collection = {collection}")[0][0]


def put_many(d, n, prefix="doc", sections=2):
    ids = [d.upload(documents.markdown(f"{prefix} {i}", sections=sections, words=60, seed=i), f"{prefix}{i}.md")
           .json["document_id"] for i in range(n)]
    for one in ids:
        assert d.wait_end(one, 60)["status"] == "complete"
    return ids


def upload(d, content, name, collection):
    return d.http("POST", "/v1/documents?" + urllib.parse.urlencode({"filename": name, "collection": collection}), content)


class Searching:
    """Searches all the while; each answer must be whole."""

    def __init__(self, d, expected):
        self.d, self.expected, self.ended, self.n, self.wrong = d, expected, threading.Event(), 0, []
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ended.is_set():
            answer = self.d.http("GET", "/v1/search?" + urllib.parse.urlencode({"q": "lantern", "limit": 50}))
            found = {r["document_id"] for r in answer.json["results"]} if answer.status == 200 else answer.reason
            if found != self.expected:
                self.wrong.append(found)
            self.n += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(30)
        assert not self.wrong, f"{len(self.wrong)} of {self.n} searches: {self.wrong[:3]}"
        assert self.n > 3


def slow(service, ms=150):
    service.faults(delay={"kind": "fixed", "ms": ms})


def test_a_new_dimension_is_filled_while_the_old_one_serves_and_then_flipped(daemon, service):
    d = daemon(keys=outside(service, embedder__batch_items=8, openai__in_flight=1), pools=pools())
    ids = set(put_many(d, 20, "lantern", 1))
    slow(service, 400)
    restart(d, embedder__dimension=32)
    with Searching(d, ids):
        assert live(d) == (1, SMALL, 64), "the old one serves"
        space = wait_live(d, SMALL, 32)
        time.sleep(0.3)
    assert space == 2 and rows_of(d, 2) == visible_chunks(d) > 0
    wait_for(lambda: rows_of(d, 1) == 0, 20, "the old vectors to go", dump=d.log)
    assert d.sql(f"SELECT count(*) FROM {JOBS} WHERE purpose = 2")[0][0] == 0, "the fill jobs are tidied away"
    states = dict(d.sql("SELECT space, state FROM upload_pipeline.embedding_spaces"))
    assert states == {1: "retired", 2: "live"}
    assert {r["document_id"] for r in d.search("lantern", limit=50)} == ids


def test_builtin_gives_way_to_a_service_and_comes_back(daemon, service):
    d = daemon(keys=outside(service, embedder__name="builtin"), pools=pools())
    ids = set(put_many(d, 6, "lantern", 1))
    assert live(d)[1:] == ("builtin", 64)
    restart(d, embedder__name="openai")
    wait_live(d, SMALL, 64)
    assert {r["document_id"] for r in d.search("lantern", limit=50)} == ids
    restart(d, embedder__name="builtin")
    wait_live(d, "builtin", 64)
    assert {r["document_id"] for r in d.search("lantern", limit=50)} == ids
    assert live(d)[0] == 1 and rows_of(d, 1) == visible_chunks(d), "the old space was taken up again"
    wait_for(lambda: rows_of(d, 2) == 0, 20, "the service's vectors to go", dump=d.log)


def test_uploads_during_the_fill_are_found_before_and_after_the_flip(daemon, service):
    d = daemon(keys=outside(service, embedder__batch_items=2, openai__in_flight=1), pools=pools())
    put_many(d, 40, "old", 1)
    slow(service, 200)
    restart(d, openai__model=LARGE)
    wait_for(lambda: d.sql(f"SELECT count(*) FROM {JOBS} WHERE purpose = 2 AND state < 6")[0][0] > 0, 20, "the fill")
    new = d.put(b"# Quay\n\nA heron stands on the quay.\n", "quay.md")["document_id"]
    others = f"SELECT count(*) FROM {JOBS} WHERE purpose = 2 AND state < 6 AND document_id <> '{new}'"
    assert d.sql(others)[0][0] > 0 and live(d)[1] == SMALL, "what somebody uploads goes before the fill"
    assert new in [r["document_id"] for r in d.search("heron quay", limit=50)]
    service.faults()
    space = wait_live(d, LARGE, 64)
    assert new in [r["document_id"] for r in d.search("heron quay", limit=50)]
    assert rows_of(d, space) == visible_chunks(d)


def test_a_worker_whose_hands_are_full_of_filling_takes_what_is_uploaded(daemon, service):
    d = daemon(keys=outside(service, openai__in_flight=1, supervise__drain_timeout="1s"), pools=pools())
    put_many(d, 70, "old", 1)
    service.faults(hang={"probability": 1, "ms": 30000})
    restart(d, embedder__dimension=32)
    wait_for(lambda: d.sql(f"SELECT count(*) FROM {JOBS} WHERE purpose = 2 AND state = 2")[0][0] >= 64, 20,
             "the worker to be full of them", dump=d.log)
    new = d.upload(b"# Quay\n\nA heron stands on the quay.\n", "quay.md").json["document_id"]
    wait_for(lambda: d.document(new)["status"] == "embedding_queued", 10, "it to be chunked all the same", dump=d.log)


def test_a_job_in_hand_at_the_flip_is_done_again_in_the_new_space(daemon, service):
    d = daemon(keys=outside(service, openai__timeout="5s", supervise__drain_timeout="1s"), pools=pools())
    service.faults(hang={"probability": 1, "ms": 30000})
    document_id = d.upload(documents.markdown("Held", sections=3), "held.md").json["document_id"]
    wait_for(lambda: d.sql(f"SELECT count(*) FROM {JOBS} WHERE status = 7")[0][0] == 1, 20, "the chunk rows", dump=d.log)
    restart(d, embedder__dimension=32)
    wait_live(d, SMALL, 32)
    service.faults()
    document = d.wait_end(document_id, 60)
    assert (document["status"], document["crashes"]) == ("complete", 0)
    assert rows_of(d, 2) == document["chunks"]
    assert d.sql(f"SELECT space, attempt FROM {JOBS} WHERE document_id = '{document_id}' AND purpose = 1")[0][0] == 2
    assert [r["document_id"] for r in d.search("Held", limit=1)] == [document_id]


def test_a_model_that_comes_back_is_not_asked_again(daemon, service):
    d = daemon(keys=outside(service, retention__generations="10m"), pools=pools())
    ids = set(put_many(d, 6, "lantern", 1))
    restart(d, embedder__dimension=32)
    wait_live(d, SMALL, 32)
    asked = len([e for e in service.journal() if e["path"].endswith("/embeddings")])
    restart(d, embedder__dimension=64)
    assert wait_live(d, SMALL, 64) == 1
    assert len([e for e in service.journal() if e["path"].endswith("/embeddings")]) == asked
    assert {r["document_id"] for r in d.search("lantern", limit=50)} == ids


def test_a_configuration_that_goes_back_gives_the_new_space_up(daemon, service):
    d = daemon(keys=outside(service, embedder__batch_items=2, openai__in_flight=1), pools=pools())
    ids = set(put_many(d, 10, "lantern", 1))
    slow(service, 300)
    restart(d, embedder__dimension=32)
    wait_for(lambda: d.sql(f"SELECT count(*) FROM {JOBS} WHERE purpose = 2 AND state = 6")[0][0] > 0, 20, "some to be done")
    restart(d, embedder__dimension=64)
    service.faults()
    wait_for(lambda: d.sql(f"SELECT count(*) FROM {JOBS} WHERE purpose = 2")[0][0] == 0, 20, "the jobs to go", dump=d.log)
    assert live(d) == (1, SMALL, 64)
    assert d.sql("SELECT next_space FROM upload_pipeline.collections")[0][0] is None
    wait_for(lambda: rows_of(d, 2) == 0, 20, "its vectors to go", dump=d.log)
    assert {r["document_id"] for r in d.search("lantern", limit=50)} == ids


@pytest.mark.parametrize("role", ["worker", "coordinator"])
def test_kills_during_the_fill_change_nothing_of_its_end(daemon, service, role):
    d = daemon(keys=outside(service, embedder__batch_items=4, openai__in_flight=1), pools=pools(2))
    ids = set(put_many(d, 30, "lantern", 2))
    slow(service, 300)
    restart(d, embedder__dimension=32)
    kills = 0
    while live(d)[2] != 32 and kills < 5:
        for child in d.children(role):
            account.kill(child["pid"], signal.SIGKILL)
        kills += 1
        time.sleep(0.4)
    service.faults()
    space = wait_live(d, SMALL, 32, 60)
    assert kills > 2, "it was killed while it filled"
    assert rows_of(d, space) == visible_chunks(d)
    doubled = d.sql(f"""SELECT count(*) FROM (SELECT document_id FROM {JOBS} WHERE purpose = 2 AND space = {space}
                        GROUP BY 1 HAVING count(*) > 1) x""")[0][0]
    assert doubled == 0
    assert {r["document_id"] for r in d.search("lantern", limit=200)} == ids


COLLECTIONS = [{"name": "words", "embedder": "builtin", "dimension": 128},
               {"name": "large", "embedder": "openai", "model": LARGE, "dimension": 96}]


def test_collections_have_models_of_their_own_and_see_nothing_of_one_another(daemon, service):
    d = daemon(keys={**outside(service), "collections": COLLECTIONS}, pools=pools())
    text = b"# Heron\n\nA heron stands on the quay.\n"
    ids = {}
    for name in ("default", "words", "large"):
        answer = upload(d, text, "heron.md", name)
        assert answer.status == 202, answer
        ids[name] = answer.json["document_id"]
    assert len(set(ids.values())) == 3, "the same bytes are a document of each collection"
    for name, one in ids.items():
        assert d.wait_end(one)["status"] == "complete", name
        assert d.document(one)["collection"] == name
    assert live(d) == (1, SMALL, 64) and live(d, "words")[1:] == ("builtin", 128) and live(d, "large")[1:] == (LARGE, 96)
    for name, one in ids.items():
        assert [r["document_id"] for r in d.search("heron quay", collection=name)] == [one]
    asked = {e["summary"]["model"] for e in service.journal() if e["path"].endswith("/embeddings")}
    assert asked == {SMALL, LARGE}
    assert upload(d, text, "heron.md", "words").status == 200, "there already"
    answer = upload(d, text, "heron.md", "nowhere")
    assert answer.status == 404 and "default, large, words" in answer.json["detail"], answer
    answer = d.http("GET", "/v1/search?q=heron&collection=nowhere")
    assert answer.status == 404 and "default" in answer.json["detail"], answer
    found = d.ctl("search", "heron", "quay", "--collection", "words")
    assert [r["document_id"] for r in found] == [ids["words"]]
    assert d.http("DELETE", f"/v1/documents/{ids['words']}").status == 200
    assert d.search("heron quay", collection="words") == []
    assert [r["document_id"] for r in d.search("heron quay")] == [ids["default"]]


def test_one_collection_changes_while_another_stays(daemon, service):
    d = daemon(keys={**outside(service), "collections": COLLECTIONS[:1]}, pools=pools())
    put_many(d, 3, "lantern", 1)
    other = upload(d, b"# Heron\n\nA heron.\n", "heron.md", "words").json["document_id"]
    assert d.wait_end(other)["status"] == "complete"
    restart(d, collections=[dict(COLLECTIONS[0], dimension=256)])
    wait_live(d, "builtin", 256, name="words")
    assert live(d) == (1, SMALL, 64)
    assert [r["document_id"] for r in d.search("heron", collection="words")] == [other]
    space = live(d, "words")[0]
    assert rows_of(d, space) == 1 and len(d.search("lantern", limit=50)) == 3


def spaces(d):
    return {(s["collection"], s["state"]): s for s in d.ctl("spaces")}


def test_documents_that_cannot_be_filled_hold_up_the_flip_until_a_person_decides(daemon, service):
    d = daemon(keys=outside(service), pools=pools())
    good = set(put_many(d, 4, "lantern", 1))
    bad = d.put(b"# Lantern\n\nAn unspeakable lantern.\n", "bad.md")["document_id"]
    service.faults(bad_item={"probability": 1, "match": "unspeakable"})
    restart(d, embedder__dimension=32)
    wait_for(lambda: spaces(d).get(("default", "building"), {}).get("failed") == 1, 30, "the failure", dump=d.log)
    held = wait_for(lambda: (lambda s: s["documents_in"] == 4 and s)(spaces(d)[("default", "building")]), 20, "the others")
    assert (held["documents"], held["failed_reason"]) == (5, "embed_refused")
    text = d.ctl("spaces", as_json=False).stdout
    assert "1 documents could not be embedded" in text and "embed_refused" in text and "flip --without-failed" in text
    time.sleep(1.2)
    assert live(d) == (1, SMALL, 64), "no half-visible corpus without a decision"
    assert d.document(bad)["status"] == "complete" and len(d.search("lantern", limit=50)) == 5
    assert any("could not be embedded" in e["message"] for e in d.ctl("errors"))
    jobs = d.http("GET", "/v1/jobs?limit=100").json["jobs"]
    assert len(jobs) == 5 and {j["state"] for j in jobs} == {"done"}, "fill jobs are nobody's jobs"
    assert d.ctl("spaces", "flip", check=False, as_json=False).returncode == 2
    assert d.ctl("spaces", "flip", "--without-failed")["left_out"] == 1
    wait_live(d, SMALL, 32)
    assert {r["document_id"] for r in d.search("lantern", limit=50)} == good
    assert spaces(d)[("default", "live")]["failed"] == 1, "still said"
    service.faults()
    assert d.ctl("spaces", "retry")["tried_again"] == 1
    wait_for(lambda: spaces(d)[("default", "live")]["failed"] == 0 and len(d.search("lantern", limit=50)) == 5, 30,
             "the last one to be found", dump=d.log)


def test_a_retry_ends_what_held_up_the_flip(daemon, service):
    d = daemon(keys=outside(service), pools=pools())
    put_many(d, 2, "lantern", 1)
    d.put(b"# Lantern\n\nAn unspeakable lantern.\n", "bad.md")
    service.faults(bad_item={"probability": 1, "match": "unspeakable"})
    restart(d, embedder__dimension=32)
    wait_for(lambda: spaces(d).get(("default", "building"), {}).get("failed") == 1, 30, "the failure", dump=d.log)
    service.faults()
    assert d.ctl("spaces", "retry")["tried_again"] == 1
    wait_live(d, SMALL, 32)
    assert len(d.search("lantern", limit=50)) == 3


def test_a_document_deleted_during_the_fill_is_forgotten_by_it(daemon, service):
    d = daemon(keys=outside(service, embedder__batch_items=1, openai__in_flight=1), pools=pools())
    ids = put_many(d, 10, "lantern", 1)
    slow(service, 200)
    restart(d, embedder__dimension=32)
    wait_for(lambda: d.sql(f"SELECT count(*) FROM {JOBS} WHERE purpose = 2")[0][0] == 10, 20, "the fill jobs")
    for one in ids[::2]:
        assert d.http("DELETE", f"/v1/documents/{one}").status == 200
    service.faults()
    space = wait_live(d, SMALL, 32)
    assert rows_of(d, space) == visible_chunks(d) > 0
    assert {r["document_id"] for r in d.search("lantern", limit=50)} == set(ids[1::2])


def test_documents_parsed_again_during_the_fill_are_found_as_they_are_then(daemon, service):
    d = daemon(keys=outside(service, embedder__batch_items=1, openai__in_flight=1), pools=pools(2))
    ids = put_many(d, 12, "lantern", 1)
    slow(service, 150)
    restart(d, embedder__dimension=32)
    wait_for(lambda: d.sql(f"SELECT count(*) FROM {JOBS} WHERE purpose = 2 AND state = 6")[0][0] > 2, 20, "some to be done")
    for one in ids[::2]:
        assert d.http("POST", f"/v1/documents/{one}/reparse").status == 200
    with Searching(d, set(ids)):
        wait_for(lambda: d.sql("SELECT count(*) FROM upload_pipeline.documents WHERE live_generation = 2")[0][0] > 2, 40,
                 "some to be parsed again", dump=d.log)
        service.faults()
        space = wait_live(d, SMALL, 32)
    for one in ids:
        assert d.wait_end(one)["status"] == "complete"
    missing = f"""SELECT count(*) FROM upload_pipeline.document_chunks c JOIN upload_pipeline.documents d
                  ON (d.user_id, d.document_id, d.live_generation) = (c.user_id, c.document_id, c.generation)
                  WHERE NOT EXISTS (SELECT FROM upload_pipeline.vectors_{space} v WHERE
                    (v.user_id, v.document_id, v.generation, v.ord) = (c.user_id, c.document_id, c.generation, c.ord))"""
    assert d.sql(missing)[0][0] == 0
    assert d.sql("SELECT count(*) FROM upload_pipeline.documents WHERE live_generation = 2")[0][0] == 6


def test_only_operators_see_and_decide(daemon, service):
    d = daemon(keys=outside(service), pools=pools())
    for method, path in (("GET", "/v1/spaces"), ("POST", "/v1/spaces/retry"), ("POST", "/v1/spaces/flip")):
        assert d.http(method, path).status == 403, "a token is a user"
    assert d.http("GET", "/v1/spaces", unix=True).status == 200
    assert d.http("POST", "/v1/spaces/flip", unix=True).status == 404, "nothing is being filled"
    assert d.http("POST", "/v1/spaces/retry?collection=nowhere", unix=True).status == 404


def test_a_model_that_the_service_does_not_have_stops_nothing_but_its_own_fill(daemon, service):
    d = daemon(keys=outside(service), pools=pools())
    ids = set(put_many(d, 3, "lantern", 1))
    restart(d, openai__model="text-embedding-9-none")
    wait_for(lambda: any("text-embedding-9-none" in e["message"] for e in d.ctl("errors")), 20, "the error", dump=d.log)
    new = d.put(b"# Quay\n\nA heron stands on the quay.\n", "quay.md")
    assert new["status"] == "complete", "the old model serves"
    assert {r["document_id"] for r in d.search("heron lantern", limit=50)} == ids | {new["document_id"]}
    assert all(b["state"] == "closed" for b in d.ctl("breakers")["services"] if b["service"] == "embedder")
    assert live(d) == (1, SMALL, 64)
    restart(d, openai__model=LARGE)
    space = wait_live(d, LARGE, 64)
    assert rows_of(d, space) == visible_chunks(d)



def test_searches_for_a_model_that_is_gone_fail_and_do_not_stop_the_fill_of_the_next(daemon, mock):
    old, new = mock("openai", "--key", KEY, "--model", "older:1024"), mock("openai", "--key", KEY)
    d = daemon(keys=outside(old, openai__model="older", embedder__dimension=1024), pools=pools())
    ids = set(put_many(d, 12, "lantern", 1))
    slow(new, 150)
    restart(d, openai__base_url=new.url + "/v1", openai__model=SMALL, embedder__dimension=64,
            embedder__batch_items=2, openai__in_flight=1)
    answers = []
    while live(d)[1] != SMALL and len(answers) < 300:
        answers.append(d.http("GET", f"/v1/search?q=harbour+{len(answers)}&limit=50"))
    assert answers[0].status == 503 and answers[0].reason == "provider_config", answers[0]
    wait_live(d, SMALL, 64)
    assert {r["document_id"] for r in d.search("lantern", limit=50)} == ids
