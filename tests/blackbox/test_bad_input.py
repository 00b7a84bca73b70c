"""test_bad_input.py - bad input: a clear reason, the right status, nothing lost, nothing left over

What is refused at the door makes no document, no job and no blob. What fails later is a dead letter with a typed
reason; it can be looked up, it does not hurt its neighbours, and no process and no temporary file stays behind.
"""

import glob
import os
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

from harness import account, documents
from harness.account import wait_for
from harness.daemon import TOKEN
from harness.killer import Killer

GOOD = documents.markdown("A good neighbour")


def nothing_made(d):
    assert d.sql("SELECT count(*) FROM upload_pipeline.documents")[0][0] == 0
    assert d.sql("SELECT count(*) FROM upload_pipeline.upload_jobs")[0][0] == 0
    wait_for(lambda: blob_files(d) == [], 10, "an empty blob store")


def blob_files(d):
    return [p for p in glob.glob(d.blobs + "/**/*", recursive=True) if os.path.isfile(p)]


def nothing_left_over(d):
    """No parser runs, no temporary file stays; chunks and vectors only of documents that are complete."""
    wait_for(lambda: not parsers(d), 10, "no parser to run")
    assert d.sql("""SELECT count(*) FROM upload_pipeline.document_chunks c
                    JOIN upload_pipeline.documents t USING (user_id, document_id)
                    WHERE t.live_generation IS NULL""")[0][0] == 0
    hashes = {h for row in d.sql("SELECT encode(sha256, 'hex'), encode(parsed_sha256, 'hex') "
                                 "FROM upload_pipeline.documents") for h in row}
    # What tries the store is gone at once; what is left over stays.
    wait_for(lambda: not [p for p in blob_files(d) if os.path.basename(p).split(".")[0] not in hashes], 10,
             "no file that nobody names")


def parsers(d):
    workers = {c["pid"] for c in d.children()}
    return [p for p in account.descendants(d.pid) if p not in workers]


def assert_fails(d, content, name, status, reason, limit=60):
    """The document ends in the dead letters with this reason; a good one uploaded beside it is complete."""
    bad = d.upload(content, name)
    assert bad.status == 202, bad
    good = d.put(GOOD, "good.md", limit)
    document = d.wait_end(bad.json["document_id"], limit)
    assert good["status"] == "complete"
    assert (document["status"], document["state"], document["error_reason"]) == (status, "deadletter", reason), document
    assert document["error_message"]
    nothing_left_over(d)
    return document


def assert_refused(d, content, name, status, reason):
    answer = d.upload(content, name)
    assert (answer.status, answer.reason) == (status, reason), answer
    assert answer.json["detail"]
    nothing_made(d)


# --- refused at the door


def test_an_empty_file_is_refused(daemon):
    assert_refused(daemon(), b"", "empty.txt", 422, "empty_file")


def test_a_wrong_extension_is_refused(daemon):
    assert_refused(daemon(), documents.pdf(1), "report.docx", 422, "type_mismatch")


def test_html_named_pdf_is_refused(daemon):
    assert_refused(daemon(), b"<!doctype html><html><body>hello</body></html>", "page.pdf", 422, "type_mismatch")


def test_bytes_of_no_known_type_are_refused(daemon):
    assert_refused(daemon(), b"\x7fELF" + bytes(range(256)) * 8, "program", 415, "unsupported_type")


def test_a_file_of_nul_bytes_is_refused(daemon):
    assert_refused(daemon(), b"\0" * 5000, "zeros.txt", 415, "unsupported_type")


def test_a_file_over_the_limit_is_refused(daemon):
    d = daemon(keys={"limits.max_upload": "100KB"})
    assert_refused(d, b"a" * (100 * 1024 + 1), "big.txt", 413, "too_large")
    assert d.upload(b"a " * (50 * 1024), "just.txt").status == 202


def test_more_bytes_than_announced_hash_is_refused(daemon):
    d = daemon()
    answer = d.upload(b"some text\n", "a.txt", headers={"X-Content-SHA256": "0" * 64})
    assert (answer.status, answer.reason) == (422, "hash_mismatch")
    nothing_made(d)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b.txt", "line\nbreak.txt"])
def test_a_name_that_is_a_path_is_refused(daemon, name):
    assert_refused(daemon(), b"text\n", name, 400, "bad_request")


def test_an_upload_cut_half_way_leaves_nothing(daemon):
    d = daemon()
    with socket.create_connection(("127.0.0.1", d.port)) as s:
        head = (f"POST /v1/documents?filename=cut.txt HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
                "Content-Length: 2000000\r\n\r\n")
        s.sendall(head.encode() + b"half of it " * 90000)
        wait_for(lambda: blob_files(d), 10, "the first half to be written")
    nothing_made(d)
    assert d.put(GOOD, "good.md")["status"] == "complete"


def test_a_chunked_upload_cut_half_way_leaves_nothing(daemon):
    d = daemon()
    with socket.create_connection(("127.0.0.1", d.port)) as s:
        s.sendall((f"POST /v1/documents?filename=cut.txt HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n").encode())
        s.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n10000\r\nonly a part")
        time.sleep(0.3)
    nothing_made(d)


# --- fails in the pipeline


def test_a_truncated_pdf_is_corrupt(daemon):
    whole = documents.pdf(20)
    assert_fails(daemon(), whole[:len(whole) // 3], "cut.pdf", "failed_parse", "parse_corrupt")


def test_an_encrypted_pdf_says_so(daemon):
    assert_fails(daemon(), documents.encrypted_pdf(), "secret.pdf", "failed_parse", "parse_encrypted")


def test_a_pdf_without_pages_says_so(daemon):
    assert_fails(daemon(), documents.pdf_without_pages(), "none.pdf", "failed_parse", "parse_no_pages")


def test_a_pdf_over_the_page_limit_says_so(daemon):
    d = daemon(keys={"limits.max_pages": 10})
    assert_fails(d, documents.pdf(11), "long.pdf", "failed_parse", "too_many_pages")
    assert d.put(documents.pdf(10), "just.pdf")["status"] == "complete"


def test_a_pdf_without_text_says_so(daemon):
    assert_fails(daemon(), documents.pdf(2, None), "scan.pdf", "failed_parse", "parse_no_text")


def test_a_zip_bomb_is_not_unpacked(daemon):
    d = daemon(keys={"limits.max_unpacked": "32MB"})
    bomb = documents.zip_bomb_docx(200_000_000)
    assert len(bomb) < 1_000_000
    assert_fails(d, bomb, "bomb.docx", "failed_parse", "parse_bomb")


def test_a_docx_that_is_no_archive_is_corrupt(daemon):
    whole = documents.docx(["text"] * 200)
    assert_fails(daemon(), whole[:len(whole) // 2], "cut.docx", "failed_parse", "parse_corrupt")


def test_html_nested_50000_deep_is_refused_by_its_depth(daemon):
    assert_fails(daemon(), documents.deep_html(50_000), "deep.html", "failed_parse", "parse_too_deep")


def test_html_nested_just_within_the_limit_is_complete(daemon):
    d = daemon(keys={"limits.max_depth": 300})
    assert d.put(documents.deep_html(290), "deep.html")["status"] == "complete"


# --- odd, but good


def test_invalid_utf8_is_repaired_and_the_rest_kept(daemon):
    d = daemon()
    document = d.put(b"before \xff\xfe\xc3\x28 after\nna\xc3\xafve\n", "odd.txt")
    assert document["status"] == "complete"
    text = d.search("before after")[0]["text"]
    assert "before \ufffd" in text and "( after" in text and "na\u00efve" in text


def test_text_in_an_8_bit_encoding_is_converted(daemon):
    d = daemon()
    document = d.put("D\u00e9j\u00e0 vu \u2013 na\u00efve caf\u00e9s\n".encode("cp1252"), "old.txt")
    assert document["status"] == "complete"
    assert d.search("caf\u00e9s")[0]["text"] == "D\u00e9j\u00e0 vu \u2013 na\u00efve caf\u00e9s\n"


def test_one_line_of_10_mb_is_cut_within_the_budget(daemon):
    d = daemon()
    line = documents.prose(2_000_000).replace("\n", " ").encode()[:10_000_000]
    document = d.put(line, "line.txt", limit=120)
    assert document["status"] == "complete"
    longest = d.sql("SELECT max(octet_length(text)), count(*) FROM upload_pipeline.document_chunks")[0]
    assert longest[0] < 8000 and longest[1] > 1000


def test_nul_bytes_within_text_are_dropped_and_the_rest_kept(daemon):
    d = daemon()
    head = documents.prose(20_000).encode()
    document = d.put(head + b"the end\0 of the\0 nuls\n", "nul.txt")
    assert document["status"] == "complete"
    assert "the end of the nuls" in d.search("the end of the nuls")[0]["text"]


# --- parsers that misbehave


@pytest.fixture(scope="module")
def bad_parsers():
    folder = tempfile.mkdtemp(prefix="dm-bad-", dir="/tmp")
    os.chmod(folder, 0o755)
    source = os.path.join(os.path.dirname(__file__), "parsers", "misbehave.c")
    for what in ("HANG", "MEMORY", "OUTPUT", "CRASH"):
        subprocess.run(["cc", "-static", "-O1", f"-DWHAT={what}", "-o", f"{folder}/{what}", source], check=True)
    yield folder
    shutil.rmtree(folder)


def test_a_parser_that_hangs_is_ended_at_its_deadline(daemon, bad_parsers):
    d = daemon(keys={"parser.pdftotext": bad_parsers + "/HANG", "parser.timeout": "1s"})
    assert_fails(d, documents.pdf(1), "a.pdf", "failed_parse", "parse_timeout")


def test_a_parser_is_a_likelier_victim_of_the_memory_killer_than_its_worker(daemon, bad_parsers):
    d = daemon(keys={"parser.pdftotext": bad_parsers + "/HANG", "parser.timeout": "3s"})
    d.upload(documents.pdf(1), "a.pdf")
    parser = wait_for(lambda: next((p for p in account.descendants(d.pid) if "/HANG" in account.command_of(p)), None), 15)

    def score(pid):
        with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as f:
            return int(f.read())

    assert score(parser) > score(account.parent_of(parser)) > score(d.pid)


def test_a_parser_that_eats_memory_is_ended_at_its_limit(daemon, bad_parsers):
    d = daemon(keys={"parser.pdftotext": bad_parsers + "/MEMORY", "parser.max_memory": "64MB"})
    assert_fails(d, documents.pdf(1), "a.pdf", "failed_parse", "parse_memory")


def test_a_parser_that_eats_output_is_ended_at_its_limit(daemon, bad_parsers):
    d = daemon(keys={"parser.pdftotext": bad_parsers + "/OUTPUT", "parser.max_output": "1MB"})
    assert_fails(d, documents.pdf(1), "a.pdf", "failed_parse", "parse_output")


def test_a_parser_that_crashes_hurts_only_its_document(daemon, bad_parsers):
    d = daemon(keys={"parser.pdftotext": bad_parsers + "/CRASH"})
    workers = {c["pid"] for c in d.children("worker")}
    assert_fails(d, documents.pdf(1), "a.pdf", "failed_parse", "parse_crashed")
    assert {c["pid"] for c in d.children("worker")} == workers


def test_a_missing_parser_is_waited_for_not_blamed_on_the_document(daemon):
    d = daemon(keys={"parser.pdftotext": "/nonexistent/pdftotext"})
    answer = d.upload(documents.pdf(1), "a.pdf")
    if answer.status != 202:
        assert (answer.status, answer.reason) == (415, "unsupported_type")
        return
    time.sleep(2)
    assert d.document(answer.json["document_id"])["state"] not in ("deadletter", "quarantined")


# --- storage that lies


NO_WORKERS = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1}]


def flip_one_byte(path):
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        byte = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte[0] ^ 1]))


def stored_while_nobody_works(daemon, content, name):
    d = daemon(pools=NO_WORKERS)
    answer = d.upload(content, name)
    assert answer.status == 202
    return d, answer.json["document_id"]


def test_a_blob_flipped_by_one_byte_is_never_believed(daemon):
    d, document_id = stored_while_nobody_works(daemon, documents.markdown("Flipped"), "a.md")
    flip_one_byte(blob_files(d)[0])
    d.stop()
    d.pools = None
    d.start()
    document = d.wait_end(document_id)
    assert (document["status"], document["state"], document["error_reason"]) == (
        "failed_parse", "deadletter", "blob_corrupt")
    assert d.search("Flipped") == []


def test_a_blob_that_is_gone_is_told_as_gone(daemon):
    d, document_id = stored_while_nobody_works(daemon, documents.markdown("Gone"), "a.md")
    os.unlink(blob_files(d)[0])
    d.stop()
    d.pools = None
    d.start()
    document = d.wait_end(document_id)
    assert (document["state"], document["error_reason"]) == ("deadletter", "blob_absent")


def test_a_parsed_text_flipped_between_stages_is_never_believed(daemon):
    """The worker is killed after it made the parsed text durable; before the next one begins, the text is changed."""
    body = "".join(f"<h2>Part {k}</h2><p>{documents.prose(300, k)}</p>" for k in range(2000)).encode()
    d = daemon(keys={"supervise.backoff_first": "4s"},
               pools=NO_WORKERS + [{"name": "w", "role": "worker", "min": 1, "max": 1}])
    document_id = d.upload(b"<!doctype html><html><body>" + body + b"</body></html>", "a.html").json["document_id"]
    killer = Killer(d, kills=1, in_each_stage=1, stages=("chunking",))
    killer.run(lambda: killer.total() > 0, 60)
    document = d.document(document_id)
    # from chunks_stored on, the chunks' own text is worked with
    assert document["status"] in ("parse_validated", "chunking"), document
    flip_one_byte([p for p in blob_files(d) if os.path.basename(p).startswith(document["parsed_sha256"])][0])
    document = d.wait_end(document_id)
    assert (document["state"], document["error_reason"]) == ("deadletter", "blob_corrupt")
    assert d.search("quick brown fox") == []
