/*
 * reload_report.c - what a reload was asked, what it changes, how it went: for the log, for `status`, for its verbs
 *
 * The last RELOAD_KEPT reports are kept; `reload-status` answers about one of them, from memory. Secrets are masked
 * before they get here (conf_diff.h).
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "proc/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *word;
    bool good;
} outcomes[] = {
#define X_OUTCOME(NAME, word, good, help) [RELOAD_END_##NAME] = {word, good},
    RELOAD_OUTCOMES(X_OUTCOME)
#undef X_OUTCOME
};

static const char *const fates[] = {[CONF_POOL_KEPT] = "kept",
                                    [CONF_POOL_RESIZED] = "resized",
                                    [CONF_POOL_REPLACED] = "replaced",
                                    [CONF_POOL_NEW] = "new",
                                    [CONF_POOL_GONE] = "gone"};

bool reload_outcome_is_good(enum reload_outcome o)
{
    return outcomes[o].good;
}

/* ---- what it changes ---- */

static int count_held(const struct master *m, int pool)
{
    struct pool_count count;

    pools_count(m, pool, &count);
    return count.held;
}

void reload_describe(struct master *m, struct reload_report *r, const struct conf_diff *d)
{
    r->n_pools = 0;
    for (int i = 0; i < d->n_pools; i++) {
        const struct conf_pool_change *c = &d->pools[i];
        const struct pool_conf *any = c->to != NULL ? c->to : c->from;
        struct reload_pool *p = &r->pools[r->n_pools];

        if (c->fate == CONF_POOL_KEPT)
            continue;
        *p = (struct reload_pool){.role = conf_pool_role_name(any->role), .fate = c->fate};
        memcpy(p->name, any->name, sizeof p->name);
        p->children = c->from != NULL ? count_held(m, (int)(c->from - d->running->pools)) : c->to->max;
        r->n_pools++;
    }
}

void reload_log_changes(const struct reload_report *r)
{
    for (int i = 0; i < r->diff->n_changes; i++) {
        const struct conf_change *c = &r->diff->changes[i];

        log_event(c->restart ? LOG_LVL_WARN : LOG_LVL_INFO, "reload",
                  c->restart ? "a key waits for a restart of the daemon" : "a key changes", "key", c->name, "from",
                  c->from, "to", c->to, NULL);
    }
}

void reload_log_end(struct master *m, const struct reload_report *r)
{
    const char *word = outcomes[r->outcome].word;
    char what[64];

    if (r->dry_run)
        return;
    snprintf(what, sizeof what, "{\"reload\":%llu,\"by\":\"%s\"}", (unsigned long long)r->number,
             r->by_signal ? "HUP" : "docmillctl");
    audit_outcome(m, "reload", what, word);
    if (outcomes[r->outcome].good) {
        log_info("reload", "the reload is over", "reload", LOG_I(r->number), "outcome", word, "after_ms",
                 LOG_I(r->ended_ms - r->began_ms), NULL);
        return;
    }
    log_error("reload", "the reload failed", "reload", LOG_I(r->number), "outcome", word, "reason", r->error.reason,
              "error", r->error.message, "hint", r->error.hint, NULL);
    if (r->outcome != RELOAD_END_ABANDONED)
        services_raise(m->services, "reload", r->error.reason, r->error.message, clock_ms());
}

/* ---- answers ---- */

static void put_changes(struct pack *p, const struct conf_diff *d)
{
    pack_str(p, "changes");
    pack_array(p);
    for (int i = 0; d != NULL && i < d->n_changes; i++) {
        pack_map(p);
        pack_put_str(p, "key", d->changes[i].name);
        pack_put_str(p, "from", d->changes[i].from);
        pack_put_str(p, "to", d->changes[i].to);
        pack_put_bool(p, "needs_restart", d->changes[i].restart);
        pack_end(p);
    }
    pack_end(p);
}

static void put_pools(struct pack *p, const struct reload_report *r)
{
    pack_str(p, "pools");
    pack_array(p);
    for (int i = 0; i < r->n_pools; i++) {
        pack_map(p);
        pack_put_str(p, "pool", r->pools[i].name);
        pack_put_str(p, "role", r->pools[i].role);
        pack_put_str(p, "fate", fates[r->pools[i].fate]);
        pack_put_int(p, "children", r->pools[i].children);
        pack_end(p);
    }
    pack_end(p);
}

static void put_error(struct pack *p, const struct reload_report *r)
{
    pack_str(p, "error");
    if (r->error.code == 0) {
        pack_nil(p);
        return;
    }
    pack_map(p);
    pack_put_str(p, "reason", r->error.reason);
    pack_put_str(p, "message", r->error.message);
    pack_put_str(p, "hint", r->error.hint);
    pack_end(p);
}

static void put_report(struct pack *p, const struct reload_report *r)
{
    int64_t until = r->ended_ms > 0 ? r->ended_ms : clock_ms();

    pack_put_int(p, "number", (int64_t)r->number);
    pack_put_bool(p, "dry_run", r->dry_run);
    pack_put_str(p, "by", r->by_signal ? "HUP" : "docmillctl");
    pack_put_str(p, "outcome", outcomes[r->outcome].word);
    pack_put_bool(p, "ok", outcomes[r->outcome].good);
    pack_put_str(p, "state",
                 r->outcome != RELOAD_END_RUNNING ? "over"
                 : r->plan[0] == '\0'             ? "reading"
                                                  : reload_state_name(r->state));
    pack_put_str(p, "pool", r->at[0] != '\0' ? r->at : NULL);
    pack_put_int(p, "took_ms", until - r->began_ms);
    pack_put_str(p, "plan", r->plan[0] != '\0' ? r->plan : NULL);
    pack_put_int(p, "former_secrets_ms", r->grace_ms);
    put_changes(p, r->diff);
    put_pools(p, r);
    put_error(p, r);
}

static const struct reload_report *find_report(const struct master *m, uint64_t number)
{
    const struct reload *r = &m->reload;
    const struct reload_report *p =
        r->report != NULL && r->report->number == number ? r->report : r->kept[number % RELOAD_KEPT];

    return p != NULL && p->number == number ? p : NULL;
}

bool reload_runs(const struct master *m)
{
    return m->reload.report != NULL && !m->reload.report->dry_run;
}

void reload_add_words(const struct master *m, char *text, size_t size)
{
    const struct reload *r = &m->reload;
    const struct reload_report *last = r->last_real > 0 ? find_report(m, r->last_real) : NULL;
    size_t n = strlen(text);

    if (last == NULL || outcomes[last->outcome].good || last->outcome == RELOAD_END_RUNNING)
        return;
    snprintf(text + n, size - n, "; reload %" PRIu64 " failed: %s", last->number, last->error.message);
    for (; text[n] != '\0'; n++) /* a line break would begin another word to systemd */
        if ((unsigned char)text[n] < ' ')
            text[n] = ' ';
}

void reload_put_status(struct pack *p, const struct master *m)
{
    const struct reload *r = &m->reload;
    const struct reload_report *last = r->last_real > 0 ? find_report(m, r->last_real) : NULL;

    pack_put_int(p, "generation", (int64_t)m->generation);
    pack_put_str(p, "restart_pending", r->pending);
    pack_str(p, "reload");
    if (last == NULL) {
        pack_nil(p);
        return;
    }
    pack_map(p);
    pack_put_int(p, "number", (int64_t)last->number);
    pack_put_str(p, "outcome", outcomes[last->outcome].word);
    pack_put_str(p, "error", last->error.code != 0 ? last->error.message : NULL);
    pack_end(p);
}

int verb_reload(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    char mode[16], plan[RELOAD_PLAN_CHARS + 1];
    uint64_t number = 0;
    int bad = control_arg_text(r, "mode", "run", mode, sizeof mode, e);

    if (bad == 0)
        bad = control_arg_text(r, "plan", "", plan, sizeof plan, e);
    if (bad != 0)
        return bad;
    if (strcmp(mode, "run") != 0 && strcmp(mode, "plan") != 0)
        return reason_error(e, REASON_bad_request, EINVAL, "reload: mode is \"%s\"; it may be run or plan.", mode);
    bad = reload_start(m, strcmp(mode, "plan") == 0, false, plan, &number, e);
    if (bad != 0)
        return bad;
    pack_put_int(p, "number", (int64_t)number);
    return 0;
}

int verb_reload_status(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    const struct reload_report *report;
    char text[24], *end = NULL;
    unsigned long long number;
    int bad = control_arg_text(r, "number", "", text, sizeof text, e);

    if (bad != 0)
        return bad;
    number = text[0] != '\0' ? strtoull(text, &end, 10) : m->reload.number;
    if (end != NULL && *end != '\0')
        return reason_error(e, REASON_bad_request, EINVAL, "reload-status: the number is \"%s\".", text);
    report = find_report(m, number);
    if (report == NULL)
        return reason_error(e, REASON_not_found, ENOENT, "Nothing is known of reload %llu; the last %d are.", number,
                            RELOAD_KEPT);
    put_report(p, report);
    return 0;
}
