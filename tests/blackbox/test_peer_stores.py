"""test_peer_stores.py - the whole way of a document with its bytes in S3 servers that nobody here wrote"""

import hashlib

import pytest

from harness import documents
from harness.account import wait_for
from harness.store import ACCESS, BUCKET, REGION, SECRET, Store

PREFIX = "docmill/"
PART = 5 << 20


@pytest.fixture(name="store", params=["s3rver", "moto"])
def store_fixture(request):
    store = Store(request.param)
    yield store
    store.stop()


def keys_of(store, **more):
    return {"blob.backend": "s3", "blob.s3.endpoint": store.url, "blob.s3.region": REGION, "blob.s3.bucket": BUCKET,
            "blob.s3.access_key": ACCESS, "blob.s3.secret_key": SECRET, "blob.prefix": PREFIX, "blob.spool": "/tmp",
            "http.allow_private": "127.0.0.1", **{k.replace("__", "."): v for k, v in more.items()}}


def names(store):
    """The last parts of the keys that hold blobs."""
    return {k.rsplit("/", 1)[1] for k in store.objects() if "/." not in k}


def refused(store):
    """What the proxy did not let through, or the store did not take."""
    return [(e["method"], e["path"], e.get("refused"), e.get("upstream")) for e in store.state()["journal"]
            if "refused" in e or e.get("upstream", 200) in (400, 401, 403)]


def test_documents_become_complete_and_their_bytes_are_objects(daemon, store):
    d = daemon(keys=keys_of(store, blob__s3__part_size="5MB"))
    made = [documents.markdown(f"Lantern {i}", sections=3, words=120, seed=i) for i in range(4)]
    made.append(b"<html><body><p>A long remark.</p><!-- " + b"say nothing\n" * (PART // 10) + b" --></body></html>")
    ids = [d.upload(content, f"{i}.{'html' if i == 4 else 'md'}").json["document_id"] for i, content in enumerate(made)]
    for document_id in ids:
        document = d.wait_end(document_id)
        assert document["status"] == "complete", document
    assert names(store) >= {hashlib.sha256(content).hexdigest() for content in made}
    parsed = {h for (h,) in d.sql("SELECT encode(parsed_sha256, 'hex') FROM upload_pipeline.documents")}
    assert names(store) >= parsed and not [k for k in store.objects() if "/removing/" in k]
    assert any("partNumber=2" in e["path"] for e in store.state()["journal"]), "the long one went in parts"
    assert not refused(store), "every signature and checksum is what the proxy computes"
    assert all(k.startswith(PREFIX) for k in store.objects())
    assert SECRET not in d.log()


def test_a_deleted_documents_objects_go(daemon, store):
    d = daemon(keys={**keys_of(store), "retention.blobs": "8s", "queue.stage_deadline": "1500ms", "parser.timeout": "1s",
                     "database.statement_timeout": "500ms", "queue.poll_interval": "100ms"})
    document = d.put(documents.markdown("Gone"), "gone.md")
    assert document["status"] == "complete" and len(names(store)) >= 1
    assert d.http("DELETE", f"/v1/documents/{document['document_id']}").status == 200
    wait_for(lambda: not names(store), 60, "an empty store", dump=d.log)
    assert not refused(store)


def test_a_wrong_key_is_told(daemon, store):
    d = daemon(keys={**keys_of(store), "blob.s3.secret_key": "not-the-key-0123456789"}, start=False)
    d.start(ready=False)
    wait_for(lambda: "blob store" in d.log() and "SignatureDoesNotMatch" in d.log(), 20, "the reason", dump=d.log)
    assert refused(store) and not names(store)
    assert "not-the-key" not in d.log()
