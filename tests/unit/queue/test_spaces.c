/* test_spaces.c - a new embedding space: begun, walked, filled by jobs of its own, flipped, tidied up */
#include "queue_test.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

TestSuite(spaces, .timeout = 60);

#define FILLS "upload_pipeline.upload_jobs WHERE purpose = 2"

static const char *text_of(struct qt *q, const char *sql)
{
    struct pg_params none;
    struct error e;
    PGresult *r;
    const char *s;

    pg_params_init(&none, q);
    r = pg_exec(q->worker, sql, &none, 0, &e);
    cr_assert_not_null(r, "%s: %s", sql, e.message);
    s = talloc_strdup(q, PQntuples(r) > 0 && !pg_is_null(r, 0, 0) ? pg_get_text(r, 0, 0) : "");
    PQclear(r);
    return s;
}

/* n documents of user 1 that are complete in space 1. */
static void documents(struct qt *q, int first, int n)
{
    for (int i = first; i < first + n; i++) {
        qt_submit(q, 1, i, 1, 100);
        struct queue_job *j = qt_claim_one(q);
        struct queue_work w = qt_work(q, j, 3);
        cr_assert_eq(qt_store(q, &w, 1), 0);
        cr_assert_eq(w.outcome, QUEUE_STORED);
    }
}

static const char *want(struct qt *q, const char *model)
{
    return text_of(q, talloc_asprintf(q, "SELECT want_space('default', '%s', 1, 8, 'cosine', 'none')", model));
}

static const char *flip(struct qt *q)
{
    return text_of(q, "SELECT flip_collection(1::smallint)");
}

static int64_t walk(struct qt *q, int scan, int open)
{
    return db_test_int(q->worker,
                       talloc_asprintf(q, "SELECT coalesce(walk_collection(1::smallint, %d, %d), -1)", scan, open));
}

/* Work that puts all vectors of a fill job's document into its space. */
static struct queue_work fill_work(struct qt *q, const struct queue_job *j)
{
    struct queue_work w = qt_work(q, j, 3);

    w.set_parsed = false;
    w.chunks = NULL;
    w.n_chunks = w.n_hops = 0;
    return w;
}

static void fill_one(struct qt *q)
{
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = fill_work(q, j);

    cr_assert_eq(j->purpose, PURPOSE_FILL);
    cr_assert_eq(j->status, STATUS_CHUNKS_STORED);
    cr_assert_eq(j->lane, QUEUE_LANE_FILL);
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_STORED);
}

Test(spaces, a_wanted_space_is_begun_once_and_given_up_when_nobody_wants_it)
{
    struct qt *q = qt_open("qt_spaces_want");

    cr_assert_str_eq(want(q, "builtin"), "same");
    cr_assert_str_eq(want(q, "other"), "begun");
    cr_assert_str_eq(want(q, "other"), "same");
    cr_assert_str_eq(want(q, "third"), "begun");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.embedding_spaces WHERE state = 'building'"), 1);
    cr_assert_str_eq(want(q, "builtin"), "given up");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.collections WHERE next_space IS NULL"), 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.embedding_spaces WHERE state = 'retired'"), 2);
    cr_assert_str_eq(want(q, "other"), "begun", "taken up again, under its number");
    cr_assert_eq(qt_int(q, "SELECT next_space FROM upload_pipeline.collections"), 2);
    qt_run(q, "SELECT pg_advisory_lock(1684865026, 0)");
    cr_assert_str_eq(want(q, "builtin"), "not leading");
    cr_assert_eq(db_test_int(q->worker, "SELECT count(*) FROM step_spaces(10, 10, 10, 0)"), 0);
    qt_close(q);
}

Test(spaces, who_stores_is_waited_for_a_while_and_no_longer)
{
    struct qt *q = qt_open("qt_spaces_busy");

    db_test_run(q->other, "BEGIN");
    db_test_run(q->other, "SELECT pg_advisory_xact_lock_shared(1684865029, 1)");
    cr_assert_str_eq(want(q, "other"), "busy");
    db_test_run(q->other, "COMMIT");
    cr_assert_str_eq(want(q, "other"), "begun");
    cr_assert_eq(walk(q, 10, 10), 0);
    db_test_run(q->other, "BEGIN");
    db_test_run(q->other, "SELECT pg_advisory_xact_lock_shared(1684865029, 1)");
    cr_assert_str_eq(flip(q), "busy");
    db_test_run(q->other, "COMMIT");
    cr_assert_str_eq(flip(q), "flipped");
    qt_close(q);
}

Test(spaces, nobody_stores_while_a_collection_changes_its_spaces)
{
    struct qt *q = qt_open("qt_spaces_fence");
    struct error e;

    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 3);
    db_test_run(q->other, "BEGIN");
    db_test_run(q->other, "SELECT pg_advisory_xact_lock(1684865029, 1)");
    db_test_run(q->worker, "SET lock_timeout = '300ms'");
    cr_assert_lt(queue_store(q->worker, &w, 1, QT_DIM, 60000, 0, &e), 0);
    cr_assert_eq(w.outcome, QUEUE_PENDING);
    db_test_run(q->other, "COMMIT");
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_STORED);
    qt_close(q);
}

Test(spaces, a_fill_whose_count_cannot_be_asked_for_is_not_done)
{
    struct qt *q = qt_open("qt_spaces_denied");
    struct error e;

    documents(q, 0, 1);
    cr_assert_str_eq(want(q, "other"), "begun");
    cr_assert_eq(walk(q, 10, 10), 1);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = fill_work(q, j);
    qt_run(q, "REVOKE SELECT ON upload_pipeline.documents FROM docmill_worker");
    cr_assert_lt(queue_store(q->worker, &w, 1, QT_DIM, 60000, INT64_MAX, &e), 0);
    cr_assert_str_eq(e.reason, "db_error");
    cr_assert_eq(w.outcome, QUEUE_PENDING);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.vectors_2"), 0);
    qt_run(q, "GRANT SELECT ON upload_pipeline.documents TO docmill_worker");
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_STORED);
    qt_close(q);
}

Test(spaces, the_walk_makes_a_job_for_each_visible_document_a_few_at_a_time)
{
    struct qt *q = qt_open("qt_spaces_walk");

    documents(q, 0, 5);
    qt_submit(q, 1, 100, 1, 100); /* not visible */
    cr_assert_eq(walk(q, 2, 10), -1, "nothing is wanted");
    cr_assert_str_eq(want(q, "other"), "begun");
    int64_t made = walk(q, 2, 10);
    cr_assert(made <= 2);
    cr_assert_eq(walk(q, 2, 1), -1, "enough are open");
    cr_assert_str_eq(flip(q), "filling");
    for (int i = 0; i < 3; i++)
        made += walk(q, 2, 10);
    cr_assert_eq(made, 5);
    cr_assert_eq(walk(q, 2, 10), -1, "at the end");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM " FILLS " AND space = 2 AND generation = 1 AND status = 6"), 5);
    cr_assert_eq(db_test_int(q->worker,
                             "SELECT make_fills(1::smallint, 2::smallint, array_agg(user_id), array_agg(document_id))"
                             " FROM documents"),
                 0, "each has one");
    qt_close(q);
}

Test(spaces, a_space_is_flipped_when_every_document_is_in_it)
{
    struct qt *q = qt_open("qt_spaces_flip");

    documents(q, 0, 2);
    cr_assert_str_eq(want(q, "other"), "begun");
    cr_assert_eq(walk(q, 10, 10), 2);
    fill_one(q);
    cr_assert_str_eq(flip(q), "filling");
    fill_one(q);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.vectors_2"), 6);
    cr_assert_eq(qt_int(q, "SELECT live_space FROM upload_pipeline.collections"), 1);
    cr_assert_str_eq(text_of(q, "SELECT verdict FROM step_spaces(10, 10, 10, 600000)"), "flipped");
    cr_assert_eq(qt_int(q, "SELECT live_space FROM upload_pipeline.collections"), 2);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.documents WHERE live_generation = 1 AND chunks = 3"),
                 2);
    db_test_run(q->worker, "SELECT count(*) FROM step_spaces(10, 10, 10, 600000)");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM " FILLS), 0);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.vectors_1"), 6, "not yet");
    cr_assert_str_eq(text_of(q, "SELECT space::text FROM step_spaces(10, 10, 10, 0)"), "1");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.vectors_1"), 0);
    cr_assert_str_eq(text_of(q, "SELECT verdict FROM step_spaces(10, 10, 10, 0)"), "idle", "once");
    qt_close(q);
}

Test(spaces, what_becomes_visible_during_the_fill_gets_its_job_in_the_same_transaction)
{
    struct qt *q = qt_open("qt_spaces_meanwhile");

    cr_assert_str_eq(want(q, "other"), "begun");
    cr_assert_eq(walk(q, 10, 10), 0);
    documents(q, 0, 2);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM " FILLS " AND space = 2"), 2);
    cr_assert_str_eq(flip(q), "filling");
    fill_one(q);
    fill_one(q);
    cr_assert_str_eq(flip(q), "flipped");
    documents(q, 10, 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.vectors_2"), 9,
                 "and new ones go to the new space only");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.vectors_1"), 6);
    qt_close(q);
}

Test(spaces, a_job_in_hand_at_the_flip_is_lost_and_begun_again_in_the_new_space)
{
    struct qt *q = qt_open("qt_spaces_hand");

    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 3);
    cr_assert_eq(j->space, 1);
    cr_assert_str_eq(want(q, "other"), "begun");
    cr_assert_eq(walk(q, 10, 10), 0);
    cr_assert_str_eq(flip(q), "flipped");
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_LOST);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.vectors_1"), 0, "nothing goes where nobody reads");
    cr_assert_eq(db_test_int(q->worker, "SELECT tidy_fills(10)"), 1);
    cr_assert_eq(qt_int(q, "SELECT attempt FROM upload_pipeline.upload_jobs WHERE state = 1"), 0, "no attempt is lost");
    j = qt_claim_one(q);
    cr_assert_eq(j->space, 2);
    w = qt_work(q, j, 3);
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_STORED);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.vectors_2"), 3);
    qt_close(q);
}

#define NO_TRIGGER(q) qt_run(q, "ALTER TABLE upload_pipeline.documents DISABLE TRIGGER documents_drop_former_fills")

Test(spaces, the_later_generation_wins_where_the_walk_saw_the_former)
{
    struct qt *q = qt_open("qt_spaces_generations");

    documents(q, 0, 1);
    cr_assert_str_eq(want(q, "other"), "begun");
    cr_assert_eq(walk(q, 10, 10), 1);
    struct queue_job *j = qt_claim_one(q);
    NO_TRIGGER(q); /* as if the job had been made a moment later */
    qt_run(q, "UPDATE upload_pipeline.documents SET live_generation = 2");
    cr_assert_eq(db_test_int(q->worker, "SELECT make_fills(1::smallint, 2::smallint, array_agg(user_id),"
                                        " array_agg(document_id)) FROM documents"),
                 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM " FILLS " AND generation = 2 AND state = 1"), 1);
    struct queue_work w = fill_work(q, j);
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_LOST);
    qt_run(q, "UPDATE upload_pipeline.documents SET live_generation = 1");
    cr_assert_eq(db_test_int(q->worker, "SELECT make_fills(1::smallint, 2::smallint, array_agg(user_id),"
                                        " array_agg(document_id)) FROM documents"),
                 0, "the walk comes after");
    cr_assert_eq(qt_int(q, "SELECT generation FROM " FILLS), 2);
    qt_close(q);
}

Test(spaces, a_fill_that_lacks_a_vector_or_whose_document_changed_is_not_done)
{
    struct qt *q = qt_open("qt_spaces_count");

    documents(q, 0, 2);
    cr_assert_str_eq(want(q, "other"), "begun");
    cr_assert_eq(walk(q, 10, 10), 2);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = fill_work(q, j);
    w.n_vectors = 2;
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_MISCOUNT);
    j = qt_claim_one(q);
    w = fill_work(q, j);
    NO_TRIGGER(q);
    qt_run(q, "UPDATE upload_pipeline.documents SET live_generation = 2 WHERE document_id = %s",
           qt_id(q, &j->document_id));
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_MISCOUNT);
    cr_assert_eq(db_test_int(q->worker, "SELECT tidy_fills(10)"), 1, "of a generation that is not visible any more");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM " FILLS), 1);
    qt_close(q);
}

Test(spaces, a_fill_that_fails_for_good_leaves_its_document_alone_and_holds_the_flip)
{
    struct qt *q = qt_open("qt_spaces_fail");
    struct queue_policy policy = {5, 1000, 10000};
    struct uuid user = qt_user(1);
    struct queue_verdict v;
    struct error why, e;

    documents(q, 0, 1);
    cr_assert_str_eq(want(q, "other"), "begun");
    cr_assert_eq(walk(q, 10, 10), 1);
    struct queue_job *j = qt_claim_one(q);
    reason_error(&why, REASON_embed_refused, EINVAL, "no");
    cr_assert_eq(queue_fail(q->worker, j, j->status, j->status, &why, &policy, &v, &e), 1);
    cr_assert_eq(v.to_state, STATE_DEADLETTER);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.stale_generations"), 0);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.document_contents"), 1);
    cr_assert_str_eq(text_of(q, "SELECT verdict FROM step_spaces(10, 10, 10, 0)"), "failed");
    cr_assert_eq(db_test_int(q->worker, "SELECT failed FROM step_spaces(10, 10, 10, 0) LIMIT 1"), 1);
    db_test_run(q->api, talloc_asprintf(q,
                                        "SELECT set_config('request.jwt.claims', '{\"sub\":\"' || %s ||"
                                        " '\",\"operator\":true}', false)",
                                        qt_id(q, &user)));
    cr_assert_eq(db_test_int(q->api, "SELECT failed FROM spaces_report() WHERE state = 'building'"), 1);
    cr_assert_eq(db_test_int(q->api, "SELECT count(*) FROM upload_jobs"), 1, "a user sees none of them");
    cr_assert_eq(db_test_int(q->api, "SELECT retry_fills('default')"), 1);
    j = qt_claim_one(q);
    cr_assert_eq(queue_fail(q->worker, j, j->status, j->status, &why, &policy, &v, &e), 1);
    cr_assert_eq(db_test_int(q->api, "SELECT flip_without_failed('default')"), 1);
    cr_assert_str_eq(flip(q), "flipped");
    db_test_run(q->worker, "SELECT tidy_fills(10)");
    cr_assert_eq(db_test_int(q->api, "SELECT failed FROM spaces_report() WHERE state = 'live'"), 1, "it is still said");
    cr_assert_eq(db_test_int(q->api, "SELECT retry_fills('default')"), 1);
    cr_assert_eq(db_test_int(q->api, "SELECT covered FROM spaces_report() WHERE state = 'live'"), 0, "not yet");
    fill_one(q);
    db_test_run(q->worker, "SELECT tidy_fills(10)");
    cr_assert_eq(db_test_int(q->api, "SELECT failed + covered - documents FROM spaces_report() WHERE state = 'live'"),
                 0);
    qt_close(q);
}

Test(spaces, nobody_but_an_operator_asks_or_decides)
{
    struct qt *q = qt_open("qt_spaces_operator");
    static const char *const asked[] = {"SELECT count(*) FROM spaces_report()", "SELECT retry_fills('default')",
                                        "SELECT flip_without_failed('default')"};
    struct pg_params none;
    struct error e;

    qt_submit(q, 1, 1, 1, 100); /* sets the claims of a user */
    pg_params_init(&none, q);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        cr_assert_null(pg_exec(q->api, asked[i], &none, 0, &e), "%s", asked[i]);
    qt_close(q);
}

Test(spaces, a_kill_and_a_deadline_of_a_fill_leave_its_document_alone)
{
    struct qt *q = qt_open("qt_spaces_kill");
    struct rescue_limits limits = {.max_attempts = 1, .crash_budget = 1, .retry_ms = 10};
    struct pg_params params;
    struct error e;

    documents(q, 0, 2);
    cr_assert_str_eq(want(q, "other"), "begun");
    cr_assert_eq(walk(q, 10, 10), 2);
    struct queue_job *j = qt_claim_one(q);
    rescue_release_params(&params, q, 7, 1, &j->id, 1, BLAME_CRASH, false, &limits, NULL);
    cr_assert_eq(pg_run(q->worker, rescue_release_sql, &params, 0, &e), 0, "%s", e.message);
    qt_claim_one(q);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET deadline = now() - interval '1 s' WHERE state = 2");
    pg_params_init(&params, q);
    pg_add_int4(&params, 1);
    pg_add_int8(&params, 10);
    cr_assert_eq(pg_run(q->worker, rescue_expired_sql, &params, 0, &e), 0, "%s", e.message);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM " FILLS " AND state IN (7, 8)"), 2);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.stale_generations"), 0);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.document_contents"), 2);
    qt_close(q);
}

Test(spaces, a_document_that_is_deleted_takes_its_fill_jobs_along)
{
    struct qt *q = qt_open("qt_spaces_delete");

    documents(q, 0, 2);
    cr_assert_str_eq(want(q, "other"), "begun");
    cr_assert_eq(walk(q, 10, 10), 2);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = fill_work(q, j);
    cr_assert_eq(
        db_test_int(q->api, talloc_asprintf(q, "SELECT count(*) FROM delete_document(%s)", qt_id(q, &j->document_id))),
        1);
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_LOST);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM " FILLS), 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_job_details"), 2);
    qt_close(q);
}

Test(spaces, fills_come_after_everything_that_somebody_uploaded)
{
    struct qt *q = qt_open("qt_spaces_lanes");
    int n;

    documents(q, 0, 2);
    cr_assert_str_eq(want(q, "other"), "begun");
    cr_assert_eq(walk(q, 10, 10), 2);
    qt_submit(q, 1, 50, 2, 100);
    qt_submit(q, 1, 51, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, 3, &n);
    cr_assert_eq(n, 3);
    cr_assert_eq(j[0].lane, 1);
    cr_assert_eq(j[1].lane, 2);
    cr_assert_eq(j[2].lane, QUEUE_LANE_FILL);
    cr_assert_eq(qt_int(q, "SELECT last_value FROM upload_pipeline.lane_clock_bulk"), j[1].fair_key,
                 "the clock of a lane knows nothing of them");
    qt_close(q);
}

Test(spaces, a_space_is_not_begun_again_before_its_old_jobs_are_gone)
{
    struct qt *q = qt_open("qt_spaces_clearing");

    documents(q, 0, 2);
    cr_assert_str_eq(want(q, "other"), "begun");
    cr_assert_eq(walk(q, 10, 10), 2);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = fill_work(q, j);
    cr_assert_str_eq(want(q, "builtin"), "given up");
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_LOST, "in hand for a space that is given up");
    cr_assert_str_eq(want(q, "other"), "clearing");
    cr_assert_eq(db_test_int(q->worker, "SELECT tidy_fills(10)"), 2);
    cr_assert_str_eq(want(q, "other"), "begun");
    cr_assert_eq(walk(q, 10, 10), 2, "from the beginning");
    qt_close(q);
}

Test(spaces, collections_are_strangers_to_each_other)
{
    struct qt *q = qt_open("qt_spaces_collections");
    struct pg_params none;
    struct error e;

    db_test_run(q->worker, "SELECT ensure_collection('notes', 'builtin', 1, 8, 'cosine', 'none')");
    db_test_run(q->worker, "SELECT ensure_collection('notes', 'other', 1, 16, 'cosine', 'none')");
    cr_assert_eq(qt_int(q, "SELECT live_space FROM upload_pipeline.collections WHERE name = 'notes'"), 2, "as it is");
    documents(q, 0, 1);
    cr_assert_eq(db_test_int(q->api, "SELECT count(*) FROM search_chunks('[1,0,0,0,0,0,0,0]', 'chunk', 5, 1000,"
                                     " 'default', 'builtin', 1, 8)"),
                 3);
    cr_assert_eq(db_test_int(q->api, "SELECT count(*) FROM search_chunks('[1,0,0,0,0,0,0,0]', 'chunk', 5, 1000,"
                                     " 'notes', 'builtin', 1, 8)"),
                 0);
    pg_params_init(&none, q);
    cr_assert_null(pg_exec(
        q->api, "SELECT * FROM search_chunks('[1,0,0,0,0,0,0,0]', 'x', 5, 9, 'default', 'other', 1, 8)", &none, 0, &e));
    cr_assert(strstr(e.message, "DM005") != NULL, "%s", e.message);
    cr_assert_null(
        pg_exec(q->api, "SELECT * FROM search_chunks('[1]', 'x', 5, 9, 'none', 'other', 1, 1)", &none, 0, &e));
    cr_assert(strstr(e.message, "default, notes") != NULL && strstr(e.message, "DM004") != NULL, "%s", e.message);
    cr_assert_null(pg_exec(q->api, "SELECT may_submit(gen_random_uuid(), 'none', 5)", &none, 0, &e));
    qt_run(q, "UPDATE upload_pipeline.collections SET live_space = NULL WHERE name = 'notes'");
    cr_assert_null(pg_exec(q->api, "SELECT may_submit(gen_random_uuid(), 'notes', 5)", &none, 0, &e));
    cr_assert(strstr(e.message, "DM002") != NULL, "%s", e.message);
    qt_close(q);
}

/* Of a document in a collection, with a text of its own only as far as `text` is. */
static struct queue_work text_in(struct qt *q, int seed, int collection, const uint8_t *text)
{
    qt_submit(q, 1, seed, 1, 100);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET collection = %d WHERE state = 1", collection);
    qt_run(q, "UPDATE upload_pipeline.documents SET collection = %d WHERE filename = 'f%d.md'", collection, seed);
    struct queue_work w = qt_work(q, qt_claim_one(q), 3);

    w.parsed_sha256 = text;
    cr_assert_eq(qt_store(q, &w, 1), 0);
    return w;
}

Test(spaces, the_same_text_is_a_duplicate_within_its_collection_only)
{
    struct qt *q = qt_open("qt_spaces_duplicates");
    uint8_t text[SHA256_BYTES] = {7};
    struct queue_work first, other, again;

    db_test_run(q->worker, "SELECT ensure_collection('notes', 'builtin', 1, 8, 'cosine', 'none')");
    first = text_in(q, 1, 1, text);
    other = text_in(q, 2, 2, text);
    cr_assert_eq(first.outcome, QUEUE_STORED);
    cr_assert_eq(other.outcome, QUEUE_STORED);
    again = text_in(q, 3, 2, text);
    cr_assert_eq(again.outcome, QUEUE_DUPLICATE);
    cr_assert(uuid_equal(&again.duplicate_of, &other.job->document_id));
    again = text_in(q, 4, 1, text);
    cr_assert_eq(again.outcome, QUEUE_DUPLICATE);
    cr_assert(uuid_equal(&again.duplicate_of, &first.job->document_id));
    qt_close(q);
}

Test(spaces, work_of_a_collection_that_is_not_there_is_lost)
{
    struct qt *q = qt_open("qt_spaces_gone");

    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 3);
    j->collection = 99;
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_LOST);
    qt_close(q);
}
