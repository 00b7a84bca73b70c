/*
 * scoreboard.h - what every child is doing, in shared memory
 *
 * A memfd made by the master, mapped by every child; one slot a child, written only by its owner under a sequence
 * lock, read by the master and never trusted. A killed writer leaves its slot torn: reads are bounded, "torn" is an
 * answer, and the master resets the slot before it starts the next child there.
 *
 * Fields are plain data with fixed width; text is cut and NUL-terminated. All times are CLOCK_MONOTONIC milliseconds.
 *
 * Depends on base, core.
 */
#ifndef PROC_SCOREBOARD_H
#define PROC_SCOREBOARD_H

#include "base/error.h"
#include "base/log.h"
#include "base/uuid.h"
#include "core/state.h"
#include "proc/totals.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCORE_SLOTS       1024
#define SCORE_IN_HAND_MAX 32

enum score_phase {
    SCORE_FREE = 0, /* no child */
    SCORE_STARTING, /* exec'd, not ready */
    SCORE_READY,    /* may take work, has none */
    SCORE_BUSY,     /* has work in hand */
    SCORE_DRAINING, /* finishes, takes no more */
};

struct score_job {
    struct uuid job_id;
    int64_t lease;
    int16_t status; /* where the document is in the worker's hands now */
};

struct score_data {
    uint32_t magic;               /* set by the master at reset */
    int32_t pid;                  /* owner */
    int32_t phase;                /* enum score_phase */
    int32_t pool;                 /* index in conf.pools */
    int32_t stage;                /* enum job_status the child works on now, 0: none */
    int32_t n_in_hand;            /* jobs in hand; the first SCORE_IN_HAND_MAX of them follow */
    int64_t started_ms, since_ms; /* of the child; of this phase and stage */
    int64_t beat_ms;              /* last pass of its loop */
    int64_t busy_deadline_ms;     /* 0: none; after it the child is hung */
    uint64_t progress;            /* any step forward */
    union {
        struct {
            SCORE_COUNTER_FIELDS
        };
        struct score_counters counters;
    };
    uint64_t user_us, system_us; /* processor time of itself, as last read */
    int64_t descriptors;         /* it has open; -1: not known */
    int64_t private_bytes;       /* its own share of memory (PSS), as last read */
    int64_t fresh_bytes;         /* the same when it became ready */
    int32_t db_ok;               /* 1 connected, 0 not */
    int32_t storage_ok;          /* 1 the blob store could be written, 0 not, -1 not tried */
    char note[96];               /* in words, why it is not ready */
    int32_t fault;               /* enum reason of the last thing that failed, 0: none */
    struct score_job in_hand[SCORE_IN_HAND_MAX];
    /* coordinator only */
    int64_t queue_counted_ms; /* when the counts below were read; 0: never */
    int64_t queue_by_status[STATUS_MAX_];
    int64_t queue_by_state[STATE_MAX_];
    int64_t queue_age_ms[STATUS_MAX_]; /* since the job of that status which has not moved for longest last did */
    int64_t oldest_queued_ms;          /* age of the oldest claimable job */
    int64_t written_ms;                /* when this node's heartbeat was last written; 0: never */
    char differs[160];                 /* in words, what differs from the other nodes' configuration; "": nothing */
    int32_t is_leader;
    int32_t schema_version;
};

/* Where a child was, by its own word: trace.h. */
#define SCORE_TRACE_FRAMES 32
#define SCORE_MODULE_BYTES 24

struct score_frame {
    uint64_t offset; /* in the module; an address where none is known */
    char module[SCORE_MODULE_BYTES];
};

struct score_trace {
    int32_t signal; /* that asked, or that it died of */
    int32_t n;
    uint64_t address; /* that it must not have touched; 0: none */
    struct score_frame frames[SCORE_TRACE_FRAMES];
};

struct scoreboard;

/* Master: makes the memfd (descriptor close-on-exec) and maps it. Child: maps the inherited one. NULL on error. */
struct scoreboard *scoreboard_create(struct error *e) MUST_CHECK;
struct scoreboard *scoreboard_attach(int fd, int slot, struct error *e) MUST_CHECK;
/* The levels of the log, obeyed by the master and all its children; a child cannot write there. */
struct log_levels *scoreboard_log_levels(const struct scoreboard *b);
int scoreboard_fd(const struct scoreboard *b);
void scoreboard_free(struct scoreboard **b);

/* Master: empties a slot and gives it to a pool. */
void scoreboard_reset(struct scoreboard *b, int slot, int pool);
/* Master and anyone: copies a slot out. 0, or -EAGAIN: torn (the copy is then whatever was there). */
int scoreboard_read(const struct scoreboard *b, int slot, struct score_data *out);

/* Master: what the node counted, between begin and end; readers wait for the end. A child that is gone is moved there
 * within. */
struct totals *scoreboard_totals_begin(struct scoreboard *b);
void scoreboard_totals_end(struct scoreboard *b);
/* Copies the totals and every slot as they were at one moment: no count twice, none left out. slots: SCORE_SLOTS of
 * them; pid 0: nobody there. 0, or -EAGAIN: the master is at it all the time, and the copy is as good as could be had. */
int scoreboard_read_all(const struct scoreboard *b, struct totals *t, struct score_data *slots);

/* Which children live, as the master knows it: what else is owned in the database by a child of this node is a dead
 * one's. Written in one step, so that a reader never misses a child between two states. */
struct score_living {
    int64_t next_serial;          /* who is started from now on has this number or a higher one */
    int32_t deaths_owed;          /* dead ones whose jobs are not known to be released yet */
    int64_t serials[SCORE_SLOTS]; /* of who lives in that slot; 0: nobody */
};

/* Master: who lives in a slot (0: nobody; slot -1: that has not changed), and the other two numbers. */
void scoreboard_set_living(struct scoreboard *b, int slot, int64_t serial, int64_t next_serial, int deaths_owed);
/* 0, or -EAGAIN: the master is at it all the time, and *out is not to be used. */
int scoreboard_living(const struct scoreboard *b, struct score_living *out) MUST_CHECK;

/* What supervision looks at often, without copying the slot; each field by itself may be a moment older. */
struct score_pulse {
    enum score_phase phase;
    int64_t beat_ms, busy_deadline_ms;
    uint64_t progress;
};
void scoreboard_pulse(const struct scoreboard *b, int slot, struct score_pulse *out);

/* Whether there is a trace, and out holds it, safe to use. PART: more may follow, should nothing go wrong on the way. */
enum score_traced { SCORE_TRACE_NONE, SCORE_TRACE_PART, SCORE_TRACE_WHOLE };
enum score_traced scoreboard_trace(const struct scoreboard *b, int slot, struct score_trace *out);
/* Child, from a signal handler: an empty trace to be filled, NULL while one is; part: what is there counts already. */
struct score_trace *score_trace_begin(struct scoreboard *b);
void score_trace_part(struct scoreboard *b);
void score_trace_end(struct scoreboard *b);

/* Child: the own slot, between begin and end; no call in between may block. Nesting is not allowed. */
struct score_data *score_begin(struct scoreboard *b);
void score_end(struct scoreboard *b);
/* Shorthands, each one begin/end pair. */
void score_beat(struct scoreboard *b);
void score_phase(struct scoreboard *b, enum score_phase phase, const char *note);
void score_stage(struct scoreboard *b, int status, int64_t busy_for_ms); /* also since; 0: no deadline */
void score_stage_done(struct scoreboard *b, int status, int64_t took_ms, uint64_t n);
void score_fault(struct scoreboard *b, int reason);

#endif
