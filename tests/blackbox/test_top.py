"""top: the daemon at work, full-screen, and a terminal that is as it was however it ends"""

import json
import os
import re
import signal
import time

import pytest

from harness import account, documents
from harness.account import wait_for
from harness.terminal import Terminal

POOLS = [{"name": "coordinator", "role": "coordinator"}, {"name": "api", "role": "api", "min": 1, "max": 1},
         {"name": "work", "role": "worker", "min": 3, "max": 3}]


def top(one, *more, rows=24, columns=120):
    return Terminal([f"{one.programs}/docmillctl", "top", "--interval", "200ms", "--run-dir", one.run_dir, *more],
                    rows=rows, columns=columns)


@pytest.fixture
def one(daemon):
    return daemon(pools=POOLS)


def wait_shown(terminal):
    return terminal.wait_page(lambda p: "POOL" in p and "(master)" in p, "a page")


def test_it_shows_processes_queue_and_throughput(one):
    terminal = top(one)
    try:
        page = wait_shown(terminal)
        assert terminal.on_other_screen() and "\x1b[?25l" in terminal.output
        lines = page.splitlines()
        assert lines[0].startswith("docmill ") and ": running, up " in lines[0]
        title = next(line for line in lines if line.startswith("POOL"))
        assert title.split() == ["POOL", "PID", "STATE", "STAGE", "JOB", "FOR", "DONE/S", "CPU", "MEMORY", "NOTE"]
        for child in one.children():
            assert re.search(rf"^{child['pool']} +{child['pid']} +(ready|busy) ", page, re.M), page
        assert re.search(rf"^\(master\) +{one.pid} +running .* \d+% ", page, re.M), page
        for i in range(20):
            one.upload(documents.markdown(f"Top {i}", seed=i), f"t{i}.md")
        busy = terminal.wait_page(lambda p: re.search(r"^jobs +([1-9][0-9.]*|0\.[1-9])/s done", p, re.M), "throughput")
        assert "stages/s" in busy and "chunking " in busy
        assert re.search(r"^work .* ([1-9][0-9.]*|0\.[1-9]) +\d+% ", busy, re.M), "a worker's own: " + busy
        one.wait_all()
        one.ctl("pause", "embed")
        terminal.wait_page(lambda p: "PAUSED    embedding, for " in p, "the pause")
        terminal.wait_page(lambda p: re.search(r"20 done and 0 failed", p), "the total")
        terminal.type("q")
        assert terminal.wait_end() == 0
        assert terminal.is_restored()
    finally:
        terminal.close()


def test_the_terminal_is_restored_whatever_signal_ends_it(one):
    for name in ("INT", "TERM", "HUP", "QUIT", "ABRT", "SEGV", "PIPE"):
        terminal = top(one)
        try:
            wait_shown(terminal)
            assert not terminal.is_restored()
            number = getattr(signal, "SIG" + name)
            os.kill(terminal.process.pid, number)
            assert terminal.wait_end() == -number
            assert terminal.is_restored(), (name, terminal.output[-200:])
        finally:
            terminal.close()


def test_it_can_be_stopped_and_taken_up_again_in_a_shell(one):
    shell = Terminal(["/bin/bash", "--norc", "--noediting", "-i"], rows=20, columns=100, env={"PS1": "ready> "})
    try:
        shell.type(f"{one.programs}/docmillctl top --interval 200ms --run-dir {one.run_dir}\n")
        wait_shown(shell)
        shell.type("\x1a")
        wait_for(lambda: "Stopped" in shell.read() and not shell.on_other_screen(), 10, "the shell to be back")
        assert shell.output.rfind("\x1b[?25l") < shell.output.rfind("\x1b[?25h")
        shell.output = ""
        shell.type("fg\n")
        wait_shown(shell)
        assert shell.on_other_screen()
        shell.type("q")
        wait_for(lambda: not shell.on_other_screen(), 10, "top to leave")
        shell.output = ""
        shell.type("echo status=$?; exit\n")
        shell.wait_end()
        assert "status=0" in shell.output
    finally:
        shell.close()


def test_it_follows_the_terminals_size_and_scrolls(one):
    terminal = top(one, rows=24, columns=120)
    try:
        wait_shown(terminal)
        terminal.resize(9, 50)
        page = terminal.wait_page(lambda p: len(p.splitlines()) == 8, "a small page")
        assert all(len(line) <= 50 for line in page.splitlines()), page
        assert "(master)" not in page
        terminal.type("\x1b[B" * 9)
        terminal.wait_page(lambda p: "(master)" in p and "coordinator" not in p, "the last processes")
        terminal.type("\x1b[5~\x1b[5~")
        terminal.wait_page(lambda p: "coordinator" in p, "the first processes")
        terminal.resize(1, 1)
        time.sleep(0.3)
        terminal.resize(24, 120)
        wait_shown(terminal)
        terminal.type("s")
        wait_for(lambda: "sort: cpu" in terminal.read(), 10, "another order")
        terminal.type("\x03")
        assert terminal.wait_end() == -signal.SIGINT
    finally:
        terminal.close()


def test_it_waits_for_a_daemon_that_goes_away(one):
    terminal = top(one)
    try:
        wait_shown(terminal)
        one.stop()
        gone = terminal.wait_page(lambda p: p.startswith("no answer for "), "the page to say so")
        assert "(master)" in gone, "the last page stays in view"
        one.start()
        back = terminal.wait_page(lambda p: p.startswith("docmill "), "the page to come back", limit=20)
        assert f"pid {one.pid}," in back
    finally:
        terminal.process.terminate()
        terminal.wait_end()
        terminal.close()


def test_it_ends_with_its_terminal(one):
    terminal = top(one)
    wait_shown(terminal)
    os.close(terminal.slave)
    os.close(terminal.master)
    assert terminal.process.wait(10) in (-signal.SIGHUP, 0)


def test_without_a_terminal_it_prints_pages_or_lines(one):
    one.put(b"# Done\n\ntext", "done.md")
    page = account.run([f"{one.programs}/docmillctl", "top", "-n", "1", "--run-dir", one.run_dir]).stdout
    assert page.startswith("docmill ") and "\x1b" not in page and "\x01" not in page and "(master)" in page
    lines = account.run([f"{one.programs}/docmillctl", "top", "--json", "-n", "2", "--interval", "100ms", "--run-dir",
                         one.run_dir]).stdout.splitlines()
    assert len(lines) == 2
    row = json.loads(lines[1])
    assert row["rates"]["done_per_s"] == 0 and row["rates"]["stages_per_s"]["chunking"] == 0
    assert all(c["cpu_percent"] >= 0 and c["memory_bytes"] > 0 for c in row["children"] if c["pid"])
    absent = account.run([f"{one.programs}/docmillctl", "top", "--run-dir", one.dir + "/no"], check=False)
    assert absent.returncode == 3
    assert one.ctl("top", "-n", "0", check=False).returncode == 2
