"""inject.py - a real process makes system calls that it would never make by itself

gdb stops the process and has it call libc's syscall(). Only root may: the processes are not dumpable. What the kernel
answers is what somebody who took the process over would get.
"""

import os
import platform
import shutil
import subprocess

possible = os.geteuid() == 0 and shutil.which("gdb") is not None and platform.machine() == "x86_64"


def calls(pid, expressions, timeout=60):
    """Each expression is the arguments of syscall(), in C; a list of (result, errno)."""
    lines = ["set confirm off", "set pagination off", "set debuginfod enabled off"]
    for text in expressions:
        lines.append(f'printf "CALL %ld ", ((long(*)(long, ...))syscall)({text})')
        lines.append('printf "%d\\n", *((int*(*)(void))__errno_location)()')
    arguments = [a for line in lines for a in ("-ex", line)]
    done = subprocess.run(["gdb", "-nx", "-batch", "-p", str(pid), *arguments], capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL)
    answers = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("CALL ")]
    assert len(answers) == len(expressions), done.stdout + done.stderr
    return [(int(result), int(error) if int(result) == -1 else 0) for result, error in answers]
