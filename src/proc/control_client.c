/*
 * control_client.c - one call to the supervisor, waiting at most until its deadline
 *
 * For docmillctl. Every wait is a poll with what is left of the time; a daemon that accepts and never answers costs the
 * caller its timeout and no more.
 *
 * Depends on base, core, proc/pack.
 */
#include "proc/control.h"

#include "base/clock.h"
#include "core/reason.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <talloc.h>
#include <unistd.h>

#define RETRY_MS 5 /* between tries to enter a full backlog */

struct call {
    int fd;
    int64_t deadline_ms;
    const char *path;
};

static int call_timeout(const struct call *c, struct error *e)
{
    return reason_error(e, REASON_control_timeout, ETIMEDOUT, "docmilld did not answer on %s in time.", c->path);
}

static int call_gone(const struct call *c, struct error *e)
{
    return reason_error(e, REASON_not_running, ECONNRESET, "docmilld closed the connection on %s.", c->path);
}

/* Waits for the socket; 0, or the timeout as an error. */
static int call_wait(const struct call *c, short events, struct error *e)
{
    struct pollfd p = {.fd = c->fd, .events = events};
    int64_t left;

    while ((left = c->deadline_ms - clock_ms()) > 0) {
        int r = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return reason_error(e, REASON_os_error, errno, "poll: %s", strerror(errno));
    }
    return call_timeout(c, e);
}

static int connect_failed(const struct call *c, int err, struct error *e)
{
    if (err == EACCES || err == EPERM) {
        (void)reason_error(e, REASON_forbidden, err, "You may not open %s.", c->path);
        error_hint(e,
                   "Be root, the daemon's user, or a member of a group named by control.read_group, control.group or "
                   "control.admin_group.");
        return -err;
    }
    (void)reason_error(e, REASON_not_running, err, "No docmilld answers on %s: %s.", c->path, strerror(err));
    error_hint(e, "Is it started, and does run_dir in your configuration name its directory?");
    return -err;
}

static int call_connect(struct call *c, struct error *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    if (strlen(c->path) >= sizeof a.sun_path)
        return connect_failed(c, ENAMETOOLONG, e);
    memcpy(a.sun_path, c->path, strlen(c->path) + 1);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        return reason_error(e, REASON_os_error, errno, "socket: %s", strerror(errno));
    while (connect(c->fd, (struct sockaddr *)&a, sizeof a) != 0) {
        if (errno != EAGAIN && errno != EINTR)
            return connect_failed(c, errno, e);
        if (clock_ms() >= c->deadline_ms)
            return call_timeout(c, e);
        poll(NULL, 0, RETRY_MS);
    }
    return 0;
}

static int call_send(const struct call *c, const uint8_t *buf, size_t n, struct error *e)
{
    while (n > 0) {
        ssize_t sent = send(c->fd, buf, n, MSG_NOSIGNAL);
        int r;

        if (sent > 0) {
            buf += sent;
            n -= (size_t)sent;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return call_gone(c, e);
        r = call_wait(c, POLLOUT, e);
        if (r != 0)
            return r;
    }
    return 0;
}

static int call_receive(const struct call *c, uint8_t *buf, size_t n, struct error *e)
{
    while (n > 0) {
        ssize_t got;
        int r = call_wait(c, POLLIN, e);

        if (r != 0)
            return r;
        got = recv(c->fd, buf, n, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return call_gone(c, e);
        if (got > 0) {
            buf += got;
            n -= (size_t)got;
        }
    }
    return 0;
}

static int encode_request(struct pack *p, const void *ctx, uint64_t id, const char *verb, const json_t *args)
{
    int n;

    pack_init_growing(p, ctx, CONTROL_HEAD_BYTES + CONTROL_MAX_REQUEST);
    if (!p->failed)
        p->len = CONTROL_HEAD_BYTES;
    pack_array(p);
    pack_int(p, CONTROL_VERSION);
    pack_uint(p, id);
    pack_str(p, verb);
    if (json_is_object(args)) {
        control_json_write(p, args);
    } else {
        pack_map(p);
        pack_end(p);
    }
    pack_end(p);
    n = pack_end_frame(p);
    if (n >= 0)
        control_put_length(p->buf, (size_t)n - CONTROL_HEAD_BYTES);
    return n;
}

static int read_reply(const struct call *c, const void *ctx, uint64_t id, json_t **reply, struct error *e)
{
    uint8_t head[CONTROL_HEAD_BYTES], *body;
    size_t n;
    int r = call_receive(c, head, sizeof head, e);

    if (r != 0)
        return r;
    n = control_get_length(head);
    if (n > CONTROL_MAX_REPLY)
        return reason_error(e, REASON_bad_frame, EPROTO, "The answer on %s is no docmill frame.", c->path);
    body = talloc_size(ctx, n + 1);
    if (body == NULL)
        return reason_error(e, REASON_os_error, ENOMEM, "out of memory");
    r = call_receive(c, body, n, e);
    return r != 0 ? r : control_decode_reply(body, n, id, reply, e);
}

int control_call(const char *path, const char *verb, const json_t *args, int64_t timeout_ms, json_t **reply,
                 struct error *e)
{
    struct call c = {.fd = -1, .deadline_ms = clock_ms() + timeout_ms, .path = path};
    void *ctx = talloc_new(NULL);
    const uint64_t id = (uint64_t)getpid();
    struct pack p;
    int n = encode_request(&p, ctx, id, verb, args);
    int r;

    *reply = NULL;
    if (n < 0)
        r = reason_error(e, REASON_bad_request, EMSGSIZE, "The request is too large or nested too deep.");
    else
        r = call_connect(&c, e);
    if (r == 0)
        r = call_send(&c, p.buf, (size_t)n, e);
    if (r == 0 || r == -ECONNRESET) /* who was refused is told why before the connection ends */
        r = read_reply(&c, ctx, id, reply, e);
    if (c.fd >= 0)
        close(c.fd);
    talloc_free(ctx);
    return r;
}
