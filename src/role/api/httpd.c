/*
 * httpd.c - see httpd.h
 *
 * What the library wants (0.9.75): a timeout of 0 must be a deferred run, not a timer; resuming a connection wakes
 * nothing, so a deferred run follows it; while a body arrives no answer can be queued, only at its first or last call.
 * Hence a refusal in the headers of a large body is answered at once (and the connection lingers, see linger.h); a
 * small one is read to its end first, which keeps the connection; one that turns out too large on the way is answered
 * by hand and cut.
 *
 * Diagnostics: what the library complains about is logged at debug: it is the clients' doing.
 */
#include "api/httpd.h"
#include "api/linger.h"
#include "api/request.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/peer.h"
#include "core/reason.h"
#include "proc/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <talloc.h>
#include <unistd.h>

#define FRESH_MS      500 /* the first request of a new connection, or the rest of one's headers, while draining */
#define ACCEPT_ROUNDS 100

TAILQ_HEAD(httpd_conns, httpd_conn);

struct httpd_listener {
    struct httpd *http;
    struct MHD_Daemon *daemon;
    bool is_unix;
    bool quiesced;
    bool closed; /* a connection, since the library was last run */
    sd_event_source *io, *run, *timer;
};

struct httpd_conn {
    TAILQ_ENTRY(httpd_conn) entry;
    struct httpd_listener *listener;
    struct MHD_Connection *mhd;
    struct peer peer;
    int fd;
    struct request *request; /* NULL: between requests */
    bool headers_done;
    bool used;        /* a request has come over it */
    int linger_fd;    /* -1: close as usual */
    int64_t since_ms; /* it was opened, or its last request ended */
    int64_t discarded_bytes;
};

struct httpd {
    struct api *api;
    struct lingerers *linger;
    struct rights rights;
    struct httpd_conns conns;
    int n_requests;
    int n_listeners;
    struct httpd_listener listeners[CHILD_MAX_LISTEN];
};

/* ---- the library in the loop ---- */

static void listener_arm(struct httpd_listener *l)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;

    if (MHD_get_timeout(l->daemon, &ms) != MHD_YES) {
        sd_event_source_set_enabled(l->timer, SD_EVENT_OFF);
        return;
    }
    if (ms == 0) {
        sd_event_source_set_enabled(l->run, SD_EVENT_ONESHOT);
        return;
    }
    sd_event_source_set_time(l->timer, (uint64_t)(clock_ms() + (int64_t)ms) * 1000);
    sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT);
}

/* When connections were as many as may be, the library listens again only at the next run after one has closed. */
static void process_listener(struct httpd_listener *l)
{
    l->closed = false;
    MHD_run(l->daemon);
    if (l->closed)
        sd_event_source_set_enabled(l->run, SD_EVENT_ONESHOT);
    else
        listener_arm(l);
}

static int handle_epoll(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
    (void)s;
    (void)fd;
    (void)revents;
    process_listener(arg);
    return 0;
}

static int handle_run(sd_event_source *s, void *arg)
{
    (void)s;
    process_listener(arg);
    return 0;
}

static int handle_timer(sd_event_source *s, uint64_t usec, void *arg)
{
    (void)s;
    (void)usec;
    process_listener(arg);
    return 0;
}

PRINTF_LIKE(2, 0) static void handle_library_log(void *arg, const char *fmt, va_list ap)
{
    char text[400];

    (void)arg;
    vsnprintf(text, sizeof text, fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    log_debug("http", text, NULL);
}

/* ---- connections ---- */

static void find_peer(struct httpd_conn *c)
{
    int right = RIGHTS_NONE;

    c->peer.is_unix = c->listener->is_unix;
    c->peer.uid = (uid_t)-1;
    if (!c->peer.is_unix) {
        socklen_t n = sizeof c->peer.address;
        if (getpeername(c->fd, (struct sockaddr *)&c->peer.address, &n) != 0)
            c->peer.address.ss_family = AF_UNSPEC;
        return;
    }
    if (!peer_credentials(c->fd, &c->peer.uid, NULL, NULL))
        c->peer.is_unix = false; /* nobody: like a stranger over TCP */
    else
        right = rights_of_peer(&c->listener->http->rights, c->fd);
    c->peer.is_operator = c->peer.is_unix && right >= CONTROL_OPERATE;
    c->peer.is_reader = c->peer.is_unix && right >= CONTROL_READ;
}

static void handle_connection(void *arg, struct MHD_Connection *mhd, void **context,
                              enum MHD_ConnectionNotificationCode code)
{
    struct httpd_listener *l = arg;
    struct httpd_conn *c = *context;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        l->closed = true;
        if (c == NULL)
            return;
        TAILQ_REMOVE(&l->http->conns, c, entry);
        linger_add(l->http->linger, c->linger_fd);
        talloc_free(c);
        return;
    }
    c = talloc_zero(l->http, struct httpd_conn);
    *context = c;
    if (c == NULL)
        return;
    c->listener = l;
    c->mhd = mhd;
    c->linger_fd = -1;
    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    c->since_ms = clock_ms();
    find_peer(c);
    TAILQ_INSERT_TAIL(&l->http->conns, c, entry);
}

static struct httpd_conn *conn_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info != NULL ? info->socket_context : NULL;
}

static void keep_lingering(struct httpd_conn *c)
{
    if (c->linger_fd < 0)
        c->linger_fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
}

/* ---- answers ---- */

static void add_header(struct MHD_Response *m, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0' && MHD_add_response_header(m, name, value) != MHD_YES)
        log_error("http", "cannot add a header", "name", name, NULL);
}

static enum MHD_Result queue_answer(struct httpd_conn *c)
{
    struct answer *a = &c->request->answer;
    struct MHD_Response *m =
        MHD_create_response_from_buffer(a->len, a->len > 0 ? a->body : (char *)(uintptr_t) "", MHD_RESPMEM_MUST_COPY);
    enum MHD_Result rc;
    char number[16];

    if (m == NULL)
        return MHD_NO;
    snprintf(number, sizeof number, "%d", a->retry_after_s);
    add_header(m, "Content-Type", a->content_type);
    add_header(m, "Cache-Control", "no-store");
    add_header(m, "Location", a->location);
    add_header(m, "Allow", a->allow);
    add_header(m, "Retry-After", a->retry_after_s > 0 ? number : NULL);
    add_header(m, "WWW-Authenticate", a->status == 401 ? "Bearer" : NULL);
    add_header(m, "Connection", a->close || c->listener->http->api->draining ? "close" : NULL);
    rc = MHD_queue_response(c->mhd, (unsigned)a->status, m);
    MHD_destroy_response(m);
    return rc;
}

/* In the middle of a body the library takes no answer: it is written by hand, as far as the socket takes it, and the
 * connection is cut. */
static enum MHD_Result cut_with_answer(struct httpd_conn *c)
{
    const struct answer *a = &c->request->answer;
    char head[256];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                     a->status, MHD_get_reason_phrase_for((unsigned)a->status), a->content_type, a->len);

    if (send(c->fd, head, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE) == n &&
        send(c->fd, a->body, a->len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)a->len)
        keep_lingering(c);
    return MHD_NO;
}

/* The request has been answered by somebody else than its own calls. */
static void wake_request(struct request *r)
{
    struct httpd_conn *c = r->transport;

    MHD_resume_connection(c->mhd);
    sd_event_source_set_enabled(c->listener->run, SD_EVENT_ONESHOT);
}

static const char *find_header(const struct request *r, const char *name)
{
    const struct httpd_conn *c = r->transport;

    return MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, name);
}

/* ---- requests ---- */

static void *handle_target(void *arg, const char *target, struct MHD_Connection *mhd)
{
    struct httpd_listener *l = arg;
    struct httpd_conn *c = conn_of(mhd);

    if (c == NULL)
        return NULL;
    c->used = true;
    c->request = request_new(l->http->api, target);
    if (c->request == NULL)
        return NULL;
    c->headers_done = false;
    c->discarded_bytes = 0;
    c->request->peer = c->peer;
    c->request->transport = c;
    c->request->wake = wake_request;
    c->request->header = find_header;
    l->http->n_requests++;
    return c->request;
}

static const char *header(struct httpd_conn *c, const char *name)
{
    return MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, name);
}

static void read_headers(struct httpd_conn *c)
{
    struct request_headers *h = &c->request->headers;
    struct error *e = &c->request->target_error;
    const char *length = header(c, "Content-Length");
    const char *encoding = header(c, "Transfer-Encoding");
    const char *expect = header(c, "Expect");

    h->authorization = header(c, "Authorization");
    h->content_type = header(c, "Content-Type");
    h->content_sha256 = header(c, "X-Content-SHA256");
    h->content_length = length != NULL ? strtoll(length, NULL, 10) : -1; /* the library refuses what is no number */
    h->chunked = encoding != NULL && strcasecmp(encoding, "chunked") == 0;
    h->expect_continue = expect != NULL && strcasecmp(expect, "100-continue") == 0;
    h->bad_framing = encoding != NULL && (!h->chunked || length != NULL);
    if (encoding != NULL && !h->chunked)
        reason_error(e, REASON_bad_request, EINVAL, "Transfer-Encoding %.40s is not supported, only chunked is.",
                     encoding);
    else if (h->bad_framing)
        reason_error(e, REASON_bad_request, EINVAL, "Content-Length and Transfer-Encoding are both given.");
    c->headers_done = true;
}

/* Refused already: is the body too much to be read for nothing? */
static bool answer_early(const struct httpd_conn *c)
{
    const struct request_headers *h = &c->request->headers;

    if (h->bad_framing)
        return true;
    if (c->request->phase != REQUEST_ANSWERED || (h->content_length <= 0 && !h->chunked))
        return false;
    return h->expect_continue || h->content_length > HTTP_DISCARD_MAX;
}

static enum MHD_Result process_headers(struct httpd_conn *c, const char *method)
{
    read_headers(c);
    request_headers(c->request, method);
    if (!answer_early(c))
        return MHD_YES;
    c->request->answer.close = true;
    keep_lingering(c);
    return queue_answer(c);
}

/* An average since the request began, after one idle timeout of grace. */
static bool too_slow(const struct httpd_conn *c)
{
    const struct request *r = c->request;
    int64_t over_ms = clock_ms() - r->started_ms - c->listener->http->api->conf->api_idle_timeout;

    return over_ms > 0 && r->body_bytes < over_ms / 1000 * HTTP_MIN_BYTES_PER_S;
}

static enum MHD_Result process_body(struct httpd_conn *c, const char *data, size_t n)
{
    struct request *r = c->request;
    struct error e = {0};

    if (r->phase == REQUEST_ANSWERED)
        c->discarded_bytes += (int64_t)n;
    request_data(r, data, n);
    if (too_slow(c)) {
        reason_error(&e, REASON_upload_incomplete, ETIMEDOUT, "The body came slower than %d bytes a second.",
                     HTTP_MIN_BYTES_PER_S);
        request_answer_error(r, &e);
        return cut_with_answer(c);
    }
    return c->discarded_bytes > HTTP_DISCARD_MAX ? cut_with_answer(c) : MHD_YES;
}

static enum MHD_Result process_end(struct httpd_conn *c)
{
    struct request *r = c->request;

    request_end(r);
    if (r->phase == REQUEST_ANSWERED)
        return queue_answer(c);
    MHD_suspend_connection(c->mhd);
    return MHD_YES;
}

static enum MHD_Result handle_request(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
                                      const char *version, const char *data, size_t *n, void **context)
{
    struct httpd_conn *c = conn_of(mhd);
    size_t got = *n;

    (void)arg;
    (void)url;
    (void)version;
    if (c == NULL || c->request == NULL || *context == NULL)
        return MHD_NO;
    if (!c->headers_done)
        return process_headers(c, method);
    if (got > 0) {
        *n = 0;
        return process_body(c, data, got);
    }
    return process_end(c);
}

static void count_request(const struct request *r)
{
    struct score_data *d = score_begin(r->api->child.score);

    d->requests++;
    d->progress++;
    d->bytes_in += (uint64_t)r->body_bytes;
    score_end(r->api->child.score);
}

static void handle_completed(void *arg, struct MHD_Connection *mhd, void **context,
                             enum MHD_RequestTerminationCode code)
{
    struct httpd_listener *l = arg;
    struct httpd_conn *c = conn_of(mhd);
    struct request *r = *context;

    *context = NULL;
    if (r == NULL)
        return;
    count_request(r);
    log_debug("http", "request", "method", r->method, "path", route_shown(r->query.path), "status",
              LOG_I(r->answer.status), "bytes", LOG_I(r->body_bytes), "ms", LOG_I(clock_ms() - r->started_ms), "ended",
              LOG_I(code), NULL);
    l->http->n_requests--;
    if (c != NULL) {
        c->request = NULL;
        c->since_ms = clock_ms();
    }
    request_free(&r);
}

/* ---- life ---- */

static int listener_start(struct httpd *h, int fd, bool is_unix, struct error *e)
{
    const struct conf *c = h->api->conf;
    struct httpd_listener *l = &h->listeners[h->n_listeners];
    int rc;

    l->http = h;
    l->is_unix = is_unix;
    l->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle_request, l,
        MHD_OPTION_EXTERNAL_LOGGER, handle_library_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)c->api_max_connections, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(c->api_idle_timeout / 1000),
        MHD_OPTION_NOTIFY_COMPLETED, handle_completed, l, MHD_OPTION_NOTIFY_CONNECTION, handle_connection, l,
        MHD_OPTION_URI_LOG_CALLBACK, handle_target, l, MHD_OPTION_END);
    if (l->daemon == NULL)
        return reason_error(e, REASON_internal, EIO, "libmicrohttpd refused listening socket %d", fd);
    h->n_listeners++;
    rc = sd_event_add_io(h->api->event, &l->io, MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
                         EPOLLIN, handle_epoll, l);
    if (rc >= 0)
        rc = sd_event_add_defer(h->api->event, &l->run, handle_run, l);
    if (rc >= 0)
        rc = sd_event_add_time(h->api->event, &l->timer, CLOCK_MONOTONIC, 0, 1000, handle_timer, l);
    if (rc < 0)
        return reason_error(e, REASON_internal, rc, "cannot make event sources: %s", strerror(-rc));
    return 0;
}

struct httpd *httpd_new(struct api *api, struct error *e)
{
    struct httpd *h = talloc_zero(api, struct httpd);
    int rc = 0;

    if (h == NULL)
        log_panic("http", "out of memory");
    h->api = api;
    if (rights_look_up(api->conf, &h->rights, e) != 0) {
        httpd_free(&h);
        return NULL;
    }
    h->linger = linger_new(h, api->event);
    TAILQ_INIT(&h->conns);
    for (int i = 0; rc == 0 && i < api->child.n_listen; i++)
        rc = listener_start(h, CHILD_FD_LISTEN + i, api->child.listen_kind[i] == CHILD_LISTEN_UNIX, e);
    if (rc != 0)
        httpd_free(&h);
    return h;
}

/* Its client has just connected, and its first request is on the way, or has just begun one. */
static bool conn_fresh(const struct httpd_conn *c, int64_t now)
{
    if (c->request != NULL)
        return !c->headers_done && now - c->request->started_ms < FRESH_MS;
    return !c->used && now - c->since_ms < FRESH_MS;
}

int httpd_in_flight(const struct httpd *h)
{
    const struct httpd_conn *c;
    int64_t now = clock_ms();
    int n = h->n_requests;

    TAILQ_FOREACH(c, &h->conns, entry)
    n += c->request == NULL && conn_fresh(c, now);
    return n;
}

/* The library sees the end of the stream and closes. */
static void conn_hang_up(struct httpd_conn *c)
{
    shutdown(c->fd, SHUT_RDWR);
}

/* The client has gone in the middle of its headers or body. libmicrohttpd watches the edge of an event and loses it when
 * the end comes with the last bytes: the connection and the half upload then stayed until the idle limit. */
static bool conn_cut_short(const struct httpd_conn *c)
{
    char byte;

    return c->request != NULL && (!c->headers_done || c->request->phase == REQUEST_BODY) &&
           recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Who waits for nothing here, or has not yet said for what. */
static bool conn_idle(const struct httpd_conn *c)
{
    return c->request == NULL || !c->headers_done;
}

void httpd_tick(struct httpd *h)
{
    int64_t now = clock_ms();
    int64_t limit = h->api->conf->api_idle_timeout;
    struct httpd_conn *c;

    TAILQ_FOREACH(c, &h->conns, entry)
    {
        int64_t since = c->request == NULL ? c->since_ms : c->request->started_ms;

        if (conn_cut_short(c) || (conn_idle(c) && h->api->draining && !conn_fresh(c, now)) ||
            (conn_idle(c) && now - since > limit))
            conn_hang_up(c);
    }
}

/* Who is in the queue already is served: with the last descriptor of a socket the kernel resets whom nobody accepted. A
 * socket that goes on living with another child is not touched by that. */
static void listener_quiesce(struct httpd_listener *l)
{
    int fd = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd;
    struct pollfd waiting = {.fd = fd, .events = POLLIN};

    for (int i = 0; i < ACCEPT_ROUNDS && poll(&waiting, 1, 0) > 0; i++)
        MHD_run(l->daemon);
    fd = MHD_quiesce_daemon(l->daemon);
    if (fd >= 0)
        close(fd);
    l->quiesced = true;
}

void httpd_drain(struct httpd *h)
{
    for (int i = 0; i < h->n_listeners; i++)
        if (!h->listeners[i].quiesced)
            listener_quiesce(&h->listeners[i]);
    httpd_tick(h);
}

static void give_up_waiting(struct httpd *h)
{
    struct error e = {0};
    struct httpd_conn *c;

    reason_error(&e, REASON_draining, ECANCELED, NULL);
    TAILQ_FOREACH(c, &h->conns, entry)
    if (c->request != NULL)
        request_give_up(c->request, &e);
}

static void listener_stop(struct httpd_listener *l)
{
    sd_event_source_disable_unref(l->io);
    sd_event_source_disable_unref(l->run);
    sd_event_source_disable_unref(l->timer);
    MHD_run(l->daemon); /* what was given up gets its answer out */
    MHD_stop_daemon(l->daemon);
}

void httpd_free(struct httpd **http)
{
    struct httpd *h = *http;

    *http = NULL;
    if (h == NULL)
        return;
    give_up_waiting(h);
    for (int i = 0; i < h->n_listeners; i++)
        listener_stop(&h->listeners[i]);
    linger_free(&h->linger);
    talloc_free(h);
}
