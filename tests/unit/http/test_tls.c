/*
 * test_tls.c - certificates are verified, and HTTP/2 is spoken where it is offered
 */
#include "client.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct server server;

static void tear_down(void)
{
    client_close();
    server_stop(&server);
}

TestSuite(http_tls, .fini = tear_down, .timeout = 60);

static void serve_ok(struct peer *p)
{
    while (peer_read(p))
        peer_answer(p, "ok");
}

static void open_trusting(const char *ca_file)
{
    struct http_options o = {.allow_private = "all", .ca_file = ca_file};

    client_open(&o);
}

Test(http_tls, a_certificate_that_nobody_vouches_for_is_refused)
{
    struct http_request q;
    struct http_response r;

    server_start_tls(&server, serve_ok, false);
    open_trusting(NULL);
    q = get(url_of(&server, "/"));
    r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "http_refused", "%s", r.error.message);
    cr_expect_not_null(strstr(r.error.message, "certificate"));
    cr_expect_not_null(strstr(r.error.hint, "http.ca_file"));
    cr_expect_not(r.sent);
    cr_expect_eq(server.n_requests, 0);
}

Test(http_tls, the_setting_makes_it_trusted_and_the_connection_is_kept)
{
    struct http_request q;
    struct http_response r;

    server_start_tls(&server, serve_ok, false);
    open_trusting(server.ca_file);
    q = get(url_of(&server, "/"));
    for (int i = 0; i < 5; i++) {
        r = fetch(&q);
        cr_expect_eq(r.status, 200, "%s", r.error.message);
    }
    cr_expect_eq(server.n_connections, 1);
}

Test(http_tls, a_certificate_of_another_name_is_refused)
{
    struct http_request q;
    struct http_response r;
    char url[64];

    server_start_tls(&server, serve_ok, false);
    open_trusting(server.ca_file);
    snprintf(url, sizeof url, "https://named.test:%d/", server.port);
    q = get(url);
    cr_expect_eq(fetch(&q).status, 200);
    snprintf(url, sizeof url, "https://private.test:%d/", server.port);
    q = get(url);
    r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "http_refused", "%s", r.error.message);
    cr_expect_not(r.sent);
}

static void serve_plain(struct peer *p)
{
    peer_pause(p, 50);
    peer_write(p, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

Test(http_tls, a_server_without_tls_gets_no_request)
{
    struct http_request q;
    struct http_response r;
    char url[64];

    server_start(&server, serve_plain);
    open_trusting(NULL);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", server.port);
    q = get(url);
    r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "http_unreachable", "%s", r.error.message);
    cr_expect_not(r.sent);
}

/* As little HTTP/2 as an answer needs: every HEADERS frame that comes is answered with 200 and "ok" on its stream. */
static void serve_h2(struct peer *p)
{
    char preface[24], frame[65536];

    if (!peer_read_exactly(p, preface, 24) || memcmp(preface, "PRI * HTTP/2.0", 14) != 0)
        return;
    peer_send(p, "\0\0\0\4\0\0\0\0\0", 9); /* SETTINGS */
    while (peer_read_exactly(p, frame, 9)) {
        unsigned char *h = (unsigned char *)frame;
        size_t n = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
        char stream[4];

        memcpy(stream, frame + 5, 4);
        if (n > sizeof frame - 9 || !peer_read_exactly(p, frame + 9, n))
            return;
        if (h[3] == 4 && (h[4] & 1) == 0)
            peer_send(p, "\0\0\0\4\1\0\0\0\0", 9); /* their SETTINGS are acknowledged */
        if (h[3] != 1)
            continue;
        pthread_mutex_lock(&p->server->lock);
        p->server->n_requests++;
        pthread_mutex_unlock(&p->server->lock);
        peer_send(p, "\0\0\1\1\4", 5); /* HEADERS, END_HEADERS: index 8 is ":status 200" */
        peer_send(p, stream, 4);
        peer_send(p, "\x88", 1);
        peer_send(p, "\0\0\2\0\1", 5); /* DATA, END_STREAM */
        peer_send(p, stream, 4);
        peer_send(p, "ok", 2);
    }
}

Test(http_tls, http_2_is_spoken_over_one_connection)
{
    struct http_request q;
    struct outcome out = {0};
    struct http_response r;

    server_start_tls(&server, serve_h2, true);
    open_trusting(server.ca_file);
    q = get(url_of(&server, "/"));
    r = fetch(&q);
    cr_assert_eq(r.status, 200, "%s", r.error.message);
    cr_expect_str_eq(r.body, "ok");
    for (int i = 0; i < 20; i++)
        start(&q, &out);
    run_until(&out, 20);
    cr_expect_eq(out.r.status, 200, "%s", out.r.error.message);
    cr_expect_eq(server.n_requests, 21);
    cr_expect_eq(server.n_connections, 1);
}
