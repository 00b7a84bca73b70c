/* test_rescue.c - taking jobs back from the dead, and upkeep */
#include "queue_test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <talloc.h>

static const struct rescue_limits limits = {.max_attempts = 3, .crash_budget = 2, .retry_ms = 60000};

static int release(struct qt *q, int64_t child, const struct uuid *begun, int n, enum rescue_blame blame, bool suspect,
                   const char *evidence)
{
    struct pg_params p;
    struct error e;
    PGresult *r;
    int rows;

    rescue_release_params(&p, q, 7, child, begun, n, blame, suspect, &limits, evidence);
    r = pg_exec(q->worker, rescue_release_sql, &p, 0, &e);
    cr_assert_not_null(r, "%s", e.message);
    rows = PQntuples(r);
    PQclear(r);
    return rows;
}

/* -> jobs taken, or -1 if the statement was not allowed. former: the name of a node that takes over from itself. */
static int64_t release_node(struct qt *q, int64_t node, const char *former, bool blame)
{
    struct pg_params p;
    struct error e;
    PGresult *r;
    int64_t n;

    if (former != NULL)
        rescue_former_params(&p, q, former, node, blame, &limits);
    else
        rescue_node_params(&p, q, node, blame, &limits);
    r = pg_exec(q->worker, rescue_node_sql, &p, 0, &e);
    cr_assert_not_null(r, "%s", e.message);
    n = pg_get_bool(r, 0, 1) ? pg_get_int(r, 0, 0) : -1;
    PQclear(r);
    return n;
}

static int64_t run_int(struct qt *q, const char *sql, int n, ...)
{
    struct pg_params p;
    struct error e;
    va_list ap;
    PGresult *r;
    int64_t v;

    pg_params_init(&p, q);
    va_start(ap, n);
    for (int i = 0; i < n; i++)
        pg_add_int8(&p, va_arg(ap, int64_t));
    va_end(ap);
    r = pg_exec(q->worker, sql, &p, 0, &e);
    cr_assert_not_null(r, "%s", e.message);
    v = PQntuples(r) > 0 ? pg_get_int(r, 0, 0) : -1;
    PQclear(r);
    return v;
}

Test(blame, only_the_one_that_was_alone_in_hand_is_blamed)
{
    struct rescue_evidence v = {.signal = SIGSEGV, .exit_code = -1, .n_begun = 1};

    cr_assert_eq(rescue_blame(&v), BLAME_CRASH);
    v.n_begun = 2;
    cr_assert_eq(rescue_blame(&v), BLAME_NONE);
    cr_assert(rescue_suspects(&v));
    v.n_begun = 0;
    cr_assert_eq(rescue_blame(&v), BLAME_NONE);
}

Test(blame, an_unexplained_kill_is_an_attempt_and_a_lack_of_memory_is_a_crash)
{
    struct rescue_evidence v = {.signal = SIGKILL, .exit_code = -1, .n_begun = 1};

    cr_assert_eq(rescue_blame(&v), BLAME_ATTEMPT);
    cr_assert(!rescue_suspects(&v));
    v.oom = true;
    cr_assert_eq(rescue_blame(&v), BLAME_CRASH);
    v.sent_by_us = true;
    cr_assert_eq(rescue_blame(&v), BLAME_NONE);
    cr_assert(!rescue_suspects(&v));
}

Test(blame, a_hang_that_we_ended_is_an_attempt_of_the_one_alone_and_makes_others_suspect)
{
    struct rescue_evidence v = {.signal = SIGKILL, .exit_code = -1, .sent_by_us = true, .hung = true, .n_begun = 1};

    cr_assert_eq(rescue_blame(&v), BLAME_ATTEMPT, "given back, it would hang one worker after another for ever");
    cr_assert(!rescue_suspects(&v));
    v.n_begun = 3;
    cr_assert_eq(rescue_blame(&v), BLAME_NONE);
    cr_assert(rescue_suspects(&v));
    v.signal = SIGTERM;
    v.n_begun = 1;
    cr_assert_eq(rescue_blame(&v), BLAME_ATTEMPT);
    v.hung = false;
    cr_assert_eq(rescue_blame(&v), BLAME_NONE);
}

Test(blame, an_exit_of_its_own_is_an_attempt_of_the_one_alone_and_makes_others_suspect)
{
    struct rescue_evidence v = {.signal = 0, .exit_code = 3, .n_begun = 1};

    cr_assert_eq(rescue_blame(&v), BLAME_ATTEMPT);
    cr_assert(!rescue_suspects(&v));
    v.n_begun = 2;
    cr_assert_eq(rescue_blame(&v), BLAME_NONE);
    cr_assert(rescue_suspects(&v));
    v.sent_by_us = true;
    cr_assert(!rescue_suspects(&v));
    v.n_begun = 1;
    cr_assert_eq(rescue_blame(&v), BLAME_NONE, "it left because we said so");
}

Test(blame, an_unexplained_kill_makes_those_together_suspect)
{
    struct rescue_evidence v = {.signal = SIGKILL, .exit_code = -1, .n_begun = 2};

    cr_assert_eq(rescue_blame(&v), BLAME_NONE);
    cr_assert(rescue_suspects(&v));
}

Test(blame, outside_signals_blame_nobody_and_those_of_a_fault_do)
{
    struct rescue_evidence v = {.signal = SIGTERM, .exit_code = -1, .n_begun = 1};

    cr_assert_eq(rescue_blame(&v), BLAME_NONE);
    v.n_begun = 2;
    cr_assert(!rescue_suspects(&v));
    v.n_begun = 1;
    for (int i = 0; i < 6; i++) {
        static const int own[] = {SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGXCPU, SIGSYS};
        v.signal = own[i];
        cr_assert_eq(rescue_blame(&v), BLAME_CRASH);
    }
}

Test(rescue, a_dead_childs_jobs_are_queued_at_once_and_its_lease_is_broken)
{
    struct qt *q = qt_open("qt_rescue_child");
    int n;
    for (int i = 0; i < 3; i++)
        qt_submit(q, 1, i, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, 2, &n);
    struct queue_job *other = qt_claim(q, q->other, 2, 1, &n);
    struct queue_work w = qt_work(q, &j[0], 2);

    cr_assert_eq(release(q, 1, NULL, 0, BLAME_NONE, false, NULL), 2);
    cr_assert_eq(
        qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 1 AND attempt = 0 AND lease = 2"), 2);
    cr_assert_eq(qt_int(q, "SELECT state FROM upload_pipeline.upload_jobs WHERE id = %s", qt_id(q, &other->id)), 2);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.events WHERE reason = 'worker_lost' AND actor = 4"),
                 2);
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_LOST);
    cr_assert_eq(release(q, 1, NULL, 0, BLAME_NONE, false, NULL), 0, "done twice it does nothing");
    qt_close(q);
}

Test(rescue, a_document_that_crashes_its_worker_alone_is_quarantined_with_evidence)
{
    struct qt *q = qt_open("qt_rescue_quarantine");
    struct uuid id = qt_submit(q, 1, 1, 1, 100);

    qt_claim_one(q);
    cr_assert_eq(release(q, 1, &id, 1, BLAME_CRASH, false, "{\"signal\": 11}"), 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 5 AND crashes = 1"
                           " AND run_at > now() + interval '50 s'"),
                 1);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET state = 1");
    qt_claim_one(q);
    cr_assert_eq(release(q, 1, &id, 1, BLAME_CRASH, false, "{\"signal\": 11}"), 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 8 AND status = 11"), 1);
    cr_assert_eq(qt_int(q,
                        "SELECT count(*) FROM upload_pipeline.upload_job_details WHERE error_reason = 'crashed_worker'"
                        " AND (evidence ->> 'signal')::int = 11"),
                 1);
    qt_close(q);
}

/* The first document holds its content, the second is its duplicate. */
static void make_duplicate(struct qt *q, const struct uuid *first, const struct uuid *second)
{
    qt_run(q,
           "INSERT INTO upload_pipeline.document_contents (user_id, parsed_sha256, document_id)"
           " SELECT user_id, sha256, document_id FROM upload_pipeline.documents WHERE job_id = %s",
           qt_id(q, first));
    qt_run(q,
           "UPDATE upload_pipeline.documents d SET duplicate_of = f.document_id FROM upload_pipeline.documents f"
           " WHERE f.job_id = %s AND d.job_id = %s",
           qt_id(q, first), qt_id(q, second));
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET status = 14, state = 6 WHERE id = %s", qt_id(q, second));
}

/* Who fails for good holds no content: else the same content, uploaded again, would be a duplicate of nothing. */
static void expect_content_passed_on(struct qt *q, const struct uuid *second)
{
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.document_contents"), 0);
    cr_assert_eq(qt_int(q,
                        "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE id = %s AND status = 1 AND state = 1",
                        qt_id(q, second)),
                 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.documents WHERE duplicate_of IS NOT NULL"), 0);
}

Test(rescue, a_quarantined_document_gives_its_content_to_its_oldest_duplicate)
{
    struct qt *q = qt_open("qt_rescue_content");
    struct uuid first = qt_submit(q, 1, 1, 1, 100), second = qt_submit(q, 1, 2, 1, 100);

    make_duplicate(q, &first, &second);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET crashes = 1 WHERE id = %s", qt_id(q, &first));
    qt_claim_one(q);
    cr_assert_eq(release(q, 1, &first, 1, BLAME_CRASH, false, NULL), 1);
    cr_assert_eq(qt_int(q, "SELECT state FROM upload_pipeline.upload_jobs WHERE id = %s", qt_id(q, &first)), 8);
    expect_content_passed_on(q, &second);
    qt_close(q);
}

Test(rescue, a_document_dead_of_its_deadline_gives_its_content_to_its_oldest_duplicate)
{
    struct qt *q = qt_open("qt_deadline_content");
    struct uuid first = qt_submit(q, 1, 1, 1, 100), second = qt_submit(q, 1, 2, 1, 100);

    make_duplicate(q, &first, &second);
    qt_claim_one(q);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET deadline = now() - interval '1 s' WHERE state = 2");
    cr_assert_eq(run_int(q, rescue_expired_sql, 2, (int64_t)1, (int64_t)1000), 1);
    expect_content_passed_on(q, &second);
    qt_close(q);
}

Test(rescue, a_document_that_fails_for_good_gives_its_content_to_its_oldest_duplicate)
{
    static const struct queue_policy policy = {.max_attempts = 3, .retry_first_ms = 1000, .retry_cap_ms = 8000};
    struct qt *q = qt_open("qt_fail_content");
    struct uuid first = qt_submit(q, 1, 1, 1, 100), second = qt_submit(q, 1, 2, 1, 100);
    struct error why, e;
    struct queue_job *j;

    make_duplicate(q, &first, &second);
    j = qt_claim_one(q);
    reason_error(&why, REASON_too_many_chunks, E2BIG, NULL);
    cr_assert_eq(queue_fail(q->worker, j, j->status, STATUS_CHUNKING, &why, &policy, NULL, &e), 1, "%s", e.message);
    expect_content_passed_on(q, &second);
    qt_close(q);
}

Test(rescue, unexplained_kills_use_up_the_attempts_of_the_one_alone_in_hand)
{
    struct qt *q = qt_open("qt_rescue_attempts");
    struct uuid id = qt_submit(q, 1, 1, 1, 100);

    for (int i = 1; i <= 3; i++) {
        struct queue_job *j = qt_claim_one(q);
        cr_assert_eq(j->attempt, i);
        cr_assert_eq(release(q, 1, &id, 1, BLAME_ATTEMPT, false, NULL), 1);
        if (i == 2) { /* the first time at once, then after a wait that doubles */
            cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 5"
                                   " AND run_at > now() + interval '110 s'"),
                         1);
            qt_run(q, "UPDATE upload_pipeline.upload_jobs SET state = 1");
        }
    }
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 7 AND status = 11"), 1);
    cr_assert_eq(
        qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_job_details WHERE error_reason = 'attempts_exhausted'"),
        1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.stale_generations"), 1);
    qt_close(q);
}

Test(rescue, what_was_in_hand_together_at_a_crash_is_suspect_until_it_gets_on)
{
    struct qt *q = qt_open("qt_rescue_suspect");
    int n;
    for (int i = 0; i < 3; i++)
        qt_submit(q, 1, i, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, 3, &n);
    struct uuid begun[2] = {j[0].id, j[1].id};

    cr_assert_eq(release(q, 1, begun, 2, BLAME_NONE, true, NULL), 3);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE suspect AND attempt = 0"), 2);
    j = qt_claim(q, q->worker, 2, 3, &n);
    cr_assert_eq(n, 3);
    for (int i = 0; i < n; i++) {
        struct queue_work w = qt_work(q, &j[i], 1);
        cr_assert_eq(qt_store(q, &w, 1), 0);
    }
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE suspect"), 0);
    qt_close(q);
}

Test(rescue, with_a_torn_slot_all_jobs_of_a_crash_are_suspect)
{
    struct qt *q = qt_open("qt_rescue_torn");
    int n;
    for (int i = 0; i < 2; i++)
        qt_submit(q, 1, i, 1, 100);
    qt_claim(q, q->worker, 1, 2, &n);
    cr_assert_eq(release(q, 1, NULL, 0, BLAME_NONE, true, NULL), 2);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE suspect"), 2);
    qt_close(q);
}

static int64_t run_count(struct qt *q, const char *sql, const struct pg_params *p)
{
    struct error e;
    PGresult *r = pg_exec(q->worker, sql, p, 0, &e);
    int64_t n;

    cr_assert_not_null(r, "%s", e.message);
    n = pg_get_int(r, 0, 0);
    PQclear(r);
    return n;
}

static int64_t unheard(struct qt *q, int64_t node, int64_t from, const int64_t *living, int n)
{
    struct pg_params p;

    rescue_unheard_params(&p, q, node, from, living, n, &limits);
    return run_count(q, rescue_unheard_sql, &p);
}

static int64_t nobodys(struct qt *q, int64_t node, int64_t grace_ms)
{
    struct pg_params p;

    rescue_nobodys_params(&p, q, node, grace_ms, &limits);
    return run_count(q, rescue_nobodys_sql, &p);
}

Test(rescue, what_a_child_got_that_does_not_live_is_queued_again_and_what_the_living_have_is_theirs)
{
    static const int64_t living[] = {1, 3};
    struct qt *q = qt_open("qt_unheard");
    int n;

    for (int i = 0; i < 4; i++)
        qt_submit(q, 1, i, 1, 100);
    for (int64_t child = 1; child <= 4; child++)
        qt_claim(q, q->worker, child, 1, &n);
    cr_assert_eq(unheard(q, 8, 9, NULL, 0), 0, "another node's");
    cr_assert_eq(unheard(q, 7, 0, NULL, 0), 0, "nobody is known");
    cr_assert_eq(unheard(q, 7, 4, living, 2), 1, "4 was started after the living were counted");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE owner_child IN (1, 3, 4)"), 3);
    cr_assert_eq(qt_int(q,
                        "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 1 AND attempt = 0 AND lease = 2"
                        " AND NOT suspect AND crashes = 0"),
                 1, "its attempt is given back, and its lease is broken");
    cr_assert_eq(unheard(q, 7, 4, living, 2), 0, "done twice it does nothing");
    qt_close(q);
}

Test(rescue, what_somebody_locks_is_not_waited_for)
{
    struct qt *q = qt_open("qt_unheard_locked");

    qt_submit(q, 1, 1, 1, 100);
    qt_claim_one(q);
    db_test_run(q->other, "BEGIN; SELECT FROM upload_jobs FOR NO KEY UPDATE");
    cr_assert_eq(unheard(q, 7, 9, NULL, 0), 0);
    db_test_run(q->other, "COMMIT");
    cr_assert_eq(unheard(q, 7, 9, NULL, 0), 1);
    qt_close(q);
}

Test(rescue, what_a_forgotten_node_got_is_queued_again_by_the_leader)
{
    struct qt *q = qt_open("qt_nobodys");

    qt_submit(q, 1, 1, 1, 100);
    qt_claim_one(q);
    cr_assert_eq(nobodys(q, 7, 1000), 0, "its own, registered or not");
    qt_run(q, "INSERT INTO upload_pipeline.nodes (name, incarnation, version, started_at, heartbeat_at) VALUES"
              " ('known', 7, 'x', now() - interval '1 h', now() - interval '1 h')");
    cr_assert_eq(nobodys(q, 4, 1000), 0, "dead or not, somebody takes them with the blame that is due");
    qt_run(q, "UPDATE upload_pipeline.nodes SET incarnation = 8, started_at = now()");
    cr_assert_eq(nobodys(q, 4, 60000), 0, "it may be taking its former jobs at this moment");
    qt_run(q, "UPDATE upload_pipeline.nodes SET started_at = now() - interval '2 min'");
    db_test_run(q->other, "SELECT pg_advisory_lock(1684865026, 0)");
    cr_assert_eq(nobodys(q, 4, 60000), 0, "another leads");
    db_test_run(q->other, "SELECT pg_advisory_unlock(1684865026, 0)");
    cr_assert_eq(nobodys(q, 4, 60000), 1);
    cr_assert_eq(
        qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 1 AND attempt = 0 AND lease = 2"), 1);
    qt_close(q);
}

Test(rescue, a_dead_nodes_jobs_are_taken_by_incarnation)
{
    struct qt *q = qt_open("qt_rescue_node");
    int n;
    for (int i = 0; i < 2; i++)
        qt_submit(q, 1, i, 1, 100);
    qt_claim(q, q->worker, 1, 2, &n);
    cr_assert_eq(release_node(q, 8, NULL, true), 0);
    cr_assert_eq(release_node(q, 7, NULL, true), 2);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 1 AND attempt = 0"), 2);
    cr_assert_eq(release_node(q, 7, NULL, true), 0, "done twice it does nothing");
    qt_close(q);
}

Test(rescue, a_document_that_takes_its_node_down_alone_runs_out_of_attempts)
{
    struct qt *q = qt_open("qt_node_attempts");
    qt_submit(q, 1, 1, 1, 100);

    for (int i = 1; i <= 3; i++) {
        cr_assert_eq(qt_claim_one(q)->attempt, i);
        cr_assert_eq(release_node(q, 7, NULL, true), 1);
        if (i == 2)
            cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 5"
                                   " AND run_at > now() + interval '110 s'"),
                         1);
        qt_run(q, "UPDATE upload_pipeline.upload_jobs SET state = 1 WHERE state = 5");
    }
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 7 AND status = 11"
                           " AND crashes = 0"),
                 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_job_details"
                           " WHERE error_reason = 'attempts_exhausted' AND (evidence ->> 'node_lost')::bool"),
                 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.stale_generations"), 1);
    qt_close(q);
}

Test(rescue, what_a_child_of_a_dead_node_had_in_hand_together_is_suspect_and_the_one_alone_keeps_its_attempt)
{
    struct qt *q = qt_open("qt_node_suspects");
    int n;
    for (int i = 0; i < 3; i++)
        qt_submit(q, 1, i, 1, 100);
    qt_claim(q, q->worker, 1, 2, &n);
    struct queue_job *alone = qt_claim(q, q->other, 2, 1, &n);

    cr_assert_eq(release_node(q, 7, NULL, true), 3);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE suspect AND attempt = 0"
                           " AND state = 1"),
                 2);
    cr_assert_eq(qt_int(q,
                        "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE id = %s AND NOT suspect"
                        " AND attempt = 1 AND state = 1",
                        qt_id(q, &alone->id)),
                 1);
    qt_close(q);
}

Test(rescue, a_node_that_said_goodbye_leaves_no_blame)
{
    struct qt *q = qt_open("qt_node_polite");
    int n;
    for (int i = 0; i < 3; i++)
        qt_submit(q, 1, i, 1, 100);
    qt_claim(q, q->worker, 1, 2, &n);
    qt_claim(q, q->other, 2, 1, &n);
    cr_assert_eq(release_node(q, 7, NULL, false), 3);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE NOT suspect AND attempt = 0"), 3);
    qt_close(q);
}

Test(rescue, only_the_holder_of_the_leader_lock_takes_a_dead_nodes_jobs_and_forgets_it)
{
    struct qt *q = qt_open("qt_node_leader");
    struct pg_params p;
    struct error e;
    PGresult *r;

    qt_submit(q, 1, 1, 1, 100);
    qt_claim_one(q);
    qt_run(q, "INSERT INTO upload_pipeline.nodes (name, incarnation, version, heartbeat_at) VALUES"
              " ('gone', 7, 'x', now() - interval '1 h')");
    db_test_run(q->other, "SELECT pg_advisory_lock(1684865026, 0)");
    for (int allowed = 0; allowed < 2; allowed++) {
        cr_assert_eq(run_int(q, "SELECT count(*) FROM upload_jobs WHERE state = 2", 0), 1);
        pg_params_init(&p, q);
        pg_add_int8(&p, 1);
        pg_add_int8(&p, 4);
        r = pg_exec(q->worker, rescue_dead_nodes_sql, &p, 0, &e);
        cr_assert_eq(PQntuples(r), allowed);
        PQclear(r);
        cr_assert_eq(release_node(q, 7, NULL, true), allowed ? 1 : -1);
        pg_params_init(&p, q);
        pg_add_text(&p, "gone");
        pg_add_int8(&p, 7);
        pg_add_int8(&p, 1);
        cr_assert_eq(pg_run(q->worker, rescue_forget_node_sql, &p, 0, &e), 0, "%s", e.message);
        cr_assert_eq(run_int(q, "SELECT count(*) FROM nodes", 0), 1 - allowed);
        db_test_run(q->other, "SELECT pg_advisory_unlock(1684865026, 0)");
    }
    qt_close(q);
}

Test(rescue, a_node_takes_its_former_jobs_only_while_nobody_else_holds_its_name)
{
    struct qt *q = qt_open("qt_node_former");

    qt_submit(q, 1, 1, 1, 100);
    qt_claim_one(q);
    db_test_run(q->other, "SELECT pg_advisory_lock(1684865027, hashtext('me')), pg_advisory_lock(1684865026, 0)");
    cr_assert_eq(release_node(q, 7, "me", true), -1);
    db_test_run(q->other, "SELECT pg_advisory_unlock(1684865027, hashtext('me'))");
    cr_assert_eq(release_node(q, 7, "me", true), 1, "leading is not asked for");
    qt_close(q);
}

Test(rescue, a_node_is_dead_only_with_a_free_lock_and_an_old_heartbeat)
{
    struct qt *q = qt_open("qt_rescue_dead_node");
    struct pg_params p;
    struct error e;
    PGresult *r;

    qt_run(q, "INSERT INTO upload_pipeline.nodes (name, incarnation, version, heartbeat_at) VALUES"
              " ('gone', 1, 'x', now() - interval '10 s'), ('held', 2, 'x', now() - interval '10 s'),"
              " ('fresh', 3, 'x', now()), ('ours', 4, 'x', now() - interval '1 day'),"
              " ('stuck', 5, 'x', now() - interval '1 hour'), ('polite', 6, 'x', now())");
    qt_run(q, "UPDATE upload_pipeline.nodes SET said_goodbye = true WHERE name = 'polite'");
    db_test_run(
        q->other,
        "SELECT pg_advisory_lock(1684865027, hashtext('held')), pg_advisory_lock(1684865027, hashtext('stuck'))");
    pg_params_init(&p, q);
    pg_add_int8(&p, 1); /* grace of 1 ms, so that the server is old enough */
    pg_add_int8(&p, 4);
    r = pg_exec(q->worker, rescue_dead_nodes_sql, &p, 0, &e);
    cr_assert_not_null(r, "%s", e.message);
    for (int i = 0; i < PQntuples(r); i++)
        cr_assert_str_neq(pg_get_text(r, i, 0), "ours");
    cr_assert_geq(PQntuples(r), 3);
    PQclear(r);
    p.n = 0;
    pg_add_int8(&p, 5000);
    pg_add_int8(&p, 4);
    qt_run(q, "UPDATE upload_pipeline.nodes SET heartbeat_at = now() + interval '1 h' WHERE name = 'fresh'");
    r = pg_exec(q->worker, rescue_dead_nodes_sql, &p, 0, &e);
    for (int i = 0; i < PQntuples(r); i++) {
        cr_assert_str_neq(pg_get_text(r, i, 0), "held");
        cr_assert_str_neq(pg_get_text(r, i, 0), "fresh");
    }
    PQclear(r);
    qt_close(q);
}

Test(rescue, a_job_past_its_deadline_is_tried_again_and_then_dead)
{
    struct qt *q = qt_open("qt_rescue_deadline");
    qt_submit(q, 1, 1, 1, 100);

    for (int i = 1; i <= 2; i++) {
        qt_claim_one(q);
        cr_assert_eq(run_int(q, rescue_expired_sql, 2, (int64_t)2, (int64_t)1000), 0);
        qt_run(q, "UPDATE upload_pipeline.upload_jobs SET deadline = now() - interval '1 s'");
        cr_assert_eq(run_int(q, rescue_expired_sql, 2, (int64_t)2, (int64_t)1000), 1);
        if (i == 1) {
            cr_assert_eq(qt_int(q, "SELECT state FROM upload_pipeline.upload_jobs"), STATE_RETRYABLE);
            qt_run(q, "UPDATE upload_pipeline.upload_jobs SET state = 1");
        }
    }
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 7 AND status = 11"), 1);
    cr_assert_eq(
        qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_job_details WHERE error_reason = 'stage_deadline'"), 1);
    qt_close(q);
}

Test(upkeep, stale_generations_go_and_the_visible_one_stays)
{
    struct qt *q = qt_open("qt_sweep");
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 4);

    cr_assert_eq(qt_store(q, &w, 1), 0);
    qt_run(q, "INSERT INTO upload_pipeline.stale_generations (user_id, document_id, generation, since)"
              " SELECT user_id, document_id, 1, now() - interval '1 h' FROM upload_pipeline.documents");
    cr_assert_eq(run_int(q, rescue_sweep_sql, 2, (int64_t)1000, (int64_t)10), 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.document_chunks"), 4);
    qt_run(q, "UPDATE upload_pipeline.documents SET live_generation = 2");
    qt_run(q, "INSERT INTO upload_pipeline.stale_generations (user_id, document_id, generation, since)"
              " SELECT user_id, document_id, 1, now() - interval '1 h' FROM upload_pipeline.documents");
    cr_assert_eq(run_int(q, rescue_sweep_sql, 2, (int64_t)1000, (int64_t)10), 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.document_chunks"), 0);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.vectors_1"), 0);
    cr_assert_eq(run_int(q, rescue_sweep_sql, 2, (int64_t)1000, (int64_t)10), 0);
    qt_close(q);
}

Test(upkeep, only_the_holder_of_the_leader_lock_sweeps)
{
    struct qt *q = qt_open("qt_sweep_leader");
    qt_submit(q, 1, 1, 1, 100);
    qt_run(q, "INSERT INTO upload_pipeline.stale_generations (user_id, document_id, generation, since)"
              " SELECT user_id, document_id, 9, now() - interval '1 h' FROM upload_pipeline.documents");
    db_test_run(q->other, "SELECT pg_advisory_lock(1684865026, 0)");
    cr_assert_eq(run_int(q, rescue_sweep_sql, 2, (int64_t)1000, (int64_t)10), 0);
    cr_assert_eq(run_int(q, rescue_partitions_sql, 1, (int64_t)1000), -1);
    db_test_run(q->other, "SELECT pg_advisory_unlock(1684865026, 0)");
    cr_assert_eq(run_int(q, rescue_sweep_sql, 2, (int64_t)1000, (int64_t)10), 1);
    qt_close(q);
}

Test(upkeep, event_partitions_are_made_ahead_and_dropped_when_old)
{
    struct qt *q = qt_open("qt_partitions");

    qt_run(q, "CREATE TABLE upload_pipeline.events_202001 PARTITION OF upload_pipeline.events"
              " FOR VALUES FROM ('2020-01-01Z') TO ('2020-02-01Z');"
              "ALTER TABLE upload_pipeline.events_202001 OWNER TO docmill_owner");
    cr_assert_eq(run_int(q, rescue_partitions_sql, 1, (int64_t)90 * 86400 * 1000), 4);
    cr_assert_eq(run_int(q, rescue_partitions_sql, 1, (int64_t)90 * 86400 * 1000), 0);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'upload_pipeline.events'::regclass"), 4);
    qt_close(q);
}

Test(upkeep, the_counts_are_those_of_the_queue)
{
    struct qt *q = qt_open("qt_counts");
    struct pg_params p;
    struct error e;
    PGresult *r;
    int64_t queued = 0, working = 0, oldest = 0;

    for (int i = 0; i < 4; i++)
        qt_submit(q, 1, i, 1, 100);
    qt_claim_one(q);
    qt_run(
        q,
        "UPDATE upload_pipeline.upload_jobs SET created_at = now() - interval '5 s', run_at = now() - interval '5 s'");
    pg_params_init(&p, q);
    r = pg_exec(q->worker, rescue_counts_sql, &p, 0, &e);
    cr_assert_not_null(r, "%s", e.message);
    for (int i = 0; i < PQntuples(r); i++) {
        queued += pg_get_int(r, i, 1) == STATE_QUEUED ? pg_get_int(r, i, 2) : 0;
        working += pg_get_int(r, i, 1) == STATE_WORKING ? pg_get_int(r, i, 2) : 0;
        oldest = pg_get_int(r, i, 3) > oldest ? pg_get_int(r, i, 3) : oldest;
    }
    PQclear(r);
    cr_assert_eq(queued, 3);
    cr_assert_eq(working, 1);
    cr_assert(oldest >= 5000 && oldest < 60000);
    qt_close(q);
}
