/*
 * test_submit_faults.c - what the rules of submissions and budgets do when the database refuses, contradicts itself or
 * answers what nobody knows: an error that names it, tried again only where that can help
 *
 * A rule is a function of the database; a test puts another one in its place.
 */
#include "queue/cost.h"
#include "queue/submit.h"
#include "queue_test.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

TestSuite(submit_faults, .timeout = 120);

/* name(types) is another function from now on. */
static void replace(struct qt *q, const char *name, const char *types, const char *returns, const char *body)
{
    qt_run(q, "ALTER FUNCTION upload_pipeline.%s(%s) RENAME TO %s_away", name, types, name);
    qt_run(q, "CREATE FUNCTION upload_pipeline.%s(%s) RETURNS %s LANGUAGE plpgsql AS $$ BEGIN %s END $$", name, types,
           returns, body);
}

#define BEGIN_TYPES "uuid, bigint, smallint, text, bytea, int"
#define BEGIN_ANSWER                                                                                                   \
    "TABLE (verdict text, submission bigint, serial smallint, external_id text, deadline_ms bigint, "                  \
    "polls smallint, former text)"
#define WAIT_TYPES   "bigint, uuid, bigint, bigint"
#define ANSWER_TYPES "bigint, text, uuid, bigint, bigint, bigint"

static int begin(struct qt *q, const struct queue_job *j, struct submission *s, struct error *e)
{
    static const uint8_t token[SHA256_BYTES] = {1};

    return submit_begin(q->worker, j, j->status, "llamaparse", token, 10, clock_ms() + 5000, s, e);
}

static void expect_unknown_verdict(int rc, const struct error *e, const char *named)
{
    cr_assert_eq(rc, -EPROTO);
    cr_assert_eq(e->cls, ERR_INTERNAL);
    cr_assert_str_eq(e->reason, "internal");
    cr_assert_not_null(strstr(e->message, named), "%s", e->message);
}

Test(submit_faults, a_verdict_that_is_not_known_is_an_error_that_names_it)
{
    struct qt *q = qt_open("submit_verdict");
    struct submission s;
    struct error e = {0};

    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    replace(q, "begin_submission", BEGIN_TYPES, BEGIN_ANSWER,
            "RETURN QUERY SELECT 'perhaps', 1::bigint, 1::smallint,"
            " 'x'::text, 1::bigint, 0::smallint, NULL::text;");
    expect_unknown_verdict(begin(q, j, &s, &e), &e, "perhaps");
    cr_assert_eq(s.id, 0, "nothing of such an answer is taken");
    replace(q, "wait_submission", WAIT_TYPES, "text", "RETURN NULL;");
    expect_unknown_verdict(submit_wait(q->worker, j, &s, 1000, clock_ms() + 5000, &e), &e, "none");
    replace(q, "answer_submission", ANSWER_TYPES, "SETOF text", "RETURN;");
    expect_unknown_verdict(submit_answered(q->worker, j, &s, "ext", 1000, 1000, clock_ms() + 5000, &e), &e, "none");
    qt_close(q);
}

Test(submit_faults, a_refusal_is_an_error_at_once)
{
    struct qt *q = qt_open("submit_refused");
    int64_t before = clock_ms(), give_up = before + 30000;
    struct submission s;
    struct error e = {0};

    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    qt_run(q, "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA upload_pipeline FROM docmill_worker");
    cr_assert_lt(begin(q, j, &s, &e), 0);
    cr_assert_str_eq(e.reason, "db_error");
    cr_assert_lt(submit_answered(q->worker, j, &s, "ext", 1000, 1000, give_up, &e), 0);
    cr_assert_lt(submit_wait(q->worker, j, &s, 1000, give_up, &e), 0);
    cr_assert_lt(submit_end(q->worker, &s, "complete", 1, give_up, &e), 0);
    cr_assert_lt(submit_note_pages(q->worker, j, "[2]", give_up, &e), 0);
    cr_assert_lt(queue_gate(q->worker, j, j->status, j->status, "breaker_open", give_up, &e), 0);
    cr_assert_lt(clock_ms() - before, 20000, "what cannot get better is not tried again");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 2"), 1);
    qt_close(q);
}

Test(submit_faults, a_conflict_is_tried_again_with_growing_pauses_until_it_is_over_or_too_late)
{
    struct qt *q = qt_open("submit_conflict");
    struct submission s = {.id = 1};
    struct error e = {0};
    int64_t before;

    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    qt_run(q, "CREATE SEQUENCE public.hits; GRANT ALL ON SEQUENCE public.hits TO PUBLIC");
    replace(q, "wait_submission", WAIT_TYPES, "text",
            "IF nextval('public.hits') <= 2 THEN RAISE SQLSTATE '40001'; END IF; RETURN 'lost';");
    before = clock_ms();
    cr_assert_eq(submit_wait(q->worker, j, &s, 1000, before + 30000, &e), SUBMIT_LOST);
    cr_assert_geq(clock_ms() - before, 25 + 50, "with a growing pause before each");
    cr_assert_eq(qt_int(q, "SELECT last_value FROM public.hits"), 3);
    qt_run(q, "ALTER SEQUENCE public.hits MINVALUE -1000000 RESTART -1000000");
    before = clock_ms();
    cr_assert_lt(submit_wait(q->worker, j, &s, 1000, before + 200, &e), 0);
    cr_assert_str_eq(e.reason, "db_conflict");
    cr_assert_geq(clock_ms() - before, 200);
    qt_close(q);
}

Test(submit_faults, pages_that_failed_are_noted_for_who_holds_the_lease)
{
    struct qt *q = qt_open("submit_pages");
    struct error e = {0};

    qt_submit(q, 1, 1, 1, 100);
    struct queue_job j = *qt_claim_one(q);
    cr_assert_eq(submit_note_pages(q->worker, &j, "[2, 5]", clock_ms() + 5000, &e), 0, "%s", e.message);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_job_details"
                           " WHERE progress->'failed_pages' = '[2, 5]'"),
                 1);
    j.lease++;
    cr_assert_eq(submit_note_pages(q->worker, &j, "[7]", clock_ms() + 5000, &e), 0, "%s", e.message);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.events WHERE reason = 'pages_failed'"), 1,
                 "another's job is left as it is");
    qt_close(q);
}

Test(submit_faults, a_submission_whose_time_is_over_has_none_left)
{
    struct qt *q = qt_open("submit_over");
    struct submission s;
    struct error e = {0};

    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    cr_assert_eq(begin(q, j, &s, &e), SUBMIT_BEGUN);
    cr_assert_eq(s.left_ms, -1, "not answered: without a limit");
    qt_run(q, "UPDATE upload_pipeline.parser_submissions SET external_id = 'ext',"
              " deadline = now() - interval '1 hour'");
    j->status = STATUS_PARSE_QUEUED;
    cr_assert_eq(begin(q, j, &s, &e), SUBMIT_KNOWN);
    cr_assert_eq(s.left_ms, 0);
    qt_close(q);
}

/* ---- budgets ---- */

Test(submit_faults, a_budget_that_cannot_be_asked_grants_nothing)
{
    struct qt *q = qt_open("cost_refused");
    struct error e = {0};

    qt_submit(q, 1, 1, 1, 100);
    struct cost_item item = {.job = qt_claim_one(q), .cost = 1};
    struct cost_ask ask = {.provider = "openai",
                           .model = "text-embedding-3-small",
                           .unit = COST_tokens,
                           .limits = {-1, -1},
                           .hold_ms = 60000,
                           .items = &item,
                           .n_items = 1};
    qt_run(q, "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA upload_pipeline FROM docmill_worker");
    cr_assert_lt(cost_reserve(q->worker, &ask, &e), 0);
    cr_assert_str_eq(e.reason, "db_error");
    qt_close(q);
}

Test(submit_faults, a_refusal_by_a_budget_that_is_not_known_is_said_in_general_words)
{
    struct cost_item item = {.verdict = COST_OVER_DAILY};
    struct error e = {0};

    cr_assert_eq(cost_refusal(&item, &e), -EDQUOT);
    cr_assert_str_eq(e.reason, "budget_exceeded");
    cr_assert_neq(e.message[0], '\0');
    cr_assert_null(strstr(e.message, "USD"), "%s", e.message);
}
