"""pause and resume: a stage, a lane or all work rests, on every node and over restarts"""

import os
import socket
import time

from harness import documents
from harness.account import wait_for

WORKER = {"name": "work", "role": "worker", "min": 1, "max": 1}
POOLS = [{"name": "coordinator", "role": "coordinator"}, {"name": "api", "role": "api", "min": 1, "max": 1}, WORKER]


def paused(one):
    return sorted(p["name"] for p in one.status()["paused"])


def wait_paused(one, names):
    wait_for(lambda: paused(one) == names, 10, f"the node to know of the pauses {names}", dump=one.log)


def rests_at(one, document_id, status):
    """Whether nobody works on the document, which got as far as `status`."""
    document = one.document(document_id)
    return (document["status"], document["state"]) == (status, "queued") and not any(
        c["in_hand"] for c in one.children("worker"))


def wait_rests(one, document_id, status):
    wait_for(lambda: rests_at(one, document_id, status), 20, f"the document to rest as {status}", dump=one.log)


def upload(one, seed, **more):
    answer = one.upload(documents.markdown(f"Paused {seed}", seed=seed), f"p{seed}.md", **more)
    assert answer.status == 202, answer
    return answer.json["document_id"]


def test_all_work_rests_over_a_restart_and_goes_on(daemon):
    one = daemon(pools=POOLS)
    first = one.put(documents.markdown("before"), "before.md")
    assert first["status"] == "complete"
    assert one.ctl("pause", "all") == {"what": "all", "changed": True}
    assert one.ctl("pause", "all") == {"what": "all", "changed": False}
    wait_paused(one, ["all"])
    document = upload(one, 1)

    one.stop()
    one.start()
    assert paused(one) == ["all"], "it is known before anything is claimed"
    claims = one.status()["totals"]["claims"]
    time.sleep(0.5)  # that nothing happens cannot be waited for
    assert rests_at(one, document, "uploaded") and claims == one.status()["totals"]["claims"] == 0

    health = one.health()
    assert health["ok"] and [p["rests"] for p in health["paused"]] == ["all work"]
    for verb in ("status", "health"):
        shown = one.ctl(verb, as_json=False)
        assert shown.returncode == 0 and "PAUSED    all work, for " in shown.stdout, shown.stdout
    assert "PAUSED: all" not in one.ctl("errors", as_json=False).stdout
    assert one.ctl("resume", "all") == {"what": "all", "changed": True}
    assert one.wait_end(document)["status"] == "complete"
    assert paused(one) == []
    wait_for(lambda: "PAUSED" not in one.ctl("status", as_json=False).stdout, 5, "status to be quiet again")


def test_a_document_stops_durably_before_the_paused_stage(daemon):
    one = daemon(pools=POOLS)
    one.ctl("pause", "embed")
    wait_paused(one, ["embed"])
    document = upload(one, 2)
    wait_rests(one, document, "chunks_stored")
    chunks = one.sql("SELECT count(*) FROM upload_pipeline.document_chunks WHERE document_id = %s", (document,))
    assert chunks[0][0] > 0
    assert one.sql("SELECT attempt FROM upload_pipeline.upload_jobs WHERE document_id = %s", (document,))[0][0] == 0
    one.ctl("resume", "embed")
    assert one.wait_end(document)["status"] == "complete"

    one.ctl("pause", "chunk")
    wait_paused(one, ["chunk"])
    document = upload(one, 3)
    wait_rests(one, document, "parse_validated")
    one.ctl("pause", "parse")
    one.ctl("resume", "chunk")
    assert one.wait_end(document)["status"] == "complete", "parsed already"
    wait_paused(one, ["parse"])
    document = upload(one, 4)
    time.sleep(0.3)
    assert rests_at(one, document, "uploaded")
    one.ctl("resume", "parse")
    assert one.wait_end(document)["status"] == "complete"


def test_a_large_document_rests_between_its_stages(daemon):
    one = daemon(pools=POOLS)
    one.ctl("pause", "embed")
    wait_paused(one, ["embed"])
    answer = one.upload(documents.markdown("Large", sections=700, words=60), "large.md")
    document = answer.json["document_id"]
    wait_rests(one, document, "chunks_stored")
    one.ctl("resume", "embed")
    done = one.wait_end(document)
    assert done["status"] == "complete" and done["chunks"] > 512


def test_a_paused_lane_leaves_the_others_alone(daemon):
    one = daemon(pools=POOLS)
    one.ctl("pause", "interactive")
    wait_paused(one, ["interactive"])
    resting = upload(one, 5)
    moving = one.http("POST", "/v1/documents?filename=b.md&lane=bulk", documents.markdown("Bulk")).json["document_id"]
    assert one.wait_end(moving)["status"] == "complete"
    assert rests_at(one, resting, "uploaded")
    one.ctl("pause", "bulk")
    one.ctl("resume", "interactive")
    assert one.wait_end(resting)["status"] == "complete"


def test_every_node_hears_of_a_pause_and_the_audit_log_keeps_it(daemon, db):
    one = daemon(pools=POOLS)
    two = daemon(keys={"blob.fs.root": one.blobs}, pools=POOLS)
    started = time.monotonic()
    one.ctl("pause", "all")
    wait_paused(one, ["all"])
    wait_paused(two, ["all"])
    assert time.monotonic() - started < 2.5, "told, not found at the next look"
    document = upload(two, 6)
    two.ctl("resume", "all")
    assert one.wait_end(document)["status"] == "complete"
    rows = one.sql("SELECT verb, arguments, result, node, uid IS NOT NULL FROM upload_pipeline.audit_log"
                   " WHERE verb IN ('pause', 'resume') ORDER BY id")
    assert [tuple(r) for r in rows] == [("pause", {"what": "all"}, "done", one.keys["node.name"], True),
                                        ("resume", {"what": "all"}, "done", two.keys["node.name"], True)]


def test_what_cannot_be_paused_is_said(daemon):
    one = daemon(pools=POOLS)
    wrong = one.ctl("pause", "everything", check=False, as_json=False)
    assert wrong.returncode == 2
    assert "\"everything\" cannot be paused; it may be all, parse, chunk, embed, interactive, bulk or fill" in wrong.stderr
    assert one.ctl("resume", check=False, as_json=False).returncode == 2
    assert one.http("POST", "/v1/pause?what=all").reason == "forbidden", "over TCP nobody is an operator"
    assert one.http("POST", "/v1/pause?what=x", unix=True).reason == "bad_request"
    assert one.ctl("pause", as_json=False).stdout == "nothing is paused\n"
    one.ctl("pause", "bulk")
    one.ctl("pause", "all")
    listed = one.ctl("pause")
    assert [p["name"] for p in listed] == ["bulk", "all"] and listed[0]["uid"] >= 0
    half = one.ctl("resume", "bulk", as_json=False)
    assert half.stdout == "the bulk lane goes on\n" and "all work is paused besides" in half.stderr

    one.ctl("resume", "all")
    assert one.ctl("pause") == []


def test_systemd_is_told_what_is_paused(daemon):
    one = daemon(pools=POOLS, start=False)
    path, plain = one.dir + "/notify", one._environment
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(path)
        told.settimeout(15)
        os.chmod(path, 0o666)
        one._environment = lambda: {**plain(), "NOTIFY_SOCKET": path}
        one.start()
        one.ctl("pause", "embed")
        while "PAUSED: embed" not in (text := told.recv(4096).decode()):
            pass
        assert "STATUS=running, PAUSED: embed: ready are " in text
        one._environment = plain


def test_a_paused_embedder_is_sent_nothing_new(daemon, mock):
    service = mock("openai", "--key", "sk-test-0123456789abcdef")
    one = daemon(pools=POOLS, keys={
        "embedder.name": "openai", "embedder.dimension": 64, "openai.base_url": service.url + "/v1",
        "openai.api_key": "sk-test-0123456789abcdef", "openai.model": "text-embedding-3-small",
        "http.allow_private": "127.0.0.1"})
    asked = len(service.journal())
    one.ctl("pause", "embed")
    wait_paused(one, ["embed"])
    document = upload(one, 7)
    wait_rests(one, document, "chunks_stored")
    assert len(service.journal()) == asked
    one.ctl("resume", "embed")
    assert one.wait_end(document)["status"] == "complete"
    assert len(service.journal()) > asked


def test_what_a_parsing_service_gave_is_kept_while_chunking_rests(daemon, mock):
    service = mock("llamaparse", "--key", "llx-test-0123456789", "--job-ms", "100")
    one = daemon(pools=POOLS, keys={
        "parser.order": "llamaparse", "llamaparse.base_url": service.url, "llamaparse.api_key": "llx-test-0123456789",
        "http.allow_private": "127.0.0.1", "llamaparse.poll_first": "100ms", "llamaparse.poll_cap": "500ms"})
    one.ctl("pause", "chunk")
    wait_paused(one, ["chunk"])
    document = one.upload(documents.pdf(2, "lantern"), "a.pdf").json["document_id"]
    wait_rests(one, document, "parse_validated")
    one.ctl("resume", "chunk")
    assert one.wait_end(document)["status"] == "complete"
    uploads = [e for e in service.journal() if e["method"] == "POST" and e["path"].endswith("/upload")]
    assert len(uploads) == 1, "parsed, and paid, once"
