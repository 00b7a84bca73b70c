"""test_kill_outside.py - workers killed while outside services parse, call back and embed: the rows are those of an
undisturbed run, and what was parsed twice says so in the ledger

The long version (scripts/test-kill) has 100 documents and 60 kills.
"""

import random
import time
from collections import Counter

import pytest

from harness import account, documents
from test_kill import QUICK_RETRY, assert_same_as_undisturbed, fingerprint, open_jobs, upload_all

EMBED_KEY, PARSE_KEY = "sk-test-0123456789abcdef", "llx-test-0123456789"
MAX_JOBS = 8  # at the parsing service at once: so many submissions may be without their answer when a worker dies
NO_WORKERS = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 1, "max": 1}]
WORKERS = NO_WORKERS + [{"name": "w", "role": "worker", "min": 2, "max": 2}]


@pytest.fixture(name="services")
def services_fixture(mock):
    return (mock("openai", "--key", EMBED_KEY),
            mock("llamaparse", "--key", PARSE_KEY, "--job-ms", "150", "--upload-limit", "0"))


def paid_documents(number):
    return {f"{i}.pdf": documents.pdf(1 + i % 4, f"lantern{i} " + "mill wheel " * (20 + i)) for i in range(number)}


def start(daemon, services, database, pools):
    d = daemon(database=database, pools=pools, start=False, keys={
        **QUICK_RETRY, "queue.max_attempts": 50, "queue.crash_budget": 50, "queue.claim_batch": 4,
        "embedder.name": "openai", "embedder.dimension": 64, "embedder.batch_items": 8,
        "openai.base_url": services[0].url + "/v1", "openai.api_key": EMBED_KEY,
        "openai.model": "text-embedding-3-small", "parser.order": "llamaparse",
        "llamaparse.base_url": services[1].url, "llamaparse.api_key": PARSE_KEY, "http.allow_private": "127.0.0.1",
        "llamaparse.poll_first": "2s", "llamaparse.poll_cap": "2s", "llamaparse.max_jobs": MAX_JOBS})
    d.keys["llamaparse.webhook_url"] = f"http://127.0.0.1:{d.port}"
    return d


def undisturbed(daemon, services, cluster, files):
    database = cluster.create_database()
    d = start(daemon, services, database, WORKERS)
    d.start()
    upload_all(d, files)
    d.wait_all(120)
    rows = fingerprint(database)
    d.stop()
    database.drop()
    assert rows["vectors"] and all(r[-1] == 10 for r in rows["documents"])
    return rows


def kill_at_random(d, kills, limit):
    """Kills workers that have documents in hand. How many."""
    held = """SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 2 AND owner_child = %s"""
    chance, end, killed = random.Random(1), time.monotonic() + limit, 0
    while killed < kills and open_jobs(d) > 0:
        assert time.monotonic() < end, f"{killed} kills in {limit} s"
        for child in d.children("worker"):
            if d.sql(held, (child["serial"],))[0][0] > 0 and account.kill(child["pid"]):
                killed += 1
                break
        time.sleep(0.02 + 0.1 * chance.random())
    return killed


def kill_workers(daemon, services, cluster, files, kills, limit):
    embedder, parser = services
    expected = undisturbed(daemon, services, cluster, files)
    before, journaled = parser.usage()["jobs"], len(parser.journal())
    d = start(daemon, services, cluster.create_database(), NO_WORKERS)
    d.start()
    upload_all(d, files)
    d.stop()
    for one in services:
        one.faults(delay={"kind": "fixed", "ms": 40})
    d.pools = WORKERS
    d.start()
    master = d.pid
    killed = kill_at_random(d, kills, limit)
    assert killed == kills, f"it ended after {killed} kills"
    d.wait_all(limit)
    assert d.alive and d.pid == master
    assert_same_as_undisturbed(d, expected)
    delivered = parser.usage()["jobs"] - before
    assert len(files) <= delivered <= len(files) + killed * MAX_JOBS
    sent = Counter(e["summary"]["file"] for e in parser.journal()[journaled:] if e["path"].endswith("/upload"))
    marked = {name for name, in d.sql("""SELECT filename FROM upload_pipeline.usage_ledger JOIN upload_pipeline.documents
                                         USING (user_id, document_id) WHERE provider = 'llamaparse' AND repeated""")}
    print(f"{killed} kills, submitted more than once: {sum(n > 1 for n in sent.values())}")
    assert {name for name, n in sent.items() if n > 1} <= marked, "what was submitted twice says so in the ledger"


def test_workers_killed_amid_outside_services_lose_and_double_nothing(daemon, services, cluster):
    kill_workers(daemon, services, cluster, paid_documents(30), kills=10, limit=60)


@pytest.mark.long
def test_many_workers_killed_amid_outside_services_lose_and_double_nothing(daemon, services, cluster):
    kill_workers(daemon, services, cluster, paid_documents(100), kills=60, limit=300)
