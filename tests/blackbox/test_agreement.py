"""test_agreement.py - readiness that costs nothing, and nodes whose configurations must agree"""

import os
import signal
import time

import psycopg
import pytest
from harness.account import wait_for

QUICK = {"node.heartbeat": "200ms", "node.grace": "2s", "queue.poll_interval": "100ms"}
POOLS = [{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "max": 1},
         {"name": "w", "role": "worker", "max": 1}]


def readyz(one):
    return one.http("GET", "/readyz", unix=True)


def writes(one):
    return one.sql("SELECT coalesce(sum(n), 0) FROM upload_pipeline.probes")[0][0]


def read_only(cluster, yes):
    """As a server is whose disk is full, or which another has taken the place of."""
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as c:
        c.execute("SET default_transaction_read_only = off")
        c.execute("ALTER SYSTEM SET default_transaction_read_only = " + ("on" if yes else "off"))
        c.execute("SELECT pg_reload_conf()")


# --- readiness


def test_a_thousand_polls_cause_a_few_writes(daemon):
    one = daemon(pools=POOLS)
    wait_for(lambda: writes(one) >= 1, 5, "the first poll's write")
    before = writes(one)
    began = time.monotonic()
    for _ in range(1000):
        assert readyz(one).status == 200
    took = time.monotonic() - began
    assert writes(one) - before <= 1 + took / 2, (writes(one), before, took)


def test_who_is_not_asked_writes_nothing(daemon):
    one = daemon(pools=POOLS, start=False)
    one.start(ready=False)
    wait_for(lambda: one.health()["ready"]["ok"] if os.path.exists(one.run_dir + "/control.sock") else False, 20, "ready")
    assert writes(one) == 0


def test_a_database_that_cannot_be_written_is_not_ready(daemon, own_cluster):
    database = own_cluster.create_database()
    one = daemon({**QUICK, "node.heartbeat": "500ms"}, pools=POOLS, database=database)
    read_only(own_cluster, True)

    def refused():
        answer = readyz(one)
        return answer.status == 503 and answer.json["database"] == "cannot be written"

    wait_for(refused, 10, "readiness to fall", dump=lambda: str(readyz(one)))
    wait_for(lambda: any("nothing could be written" in r for r in one.health()["ready"]["reasons"]), 15, "health to say it",
             dump=lambda: str(one.health()))
    read_only(own_cluster, False)
    wait_for(lambda: readyz(one).status == 200, 10, "readiness to come back", dump=one.log)
    wait_for(lambda: one.health()["ready"]["ok"], 10, "health to come back")


def test_a_pool_without_a_child_is_not_ready(daemon):
    pools = POOLS + [{"name": "broken", "role": "worker", "max": 1, "stages": ["uploaded"]}]
    one = daemon({"blob.fs.root": "/nowhere"}, pools=pools, start=False)
    one.start(ready=False)
    answer = wait_for(lambda: one.http_or_none("/readyz"), 20, "an answer")
    wait_for(lambda: one.http_or_none("/readyz").json["pools"] != "ok", 5, "the pool to be missed")
    assert answer.status == 503


# --- agreement


@pytest.fixture
def pair(daemon):
    """Two nodes, the first one longer there; keys of each."""

    def make(first, second):
        one = daemon({**QUICK, **first}, pools=POOLS)
        two = daemon({**QUICK, "blob.fs.root": one.blobs, **second}, pools=POOLS, start=False)
        two.start(ready=False)
        return one, two

    return make


def leads(one):
    queue = one.status()["queue"]  # null until it was counted
    return queue is not None and queue["leader"]


def differs(one, key):
    try:
        reasons = one.health()["ready"]["reasons"]
    except OSError:
        return False
    return any(key in r and "claims nothing" in r for r in reasons)


def test_the_later_node_that_differs_is_named_and_claims_nothing(pair):
    one, two = pair({}, {"chunk.max_tokens": 300, "limits.max_pages": 10})
    wait_for(lambda: differs(two, "chunk.max_tokens, limits.max_pages"), 20, "the second node to say so", dump=two.log)
    assert any(one.keys["node.name"] in r for r in two.health()["ready"]["reasons"])
    answer = readyz(two)
    assert answer.status == 503 and answer.json["configuration"] != "ok"
    errors = two.ctl("errors")
    assert any(e["reason"] == "config_differs" and "chunk.max_tokens" in e["message"] for e in errors), errors
    assert two.upload(b"# no\n", "no.md").reason == "config_differs"
    assert one.health()["ready"]["ok"]
    # the first one does all the work, and nobody does it while its worker is away
    for i in range(5):
        assert one.put(f"# {i}\n\ntext\n".encode(), f"{i}.md")["status"] == "complete"
    worker = one.children("worker")[0]["pid"]
    os.kill(worker, signal.SIGSTOP)
    late = one.upload(b"# late\n\ntext\n", "late.md").json["document_id"]
    time.sleep(1)  # ten times the interval at which the second one would look
    assert one.sql("SELECT state FROM upload_pipeline.upload_jobs WHERE document_id = %s", (late,))[0][0] == 1
    os.kill(worker, signal.SIGCONT)
    assert one.wait_end(late)["status"] == "complete"
    assert sum(c["claims"] for c in two.children("worker")) == 0
    one_knows = one.ctl("errors")
    assert any(two.keys["node.name"] in e["message"] for e in one_knows), one_knows
    # the first one leaves: the second is the only one, and right
    one.stop()
    wait_for(lambda: readyz(two).status == 200, 20, "the second node to take over", dump=two.log)
    assert two.put(b"# now\n\ntext\n", "now.md")["status"] == "complete"


def test_secrets_and_what_may_differ_do_not_matter(pair):
    one, two = pair({"api.token": "x" * 20, "log.level": "info"}, {"api.token": "y" * 20, "log.level": "debug",
                                                                   "queue.retry_cap": "7s"})
    two.wait_ready()
    published = one.sql("SELECT agreed::text, fingerprint FROM upload_pipeline.nodes")
    assert len({row[1] for row in published}) == 1
    assert "token" not in published[0][0].replace("tokens", "").replace("tokenizer", "")
    assert one.blobs not in published[0][0], "values leave a node as digests only"


def test_a_rolling_restart_moves_the_right_from_old_to_new(daemon):
    nodes = [daemon({**QUICK}, pools=POOLS)]
    for _ in range(2):
        nodes.append(daemon({**QUICK, "blob.fs.root": nodes[0].blobs}, pools=POOLS))
    new = {"chunk.max_tokens": 300}

    def restart(one):
        one.stop()
        one.keys.update(new)
        one.start(ready=False)

    def right(one):
        try:
            return readyz(one).status == 200 and one.health()["ready"]["ok"]
        except OSError:
            return False

    first = nodes[0]
    restart(first)
    wait_for(lambda: differs(first, "chunk.max_tokens"), 20, "the first to wait for the others", dump=first.log)
    last = wait_for(lambda: [n for n in nodes[1:] if leads(n)], 10, "one of the others to lead")[0]
    second = next(n for n in nodes[1:] if n is not last)
    assert right(second) and right(last) and not leads(first)
    restart(second)
    wait_for(lambda: right(first) and right(second), 20, "the new ones to be right", dump=second.log)
    wait_for(lambda: differs(last, "chunk.max_tokens"), 20, "the last one to be wrong", dump=last.log)
    wait_for(lambda: not leads(last) and (leads(first) or leads(second)), 10, "it to lead no longer")
    assert first.put(b"# works\n\ntext\n", "works.md")["status"] == "complete"
    restart(last)
    wait_for(lambda: all(right(n) for n in nodes), 20, "all to be right", dump=last.log)


def test_nodes_of_two_configurations_do_not_begin_and_give_up_a_space_in_turns(pair):
    one, two = pair({}, {"embedder.dimension": 256})
    assert one.put(b"# a document\n\nwith text\n", "a.md")["status"] == "complete"
    wait_for(lambda: differs(two, "embedder.dimension"), 20, "the second node to say so")
    # the leader dies without a word: its lock is free at once, and the other one must not take it and begin
    one.kill_master()
    time.sleep(0.5)
    assert one.sql("SELECT count(*) FROM upload_pipeline.embedding_spaces")[0][0] == 1
    one.start()
    wait_for(lambda: readyz(one).status == 200, 20, "the first to work on", dump=one.log)
    assert one.sql("SELECT count(*) FROM upload_pipeline.embedding_spaces")[0][0] == 1
    one.stop()
    # now the second is right, and the space is filled once
    wait_for(lambda: two.sql("""SELECT s.dimension FROM upload_pipeline.collections c JOIN upload_pipeline.embedding_spaces s
                                ON s.space = c.live_space""")[0][0] == 256, 30, "the flip", dump=two.log)
    assert two.log().count("the embedding space that was being filled is given up") == 0


def test_a_space_is_not_begun_while_a_node_is_away_that_may_come_back(daemon):
    keys = {**QUICK, "node.grace": "2s"}
    one = daemon(keys, pools=POOLS)
    assert one.put(b"# a document\n\nwith text\n", "a.md")["status"] == "complete"
    two = daemon({**keys, "blob.fs.root": one.blobs, "embedder.dimension": 256}, pools=POOLS, start=False)
    spaces = "SELECT count(*) FROM upload_pipeline.embedding_spaces"
    one.stop()
    with psycopg.connect(one.database.migrate_url, autocommit=True) as away:  # its session is there, its heartbeat is late
        away.execute("SELECT pg_advisory_lock(1684865027, hashtext('away'))")
        away.execute("INSERT INTO upload_pipeline.nodes (name, incarnation, version, heartbeat_at)"
                     " VALUES ('away', 1, 'x', now() - interval '3 s')")
        two.start()
        wait_for(lambda: leads(two), 10, "it to lead")
        time.sleep(1)
        assert two.sql(spaces)[0][0] == 1
    wait_for(lambda: two.sql(spaces)[0][0] == 2, 30, "the space to be begun once the other is known to be dead", dump=two.log)


# --- docmilld -t --online


def online(one):
    done = one.docmilld("-t", "--online", check=False)
    return done.returncode, done.stdout


def test_pools_that_need_more_connections_than_there_are_are_refused(daemon):
    small = daemon(pools=POOLS, start=False)
    code, said = online(small)
    assert code == 0 and "online: good" in said, said
    large = daemon(pools=POOLS[:2] + [{"name": "w", "role": "worker", "min": 1, "max": 256}], start=False)
    code, said = online(large)
    assert code == 78 and "connections to the database" in said and "the server grants" in said, said


def test_what_other_living_nodes_need_is_not_there_for_this_one(daemon, own_cluster):
    database = own_cluster.create_database()
    with psycopg.connect(own_cluster.url("postgres"), autocommit=True) as c:
        c.execute("ALTER SYSTEM SET max_connections = 30")
    own_cluster.stop()
    own_cluster.start()
    one = daemon({"node.heartbeat": "200ms"}, pools=POOLS, database=database, start=False)
    two = daemon({"blob.fs.root": one.blobs}, pools=POOLS[:2] + [{"name": "w", "role": "worker", "min": 1, "max": 9}],
                 database=database, start=False)
    assert online(two)[0] == 0
    one.start()
    code, said = online(two)
    assert code == 78 and "of other nodes" in said, said
    one.stop()
    assert online(two)[0] == 0, "who said goodbye needs nothing"


def test_pools_that_need_more_memory_than_there_is_are_refused(daemon):
    one = daemon(pools=POOLS[:2] + [{"name": "w", "role": "worker", "max": 10, "max_memory": "900GB"}], start=False)
    code, said = online(one)
    assert code == 78 and "of memory at their largest" in said, said


def test_a_database_that_does_not_answer_fails_the_check(daemon):
    one = daemon({"database.url": "host=/nowhere dbname=x", "database.connect_timeout": "500ms"}, pools=POOLS, start=False)
    one.database.migrated = True
    code, said = online(one)
    assert code == 78 and "error: database.url" in said, said
