"""conftest.py - what every black-box test may ask for

    cluster   the private PostgreSQL of the run (one, shared by all xdist workers)
    own_cluster  a PostgreSQL of the test's own, to be stopped and started
    db        a fresh database, migrated as every test's is but of those with empty_db or own_cluster
    empty_db  a fresh database with nothing in it
    daemon    a factory: daemon(keys={...}, pools=[...], start=True) -> harness.daemon.Daemon, migrated and ready
    mock      a factory: mock("openai", *flags) -> harness.mock.Mock, a stand-in of an outside service
    programs  the directory of the programs under test
    master    a factory: master(*pools, keys={...}) -> harness.supervised.Master, the real supervisor over children that
              misbehave on demand

The controlling process starts PostgreSQL, places the programs and migrates the database that tests get copies of,
before the workers exist; they find all three in the environment.
"""

import os
import signal

import pytest

from harness import account, programs as programs_module
from harness.cluster import Cluster
from harness.daemon import Daemon
from harness.mock import Mock
from harness.supervised import Master, place_helpers

_ours = {}


def pytest_configure(config):
    account.become_subreaper()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who is started in the background is told to ignore it
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    if "DOCMILL_TEST_PG_DIR" not in os.environ:
        _ours["cluster"] = Cluster.create()
        os.environ["DOCMILL_TEST_PG_DIR"] = _ours["cluster"].directory
    if "DOCMILL_TEST_PROGRAMS" not in os.environ:
        os.environ["DOCMILL_TEST_PROGRAMS"], copied = programs_module.place()
        if copied:
            _ours["programs"] = os.environ["DOCMILL_TEST_PROGRAMS"]
    _ours["template"] = _make_template(Cluster(os.environ["DOCMILL_TEST_PG_DIR"], owned=False),
                                       os.environ["DOCMILL_TEST_PROGRAMS"])
    os.environ["DOCMILL_TEST_TEMPLATE"] = _ours["template"].name


def _make_template(cluster, directory):
    """The database that tests get copies of, made by the real `docmilld migrate up`."""
    database = cluster.create_database()
    one = Daemon(directory, database, tcp=False)
    try:
        one.migrate()
    finally:
        one.close()
    database.close()
    return database


def pytest_unconfigure(config):
    if "template" in _ours:
        _ours.pop("template").drop()
    if "cluster" in _ours:
        _ours.pop("cluster").remove()
    if "programs" in _ours:
        account.remove_tree(_ours.pop("programs"))


@pytest.fixture(scope="session")
def cluster():
    return Cluster(os.environ["DOCMILL_TEST_PG_DIR"], owned=False, template=os.environ["DOCMILL_TEST_TEMPLATE"])


@pytest.fixture(scope="session")
def programs():
    return os.environ["DOCMILL_TEST_PROGRAMS"]


@pytest.fixture
def own_cluster():
    """A server of this test's own, which it may stop and start."""
    own = Cluster.create()
    yield own
    own.remove()


@pytest.fixture
def db(cluster):
    database = cluster.create_database()
    yield database
    database.drop()


@pytest.fixture
def empty_db(cluster):
    database = cluster.create_database(empty=True)
    yield database
    database.drop()


@pytest.fixture
def daemon(request, programs, db):
    """A factory of daemons on this test's database; each is stopped and checked at the end of the test."""
    made = []

    def make(keys=None, pools=None, start=True, database=None, tcp=True):
        one = Daemon(programs, database or db, keys, pools, tcp)
        made.append(one)
        one.migrate()
        if start:
            one.start()
        return one

    yield make
    if getattr(request.node, "failed", False):
        for one in made:
            request.node.add_report_section("call", f"log of {one.keys['node.name']}", one.log()[-8000:])
    faults = []
    for one in made:
        try:
            one.close()
        except AssertionError as fault:
            faults.append(str(fault))
    assert not faults, "\n".join(faults)


@pytest.fixture
def mock():
    """A factory of stand-ins; each must end well."""
    made = []

    def make(name, *flags, state=None):
        made.append(Mock(name, *flags, state=state))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="session")
def helpers():
    copy = place_helpers()
    yield copy
    account.remove_tree(copy)


@pytest.fixture
def master(helpers):
    """A factory: master(*pools, keys={...}) -> harness.supervised.Master, its children those of helper_child.c."""
    made = []

    def make(*pools, keys=None, notify=False, group=None):
        made.append(Master(helpers, list(pools), keys, notify, group))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        item.failed = True
        for value in item.funcargs.values():
            if isinstance(value, Daemon):
                report.sections.append((f"log of {value.keys['node.name']}", value.log()[-8000:]))

