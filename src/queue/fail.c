/*
 * fail.c - what becomes of a job that failed
 *
 * queue_judge() is the policy, pure: permanent reasons end the job at once, transient ones until the attempts are
 * used up, recoverable ones (a service is down) cost no attempt. queue_fail() carries it out, fenced.
 *
 * Depends on base, core, db.
 */
#include "queue/queue.h"
#include "queue/sql.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#define RECOVERABLE_TRIES  3                /* as if it had been tried so often already */
#define CONFIG_TRIES       6                /* a person must act first */
#define NEXT_DAY_SPREAD_MS (10 * 60 * 1000) /* after midnight, so that not all come at once */

struct queue_verdict queue_judge(const struct error *why, int status, int stage, int attempt,
                                 const struct queue_policy *policy)
{
    struct queue_verdict v = {.to_status = (int16_t)status, .to_state = STATE_RETRYABLE};
    unsigned tries = attempt > 0 ? (unsigned)attempt - 1 : 0;

    snprintf(v.reason, sizeof v.reason, "%s", why->reason);
    if (why->cls == ERR_PERMANENT) {
        v.to_status = (int16_t)status_failure_of(stage);
        v.to_state = STATE_DEADLETTER;
        return v;
    }
    if (strcmp(why->reason, reason_name(REASON_budget_exceeded)) == 0) {
        v.wait_ms = backoff_ms(NEXT_DAY_SPREAD_MS, NEXT_DAY_SPREAD_MS, 0);
        v.next_day = true;
        v.refund = true;
        return v;
    }
    if (why->cls == ERR_RECOVERABLE) {
        /* The attempt is given back, so the count says nothing of how long it has lasted: a longer wait at once, or all
         * documents of a node that lacks a parser would be claimed, and an event written, every few seconds. */
        tries = strcmp(why->reason, reason_name(REASON_provider_config)) == 0 ? CONFIG_TRIES : RECOVERABLE_TRIES;
        v.wait_ms = backoff_ms(policy->retry_first_ms, policy->retry_cap_ms, tries);
        v.refund = true;
        return v;
    }
    v.wait_ms = backoff_ms(policy->retry_first_ms, policy->retry_cap_ms, tries);
    if (attempt >= policy->max_attempts) {
        v.to_status = (int16_t)status_failure_of(stage);
        v.to_state = STATE_DEADLETTER;
        v.wait_ms = 0;
    }
    return v;
}

/* The database takes UTF-8 only, and a message may have been cut in the middle of a character: refused, the failure
 * would never be written and the job tried for ever. */
static const char *in_utf8(const void *ctx, const char *text)
{
    char *s = talloc_strdup(ctx, text);
    size_t left = s == NULL ? 0 : strlen(s);

    for (char *at = s; left > 0;) {
        size_t n = utf8_sequence(at, left);
        if (n == 0) {
            *at = '?';
            n = 1;
        }
        at += n;
        left -= n;
    }
    return s;
}

int queue_fail(struct pg *p, const struct queue_job *j, int status, int stage, const struct error *why,
               const struct queue_policy *policy, struct queue_verdict *verdict, struct error *e)
{
    struct queue_verdict v = queue_judge(why, status, stage, j->attempt, policy);
    void *tmp = talloc_new(NULL);
    struct pg_params params;
    PGresult *r;
    int written;

    pg_params_init(&params, tmp);
    pg_add_uuid(&params, &j->id);
    pg_add_int8(&params, j->lease);
    pg_add_int2(&params, (int16_t)status);
    pg_add_int2(&params, v.to_status);
    pg_add_int2(&params, v.to_state);
    pg_add_int8(&params, v.wait_ms);
    pg_add_bool(&params, v.refund);
    pg_add_text(&params, v.reason);
    pg_add_text(&params, in_utf8(tmp, why->message));
    pg_add_text(&params, why->hint[0] != '\0' ? in_utf8(tmp, why->hint) : NULL);
    pg_add_bool(&params, v.next_day);
    r = pg_exec(p, sql_fail, &params, 0, e);
    talloc_free(tmp);
    if (r == NULL)
        return e->code;
    written = PQntuples(r) > 0;
    PQclear(r);
    if (verdict != NULL)
        *verdict = v;
    return written;
}
