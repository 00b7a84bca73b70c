"""test_audit.py - every verb that wants more than read stands in audit_log, once, whatever happens on the way"""

import contextlib
import grp
import os
import re
import signal
import subprocess
import time

import pytest

from harness import account, control
from harness.account import wait_for
from harness.programs import SOURCE
from harness.supervised import COORDINATOR, pool

POOLS = [{"name": "coordinator", "role": "coordinator"}, {"name": "api", "role": "api", "min": 1, "max": 1}]
STRANGER = 54321


def rows(d):
    return [dict(zip(("uid", "verb", "arguments", "result"), row)) for row in
            d.sql("SELECT uid, verb, arguments, result FROM upload_pipeline.audit_log ORDER BY at, id")]


def wait_rows(d, n, limit=20):
    return wait_for(lambda: len(r := rows(d)) >= n and r, limit, f"{n} records", dump=d.log)


# ---- with a database ----


def test_what_operators_do_is_listed_newest_first(daemon):
    d = daemon(pools=POOLS)
    d.ctl("breakers", "open", "embedder")
    d.ctl("breakers", "close", "embedder")
    d.ctl("status")
    d.ctl("spaces", "flip", "--without-failed", check=False)
    wait_rows(d, 3)
    listed = d.ctl("audit")["audit"]
    assert [(r["verb"], r["arguments"], r["result"]) for r in listed] == [
        ("spaces flip", {"collection": "default"}, "not_found"),
        ("breaker", {"service": "embedder", "order": "close"}, "done"),
        ("breaker", {"service": "embedder", "order": "open"}, "done")]
    assert {r["uid"] for r in listed} == {account.UID} and {r["node"] for r in listed} == {d.keys["node.name"]}
    assert len(d.ctl("audit", "-n", "1")["audit"]) == 1
    assert len(d.ctl("audit", "--since", "1h")["audit"]) == 3
    d.sql("UPDATE upload_pipeline.audit_log SET at = at - interval '2 hours' WHERE verb = 'breaker'")
    assert [r["verb"] for r in d.ctl("audit", "--since", "1h")["audit"]] == ["spaces flip"]


def test_a_reload_is_recorded_when_it_begins_and_when_it_is_over(daemon):
    d = daemon(pools=POOLS)
    d.keys["search.exact_limit"] = 9000
    d.write_conf()
    d.ctl("reload")
    d.keys["search.exact_limit"] = "many"
    d.write_conf()
    d.ctl("reload", check=False)
    records = [(r["uid"], r["verb"], r["result"]) for r in wait_rows(d, 4)]
    assert records == [(account.UID, "reload", "done"), (None, "reload", "done"),
                       (account.UID, "reload", "done"), (None, "reload", "refused")]


def test_reparse_of_all_users_is_recorded_and_of_ones_own_is_not(daemon):
    d = daemon(pools=POOLS)
    assert d.http("POST", "/v1/reparse", unix=True).status == 200
    assert d.http("POST", "/v1/reparse?all=1", unix=True).status == 200
    assert [(r["verb"], r["arguments"]["all"], r["result"]) for r in rows(d)] == [("reparse", True, "done")]


def test_what_a_killed_master_could_not_write_is_written_by_the_next_one_once(daemon):
    d = daemon(pools=POOLS)
    spool = d.run_dir + "/audit.spool"
    os.kill(d.children("coordinator")[0]["pid"], signal.SIGSTOP)
    d.ctl("breakers", "open", "embedder")
    d.ctl("breakers", "close", "embedder")
    d.kill_master()
    assert rows(d) == []
    with open(spool, "rb") as f:
        unconfirmed = f.read()
    d.start()
    expected = [(account.UID, "breaker", "open"), (account.UID, "breaker", "close")]
    assert [(r["uid"], r["verb"], r["arguments"]["order"]) for r in wait_rows(d, 2)] == expected
    d.kill_master()
    with open(spool, "r+b") as f:  # as if it had died before it heard that they are written
        f.write(unconfirmed)
    d.start()
    assert "records=2" in d.log()
    d.ctl("breakers", "probe", "embedder")
    expected.append((account.UID, "breaker", "probe"))
    assert [(r["uid"], r["verb"], r["arguments"]["order"]) for r in wait_rows(d, 3)] == expected
    d.stop()
    assert not os.path.exists(spool), "nothing is left to be written"


def test_only_operators_read_it(daemon):
    d = daemon(pools=POOLS)
    assert d.http("GET", "/v1/audit").status == 403, "a token is a user"
    assert d.http("GET", "/v1/audit", unix=True).status == 200


def test_what_is_not_the_verbs_own_is_not_written(daemon):
    d = daemon(pools=POOLS)
    connection = control.Control(d.run_dir + "/control.sock")
    with pytest.raises(control.Refused):
        connection.call("breaker", service="nowhere", key="sk-secret")
    connection.close()
    row = wait_rows(d, 1)[0]
    assert (row["verb"], row["result"]) == ("breaker", "not_found")
    assert row["arguments"] == {"service": "nowhere", "***": 1}
    assert "sk-secret" not in d.log()


def test_the_order_to_stop_is_written_before_the_end(daemon):
    d = daemon(pools=POOLS)
    d.ctl("stop")
    assert [(r["verb"], r["arguments"]) for r in rows(d)] == [("stop", {"mode": "drain"})]
    assert "not known to be" not in d.log()
    d.start()


def test_records_of_an_outage_come_once_and_with_their_time(daemon, own_cluster):
    d = daemon(pools=POOLS, database=own_cluster.create_database())
    own_cluster.stop(immediate=True)
    for order in ("open", "close", "open"):
        d.ctl("breakers", order, "embedder")
    assert d.status()["audit"] == {"pending": 3, "dropped": 0}
    os.kill(d.children("coordinator")[0]["pid"], signal.SIGKILL)
    time.sleep(1)
    own_cluster.start()
    wait_for(lambda: d.status()["audit"]["pending"] == 0, 40, "the records to be written", dump=d.log)
    assert [r["arguments"]["order"] for r in rows(d)] == ["open", "close", "open"]
    assert d.sql("SELECT bool_and(now() - at BETWEEN '1 s' AND '60 s') FROM upload_pipeline.audit_log") == [(True,)]


def test_a_record_that_is_sent_twice_is_written_once(daemon):
    d = daemon(pools=POOLS)
    stop = time.monotonic() + 3
    sent = 0
    while time.monotonic() < stop:  # the coordinator dies between writing and saying so, now and then
        d.ctl("breakers", "probe" if sent % 2 else "open", "embedder")
        sent += 1
        if sent % 5 == 0:
            for child in d.children("coordinator"):
                if child["pid"]:
                    os.kill(child["pid"], signal.SIGKILL)
    wait_for(lambda: d.status()["audit"]["pending"] == 0, 40, "the records to be written", dump=d.log)
    assert d.sql("SELECT count(*), count(DISTINCT (incarnation, seq)), max(seq) FROM upload_pipeline.audit_log") == [
        (sent, sent, sent)]


def test_a_worker_can_neither_change_nor_remove_records(daemon):
    d = daemon(pools=POOLS)
    d.ctl("breakers", "open", "embedder")
    wait_rows(d, 1)
    for statement in ("UPDATE upload_pipeline.audit_log SET uid = 1", "DELETE FROM upload_pipeline.audit_log"):
        with pytest.raises(Exception, match="permission denied"):
            d.sql(f"SET ROLE docmill_worker; {statement}")
    for role in ("docmill_api", "docmill_user"):
        with pytest.raises(Exception, match="permission denied"):
            d.sql(f"SET ROLE {role}; SELECT * FROM upload_pipeline.audit_log")
    d.sql("SET ROLE docmill_worker; SELECT upload_pipeline.forget_audit(0, 1000); RESET ROLE")
    assert len(rows(d)) == 1, "a day at least"
    d.sql("UPDATE upload_pipeline.audit_log SET at = at - interval '25 hours'")
    d.sql("SET ROLE docmill_worker; SELECT upload_pipeline.forget_audit(0, 1000); RESET ROLE")
    assert rows(d) == []


# ---- with helpers ----


def written(m):
    """What coordinators were told: (seq, verb, result), each time."""
    try:
        with open(m.run_dir + "/audit.log", encoding="utf-8") as f:
            return [(int(p[0]), p[2], p[4].strip()) for p in (line.split(" ") for line in f)]
    except FileNotFoundError:
        return []


def test_every_verb_that_wants_more_than_read_leaves_a_record(master):
    """Also one that came to nothing, and also verbs that are added: the list is the sources'."""
    with open(SOURCE + "/src/proc/control.h", encoding="utf-8") as f:
        verbs = re.findall(r'X\([A-Z_]+, "([a-z_-]+)", CONTROL_(?:OPERATE|ADMIN)', f.read())
    assert {"scale", "drain", "stop"} < set(verbs)
    m = master(COORDINATOR, pool("good"))
    m.wait_phase("good", "ready")
    for verb in verbs:
        with contextlib.suppress(control.Refused):
            control.call(m.socket, verb, **({"mode": "slowly"} if verb == "stop" else {}))
    wait_for(lambda: len(written(m)) > len(verbs), 10, "the records, and the reload's end", dump=m.log)
    assert [verb for _, verb, _ in written(m) if verb != "reload"] == [v for v in verbs if v != "reload"]
    assert [verb for _, verb, _ in written(m)].count("reload") == 2, "when it begins and when it is over"


def test_a_successor_gets_what_was_not_confirmed(master):
    m = master(pool("lazy-coordinator", "coordinator"), pool("good"))
    m.wait_phase("lazy-coordinator", "ready")
    for _ in range(40):
        control.call(m.socket, "breaker", service="embedder", order="open")
    wait_for(lambda: len(written(m)) == 32, 10, "as many as may be on their way")
    assert m.status()["audit"] == {"pending": 40, "dropped": 0}
    os.kill(m.child("lazy-coordinator")["pid"], signal.SIGKILL)
    wait_for(lambda: len(written(m)) == 64, 10, "the same again")
    assert [seq for seq, _, _ in written(m)] == 2 * list(range(1, 33))


def test_more_than_fit_are_dropped_counted_and_said(master):
    m = master(pool("lazy-coordinator", "coordinator"), pool("good"))
    m.wait_phase("lazy-coordinator", "ready")
    connection = control.Control(m.socket)
    for _ in range(1030):
        connection.call("breaker", service="embedder", order="open")
    assert m.status()["audit"] == {"pending": 1024, "dropped": 6}
    assert m.log().count("records are not written") == 1
    connection.call("stop", mode="now")
    connection.close()
    m.ends(10)
    assert m.log().count("not known to be") == 1024 and "records=7" in m.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the caller is another user")
def test_refusals_are_recorded_but_cannot_fill_the_log(master, programs):
    m = master(COORDINATOR, pool("good"), keys={"control.read_group": "games"})
    m.wait_phase("good", "ready")
    code = f"""
import os, sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
from harness import control
c = control.Control({m.socket!r})
for _ in range(100):
    try: c.call("stop", mode="now")
    except control.Refused: pass
"""
    subprocess.run(["/usr/bin/python3", "-c", code], check=True, timeout=20, user=STRANGER, group=STRANGER,
                   extra_groups=[grp.getgrnam("games").gr_gid])
    wait_for(lambda: m.status()["audit"]["pending"] == 0, 10, "the records to be written")
    assert [(verb, result) for _, verb, result in written(m)] == 60 * [("stop", "forbidden")]
    assert m.status()["audit"]["dropped"] == 40
