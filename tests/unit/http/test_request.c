/*
 * test_request.c - what is sent, and what is refused before anything is
 */
#include "client.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

static struct server server;

static void serve_ok(struct peer *p)
{
    while (peer_read(p))
        peer_answer(p, "ok");
}

static void set_up(void)
{
    client_open(NULL);
    server_start(&server, serve_ok);
}

static void tear_down(void)
{
    client_close();
    server_stop(&server);
}

TestSuite(http_request, .init = set_up, .fini = tear_down, .timeout = 60);

static void expect_refused(struct http_request *q)
{
    struct error e = {0};

    cr_expect_null(http_start(engine, q, &e), "%s", q->url);
    cr_expect_str_eq(e.reason, "bad_request");
    cr_expect_null(strstr(e.message, "secret"), "%s", e.message);
    cr_expect_eq(client_kept(), 0);
}

Test(http_request, an_address_must_be_http_without_credentials)
{
    static const char *const urls[] = {"http://user:secret@127.0.0.1/",
                                       "https://secret@127.0.0.1/",
                                       "ftp://127.0.0.1/secret",
                                       "file:///etc/secret",
                                       "gopher://127.0.0.1/secret",
                                       "",
                                       "secret",
                                       "//127.0.0.1/secret",
                                       "http://",
                                       "http://a b/secret",
                                       "http://127.0.0.1:99999/secret",
                                       "http://127.0.0.1/\r\nX: secret",
                                       "javascript:secret",
                                       "http://[::1/secret"};

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct http_request q = get(urls[i]);
        expect_refused(&q);
    }
}

Test(http_request, a_header_cannot_bring_another_or_change_the_framing)
{
    static const struct http_header bad[] = {{"X", "a\r\nY: secret", false},
                                             {"X\r\nY", "secret", false},
                                             {"", "secret", false},
                                             {"X:", "secret", false},
                                             {"X", "a\nsecret", true},
                                             {"Content-Length", "3", false},
                                             {"transfer-encoding", "chunked", false},
                                             {"Host", "secret", false}};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_request q = get(url_of(&server, "/"));
        q.headers = &bad[i];
        q.n_headers = 1;
        expect_refused(&q);
    }
}

Test(http_request, two_bodies_a_get_with_a_body_and_an_unknown_method_are_refused)
{
    struct http_part part = {.name = "a", .data = "b", .len = 1, .fd = -1};
    struct http_request q = post(url_of(&server, "/"), "x");

    q.parts = &part;
    q.n_parts = 1;
    expect_refused(&q);
    q = post(url_of(&server, "/"), "x");
    q.method = "GET";
    expect_refused(&q);
    q.method = "BREW";
    expect_refused(&q);
}

Test(http_request, a_post_sends_its_bytes_and_its_headers_and_nothing_of_libcurls)
{
    struct http_header headers[] = {{"Authorization", "Bearer abc", true}, {"X-Empty", "", false}};
    struct http_request q = post(url_of(&server, "/p?q=1#f"), "");
    char body[300000], *sent;
    struct http_response r;

    memset(body, 'b', sizeof body);
    q.body = body;
    q.body_len = sizeof body;
    q.headers = headers;
    q.n_headers = 2;
    r = fetch(&q);
    cr_assert_eq(r.status, 200, "%s", r.error.message);
    sent = server.requests[0];
    cr_expect_eq(strncmp(sent, "POST /p?q=1 HTTP/1.1\r\n", 22), 0);
    cr_expect_not_null(strstr(sent, "\r\nAuthorization: Bearer abc\r\n"));
    cr_expect_not_null(strstr(sent, "\r\nX-Empty:\r\n"));
    cr_expect_not_null(strstr(sent, "\r\nContent-Length: 300000\r\n"));
    cr_expect_null(strcasestr(sent, "\r\nexpect"));
    cr_expect_null(strcasestr(sent, "\r\ncontent-type"));
    cr_expect_eq(memcmp(strstr(sent, "\r\n\r\n") + 4, body, sizeof body), 0);
}

Test(http_request, a_post_and_a_put_without_a_body_say_so)
{
    struct http_request q = get(url_of(&server, "/"));

    q.method = "POST";
    cr_assert_eq(fetch(&q).status, 200);
    q.method = "PUT";
    cr_assert_eq(fetch(&q).status, 200);
    cr_expect_not_null(strstr(server.requests[0], "\r\nContent-Length: 0\r\n"));
    cr_expect_not_null(strstr(server.requests[1], "\r\nContent-Length: 0\r\n"));
}

Test(http_request, a_delete_may_carry_a_body)
{
    struct http_request q = post(url_of(&server, "/o/b"), "{\"prefixes\":[]}");

    q.method = "DELETE";
    cr_assert_eq(fetch(&q).status, 200);
    cr_expect_eq(strncmp(server.requests[0], "DELETE /o/b", 11), 0);
    cr_expect_not_null(strstr(server.requests[0], "{\"prefixes\":[]}"));
}

static int file_of(size_t n)
{
    char path[] = "/tmp/docmill-http-XXXXXX", *bytes = malloc(n);
    int fd = mkstemp(path);

    unlink(path);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 31 + i / 251);
    cr_assert_eq(pwrite(fd, bytes, n, 0), (ssize_t)n);
    free(bytes);
    return fd;
}

static bool ends_with_file(int i, int fd, size_t n)
{
    char *bytes = malloc(n);
    bool same = pread(fd, bytes, n, 0) == (ssize_t)n && server.request_lens[i] > n &&
                memcmp(server.requests[i] + server.request_lens[i] - n, bytes, n) == 0;

    free(bytes);
    return same;
}

Test(http_request, a_file_is_put_with_its_length_and_its_offset_stays)
{
    size_t n = 3000001;
    struct http_request q = get(url_of(&server, "/b/k"));

    q.method = "PUT";
    q.body_fd = file_of(n);
    q.body_fd_len = (int64_t)n;
    lseek(q.body_fd, 17, SEEK_SET);
    cr_assert_eq(fetch(&q).status, 200);
    cr_expect_not_null(strstr(server.requests[0], "\r\nContent-Length: 3000001\r\n"));
    cr_expect_null(strcasestr(server.requests[0], "\r\ntransfer-encoding"));
    cr_expect_null(strcasestr(server.requests[0], "\r\nexpect"));
    cr_expect(ends_with_file(0, q.body_fd, n));
    cr_expect_eq(lseek(q.body_fd, 0, SEEK_CUR), 17);
    close(q.body_fd);
}

Test(http_request, a_stretch_of_a_file_is_put)
{
    struct http_request q = get(url_of(&server, "/b/k"));
    char *bytes = malloc(500000);

    q.method = "PUT";
    q.body_fd = file_of(2000000);
    q.body_fd_offset = 1234567;
    q.body_fd_len = 500000;
    cr_assert_eq(fetch(&q).status, 200);
    cr_assert_eq(pread(q.body_fd, bytes, 500000, 1234567), 500000);
    cr_expect_eq(memcmp(server.requests[0] + server.request_lens[0] - 500000, bytes, 500000), 0);
    free(bytes);
    close(q.body_fd);
}

Test(http_request, two_requests_share_one_file)
{
    size_t n = 2000000;
    struct http_request q = get(url_of(&server, "/b/k"));
    struct outcome o = {0};

    q.method = "PUT";
    q.body_fd = file_of(n);
    q.body_fd_len = (int64_t)n;
    start(&q, &o);
    start(&q, &o);
    run_until(&o, 2);
    cr_assert_eq(server.n_requests, 2);
    cr_expect(ends_with_file(0, q.body_fd, n));
    cr_expect(ends_with_file(1, q.body_fd, n));
    close(q.body_fd);
}

Test(http_request, a_file_shorter_than_announced_ends_the_request)
{
    struct http_request q = get(url_of(&server, "/b/k"));
    struct http_response r;

    q.method = "PUT";
    q.body_fd = file_of(1000);
    q.body_fd_len = 2000;
    r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "os_error");
    cr_expect_eq(r.error.code, -ENODATA);
    close(q.body_fd);
}

Test(http_request, a_form_has_fields_bytes_and_a_file)
{
    size_t n = 200000;
    struct http_part parts[] = {{.name = "tier", .data = "fast", .len = 4, .fd = -1},
                                {.name = "file",
                                 .filename = "a \"b\"\r\nc.pdf",
                                 .content_type = "application/pdf",
                                 .len = n,
                                 .fd = file_of(n)}};
    struct http_request q = get(url_of(&server, "/upload"));
    char *sent, length[40];

    q.method = "POST";
    q.parts = parts;
    q.n_parts = 2;
    cr_assert_eq(fetch(&q).status, 200);
    sent = server.requests[0];
    cr_expect_not_null(strstr(sent, "\r\nContent-Type: multipart/form-data; boundary="));
    snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n",
             server.request_lens[0] - (size_t)(strstr(sent, "\r\n\r\n") + 4 - sent));
    cr_expect_not_null(strstr(sent, length));
    cr_expect_not_null(strstr(sent, "name=\"tier\"\r\n\r\nfast\r\n"));
    cr_expect_not_null(
        strstr(sent, "name=\"file\"; filename=\"a %22b%22%0D%0Ac.pdf\"\r\nContent-Type: application/pdf"));
    char *bytes = malloc(n);
    cr_assert_eq(pread(parts[1].fd, bytes, n, 0), (ssize_t)n);
    cr_expect_not_null(memmem(sent, server.request_lens[0], bytes, n));
    free(bytes);
    close(parts[1].fd);
}

Test(http_request, everything_but_the_bodies_is_copied)
{
    char url[128], name[] = "X-Copy", value[] = "kept";
    struct http_header h = {name, value, false};
    struct http_request q;
    struct outcome o = {0};

    snprintf(url, sizeof url, "%s", url_of(&server, "/kept"));
    q = get(url);
    q.headers = &h;
    q.n_headers = 1;
    start(&q, &o);
    memset(url, 'z', sizeof url - 1);
    memset(name, 'z', sizeof name - 1);
    memset(value, 'z', sizeof value - 1);
    run_until(&o, 1);
    cr_expect_not_null(strstr(server.requests[0], "GET /kept HTTP"));
    cr_expect_not_null(strstr(server.requests[0], "X-Copy: kept"));
}

Test(http_request, dots_and_escapes_in_a_path_stay_as_they_are)
{
    struct http_request q = get(url_of(&server, "/a/../b/./%2e%2F%20c?x=%2B"));

    cr_assert_eq(fetch(&q).status, 200);
    cr_expect_eq(strncmp(server.requests[0], "GET /a/../b/./%2e%2F%20c?x=%2B HTTP", 35), 0);
}

Test(http_request, secrets_are_in_no_error)
{
    struct http_header h = {"Authorization", "Bearer sk-verysecret", true};
    struct http_request q = get("http://127.0.0.1:1/path-verysecret?token=verysecret");
    struct http_response r;

    q.headers = &h;
    q.n_headers = 1;
    r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "http_unreachable");
    cr_expect_null(strstr(r.error.message, "verysecret"), "%s", r.error.message);
    cr_expect_not_null(strstr(r.error.message, "127.0.0.1:1"));
    cr_expect_not(r.sent);
}
