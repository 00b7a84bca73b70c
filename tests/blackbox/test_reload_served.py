"""Reload of the real daemon: documents flow through it, nobody is refused, secrets change without losing anything."""

import http.client
import json
import os
import random
import signal
import threading

from harness import account, documents
from harness.account import wait_for
from harness.daemon import TOKEN
from harness.mock import Mock

QUICK = {"reload.canary_idle": "300ms", "queue.max_attempts": 1}  # an attempt that is burnt is a dead letter
POOLS = [{"name": "coordinator", "role": "coordinator", "max": 1}, {"name": "web", "role": "api", "min": 2, "max": 2},
         {"name": "workers", "role": "worker", "min": 2, "max": 2}]
SMALL = [POOLS[0], {"name": "web", "role": "api", "max": 1}, {"name": "workers", "role": "worker", "max": 1}]


def reload(d, *arguments, code=0, **keys):
    """Writes the configuration with these keys and reloads it; the report, or what was said on standard error."""
    d.keys.update({k.replace("__", "."): v for k, v in keys.items()})
    d.write_conf()
    done = d.ctl("reload", *arguments, check=False, as_json=code == 0, timeout=60)
    assert done.returncode == code, (done, d.log()[-3000:])
    return json.loads(done.stdout) if code == 0 else done.stderr


def pids(d, role):
    return {c["pid"] for c in d.children(role) if c["phase"] in ("ready", "busy")}


class Uploader(threading.Thread):
    """Uploads one document after another, each over a connection of its own."""

    def __init__(self, d):
        super().__init__(daemon=True)
        self.d, self.n, self.failures, self.over = d, 0, [], threading.Event()

    def run(self):
        while not self.over.is_set():
            try:
                answer = self.d.upload(documents.markdown(f"document {self.n}", seed=self.n), f"d{self.n}.md")
                if answer.status != 202:
                    self.failures.append(answer)
            except (OSError, http.client.HTTPException) as fault:
                self.failures.append(fault)
            self.n += 1
            self.over.wait(0.005)

    def end(self):
        self.over.set()
        self.join(30)
        assert not self.failures, self.failures[:3]
        return self.n


class Knockers:
    """Connect again and again, all at once, and want an answer each time."""

    def __init__(self, d, n=6):
        self.d, self.n, self.failures, self.over = d, 0, [], threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(n)]
        for t in self.threads:
            t.start()

    def run(self):
        while not self.over.is_set():
            try:
                if self.d.http("GET", "/livez", timeout=10).status != 200:
                    self.failures.append("not alive")
            except (OSError, http.client.HTTPException) as fault:
                self.failures.append(repr(fault))
            self.n += 1

    def end(self):
        self.over.set()
        for t in self.threads:
            t.join(15)
        assert not self.failures, (len(self.failures), self.n, self.failures[:3])


def assert_all_done(d, n):
    d.wait_all(60)
    rows = d.sql("SELECT state, count(*) FROM upload_pipeline.upload_jobs GROUP BY 1")
    assert rows == [(6, n)], rows


def test_documents_flow_and_nobody_is_refused_while_everything_is_replaced(daemon):
    d = daemon(keys=QUICK, pools=POOLS)
    before = {role: pids(d, role) for role in ("coordinator", "api", "worker")}
    up = Uploader(d)
    up.start()
    wait_for(lambda: up.n > 20, 20)
    assert reload(d, queue__claim_batch=3)["outcome"] == "done"
    assert reload(d, api__queue=500)["outcome"] == "done"
    knockers = Knockers(d)
    for i in range(3):
        assert reload(d, api__queue=600 + i)["outcome"] == "done"
    knockers.end()
    report = reload(d, database__statement_timeout="20s", node__heartbeat="4s")
    assert {p["fate"] for p in report["pools"]} == {"replaced"} and len(report["pools"]) == 3
    n = up.end()
    assert_all_done(d, n)
    after = {role: pids(d, role) for role in before}
    assert all(not before[role] & after[role] for role in before), (before, after)
    assert not d.sql("SELECT 1 FROM upload_pipeline.nodes WHERE said_goodbye"), "nobody was told that the node leaves"


def test_reloads_amid_kills_lose_nothing(daemon):
    d = daemon(keys={**QUICK, "queue.max_attempts": 100, "queue.crash_budget": 100, "reload.canary_timeout": "3s"}, pools=POOLS)
    up = Uploader(d)
    up.start()
    over = threading.Event()

    def kill():
        while not over.wait(0.15):
            account.kill(random.choice(d.children("worker") + d.children("api"))["pid"])

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    outcomes = []
    for batch in (3, 4, 5, 6, 7, 8):
        d.keys["queue.claim_batch"] = batch
        d.write_conf()
        done = d.ctl("reload", check=False, as_json=False, timeout=60)
        assert done.returncode in (0, 1), done
        outcomes.append(done.returncode)
    over.set()
    killer.join(10)
    up.over.set()
    up.join(30)
    taken = up.n - len(up.failures)  # an api child that is killed takes its request with it
    wait_for(lambda: d.health()["ready"]["ok"], 30, dump=d.log)
    assert reload(d, queue__claim_batch=9)["outcome"] == "done", outcomes
    d.wait_all(60)
    ((n,),) = d.sql("SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 6")
    assert n >= taken and d.sql("SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state <> 6") == [(0,)]


def test_hup_reloads_the_real_daemon(daemon):
    d = daemon(keys=QUICK, pools=SMALL)
    before = pids(d, "worker")
    d.keys["queue.claim_batch"] = 3
    d.write_conf()
    os.kill(d.pid, signal.SIGHUP)
    wait_for(lambda: (r := d.status()["reload"]) and r["outcome"] == "done", 20, dump=d.log)
    assert not before & pids(d, "worker")


def test_docmillctl_says_by_its_exit_code_how_it_went(daemon):
    d = daemon(keys={**QUICK, "parser.pdftotext": "/usr/bin/pdftotext"}, pools=SMALL)
    before = pids(d, "worker")
    plan = reload(d, "--dry-run", queue__claim_batch=3, embedder__dimension=64)
    assert plan["outcome"] == "planned" and [c["key"] for c in plan["changes"] if c["needs_restart"]] == ["embedder.dimension"]
    text = d.ctl("reload", "--dry-run", as_json=False).stdout
    assert "after a restart of the daemon" in text and "pool workers: 1 child is replaced" in text and plan["plan"] in text
    said = reload(d, "--plan", "0" * 16, code=4)
    assert "is not that of plan" in said
    said = reload(d, code=4, queue__claim_batch=0)
    assert f"{d.conf}:" in said and "queue.claim_batch" in said, said
    assert pids(d, "worker") == before
    text = d.ctl("status", as_json=False).stdout
    assert " failed: " in text and "queue.claim_batch" in text, text
    done = reload(d, queue__claim_batch=3)
    assert done["outcome"] == "done" and d.status()["restart_pending"] == "embedder.dimension"
    assert "restart   is needed for embedder.dimension" in d.ctl("status", as_json=False).stdout
    text = d.ctl("reload", as_json=False).stdout
    assert "embedder.dimension" in text and "nothing to do now" in text


def test_a_key_that_the_service_refuses_is_taken_back_and_costs_no_document(daemon):
    mock = Mock("openai", "--key", "sk-good-0123456789")
    try:
        d = daemon(keys={**QUICK, "reload.canary_idle": "20s", "embedder.name": "openai", "embedder.dimension": 64,
                         "openai.base_url": mock.url + "/v1", "openai.api_key": "sk-good-0123456789",
                         "openai.model": "text-embedding-3-small", "http.allow_private": "127.0.0.1",
                         "breaker.account_open": "10m"}, pools=POOLS)
        up = Uploader(d)
        up.start()
        wait_for(lambda: up.n > 10, 20)
        said = reload(d, code=1, openai__api_key="sk-wrong-0123456789")
        assert "refuses the key" in said and "former configuration is in effect" in said, said
        assert "sk-wrong" not in said
        n = up.end()
        assert_all_done(d, n)  # long before breaker.account_open: the service is tried at once with the former key
        assert all(c["phase"] in ("ready", "busy") for c in d.children("worker"))
    finally:
        mock.stop()


def test_a_parser_that_is_not_there_is_taken_back_and_no_document_waits_for_it(daemon):
    d = daemon(keys={**QUICK, "reload.canary_idle": "20s"}, pools=SMALL)
    d.keys["parser.pdftotext"] = "/usr/bin/no-such-program"
    d.write_conf()
    number = d.control("reload")["number"]
    wait_for(lambda: d.control("reload-status", number=str(number))["state"] == "canary", 10)
    wait_for(lambda: len(d.children("worker")) == 1, 10)
    document = d.upload(documents.pdf(1, "in between"), "a.pdf").json["document_id"]
    report = wait_for(lambda: r if (r := d.control("reload-status", number=str(number)))["outcome"] != "running" else None, 20,
                      dump=d.log)
    assert report["outcome"] == "taken-back" and "not installed or cannot run" in report["error"]["message"], report
    assert d.wait_end(document, 20)["status"] == "complete"


def test_a_database_password_is_taken_another_database_waits(daemon):
    d = daemon(keys=QUICK, pools=SMALL)
    before = {role: pids(d, role) for role in ("coordinator", "api", "worker")}
    url = d.keys["database.url"]
    with_password = url + ("&" if "?" in url else "?") + "password=" if "://" in url else url + " password="
    d.keys["database.url"] = with_password + "first"
    report = reload(d)
    assert report["changes"][0]["needs_restart"], "a parameter more is another connection"
    d.stop()
    d.start()
    before = {role: pids(d, role) for role in before}
    report = reload(d, database__url=with_password + "second")
    assert report["outcome"] == "done" and "first" not in str(report) and "second" not in str(report), report
    assert all(not before[role] & pids(d, role) for role in before)
    assert d.put(b"# one\n\nafter the change\n", "one.md")["status"] == "complete"


# ---- secrets that callers come with ----


def get(d, token):
    return d.http("GET", "/v1/documents", token=token).status


def test_the_former_token_is_accepted_for_a_while(daemon):
    d = daemon(keys=QUICK, pools=SMALL)
    new = "another-token-0123456789abcdef"
    report = reload(d, api__token=new)
    assert report["former_secrets_ms"] == 3600000
    assert (get(d, new), get(d, TOKEN), get(d, "a-third-token-0123456789")) == (200, 200, 401)
    reload(d, limits__max_pages=77, api__queue=77)
    assert (get(d, new), get(d, TOKEN)) == (200, 200), "a reload of something else does not shorten it"
    reload(d, reload__secret_grace="0s")
    assert (get(d, new), get(d, TOKEN)) == (200, 401), "it can be cut off at once"


def test_the_former_token_is_not_accepted_for_ever(daemon):
    d = daemon(keys={**QUICK, "reload.secret_grace": "3s"}, pools=SMALL)
    reload(d, api__token="another-token-0123456789abcdef")
    wait_for(lambda: get(d, TOKEN) == 401, 10, "the former token to be refused")


def test_callbacks_signed_with_the_former_secret_and_with_the_new_one_are_taken(daemon):
    key = "llx-test-0123456789"
    mock = Mock("llamaparse", "--key", key, "--job-ms", "100")
    try:
        d = daemon(keys={**QUICK, "parser.order": "llamaparse", "llamaparse.base_url": mock.url, "llamaparse.api_key": key,
                         "llamaparse.webhook_secret": "the first secret of two", "llamaparse.poll_first": "60s",
                         "llamaparse.poll_cap": "60s", "http.allow_private": "127.0.0.1"}, pools=SMALL, start=False)
        d.keys["llamaparse.webhook_url"] = f"http://127.0.0.1:{d.port}"
        d.start()
        mock.faults(webhook_late={"ms": 60000})
        old = [d.upload(documents.pdf(1, f"old {i}"), f"old{i}.pdf").json["document_id"] for i in range(3)]
        submitted = "SELECT count(*) FROM upload_pipeline.parser_submissions WHERE external_id IS NOT NULL"
        wait_for(lambda: d.sql(submitted) == [(3,)], 20, "three submissions", dump=d.log)
        assert reload(d, llamaparse__webhook_secret="the second secret of two")["outcome"] == "done"
        new = [d.upload(documents.pdf(1, f"new {i}"), f"new{i}.pdf").json["document_id"] for i in range(2)]
        wait_for(lambda: d.sql(submitted) == [(5,)], 20, "five submissions", dump=d.log)
        mock.advance(60)
        for document in old + new:
            assert d.wait_end(document, 20)["status"] == "complete"
        assert d.sql("SELECT DISTINCT verdict FROM upload_pipeline.webhook_log") == [("taken",)]
        assert [s["status"] for s in mock.control("GET", "/__webhooks")["sent"]] == [200] * 5
        assert d.sql("SELECT sum(polls)::int FROM upload_pipeline.parser_submissions") == [(0,)], "no poll was needed"
    finally:
        mock.stop()
