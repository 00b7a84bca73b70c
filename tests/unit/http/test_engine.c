/*
 * test_engine.c - many requests over one engine: connections kept, calls stopped, nothing left behind
 */
#include "base/clock.h"
#include "client.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

static struct server server;

static void set_up(void)
{
    client_open(NULL);
}

static void tear_down(void)
{
    client_close();
    server_stop(&server);
}

TestSuite(http_engine, .init = set_up, .fini = tear_down, .timeout = 60);

static void serve_ok(struct peer *p)
{
    while (peer_read(p))
        peer_answer(p, "ok");
}

static void serve_nothing(struct peer *p)
{
    if (peer_read(p))
        peer_pause(p, SERVER_PATIENCE_MS);
}

static int descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

Test(http_engine, thousands_of_requests_use_one_connection_and_leave_nothing)
{
    struct http_request q;
    struct http_response r;
    int before;

    server_start(&server, serve_ok);
    q = get(url_of(&server, "/"));
    fetch(&q);
    before = descriptors();
    for (int i = 0; i < 3000; i++) {
        r = fetch(&q);
        cr_assert_eq(r.status, 200, "%s", r.error.message);
        talloc_free(r.memory);
    }
    cr_expect_eq(server.n_connections, 1);
    cr_expect_eq(server.n_requests, 3001);
    cr_expect_eq(descriptors(), before);
    cr_expect_eq(client_kept(), 0);
}

static void serve_closing(struct peer *p)
{
    if (peer_read(p))
        peer_write(p, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
}

Test(http_engine, connections_that_end_and_names_that_are_none_leave_no_descriptor)
{
    struct http_request q, none = get("http://nowhere.test/");
    int before = 0;

    server_start(&server, serve_closing);
    q = get(url_of(&server, "/"));
    for (int i = 0; i < 50; i++) {
        cr_assert_eq(fetch(&q).status, 200);
        cr_assert_str_eq(fetch(&none).error.reason, "http_unreachable");
        if (i == 0)
            before = descriptors();
    }
    cr_expect_leq(descriptors(), before + 1);
    http_free(&engine);
    cr_expect_leq(descriptors(), before);
}

Test(http_engine, many_at_once_keep_to_the_limit_of_connections)
{
    struct http_options o = {.allow_private = "all", .max_host_connections = 4};
    struct http_request q;
    struct outcome out = {0};

    client_close();
    client_open(&o);
    server_start(&server, serve_ok);
    q = get(url_of(&server, "/"));
    for (int i = 0; i < 60; i++)
        start(&q, &out);
    cr_expect_geq(client_kept(), 60);
    cr_expect_eq(out.times, 0, "nothing ends inside http_start");
    run_until(&out, 60);
    cr_expect_eq(out.times, 60);
    cr_expect_leq(server.n_connections, 4);
    cr_expect_eq(server.n_requests, 60);
}

Test(http_engine, a_cancelled_call_ends_in_the_next_run)
{
    struct http_request q;
    struct outcome out = {0};
    struct http_call *c;
    struct error e;

    server_start(&server, serve_nothing);
    q = post(url_of(&server, "/"), "x");
    c = start(&q, &out);
    while (server.n_requests == 0)
        cr_assert_geq(http_wait(engine, NULL, 0, 10, &e), 0);
    http_cancel(c);
    cr_expect_eq(out.times, 0, "nothing ends inside http_cancel");
    cr_expect_eq(http_wait(engine, NULL, 0, 5000, &e), 1);
    cr_expect_eq(out.times, 1);
    cr_expect_str_eq(out.r.error.reason, "cancelled");
    cr_expect(out.r.sent);
    cr_expect_eq(client_kept(), 0);
}

Test(http_engine, a_call_cancelled_before_it_began_sent_nothing)
{
    struct http_request q;
    struct outcome out = {0};
    struct error e;

    server_start(&server, serve_ok);
    q = post(url_of(&server, "/"), "x");
    http_cancel(start(&q, &out));
    cr_expect_eq(http_run(engine, &e), 1);
    cr_expect_str_eq(out.r.error.reason, "cancelled");
    cr_expect_not(out.r.sent);
}

Test(http_engine, freeing_it_ends_what_is_under_way)
{
    struct http_request q;
    struct outcome out = {0};
    struct error e;

    server_start(&server, serve_nothing);
    q = post(url_of(&server, "/"), "x");
    for (int i = 0; i < 5; i++)
        start(&q, &out);
    while (server.n_requests < 3)
        cr_assert_geq(http_wait(engine, NULL, 0, 10, &e), 0);
    http_free(&engine);
    cr_expect_eq(out.times, 5);
    cr_expect_str_eq(out.r.error.reason, "cancelled");
    cr_expect_null(engine);
}

Test(http_engine, freeing_its_owner_calls_nobody)
{
    struct http_request q;
    struct outcome out = {0};

    server_start(&server, serve_nothing);
    q = get(url_of(&server, "/"));
    start(&q, &out);
    talloc_free(engine);
    engine = NULL;
    cr_expect_eq(out.times, 0);
}

struct chain {
    struct http_request q;
    int left, nested;
};

static void handle_chain(void *arg, const struct http_response *r)
{
    struct chain *c = arg;
    struct error e;

    cr_expect_eq(r->status, 200, "%s", r->error.message);
    c->nested = http_run(engine, &e);
    cr_expect_eq(http_wait(engine, NULL, 0, 10, &e), -EBUSY);
    if (--c->left > 0)
        cr_expect_not_null(http_start(engine, &c->q, &e));
}

Test(http_engine, an_answer_may_start_the_next_request_and_not_run_the_engine)
{
    struct chain c = {.left = 5};
    struct error e;

    server_start(&server, serve_ok);
    c.q = get(url_of(&server, "/"));
    c.q.done = handle_chain;
    c.q.arg = &c;
    cr_assert_not_null(http_start(engine, &c.q, &e));
    while (client_kept() > 0)
        cr_assert_geq(http_wait(engine, NULL, 0, 1000, &e), 0);
    cr_expect_eq(c.left, 0);
    cr_expect_eq(c.nested, -EBUSY);
    cr_expect_eq(server.n_requests, 5);
}

static void handle_refused(void *arg, const struct http_response *r)
{
    struct chain *c = arg;
    struct error e;

    cr_expect_str_eq(r->error.reason, "http_refused");
    c->left++;
    cr_expect_not_null(http_start(engine, &c->q, &e));
}

Test(http_engine, who_starts_anew_what_is_refused_does_not_keep_the_engine)
{
    struct http_options o = {.proxy = "http://127.0.0.1:1"};
    struct chain c = {.q = get("http://name.test/")};
    struct error e;

    server_start(&server, serve_ok);
    client_close();
    client_open(&o);
    c.q.done = handle_refused;
    c.q.arg = &c;
    cr_assert_not_null(http_start(engine, &c.q, &e));
    cr_expect_eq(http_wait(engine, NULL, 0, 1000, &e), 1);
    cr_expect_eq(http_wait(engine, NULL, 0, 1000, &e), 1);
    cr_expect_eq(c.left, 2);
    talloc_free(engine);
    engine = NULL;
}

Test(http_engine, a_wait_ends_for_the_callers_descriptors)
{
    struct http_fd more[2];
    struct error e;
    int ends[2];

    server_start(&server, serve_ok);
    cr_assert_eq(pipe(ends), 0);
    more[0] = (struct http_fd){.fd = ends[0], .events = POLLIN};
    more[1] = (struct http_fd){.fd = ends[1], .events = 0};
    cr_expect_eq(http_wait(engine, more, 2, 10, &e), 0);
    cr_expect_eq(more[0].revents, 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    cr_expect_eq(http_wait(engine, more, 2, 10000, &e), 0);
    cr_expect_eq(more[0].revents, POLLIN);
    close(ends[0]);
    close(ends[1]);
}

Test(http_engine, its_descriptor_is_readable_when_there_is_something_to_do)
{
    struct pollfd fd = {.fd = http_descriptor(engine), .events = POLLIN};
    struct http_request q;
    struct outcome out = {0};
    struct error e;
    int turns = 0;

    server_start(&server, serve_ok);
    cr_expect_eq(poll(&fd, 1, 0), 0, "nothing to do yet");
    q = get(url_of(&server, "/"));
    start(&q, &out);
    while (out.times == 0 && turns++ < 1000) {
        cr_assert_eq(poll(&fd, 1, 10000), 1, "asleep with work to do");
        cr_assert_geq(http_run(engine, &e), 0);
    }
    cr_expect_eq(out.r.status, 200);
    cr_expect_lt(turns, 50);
    cr_expect_eq(poll(&fd, 1, 50), 0, "idle again");
}

Test(http_engine, its_descriptor_wakes_for_a_deadline)
{
    struct pollfd fd = {.fd = http_descriptor(engine), .events = POLLIN};
    struct http_request q;
    struct outcome out = {0};
    struct error e;
    int turns = 0;

    server_start(&server, serve_nothing);
    q = get(url_of(&server, "/"));
    q.first_byte_ms = 300;
    start(&q, &out);
    while (out.times == 0 && turns++ < 1000) {
        cr_assert_eq(poll(&fd, 1, 10000), 1);
        cr_assert_geq(http_run(engine, &e), 0);
    }
    cr_expect_str_eq(out.r.error.reason, "http_timeout");
    cr_expect_lt(turns, 50);
}

/* Answers once, takes the second request on the same connection and closes without a word. */
static void serve_once(struct peer *p)
{
    if (!peer_read(p))
        return;
    peer_answer(p, "ok");
    if (p->no == 0)
        peer_read(p);
    else
        while (peer_read(p))
            peer_answer(p, "ok");
}

Test(http_engine, a_post_is_not_sent_again_on_a_new_connection)
{
    struct http_request q;
    struct http_response r;

    server_start(&server, serve_once);
    q = post(url_of(&server, "/"), "x");
    cr_assert_eq(fetch(&q).status, 200);
    r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "http_broken", "%s", r.error.message);
    cr_expect(r.sent);
    cr_expect_eq(server.n_requests, 2);
}

Test(http_engine, what_is_to_be_sent_once_is_not_sent_again)
{
    struct http_request q;
    struct http_response r;

    server_start(&server, serve_once);
    q = get(url_of(&server, "/"));
    q.once = true;
    cr_assert_eq(fetch(&q).status, 200);
    r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "http_broken", "%s", r.error.message);
    cr_expect_eq(server.n_requests, 2);
}

Test(http_engine, a_get_and_a_put_are_sent_again_on_a_new_connection)
{
    struct http_request q;
    struct http_response r;
    char path[] = "/tmp/docmill-http-XXXXXX";
    int fd = mkstemp(path);

    unlink(path);
    cr_assert_eq(pwrite(fd, "hello", 5, 0), 5);
    server_start(&server, serve_once);
    q = get(url_of(&server, "/"));
    cr_assert_eq(fetch(&q).status, 200);
    q.method = "PUT";
    q.body_fd = fd;
    q.body_fd_len = 5;
    r = fetch(&q);
    cr_expect_eq(r.status, 200, "%s", r.error.message);
    cr_assert_eq(server.n_requests, 3);
    cr_expect_str_eq(server.requests[2] + server.request_lens[2] - 9, "\r\n\r\nhello");
    close(fd);
}

static int ticks;

static void tick(void *arg)
{
    (void)arg;
    ticks++;
}

static bool after_five(void *arg)
{
    (void)arg;
    return ticks >= 5;
}

Test(http_engine, a_fetch_ticks_and_hears_that_it_is_not_wanted)
{
    struct http_request q;
    struct http_response r;
    struct error e;
    int64_t begun = clock_ms();

    server_start(&server, serve_nothing);
    q = get(url_of(&server, "/"));
    cr_expect_lt(http_fetch(engine, mem, &q, tick, after_five, NULL, &r, &e), 0);
    cr_expect_str_eq(e.reason, "cancelled");
    cr_expect_str_eq(r.error.reason, "cancelled");
    cr_expect_lt(clock_ms() - begun, 3000);
    cr_expect_geq(ticks, 5);
}

static void handle_fetching(void *arg, const struct http_response *r)
{
    struct http_request q = get(url_of(&server, "/"));
    struct http_response inner;
    struct error e;

    (void)r;
    *(int *)arg = http_fetch(engine, mem, &q, NULL, NULL, NULL, &inner, &e);
}

Test(http_engine, a_fetch_inside_an_answer_is_refused_and_leaves_nothing)
{
    struct http_request q;
    struct error e;
    int rc = 0;

    server_start(&server, serve_ok);
    q = get(url_of(&server, "/"));
    q.done = handle_fetching;
    q.arg = &rc;
    cr_assert_not_null(http_start(engine, &q, &e));
    while (rc == 0)
        cr_assert_geq(http_wait(engine, NULL, 0, 1000, &e), 0);
    cr_expect_eq(rc, -EBUSY);
    cr_expect_eq(client_kept(), 0);
}
