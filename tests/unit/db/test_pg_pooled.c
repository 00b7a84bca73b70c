/* test_pg_pooled.c - behind a transaction pooler every transaction brings its own settings, and leaves none behind */
#include "base/clock.h"
#include "test_proxy.h"
#include "db_test.h"

#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

TestSuite(pg_pooled, .timeout = 60);

#define LIMIT    "replace(current_setting('statement_timeout'), 'ms', '')::int"
#define SETTINGS "(" LIMIT " BETWEEN 4000 AND 4500) || ' ' || current_user || ' ' || current_setting('search_path')"
#define EXPECTED "true dm_pooled_role upload_pipeline, public"

static struct pg *open_pooled(struct proxy **x)
{
    struct pg *admin = db_test_pg(NULL);
    struct pg_options o = {.application = "docmill test",
                           .role = "dm_pooled_role",
                           .connect_timeout_ms = 5000,
                           .statement_timeout_ms = 5000};

    db_test_run(admin, "DO $$ BEGIN CREATE ROLE dm_pooled_role; EXCEPTION WHEN duplicate_object OR unique_violation "
                       "THEN NULL; END $$");
    pg_free(&admin);
    *x = proxy_start(NULL, false, PROXY_REKEY);
    o.url = proxy_url(*x);
    return pg_new(NULL, &o);
}

static void expect_text(struct pg *p, const char *sql, int64_t deadline_ms, const char *text)
{
    struct error e = {0};
    PGresult *r = pg_exec(p, sql, NULL, deadline_ms, &e);

    cr_assert_not_null(r, "%s: %s", sql, e.message);
    cr_assert_str_eq(pg_get_text(r, 0, 0), text, "%s: %s", sql, pg_get_text(r, 0, 0));
    PQclear(r);
}

Test(pg_pooled, a_pooler_is_recognised)
{
    struct proxy *x;
    struct pg *p = open_pooled(&x), *direct = db_test_pg(NULL);

    cr_assert_eq(pg_connect(p, NULL), 0);
    cr_assert(pg_pooled(p));
    cr_assert_eq(pg_connect(direct, NULL), 0);
    cr_assert_not(pg_pooled(direct));
    pg_free(&p);
    pg_free(&direct);
    proxy_stop(&x);
}

Test(pg_pooled, every_kind_of_statement_has_its_settings)
{
    struct proxy *x;
    struct pg *p = open_pooled(&x);
    struct error e = {0};
    bool unknown;

    expect_text(p, "SELECT " SETTINGS, 0, EXPECTED);
    expect_text(p, "SELECT 1; SELECT " SETTINGS, 0, EXPECTED);
    cr_assert_eq(pg_begin(p, &e), 0, "%s", e.message);
    db_test_run(p, "CREATE TEMP TABLE t (i int)");
    expect_text(p, "SELECT " SETTINGS, 0, EXPECTED);
    expect_text(p, "SELECT (" LIMIT " BETWEEN 59000 AND 59500)::text", clock_ms() + 60000, "true");
    cr_assert_eq(pg_commit(p, &unknown, &e), 0, "%s", e.message);
    cr_assert_eq(pg_begin(p, &e), 0);
    db_test_run(p, "INSERT INTO t VALUES (1)");
    pg_rollback(p);
    cr_assert_eq(db_test_int(p, "SELECT count(*) FROM t"), 0);
    expect_text(p, "SELECT " SETTINGS, 0, EXPECTED);
    cr_assert_eq(pg_epoch(p), 1);
    pg_free(&p);
    proxy_stop(&x);
}

/* The COMMIT in the text ends what the settings hold for; what comes after sees the session itself. */
Test(pg_pooled, nothing_is_left_in_the_session)
{
    struct proxy *x;
    struct pg *p = open_pooled(&x);
    struct error e = {0};

    expect_text(p, "SELECT " SETTINGS, 0, EXPECTED);
    cr_assert_eq(pg_run(p,
                        "SELECT 1; COMMIT; CREATE TEMP TABLE seen AS SELECT current_setting('statement_timeout') AS t,"
                        " current_user AS u",
                        NULL, 0, &e),
                 0, "%s", e.message);
    cr_assert_eq(
        db_test_int(p, "SELECT 1; ROLLBACK; RESET ROLE; SELECT (t = '0' AND u <> 'dm_pooled_role')::int FROM seen"), 1);
    pg_free(&p);
    proxy_stop(&x);
}
