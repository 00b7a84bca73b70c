"""test_reparse.py - what a fallback parsed says so, and is parsed again by its parser once that is back

An operator's `breakers open` stands for the outage: it lasts exactly as long as the test wants.
"""

import psycopg
import pytest

from harness import documents
from harness.account import wait_for

KEY = "llx-test-0123456789"


@pytest.fixture(name="parser")
def parser_fixture(mock):
    return mock("llamaparse", "--key", KEY, "--job-ms", "50")


def start(daemon, parser, **more):
    pools = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1},
             {"name": "w", "role": "worker", "min": 1, "max": 1}]
    keys = {"parser.order": "llamaparse,local", "parser.fallback_after": "200ms", "llamaparse.base_url": parser.url,
            "llamaparse.api_key": KEY, "http.allow_private": "127.0.0.1", "queue.retry_first": "50ms",
            "queue.retry_cap": "200ms", "llamaparse.poll_first": "100ms", "llamaparse.poll_cap": "200ms",
            "retention.generations": "1h", **{k.replace("__", "."): v for k, v in more.items()}}
    return daemon(keys=keys, pools=pools)


def put_by_fallback(d, text="lantern mill", name="a.pdf"):
    """A document that local parsed because llamaparse is held out of service, which it stays."""
    d.ctl("breakers", "open", "llamaparse")
    document = d.put(documents.pdf(2, text), name)
    assert (document["status"], document["parsed_by"], document["parsed_instead_of"]) == (
        "complete", "local", "llamaparse"), document
    return document


def reparse(d, document, **more):
    return d.http("POST", f"/v1/documents/{document['document_id']}/reparse", **more)


def seen(d, words, document):
    return [r for r in d.search(words) if r["document_id"] == document["document_id"]]


def visible(d, document):
    """(generation, its chunks, its vectors)"""
    return d.sql("""SELECT d.live_generation, count(c), count(v) FROM upload_pipeline.documents d
                    LEFT JOIN upload_pipeline.document_chunks c
                      ON c.document_id = d.document_id AND c.generation = d.live_generation
                    LEFT JOIN upload_pipeline.vectors_1 v
                      ON v.document_id = d.document_id AND v.generation = c.generation AND v.ord = c.ord
                    WHERE d.document_id = %s GROUP BY 1""", (document["document_id"],))[0]


def test_the_parser_of_a_text_stands_on_the_document_its_job_and_its_events(daemon, parser):
    d = start(daemon, parser)
    remote = d.put(documents.pdf(1, "by the service"), "r.pdf")
    plain = d.put(documents.markdown("Own"), "m.md")
    fallen = put_by_fallback(d)
    assert [(x["parsed_by"], x["parsed_instead_of"]) for x in (remote, plain)] == [("llamaparse", None), ("local", None)]
    job = d.http("GET", f"/v1/jobs/{fallen['job_id']}").json
    assert (job["parsed_by"], job["parsed_instead_of"]) == ("local", "llamaparse")
    assert "fallback_local" in [e["reason"] for e in job["events"]]
    assert d.sql("SELECT count(DISTINCT job_id) FROM upload_pipeline.events WHERE reason LIKE 'fallback%'") == [(1,)]
    named = lambda *options: {x["document_id"] for x in d.ctl("documents", *options)}
    # over the socket it is the same user
    assert named("--fallback") == {fallen["document_id"]}
    assert named("--parsed-by", "local") == {plain["document_id"], fallen["document_id"]}
    assert "parsed by" in d.ctl("document", fallen["document_id"], as_json=False).stdout


def test_it_is_refused_while_the_parser_is_away_or_the_document_is_not_complete(daemon, parser):
    d = start(daemon, parser)
    document = put_by_fallback(d)
    assert reparse(d, document).reason == "provider_away"
    assert "out of service" in d.ctl("reparse", "--fallback", check=False).stderr
    d.ctl("breakers", "close", "llamaparse")
    parser.faults(job_error={"probability": 1, "code": "PDF_IS_PROTECTED"})
    failed = d.put(documents.pdf(1, "failed"), "f.pdf")
    answer = reparse(d, failed)
    assert answer.reason == "conflict" and "failed_parse" in answer.json["detail"]
    assert d.http("POST", f"/v1/documents/{document['job_id']}/reparse").reason == "not_found"
    assert visible(d, document)[0] == 1


def test_the_former_version_is_found_until_the_new_one_is_whole(daemon, parser):
    d = start(daemon, parser)
    document = put_by_fallback(d)
    before = visible(d, document)
    d.ctl("breakers", "close", "llamaparse")
    parser.faults(job_stuck={"probability": 1, "count": 1})
    assert reparse(d, document).status == 200
    polls = "SELECT polls FROM upload_pipeline.parser_submissions"
    wait_for(lambda: d.sql(polls) and d.sql(polls)[0][0] > 1, 20, "the service to work on it", dump=d.log)
    now = d.document(document["document_id"])
    assert now["status"] == "parse_queued" and now["chunks"] == document["chunks"]
    assert seen(d, "lantern", document) and visible(d, document) == before
    assert reparse(d, document).reason == "conflict"
    (stuck,) = d.sql("UPDATE upload_pipeline.parser_submissions SET deadline = now() RETURNING id")
    assert stuck
    after = d.wait_end(document["document_id"])
    assert (after["status"], after["parsed_by"], after["parsed_instead_of"]) == ("complete", "llamaparse", None), after
    generation, chunks, vectors = visible(d, document)
    assert generation == 2 and chunks == vectors == after["chunks"] and seen(d, "lantern", document)
    assert d.sql("SELECT generation FROM upload_pipeline.stale_generations") == [(1,)]
    assert d.sql("SELECT count(*) FROM upload_pipeline.document_contents") == [(1,)]


def test_when_it_fails_the_former_version_stays(daemon, parser):
    d = start(daemon, parser)
    document = put_by_fallback(d)
    d.ctl("breakers", "close", "llamaparse")
    parser.faults(job_error={"probability": 1, "code": "PDF_IS_PROTECTED"})
    assert reparse(d, document).status == 200
    after = d.wait_end(document["document_id"])
    assert after["status"] == "failed_parse" and after["chunks"] == document["chunks"]
    assert visible(d, document)[0] == 1 and seen(d, "lantern", document)
    parser.faults()
    d.ctl("retry", document["document_id"])
    after = d.wait_end(document["document_id"])
    assert (after["status"], after["parsed_by"]) == ("complete", "llamaparse"), after
    generation, chunks, vectors = visible(d, document)
    assert generation == 3 and chunks == vectors == after["chunks"]


def test_what_turns_out_to_be_a_duplicate_is_found_under_the_other_only(daemon, parser):
    d = start(daemon, parser)
    document = put_by_fallback(d)
    d.ctl("breakers", "close", "llamaparse")
    parser.faults(job_stuck={"probability": 1, "count": 1})
    assert reparse(d, document).status == 200
    wait_for(lambda: d.sql("SELECT 1 FROM upload_pipeline.parser_submissions WHERE external_id IS NOT NULL"), 20,
             "the service to have it", dump=d.log)
    other = d.put(documents.pdf(2, "lantern mill") + b"%\n", "other.pdf")
    assert other["status"] == "complete" and other["document_id"] != document["document_id"]
    d.sql("UPDATE upload_pipeline.parser_submissions SET deadline = now() WHERE ended_at IS NULL")
    after = d.wait_end(document["document_id"])
    assert (after["status"], after["duplicate_of"]) == ("duplicate", other["document_id"]), after
    assert after["chunks"] is None and not seen(d, "lantern", document) and seen(d, "lantern", other)


def test_a_document_with_a_version_waits_for_its_parser_and_is_given_to_no_fallback(daemon, parser, db):
    d = start(daemon, parser)
    document = put_by_fallback(d)
    d.ctl("breakers", "close", "llamaparse")
    with psycopg.connect(db.cluster.url(db.name)) as lock:  # that it goes away before the worker comes to it
        lock.execute("SELECT FROM upload_pipeline.services FOR UPDATE")
        assert reparse(d, document).status == 200
        d.ctl("breakers", "open", "llamaparse")
        lock.rollback()
    refused = "SELECT count(*) FROM upload_pipeline.events WHERE reason = 'provider_away'"
    wait_for(lambda: d.sql(refused)[0][0] >= 2, 20, "it to be put off twice", dump=d.log)
    now = d.document(document["document_id"])
    assert now["parsed_by"] == "local" and now["attempt"] <= 1 and seen(d, "lantern", document)
    d.ctl("breakers", "close", "llamaparse")
    assert d.wait_end(document["document_id"])["parsed_by"] == "llamaparse"


def test_the_operator_is_told_when_it_is_back_and_one_order_parses_all_of_it_again(daemon, parser):
    d = start(daemon, parser)
    fallen = [put_by_fallback(d, f"page of {i}", f"{i}.pdf")["document_id"] for i in range(3)]
    assert not [e for e in d.ctl("errors") if e["reason"] == "parsed_by_fallback"]
    d.ctl("breakers", "close", "llamaparse")
    told = wait_for(lambda: [e for e in d.ctl("errors") if e["reason"] == "parsed_by_fallback"], 20, "the word",
                    dump=d.log)
    assert told[0]["message"] == ("llamaparse is back; 3 documents were parsed by local meanwhile: "
                                  "docmillctl reparse --fallback")
    assert "llamaparse is back; 3 documents" in d.log()
    assert d.ctl("reparse", "--fallback") == {"begun": 3, "remaining": 0}
    assert {d.wait_end(i)["parsed_by"] for i in fallen} == {"llamaparse"}
    assert d.ctl("documents", "--fallback") == []
    assert d.ctl("reparse", "--fallback") == {"begun": 0, "remaining": 0}


def test_half_of_what_a_user_may_have_unfinished_is_kept_for_uploads(daemon, parser):
    d = start(daemon, parser, limits__user_active=4)
    for i in range(3):
        put_by_fallback(d, f"page of {i}", f"{i}.pdf")
    d.ctl("breakers", "close", "llamaparse")
    parser.faults(job_stuck={"probability": 1})
    assert [d.http("POST", "/v1/reparse?limit=1").json for _ in range(3)] == [
        {"begun": 1, "remaining": 2}, {"begun": 1, "remaining": 1}, {"begun": 0, "remaining": 1}]
    left = d.ctl("documents", "--fallback")
    (waits,) = [x for x in left if x["status"] == "complete"]
    assert reparse(d, waits).reason == "too_many_active"


def test_what_one_call_begins_counts_for_the_room_that_is_left(daemon, parser):
    d = start(daemon, parser, limits__user_active=4)
    for i in range(3):
        put_by_fallback(d, f"page of {i}", f"{i}.pdf")
    d.ctl("breakers", "close", "llamaparse")
    parser.faults(job_stuck={"probability": 1})
    assert d.http("POST", "/v1/reparse").json == {"begun": 2, "remaining": 1}


def test_only_an_operator_parses_everybodys_again(daemon, parser):
    d = start(daemon, parser)
    document = put_by_fallback(d)
    d.ctl("breakers", "close", "llamaparse")
    assert d.http("POST", "/v1/reparse?all=1").reason == "forbidden"
    assert d.http("POST", "/v1/reparse?all=1", unix=True).json == {"begun": 1, "remaining": 0}
    assert d.wait_end(document["document_id"])["parsed_by"] == "llamaparse"


def test_what_was_filled_of_the_former_version_into_another_space_is_no_longer_taken_for_done(daemon, parser):
    d = start(daemon, parser)
    document = put_by_fallback(d)
    d.sql("""INSERT INTO upload_pipeline.upload_jobs (id, document_id, user_id, purpose, lane, fair_key, generation, status,
                                                      state, chunker, space)
             SELECT gen_random_uuid(), document_id, user_id, 2, 3, 1, 1, 10, 6, 0, 99 FROM upload_pipeline.documents""")
    d.ctl("breakers", "close", "llamaparse")
    assert reparse(d, document).status == 200
    assert d.wait_end(document["document_id"])["parsed_by"] == "llamaparse"
    assert not d.sql("SELECT 1 FROM upload_pipeline.upload_jobs WHERE purpose = 2")
