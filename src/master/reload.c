/*
 * reload.c - one reload from its order to its report; replacing the children is reload_roll.c's
 *
 * Nothing is changed before everything that can refuse has agreed: the file is read and checked by a helper, what would
 * be in effect is checked once more, and room for the pools is found. From then on there is a way back at every step,
 * which needs no file and no memory of anything but the former configuration.
 *
 * systemd is told RELOADING when one begins and READY when it is over, however it went: it knows no failure of a reload.
 *
 * Diagnostics
 *   info    each change, the way of a reload
 *   warns   keys that wait for a restart; a HUP while the daemon stops
 *   error   a reload that was refused or taken back; `docmillctl errors` keeps it
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "proc/logs.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <systemd/sd-daemon.h>
#include <talloc.h>

#define READ_LIMIT_MS 10000

void reload_init(struct master *m, const char *path)
{
    struct reload *r = &m->reload;

    r->path = path;
    r->canary = -1;
    r->reader = conf_reader_new(m, m->event);
    if (getrandom(r->key, sizeof r->key, 0) != (ssize_t)sizeof r->key)
        log_panic("reload", "no random numbers");
}

void reload_end(struct master *m)
{
    talloc_free(m->reload.reader);
    m->reload.reader = NULL;
}

/* ---- the end of one ---- */

static void notify_begin(const struct master *m)
{
    if (m->ready)
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_ns() / 1000);
}

static void keep_report(struct reload *r)
{
    struct reload_report **place = &r->kept[r->report->number % RELOAD_KEPT];

    talloc_free(*place);
    *place = r->report;
    r->report = NULL;
}

void reload_finish(struct master *m, enum reload_outcome outcome, const struct error *e)
{
    struct reload_report *p = m->reload.report;

    p->outcome = outcome;
    p->state = RELOAD_IDLE;
    p->ended_ms = clock_ms();
    if (e != NULL)
        p->error = *e;
    reload_log_end(m, p);
    if (!p->dry_run && m->ready && m->stop.mode == STOP_NONE)
        sd_notify(0, "READY=1");
    keep_report(&m->reload);
}

/* What the running daemon does not have of its file, for `status`. */
static void remember_pending(struct reload *r)
{
    const struct conf_diff *d = r->report->diff;

    talloc_free(r->pending);
    r->pending = NULL;
    for (int i = 0; i < d->n_changes; i++) {
        if (!d->changes[i].restart)
            continue;
        if (r->pending == NULL)
            r->pending = talloc_strdup(r->reader, d->changes[i].name);
        else
            r->pending = talloc_asprintf_append(r->pending, ", %s", d->changes[i].name);
    }
}

/* ---- commit, and the way back ---- */

void reload_commit(struct master *m)
{
    struct reload *r = &m->reload;
    enum log_level level;

    pools_adopt(m, r->report->diff, r->next);
    supervise_apply(m);
    services_apply(m->services, m->conf);
    logs_apply(m->conf, "master");
    if (strcmp(r->former->log_level, m->conf->log_level) != 0 && log_level_parse(m->conf->log_level, &level) == 0)
        (void)log_set_level(NULL, level); /* in the memory that all children look at */
    remember_pending(r);
    if (r->own != NULL) /* else it is our caller's */
        talloc_free(r->own);
    r->own = r->next;
    r->former = r->next = NULL;
    reload_finish(m, RELOAD_END_DONE, NULL);
}

void reload_restore(struct master *m)
{
    struct reload *r = &m->reload;

    pools_disown(m, r->former, r->next);
    m->conf = r->former;
    m->generation = r->former_generation;
}

void reload_forget_next(struct master *m)
{
    talloc_free(m->reload.next);
    m->reload.next = NULL;
    m->reload.former = NULL;
}

void reload_abandon(struct master *m)
{
    struct reload *r = &m->reload;
    struct error e = {0};

    r->again = false;
    if (r->report == NULL)
        return;
    if (r->next != NULL) {
        if (r->plan.state != RELOAD_BACK)
            reload_restore(m);
        reload_forget_next(m);
        r->plan.state = RELOAD_IDLE;
    }
    (void)reason_error(&e, REASON_conflict, ECANCELED, "The daemon was told to stop.");
    reload_finish(m, RELOAD_END_ABANDONED, &e);
}

/* ---- prepare ---- */

/* Workers go ahead: they show most. The coordinator comes last, since nobody stands in for it meanwhile. */
static void set_order(struct master *m, const struct conf_diff *d)
{
    static const enum pool_role order[] = {POOL_WORKER, POOL_API, POOL_COORDINATOR};
    struct reload *r = &m->reload;
    bool replaced[CONF_MAX_POOLS] = {false};
    int n = 0;

    for (int i = 0; i < d->n_pools; i++)
        if (d->pools[i].fate == CONF_POOL_REPLACED)
            replaced[d->pools[i].from - d->running->pools] = true;
    for (size_t role = 0; role < sizeof order / sizeof order[0]; role++) {
        for (int p = 0; p < r->next->n_pools; p++) {
            if (r->next->pools[p].role != order[role])
                continue;
            r->is_new[p] = m->pools[p].most == 0;
            if (replaced[p] || r->is_new[p])
                r->pools[n++] = p;
        }
    }
    reload_begin(&r->plan, n, clock_ms());
}

static void swap(struct master *m)
{
    struct reload *r = &m->reload;

    r->former = (struct conf *)(uintptr_t)m->conf; /* a pool's entry may have to be kept in it */
    r->former_generation = m->generation;
    r->next_generation = ++r->generation;
    m->conf = r->next;
    m->generation = r->next_generation;
}

/* Secrets that were accepted for a while and are not any more reach those who verify by new children only. */
static unsigned keep_secrets(struct master *m, struct conf *next)
{
    int64_t now = clock_ms(), grace = next->reload_secret_grace;

    conf_keep_former(next, m->conf, grace, now);
    if (next->n_formers > 0 && next->formers[0].until_ms == now + grace)
        m->reload.report->grace_ms = grace;
    return conf_former_dropped(next, m->conf, now);
}

static void prepare(struct master *m, struct conf *next)
{
    struct reload *r = &m->reload;
    struct conf_diff *d = r->report->diff;
    struct error e = {0};

    conf_keep_fixed(next, m->conf);
    conf_diff_touch(d, keep_secrets(m, next));
    if (d->n_changes == d->n_restart && d->roles == 0) {
        remember_pending(r);
        talloc_free(next);
        reload_finish(m, RELOAD_END_UNCHANGED, NULL);
        return;
    }
    if (pools_arrange(m, d, next, &e) != 0) {
        talloc_free(next);
        reload_finish(m, RELOAD_END_REFUSED, &e);
        return;
    }
    r->next = next;
    set_order(m, d);
    swap(m);
}

/* ---- the file was read ---- */

static int check_plan(const struct reload_report *p, struct error *e)
{
    if (p->expected[0] == '\0' || strcmp(p->expected, p->plan) == 0)
        return 0;
    (void)reason_error(e, REASON_conflict, ESTALE,
                       "The configuration is not that of plan %s any more: the file or the running configuration has "
                       "changed. Its plan is %s now.",
                       p->expected, p->plan);
    error_hint(e, "See `docmillctl reload --dry-run`.");
    return -ESTALE;
}

static void handle_read(void *arg, const struct conf_reading *reading)
{
    struct master *m = arg;
    struct reload_report *p = m->reload.report;
    char hex[2 * SHA256_BYTES + 1];
    struct error e = {0};
    struct conf *next = reading->conf;

    if (p == NULL) { /* the daemon stops meanwhile */
        talloc_free(next);
        return;
    }
    if (next == NULL) {
        reload_finish(m, RELOAD_END_REFUSED, &reading->error);
        return;
    }
    hex_encode(reading->digest, sizeof reading->digest, hex);
    memcpy(p->plan, hex, RELOAD_PLAN_CHARS);
    next = talloc_steal(m, next);
    p->diff = conf_diff_make(p, m->conf, next);
    reload_describe(m, p, p->diff);
    if (check_plan(p, &e) != 0 || (p->dry_run && pools_arrange(m, p->diff, NULL, &e) != 0)) {
        talloc_free(next);
        reload_finish(m, RELOAD_END_REFUSED, &e);
        return;
    }
    if (p->dry_run) {
        talloc_free(next);
        reload_finish(m, RELOAD_END_PLANNED, NULL);
        return;
    }
    reload_log_changes(p);
    prepare(m, next);
}

/* ---- the order ---- */

/* A plan is one of this configuration: the running one's generation is in it. */
static void job_key(const struct master *m, uint8_t key[CONF_READER_KEY_BYTES])
{
    memcpy(key, m->reload.key, CONF_READER_KEY_BYTES);
    for (int i = 0; i < 8; i++)
        key[i] ^= (uint8_t)(m->generation >> (8 * i));
}

static int may_begin(const struct master *m, struct error *e)
{
    const struct reload_report *p = m->reload.report;

    if (m->stop.mode != STOP_NONE)
        return reason_error(e, REASON_conflict, ECANCELED, "The daemon is stopping.");
    if (m->reload.reader == NULL || m->reload.path == NULL)
        return reason_error(e, REASON_conflict, EINVAL, "The daemon does not know a file to read.");
    if (p != NULL) {
        (void)reason_error(e, REASON_conflict, EBUSY, "Reload %" PRIu64 " runs: %s.", p->number,
                           m->reload.next == NULL ? "the file is being read" : reload_state_help(m->reload.plan.state));
        error_hint(e, "Wait for it; HUP is remembered until then.");
        return -EBUSY;
    }
    return 0;
}

int reload_start(struct master *m, bool dry_run, bool by_signal, const char *expected, uint64_t *number,
                 struct error *e)
{
    struct reload *r = &m->reload;
    struct conf_reader_job job = {.path = r->path,
                                  .running = m->conf,
                                  .limit_ms = m->limits.ready_ms < READ_LIMIT_MS ? m->limits.ready_ms : READ_LIMIT_MS,
                                  .load = conf_load_next,
                                  .done = handle_read,
                                  .arg = m};
    int rc = may_begin(m, e);

    if (rc != 0)
        return rc;
    job_key(m, job.key);
    rc = conf_reader_start(r->reader, &job, e);
    if (rc != 0)
        return rc;
    r->report = talloc_zero(m, struct reload_report);
    if (r->report == NULL)
        log_panic("reload", "out of memory");
    *number = ++r->number;
    r->trouble[0] = '\0';
    *r->report =
        (struct reload_report){.number = r->number, .dry_run = dry_run, .by_signal = by_signal, .began_ms = clock_ms()};
    strncat(r->report->expected, expected, RELOAD_PLAN_CHARS);
    if (dry_run)
        return 0;
    r->last_real = r->number;
    log_info("reload", "the configuration is read anew", "reload", LOG_I((int64_t)r->number), "file", r->path, "by",
             by_signal ? "HUP" : "docmillctl", NULL);
    notify_begin(m);
    return 0;
}

void reload_hup(struct master *m)
{
    struct error e = {0};
    uint64_t number;

    if (m->reload.report != NULL && m->stop.mode == STOP_NONE) {
        log_info("reload", "HUP while a reload runs: another follows it", NULL);
        m->reload.again = true;
        return;
    }
    if (reload_start(m, false, true, "", &number, &e) != 0) {
        log_error("reload", "HUP did nothing", "reason", e.reason, "error", e.message, NULL);
        if (m->ready && m->stop.mode == STOP_NONE) { /* `systemctl reload` waits for both words */
            notify_begin(m);
            sd_notify(0, "READY=1");
        }
    }
}
