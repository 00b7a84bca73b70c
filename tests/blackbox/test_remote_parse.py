"""test_remote_parse.py - documents through LlamaParse: submitted, waited for, fetched; and what goes wrong on the way"""

import os
import signal
import time

import psycopg
import pytest

from harness import account, documents
from harness.account import wait_for

KEY = "llx-test-0123456789"


@pytest.fixture(name="parser")
def parser_fixture(mock):
    return mock("llamaparse", "--key", KEY, "--job-ms", "100")


def start(daemon, parser, workers=1, **more):
    pools = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1},
             {"name": "w", "role": "worker", "min": workers, "max": workers}]
    keys = {"parser.order": "llamaparse", "llamaparse.base_url": parser.url, "llamaparse.api_key": KEY,
            "http.allow_private": "127.0.0.1", "queue.retry_first": "50ms", "queue.retry_cap": "500ms",
            "llamaparse.poll_first": "100ms", "llamaparse.poll_cap": "500ms",
            **{k.replace("__", "."): v for k, v in more.items()}}
    return daemon(keys=keys, pools=pools)


def submissions(parser):
    return [e for e in parser.journal() if e["method"] == "POST" and e["path"].endswith("/upload")]


def rows(d):
    return d.sql("SELECT serial, external_id, outcome, pages FROM upload_pipeline.parser_submissions ORDER BY id")


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_a_pdf_is_parsed_by_the_service_page_by_page(daemon, parser, api):
    d = start(daemon, parser, llamaparse__api=api)
    document = d.put(documents.pdf(3, "lantern mill"), "a.pdf")
    assert (document["status"], document["pages"]) == ("complete", 3), document
    assert len(submissions(parser)) == 1
    ((serial, external, outcome, pages),) = rows(d)
    assert (serial, outcome, pages) == (1, "complete", 3) and external
    assert d.search("lantern")[0]["page"] in (1, 2, 3)


def test_markdown_and_text_need_no_parser(daemon, parser):
    d = start(daemon, parser)
    assert d.put(documents.markdown("Own"), "a.md")["status"] == "complete"
    assert d.put(b"plain words\n", "a.txt")["status"] == "complete"
    assert not submissions(parser)


def test_a_waiting_document_holds_no_worker_and_costs_no_attempt(daemon, parser):
    d = start(daemon, parser, workers=1)
    parser.faults(job_stuck={"probability": 1, "count": 1})
    stuck = d.upload(documents.pdf(1, "stuck"), "stuck.pdf").json["document_id"]
    state = f"SELECT state FROM upload_pipeline.upload_jobs WHERE document_id = '{stuck}'"
    wait_for(lambda: d.sql(state)[0][0] == 3, 20, "the job to wait")
    assert d.put(documents.markdown("Meanwhile"), "m.md")["status"] == "complete"
    polls = "SELECT polls FROM upload_pipeline.parser_submissions"
    wait_for(lambda: d.sql(polls)[0][0] >= 3, 20, "three polls")
    assert d.sql("SELECT max(attempt) FROM upload_pipeline.upload_jobs WHERE status < 10")[0][0] <= 1


def test_two_documents_may_have_one_job_at_the_service(daemon, parser):
    """A service that forgets names, or knows the bytes already, gives a name twice; it is asked once for each."""
    d = start(daemon, parser)
    assert d.put(documents.pdf(1, "first mill"), "a.pdf")["status"] == "complete"
    parser.restart()
    assert d.put(documents.pdf(1, "second mill"), "b.pdf")["status"] == "complete"
    assert len(submissions(parser)) == 1, "since the restart"
    names = [external for _, external, _, _ in rows(d)]
    assert len(names) == 2 and names[0] == names[1]


@pytest.mark.parametrize("fault, reason", [
    ({"job_error": {"probability": 1, "code": "PDF_IS_PROTECTED"}}, "parse_encrypted"),
    ({"job_error": {"probability": 1, "code": "UNSUPPORTED_FILE_TYPE"}}, "unsupported_type"),
    ({"job_error": {"probability": 1, "code": "NO_DATA_FOUND_IN_FILE"}}, "parse_no_text"),
    ({"empty_result": {"probability": 1}}, "parse_no_text")])
def test_what_the_service_refuses_for_good_fails_at_once_with_its_reason(daemon, parser, fault, reason):
    d = start(daemon, parser)
    parser.faults(**fault)
    document = d.put(documents.pdf(1, "refused"), "a.pdf")
    assert (document["status"], document["error_reason"]) == ("failed_parse", reason), document
    assert len(submissions(parser)) == 1


@pytest.mark.parametrize("fault", ["status", "drop_before", "drop_after", "partial_body", "malformed_body",
                                   "reset_mid_body", "job_error", "job_cancelled", "job_lost", "result_missing"])
def test_what_goes_wrong_for_a_while_costs_no_document(daemon, parser, fault):
    d = start(daemon, parser)
    parser.faults(**{fault: {"probability": 1, "count": 2}})
    for i in range(2):
        document = d.put(documents.pdf(1, f"{fault} {i}"), f"{i}.pdf", limit=40)
        assert document["status"] == "complete", document


@pytest.mark.parametrize("fault", ["job_stuck", "unknown_status"])
def test_a_job_that_never_ends_there_is_given_up_at_its_deadline_and_submitted_anew(daemon, parser, fault):
    d = start(daemon, parser, llamaparse__job_timeout="2s", llamaparse__page_timeout="0s")
    parser.faults(**{fault: {"probability": 1, "count": 1}})
    document = d.put(documents.pdf(1, fault), "a.pdf", limit=40)
    assert document["status"] == "complete", document
    assert [r[2] for r in rows(d)] == ["stage_deadline", "complete"]


def test_a_service_that_never_finishes_is_not_paid_for_ever(daemon, parser):
    d = start(daemon, parser, llamaparse__job_timeout="1s", llamaparse__page_timeout="0s", queue__max_attempts=2)
    parser.faults(job_stuck={"probability": 1})
    document = d.put(documents.pdf(1, "for ever"), "a.pdf", limit=40)
    assert (document["status"], document["error_reason"]) == ("failed_parse", "stage_deadline"), document
    assert len(submissions(parser)) == 2


def test_partial_success_is_a_success_that_names_its_missing_pages(daemon, parser):
    d = start(daemon, parser)
    parser.faults(job_partial={"probability": 1, "pages": 2})
    document = d.put(documents.pdf(3, "partly"), "a.pdf")
    assert document["status"] == "complete", document
    ((progress,),) = d.sql("SELECT progress FROM upload_pipeline.upload_job_details")
    assert len(progress["failed_pages"]) == 2 and all(p["error"] for p in progress["failed_pages"])
    assert d.sql("SELECT count(*) FROM upload_pipeline.events WHERE reason = 'pages_failed'") == [(1,)]


def test_no_more_documents_are_at_the_service_than_it_has_places(daemon, parser):
    d = start(daemon, parser, workers=2, llamaparse__max_jobs=2)
    ids = [d.upload(documents.pdf(1, f"place {i}"), f"{i}.pdf").json["document_id"] for i in range(8)]
    most = 0
    open_ones = "SELECT count(*) FROM upload_pipeline.parser_submissions WHERE ended_at IS NULL"

    def done():
        nonlocal most
        most = max(most, d.sql(open_ones)[0][0])
        return not d.sql("SELECT 1 FROM upload_pipeline.upload_jobs WHERE state < 6")
    wait_for(done, 40, "all documents", every=0.02)
    assert most <= 2
    assert all(d.document(i)["status"] == "complete" for i in ids)
    assert len(submissions(parser)) == 8


def test_a_kill_after_the_answer_was_stored_submits_nothing_again(daemon, parser):
    d = start(daemon, parser, llamaparse__poll_first="1s", llamaparse__poll_cap="1s")
    document_id = d.upload(documents.pdf(2, "stored"), "a.pdf").json["document_id"]
    wait_for(lambda: d.sql("SELECT 1 FROM upload_pipeline.parser_submissions WHERE external_id IS NOT NULL"), 20,
             "the stored answer")
    account.kill(d.children("worker")[0]["pid"], signal.SIGKILL)
    assert d.wait_end(document_id)["status"] == "complete"
    assert len(submissions(parser)) == 1


def test_a_kill_before_the_answer_submits_once_more_and_marks_it(daemon, parser):
    d = start(daemon, parser)
    parser.faults(hang={"probability": 1, "count": 1, "ms": 5000, "path": "/api/v1/parsing/upload"})
    document_id = d.upload(documents.pdf(2, "unanswered"), "a.pdf").json["document_id"]
    wait_for(lambda: parser.usage()["jobs"] >= 1, 20, "the submission")
    account.kill(d.children("worker")[0]["pid"], signal.SIGKILL)
    assert d.wait_end(document_id)["status"] == "complete"
    wait_for(lambda: len(submissions(parser)) == 2, 20, "the journal of both")
    assert [(r[0], r[2]) for r in rows(d)] == [(1, "unanswered"), (2, "complete")]


def test_an_outage_costs_no_attempt_and_does_not_delay_what_needs_no_parser(daemon, parser):
    d = start(daemon, parser, breaker__failures=3, breaker__window="5s")
    parser.stop()
    ids = [d.upload(documents.pdf(1, f"out {i}"), f"{i}.pdf").json["document_id"] for i in range(4)]
    waiting = "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 3 AND status = 2"
    wait_for(lambda: d.sql(waiting)[0][0] == 4, 20, "all documents behind the gate")
    assert d.put(documents.markdown("Meanwhile"), "m.md", limit=10)["status"] == "complete"
    parser.start()
    for document_id in ids:
        assert d.wait_end(document_id, 20)["status"] == "complete"
    assert d.sql("SELECT max(attempt) FROM upload_pipeline.upload_jobs")[0][0] <= 1


@pytest.mark.parametrize("fault", ["malformed_body", "partial_body", "reset_mid_body", "drop_after"])
def test_a_submission_whose_answer_cannot_be_read_is_followed_by_another_that_is_marked(daemon, parser, fault):
    d = start(daemon, parser)
    parser.faults(**{fault: {"probability": 1, "count": 1, "path": "/api/v1/parsing/upload"}})
    assert d.put(documents.pdf(2, fault), "a.pdf")["status"] == "complete"
    assert len(submissions(parser)) == 2
    assert [(r[0], r[2]) for r in rows(d)] == [(1, "unanswered"), (2, "complete")]


def test_documents_that_hold_every_place_at_the_service_are_asked_for_when_it_is_back(daemon, parser):
    """All places are taken by documents that wait behind the gate themselves: they need no other place."""
    d = start(daemon, parser, llamaparse__max_jobs=2, breaker__failures=2, breaker__window="5s",
              llamaparse__poll_first="200ms")
    parser.faults(drop_before={"probability": 1, "path": "/api/v1/parsing/job"})
    ids = [d.upload(documents.pdf(1, f"place {i}"), f"{i}.pdf").json["document_id"] for i in range(4)]
    waiting = "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 3 AND run_at = 'infinity'"
    wait_for(lambda: d.sql(waiting)[0][0] == 4 and len(rows(d)) == 2, 20, "all documents behind the gate", dump=d.log)
    parser.faults()
    for document_id in ids:
        assert d.wait_end(document_id, 20)["status"] == "complete"


def test_a_service_out_of_service_for_long_gives_way_to_the_next_parser(daemon, parser):
    d = start(daemon, parser, parser__order="llamaparse,local", parser__fallback_after="1s", breaker__failures=2,
              breaker__window="5s")
    parser.stop()
    document = d.put(documents.pdf(1, "fallback"), "a.pdf", limit=30)
    assert document["status"] == "complete", document
    parser.start()
    document = d.put(documents.pdf(1, "back again"), "b.pdf", limit=30)
    assert document["status"] == "complete", document
    wait_for(lambda: d.put(documents.pdf(1, f"{time.monotonic()}"), "c.pdf")["status"] == "complete" and rows(d), 20,
             "the first parser to be used again", dump=d.log)


def test_what_waited_for_a_service_goes_on_when_it_is_no_longer_used(daemon, parser):
    d = start(daemon, parser, llamaparse__max_jobs=1)
    parser.stop()
    ids = [d.upload(documents.pdf(1, f"left {i}"), f"{i}.pdf").json["document_id"] for i in range(6)]
    waiting = "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 3 AND run_at = 'infinity'"
    wait_for(lambda: d.sql(waiting)[0][0] == 6, 20, "all documents behind the gate", dump=d.log)
    d.stop()
    d.keys["parser.order"] = "local"
    d.start()
    assert all(d.wait_end(i, 20)["status"] == "complete" for i in ids)



def test_a_document_cancelled_while_it_is_submitted_leaves_the_others_alone(daemon, parser):
    d = start(daemon, parser)
    parser.faults(delay_more={"probability": 1, "count": 1, "ms": 1000, "path": "/api/v1/parsing/upload"})
    first = d.upload(documents.pdf(1, "cancelled"), "a.pdf").json
    wait_for(lambda: d.sql("SELECT 1 FROM upload_pipeline.parser_submissions"), 20, "the submission")
    assert d.http("POST", f"/v1/jobs/{first['job_id']}/cancel").status == 200
    assert d.put(documents.pdf(1, "other"), "b.pdf")["status"] == "complete"
    assert d.document(first["document_id"])["state"] == "cancelled"
    wait_for(lambda: len(submissions(parser)) == 2 and not d.children("worker")[0]["in_hand"], 20, "the late answer")
    assert "child is gone" not in d.log()
    account.kill(d.children("coordinator")[0]["pid"])  # the next one tidies at once, this one twice a minute
    wait_for(lambda: not d.sql("SELECT 1 FROM upload_pipeline.parser_submissions WHERE ended_at IS NULL"), 60,
             "the place to be free again")
    assert not [line for line in d.log().splitlines() if "child is gone" in line and "pool=w" in line]


def test_a_text_that_was_fetched_and_could_not_be_stored_is_fetched_again_and_not_paid_for_again(daemon, mock):
    parser = mock("llamaparse", "--key", KEY, "--job-ms", "500")
    d = start(daemon, parser)
    document_id = d.upload(documents.pdf(2, "kept"), "a.pdf").json["document_id"]
    wait_for(lambda: d.sql("SELECT 1 FROM upload_pipeline.parser_submissions WHERE external_id IS NOT NULL"), 20,
             "the stored answer")
    folders = [d.blobs] + [os.path.join(at, name) for at, names, _ in os.walk(d.blobs) for name in names]
    for folder in folders:
        os.chmod(folder, 0o555)
    try:
        tried = "SELECT count(*) FROM upload_pipeline.events WHERE reason LIKE 'blob_%'"
        wait_for(lambda: d.sql(tried)[0][0] >= 2, 20, "the text to be fetched in vain twice", dump=d.log)
    finally:
        for folder in folders:
            os.chmod(folder, 0o755)
    assert d.wait_end(document_id)["status"] == "complete"
    assert len(submissions(parser)) == 1
    assert [(r[0], r[2], r[3]) for r in rows(d)] == [(1, "complete", 2)]


def test_nothing_is_sent_before_the_submission_is_written_down(daemon, parser, db):
    d = start(daemon, parser)
    with psycopg.connect(db.cluster.url(db.name)) as lock:
        lock.execute("SELECT FROM upload_pipeline.services WHERE name = 'llamaparse' FOR UPDATE")
        document_id = d.upload(documents.pdf(1, "written first"), "a.pdf").json["document_id"]
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%begin_submission%'"
        wait_for(lambda: d.sql(waits), 20, "the worker to wait for the lock", dump=d.log)
        time.sleep(0.5)  # the worker ticks at least every 100 ms meanwhile
        assert not submissions(parser)
        lock.rollback()
    assert d.wait_end(document_id)["status"] == "complete"
    assert len(submissions(parser)) == 1
