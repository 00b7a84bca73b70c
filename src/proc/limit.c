/*
 * limit.c - see limit.h
 *
 * The words of one limit are read one by one while others change them; each decision is right for some recent moment,
 * which is all that a rate needs. What must happen once (a step, a refusal) is won by a compare-and-swap on a time.
 *
 * Depends on nothing.
 */
#include "proc/limit.h"

#include <stdatomic.h>
#include <stddef.h>

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "words shared between processes must be lock-free");

#define SEC_NS        INT64_C(1000000000)
#define MS_NS         INT64_C(1000000)
#define MINUTE_NS     (60 * SEC_NS)
#define SLOT_NS       (10 * SEC_NS)
#define MOST_RATE     INT64_C(60000000) /* requests without any limit: 1000 a second, so that there is always a pace */
#define LEAST_RATE    1000
#define QUICK_STEP_NS (2 * SEC_NS)
#define STEP_NS       MINUTE_NS
#define STEP_USED     100
#define WINDOW_MS     65000 /* a reset further away than this belongs to a longer window than a minute */
#define EVIDENCE      10    /* accepted requests that make the last minute a measure */

static int64_t load(const _Atomic int64_t *w)
{
    return atomic_load_explicit(w, memory_order_relaxed);
}

static void store(_Atomic int64_t *w, int64_t v)
{
    atomic_store_explicit(w, v, memory_order_relaxed);
}

static bool swap(_Atomic int64_t *w, int64_t from, int64_t to)
{
    return atomic_compare_exchange_strong_explicit(w, &from, to, memory_order_acq_rel, memory_order_relaxed);
}

static void raise_to(_Atomic int64_t *w, int64_t v)
{
    int64_t old = load(w);

    while (old < v && !atomic_compare_exchange_weak_explicit(w, &old, v, memory_order_acq_rel, memory_order_relaxed))
        continue;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Below n, another for each caller. */
static int64_t lot(struct limit *l, int64_t n)
{
    uint64_t x = atomic_fetch_add_explicit(&l->lots, 1, memory_order_relaxed) * UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return n > 0 ? (int64_t)((x ^ (x >> 31)) % (uint64_t)n) : 0;
}

/* ---- rates ---- */

/* The node's share of what is configured and told; 0: neither. */
static int64_t share(const struct limit *l, const struct limit_policy *p, enum limit_bucket b)
{
    int64_t configured = p->per_minute[b] > 0 ? p->per_minute[b] * 1000 : 0, told = load(&l->told[b]);
    int64_t all = configured > 0 && told > 0 ? least(configured, told) : most(configured, told);

    if (all <= 0)
        return 0;
    return most(1, (int64_t)((double)all * LIMIT_USED_PERCENT / 100 / (p->nodes > 1 ? p->nodes : 1)));
}

int64_t limit_rate(const struct limit *l, const struct limit_policy *p, enum limit_bucket b)
{
    int64_t shared = share(l, p, b), learned = load(&l->learned);

    if (b != LIMIT_REQUESTS)
        return shared;
    if (load(&l->growth) == 0) {
        if (shared > 0)
            return shared;
        if (learned <= 0)
            learned = p->start_per_minute * 1000;
        return learned >= MOST_RATE ? 0 : learned;
    }
    learned = least(most(learned, LEAST_RATE), MOST_RATE);
    return shared > 0 ? least(shared, learned) : learned;
}

static int64_t cost_ns(const struct limit *l, const struct limit_policy *p, enum limit_bucket b, int64_t units)
{
    int64_t rate = limit_rate(l, p, b);
    double ns;

    if (rate <= 0 && b == LIMIT_TOKENS)
        return 0;
    ns = (double)units * 1000.0 * (double)MINUTE_NS / (double)(rate > 0 ? rate : MOST_RATE);
    return ns > 1e17 ? INT64_C(100000000000000000) : (int64_t)ns;
}

/* ---- taking ---- */

/* A time of its own in one bucket, or 0: further away than max_wait_ns; then *away_ns says how far. */
static int64_t reserve(_Atomic int64_t *next, int64_t cost, int64_t now, int64_t max_wait, int64_t *away_ns)
{
    int64_t old = load(next), from, at;

    do {
        from = most(old, now - LIMIT_CREDIT_NS);
        at = most(from, now);
        *away_ns = at - now;
        if (*away_ns > max_wait)
            return 0;
    } while (
        !atomic_compare_exchange_weak_explicit(next, &old, from + cost, memory_order_acq_rel, memory_order_relaxed));
    return at;
}

static int64_t reserve_both(struct limit *l, const struct limit_policy *p, int64_t tokens, int64_t now,
                            int64_t max_wait, struct limit_ticket *t)
{
    const int64_t units[LIMIT_BUCKETS] = {1, tokens > 0 ? tokens : 0};
    int64_t at = most(now, load(&l->hold_ns)), away = 0;

    *t = (struct limit_ticket){0};
    if (at - now > max_wait)
        return at - now;
    for (int b = 0; b < LIMIT_BUCKETS; b++) {
        int64_t cost = cost_ns(l, p, (enum limit_bucket)b, units[b]);
        int64_t own = cost > 0 ? reserve(&l->next_ns[b], cost, now, max_wait, &away) : now;

        if (own == 0) {
            limit_give_back(l, t);
            return away;
        }
        t->paid_ns[b] = cost;
        at = most(at, own);
    }
    t->at_ns = at;
    return 0;
}

int64_t limit_take(struct limit *l, const struct limit_policy *p, int64_t tokens, int64_t now_ns, int64_t max_wait_ns,
                   struct limit_ticket *t)
{
    bool forfeit = t->at_ns != 0 && (t->at_ns < load(&l->hold_ns) || t->at_ns < now_ns - LIMIT_STALE_NS);

    if (t->at_ns == 0 || forfeit) {
        int64_t away = reserve_both(l, p, tokens, now_ns, max_wait_ns, t);

        if (away > 0) /* back when a time may be had, not all at once */
            return most(away - max_wait_ns, MS_NS) + lot(l, least(most(max_wait_ns, 100 * MS_NS), 2 * SEC_NS));
    }
    return most(0, t->at_ns - now_ns);
}

void limit_give_back(struct limit *l, struct limit_ticket *t)
{
    for (int b = 0; b < LIMIT_BUCKETS; b++)
        if (t->paid_ns[b] > 0)
            atomic_fetch_sub_explicit(&l->next_ns[b], t->paid_ns[b], memory_order_relaxed);
    *t = (struct limit_ticket){0};
}

void limit_hold(struct limit *l, int64_t until_ns)
{
    raise_to(&l->hold_ns, until_ns);
    for (int b = 0; b < LIMIT_BUCKETS; b++)
        raise_to(&l->next_ns[b], until_ns); /* so that those who waited go one after the other */
}

/* ---- what was let in ---- */

static void count_let_in(struct limit *l, int64_t now)
{
    uint64_t slot = (uint64_t)(now / SLOT_NS) & UINT32_MAX, old, new;
    _Atomic uint64_t *w = &l->accepted[slot % LIMIT_SLOTS];

    old = atomic_load_explicit(w, memory_order_relaxed);
    do {
        new = old >> 32 == slot ? old + 1 : slot << 32 | 1;
    } while (!atomic_compare_exchange_weak_explicit(w, &old, new, memory_order_relaxed, memory_order_relaxed));
}

static int64_t slot_count(const struct limit *l, int64_t slot)
{
    uint64_t w = slot >= 0 ? atomic_load_explicit(&l->accepted[slot % LIMIT_SLOTS], memory_order_relaxed) : 0;

    return w >> 32 == ((uint64_t)slot & UINT32_MAX) ? (int64_t)(w & UINT32_MAX) : 0;
}

int64_t limit_accepted(const struct limit *l, int64_t now_ns)
{
    int64_t slot = now_ns / SLOT_NS, n = 0;
    double oldest = (double)slot_count(l, slot - 6) * (1.0 - (double)(now_ns % SLOT_NS) / (double)SLOT_NS);

    for (int64_t i = 0; i < 6; i++)
        n += slot_count(l, slot - i);
    return n + (int64_t)(oldest + 0.5);
}

/* When the oldest of the last minute's requests will be a minute old. */
static int64_t minute_over(const struct limit *l, int64_t now)
{
    int64_t slot = now / SLOT_NS;

    for (int64_t i = 5; i >= 0; i--)
        if (slot_count(l, slot - i) > 0)
            return (slot - i) * SLOT_NS + MINUTE_NS;
    return now;
}

/* ---- learning ---- */

/* How long until the service has `need` units again, as its headers tell; 0: it has them, or they do not tell. */
static int64_t header_wait_ns(const struct limit_answer *a, int b, int64_t need)
{
    int64_t limit = a->limit[b], remaining = a->remaining[b], reset = a->reset_ms[b];
    double refill, full;

    if (limit <= 0 || remaining < 0 || remaining >= need)
        return 0;
    if (reset > WINDOW_MS) /* a day's allowance that comes back bit by bit; if it does not, a refusal will tell */
        return least(least(reset, LIMIT_MOST_HOLD_MS) * MS_NS / most(1, limit - remaining) *
                         least(need - remaining, limit),
                     LIMIT_MOST_HOLD_MS * MS_NS);
    refill = (double)least(need - remaining, limit) * (double)MINUTE_NS / (double)limit;
    full = (double)(limit - remaining) * (double)MINUTE_NS / (double)limit;
    if (reset < 0 || (full - (double)(reset * MS_NS) < 0.1 * full + (double)SEC_NS &&
                      (double)(reset * MS_NS) - full < 0.1 * full + (double)SEC_NS))
        return (int64_t)refill; /* a bucket: the reset is when it will be full */
    return reset * MS_NS;       /* a window: nothing comes before it */
}

static void learn_told(struct limit *l, const struct limit_answer *a)
{
    for (int b = 0; b < LIMIT_BUCKETS; b++)
        if (a->limit[b] > 0) /* a longer window than a minute is no pace: it only ends some time */
            store(&l->told[b], a->reset_ms[b] > WINDOW_MS ? 0 : least(a->limit[b], INT64_MAX / 1000000) * 1000);
}

static void learn_remaining(struct limit *l, const struct limit_policy *p, const struct limit_answer *a, int64_t now)
{
    const int64_t need[LIMIT_BUCKETS] = {1, a->tokens};

    for (int b = 0; b < LIMIT_BUCKETS; b++) {
        int64_t wait = header_wait_ns(a, b, need[b]);

        if (wait > cost_ns(l, p, (enum limit_bucket)b, need[b])) /* else the own pace is slower anyway */
            limit_hold(l, now + wait);
    }
}

/* A request of the present step, whatever became of it but a refusal: the pace was used for it. */
static int64_t count_used(struct limit *l)
{
    return atomic_fetch_add_explicit(&l->step_used, 1, memory_order_relaxed) + 1;
}

/* Begins the next step if the present one is over and was used. The quick start doubles, later steps add 1, 2, 4, ...
 * per cent. */
static void grow(struct limit *l, const struct limit_policy *p, int64_t now)
{
    int64_t growth = load(&l->growth), began = load(&l->step_ns), shared = share(l, p, LIMIT_REQUESTS);
    int64_t rate = limit_rate(l, p, LIMIT_REQUESTS), n, percent;
    double due;

    if (growth == 0 && (shared > 0 || rate == 0))
        return;
    n = count_used(l);
    due = (double)rate / 1000.0 * (double)(now - began) / (double)MINUTE_NS;
    if (began != 0 && now - began < (growth == 0 ? QUICK_STEP_NS : STEP_NS))
        return;
    if (began != 0 && growth > 0 && n < STEP_USED && (double)n >= 0.8 * due)
        return;
    if (!swap(&l->step_ns, began, now))
        return;
    store(&l->step_used, 0);
    if (began == 0 || (double)n < (growth == 0 ? 0.5 : 0.8) * due)
        return; /* not used: it says nothing */
    percent = growth == 0 ? 100 : growth > 6 || growth < 0 ? 50 : INT64_C(1) << (growth - 1);
    rate += rate * percent / 100;
    if (growth > 0 && (shared > 0 ? rate >= shared : rate >= MOST_RATE)) {
        store(&l->learned, shared > 0 ? 0 : MOST_RATE);
        store(&l->growth, 0);
        return;
    }
    store(&l->learned, least(rate, MOST_RATE));
    if (growth != 0)
        store(&l->growth, growth > 0 && growth < 100 ? growth + 1 : 7);
}

/* A service that is met with more than it allows has accepted, in a minute, what it allows. What is configured or told
 * is not given up for a bad moment: a step takes half of it at most. */
static void slow_down(struct limit *l, const struct limit_policy *p, int64_t now)
{
    int64_t rate = limit_rate(l, p, LIMIT_REQUESTS), accepted = limit_accepted(l, now);
    int64_t lower = accepted * 970;

    if (rate == 0)
        rate = MOST_RATE;
    if (accepted < EVIDENCE || share(l, p, LIMIT_REQUESTS) > 0)
        lower = most(lower, rate / 2);
    store(&l->learned, most(least(lower, rate / 100 * 97), LEAST_RATE));
    store(&l->growth, 1);
    store(&l->step_used, 0);
    store(&l->step_ns, now);
}

/* At the pace that is configured or told, the service orders a pause, and has refused nothing for a minute since its
 * last one: it gets the pause. If the pace was the reason it will order another. */
static bool is_a_bad_moment(const struct limit *l, const struct limit_policy *p, const struct limit_answer *a,
                            int64_t last, int64_t hold, int64_t now)
{
    return a->retry_after_ms > 0 && share(l, p, LIMIT_REQUESTS) > 0 &&
           (last == 0 || now - (hold > last ? hold : last) > MINUTE_NS);
}

/* Whether the headers say why: then the pause is enough, and the pace stays. If they say that requests have run out
 * though this node has used much less than its share, others use them too, and only the pace can give way. */
static bool explained(const struct limit *l, const struct limit_policy *p, const struct limit_answer *a, int64_t now)
{
    if (a->limit[LIMIT_REQUESTS] <= 0 && a->limit[LIMIT_TOKENS] <= 0)
        return false;
    return a->remaining[LIMIT_REQUESTS] != 0 || limit_accepted(l, now) * 1000 >= share(l, p, LIMIT_REQUESTS) / 10 * 8;
}

static bool learn_refusal(struct limit *l, const struct limit_policy *p, const struct limit_answer *a, int64_t now)
{
    int64_t last = load(&l->refused_ns), hold = load(&l->hold_ns), wait = 0, streak;
    int64_t pace;

    if (a->retry_after_ms > 0)
        wait = least(a->retry_after_ms, LIMIT_MOST_HOLD_MS) * MS_NS;
    if ((last != 0 && now - last < SEC_NS) || now < hold || !swap(&l->refused_ns, last, now)) {
        limit_hold(l, now + wait); /* sent before the others were refused: the same refusal */
        return false;
    }
    streak = atomic_fetch_add_explicit(&l->streak, 1, memory_order_relaxed);
    for (int b = 0; b < LIMIT_BUCKETS && a->retry_after_ms <= 0; b++)
        wait = most(wait, header_wait_ns(a, b, b == LIMIT_REQUESTS ? 1 : a->tokens));
    if (wait == 0)
        wait = most(minute_over(l, now) - now, least(SEC_NS << (streak >= 0 && streak < 6 ? streak : 6), MINUTE_NS));
    if (!explained(l, p, a, now) && !is_a_bad_moment(l, p, a, last, hold, now))
        slow_down(l, p, now);
    pace = least(cost_ns(l, p, LIMIT_REQUESTS, 1), 2 * SEC_NS);
    limit_hold(l, now + wait + lot(l, pace)); /* nodes that are told the same time come one after the other */
    return true;
}

bool limit_learn(struct limit *l, const struct limit_policy *p, const struct limit_answer *a, int64_t now_ns)
{
    if (a->status == 429) {
        learn_told(l, a);
        return learn_refusal(l, p, a, now_ns);
    }
    count_let_in(l, now_ns); /* a service that breaks over a request has counted it all the same */
    if (a->status < 200) {
        (void)count_used(l);
        return false;
    }
    learn_told(l, a);
    learn_remaining(l, p, a, now_ns);
    if (a->status >= 500) {
        (void)count_used(l);
        if (a->retry_after_ms > 0)
            limit_hold(l, now_ns + least(a->retry_after_ms, LIMIT_MOST_HOLD_MS) * MS_NS);
        return false;
    }
    store(&l->streak, 0);
    grow(l, p, now_ns);
    return false;
}
