/*
 * audit.c - who told the daemon to do what: on its way to audit_log
 *
 * Every verb that wants more than the right to read leaves a record, allowed or refused: the log's line at once, the
 * database's row through the coordinator. A record is kept until the coordinator has said that it is written, and goes
 * again to its successor; (incarnation, seq) keeps the table from having it twice. At most IN_FLIGHT are on their way,
 * so that the coordinator needs no room for more, and at most AUDIT_MAX wait: what comes then is dropped, counted,
 * said, and entered in audit_log as a number once there is room.
 *
 * What waits lies in run_dir too (spool.c), before its verb is answered, so that the next master has it if this one is
 * killed, or is stopped while the database is away. A record keeps the number of the life in which it was made.
 *
 * What a verb only begins, such as a reload, has a second record when it is over, of nobody's uid.
 *
 * Refusals are anybody's to cause who may connect: REFUSALS_A_MINUTE are recorded, the rest is a number, too.
 *
 * Diagnostics
 *   warns   each record; what is dropped, once until there is room again; what the end of the daemon leaves unwritten
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "master/spool.h"
#include "proc/control.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#define AUDIT_MAX         SPOOL_RECORDS
#define IN_FLIGHT         AUDIT_AT_ONCE
#define REFUSALS_A_MINUTE 60
#define MINUTE_MS         60000
#define DROPPED_VERB      "(not recorded)"
#define DROPPED_ARGUMENTS "{\"records\":%llu}"

struct audit_item {
    struct audit_item *next;
    struct msg_audit record;
    bool sent;
};

struct audit {
    struct audit_item *first, **end; /* oldest first */
    struct spool *spool;             /* NULL: none could be made */
    int64_t incarnation;
    int n, in_flight;
    int64_t next_seq;
    uint64_t dropped;  /* ever */
    uint64_t untold;   /* of them, not yet entered as a number */
    int64_t minute_ms; /* when the present minute of refusals began */
    int refusals;      /* in it */
};

static struct audit *audit_of(struct master *m)
{
    if (m->audit == NULL) {
        m->audit = talloc_zero(m, struct audit);
        if (m->audit == NULL)
            log_panic("audit", "out of memory");
        m->audit->end = &m->audit->first;
        m->audit->next_seq = 1;
        m->audit->incarnation = m->incarnation;
    }
    return m->audit;
}

static bool append_record(struct audit *a, const struct msg_audit *r)
{
    struct audit_item *i = a->n < AUDIT_MAX ? talloc_zero(a, struct audit_item) : NULL;

    if (i == NULL)
        return false;
    i->record = *r;
    i->record.seq = a->next_seq++;
    if (i->record.incarnation == 0) { /* not a former life's */
        i->record.incarnation = a->incarnation;
        i->record.number = i->record.seq;
    }
    *a->end = i;
    a->end = &i->next;
    a->n++;
    spool_put(a->spool, &i->record);
    return true;
}

static bool append(struct audit *a, int64_t uid, const char *verb, const char *arguments, const char *result)
{
    struct msg_audit r = {.at_ms = clock_ms(), .uid = uid};

    snprintf(r.verb, sizeof r.verb, "%s", verb);
    snprintf(r.arguments, sizeof r.arguments, "%s", arguments);
    snprintf(r.result, sizeof r.result, "%s", result);
    return append_record(a, &r);
}

void audit_begin(struct master *m)
{
    struct audit *a = audit_of(m);
    struct msg_audit *left = NULL;
    int n;

    a->spool = spool_open(a, m->conf->run_dir, &left, &n);
    for (int i = 0; i < n; i++)
        (void)append_record(a, &left[i]); /* as many as there is room for */
    spool_commit(a->spool);
    talloc_free(left);
    if (n > 0)
        log_info("audit", "records that a former life could not write are taken over", "records", LOG_I(n), NULL);
}

static void drop(struct audit *a)
{
    a->dropped++;
    if (a->untold++ == 0)
        log_warn("audit", "records are not written: too many wait, or too many callers are refused", NULL);
}

static void tell_dropped(struct audit *a)
{
    char arguments[64];

    if (a->untold == 0)
        return;
    snprintf(arguments, sizeof arguments, DROPPED_ARGUMENTS, (unsigned long long)a->untold);
    if (append(a, -1, DROPPED_VERB, arguments, "dropped"))
        a->untold = 0;
}

static bool too_many_refusals(struct audit *a)
{
    int64_t now = clock_ms();

    if (now - a->minute_ms >= MINUTE_MS) {
        a->minute_ms = now;
        a->refusals = 0;
    }
    return ++a->refusals > REFUSALS_A_MINUTE;
}

void audit_note(struct master *m, uid_t uid, const struct control_request *r, enum control_verb v, bool allowed,
                const char *result)
{
    struct audit *a = audit_of(m);
    char arguments[CONTROL_MASKED_BYTES];

    if (!allowed && too_many_refusals(a)) {
        drop(a);
        return;
    }
    control_mask_args(r, v, arguments);
    log_warn("audit", allowed ? "operator's verb" : "operator's verb refused", "verb", r->verb, "uid", LOG_I(uid),
             "arguments", arguments, "result", result, NULL);
    if (a->n < AUDIT_MAX)
        tell_dropped(a);
    if (!append(a, (int64_t)uid, r->verb, arguments, result))
        drop(a);
}

void audit_outcome(struct master *m, const char *verb, const char *arguments, const char *result)
{
    if (!append(audit_of(m), -1, verb, arguments, result))
        drop(audit_of(m));
}

void audit_send(struct master *m)
{
    struct audit *a = m->audit;
    struct child_slot *c;

    if (a == NULL)
        return;
    if (a->n < AUDIT_MAX / 2 && clock_ms() - a->minute_ms >= MINUTE_MS)
        tell_dropped(a);
    c = a->in_flight < a->n ? coordinator_slot(m) : NULL;
    for (struct audit_item *i = a->first; c != NULL && i != NULL && a->in_flight < IN_FLIGHT; i = i->next) {
        struct channel_msg msg = {.kind = CHANNEL_AUDIT};

        if (i->sent)
            continue;
        msg.audit = i->record;
        if (channel_send(c->channel, &msg) != 0)
            return; /* full: again after the next event; closed: its successor gets them */
        i->sent = true;
        a->in_flight++;
    }
}

void audit_unsend(struct master *m)
{
    if (m->audit == NULL)
        return;
    for (struct audit_item *i = m->audit->first; i != NULL; i = i->next)
        i->sent = false;
    m->audit->in_flight = 0;
}

/* Written records are the oldest: the coordinator takes them in turn. */
void audit_written(struct master *m, const struct msg_audited *w)
{
    struct audit *a = m->audit;

    while (a != NULL && a->first != NULL && a->first->sent && a->first->record.seq <= w->seq) {
        struct audit_item *i = a->first;

        a->first = i->next;
        if (a->first == NULL)
            a->end = &a->first;
        a->n--;
        a->in_flight--;
        spool_written(a->spool, i->record.seq);
        talloc_free(i);
    }
}

int audit_pending(const struct master *m)
{
    return m->audit != NULL ? m->audit->n : 0;
}

uint64_t audit_dropped(const struct master *m)
{
    return m->audit != NULL ? m->audit->dropped : 0;
}

void audit_end(struct master *m)
{
    if (m->audit == NULL)
        return;
    for (const struct audit_item *i = m->audit->first; i != NULL; i = i->next)
        log_warn("audit", "not written to the database, or not known to be", "verb", i->record.verb, "uid",
                 LOG_I(i->record.uid), "arguments", i->record.arguments, "result", i->record.result, NULL);
    if (m->audit->untold > 0)
        log_warn("audit", "records were dropped", "records", LOG_I(m->audit->untold), NULL);
    spool_close(&m->audit->spool, m->audit->n == 0);
}
