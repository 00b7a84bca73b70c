/* test_table.c - the database's table of statuses is the one in C, and its rows obey it */
#include "queue_test.h"

#include <string.h>
#include <talloc.h>

Test(table, every_move_between_statuses_is_judged_alike_in_c_and_in_sql)
{
    struct qt *q = qt_open("qt_table_paths");
    unsigned anyone = ACTOR_WORKER | ACTOR_WEBHOOK | ACTOR_RESCUE | ACTOR_OPERATOR;

    for (int from = 1; from < STATUS_MAX_; from++) {
        for (int to = 1; to < STATUS_MAX_; to++) {
            int64_t sql = qt_int(q,
                                 "SELECT count(*) FROM upload_pipeline.job_paths WHERE from_status = %d"
                                 " AND to_status = %d",
                                 from, to);
            if (from != to)
                cr_assert_eq(sql != 0, path_allowed(from, to, anyone), "%s -> %s", status_name(from), status_name(to));
        }
    }
    qt_close(q);
}

Test(table, names_legal_states_and_ends_are_the_same)
{
    struct qt *q = qt_open("qt_table_names");

    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.job_statuses"), STATUS_MAX_ - 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.job_states"), STATE_MAX_ - 1);
    for (int s = 1; s < STATUS_MAX_; s++) {
        cr_assert_eq(qt_int(q,
                            "SELECT count(*) FROM upload_pipeline.job_statuses WHERE status = %d AND name = '%s'"
                            " AND progress = %d AND is_end = %s",
                            s, status_name(s), status_progress(s), status_is_end(s) ? "true" : "false"),
                     1);
        for (int t = 1; t < STATE_MAX_; t++)
            cr_assert_eq(
                qt_int(q, "SELECT (legal_states >> %d) & 1 FROM upload_pipeline.job_statuses WHERE status = %d", t, s),
                state_legal(s, t));
        if (!status_is_end(s))
            cr_assert_eq(qt_int(q, "SELECT upload_pipeline.failure_of(%d::smallint)", s), status_failure_of(s));
    }
    for (int t = 1; t < STATE_MAX_; t++)
        cr_assert_eq(qt_int(q,
                            "SELECT count(*) FROM upload_pipeline.job_states WHERE state = %d AND name = '%s'"
                            " AND is_end = %s",
                            t, state_name(t), state_is_end(t) ? "true" : "false"),
                     1);
    qt_close(q);
}

static bool refused(struct qt *q, const char *sql)
{
    struct pg_params none;
    struct error e;
    PGresult *r;

    pg_params_init(&none, q);
    r = pg_exec(q->admin, sql, &none, 0, &e);
    if (r != NULL) {
        PQclear(r);
        return false;
    }
    cr_assert_str_eq(pg_sqlstate(q->admin), "DM010", "%s", e.message);
    return true;
}

Test(table, the_trigger_refuses_what_the_table_does_not_allow)
{
    struct qt *q = qt_open("qt_table_trigger");

    qt_submit(q, 1, 1, 1, 100);
    cr_assert(refused(q, "UPDATE upload_pipeline.upload_jobs SET status = 10"), "complete and queued");
    cr_assert(refused(q, "UPDATE upload_pipeline.upload_jobs SET state = 6"), "uploaded and done");
    cr_assert(refused(q, "UPDATE upload_pipeline.upload_jobs SET lease = -1"), "lease goes back");
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET status = 10, state = 6");
    cr_assert(refused(q, "UPDATE upload_pipeline.upload_jobs SET status = 3, state = 1"), "into the middle");
    cr_assert(refused(q, "UPDATE upload_pipeline.upload_jobs SET status = 11, state = 7"), "from complete to failed");
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET status = 1, state = 1"); /* parsed again */
    qt_close(q);
}

Test(table, every_unfinished_state_has_somebody_who_looks_at_it)
{
    /* queued is claimed, working and waiting have a deadline, retryable a run_at: a row that nobody would ever look
     * at again cannot be written. */
    struct qt *q = qt_open("qt_table_lost");
    struct pg_params none;
    struct error e;

    qt_submit(q, 1, 1, 1, 100);
    pg_params_init(&none, q);
    cr_assert_null(pg_exec(q->admin, "UPDATE upload_pipeline.upload_jobs SET state = 2, owner_node = 1", &none, 0, &e));
    cr_assert_str_eq(pg_sqlstate(q->admin), "23514");
    cr_assert_null(
        pg_exec(q->admin, "UPDATE upload_pipeline.upload_jobs SET state = 2, deadline = now()", &none, 0, &e));
    cr_assert_null(pg_exec(q->admin, "UPDATE upload_pipeline.upload_jobs SET run_at = NULL", &none, 0, &e));
    qt_close(q);
}

Test(tenants, nobody_sees_or_changes_rows_of_another_user)
{
    struct qt *q = qt_open("qt_tenants");
    struct uuid a = qt_user(1), b = qt_user(2);
    static const char *const tables[] = {"upload_jobs", "upload_job_details", "documents", "document_chunks",
                                         "events",      "vectors_1"};
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 3);
    cr_assert_eq(qt_store(q, &w, 1), 0);

    for (int user = 1; user <= 2; user++) {
        db_test_run(q->api,
                    talloc_asprintf(q, "SELECT set_config('request.jwt.claims', '{\"sub\":\"' || %s || '\"}', false)",
                                    qt_id(q, user == 1 ? &a : &b)));
        for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
            int64_t n = db_test_int(q->api, talloc_asprintf(q, "SELECT count(*) FROM %s", tables[i]));
            cr_assert_eq(n > 0, user == 1, "%s for user %d: %lld", tables[i], user, (long long)n);
        }
        cr_assert_eq(db_test_int(q->api, "SELECT count(*) FROM search_chunks('[1,0,0,0,0,0,0,0]', 'chunk', 5, 1000,"
                                         " 'default', 'builtin', 1, 8)"),
                     user == 1 ? 3 : 0);
    }
    cr_assert_eq(db_test_int(q->api, talloc_asprintf(q, "SELECT count(*) FROM cancel_job(%s)", qt_id(q, &j->id))), 0);
    cr_assert_eq(db_test_int(q->api, talloc_asprintf(q, "SELECT count(*) FROM retry_job(%s)", qt_id(q, &j->id))), 0);
    cr_assert_eq(
        db_test_int(q->api, talloc_asprintf(q, "SELECT count(*) FROM delete_document(%s)", qt_id(q, &j->document_id))),
        0);
    db_test_run(q->api, "SELECT set_config('request.jwt.claims', '', false)");
    cr_assert_eq(db_test_int(q->api, "SELECT count(*) FROM documents"), 0, "without claims nothing is seen");
    qt_close(q);
}

Test(tenants, every_table_that_knows_a_user_forces_row_level_security)
{
    struct qt *q = qt_open("qt_tenants_forced");

    cr_assert_gt(
        qt_int(q, "SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'user_id'"
                  " WHERE c.relnamespace = 'upload_pipeline'::regnamespace AND c.relkind IN ('r', 'p')"),
        8);
    cr_assert_eq(
        qt_int(q, "SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'user_id'"
                  " WHERE c.relnamespace = 'upload_pipeline'::regnamespace AND c.relkind IN ('r', 'p')"
                  " AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"),
        0);
    qt_close(q);
}

Test(search, finds_above_the_exact_limit_too_and_only_whole_documents)
{
    struct qt *q = qt_open("qt_search");
    struct uuid a = qt_user(1);
    qt_submit(q, 1, 1, 1, 100);
    qt_submit(q, 1, 2, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 4);
    cr_assert_eq(qt_store(q, &w, 1), 0);
    j = qt_claim_one(q);
    w = qt_work(q, j, 4);
    w.to_status = STATUS_EMBEDDING_IN_PROGRESS; /* all rows are there, but not visible */
    cr_assert_eq(qt_store(q, &w, 1), 0);
    db_test_run(q->api,
                talloc_asprintf(q, "SELECT set_config('request.jwt.claims', '{\"sub\":\"' || %s || '\"}', false)",
                                qt_id(q, &a)));
    cr_assert_eq(db_test_int(q->api, "SELECT count(*) FROM search_chunks('[0,0,1,0,0,0,0,0]', 'nothing', 10, 1000,"
                                     " 'default', 'builtin', 1, 8)"),
                 4);
    cr_assert_eq(db_test_int(q->api, "SELECT count(*) FROM search_chunks('[0,0,1,0,0,0,0,0]', 'nothing', 10, 0,"
                                     " 'default', 'builtin', 1, 8)"),
                 4);
    cr_assert_eq(
        db_test_int(q->api, "SELECT ord FROM search_chunks('[0,0,1,0,0,0,0,0]', '', 1, 0, 'default', 'builtin', 1, 8)"),
        2);
    qt_close(q);
}
