/* test_pg_faults.c - what breaks between us and the server: backends killed, networks cut, servers that hang */
#include "base/clock.h"
#include "test_proxy.h"
#include "db_test.h"

#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

TestSuite(pg_faults, .timeout = 60);

static void kill_backend(struct pg *p)
{
    struct pg *admin = db_test_pg(NULL);
    int64_t pid = db_test_int(p, "SELECT pg_backend_pid()");
    struct pg_params q;

    pg_params_init(&q, admin);
    pg_add_int4(&q, (int32_t)pid);
    cr_assert_eq(pg_run(admin, "SELECT pg_terminate_backend($1, 5000)", &q, 0, NULL), 0);
    pg_free(&admin);
}

Test(pg_faults, a_backend_killed_in_a_statement_is_db_unavailable_and_the_next_statement_works)
{
    struct pg *p = db_test_pg(NULL);
    struct error e = {0};

    cr_assert_neq(pg_run(p, "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)", NULL, 0, &e), 0);
    cr_assert_str_eq(e.reason, "db_unavailable");
    cr_assert_str_eq(pg_sqlstate(p), "57P01");
    cr_assert_eq(db_test_int(p, "SELECT 7"), 7);
    cr_assert_eq(pg_epoch(p), 2);
    pg_free(&p);
}

Test(pg_faults, an_idle_connection_that_died_is_replaced_without_an_error)
{
    struct pg *p = db_test_pg(NULL);

    kill_backend(p);
    cr_assert_eq(db_test_int(p, "SELECT 7"), 7);
    cr_assert_eq(pg_epoch(p), 2);
    pg_free(&p);
}

Test(pg_faults, a_transaction_that_died_fails_until_it_is_rolled_back_or_begun_anew)
{
    struct pg *p = db_test_pg(NULL);
    struct error e = {0};
    bool unknown = true;

    cr_assert_eq(pg_begin(p, &e), 0);
    kill_backend(p);
    for (int i = 0; i < 2; i++) {
        cr_assert_neq(pg_run(p, "SELECT 1", NULL, 0, &e), 0);
        cr_assert_str_eq(e.reason, "db_unavailable");
    }
    pg_rollback(p);
    cr_assert_eq(db_test_int(p, "SELECT 7"), 7);

    cr_assert_eq(pg_begin(p, &e), 0);
    kill_backend(p);
    cr_assert_neq(pg_run(p, "SELECT 1", NULL, 0, &e), 0);
    cr_assert_eq(pg_begin(p, &e), 0, "%s", e.message);
    db_test_run(p, "SELECT 1");
    kill_backend(p);
    cr_assert_neq(pg_commit(p, &unknown, &e), 0);
    cr_assert_not(unknown, "nothing was sent, so nothing can have been committed");
    cr_assert_eq(db_test_int(p, "SELECT 7"), 7);
    pg_free(&p);
}

static void commit_through(enum proxy_mode mode, const char *table, int64_t rows_expected)
{
    struct pg *admin = db_test_pg(NULL), *p;
    struct proxy *x = proxy_start(NULL, false, PROXY_PASS);
    struct error e = {0};
    bool unknown = false;

    db_test_run(admin, talloc_asprintf(admin, "DROP TABLE IF EXISTS public.%s", table));
    db_test_run(admin, talloc_asprintf(admin, "CREATE TABLE public.%s (i int)", table));
    p = db_test_pg(proxy_url(x));
    cr_assert_eq(pg_begin(p, &e), 0, "%s", e.message);
    db_test_run(p, talloc_asprintf(p, "INSERT INTO public.%s VALUES (1)", table));
    proxy_set(x, mode);
    cr_assert_neq(pg_commit(p, &unknown, &e), 0);
    cr_assert(unknown);
    cr_assert_str_eq(e.reason, "db_unavailable");
    /* The caller asks at once, on the same object. */
    cr_assert_eq(db_test_int(p, talloc_asprintf(p, "SELECT count(*) FROM public.%s", table)), rows_expected);
    cr_assert_eq(pg_epoch(p), 2);
    pg_free(&p);
    proxy_stop(&x);
    db_test_run(admin, talloc_asprintf(admin, "DROP TABLE public.%s", table));
    pg_free(&admin);
}

Test(pg_faults, a_commit_cut_off_after_the_server_did_it_is_unknown)
{
    commit_through(PROXY_CUT_AFTER, "dm_commit_after", 1);
}

Test(pg_faults, a_commit_cut_off_before_the_server_heard_it_is_unknown)
{
    commit_through(PROXY_CUT_BEFORE, "dm_commit_before", 0);
}

Test(pg_faults, a_commit_without_an_answer_is_unknown_at_its_deadline)
{
    struct proxy *x = proxy_start(NULL, false, PROXY_PASS);
    struct pg *p = db_test_pg_timeouts(proxy_url(x), 5000, 400);
    struct error e = {0};
    bool unknown = false;
    int64_t began;

    cr_assert_eq(pg_begin(p, &e), 0, "%s", e.message);
    db_test_run(p, "SELECT 1");
    proxy_set(x, PROXY_MUTE);
    began = clock_ms();
    cr_assert_neq(pg_commit(p, &unknown, &e), 0);
    cr_assert(unknown);
    cr_assert_str_eq(e.reason, "db_timeout");
    cr_assert_leq(clock_ms() - began, 600);
    pg_free(&p);
    proxy_stop(&x);
}

Test(pg_faults, a_server_that_accepts_and_says_nothing_costs_the_connect_timeout)
{
    struct proxy *x = proxy_start(NULL, false, PROXY_MUTE);
    struct pg *p = db_test_pg_timeouts(proxy_url(x), 400, 5000);
    struct error e = {0};
    int64_t began = clock_ms();

    cr_assert_neq(pg_connect(p, &e), 0);
    cr_assert_str_eq(e.reason, "db_unavailable");
    cr_assert_leq(clock_ms() - began, 600);
    proxy_set(x, PROXY_PASS);
    cr_assert_eq(db_test_int(p, "SELECT 7"), 7);
    proxy_set(x, PROXY_MUTE);
    began = clock_ms();
    cr_assert_neq(pg_run(p, "SELECT 8", NULL, began + 300, &e), 0);
    cr_assert_str_eq(e.reason, "db_timeout");
    cr_assert_leq(clock_ms() - began, 500);
    pg_free(&p);
    proxy_stop(&x);
}

Test(pg_faults, a_server_that_drips_does_not_stretch_the_deadline)
{
    struct proxy *x = proxy_start(NULL, false, PROXY_PASS);
    struct pg *p = db_test_pg(proxy_url(x));
    struct error e = {0};
    int64_t began;

    cr_assert_eq(pg_connect(p, &e), 0, "%s", e.message);
    proxy_set(x, PROXY_DRIP);
    began = clock_ms();
    cr_assert_neq(pg_run(p, "SELECT repeat('x', 1000)", NULL, began + 500, &e), 0);
    cr_assert_str_eq(e.reason, "db_timeout");
    cr_assert_leq(clock_ms() - began, 700);
    pg_free(&p);
    proxy_stop(&x);
}

Test(pg_faults, a_restart_of_the_server_is_waited_for)
{
    struct proxy *x = proxy_start(NULL, false, PROXY_PASS);
    struct pg *p = db_test_pg(proxy_url(x));
    struct error e = {0};
    int64_t began;

    cr_assert_eq(db_test_int(p, "SELECT 7"), 7);
    proxy_down(x);
    began = clock_ms();
    cr_assert_neq(pg_run(p, "SELECT 7", NULL, began + 500, &e), 0);
    cr_assert_str_eq(e.reason, "db_unavailable");
    cr_assert_leq(clock_ms() - began, 700);
    proxy_up(x);
    cr_assert_eq(db_test_int(p, "SELECT 7"), 7);
    cr_assert_eq(pg_epoch(p), 2);
    pg_free(&p);
    proxy_stop(&x);
}

Test(pg_faults, names_are_resolved_and_connected_over_tcp)
{
    struct proxy *x = proxy_start(NULL, true, PROXY_PASS);
    struct pg *p = db_test_pg(proxy_url(x));

    cr_assert_eq(db_test_int(p, "SELECT 7"), 7);
    pg_free(&p);
    proxy_stop(&x);
}

Test(pg_faults, a_name_that_does_not_resolve_costs_at_most_the_connect_timeout)
{
    char *url = db_test_url_with(NULL, "host", "no-such-host.invalid", "sslmode", NULL, NULL);
    struct pg *p = db_test_pg_timeouts(url, 700, 5000);
    struct error e = {0};
    int64_t began = clock_ms();

    for (int i = 0; i < 2; i++) {
        cr_assert_neq(pg_connect(p, &e), 0);
        cr_assert_str_eq(e.reason, "db_unavailable");
    }
    cr_assert_leq(clock_ms() - began, 1700);
    pg_free(&p);
    talloc_free(url);
}

Test(pg_faults, no_message_shows_the_password)
{
    static const char password[] = "Pa55-w0rd-in-the-url";
    void *ctx = talloc_new(NULL);
    const char *urls[] = {
        talloc_asprintf(ctx, "postgresql://u:%s@/%%zz", password),
        talloc_asprintf(ctx, "host=/nonexistent user=u password=%s", password),
        talloc_asprintf(ctx, "host=127.0.0.1 port=1 user=u password=%s", password),
        talloc_asprintf(ctx, "host=db.example.com sslmode=require user=u password=%s", password),
        talloc_asprintf(ctx, "host=no-such-host.invalid user=u password=%s", password),
        talloc_asprintf(ctx, "host=127.0.0.1 bogus=%s", password),
        talloc_asprintf(ctx, "%s", password),
    };
    char *url = db_test_url_with(ctx, "password", password, NULL);
    struct pg *p;
    struct error e = {0};

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        p = db_test_pg_timeouts(urls[i], 300, 300);
        cr_assert_neq(pg_connect(p, &e), 0);
        cr_assert(strstr(e.message, password) == NULL && strstr(e.hint, password) == NULL, "%s | %s", e.message,
                  e.hint);
        cr_assert_neq(e.message[0], '\0');
        pg_free(&p);
    }
    p = db_test_pg(url);
    cr_assert_neq(pg_run(p, "SELECT 'Pa55-w0rd-in-the-url'::int", NULL, 0, &e), 0);
    cr_assert(strstr(e.message, password) == NULL, "%s", e.message);
    cr_assert(strstr(e.message, "22P02") != NULL, "%s", e.message);
    pg_free(&p);
    talloc_free(ctx);
}
