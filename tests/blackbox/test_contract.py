"""test_contract.py - the vendors' own npm clients run their normal flows against the stand-ins

scripts/test-contract installs the clients that tests/contract/package-lock.json names into build/contract. Where that was
not done, or was done for another list, the tests are left out and say so; DOCMILL_CONTRACT=required makes it a failure.
"""

import os
import re
import shutil
import subprocess

import pytest

from harness.programs import SOURCE

TESTS = os.path.join(SOURCE, "tests", "contract")
INSTALLED = os.path.join(SOURCE, "build", "contract")
RUN_LIMIT = 60


def content(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


@pytest.fixture
def clients(tmp_path):
    """A directory with the tests, beside the installed clients."""
    there = content(os.path.join(INSTALLED, "installed.json")) == content(os.path.join(TESTS, "package-lock.json"))
    if not there or not shutil.which("node"):
        (pytest.fail if os.environ.get("DOCMILL_CONTRACT") == "required" else pytest.skip)(
            "the vendors' clients are not installed: run scripts/test-contract once")
    for name in os.listdir(TESTS):
        if name.endswith(".mjs"):
            shutil.copy(os.path.join(TESTS, name), tmp_path)
    shutil.copy(os.path.join(TESTS, "package.json"), tmp_path)
    os.symlink(os.path.join(INSTALLED, "node_modules"), tmp_path / "node_modules")
    return tmp_path


def run(clients, name, **mocks):
    env = {**os.environ, **{f"MOCK_{k.upper()}": m.url for k, m in mocks.items()}, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(["node", "--test", "--test-reporter=tap", name], cwd=clients, env=env, capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=RUN_LIMIT)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(r"^# pass [1-9]", done.stdout, re.M), done.stdout


def test_openai(clients, mock):
    run(clients, "openai.test.mjs", openai=mock("openai"))


def test_llama_cloud(clients, mock):
    run(clients, "llamacloud.test.mjs", llamaparse=mock("llamaparse", "--job-ms", "200"))


def test_llamaparse_v1(clients, mock):
    run(clients, "llamaparse_v1.test.mjs", llamaparse=mock("llamaparse", "--job-ms", "0"))


def test_storage_by_supabase_and_aws(clients, mock):
    run(clients, "storage.test.mjs", supabase=mock("supabase"))
