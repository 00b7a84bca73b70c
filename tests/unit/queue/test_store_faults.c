/*
 * test_store_faults.c - every statement of the store's transaction fails: nothing of it stays, and what can be tried
 * again is tried again
 */
#include "queue_test.h"
#include "test_proxy.h"

#include "base/clock.h"

#include <string.h>
#include <talloc.h>

TestSuite(faults, .timeout = 120);

static int64_t written(struct qt *q)
{
    return qt_int(q, "SELECT (SELECT count(*) FROM upload_pipeline.document_chunks)"
                     " + (SELECT count(*) FROM upload_pipeline.document_contents)"
                     " + (SELECT count(*) FROM upload_pipeline.vectors_1)"
                     " + (SELECT count(*) FROM upload_pipeline.documents WHERE parsed_sha256 IS NOT NULL)"
                     " + (SELECT count(*) FROM upload_pipeline.events WHERE from_status <> 0)"
                     " + (SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state <> 2)");
}

/* Takes one right away from the worker after another; each time the whole transaction must have left nothing. */
static void each_statement_fails_whole(const char *name, const char *const *denials, int n)
{
    struct qt *q = qt_open(name);
    struct error e;

    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    for (int i = 0; i < n; i++) {
        struct queue_work w = qt_work(q, j, 3);
        int64_t before = clock_ms();
        w.clear_chunks = true;
        qt_run(q, "REVOKE %s FROM docmill_worker", denials[i]);
        cr_assert_lt(queue_store(q->worker, &w, 1, QT_DIM, 60000, clock_ms() + 30000, &e), 0, "%s", denials[i]);
        cr_assert_str_eq(e.reason, "db_error", "%s: %s", denials[i], e.message);
        cr_assert_eq(w.outcome, QUEUE_PENDING, "%s", denials[i]);
        cr_assert_lt(clock_ms() - before, 10000, "what cannot get better is not tried again");
        cr_assert_eq(written(q), 0, "%s", denials[i]);
        qt_run(q, "GRANT %s TO docmill_worker", denials[i]);
    }
    struct queue_work w = qt_work(q, j, 3);
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_STORED);
    qt_close(q);
}

Test(faults, a_statement_that_fails_takes_the_whole_transaction_with_it)
{
    static const char *const denials[] = {
        "UPDATE ON upload_pipeline.upload_jobs",       /* fence */
        "SELECT ON upload_pipeline.collections",       /* which spaces there are */
        "INSERT ON upload_pipeline.document_contents", /* take contents */
        "SELECT ON upload_pipeline.document_contents", /* who owns them */
        "DELETE ON upload_pipeline.document_chunks",   /* clear */
        "INSERT ON upload_pipeline.document_chunks",   /* chunks */
        "INSERT ON upload_pipeline.vectors_1",         /* vectors */
        "UPDATE ON upload_pipeline.documents",         /* what was parsed */
        "INSERT ON upload_pipeline.stale_generations", /* flip */
        "INSERT ON upload_pipeline.events",            /* advance */
    };

    each_statement_fails_whole("qt_faults_each", denials, sizeof denials / sizeof denials[0]);
}

/* A trigger on `table` that runs `body` the first `times` times. A sequence counts, since it forgets no rollback. */
static void sabotage(struct qt *q, const char *table, const char *when, int times, const char *body)
{
    qt_run(q,
           "CREATE SEQUENCE public.hits; GRANT ALL ON SEQUENCE public.hits TO PUBLIC;"
           "CREATE FUNCTION public.sabotage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
           " IF nextval('public.hits') <= %d THEN %s END IF; RETURN NEW; END $$;"
           "CREATE TRIGGER zz_sabotage %s ON upload_pipeline.%s EXECUTE FUNCTION public.sabotage()",
           times, body, when, table);
}

Test(faults, a_conflict_is_tried_again_until_it_is_over)
{
    struct qt *q = qt_open("qt_faults_conflict");
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 3);
    int64_t before = clock_ms();

    sabotage(q, "events", "BEFORE INSERT", 3, "RAISE SQLSTATE '40001';");
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_STORED);
    cr_assert_eq(qt_int(q, "SELECT last_value FROM public.hits"), 4);
    cr_assert_geq(clock_ms() - before, 25 + 50 + 100, "with a growing pause before each");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.events WHERE from_status <> 0"), 1);
    qt_close(q);
}

Test(faults, a_conflict_without_end_is_given_up_in_time_and_nothing_is_said_to_be_lost)
{
    struct qt *q = qt_open("qt_faults_give_up");
    struct error e;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 3);
    int64_t before = clock_ms();

    sabotage(q, "events", "BEFORE INSERT", 1000000, "RAISE SQLSTATE '40P01';");
    cr_assert_lt(queue_store(q->worker, &w, 1, QT_DIM, 60000, before + 600, &e), 0);
    cr_assert_str_eq(e.reason, "db_conflict");
    cr_assert_eq(w.outcome, QUEUE_PENDING);
    cr_assert_geq(clock_ms() - before, 600);
    cr_assert_lt(clock_ms() - before, 20000);
    cr_assert_gt(qt_int(q, "SELECT last_value FROM public.hits"), 1);
    cr_assert_eq(written(q), 0);
    qt_close(q);
}

Test(faults, a_job_that_something_keeps_from_moving_is_an_error_and_writes_nothing)
{
    struct qt *q = qt_open("qt_faults_stuck");
    struct error e;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 3);

    sabotage(q, "upload_jobs", "BEFORE UPDATE", 1000000, "RETURN NULL;");
    qt_run(q, "DROP TRIGGER zz_sabotage ON upload_pipeline.upload_jobs; CREATE TRIGGER zz_sabotage BEFORE UPDATE"
              " ON upload_pipeline.upload_jobs FOR EACH ROW EXECUTE FUNCTION public.sabotage()");
    cr_assert_lt(queue_store(q->worker, &w, 1, QT_DIM, 60000, clock_ms() + 5000, &e), 0);
    cr_assert_eq(e.cls, ERR_INTERNAL);
    cr_assert_eq(w.outcome, QUEUE_PENDING);
    cr_assert_eq(written(q), 0);
    qt_close(q);
}

Test(faults, a_canonical_document_that_goes_between_two_statements_makes_the_transaction_start_again)
{
    struct qt *q = qt_open("qt_faults_owner");
    uint8_t same[SHA256_BYTES] = {7, 7};
    struct uuid canonical;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 2);

    w.parsed_sha256 = same;
    cr_assert_eq(qt_store(q, &w, 1), 0);
    canonical = j->document_id;
    qt_submit(q, 1, 2, 1, 100);
    j = qt_claim_one(q);
    w = qt_work(q, j, 2);
    w.parsed_sha256 = same;
    /* once: the row that this one ran into is gone before its owner is read */
    sabotage(q, "document_contents", "AFTER INSERT", 1, "DELETE FROM upload_pipeline.document_contents;");
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_DUPLICATE);
    cr_assert(uuid_equal(&w.duplicate_of, &canonical));
    cr_assert_eq(qt_int(q, "SELECT last_value FROM public.hits"), 2);
    qt_close(q);
}

Test(faults, a_miscount_of_a_transaction_that_was_rolled_back_is_counted_anew)
{
    struct qt *q = qt_open("qt_faults_miscount");
    struct error e;
    int n;
    qt_submit(q, 1, 1, 1, 100);
    qt_submit(q, 1, 2, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, 2, &n);
    struct queue_work w[2] = {qt_work(q, &j[0], 3), qt_work(q, &j[1], 3)};

    w[0].n_vectors = 1;
    qt_run(q, "REVOKE INSERT ON upload_pipeline.events FROM docmill_worker");
    cr_assert_lt(queue_store(q->worker, w, 2, QT_DIM, 60000, clock_ms() + 5000, &e), 0);
    cr_assert_eq(w[0].outcome, QUEUE_PENDING);
    cr_assert_eq(w[1].outcome, QUEUE_PENDING);
    cr_assert_eq(written(q), 0);
    qt_run(q, "GRANT INSERT ON upload_pipeline.events TO docmill_worker");
    cr_assert_eq(qt_store(q, w, 2), 0);
    cr_assert_eq(w[0].outcome, QUEUE_MISCOUNT);
    cr_assert_eq(w[1].outcome, QUEUE_STORED);
    qt_close(q);
}

Test(faults, documents_of_two_spaces_go_in_one_transaction_each_to_its_own_vectors)
{
    struct qt *q = qt_open("qt_faults_spaces");
    struct queue_job *j;
    struct queue_work w[4];
    int n;

    db_test_run(q->worker, "SELECT ensure_collection('other', 'other', 1, 8, 'cosine', 'none')");
    for (int i = 0; i < 4; i++)
        qt_submit(q, 1, i, 1, 100);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET collection = 2 WHERE document_id IN"
              " (SELECT document_id FROM upload_pipeline.documents WHERE filename IN ('f1.md', 'f3.md'))");
    j = qt_claim(q, q->worker, 1, 4, &n);
    cr_assert_eq(n, 4);
    for (int i = 0; i < 4; i++) {
        w[i] = qt_work(q, &j[i], 2);
        if (strcmp(j[i].filename, "f3.md") == 0)
            w[i].n_vectors = 1; /* a miscount in the one space is no matter of the other */
    }
    cr_assert_eq(qt_store(q, w, 4), 0);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(w[i].outcome, strcmp(j[i].filename, "f3.md") == 0 ? QUEUE_MISCOUNT : QUEUE_STORED, "%d", i);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.vectors_1"), 4);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.vectors_2 v JOIN upload_pipeline.documents d"
                           " USING (user_id, document_id) WHERE d.filename = 'f1.md'"),
                 2);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.documents WHERE live_generation = 1"), 3);
    qt_close(q);
}

Test(faults, a_database_that_is_away_is_waited_for_and_given_up_in_time)
{
    struct qt *q = qt_open("qt_faults_away");
    struct proxy *x = proxy_start(NULL, false, PROXY_PASS);
    struct pg_options o = {.role = "docmill_worker",
                           .application = "docmill test",
                           .connect_timeout_ms = 300,
                           .statement_timeout_ms = 5000,
                           .url = talloc_asprintf(q, "%s dbname='qt_faults_away'", proxy_url(x))};
    struct pg *p = qt_connect(&o);
    struct error e;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 3);
    int64_t before = clock_ms();

    proxy_down(x);
    cr_assert_lt(queue_store(p, &w, 1, QT_DIM, 60000, before + 1000, &e), 0);
    cr_assert_str_eq(e.reason, "db_unavailable");
    cr_assert_eq(w.outcome, QUEUE_PENDING);
    cr_assert(clock_ms() - before >= 1000 && clock_ms() - before < 20000);
    proxy_up(x);
    cr_assert_eq(queue_store(p, &w, 1, QT_DIM, 60000, clock_ms() + 20000, &e), 0);
    cr_assert_eq(w.outcome, QUEUE_STORED);
    pg_free(&p);
    proxy_stop(&x);
    qt_close(q);
}
