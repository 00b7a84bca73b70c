"""test_pipeline.py - documents in, searchable vectors out, end to end"""

import glob
import hashlib
import os
import uuid

import pytest

from harness import documents
from harness.account import wait_for

NAMESPACE = uuid.UUID("6c8a1e6e-1f0b-4aa8-9f0a-1a7c2e6f2b42")

GUIDE = b"""# Guide to the mill

The first paragraph speaks of nothing in particular.

## The water wheel

The overshot wheel turns when the sluice is opened by a quarter.

## The granary

Keep the barley dry; a damp granary breeds weevils.
"""


def rows(d, document_id):
    """(chunks, vectors) of the live generation, as the database has them."""
    chunks = d.sql("""SELECT c.ord, c.chunk_id::text, c.text, c.byte_start, c.byte_end, c.heading_path, c.page, c.overlap
                      FROM upload_pipeline.document_chunks c JOIN upload_pipeline.documents t USING (user_id, document_id)
                      WHERE c.document_id = %s AND c.generation = t.live_generation ORDER BY c.ord""", (document_id,))
    vectors = d.sql("""SELECT v.ord, vector_norm(v.embedding)
                       FROM upload_pipeline.vectors_1 v JOIN upload_pipeline.documents t USING (user_id, document_id)
                       WHERE v.document_id = %s AND v.generation = t.live_generation ORDER BY v.ord""", (document_id,))
    return chunks, vectors


def assert_complete(d, document):
    """`complete` is shown by data, not by a status."""
    assert (document["status"], document["state"]) == ("complete", "done"), document
    chunks, vectors = rows(d, document["document_id"])
    assert document["chunks"] == len(chunks) == len(vectors) > 0
    assert [c[0] for c in chunks] == [v[0] for v in vectors] == list(range(len(chunks)))
    assert all(abs(norm - 1) < 1e-3 for _, norm in vectors)
    for ord_, chunk_id, *_ in chunks:
        name = f"{document['document_id']}:markdown-simple:1:{ord_}"
        assert chunk_id == str(uuid.uuid5(NAMESPACE, name))
    text = parsed_text(d, document)
    assert hashlib.sha256(text).hexdigest() == document["parsed_sha256"]
    at = 0
    for _, _, chunk, start, end, _, _, overlap in chunks:
        assert start == at < end, "a gap, or no progress"
        assert text[start - overlap:end].decode() == chunk
        at = end
    assert at == len(text)
    return chunks


def parsed_text(d, document):
    found = [p for p in glob.glob(d.blobs + "/**/*", recursive=True)
             if os.path.basename(p).startswith(document["parsed_sha256"])]
    assert found, "the parsed text is not in the blob store"
    with open(found[0], "rb") as f:
        return f.read()


def counts(d):
    return d.sql("""SELECT (SELECT count(*) FROM upload_pipeline.documents),
                    (SELECT count(*) FROM upload_pipeline.upload_jobs),
                    (SELECT count(*) FROM upload_pipeline.document_chunks),
                    (SELECT count(*) FROM upload_pipeline.vectors_1)""")[0]


def test_markdown_goes_from_upload_to_an_answer(daemon):
    d = daemon()
    document = d.put(GUIDE, "guide.md")
    assert_complete(d, document)
    best = d.search("damp granary weevils", limit=3)[0]
    assert best["document_id"] == document["document_id"]
    assert "weevils" in best["text"] and "granary" in best["heading_path"]
    assert 0 < best["score"] <= 1


def test_the_document_id_is_made_of_user_and_content(daemon):
    d = daemon()
    document = d.put(GUIDE, "guide.md")
    user = d.sql("SELECT user_id::text FROM upload_pipeline.documents")[0][0]
    name = f"{user}:{hashlib.sha256(GUIDE).hexdigest()}"
    assert document["document_id"] == str(uuid.uuid5(NAMESPACE, name))
    assert document["sha256"] == hashlib.sha256(GUIDE).hexdigest()


@pytest.mark.parametrize("name,content", [
    ("a.txt", b"Plain text.\n\nOf two paragraphs about barley.\n"),
    ("a.md", GUIDE),
    ("a.html", b"<!doctype html><html><body><h1>Barley</h1><p>Of the mill.</p></body></html>"),
    ("a.pdf", documents.pdf(3, "barley page")),
    ("a.docx", documents.docx(["Barley in a paragraph.", "And another."])),
], ids=["text", "markdown", "html", "pdf", "docx"])
def test_each_type_becomes_complete(daemon, name, content):
    d = daemon()
    document = d.put(content, name)
    assert_complete(d, document)
    assert d.search("barley")[0]["document_id"] == document["document_id"]


def test_a_pdfs_passages_know_their_pages(daemon):
    d = daemon()
    document = d.put(documents.pdf(40, "heron " + "mill " * 40), "a.pdf")
    chunks = assert_complete(d, document)
    assert document["pages"] == 40
    pages = [c[6] for c in chunks]
    assert pages == sorted(pages) and pages[0] == 1 and pages[-1] > 1


@pytest.mark.parametrize("name,content", [
    ("a.txt", b"A heron at the mill.\n"),
    ("a.md", b"# Mill\n\nA heron.\n"),
    ("a.html", b"<!doctype html><html><body><p>A heron.</p></body></html>"),
], ids=["text", "markdown", "html"])
def test_a_document_without_pages_is_on_none(daemon, name, content):
    d = daemon()
    document = d.put(content, name)
    assert document["pages"] is None
    assert [c[6] for c in assert_complete(d, document)] == [None]
    assert d.search("heron")[0]["page"] is None
    assert "page" not in d.ctl("search", "heron", as_json=False).stdout


def test_text_with_form_feeds_has_pages(daemon):
    d = daemon()
    document = d.put(b"The first page.\n\f" + b"A heron on the second. " * 200, "a.txt")
    assert document["pages"] == 2
    assert [c[6] for c in assert_complete(d, document)][::-1][0] == 2


def test_a_comment_in_plain_text_is_no_heading(daemon):
    d = daemon()
    script = b"# fetch the list of mills\ncurl mills\n\n## then sort it\nsort mills\n"
    plain, markdown = d.put(script, "fetch.txt"), d.put(script + b"\nmore\n", "fetch.md")
    assert [c[5] for c in assert_complete(d, plain)] == [""]
    assert [c[5] for c in assert_complete(d, markdown)] == ["fetch the list of mills",
                                                            "fetch the list of mills > then sort it"]


def test_a_document_keeps_the_tokenizer_it_came_with(daemon):
    d = daemon(keys={"chunk.tokenizer": "approx"})
    document = d.put(GUIDE * 20, "guide.md")
    jobs = d.sql("SELECT chunker FROM upload_pipeline.upload_jobs")
    chunks, _ = rows(d, document["document_id"])
    assert jobs == [(2,)]
    assert [c[1] for c in chunks] == \
        [str(uuid.uuid5(NAMESPACE, f"{document['document_id']}:markdown-simple-approx:1:{c[0]}")) for c in chunks]


def test_the_same_bytes_again_make_no_row(daemon):
    d = daemon()
    first = d.put(GUIDE, "guide.md")
    before = counts(d)
    again = d.upload(GUIDE, "another-name.md")
    assert again.status == 200 and again.json["created"] is False
    assert again.json["document_id"] == first["document_id"]
    d.wait_all()
    assert counts(d) == before


def test_the_same_content_in_other_bytes_is_a_duplicate(daemon):
    d = daemon()
    first = d.put(GUIDE, "guide.md")
    second = d.put(GUIDE.replace(b"\n", b"\r\n"), "guide-crlf.md")
    assert (second["status"], second["state"]) == ("duplicate", "done")
    assert second["duplicate_of"] == first["document_id"]
    assert len({r["document_id"] for r in d.search("weevils")}) == 1


def test_a_user_sees_only_documents_of_that_user(daemon):
    d = daemon(keys={"api.socket_user": "somebody-else"})
    document = d.put(GUIDE, "guide.md")
    path = f"/v1/documents/{document['document_id']}"
    assert d.http("GET", path).status == 200
    assert d.http("GET", path, unix=True).status == 404
    assert d.http("GET", "/v1/search?q=weevils", unix=True).json["results"] == []
    assert d.http("GET", "/v1/documents", unix=True).json["documents"] == []


def test_hundred_small_documents_are_complete_and_each_found(daemon):
    d = daemon()
    for i in range(100):
        assert d.upload(documents.markdown(f"Lantern{i}", seed=i), f"{i}.md").status == 202
    d.wait_all()
    assert d.http("GET", "/v1/stats").json["by_status"] == {"complete": 100}
    for i in (0, 42, 99):
        assert f"Lantern{i}" in d.search(f"Lantern{i}")[0]["heading_path"]


def test_every_event_is_an_allowed_path_and_carries_one_correlation(daemon):
    d = daemon()
    document = d.put(GUIDE, "guide.md")
    wrong = d.sql("""SELECT from_status, to_status FROM upload_pipeline.events e
                     WHERE from_status <> 0 AND from_status <> to_status AND NOT EXISTS (
                       SELECT FROM upload_pipeline.job_paths p
                       WHERE p.from_status = e.from_status AND p.to_status = e.to_status)""")
    assert wrong == []
    events = d.sql("SELECT from_status, to_status, correlation FROM upload_pipeline.events "
                   "WHERE document_id = %s ORDER BY id", (document["document_id"],))
    assert events[0][0] == 0 and events[-1][1] == 10
    assert len({e[2] for e in events}) == 1
    assert all(a[1] == b[0] for a, b in zip(events, events[1:]))


def test_a_small_document_costs_at_most_three_transactions_of_the_worker(daemon):
    d = daemon()
    document = d.put(GUIDE, "guide.md")
    events = d.sql("SELECT count(*) FROM upload_pipeline.events WHERE document_id = %s AND actor = 1",
                   (document["document_id"],))
    assert events[0][0] <= 3


def test_work_left_by_a_stopped_daemon_is_finished_by_the_next(daemon):
    no_workers = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1}]
    d = daemon(pools=no_workers)
    ids = [d.upload(documents.markdown(f"Later{i}"), f"{i}.md").json["document_id"] for i in range(10)]
    d.stop()
    d.pools = None
    d.start()
    d.wait_all()
    for one in ids:
        assert_complete(d, d.document(one))


def test_a_removed_document_leaves_nothing(daemon):
    d = daemon()
    document = d.put(GUIDE, "guide.md")
    assert d.http("DELETE", f"/v1/documents/{document['document_id']}").status in (200, 202, 204)
    assert d.http("GET", f"/v1/documents/{document['document_id']}").status == 404
    assert d.search("weevils") == []
    wait_for(lambda: counts(d) == (0, 0, 0, 0), 20, "no rows")


def test_docmillctl_uploads_waits_and_searches(daemon):
    d = daemon()
    folder = d.dir + "/in"
    os.mkdir(folder)
    for name, content in (("guide.md", GUIDE), ("other.txt", b"About herons.\n")):
        with open(f"{folder}/{name}", "wb") as f:
            f.write(content)
    os.chmod(folder, 0o755)
    d.ctl("upload", f"{folder}/guide.md", f"{folder}/other.txt", as_json=False)
    d.ctl("wait", "--timeout", "60s", as_json=False)
    found = d.ctl("search", "overshot wheel sluice")
    assert "sluice" in found[0]["text"]
    told = d.ctl("search", "overshot wheel sluice", as_json=False).stdout
    assert "guide.md" in told and "water wheel" in told


def test_docmillctl_says_by_its_exit_status_what_went_wrong(daemon):
    d = daemon()
    assert d.ctl("upload", "/nonexistent/file", check=False).returncode == 2
    assert d.ctl("job", str(uuid.uuid4()), check=False).returncode == 4
    assert d.ctl("no-such-verb", check=False).returncode == 2
    assert d.ctl("health", check=False).returncode == 0
    d.stop()
    assert d.ctl("jobs", check=False).returncode == 3


@pytest.mark.parametrize("method,path,headers,status,reason", [
    ("GET", "/v1/documents", {"Authorization": "Bearer wrong-token-wrong-token"}, 401, "unauthenticated"),
    ("GET", "/v1/nothing", {}, 404, "not_found"),
    ("PUT", "/v1/documents", {}, 405, "method_not_allowed"),
    ("GET", "/v1/documents/not-an-id", {}, 400, "bad_request"),
    ("GET", "/v1/documents/11111111-1111-1111-1111-111111111111", {}, 404, "not_found"),
    ("GET", "/v1/search", {}, 400, "bad_request"),
    ("GET", "/v1/search?q=a&limit=banana", {}, 400, "bad_request"),
    ("POST", "/v1/documents", {}, 400, "bad_request"),
])
def test_a_wrong_request_is_told_what_is_wrong(daemon, method, path, headers, status, reason):
    answer = daemon().http(method, path, b"x" if method in ("POST", "PUT") else None, headers)
    assert (answer.status, answer.reason) == (status, reason)
    assert answer.json["detail"]
