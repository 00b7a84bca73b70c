"""test_ctl.py - docmillctl against a running daemon: what it prints, and its exit codes"""

import json
import os
import pty
import re
import select
import socket
import struct
import subprocess
import tempfile
import fcntl
import termios
import time

import psycopg
import pytest

from harness import account
from harness.cluster import Cluster
from harness.daemon import Daemon

TEXT = "# Sailing\n\nA yacht needs wind, a rudder and a crew.\n\n## Knots\n\nA bowline makes a fixed loop.\n"
OK, FAILED, USAGE, UNREACHABLE, REFUSED, SERVER, TIMEOUT = range(7)


@pytest.fixture(scope="module")
def shared(programs, cluster):
    database = cluster.create_database()
    one = Daemon(programs, database, {"limits.max_upload": "1MB"})
    try:
        one.migrate()
        one.start()
        yield one
    finally:
        one.close()
        database.drop()


@pytest.fixture
def files():
    """A factory of files that the daemon's account can read: not below pytest's own directory, which every run of pytest
    closes to others when it starts."""
    folder = tempfile.mkdtemp(prefix="dm-files-", dir="/tmp")
    os.chmod(folder, 0o755)

    def make(name, content):
        path = f"{folder}/{name}"
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, 0o644)
        return path

    yield make
    account.remove_tree(folder)


def ctl(one, *arguments, **more):
    return one.ctl(*arguments, check=False, as_json=False, **more)


def on_terminal(one, *arguments, columns=80, limit=60):
    """Runs docmillctl on a terminal; (exit code, everything it showed)."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = account.popen([f"{one.programs}/docmillctl", "--run-dir", one.run_dir, *arguments],
                            stdout=follower, stderr=follower)
    os.close(follower)
    shown, end = b"", time.monotonic() + limit
    while time.monotonic() < end:
        if select.select([leader], [], [], 0.1)[0]:
            try:
                shown += os.read(leader, 65536)
            except OSError:  # its last holder is gone, and everything was read
                break
    os.close(leader)
    return process.wait(10), shown.decode()


# --- the whole way


def test_upload_wait_search(shared, files):
    up = ctl(shared, "upload", files("sailing.md", TEXT))
    assert up.returncode == OK, up.stderr
    verdict, document, path = up.stdout.split()
    assert verdict == "accepted" and path.endswith("sailing.md")
    assert ctl(shared, "wait", document, "--timeout", "60s").returncode == OK
    found = ctl(shared, "search", "fixed", "loop", "-n", "1")
    assert found.returncode == OK and "sailing.md" in found.stdout and "Knots" in found.stdout
    assert "A bowline makes a fixed loop." in found.stdout and document in found.stdout
    again = ctl(shared, "upload", files("copy.md", TEXT))
    assert again.returncode == OK and again.stdout.startswith("known     " + document)
    shown = ctl(shared, "document", document)
    assert re.search(r"^status +complete$", shown.stdout, re.M) and "sailing.md" in shown.stdout
    job = ctl(shared, "job", document)
    assert re.search(r"worker +uploaded > complete +done", job.stdout), job.stdout
    listed = ctl(shared, "documents")
    assert listed.stdout.startswith("DOCUMENT") and document in listed.stdout


def test_many_files_in_parallel(shared, files):
    paths = [files(f"{i}.txt", f"file number {i}\n") for i in range(40)]
    done = ctl(shared, "upload", "--jobs", "8", "--lane", "bulk", *paths)
    assert done.returncode == OK and done.stdout.count("accepted") == 40, done.stderr
    assert ctl(shared, "wait", "--timeout", "90").returncode == OK
    names = {d["filename"] for d in shared.ctl("documents", "-n", "1000")}
    assert {f"{i}.txt" for i in range(40)} <= names


def test_json_everywhere(shared, files):
    (up,) = shared.ctl("upload", files("j.md", "# J\n\njson words\n"))
    assert up["created"] is True and up["file"].endswith("j.md")
    shared.ctl("wait", up["document_id"])
    assert shared.ctl("document", up["document_id"])["status"] == "complete"
    assert shared.ctl("job", up["job_id"])["events"][-1]["to_status"] == "complete"
    assert shared.ctl("search", "json", "words")[0]["document_id"] == up["document_id"]
    assert shared.ctl("jobs", "--state", "done")[0]["state"] == "done"
    assert shared.ctl("health")["ok"] is True and shared.ctl("status")["pools"]
    assert set(shared.ctl("version")) == {"docmillctl", "docmilld"}
    failed = shared.ctl("job", "00000000-0000-0000-0000-000000000001", check=False)
    assert failed.returncode == REFUSED and failed.stdout == ""
    assert json.loads(failed.stderr)["reason"] == "not_found"


def json_of(text):
    """One value, or one a line."""
    try:
        return [json.loads(text)]
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines()]


def test_every_command_speaks_json(shared, files):
    """Whatever comes of it; the commands are those that the help lists."""
    document = shared.ctl("upload", files("every.md", TEXT + "every\n"))[0]["document_id"]
    words = {"wait": [document], "search": ["loop"], "resume": ["all"], "log": ["level"], "scale": ["workers", "auto"],
             "top": ["-n", "1"], "upload": [files("another.md", "another\n")],
             **{c: [document] for c in ("document", "job", "reparse", "cancel", "retry", "delete")},
             **{c: ["workers"] for c in ("recycle", "restart", "reset", "drain")}}
    shown = account.run([f"{shared.programs}/docmillctl", "--help"]).stdout.split("Commands:")[1].split("\n\n")[0]
    listed = re.findall(r"^  ([a-z]+) +[A-Z]", shown, re.M)
    assert set(words) < set(listed) and len(listed) > 30, listed
    at_the_end = ["cancel", "retry", "delete", "drain"]
    for command in [c for c in listed if c not in at_the_end + ["stop"]] + at_the_end:
        done = ctl(shared, command, "--json", *words.get(command, []))
        assert json_of(done.stdout or done.stderr), (command, done)
        assert done.returncode in (OK, FAILED) or command in ("cancel", "retry", "reparse"), (command, done)
    assert shared.ctl("drain", "cancel")["pools"]


def test_retry_cancel_delete(shared, files):
    (up,) = shared.ctl("upload", files("r.md", "# R\n\nremove me\n"))
    shared.ctl("wait", up["document_id"])
    refused = ctl(shared, "retry", up["document_id"])
    assert refused.returncode == REFUSED and "job is done" in refused.stderr, refused.stderr
    assert ctl(shared, "cancel", up["job_id"]).returncode == REFUSED
    assert ctl(shared, "delete", up["document_id"]).stdout == f"deleted {up['document_id']}\n"
    assert ctl(shared, "document", up["document_id"]).returncode == REFUSED


# --- refusals


def test_a_bad_file_does_not_stop_the_others(shared, files):
    done = ctl(shared, "upload", files("empty.txt", b""), files("good.md", "# Good\n"), files("bin.dat", b"\0\1\2\3" * 50))
    assert done.returncode == REFUSED
    assert done.stdout.startswith("accepted") and "good.md" in done.stdout
    assert "empty.txt: The file is empty." in done.stderr and "bin.dat" in done.stderr and "hint:" in done.stderr
    assert "1 of 3 files uploaded" in done.stderr


def test_a_file_over_the_limit(shared, files):
    done = ctl(shared, "upload", files("large.txt", b"a" * 30 * 1024 * 1024))
    assert done.returncode == REFUSED and "larger than 1048576 bytes" in done.stderr, done.stderr


def test_files_that_are_none(shared):
    done = ctl(shared, "upload", "/nonexistent.md")
    assert done.returncode == USAGE and "/nonexistent.md: No such file or directory" in done.stderr
    done = ctl(shared, "upload", "/tmp")
    assert done.returncode == USAGE and "is a directory" in done.stderr and "hint:" in done.stderr


@pytest.mark.parametrize("arguments", [
    [], ["nope"], ["upload"], ["upload", "--jobs", "0", "x"], ["upload", "--lane", "fast", "x"], ["search"],
    ["jobs", "--state", "nonsense"], ["wait", "--timeout", "soon"], ["document"], ["document", "a", "b"],
    ["status", "--nope"], ["documents", "-n"], ["--run-dir"],
])
def test_wrong_command_lines(shared, arguments):
    done = account.run([f"{shared.programs}/docmillctl", *arguments], check=False)
    assert done.returncode == USAGE and done.stderr.startswith("docmillctl: ") and done.stdout == ""


def test_help_teaches(shared):
    top = account.run([f"{shared.programs}/docmillctl", "--help"]).stdout
    for code in range(7):
        assert re.search(rf"^  {code}  \w", top, re.M), "exit codes are documented"
    for verb in re.findall(r"^  ([a-z]+)  +[A-Z]", top, re.M):
        for form in (["help", verb], [verb, "--help"]):
            text = account.run([f"{shared.programs}/docmillctl", *form]).stdout
            assert text.startswith(f"usage: docmillctl {verb}") and f"  docmillctl {verb}" in text.split("Example")[1]


# --- no daemon


def test_no_daemon(shared, files):
    for arguments in (["status"], ["health"], ["jobs"], ["upload", files("x.md", "x\n")], ["wait"], ["stop"]):
        done = account.run([f"{shared.programs}/docmillctl", "--run-dir", "/nonexistent", *arguments], check=False)
        assert done.returncode == UNREACHABLE, (arguments, done)
        assert "/nonexistent/" in done.stderr and "hint:" in done.stderr and "start" in done.stderr
    done = account.run([f"{shared.programs}/docmillctl", "--run-dir", "/nonexistent", "version"])
    assert "does not run" in done.stdout


def test_run_dir_comes_from_the_environment_or_the_configuration(shared):
    program = f"{shared.programs}/docmillctl"
    assert account.run([program, "health"], env={"DOCMILL_RUN_DIR": shared.run_dir}).returncode == OK
    assert account.run([program, "-c", shared.conf, "health"]).returncode == OK
    assert account.run([program, "health", "--config=" + shared.conf]).returncode == OK
    missing = account.run([program, "-c", "/nonexistent.conf", "health"], check=False)
    assert missing.returncode == USAGE and "/nonexistent.conf" in missing.stderr


def test_stop_and_unhealthy(daemon):
    one = daemon()
    assert "alive     ok" in ctl(one, "health").stdout
    stopped = ctl(one, "stop")
    assert stopped.returncode == OK and stopped.stdout == "stopped\n"
    assert one.process.wait(10) == 0
    one.process = None
    assert ctl(one, "health").returncode == UNREACHABLE


# --- waiting


def test_wait_says_when_a_document_has_failed(daemon, files):
    one = daemon()
    done = ctl(one, "upload", files("cut.pdf", b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntruncated"))
    assert done.returncode == OK, done.stderr
    document = done.stdout.split()[1]
    waited = ctl(one, "wait", document, "--timeout", "60")
    assert waited.returncode == FAILED and "jobs --state deadletter" in waited.stderr
    assert ctl(one, "wait", "--timeout", "60").returncode == FAILED
    listed = ctl(one, "jobs", "--state", "deadletter")
    assert "failed_parse" in listed.stdout and "parse_" in listed.stdout
    assert "error" in ctl(one, "document", document).stdout


def test_wait_gives_up(daemon, files):
    one = daemon(pools=[{"name": "coordinator", "role": "coordinator", "min": 1, "max": 1},
                        {"name": "api", "role": "api", "min": 1, "max": 1}])
    assert ctl(one, "upload", files("w.md", "# W\n")).returncode == OK
    began = time.monotonic()
    done = ctl(one, "wait", "--timeout", "1500ms")
    assert done.returncode == TIMEOUT and "1 of 1 are not finished" in done.stderr
    assert 1.4 < time.monotonic() - began < 6


def test_wait_outlives_a_restart_of_the_database(daemon, files):
    cluster = Cluster.create()
    try:
        one = daemon(database=cluster.create_database(), pools=[
            {"name": "coordinator", "role": "coordinator", "min": 1, "max": 1},
            {"name": "api", "role": "api", "min": 1, "max": 1}])
        (up,) = one.ctl("upload", files("w.md", "# W\n"))
        waiting = account.popen([f"{one.programs}/docmillctl", "--run-dir", one.run_dir, "wait", "--timeout", "60"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(1)
        cluster.stop(immediate=True)
        time.sleep(2)
        assert waiting.poll() is None, "it goes on waiting"
        cluster.start()
        account.wait_for(lambda: ctl(one, "cancel", up["job_id"]).returncode == OK, 20, "the service to come back")
        assert waiting.wait(20) == FAILED or waiting.returncode == OK
        one.close()
    finally:
        cluster.remove()


# --- on a terminal


def test_a_table_fits_the_terminal(shared, files):
    (up,) = shared.ctl("upload", files("a-very-long-name-" + "x" * 150 + ".md", "# long name\n"))
    shared.ctl("wait", up["document_id"])
    code, shown = on_terminal(shared, "documents", "-n", "3", columns=90)
    lines = shown.replace("\r\n", "\n").strip("\n").split("\n")
    assert code == OK and lines[0].startswith("DOCUMENT")
    assert max(len(line) for line in lines) <= 90 and "\u2026" in shown
    piped = ctl(shared, "documents", "-n", "3").stdout
    assert "x" * 150 in piped, "nothing is cut in a pipe"


def test_the_progress_bar(shared, files):
    paths = [files(f"bar-{i}.txt", f"bar file {i}\n") for i in range(5)]
    assert ctl(shared, "upload", *paths).returncode == OK
    code, shown = on_terminal(shared, "wait", "--timeout", "60")
    assert code == OK and re.search(r"\[#{30}\] (\d+)/\1 finished", shown), shown
    lines = ctl(shared, "wait")
    assert lines.returncode == OK and "\033" not in lines.stderr and " finished" in lines.stderr


def test_nothing_in_a_document_steers_the_terminal(shared, files):
    (up,) = shared.ctl("upload", files("esc\u202egnp.md", "# evil\n\nescape \u009b31m sequence words\n"))
    shared.ctl("wait", up["document_id"])
    code, shown = on_terminal(shared, "search", "escape", "sequence", "words", "-n", "1")
    assert code == OK
    assert set(re.findall(r"\033\[[0-9;]*[a-zA-Z]", shown)) <= {"\033[1m", "\033[0m"}
    assert "\u009b" not in shown and "\u202e" not in shown


# --- standard output that takes nothing


@pytest.mark.parametrize("words", [["help"], ["status"], ["status", "--watch"], ["top", "--json", "-n", "1"]], ids=" ".join)
@pytest.mark.parametrize("sink", ["/dev/full", "closed"])
def test_output_that_is_lost_is_a_failure_and_is_said(shared, words, sink):
    command = [f"{shared.programs}/docmillctl", "--run-dir", shared.run_dir, *words]
    to = ">&-" if sink == "closed" else f">{sink}"
    got = account.run(["sh", "-c", f'"$@" {to}', "sh", *command], timeout=20, check=False)
    assert got.returncode == FAILED, got
    assert "cannot write to standard output" in got.stderr, got


def test_follow_ends_with_the_one_who_reads_it(shared):
    """Also if nothing happens that it could fail to write."""
    ctl(shared, "upload", __file__)
    command = f"{shared.programs}/docmillctl events --follow --all --run-dir {shared.run_dir}"
    got = account.run(["bash", "-c", f"{command} | head -1"], timeout=20, check=False)
    assert got.stdout.count("\n") == 1, got


@pytest.mark.parametrize("words", [["--json", "nosuch"], ["nosuch", "--json"], ["--json"]], ids=" ".join)
def test_an_unknown_command_is_told_in_json_too(shared, words):
    got = ctl(shared, *words)
    assert got.returncode == USAGE and json.loads(got.stderr)["exit"] == USAGE, got


@pytest.mark.parametrize("option", ["-T", "--example", "--help", "--version"])
def test_the_daemons_program_tells_what_it_could_not_print(shared, option):
    got = account.run(["sh", "-c", '"$@" >/dev/full', "sh", f"{shared.programs}/docmilld", "-c", shared.conf, option],
                      timeout=20, check=False)
    assert got.returncode == 1 and "standard output" in got.stderr, got


def test_a_service_without_an_order_is_not_asked_for_the_service(shared):
    got = ctl(shared, "breakers", "embedder")
    assert got.returncode == USAGE and '"embedder" is no order' in got.stderr, got


def test_version_does_not_call_a_daemon_gone_that_answers_otherwise(shared):
    with tempfile.TemporaryDirectory(prefix="dm-", dir="/tmp") as run_dir:
        os.chmod(run_dir, 0o755)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(run_dir + "/control.sock")
            other.listen(1)
            os.chmod(run_dir + "/control.sock", 0o600)
            got = account.run([f"{shared.programs}/docmillctl", "version", "--run-dir", run_dir], check=False)
    assert got.returncode == OK and "does not run" not in got.stdout and "is not known: " in got.stdout, got
    assert "does not run here" in account.run([f"{shared.programs}/docmillctl", "version", "--run-dir", "/nowhere"]).stdout


def test_the_log_tells_which_document_failed_and_why(shared):
    bad = shared.put(b"%PDF-1.4 and nothing else", "bad.pdf")
    line = next(li for li in shared.log().splitlines() if f"document={bad['document_id']}" in li)
    assert "reason=parse_corrupt" in line and "status=failed_parse" in line and f"job={bad['job_id']}" in line, line
