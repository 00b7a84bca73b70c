"""programs.py - the programs under test

DOCMILL_BUILD names the build directory (default build/release). The account must be able to run them: from a checkout
that it cannot reach they are copied to a temporary directory, once a run.
"""

import os
import shutil
import tempfile

from . import account

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
NAMES = ("docmilld", "docmillctl", "docmill-sandbox", "docmill-html")


def build_dir():
    return os.path.abspath(os.environ.get("DOCMILL_BUILD", os.path.join(SOURCE, "build", "release")))


def place():
    """A directory with the programs that the account can run; the second value says whether it is a copy."""
    built = os.path.join(build_dir(), "src", "bin")
    missing = [name for name in ("docmilld", "docmillctl") if not os.path.exists(os.path.join(built, name))]
    if missing:
        raise AssertionError(f"not built in {built}: {', '.join(missing)}")
    there = [name for name in NAMES if os.path.exists(os.path.join(built, name))]
    if all(account.can_execute(os.path.join(built, name)) for name in there):
        return built, False
    copy = tempfile.mkdtemp(prefix="dm-bin-", dir="/tmp")
    os.chmod(copy, 0o755)
    for name in there:
        shutil.copy2(os.path.join(built, name), copy)
    return copy, True
