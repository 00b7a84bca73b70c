/*
 * pool_verbs.c - what an operator tells a pool: recycle, restart, reset, scale, drain
 *
 * Every verb says what is to be, and answers at once with the pool as it is; `status` shows how it gets there.
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/log.h"
#include "core/reason.h"
#include "proc/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int unknown_pool(const struct master *m, const char *name, struct error *e)
{
    char known[CONF_MAX_POOLS * 34] = "";
    size_t n = 0;

    for (int p = 0; p < m->conf->n_pools && n < sizeof known; p++)
        if (!pool_is_gone(m, p))
            n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", p > 0 ? ", " : "", m->conf->pools[p].name);
    (void)reason_error(e, REASON_not_found, ENOENT, "There is no pool \"%s\".", name);
    error_hint(e, "The pools are: %s.", known);
    return -ENOENT;
}

/* The argument `pool`, as an index; -1 if it was not given and need not be. */
static int arg_pool(const struct master *m, const struct control_request *r, bool needed, int *pool, struct error *e)
{
    char name[64];
    int bad = control_arg_text(r, "pool", "", name, sizeof name, e);

    *pool = -1;
    if (bad != 0 || (name[0] == '\0' && !needed))
        return bad;
    if (m->stop.mode != STOP_NONE)
        return reason_error(e, REASON_conflict, EBUSY, "The daemon is stopping.");
    *pool = pools_find(m, name);
    return *pool >= 0 ? 0 : unknown_pool(m, name, e);
}

static void put_pool_state(struct pack *p, const struct master *m, int pool)
{
    struct pool_count count;

    pools_count(m, pool, &count);
    pack_put_str(p, "pool", m->conf->pools[pool].name);
    pack_put_int(p, "size", pools_target(m, pool));
    pack_put_int(p, "ready", count.up);
    pack_put_int(p, "to_replace", count.wishes);
    pack_put_int(p, "retiring", count.retiring);
    pack_put_bool(p, "failed", m->pools[pool].faults.failed);
}

static void tell(const struct master *m, int pool, const char *what)
{
    log_info("pools", what, "pool", pool >= 0 ? m->conf->pools[pool].name : "all", NULL);
}

static int replace_all(struct master *m, const struct control_request *r, struct pack *p, enum retire_cause cause,
                       struct error *e)
{
    int pool, bad = arg_pool(m, r, true, &pool, e);

    if (bad != 0)
        return bad;
    (void)pools_retire_all(m, pool, cause);
    pools_try_now(m, pool);
    tell(m, pool, retire_cause_text(cause));
    put_pool_state(p, m, pool);
    return 0;
}

int verb_recycle(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    return replace_all(m, r, p, RETIRE_RECYCLE, e);
}

int verb_restart(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    return replace_all(m, r, p, RETIRE_RESTART, e);
}

int verb_reset(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    int pool, bad = arg_pool(m, r, true, &pool, e);

    if (bad != 0)
        return bad;
    pools_reset(m, pool);
    tell(m, pool, "an operator has its failures forgotten");
    put_pool_state(p, m, pool);
    return 0;
}

/* ---- scale ---- */

static int arg_size(const struct control_request *r, int max, int *size, struct error *e)
{
    char text[16], *end = NULL;
    long n;
    int bad = control_arg_text(r, "size", "", text, sizeof text, e);

    if (bad != 0)
        return bad;
    *size = POOL_BY_DEMAND;
    if (strcmp(text, "auto") == 0)
        return 0;
    n = strtol(text, &end, 10);
    if (text[0] == '\0' || *end != '\0' || n < 1 || n > max) {
        (void)reason_error(e, REASON_bad_request, EINVAL,
                           "scale: the size is \"%s\"; it may be 1 to %d, or auto for as many as there is work for.",
                           text, max);
        error_hint(e, n > max ? "The largest size is `max` of the pool in the configuration."
                              : "`docmillctl drain POOL` ends all children of a pool.");
        return -EINVAL;
    }
    *size = (int)n;
    return 0;
}

int verb_scale(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    int pool, size, bad = arg_pool(m, r, true, &pool, e);

    if (bad == 0)
        bad = arg_size(r, m->conf->pools[pool].max, &size, e);
    if (bad != 0)
        return bad;
    m->pools[pool].scaled = size;
    log_info("pools", "an operator set the pool's size", "pool", m->conf->pools[pool].name, "size",
             size == POOL_BY_DEMAND ? "auto" : LOG_I(size), NULL);
    put_pool_state(p, m, pool);
    return 0;
}

/* ---- drain ---- */

/* Of the whole node the workers drain: api goes on answering, so that the node can be asked and looked at, and what is
 * uploaded meanwhile waits in the queue for this or another node. Its readiness says no. */
static void set_drain(struct master *m, int pool, bool on)
{
    for (int p = 0; p < m->conf->n_pools; p++)
        if (p == pool || (pool < 0 && m->conf->pools[p].role == POOL_WORKER) || (pool < 0 && !on))
            m->pools[p].drained = on;
    if (pool < 0)
        m->drained = on;
}

int verb_drain(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    char order[16];
    int pool, left = 0, bad = arg_pool(m, r, false, &pool, e);

    if (bad == 0)
        bad = control_arg_text(r, "order", "begin", order, sizeof order, e);
    if (bad != 0)
        return bad;
    if (strcmp(order, "begin") != 0 && strcmp(order, "cancel") != 0)
        return reason_error(e, REASON_bad_request, EINVAL, "drain: \"%s\" is no order; it may be begin or cancel.",
                            order);
    if (pool >= 0 && m->conf->pools[pool].role == POOL_COORDINATOR)
        return reason_error(
            e, REASON_bad_request, EINVAL,
            "The coordinator cannot be drained: the node lives by it. `docmillctl stop` ends the daemon.");
    set_drain(m, pool, strcmp(order, "begin") == 0);
    tell(m, pool, strcmp(order, "begin") == 0 ? "an operator drains" : "an operator takes a drain back");
    pack_str(p, "pools");
    pack_array(p);
    for (int i = 0; i < m->conf->n_pools; i++) {
        struct pool_count count;

        if (pool_is_gone(m, i) || (pool >= 0 ? i != pool : m->conf->pools[i].role == POOL_COORDINATOR))
            continue;
        pools_count(m, i, &count);
        left += m->pools[i].drained ? count.up + count.starting + count.retiring : 0;
        pack_map(p);
        put_pool_state(p, m, i);
        pack_put_bool(p, "drained", m->pools[i].drained);
        pack_end(p);
    }
    pack_end(p);
    pack_put_int(p, "left", left);
    return 0;
}
