/*
 * engine.c - the multi handle, its descriptors and timers, and how calls end
 *
 * libcurl says which descriptors it waits for; they stand in one epoll set together with a timer, so that the whole
 * engine is one descriptor for an event loop, and poll(2) on it is the waiting driver. The timer is set to the earlier
 * of libcurl's own time and the calls' deadlines. A call's end is decided anywhere and carried out in settle() only,
 * outside of libcurl's callbacks.
 *
 * Diagnostics
 *   internal  run, wait or fetch from inside done (EBUSY)
 *   os_error  epoll, timerfd or libcurl's own start refused
 *
 * Depends on base/addr.h, base/clock.h, core/reason.h, libcurl.
 */
#include "base/addr.h"
#include "base/clock.h"
#include "core/conf.h"
#include "core/reason.h"
#include "http/http_int.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <talloc.h>
#include <unistd.h>

#define MAX_CONNECTIONS      64
#define MAX_HOST_CONNECTIONS 16

static void arm(struct http_engine *h, int64_t at_ms)
{
    struct itimerspec t = {0};

    if (at_ms >= 0) {
        t.it_value.tv_sec = at_ms / 1000;
        t.it_value.tv_nsec = at_ms % 1000 * 1000000 + 1;
    }
    timerfd_settime(h->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

/* libcurl's wish to be called after `ms`; -1: no longer. */
static int handle_timer(CURLM *multi, long ms, void *arg)
{
    struct http_engine *h = arg;

    (void)multi;
    h->curl_due_ms = ms < 0 ? -1 : clock_ms() + ms + (ms > 0); /* never early */
    if (!h->running && ms >= 0)
        arm(h, h->curl_due_ms);
    return 0;
}

static int handle_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    struct http_engine *h = arg;
    struct epoll_event ev = {.data.fd = fd};
    struct http_call *c = NULL;

    (void)unused;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(h->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* closed already is as good */
        return 0;
    }
    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&c) == CURLE_OK && c != NULL)
        c->fd = fd;
    if (what & CURL_POLL_IN)
        ev.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        ev.events |= EPOLLOUT;
    if (epoll_ctl(h->epoll_fd, EPOLL_CTL_MOD, fd, &ev) < 0 && epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        return -1;
    return 0;
}

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void global_init(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void unplug(struct http_call *c)
{
    if (c->in_multi)
        curl_multi_remove_handle(c->engine->multi, c->easy);
    c->in_multi = false;
}

static void unlink_call(struct http_call *c)
{
    struct http_engine *h = c->engine;

    *(c->prev != NULL ? &c->prev->next : &h->first) = c->next;
    *(c->next != NULL ? &c->next->prev : &h->last) = c->prev;
    c->prev = c->next = NULL;
}

void http_forget(struct http_call *c)
{
    unplug(c);
    unlink_call(c);
    http_call_free(c);
}

/* Whoever frees the engine's parent instead of calling http_free() wants to hear no more of its calls. */
static int engine_free(struct http_engine *h)
{
    h->running = true;
    while (h->first != NULL)
        http_forget(h->first);
    if (h->multi != NULL)
        curl_multi_cleanup(h->multi);
    if (h->timer_fd >= 0)
        close(h->timer_fd);
    if (h->epoll_fd >= 0)
        close(h->epoll_fd);
    return 0;
}

static int set_up(struct http_engine *h, const struct http_options *o)
{
    struct epoll_event ev = {.events = EPOLLIN};
    long total = o->max_connections > 0 ? o->max_connections : MAX_CONNECTIONS;
    long host = o->max_host_connections > 0 ? o->max_host_connections : MAX_HOST_CONNECTIONS;

    h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    h->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    ev.data.fd = h->timer_fd;
    if (h->epoll_fd < 0 || h->timer_fd < 0 || epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, h->timer_fd, &ev) < 0)
        return -errno;
    h->multi = curl_multi_init();
    if (h->multi == NULL)
        return -ENOMEM;
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, handle_socket);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, handle_timer);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, total);
    curl_multi_setopt(h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, total);
    curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, host);
    return 0;
}

void http_options_of(const struct conf *c, struct http_options *o)
{
    *o = (struct http_options){
        .ca_file = c->http_ca_file, .proxy = c->http_proxy, .allow_private = c->http_allow_private};
}

/* What libcurl cannot read it would quote, with the password in it. */
static bool is_proxy(const char *text)
{
    CURLU *u = curl_url();
    char *scheme = NULL;
    bool ok = u != NULL && curl_url_set(u, CURLUPART_URL, text, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

    curl_free(scheme);
    curl_url_cleanup(u);
    return ok;
}

static int check_options(struct http_engine *h, const struct http_options *o, struct error *e)
{
    if (o->proxy != NULL && !is_proxy(o->proxy))
        return reason_error(e, REASON_bad_request, EINVAL, "the proxy is no http:// or https:// address");
    if (o->ca_file != NULL && access(o->ca_file, R_OK) != 0)
        return reason_error(e, REASON_os_error, errno, "cannot read the certificates in %s: %s", o->ca_file,
                            strerror(errno));
    h->allow = addr_list_parse(h, o->allow_private != NULL ? o->allow_private : "none");
    if (h->allow == NULL)
        return reason_error(e, REASON_bad_request, EINVAL, "\"%s\" is no list of networks", o->allow_private);
    return 0;
}

struct http_engine *http_new(const void *talloc_parent, const struct http_options *o, struct error *e)
{
    struct http_engine *h;
    int rc;

    pthread_once(&global_once, global_init);
    if (global_result != CURLE_OK) {
        reason_error(e, REASON_os_error, EIO, "libcurl does not start: %s", curl_easy_strerror(global_result));
        return NULL;
    }
    h = talloc_zero(talloc_parent, struct http_engine);
    if (h == NULL) {
        reason_error(e, REASON_os_error, ENOMEM, "out of memory");
        return NULL;
    }
    h->epoll_fd = h->timer_fd = -1;
    h->curl_due_ms = -1;
    talloc_set_destructor(h, engine_free);
    h->user_agent = talloc_strdup(h, o->user_agent != NULL ? o->user_agent : "docmill/" DOCMILL_VERSION);
    h->ca_file = talloc_strdup(h, o->ca_file);
    h->proxy = talloc_strdup(h, o->proxy);
    rc = check_options(h, o, e);
    if (rc == 0 && (rc = set_up(h, o)) != 0)
        reason_error(e, REASON_os_error, rc, "no HTTP client can be made: %s", strerror(-rc));
    if (rc != 0)
        talloc_free(h);
    return rc == 0 ? h : NULL;
}

int http_descriptor(const struct http_engine *h)
{
    return h->epoll_fd;
}

int http_engine_add(struct http_engine *h, struct http_call *c, struct error *e)
{
    CURLMcode rc = CURLM_OK;

    if (h->closing)
        return reason_error(e, REASON_draining, ESHUTDOWN, "the HTTP client is being closed");
    c->started_ms = clock_ms();
    c->born = h->running ? h->runs : 0;
    if (c->stop == HTTP_STOP_NONE)
        rc = curl_multi_add_handle(h->multi, c->easy);
    if (rc != CURLM_OK)
        return reason_error(e, REASON_internal, EIO, "libcurl: %s", curl_multi_strerror(rc));
    c->in_multi = c->stop == HTTP_STOP_NONE;
    c->prev = h->last;
    *(h->last != NULL ? &h->last->next : &h->first) = c;
    h->last = c;
    if (!h->running)
        arm(h, clock_ms());
    return 0;
}

void http_call_stop(struct http_call *c, enum http_stop why, int err)
{
    if (c->stop != HTTP_STOP_NONE || c->ended)
        return;
    c->stop = why;
    c->stop_errno = err;
    if (!c->engine->running)
        arm(c->engine, clock_ms());
}

void http_cancel(struct http_call *c)
{
    http_call_stop(c, HTTP_STOP_CANCELLED, ECANCELED);
}

static void end_call(struct http_call *c)
{
    struct http_response r;

    c->ended = true;
    http_outcome(c, &r);
    unplug(c);
    unlink_call(c);
    c->engine->n_ended++;
    if (c->q.done != NULL)
        c->q.done(c->q.arg, &r);
    http_call_free(c);
}

/* What libcurl has finished with. */
static void collect(struct http_engine *h)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
        struct http_call *c = NULL;
        CURLcode result = m->data.result;

        if (m->msg != CURLMSG_DONE || curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c) != CURLE_OK)
            continue;
        c->result = result;
        c->ended = true;
    }
}

/* Ends what has to end. done may start and stop other calls, so the list is read from its head each time; a call that
 * was started meanwhile ends in the next run at the earliest, or a caller that starts anew what was refused would keep
 * this one for ever. Returns when the next deadline is, or -1. */
static int64_t settle(struct http_engine *h)
{
    int64_t due = -1;
    bool again;

    do {
        struct http_call *c, *next;
        int64_t now = clock_ms(), at;

        again = false;
        due = -1;
        for (c = h->first; c != NULL && !again; c = next) {
            next = c->next;
            at = c->ended || c->stop != HTTP_STOP_NONE ? now : http_deadline_check(c, now);
            if ((c->ended || c->stop != HTTP_STOP_NONE) && c->born != h->runs) {
                end_call(c);
                again = true;
            } else if (due < 0 || at < due) {
                due = at;
            }
        }
    } while (again);
    return due;
}

static int move(struct http_engine *h)
{
    struct epoll_event evs[64];
    int running, n = epoll_wait(h->epoll_fd, evs, 64, 0);
    uint64_t ticks;
    CURLMcode rc = CURLM_OK;

    if (n < 0 && errno != EINTR)
        return -errno;
    for (int i = 0; i < n && rc == CURLM_OK; i++) {
        int what = 0;

        if (evs[i].data.fd == h->timer_fd) {
            if (read(h->timer_fd, &ticks, sizeof ticks) < 0 && errno != EAGAIN)
                return -errno;
            continue;
        }
        if (evs[i].events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP))
            what |= CURL_CSELECT_IN;
        if (evs[i].events & EPOLLOUT)
            what |= CURL_CSELECT_OUT;
        if (evs[i].events & EPOLLERR)
            what |= CURL_CSELECT_ERR;
        rc = curl_multi_socket_action(h->multi, evs[i].data.fd, what, &running);
    }
    if (rc == CURLM_OK && h->curl_due_ms >= 0 && h->curl_due_ms <= clock_ms()) {
        h->curl_due_ms = -1;
        rc = curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    return rc == CURLM_OK ? 0 : -EIO;
}

int http_run(struct http_engine *h, struct error *e)
{
    int64_t due;
    int rc;

    if (h->running)
        return reason_error(e, REASON_internal, EBUSY, "the HTTP client is run from inside one of its own answers");
    h->running = true;
    h->runs++;
    h->n_ended = 0;
    rc = move(h);
    collect(h);
    due = settle(h);
    h->running = false;
    if (h->curl_due_ms >= 0 && (due < 0 || h->curl_due_ms < due))
        due = h->curl_due_ms;
    arm(h, due);
    if (rc < 0)
        return reason_error(e, REASON_internal, rc, "libcurl lost its sockets");
    return h->n_ended;
}

int http_wait(struct http_engine *h, struct http_fd *more, int n_more, int timeout_ms, struct error *e)
{
    struct pollfd few[16], *fds = few;
    int rc;

    if (h->running)
        return reason_error(e, REASON_internal, EBUSY, "the HTTP client is waited for inside one of its own answers");
    if (n_more + 1 > 16)
        fds = talloc_array(h, struct pollfd, (unsigned)n_more + 1);
    if (fds == NULL)
        return reason_error(e, REASON_os_error, ENOMEM, "out of memory");
    fds[0] = (struct pollfd){.fd = h->epoll_fd, .events = POLLIN};
    for (int i = 0; i < n_more; i++)
        fds[i + 1] = (struct pollfd){.fd = more[i].fd, .events = more[i].events};
    rc = poll(fds, (nfds_t)n_more + 1, timeout_ms);
    for (int i = 0; i < n_more; i++)
        more[i].revents = rc > 0 ? fds[i + 1].revents : 0;
    rc = rc < 0 && errno != EINTR ? reason_error(e, REASON_os_error, errno, "poll: %s", strerror(errno)) : 0;
    if (fds != few)
        talloc_free(fds);
    return rc < 0 ? rc : http_run(h, e);
}

void http_free(struct http_engine **h)
{
    if (*h == NULL)
        return;
    (*h)->closing = true;
    (*h)->running = true;
    while ((*h)->first != NULL) {
        http_call_stop((*h)->first, HTTP_STOP_CANCELLED, ECANCELED);
        end_call((*h)->first);
    }
    talloc_free(*h);
    *h = NULL;
}
