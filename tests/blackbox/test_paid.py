"""test_paid.py - what outside services cost is in the ledger, as the services count it, and budgets stop in time"""

from decimal import Decimal

import pytest

from harness import documents
from harness.account import wait_for

EMBED_KEY, PARSE_KEY = "sk-test-0123456789abcdef", "llx-test-0123456789"
MODEL = "text-embedding-3-small"


@pytest.fixture(name="services")
def services_fixture(mock):
    return mock("openai", "--key", EMBED_KEY), mock("llamaparse", "--key", PARSE_KEY, "--job-ms", "50")


def start(daemon, services, workers=2, **more):
    pools = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1},
             {"name": "w", "role": "worker", "min": workers, "max": workers}]
    keys = {"embedder.name": "openai", "embedder.dimension": 64, "openai.base_url": services[0].url + "/v1",
            "openai.api_key": EMBED_KEY, "openai.model": MODEL, "openai.price_per_million_tokens": "0.02",
            "parser.order": "llamaparse", "llamaparse.base_url": services[1].url, "llamaparse.api_key": PARSE_KEY,
            "http.allow_private": "127.0.0.1", "queue.retry_first": "50ms", "queue.retry_cap": "500ms",
            "llamaparse.poll_first": "100ms", "llamaparse.poll_cap": "300ms",
            **{k.replace("__", "."): v for k, v in more.items()}}
    return daemon(keys=keys, pools=pools)


def ledger(d, provider, column="quantity"):
    return d.sql(f"SELECT coalesce(sum({column}), 0) FROM upload_pipeline.usage_ledger WHERE provider = '{provider}'")[0][0]


def upload(d, n):
    ids = [d.upload(documents.markdown(f"Paid {i}", sections=3 + i % 5, words=120, seed=i), f"{i}.md").json["document_id"]
           for i in range(n)]
    ids += [d.upload(documents.pdf(1 + i % 3, f"page of {i}"), f"{i}.pdf").json["document_id"] for i in range(n // 2)]
    return ids


def test_the_ledger_is_what_the_services_count_to_the_last_token_and_page(daemon, services):
    d = start(daemon, services)
    assert all(d.wait_end(i)["status"] == "complete" for i in upload(d, 12))
    embedder, parser = services[0].usage(), services[1].usage()
    assert ledger(d, "embedder") == embedder["tokens"] > 0
    assert ledger(d, "embedder", "cost_usd") == Decimal(embedder["cost_usd"])
    assert ledger(d, "llamaparse") == parser["pages"] > 0
    assert ledger(d, "llamaparse", "cost_usd") == Decimal(parser["cost_usd"])
    assert d.sql("SELECT count(*) FROM upload_pipeline.usage_reservations")[0][0] == 0


def test_a_search_is_paid_for_once_by_whoever_asked_and_by_no_document(daemon, services):
    d = start(daemon, services)
    document = d.put(documents.markdown("Paid"), "a.md")["document_id"]
    before = ledger(d, "embedder")
    for _ in range(3):
        d.search("lantern mill")
    rows = "SELECT quantity, cost_usd, note FROM upload_pipeline.usage_ledger WHERE act LIKE 'search-%'"
    ((quantity, cost, note),) = wait_for(lambda: d.sql(rows), 10, "the search in the ledger")
    assert quantity > 0 and cost == quantity * Decimal("0.00000002") and note == "search"
    assert before + quantity == services[0].usage()["tokens"]
    report = d.http("GET", "/v1/cost?by=document").json
    assert sorted(r["document_id"] or "" for r in report["rows"]) == sorted(["", document])
    assert Decimal(report["total_usd"]) == Decimal(services[0].usage()["cost_usd"])
    assert document in d.ctl("cost", "--by", "document", as_json=False).stdout


def test_with_faults_the_ledger_still_is_what_was_delivered(daemon, services):
    d = start(daemon, services)
    services[0].faults(status={"probability": 0.2}, bad_index={"probability": 0.1}, zero_vector={"probability": 0.1})
    assert all(d.wait_end(i)["status"] == "complete" for i in upload(d, 10))
    assert ledger(d, "embedder") == services[0].usage()["delivered"]["tokens"]


def test_a_budget_stops_before_it_is_exceeded_and_what_waits_goes_on_when_it_is_raised(daemon, services):
    d = start(daemon, services, budget__daily="0.0001")
    for i in range(12):
        d.upload(documents.markdown(f"Budget {i}", sections=6, words=250, seed=i), f"{i}.md")
    stopped = """SELECT count(*) FROM upload_pipeline.upload_jobs j JOIN upload_pipeline.upload_job_details t
                 ON t.job_id = j.id WHERE j.state = 5 AND t.error_reason = 'budget_exceeded'"""
    wait_for(lambda: d.sql(stopped)[0][0] > 0 and not d.sql(
        "SELECT 1 FROM upload_pipeline.upload_jobs WHERE state IN (1, 2, 3)"), 30, "the budget to stop", dump=d.log)
    assert Decimal(services[0].usage()["cost_usd"]) <= Decimal("0.0001")
    assert d.sql("SELECT max(attempt) FROM upload_pipeline.upload_jobs WHERE state = 5")[0][0] == 0
    d.stop()
    d.keys["budget.daily"] = "10"
    d.start()
    d.wait_all(60)
    assert d.sql("SELECT count(*) FROM upload_pipeline.upload_jobs WHERE status = 10")[0][0] == 12


def test_a_submission_repeated_after_a_lost_answer_is_marked_in_the_ledger(daemon, services):
    d = start(daemon, services, workers=1)
    services[1].faults(drop_after={"probability": 1, "count": 1, "path": "/api/v1/parsing/upload"})
    assert d.put(documents.pdf(2, "twice"), "a.pdf")["status"] == "complete"
    assert d.sql("""SELECT repeated, quantity FROM upload_pipeline.usage_ledger WHERE provider = 'llamaparse'
                    AND outcome = 'used'""") == [(True, 2)]


def test_the_credits_that_the_service_billed_stand_in_the_ledger(daemon, mock):
    services = mock("openai", "--key", EMBED_KEY), mock("llamaparse", "--key", PARSE_KEY, "--job-ms", "50",
                                                        "--report-credits")
    d = start(daemon, services, workers=1)
    assert d.put(documents.pdf(2, "billed"), "a.pdf")["status"] == "complete"
    billed = services[1].usage()["credits"]
    assert d.sql("SELECT note FROM upload_pipeline.usage_ledger WHERE provider = 'llamaparse'") == [
        (f"{billed:.3f} credits billed",)]
