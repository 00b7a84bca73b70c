/*
 * channel.h - the messages between master and child, over one SOCK_SEQPACKET pair
 *
 * Every packet is one frame: msgpack array [version, kind, fields...]. Writer and reader of each message stand side by
 * side; a reader fails on a left-over or missing byte, an unknown kind and a foreign version are errors and are named.
 * Nobody blocks on the channel: a full socket is -EAGAIN, and what is sent is a hint or is sent again.
 *
 *   child -> master   READY          pool slot is connected and can take work
 *                     WAKE           there is work for workers (lane), from api (then the coordinator hears it too)
 *                                    or from the coordinator
 *                     BYE            drained, will exit now
 *                     FATAL          cannot go on, with the reason (start-up failures)
 *                     RELEASED       coordinator: the dead child's jobs were released (serial, jobs)
 *                     AUDITED        coordinator: the audit records up to this number are written (seq)
 *   master -> child   WAKE           look for work now
 *                     DRAIN          finish what is in hand within limit_ms, take no more, exit 0
 *                     DEATH          coordinator: a child is gone, with the evidence; at most DEATHS_AT_ONCE unanswered
 *                     AUDIT          coordinator: an operator's verb, for audit_log; at most AUDIT_AT_ONCE unanswered
 *                     PING           answer with PONG (progress test of the loop)
 *                     LOG            standard error from now on: the descriptor that comes with it
 *   child -> master   PONG
 *
 * Depends on base.
 */
#ifndef PROC_CHANNEL_H
#define PROC_CHANNEL_H

#include "base/error.h"
#include "base/uuid.h"
#include "proc/control.h"
#include "proc/scoreboard.h"

#include <stdint.h>

#define CHANNEL_VERSION   1
#define CHANNEL_MAX_BYTES 16384

#define CHANNEL_KINDS(X)                                                                                               \
    X(READY, 1)                                                                                                        \
    X(WAKE, 2)                                                                                                         \
    X(BYE, 3)                                                                                                          \
    X(FATAL, 4)                                                                                                        \
    X(RELEASED, 5)                                                                                                     \
    X(DRAIN, 6)                                                                                                        \
    X(DEATH, 7)                                                                                                        \
    X(PING, 8)                                                                                                         \
    X(PONG, 9)                                                                                                         \
    X(LOG, 10)                                                                                                         \
    X(AUDIT, 11)                                                                                                       \
    X(AUDITED, 12)

#define X_KIND(name, n) CHANNEL_##name = n,
enum channel_kind { CHANNEL_KINDS(X_KIND) };
#undef X_KIND

struct msg_fatal {
    char reason[40];
    char message[400];
};

struct msg_drain {
    int64_t limit_ms;
};

struct msg_released {
    int64_t serial;
    int32_t jobs;
};

/* The evidence of a death. `serial` is the child's number in this master's life: the queue's owner_child. */
struct msg_death {
    int64_t serial;
    int32_t pid, pool, exit_code, signal; /* exit_code -1: died by signal; signal 0: exited */
    int32_t sent_by_us;                   /* the signal was ours */
    int32_t hung;                         /* and we sent it because the child hung */
    int32_t oom;                          /* 1 the kernel's out-of-memory counter rose, 0 not, -1 not known */
    int32_t torn;                         /* its slot was torn */
    int32_t stage, n_in_hand;
    int64_t in_hand_ms; /* how long it had been on it */
    int64_t utime_ms, stime_ms, maxrss_kb;
    int32_t n_jobs; /* of the array */
    struct score_job jobs[SCORE_IN_HAND_MAX];
};

#define DEATHS_AT_ONCE 256
#define AUDIT_AT_ONCE  32

struct msg_audit {
    int64_t seq, at_ms; /* counted in this master's life; when, by the machine's monotonic clock */
    /* the record's own for good, also if a later master sends it: the life in which it was made, and its number there */
    int64_t incarnation, number;
    int64_t uid; /* -1: nobody's, the master's own */
    char verb[32];
    char arguments[CONTROL_MASKED_BYTES];
    char result[40]; /* "ok", or the reason of the refusal */
};

struct msg_audited {
    int64_t seq;
};

struct msg_wake {
    int32_t lane;
};

struct channel_msg {
    enum channel_kind kind;
    int fd; /* LOG: goes with it; whoever received it owns it. -1: none came. No other kind has one */
    union {
        struct msg_fatal fatal;
        struct msg_drain drain;
        struct msg_released released;
        struct msg_death death;
        struct msg_wake wake;
        struct msg_audit audit;
        struct msg_audited audited;
    };
};

/* One packet each. 0, -EAGAIN (would block), -EPIPE (peer gone), -EPROTO (with *e: what was wrong). */
int channel_send(int fd, const struct channel_msg *m);
int channel_recv(int fd, struct channel_msg *m, struct error *e) MUST_CHECK;

/* Without a socket, for tests and fuzzing. encode: bytes written or -EMSGSIZE. */
int channel_encode(const struct channel_msg *m, uint8_t *buf, size_t size);
int channel_decode(const uint8_t *buf, size_t n, struct channel_msg *m, struct error *e) MUST_CHECK;

#endif
