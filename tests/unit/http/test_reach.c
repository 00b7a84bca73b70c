/*
 * test_reach.c - no request reaches an address that is not allowed, whatever its name, its proxy or its connection
 */
#include "base/addr.h"
#include "client.h"
#include "core/conf.h"
#include "names.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

static struct server server;

static void serve_ok(struct peer *p)
{
    while (peer_read(p))
        peer_write(p, strncmp(p->request, "CONNECT", 7) == 0 ? "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
                                                             : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static void open_with(const char *allow, const char *proxy)
{
    struct http_options o = {.allow_private = allow, .proxy = proxy};

    client_open(&o);
}

static void set_up(void)
{
    server_start(&server, serve_ok);
}

static void tear_down(void)
{
    client_close();
    server_stop(&server);
}

TestSuite(http_reach, .init = set_up, .fini = tear_down, .timeout = 60);

static const char *named(const char *host)
{
    static char url[128];

    snprintf(url, sizeof url, "http://%s:%d/", host, server.port);
    return url;
}

static void expect_refused(const char *host)
{
    struct http_request q = get(named(host));
    struct http_response r = fetch(&q);

    cr_expect_str_eq(r.error.reason, "http_refused", "%s: %s", host, r.error.message);
    cr_expect_eq(r.error.cls, ERR_RECOVERABLE);
    cr_expect_not(r.sent);
    cr_expect_eq(server.n_connections, 0, "%s", host);
}

Test(http_reach, loopback_in_every_spelling_and_by_name_is_refused)
{
    static const char *const hosts[] = {"127.0.0.1",  "localhost",          "private.test", "127.1",
                                        "0x7f.0.0.1", "2130706433",         "017700000001", "0.0.0.0",
                                        "[::1]",      "[::ffff:127.0.0.1]", "[::]",         "LOCALHOST"};

    open_with(NULL, NULL);
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        expect_refused(hosts[i]);
}

Test(http_reach, a_request_may_be_allowed_more_than_the_engine)
{
    struct http_request q = get(named("127.0.0.1"));

    open_with(NULL, NULL);
    q.allow_private = true;
    cr_expect_eq(fetch(&q).status, 200);
}

Test(http_reach, only_the_networks_of_the_list_are_allowed)
{
    struct http_request q = get(named("private.test"));

    open_with("10.0.0.0/8, 127.0.0.1/32", NULL);
    cr_expect_eq(fetch(&q).status, 200);
    client_close();
    open_with("10.0.0.0/8 127.0.0.2/32", NULL);
    q = get(named("127.0.0.1"));
    cr_expect_str_eq(fetch(&q).error.reason, "http_refused");
}

Test(http_reach, of_several_addresses_only_the_allowed_ones_are_tried)
{
    struct http_request q = get(named("mixed.test"));
    struct http_response r;

    open_with("127.0.0.0/8", NULL);
    r = fetch(&q);
    cr_expect_eq(r.status, 200, "%s", r.error.message);
}

Test(http_reach, a_kept_connection_does_not_serve_a_request_that_is_allowed_less)
{
    struct http_request q = get(named("private.test"));

    open_with(NULL, NULL);
    q.allow_private = true;
    cr_assert_eq(fetch(&q).status, 200);
    q.allow_private = false;
    struct http_response r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "http_refused", "%s", r.error.message);
    cr_expect_not(r.sent);
    cr_expect_eq(server.n_requests, 1);
}

/* The first address is allowed and nobody listens there; the next lookup leads elsewhere. */
Test(http_reach, a_name_that_moves_is_checked_again)
{
    struct http_request q = get(named("moving.test"));

    names_moving[0] = "127.0.0.9";
    names_moving[1] = "127.0.0.1";
    open_with("127.0.0.9", NULL);
    for (int i = 0; i < 2; i++) {
        struct http_response r = fetch(&q);
        cr_expect_str_eq(r.error.reason, i == 0 ? "http_unreachable" : "http_refused", "%s", r.error.message);
        client_close(); /* forgets the addresses it knew */
        open_with("127.0.0.9", NULL);
    }
    cr_expect_eq(names_lookups, 2);
    cr_expect_eq(server.n_connections, 0);
}

static const char *proxy_url(void)
{
    static char url[64];

    snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
    return url;
}

Test(http_reach, through_a_proxy_a_name_needs_the_operators_word)
{
    struct http_request q = get("http://anywhere.test/x");
    struct http_response r;

    open_with(NULL, proxy_url());
    r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "http_refused");
    cr_expect_not_null(strstr(r.error.hint, "http.allow_private"));
    cr_expect_eq(server.n_connections, 0);
    client_close();
    open_with("all", proxy_url());
    r = fetch(&q);
    cr_expect_eq(r.status, 200, "%s", r.error.message);
    cr_expect_eq(strncmp(server.requests[0], "GET http://anywhere.test/x HTTP/1.1", 35), 0);
}

Test(http_reach, through_a_proxy_a_number_is_checked)
{
    struct http_request q = get("http://8.8.8.8/x");

    open_with(NULL, proxy_url());
    cr_expect_eq(fetch(&q).status, 200, "a public number may go through");
    q = get("http://169.254.169.254/latest");
    cr_expect_str_eq(fetch(&q).error.reason, "http_refused");
    q = get("http://0xa9fea9fe/latest");
    cr_expect_str_eq(fetch(&q).error.reason, "http_refused");
    cr_expect_eq(server.n_requests, 1);
}

Test(http_reach, secret_headers_do_not_go_to_the_proxy)
{
    struct http_header h = {"Authorization", "Bearer verysecret", true};
    struct http_request q = get("https://anywhere.test/x");
    struct http_response r;

    open_with("all", proxy_url());
    q.headers = &h;
    q.n_headers = 1;
    r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "http_unreachable", "%s", r.error.message);
    cr_expect_not(r.sent);
    cr_assert_eq(server.n_requests, 1);
    cr_expect_eq(strncmp(server.requests[0], "CONNECT anywhere.test:443", 25), 0);
    cr_expect_null(strstr(server.requests[0], "verysecret"));
}

Test(http_reach, a_proxy_that_is_not_found_is_named_without_its_password)
{
    struct http_request q = get("https://anywhere.test/x");
    struct http_response r;

    open_with("all", "http://user:verysecret@no-such-proxy.invalid:1");
    r = fetch(&q);
    cr_expect_str_eq(r.error.reason, "http_unreachable", "%s", r.error.message);
    cr_expect_null(strstr(r.error.message, "verysecret"));
}

Test(http_reach, the_environment_names_no_proxy)
{
    struct http_request q = get(named("127.0.0.1"));

    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    open_with("127.0.0.0/8", NULL);
    cr_expect_eq(fetch(&q).status, 200);
}

Test(http_reach, the_environment_takes_no_host_from_the_proxy)
{
    struct http_request q = get("http://anywhere.test/x");

    setenv("no_proxy", "*", 1);
    open_with("all", proxy_url());
    cr_expect_eq(fetch(&q).status, 200);
}

Test(http_reach, the_options_are_those_of_the_configuration)
{
    struct conf c = {.http_ca_file = "/ca", .http_proxy = "http://p:1", .http_allow_private = "10.0.0.0/8"};
    struct http_options o;

    open_with(NULL, NULL);
    http_options_of(&c, &o);
    cr_expect_str_eq(o.ca_file, "/ca");
    cr_expect_str_eq(o.proxy, "http://p:1");
    cr_expect_str_eq(o.allow_private, "10.0.0.0/8");
}

Test(http_reach, an_engine_with_a_wrong_setting_is_not_made)
{
    struct http_options bad[] = {{.allow_private = "10.0.0.0/33"},
                                 {.allow_private = "yes"},
                                 {.proxy = "socks5://127.0.0.1:1"},
                                 {.proxy = "http://user:verysecret@proxy test:1"},
                                 {.proxy = "http://user:verysecret@proxy.test:many"},
                                 {.ca_file = "/nonexistent"}};
    struct error e;

    open_with(NULL, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_null(http_new(mem, &bad[i], &e));
        cr_expect_null(strstr(e.message, "verysecret"));
    }
}
