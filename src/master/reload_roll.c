/*
 * reload_roll.c - replaces the children of a reload, as reload_policy.c decides
 *
 * Means: pools_retire() for each child that is to have another configuration (its successor starts first where the pool
 * allows it), and reload_conf_of(), which spawn.c asks what a child is to have. The canary is the successor of the first
 * one that retires; where nobody is up, or in a new pool, it is the first that starts.
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* X(REASON, "keys that answer for it begin with"): what a child on trial may meet that is the new configuration's fault,
 * if a key of that kind has changed. */
#define BLAMES(X)                                                                                                      \
    X(provider_denied, "openai.")                                                                                      \
    X(provider_denied, "llamaparse.")                                                                                  \
    X(provider_config, "openai.")                                                                                      \
    X(provider_config, "llamaparse.")                                                                                  \
    X(http_refused, "openai.")                                                                                         \
    X(http_refused, "llamaparse.")                                                                                     \
    X(http_refused, "http.")                                                                                           \
    X(http_unreachable, "openai.")                                                                                     \
    X(http_unreachable, "llamaparse.")                                                                                 \
    X(http_unreachable, "http.")                                                                                       \
    X(parser_missing, "parser.")                                                                                       \
    X(sandbox_refused, "parser.")                                                                                      \
    X(blob_denied, "blob.")                                                                                            \
    X(blob_broken, "blob.")                                                                                            \
    X(bad_config, "")

static int pool_at_hand(const struct master *m)
{
    const struct reload *r = &m->reload;

    return r->plan.at < r->plan.n_pools ? r->pools[r->plan.at] : -1;
}

static bool rolls(const struct reload *r)
{
    return r->next != NULL && (r->plan.state == RELOAD_CANARY || r->plan.state == RELOAD_ROLLING);
}

/* ---- which configuration ---- */

/* It takes the place of a child that retires for the reload. */
static bool relieves_for_reload(const struct master *m, const struct child_slot *s)
{
    return s->policy.relieves > 0 &&
           pool_slot(m, s->pool, s->policy.relieves - 1)->policy.retires == (int)RETIRE_RELOAD;
}

static bool starts_as_canary(const struct master *m, const struct child_slot *s)
{
    const struct reload *r = &m->reload;

    return r->plan.sent && !r->choose &&
           (r->is_new[s->pool] || s->index == r->canary || relieves_for_reload(m, s) ||
            m->conf->pools[s->pool].role == POOL_COORDINATOR);
}

/* Its turn in the order, or -1. */
static int turn_of(const struct reload *r, int pool)
{
    for (int i = 0; i < r->plan.n_pools; i++)
        if (r->pools[i] == pool)
            return i;
    return -1;
}

const struct conf *reload_conf_of(const struct master *m, const struct child_slot *s, uint64_t *generation)
{
    const struct reload *r = &m->reload;
    int turn;
    bool fresh;

    *generation = m->generation;
    if (!rolls(r))
        return m->conf;
    turn = turn_of(r, s->pool);
    if (turn == r->plan.at)
        fresh = r->plan.state == RELOAD_ROLLING || starts_as_canary(m, s);
    else
        fresh = turn >= 0 && turn < r->plan.at;
    if (fresh)
        return m->conf;
    *generation = r->former_generation;
    return r->former;
}

/* ---- what there is to see ---- */

static bool key_changed(const struct conf_diff *d, const char *prefix)
{
    for (int i = 0; i < d->n_changes; i++)
        if (!d->changes[i].restart && strncmp(d->changes[i].name, prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

/* What it met that the changed keys answer for, in words; NULL: nothing. */
static const char *fault_of(const struct master *m, const struct score_data *d)
{
    static const struct {
        enum reason reason;
        const char *keys;
    } blames[] = {
#define X_BLAME(name, keys) {REASON_##name, keys},
        BLAMES(X_BLAME)
#undef X_BLAME
    };
    const struct conf_diff *diff = m->reload.report->diff;

    for (size_t i = 0; i < sizeof blames / sizeof blames[0]; i++)
        if (d->fault == (int)blames[i].reason && key_changed(diff, blames[i].keys))
            return reason_sentence(blames[i].reason);
    if (d->storage_ok == 0 && key_changed(diff, "blob."))
        return reason_sentence(REASON_blob_broken);
    return NULL;
}

static void look_at_canary(struct master *m, struct child_slot *s, struct reload_view *v)
{
    struct reload *r = &m->reload;
    struct score_data d;
    int64_t now = clock_ms();
    const char *fault;
    bool busy;

    r->canary = s->index;
    if (s->policy.state != SLOT_UP)
        return;
    (void)scoreboard_read(m->board, s->index, &d); /* torn: looked at again before long */
    v->canary.up = true;
    v->canary.up_ms = s->policy.ready_ms;
    v->canary.done = d.jobs_done + d.jobs_failed + d.requests > 0;
    fault = fault_of(m, &d);
    v->canary.fault = fault != NULL;
    if (fault != NULL)
        snprintf(r->trouble, sizeof r->trouble, "%s", fault);
    busy = d.phase == SCORE_BUSY && m->conf->pools[s->pool].role != POOL_COORDINATOR;
    if (busy)
        r->canary_rests_ms = 0;
    else if (r->canary_rests_ms == 0)
        r->canary_rests_ms = now;
    v->canary.idle_ms = r->canary_rests_ms > 0 ? now - r->canary_rests_ms : 0;
}

static void count_child(const struct child_slot *s, uint64_t wanted, struct reload_view *v)
{
    if (s->policy.place != PLACE_HELD)
        return;
    if (s->pid != 0 && s->generation != wanted)
        v->former++;
    else if (s->policy.state == SLOT_UP)
        v->fresh++;
    else
        v->pending++;
}

static void look_at_pool(struct master *m, int pool, uint64_t wanted, struct reload_view *v)
{
    const struct reload *r = &m->reload;
    int places = pools_target(m, pool);

    if (r->is_new[pool] && r->plan.state == RELOAD_CANARY && m->pools[pool].most == 0)
        places = 1; /* it has none before it is its turn */
    v->places += places;
    for (int i = 0; i < m->pools[pool].n_slots; i++) {
        struct child_slot *s = pool_slot(m, pool, i);

        count_child(s, wanted, v);
        /* On the way back those count that finish, too: they may still act by what is not good. */
        if (r->plan.state == RELOAD_BACK && s->policy.place == PLACE_RETIRING && s->generation == r->next_generation)
            v->former += s->pid != 0;
        if (r->plan.state == RELOAD_CANARY && s->policy.place == PLACE_HELD && s->pid != 0 && s->generation == wanted)
            look_at_canary(m, s, v);
    }
}

static void look(struct master *m, struct reload_view *v)
{
    struct reload *r = &m->reload;
    int at = pool_at_hand(m);

    *v = (struct reload_view){0};
    if (r->plan.state == RELOAD_BACK) {
        for (int i = 0; i <= r->plan.at && i < r->plan.n_pools; i++)
            look_at_pool(m, r->pools[i], r->former_generation, v);
    } else if (at >= 0) {
        look_at_pool(m, at, r->next_generation, v);
    }
}

/* ---- what is done ---- */

/* Of the children that are up one that rests, else any; a coordinator, or where nobody is up, whoever is to start. */
static bool choose_canary(struct master *m, int pool)
{
    struct child_slot *best = NULL;
    bool best_busy = true, any_former = false;

    for (int i = 0; i < m->pools[pool].n_slots; i++) {
        struct child_slot *s = pool_slot(m, pool, i);
        struct score_pulse pulse;

        if (s->policy.place != PLACE_HELD)
            continue;
        any_former = any_former || s->pid != 0;
        if (s->policy.state != SLOT_UP)
            continue;
        scoreboard_pulse(m->board, s->index, &pulse);
        if (best == NULL || (best_busy && pulse.phase != SCORE_BUSY)) {
            best = s;
            best_busy = pulse.phase == SCORE_BUSY;
        }
    }
    if (best != NULL)
        return pools_retire(m, best->index, RETIRE_RELOAD) == 0;
    if (any_former)
        return false; /* it starts, or is being ended: asked again before long */
    for (int i = 0; i < m->pools[pool].n_slots; i++) {
        struct child_slot *s = pool_slot(m, pool, i);

        if (s->policy.place != PLACE_HELD)
            continue;
        m->reload.canary = s->index;
        slot_try_now(&s->policy, clock_ms());
        return true;
    }
    return false;
}

/* It is there, or whoever is to start is it, or it will start when the child that it relieves makes room. */
static bool is_canary(const struct master *m, const struct child_slot *s)
{
    if (s->policy.place != PLACE_HELD)
        return false;
    if (s->pid == 0)
        return starts_as_canary(m, s);
    return s->generation == m->reload.next_generation || s->policy.wish == (int)RETIRE_RELOAD;
}

/* The chosen one died before it was relieved, or was sent away: its successor has the former configuration, and another
 * has to go ahead. */
static void choose_again(struct master *m, int pool)
{
    struct reload *r = &m->reload;

    if (r->plan.state != RELOAD_CANARY || !r->plan.sent)
        return;
    for (int i = 0; i < m->pools[pool].n_slots; i++)
        if (is_canary(m, pool_slot(m, pool, i)))
            return;
    r->canary = -1;
    r->canary_rests_ms = 0;
    r->choose = !r->is_new[pool];
}

static void send_canary(struct master *m)
{
    struct reload *r = &m->reload;
    int pool = pool_at_hand(m);

    r->canary = -1;
    r->canary_rests_ms = 0;
    r->choose = !r->is_new[pool];
    pools_reset(m, pool); /* what failed for good may be what the new configuration cures */
    if (r->is_new[pool])
        m->pools[pool].most = 1;
    log_info("reload", "a first child gets the new configuration", "pool", m->conf->pools[pool].name, NULL);
}

static bool has_free_slot(const struct master *m, int pool)
{
    for (int i = 0; i < m->pools[pool].n_slots; i++)
        if (pool_slot(m, pool, i)->policy.place == PLACE_FREE && pool_slot(m, pool, i)->pid == 0)
            return true;
    return false;
}

/* Those that have another generation than that of m->conf. Who has what is not good does not wait until the child that
 * it relieved has finished and leaves room for a successor. */
static void retire_others(struct master *m, int pool, bool back)
{
    bool room = has_free_slot(m, pool);

    for (int i = 0; i < m->pools[pool].n_slots; i++) {
        struct child_slot *s = pool_slot(m, pool, i);

        if (s->pid != 0 && s->generation != m->generation)
            (void)pools_retire(m, s->index, room || !back ? RETIRE_RELOAD : RETIRE_RESTART);
    }
    pools_try_now(m, pool);
}

static void trust(struct master *m)
{
    int pool = pool_at_hand(m);

    m->reload.canary = -1;
    m->pools[pool].most = INT_MAX;
    log_info("reload", "the first child has proven itself; the others follow", "pool", m->conf->pools[pool].name, NULL);
    retire_others(m, pool, false);
}

/* A wrong key has opened a breaker for a while; with the former one the service may be tried at once, now that nobody
 * is left who would try it with the wrong one. */
static void try_services(struct master *m)
{
    static const char *const keys[] = {[SERVICE_LLAMAPARSE] = "llamaparse.", [SERVICE_EMBEDDER] = "openai."};

    for (int v = 0; v < SERVICE_MAX_; v++) {
        struct service_view view;

        services_look(m->services, (enum service)v, clock_ms(), &view);
        if (key_changed(m->reload.report->diff, keys[v]) && view.breaker.mode == BREAKER_OPEN && !view.breaker.held)
            (void)services_order(m->services, (enum service)v, BREAKER_ORDER_PROBE, clock_ms());
    }
}

static void take_back(struct master *m)
{
    struct reload *r = &m->reload;

    log_error("reload", "the former configuration comes back", "reload", LOG_I((int64_t)r->report->number), "error",
              reload_trouble_text(r->plan.trouble), "cause", r->trouble, NULL);
    reload_restore(m);
    for (int i = 0; i <= r->plan.at && i < r->plan.n_pools; i++) {
        pools_reset(m, r->pools[i]);
        retire_others(m, r->pools[i], true);
    }
}

static void over(struct master *m)
{
    struct reload *r = &m->reload;
    struct error e = {0};
    int pool = pool_at_hand(m);

    (void)reason_error(&e, REASON_conflict, ECANCELED,
                       "Taken back, the former configuration is in effect: pool %s: %s%s%s",
                       pool >= 0 ? r->report->at : "", reload_trouble_text(r->plan.trouble),
                       r->trouble[0] != '\0' ? ": " : ".", r->trouble);
    error_hint(&e, "Correct the configuration; `docmillctl reload --dry-run` shows what changes.");
    try_services(m);
    reload_forget_next(m);
    reload_finish(m, RELOAD_END_TAKEN_BACK, &e);
}

static void carry_out(struct master *m, enum reload_action a)
{
    switch (a) {
    case RELOAD_WAIT:
        return;
    case RELOAD_SEND_CANARY:
        send_canary(m);
        return;
    case RELOAD_TRUST:
        trust(m);
        return;
    case RELOAD_COMMIT:
        reload_commit(m);
        return;
    case RELOAD_TAKE_BACK:
        take_back(m);
        return;
    case RELOAD_OVER:
        over(m);
        return;
    }
}

/* What is rolled out has its report. */
static void name_pool(struct master *m, struct reload_report *p)
{
    int at = pool_at_hand(m);

    p->state = m->reload.plan.state;
    if (at >= 0 && p->state != RELOAD_BACK)
        memcpy(p->at, m->conf->pools[at].name, sizeof p->at);
}

void reload_process(struct master *m, int64_t now, int64_t *wake)
{
    struct reload *r = &m->reload;
    enum reload_action a = RELOAD_WAIT;

    if (r->report == NULL && r->again) {
        r->again = false;
        reload_hup(m);
    }
    while (r->next != NULL && r->report != NULL) {
        const struct reload_limits limits = {.ready_ms = m->limits.ready_ms,
                                             .idle_ms = r->next->reload_canary_idle,
                                             .trial_ms = r->next->reload_canary_timeout,
                                             .retire_ms = m->conf->supervise_drain_timeout};
        struct reload_view view;
        int before = r->plan.at;

        name_pool(m, r->report);
        if (pool_at_hand(m) >= 0 && !r->choose)
            choose_again(m, pool_at_hand(m));
        if (r->choose)
            r->choose = !choose_canary(m, pool_at_hand(m));
        look(m, &view);
        a = reload_step(&r->plan, &view, &limits, now, wake);
        carry_out(m, a);
        if (a == RELOAD_WAIT && r->plan.at == before)
            return;
    }
}

/* An operator, or the pool's size, had it go: that says nothing about its configuration. */
static bool was_sent_away(const struct child_slot *s, const struct slot_death *d)
{
    switch ((enum retire_cause)s->policy.retires) {
    case RETIRE_SCALE:
    case RETIRE_DRAIN:
    case RETIRE_RECYCLE:
    case RETIRE_RESTART:
        return d->kind == DEATH_ASKED;
    default:
        return false;
    }
}

void reload_child_gone(struct master *m, struct child_slot *s, const struct slot_death *d)
{
    struct reload *r = &m->reload;
    bool canary;

    if (!rolls(r) || s->generation != r->next_generation)
        return;
    canary = s->pool == pool_at_hand(m) && r->plan.state == RELOAD_CANARY;
    if (canary)
        r->canary_rests_ms = 0;
    if (was_sent_away(s, d) || (s->policy.place == PLACE_RETIRING && !canary))
        return; /* somebody had it replaced */
    reload_child_died(&r->plan, canary, s->policy.ready_ms != 0);
    if (r->plan.trouble != RELOAD_TROUBLE_NONE && r->trouble[0] == '\0')
        snprintf(r->trouble, sizeof r->trouble, "%s", s->last_death);
}
