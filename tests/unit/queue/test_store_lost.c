/*
 * test_store_lost.c - the answer to COMMIT is lost: what was done is found, what was not is done, and never twice
 *
 * The worker's connection goes through a proxy that cuts it off just before or just after the server's COMMIT. In
 * between, another session may change what the worker then finds.
 */
#include "queue_test.h"
#include "test_proxy.h"

#include "base/clock.h"

#include <string.h>
#include <talloc.h>

TestSuite(lost, .timeout = 120);

struct cutting {
    struct qt *q;
    struct proxy *x;
    struct pg *p;          /* a worker's connection through the proxy */
    const char *meanwhile; /* SQL that another session runs at the first cut; NULL: none */
    int cuts, wanted;      /* how many cuts until the network is whole again */
};

static void at_cut(void *arg)
{
    struct cutting *c = arg;

    c->cuts++;
    if (c->meanwhile != NULL && c->cuts == 1)
        qt_run(c->q, "%s", c->meanwhile);
    if (c->cuts >= c->wanted)
        proxy_set(c->x, PROXY_PASS);
}

static void open_cutting(struct cutting *c, const char *name)
{
    struct pg_options o = {.role = "docmill_worker",
                           .application = "docmill test",
                           .connect_timeout_ms = 10000,
                           .statement_timeout_ms = 10000};

    *c = (struct cutting){.q = qt_open(name), .wanted = 1};
    c->x = proxy_start(NULL, false, PROXY_PASS);
    o.url = talloc_asprintf(c->q, "%s dbname='%s'", proxy_url(c->x), name);
    c->p = qt_connect(&o);
    proxy_at_cut(c->x, at_cut, c);
}

static void close_cutting(struct cutting *c)
{
    pg_free(&c->p);
    proxy_stop(&c->x);
    qt_close(c->q);
}

static int store(struct cutting *c, enum proxy_mode mode, struct queue_work *w, int n)
{
    struct error e = {0};

    proxy_set(c->x, mode);
    return queue_store(c->p, w, n, QT_DIM, 60000, clock_ms() + 60000, &e);
}

static int64_t moves(struct cutting *c)
{
    return qt_int(c->q, "SELECT count(*) FROM upload_pipeline.events WHERE from_status <> 0");
}

Test(lost, a_commit_that_happened_is_found_and_not_done_again)
{
    struct cutting c;
    int n;
    open_cutting(&c, "qt_lost_after");
    qt_submit(c.q, 1, 1, 1, 100);
    qt_submit(c.q, 2, 2, 1, 100);
    struct queue_job *j = qt_claim(c.q, c.q->worker, 1, 2, &n);
    struct queue_work w[2] = {qt_work(c.q, &j[0], 3), qt_work(c.q, &j[1], 2)};

    cr_assert_eq(store(&c, PROXY_CUT_AFTER, w, 2), 0);
    cr_assert_eq(c.cuts, 1);
    cr_assert_eq(w[0].outcome, QUEUE_STORED);
    cr_assert_eq(w[1].outcome, QUEUE_STORED);
    cr_assert_eq(moves(&c), 2);
    cr_assert_eq(qt_int(c.q, "SELECT count(*) FROM upload_pipeline.vectors_1"), 5);
    close_cutting(&c);
}

Test(lost, a_commit_that_did_not_happen_is_done_however_often_it_is_cut_off)
{
    struct cutting c;
    open_cutting(&c, "qt_lost_before");
    qt_submit(c.q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(c.q);
    struct queue_work w = qt_work(c.q, j, 3);

    c.wanted = 3;
    cr_assert_eq(store(&c, PROXY_CUT_BEFORE, &w, 1), 0);
    cr_assert_eq(c.cuts, 3);
    cr_assert_eq(w.outcome, QUEUE_STORED);
    cr_assert_eq(moves(&c), 1);
    cr_assert_eq(qt_int(c.q, "SELECT status FROM upload_pipeline.upload_jobs"), STATUS_COMPLETE);
    close_cutting(&c);
}

Test(lost, progress_that_cannot_be_told_apart_is_written_again_without_doubling_rows)
{
    struct cutting c;
    open_cutting(&c, "qt_lost_progress");
    qt_submit(c.q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(c.q);
    struct queue_work w = qt_work(c.q, j, 3);

    w.to_status = w.from_status;
    cr_assert_eq(store(&c, PROXY_CUT_AFTER, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_STORED);
    cr_assert_eq(moves(&c), 0);
    cr_assert_eq(qt_int(c.q, "SELECT count(*) FROM upload_pipeline.document_chunks"), 3);
    cr_assert_eq(qt_int(c.q, "SELECT count(*) FROM upload_pipeline.vectors_1"), 3);
    close_cutting(&c);
}

Test(lost, a_duplicate_whose_commit_happened_is_known_as_a_duplicate)
{
    struct cutting c;
    uint8_t same[SHA256_BYTES] = {4, 2};
    int n;
    open_cutting(&c, "qt_lost_dup");
    qt_submit(c.q, 1, 1, 1, 100);
    qt_submit(c.q, 1, 2, 1, 100);
    struct queue_job *j = qt_claim(c.q, c.q->worker, 1, 2, &n);
    struct queue_work w[2] = {qt_work(c.q, &j[0], 2), qt_work(c.q, &j[1], 2)};

    w[0].parsed_sha256 = w[1].parsed_sha256 = same;
    cr_assert_eq(store(&c, PROXY_CUT_AFTER, w, 2), 0);
    cr_assert_eq(w[0].outcome, QUEUE_STORED);
    cr_assert_eq(w[1].outcome, QUEUE_DUPLICATE);
    cr_assert(uuid_equal(&w[1].duplicate_of, &j[0].document_id));
    cr_assert_eq(moves(&c), 2);
    close_cutting(&c);
}

Test(lost, a_job_that_another_took_meanwhile_is_lost_and_nothing_is_written_for_it)
{
    struct cutting c;
    int n;
    open_cutting(&c, "qt_lost_lease");
    qt_submit(c.q, 1, 1, 1, 100);
    qt_submit(c.q, 1, 2, 1, 100);
    struct queue_job *j = qt_claim(c.q, c.q->worker, 1, 2, &n);
    struct queue_work w[2] = {qt_work(c.q, &j[0], 2), qt_work(c.q, &j[1], 2)};

    c.meanwhile = talloc_asprintf(c.q,
                                  "UPDATE upload_pipeline.upload_jobs SET lease = lease + 1, owner_child = 99"
                                  " WHERE id = %s",
                                  qt_id(c.q, &j[0].id));
    cr_assert_eq(store(&c, PROXY_CUT_BEFORE, w, 2), 0);
    cr_assert_eq(w[0].outcome, QUEUE_LOST);
    cr_assert_eq(w[1].outcome, QUEUE_STORED);
    cr_assert_eq(qt_int(c.q, "SELECT count(*) FROM upload_pipeline.document_chunks WHERE document_id = %s",
                        qt_id(c.q, &j[0].document_id)),
                 0);
    cr_assert_eq(qt_int(c.q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE owner_child = 99 AND state = 2"),
                 1);
    close_cutting(&c);
}

Test(lost, a_job_that_was_set_aside_under_the_same_lease_is_lost)
{
    struct cutting c;
    open_cutting(&c, "qt_lost_state");
    qt_submit(c.q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(c.q);
    struct queue_work w = qt_work(c.q, j, 2);

    c.meanwhile = "UPDATE upload_pipeline.upload_jobs SET state = 1, owner_node = NULL, owner_child = NULL,"
                  " deadline = NULL";
    cr_assert_eq(store(&c, PROXY_CUT_BEFORE, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_LOST);
    cr_assert_eq(qt_int(c.q, "SELECT count(*) FROM upload_pipeline.document_chunks"), 0);
    close_cutting(&c);
}

Test(lost, a_job_deleted_meanwhile_is_lost)
{
    struct cutting c;
    open_cutting(&c, "qt_lost_deleted");
    qt_submit(c.q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(c.q);
    struct queue_work w = qt_work(c.q, j, 2);

    c.meanwhile = "DELETE FROM upload_pipeline.upload_job_details; DELETE FROM upload_pipeline.upload_jobs";
    cr_assert_eq(store(&c, PROXY_CUT_BEFORE, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_LOST);
    cr_assert_eq(qt_int(c.q, "SELECT count(*) FROM upload_pipeline.document_chunks"), 0);
    close_cutting(&c);
}

Test(lost, when_it_cannot_be_asked_what_happened_nothing_is_said_to_be_lost)
{
    struct cutting c;
    struct error e = {0};
    open_cutting(&c, "qt_lost_unasked");
    qt_submit(c.q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(c.q);
    struct queue_work w = qt_work(c.q, j, 2);

    c.meanwhile = "ALTER TABLE upload_pipeline.upload_jobs RENAME TO away";
    cr_assert_lt(store(&c, PROXY_CUT_AFTER, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_PENDING);
    qt_run(c.q, "ALTER TABLE upload_pipeline.away RENAME TO upload_jobs");
    cr_assert_eq(qt_int(c.q, "SELECT status FROM upload_pipeline.upload_jobs"), STATUS_COMPLETE);
    cr_assert_eq(queue_store(c.p, &w, 1, QT_DIM, 60000, clock_ms() + 10000, &e), 0);
    cr_assert_eq(w.outcome, QUEUE_LOST, "its lease no longer stands at the status that it was claimed in");
    cr_assert_eq(moves(&c), 1);
    close_cutting(&c);
}
