"""Why a child died, said right: the kernel for memory, a hand, a crash, an exit, docmill itself and for what."""

import os
import secrets
import signal
import time

import pytest

from harness.account import wait_for
from harness.programs import build_dir
from harness.supervised import COORDINATOR, pool

MEMORY_GROUPS = "/sys/fs/cgroup/memory"


def death(m, pool_name, limit=20):
    return wait_for(lambda: next((d for d in m.status()["deaths"] if d["pool"] == pool_name), None), limit,
                    f"{pool_name} to die", dump=m.log)


@pytest.fixture
def memory_group():
    """A v1 memory control group of 128 MB."""
    if os.geteuid() != 0 or not os.path.exists(MEMORY_GROUPS + "/memory.oom_control"):
        pytest.skip("needs root and a v1 memory control group")
    with open("/proc/self/cgroup", encoding="ascii") as f:
        ours = next(line.rstrip("\n").split(":", 2)[2] for line in f if ":memory:" in line)
    group = f"{MEMORY_GROUPS}{ours if ours != '/' else ''}/docmill-test-{secrets.token_hex(4)}"
    try:
        os.mkdir(group)
        with open(group + "/memory.limit_in_bytes", "w", encoding="ascii") as f:
            f.write(str(128 << 20))
    except OSError as fault:
        pytest.skip(f"no control group can be made here: {fault}")
    yield group

    def removed():
        try:
            os.rmdir(group)
            return True
        except OSError:
            return False

    wait_for(removed, 20, "the group to be empty")


@pytest.mark.skipif("asan" in build_dir(), reason="shadow memory does not fit")
def test_a_kill_by_the_kernel_for_memory_is_named_as_such(memory_group, request):
    master = request.getfixturevalue("master")  # after the group: it ends first
    m = master(COORDINATOR, pool("glutton"), pool("good"), group=memory_group)
    d = death(m, "glutton", 40)
    assert d["cause"] == "killed by the kernel (signal 9): its control group ran out of memory", m.log()
    assert d["signal"] == 9 and not d["by_us"] and d["maxrss_kb"] > 50 << 10
    assert d["in_hand"] == 1 and d["stage"] == "chunking" and d["in_hand_ms"] > 100 and d["cpu_ms"] > 0
    os.kill(m.child("good")["pid"], signal.SIGKILL)
    assert death(m, "good")["cause"] == "killed by signal 9 (KILL), not by docmill", "a hand is a hand, in the same group"
    for p in (m.process.pid,):
        os.kill(p, signal.SIGTERM)
    m.process.wait(20)


def test_each_end_has_its_own_words(master):
    m = master(COORDINATOR, pool("vanish"), pool("fatal"), pool("fragile"), pool("good"), pool("holder"),
               keys={"supervise.backoff_first": "30s"})
    os.kill(m.wait_phase("good", "ready")["pid"], signal.SIGTERM)
    assert death(m, "good")["cause"] == "killed by signal 15 (TERM), not by docmill"
    assert death(m, "vanish")["cause"] == "exited with status 3" and death(m, "vanish")["exit_code"] == 3
    assert death(m, "fatal")["cause"] == "exited with status 70: bad_request: it is written so"
    assert death(m, "fragile")["cause"].startswith("killed by signal 6 (ABRT), not by docmill")
    time.sleep(0.3)
    m.call("restart", pool="good")
    os.kill(m.child("holder")["pid"], signal.SIGKILL)
    d = death(m, "holder")
    assert d["in_hand"] == 2 and d["torn"] and d["stage"] == "chunking"
