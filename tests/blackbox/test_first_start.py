"""test_first_start.py - a database that is not prepared: what the daemon, -t --online and migrate say is missing;
and other faults of a first start"""

import uuid

import pytest

from harness.account import wait_for


@pytest.fixture
def login(cluster):
    """A role that was granted nothing."""
    name = "r_" + uuid.uuid4().hex[:12]
    cluster.sql(f"CREATE ROLE {name} LOGIN")
    yield name
    cluster.sql(f"DROP ROLE {name}")


def online(one):
    done = one.docmilld("-t", "--online", check=False)
    return done.returncode, done.stdout


def test_without_a_schema_health_and_log_say_what_makes_one(daemon, cluster):
    database = cluster.create_database(empty=True)
    database.migrated = True  # nothing is to migrate it
    one = daemon(database=database, start=False)
    code, said = online(one)
    assert code == 78 and "docmilld migrate up" in said, said
    one.start(ready=False)
    wait_for(lambda: "cannot go on" in one.log() and "docmilld migrate up" in one.log(), 10, "the log to say it", dump=one.log)
    wait_for(lambda: any("docmilld migrate up" in r for r in one.health()["ready"]["reasons"]), 5, "health to say it",
             dump=one.log)
    one.stop()
    database.drop()


def test_a_schema_that_the_daemon_would_not_start_on_fails_the_check(daemon):
    one = daemon(start=False)
    one.migrate()
    one.sql("DELETE FROM upload_pipeline.schema_migrations WHERE version = (SELECT max(version) FROM "
            "upload_pipeline.schema_migrations)")
    code, said = online(one)
    assert code == 78 and "docmilld migrate up" in said, said


def test_a_role_without_the_grants_is_told_the_statement(daemon, login, cluster):
    one = daemon(start=False)
    one.migrate()
    one.keys["database.url"] = cluster.url(one.database.name, login)
    code, said = online(one)
    assert code == 78 and f'GRANT docmill_worker, docmill_api TO "{login}"' in said, said


def test_a_role_that_may_not_migrate_is_told_which_may(daemon, login, cluster):
    database = cluster.create_database(empty=True)
    database.migrated = True
    one = daemon({"database.migrate_url": cluster.url(database.name, login)}, database=database, start=False)
    done = one.docmilld("migrate", "up", check=False)
    assert done.returncode == 1 and "permission denied" in done.stderr and "database.migrate_url" in done.stderr, done
    database.drop()


@pytest.mark.parametrize("key", ["database.url", "database.migrate_url"])
@pytest.mark.parametrize("url", ["posgresql:///docmill", "postgresql:///docmill?usr=me",
                                 "postgresql://me@db.example.org/docmill?sslmode=prefer"])
def test_a_url_that_nothing_can_connect_with_is_an_error_of_the_configuration(daemon, key, url):
    one = daemon(start=False)
    one.keys[key] = url
    done = one.docmilld("-t", check=False)
    assert done.returncode == 78 and f"error: {key}: the database URL" in done.stdout and "is good" not in done.stdout, done
    done = one.docmilld(check=False, timeout=10)
    assert done.returncode == 78 and f"{key}: the database URL" in done.stderr, done


@pytest.mark.parametrize("words, said", [(["stert"], 'no command "stert"'), (["-t", "more"], '"more"'),
                                         (["--online"], "--online goes with -t")])
def test_a_wrong_command_line_is_told_what_is_wrong_with_it(daemon, words, said):
    done = daemon(start=False).docmilld(*words, check=False)
    assert done.returncode == 2 and said in done.stderr, done


def test_without_a_configuration_it_is_told_how_to_get_one(daemon):
    done = daemon(start=False).docmilld("-c", "/nowhere/docmill.conf", check=False)
    assert done.returncode == 78 and "/nowhere/docmill.conf" in done.stderr and "--example" in done.stderr, done


def test_a_start_that_is_well_is_not_shown_as_a_database_that_is_away(daemon):
    one = daemon(start=False).start(ready=False)
    notes = set()

    def served():
        try:
            found = one.children("api")
        except OSError:
            return False
        notes.update(c["note"] for c in found)
        return any(c["phase"] == "ready" and c["db_ok"] for c in found)

    wait_for(served, 10, "the API to be ready", dump=one.log, every=0.01)
    assert not any("does not answer" in note for note in notes), notes


def test_parsers_that_are_not_there_are_an_error_for_a_person(daemon):
    one = daemon({"parser.libexec": "/nowhere"})
    wait_for(lambda: any(e["reason"] == "parser_missing" and "/nowhere" in e["message"] for e in one.ctl("errors")), 10,
             "docmillctl errors to say so", dump=one.log)


def test_a_database_that_is_away_is_an_error_for_a_person(daemon):
    one = daemon(start=False)
    one.keys.update({"database.url": "host=/nowhere dbname=x", "database.connect_timeout": "200ms"})
    one.start(ready=False)

    def said():
        try:
            return any(e["module"] == "database" and "/nowhere" in e["message"] for e in one.control("errors")["errors"])
        except OSError:
            return False

    wait_for(said, 10, "the errors to name the database", dump=one.log)
