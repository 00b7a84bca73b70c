/* test_pg_wait.c - the waiting driver: deadlines, the tick hook, transactions, settings of the session */
#include "base/clock.h"
#include "db/pg_int.h"
#include "db_test.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

TestSuite(pg_wait, .timeout = 60);

static char *text_of(struct pg *p, const char *sql)
{
    struct error e = {0};
    PGresult *r = pg_exec(p, sql, NULL, 0, &e);
    char *copy;

    cr_assert_not_null(r, "%s", e.message);
    copy = talloc_strdup(p, pg_get_text(r, 0, 0));
    PQclear(r);
    return copy;
}

Test(pg_wait, a_session_has_its_settings)
{
    struct pg_options o = {.url = db_test_url(),
                           .application = "docmill worker",
                           .role = "dm_test_role",
                           .connect_timeout_ms = 5000,
                           .statement_timeout_ms = 10000};
    struct pg *admin = db_test_pg(NULL), *p = pg_new(NULL, &o);

    db_test_run(admin, "DO $$ BEGIN CREATE ROLE dm_test_role; EXCEPTION WHEN duplicate_object OR unique_violation "
                       "THEN NULL; END $$");
    cr_assert_str_eq(text_of(p, "SELECT current_user::text"), "dm_test_role");
    cr_assert_str_eq(text_of(p, "SELECT current_setting('search_path')"), "upload_pipeline, public");
    cr_assert_str_eq(text_of(p, "SELECT current_setting('statement_timeout')"), "9500ms");
    cr_assert_str_eq(text_of(p, "SELECT current_setting('client_connection_check_interval')"), PG_CLIENT_CHECK_MS "ms");
    cr_assert_str_eq(text_of(p, "SELECT current_setting('idle_in_transaction_session_timeout')"), "3s");
    cr_assert_str_eq(text_of(p, "SELECT current_setting('application_name')"), "docmill worker");
    cr_assert_str_eq(text_of(p, "SELECT current_setting('client_encoding')"), "UTF8");
    cr_assert_eq(pg_epoch(p), 1);
    pg_free(&p);
    pg_free(&admin);
}

Test(pg_wait, a_transaction_left_idle_is_ended_by_the_server_and_the_next_one_works)
{
    struct pg *p = db_test_pg(NULL), *other = db_test_pg(NULL);
    struct error e = {0};
    int64_t until = clock_ms() + 10000;
    char locks[160];
    uint64_t epoch;

    cr_assert_eq(pg_begin(p, &e), 0, "%s", e.message);
    epoch = pg_epoch(p);
    snprintf(locks, sizeof locks, "SELECT count(*) FROM pg_stat_activity WHERE pid = %lld",
             (long long)db_test_int(p, "SELECT pg_backend_pid()::int8"));
    cr_assert_eq(db_test_int(other, locks), 1);
    while (db_test_int(other, locks) != 0 && clock_ms() < until)
        usleep(50000);
    cr_assert_eq(db_test_int(other, locks), 0, "the session and its locks are gone");
    cr_assert_neq(pg_run(p, "SELECT 1", NULL, 0, &e), 0, "what was in the transaction is not silently left out");
    cr_assert_eq(e.cls, ERR_RECOVERABLE);
    pg_rollback(p);
    cr_assert_eq(db_test_int(p, "SELECT 7::int8"), 7);
    cr_assert_gt(pg_epoch(p), epoch);
    pg_free(&p);
    pg_free(&other);
}

Test(pg_wait, an_unknown_role_is_an_error_at_once)
{
    struct pg_options o = {
        .url = db_test_url(), .role = "dm_no_such_role", .connect_timeout_ms = 5000, .statement_timeout_ms = 5000};
    struct pg *p = pg_new(NULL, &o);
    struct error e = {0};
    int64_t began = clock_ms();

    cr_assert_neq(pg_connect(p, &e), 0);
    cr_assert(strstr(e.message, "dm_no_such_role") != NULL, "%s", e.message);
    cr_assert_lt(clock_ms() - began, 1000);
    cr_assert_not(pg_connected(p));
    pg_free(&p);
}

Test(pg_wait, a_slow_statement_ends_before_its_deadline_and_the_connection_lives)
{
    struct pg *p = db_test_pg(NULL);
    struct error e = {0};
    int64_t began;

    cr_assert_eq(pg_connect(p, &e), 0, "%s", e.message);
    began = clock_ms();
    cr_assert_null(pg_exec(p, "SELECT pg_sleep(10)", NULL, began + 400, &e));
    cr_assert_leq(clock_ms() - began, 600);
    cr_assert_str_eq(e.reason, "db_timeout");
    cr_assert_str_eq(pg_sqlstate(p), "57014");
    cr_assert_eq(db_test_int(p, "SELECT 7"), 7);
    cr_assert_eq(pg_epoch(p), 1);
    cr_assert_str_eq(text_of(p, "SELECT current_setting('statement_timeout')"), "4500ms");
    pg_free(&p);
}

Test(pg_wait, a_deadline_beyond_the_sessions_limit_is_granted)
{
    struct pg *p = db_test_pg_timeouts(NULL, 5000, 400);
    struct pg_params q;
    struct error e = {0};

    pg_params_init(&q, p);
    pg_add_int4(&q, 800);
    cr_assert_eq(pg_run(p, "SELECT pg_sleep($1 / 1000.0)", &q, clock_ms() + 3000, &e), 0, "%s", e.message);
    cr_assert_eq(pg_begin(p, &e), 0);
    cr_assert_eq(pg_run(p, "SELECT pg_sleep($1 / 1000.0)", &q, clock_ms() + 3000, &e), 0, "%s", e.message);
    pg_rollback(p);
    cr_assert_eq(pg_run(p, "VACUUM pg_catalog.pg_class", NULL, clock_ms() + 3000, &e), 0, "%s", e.message);
    cr_assert_neq(pg_run(p, "SELECT pg_sleep($1 / 1000.0)", &q, 0, &e), 0);
    cr_assert_str_eq(e.reason, "db_timeout");
    pg_free(&p);
}

Test(pg_wait, a_statement_that_outlives_its_deadline_is_dropped_and_the_server_notices)
{
    struct pg *p = db_test_pg(NULL), *admin = db_test_pg(NULL);
    struct error e = {0};
    int64_t began, left = 1;

    cr_assert_eq(pg_connect(p, &e), 0, "%s", e.message);
    began = clock_ms();
    cr_assert_neq(pg_run(p, "SET statement_timeout = 0; SELECT pg_sleep(20), 'dm-orphan'", NULL, began + 300, &e), 0);
    cr_assert_leq(clock_ms() - began, 500);
    cr_assert_str_eq(e.reason, "db_timeout");
    while (left > 0 && clock_ms() - began < 3000) {
        left = db_test_int(admin, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%dm-orphan%' AND state = "
                                  "'active' AND pid <> pg_backend_pid()");
        usleep(50000);
    }
    cr_assert_eq(left, 0, "the server still runs the statement");
    cr_assert_lt(clock_ms() - began, 1500);
    cr_assert_eq(db_test_int(p, "SELECT 7"), 7);
    cr_assert_eq(pg_epoch(p), 2);
    pg_free(&p);
    pg_free(&admin);
}

struct beat {
    int count;
    int64_t last_ms, longest_ms;
};

static void beat(void *arg)
{
    struct beat *b = arg;
    int64_t now = clock_ms();

    if (b->count++ > 0 && now - b->last_ms > b->longest_ms)
        b->longest_ms = now - b->last_ms;
    b->last_ms = now;
}

Test(pg_wait, the_tick_hook_is_called_while_waiting)
{
    struct beat b = {0};
    struct pg_options o = {
        .url = db_test_url(), .connect_timeout_ms = 5000, .statement_timeout_ms = 5000, .tick = beat, .tick_arg = &b};
    struct pg *p = pg_new(NULL, &o);

    db_test_int(p, "SELECT 1 FROM pg_sleep(1)");
    cr_assert_geq(b.count, 10);
    cr_assert_leq(b.longest_ms, 100);
    pg_free(&p);
}

struct intruder {
    struct pg *p;
    struct error e;
    int code;
};

static void intrude(void *arg)
{
    struct intruder *i = arg;

    i->code = pg_run(i->p, "SELECT 1", NULL, 0, &i->e);
}

Test(pg_wait, the_tick_hook_cannot_use_the_connection)
{
    struct intruder i = {0};
    struct pg_options o = {.url = db_test_url(),
                           .connect_timeout_ms = 5000,
                           .statement_timeout_ms = 5000,
                           .tick = intrude,
                           .tick_arg = &i};
    struct pg *p = i.p = pg_new(NULL, &o);

    db_test_int(p, "SELECT 1 FROM pg_sleep(0.3)");
    cr_assert_lt(i.code, 0);
    cr_assert_str_eq(i.e.reason, "internal");
    pg_free(&p);
}

Test(pg_wait, errors_carry_reason_sqlstate_and_constraint)
{
    struct pg *p = db_test_pg(NULL);
    struct error e = {0};

    cr_assert_neq(pg_run(p, "SELECT 1/0", NULL, 0, &e), 0);
    cr_assert_str_eq(e.reason, "db_error");
    cr_assert_str_eq(pg_sqlstate(p), "22012");
    cr_assert(strstr(e.message, "SQLSTATE 22012") != NULL, "%s", e.message);
    db_test_run(p, "CREATE TEMP TABLE t (i int CONSTRAINT t_key UNIQUE, secret text)");
    db_test_run(p, "INSERT INTO t VALUES (1, 'x')");
    cr_assert_neq(pg_run(p, "INSERT INTO t VALUES (1, 'top-secret-row')", NULL, 0, &e), 0);
    cr_assert(strstr(e.message, "t_key") != NULL, "%s", e.message);
    cr_assert(strstr(e.message, "top-secret-row") == NULL);
    cr_assert_neq(pg_run(p, "COPY t FROM STDIN", NULL, 0, &e), 0);
    cr_assert_str_eq(e.reason, "internal");
    cr_assert_eq(db_test_int(p, "SELECT 1"), 1);
    pg_free(&p);
}

Test(pg_wait, conflicts_are_told_apart)
{
    struct pg *a = db_test_pg(NULL), *b = db_test_pg(NULL);
    struct error e = {0};

    db_test_run(a, "DROP TABLE IF EXISTS public.dm_conflict");
    db_test_run(a, "CREATE TABLE public.dm_conflict (i int)");
    db_test_run(a, "INSERT INTO public.dm_conflict VALUES (1)");
    cr_assert_eq(pg_begin(a, &e), 0);
    db_test_run(a, "UPDATE public.dm_conflict SET i = 2");
    cr_assert_neq(pg_run(b, "SELECT * FROM public.dm_conflict FOR UPDATE NOWAIT", NULL, 0, &e), 0);
    cr_assert_str_eq(e.reason, "db_conflict");
    cr_assert_str_eq(pg_sqlstate(b), "55P03");
    cr_assert_eq(pg_begin(b, &e), 0);
    db_test_run(b, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    db_test_int(b, "SELECT count(*) FROM public.dm_conflict");
    bool unknown;
    cr_assert_eq(pg_commit(a, &unknown, &e), 0);
    cr_assert_neq(pg_run(b, "UPDATE public.dm_conflict SET i = 3", NULL, 0, &e), 0);
    cr_assert_str_eq(e.reason, "db_conflict");
    cr_assert_str_eq(pg_sqlstate(b), "40001");
    pg_rollback(b);
    db_test_run(a, "DROP TABLE public.dm_conflict");
    pg_free(&a);
    pg_free(&b);
}

Test(pg_wait, a_commit_that_failed_for_sure_is_not_unknown)
{
    struct pg *p = db_test_pg(NULL);
    struct error e = {0};
    bool unknown = true;

    db_test_run(p, "CREATE TEMP TABLE t (i int UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    cr_assert_eq(pg_begin(p, &e), 0);
    db_test_run(p, "INSERT INTO t VALUES (1), (1)");
    cr_assert_neq(pg_commit(p, &unknown, &e), 0);
    cr_assert_not(unknown);
    cr_assert_str_eq(pg_sqlstate(p), "23505");

    unknown = true;
    cr_assert_eq(pg_begin(p, &e), 0);
    cr_assert_neq(pg_run(p, "SELECT 1/0", NULL, 0, &e), 0);
    cr_assert_neq(pg_commit(p, &unknown, &e), 0);
    cr_assert_not(unknown);
    cr_assert_eq(pg_begin(p, &e), 0, "%s", e.message);
    cr_assert_neq(pg_begin(p, &e), 0);
    cr_assert_str_eq(e.reason, "internal");
    db_test_run(p, "INSERT INTO t VALUES (5)");
    pg_rollback(p);
    cr_assert_eq(db_test_int(p, "SELECT count(*) FROM t"), 0);
    pg_free(&p);
}

Test(pg_wait, several_statements_at_once_are_one_transaction)
{
    struct pg *p = db_test_pg(NULL);
    struct error e = {0};
    PGresult *r;

    cr_assert_neq(pg_run(p, "CREATE TEMP TABLE t (i int); INSERT INTO t VALUES (1); SELECT 1/0", NULL, 0, &e), 0);
    r = pg_exec(
        p, "CREATE TEMP TABLE t (i int); INSERT INTO t VALUES (3); SELECT i, 1.5::float8, true, NULL, 'a;b' FROM t;",
        NULL, 0, &e);
    cr_assert_not_null(r, "%s", e.message);
    cr_assert_eq(pg_get_int(r, 0, 0), 3);
    cr_assert_eq(pg_get_float(r, 0, 1), 1.5);
    cr_assert(pg_get_bool(r, 0, 2));
    cr_assert(pg_is_null(r, 0, 3));
    cr_assert_str_eq(pg_get_text(r, 0, 4), "a;b");
    PQclear(r);
    pg_free(&p);
}

Test(pg_wait, a_deadline_that_has_passed_sends_nothing_and_keeps_the_connection)
{
    struct pg *p = db_test_pg(NULL);
    struct error e = {0};

    db_test_run(p, "CREATE TEMP TABLE t (i int)");
    cr_assert_neq(pg_run(p, "INSERT INTO t VALUES (1)", NULL, clock_ms() - 1, &e), 0);
    cr_assert_str_eq(e.reason, "db_timeout");
    cr_assert_eq(db_test_int(p, "SELECT count(*) FROM t"), 0);
    cr_assert_eq(pg_epoch(p), 1);
    pg_free(&p);
}
