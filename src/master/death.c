/*
 * death.c - why a child is gone, in one piece; and its way to the coordinator
 *
 * Joins what the kernel says (exit status, signal, rusage, counters of out-of-memory kills), what we did (did we send that
 * signal, and why), what the child said last (FATAL, BYE) and what its slot holds (jobs in hand, stage, since when,
 * torn or not). The evidence is shown by `status`, logged, and for workers sent to the coordinator, which releases the
 * jobs and answers RELEASED. Until then it is kept, at most DEATHS_MAX of them, and sent again to the coordinator's
 * successor. At most DEATHS_AT_ONCE are on their way, so that the coordinator needs no room for more.
 *
 * Diagnostics
 *   warns   every death that was not asked for; evidence dropped because nobody took it for too long
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "core/state.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <talloc.h>

#define DEATHS_MAX  4096
#define OOM_TICK_MS 5000

void death_init(struct master *m)
{
    m->deaths_end = &m->deaths;
    oom_open(&m->oom, "");
    m->oom_tick_ms = clock_ms();
}

void death_end(struct master *m)
{
    oom_close(&m->oom);
}

/* Not more often: a large process that the kernel has killed takes a while to be gone. */
void death_baseline(struct master *m)
{
    if (clock_ms() - m->oom_tick_ms < OOM_TICK_MS)
        return;
    m->oom_tick_ms = clock_ms();
    oom_tick(&m->oom);
}

static const char *signal_word(int sig)
{
    const char *name = sigabbrev_np(sig);

    return name != NULL ? name : "?";
}

static const char *kill_reason(enum kill_cause cause)
{
    switch (cause) {
    case KILL_LATE:
        return "was not ready in time";
    case KILL_HUNG:
        return "it hung";
    case KILL_STOP:
        return "the daemon stops";
    case KILL_BROKEN:
        return "it broke the channel's protocol";
    case KILL_RETIRED:
        return "it was to go";
    case KILL_NONE:
        break;
    }
    return "unknown";
}

void death_describe(const struct msg_death *d, enum kill_cause cause, const struct msg_fatal *fatal, char *out,
                    size_t size)
{
    if (d->signal != 0 && d->sent_by_us)
        snprintf(out, size, "killed by docmill (%s): %s", signal_word(d->signal), kill_reason(cause));
    else if (d->signal == SIGKILL && d->oom == 1)
        snprintf(out, size, "killed by signal 9 (KILL), probably by the kernel for memory");
    else if (d->signal != 0)
        snprintf(out, size, "killed by signal %d (%s), not by docmill", d->signal, signal_word(d->signal));
    else if (fatal->reason[0] != '\0')
        snprintf(out, size, "exited with status %d: %s: %.150s", d->exit_code, fatal->reason, fatal->message);
    else if (d->exit_code == 127)
        snprintf(out, size, "exited with status 127: could not be exec'd");
    else
        snprintf(out, size, "exited with status %d", d->exit_code);
}

static int64_t ms_of(const struct timeval *t)
{
    return (int64_t)t->tv_sec * 1000 + t->tv_usec / 1000;
}

static enum oom_cause join_evidence(struct master *m, const struct child_slot *s, int wait_status,
                                    const struct rusage *ru, const struct score_data *score, bool torn,
                                    struct msg_death *d)
{
    int32_t n = score->n_in_hand < SCORE_IN_HAND_MAX ? score->n_in_hand : SCORE_IN_HAND_MAX;
    enum oom_cause oom = OOM_NOT;

    *d = (struct msg_death){
        .serial = s->serial,
        .pid = (int32_t)s->pid,
        .pool = s->pool,
        .exit_code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1,
        .signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0,
        .torn = torn,
        .stage = score->stage,
        .n_in_hand = score->n_in_hand,
        .in_hand_ms = score->n_in_hand > 0 && score->since_ms > 0 ? clock_ms() - score->since_ms : 0,
        .utime_ms = ms_of(&ru->ru_utime),
        .stime_ms = ms_of(&ru->ru_stime),
        .maxrss_kb = ru->ru_maxrss,
        .n_jobs = n,
    };
    d->sent_by_us = d->signal != 0 && d->signal == s->sent_signal;
    d->hung = d->sent_by_us && s->kill_cause == KILL_HUNG;
    if (d->signal == SIGKILL && !d->sent_by_us) /* memory's end comes as KILL */
        oom = oom_claim(&m->oom);
    d->oom = oom == OOM_HIDDEN ? -1 : oom != OOM_NOT;
    memcpy(d->jobs, score->in_hand, (size_t)n * sizeof d->jobs[0]);
    return oom;
}

static void add_totals(struct master *m, const struct score_data *score)
{
    m->totals.deaths++;
    m->totals.claims += score->claims;
    m->totals.jobs_done += score->jobs_done;
    m->totals.jobs_failed += score->jobs_failed;
    m->totals.jobs_lost += score->jobs_lost;
    m->totals.requests += score->requests;
    for (int i = 0; i < STATUS_MAX_; i++)
        m->totals.stages[i] += score->stage_count[i];
}

static void enqueue(struct master *m, const struct msg_death *d)
{
    struct death_item *item;

    if (m->n_deaths == DEATHS_MAX) {
        item = m->deaths;
        m->deaths = item->next;
        if (m->deaths == NULL)
            m->deaths_end = &m->deaths;
        m->n_deaths--;
        m->deaths_dropped++;
        log_warn("death", "evidence dropped: the coordinator takes none; the jobs wait for the rescue", "serial",
                 LOG_I(item->death.serial), NULL);
        talloc_free(item);
    }
    item = talloc_zero(m, struct death_item);
    if (item == NULL)
        return;
    item->death = *d;
    *m->deaths_end = item;
    m->deaths_end = &item->next;
    m->n_deaths++;
}

static void log_death(const struct master *m, const struct child_slot *s, const struct msg_death *d, bool asked,
                      int64_t lived_ms)
{
    log_event(asked ? LOG_LVL_INFO : LOG_LVL_WARN, "death", "child is gone", "pool", m->conf->pools[s->pool].name,
              "slot", LOG_I(s->number), "child", LOG_I(d->pid), "serial", LOG_I(d->serial), "cause", s->last_death,
              "in_hand", LOG_I(d->n_in_hand), "stage", status_name(d->stage) != NULL ? status_name(d->stage) : "none",
              "in_hand_ms", LOG_I(d->in_hand_ms), "torn", LOG_I(d->torn), "lived_ms", LOG_I(lived_ms), "cpu_ms",
              LOG_I(d->utime_ms + d->stime_ms), "maxrss_kb", LOG_I(d->maxrss_kb), NULL);
}

static void add_words(struct child_slot *s, const char *between, const char *words)
{
    size_t n = strlen(s->last_death);

    snprintf(s->last_death + n, sizeof s->last_death - n, "%s%s", between, words);
}

/* Why it was to go says more than how it went. */
static void add_retirement(struct child_slot *s, const struct msg_death *d)
{
    const char *why = retire_cause_text((enum retire_cause)s->policy.retires);

    if (s->policy.retires == RETIRE_NOT)
        return;
    if (d->signal == 0 && d->exit_code == 0)
        snprintf(s->last_death, sizeof s->last_death, "retired: %s", why);
    else
        add_words(s, ", retiring: ", why);
}

struct slot_death death_record(struct master *m, struct child_slot *s, int wait_status, const struct rusage *ru)
{
    struct death_record *rec = &m->recent[m->n_recent++ % MASTER_DEATHS_KEPT];
    struct score_data score;
    bool torn = scoreboard_read(m->board, s->index, &score) != 0;
    struct death_facts facts;
    enum error_class class = s->fatal.reason[0] != '\0' ? reason_class(reason_parse(s->fatal.reason)) : ERR_INTERNAL;
    enum death_kind kind;
    enum oom_cause oom;

    oom = join_evidence(m, s, wait_status, ru, &score, torn, &rec->death);
    facts = (struct death_facts){
        .exit_code = rec->death.exit_code,
        .signal = rec->death.signal,
        .sent_by_us = rec->death.sent_by_us != 0,
        .hung = s->kill_cause == KILL_LATE || s->kill_cause == KILL_HUNG || s->kill_cause == KILL_BROKEN,
        .asked = s->asked,
        .was_ready = s->policy.ready_ms != 0,
        .oom = rec->death.oom,
    };
    kind = death_kind_of(&facts);
    add_totals(m, &score);
    child_tell_trace(s, rec->trace); /* before the slot is emptied */
    share_death(m, s, &rec->death, ru, &score);
    death_describe(&rec->death, s->kill_cause, &s->fatal, s->last_death, sizeof s->last_death);
    if (oom == OOM_CERTAIN)
        snprintf(s->last_death, sizeof s->last_death,
                 "killed by the kernel (signal 9): its control group ran out of memory");
    if (WIFSIGNALED(wait_status) && WCOREDUMP(wait_status))
        add_words(s, ", ", "core dumped");
    if (rec->death.hung && s->hang[0] != '\0')
        add_words(s, ": ", s->hang);
    add_retirement(s, &rec->death);
    memcpy(rec->cause, s->last_death, sizeof rec->cause);
    rec->at_ms = clock_ms();
    rec->slot = s->index;
    log_death(m, s, &rec->death, kind == DEATH_ASKED, rec->at_ms - s->started_ms);
    if (m->conf->pools[s->pool].role == POOL_WORKER)
        enqueue(m, &rec->death);
    return (struct slot_death){
        .kind = kind,
        .finished = score.jobs_done + score.jobs_failed + score.requests > 0,
        .by_us = rec->death.sent_by_us != 0,
        .in_hand = rec->death.n_in_hand > 0,
        .outside = class == ERR_TRANSIENT || class == ERR_RECOVERABLE,
    };
}

/* ---- to the coordinator ---- */

struct child_slot *coordinator_slot(const struct master *m)
{
    for (int i = 0; i < m->n_slots; i++) {
        struct child_slot *s = &m->slots[i];
        if (m->conf->pools[s->pool].role == POOL_COORDINATOR && s->pid != 0 &&
            (s->policy.state == SLOT_UP || s->policy.state == SLOT_DRAINING))
            return s;
    }
    return NULL;
}

void death_send(struct master *m)
{
    struct child_slot *c = m->deaths != NULL ? coordinator_slot(m) : NULL;
    int under_way = 0;

    for (struct death_item *i = m->deaths; c != NULL && i != NULL && under_way < DEATHS_AT_ONCE; i = i->next) {
        struct channel_msg msg = {.kind = CHANNEL_DEATH};

        under_way++;
        if (i->sent)
            continue;
        msg.death = i->death;
        if (channel_send(c->channel, &msg) != 0)
            return; /* full: again after the next event; closed: its successor gets them */
        i->sent = true;
    }
}

void death_unsend(struct master *m)
{
    for (struct death_item *i = m->deaths; i != NULL; i = i->next)
        i->sent = false;
}

void death_released(struct master *m, const struct msg_released *r)
{
    for (struct death_item **at = &m->deaths; *at != NULL; at = &(*at)->next) {
        struct death_item *item = *at;

        if (item->death.serial != r->serial)
            continue;
        *at = item->next;
        if (item->next == NULL)
            m->deaths_end = at;
        m->n_deaths--;
        share_living(m, NULL);
        if (r->jobs > 0)
            log_info("death", "jobs of a dead child were released", "serial", LOG_I(r->serial), "jobs", LOG_I(r->jobs),
                     NULL);
        talloc_free(item);
        return;
    }
}
