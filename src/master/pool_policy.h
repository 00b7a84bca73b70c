/*
 * pool_policy.h - when to start, warn and end a child: the decisions of supervision, and nothing else
 *
 * A slot is the place of one child in a pool. supervise.c tells what happened (slot_started, slot_ready, ...), asks
 * slot_step() after every event, and carries out its one answer. Reads no clock, forks nothing, so that every rule
 * below is a unit test.
 *
 *   - A child has `ready_ms` to become ready; then it is killed.
 *   - A death by a fault (crash, error, memory, hang, too late) before the first job was finished is a start-up failure:
 *     the slot waits (first, doubling, to a cap, with jitter). Where there is no work to finish, POLICY_STABLE_MS of being
 *     ready count as much, so that an idle child that dies after hours is no start-up failure. Later deaths are answered
 *     at once, unless the slot saw more than POLICY_WINDOW_DEATHS of them within POLICY_WINDOW_MS: then it waits in the
 *     same way. A child that stayed ready for POLICY_STABLE_MS wipes the slate.
 *   - A kill from outside (KILL or TERM that we did not send, no memory shortage) after it was ready is no fault: it is
 *     started again at once, however often.
 *   - A pool is failed for good when it saw `fail_deaths` faults a child within `fail_window_ms` and nothing was finished
 *     in between: pool_fault(). It is not started again until an operator resets it. These do not count: faults that
 *     say themselves that something outside is away (the database), since they end by themselves; those with work in
 *     hand, which the document's own crash budget bounds: no document may stop a pool; and kills, ours or others'.
 *   - A child hangs whose own deadline has passed, whose loop has not moved for `hang_ms`, or which has work and has not
 *     got on with it for `stuck_ms`. It is asked where it is (a trace), and when it has answered, or after `trace_ms`, gets
 *     TERM, and after `term_ms` KILL. At half of `hang_ms` it is pinged, so that a loop with nothing to do can show that
 *     it lives.
 *   - When the machine, or all of us, was held up (suspended, frozen), nobody hangs for `hang_ms`: slot_excuse().
 *   - A child that was told to drain by a certain time gets KILL then.
 *
 * Depends on base.
 */
#ifndef MASTER_POOL_POLICY_H
#define MASTER_POOL_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define POLICY_WINDOW_DEATHS 10
#define POLICY_WINDOW_MS     10000
#define POLICY_STABLE_MS     10000
#define POLICY_PING_MS       5000 /* between pings */
#define POLICY_TRACE_LOOK_MS 20   /* between looks for a trace */

enum slot_state {
    SLOT_EMPTY,    /* no child */
    SLOT_STARTING, /* exec'd, not ready */
    SLOT_UP,       /* said READY */
    SLOT_DRAINING, /* told to finish */
    SLOT_TRACED,   /* asked where it is, because it hangs */
    SLOT_TERMED,   /* sent TERM because it hangs */
    SLOT_KILLED,   /* sent KILL */
};

/* Why a child is said to hang. */
enum slot_hang { HANG_NOT, HANG_DEADLINE, HANG_LOOP, HANG_STUCK };

enum slot_action {
    SLOT_NOTHING,
    SLOT_START,
    SLOT_PING,
    SLOT_KILL_LATE,
    SLOT_TRACE_HUNG,
    SLOT_TERM_HUNG,
    SLOT_KILL_HUNG,
    SLOT_KILL_SLOW
};

/* Whether its child counts: pool_plan.h. */
enum slot_place { PLACE_FREE, PLACE_HELD, PLACE_RETIRING };

/* What a death says about the child. */
enum death_kind {
    DEATH_ASKED,    /* it was told to go, or retired with BYE */
    DEATH_OUTSIDER, /* somebody else killed it */
    DEATH_FAULT,    /* anything else: crash, error, memory, hang, too late */
};

struct policy_limits {
    int64_t ready_ms, backoff_first_ms, backoff_cap_ms, hang_ms, stuck_ms, trace_ms, term_ms;
    int fail_deaths; /* 0: a pool never fails */
    int64_t fail_window_ms;
};

/* How a child died. */
struct slot_death {
    enum death_kind kind;
    bool finished; /* it had finished a job, or a request */
    bool by_us;    /* we killed it, whatever for */
    bool in_hand;  /* it had work in hand */
    bool outside;  /* it said that something outside is away */
};

/* The faults of a pool since something was last finished in it. */
struct pool_faults {
    int n;
    int64_t first_ms;
    bool failed;
    int64_t failed_ms;
};

struct slot_policy {
    enum slot_state state;
    int64_t since_ms;    /* in this state */
    int64_t start_at_ms; /* EMPTY: not before */
    int64_t ready_ms;    /* when the present child became ready; 0: not yet */
    int64_t pinged_ms;
    int64_t excused_ms;  /* nobody hangs before this */
    uint64_t progress;   /* as last seen */
    int64_t progress_ms; /* when it was last seen to move, or to have nothing in hand */
    unsigned failures;   /* in a row that led to a wait */
    unsigned n_deaths;   /* ever; the ring below holds the last ones */
    int64_t deaths_ms[POLICY_WINDOW_DEATHS];
    int64_t drain_by_ms; /* DRAINING: then it is killed; 0: whoever drains it keeps the time */

    enum slot_place place;
    int wish, retires; /* enum retire_cause: that its child should be replaced; why it retires */
    int relieves;      /* 1 + the index of the retiring slot whose child waits for this one; 0: none */
};

/* What the child itself shows: from the scoreboard, not trusted beyond these. */
struct slot_pulse {
    int64_t beat_ms, busy_deadline_ms;
    uint64_t progress; /* counts its steps */
    bool working;      /* it has something in hand that must get on */
    bool traced;       /* it has said where it is */
};

void slot_started(struct slot_policy *s, int64_t now_ms);
void slot_start_failed(struct slot_policy *s, int64_t now_ms, const struct policy_limits *l);
void slot_became_ready(struct slot_policy *s, int64_t now_ms);
void slot_set_state(struct slot_policy *s, enum slot_state state, int64_t now_ms);
/* What it waited for may be there now: its next start is due. The count of failures stays. */
void slot_try_now(struct slot_policy *s, int64_t now_ms);
/* Before slot_step(): what is to be remembered of a pulse. */
void slot_looked_at(struct slot_policy *s, const struct slot_pulse *pulse, int64_t now_ms);
void slot_excuse(struct slot_policy *s, int64_t now_ms, const struct policy_limits *l);
enum slot_hang slot_hangs(const struct slot_policy *s, const struct slot_pulse *pulse, int64_t now_ms,
                          const struct policy_limits *l);
void slot_pinged(struct slot_policy *s, int64_t now_ms);
/* The child is gone: decides when the next may start. Returns how long that is from now; 0: at once. */
int64_t slot_died(struct slot_policy *s, const struct slot_death *d, int64_t now_ms, const struct policy_limits *l);
void slot_forgive(struct slot_policy *s); /* all failures are forgotten, and the next start is due */
/* A child of a pool of so many died. True: with that the pool has failed for good. */
bool pool_fault(struct pool_faults *f, const struct slot_death *d, int children, int64_t now_ms,
                const struct policy_limits *l);
/* wanted: this slot should have a child. *wake_ms is lowered to when to ask again, if that is earlier. */
enum slot_action slot_step(const struct slot_policy *s, const struct slot_pulse *pulse, bool wanted, int64_t now_ms,
                           const struct policy_limits *l, int64_t *wake_ms);

struct death_facts {
    int exit_code;   /* -1: by signal */
    int signal;      /* 0: exited */
    bool sent_by_us; /* that signal was ours */
    bool hung;       /* ... because it hung or was late */
    bool asked;      /* it was told to drain, or said BYE */
    bool was_ready;
    int oom; /* 1, 0, -1 not known */
};
enum death_kind death_kind_of(const struct death_facts *f);

#endif
