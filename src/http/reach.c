/*
 * reach.c - which addresses may be connected to
 *
 * libcurl asks for a socket for each single address it is about to connect to, and connects that socket to that
 * address: refusing there leaves no gap between the check and the connection. A connection that is used again was
 * perhaps opened by a request that was allowed more, so its address is checked before each request as well; the same
 * callback says when sending begins, and sees a second sending.
 *
 * Depends on base/addr.h, base/clock.h, libcurl.
 */
#include "base/addr.h"
#include "base/clock.h"
#include "core/reason.h"
#include "http/http_int.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

static bool allowed(const struct http_call *c, const struct sockaddr *sa)
{
    return c->q.allow_private || addr_is_public(sa) || addr_list_has(c->engine->allow, sa);
}

static void note_connecting(struct http_call *c)
{
    if (c->connecting_ms == 0)
        c->connecting_ms = clock_ms();
}

static int handle_resolve(void *state, void *reserved, void *arg)
{
    (void)state;
    (void)reserved;
    note_connecting(arg);
    return 0;
}

static curl_socket_t handle_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct http_call *c = arg;

    (void)purpose;
    note_connecting(c);
    if (c->engine->proxy == NULL && !allowed(c, &a->addr)) {
        addr_text(&a->addr, c->refused, sizeof c->refused);
        return CURL_SOCKET_BAD;
    }
    c->sockets++;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* The connection stands, the request has not begun. */
static int handle_ready(void *arg, char *ip, char *local, int port, int local_port)
{
    struct http_call *c = arg;
    struct sockaddr_storage address;

    (void)local;
    (void)port;
    (void)local_port;
    if (c->engine->proxy == NULL && (!addr_parse(ip, &address) || !allowed(c, (struct sockaddr *)&address))) {
        snprintf(c->refused, sizeof c->refused, "%.60s", ip);
        http_call_stop(c, HTTP_STOP_ADDRESS, EACCES);
        return CURL_PREREQFUNC_ABORT;
    }
    if (c->sends > 0 && !c->repeatable) {
        http_call_stop(c, HTTP_STOP_RESEND, ECONNRESET);
        return CURL_PREREQFUNC_ABORT;
    }
    c->sends++;
    c->progress_ms = clock_ms();
    return CURL_PREREQFUNC_OK;
}

/* Through a proxy only a numeric host tells where the request will go. */
static void check_proxied(struct http_call *c)
{
    struct sockaddr_storage address;
    char *host = NULL;

    if (c->q.allow_private || addr_list_all(c->engine->allow))
        return;
    if (curl_url_get(c->url, CURLUPART_HOST, &host, 0) != CURLUE_OK || !addr_parse(host, &address)) {
        http_call_stop(c, HTTP_STOP_UNKNOWN, EACCES);
    } else if (!allowed(c, (struct sockaddr *)&address)) {
        addr_text((struct sockaddr *)&address, c->refused, sizeof c->refused);
        http_call_stop(c, HTTP_STOP_ADDRESS, EACCES);
    }
    curl_free(host);
}

int http_reach_set(struct http_call *c, struct error *e)
{
    if (curl_easy_setopt(c->easy, CURLOPT_OPENSOCKETFUNCTION, handle_open) != CURLE_OK ||
        curl_easy_setopt(c->easy, CURLOPT_OPENSOCKETDATA, c) != CURLE_OK ||
        curl_easy_setopt(c->easy, CURLOPT_PREREQFUNCTION, handle_ready) != CURLE_OK ||
        curl_easy_setopt(c->easy, CURLOPT_PREREQDATA, c) != CURLE_OK)
        return reason_error(e, REASON_internal, ENOSYS, "this libcurl cannot check the addresses it connects to");
    curl_easy_setopt(c->easy, CURLOPT_RESOLVER_START_FUNCTION, handle_resolve);
    curl_easy_setopt(c->easy, CURLOPT_RESOLVER_START_DATA, c);
    if (c->engine->proxy != NULL)
        check_proxied(c);
    return 0;
}
