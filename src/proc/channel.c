/*
 * channel.c - see channel.h
 *
 * Each kind has a put_ and a get_ that name the same fields in the same order; the switch statements have no default,
 * so that a kind without both does not compile.
 *
 * Depends on base, core, proc/pack.
 */
#include "proc/channel.h"

#include "core/reason.h"
#include "proc/pack.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static void put_wake(struct pack *p, const struct msg_wake *m)
{
    pack_int(p, m->lane);
}

static void get_wake(struct unpack *u, struct msg_wake *m)
{
    m->lane = unpack_i32(u);
}

static void put_fatal(struct pack *p, const struct msg_fatal *m)
{
    pack_str_n(p, m->reason, strnlen(m->reason, sizeof m->reason - 1));
    pack_str_n(p, m->message, strnlen(m->message, sizeof m->message - 1));
}

static void get_fatal(struct unpack *u, struct msg_fatal *m)
{
    unpack_str_copy(u, m->reason, sizeof m->reason);
    unpack_str_copy(u, m->message, sizeof m->message);
}

static void put_released(struct pack *p, const struct msg_released *m)
{
    pack_int(p, m->serial);
    pack_int(p, m->jobs);
}

static void get_released(struct unpack *u, struct msg_released *m)
{
    m->serial = unpack_int(u);
    m->jobs = unpack_i32(u);
}

static void put_drain(struct pack *p, const struct msg_drain *m)
{
    pack_int(p, m->limit_ms);
}

static void get_drain(struct unpack *u, struct msg_drain *m)
{
    m->limit_ms = unpack_int(u);
}

static void put_death(struct pack *p, const struct msg_death *m)
{
    int32_t n = m->n_jobs < 0 ? 0 : m->n_jobs > SCORE_IN_HAND_MAX ? SCORE_IN_HAND_MAX : m->n_jobs;

    pack_int(p, m->serial);
    pack_int(p, m->pid);
    pack_int(p, m->pool);
    pack_int(p, m->exit_code);
    pack_int(p, m->signal);
    pack_int(p, m->sent_by_us);
    pack_int(p, m->hung);
    pack_int(p, m->oom);
    pack_int(p, m->torn);
    pack_int(p, m->stage);
    pack_int(p, m->n_in_hand);
    pack_int(p, m->in_hand_ms);
    pack_int(p, m->utime_ms);
    pack_int(p, m->stime_ms);
    pack_int(p, m->maxrss_kb);
    pack_array(p);
    for (int32_t i = 0; i < n; i++) {
        pack_array(p);
        pack_uuid(p, &m->jobs[i].job_id);
        pack_int(p, m->jobs[i].lease);
        pack_int(p, m->jobs[i].status);
        pack_end(p);
    }
    pack_end(p);
}

static void get_death(struct unpack *u, struct msg_death *m)
{
    uint32_t n;

    m->serial = unpack_int(u);
    m->pid = unpack_i32(u);
    m->pool = unpack_i32(u);
    m->exit_code = unpack_i32(u);
    m->signal = unpack_i32(u);
    m->sent_by_us = unpack_i32(u);
    m->hung = unpack_i32(u);
    m->oom = unpack_i32(u);
    m->torn = unpack_i32(u);
    m->stage = unpack_i32(u);
    m->n_in_hand = unpack_i32(u);
    m->in_hand_ms = unpack_int(u);
    m->utime_ms = unpack_int(u);
    m->stime_ms = unpack_int(u);
    m->maxrss_kb = unpack_int(u);
    n = unpack_array(u);
    if (n > SCORE_IN_HAND_MAX)
        unpack_fail(u, "more jobs than a slot can hold");
    for (uint32_t i = 0; i < n && u->fault == NULL; i++) {
        if (unpack_array(u) != 3)
            unpack_fail(u, "a job has not three fields");
        unpack_uuid(u, &m->jobs[i].job_id);
        m->jobs[i].lease = unpack_int(u);
        m->jobs[i].status = (int16_t)unpack_int_in(u, INT16_MIN, INT16_MAX);
        m->n_jobs = (int32_t)i + 1;
    }
}

static void put_audit(struct pack *p, const struct msg_audit *m)
{
    pack_int(p, m->seq);
    pack_int(p, m->at_ms);
    pack_int(p, m->incarnation);
    pack_int(p, m->number);
    pack_int(p, m->uid);
    pack_str_n(p, m->verb, strnlen(m->verb, sizeof m->verb - 1));
    pack_str_n(p, m->arguments, strnlen(m->arguments, sizeof m->arguments - 1));
    pack_str_n(p, m->result, strnlen(m->result, sizeof m->result - 1));
}

static void get_audit(struct unpack *u, struct msg_audit *m)
{
    m->seq = unpack_int(u);
    m->at_ms = unpack_int(u);
    m->incarnation = unpack_int(u);
    m->number = unpack_int(u);
    m->uid = unpack_int(u);
    unpack_str_copy(u, m->verb, sizeof m->verb);
    unpack_str_copy(u, m->arguments, sizeof m->arguments);
    unpack_str_copy(u, m->result, sizeof m->result);
}

static void put_audited(struct pack *p, const struct msg_audited *m)
{
    pack_int(p, m->seq);
}

static void get_audited(struct unpack *u, struct msg_audited *m)
{
    m->seq = unpack_int(u);
}

/* Number of fields after version and kind; -1: no such kind. */
static int fields_of(int64_t kind)
{
    switch (kind) {
    case CHANNEL_READY:
    case CHANNEL_BYE:
    case CHANNEL_PING:
    case CHANNEL_PONG:
    case CHANNEL_LOG:
        return 0;
    case CHANNEL_WAKE:
    case CHANNEL_DRAIN:
    case CHANNEL_AUDITED:
        return 1;
    case CHANNEL_FATAL:
    case CHANNEL_RELEASED:
        return 2;
    case CHANNEL_AUDIT:
        return 8;
    case CHANNEL_DEATH:
        return 16;
    default:
        return -1;
    }
}

static void put_fields(struct pack *p, const struct channel_msg *m)
{
    switch (m->kind) {
    case CHANNEL_READY:
    case CHANNEL_BYE:
    case CHANNEL_PING:
    case CHANNEL_PONG:
    case CHANNEL_LOG:
        return;
    case CHANNEL_WAKE:
        put_wake(p, &m->wake);
        return;
    case CHANNEL_FATAL:
        put_fatal(p, &m->fatal);
        return;
    case CHANNEL_RELEASED:
        put_released(p, &m->released);
        return;
    case CHANNEL_DRAIN:
        put_drain(p, &m->drain);
        return;
    case CHANNEL_AUDIT:
        put_audit(p, &m->audit);
        return;
    case CHANNEL_AUDITED:
        put_audited(p, &m->audited);
        return;
    case CHANNEL_DEATH:
        put_death(p, &m->death);
        return;
    }
}

static void get_fields(struct unpack *u, struct channel_msg *m)
{
    switch (m->kind) {
    case CHANNEL_READY:
    case CHANNEL_BYE:
    case CHANNEL_PING:
    case CHANNEL_PONG:
    case CHANNEL_LOG:
        return;
    case CHANNEL_WAKE:
        get_wake(u, &m->wake);
        return;
    case CHANNEL_FATAL:
        get_fatal(u, &m->fatal);
        return;
    case CHANNEL_RELEASED:
        get_released(u, &m->released);
        return;
    case CHANNEL_DRAIN:
        get_drain(u, &m->drain);
        return;
    case CHANNEL_AUDIT:
        get_audit(u, &m->audit);
        return;
    case CHANNEL_AUDITED:
        get_audited(u, &m->audited);
        return;
    case CHANNEL_DEATH:
        get_death(u, &m->death);
        return;
    }
}

int channel_encode(const struct channel_msg *m, uint8_t *buf, size_t size)
{
    struct pack p;

    pack_init(&p, buf, size);
    pack_array(&p);
    pack_int(&p, CHANNEL_VERSION);
    pack_int(&p, (int64_t)m->kind);
    put_fields(&p, m);
    pack_end(&p);
    return pack_end_frame(&p);
}

int channel_decode(const uint8_t *buf, size_t n, struct channel_msg *m, struct error *e)
{
    struct unpack u;
    uint32_t members;
    int64_t version, kind;

    memset(m, 0, sizeof *m);
    m->fd = -1;
    unpack_init(&u, buf, n);
    members = unpack_array(&u);
    version = unpack_int(&u);
    if (u.fault == NULL && version != CHANNEL_VERSION)
        return reason_error(e, REASON_bad_frame, EPROTO, "Channel message of version %lld; this binary speaks %d.",
                            (long long)version, CHANNEL_VERSION);
    kind = unpack_int(&u);
    if (u.fault == NULL && fields_of(kind) < 0)
        return reason_error(e, REASON_bad_frame, EPROTO, "Channel message of unknown kind %lld.", (long long)kind);
    if (u.fault == NULL && members != (uint32_t)fields_of(kind) + 2)
        unpack_fail(&u, "the number of fields does not fit the kind");
    if (u.fault == NULL) {
        m->kind = (enum channel_kind)kind;
        get_fields(&u, m);
    }
    return unpack_close(&u, e);
}

static void put_descriptor(struct msghdr *h, int fd)
{
    struct cmsghdr *c;

    memset(h->msg_control, 0, CMSG_SPACE(sizeof fd));
    h->msg_controllen = CMSG_SPACE(sizeof fd);
    c = CMSG_FIRSTHDR(h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

/* The descriptor that came, -1: none. The buffer has room for one; the kernel closes what is more. */
static int get_descriptor(struct msghdr *h)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(h);
    int fd = -1;

    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

int channel_send(int fd, const struct channel_msg *m)
{
    uint8_t buf[CHANNEL_MAX_BYTES];
    int n = channel_encode(m, buf, sizeof buf);
    struct iovec v = {.iov_base = buf, .iov_len = (size_t)n};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control};

    if (n < 0)
        return n;
    if (m->kind == CHANNEL_LOG)
        put_descriptor(&h, m->fd);
    else
        h.msg_control = NULL;
    if (sendmsg(fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
        return 0;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == EINTR || errno == ETOOMANYREFS)
        return -EAGAIN;
    return -EPIPE;
}

static int decode_received(const uint8_t *buf, ssize_t n, struct channel_msg *m, struct error *e)
{
    if (n > CHANNEL_MAX_BYTES)
        return reason_error(e, REASON_bad_frame, EPROTO, "Channel message of %zd bytes; at most %d are allowed.", n,
                            CHANNEL_MAX_BYTES);
    return channel_decode(buf, (size_t)n, m, e);
}

int channel_recv(int fd, struct channel_msg *m, struct error *e)
{
    uint8_t buf[CHANNEL_MAX_BYTES];
    struct iovec v = {.iov_base = buf, .iov_len = sizeof buf};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_LEN(sizeof(int))};
    ssize_t n = recvmsg(fd, &h, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
    int came, r;

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return -EAGAIN;
    if (n <= 0)
        return -EPIPE;
    came = get_descriptor(&h);
    r = decode_received(buf, n, m, e);
    if (r == 0 && m->kind == CHANNEL_LOG)
        m->fd = came;
    else if (came >= 0)
        close(came); /* nobody asked for it */
    return r;
}
