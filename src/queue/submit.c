/*
 * submit.c - see submit.h
 *
 * The rules are functions of the database (sql/0002): each is a transaction of its own, in one round trip.
 *
 * Depends on base, core, db.
 */
#include "queue/submit.h"
#include "queue/sql.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

static const char begin_sql[] = "SELECT verdict, submission, serial, external_id, deadline_ms, polls, former "
                                "FROM begin_submission($1, $2, $3, $4, $5, $6)";
static const char answered_sql[] = "SELECT answer_submission($1, $2, $3, $4, $5, $6)";
static const char wait_sql[] = "SELECT wait_submission($1, $2, $3, $4)";
static const char end_sql[] = "SELECT end_submission($1, $2, $3)";
static const char note_pages_sql[] = "SELECT note_failed_pages($1, $2, $3)";
static const char gate_sql[] = "SELECT wait_job($1, $2, $3, $4, 'infinity', 'infinity', $5, true)";

const char submit_gates_sql[] = "SELECT open_parser_gate($1, $2, $3) + open_gate($4, $5)";
const char submit_tidy_sql[] = "SELECT tidy_submissions($1 * interval '1 millisecond') WHERE " LEADER_GUARD;
const char submit_hear_sql[] = "SELECT verdict, job_id FROM hear_webhook($1, $2, $3, $4, $5, $6)";

static const struct {
    const char *name;
    enum submit_verdict verdict;
} verdicts[] = {{"lost", SUBMIT_LOST},   {"busy", SUBMIT_BUSY},   {"begun", SUBMIT_BEGUN},
                {"known", SUBMIT_KNOWN}, {"heard", SUBMIT_HEARD}, {"waiting", SUBMIT_WAITING}};

static int verdict_of(const PGresult *r, struct error *e)
{
    const char *name = PQntuples(r) == 1 ? pg_get_text(r, 0, 0) : NULL;

    for (size_t i = 0; name != NULL && i < sizeof verdicts / sizeof *verdicts; i++)
        if (strcmp(verdicts[i].name, name) == 0)
            return (int)verdicts[i].verdict;
    return reason_error(e, REASON_internal, EPROTO, "the database gave a verdict that is not known: %s",
                        name == NULL ? "none" : name);
}

/* Until there is an answer, or the failure is not the connection's, or it is too late. */
static PGresult *ask(struct pg *p, const char *sql, const struct pg_params *params, int64_t give_up_ms, struct error *e)
{
    for (unsigned try_no = 0;; try_no++) {
        PGresult *r = pg_exec(p, sql, params, 0, e);
        if (r != NULL || e->cls == ERR_PERMANENT || e->cls == ERR_INTERNAL || clock_ms() >= give_up_ms)
            return r;
        pg_pause(p, backoff_ms(50, 2000, try_no));
    }
}

static int ask_verdict(struct pg *p, const char *sql, const struct pg_params *params, int64_t give_up_ms,
                       struct error *e)
{
    PGresult *r = ask(p, sql, params, give_up_ms, e);
    int verdict;

    if (r == NULL)
        return e->code;
    verdict = verdict_of(r, e);
    PQclear(r);
    return verdict;
}

int submit_begin(struct pg *p, const struct queue_job *j, int status, const char *provider,
                 const uint8_t token_sha256[SHA256_BYTES], int max, int64_t give_up_ms, struct submission *s,
                 struct error *e)
{
    void *tmp = talloc_new(NULL);
    struct pg_params params;
    const char *external;
    PGresult *r;
    int verdict;

    memset(s, 0, sizeof *s);
    pg_params_init(&params, tmp);
    pg_add_uuid(&params, &j->id);
    pg_add_int8(&params, j->lease);
    pg_add_int2(&params, (int16_t)status);
    pg_add_text(&params, provider);
    pg_add_bytea(&params, token_sha256, SHA256_BYTES);
    pg_add_int4(&params, max);
    r = ask(p, begin_sql, &params, give_up_ms, e);
    talloc_free(tmp);
    if (r == NULL)
        return e->code;
    verdict = verdict_of(r, e);
    if (verdict >= 0) {
        external = pg_get_text(r, 0, 3);
        s->id = pg_get_int(r, 0, 1);
        s->serial = (int)pg_get_int(r, 0, 2);
        s->left_ms = pg_is_null(r, 0, 4) ? -1 : pg_get_int(r, 0, 4);
        s->polls = (int)pg_get_int(r, 0, 5);
        s->anew = !pg_is_null(r, 0, 6) && strcmp(pg_get_text(r, 0, 6), "unanswered") != 0;
        snprintf(s->external_id, sizeof s->external_id, "%s", external == NULL ? "" : external);
        if (s->left_ms < -1)
            s->left_ms = 0; /* over */
    }
    PQclear(r);
    return verdict;
}

int submit_answered(struct pg *p, const struct queue_job *j, const struct submission *s, const char *external_id,
                    int64_t poll_ms, int64_t deadline_ms, int64_t give_up_ms, struct error *e)
{
    void *tmp = talloc_new(NULL);
    struct pg_params params;
    int verdict;

    pg_params_init(&params, tmp);
    pg_add_int8(&params, s->id);
    pg_add_text(&params, external_id);
    pg_add_uuid(&params, &j->id);
    pg_add_int8(&params, j->lease);
    pg_add_int8(&params, poll_ms);
    pg_add_int8(&params, deadline_ms);
    verdict = ask_verdict(p, answered_sql, &params, give_up_ms, e);
    talloc_free(tmp);
    return verdict;
}

int submit_wait(struct pg *p, const struct queue_job *j, const struct submission *s, int64_t poll_ms,
                int64_t give_up_ms, struct error *e)
{
    void *tmp = talloc_new(NULL);
    struct pg_params params;
    int verdict;

    pg_params_init(&params, tmp);
    pg_add_int8(&params, s->id);
    pg_add_uuid(&params, &j->id);
    pg_add_int8(&params, j->lease);
    pg_add_int8(&params, poll_ms);
    verdict = ask_verdict(p, wait_sql, &params, give_up_ms, e);
    talloc_free(tmp);
    return verdict;
}

int submit_end(struct pg *p, const struct submission *s, const char *outcome, int pages, int64_t give_up_ms,
               struct error *e)
{
    void *tmp = talloc_new(NULL);
    struct pg_params params;
    PGresult *r;

    pg_params_init(&params, tmp);
    pg_add_int8(&params, s->id);
    pg_add_text(&params, outcome);
    pg_add_int4(&params, pages);
    r = ask(p, end_sql, &params, give_up_ms, e);
    talloc_free(tmp);
    if (r == NULL)
        return e->code;
    PQclear(r);
    return 0;
}

int submit_note_pages(struct pg *p, const struct queue_job *j, const char *pages_json, int64_t give_up_ms,
                      struct error *e)
{
    void *tmp = talloc_new(NULL);
    struct pg_params params;
    PGresult *r;

    pg_params_init(&params, tmp);
    pg_add_uuid(&params, &j->id);
    pg_add_int8(&params, j->lease);
    pg_add_jsonb(&params, pages_json);
    r = ask(p, note_pages_sql, &params, give_up_ms, e);
    talloc_free(tmp);
    if (r == NULL)
        return e->code;
    PQclear(r);
    return 0;
}

int queue_gate(struct pg *p, const struct queue_job *j, int from, int to, const char *reason, int64_t give_up_ms,
               struct error *e)
{
    void *tmp = talloc_new(NULL);
    struct pg_params params;
    PGresult *r;
    int done;

    pg_params_init(&params, tmp);
    pg_add_uuid(&params, &j->id);
    pg_add_int8(&params, j->lease);
    pg_add_int2(&params, (int16_t)from);
    pg_add_int2(&params, (int16_t)to);
    pg_add_text(&params, reason);
    r = ask(p, gate_sql, &params, give_up_ms, e);
    talloc_free(tmp);
    if (r == NULL)
        return e->code;
    done = pg_get_bool(r, 0, 0);
    PQclear(r);
    return done;
}
