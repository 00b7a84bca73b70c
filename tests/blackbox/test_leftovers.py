"""test_leftovers.py - what no document names leaves the blob store, and nothing else does

The ages are as short as the configuration allows, so that the walk through the store comes around in seconds.
"""

import os
import signal
import threading
import time

from harness import account, documents
from harness.account import wait_for

# Eight seconds of age: four times what an upload or a worker may take on the way to its row.
SHORT = {"retention.blobs": "8s", "queue.stage_deadline": "1500ms", "parser.timeout": "1s",
         "database.statement_timeout": "500ms", "queue.poll_interval": "100ms"}
GONE = 40
# Workers that take no new document: it stays unfinished.
POOLS = [{"name": "coordinator", "role": "coordinator"}, {"name": "api", "role": "api", "max": 2},
         {"name": "worker", "role": "worker", "max": 1, "stages": ["chunks_stored"]}]


def files(d):
    """Every file of the store: blobs, and what is half-written."""
    return [os.path.join(folder, name) for folder, _, names in os.walk(d.blobs) for name in names if name != ".database"]


def blob_names(d):
    return {os.path.basename(p) for p in files(d)}


def named(d):
    return {h for row in d.sql("SELECT encode(sha256, 'hex'), encode(parsed_sha256, 'hex') "
                               "FROM upload_pipeline.documents") for h in row if h}


def make_old(d, seconds=3600):
    for path in files(d):
        account.run(["touch", "-m", "-d", f"-{seconds} seconds", path])


def test_a_user_over_the_limit_leaves_nothing_at_once(daemon):
    d = daemon({"limits.user_active": 2}, pools=POOLS)
    for i in range(2):
        assert d.upload(documents.markdown("Taken", seed=i), f"{i}.md").status == 202
    for i in range(20):
        answer = d.upload(documents.markdown("Refused", seed=100 + i), f"r{i}.md")
        assert (answer.status, answer.reason) == (429, "too_many_active"), answer
    wait_for(lambda: len(files(d)) == 2, 5, "only the two accepted files")
    assert blob_names(d) == named(d)
    again = d.upload(documents.markdown("Taken", seed=0), "0.md")
    assert again.status == 200, "what is there already is no new one"


def test_uploads_side_by_side_over_the_limit_leave_nothing_for_long(daemon):
    """All of them may be asked about before the first has its row: what is refused then is found by the walk."""
    d = daemon({"limits.user_active": 1, **SHORT}, pools=POOLS)
    answers = []

    def send(i):
        answers.append(d.upload(documents.markdown("Beside", seed=i), f"{i}.md").status)

    threads = [threading.Thread(target=send, args=(i,)) for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers.count(202) >= 1 and set(answers) <= {202, 429, 503}, answers
    wait_for(lambda: blob_names(d) == named(d), GONE, "only the accepted files")
    assert len(named(d)) == answers.count(202) == 1


def test_a_deleted_documents_file_and_text_go_and_another_that_names_them_keeps_them(daemon):
    d = daemon(SHORT)
    kept = d.put(documents.markdown("Kept"), "kept.md")
    # Its text, brought to normal form, is the first one's: a blob with two names in the database.
    twin = d.put(documents.markdown("Kept") + b"\n\n\n", "twin.md")
    gone = d.put(documents.markdown("Gone", seed=5), "gone.md")
    assert twin["status"] == "duplicate"
    make_old(d)
    wait_for(lambda: d.sql("SELECT step FROM upload_pipeline.blob_walk")[0][0] > 2, 20, "a walk over old blobs")
    assert blob_names(d) == named(d), "nothing that is named goes, however old"
    for document in (twin, gone):
        assert d.http("DELETE", f"/v1/documents/{document['document_id']}").status == 200
    wait_for(lambda: blob_names(d) == named(d), GONE, "the deleted ones' blobs to go", dump=d.log)
    assert d.document(kept["document_id"])["status"] == "complete"
    assert d.http("DELETE", f"/v1/documents/{kept['document_id']}").status == 200
    wait_for(lambda: files(d) == [], GONE, "an empty store", dump=d.log)


def test_what_an_outage_left_after_the_commit_goes(daemon):
    """A blob without a row and a half-written file, as a killed api child leaves them."""
    d = daemon(SHORT)
    d.put(documents.markdown("Stays"), "stays.md")
    user = [n for n in os.listdir(d.blobs) if n not in ("tmp", ".database")][0]
    stray = f"{d.blobs}/{user}/ab"
    os.makedirs(stray, exist_ok=True)
    for path in (f"{stray}/ab{'0' * 62}", f"{d.blobs}/tmp/half-written"):
        with open(path, "w", encoding="ascii") as f:
            f.write("left over")
    account.give_to_account(d.blobs)
    wait_for(lambda: blob_names(d) == named(d), GONE, "both to go", dump=d.log)


def test_a_store_of_another_database_is_left_alone(daemon):
    d = daemon(SHORT, start=False)
    os.symlink("00000000-0000-4000-8000-000000000000", d.blobs + "/.database")
    os.makedirs(f"{d.blobs}/11111111-2222-3333-4444-555555555555/ab")
    precious = f"{d.blobs}/11111111-2222-3333-4444-555555555555/ab/ab{'0' * 62}"
    with open(precious, "w", encoding="ascii") as f:
        f.write("another's")
    account.give_to_account(d.blobs)
    make_old(d)
    d.start()
    wait_for(lambda: "belongs to the database" in d.log(), 20, "the warning", dump=d.log)
    assert os.path.exists(precious)


def test_the_same_bytes_again_and_again_while_they_are_removed_and_workers_are_killed(daemon):
    """Uploads of the same few contents, and their removal, in a loop, while idle blobs go as fast as they may and the
    walking worker is killed: every document that is there at any time ends complete, with its blobs."""
    d = daemon({**SHORT, "supervise.backoff_first": "50ms"})
    contents = [documents.markdown("Again", seed=i) for i in range(4)]
    until, rounds, stop = time.monotonic() + 10, 0, threading.Event()

    def kill_workers():
        while not stop.wait(0.7):
            for child in d.children("worker")[:1]:
                account.kill(child["pid"], signal.SIGKILL)

    def upload(content):
        for _ in range(100):
            answer = d.upload(content, "again.md")
            if answer.status in (200, 202):
                return answer.json["document_id"]
            assert answer.status == 503, answer
            time.sleep(0.1)
        raise AssertionError("never accepted")

    def hurry():
        while not stop.wait(0.05):
            d.sql("UPDATE upload_pipeline.blob_walk SET next_at = now()")

    threads = [threading.Thread(target=kill_workers), threading.Thread(target=hurry)]
    for t in threads:
        t.start()
    try:
        while time.monotonic() < until:
            ids = [upload(c) for c in contents]
            for i in ids:
                document = d.wait_end(i, 60)
                assert document["status"] == "complete", document
            rounds += 1
            for i in ids:
                assert d.http("DELETE", f"/v1/documents/{i}").status == 200
            if rounds % 2:
                make_old(d)  # nothing is named now: it may go at once, and is on its way again
    finally:
        stop.set()
        for t in threads:
            t.join()
    ids = [upload(c) for c in contents]
    d.wait_all()
    wait_for(lambda: blob_names(d) == named(d), GONE, "exactly the named blobs", dump=d.log)
    assert rounds > 3 and all(d.document(i)["status"] == "complete" for i in ids)
