/*
 * queue.pml - the queue's protocol: claim, lease, fence, unknown commit, rescue, flip, cancel, retry
 *
 * Two workers, a rescuer (coordinator and leader), an operator, and a server that ends transactions whose client is
 * gone. Every SQL transaction is one atomic step, but for two cases in which others act in the middle of it:
 *   - a write fenced by SELECT ... FOR SHARE holds its row lock over two steps (P_WORK, P_HELD);
 *   - a transaction whose connection breaks around COMMIT (or whose client dies) stays at the server as an `orphan`
 *     with its locks, and later commits or does not. Its client knows neither.
 * Trouble is bounded by budgets (CUTS, CRASHES, ...), so that every run ends; `timeout` is that end.
 *
 * Statuses are stepped as a small document does: UPLOADED > PARSED > EMBEDDING_IN_PROGRESS (chunk rows and their count
 * in the same transaction) > two vector writes > COMPLETE (counts, flip). Whether the table allows these paths, and who
 * may take them, is asserted with constants.pml, which is made from src/core/state.h.
 *
 * What must hold is said where it is asserted:
 *   (A) check_write    no write of an old lease takes effect; none after a cancel
 *   (B) write_move     at most one committed completion of a job; only moves that the state table allows
 *   (C) check_visible  a reader sees the whole of one complete generation, or nothing, and never an older one again
 *   (D) check_attempt  an attempt is charged only for work that was begun, for a deadline that passed, or with a lost node
 *   (E) let_go         a worker never lets go of a job that is still its own
 *   (F) Monitor, ltl   whatever happened, every job is finally at an end and no lock is left; nothing goes in circles
 *
 * Planted bugs are -D switches named BUG_...; tests/model/run lists them.
 */
#include "constants.pml"

#ifndef JOBS
#define JOBS 1 /* of one document; job j writes generation j + 1 */
#endif
#ifndef CUTS
#define CUTS 1 /* connections that break around a COMMIT */
#endif
#ifndef CRASHES
#define CRASHES 1 /* workers killed */
#endif
#ifndef TAKES
#define TAKES 1 /* jobs taken from a worker that lives: deadline passed, or its node cut off and taken for dead */
#endif
#ifndef FAILS
#define FAILS 0 /* transient failures of a stage */
#endif
#ifndef HANDBACKS
#define HANDBACKS 0 /* jobs handed back before they were begun (drain) */
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef RETRIES
#define RETRIES 0 /* an operator's, of a job that failed or was cancelled */
#endif
#ifndef SLIPS
#define SLIPS 0 /* vectors that a worker believes stored and that are not */
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 3
#endif

#define GENERATIONS (JOBS + RETRIES)
#define VECTORS     3 /* both bits: a document has two chunks */

/* ---- the database ---- */

typedef job_row {
    byte status, state, lease, attempt, owner, gen, text;
    /* locks on the row that outlive a step */
    byte shared;
    bit exclusive;
    /* ghosts: what really happened, for the assertions only */
    byte begun, begun_lease, blind, completions, cancelled_at
};
job_row job[JOBS];

/* Of a generation: the parsed text its chunk rows were cut from (0: no rows), and which of them have a vector. */
byte chunk_text[GENERATIONS + 1];
byte vectors[GENERATIONS + 1];
byte live; /* documents.live_generation */
byte seen_live; /* ghost: newest generation a reader has seen */
byte last_gen, last_text;

byte cuts = CUTS, crashes = CRASHES, takes = TAKES, fails = FAILS, handbacks = HANDBACKS, cancels = CANCELS,
     retries = RETRIES, slips = SLIPS;

/* ---- the workers ---- */

#define P_DEAD    0
#define P_RECOVER 1 /* connected again: hands back what it owns and does not have in hand */
#define P_IDLE    2
#define P_CLAIMED 3 /* in hand, not begun */
#define P_WORK    4
#define P_MOVE    5 /* has a transition to write */
#define P_HELD    6 /* in a transaction that holds FOR SHARE */
#define P_LOOK    7 /* zero rows, or no answer: reads the row */

#define K_NONE   0
#define K_CLAIM  1
#define K_MOVE   2
#define K_VECTOR 3

typedef worker_data {
    byte pc, life; /* life: number of this incarnation */
    byte j, lease, status; /* the job in hand, as the worker knows it */
    byte believed; /* vectors it takes for stored */
    byte kind, to, to_state, bit_; /* the write it has in hand */
    /* a transaction left at the server */
    byte o_kind, o_j, o_lease, o_owner, o_to, o_state, o_bit
};
worker_data wk[2];

#define OWNER(w)      (1 + (w) + 2 * wk[w].life)
#define LIVES(w, j)   (job[j].owner == OWNER(w) && wk[w].pc != P_DEAD)
#define HOLDS(w, j_)  (LIVES(w, j_) && wk[w].pc >= P_CLAIMED && wk[w].j == j_ && wk[w].lease == job[j_].lease)
#define OWNER_LIVES(j) (LIVES(0, j) || LIVES(1, j))
#define IN_HAND(j)    (HOLDS(0, j) || HOLDS(1, j))

#ifdef BUG_FOR_KEY_SHARE
#define UPDATE_GOES(j) (!job[j].exclusive)
#else
#define UPDATE_GOES(j) (!job[j].exclusive && job[j].shared == 0)
#endif
#define SHARE_GOES(j) (!job[j].exclusive)

/* A generation that can be read whole: chunk rows of the text that its job pinned, a vector for each. */
#define WHOLE(g) (chunk_text[g] != 0 && vectors[g] == VECTORS)

/* ---- what must hold ---- */

inline check_write(j_, owner_, lease_)
{
    assert(job[j_].owner == owner_ && job[j_].lease == lease_ && job[j_].state == S_WORKING); /* (A) */
    assert(lease_ > job[j_].cancelled_at) /* (A) */
}

inline check_visible()
{
    assert(live == 0 || WHOLE(live)); /* (C) */
    assert(live >= seen_live); /* (C) */
    seen_live = live
}

inline check_attempt(j_)
{
    assert(job[j_].attempt <= job[j_].begun + job[j_].blind) /* (D) */
}

/* ---- writes, as they take effect ---- */

inline write_claim(j_, owner_)
{
    assert(CLAIMABLE(job[j_].state) && job[j_].owner == 0); /* (B) */
    assert(LEGAL(job[j_].status, S_WORKING)); /* (B) */
    job[j_].state = S_WORKING;
    job[j_].lease++;
    job[j_].attempt++;
    job[j_].owner = owner_
}

/* A worker's transition. A stage's data are in the same transaction. */
inline write_move(j_, owner_, lease_, to_, to_state_)
{
    check_write(j_, owner_, lease_);
    assert(job[j_].status == to_ || PATH_WORKER(job[j_].status, to_)); /* (B) */
    assert(LEGAL(to_, to_state_)); /* (B) */
    if
    :: to_ == PARSED && job[j_].status == UPLOADED ->
        last_text++; /* a parser may answer differently each time it is asked */
        job[j_].text = last_text
    :: to_ == EMBEDDING_IN_PROGRESS && job[j_].status == PARSED && chunk_text[job[j_].gen] == 0 ->
        chunk_text[job[j_].gen] = job[j_].text
    :: to_ == COMPLETE ->
        job[j_].completions++;
        assert(job[j_].completions == 1); /* (B) */
        assert(chunk_text[job[j_].gen] == job[j_].text); /* (C) */
        if
        :: job[j_].gen > live -> live = job[j_].gen
        :: else
        fi
    :: else
    fi;
    if
    :: to_state_ == S_QUEUED && job[j_].begun_lease != lease_ ->
#ifndef BUG_NO_REFUND
        job[j_].attempt--;
#else
        skip
#endif
    :: else
    fi;
    job[j_].status = to_;
    job[j_].state = to_state_;
    if
    :: to_state_ != S_WORKING -> job[j_].owner = 0; check_attempt(j_)
    :: else
    fi;
    check_visible()
}

inline write_vector(j_, owner_, lease_, bit__)
{
    check_write(j_, owner_, lease_);
    vectors[job[j_].gen] = vectors[job[j_].gen] | bit__; /* ON CONFLICT DO NOTHING */
    check_visible()
}

/* ---- a worker ---- */

inline leave_orphan(w, kind_)
{
    wk[w].o_kind = kind_;
    wk[w].o_j = wk[w].j;
    wk[w].o_lease = wk[w].lease;
    wk[w].o_owner = OWNER(w);
    wk[w].o_to = wk[w].to;
    wk[w].o_state = wk[w].to_state;
    wk[w].o_bit = wk[w].bit_
}

inline forget(w)
{
    wk[w].j = 0;
    wk[w].lease = 0;
    wk[w].status = 0;
    wk[w].believed = 0;
    wk[w].kind = 0;
    wk[w].to = 0;
    wk[w].to_state = 0;
    wk[w].bit_ = 0
}

inline die(w)
{
    crashes--;
    forget(w);
    wk[w].pc = P_DEAD
}

inline let_go(w)
{
    assert(!HOLDS(w, wk[w].j) || job[wk[w].j].state != S_WORKING); /* (E) */
    forget(w);
    wk[w].pc = P_IDLE
}

inline claim(w, j_)
{
    wk[w].j = j_;
    if
    :: write_claim(j_, OWNER(w));
       wk[w].lease = job[j_].lease;
       wk[w].status = job[j_].status;
       wk[w].pc = P_CLAIMED
    :: cuts > 0 && wk[w].o_kind == K_NONE ->
       cuts--;
       leave_orphan(w, K_CLAIM);
       job[j_].exclusive = 1;
       forget(w);
       wk[w].pc = P_RECOVER
    :: crashes > 0 && wk[w].o_kind == K_NONE ->
       leave_orphan(w, K_CLAIM);
       job[j_].exclusive = 1;
       die(w)
    fi
}

inline plan(w, to_, to_state_)
{
    wk[w].kind = K_MOVE;
    wk[w].to = to_;
    wk[w].to_state = to_state_;
    wk[w].pc = P_MOVE
}

/* The transition is written and known to be. */
inline moved(w)
{
    if
    :: wk[w].to_state == S_WORKING ->
        wk[w].status = wk[w].to;
        wk[w].kind = 0;
        wk[w].to = 0;
        wk[w].to_state = 0;
        wk[w].pc = P_WORK
    :: else -> let_go(w)
    fi
}

#ifdef BUG_NO_FROM
#define FROM_HOLDS(w) 1
#elif defined(BUG_NO_FROM_STATE)
#define FROM_HOLDS(w) (job[wk[w].j].status == wk[w].status)
#else
/* The state too: a hand-back or a transient failure leaves the status as it was, and written again after an unknown
 * commit it would be done, and refunded, twice. */
#define FROM_HOLDS(w) (job[wk[w].j].status == wk[w].status && job[wk[w].j].state == S_WORKING)
#endif
#ifdef BUG_FLIP_UNCOUNTED
#define COUNTS_HOLD(w) 1
#else
#define COUNTS_HOLD(w) (wk[w].to != COMPLETE || WHOLE(job[wk[w].j].gen))
#endif
#define MOVE_MATCHES(w) (job[wk[w].j].lease == wk[w].lease && FROM_HOLDS(w) && COUNTS_HOLD(w))

inline move(w)
{
    if
    :: MOVE_MATCHES(w) ->
        if
        :: write_move(wk[w].j, OWNER(w), wk[w].lease, wk[w].to, wk[w].to_state);
           moved(w)
        :: cuts > 0 && wk[w].o_kind == K_NONE ->
           cuts--;
           leave_orphan(w, K_MOVE);
           job[wk[w].j].exclusive = 1;
           wk[w].pc = P_LOOK
        :: crashes > 0 && wk[w].o_kind == K_NONE ->
           leave_orphan(w, K_MOVE);
           job[wk[w].j].exclusive = 1;
           die(w)
        fi
    :: else -> wk[w].pc = P_LOOK
    fi
}

/* Reads the row by (job, lease). A plain read waits for nobody: it may miss what an orphan is about to commit, and
 * then the second try waits for the orphan's row lock and matches nothing. State is compared beside status, since a
 * hand-back or a retry changes the state alone. */
inline look(w)
{
#ifdef BUG_UNKNOWN_IS_FAILURE
    let_go(w)
#elif defined(BUG_UNKNOWN_IS_SUCCESS)
    if
    :: wk[w].kind == K_VECTOR -> wk[w].believed = wk[w].believed | wk[w].bit_; wk[w].bit_ = 0; wk[w].pc = P_WORK
    :: else -> moved(w)
    fi
#else
    if
    :: job[wk[w].j].lease == wk[w].lease && wk[w].kind == K_MOVE && job[wk[w].j].status == wk[w].to &&
       job[wk[w].j].state == wk[w].to_state -> moved(w)
    :: job[wk[w].j].lease == wk[w].lease && job[wk[w].j].status == wk[w].status &&
       job[wk[w].j].state == S_WORKING &&
       !(wk[w].kind == K_MOVE && job[wk[w].j].status == wk[w].to && job[wk[w].j].state == wk[w].to_state) ->
        wk[w].bit_ = 0;
        if
        :: wk[w].kind == K_VECTOR || wk[w].to == COMPLETE ->
            wk[w].believed = vectors[job[wk[w].j].gen]; /* asks what is missing */
            wk[w].kind = 0;
            wk[w].to = 0;
            wk[w].to_state = 0;
            wk[w].pc = P_WORK
        :: else -> wk[w].pc = P_MOVE
        fi
    :: else -> let_go(w)
    fi
#endif
}

inline hold(w, bit__)
{
    wk[w].kind = K_VECTOR;
    wk[w].bit_ = bit__;
    if
#ifndef BUG_UNFENCED_VECTOR
    :: job[wk[w].j].lease != wk[w].lease -> wk[w].pc = P_LOOK
    :: else ->
        job[wk[w].j].shared++;
#else
    ::
#endif
        wk[w].pc = P_HELD
    fi
}

inline release_share(j_)
{
#ifndef BUG_UNFENCED_VECTOR
    job[j_].shared--
#else
    skip
#endif
}

inline commit_vector(w)
{
    if
    :: write_vector(wk[w].j, OWNER(w), wk[w].lease, wk[w].bit_);
       release_share(wk[w].j);
       wk[w].believed = wk[w].believed | wk[w].bit_;
       wk[w].kind = 0;
       wk[w].bit_ = 0;
       wk[w].pc = P_WORK
    :: cuts > 0 && wk[w].o_kind == K_NONE ->
       cuts--;
       leave_orphan(w, K_VECTOR);
       wk[w].pc = P_LOOK
    :: crashes > 0 && wk[w].o_kind == K_NONE ->
       leave_orphan(w, K_VECTOR);
       die(w)
    fi
}

inline begin(w)
{
    if
    :: job[wk[w].j].lease == wk[w].lease ->
        job[wk[w].j].begun++;
        job[wk[w].j].begun_lease = wk[w].lease
    :: else
    fi;
    wk[w].pc = P_WORK
}

/* What an incarnation owns and does not have in hand: its claim was committed and the answer lost. */
inline recover(w)
{
    if
    :: job[0].owner == OWNER(w) && job[0].state == S_WORKING ->
        write_move(0, OWNER(w), job[0].lease, job[0].status, S_QUEUED)
#if JOBS > 1
    :: job[1].owner == OWNER(w) && job[1].state == S_WORKING ->
        write_move(1, OWNER(w), job[1].lease, job[1].status, S_QUEUED)
#endif
    :: else -> wk[w].pc = P_IDLE
    fi
}

#define CAN_CLAIM(w, j) (wk[w].pc == P_IDLE && CLAIMABLE(job[j].state) && UPDATE_GOES(j))
#define NEXT_STATUS(s)  ((s == UPLOADED) * PARSED + (s == PARSED) * EMBEDDING_IN_PROGRESS)
#define EMBEDS(w)       (wk[w].pc == P_WORK && wk[w].status == EMBEDDING_IN_PROGRESS)

proctype Worker(byte w)
{
end_worker:
    do
    :: atomic { CAN_CLAIM(w, 0) -> claim(w, 0) }
#if JOBS > 1
    :: atomic { CAN_CLAIM(w, 1) -> claim(w, 1) }
#endif
    :: atomic { wk[w].pc == P_CLAIMED -> begin(w) }
    :: atomic { wk[w].pc == P_CLAIMED && handbacks > 0 -> handbacks--; plan(w, wk[w].status, S_QUEUED) }
    :: atomic { wk[w].pc == P_WORK && NEXT_STATUS(wk[w].status) != 0 -> plan(w, NEXT_STATUS(wk[w].status), S_WORKING) }
    :: atomic { EMBEDS(w) && !(wk[w].believed & 1) && SHARE_GOES(wk[w].j) -> hold(w, 1) }
    :: atomic { EMBEDS(w) && (wk[w].believed & 1) && !(wk[w].believed & 2) && SHARE_GOES(wk[w].j) -> hold(w, 2) }
    :: atomic { EMBEDS(w) && slips > 0 && wk[w].believed != VECTORS -> slips--; wk[w].believed = VECTORS }
    :: atomic { EMBEDS(w) && wk[w].believed == VECTORS -> plan(w, COMPLETE, S_DONE) }
    :: atomic { wk[w].pc == P_WORK && fails > 0 ->
            fails--;
            if
            :: job[wk[w].j].attempt < ATTEMPTS -> plan(w, wk[w].status, S_RETRYABLE)
            :: else -> plan(w, FAILURE_OF(wk[w].status), S_DEADLETTER)
            fi }
    :: atomic { wk[w].pc == P_MOVE && UPDATE_GOES(wk[w].j) -> move(w) }
    :: atomic { wk[w].pc == P_HELD -> commit_vector(w) }
    :: atomic { wk[w].pc == P_LOOK -> look(w) }
    :: atomic { wk[w].pc == P_RECOVER -> recover(w) }
    :: atomic { crashes > 0 && wk[w].pc != P_DEAD && wk[w].pc != P_HELD -> die(w) }
    :: atomic { wk[w].pc == P_DEAD -> wk[w].life++; wk[w].pc = P_RECOVER }
    od
}

/* ---- the server, with transactions whose client is gone ---- */

inline end_orphan(w)
{
    if
    :: wk[w].o_kind == K_CLAIM -> write_claim(wk[w].o_j, wk[w].o_owner)
    :: wk[w].o_kind == K_MOVE ->
        write_move(wk[w].o_j, wk[w].o_owner, wk[w].o_lease, wk[w].o_to, wk[w].o_state)
    :: wk[w].o_kind == K_VECTOR -> write_vector(wk[w].o_j, wk[w].o_owner, wk[w].o_lease, wk[w].o_bit)
    :: true /* rolled back */
    fi;
    if
    :: wk[w].o_kind == K_VECTOR -> release_share(wk[w].o_j)
    :: else -> job[wk[w].o_j].exclusive = 0
    fi;
    wk[w].o_kind = 0;
    wk[w].o_j = 0;
    wk[w].o_lease = 0;
    wk[w].o_owner = 0;
    wk[w].o_to = 0;
    wk[w].o_state = 0;
    wk[w].o_bit = 0
}

proctype Server()
{
end_server:
    do
    :: atomic { wk[0].o_kind != K_NONE -> end_orphan(0) }
    :: atomic { wk[1].o_kind != K_NONE -> end_orphan(1) }
    od
}

/* ---- coordinator and leader ---- */

#define R_DEAD_CHILD 1 /* its master says so; the scoreboard is the evidence of what was begun, and of whose fault it was */
#define R_DEAD_NODE  2 /* or one cut off and taken for dead: a child's only job is charged, and nobody knows if it was begun */
#define R_EXPIRED    3 /* the deadline passed: the attempt stays charged, and nobody asks whether it was begun */

#ifdef BUG_NO_REFUND
#define REFUNDS       0
#define MAY_CHARGE(j) 1
#else
#define REFUNDS       1
#define MAY_CHARGE(j) (job[j].begun_lease == job[j].lease)
#endif

/* Reads, decides, and only then writes: the row may have moved on in between. */
inline rescue_write(j_)
{
    if
    :: kind == R_DEAD_CHILD && REFUNDS -> job[j_].attempt-- /* not begun, or not the document's fault */
    :: kind == R_DEAD_CHILD && MAY_CHARGE(j_)
    :: kind == R_DEAD_NODE && REFUNDS -> job[j_].attempt-- /* in hand with others */
    :: kind >= R_DEAD_NODE && job[j_].begun_lease != job[j_].lease -> job[j_].blind++
    :: kind >= R_DEAD_NODE && job[j_].begun_lease == job[j_].lease
    fi;
#ifndef BUG_RESCUE_KEEPS_LEASE
    job[j_].lease++;
#endif
    job[j_].owner = 0;
    if
    :: job[j_].attempt < ATTEMPTS ->
        assert(LEGAL(job[j_].status, S_QUEUED)); /* (B) */
        job[j_].state = S_QUEUED
    :: else ->
        assert(PATH_RESCUE(job[j_].status, FAILURE_OF(job[j_].status))); /* (B) */
        job[j_].status = FAILURE_OF(job[j_].status);
        assert(LEGAL(job[j_].status, S_DEADLETTER)); /* (B) */
        job[j_].state = S_DEADLETTER
    fi;
    check_attempt(j_)
}

#ifdef BUG_RESCUE_UNGUARDED
#define RESCUE_MATCHES(j_) 1
#else
#define RESCUE_MATCHES(j_) \
    (job[j_].lease == lease && job[j_].status == status && job[j_].state == S_WORKING && job[j_].owner == owner)
#endif

inline rescue_read(j_)
{
    lease = job[j_].lease;
    status = job[j_].status;
    owner = job[j_].owner;
    target = j_ + 1;
    if
    :: !OWNER_LIVES(j_) -> kind = R_DEAD_CHILD
    :: !OWNER_LIVES(j_) || IN_HAND(j_) -> kind = R_DEAD_NODE
    :: kind = R_EXPIRED
    fi
}

#ifdef BUG_NO_DEADLINE
#define TAKEN_AWAY(j) (job[j].state == S_WORKING && !OWNER_LIVES(j))
#else
#define TAKEN_AWAY(j) (job[j].state == S_WORKING && (!IN_HAND(j) || takes > 0))
#endif

proctype Rescuer()
{
    byte target, lease, status, owner, kind;
end_rescuer:
    do
    :: atomic { target == 0 && TAKEN_AWAY(0) ->
            if
            :: IN_HAND(0) -> takes--
            :: else
            fi;
            rescue_read(0) }
#if JOBS > 1
    :: atomic { target == 0 && TAKEN_AWAY(1) ->
            if
            :: IN_HAND(1) -> takes--
            :: else
            fi;
            rescue_read(1) }
#endif
    :: atomic { target != 0 && UPDATE_GOES(target - 1) ->
            if
            :: RESCUE_MATCHES(target - 1) -> rescue_write(target - 1)
            :: else
            fi;
            target = 0; lease = 0; status = 0; owner = 0; kind = 0 }
    /* run_at has come */
    :: atomic { job[0].state == S_RETRYABLE && UPDATE_GOES(0) -> job[0].state = S_QUEUED; job[0].lease++ }
#if JOBS > 1
    :: atomic { job[1].state == S_RETRYABLE && UPDATE_GOES(1) -> job[1].state = S_QUEUED; job[1].lease++ }
#endif
    od
}

/* Old and abandoned generations: not live, and pinned by no unfinished job. */
#define PINNED(g, j) (job[j].gen == g && !ENDS(job[j].status))
#if JOBS > 1
#define SWEEPABLE(g) (chunk_text[g] != 0 && live != g && !PINNED(g, 0) && !PINNED(g, 1))
#else
#define SWEEPABLE(g) (chunk_text[g] != 0 && live != g && !PINNED(g, 0))
#endif

inline sweep(g)
{
    chunk_text[g] = 0;
    vectors[g] = 0;
    check_visible()
}

proctype Sweeper()
{
end_sweeper:
    do
    :: atomic { SWEEPABLE(1) -> sweep(1) }
#if GENERATIONS > 1
    :: atomic { SWEEPABLE(2) -> sweep(2) }
#endif
#if GENERATIONS > 2
    :: atomic { SWEEPABLE(3) -> sweep(3) }
#endif
    od
}

/* ---- an operator ---- */

inline cancel(j_)
{
    cancels--;
    assert(PATH_OPERATOR(job[j_].status, CANCELLED)); /* (B) */
    assert(LEGAL(CANCELLED, S_CANCELLED)); /* (B) */
    job[j_].status = CANCELLED;
    job[j_].state = S_CANCELLED;
#ifndef BUG_CANCEL_KEEPS_LEASE
    job[j_].lease++;
#endif
    job[j_].cancelled_at = job[j_].lease;
    job[j_].owner = 0
}

/* From the start: parsed anew, into a generation of its own, since rows of another text may be in the old one. */
inline retry(j_)
{
    retries--;
    assert(PATH_OPERATOR(job[j_].status, UPLOADED)); /* (B) */
    job[j_].status = UPLOADED;
    job[j_].state = S_QUEUED;
    job[j_].lease++;
    job[j_].attempt = 0;
    job[j_].begun = 0;
    job[j_].blind = 0;
    job[j_].text = 0;
#ifndef BUG_RETRY_SAME_GENERATION
    last_gen++;
    job[j_].gen = last_gen
#endif
}

proctype Operator()
{
end_operator:
    do
    :: atomic { cancels > 0 && UPDATE_GOES(0) && !ENDS(job[0].status) -> cancel(0) }
    :: atomic { retries > 0 && UPDATE_GOES(0) && job[0].state != S_DONE && ENDS(job[0].status) -> retry(0) }
    od
}

/* ---- the end ---- */

#define ENDED(j) (ENDS(job[j].status) && STATE_ENDS(job[j].state) && LEGAL(job[j].status, job[j].state))
#if JOBS > 1
#define ALL_ENDED (ENDED(0) && ENDED(1))
#else
#define ALL_ENDED ENDED(0)
#endif

proctype Monitor()
{
    atomic {
        timeout ->
        assert(ALL_ENDED); /* (F) */
        assert(job[0].shared == 0 && !job[0].exclusive) /* (F) */
    }
}

#ifdef LIVENESS
ltl finally_ended { <>[] ALL_ENDED }
#endif

init {
    atomic {
        byte i;
        for (i : 0 .. JOBS - 1) {
            job[i].status = UPLOADED;
            job[i].state = S_QUEUED;
            job[i].gen = i + 1
        }
        last_gen = JOBS;
        wk[0].pc = P_IDLE;
        wk[1].pc = P_IDLE;
        run Worker(0);
        run Worker(1);
        run Server();
        run Rescuer();
        run Operator();
        run Sweeper();
        run Monitor()
    }
}
