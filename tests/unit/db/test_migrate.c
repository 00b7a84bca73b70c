/* test_migrate.c - migrations go up, down, refuse to lose rows, and do not run twice */
#include "db/migrate.h"
#include "db/migrate_int.h"
#include "db_test.h"
#include "fork_test.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

TestSuite(migrate, .timeout = 120);

#define UP_1                                                                                                           \
    "CREATE TABLE upload_pipeline.kinds (k int); INSERT INTO upload_pipeline.kinds VALUES (1), (2);"                   \
    "CREATE TABLE upload_pipeline.things (t text);"                                                                    \
    "CREATE FUNCTION upload_pipeline.twice(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 2 * n; END $$;"
#define DOWN_1                                                                                                         \
    "DROP FUNCTION upload_pipeline.twice(int); DROP TABLE upload_pipeline.things; DROP TABLE upload_pipeline.kinds;"
#define UP_2   "ALTER TABLE upload_pipeline.things ADD extra int; SELECT pg_sleep(0.3)"
#define DOWN_2 "ALTER TABLE upload_pipeline.things DROP extra"

static const struct migration two[] = {
    {1, 1, "one", "aaaa", UP_1, DOWN_1, "kinds"},
    {2, 1, "two", "bbbb", UP_2, DOWN_2, ""},
};
static const struct migration_set set_1 = {two, 1};
static const struct migration_set set_2 = {two, 2};

static struct pg *fresh(const char *database)
{
    char *url = db_test_database(NULL, database);
    struct pg *p = db_test_pg_timeouts(url, 10000, 10000);

    talloc_steal(p, url);
    return p;
}

/* What a call prints, freed with ctx. */
struct capture {
    char *text;
    size_t n;
    FILE *f;
};

static void capture_open(struct capture *c)
{
    c->f = open_memstream(&c->text, &c->n);
}

static const char *capture_close(struct capture *c)
{
    fclose(c->f);
    return c->text;
}

Test(migrate, up_down_up_ends_where_it_was)
{
    struct pg *p = fresh("dm_migrate_updown");
    struct error e = {0};
    int version;

    for (int i = 0; i < 2; i++) {
        cr_assert_eq(migrate_set_up(p, &set_2, stderr, &e), 0, "%s", e.message);
        cr_assert_eq(migrate_set_check(p, &set_2, 2, &version, &e), 0, "%s", e.message);
        cr_assert_eq(version, 2);
        cr_assert_eq(db_test_int(p, "SELECT twice(21)"), 42);
        cr_assert_eq(db_test_int(p, "SELECT count(*) FROM kinds"), 2);
        cr_assert_eq(migrate_set_down(p, &set_2, 0, false, stderr, &e), 0, "%s", e.message);
        cr_assert_neq(migrate_set_check(p, &set_2, 2, &version, &e), 0);
        cr_assert_eq(version, 0);
        cr_assert_str_eq(e.reason, "not_ready");
        cr_assert(strstr(e.hint, "migrate up") != NULL);
        cr_assert_eq(db_test_int(p, "SELECT (to_regclass('things') IS NULL)::int"), 1);
    }
    pg_free(&p);
}

Test(migrate, down_refuses_to_lose_rows_unless_told)
{
    struct pg *p = fresh("dm_migrate_rows");
    struct error e = {0};

    cr_assert_eq(migrate_set_up(p, &set_2, stderr, &e), 0, "%s", e.message);
    db_test_run(p, "INSERT INTO things (t) VALUES ('mine')");
    cr_assert_neq(migrate_set_down(p, &set_2, 1, false, stderr, &e), 0);
    cr_assert_str_eq(e.reason, "conflict");
    cr_assert(strstr(e.message, "things") != NULL, "%s", e.message);
    cr_assert_eq(db_test_int(p, "SELECT count(*) FROM things"), 1);
    cr_assert_eq(migrate_set_down(p, &set_2, 0, true, stderr, &e), 0, "%s", e.message);
    cr_assert_eq(db_test_int(p, "SELECT (to_regclass('things') IS NULL)::int"), 1);
    pg_free(&p);
}

Test(migrate, rows_behind_a_policy_are_not_taken_for_none)
{
    struct pg *admin = fresh("dm_migrate_policy");
    struct pg_options o = {.connect_timeout_ms = 5000, .statement_timeout_ms = 5000, .application = "docmill test"};
    struct pg *p;
    struct error e = {0};

    db_test_run(admin, "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dm_test_owner') THEN"
                       " CREATE ROLE dm_test_owner LOGIN; END IF; END $$; GRANT CREATE ON DATABASE dm_migrate_policy"
                       " TO dm_test_owner");
    o.url = db_test_url_with(admin, "dbname", "dm_migrate_policy", "user", "dm_test_owner", NULL);
    p = pg_new(NULL, &o);
    cr_assert_eq(migrate_set_up(p, &set_1, stderr, &e), 0, "%s", e.message);
    db_test_run(p, "INSERT INTO things (t) VALUES ('hidden'); ALTER TABLE things ENABLE ROW LEVEL SECURITY;"
                   "ALTER TABLE things FORCE ROW LEVEL SECURITY; SELECT 1");
    cr_assert_eq(db_test_int(p, "SELECT count(*) FROM things"), 0);
    cr_assert_neq(migrate_set_down(p, &set_1, 0, false, stderr, &e), 0);
    cr_assert_eq(db_test_int(admin, "SELECT count(*) FROM things"), 1);
    pg_free(&p);
    pg_free(&admin);
}

Test(migrate, an_edited_migration_is_refused_by_all_verbs)
{
    struct migration edited[2] = {two[0], two[1]};
    struct migration_set set = {edited, 2};
    struct pg *p = fresh("dm_migrate_checksum");
    struct capture c;
    struct error e = {0};
    int version;

    cr_assert_eq(migrate_set_up(p, &set_1, stderr, &e), 0, "%s", e.message);
    edited[0].checksum = "cccc";
    cr_assert_neq(migrate_set_up(p, &set, stderr, &e), 0);
    cr_assert_str_eq(e.reason, "conflict");
    cr_assert(strstr(e.message, "another text") != NULL);
    cr_assert_eq(db_test_int(p, "SELECT count(*) FROM schema_migrations"), 1);
    cr_assert_neq(migrate_set_down(p, &set, 0, true, stderr, &e), 0);
    cr_assert_neq(migrate_set_check(p, &set, 1, &version, &e), 0);
    capture_open(&c);
    cr_assert_neq(migrate_set_status(p, &set, c.f, &e), 0);
    cr_assert(strstr(capture_close(&c), "other text") != NULL, "%s", c.text);
    free(c.text);
    pg_free(&p);
}

Test(migrate, a_failing_migration_leaves_nothing)
{
    static const struct migration bad[] = {
        {1, 1, "one", "aaaa", UP_1, DOWN_1, ""},
        {2, 2, "broken", "dddd", "CREATE TABLE upload_pipeline.half (i int); SELECT 1 / 0; SELECT 2", "SELECT 1", ""}};
    static const struct migration_set set = {bad, 2};
    struct pg *p = fresh("dm_migrate_fail");
    struct error e = {0};
    int version;

    cr_assert_neq(migrate_set_up(p, &set, stderr, &e), 0);
    cr_assert(strstr(e.message, "migration 2 (broken)") != NULL, "%s", e.message);
    cr_assert(strstr(e.message, "22012") != NULL, "%s", e.message);
    cr_assert_eq(db_test_int(p, "SELECT (to_regclass('half') IS NULL)::int"), 1);
    cr_assert_eq(migrate_set_check(p, &set_1, 1, &version, &e), 0);
    cr_assert_eq(version, 1);
    pg_free(&p);
}

Test(migrate, two_at_once_apply_each_migration_once)
{
    struct pg *p = fresh("dm_migrate_race");
    pid_t children[3];
    struct error e = {0};
    int status;

    for (int i = 0; i < 3; i++) {
        children[i] = fork_mortal();
        if (children[i] == 0) {
            char *url = db_test_url_with(NULL, "dbname", "dm_migrate_race", NULL);
            struct pg *mine = db_test_pg_timeouts(url, 10000, 10000);
            _exit(migrate_set_up(mine, &set_2, stderr, NULL) == 0 ? 0 : 1);
        }
    }
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    cr_assert_eq(db_test_int(p, "SELECT count(*) FROM schema_migrations"), 2);
    cr_assert_eq(db_test_int(p, "SELECT count(*) FROM kinds"), 2);
    cr_assert_eq(migrate_set_down(p, &set_2, 0, false, stderr, &e), 0, "%s", e.message);
    pg_free(&p);
}

Test(migrate, a_newer_schema_runs_an_older_binary_only_if_it_says_so)
{
    static const struct migration strict[] = {{1, 1, "one", "aaaa", UP_1, DOWN_1, ""},
                                              {2, 2, "two", "bbbb", UP_2, DOWN_2, ""}};
    static const struct migration_set strict_2 = {strict, 2};
    struct pg *p = fresh("dm_migrate_newer");
    struct error e = {0};
    int version;

    cr_assert_eq(migrate_set_up(p, &set_2, stderr, &e), 0, "%s", e.message);
    cr_assert_eq(migrate_set_check(p, &set_1, 1, &version, &e), 0, "%s", e.message);
    cr_assert_eq(version, 2);
    cr_assert_neq(migrate_set_down(p, &set_1, 0, true, stderr, &e), 0);
    cr_assert_str_eq(e.reason, "conflict");
    cr_assert_eq(migrate_set_down(p, &set_2, 0, true, stderr, &e), 0, "%s", e.message);
    cr_assert_eq(migrate_set_up(p, &strict_2, stderr, &e), 0, "%s", e.message);
    cr_assert_neq(migrate_set_check(p, &set_1, 1, &version, &e), 0);
    cr_assert_str_eq(e.reason, "not_ready");
    cr_assert(strstr(e.hint, "newer docmill") != NULL);
    pg_free(&p);
}

Test(migrate, status_lists_applied_and_pending)
{
    struct pg *p = fresh("dm_migrate_status");
    struct capture c;
    struct error e = {0};

    cr_assert_eq(migrate_set_up(p, &set_1, stderr, &e), 0, "%s", e.message);
    capture_open(&c);
    cr_assert_eq(migrate_set_status(p, &set_2, c.f, &e), 0, "%s", e.message);
    capture_close(&c);
    cr_assert(strstr(c.text, "   1  applied ") == c.text, "%s", c.text);
    cr_assert(strstr(c.text, "\n   2  pending ") != NULL, "%s", c.text);
    free(c.text);
    pg_free(&p);
}

Test(migrate, the_embedded_set_goes_up_down_and_up)
{
    struct pg *p = fresh("dm_migrate_embedded");
    struct error e = {0};
    int version;

    cr_assert_eq(migrate_up(p, stderr, &e), 0, "%s", e.message);
    cr_assert_eq(migrate_check(p, &version, &e), 0, "%s", e.message);
    cr_assert_eq(version, migrate_max());
    cr_assert_neq(pg_vector_type(p), 0);
    cr_assert_eq(migrate_down(p, 0, false, stderr, &e), 0, "%s", e.message);
    cr_assert_eq(migrate_up(p, stderr, &e), 0, "%s", e.message);
    cr_assert_eq(migrate_up(p, stderr, &e), 0, "%s", e.message);
    pg_free(&p);
}

Test(migrate, going_down_leaves_a_shared_name_to_the_last_submission)
{
    struct pg *p = fresh("dm_migrate_names");
    struct error e = {0};

    cr_assert_eq(migrate_up(p, stderr, &e), 0, "%s", e.message);
    db_test_run(
        p,
        "INSERT INTO upload_pipeline.parser_submissions"
        " (job_id, user_id, generation, serial, provider, external_id, token_hash)"
        " SELECT gen_random_uuid(), gen_random_uuid(), 1, 1, 'llamaparse', name, sha256(name::bytea || i::text::bytea)"
        " FROM (VALUES (1, 'one'), (2, 'two'), (3, 'one')) v (i, name)");
    cr_assert_eq(migrate_down(p, 9, true, stderr, &e), 0, "%s", e.message);
    cr_assert_eq(db_test_int(p, "SELECT count(*) FROM upload_pipeline.parser_submissions WHERE external_id IS NOT NULL"
                                " AND id IN (2, 3)"),
                 2);
    cr_assert_eq(db_test_int(p, "SELECT count(external_id) FROM upload_pipeline.parser_submissions"), 2);
    cr_assert_eq(migrate_up(p, stderr, &e), 0, "%s", e.message);
    pg_free(&p);
}

Test(migrate, a_binary_runs_on_its_own_schema_and_on_newer_ones_that_let_it)
{
    struct error e = {0};
    int own = migrate_max();

    cr_assert_eq(migrate_judge(own, own, &e), 0, "%s", e.message);
    cr_assert_eq(migrate_judge(own + 3, own, &e), 0, "%s", e.message);
    cr_assert_neq(migrate_judge(own + 1, own + 1, &e), 0);
    cr_assert(strstr(e.hint, "newer docmill") != NULL, "%s", e.hint);
    cr_assert_neq(migrate_judge(own - 1, own - 1, &e), 0);
    cr_assert(strstr(e.hint, "migrate up") != NULL, "%s", e.hint);
}
