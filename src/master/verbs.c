/*
 * verbs.c - what the control socket's verbs answer; the shapes are in proc/control.h
 *
 * Everything comes from memory: the master's own tables and the scoreboard, whose numbers are shown and not believed.
 * One handler a verb, in a table beside the grammar of control.h; a verb without a handler does not compile.
 *
 * The three signals of health
 *   live      this process runs and answers
 *   progress  every child's loop moves, and no child's work has passed its own deadline
 *   ready     the database answers, the blob store can be written, and every pool has a child that can serve
 * An outside service that is down is shown beside them and makes none of them false.
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"
#include "master/status_parts.h"

#include "base/clock.h"
#include "core/reason.h"
#include "core/state.h"
#include "proc/control.h"
#include "proc/trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *phase_name(const struct child_slot *s, const struct score_data *d, int64_t now)
{
    static const char *const names[] = {[SCORE_FREE] = "starting",
                                        [SCORE_STARTING] = "starting",
                                        [SCORE_READY] = "ready",
                                        [SCORE_BUSY] = "busy",
                                        [SCORE_DRAINING] = "draining"};

    if (s->pid == 0)
        return s->master->pools[s->pool].faults.failed ? "failed" : s->policy.start_at_ms > now ? "backoff" : "empty";
    if (s->policy.state == SLOT_STARTING)
        return "starting";
    if (s->policy.state == SLOT_UP && d->phase == SCORE_STARTING)
        return "ready"; /* it said so, and has written nothing since */
    if (s->policy.state == SLOT_DRAINING)
        return "draining";
    if (s->policy.place == PLACE_RETIRING)
        return "retiring";
    return names[d->phase]; /* within bounds: scoreboard_read sees to it */
}

static const char *master_state(const struct master *m)
{
    if (m->stop.mode == STOP_DRAIN)
        return "draining";
    if (m->stop.mode != STOP_NONE)
        return "stopping";
    if (m->drained)
        return "drained";
    return m->ready ? "running" : "starting";
}

/* ---- health ---- */

#define REASONS_MAX   24
#define REASON_BYTES  240
#define WRITE_LATE_MS 5000 /* beyond two heartbeats: a statement may take its time */

struct signal {
    int n;
    char reasons[REASONS_MAX + 1][REASON_BYTES]; /* the last one takes what is too many, and is not shown */
};

static char *next_reason(struct signal *g)
{
    return g->reasons[g->n < REASONS_MAX ? g->n++ : REASONS_MAX];
}

#define blame(signal, ...) (void)snprintf(next_reason(signal), REASON_BYTES, __VA_ARGS__)

static void judge_progress(const struct master *m, struct signal *g)
{
    int64_t now = clock_ms();

    for (int i = 0; i < m->n_slots; i++) {
        const struct child_slot *s = &m->slots[i];
        const char *pool = m->conf->pools[s->pool].name;
        struct score_pulse p;

        if (s->policy.state == SLOT_TRACED || s->policy.state == SLOT_TERMED)
            blame(g, "%s/%d hangs and is being ended", pool, s->number);
        if (!slot_has_ready_child(s))
            continue;
        scoreboard_pulse(m->board, i, &p);
        if (now - p.beat_ms > m->limits.hang_ms / 2)
            blame(g, "%s/%d has not moved for %lld s", pool, s->number, (long long)(now - p.beat_ms) / 1000);
        if (p.busy_deadline_ms > 0 && now > p.busy_deadline_ms)
            blame(g, "%s/%d works past its deadline", pool, s->number);
    }
}

static void judge_pools(const struct master *m, struct signal *g)
{
    int ready[CONF_MAX_POOLS] = {0};
    const char *why[CONF_MAX_POOLS] = {0};

    for (int i = 0; i < m->n_slots; i++) {
        const struct child_slot *s = &m->slots[i];

        if (slot_has_ready_child(s))
            ready[s->pool]++;
        else if (why[s->pool] == NULL && s->policy.place == PLACE_HELD && s->last_death[0] != '\0')
            why[s->pool] = s->last_death;
    }
    for (int p = 0; p < m->conf->n_pools; p++)
        if (m->pools[p].faults.failed)
            blame(g, "pool %s was given up: %.130s; docmillctl reset %.31s", m->conf->pools[p].name, m->pools[p].fault,
                  m->conf->pools[p].name);
        else if (ready[p] == 0 && pools_target(m, p) > 0)
            blame(g, "pool %s has no child that is ready%s%.160s", m->conf->pools[p].name,
                  why[p] != NULL ? "; the last " : "", why[p] != NULL ? why[p] : "");
}

/* A database that answers and cannot be written, and a node that must not work. */
static void judge_coordinator(const struct master *m, struct signal *g, const struct score_data *d)
{
    int64_t late_ms = d->written_ms > 0 ? clock_ms() - d->written_ms : 0;

    if (d->db_ok == 1 && late_ms > 2 * m->conf->node_heartbeat + WRITE_LATE_MS)
        blame(g, "database: nothing could be written for %lld s", (long long)late_ms / 1000);
    if (services_differs(m->services))
        blame(g, "configuration: %s; this node claims nothing",
              d->differs[0] != '\0' ? d->differs : "it differs from the other nodes'");
}

static void judge_services(const struct master *m, struct signal *g)
{
    bool database = false, stored = false, broken = false;
    char note[96] = "";

    for (int i = 0; i < m->n_slots; i++) {
        const struct child_slot *s = &m->slots[i];
        struct score_data d;

        if (s->pid == 0)
            continue;
        (void)scoreboard_read(m->board, i, &d); /* torn: its numbers are a moment old or half new; good enough here */
        if (m->conf->pools[s->pool].role == POOL_COORDINATOR) {
            database = database || d.db_ok == 1;
            snprintf(note, sizeof note, "%s", d.note);
            judge_coordinator(m, g, &d);
        }
        stored = stored || d.storage_ok == 1;
        broken = broken || d.storage_ok == 0;
    }
    if (!database)
        blame(g, "database: the coordinator has no connection%s%s", note[0] != '\0' ? ": " : "", note);
    if (broken)
        blame(g, "storage: the blob store cannot be written");
    else if (!stored)
        blame(g, "storage: no child has tried the blob store yet");
}

static void put_signal(struct pack *p, const char *name, const struct signal *g)
{
    pack_str(p, name);
    pack_map(p);
    pack_put_bool(p, "ok", g->n == 0);
    pack_str(p, "reasons");
    pack_array(p);
    for (int i = 0; i < g->n; i++)
        pack_str(p, g->reasons[i]);
    pack_end(p);
    pack_end(p);
}

static void judge_ready(const struct master *m, struct signal *g)
{
    g->n = 0;
    if (m->stop.mode != STOP_NONE)
        blame(g, "the daemon is stopping");
    else if (m->drained)
        blame(g, "an operator drains this node; `docmillctl drain cancel` takes it back");
    judge_services(m, g);
    judge_pools(m, g);
}

/* Not part of readiness: uploads are taken, and every document that does not need the service goes its way. */
static void judge_outside(struct master *m, struct signal *g)
{
    char text[REASON_BYTES];

    for (int v = 0; v < SERVICE_MAX_; v++)
        if (service_trouble(m, (enum service)v, text, sizeof text))
            blame(g, "%s", text);
}

static int verb_health(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    struct signal live = {0}, progress = {0}, ready = {0}, outside = {0};

    (void)r;
    (void)e;
    judge_progress(m, &progress);
    judge_ready(m, &ready);
    judge_outside(m, &outside);
    pack_put_bool(p, "ok", progress.n == 0 && ready.n == 0);
    put_signal(p, "live", &live);
    put_signal(p, "progress", &progress);
    put_signal(p, "ready", &ready);
    put_signal(p, "services", &outside);
    status_put_paused(p, m);
    return 0;
}

/* ---- status ---- */

static void put_faults(struct pack *p, const struct pool_state *state)
{
    pack_put_int(p, "faults", state->faults.n);
    pack_str(p, "failed_ms_ago");
    if (state->faults.failed)
        pack_int(p, clock_ms() - state->faults.failed_ms);
    else
        pack_nil(p);
    pack_put_str(p, "fault", state->fault[0] != '\0' ? state->fault : NULL);
}

static void put_pool(struct pack *p, const struct master *m, int pool)
{
    struct pool_count count;
    uint64_t starts = 0;
    int busy = 0;

    pools_count(m, pool, &count);
    for (int i = 0; i < m->pools[pool].n_slots; i++) {
        const struct child_slot *s = pool_slot(m, pool, i);
        struct score_pulse pulse;

        starts += s->starts > 0 ? s->starts - 1 : 0;
        scoreboard_pulse(m->board, s->index, &pulse);
        if (slot_has_ready_child(s) && pulse.phase == SCORE_BUSY)
            busy++;
    }
    pack_map(p);
    pack_put_str(p, "name", m->conf->pools[pool].name);
    pack_put_str(p, "role", conf_pool_role_name(m->conf->pools[pool].role));
    pack_put_int(p, "size", pools_target(m, pool));
    pack_put_int(p, "min", m->conf->pools[pool].min);
    pack_put_int(p, "max", m->conf->pools[pool].max);
    pack_put_bool(p, "scaled", m->pools[pool].scaled != POOL_BY_DEMAND);
    pack_put_int(p, "ready", count.up);
    pack_put_int(p, "busy", busy);
    pack_put_int(p, "starting", count.starting);
    pack_put_int(p, "backoff", count.waiting);
    pack_put_int(p, "retiring", count.retiring);
    pack_put_bool(p, "drained", m->pools[pool].drained);
    pack_put_int(p, "fresh_bytes", m->pools[pool].fresh_bytes);
    pack_put_bool(p, "memory_refused", m->pools[pool].memory_refused);
    pack_put_int(p, "restarts", (int64_t)starts);
    put_faults(p, &m->pools[pool]);
    pack_end(p);
}

static void put_jobs(struct pack *p, const struct score_data *d)
{
    int n = d->n_in_hand < SCORE_IN_HAND_MAX ? d->n_in_hand : SCORE_IN_HAND_MAX;

    pack_str(p, "jobs");
    pack_array(p);
    for (int i = 0; i < n; i++) {
        char id[UUID_TEXT_LEN + 1];

        uuid_format(&d->in_hand[i].job_id, id);
        pack_map(p);
        pack_put_str(p, "job_id", id);
        pack_put_int(p, "lease", d->in_hand[i].lease);
        pack_put_str(p, "status", status_name(d->in_hand[i].status));
        pack_end(p);
    }
    pack_end(p);
}

static void put_work(struct pack *p, const struct score_data *d, int64_t now)
{
    pack_put_str(p, "stage", status_name(d->stage));
    pack_put_str(p, "note", d->note);
    pack_put_int(p, "in_hand", d->n_in_hand);
    put_jobs(p, d);
    pack_put_int(p, "since_ms", status_age(now, d->since_ms));
    pack_put_int(p, "beat_age_ms", status_age(now, d->beat_ms));
    pack_put_int(p, "progress", (int64_t)d->progress);
    pack_put_int(p, "claims", (int64_t)d->claims);
    pack_put_int(p, "jobs_done", (int64_t)d->jobs_done);
    pack_put_int(p, "jobs_failed", (int64_t)d->jobs_failed);
    pack_put_int(p, "jobs_lost", (int64_t)d->jobs_lost);
    pack_put_int(p, "requests", (int64_t)d->requests);
    pack_put_int(p, "bytes_in", (int64_t)d->bytes_in);
    pack_put_int(p, "db_reconnects", (int64_t)d->db_reconnects);
    pack_put_bool(p, "db_ok", d->db_ok == 1);
    pack_str(p, "storage_ok");
    if (d->storage_ok < 0)
        pack_nil(p); /* not tried */
    else
        pack_bool(p, d->storage_ok == 1);
    pack_put_int(p, "private_bytes", d->private_bytes);
}

static void put_child(struct pack *p, const struct child_slot *s, const struct score_data *d, bool torn, int64_t now)
{
    const struct pool_conf *pool = &s->master->conf->pools[s->pool];

    pack_map(p);
    pack_put_str(p, "pool", pool->name);
    pack_put_str(p, "role", conf_pool_role_name(pool->role));
    pack_put_int(p, "slot", s->number);
    pack_put_int(p, "pid", s->pid);
    pack_put_int(p, "serial", s->serial);
    pack_put_str(p, "phase", phase_name(s, d, now));
    put_work(p, d, now);
    pack_put_int(p, "age_ms", s->pid != 0 ? status_age(now, s->started_ms) : 0);
    pack_put_bool(p, "torn", torn);
    pack_put_int(p, "starts", (int64_t)s->starts);
    pack_put_int(p, "start_in_ms", s->pid == 0 && s->policy.start_at_ms > now ? s->policy.start_at_ms - now : 0);
    pack_put_str(p, "last_death", s->last_death[0] != '\0' ? s->last_death : NULL);
    pack_end(p);
}

static void put_deaths(struct pack *p, const struct master *m, int64_t now)
{
    uint64_t first = m->n_recent > MASTER_DEATHS_KEPT ? m->n_recent - MASTER_DEATHS_KEPT : 0;

    pack_str(p, "audit");
    pack_map(p);
    pack_put_int(p, "pending", audit_pending(m));
    pack_put_int(p, "dropped", (int64_t)audit_dropped(m));
    pack_end(p);
    pack_put_int(p, "deaths_pending", m->n_deaths);
    pack_str(p, "deaths");
    pack_array(p);
    for (uint64_t i = first; i < m->n_recent; i++) {
        const struct death_record *d = &m->recent[i % MASTER_DEATHS_KEPT];

        pack_map(p);
        pack_put_int(p, "ago_ms", status_age(now, d->at_ms));
        pack_put_str(p, "pool", m->conf->pools[d->death.pool].name);
        pack_put_int(p, "slot", m->slots[d->slot].number);
        pack_put_int(p, "pid", d->death.pid);
        pack_put_int(p, "serial", d->death.serial);
        pack_put_str(p, "cause", d->cause);
        pack_put_str(p, "trace", d->trace[0] != '\0' ? d->trace : NULL);
        pack_put_int(p, "exit_code", d->death.exit_code);
        pack_put_int(p, "signal", d->death.signal);
        pack_put_bool(p, "by_us", d->death.sent_by_us != 0);
        pack_put_int(p, "in_hand", d->death.n_in_hand);
        pack_put_int(p, "in_hand_ms", d->death.in_hand_ms);
        pack_put_str(p, "stage", status_name(d->death.stage));
        pack_put_bool(p, "torn", d->death.torn != 0);
        pack_put_int(p, "cpu_ms", d->death.utime_ms + d->death.stime_ms);
        pack_put_int(p, "maxrss_kb", d->death.maxrss_kb);
        pack_end(p);
    }
    pack_end(p);
}

static void put_self(struct pack *p, const struct master *m, int64_t now)
{
    struct signal ready;

    judge_ready(m, &ready);
    pack_put_str(p, "version", DOCMILL_VERSION);
    pack_put_int(p, "pid", getpid());
    pack_put_str(p, "node", m->conf->node_name);
    pack_put_str(p, "run_dir", m->conf->run_dir);
    pack_put_str(p, "listen", m->listen_address[0] != '\0' ? m->listen_address : NULL);
    pack_put_int(p, "incarnation", m->incarnation);
    pack_put_str(p, "state", master_state(m));
    pack_put_int(p, "uptime_ms", now - m->started_ms);
    pack_put_bool(p, "ready", ready.n == 0);
    reload_put_status(p, m);
}

static int verb_status(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    struct master_totals totals = m->totals;
    struct score_data d, coordinator;
    const struct score_data *queue = NULL;
    int64_t now = clock_ms();

    (void)r;
    (void)e;
    put_self(p, m, now);
    pack_str(p, "pools");
    pack_array(p);
    for (int i = 0; i < m->conf->n_pools; i++)
        if (!pool_is_gone(m, i) || pool_has_children(m, i))
            put_pool(p, m, i);
    pack_end(p);
    pack_str(p, "children");
    pack_array(p);
    for (int i = 0; i < m->n_slots; i++) {
        bool torn;

        if (m->slots[i].policy.place == PLACE_FREE)
            continue;
        torn = scoreboard_read(m->board, i, &d) != 0;
        put_child(p, &m->slots[i], &d, torn, now);
        status_add_living(&totals, &d);
        if (m->conf->pools[m->slots[i].pool].role == POOL_COORDINATOR) {
            coordinator = d;
            queue = &coordinator;
        }
    }
    pack_end(p);
    status_put_queue(p, queue, now);
    status_put_totals(p, &totals);
    status_put_services_down(p, m);
    status_put_paused(p, m);
    put_deaths(p, m, now);
    return 0;
}

/* ---- version, stop ---- */

static int verb_version(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    (void)r;
    (void)e;
    pack_put_str(p, "version", DOCMILL_VERSION);
    pack_put_int(p, "pid", getpid());
    pack_put_str(p, "node", m->conf->node_name);
    pack_put_str(p, "build_id", trace_build_id());
    pack_put_int(p, "started_ms_ago", clock_ms() - m->started_ms);
    return 0;
}

static int verb_stop(struct master *m, const struct control_request *r, struct pack *p, struct error *e)
{
    char mode[16];
    int bad = control_arg_text(r, "mode", "drain", mode, sizeof mode, e);

    if (bad != 0)
        return bad;
    if (strcmp(mode, "drain") == 0)
        supervise_stop(m, STOP_DRAIN);
    else if (strcmp(mode, "fast") == 0)
        supervise_stop(m, STOP_FAST);
    else if (strcmp(mode, "now") == 0)
        supervise_stop(m, STOP_NOW);
    else
        return reason_error(e, REASON_bad_request, EINVAL, "stop: mode is \"%s\"; it may be drain, fast or now.", mode);
    pack_put_str(p, "state", master_state(m));
    pack_put_int(p, "limit_ms", m->stop.all_by_ms > clock_ms() ? m->stop.all_by_ms - clock_ms() : 0);
    return 0;
}

/* ---- dispatch ---- */

typedef int (*verb_handler)(struct master *m, const struct control_request *r, struct pack *p, struct error *e);

/* clang-format off: a line each */
static const verb_handler handlers[CONTROL_VERB_MAX_] = {
    [CONTROL_VERB_STATUS] = verb_status,
    [CONTROL_VERB_HEALTH] = verb_health,
    [CONTROL_VERB_BREAKERS] = verb_breakers,
    [CONTROL_VERB_BREAKER] = verb_breaker,
    [CONTROL_VERB_ERRORS] = verb_errors,
    [CONTROL_VERB_VERSION] = verb_version,
    [CONTROL_VERB_LOG_LEVELS] = verb_log_levels,
    [CONTROL_VERB_LOG_LEVEL] = verb_log_level,
    [CONTROL_VERB_RECYCLE] = verb_recycle,
    [CONTROL_VERB_RESTART] = verb_restart,
    [CONTROL_VERB_RESET] = verb_reset,
    [CONTROL_VERB_SCALE] = verb_scale,
    [CONTROL_VERB_DRAIN] = verb_drain,
    [CONTROL_VERB_RELOAD] = verb_reload,
    [CONTROL_VERB_RELOAD_STATUS] = verb_reload_status,
    [CONTROL_VERB_STOP] = verb_stop,
};
/* clang-format on */

int verb_answer(struct master *m, const struct control_request *r, struct pack *reply, const void *talloc_parent,
                struct error *e)
{
    int v = control_verb_parse(r->verb);
    int bad;

    if (v < 0 || handlers[v] == NULL) {
        (void)reason_error(e, REASON_bad_request, EINVAL, "There is no verb \"%s\".", r->verb);
        error_hint(e, "`docmillctl --help` lists the verbs.");
        return control_reply_error(reply, talloc_parent, r->id, e);
    }
    control_reply_begin(reply, talloc_parent, r->id, true);
    bad = handlers[v](m, r, reply, e);
    return bad != 0 ? control_reply_error(reply, talloc_parent, r->id, e) : control_reply_end(reply);
}
