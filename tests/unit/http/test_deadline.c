/*
 * test_deadline.c - every way in which a server can keep one waiting ends in time, and says which
 */
#include "base/clock.h"
#include "client.h"
#include "names.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct server server;
static int64_t begun;

static void set_up(void)
{
    client_open(NULL);
    begun = clock_ms();
}

static void tear_down(void)
{
    client_close();
    if (server.handler != NULL)
        server_stop(&server);
}

TestSuite(http_deadline, .init = set_up, .fini = tear_down, .timeout = 60);

/* It took at least `from` and not absurdly longer: the machine may be busy. */
static void expect_timeout(const struct http_response *r, const char *words, int64_t from)
{
    int64_t took = clock_ms() - begun;

    cr_expect_eq(r->status, 0);
    cr_expect_str_eq(r->error.reason, "http_timeout", "%s", r->error.message);
    cr_expect_eq(r->error.cls, ERR_TRANSIENT);
    cr_expect_not_null(strstr(r->error.message, words), "%s", r->error.message);
    cr_expect(took >= from && took < from + 2500, "took %d ms", (int)took);
}

/* A listener whose queue is full takes no further connection. */
Test(http_deadline, connecting)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0), clogs[8];
    struct server fake = {0};
    struct http_request q;
    struct http_response r;

    cr_assert_eq(bind(listener, (struct sockaddr *)&a, len), 0);
    cr_assert_eq(listen(listener, 0), 0);
    getsockname(listener, (struct sockaddr *)&a, &len);
    for (int i = 0; i < 8; i++) {
        clogs[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(clogs[i], (struct sockaddr *)&a, len) != 0)
            continue;
    }
    fake.port = ntohs(a.sin_port);
    q = get(url_of(&fake, "/"));
    q.connect_ms = 300;
    r = fetch(&q);
    expect_timeout(&r, "no connection", 300);
    cr_expect_not(r.sent);
    for (int i = 0; i < 8; i++)
        close(clogs[i]);
    close(listener);
}

Test(http_deadline, looking_up_a_name_blocks_nothing)
{
    struct http_request q = get("http://slow.test:1/");
    struct http_response r;
    struct outcome o = {0};
    int64_t before;

    names_slow_ms = 3000;
    q.connect_ms = 300;
    r = fetch(&q);
    expect_timeout(&r, "no connection", 300);
    cr_expect_not(r.sent);
    q.connect_ms = 10000;
    start(&q, &o);
    before = clock_ms();
    for (int i = 0; i < 20; i++) {
        struct error e;
        cr_assert_geq(http_wait(engine, NULL, 0, 10, &e), 0);
    }
    http_free(&engine);
    cr_expect_lt(clock_ms() - before, 1500, "neither waiting nor closing waits for the name");
    cr_expect_eq(o.times, 1);
    cr_expect_str_eq(o.r.error.reason, "cancelled");
}

static void serve_nothing(struct peer *p)
{
    if (peer_read(p))
        peer_pause(p, SERVER_PATIENCE_MS);
}

Test(http_deadline, the_first_byte)
{
    struct http_request q;
    struct http_response r;

    server_start(&server, serve_nothing);
    q = post(url_of(&server, "/"), "x");
    q.first_byte_ms = 300;
    r = fetch(&q);
    expect_timeout(&r, "did not begin to answer", 300);
    cr_expect(r.sent);
}

static void serve_interim(struct peer *p)
{
    if (!peer_read(p))
        return;
    do
        peer_write(p, "HTTP/1.1 102 Processing\r\n\r\n");
    while (peer_pause(p, 50));
}

Test(http_deadline, interim_answers_are_not_the_first_byte)
{
    struct http_request q;
    struct http_response r;

    server_start(&server, serve_interim);
    q = get(url_of(&server, "/"));
    q.first_byte_ms = 300;
    r = fetch(&q);
    expect_timeout(&r, "did not begin to answer", 300);
}

static void serve_slow_reader(struct peer *p)
{
    static char some[400000];

    if (!peer_read_headers(p))
        return;
    for (int i = 0; i < 10 && peer_read_exactly(p, some, sizeof some); i++)
        poll(NULL, 0, 100);
    peer_answer(p, "ok");
}

Test(http_deadline, sending_does_not_count_towards_the_first_byte)
{
    char *body = calloc(10, 400000);
    struct http_request q;
    struct http_response r;
    int small = 65536;

    server_start(&server, serve_slow_reader);
    setsockopt(server.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    q = post(url_of(&server, "/"), "");
    q.body = body;
    q.body_len = 4000000;
    q.first_byte_ms = 400;
    r = fetch(&q);
    cr_expect_eq(r.status, 200, "%s", r.error.message);
    cr_expect_geq(clock_ms() - begun, 800);
    free(body);
}

static void serve_drip(struct peer *p)
{
    if (!peer_read(p))
        return;
    peer_write(p, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (peer_pause(p, 20))
        peer_write(p, "x");
}

Test(http_deadline, the_whole)
{
    struct http_request q;
    struct http_response r;

    server_start(&server, serve_drip);
    q = get(url_of(&server, "/"));
    q.total_ms = 400;
    q.first_byte_ms = 200;
    r = fetch(&q);
    expect_timeout(&r, "was not finished", 400);
    cr_expect(r.sent);
    cr_expect_gt(r.len, 3);
}

Test(http_deadline, low_speed)
{
    struct http_request q;
    struct http_response r;

    server_start(&server, serve_drip);
    q = get(url_of(&server, "/"));
    q.low_speed_bytes = 10000;
    q.low_speed_ms = 400;
    r = fetch(&q);
    expect_timeout(&r, "less than 10000 bytes a second", 400);
}

static void serve_thinking(struct peer *p)
{
    if (peer_read(p) && peer_pause(p, 900))
        peer_answer(p, "ok");
}

Test(http_deadline, a_server_that_thinks_is_not_slow)
{
    struct http_request q;
    struct http_response r;

    server_start(&server, serve_thinking);
    q = post(url_of(&server, "/"), "x");
    q.low_speed_bytes = 10000;
    q.low_speed_ms = 300;
    r = fetch(&q);
    cr_expect_eq(r.status, 200, "%s", r.error.message);
}

static void serve_unread(struct peer *p)
{
    if (peer_read_headers(p))
        peer_pause(p, SERVER_PATIENCE_MS);
}

Test(http_deadline, a_server_that_stops_reading)
{
    char *body = calloc(1, 32000000);
    struct http_request q;
    struct http_response r;

    server_start(&server, serve_unread);
    q = post(url_of(&server, "/"), "");
    q.body = body;
    q.body_len = 32000000;
    q.low_speed_bytes = 1000;
    q.low_speed_ms = 400;
    r = fetch(&q);
    expect_timeout(&r, "less than 1000 bytes a second", 400);
    cr_expect(r.sent);
    free(body);
}

Test(http_deadline, a_busy_host_does_not_count_towards_connecting)
{
    struct http_options o = {.allow_private = "all", .max_host_connections = 1};
    struct http_request q;
    struct outcome done = {0};

    client_close();
    client_open(&o);
    server_start(&server, serve_thinking);
    q = get(url_of(&server, "/"));
    q.connect_ms = 500;
    start(&q, &done);
    start(&q, &done);
    run_until(&done, 1);
    cr_expect_eq(done.r.status, 200, "%s", done.r.error.message);
    run_until(&done, 2);
    cr_expect_eq(done.r.status, 200, "%s", done.r.error.message);
}
