/*
 * pool_slots.c - which pools there are, and their slots: made at the start, changed by a reload
 *
 * A pool keeps its index as long as the master lives, since children, deaths and slots name it: m->conf and what a
 * reload brings list the pools in the same order. A pool that a reload removes stays as an entry with max 0 while its
 * children finish, and its index and slots are taken over by a later new one. Slots are never moved (event sources
 * point at them) and never given back.
 *
 * Diagnostics (as struct error): start_failed, conflict (no room for the pools).
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/clock.h"
#include "core/conf_agree.h"
#include "core/reason.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <talloc.h>

int pools_room(int max)
{
    return conf_pool_room(max);
}

struct child_slot *pool_slot(const struct master *m, int pool, int i)
{
    return &m->slots[m->pools[pool].slots[i]];
}

bool pool_is_gone(const struct master *m, int pool)
{
    return m->conf->pools[pool].max == 0;
}

int pools_find(const struct master *m, const char *name)
{
    for (int p = 0; p < m->conf->n_pools; p++)
        if (!pool_is_gone(m, p) && strcmp(m->conf->pools[p].name, name) == 0)
            return p;
    return -1;
}

static int slots_of(const struct pool_conf *p)
{
    return p->role == POOL_COORDINATOR ? p->max : p->max + pools_room(p->max);
}

static struct pool_range range_of(const struct pool_conf *p)
{
    return (struct pool_range){.min = p->min, .max = p->max, .spare = p->spare};
}

static void add_slot(struct master *m, int pool)
{
    struct pool_state *state = &m->pools[pool];
    int index = m->n_slots++;

    m->slots[index] = (struct child_slot){.master = m,
                                          .index = index,
                                          .pool = pool,
                                          .number = state->n_slots,
                                          .pidfd = -1,
                                          .channel = -1,
                                          .listen_tcp = -1};
    state->slots[state->n_slots++] = (int16_t)index;
}

static void make_room(struct master *m, int pool, const struct pool_conf *p)
{
    while (m->pools[pool].n_slots < slots_of(p))
        add_slot(m, pool);
}

/* How many slots are missing for p, as the pool of that index. */
static int missing(const struct master *m, int pool, const struct pool_conf *p)
{
    int n = slots_of(p) - m->pools[pool].n_slots;

    return n > 0 ? n : 0;
}

int pools_init(struct master *m, struct error *e)
{
    int n = 0;

    for (int p = 0; p < m->conf->n_pools; p++)
        n += slots_of(&m->conf->pools[p]);
    if (n < 1 || n > SCORE_SLOTS)
        return reason_error(e, REASON_start_failed, EINVAL,
                            "pools: %d children with their successors; from 1 to %d are possible.", n, SCORE_SLOTS);
    m->slots = talloc_zero_array(m, struct child_slot, SCORE_SLOTS);
    if (m->slots == NULL)
        return reason_error(e, REASON_os_error, ENOMEM, "out of memory");
    for (int p = 0; p < m->conf->n_pools; p++) {
        const struct pool_range range = range_of(&m->conf->pools[p]);

        m->pools[p] = (struct pool_state){.scaled = POOL_BY_DEMAND, .most = INT_MAX};
        make_room(m, p, &m->conf->pools[p]);
        pool_size_begin(&m->pools[p].size, &range);
        for (int i = 0; i < m->pools[p].size.size; i++)
            pool_slot(m, p, i)->policy.place = PLACE_HELD;
    }
    return 0;
}

/* ---- another configuration ---- */

bool pool_has_children(const struct master *m, int pool)
{
    for (int i = 0; i < m->pools[pool].n_slots; i++)
        if (pool_slot(m, pool, i)->pid != 0)
            return true;
    return false;
}

struct arrangement {
    int n;
    struct pool_conf pools[CONF_MAX_POOLS];
    bool new[CONF_MAX_POOLS];
};

/* An index for a new pool, or -1. */
static int free_index(const struct master *m, const struct arrangement *a)
{
    for (int i = 0; i < m->conf->n_pools; i++)
        if (pool_is_gone(m, i) && !a->new[i] && !pool_has_children(m, i))
            return i;
    return a->n < CONF_MAX_POOLS ? a->n : -1;
}

static int arrange(const struct master *m, const struct conf_diff *d, struct arrangement *a, struct error *e)
{
    *a = (struct arrangement){.n = m->conf->n_pools};
    memcpy(a->pools, m->conf->pools, sizeof a->pools);
    for (int i = 0; i < d->n_pools; i++) {
        const struct conf_pool_change *c = &d->pools[i];
        int at;

        if (c->to == NULL)
            continue; /* it stays until the end */
        at = c->from != NULL ? (int)(c->from - m->conf->pools) : free_index(m, a);
        if (at < 0)
            return reason_error(e, REASON_conflict, ENOSPC,
                                "No room for pool \"%s\": pools that are gone still have children that finish.",
                                c->to->name);
        a->pools[at] = *c->to;
        a->new[at] = c->from == NULL;
        if (at == a->n)
            a->n++;
    }
    return 0;
}

/* Of the pool whose index it takes over only the slots stay. */
static void begin_pool(struct master *m, int pool, const struct pool_conf *p)
{
    struct pool_state *state = &m->pools[pool];
    const struct pool_range range = range_of(p);
    struct pool_state fresh = {.n_slots = state->n_slots, .scaled = POOL_BY_DEMAND};

    memcpy(fresh.slots, state->slots, sizeof fresh.slots);
    *state = fresh;
    pool_size_begin(&state->size, &range);
    for (int i = 0; i < state->n_slots; i++)
        pool_slot(m, pool, i)->last_death[0] = '\0';
    share_new_pool(m, pool);
}

int pools_arrange(struct master *m, const struct conf_diff *d, struct conf *next, struct error *e)
{
    struct arrangement a;
    int more = 0, rc = arrange(m, d, &a, e);

    for (int i = 0; rc == 0 && i < a.n; i++) {
        more += missing(m, i, &a.pools[i]);
        if (a.new[i] && a.pools[i].role == POOL_API && m->listen_unix < 0)
            return reason_error(e, REASON_conflict, EINVAL,
                                "Pool \"%s\" is the first of the role api: the daemon has to be restarted for it.",
                                a.pools[i].name);
    }
    if (rc == 0 && m->n_slots + more > SCORE_SLOTS) {
        (void)reason_error(e, REASON_conflict, ENOSPC,
                           "The pools need %d slots for children and successors; %d are possible.", m->n_slots + more,
                           SCORE_SLOTS);
        error_hint(e, "Slots of pools that are gone are given back by a restart.");
        return -ENOSPC;
    }
    if (rc != 0 || next == NULL)
        return rc;
    memcpy(next->pools, a.pools, sizeof next->pools);
    next->n_pools = a.n;
    for (int i = 0; i < a.n; i++) {
        if (a.new[i])
            begin_pool(m, i, &a.pools[i]);
        make_room(m, i, &a.pools[i]);
    }
    return 0;
}

static void end_pool(struct master *m, struct conf *c, int pool)
{
    m->pools[pool].faults = (struct pool_faults){0};
    c->pools[pool].min = c->pools[pool].max = c->pools[pool].spare = 0;
}

static void fit(struct pool_state *state, const struct pool_range *range)
{
    pool_size_fit(&state->size, range);
    if (state->scaled > range->max)
        state->scaled = POOL_BY_DEMAND;
}

void pools_adopt(struct master *m, const struct conf_diff *d, struct conf *next)
{
    for (int i = 0; i < d->n_pools; i++)
        if (d->pools[i].to == NULL)
            end_pool(m, next, (int)(d->pools[i].from - d->running->pools));
    for (int p = 0; p < next->n_pools; p++) {
        const struct pool_range range = range_of(&next->pools[p]);

        m->pools[p].most = INT_MAX;
        m->pools[p].memory_refused = false;
        fit(&m->pools[p], &range);
    }
}

void pools_disown(struct master *m, struct conf *former, const struct conf *next)
{
    for (int p = 0; p < next->n_pools; p++) {
        const struct pool_range range = range_of(&former->pools[p]);

        if (p >= former->n_pools || former->pools[p].max == 0) {
            former->pools[p] = next->pools[p]; /* its children go by this name until they are gone */
            end_pool(m, former, p);
        } else {
            fit(&m->pools[p], &range);
        }
        m->pools[p].most = INT_MAX;
    }
    former->n_pools = next->n_pools;
}
