/* test_channel.c - every message comes back as it was sent; anything else is an error; nobody blocks */
#include "proc/channel.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_KINDS 9

static struct channel_msg example(enum channel_kind kind)
{
    struct channel_msg m;

    memset(&m, 0, sizeof m);
    m.kind = kind;
    switch (kind) {
    case CHANNEL_READY:
    case CHANNEL_BYE:
    case CHANNEL_PING:
    case CHANNEL_PONG:
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
    static int kinds[N_KINDS] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

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
    static int kinds[N_KINDS] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

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
