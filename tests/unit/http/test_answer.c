/*
 * test_answer.c - what a server may answer, and what is made of it: well-formed, cut short, too large, dripping
 */
#include "client.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
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

TestSuite(http_answer, .init = set_up, .fini = tear_down, .timeout = 60);

static const char *script; /* written for every request, then the connection is closed */

static void serve_script(struct peer *p)
{
    if (peer_read(p))
        peer_write(p, script);
}

static struct http_response get_script(const char *text)
{
    struct http_request q;

    script = text;
    server_start(&server, serve_script);
    q = get(url_of(&server, "/x"));
    return fetch(&q);
}

Test(http_answer, status_headers_and_body_arrive)
{
    struct http_response r = get_script("HTTP/1.1 201 Created\r\nX-One: 1\r\nx-two:  b c \r\nX-ONE: 2\r\nEmpty:\r\n"
                                        "Content-Length: 5\r\n\r\nhello");

    cr_assert_eq(r.status, 201, "%s", r.error.message);
    cr_expect_str_eq(r.body, "hello");
    cr_expect_eq(r.len, 5);
    cr_expect_str_eq(http_response_header(&r, "x-one"), "2", "the last of several");
    cr_expect_str_eq(http_response_header(&r, "X-Two"), "b c");
    cr_expect_str_eq(http_response_header(&r, "empty"), "");
    cr_expect_null(http_response_header(&r, "x-three"));
    cr_expect(r.sent && r.received_bytes > 5 && r.sent_bytes > 10);
    cr_expect_eq(server.n_requests, 1);
    cr_expect_not_null(strstr(server.requests[0], "GET /x HTTP/1.1\r\n"));
    cr_expect_not_null(strstr(server.requests[0], "User-Agent: docmill/"));
    cr_expect_null(strstr(server.requests[0], "Expect"));
}

Test(http_answer, an_error_status_is_an_answer)
{
    struct http_response r = get_script("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}");

    cr_expect_eq(r.status, 503);
    cr_expect_eq(r.error.code, 0);
    cr_expect_str_eq(r.body, "{}");
    cr_expect_str_eq(http_response_header(&r, "retry-after"), "7");
}

Test(http_answer, an_empty_body_is_an_empty_string)
{
    struct http_response r = get_script("HTTP/1.1 204 No Content\r\n\r\n");

    cr_expect_eq(r.status, 204);
    cr_expect_str_eq(r.body, "");
    cr_expect_eq(r.len, 0);
}

Test(http_answer, chunks_are_put_together_and_trailers_are_no_headers)
{
    struct http_response r = get_script("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: first\r\n\r\n"
                                        "4\r\nabcd\r\n3\r\nefg\r\n0\r\nX: trailer\r\n\r\n");

    cr_expect_eq(r.status, 200, "%s", r.error.message);
    cr_expect_str_eq(r.body, "abcdefg");
    cr_expect_str_eq(http_response_header(&r, "x"), "first");
}

Test(http_answer, interim_answers_are_passed_over)
{
    struct http_response r = get_script("HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
                                        "Link: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

    cr_expect_eq(r.status, 200, "%s", r.error.message);
    cr_expect_str_eq(r.body, "ok");
    cr_expect_null(http_response_header(&r, "x-interim"));
    cr_expect_null(http_response_header(&r, "link"));
}

Test(http_answer, head_has_a_length_and_no_body)
{
    struct http_request q;
    struct http_response r;

    script = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
    server_start(&server, serve_script);
    q = get(url_of(&server, "/x"));
    q.method = "HEAD";
    r = fetch(&q);
    cr_expect_eq(r.status, 200, "%s", r.error.message);
    cr_expect_str_eq(r.body, "");
    cr_expect_str_eq(http_response_header(&r, "content-length"), "99999999999");
}

Test(http_answer, an_answer_cut_short_is_broken)
{
    struct http_response r = get_script("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");

    cr_expect_eq(r.status, 0);
    cr_expect_str_eq(r.error.reason, "http_broken");
    cr_expect_eq(r.error.cls, ERR_TRANSIENT);
    cr_expect(r.sent);
}

Test(http_answer, chunks_without_an_end_are_broken)
{
    struct http_response r = get_script("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n");

    cr_expect_str_eq(r.error.reason, "http_broken");
}

Test(http_answer, what_is_no_http_is_broken_and_not_repeated)
{
    struct http_response r = get_script("SSH-2.0-OpenSSH_9.2p1 llx-secret\r\n");

    cr_expect_str_eq(r.error.reason, "http_broken");
    cr_expect_null(strstr(r.error.message, "llx-secret"));
}

Test(http_answer, no_answer_is_broken)
{
    struct http_response r = get_script("");

    cr_expect_str_eq(r.error.reason, "http_broken");
    cr_expect(r.sent);
}

static void serve_reset(struct peer *p)
{
    if (!peer_read(p))
        return;
    peer_write(p, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhello");
    peer_reset(p);
}

Test(http_answer, a_reset_in_the_body_is_broken)
{
    struct http_request q;
    struct http_response r;

    server_start(&server, serve_reset);
    q = get(url_of(&server, "/x"));
    r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "http_broken", "%s", r.error.message);
    cr_expect(r.sent);
}

static bool flooded; /* the client went on reading to the end */

static void serve_flood(struct peer *p)
{
    static char block[65536];

    if (!peer_read(p))
        return;
    memset(block, 'x', sizeof block);
    peer_write(p, script);
    for (int i = 0; i < 1000 && peer_pause(p, 0); i++)
        peer_send(p, block, sizeof block);
    flooded = peer_pause(p, 0);
}

static struct http_response get_flood(const char *head, size_t max)
{
    struct http_request q;

    script = head;
    server_start(&server, serve_flood);
    q = get(url_of(&server, "/x"));
    q.max_response = max;
    return fetch(&q);
}

Test(http_answer, an_announced_length_over_the_limit_is_refused_at_once)
{
    struct http_response r = get_flood("HTTP/1.1 200 OK\r\nContent-Length: 65536000\r\n\r\n", 100000);

    cr_expect_str_eq(r.error.reason, "http_too_large", "%s", r.error.message);
    cr_expect_eq(r.len, 0);
}

Test(http_answer, an_unannounced_length_over_the_limit_is_refused_while_it_arrives)
{
    struct http_response r = get_flood("HTTP/1.1 200 OK\r\n\r\n", 100000);

    cr_expect_str_eq(r.error.reason, "http_too_large", "%s", r.error.message);
    cr_expect_leq(r.len, 100000);
    server_stop(&server);
    cr_expect_not(flooded);
    memset(&server, 0, sizeof server);
    server_start(&server, serve_flood);
}

Test(http_answer, chunks_over_the_limit_are_refused)
{
    struct http_response r = get_flood("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 1000);

    cr_expect_str_eq(r.error.reason, "http_too_large", "%s", r.error.message);
}

Test(http_answer, an_answer_of_exactly_the_limit_is_taken)
{
    struct http_request q;
    struct http_response r;

    script = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    server_start(&server, serve_script);
    q = get(url_of(&server, "/x"));
    q.max_response = 5;
    r = fetch(&q);
    cr_expect_eq(r.status, 200);
    q.max_response = 4;
    r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "http_too_large");
}

static void serve_headers(struct peer *p)
{
    if (!peer_read(p))
        return;
    peer_write(p, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 100000 && peer_pause(p, 0); i++)
        peer_write(p, "X-Flood: 0123456789012345678901234567890123456789\r\n");
}

Test(http_answer, headers_without_an_end_are_refused)
{
    struct http_request q;
    struct http_response r;

    server_start(&server, serve_headers);
    q = get(url_of(&server, "/x"));
    r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "http_too_large", "%s", r.error.message);
}

Test(http_answer, a_redirect_is_refused_and_tells_only_the_host)
{
    struct http_response r = get_script("HTTP/1.1 302 Found\r\nLocation: http://elsewhere.test/p?token=secret\r\n"
                                        "X-Region: eu\r\nContent-Length: 0\r\n\r\n");

    cr_expect_eq(r.status, 0);
    cr_expect_str_eq(r.error.reason, "http_refused");
    cr_expect_not_null(strstr(r.error.message, "302"));
    cr_expect_not_null(strstr(r.error.message, "elsewhere.test"));
    cr_expect_null(strstr(r.error.message, "secret"));
    cr_expect_str_eq(http_response_header(&r, "x-region"), "eu");
    cr_expect_eq(server.n_connections, 1);
}

Test(http_answer, not_modified_is_no_redirect)
{
    struct http_response r = get_script("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n");

    cr_expect_eq(r.status, 304, "%s", r.error.message);
}

static char *refusal_of(size_t body_bytes)
{
    static const char head[] = "HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\n";
    char *text = malloc(sizeof head + body_bytes);

    memcpy(text, head, sizeof head - 1);
    memset(text + sizeof head - 1, 'x', body_bytes);
    text[sizeof head - 1 + body_bytes] = '\0';
    return text;
}

/* The limit of a file is no limit for what is kept in memory. */
Test(http_answer, a_refusal_is_small_though_a_large_file_was_asked_for)
{
    char *small = refusal_of(65536), *large = refusal_of(2 << 20);
    struct http_request q;
    struct http_response r;

    script = small;
    server_start(&server, serve_script);
    q = get(url_of(&server, "/x"));
    q.response_fd = open("/dev/null", O_WRONLY);
    q.max_response = (size_t)1 << 40;
    r = fetch(&q);
    cr_expect_eq(r.status, 503, "%s", r.error.message);
    script = large;
    r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "http_too_large", "%s", r.error.message);
    close(q.response_fd);
    free(small);
    free(large);
}

Test(http_answer, a_good_body_goes_to_the_descriptor_and_its_offset_stays)
{
    char path[] = "/tmp/docmill-http-XXXXXX", text[16] = "";
    struct http_request q;
    struct http_response r;
    int fd = mkstemp(path);

    unlink(path);
    script = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    server_start(&server, serve_script);
    q = get(url_of(&server, "/x"));
    q.response_fd = fd;
    r = fetch(&q);
    cr_expect_eq(r.status, 200);
    cr_expect_null(r.body);
    cr_expect_eq(r.len, 5);
    cr_expect_eq(lseek(fd, 0, SEEK_CUR), 0);
    cr_expect_eq(pread(fd, text, sizeof text - 1, 0), 5);
    cr_expect_str_eq(text, "hello");
    script = "HTTP/1.1 404 Gone\r\nContent-Length: 3\r\n\r\nsad";
    r = fetch(&q);
    cr_expect_eq(r.status, 404);
    cr_expect_str_eq(r.body, "sad", "an error's body is not the file");
    cr_expect_eq(lseek(fd, 0, SEEK_END), 5);
    close(fd);
}

Test(http_answer, a_full_disk_is_said_so)
{
    struct http_request q;
    struct http_response r;
    char pipe_path[] = "/dev/full";

    script = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    server_start(&server, serve_script);
    q = get(url_of(&server, "/x"));
    q.response_fd = open(pipe_path, O_WRONLY);
    r = fetch(&q);
    cr_expect_eq(r.status, 0);
    cr_expect_str_eq(r.error.reason, "os_error");
    cr_expect_eq(r.error.code, -ENOSPC);
    close(q.response_fd);
}
