/*
 * tasks.c - what the coordinator does, one statement at a time
 *
 * A table gives each task its statement, the parameters and what to do with the answer. tasks_step() is called after
 * every event; it starts the most important task that is due. A failed task is due again after a backoff; a lost
 * session starts over with TASK_SESSION, since its locks are gone.
 *
 * Fatal: a session that cannot be begun at the start. Warns: failing statements, once an outage. Depends on base, core, db, queue, provider, proc.
 */
#include "coordinator/coordinator.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "db/locks.h"
#include "queue/cost.h"
#include "queue/rescue.h"
#include "queue/submit.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#define NEVER          INT64_MAX
#define TICK_MS        500
#define COUNTS_MS      2000
#define NODES_MS       2000
#define SWEEP_MS       2000
#define TIDY_MS        (30 * 1000)
#define PARTITIONS_MS  (60 * 60 * 1000)
#define NOTIFY_GAP_MS  100
#define SWEEP_AT_ONCE  20
#define PAUSES_MS      3000
#define COST_MS        2000
#define COST_AT_ONCE   500
#define BUDGET_MS      15000
#define BUDGET_AT_ONCE 1000

/* ---- statements of this file ---- */

static const char sql_space[] = "SELECT ensure_collection($1, $2, $3, $4, $5, $6)";
static const char sql_want[] = "SELECT want_space($1, $2, $3, $4, $5, $6)";
static const char sql_spaces[] = "SELECT collection, verdict, moved, space, failed FROM step_spaces($1, $2, $3, $4)";
static const char sql_notify[] = "SELECT pg_notify('docmill_wake', $1)";

/* ---- parameters ---- */

static void add_incarnation_text(struct coordinator *c, struct pg_params *p)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)c->child.incarnation);
    pg_add_text(p, text);
}

static void add_expired(struct coordinator *c, struct pg_params *p)
{
    pg_add_int4(p, (int32_t)c->conf->queue_max_attempts);
    pg_add_int8(p, c->conf->queue_retry_first);
}

static void add_dead_nodes(struct coordinator *c, struct pg_params *p)
{
    pg_add_int8(p, c->conf->node_grace);
    pg_add_int8(p, c->child.incarnation);
}

static void add_dead_jobs(struct coordinator *c, struct pg_params *p)
{
    struct rescue_limits l = coord_limits(c);

    rescue_node_params(p, c->running_ctx, c->dead_incarnation, !c->dead_polite, &l);
}

static void add_forget(struct coordinator *c, struct pg_params *p)
{
    pg_add_text(p, c->dead_name);
    pg_add_int8(p, c->dead_incarnation);
    pg_add_int8(p, c->conf->node_grace);
}

static void add_sweep(struct coordinator *c, struct pg_params *p)
{
    pg_add_int8(p, c->conf->retention_generations);
    pg_add_int4(p, SWEEP_AT_ONCE);
}

static void add_cost(struct coordinator *c, struct pg_params *p)
{
    (void)c;
    pg_add_int4(p, COST_AT_ONCE);
}

/* A budget that cannot be read is none to release for: the check of the configuration has refused it. */
static void add_budget(struct coordinator *c, struct pg_params *p)
{
    struct cost_limits limits;
    struct error e;

    if (cost_limits_of(c->conf, &limits, &e) != 0)
        limits = (struct cost_limits){0, 0};
    cost_release_params(p, &limits, BUDGET_AT_ONCE);
}

static void add_partitions(struct coordinator *c, struct pg_params *p)
{
    pg_add_int8(p, c->conf->retention_events);
}

/* ---- answers ---- */

void tasks_wake_workers(struct coordinator *c)
{
    struct channel_msg m = {.kind = CHANNEL_WAKE};

    (void)channel_send(c->child.channel, &m);
}

void tasks_again_in(struct coordinator *c, enum coord_task t, int64_t ms)
{
    c->due_ms[t] = clock_ms() + ms;
}

static void got_pauses(struct coordinator *c, const PGresult *r)
{
    bool changed = pauses_read(c, r);

    if (!c->set_up) {
        tasks_want(c, TASK_SPACE);
        return;
    }
    if (changed)
        tasks_wake_workers(c); /* and the master, which shows it */
    tasks_again_in(c, TASK_PAUSES, PAUSES_MS);
}

static void got_space(struct coordinator *c, const PGresult *r)
{
    struct score_data *s;

    (void)r;
    if (++c->collection <= c->conf->n_collections) {
        tasks_want(c, TASK_SPACE);
        return;
    }
    c->set_up = true;
    c->failures = 0;
    s = score_begin(c->child.score);
    s->db_ok = 1;
    s->phase = SCORE_READY;
    s->note[0] = '\0';
    score_end(c->child.score);
    for (int t = TASK_RELEASE; t < TASK_GOODBYE; t++)
        c->due_ms[t] = NEVER;
    for (int t = TASK_DUE; t <= TASK_COUNTS; t++)
        tasks_want(c, (enum coord_task)t);
    tasks_again_in(c, TASK_PAUSES, PAUSES_MS);
    c->due_ms[TASK_NOTIFY] = NEVER;
    deaths_want(c);
    if (c->n_audits > 0)
        tasks_want(c, TASK_AUDIT);
    if (!c->ready_said)
        child_say_ready(&c->child);
    else
        log_info("coordinator", "database session is back", NULL);
    c->ready_said = true;
    tasks_wake_workers(c); /* what was notified meanwhile went unheard */
}

static void got_release(struct coordinator *c, const PGresult *r)
{
    deaths_answered(c, PQntuples(r));
}

static void got_due(struct coordinator *c, const PGresult *r)
{
    if (pg_get_int(r, 0, 0) > 0)
        tasks_wake_workers(c);
    tasks_again_in(c, TASK_DUE, TICK_MS);
}

static void got_gates(struct coordinator *c, const PGresult *r)
{
    bool more = pg_get_int(r, 0, 0) > 0; /* also behind the gate of a service that is no longer used */

    if (more)
        tasks_wake_workers(c);
    if (gates_recovered(c))
        tasks_want(c, TASK_RECOVERED);
    if (more || gates_used(c))
        tasks_again_in(c, TASK_GATES, gates_wait_ms(c, TICK_MS));
}

static void got_tidy(struct coordinator *c, const PGresult *r)
{
    (void)r;
    tasks_again_in(c, TASK_TIDY, TIDY_MS);
}

static void got_notify(struct coordinator *c, const PGresult *r)
{
    (void)r;
    c->notified_ms = clock_ms();
}

static void got_expired(struct coordinator *c, const PGresult *r)
{
    int64_t n = pg_get_int(r, 0, 0);

    if (n > 0)
        log_warn("coordinator", "jobs past their deadline taken back", "jobs", LOG_I(n), NULL);
    tasks_again_in(c, TASK_EXPIRED, TICK_MS * 2);
}

static void got_counts(struct coordinator *c, const PGresult *r)
{
    struct score_data *s = score_begin(c->child.score);

    memset(s->queue_by_status, 0, sizeof s->queue_by_status);
    memset(s->queue_by_state, 0, sizeof s->queue_by_state);
    memset(s->queue_age_ms, 0, sizeof s->queue_age_ms);
    s->oldest_queued_ms = 0;
    for (int i = 0; i < PQntuples(r); i++) {
        int64_t status = pg_get_int(r, i, 0), state = pg_get_int(r, i, 1);
        if (status > 0 && status < STATUS_MAX_)
            s->queue_by_status[status] += pg_get_int(r, i, 2);
        if (status > 0 && status < STATUS_MAX_ && pg_get_int(r, i, 4) > s->queue_age_ms[status])
            s->queue_age_ms[status] = pg_get_int(r, i, 4);
        if (state > 0 && state < STATE_MAX_)
            s->queue_by_state[state] += pg_get_int(r, i, 2);
        if (pg_get_int(r, i, 3) > 0)
            s->oldest_queued_ms = pg_get_int(r, i, 3);
    }
    s->queue_counted_ms = clock_ms();
    score_end(c->child.score);
    tasks_again_in(c, TASK_COUNTS, COUNTS_MS);
}

static void got_dead_nodes(struct coordinator *c, const PGresult *r)
{
    if (PQntuples(r) == 0) {
        tasks_again_in(c, TASK_DEAD_NODES, NODES_MS);
        return;
    }
    snprintf(c->dead_name, sizeof c->dead_name, "%s", pg_get_text(r, 0, 0));
    c->dead_incarnation = pg_get_int(r, 0, 1);
    c->dead_polite = pg_get_bool(r, 0, 2);
    tasks_want(c, TASK_DEAD_JOBS);
}

static void got_dead_jobs(struct coordinator *c, const PGresult *r)
{
    int64_t n = pg_get_int(r, 0, 0);

    if (!pg_get_bool(r, 0, 1)) { /* another leads */
        tasks_again_in(c, TASK_DEAD_NODES, NODES_MS);
        return;
    }
    log_warn("coordinator", "node is dead, its jobs are queued again", "node", c->dead_name, "jobs", LOG_I(n), NULL);
    if (n > 0)
        tasks_wake_workers(c);
    tasks_want(c, TASK_FORGET);
}

static void got_forget(struct coordinator *c, const PGresult *r)
{
    (void)r;
    tasks_want(c, TASK_DEAD_NODES);
}

static void got_sweep(struct coordinator *c, const PGresult *r)
{
    tasks_again_in(c, TASK_SWEEP, pg_get_int(r, 0, 0) > 0 ? 50 : SWEEP_MS);
}

static void got_want(struct coordinator *c, const PGresult *r)
{
    int64_t wait = spaces_wanted(c, r);

    if (wait >= 0)
        tasks_again_in(c, TASK_WANT, wait);
    tasks_want(c, TASK_SPACES);
}

static void got_spaces(struct coordinator *c, const PGresult *r)
{
    bool wake;
    int64_t wait = spaces_stepped(c, r, &wake);

    if (wake)
        tasks_wake_workers(c);
    tasks_again_in(c, TASK_SPACES, wait);
}

/* No row: another leads. */
static void got_cost(struct coordinator *c, const PGresult *r)
{
    int64_t n = PQntuples(r) > 0 ? pg_get_int(r, 0, 0) : 0;

    if (n > 0)
        log_warn("coordinator", "requests whose cost nobody knows: their workers died", "ledger_rows", LOG_I(n), NULL);
    tasks_again_in(c, TASK_COST, n > 0 ? 50 : COST_MS);
}

static void got_budget(struct coordinator *c, const PGresult *r)
{
    int64_t n = PQntuples(r) > 0 ? pg_get_int(r, 0, 0) : 0;

    if (n > 0) {
        log_info("coordinator", "the budget has room again, documents go on", "jobs", LOG_I(n), NULL);
        tasks_want(c, TASK_DUE);
    }
    tasks_again_in(c, TASK_BUDGET, n >= BUDGET_AT_ONCE ? 50 : BUDGET_MS);
}

static void got_forget_audit(struct coordinator *c, const PGresult *r)
{
    tasks_again_in(c, TASK_FORGET_AUDIT, PQntuples(r) == 0 || audit_forgot_all(r) ? PARTITIONS_MS : 50);
}

static void got_partitions(struct coordinator *c, const PGresult *r)
{
    (void)r;
    tasks_again_in(c, TASK_PARTITIONS, PARTITIONS_MS);
}

/* ---- the table ---- */

struct task_row {
    const char *name;
    const char *sql;
    void (*params)(struct coordinator *c, struct pg_params *p);
    void (*answer)(struct coordinator *c, const PGresult *r);
};

static const struct task_row rows[TASK_COUNT_] = {
    [TASK_SESSION] = {"session", node_session_sql, node_add_name, node_got_session},
    [TASK_HOLDER] = {"holder", node_holder_sql, node_add_name, node_got_holder},
    [TASK_SCHEMA] = {"schema", node_schema_sql, NULL, node_got_schema},
    [TASK_REGISTER] = {"register", node_register_sql, node_add_register, node_got_register},
    [TASK_FORMER] = {"former", rescue_node_sql, node_add_former, node_got_former},
    [TASK_LISTEN] = {"listen", node_listen_sql, NULL, node_got_listen},
    [TASK_AGREE] = {"agree", agree_sql, agree_params, lead_got_agree},
    [TASK_RESIGN] = {"resign", lead_resign_sql, NULL, lead_got_resign},
    [TASK_PAUSES] = {"pauses", pauses_sql, NULL, got_pauses},
    [TASK_SPACE] = {"space", sql_space, spaces_ensure_params, got_space},
    [TASK_RELEASE] = {"release", rescue_release_sql, deaths_params, got_release},
    [TASK_AUDIT] = {"audit", audit_write_sql, audit_params, audit_got},
    [TASK_DUE] = {"due", rescue_due_sql, NULL, got_due},
    [TASK_RECOVERED] = {"fallbacks", gates_fallbacks_sql, gates_fallbacks_params, gates_tell_fallbacks},
    [TASK_GATES] = {"gates", submit_gates_sql, gates_params, got_gates},
    [TASK_NOTIFY] = {"notify", sql_notify, add_incarnation_text, got_notify},
    [TASK_HEARTBEAT] = {"heartbeat", node_heartbeat_sql, node_add_alive, node_got_heartbeat},
    [TASK_LEADER] = {"leader", lead_sql, lead_params, lead_got},
    [TASK_EXPIRED] = {"expired", rescue_expired_sql, add_expired, got_expired},
    [TASK_UNHEARD] = {"unheard", rescue_unheard_sql, unheard_params, unheard_got},
    [TASK_COUNTS] = {"counts", rescue_counts_sql, NULL, got_counts},
    [TASK_DEAD_NODES] = {"dead_nodes", rescue_dead_nodes_sql, add_dead_nodes, got_dead_nodes},
    [TASK_DEAD_JOBS] = {"dead_jobs", rescue_node_sql, add_dead_jobs, got_dead_jobs},
    [TASK_FORGET] = {"forget", rescue_forget_node_sql, add_forget, got_forget},
    [TASK_NOBODYS] = {"nobodys", rescue_nobodys_sql, unheard_nobodys_params, unheard_got_nobodys},
    [TASK_SWEEP] = {"sweep", rescue_sweep_sql, add_sweep, got_sweep},
    [TASK_WANT] = {"want", sql_want, spaces_ensure_params, got_want},
    [TASK_SPACES] = {"spaces", sql_spaces, spaces_step_params, got_spaces},
    [TASK_COST] = {"cost", cost_expire_sql, add_cost, got_cost},
    [TASK_BUDGET] = {"budget", cost_release_sql, add_budget, got_budget},
    [TASK_TIDY] = {"tidy", submit_tidy_sql, gates_tidy_params, got_tidy},
    [TASK_FORGET_AUDIT] = {"forget_audit", audit_forget_sql, audit_forget_params, got_forget_audit},
    [TASK_PARTITIONS] = {"partitions", rescue_partitions_sql, add_partitions, got_partitions},
    [TASK_GOODBYE] = {"goodbye", node_goodbye_sql, node_add_me, node_got_goodbye},
};

void tasks_want(struct coordinator *c, enum coord_task t)
{
    if (t == TASK_NOTIFY && clock_ms() - c->notified_ms < NOTIFY_GAP_MS)
        c->due_ms[t] = c->notified_ms + NOTIFY_GAP_MS;
    else
        c->due_ms[t] = clock_ms();
}

void tasks_session_lost(struct coordinator *c)
{
    struct score_data *s;

    for (int t = 0; t < TASK_COUNT_; t++)
        c->due_ms[t] = NEVER;
    c->set_up = false;
    c->leader = false;
    c->due_ms[TASK_SESSION] = clock_ms() + backoff_ms(50, 2000, c->failures);
    s = score_begin(c->child.score);
    s->db_ok = 0;
    s->is_leader = 0;
    score_end(c->child.score);
}

int64_t tasks_next_ms(const struct coordinator *c)
{
    int64_t next = NEVER;

    for (int t = 0; t < TASK_COUNT_; t++)
        if (c->due_ms[t] < next)
            next = c->due_ms[t];
    return next;
}

/* It will not pass by itself: the session is refused, or the schema is not there to be read. */
static bool lasts(enum coord_task t, const struct error *e)
{
    if (t == TASK_SCHEMA)
        return strcmp(e->reason, reason_name(REASON_db_error)) == 0;
    return t == TASK_SESSION && strcmp(e->reason, reason_name(REASON_db_unavailable)) != 0;
}

static void failed(struct coordinator *c, enum coord_task t, const struct error *e)
{
    struct score_data *s;

    if (c->failures++ == 0 || e->cls == ERR_INTERNAL)
        log_warn("coordinator", "a statement failed", "task", rows[t].name, "reason", e->reason, "error", e->message,
                 e->hint[0] != '\0' ? "hint" : NULL, e->hint, NULL);
    if (c->failures == 1 && e->cls != ERR_TRANSIENT)
        services_raise(c->child.services, "database", e->reason, e->message, clock_ms());
    s = score_begin(c->child.score);
    snprintf(s->note, sizeof s->note, "%.*s", (int)sizeof s->note - 1, e->message);
    score_end(c->child.score);
    if (lasts(t, e) && c->failures > 3 && !c->ready_said) {
        c->fatal_error = *e;
        if (t == TASK_SCHEMA)
            error_hint(&c->fatal_error, "Run `docmilld migrate up`.");
        c->fatal = c->fatal_error.message;
        return;
    }
    if (!pg_connected(c->pg) || !c->set_up || pg_epoch(c->pg) != c->epoch)
        tasks_session_lost(c);
    else
        c->due_ms[t] = clock_ms() + backoff_ms(200, 5000, c->failures);
}

static void answered(void *arg, const PGresult *res, const struct error *e)
{
    struct coordinator *c = arg;
    enum coord_task t = c->running;

    c->running = TASK_COUNT_;
    score_beat(c->child.score);
    if (res == NULL) {
        failed(c, t, e);
    } else {
        c->epoch = pg_epoch(c->pg);
        if (c->set_up)
            c->failures = 0;
        rows[t].answer(c, res);
    }
    TALLOC_FREE(c->running_ctx);
}

static enum coord_task next_due(const struct coordinator *c)
{
    int64_t now = clock_ms();

    for (int t = 0; t < TASK_COUNT_; t++)
        if (c->due_ms[t] <= now)
            return (enum coord_task)t;
    return TASK_COUNT_;
}

void tasks_step(struct coordinator *c)
{
    struct pg_params params;
    struct error e;
    enum coord_task t;

    if (c->running != TASK_COUNT_ || c->fatal != NULL)
        return;
    if (c->set_up && (!pg_connected(c->pg) || pg_epoch(c->pg) != c->epoch)) {
        log_warn("coordinator", "database session lost", NULL);
        tasks_session_lost(c);
    }
    t = next_due(c);
    if (t == TASK_COUNT_)
        return;
    c->due_ms[t] = NEVER;
    c->running_ctx = talloc_new(NULL);
    pg_params_init(&params, c->running_ctx);
    if (rows[t].params != NULL)
        rows[t].params(c, &params);
    c->running = t;
    if (pg_submit(c->pg, rows[t].sql, &params, 0, answered, c, &e) != 0) {
        c->running = TASK_COUNT_;
        TALLOC_FREE(c->running_ctx);
        failed(c, t, &e);
    }
}
