"""test_object_stores.py - the whole way of a document with its bytes in S3, and in Supabase Storage"""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import documents
from harness.account import wait_for

SERVICE = "service-role"
S3_KEY = ("AKIDTEST", "secrettest0123456789")
STORES = ("s3", "supabase")


@pytest.fixture(name="service")
def service_fixture(mock):
    return mock("supabase", "--bucket", "docs", "--key", SERVICE, "--s3-key", ":".join(S3_KEY), "--region", "eu-test-1",
                "--refuse-unsigned")


def keys_of(service, kind, **more):
    keys = {"blob.backend": kind, "http.allow_private": "127.0.0.1", "blob.prefix": "docmill/", "blob.spool": "/tmp"}
    if kind == "s3":
        keys.update({"blob.s3.endpoint": service.url + "/storage/v1/s3", "blob.s3.region": "eu-test-1",
                     "blob.s3.bucket": "docs", "blob.s3.access_key": S3_KEY[0], "blob.s3.secret_key": S3_KEY[1]})
    else:
        keys.update({"blob.supabase.url": service.url, "blob.supabase.bucket": "docs", "blob.supabase.key": SERVICE})
    return {**keys, **{k.replace("__", "."): v for k, v in more.items()}}


def objects(service, folder="docmill"):
    """Every key below a folder, by the REST listing."""
    ask = {"prefix": folder, "limit": 1000, "offset": 0}
    answer = service.request("POST", "/storage/v1/object/list/docs", ask,
                             {"Authorization": f"Bearer {SERVICE}", "apikey": SERVICE})
    found = []
    for entry in json.loads(answer.body):
        path = f"{folder}/{entry['name']}"
        found += [path] if entry["id"] else objects(service, path)
    return found


@pytest.mark.parametrize("kind", STORES)
def test_documents_become_complete_and_their_bytes_are_objects(daemon, service, kind):
    d = daemon(keys=keys_of(service, kind))
    document = d.put(documents.markdown("Lantern", sections=5, words=200), "a.md")
    assert document["status"] == "complete", document
    hashes = {h for row in d.sql("SELECT encode(sha256, 'hex'), encode(parsed_sha256, 'hex') "
                                 "FROM upload_pipeline.documents") for h in row if h}
    stored = objects(service)
    assert {k.rsplit("/", 1)[1] for k in stored if "/." not in k} >= hashes
    assert not [k for k in stored if "/removing/" in k]
    for secret in (SERVICE, S3_KEY[1]):
        assert secret not in d.log()


@pytest.mark.parametrize("kind", STORES)
def test_a_store_that_is_often_busy_costs_no_document(daemon, service, kind):
    d = daemon(keys=keys_of(service, kind, queue__retry_first="100ms", queue__retry_cap="1s"))
    service.faults(failure_rate=0.15, status_codes={"503": 3, "500": 1})
    for i in range(8):
        document = d.put(documents.markdown(f"Busy {i}", seed=i), f"{i}.md", limit=60)
        assert document["status"] == "complete", document


def test_uploads_wait_side_by_side_and_nothing_else_waits_for_them(daemon, service):
    """Each PUT takes half a second; twenty uploads are far from ten seconds, and the api answers meanwhile."""
    pools = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1},
             {"name": "w", "role": "worker", "min": 1, "max": 1}]
    d = daemon(keys=keys_of(service, "s3"), pools=pools)
    service.faults(delay={"kind": "fixed", "ms": 500})
    slowest = 0
    with ThreadPoolExecutor(20) as threads:
        begun = time.monotonic()
        sent = [threads.submit(d.upload, documents.markdown(f"Slow {i}", seed=i), f"{i}.md") for i in range(20)]
        while not all(s.done() for s in sent):
            asked = time.monotonic()
            assert d.http("GET", "/livez").status == 200
            slowest = max(slowest, time.monotonic() - asked)
            time.sleep(0.05)
        took = time.monotonic() - begun
    assert [s.result().status for s in sent] == [202] * 20
    assert took < 8, took
    assert slowest < 0.5, slowest


@pytest.mark.parametrize("kind", STORES)
def test_a_deleted_documents_objects_go(daemon, service, kind):
    d = daemon(keys={**keys_of(service, kind), "retention.blobs": "8s", "queue.stage_deadline": "1500ms",
                     "parser.timeout": "1s", "database.statement_timeout": "500ms", "queue.poll_interval": "100ms"})
    document = d.put(documents.markdown("Gone"), "gone.md")
    assert d.http("DELETE", f"/v1/documents/{document['document_id']}").status == 200
    wait_for(lambda: {k.rsplit("/", 1)[1] for k in objects(service)} <= {".database"}, 40, "an empty store", dump=d.log)


def test_a_wrong_key_is_told_and_accepts_nothing(daemon, service):
    d = daemon(keys={**keys_of(service, "s3"), "blob.s3.secret_key": "not-the-key-0123456789"}, start=False)
    d.start(ready=False)
    wait_for(lambda: "blob store" in d.log() and "SignatureDoesNotMatch" in d.log(), 20, "the reason", dump=d.log)
    assert "not-the-key" not in d.log()
