/* test_submit.c - jobs that wait for an outside service: submissions, callbacks, gates */
#include "queue/submit.h"
#include "queue_test.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

#define MANY 100

static int serial_no;

struct asked {
    struct queue_job *job;
    struct submission s;
    uint8_t token[SHA256_BYTES];
    int verdict;
};

static void new_token(uint8_t out[SHA256_BYTES])
{
    serial_no++;
    sha256_of(&serial_no, sizeof serial_no, out);
}

static struct asked begin_as(struct qt *q, struct queue_job *j, int max)
{
    struct asked a = {.job = j};
    struct error e = {0};

    new_token(a.token);
    a.verdict = submit_begin(q->worker, j, j->status, "llamaparse", a.token, max, clock_ms() + 5000, &a.s, &e);
    cr_assert_geq(a.verdict, 0, "%s", e.message);
    return a;
}

static struct asked begin(struct qt *q, int max)
{
    return begin_as(q, qt_claim_one(q), max);
}

static int answered(struct qt *q, const struct asked *a, const char *id)
{
    struct error e = {0};
    int rc = submit_answered(q->worker, a->job, &a->s, id, 60000, 600000, clock_ms() + 5000, &e);

    cr_assert_geq(rc, 0, "%s", e.message);
    return rc;
}

/* As the API would: verdict in a static buffer. */
static const char *hear(struct qt *q, const uint8_t token[SHA256_BYTES], const char *nonce, const char *id, bool hint)
{
    static char verdict[32];
    void *ctx = talloc_new(NULL);
    struct pg_params params;
    struct error e = {0};
    PGresult *r;

    pg_params_init(&params, ctx);
    pg_add_text(&params, "llamaparse");
    pg_add_bytea(&params, token, SHA256_BYTES);
    pg_add_text(&params, nonce);
    pg_add_text(&params, id);
    pg_add_bool(&params, hint);
    pg_add_jsonb(&params, "{}");
    r = pg_exec(q->api, submit_hear_sql, &params, 0, &e);
    cr_assert_not_null(r, "%s", e.message);
    snprintf(verdict, sizeof verdict, "%s", pg_get_text(r, 0, 0));
    PQclear(r);
    talloc_free(ctx);
    return verdict;
}

static int64_t job_int(struct qt *q, const struct queue_job *j, const char *column)
{
    return qt_int(q, "SELECT %s FROM upload_pipeline.upload_jobs WHERE id = %s", column, qt_id(q, &j->id));
}

Test(submit, is_written_down_before_it_is_sent_and_waits_when_it_was_answered)
{
    struct qt *q = qt_open("submit_life");
    struct asked a;

    qt_submit(q, 1, 1, 1, 1000);
    a = begin(q, MANY);
    cr_assert_eq(a.verdict, SUBMIT_BEGUN);
    cr_assert_eq(a.s.serial, 1);
    cr_assert_eq(job_int(q, a.job, "status"), STATUS_PARSE_QUEUED);
    a.job->status = STATUS_PARSE_QUEUED;
    cr_assert_eq(answered(q, &a, "ext-1"), SUBMIT_WAITING);
    cr_assert_eq(job_int(q, a.job, "state"), STATE_WAITING);
    cr_assert_eq(job_int(q, a.job, "attempt"), 0, "waiting is not an attempt");
    cr_assert_eq(answered(q, &a, "ext-1"), SUBMIT_WAITING, "asked again after a lost answer it says the same");
    qt_close(q);
}

Test(submit, the_same_call_repeated_begins_nothing_new)
{
    struct qt *q = qt_open("submit_again");
    struct error e = {0};
    struct submission s;
    struct asked a;

    qt_submit(q, 1, 1, 1, 1000);
    a = begin(q, MANY);
    cr_assert_eq(submit_begin(q->worker, a.job, a.job->status, "llamaparse", a.token, MANY, clock_ms(), &s, &e),
                 SUBMIT_BEGUN);
    cr_assert_eq(s.id, a.s.id);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.parser_submissions"), 1);
    qt_close(q);
}

Test(submit, the_next_owner_asks_for_what_was_answered_and_repeats_what_was_not)
{
    struct qt *q = qt_open("submit_next");
    struct asked a, b, c;

    qt_submit(q, 1, 1, 1, 1000);
    a = begin(q, MANY);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET state = 1, lease = lease + 1, owner_node = NULL, "
              "owner_child = NULL, deadline = NULL");
    b = begin(q, MANY);
    cr_assert_eq(b.verdict, SUBMIT_BEGUN);
    cr_assert_eq(b.s.serial, 2, "nobody knows whether the first one arrived");
    cr_assert_eq(answered(q, &a, "ext-a"), SUBMIT_LOST);
    cr_assert_eq(answered(q, &b, "ext-b"), SUBMIT_WAITING);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET state = 1");
    c = begin(q, MANY);
    cr_assert_eq(c.verdict, SUBMIT_KNOWN);
    cr_assert_str_eq(c.s.external_id, "ext-b");
    cr_assert_eq(c.s.id, b.s.id);
    cr_assert(c.s.left_ms > 500000 && c.s.left_ms <= 600000);
    qt_close(q);
}

Test(submit, an_answer_that_came_after_the_lease_was_lost_is_kept_for_the_next_owner)
{
    struct qt *q = qt_open("submit_late_answer");
    struct asked a, b;

    qt_submit(q, 1, 1, 1, 1000);
    a = begin(q, MANY);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET state = 1, lease = lease + 1, owner_node = NULL, "
              "owner_child = NULL, deadline = NULL");
    cr_assert_eq(answered(q, &a, "ext-a"), SUBMIT_LOST);
    b = begin(q, MANY);
    cr_assert_eq(b.verdict, SUBMIT_KNOWN);
    cr_assert_str_eq(b.s.external_id, "ext-a");
    qt_close(q);
}

Test(submit, no_more_than_there_are_places_and_the_gate_opens_when_one_is_free)
{
    struct qt *q = qt_open("submit_places");
    struct asked a, b, c;

    for (int i = 0; i < 3; i++)
        qt_submit(q, 1, i, 1, 1000);
    a = begin(q, 1);
    b = begin(q, 1);
    c = begin(q, 1);
    cr_assert_eq(a.verdict, SUBMIT_BEGUN);
    cr_assert_eq(b.verdict, SUBMIT_BUSY);
    cr_assert_eq(c.verdict, SUBMIT_BUSY);
    cr_assert_eq(job_int(q, b.job, "attempt"), 0);
    qt_run(q, "SELECT upload_pipeline.open_parser_gate('llamaparse', 1, 500)");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 1"), 0, "no place is free");
    struct error e;
    cr_assert_eq(submit_end(q->worker, &a.s, "complete", 3, clock_ms() + 5000, &e), 0);
    qt_run(q, "SELECT upload_pipeline.open_parser_gate('llamaparse', 1, 500)");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 1"), 1);
    cr_assert_eq(begin(q, 1).verdict, SUBMIT_BEGUN);
    qt_close(q);
}

Test(submit, a_callback_makes_a_waiting_job_claimable_once)
{
    struct qt *q = qt_open("submit_hear");
    struct asked a;

    qt_submit(q, 1, 1, 1, 1000);
    a = begin(q, MANY);
    cr_assert_eq(answered(q, &a, "ext-1"), SUBMIT_WAITING);
    cr_assert_str_eq(hear(q, a.token, "e0", "ext-1", false), "noted", "nothing to fetch yet");
    cr_assert_eq(job_int(q, a.job, "state"), STATE_WAITING);
    cr_assert_str_eq(hear(q, a.token, "e1", "ext-1", true), "taken");
    cr_assert_eq(job_int(q, a.job, "state"), STATE_QUEUED);
    cr_assert_str_eq(hear(q, a.token, "e1", "ext-1", true), "duplicate");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.events WHERE actor = 2"), 1);
    cr_assert_eq(begin(q, MANY).verdict, SUBMIT_KNOWN);
    qt_close(q);
}

Test(submit, a_callback_faster_than_the_answer_is_not_lost)
{
    struct qt *q = qt_open("submit_early");
    struct asked a, b;

    qt_submit(q, 1, 1, 1, 1000);
    a = begin(q, MANY);
    cr_assert_str_eq(hear(q, a.token, "e1", "ext-1", true), "early");
    cr_assert_eq(job_int(q, a.job, "state"), STATE_WORKING, "its worker has it still");
    cr_assert_eq(answered(q, &a, "ext-1"), SUBMIT_HEARD);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET state = 1, lease = lease + 1, owner_node = NULL, "
              "owner_child = NULL, deadline = NULL");
    b = begin(q, MANY);
    cr_assert_eq(b.verdict, SUBMIT_KNOWN, "the callback named it, whatever became of the answer");
    cr_assert_str_eq(b.s.external_id, "ext-1");
    qt_close(q);
}

Test(submit, a_callback_about_another_job_that_is_faster_than_the_answer_names_nothing)
{
    struct qt *q = qt_open("submit_early_wrong");
    struct asked a, b;

    qt_submit(q, 1, 1, 1, 1000);
    a = begin(q, MANY);
    cr_assert_str_eq(hear(q, a.token, "e1", "ext-2", true), "early", "nobody knows better yet");
    cr_assert_eq(answered(q, &a, "ext-1"), SUBMIT_WAITING, "it was not about this job");
    cr_assert_str_eq(hear(q, a.token, "e2", "ext-2", true), "foreign");
    cr_assert_str_eq(hear(q, a.token, "e3", "ext-1", true), "taken");
    b = begin(q, MANY);
    cr_assert_eq(b.verdict, SUBMIT_KNOWN);
    cr_assert_str_eq(b.s.external_id, "ext-1");
    qt_close(q);
}

Test(submit, a_callback_while_the_service_is_being_asked_is_not_lost)
{
    struct qt *q = qt_open("submit_poll");
    struct error e = {0};
    struct asked a, b;

    qt_submit(q, 1, 1, 1, 1000);
    a = begin(q, MANY);
    cr_assert_eq(answered(q, &a, "ext-1"), SUBMIT_WAITING);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET state = 1");
    b = begin(q, MANY);
    cr_assert_str_eq(hear(q, a.token, "e1", "ext-1", true), "early");
    cr_assert_eq(submit_wait(q->worker, b.job, &b.s, 1000, clock_ms() + 5000, &e), SUBMIT_HEARD);
    cr_assert_eq(submit_wait(q->worker, b.job, &b.s, 1000, clock_ms() + 5000, &e), SUBMIT_WAITING);
    cr_assert_eq(qt_int(q, "SELECT polls FROM upload_pipeline.parser_submissions"), 2);
    qt_close(q);
}

Test(submit, callbacks_that_come_late_or_name_another_job_change_nothing)
{
    struct qt *q = qt_open("submit_wrong");
    uint8_t nobody[SHA256_BYTES];
    struct error e = {0};
    struct asked a;

    qt_submit(q, 1, 1, 1, 1000);
    a = begin(q, MANY);
    cr_assert_eq(answered(q, &a, "ext-1"), SUBMIT_WAITING);
    new_token(nobody);
    cr_assert_str_eq(hear(q, nobody, "e1", "ext-1", true), "unknown");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.webhook_log"), 0, "strangers fill no log");
    cr_assert_str_eq(hear(q, a.token, "e2", "ext-2", true), "foreign");
    cr_assert_eq(job_int(q, a.job, "state"), STATE_WAITING);
    cr_assert_eq(submit_end(q->worker, &a.s, "complete", 3, clock_ms() + 5000, &e), 0);
    cr_assert_str_eq(hear(q, a.token, "e3", "ext-1", true), "late");
    cr_assert_eq(job_int(q, a.job, "state"), STATE_WAITING);
    qt_close(q);
}

Test(submit, a_place_comes_back_when_its_job_goes_another_way)
{
    struct qt *q = qt_open("submit_tidy");
    struct asked a;

    qt_submit(q, 1, 1, 1, 1000);
    a = begin(q, MANY);
    cr_assert_eq(answered(q, &a, "ext-1"), SUBMIT_WAITING);
    qt_run(q, "SELECT upload_pipeline.tidy_submissions('1 hour')");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.parser_submissions WHERE ended_at IS NULL"), 1);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET status = 15, state = 9, deadline = NULL");
    qt_run(q, "SELECT upload_pipeline.tidy_submissions('1 hour')");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.parser_submissions WHERE ended_at IS NULL"), 0);
    qt_run(q, "SELECT upload_pipeline.tidy_submissions('0 s')");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.parser_submissions"), 0);
    qt_close(q);
}

Test(submit, an_api_session_sees_no_submission_and_cannot_begin_one)
{
    struct qt *q = qt_open("submit_rights");
    struct error e = {0};

    cr_assert_neq(pg_run(q->api, "SELECT count(*) FROM upload_pipeline.parser_submissions", NULL, 0, &e), 0);
    cr_assert_neq(pg_run(q->api, "SELECT upload_pipeline.open_gate(2::int2, 5)", NULL, 0, &e), 0);
    qt_close(q);
}

Test(gate, holds_a_job_back_without_an_attempt_and_lets_it_out_in_order)
{
    struct qt *q = qt_open("gate");
    struct error e = {0};
    struct queue_job *j;
    struct uuid first;

    first = qt_submit(q, 1, 1, 1, 1000);
    qt_submit(q, 1, 2, 1, 1000);
    for (int i = 0; i < 2; i++) {
        j = qt_claim_one(q);
        cr_assert_eq(
            queue_gate(q->worker, j, j->status, STATUS_EMBEDDING_IN_PROGRESS, "breaker_open", clock_ms() + 5000, &e), 1,
            "%s", e.message);
        cr_assert_eq(
            queue_gate(q->worker, j, j->status, STATUS_EMBEDDING_IN_PROGRESS, "breaker_open", clock_ms() + 5000, &e), 1,
            "asked again after a lost answer it says the same");
    }
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 3 AND attempt = 0"), 2);
    cr_assert_eq(qt_int(q, "SELECT upload_pipeline.open_gate(2::int2, 5)"), 0, "another gate");
    cr_assert_eq(qt_int(q, "SELECT upload_pipeline.open_gate(8::int2, 1)"), 1);
    j = qt_claim_one(q);
    cr_assert(uuid_equal(&j->id, &first));
    qt_close(q);
}
