"""events: listed by page, followed without a gap and without an echo"""

import json
import random
import subprocess
import threading
import time
import uuid

import psycopg

from harness import account
from harness.account import wait_for

POOLS = [{"name": "coordinator", "role": "coordinator"}, {"name": "api", "role": "api", "min": 1, "max": 2},
         {"name": "work", "role": "worker", "min": 1, "max": 1}]

INSERT = ("INSERT INTO upload_pipeline.events (job_id, document_id, user_id, lease, from_status, to_status, from_state,"
          " to_state, attempt, actor, reason) SELECT gen_random_uuid(), gen_random_uuid(), %s, 0, 1, 1, 1, 1, 0, 8, 'made'"
          " FROM generate_series(1, %s) RETURNING id")


class Follower:
    """`docmillctl events --follow --json`, its lines collected."""

    def __init__(self, one, *more):
        self.process = account.popen([f"{one.programs}/docmillctl", "events", "--follow", "--json", "--run-dir",
                                      one.run_dir, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.ids, self.rows = [], []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            row = json.loads(line)
            self.rows.append(row)
            self.ids.append(row["id"])

    def wait(self, ids, limit=15):
        wait_for(lambda: set(ids) <= set(self.ids), limit, f"events {sorted(ids)[:5]}... to be told",
                 dump=lambda: str(self.ids[-20:]))

    def end(self):
        self.process.terminate()
        self.process.wait(10)
        self.reader.join(10)
        said = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return said


def connect(one):
    return psycopg.connect(one.database.migrate_url)


def test_events_are_listed_in_pages_and_only_ones_own(daemon):
    one = daemon(pools=POOLS)
    done = one.put(b"# One\n\nsome text", "one.md")
    mine = one.ctl("events")
    assert [e["to_status"] for e in mine] == ["uploaded", "complete"]
    assert {e["document_id"] for e in mine} == {done["document_id"]} and mine[1]["hops"]
    with connect(one) as c:
        others = [r[0] for r in c.execute(INSERT, (uuid.uuid4(), 7)).fetchall()]
    assert one.ctl("events") == mine, "another's events are not shown"
    everybody = [e["id"] for e in one.ctl("events", "--all")]
    assert everybody == sorted(everybody) and set(others) < set(everybody)
    assert [e["id"] for e in one.ctl("events", "--all", "-n", 3)] == everybody[-3:]
    after = [e["id"] for e in one.ctl("events", "--all", "--after", others[2])]
    assert after == others[3:], "on from there, oldest first"
    text = one.ctl("events", as_json=False).stdout.splitlines()
    assert len(text) == 2 and text[1].endswith("uploaded > complete (done), by worker"), text
    assert text[1].startswith(mine[1]["at"] + "  ") and mine[1]["at"].endswith("Z"), text
    page = one.http("GET", f"/v1/events?before={others[0]}&limit=1").json["events"]
    assert [e["id"] for e in page] == [mine[1]["id"]]


def test_wrong_questions_about_events_are_refused(daemon):
    one = daemon(pools=POOLS)
    assert one.http("GET", "/v1/events?all=1").reason == "forbidden", "over TCP nobody is an operator"
    assert one.http("GET", "/v1/events?after=1&before=2").reason == "bad_request"
    assert one.http("GET", "/v1/events?after=x").reason == "bad_request"
    assert one.http("GET", "/v1/events?limit=5000").reason == "bad_request"
    assert one.http("GET", "/v1/events?follow=yes").reason == "bad_request"
    assert one.ctl("events", "--after", "x", check=False).returncode == 2
    none = one.ctl("events", check=False, as_json=False)
    assert (none.returncode, none.stderr) == (0, "no events\n")


def test_an_event_that_commits_late_is_told_once(daemon):
    one = daemon(pools=POOLS)
    user = uuid.uuid4()
    with connect(one) as c:
        before = [r[0] for r in c.execute(INSERT, (user, 30)).fetchall()]
    follower = Follower(one, "--all", "-n", "3")
    try:
        follower.wait(before[-3:])
        slow, quick = connect(one), connect(one)
        held = [r[0] for r in slow.execute(INSERT, (user, 2)).fetchall()]
        later = [r[0] for r in quick.execute(INSERT, (user, 1500)).fetchall()]
        quick.commit()
        assert max(held) < min(later)
        follower.wait(later)
        again = [r[0] for r in quick.execute(INSERT, (user, 1)).fetchall()]
        quick.commit()
        follower.wait(again)
        assert not set(held) & set(follower.ids)
        given_up = connect(one)
        given_up.execute(INSERT, (user, 5))
        slow.commit()
        follower.wait(held)
        given_up.rollback()
        last = [r[0] for r in quick.execute(INSERT, (user, 3)).fetchall()]
        quick.commit()
        follower.wait(last)
        for c in (slow, quick, given_up):
            c.close()
    finally:
        follower.end()
    assert follower.ids == before[-3:] + later + again + held + last, "each once, in the order in which they came"


def test_many_writers_are_followed_without_a_gap_or_an_echo(daemon):
    one = daemon(pools=POOLS)
    with connect(one) as c:
        known = [r[0] for r in c.execute(INSERT, (uuid.uuid4(), 1)).fetchall()]
    followers = [Follower(one, "--all"), Follower(one, "--all")]
    written, lock = [], threading.Lock()

    def write(seed):
        chance = random.Random(seed)
        with connect(one) as c:
            for _ in range(25):
                ids = [r[0] for r in c.execute(INSERT, (uuid.uuid4(), chance.randint(1, 4))).fetchall()]
                time.sleep(chance.choice((0, 0.002, 0.01, 0.08)))
                if chance.random() < 0.2:
                    c.rollback()
                    continue
                c.commit()
                with lock:
                    written.extend(ids)

    for follower in followers:
        follower.wait(known)
    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    try:
        for follower in followers:
            follower.wait(written)
    finally:
        for follower in followers:
            follower.end()
    for follower in followers:
        ours = [i for i in follower.ids if i >= min(written)]
        assert len(ours) == len(set(ours)) and set(ours) == set(written)


def test_a_follower_outlives_the_daemon(daemon):
    one = daemon(pools=POOLS)
    one.put(b"# Before\n\ntext", "before.md")
    follower = Follower(one)
    try:
        wait_for(lambda: len(follower.ids) == 2, 10, "what was before")
        first = one.put(b"# During\n\ntext", "during.md")
        wait_for(lambda: [r["document_id"] for r in follower.rows[2:]] == [first["document_id"]] * 2, 10, "two events",
                 dump=lambda: str(follower.rows))
        one.stop()
        assert "waiting for the daemon: no docmill API answers" in follower.process.stderr.readline()
        with connect(one) as c:
            user = follower.rows[0]["user_id"]
            missed = [r[0] for r in c.execute(INSERT, (user, 3)).fetchall()]
        one.start()
        follower.wait(missed)
    finally:
        said = follower.end()
    assert follower.ids[-3:] == missed and len(follower.ids) == 7
    assert said == "", "said once"
