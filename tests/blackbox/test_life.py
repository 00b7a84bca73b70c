"""test_life.py - the daemon's life: start, readiness, one node name once, stop, death of the master"""

import time

import psycopg

from harness import account
from harness.account import wait_for


def test_a_started_daemon_is_alive_gets_on_and_is_ready(daemon):
    health = daemon().health()
    assert health["ok"], health
    assert [health[s]["ok"] for s in ("live", "progress", "ready")] == [True, True, True]


def test_migrate_up_of_an_empty_database_is_all_that_a_daemon_needs(daemon, empty_db):
    assert not empty_db.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'upload_pipeline'")
    d = daemon(database=empty_db)
    assert d.put("# Sails\n\nA jib and a main.\n", "sails.md")["status"] == "complete"
    assert d.docmilld("migrate", "up").returncode == 0, "and again, with nothing to do"


def test_livez_and_readyz_need_no_token(daemon):
    d = daemon()
    assert d.http("GET", "/livez", token=None).status == 200
    assert d.http("GET", "/readyz", token=None).status == 200


def test_every_pool_has_its_children(daemon):
    d = daemon(pools=[{"name": "c", "role": "coordinator", "max": 1}, {"name": "a", "role": "api", "min": 2, "max": 2},
                      {"name": "w", "role": "worker", "min": 3, "max": 3}])
    wait_for(lambda: [len(d.children(r)) for r in ("coordinator", "api", "worker")] == [1, 2, 3], 20, "1, 2 and 3")
    assert all(account.parent_of(c["pid"]) == d.pid for c in d.children())


def test_term_drains_and_ends_with_0_and_leaves_no_child_and_no_socket(daemon):
    d = daemon()
    assert d.stop() == 0
    assert d.ctl("health", check=False).returncode == 3


def test_stop_verb_ends_the_daemon(daemon):
    d = daemon()
    d.ctl("stop", as_json=False)
    assert d.process.wait(40) == 0


def test_children_die_with_a_killed_master(daemon):
    d = daemon()
    assert len(d.children()) >= 3
    d.kill_master()


def test_a_daemon_starts_again_after_its_master_was_killed(daemon):
    d = daemon()
    d.kill_master()
    d.start()
    assert d.health()["ok"]


def test_a_second_master_of_one_node_name_serves_nothing_until_the_first_is_gone(daemon):
    first = daemon()
    second = daemon(keys={"node.name": first.keys["node.name"]}, start=False)
    second.start(ready=False)
    wait_for(lambda: "another master with this node name" in second.log(), 30, "the reason in the log")
    answer = second.http_or_none("/readyz")
    assert answer is None or answer.status == 503
    wait_for(lambda: not second.alive, 30, "the second master to leave", dump=second.log)
    ready = [line for line in second.log().splitlines() if "child is ready" in line]
    assert not [line for line in ready if "pool=w" in line or "pool=coordinator" in line or "pool=c " in line], ready
    assert first.health()["ok"]
    first.stop()
    if not second.alive:
        second.start(ready=False)
    second.wait_ready(60)


def test_a_second_master_of_a_living_nodes_name_ends_soon_and_says_who_holds_it(daemon):
    first = daemon(keys={"node.heartbeat": "200ms"})
    holder = first.sql("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1684865027 AND granted "
                       "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")[0][0]
    second = daemon(keys={"node.name": first.keys["node.name"], "supervise.ready_timeout": "60s"}, start=False)
    second.start(ready=False)
    assert second.process.wait(15) == 1, "long before the timeout"
    second.process = None
    assert f'\\"{first.keys["node.name"]}\\" is held by session {holder}' in second.log(), second.log()
    assert first.health()["ok"]


def test_a_name_whose_holder_is_dead_but_not_gone_is_waited_for(daemon, db):
    """As after a cut cable: the server still has the session, and its heartbeat stands still."""
    d = daemon(keys={"node.heartbeat": "200ms"}, start=False, database=db)
    name = d.keys["node.name"]
    d.sql("INSERT INTO upload_pipeline.nodes (name, incarnation, version) VALUES (%s, 5, 'x')", (name,))
    with psycopg.connect(db.cluster.url(db.name)) as session:
        session.execute("SELECT pg_advisory_lock(1684865027, hashtext(%s))", (name,))
        d.start(ready=False)
        time.sleep(2)  # ten heartbeats
        assert d.alive
        assert not d.children("worker")
    d.wait_ready(30)


def test_a_killed_child_of_each_role_comes_back(daemon):
    d = daemon()
    for role in ("worker", "api", "coordinator"):
        before = {c["pid"] for c in d.children(role)}
        victim = sorted(before)[0]
        account.kill(victim)
        wait_for(lambda: len(d.children(role)) == len(before) and victim not in {c["pid"] for c in d.children(role)},
                 30, f"another {role}", dump=d.log)
    wait_for(lambda: d.health()["ok"], 30, "health", dump=d.log)
    assert d.alive


def test_status_says_why_a_child_died(daemon):
    d = daemon()
    victim = d.children("worker")[0]["pid"]
    account.kill(victim)
    deaths = wait_for(lambda: [x for x in d.status()["deaths"] if x["pid"] == victim], 20, "the death")
    assert "9" in deaths[0]["cause"] or "KILL" in deaths[0]["cause"], deaths


def test_the_token_is_in_no_log_no_title_and_no_dump(daemon):
    d = daemon(keys={"log.level": "debug"})
    d.upload(b"# A title\n\nwords\n", "a.md")
    d.wait_all()
    titles = " ".join(account.command_of(c["pid"]) for c in d.children())
    dump = d.docmilld("-T").stdout
    for text in (d.log(), titles, dump):
        assert d.keys["api.token"] not in text
    assert "api.token" in dump
