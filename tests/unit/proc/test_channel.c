/* test_channel.c - every message comes back as it was sent; anything else is an error; nobody blocks */
#include "proc/channel.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define N_KINDS 12

static struct channel_msg example(enum channel_kind kind)
{
    struct channel_msg m;

    memset(&m, 0, sizeof m);
    m.kind = kind;
    m.fd = -1;
    switch (kind) {
    case CHANNEL_READY:
    case CHANNEL_BYE:
    case CHANNEL_PING:
    case CHANNEL_PONG:
    case CHANNEL_LOG:
        break;
    case CHANNEL_WAKE:
        m.wake.lane = -3;
        break;
    case CHANNEL_FATAL:
        strcpy(m.fatal.reason, "db_unavailable");
        memset(m.fatal.message, 'x', sizeof m.fatal.message - 1);
        break;
    case CHANNEL_RELEASED:
        m.released = (struct msg_released){.serial = INT64_MAX, .jobs = 7};
        break;
    case CHANNEL_AUDIT:
        m.audit = (struct msg_audit){.seq = 3,
                                     .at_ms = INT64_MAX,
                                     .incarnation = INT64_MAX,
                                     .number = 9,
                                     .uid = -1,
                                     .verb = "breaker",
                                     .result = "bad_request"};
        memset(m.audit.arguments, 'a', sizeof m.audit.arguments - 1);
        break;
    case CHANNEL_AUDITED:
        m.audited.seq = INT64_MAX;
        break;
    case CHANNEL_DRAIN:
        m.drain.limit_ms = 30000;
        break;
    case CHANNEL_DEATH:
        m.death = (struct msg_death){.serial = 41,
                                     .pid = 4711,
                                     .pool = 2,
                                     .exit_code = -1,
                                     .signal = 9,
                                     .sent_by_us = 0,
                                     .hung = 1,
                                     .oom = -1,
                                     .torn = 1,
                                     .stage = STATUS_CHUNKING,
                                     .n_in_hand = 40,
                                     .in_hand_ms = 1234,
                                     .utime_ms = 1,
                                     .stime_ms = 2,
                                     .maxrss_kb = 8000,
                                     .n_jobs = SCORE_IN_HAND_MAX};
        for (int i = 0; i < SCORE_IN_HAND_MAX; i++) {
            memset(m.death.jobs[i].job_id.b, i, 16);
            m.death.jobs[i].lease = INT64_MAX - i;
            m.death.jobs[i].status = (int16_t)(i % STATUS_MAX_);
        }
        break;
    }
    return m;
}

ParameterizedTestParameters(channel, comes_back_as_it_was_sent)
{
    static int kinds[N_KINDS] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

    return cr_make_param_array(int, kinds, N_KINDS);
}

ParameterizedTest(int *kind, channel, comes_back_as_it_was_sent)
{
    struct channel_msg in = example((enum channel_kind) * kind), out;
    uint8_t buf[CHANNEL_MAX_BYTES];
    int n = channel_encode(&in, buf, sizeof buf);

    cr_assert_gt(n, 0);
    cr_assert_eq(channel_decode(buf, (size_t)n, &out, NULL), 0);
    cr_assert(memcmp(&in, &out, sizeof in) == 0);
}

ParameterizedTestParameters(channel, cut_short_or_too_long_is_an_error)
{
    static int kinds[N_KINDS] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

    return cr_make_param_array(int, kinds, N_KINDS);
}

ParameterizedTest(int *kind, channel, cut_short_or_too_long_is_an_error)
{
    struct channel_msg in = example((enum channel_kind) * kind), out;
    uint8_t buf[CHANNEL_MAX_BYTES];
    int n = channel_encode(&in, buf, sizeof buf);

    for (int cut = 0; cut < n; cut++)
        cr_assert_eq(channel_decode(buf, (size_t)cut, &out, NULL), -EPROTO, "cut at %d of %d", cut, n);
    buf[n] = 0;
    cr_assert_eq(channel_decode(buf, (size_t)n + 1, &out, NULL), -EPROTO);
}

Test(channel, a_buffer_that_is_too_small_is_an_error)
{
    struct channel_msg m = example(CHANNEL_DEATH);
    uint8_t buf[64];

    cr_assert_eq(channel_encode(&m, buf, sizeof buf), -EMSGSIZE);
}

Test(channel, a_foreign_version_is_named)
{
    const uint8_t frame[] = {0x92, CHANNEL_VERSION + 1, CHANNEL_READY};
    struct channel_msg m;
    struct error e = {0};

    cr_assert_eq(channel_decode(frame, sizeof frame, &m, &e), -EPROTO);
    cr_assert(strstr(e.message, "version 2") != NULL, "%s", e.message);
}

Test(channel, an_unknown_kind_is_named)
{
    const uint8_t frame[] = {0x92, CHANNEL_VERSION, 99};
    struct channel_msg m;
    struct error e = {0};

    cr_assert_eq(channel_decode(frame, sizeof frame, &m, &e), -EPROTO);
    cr_assert(strstr(e.message, "kind 99") != NULL, "%s", e.message);
}

Test(channel, a_field_too_many_is_an_error)
{
    const uint8_t frame[] = {0x93, CHANNEL_VERSION, CHANNEL_READY, 0};
    struct channel_msg m;

    cr_assert_eq(channel_decode(frame, sizeof frame, &m, NULL), -EPROTO);
}

Test(channel, a_full_socket_answers_eagain_and_a_closed_one_epipe)
{
    struct channel_msg m = example(CHANNEL_DEATH), got;
    int s[2], r, sent = 0;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
    while ((r = channel_send(s[0], &m)) == 0)
        sent++;
    cr_assert_eq(r, -EAGAIN);
    for (int i = 0; i < sent; i++)
        cr_assert_eq(channel_recv(s[1], &got, NULL), 0);
    cr_assert_eq(channel_recv(s[1], &got, NULL), -EAGAIN);
    close(s[1]);
    cr_assert_eq(channel_send(s[0], &m), -EPIPE);
    cr_assert_eq(channel_recv(s[0], &got, NULL), -EPIPE);
    close(s[0]);
}

/* ---- descriptors ---- */

static int open_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

Test(channel, a_descriptor_goes_with_log_and_is_close_on_exec)
{
    struct channel_msg m = {.kind = CHANNEL_LOG}, out;
    struct stat sent, came;
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    m.fd = open("/dev/null", O_WRONLY);
    cr_assert_eq(channel_send(pair[0], &m), 0);
    cr_assert_eq(channel_recv(pair[1], &out, NULL), 0);
    cr_expect_eq(out.kind, CHANNEL_LOG);
    cr_assert_geq(out.fd, 0);
    cr_expect_neq(out.fd, m.fd);
    cr_expect_eq(fcntl(out.fd, F_GETFD), FD_CLOEXEC);
    cr_assert(fstat(m.fd, &sent) == 0 && fstat(out.fd, &came) == 0);
    cr_expect_eq(sent.st_rdev, came.st_rdev);
}

/* Sends n descriptors along with a message of any kind. */
static void send_with(int to, enum channel_kind kind, int n)
{
    struct channel_msg m = example(kind);
    uint8_t buf[CHANNEL_MAX_BYTES];
    struct iovec v = {.iov_base = buf, .iov_len = (size_t)channel_encode(&m, buf, sizeof buf)};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))] = {0};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control};
    int fds[4] = {1, 1, 1, 1};
    struct cmsghdr *c;

    h.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
    c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, (size_t)n * sizeof(int));
    cr_assert_gt(sendmsg(to, &h, 0), 0);
}

Test(channel, descriptors_that_nobody_asked_for_are_closed)
{
    struct channel_msg out;
    int pair[2], before;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    before = open_descriptors();
    send_with(pair[0], CHANNEL_READY, 1);
    cr_expect_eq(channel_recv(pair[1], &out, NULL), 0);
    cr_expect_eq(out.fd, -1);
    send_with(pair[0], CHANNEL_READY, 4);
    cr_expect_eq(channel_recv(pair[1], &out, NULL), 0);
    cr_expect_eq(open_descriptors(), before);
}
