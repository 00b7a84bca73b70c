"""Replacing the real roles while they work: nobody is refused, nothing is lost."""

import http.client
import threading

from harness.account import wait_for
from harness.daemon import TOKEN
from test_supervisor import POOLS, assert_all_done, upload_many


def renewed(d, role, old):
    children = d.children(role)
    return len(children) == len(old) and not {c["pid"] for c in children} & old


def pids(d, role):
    return {c["pid"] for c in d.children(role)}


class Visitors:
    """New connections without a pause; what went wrong is kept."""

    def __init__(self, d, n=3):
        self.port, self.done, self.faults, self.served = d.port, threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.visit) for _ in range(n)]
        for t in self.threads:
            t.start()

    def visit(self):
        while not self.done.is_set():
            try:
                c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                c.request("GET", "/livez")
                answer = c.getresponse()
                answer.read()
                assert answer.status == 200
                c.close()
                self.served += 1
            except (OSError, AssertionError, http.client.HTTPException) as fault:
                self.faults.append(repr(fault))

    def end(self):
        self.done.set()
        for t in self.threads:
            t.join()


def test_no_connection_is_refused_while_api_is_recycled(daemon):
    pools = [POOLS[0], {"name": "api", "role": "api", "min": 2, "max": 2}, POOLS[2]]
    d = daemon(pools=pools)
    visitors = Visitors(d)
    try:
        for _ in range(4):
            old = pids(d, "api")
            assert d.ctl("recycle", "api")["pool"] == "api"
            wait_for(lambda: renewed(d, "api", old), 15, "all of api to be replaced")
    finally:
        visitors.end()
    assert not visitors.faults, visitors.faults[:5]
    assert visitors.served > 100


def test_recycled_and_restarted_workers_lose_nothing(daemon):
    d = daemon(pools=POOLS)
    for i in range(3):
        upload_many(d, 8, paragraphs=200, first=i * 8)
        old = pids(d, "worker")
        d.ctl("restart" if i == 1 else "recycle", "workers")
        wait_for(lambda: renewed(d, "worker", old), 30, "all workers to be replaced")
    assert_all_done(d, 24)
    attempts = d.sql("SELECT max(attempt) FROM upload_pipeline.upload_jobs")[0][0]
    assert attempts == 1, "what a retiring worker hands back costs no attempt"


def test_a_drained_node_leaves_the_queue_alone_and_takes_it_up_again(daemon):
    d = daemon(pools=POOLS)
    wait_for(lambda: d.http("GET", "/readyz").status == 200, 15)
    assert d.ctl("drain")["pools"]
    wait_for(lambda: not d.children("worker"), 15)
    wait_for(lambda: d.http("GET", "/readyz").status == 503, 5, "a balancer to be told")
    upload_many(d, 3)
    assert d.status()["state"] == "drained"
    assert d.sql("SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state < 6")[0][0] == 3
    assert "drains this node" in d.health()["ready"]["reasons"][0]
    d.ctl("drain", "cancel")
    assert_all_done(d, 3)
    wait_for(lambda: d.http("GET", "/readyz").status == 200, 15)


def test_one_drained_pool_leaves_the_node_ready(daemon):
    pools = POOLS + [{"name": "more", "role": "worker", "min": 1, "max": 1}]
    d = daemon(pools=pools)
    d.ctl("drain", "more")
    wait_for(lambda: not [c for c in d.children("worker") if c["pool"] == "more"], 15)
    wait_for(lambda: d.http("GET", "/readyz").status == 200, 5)
    assert d.health()["ready"]["ok"]
    assert d.ctl("drain", "more", as_json=False).stdout == "more: drained\n"
    assert ": running, up " in d.ctl("status", as_json=False).stdout.splitlines()[0]


def test_scale_by_hand(daemon):
    d = daemon(pools=POOLS)
    assert d.ctl("scale", "workers", "1")["size"] == 1
    wait_for(lambda: len(d.children("worker")) == 1, 15)
    assert "1 of 1 ready" in d.ctl("scale", "workers", "1", as_json=False).stdout
    d.ctl("scale", "workers", "auto")
    wait_for(lambda: len(d.children("worker")) == 3, 15)


def test_no_connection_is_lost_while_api_is_scaled(daemon):
    pools = [POOLS[0], {"name": "api", "role": "api", "min": 3, "max": 3}, POOLS[2]]
    d = daemon(pools=pools)
    visitors = Visitors(d)
    try:
        for size in (1, 3, 2, 1, 3):
            d.ctl("scale", "api", str(size))
            wait_for(lambda: len([c for c in d.children("api") if c["phase"] == "ready"]) == size
                     and len(d.children("api")) == size, 15)
    finally:
        visitors.end()
    assert not visitors.faults, (len(visitors.faults), visitors.served, visitors.faults[:5])


def test_api_grows_while_it_has_many_requests_in_flight(daemon):
    pools = [POOLS[0], {"name": "api", "role": "api", "min": 1, "max": 3}, POOLS[2]]
    d = daemon(pools=pools)
    assert len(d.children("api")) == 1
    crowd = []
    try:
        for i in range(40):
            c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=20)
            c.putrequest("POST", "/v1/documents")
            c.putheader("Authorization", "Bearer " + TOKEN)
            c.putheader("Content-Type", "text/markdown")
            c.putheader("Content-Length", "1000")
            c.endheaders()
            c.send(b"# a")
            crowd.append(c)
        wait_for(lambda: len([c for c in d.children("api") if c["phase"] == "ready"]) >= 1
                 and len(d.children("api")) > 1, 15, "another api child")
        assert d.http("GET", "/livez").status == 200
    finally:
        for c in crowd:
            c.close()


def test_the_coordinator_is_replaced_and_keeps_the_nodes_name(daemon):
    d = daemon(pools=POOLS)
    for _ in range(3):
        old = pids(d, "coordinator")
        d.ctl("recycle", "coordinator")
        wait_for(lambda: renewed(d, "coordinator", old) and d.children("coordinator")[0]["phase"] in ("ready", "busy"), 10)
    assert not [x for x in d.status()["deaths"] if "retired" not in x["cause"] and "to go" not in x["cause"]]
    upload_many(d, 2)
    assert_all_done(d, 2)


def test_workers_come_with_the_work_and_go_without_it_and_nothing_is_lost(daemon):
    pools = POOLS[:2] + [{"name": "workers", "role": "worker", "min": 1, "max": 2}]
    d = daemon(pools=pools, keys={"supervise.idle_timeout": "300ms"})
    assert len(d.children("worker")) == 1
    sent = 0
    while len(was := pids(d, "worker")) < 2 and sent < 100:
        upload_many(d, 2, paragraphs=450, first=sent)
        sent += 2
    assert len(was) == 2, "more of them while work waits"
    d.wait_all(120)

    def least():
        nonlocal sent
        upload_many(d, 1, first=sent)  # a little goes on meanwhile
        sent += 1
        return len(d.children("worker")) == 1

    wait_for(least, 20, "the surplus to go", every=0.2)
    assert_all_done(d, sent)
    assert d.sql("SELECT max(attempt) FROM upload_pipeline.upload_jobs")[0][0] == 1
    gone = [x for x in d.status()["deaths"] if x["pid"] in was]
    assert gone
    assert all((x["cause"], x["exit_code"]) == ("retired: the pool needs fewer children", 0) for x in gone), gone
