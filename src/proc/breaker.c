/*
 * breaker.c - see breaker.h
 *
 * The word, from the top: mode (2 bits), held by an operator (1), cause (5), tries (8), until_ms (48). A lease is the
 * word that made its owner the probe; it is valid as long as the word is still that.
 *
 * What an outcome does is a table of mode by outcome, once for the probe and once for the others, so that no pair can be
 * forgotten.
 *
 * Depends on base.
 */
#include "proc/breaker.h"

#include "base/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "words shared between processes must be lock-free");

#define UNTIL_BITS   48
#define UNTIL_MASK   ((UINT64_C(1) << UNTIL_BITS) - 1)
#define COUNT_BITS   20
#define COUNT_MASK   ((UINT64_C(1) << COUNT_BITS) - 1)
#define SLOTS_USED   10
#define SLOT_NO_MASK ((UINT64_C(1) << 24) - 1)
#define TRIES_MOST   30
#define HELD_WAIT_MS 1000 /* how soon to ask a breaker that is held open again */
#define HALF_WAIT_MS 200  /* how soon to ask while the probe is under way */

struct state {
    enum breaker_mode mode;
    bool held;
    enum breaker_cause cause;
    unsigned tries;
    int64_t until_ms;
};

static uint64_t pack_state(struct state s)
{
    uint64_t until = (uint64_t)(s.until_ms > 0 ? s.until_ms : 0);

    return (uint64_t)s.mode << 62 | (uint64_t)s.held << 61 | (uint64_t)s.cause << 56 | (uint64_t)s.tries << 48 |
           (until & UNTIL_MASK);
}

static struct state unpack_state(uint64_t w)
{
    struct state s = {.mode = (enum breaker_mode)(w >> 62),
                      .held = (w >> 61 & 1) != 0,
                      .cause = (enum breaker_cause)(w >> 56 & 31),
                      .tries = (unsigned)(w >> 48 & 255),
                      .until_ms = (int64_t)(w & UNTIL_MASK)};

    if (s.mode >= BREAKER_MODE_MAX_)
        s.mode = BREAKER_CLOSED;
    if (s.cause >= BREAKER_CAUSE_MAX_)
        s.cause = BREAKER_CAUSE_NONE;
    return s;
}

static uint64_t load(const struct breaker *b)
{
    return atomic_load_explicit(&b->word, memory_order_acquire);
}

static bool swap(struct breaker *b, uint64_t from, struct state to)
{
    return atomic_compare_exchange_strong_explicit(&b->word, &from, pack_state(to), memory_order_acq_rel,
                                                   memory_order_relaxed);
}

/* ---- the window ---- */

static int64_t slot_ms(const struct breaker_policy *p)
{
    return p->window_ms > SLOTS_USED ? p->window_ms / SLOTS_USED : 1;
}

static void count(struct breaker *b, const struct breaker_policy *p, bool failed, int64_t now)
{
    uint64_t no = (uint64_t)(now / slot_ms(p)) & SLOT_NO_MASK;
    _Atomic uint64_t *w = &b->slots[no % BREAKER_SLOTS];
    uint64_t old = atomic_load_explicit(w, memory_order_relaxed), new;

    do {
        new = old >> (2 * COUNT_BITS) == no ? old : no << (2 * COUNT_BITS);
        if ((new &COUNT_MASK) == COUNT_MASK)
            return; /* full: a million answers in a slot say enough */
        new += 1 + (failed ? UINT64_C(1) << COUNT_BITS : 0);
    } while (!atomic_compare_exchange_weak_explicit(w, &old, new, memory_order_relaxed, memory_order_relaxed));
}

static void sum_window(const struct breaker *b, const struct breaker_policy *p, int64_t now, int64_t *failures,
                       int64_t *answers)
{
    uint64_t no = (uint64_t)(now / slot_ms(p)) & SLOT_NO_MASK;

    *failures = *answers = 0;
    for (int i = 0; i < BREAKER_SLOTS; i++) {
        uint64_t w = atomic_load_explicit(&b->slots[i], memory_order_relaxed);

        if (((no - (w >> (2 * COUNT_BITS))) & SLOT_NO_MASK) >= SLOTS_USED)
            continue;
        *failures += (int64_t)(w >> COUNT_BITS & COUNT_MASK);
        *answers += (int64_t)(w & COUNT_MASK);
    }
}

static void clear_window(struct breaker *b)
{
    for (int i = 0; i < BREAKER_SLOTS; i++)
        atomic_store_explicit(&b->slots[i], 0, memory_order_relaxed);
}

static bool too_many(const struct breaker *b, const struct breaker_policy *p, int64_t now)
{
    int64_t failures, answers;

    sum_window(b, p, now, &failures, &answers);
    return failures >= p->failures && failures * 100 >= answers * p->rate_percent;
}

/* ---- since when ---- */

/* Whoever opens it notes the time; if he was killed before he could, the next who looks does. */
static int64_t note_since(struct breaker *b, int64_t now)
{
    int64_t old = 0;

    if (atomic_compare_exchange_strong_explicit(&b->since_ms, &old, now, memory_order_relaxed, memory_order_relaxed))
        return now;
    return old;
}

int64_t breaker_down_ms(struct breaker *b, int64_t now_ms)
{
    int64_t since;

    if (unpack_state(load(b)).mode == BREAKER_CLOSED)
        return 0;
    since = note_since(b, now_ms);
    return since > 0 && since < now_ms ? now_ms - since : 1;
}

/* ---- asking ---- */

static enum breaker_answer look(struct state s, int64_t now, int64_t *wait_ms)
{
    *wait_ms = 0;
    if (s.mode == BREAKER_CLOSED)
        return BREAKER_GO;
    if (s.held) {
        *wait_ms = HELD_WAIT_MS;
        return BREAKER_WAIT;
    }
    if (now >= s.until_ms)
        return BREAKER_PROBE;
    *wait_ms = s.until_ms - now;
    if (s.mode == BREAKER_HALF_OPEN && *wait_ms > HALF_WAIT_MS)
        *wait_ms = HALF_WAIT_MS;
    return BREAKER_WAIT;
}

enum breaker_answer breaker_peek(const struct breaker *b, int64_t now_ms, int64_t *wait_ms)
{
    return look(unpack_state(load(b)), now_ms, wait_ms);
}

enum breaker_answer breaker_ask(struct breaker *b, const struct breaker_policy *p, int64_t now_ms,
                                struct breaker_lease *lease, int64_t *wait_ms)
{
    uint64_t word = load(b);
    struct state s = unpack_state(word);
    enum breaker_answer answer = look(s, now_ms, wait_ms);

    lease->word = 0;
    if (answer != BREAKER_PROBE)
        return answer;
    s.mode = BREAKER_HALF_OPEN;
    s.until_ms = now_ms + (p->lease_ms > 0 ? p->lease_ms : 1);
    if (swap(b, word, s)) {
        lease->word = pack_state(s);
        atomic_store_explicit(&b->prober, (int32_t)getpid(), memory_order_relaxed);
        return BREAKER_PROBE;
    }
    *wait_ms = HALF_WAIT_MS; /* somebody else is the probe, or has changed it */
    return BREAKER_WAIT;
}

/* ---- reporting ---- */

/* What an outcome does. */
enum act {
    ACT_NOTHING,
    ACT_COUNT_OK,
    ACT_COUNT_FAILED, /* and open if there are too many */
    ACT_TRIP,         /* open at once, for the cause */
    ACT_NAME_CAUSE,   /* it is open already */
    ACT_CLOSE,
    ACT_REOPEN,  /* the probe failed: wait longer */
    ACT_RELEASE, /* the probe came to nothing: another may try at once */
};

/* clang-format off */
static const enum act acts_of_others[BREAKER_MODE_MAX_][OUTCOME_MAX_] = {
    /*                     OK            FAILED            LIMITED      QUOTA           KEY             SPENDING        ABANDONED */
    [BREAKER_CLOSED] =    {ACT_COUNT_OK, ACT_COUNT_FAILED, ACT_NOTHING, ACT_TRIP,       ACT_TRIP,       ACT_TRIP,       ACT_NOTHING},
    [BREAKER_OPEN] =      {ACT_NOTHING,  ACT_NOTHING,      ACT_NOTHING, ACT_NAME_CAUSE, ACT_NAME_CAUSE, ACT_NAME_CAUSE, ACT_NOTHING},
    [BREAKER_HALF_OPEN] = {ACT_NOTHING,  ACT_NOTHING,      ACT_NOTHING, ACT_NOTHING,    ACT_NOTHING,    ACT_NOTHING,    ACT_NOTHING},
};
static const enum act acts_of_probe[OUTCOME_MAX_] = {
    ACT_CLOSE, ACT_REOPEN, ACT_CLOSE, ACT_TRIP, ACT_TRIP, ACT_TRIP, ACT_RELEASE,
};
/* clang-format on */

static const enum breaker_cause causes[OUTCOME_MAX_] = {[OUTCOME_FAILED] = BREAKER_CAUSE_FAILURES,
                                                        [OUTCOME_QUOTA] = BREAKER_CAUSE_QUOTA,
                                                        [OUTCOME_KEY] = BREAKER_CAUSE_KEY,
                                                        [OUTCOME_SPENDING] = BREAKER_CAUSE_SPENDING};

/* The state after `act`. False: it stays as it is. */
static bool next_state(struct state *s, enum act act, const struct breaker_policy *p, enum breaker_outcome outcome,
                       int64_t now)
{
    switch (act) {
    case ACT_COUNT_FAILED:
        *s = (struct state){BREAKER_OPEN, false, BREAKER_CAUSE_FAILURES, 0,
                            now + backoff_ms(p->open_ms, p->open_cap_ms, 0)};
        return true;
    case ACT_NAME_CAUSE:
        if (s->held || s->cause == causes[outcome])
            return false;
        /* fall through */
    case ACT_TRIP:
        *s = (struct state){BREAKER_OPEN, false, causes[outcome], s->tries,
                            now + backoff_ms(p->account_open_ms, p->account_open_ms, 0)};
        return true;
    case ACT_CLOSE:
        *s = (struct state){.mode = BREAKER_CLOSED};
        return true;
    case ACT_REOPEN:
        s->mode = BREAKER_OPEN;
        s->tries += s->tries < TRIES_MOST;
        if (s->cause == BREAKER_CAUSE_OPERATOR || s->cause == BREAKER_CAUSE_NONE)
            s->cause = BREAKER_CAUSE_FAILURES; /* an operator had it tried, and it does fail */
        if (s->cause == BREAKER_CAUSE_FAILURES)
            s->until_ms = now + backoff_ms(p->open_ms, p->open_cap_ms, s->tries);
        else
            s->until_ms = now + backoff_ms(p->account_open_ms, p->account_open_ms, 0);
        return true;
    case ACT_RELEASE:
        s->mode = BREAKER_OPEN;
        s->until_ms = now;
        return true;
    case ACT_NOTHING:
    case ACT_COUNT_OK:
        break;
    }
    return false;
}

static enum breaker_change changed(struct breaker *b, struct state from, struct state to, int64_t now)
{
    if (to.mode == BREAKER_CLOSED) {
        int64_t since = atomic_load_explicit(&b->since_ms, memory_order_relaxed);

        clear_window(b);
        atomic_compare_exchange_strong_explicit(&b->since_ms, &since, 0, memory_order_relaxed, memory_order_relaxed);
        return from.mode != BREAKER_CLOSED ? BREAKER_CLOSED_NOW : BREAKER_UNCHANGED;
    }
    (void)note_since(b, now);
    return from.mode == BREAKER_CLOSED || from.cause != to.cause ? BREAKER_OPENED : BREAKER_UNCHANGED;
}

enum breaker_change breaker_report(struct breaker *b, const struct breaker_policy *p, const struct breaker_lease *lease,
                                   enum breaker_outcome outcome, int64_t now_ms)
{
    bool counted = false;

    for (;;) {
        uint64_t word = load(b);
        struct state from = unpack_state(word), to = from;
        bool probe = lease != NULL && lease->word != 0 && lease->word == word;
        enum act act = probe ? acts_of_probe[outcome] : acts_of_others[from.mode][outcome];

        if ((act == ACT_COUNT_OK || act == ACT_COUNT_FAILED) && !counted) {
            count(b, p, act == ACT_COUNT_FAILED, now_ms);
            counted = true;
        }
        if (act == ACT_COUNT_FAILED && !too_many(b, p, now_ms))
            return BREAKER_UNCHANGED;
        if (!next_state(&to, act, p, outcome, now_ms))
            return BREAKER_UNCHANGED;
        if (swap(b, word, to))
            return changed(b, from, to, now_ms);
    }
}

enum breaker_change breaker_order(struct breaker *b, enum breaker_order order, int64_t now_ms)
{
    for (;;) {
        uint64_t word = load(b);
        struct state from = unpack_state(word), to = from;

        switch (order) {
        case BREAKER_ORDER_OPEN:
            to = (struct state){.mode = BREAKER_OPEN, .held = true, .cause = BREAKER_CAUSE_OPERATOR};
            break;
        case BREAKER_ORDER_CLOSE:
            to = (struct state){.mode = BREAKER_CLOSED};
            break;
        case BREAKER_ORDER_PROBE: /* also of a probe that is under way: another one, now */
            if (from.mode != BREAKER_CLOSED)
                to = (struct state){.mode = BREAKER_OPEN, .cause = from.cause, .tries = from.tries, .until_ms = now_ms};
            break;
        case BREAKER_ORDER_MAX_:
            return BREAKER_UNCHANGED;
        }
        if (swap(b, word, to))
            return changed(b, from, to, now_ms);
    }
}

void breaker_forget(struct breaker *b, pid_t pid, int64_t now_ms)
{
    uint64_t word = load(b);
    struct state s = unpack_state(word);

    if (s.mode != BREAKER_HALF_OPEN || atomic_load_explicit(&b->prober, memory_order_relaxed) != (int32_t)pid)
        return;
    s.mode = BREAKER_OPEN;
    s.until_ms = now_ms;
    (void)swap(b, word, s); /* else it has gone on without him */
}

/* ---- showing ---- */

void breaker_look(struct breaker *b, const struct breaker_policy *p, int64_t now_ms, struct breaker_view *out)
{
    struct state s = unpack_state(load(b));

    *out = (struct breaker_view){.mode = s.mode, .cause = s.cause, .held = s.held, .tries = (int)s.tries};
    out->down_ms = breaker_down_ms(b, now_ms);
    if (s.held)
        out->wait_ms = -1;
    else if (s.mode != BREAKER_CLOSED && s.until_ms > now_ms)
        out->wait_ms = s.until_ms - now_ms;
    sum_window(b, p, now_ms, &out->failures, &out->answers);
}

#define X_ROW(name, text, ...) [BREAKER_##name] = text,
static const char *const mode_names[] = {BREAKER_MODES(X_ROW)};
#undef X_ROW
#define X_ROW(name, text, ...) [BREAKER_CAUSE_##name] = text,
static const char *const cause_names[] = {BREAKER_CAUSES(X_ROW)};
#undef X_ROW
#define X_ROW(name, text, words) [BREAKER_CAUSE_##name] = words,
static const char *const cause_words[] = {BREAKER_CAUSES(X_ROW)};
#undef X_ROW
#define X_ROW(name, text, ...) [BREAKER_ORDER_##name] = text,
static const char *const order_names[] = {BREAKER_ORDERS(X_ROW)};
#undef X_ROW

const char *breaker_mode_name(enum breaker_mode m)
{
    return mode_names[m];
}

const char *breaker_cause_name(enum breaker_cause c)
{
    return cause_names[c];
}

const char *breaker_cause_words(enum breaker_cause c)
{
    return cause_words[c];
}

int breaker_order_parse(const char *word)
{
    for (int i = 0; i < BREAKER_ORDER_MAX_; i++)
        if (strcmp(word, order_names[i]) == 0)
            return i;
    return -EINVAL;
}
