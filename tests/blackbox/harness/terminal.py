"""terminal.py - a program on a terminal of its own, and what its user would see

Only as much of a terminal as docmillctl uses: pages that begin at the first row, the other screen, the cursor.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from . import account
from .account import wait_for

CONTROLS = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


def _take_terminal():
    become = account.become_account(signal.SIGKILL)

    def before_exec():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        become()

    return before_exec


class Terminal:
    """argv, run by the tests' account as the terminal's session leader and foreground job."""

    def __init__(self, argv, env=None, rows=24, columns=80, term="xterm"):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.output = ""

        os.fchmod(self.slave, 0o666)
        self.process = subprocess.Popen(argv, env=account.account_environment({"TERM": term, **(env or {})}), cwd="/",
                                        start_new_session=True, preexec_fn=_take_terminal(), stdin=self.slave,
                                        stdout=self.slave, stderr=self.slave)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds=0.05):
        """All that has come, and what comes in so many seconds."""
        until = time.monotonic() + seconds
        while select.select([self.master], [], [], max(0, until - time.monotonic()))[0]:
            try:
                piece = os.read(self.master, 65536)
            except OSError:
                return self.output
            self.output += piece.decode(errors="replace")
        return self.output

    def page(self):
        """The last whole page, without attributes."""
        pages = self.read().split("\x1b[H")
        whole = [p for p in pages[1:] if "\x1b[J" in p]
        return re.sub("\r+\n", "\n", CONTROLS.sub("", whole[-1].split("\x1b[J")[0])) if whole else ""

    def wait_page(self, test, what, limit=10):
        return wait_for(lambda: test(page) and page if (page := self.page()) is not None else None, limit, what,
                        dump=lambda: self.output[-3000:])

    def type(self, text):
        os.write(self.master, text.encode())

    def on_other_screen(self):
        self.read()
        return self.output.rfind("\x1b[?1049h") > self.output.rfind("\x1b[?1049l")

    def is_restored(self):
        """Whether the terminal is as it was: settings, screen, cursor."""
        return (termios.tcgetattr(self.slave) == self.before and not self.on_other_screen()
                and self.output.rfind("\x1b[?25l") <= self.output.rfind("\x1b[?25h"))

    def wait_end(self, limit=10):
        """The exit status, negative: the signal."""
        wait_for(lambda: self.read() is None or self.process.poll() is not None, limit, "the program to end",
                 dump=lambda: self.output[-3000:])
        self.read()
        return self.process.returncode

    def is_stopped(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "T"

    def close(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        os.close(self.master)
        os.close(self.slave)
