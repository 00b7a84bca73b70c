"""cluster.py - the one private PostgreSQL of a test run

Unix socket only, data directory of its own, run by the ordinary account, gone with the test process. The controlling
process starts it and hands its directory to the workers in DOCMILL_TEST_PG_DIR; so may a script that has one already.
Databases are copies of one that was migrated, where there is one: migrating takes ten times as long as copying.
"""

import os
import signal
import subprocess
import tempfile
import uuid

import psycopg

from . import account

SUPERUSER = "postgres"
APP_ROLE = "docmill_test"  # what the daemon logs in as: no superuser, so row-level security holds


def bindir():
    if "PG_BINDIR" in os.environ:
        return os.environ["PG_BINDIR"]
    base = "/usr/lib/postgresql"
    versions = sorted((int(v) for v in os.listdir(base) if v.isdigit()), reverse=True)
    for version in versions:
        if os.path.exists(f"/usr/share/postgresql/{version}/extension/vector.control"):
            return f"{base}/{version}/bin"
    raise AssertionError("no PostgreSQL with pgvector is installed")


def scratch_place():
    """Where making and dropping hundreds of databases is fastest; scripts/lib/cluster.sh says the same."""
    memory = os.statvfs("/dev/shm") if os.path.isdir("/dev/shm") else None
    with open("/proc/meminfo", encoding="ascii") as f:
        available = next(int(line.split()[1]) for line in f if line.startswith("MemAvailable:"))
    enough = memory and memory.f_bavail * memory.f_frsize > 4_000_000 << 10 and available > 8_000_000
    return "/dev/shm" if enough else "/tmp"


class Cluster:
    """A server in directory; `start` may be called again after `stop` or a crash."""

    def __init__(self, directory, owned, template=None):
        self.directory = directory
        self.template = template
        self.sockets = directory + "/s"
        self.owned = owned
        self.process = None

    @classmethod
    def create(cls):
        directory = tempfile.mkdtemp(prefix="dm-pg-", dir=scratch_place())
        os.chmod(directory, 0o700)
        account.give_to_account(directory)
        cluster = cls(directory, owned=True)
        account.make_private_dir(cluster.sockets)
        account.run([bindir() + "/initdb", "-D", cluster.data, "-U", SUPERUSER, "--auth-local=trust",
                     "--auth-host=reject", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
        # Tests kill PostgreSQL and never the machine: what it wrote is there without fsync.
        with open(cluster.data + "/postgresql.conf", "a", encoding="utf-8") as f:
            f.write(f"listen_addresses = ''\nunix_socket_directories = '{cluster.sockets}'\n"
                    "unix_socket_permissions = 0700\nshared_buffers = 256MB\nfsync = off\nmax_connections = 300\n"
                    "log_line_prefix = '%m [%p] %d '\nlog_min_duration_statement = 2000\n")
        cluster.start()
        cluster.sql(f"CREATE ROLE {APP_ROLE} LOGIN")
        return cluster

    @property
    def data(self):
        return self.directory + "/data"

    def start(self):
        with open(self.directory + "/postgres.log", "ab") as log:
            self.process = account.popen([bindir() + "/postgres", "-D", self.data], stdout=log,
                                         stderr=subprocess.STDOUT, death_signal=signal.SIGQUIT)
        account.wait_for(self.answers, 30, "PostgreSQL to answer")

    def answers(self):
        if self.process is not None and self.process.poll() is not None:
            with open(self.directory + "/postgres.log", encoding="utf-8", errors="replace") as f:
                raise AssertionError("PostgreSQL did not start:\n" + f.read()[-2000:])
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            return True
        except psycopg.OperationalError:
            return False

    def stop(self, immediate=False):
        account.end_process(self.process, signal.SIGQUIT if immediate else signal.SIGINT, 30)
        self.process = None

    def remove(self):
        if self.owned:
            if self.process is not None:
                self.stop(immediate=True)
            account.remove_tree(self.directory)

    def url(self, database, role=SUPERUSER):
        return f"postgresql:///{database}?host={self.sockets}&user={role}"

    def sql(self, text, parameters=None, database="postgres"):
        """Runs one statement on a connection of its own; rows as tuples, or None where there are none."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(text, parameters)
            return cursor.fetchall() if cursor.description else None

    def create_database(self, empty=False):
        """A copy of the template, which is migrated; or an empty one."""
        name = "t_" + uuid.uuid4().hex[:12]
        template = None if empty else self.template
        self.sql(f"CREATE DATABASE {name}" + (f" TEMPLATE {template} STRATEGY file_copy" if template else ""))
        return Database(self, name, migrated=template is not None)


class Database:
    def __init__(self, cluster, name, migrated):
        self.cluster = cluster
        self.name = name
        self.migrated = migrated

    @property
    def migrate_url(self):
        return self.cluster.url(self.name)

    @property
    def url(self):
        return self.cluster.url(self.name, APP_ROLE)

    def sql(self, text, parameters=None):
        return self.cluster.sql(text, parameters, self.name)

    def one(self, text, parameters=None):
        """The first column of the only row."""
        rows = self.sql(text, parameters)
        assert len(rows) == 1, rows
        return rows[0][0]

    def grant_app_role(self):
        """What an operator does after the first migration."""
        self.sql(f"GRANT docmill_worker, docmill_api TO {APP_ROLE}")

    def close(self):
        """Lets nobody in any more: what is connected to cannot be copied, and autovacuum connects to what lets it."""
        self.cluster.sql(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS false")

    def drop(self):
        self.cluster.sql(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
