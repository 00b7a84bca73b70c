"""log level: how much the log tells, set while the daemon runs"""

import glob
import json
import os
import re
import signal

from harness.account import wait_for

POOLS = [{"name": "coordinator", "role": "coordinator"}, {"name": "api", "role": "api", "min": 1, "max": 1},
         {"name": "work", "role": "worker", "min": 1, "max": 1}]
SOURCES = os.path.join(os.path.dirname(__file__), "..", "..", "src")


def level_of(answer, module):
    return next(m["level"] for m in answer["modules"] if m["module"] == module)


def debug_requests(one):
    one.http("GET", "/livez")
    return len(re.findall(r"level=debug .*module=http msg=request", one.log()))


def wait_debug(one):
    before = debug_requests(one)
    wait_for(lambda: debug_requests(one) > before, 10, "requests to be logged", dump=one.log)


def test_a_modules_level_is_set_in_every_process_and_outlives_children(daemon):
    one = daemon(pools=POOLS)
    assert one.ctl("log", "level")["level"] == "info"
    assert debug_requests(one) == 0
    assert level_of(one.ctl("log", "level", "http", "debug"), "http") == "debug"
    wait_debug(one)
    api = one.children("api")[0]["pid"]
    os.kill(api, signal.SIGKILL)
    wait_for(lambda: one.children("api") and one.children("api")[0]["pid"] != api, 10, "another api child")
    one.wait_ready()
    wait_debug(one)
    assert "msg=connected" not in one.log(), "other modules tell what they told"

    one.ctl("log", "level", "http", "default")
    seen = debug_requests(one)
    assert debug_requests(one) == seen
    one.ctl("log", "level", "http", "debug")
    one.stop()
    one.start()
    assert level_of(one.ctl("log", "level"), "http") == "info", "the next daemon begins with its configuration"


def test_the_general_level_is_of_every_module(daemon):
    one = daemon(pools=POOLS, keys={"log.level": "warn"})
    assert one.ctl("log", "level")["level"] == "warn"
    one.ctl("log", "level", "pg", "error")
    answer = one.ctl("log", "level", "debug")
    assert answer["level"] == "debug" and {m["level"] for m in answer["modules"]} == {"debug"}
    wait_debug(one)
    answer = one.ctl("log", "level", "all", "default")
    assert answer["level"] == "warn" and not any(m["own"] for m in answer["modules"])
    shown = one.ctl("log", "level", "http", "info", as_json=False).stdout.split()
    assert shown == ["MODULE", "LEVEL", "http", "info"]
    table = one.ctl("log", "level", as_json=False).stdout.splitlines()
    assert table[1].split() == ["all", "warn"] and "http         info" in table and "worker       as all" in table
    assert one.ctl("log", "level", "worker", as_json=False).stdout.split()[2:] == ["worker", "warn"]
    rows = wait_for(lambda: one.sql("SELECT arguments FROM upload_pipeline.audit_log WHERE verb = 'log_level' ORDER BY id"),
                    10, "the audit log to have it")
    assert rows[0][0] == {"module": "pg", "level": "error"}


def test_what_is_no_module_or_level_is_said(daemon):
    one = daemon(pools=POOLS)
    for words, reason in ((("htpp", "debug"), "not_found"), (("http", "loud"), "bad_request"), (("loud",), "not_found")):
        wrong = one.ctl("log", "level", *words, check=False)
        assert wrong.returncode == 4 and json.loads(wrong.stderr)["reason"] == reason, wrong
    assert one.ctl("log", "levels", check=False).returncode == 2
    assert one.ctl("log", check=False).returncode == 2


def test_every_module_of_the_sources_is_in_the_table():
    call = re.compile(r'log_(?:(?:debug|info|warn|error)\(|event\([^",]*,)\s*"([a-z_]+)"')
    used = set()
    for path in glob.glob(SOURCES + "/**/*.c", recursive=True):
        with open(path, encoding="utf-8") as f:
            used |= set(call.findall(f.read()))
    with open(SOURCES + "/core/log_modules.h", encoding="utf-8") as f:
        known = set(re.findall(r"X\(([a-z_]+), \"", f.read()))
    assert used == known
