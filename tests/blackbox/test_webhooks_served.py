"""test_webhooks_served.py - documents whose parsing service calls back, well and badly: each is parsed once, by whichever
of callback and polling is first"""

import json

import pytest

from harness import documents
from harness.account import wait_for
from harness.daemon import Daemon
from harness.mock import Mock

KEY = "llx-test-0123456789"
SECRET = "a signing secret of the tests"
POOLS = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1},
         {"name": "w", "role": "worker", "min": 1, "max": 1}]


def pair_of(programs, cluster, poll):
    mock = Mock("llamaparse", "--key", KEY, "--job-ms", "100")
    database = cluster.create_database()
    one = Daemon(programs, database, {"parser.order": "llamaparse", "llamaparse.base_url": mock.url,
                                      "llamaparse.api_key": KEY, "llamaparse.webhook_secret": SECRET,
                                      "llamaparse.poll_first": poll, "llamaparse.poll_cap": poll,
                                      "http.allow_private": "127.0.0.1", "queue.retry_first": "50ms"}, POOLS)
    one.keys["llamaparse.webhook_url"] = f"http://127.0.0.1:{one.port}"
    one.migrate()
    one.start()
    return one, mock


def give_back(one, mock):
    one.close()
    one.database.drop()
    mock.stop()


@pytest.fixture(scope="module")
def called(programs, cluster):
    """Asks so seldom that only a callback can be in time."""
    one, mock = pair_of(programs, cluster, "60s")
    yield one, mock
    give_back(one, mock)


@pytest.fixture(scope="module")
def polled(programs, cluster):
    one, mock = pair_of(programs, cluster, "700ms")
    yield one, mock
    give_back(one, mock)


def parse(one, mock, name):
    """Uploads a PDF of this name; what became of it, how it was asked for, and what callbacks were answered."""
    before = len([e for e in mock.journal() if e["path"].endswith("/upload")])
    document = one.put(documents.pdf(2, name), name + ".pdf", limit=20)
    assert document["status"] == "complete" and document["pages"] == 2, json.dumps(document)
    assert len([e for e in mock.journal() if e["path"].endswith("/upload")]) == before + 1
    ((job, polls),) = one.sql("""SELECT job_id, polls FROM upload_pipeline.parser_submissions JOIN upload_pipeline.upload_jobs
                                 j ON j.id = job_id WHERE document_id = %s""", (document["document_id"],))
    return job, polls


def verdicts(one, job):
    return [r[0] for r in one.sql("SELECT verdict FROM upload_pipeline.webhook_log WHERE job_id = %s ORDER BY id", (job,))]


def answered(mock, before):
    return [s["status"] for s in mock.control("GET", "/__webhooks")["sent"]][before:]


@pytest.mark.parametrize("faults, first", [
    ({}, "taken"), ({"webhook_early": True, "delay_more": {"ms": 300, "path": "/api/v1/parsing/upload"}}, "early"),
    ({"webhook_doubled": True}, "taken"), ({"webhook_late": {"ms": 700}}, "taken")],
    ids=["well", "early", "doubled", "late"])
def test_a_callback_lets_the_document_go_on_without_a_poll(called, faults, first):
    one, mock = called
    mock.faults(**faults)
    before = len(answered(mock, 0))
    job, polls = parse(one, mock, f"called {first} {len(faults)} {'late' if 'webhook_late' in faults else ''}")
    assert polls == 0
    assert verdicts(one, job) == [first]
    n = 2 if "webhook_doubled" in faults else 1
    wait_for(lambda: len(answered(mock, before)) == n, 10, "the answers to the callbacks")
    assert answered(mock, before) == [200] * n


@pytest.mark.parametrize("fault, status", [("webhook_lost", None), ("webhook_badly_signed", 401),
                                           ("webhook_unsigned", 401), ("webhook_malformed", 400),
                                           ("webhook_unknown_status", 200)])
def test_what_a_callback_does_not_bring_polling_does(polled, fault, status):
    one, mock = polled
    mock.faults(**{fault: True})
    before = len(answered(mock, 0))
    job, _ = parse(one, mock, "polled " + fault)
    assert "taken" not in verdicts(one, job)
    if status is not None:
        wait_for(lambda: status in answered(mock, before), 10, "the answer to the callback")


def test_a_callback_about_another_job_is_refused_and_polling_does_the_work(polled):
    """It is known to be another once the submission's answer is stored: the callback is held back until then."""
    one, mock = polled
    mock.faults(webhook_unknown_job=True, webhook_late={"ms": 60000})
    before = len(answered(mock, 0))
    job, _ = parse(one, mock, "another's")
    mock.advance(60)
    wait_for(lambda: 409 in answered(mock, before), 10, "the answer to the callback")
    assert verdicts(one, job) == ["foreign"]


def test_a_callback_about_another_job_that_is_faster_than_the_answer_misleads_nobody(polled):
    one, mock = polled
    mock.faults(webhook_unknown_job=True, webhook_early=True, delay_more={"ms": 300, "path": "/api/v1/parsing/upload"})
    job, _ = parse(one, mock, "another's, early")
    assert verdicts(one, job) == ["early"]
    ((named,),) = one.sql("SELECT external_id FROM upload_pipeline.parser_submissions WHERE job_id = %s", (job,))
    assert named in [e["path"].rsplit("/", 1)[1] for e in mock.journal("/api/v1/parsing/job/") if e["status"] == 200]


def test_a_callback_that_comes_after_polling_did_the_work_is_late(polled):
    one, mock = polled
    mock.faults(webhook_late={"ms": 60000})
    job, _ = parse(one, mock, "overtaken")
    assert verdicts(one, job) == []
    mock.advance(60)
    wait_for(lambda: verdicts(one, job) == ["late"], 10, "the late callback")
