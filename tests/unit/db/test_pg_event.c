/* test_pg_event.c - the event-loop driver: nothing waits, every statement is answered once */
#include "base/clock.h"
#include "test_proxy.h"
#include "db_test.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

TestSuite(pg_event, .timeout = 60);

/* What a callback saw. */
struct answer {
    struct pg *p;
    int calls, rows;
    int64_t number;
    char text[200];
    struct error e;
};

static void take(void *arg, const PGresult *res, const struct error *e)
{
    struct answer *a = arg;

    a->calls++;
    if (res == NULL) {
        a->e = *e;
        return;
    }
    cr_assert_null(e);
    a->rows = PQntuples(res);
    if (a->rows > 0 && PQftype(res, 0) == PG_TEXT && !pg_is_null(res, 0, 0))
        snprintf(a->text, sizeof a->text, "%s", pg_get_text(res, 0, 0));
    else if (a->rows > 0 && PQftype(res, 0) == PG_INT4)
        a->number = pg_get_int(res, 0, 0);
}

/* Runs the loop until the answer has come, or for limit_ms. The longest time inside pg_process is returned. */
static int64_t loop(struct pg *p, const int *calls, int want, int64_t limit_ms)
{
    int64_t end = clock_ms() + limit_ms, longest = 0;

    while (*calls < want && clock_ms() < end) {
        int64_t now = clock_ms(), until = pg_wakeup_ms(p), began;
        struct pollfd fd = {.fd = pg_fd(p), .events = pg_events(p)};
        if (until < 0 || until > now + 50)
            until = now + 50;
        poll(&fd, 1, until > now ? (int)(until - now) : 0);
        began = clock_ms();
        pg_process(p, fd.fd >= 0 ? fd.revents : 0);
        if (*calls < want && clock_ms() - began > longest) /* the last call may free p or run a test's callback */
            longest = clock_ms() - began;
    }
    return longest;
}

static void submit(struct pg *p, const char *sql, struct answer *a)
{
    struct error e = {0};

    cr_assert_eq(pg_submit(p, sql, NULL, 0, take, a, &e), 0, "%s", e.message);
    cr_assert_eq(a->calls, 0, "a callback from inside pg_submit");
}

Test(pg_event, a_statement_connects_and_is_answered_once)
{
    struct pg *p = db_test_pg(NULL);
    struct answer a = {0}, b = {0};
    struct error e = {0};

    submit(p, "SELECT 41 + 1", &a);
    cr_assert(pg_busy(p));
    cr_assert_eq(pg_submit(p, "SELECT 1", NULL, 0, take, &b, &e), -EBUSY);
    cr_assert_leq(loop(p, &a.calls, 1, 3000), 50);
    cr_assert_eq(a.calls, 1);
    cr_assert_eq(a.number, 42);
    cr_assert_not(pg_busy(p));
    submit(p, "SELECT 43", &b);
    loop(p, &b.calls, 1, 3000);
    cr_assert_eq(b.number, 43);
    cr_assert_eq(pg_epoch(p), 1);
    pg_free(&p);
    cr_assert_eq(a.calls + b.calls, 2);
}

Test(pg_event, what_is_submitted_before_the_connection_need_not_live)
{
    struct pg *p = db_test_pg(NULL);
    struct answer a = {0};
    struct pg_params q;
    void *ctx = talloc_new(NULL);
    char sql[] = "SELECT $1 || '-' || convert_from($2, 'UTF8') || current_setting('request.jwt.claims')";
    char claims[] = "{\"sub\": \"x\"}", bytes[] = "bytes";
    struct error e = {0};

    pg_params_init(&q, ctx);
    pg_add_text(&q, "text");
    pg_add_bytea(&q, bytes, 5);
    cr_assert_eq(pg_submit_as(p, claims, sql, &q, 0, take, &a, &e), 0, "%s", e.message);
    memset(sql, 'x', sizeof sql - 1);
    memset(claims, 'x', sizeof claims - 1);
    memset(bytes, 'x', sizeof bytes - 1);
    memset(&q, 0, sizeof q);
    talloc_free(ctx);
    loop(p, &a.calls, 1, 3000);
    cr_assert_str_eq(a.text, "text-bytes{\"sub\": \"x\"}", "%s%s", a.text, a.e.message);
    pg_free(&p);
}

Test(pg_event, claims_hold_for_one_statement_only)
{
    struct pg *p = db_test_pg(NULL);
    struct answer a = {0}, b = {0}, c = {0};
    struct error e = {0};

    cr_assert_eq(pg_submit_as(p, "{\"sub\": \"me\"}", "SELECT current_setting('request.jwt.claims')::jsonb ->> 'sub'",
                              NULL, 0, take, &a, &e),
                 0);
    loop(p, &a.calls, 1, 3000);
    cr_assert_str_eq(a.text, "me", "%s", a.e.message);
    submit(p, "SELECT '<' || current_setting('request.jwt.claims', true) || '>'", &b);
    loop(p, &b.calls, 1, 3000);
    cr_assert_str_eq(b.text, "<>");
    cr_assert_eq(pg_submit_as(p, "{}", "SELECT 1/0", NULL, 0, take, &c, &e), 0);
    loop(p, &c.calls, 1, 3000);
    cr_assert_str_eq(c.e.reason, "db_error");
    cr_assert_eq(db_test_int(p, "SELECT 7"), 7);
    cr_assert_eq(pg_epoch(p), 1);
    pg_free(&p);
}

Test(pg_event, a_callback_of_submit_as_comes_after_the_commit)
{
    struct pg *p = db_test_pg(NULL), *admin = db_test_pg(NULL);
    struct answer a = {0};
    struct error e = {0};

    db_test_run(admin, "DROP TABLE IF EXISTS public.dm_deferred");
    db_test_run(admin, "CREATE TABLE public.dm_deferred (i int UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    cr_assert_eq(pg_submit_as(p, "{}", "INSERT INTO public.dm_deferred VALUES (1), (1)", NULL, 0, take, &a, &e), 0);
    loop(p, &a.calls, 1, 3000);
    cr_assert_eq(a.calls, 1);
    cr_assert_str_eq(pg_sqlstate(p), "23505", "%s", a.e.message);
    a = (struct answer){0};
    cr_assert_eq(pg_submit_as(p, "{}", "INSERT INTO public.dm_deferred VALUES (1), (2)", NULL, 0, take, &a, &e), 0);
    loop(p, &a.calls, 1, 3000);
    cr_assert_eq(a.e.code, 0, "%s", a.e.message);
    cr_assert_eq(db_test_int(admin, "SELECT count(*) FROM public.dm_deferred"), 2);
    db_test_run(admin, "DROP TABLE public.dm_deferred");
    pg_free(&p);
    pg_free(&admin);
}

Test(pg_event, deadlines_end_statements_and_connecting)
{
    struct proxy *x = proxy_start(NULL, false, PROXY_MUTE);
    struct pg *p = db_test_pg_timeouts(proxy_url(x), 300, 5000);
    struct answer a = {0}, b = {0}, c = {0};
    struct error e = {0};
    int64_t began = clock_ms();

    submit(p, "SELECT 1", &a);
    loop(p, &a.calls, 1, 3000);
    cr_assert_leq(clock_ms() - began, 500);
    cr_assert_str_eq(a.e.reason, "db_unavailable");
    cr_assert_eq(pg_fd(p), -1);
    proxy_set(x, PROXY_PASS);
    began = clock_ms();
    cr_assert_eq(pg_submit(p, "SELECT pg_sleep(9)", NULL, began + 300, take, &b, &e), 0);
    loop(p, &b.calls, 1, 3000);
    cr_assert_leq(clock_ms() - began, 500);
    cr_assert_str_eq(b.e.reason, "db_timeout", "%s", b.e.message);
    cr_assert_eq(db_test_int(p, "SELECT 7"), 7);
    proxy_set(x, PROXY_MUTE);
    began = clock_ms();
    cr_assert_eq(pg_submit(p, "SELECT 1", NULL, began + 300, take, &c, &e), 0);
    loop(p, &c.calls, 1, 3000);
    cr_assert_leq(clock_ms() - began, 500);
    cr_assert_str_eq(c.e.reason, "db_timeout");
    cr_assert_not(pg_connected(p));
    pg_free(&p);
    proxy_stop(&x);
}

Test(pg_event, a_database_that_is_down_is_tried_again_within_the_connect_timeout)
{
    struct proxy *x = proxy_start(NULL, false, PROXY_PASS);
    struct pg *p = db_test_pg_timeouts(proxy_url(x), 1500, 5000);
    struct answer a = {0}, b = {0};

    proxy_down(x);
    submit(p, "SELECT 1", &a);
    loop(p, &a.calls, 1, 250);
    cr_assert_eq(a.calls, 0);
    proxy_up(x);
    loop(p, &a.calls, 1, 3000);
    cr_assert_eq(a.number, 1, "%s", a.e.message);
    proxy_down(x);
    loop(p, &b.calls, 1, 200); /* nobody asked, yet the end of the connection is seen */
    cr_assert_not(pg_connected(p));
    submit(p, "SELECT 1", &b);
    loop(p, &b.calls, 1, 3000);
    cr_assert_str_eq(b.e.reason, "db_unavailable");
    pg_free(&p);
    proxy_stop(&x);
}

Test(pg_event, notifications_arrive_while_idle)
{
    struct pg *p = db_test_pg(NULL), *admin = db_test_pg(NULL);
    struct answer a = {0};
    char channel[64] = "", payload[256] = "";
    int got = 0;

    submit(p, "LISTEN dm_test_channel", &a);
    loop(p, &a.calls, 1, 3000);
    cr_assert_not(pg_notification(p, channel, payload));
    db_test_run(admin, "SELECT pg_notify('dm_test_channel', 'one'), pg_notify('dm_test_channel', 'two')");
    for (int64_t end = clock_ms() + 3000; got < 2 && clock_ms() < end;) {
        loop(p, &a.calls, 2, 20);
        while (pg_notification(p, channel, payload)) {
            cr_assert_str_eq(channel, "dm_test_channel");
            cr_assert_str_eq(payload, got++ == 0 ? "one" : "two");
        }
    }
    cr_assert_eq(got, 2);
    pg_free(&p);
    pg_free(&admin);
}

static void chain(void *arg, const PGresult *res, const struct error *e)
{
    struct answer *a = arg;

    cr_assert_not_null(res, "%s", e->message);
    if (++a->calls < 5)
        cr_assert_eq(pg_submit(a->p, "SELECT 1", NULL, 0, chain, a, NULL), 0);
}

static void end_it(void *arg, const PGresult *res, const struct error *e)
{
    struct answer *a = arg;

    (void)res;
    (void)e;
    a->calls++;
    pg_free(&a->p);
}

Test(pg_event, a_callback_may_submit_and_may_free)
{
    struct pg *p = db_test_pg(NULL);
    struct answer a = {.p = p}, b = {.p = p};

    cr_assert_eq(pg_submit(p, "SELECT 1", NULL, 0, chain, &a, NULL), 0);
    loop(p, &a.calls, 5, 3000);
    cr_assert_eq(a.calls, 5);
    cr_assert_eq(pg_submit(p, "SELECT 1", NULL, 0, end_it, &b, NULL), 0);
    loop(p, &b.calls, 1, 3000);
    cr_assert_eq(b.calls, 1);
    cr_assert_null(b.p);
}

Test(pg_event, closing_answers_the_statement_that_runs)
{
    struct pg *p = db_test_pg(NULL);
    struct answer a = {0}, b = {0};

    db_test_run(p, "SELECT 1");
    submit(p, "SELECT pg_sleep(5)", &a);
    pg_close(p);
    cr_assert_eq(a.calls, 1);
    cr_assert_str_eq(a.e.reason, "db_unavailable");
    submit(p, "SELECT pg_sleep(5)", &b);
    pg_free(&p);
    cr_assert_eq(b.calls, 1);
}

Test(pg_event, large_values_are_sent_in_pieces)
{
    enum { SIZE = 20 * 1000 * 1000 };
    struct pg *p = db_test_pg(NULL);
    struct answer a = {0};
    struct pg_params q;
    char *big = talloc_size(p, SIZE);

    memset(big, 'y', SIZE);
    db_test_run(p, "SELECT 1");
    pg_params_init(&q, p);
    pg_add_bytea(&q, big, SIZE);
    cr_assert_eq(pg_submit(p, "SELECT octet_length($1)", &q, 0, take, &a, NULL), 0);
    cr_assert_eq(pg_events(p), POLLIN | POLLOUT);
    loop(p, &a.calls, 1, 5000);
    cr_assert_eq(a.number, SIZE, "%s", a.e.message);
    pg_free(&p);
}

Test(pg_event, a_bad_url_is_told_by_submit_itself)
{
    struct pg *p = db_test_pg("nonsense");
    struct answer a = {0};
    struct error e = {0};

    cr_assert_neq(pg_submit(p, "SELECT 1", NULL, 0, take, &a, &e), 0);
    cr_assert_str_eq(e.reason, "db_unavailable");
    cr_assert_eq(a.calls, 0);
    cr_assert_not(pg_busy(p));
    pg_free(&p);
}

Test(pg_event, a_statement_that_was_sent_is_answered_by_its_callback_even_at_once)
{
    struct pg *p = db_test_pg(NULL);
    struct answer a = {0};
    struct error e = {0};

    for (int i = 0; i < 500; i++) {
        cr_assert_eq(pg_submit(p, "this is no SQL", NULL, 0, take, &a, &e), 0, "%d: %s", i, e.message);
        loop(p, &a.calls, i + 1, 3000);
        cr_assert_str_eq(a.e.reason, "db_error");
    }
    cr_assert_eq(a.calls, 500);
    pg_free(&p);
}
