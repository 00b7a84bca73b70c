/*
 * server.c - the control socket's connections
 *
 * Non-blocking, in the master's loop; a slow or hostile client costs a little memory for a bounded time and nothing
 * else. A connection reads one request, answers it, and may ask again. Deadlines: IDLE_MS without a request begun,
 * REQUEST_MS from a request's first byte to its answer's last. At most CONNECTIONS_MAX in all and PER_UID of one uid;
 * over the cap the oldest of that uid makes room (it answers no one: every complete request has been answered already).
 *
 * Who may: see proc/rights.h. The socket's mode keeps out who has no right at all; the peer is asked for again here, so
 * that a wrong chmod opens nothing. What a peer may is found when it connects: the kernel keeps its groups of then.
 *
 * Diagnostics
 *   warns   a refused caller
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/peer.h"
#include "core/reason.h"
#include "proc/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <talloc.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
#define PER_UID         16
#define IDLE_MS         60000
#define REQUEST_MS      5000

struct connection {
    struct server *server;
    struct connection *next; /* newest first */
    int fd;
    sd_event_source *source, *timer;
    uid_t uid;
    int right; /* the highest it has */
    uint8_t head[CONTROL_HEAD_BYTES];
    size_t have;    /* bytes of head and body read so far */
    size_t body_n;  /* known once the head is complete */
    uint8_t *body;  /* owned; NULL while there is none */
    uint8_t *reply; /* owned by reply_ctx; NULL: nothing to write */
    void *reply_ctx;
    size_t reply_n, reply_sent;
    bool close_after;
};

struct server {
    struct master *master;
    int fd;
    sd_event_source *source;
    struct connection *connections;
    int n;
};

/* ---- life of a connection ---- */

static int connection_destroy(struct connection *c)
{
    struct connection **at = &c->server->connections;

    while (*at != NULL && *at != c)
        at = &(*at)->next;
    if (*at == c) {
        *at = c->next;
        c->server->n--;
    }
    sd_event_source_disable_unref(c->source);
    sd_event_source_disable_unref(c->timer);
    close(c->fd);
    return 0;
}

static int handle_deadline(sd_event_source *src, uint64_t due_us, void *arg)
{
    (void)src;
    (void)due_us;
    talloc_free(arg);
    return 0;
}

static void set_deadline(struct connection *c, int64_t ms)
{
    sd_event_source_set_time(c->timer, (uint64_t)(clock_ms() + ms) * 1000);
    sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static void next_request(struct connection *c)
{
    talloc_free(c->body);
    talloc_free(c->reply_ctx);
    c->body = NULL;
    c->reply = NULL;
    c->reply_ctx = NULL;
    c->have = c->body_n = c->reply_n = c->reply_sent = 0;
    set_deadline(c, IDLE_MS);
    sd_event_source_set_io_events(c->source, EPOLLIN);
}

/* ---- requests ---- */

/* Writes what is left of the reply; false if the connection is of no more use. */
static bool write_reply(struct connection *c)
{
    while (c->reply_sent < c->reply_n) {
        ssize_t n = send(c->fd, c->reply + c->reply_sent, c->reply_n - c->reply_sent, MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            sd_event_source_set_io_events(c->source, EPOLLOUT);
            return true;
        }
        if (n <= 0)
            return false;
        c->reply_sent += (size_t)n;
    }
    if (c->close_after)
        return false;
    next_request(c);
    return true;
}

/* A verb that is known: may the peer use it, and what comes of it? What wants more than read leaves a record. */
static int answer_verb(struct connection *c, const struct control_request *r, enum control_verb v, struct pack *p)
{
    struct master *m = c->server->master;
    enum control_right wanted = control_verb_right(v);
    bool allowed = c->right >= (int)wanted;
    struct error e = {0};
    int n;

    if (allowed) {
        n = verb_answer(m, r, p, c->reply_ctx, &e);
    } else {
        (void)rights_refuse(&m->rights, r->verb, c->right, wanted, &e);
        n = control_reply_error(p, c->reply_ctx, r->id, &e);
    }
    if (wanted != CONTROL_READ)
        audit_note(m, c->uid, r, v, allowed, e.reason[0] != '\0' ? e.reason : "done");
    return n;
}

static bool answer(struct connection *c)
{
    struct control_request r;
    struct error e = {0};
    struct pack p;
    int v, n;

    c->reply_ctx = talloc_new(c);
    if (control_decode_request(c->body, c->body_n, &r, &e) != 0) {
        c->close_after = true; /* whoever frames one request wrongly is not believed about the next */
        n = control_reply_error(&p, c->reply_ctx, r.id, &e);
    } else if ((v = control_verb_parse(r.verb)) >= 0) {
        n = answer_verb(c, &r, (enum control_verb)v, &p);
    } else {
        n = verb_answer(c->server->master, &r, &p, c->reply_ctx, &e); /* says so */
    }
    if (n < 0) {
        (void)reason_error(&e, REASON_internal, EMSGSIZE, "The answer is too large.");
        n = control_reply_error(&p, c->reply_ctx, r.id, &e);
    }
    if (n < 0)
        return false;
    c->reply = p.buf;
    c->reply_n = (size_t)n;
    return write_reply(c);
}

static bool refuse_giant(struct connection *c)
{
    struct error e = {0};
    struct pack p;
    int n;

    (void)reason_error(&e, REASON_bad_frame, EMSGSIZE, "A request of %zu bytes; at most %d are allowed.", c->body_n,
                       CONTROL_MAX_REQUEST);
    c->reply_ctx = talloc_new(c);
    c->close_after = true;
    n = control_reply_error(&p, c->reply_ctx, 0, &e);
    if (n < 0)
        return false;
    c->reply = p.buf;
    c->reply_n = (size_t)n;
    return write_reply(c);
}

/* The head is complete: makes room for the body. */
static bool begin_body(struct connection *c)
{
    c->body_n = control_get_length(c->head);
    if (c->body_n > CONTROL_MAX_REQUEST)
        return true;
    c->body = talloc_size(c, c->body_n + 1);
    return c->body != NULL;
}

/* One read, at most up to the end of the present request; false if the connection ends. */
static bool read_some(struct connection *c)
{
    uint8_t *to = c->have < CONTROL_HEAD_BYTES ? c->head + c->have : c->body + (c->have - CONTROL_HEAD_BYTES);
    size_t want =
        c->have < CONTROL_HEAD_BYTES ? CONTROL_HEAD_BYTES - c->have : c->body_n - (c->have - CONTROL_HEAD_BYTES);
    ssize_t n = recv(c->fd, to, want, 0);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    if (c->have == 0)
        set_deadline(c, REQUEST_MS);
    c->have += (size_t)n;
    if (c->have == CONTROL_HEAD_BYTES && c->body == NULL && !begin_body(c))
        return false;
    if (c->body_n > CONTROL_MAX_REQUEST)
        return refuse_giant(c);
    if (c->body != NULL && c->have == CONTROL_HEAD_BYTES + c->body_n)
        return answer(c);
    return true;
}

static int handle_connection(sd_event_source *src, int fd, uint32_t events, void *arg)
{
    struct connection *c = arg;
    bool alive;

    (void)src;
    (void)fd;
    if (c->reply != NULL)
        alive = (events & (EPOLLERR | EPOLLHUP)) == 0 && write_reply(c);
    else
        alive = read_some(c);
    if (!alive)
        talloc_free(c);
    return 0;
}

/* ---- accepting ---- */

/* The oldest connection of uid, or of anybody if uid is -1. The list is newest first. */
static struct connection *oldest_of(const struct server *s, uid_t uid, int *count)
{
    struct connection *found = NULL;

    *count = 0;
    for (struct connection *c = s->connections; c != NULL; c = c->next) {
        if (uid != (uid_t)-1 && c->uid != uid)
            continue;
        found = c;
        (*count)++;
    }
    return found;
}

static void make_room(struct server *s, uid_t uid)
{
    int n;
    struct connection *old = oldest_of(s, uid, &n);

    if (n >= PER_UID)
        talloc_free(old);
    old = oldest_of(s, (uid_t)-1, &n);
    if (n >= CONNECTIONS_MAX)
        talloc_free(old);
}

static bool connection_new(struct server *s, int fd, uid_t uid, int right)
{
    struct connection *c = talloc_zero(s, struct connection);
    sd_event *ev = s->master->event;

    if (c == NULL)
        return false;
    *c = (struct connection){.server = s, .fd = fd, .uid = uid, .right = right, .next = s->connections};
    s->connections = c;
    s->n++;
    talloc_set_destructor(c, connection_destroy);
    if (sd_event_add_io(ev, &c->source, fd, EPOLLIN, handle_connection, c) < 0 ||
        sd_event_add_time(ev, &c->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, handle_deadline, c) < 0) {
        talloc_free(c); /* closes fd */
        return true;
    }
    set_deadline(c, IDLE_MS);
    return true;
}

/* Says why and hangs up: one attempt, which the empty socket takes whole. */
static void refuse_caller(struct server *s, int fd, uid_t uid)
{
    struct error e = {0};
    struct pack p;
    void *ctx = talloc_new(s);
    int n;

    log_warn("control", "caller refused", "uid", LOG_I(uid == (uid_t)-1 ? -1 : (int64_t)uid), NULL);
    (void)rights_refuse(&s->master->rights, CONTROL_SOCKET, RIGHTS_NONE, CONTROL_READ, &e);
    n = control_reply_error(&p, ctx, 0, &e);
    if (n > 0)
        (void)!send(fd, p.buf, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    talloc_free(ctx);
    close(fd);
}

static int handle_accept(sd_event_source *src, int listen_fd, uint32_t events, void *arg)
{
    struct server *s = arg;
    uid_t uid = (uid_t)-1;
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int right;

    (void)src;
    (void)events;
    if (fd < 0)
        return 0;
    right = rights_of_peer(&s->master->rights, fd);
    if (!peer_credentials(fd, &uid, NULL, NULL) || right == RIGHTS_NONE) {
        refuse_caller(s, fd, uid);
        return 0;
    }
    make_room(s, uid);
    if (!connection_new(s, fd, uid, right))
        close(fd);
    return 0;
}

int server_start(struct master *m, int listen_fd, struct error *e)
{
    struct server *s = talloc_zero(m, struct server);
    int r;

    if (s == NULL)
        return reason_error(e, REASON_os_error, ENOMEM, "out of memory");
    *s = (struct server){.master = m, .fd = listen_fd};
    r = sd_event_add_io(m->event, &s->source, listen_fd, EPOLLIN, handle_accept, s);
    if (r < 0)
        return reason_error(e, REASON_os_error, -r, "control socket: %s", strerror(-r));
    /* Questions come after supervision. */
    sd_event_source_set_priority(s->source, SD_EVENT_PRIORITY_IDLE);
    m->server = s;
    return 0;
}

void server_stop(struct master *m)
{
    struct server *s = m->server;

    if (s == NULL)
        return;
    while (s->connections != NULL)
        talloc_free(s->connections);
    sd_event_source_disable_unref(s->source);
    close(s->fd);
    talloc_free(s);
    m->server = NULL;
}
