"""test_live.py - scripts/live, pointed at the stand-ins instead of the services: what it agrees with, finds and refuses"""

import os
import subprocess

import pytest

from harness import account
from harness.daemon import free_port
from harness.programs import SOURCE, build_dir

OPENAI_KEY, LLAMA_KEY = "sk-live-0123456789abcdef", "llx-live-0123456789"


@pytest.fixture
def openai(mock):
    return mock("openai", "--key", OPENAI_KEY)


@pytest.fixture
def llama(mock):
    return mock("llamaparse", "--key", LLAMA_KEY, "--job-ms", "100")


def live(*arguments, openai=None, llama=None, stdin=subprocess.DEVNULL, **more):
    """Its exit status and what it printed."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "LLAMA_CLOUD_")) and "proxy" not in k.lower()}
    env["DOCMILL_BUILD"] = build_dir()
    if openai:
        env.update(OPENAI_API_KEY=OPENAI_KEY, OPENAI_BASE_URL=openai.url + "/v1")
    if llama:
        env.update(LLAMA_CLOUD_API_KEY=LLAMA_KEY, LLAMA_CLOUD_BASE_URL=llama.url)
    env.update(more)
    done = subprocess.run([os.path.join(SOURCE, "scripts", "live"), "--no-install", *arguments], env=env, text=True,
                          stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
    assert OPENAI_KEY not in done.stdout and LLAMA_KEY not in done.stdout
    return done.returncode, done.stdout


def requests_of(mock):
    return [e for e in mock.journal() if not e["path"].startswith("/__")]


def test_it_agrees_with_the_stand_ins(openai, llama):
    status, said = live("--yes", openai=openai, llama=llama)
    assert status == 0, said
    for name in ("openai/embeddings_base64", "openai/error_invalid_api_key", "llamaparse/v1_result_json",
                 "llamaparse/v1_job_error", "llamaparse/v2_completed", "llamaparse/v1_invalid"):
        assert f"agrees   {name}" in said, said
    assert "differs" not in said and "not run  callback: asked for by --public-url" in said
    assert "not run  fixture openai/error_slow_down" in said
    assert "costs at most 0.00375 USD" in said and "0 differences; 0 steps asked for and not run" in said


@pytest.mark.parametrize("fault, finds", [
    ({"float_only": {"probability": 1}}, "openai/embeddings_base64: $.data[].embedding: is a list, in the fixture a string"),
    ({"no_usage": {"probability": 1}}, "openai/embeddings_float: $.usage: is missing"),
    ({"wrong_dimension": {"probability": 1, "count": 1}}, "numbers as text, "),
    ({"malformed_body": {"probability": 1, "count": 1}}, "no JSON"),
    ({"status": {"probability": 1, "status": 500, "count": 1}}, "openai/embeddings_float: status 500 instead of 200")])
def test_it_finds_what_differs_in_embeddings(openai, fault, finds):
    openai.faults(**fault)
    status, said = live("--yes", "--only", "embeddings", openai=openai)
    assert status == 1 and finds in said, said


@pytest.mark.parametrize("fault, finds", [
    ({"unknown_status": {"probability": 1}}, "the job ended as "),
    ({"job_error": {"probability": 1}}, "llamaparse/v1_job_success: $.error_code: is not in the fixture (a string)"),
    ({"malformed_body": {"probability": 1, "body": "{\"id\": 7}"}}, "llamaparse/v1_upload: $.status: is missing")])
def test_it_finds_what_differs_in_parsing(llama, fault, finds):
    llama.faults(**fault)
    status, said = live("--yes", "--only", "parse-v1", llama=llama)
    assert status == 1 and finds in said, said


def test_the_ceiling_stops_it_before_the_request(openai, llama):
    status, said = live("--ceiling", "0.001", "--only", "embeddings,parse-v1,parse-v2", openai=openai, llama=llama)
    assert status == 1 and "not run  parse-v1: the ceiling: it could cost 0.00375 USD" in said, said
    assert "not run  parse-v2: the ceiling was reached before" in said
    assert "agrees   openai/embeddings_float" in said and not requests_of(llama)


def test_what_was_spent_counts_against_the_ceiling(llama):
    status, said = live("--ceiling", "0.0074", "--only", "parse-v1,parse-v2", llama=llama)
    assert status == 1 and "agrees   llamaparse/v1_result_json" in said, said
    assert "not run  parse-v2: the ceiling: it could cost 0.00375 USD; 0.00375 USD of the ceiling" in said
    assert llama.usage()["pages"] == 1


def test_a_ceiling_of_nothing_sends_nothing(openai):
    status, said = live("--ceiling", "0", openai=openai)
    assert status == 1 and "not run  embeddings: the ceiling" in said, said
    assert not requests_of(openai)


@pytest.mark.parametrize("arguments, env, says", [
    ((), {}, "set OPENAI_API_KEY (or OPENAI_BASE_URL for a server without keys), LLAMA_CLOUD_API_KEY, or both"),
    (("--only", "parse-v1"), {"OPENAI_API_KEY": OPENAI_KEY}, "parse-v1: set LLAMA_CLOUD_API_KEY"),
    (("--public-url", "https://x.test"), {"OPENAI_API_KEY": OPENAI_KEY}, "callback: set LLAMA_CLOUD_API_KEY"),
    (("--public-url", "http://x.test"), {"LLAMA_CLOUD_API_KEY": LLAMA_KEY}, "--public-url: begins with https://"),
    ((), {"OPENAI_API_KEY": OPENAI_KEY, "OPENAI_MODEL": "other"}, "set OPENAI_PRICE"),
    (("--ceiling", "-1"), {"OPENAI_API_KEY": OPENAI_KEY}, "no amount of US dollars"),
    (("--only", "all"), {"OPENAI_API_KEY": OPENAI_KEY}, "--only: all is none of"),
    (("--nothing",), {"OPENAI_API_KEY": OPENAI_KEY}, "unknown argument --nothing")])
def test_it_refuses_without_keys_and_prices(arguments, env, says):
    status, said = live(*arguments, **env)
    assert status == 2 and says in said, said


def test_a_server_without_keys_is_asked_without_one(mock):
    server = mock("openai", "--style", "ollama", "--model", "mine:8")
    status, said = live("--yes", OPENAI_BASE_URL=server.url + "/v1", OPENAI_MODEL="mine", OPENAI_KIND="ollama",
                        OPENAI_PRICE="0")
    assert status == 0 and "agrees   openai/error_ollama_not_found" in said, said
    assert "not run  parse-v1: LLAMA_CLOUD_API_KEY is not set" in said


def test_on_a_terminal_it_asks_and_takes_no_for_an_answer(openai):
    program, terminal = os.openpty()
    os.write(program, b"n\n")
    env = {**{k: v for k, v in os.environ.items() if not k.startswith("LLAMA_CLOUD_")},
           "OPENAI_API_KEY": OPENAI_KEY, "OPENAI_BASE_URL": openai.url + "/v1"}
    try:
        done = subprocess.run([os.path.join(SOURCE, "scripts", "live"), "--only", "embeddings"], env=env, stdin=terminal,
                              stdout=terminal, stderr=terminal, timeout=60, check=False)
        said = os.read(program, 65536).decode()
    finally:
        os.close(program)
        os.close(terminal)
    assert done.returncode == 1 and "Send it? [y/N]" in said and "not run  embeddings: you said no" in said, said
    assert not requests_of(openai)


@pytest.mark.parametrize("fault, status, says", [
    ({}, 0, ["agrees   llamaparse/webhook_event", "the document is complete; it went on by "]),
    ({"webhook_badly_signed": {"probability": 1}}, 1, ["no callback was taken in 3 s; some were answered [401]"])])
def test_a_callback_is_checked_end_to_end_by_a_real_daemon(llama, fault, status, says):
    llama.faults(**fault)
    port = free_port()
    got, said = live("--yes", "--only", "callback", "--public-url", f"http://127.0.0.1:{port}", "--listen", str(port),
                     *(("--wait", "3") if status else ()), llama=llama)
    assert got == status and all(sentence in said for sentence in says), said
    assert llama.usage()["pages"] == 1
    left = [account.command_of(pid) for pid in account.descendants(os.getpid())]
    assert not [command for command in left if "dm-live" in command]


def test_nothing_is_sent_when_the_public_address_leads_elsewhere(llama):
    program = os.path.join(SOURCE, "tests", "live", "live.py")
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "LLAMA_CLOUD_API_KEY": LLAMA_KEY, "LLAMA_CLOUD_BASE_URL": llama.url,
           "LIVE_DAEMON": "http://127.0.0.1:1"}
    done = subprocess.run(["/usr/bin/python3", program, "--only", "callback", "--public-url", llama.url, "--listen",
                           str(free_port())], env=env, text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                          check=False)
    assert done.returncode == 1 and "the public address does not lead to 127.0.0.1:" in done.stdout, done
    assert llama.usage()["pages"] == 0
