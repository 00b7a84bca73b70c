/* test_fail.c - what becomes of a job that failed */
#include "queue_test.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

static const struct queue_policy policy = {.max_attempts = 3, .retry_first_ms = 1000, .retry_cap_ms = 8000};

static struct error failure(enum reason r)
{
    struct error e;

    reason_error(&e, r, EIO, NULL);
    error_hint(&e, "look there");
    return e;
}

Test(judge, a_permanent_reason_ends_the_job_where_its_stage_fails)
{
    struct error e = failure(REASON_parse_encrypted);
    struct queue_verdict v = queue_judge(&e, STATUS_UPLOADED, STATUS_PARSE_QUEUED, 1, &policy);

    cr_assert_eq(v.to_status, STATUS_FAILED_PARSE);
    cr_assert_eq(v.to_state, STATE_DEADLETTER);
    cr_assert_str_eq(v.reason, "parse_encrypted");
    e = failure(REASON_too_many_chunks);
    v = queue_judge(&e, STATUS_UPLOADED, STATUS_CHUNKING, 1, &policy);
    cr_assert_eq(v.to_status, STATUS_FAILED_CHUNKING);
    e = failure(REASON_embed_bad_vector);
    v = queue_judge(&e, STATUS_CHUNKS_STORED, STATUS_EMBEDDING_IN_PROGRESS, 1, &policy);
    cr_assert_eq(v.to_status, STATUS_FAILED_EMBEDDING);
}

Test(judge, a_transient_reason_waits_longer_each_time_until_the_attempts_are_used_up)
{
    struct error e = failure(REASON_blob_busy);
    struct queue_verdict v = queue_judge(&e, STATUS_UPLOADED, STATUS_PARSED, 1, &policy);

    cr_assert_eq(v.to_status, STATUS_UPLOADED);
    cr_assert_eq(v.to_state, STATE_RETRYABLE);
    cr_assert(v.wait_ms >= 500 && v.wait_ms <= 1000);
    cr_assert(!v.refund);
    v = queue_judge(&e, STATUS_UPLOADED, STATUS_PARSED, 2, &policy);
    cr_assert(v.wait_ms >= 1000 && v.wait_ms <= 2000);
    v = queue_judge(&e, STATUS_UPLOADED, STATUS_PARSED, 3, &policy);
    cr_assert_eq(v.to_state, STATE_DEADLETTER);
    cr_assert_eq(v.to_status, STATUS_FAILED_PARSE);
}

Test(judge, an_outage_costs_no_attempt_however_long_it_is)
{
    struct error e = failure(REASON_blob_denied);
    struct queue_verdict v = queue_judge(&e, STATUS_PARSED, STATUS_PARSED, 0, &policy);

    cr_assert_eq(v.to_state, STATE_RETRYABLE);
    cr_assert(v.refund);
    cr_assert_geq(v.wait_ms, 4 * policy.retry_first_ms / 2, "no attempt counts, so it cannot grow: it is long at once");
    v = queue_judge(&e, STATUS_PARSED, STATUS_PARSED, 30, &policy);
    cr_assert_eq(v.to_state, STATE_RETRYABLE);
    cr_assert_leq(v.wait_ms, policy.retry_cap_ms);
}

Test(fail, a_dead_letter_keeps_its_reason_message_and_hint)
{
    struct qt *q = qt_open("qt_fail_dead");
    struct error why = failure(REASON_parse_corrupt), e;
    struct queue_verdict v;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);

    cr_assert_eq(queue_fail(q->worker, j, j->status, STATUS_PARSE_QUEUED, &why, &policy, &v, &e), 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE status = 11 AND state = 7"), 1);
    cr_assert_eq(qt_int(q,
                        "SELECT count(*) FROM upload_pipeline.upload_job_details WHERE error_reason = 'parse_corrupt'"
                        " AND error_message LIKE 'The parser could not%%' AND error_hint = 'look there'"),
                 1);
    cr_assert_eq(
        qt_int(q, "SELECT count(*) FROM upload_pipeline.events WHERE to_status = 11 AND reason = 'parse_corrupt'"), 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.stale_generations"), 1);
    qt_close(q);
}

Test(fail, a_message_that_is_no_utf8_does_not_keep_the_failure_from_being_written)
{
    struct qt *q = qt_open("qt_fail_utf8");
    struct error why = failure(REASON_parse_corrupt), e;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);

    strcpy(why.message, "cut in the middle of \xc3");
    strcpy(why.hint, "\xff");
    cr_assert_eq(queue_fail(q->worker, j, j->status, j->status, &why, &policy, NULL, &e), 1, "%s", e.message);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_job_details"
                           " WHERE error_message = 'cut in the middle of ?' AND error_hint = '?'"),
                 1);
    qt_close(q);
}

Test(fail, a_retry_comes_back_when_its_time_has_come_and_not_before)
{
    struct qt *q = qt_open("qt_fail_retry");
    struct error why = failure(REASON_blob_busy), e;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    int n;

    why.hint[0] = '\0';
    cr_assert_eq(queue_fail(q->worker, j, j->status, j->status, &why, &policy, NULL, &e), 1);
    cr_assert_eq(db_test_int(q->worker, rescue_due_sql), 0);
    qt_claim(q, q->worker, 1, 1, &n);
    cr_assert_eq(n, 0);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET run_at = now()");
    cr_assert_eq(db_test_int(q->worker, rescue_due_sql), 1);
    j = qt_claim_one(q);
    cr_assert_eq(j->attempt, 2);
    qt_close(q);
}

Test(fail, a_refund_leaves_the_attempts_as_they_were)
{
    struct qt *q = qt_open("qt_fail_refund");
    struct error why = failure(REASON_blob_full), e;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);

    cr_assert_eq(queue_fail(q->worker, j, j->status, j->status, &why, &policy, NULL, &e), 1);
    cr_assert_eq(qt_int(q, "SELECT attempt FROM upload_pipeline.upload_jobs"), 0);
    qt_close(q);
}

Test(fail, a_lost_lease_writes_no_failure)
{
    struct qt *q = qt_open("qt_fail_lost");
    struct error why = failure(REASON_parse_corrupt), e;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);

    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET lease = lease + 1");
    cr_assert_eq(queue_fail(q->worker, j, j->status, j->status, &why, &policy, NULL, &e), 0);
    cr_assert_eq(qt_int(q, "SELECT state FROM upload_pipeline.upload_jobs"), STATE_WORKING);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.events WHERE reason IS NOT NULL"), 0);
    qt_close(q);
}

Test(fail, uploading_a_failed_document_again_starts_it_again_under_a_new_generation)
{
    struct qt *q = qt_open("qt_fail_again");
    struct error why = failure(REASON_parse_corrupt), e;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);

    cr_assert_eq(queue_fail(q->worker, j, j->status, j->status, &why, &policy, NULL, &e), 1);
    qt_submit(q, 1, 1, 1, 100);
    j = qt_claim_one(q);
    cr_assert_eq(j->generation, 2);
    cr_assert_eq(j->attempt, 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs"), 1);
    qt_close(q);
}

Test(fail, a_broken_database_is_reported)
{
    struct qt *q = qt_open("qt_fail_broken");
    struct error why = failure(REASON_parse_corrupt), e;
    struct queue_chunk *c;
    struct queue_owner o = {7, 1};
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    const struct queue_job *list[] = {j};

    qt_run(q, "ALTER SCHEMA upload_pipeline RENAME TO gone");
    cr_assert_lt(queue_fail(q->worker, j, j->status, j->status, &why, &policy, NULL, &e), 0);
    cr_assert_lt(queue_hand_back(q->worker, list, 1, &e), 0);
    cr_assert_lt(queue_reclaim(q->worker, &o, NULL, 0, &e), 0);
    cr_assert_lt(queue_read_chunks(q->worker, q, j, 0, 1, &c, &e), 0);
    cr_assert_lt(queue_count_chunks(q->worker, j, &e), 0);
    cr_assert_lt(queue_stored_vectors(q->worker, j, &e), 0);
    qt_close(q);
}
