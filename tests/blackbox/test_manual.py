"""test_manual.py - the manual pages say what the programs' own help says

The programs print them from the tables that --help is made of: every command with its grammar, every option, every exit
status.
"""

import os
import re
import subprocess

import pytest

PAGES = {"docmilld.8": ("docmilld", "--print-man=docmilld"), "docmillctl.1": ("docmillctl", "--print-man"),
         "docmill.conf.5": ("docmilld", "--print-man")}


def roff(programs, name):
    program, *arguments = PAGES[name]
    return subprocess.run([os.path.join(programs, program), *arguments], capture_output=True, text=True, timeout=20,
                          check=True).stdout


def page(programs, name):
    """The page's lines as a reader sees them: no fonts, no escapes."""
    text = roff(programs, name)
    text = text.replace("\\-", "-").replace("\\e", "\\").replace("\\(aq", "'").replace("\\(dq", '"').replace("\\&", "")
    text = re.sub(r"\\f[BIR]", "", text)
    return re.sub(r'^\.(BR|BI|IR|RB|RI|B|I|SH|TP) ?', "", text, flags=re.M).replace('"', "")


def help_of(programs, *command):
    done = subprocess.run([os.path.join(programs, command[0]), *command[1:], "--help"], capture_output=True, text=True,
                          timeout=20, check=True)
    return done.stdout


def commands(programs):
    return re.findall(r"^  (\S+) ", help_of(programs, "docmillctl").split("Commands:")[1].split("\n\n")[0], re.M)


def test_every_command_stands_in_the_page_with_its_grammar(programs):
    lines = page(programs, "docmillctl.1").split("\n")
    names = commands(programs)
    assert len(names) > 10
    for name in names:
        text = help_of(programs, "docmillctl", name)
        usage = text.split("\n")[0].removeprefix("usage: docmillctl ")
        assert usage in lines
        assert text.split("\n")[2].replace('"', "") in lines
        assert "Right: " + text.split("Right: ")[1].split("\n")[0] + "." in lines


def test_every_option_of_every_command_stands_in_the_page(programs):
    lines = page(programs, "docmillctl.1").split("\n")
    for name in commands(programs):
        own = help_of(programs, "docmillctl", name).split("Options of every command")[0]
        for option in re.findall(r"^  ((?:-\w, )?--\S+(?: [A-Z]+)?)\s", own, re.M):
            assert option in lines, name


def test_every_exit_status_stands_in_the_page(programs):
    text = page(programs, "docmillctl.1").split("EXIT STATUS")[1]
    rows = re.findall(r"^  (\d)  (.*)$", help_of(programs, "docmillctl").split("Exit codes:")[1], re.M)
    assert len(rows) > 3
    for number, meaning in rows:
        assert f"{number}\n{meaning[0].upper()}{meaning[1:]}.\n" in text


def test_the_daemons_page_names_every_option_of_its_help(programs):
    text = page(programs, "docmilld.8")
    options = set(re.findall(r"(?<![\w-])(--?[a-zA-Z][a-z-]*)", help_of(programs, "docmilld")))
    assert {"-t", "-T", "--to", "--drop-data", "--config"} <= options
    for option in options:
        assert option in text


def test_the_daemons_page_names_its_exit_statuses_and_signals(programs):
    text, told = page(programs, "docmilld.8"), help_of(programs, "docmilld")
    for number in ("0", "1", "2", "78"):
        assert re.search(rf"^  {number} ", told, re.M) and f"\n{number}\n" in text.split("EXIT STATUS")[1]
    for name in ("TERM, INT", "QUIT"):
        assert name in told and name in text.split("SIGNALS")[1]


@pytest.mark.parametrize("name", ["docmilld.8", "docmillctl.1", "docmill.conf.5"])
def test_a_page_is_good_roff(programs, tmp_path, name):
    path = tmp_path / name
    path.write_text(roff(programs, name), encoding="utf-8")
    try:
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-z", path], capture_output=True, text=True, timeout=20,
                              check=False)
    except FileNotFoundError:
        pytest.skip("groff is not installed")
    assert done.returncode == 0 and done.stderr == ""
