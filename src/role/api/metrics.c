/*
 * metrics.c - see metrics.h: the table of metrics as text
 *
 * One function puts the samples of one family; it knows neither format. What a label's value may hold is our own: names
 * of pools, statuses, services.
 *
 * Depends on core, proc, talloc.
 */
#include "api/metrics.h"

#include "core/state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#define FIRST_BYTES   16384
#define LABELS_MAX    128
#define MS_PER_S      1e3
#define US_PER_S      1e6
#define STAGE_HIST_MS 1 /* bucket i counts times below so many << i */

struct text {
    char *buf;
    size_t n, room;
    bool failed, openmetrics;
};

struct metric {
    const char *family;
    enum metric_type type;
    const char *unit;
    void (*put)(struct text *t, const struct metric *m, const struct metrics_view *v);
    const char *help;
};

/* ---- text ---- */

static void grow(struct text *t, size_t more)
{
    size_t room = t->room;
    char *bigger;

    if (t->failed || t->n + more < t->room)
        return;
    while (t->n + more >= room)
        room *= 2;
    bigger = talloc_realloc(NULL, t->buf, char, (unsigned)room);
    t->failed = bigger == NULL;
    if (t->failed)
        return;
    t->buf = bigger;
    t->room = room;
}

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *fmt, ...)
{
    va_list ap;
    int n;

    grow(t, 1024);
    if (t->failed)
        return;
    va_start(ap, fmt);
    n = vsnprintf(t->buf + t->n, t->room - t->n, fmt, ap);
    va_end(ap);
    t->failed = n < 0 || (size_t)n >= t->room - t->n;
    t->n += t->failed ? 0 : (size_t)n;
}

/* labels: "" or {name="value",...}. */
static void sample(struct text *t, const struct metric *m, const char *labels, double value)
{
    put(t, "%s%s%s %.17g\n", m->family, m->type == METRIC_COUNTER ? "_total" : "", labels, value);
}

static void head(struct text *t, const struct metric *m)
{
    static const char *const types[] = {
        [METRIC_GAUGE] = "gauge", [METRIC_COUNTER] = "counter", [METRIC_HISTOGRAM] = "histogram"};
    const char *suffix = m->type == METRIC_COUNTER && !t->openmetrics ? "_total" : "";

    put(t, "# HELP %s%s %s\n# TYPE %s%s %s\n", m->family, suffix, m->help, m->family, suffix, types[m->type]);
    if (t->openmetrics && *m->unit != '\0')
        put(t, "# UNIT %s %s\n", m->family, m->unit);
}

/* bucket i: up to first_s << i seconds; the last one without end. label: NAME="value", or "". */
static void histogram(struct text *t, const struct metric *m, const char *label, const uint64_t *bucket, int n,
                      double first_s, double sum_s)
{
    const char *comma = *label != '\0' ? "," : "", *open = *label != '\0' ? "{" : "",
               *close = *label != '\0' ? "}" : "";
    uint64_t count = 0;

    for (int i = 0; i < n; i++) {
        count += bucket[i];
        if (i < n - 1)
            put(t, "%s_bucket{%s%sle=\"%.9g\"} %" PRIu64 "\n", m->family, label, comma, first_s * (double)(1LL << i),
                count);
        else
            put(t, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", m->family, label, comma, count);
    }
    put(t, "%s_sum%s%s%s %.17g\n", m->family, open, label, close, sum_s);
    put(t, "%s_count%s%s%s %" PRIu64 "\n", m->family, open, label, close, count);
}

/* ---- what several need ---- */

static const struct score_data *coordinator(const struct metrics_view *v)
{
    for (int i = 0; i < SCORE_SLOTS; i++) {
        const struct score_data *d = &v->slots[i];
        if (d->pid > 0 && d->pool >= 0 && d->pool < CONF_MAX_POOLS && v->totals.pools[d->pool].role == POOL_COORDINATOR)
            return d;
    }
    return NULL;
}

static const char *pool_label(const struct metrics_view *v, int pool)
{
    return pool >= 0 && pool < CONF_MAX_POOLS ? v->totals.pools[pool].name : "";
}

/* Of all children, those that are gone too. */
static void add_up(struct metrics_view *v)
{
    v->all = v->totals.gone;
    for (int i = 0; i < SCORE_SLOTS; i++)
        if (v->slots[i].pid > 0)
            counters_add(&v->all, &v->slots[i].counters);
}

static void sample_by(struct text *t, const struct metric *m, const char *name, const char *value, double number)
{
    char labels[LABELS_MAX];

    snprintf(labels, sizeof labels, "{%s=\"%s\"}", name, value);
    sample(t, m, labels, number);
}

static void sample_of_pool(struct text *t, const struct metric *m, const char *pool, const char *name,
                           const char *value, double number)
{
    char labels[LABELS_MAX];

    snprintf(labels, sizeof labels, "{pool=\"%s\",%s=\"%s\"}", pool, name, value);
    sample(t, m, labels, number);
}

/* ---- processes ---- */

static void put_build(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    (void)v;
    sample_by(t, m, "version", DOCMILL_VERSION, 1);
}

static void put_uptime(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    sample(t, m, "", v->totals.started_ms > 0 ? (double)(v->now_ms - v->totals.started_ms) / MS_PER_S : 0);
}

static void put_processes(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    static const char *const phases[] = {
        [SCORE_STARTING] = "starting", [SCORE_READY] = "ready", [SCORE_BUSY] = "busy", [SCORE_DRAINING] = "draining"};
    int n[CONF_MAX_POOLS][SCORE_DRAINING + 1] = {0};

    for (int i = 0; i < SCORE_SLOTS; i++) {
        const struct score_data *d = &v->slots[i];
        if (d->pid > 0 && d->pool >= 0 && d->pool < CONF_MAX_POOLS)
            n[d->pool][d->phase == SCORE_STARTING && d->db_ok == 1 ? SCORE_READY : d->phase]++;
    }
    for (int p = 0; p < CONF_MAX_POOLS; p++)
        for (int s = SCORE_STARTING; s <= SCORE_DRAINING && v->totals.pools[p].name[0] != '\0'; s++)
            sample_of_pool(t, m, v->totals.pools[p].name, "state", phases[s], n[p][s]);
}

static void put_cpu(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    uint64_t user[CONF_MAX_POOLS], sys[CONF_MAX_POOLS];

    for (int p = 0; p < CONF_MAX_POOLS; p++) {
        user[p] = v->totals.pools[p].user_us;
        sys[p] = v->totals.pools[p].system_us;
    }
    for (int i = 0; i < SCORE_SLOTS; i++) {
        const struct score_data *d = &v->slots[i];
        if (d->pid > 0 && d->pool >= 0 && d->pool < CONF_MAX_POOLS) {
            user[d->pool] += d->user_us;
            sys[d->pool] += d->system_us;
        }
    }
    sample_of_pool(t, m, "master", "mode", "user", (double)v->totals.user_us / US_PER_S);
    sample_of_pool(t, m, "master", "mode", "system", (double)v->totals.system_us / US_PER_S);
    for (int p = 0; p < CONF_MAX_POOLS; p++) {
        if (v->totals.pools[p].name[0] == '\0')
            continue;
        sample_of_pool(t, m, v->totals.pools[p].name, "mode", "user", (double)user[p] / US_PER_S);
        sample_of_pool(t, m, v->totals.pools[p].name, "mode", "system", (double)sys[p] / US_PER_S);
    }
}

static void put_each(struct text *t, const struct metric *m, const struct metrics_view *v, int64_t of_master,
                     int64_t (*of)(const struct score_data *d))
{
    char slot[16];

    if (of_master > 0)
        sample_of_pool(t, m, "master", "slot", "", (double)of_master);
    for (int i = 0; i < SCORE_SLOTS; i++) {
        const struct score_data *d = &v->slots[i];
        if (d->pid <= 0 || of(d) <= 0)
            continue;
        snprintf(slot, sizeof slot, "%d", i);
        sample_of_pool(t, m, pool_label(v, d->pool), "slot", slot, (double)of(d));
    }
}

static int64_t pss_of(const struct score_data *d)
{
    return d->private_bytes;
}

static int64_t descriptors_of(const struct score_data *d)
{
    return d->descriptors;
}

static void put_pss(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    put_each(t, m, v, v->totals.pss_bytes, pss_of);
}

static void put_descriptors(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    put_each(t, m, v, v->totals.descriptors, descriptors_of);
}

static void put_starts(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    for (int p = 0; p < CONF_MAX_POOLS; p++)
        if (v->totals.pools[p].name[0] != '\0')
            sample_by(t, m, "pool", v->totals.pools[p].name, (double)v->totals.pools[p].starts);
}

static void put_deaths(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    for (int p = 0; p < CONF_MAX_POOLS; p++)
        for (int c = 0; c < CAUSE_MAX_ && v->totals.pools[p].name[0] != '\0'; c++)
            sample_of_pool(t, m, v->totals.pools[p].name, "cause", death_cause_name((enum death_cause)c),
                           (double)v->totals.pools[p].deaths[c]);
}

/* ---- node, queue, stages ---- */

static void put_leader(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    const struct score_data *c = coordinator(v);

    sample(t, m, "", c != NULL && c->is_leader == 1);
}

static void put_differs(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    sample(t, m, "", services_differs(v->services));
}

static void put_queue(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    const struct score_data *c = coordinator(v);

    for (int s = 1; c != NULL && c->queue_counted_ms > 0 && s < STATUS_MAX_; s++)
        if (status_name(s) != NULL && !status_is_end(s))
            sample_by(t, m, "status", status_name(s), (double)c->queue_by_status[s]);
}

static void put_queue_state(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    const struct score_data *c = coordinator(v);

    for (int s = 1; c != NULL && c->queue_counted_ms > 0 && s < STATE_MAX_; s++)
        if (state_name(s) != NULL && !state_is_end(s))
            sample_by(t, m, "state", state_name(s), (double)c->queue_by_state[s]);
}

static void put_queue_age(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    const struct score_data *c = coordinator(v);

    if (c != NULL && c->queue_counted_ms > 0)
        sample(t, m, "", (double)c->oldest_queued_ms / MS_PER_S);
}

static void put_queue_status_age(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    const struct score_data *c = coordinator(v);

    for (int s = 1; c != NULL && c->queue_counted_ms > 0 && s < STATUS_MAX_; s++)
        if (status_name(s) != NULL && !status_is_end(s))
            sample_by(t, m, "status", status_name(s), (double)c->queue_age_ms[s] / MS_PER_S);
}

static void put_queue_counted(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    const struct score_data *c = coordinator(v);

    if (c != NULL && c->queue_counted_ms > 0)
        sample(t, m, "", (double)(v->now_ms - c->queue_counted_ms) / MS_PER_S);
}

static void put_stages(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    const struct score_counters *all = &v->all;
    char label[LABELS_MAX];

    for (int s = 1; s < STATUS_MAX_; s++) {
        if (status_name(s) == NULL || all->stage_count[s] == 0)
            continue;
        snprintf(label, sizeof label, "stage=\"%s\"", status_name(s));
        histogram(t, m, label, all->stage_hist[s], SCORE_HIST_BUCKETS, STAGE_HIST_MS / MS_PER_S,
                  (double)all->stage_sum_ms[s] / MS_PER_S);
    }
}

static void put_jobs(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    const struct score_counters *all = &v->all;

    sample_by(t, m, "result", "done", (double)all->jobs_done);
    sample_by(t, m, "result", "failed", (double)all->jobs_failed);
    sample_by(t, m, "result", "lost", (double)all->jobs_lost);
}

static void put_claims(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    sample(t, m, "", (double)v->all.claims);
}

static void put_requests(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    sample(t, m, "", (double)v->all.requests);
}

static void put_bytes_in(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    sample(t, m, "", (double)v->all.bytes_in);
}

/* ---- database, storage, services, log ---- */

static void put_db_up(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    const struct score_data *c = coordinator(v);

    sample(t, m, "", c != NULL && c->db_ok == 1);
}

static void put_db_waits(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    const struct score_counters *all = &v->all;

    histogram(t, m, "", all->db_waits.bucket, HISTOGRAM_BUCKETS, HISTOGRAM_FIRST_US / US_PER_S,
              (double)all->db_waits.sum_us / US_PER_S);
}

static void put_db_connects(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    sample(t, m, "", (double)v->all.db_connects);
}

static void put_storage_up(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    bool good = false, bad = false;

    for (int i = 0; i < SCORE_SLOTS; i++) {
        good = good || (v->slots[i].pid > 0 && v->slots[i].storage_ok == 1);
        bad = bad || (v->slots[i].pid > 0 && v->slots[i].storage_ok == 0);
    }
    sample(t, m, "", good && !bad);
}

static void put_service_up(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    for (int s = 0; s < SERVICE_MAX_; s++)
        sample_by(t, m, "service", service_name((enum service)s),
                  services_down_ms(v->services, (enum service)s, v->now_ms) == 0);
}

static void put_service(struct text *t, const struct metric *m, const struct metrics_view *v,
                        double (*of)(const struct service_view *s))
{
    for (int s = 0; s < SERVICE_MAX_; s++) {
        struct service_view view;
        services_look(v->services, (enum service)s, v->now_ms, &view);
        sample_by(t, m, "service", service_name((enum service)s), of(&view));
    }
}

static double requests_of(const struct service_view *s)
{
    return (double)s->requests;
}

static double failures_of(const struct service_view *s)
{
    return (double)s->failures;
}

static double wait_of(const struct service_view *s)
{
    return (double)s->waited_ms / MS_PER_S;
}

static void put_service_requests(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    put_service(t, m, v, requests_of);
}

static void put_service_failures(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    put_service(t, m, v, failures_of);
}

static void put_service_wait(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    put_service(t, m, v, wait_of);
}

static void put_log_dropped(struct text *t, const struct metric *m, const struct metrics_view *v)
{
    sample(t, m, "", (double)(v->all.log_dropped + v->totals.log_dropped));
}

/* ---- the whole ---- */

#define X_METRIC(NAME, family, type, unit, function, help) {family, METRIC_##type, unit, function, help},
static const struct metric metrics[] = {METRICS(X_METRIC)};
#undef X_METRIC

char *metrics_text(const void *talloc_parent, struct metrics_view *v, bool openmetrics, size_t *n)
{
    struct text t = {
        .buf = talloc_array(talloc_parent, char, FIRST_BYTES), .room = FIRST_BYTES, .openmetrics = openmetrics};

    t.failed = t.buf == NULL;
    add_up(v);
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        head(&t, &metrics[i]);
        metrics[i].put(&t, &metrics[i], v);
    }
    if (openmetrics)
        put(&t, "# EOF\n");
    if (t.failed)
        TALLOC_FREE(t.buf);
    *n = t.n;
    return t.buf;
}
