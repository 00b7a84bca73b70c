/*
 * audit.c - the master's records of operators' verbs: from the channel to audit_log
 *
 * The master keeps a record until it hears AUDITED, and has at most AUDIT_AT_ONCE on their way, so the ring here is
 * never too small; what does not fit breaks that promise and is left to be sent again. Written one at a time, oldest
 * first; a record that is there already (its confirmation was lost) is not written twice.
 *
 * Depends on base, db, queue, proc.
 */
#include "coordinator/coordinator.h"

#include "base/clock.h"
#include "base/log.h"
#include "queue/sql.h"

#define FORGET_AT_ONCE 5000

/* Never earlier than the record before: ages are told in milliseconds, and a statement takes some.
 * $1 node, $2 incarnation, $3 seq, $4 its age in ms, $5 uid, $6 verb, $7 arguments, $8 result */
const char audit_write_sql[] =
    "INSERT INTO audit_log (node, incarnation, seq, at, uid, verb, arguments, result)\n"
    "VALUES ($1, $2, $3, greatest(clock_timestamp() - $4 * interval '1 millisecond',\n"
    "  (SELECT at FROM audit_log WHERE incarnation = $2 AND seq < $3 ORDER BY seq DESC LIMIT 1)), $5, $6, $7, $8)\n"
    "ON CONFLICT (incarnation, seq) DO NOTHING";
/* $1 how long records are kept, in ms, $2 how many go at once */
const char audit_forget_sql[] = "SELECT forget_audit($1, $2) WHERE " LEADER_GUARD;

void audit_add(struct coordinator *c, const struct msg_audit *m)
{
    if (c->n_audits == AUDIT_AT_ONCE) {
        log_warn("coordinator", "more audit records than agreed", "seq", LOG_I(m->seq), NULL);
        return;
    }
    c->audits[(c->first_audit + c->n_audits) % AUDIT_AT_ONCE] = *m;
    c->n_audits++;
    tasks_want(c, TASK_AUDIT);
}

void audit_params(struct coordinator *c, struct pg_params *p)
{
    const struct msg_audit *m = &c->audits[c->first_audit];

    pg_add_text(p, c->conf->node_name);
    pg_add_int8(p, m->incarnation);
    pg_add_int8(p, m->number);
    pg_add_int8(p, clock_ms() - m->at_ms);
    if (m->uid >= 0)
        pg_add_int8(p, m->uid);
    else
        pg_add_null(p, PG_INT8);
    pg_add_text(p, m->verb);
    pg_add_jsonb(p, m->arguments);
    pg_add_text(p, m->result);
}

void audit_got(struct coordinator *c, const PGresult *r)
{
    (void)r;
    c->audited = c->audits[c->first_audit].seq;
    c->first_audit = (c->first_audit + 1) % AUDIT_AT_ONCE;
    c->n_audits--;
    if (c->n_audits > 0)
        tasks_want(c, TASK_AUDIT);
}

void audit_tell(struct coordinator *c)
{
    struct channel_msg m = {.kind = CHANNEL_AUDITED};

    m.audited.seq = c->audited;
    if (c->audited_told < c->audited && channel_send(c->child.channel, &m) == 0)
        c->audited_told = c->audited;
}

void audit_forget_params(struct coordinator *c, struct pg_params *p)
{
    pg_add_int8(p, c->conf->retention_audit);
    pg_add_int4(p, FORGET_AT_ONCE);
}

bool audit_forgot_all(const PGresult *r)
{
    return pg_get_int(r, 0, 0) < FORGET_AT_ONCE;
}
