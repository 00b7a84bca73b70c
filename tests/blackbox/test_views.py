"""workers, pools and status --watch: what an operator looks at"""

import json
import os
import signal
import subprocess

from harness import account
from harness.account import wait_for
from harness.terminal import Terminal

POOLS = [{"name": "coordinator", "role": "coordinator"}, {"name": "api", "role": "api", "min": 1, "max": 1},
         {"name": "work", "role": "worker", "min": 2, "max": 2}, {"name": "more", "role": "worker", "min": 1, "max": 1}]


def test_workers_are_shown_with_what_they_used(daemon):
    one = daemon(pools=POOLS)
    one.put(b"# Seen\n\nA document for the workers.", "seen.md")
    rows = one.ctl("workers")
    assert sorted(r["pool"] for r in rows) == ["more", "work", "work"]
    assert {r["pid"] for r in rows} == {c["pid"] for c in one.children("worker")}
    assert all(r["cpu_ms"] >= 0 and r["memory_bytes"] > 0 and r["jobs"] == [] for r in rows)
    assert sum(r["jobs_done"] for r in rows) == 1
    assert [r["pool"] for r in one.ctl("workers", "more")] == ["more"]
    assert [r["pool"] for r in one.ctl("workers", "api", "more")] == ["api", "more"], "of any role if it is named"
    assert len(one.ctl("workers", "--all")) == 5
    shown = one.ctl("workers", as_json=False).stdout.splitlines()
    assert shown[0].split() == ["POOL", "PID", "PHASE", "STAGE", "JOB", "FOR", "DONE", "FAILED", "CPU", "MEMORY", "NOTE"]
    assert len(shown) == 4
    wrong = one.ctl("workers", "nix", check=False, as_json=False)
    assert wrong.returncode == 4 and 'there is no pool "nix"' in wrong.stderr and "docmillctl pools" in wrong.stderr


def test_a_worker_shows_the_job_in_hand(daemon):
    one = daemon(pools=POOLS[:2] + [{"name": "work", "role": "worker", "min": 1, "max": 1}])
    worker, job = one.hold_worker()
    try:
        (row,) = one.ctl("workers")
        assert (row["in_hand"], [j["job_id"] for j in row["jobs"]]) == (1, [job])
        line = one.ctl("workers", as_json=False).stdout.splitlines()[1]
        assert line.split()[:3] == ["work", str(worker), "busy"] and f" {job} " in line
        (pool,) = [p for p in one.ctl("pools") if p["name"] == "work"]
        assert (pool["in_hand"], pool["busy"]) == (1, 1)
    finally:
        os.kill(worker, signal.SIGCONT)
    one.wait_all()


def test_pools_are_summed_up(daemon):
    one = daemon(pools=POOLS)
    for i in range(3):
        one.put(f"# Number {i}\n\ntext {i}".encode(), f"n{i}.md")
    rows = {r["name"]: r for r in one.ctl("pools")}
    assert list(rows) == ["coordinator", "api", "work", "more"]
    assert (rows["work"]["size"], rows["work"]["ready"], rows["more"]["size"]) == (2, 2, 1)
    assert rows["work"]["done"] + rows["more"]["done"] == 3
    assert rows["coordinator"]["busy"] == 0, "it has no job in hand"
    assert rows["api"]["done"] > 0 and rows["api"]["memory_bytes"] > 0
    shown = one.ctl("pools", as_json=False).stdout.splitlines()
    assert len(shown) == 5 and shown[0].startswith("POOL ")
    one.ctl("drain", "more")
    wait_for(lambda: any(line.startswith("more ") and "DRAINED" in line
                         for line in one.ctl("pools", as_json=False).stdout.splitlines()), 10, "the drain to be shown")
    gone = account.run([f"{one.programs}/docmillctl", "pools", "--run-dir", one.dir + "/nowhere"], check=False)
    assert gone.returncode == 3 and "systemctl start docmill" in gone.stderr


def watching(one, *more, **popen):
    return account.popen([f"{one.programs}/docmillctl", "status", "--run-dir", one.run_dir, "--watch", "--interval",
                          "100ms", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen)


def test_status_is_watched_by_a_program_over_a_restart(daemon):
    one = daemon(pools=POOLS)
    watch = watching(one, "--json")
    first = json.loads(watch.stdout.readline())
    assert first["pid"] == one.pid
    one.stop()
    assert "no answer for 0s: " in watch.stderr.readline()
    one.start()
    line = wait_for(lambda: next((j for j in [json.loads(watch.stdout.readline())] if j["pid"] == one.pid), None), 20,
                    "the new daemon to be seen")
    assert line["incarnation"] != first["incarnation"]
    watch.send_signal(signal.SIGINT)
    assert watch.wait(10) == -signal.SIGINT
    watch.stdout.close()
    watch.stderr.close()
    mistyped = one.ctl("status", "--watch", "--interval", "5x", check=False, as_json=False)
    assert mistyped.returncode == 2 and "such as 500ms or 2s" in mistyped.stderr
    one.stop()
    assert one.ctl("status", "--watch", check=False, as_json=False, timeout=10).returncode == 3, "not there at first"


def test_status_is_watched_on_a_terminal(daemon):
    one = daemon(pools=POOLS)
    terminal = Terminal([f"{one.programs}/docmillctl", "status", "--watch", "--interval", "100ms", "--run-dir",
                         one.run_dir], rows=8, columns=60)
    try:
        page = terminal.wait_page(lambda p: "POOL" in p, "a page")
        lines = page.split("\n")
        assert len(lines) == 7, "one row is left for the shell"
        assert all(len(line) <= 60 for line in lines), page
        terminal.resize(20, 100)
        terminal.wait_page(lambda p: "NOTE" in p and "more" in p, "a page of the new size")
        one.stop()
        terminal.wait_page(lambda p: p.startswith("no answer for "), "the page to say that the daemon is away")
        one.start()
        terminal.wait_page(lambda p: p.startswith("docmill "), "the page to come back", limit=20)
        terminal.type("\x03")
        assert terminal.wait_end() == -signal.SIGINT
        assert terminal.is_restored()
    finally:
        terminal.close()
