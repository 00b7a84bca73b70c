"""test_completion_keys.py - the TAB key in real shells that find the scripts where an installation puts them

bash with Debian's bash-completion, zsh with compinit, each on a terminal of its own; nothing of the scripts is loaded by
hand. What the keys offer in each case is asked in test_completion.py; here it is shown that they are asked at all.
"""

import os
import re
import shutil
import subprocess

import pytest

from harness import account
from harness.account import wait_for
from harness.programs import build_dir
from harness.supervised import COORDINATOR, pool
from harness.terminal import CONTROLS, Terminal

BASH_COMPLETION = "/usr/share/bash-completion/bash_completion"
BASHRC = f"""PS1='> '
. {BASH_COMPLETION}
bind 'set enable-bracketed-paste off'; bind 'set page-completions off'; bind 'set completion-query-items 0'
"""
ZSHRC = """PS1='> '; unsetopt prompt_sp zle_bracketed_paste; LISTMAX=1000
fpath=("$SHARE/zsh/site-functions" $fpath)
autoload -Uz compinit && compinit -D
"""


@pytest.fixture(scope="module")
def share():
    """The data directory of an installation."""
    root = account.make_private_dir("/tmp/dm-keys-%d" % os.getpid())
    done = subprocess.run(["cmake", "--install", build_dir()], env={**os.environ, "DESTDIR": root}, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    account.give_to_account(root)
    with open(build_dir() + "/CMakeCache.txt", encoding="utf-8") as f:
        prefix = next(line.strip().partition("=")[2] for line in f if line.startswith("CMAKE_INSTALL_PREFIX:"))
    yield root + prefix + "/share"
    account.remove_tree(root)


class Shell:
    """A shell at its prompt."""

    def __init__(self, argv, tab, programs, share, run_dir):
        self.tab = tab
        self.terminal = Terminal(argv, rows=200, columns=160, env={
            "PATH": programs + ":" + os.environ["PATH"], "SHARE": share, "ZDOTDIR": share, "XDG_DATA_DIRS": share,
            "DOCMILL_RUN_DIR": run_dir, "HOME": share})
        self.wait("> ", "a prompt")

    def wait(self, needle, what):
        return wait_for(lambda: needle in self.seen() and self.seen(), 10, what, every=0.02, dump=self.seen)

    def seen(self):
        """zsh goes up again behind its list, to where the line is typed."""
        return CONTROLS.sub("", re.sub(r"\x1b\[[0-9]*A", "\n> ", self.terminal.read(0.02))).replace("\r", "")

    def offered(self, line, words):
        """The words that the shell shows for a line and TAB, once those are among them; otherwise it fails."""
        self.terminal.type("\x03")
        self.wait("> ", "a prompt")
        self.terminal.output = ""
        self.terminal.type(line + self.tab)
        wait_for(lambda: words <= self.listed(), 10, f"{words} to be offered", every=0.02, dump=self.seen)
        return self.listed()

    def listed(self):
        """zsh says what each word is behind two dashes."""
        lines = [text.split(" -- ")[0] for text in self.seen().split("\n")[1:]]
        return {word for text in lines if not text.startswith("> ") for word in text.split()}


def bash(programs, share, run_dir):
    if not os.path.exists(BASH_COMPLETION):
        pytest.skip("bash-completion is not installed")
    with open(share + "/bashrc", "w", encoding="ascii") as f:
        f.write(BASHRC)
    return Shell(["bash", "--noprofile", "--rcfile", share + "/bashrc", "-i"], "\t\t", programs, share, run_dir)


def zsh(programs, share, run_dir):
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    with open(share + "/.zshrc", "w", encoding="ascii") as f:
        f.write(ZSHRC)
    return Shell(["zsh", "-d", "-i"], "\t", programs, share, run_dir)


def complete(programs, *words):
    done = subprocess.run([programs + "/docmillctl", "--complete", *words], capture_output=True, text=True, timeout=20, check=True)
    return {line.split("\t")[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize("kind", [bash, zsh])
def test_the_key_offers_commands_options_and_pools(programs, share, master, kind):
    m = master(COORDINATOR, pool("good-one"), pool("good-two"))
    shell = kind(programs, share, m.run_dir)
    commands, options = complete(programs, ""), complete(programs, "reload", "--")
    pools = {"cancel", "coordinator", "good-one", "good-two"}
    assert {"status", "reload", "stop"} < commands and {"--dry-run", "--json"} < options
    try:
        assert shell.offered("docmillctl ", commands) == commands
        assert shell.offered("docmillctl reload --", options) == options
        assert shell.offered("docmillctl drain ", pools) == pools
        assert shell.offered("docmilld migrate ", {"up", "down", "status"}) == {"up", "down", "status"}
    finally:
        shell.terminal.close()
