/*
 * pool_plan.h - which slots of a pool hold its children: retiring, replacing, more and fewer of them
 *
 * A pool has more slots than children, so that a child can finish in one slot while its successor starts in another.
 * A slot is FREE, HELD (its child, present or awaited, is one of those that the pool should have) or RETIRING (its child
 * finishes and no longer counts). pool_plan_step() is asked after every event and answers with at most one action, which
 * pools.c carries out. Pure, as pool_policy.h.
 *
 *   - To retire a child is to wish it: slot_wish(). The wish is carried out when the child is up and a free slot is
 *     there for the successor; so at most as many retire at once as the pool has room for, and the rest follow.
 *   - The successor starts at once. The retiring child is told to drain when the successor is ready, and goes on
 *     working until then; or at once, where waiting does harm (memory).
 *   - A successor that cannot start waits in its slot as any other, and the child that it should relieve goes on.
 *   - RETIRE_RESTART, and every retirement in a pool that cannot hold two children at once (coordinator), empties the
 *     slot first and fills it again.
 *   - Too many children: slots that wait go first, then children that start, then idle ones, then busy ones.
 *
 * Depends on base.
 */
#ifndef MASTER_POOL_PLAN_H
#define MASTER_POOL_PLAN_H

#include "master/pool_policy.h"

#define RETIRE_CAUSES(X)                                                                                               \
    X(JOBS, "it has done its number of jobs")                                                                          \
    X(AGE, "it has reached its age")                                                                                   \
    X(MEMORY, "it uses more memory than it may")                                                                       \
    X(SCALE, "the pool needs fewer children")                                                                          \
    X(DRAIN, "the pool is drained")                                                                                    \
    X(RECYCLE, "an operator had it replaced")                                                                          \
    X(RESTART, "an operator had it restarted")                                                                         \
    X(RELOAD, "the configuration was reloaded")

#define X_CAUSE(NAME, text) RETIRE_##NAME,
enum retire_cause { RETIRE_NOT, RETIRE_CAUSES(X_CAUSE) RETIRE_CAUSE_MAX_ };
#undef X_CAUSE

const char *retire_cause_text(enum retire_cause c);

struct pool_goal {
    int target;   /* children that it should have now */
    bool overlap; /* two may be there at once, for one place */
};

enum pool_action_kind {
    POOL_NOTHING,
    POOL_HOLD,    /* a free slot is held from now on */
    POOL_RELEASE, /* it is held no more: its child drains without a successor; an empty one is just free */
    POOL_REPLACE, /* slot retires, `successor` is held in its stead */
    POOL_DRAIN,   /* a retiring child may be told to drain now */
    POOL_RESTART, /* its child is ended, and another is started in the same slot */
};

struct pool_action {
    enum pool_action_kind kind;
    int slot, successor; /* in the array given */
    enum retire_cause cause;
};

/* Wishes that the present child be replaced; what was wished before stays, but RESTART, MEMORY and RELOAD go above. */
void slot_wish(struct slot_policy *s, enum retire_cause cause);
/* busy: one bool a slot. May change nothing but what the action says is done by pool_plan_apply(). */
struct pool_action pool_plan_step(struct slot_policy *const *slots, const bool *busy, int n,
                                  const struct pool_goal *goal);
/* What an action means for the slots' places; the rest (sockets, messages) is its caller's. */
void pool_plan_apply(struct slot_policy *const *slots, int n, const struct pool_action *a);
/* The child of slots[i] is gone: its place is free, if it retired. */
void pool_plan_child_gone(struct slot_policy *const *slots, int n, int i);

#endif
