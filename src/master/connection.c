/*
 * connection.c - one connection of the control socket: a request is read, answered, and another may follow
 *
 * Non-blocking throughout. A deadline stands over each phase: IDLE_MS for a request to begin, REQUEST_MS from its first
 * byte to the answer's last. Whoever frames a request wrongly is told so and hung up on.
 *
 * Depends on base, core, proc.
 */
#include "master/connection.h"

#include "base/clock.h"
#include "core/reason.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <talloc.h>

#define IDLE_MS    60000
#define REQUEST_MS 5000

static void next_request(struct connection *c)
{
    talloc_free(c->body);
    talloc_free(c->reply_ctx);
    c->body = NULL;
    c->reply = NULL;
    c->reply_ctx = NULL;
    c->have = c->body_n = c->reply_n = c->reply_sent = 0;
    c->deadline_ms = clock_ms() + IDLE_MS;
    server_watch(c, EPOLLIN);
}

/* Writes what is left of the reply; false if the connection is of no more use. */
static bool write_reply(struct connection *c)
{
    while (c->reply_sent < c->reply_n) {
        ssize_t n = send(c->fd, c->reply + c->reply_sent, c->reply_n - c->reply_sent, MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            server_watch(c, EPOLLOUT);
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
    struct master *m = server_master(c->server);
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
        n = verb_answer(server_master(c->server), &r, &p, c->reply_ctx, &e); /* says so */
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

enum { READ_END = -1, READ_NOTHING, READ_SOME };

/* One read, at most up to the end of the head or of the body. */
static int read_some(struct connection *c)
{
    uint8_t *to = c->have < CONTROL_HEAD_BYTES ? c->head + c->have : c->body + (c->have - CONTROL_HEAD_BYTES);
    size_t want =
        c->have < CONTROL_HEAD_BYTES ? CONTROL_HEAD_BYTES - c->have : c->body_n - (c->have - CONTROL_HEAD_BYTES);
    ssize_t n = recv(c->fd, to, want, 0);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? READ_NOTHING : READ_END;
    if (n == 0)
        return READ_END;
    if (c->have == 0)
        c->deadline_ms = clock_ms() + REQUEST_MS;
    c->have += (size_t)n;
    if (c->have == CONTROL_HEAD_BYTES && c->body == NULL && !begin_body(c))
        return READ_END;
    return READ_SOME;
}

/* As much of the present request as is there; once it is complete, the answer. */
static bool read_request(struct connection *c)
{
    int r;

    do {
        r = read_some(c);
        if (r == READ_SOME && c->body_n > CONTROL_MAX_REQUEST)
            return refuse_giant(c);
        if (r == READ_SOME && c->body != NULL && c->have == CONTROL_HEAD_BYTES + c->body_n)
            return answer(c);
    } while (r == READ_SOME);
    return r != READ_END;
}

void connection_begin(struct connection *c)
{
    c->deadline_ms = clock_ms() + IDLE_MS;
}

bool connection_step(struct connection *c, uint32_t events)
{
    if (c->reply != NULL)
        return (events & (EPOLLERR | EPOLLHUP)) == 0 && write_reply(c);
    return read_request(c);
}

void connection_refuse(struct master *m, int fd)
{
    void *ctx = talloc_new(NULL);
    struct error e = {0};
    struct pack p;
    int n;

    (void)rights_refuse(&m->rights, CONTROL_SOCKET, RIGHTS_NONE, CONTROL_READ, &e);
    n = control_reply_error(&p, ctx, 0, &e);
    if (n > 0)
        (void)!send(fd, p.buf, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    talloc_free(ctx);
}
