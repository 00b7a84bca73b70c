"""test_completion.py - what bash and zsh offer for docmillctl and docmilld, asked of real shells"""

import os
import shutil
import subprocess

import pytest

from harness.supervised import COORDINATOR, pool

BASH = r"""
source /dev/stdin <<<"$SCRIPT"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_${1##*/} "$1"
printf '%s\n' "${COMPREPLY[@]}"
"""


def script(programs, shell, program="docmillctl"):
    return subprocess.run([os.path.join(programs, program), "--print-completion", shell], capture_output=True,
                          text=True, check=True, timeout=20).stdout


def asker(programs, program):
    text = script(programs, "bash", program)

    def ask(*words, run_dir="/nonexistent", cwd=None):
        done = subprocess.run(["bash", "--norc", "-c", BASH, "bash", os.path.join(programs, program), *words],
                              capture_output=True, text=True, timeout=20, check=True, cwd=cwd,
                              env={**os.environ, "SCRIPT": text, "PATH": programs + ":" + os.environ["PATH"], "DOCMILL_RUN_DIR": run_dir})
        assert done.stderr == ""
        return sorted(done.stdout.split("\n")[:-1]) if done.stdout != "\n" else []

    return ask


@pytest.fixture
def offers(programs):
    return asker(programs, "docmillctl")


def test_commands_and_their_options(offers):
    assert offers("breake") == ["breakers"]
    assert {"upload", "status", "stop", "help"} <= set(offers(""))
    assert offers("help", "ups") == [] and offers("help", "uplo") == ["upload"]
    assert offers("upload", "--l") == ["--lane"]
    assert offers("-") == offers("--") and "--version" in offers("-")
    assert "--version" not in offers("upload", "-")


def test_values_that_the_grammar_or_the_help_names(offers):
    assert offers("upload", "--lane", "") == ["bulk", "interactive"]
    assert offers("upload", "--lane=b") == ["--lane=bulk"]
    assert offers("upload", "--lane", "=") == ["bulk", "interactive"], "bash takes words apart at ="
    assert offers("upload", "--lane", "=", "b") == ["bulk"]
    assert offers("jobs", "--state", "d") == ["deadletter", "done"]
    assert offers("--json", "breakers", "") == ["close", "open", "probe"]
    assert offers("breakers", "open", "e") == ["embedder"]
    assert "embed" in offers("pause", "")
    assert offers("search", "") == [] and offers("upload", "--jobs", "") == []
    assert offers("nosuch", "") == offers("")


def test_files_and_directories(offers, tmp_path):
    (tmp_path / "a b.md").write_text("x")
    (tmp_path / "adir").mkdir()
    assert offers("upload", "a", cwd=tmp_path) == ["a b.md", "adir"]
    assert offers("--run-dir", "a", cwd=tmp_path) == ["adir"]
    assert offers("--config", "a", cwd=tmp_path) == ["a b.md", "adir"]


def test_pools_are_those_of_the_running_daemon(offers, master):
    m = master(COORDINATOR, pool("good-one"), pool("good-two"))
    assert offers("recycle", "good", run_dir=m.run_dir) == ["good-one", "good-two"]
    assert offers("--run-dir", m.run_dir, "recycle", "c") == ["coordinator"]
    assert offers("recycle", "good") == []
    assert offers("drain", "", run_dir=m.run_dir) == ["cancel", "coordinator", "good-one", "good-two"]
    assert offers("drain", "cancel", "g", run_dir=m.run_dir) == ["good-one", "good-two"]


def test_the_daemons_options_and_commands(programs, tmp_path):
    ask = asker(programs, "docmilld")
    (tmp_path / "my.conf").write_text("x")
    assert ask("--print-c") == ["--print-completion"] and "migrate" in ask("")
    assert ask("--print-completion", "") == ["bash", "zsh"]
    assert ask("--print-man", "=", "docmilld") == ["docmilld"]
    assert ask("-c", "my", cwd=tmp_path) == ["my.conf"] and ask("--config", "=", "m", cwd=tmp_path) == ["my.conf"]
    assert ask("migrate", "") == ["down", "status", "up"]
    assert ask("-c", "x", "migrate", "down", "--") == ["--drop-data", "--to"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_takes_the_daemons_script(programs, tmp_path):
    path = tmp_path / "_docmilld"
    path.write_text(script(programs, "zsh", "docmilld"))
    asked = '_arguments() { print -rl -- "$@" }; source "$SCRIPT"'
    done = subprocess.run(["zsh", "-f", "-c", asked], capture_output=True, text=True, timeout=20, check=True,
                          env={**os.environ, "SCRIPT": str(path)})
    lines = done.stdout.split("\n")
    assert done.stderr == ""
    assert "(-t --test)--test[check the configuration, key by key: set, default or missing]" in lines
    assert any(line.startswith("(-c --config)-c[") and line.endswith(":FILE:_files") for line in lines)
    assert "2:order:(up down status)" in lines


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_reads_its_script_and_is_offered_the_same(programs, tmp_path):
    path = tmp_path / "_docmillctl"
    path.write_text(script(programs, "zsh"))
    subprocess.run(["zsh", "-n", path], check=True, timeout=20)
    # compdef's part is played by hand: _describe and _files say what they were given.
    asked = r"""
        _describe() { print -rl -- "${(@P)2}" }
        _files() { print -r -- "files $*" }
        words=("$@"); CURRENT=$#
        source "$SCRIPT"
    """
    def ask(*more):
        done = subprocess.run(["zsh", "-f", "-c", asked, "zsh", os.path.join(programs, "docmillctl"), *more],
                              capture_output=True, text=True, timeout=20, check=False,
                              env={**os.environ, "SCRIPT": str(path), "DOCMILL_RUN_DIR": "/nonexistent",
                                   "PATH": programs + ":" + os.environ["PATH"]})
        assert done.stderr == ""
        return done.stdout.split("\n")[:-1]

    assert ask("uplo") == ["upload:Upload files and print the id of each document."]
    assert [line.split(":")[0] for line in ask("breakers", "")] == ["open", "close", "probe"]
    assert ask("upload", "") == ["files "] and ask("--run-dir", "") == ["files -/"]
    assert ask("search", "") == []


def test_a_program_of_that_name_in_some_directory_is_not_run(programs, tmp_path):
    trap = tmp_path / "docmillctl"
    trap.write_text(f"#!/bin/sh\necho sprung > {tmp_path}/sprung\n")
    trap.chmod(0o755)
    done = subprocess.run(["bash", "--norc", "-c", BASH, "bash", "./docmillctl", "uplo"], capture_output=True, text=True,
                          timeout=20, check=True, cwd=tmp_path,
                          env={**os.environ, "SCRIPT": script(programs, "bash"),
                               "PATH": programs + ":" + os.environ["PATH"]})
    assert done.stdout == "upload\n" and not (tmp_path / "sprung").exists()


def test_an_unknown_shell_is_refused(programs):
    done = subprocess.run([os.path.join(programs, "docmillctl"), "--print-completion", "fish"], capture_output=True,
                          text=True, timeout=20, check=False)
    assert done.returncode == 2 and "bash or zsh" in done.stderr
