/*
 * pool_plan.c - see pool_plan.h
 *
 * Pure. Called by pools.c only.
 *
 * Depends on base.
 */
#include "master/pool_plan.h"

#include <stddef.h>

const char *retire_cause_text(enum retire_cause c)
{
#define X_TEXT(NAME, text) [RETIRE_##NAME] = (text),
    static const char *const texts[RETIRE_CAUSE_MAX_] = {[RETIRE_NOT] = "it does not retire", RETIRE_CAUSES(X_TEXT)};
#undef X_TEXT

    return texts[c];
}

/* The child holds up something while it goes on: it drains before its successor is ready. */
static bool urgent(enum retire_cause c)
{
    return c == RETIRE_MEMORY || c == RETIRE_RESTART || c == RETIRE_SCALE || c == RETIRE_DRAIN;
}

void slot_wish(struct slot_policy *s, enum retire_cause cause)
{
    if (s->state == SLOT_EMPTY || s->place != PLACE_HELD)
        return; /* whoever starts there next is new anyway */
    if (s->wish == RETIRE_NOT || cause == RETIRE_RESTART || (cause == RETIRE_RELOAD && s->wish != RETIRE_RESTART) ||
        (cause == RETIRE_MEMORY && s->wish != RETIRE_RESTART && s->wish != RETIRE_RELOAD))
        s->wish = (int)cause;
}

/* Of what gets in the way first when there are too many; -1: not counted. */
static int rank_to_go(const struct slot_policy *s, bool busy)
{
    if (s->place != PLACE_HELD)
        return -1;
    switch (s->state) {
    case SLOT_EMPTY:
        return 5;
    case SLOT_TRACED:
    case SLOT_TERMED:
    case SLOT_KILLED:
        return 4;
    case SLOT_STARTING:
        return 3;
    case SLOT_DRAINING:
        return 2;
    case SLOT_UP:
        return busy ? 0 : 1;
    }
    return -1;
}

static int find_to_go(struct slot_policy *const *slots, const bool *busy, int n)
{
    int best = -1, best_rank = -1;

    for (int i = 0; i < n; i++) {
        int rank = rank_to_go(slots[i], busy[i]);

        if (rank >= 0 && rank >= best_rank) { /* of equals the last: the first stay */
            best = i;
            best_rank = rank;
        }
    }
    return best;
}

/* Of the free slots the one whose next start is due first. */
static int find_free(struct slot_policy *const *slots, int n)
{
    int best = -1;

    for (int i = 0; i < n; i++)
        if (slots[i]->place == PLACE_FREE && slots[i]->state == SLOT_EMPTY &&
            (best < 0 || slots[i]->start_at_ms < slots[best]->start_at_ms))
            best = i;
    return best;
}

static int find_relief(struct slot_policy *const *slots, int n, int retiring)
{
    for (int i = 0; i < n; i++)
        if (slots[i]->relieves == retiring + 1)
            return i;
    return -1;
}

/* A retiring child that is up and has nobody to wait for. */
static int find_to_drain(struct slot_policy *const *slots, int n)
{
    for (int i = 0; i < n; i++) {
        int relief;

        if (slots[i]->place != PLACE_RETIRING || slots[i]->state != SLOT_UP)
            continue;
        relief = find_relief(slots, n, i);
        if (relief < 0 || slots[relief]->state == SLOT_UP || urgent((enum retire_cause)slots[i]->retires))
            return i;
    }
    return -1;
}

static struct pool_action replace_one(struct slot_policy *const *slots, int n, const struct pool_goal *goal)
{
    for (int i = 0; i < n; i++) {
        struct pool_action a = {.slot = i, .cause = (enum retire_cause)slots[i]->wish};

        if (slots[i]->place != PLACE_HELD || slots[i]->state != SLOT_UP || slots[i]->wish == RETIRE_NOT)
            continue;
        if (!goal->overlap || a.cause == RETIRE_RESTART) {
            a.kind = POOL_RESTART;
            return a;
        }
        a.successor = find_free(slots, n);
        a.kind = a.successor >= 0 ? POOL_REPLACE : POOL_NOTHING;
        return a;
    }
    return (struct pool_action){.kind = POOL_NOTHING};
}

struct pool_action pool_plan_step(struct slot_policy *const *slots, const bool *busy, int n,
                                  const struct pool_goal *goal)
{
    struct pool_action a = {.kind = POOL_NOTHING};
    int held = 0;

    for (int i = 0; i < n; i++)
        held += slots[i]->place == PLACE_HELD;
    a.slot = find_to_drain(slots, n);
    if (a.slot >= 0) {
        a.kind = POOL_DRAIN;
        a.cause = (enum retire_cause)slots[a.slot]->retires;
        return a;
    }
    if (held > goal->target) {
        a.slot = find_to_go(slots, busy, n);
        a.kind = POOL_RELEASE;
        a.cause = goal->target == 0 ? RETIRE_DRAIN : RETIRE_SCALE;
        return a;
    }
    if (held < goal->target) {
        a.slot = find_free(slots, n);
        a.kind = a.slot >= 0 ? POOL_HOLD : POOL_NOTHING;
        return a;
    }
    return replace_one(slots, n, goal);
}

static void let_go(struct slot_policy *s, enum retire_cause cause)
{
    s->place = s->state == SLOT_EMPTY ? PLACE_FREE : PLACE_RETIRING;
    s->retires = s->state == SLOT_EMPTY ? RETIRE_NOT : (int)cause;
    s->wish = RETIRE_NOT;
    s->relieves = 0;
}

void pool_plan_apply(struct slot_policy *const *slots, int n, const struct pool_action *a)
{
    (void)n;
    switch (a->kind) {
    case POOL_NOTHING:
    case POOL_DRAIN:
        return;
    case POOL_HOLD:
        slots[a->slot]->place = PLACE_HELD;
        return;
    case POOL_RELEASE:
        let_go(slots[a->slot], a->cause);
        return;
    case POOL_REPLACE:
        let_go(slots[a->slot], a->cause);
        slots[a->successor]->place = PLACE_HELD;
        slots[a->successor]->relieves = a->slot + 1;
        return;
    case POOL_RESTART:
        slots[a->slot]->retires = (int)a->cause;
        slots[a->slot]->wish = RETIRE_NOT;
        return;
    }
}

void pool_plan_child_gone(struct slot_policy *const *slots, int n, int i)
{
    int relief = find_relief(slots, n, i);

    slots[i]->retires = RETIRE_NOT;
    if (slots[i]->place != PLACE_RETIRING)
        return;
    slots[i]->place = PLACE_FREE;
    if (relief >= 0)
        slots[relief]->relieves = 0;
}
