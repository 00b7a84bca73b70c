/* test_store.c - one transaction for many documents */
#include "queue_test.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

Test(store, a_small_document_is_complete_in_one_transaction)
{
    struct qt *q = qt_open("qt_store_small");
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 3);

    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_STORED);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE status = 10 AND state = 6"
                           " AND owner_node IS NULL AND deadline IS NULL"),
                 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.documents WHERE live_generation = 1 AND chunks = 3"
                           " AND parsed_bytes = 30"),
                 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.document_chunks WHERE sha256 = sha256(text::bytea)"),
                 3);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.vectors_1"), 3);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.events WHERE from_status = 1 AND to_status = 10"
                           " AND hops = '[[2,3],[3,1],[5,2]]' AND correlation IS NOT NULL"),
                 1);
    qt_close(q);
}

Test(store, what_went_wrong_before_is_no_longer_told_of_a_complete_document)
{
    struct qt *q = qt_open("qt_store_mended");
    struct error why, e;
    struct queue_policy policy = {.max_attempts = 3, .retry_first_ms = 1, .retry_cap_ms = 10};
    qt_submit(q, 1, 1, 1, 100);
    qt_submit(q, 1, 2, 1, 100);
    int n;
    struct queue_job *j = qt_claim(q, q->worker, 1, 2, &n);

    reason_error(&why, REASON_blob_busy, EIO, NULL);
    error_hint(&why, "look there");
    for (int i = 0; i < 2; i++)
        cr_assert_eq(queue_fail(q->worker, &j[i], j[i].status, j[i].status, &why, &policy, NULL, &e), 1);
    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET run_at = now()");
    cr_assert_eq(db_test_int(q->worker, rescue_due_sql), 2);
    j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 3);
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_STORED);
    cr_assert_eq(qt_int(q,
                        "SELECT count(*) FROM upload_pipeline.upload_job_details WHERE job_id = %s"
                        " AND error_reason IS NULL AND error_message IS NULL AND error_hint IS NULL",
                        qt_id(q, &j->id)),
                 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_job_details WHERE error_reason = 'blob_busy'"
                           " AND error_hint IS NOT NULL AND error_message IS NOT NULL"),
                 1, "the other one's stays");
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.events WHERE reason = 'blob_busy'"), 2, "history");
    qt_close(q);
}

Test(store, what_another_owner_took_is_left_out_and_the_rest_is_stored)
{
    struct qt *q = qt_open("qt_store_lost");
    int n;
    qt_submit(q, 1, 1, 1, 100);
    qt_submit(q, 1, 2, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, 2, &n);
    struct queue_work w[2] = {qt_work(q, &j[0], 2), qt_work(q, &j[1], 2)};

    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET lease = lease + 1 WHERE id = %s", qt_id(q, &j[0].id));
    cr_assert_eq(qt_store(q, w, 2), 0);
    cr_assert_eq(w[0].outcome, QUEUE_LOST);
    cr_assert_eq(w[1].outcome, QUEUE_STORED);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.document_chunks WHERE document_id = %s",
                        qt_id(q, &j[0].document_id)),
                 0);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.documents WHERE live_generation IS NOT NULL"), 1);
    qt_close(q);
}

Test(store, all_lost_writes_nothing)
{
    struct qt *q = qt_open("qt_store_all_lost");
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 2);

    qt_run(q, "UPDATE upload_pipeline.upload_jobs SET lease = 9");
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_LOST);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.document_chunks"), 0);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.document_contents"), 0);
    qt_close(q);
}

Test(store, the_same_content_of_one_user_is_a_duplicate_of_another_user_is_not)
{
    struct qt *q = qt_open("qt_store_dup");
    uint8_t same[SHA256_BYTES] = {1, 2, 3};
    int n;
    qt_submit(q, 1, 1, 1, 100);
    qt_submit(q, 1, 2, 1, 100);
    qt_submit(q, 2, 3, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, 3, &n);
    struct queue_work w[3];
    int stored = 0, duplicates = 0;
    struct uuid first_user = qt_user(1);

    for (int i = 0; i < 3; i++) {
        w[i] = qt_work(q, &j[i], 2);
        w[i].parsed_sha256 = same;
    }
    cr_assert_eq(qt_store(q, w, 3), 0);
    for (int i = 0; i < 3; i++) {
        stored += w[i].outcome == QUEUE_STORED;
        duplicates += w[i].outcome == QUEUE_DUPLICATE;
        if (w[i].outcome == QUEUE_DUPLICATE)
            cr_assert(uuid_equal(&j[i].user_id, &first_user));
    }
    cr_assert_eq(stored, 2);
    cr_assert_eq(duplicates, 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE status = 14 AND state = 6"), 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.documents d JOIN upload_pipeline.documents c"
                           " ON c.document_id = d.duplicate_of AND c.user_id = d.user_id"
                           " WHERE c.live_generation = 1 AND d.live_generation IS NULL"),
                 1);
    cr_assert_eq(qt_int(q, "SELECT jsonb_array_length(hops) FROM upload_pipeline.events WHERE to_status = 14"), 2);
    qt_close(q);
}

Test(store, a_large_document_goes_in_slices_and_is_visible_only_at_the_end)
{
    struct qt *q = qt_open("qt_store_slices");
    struct error e;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work all = qt_work(q, j, 6), w = all;

    w.to_status = STATUS_CHUNKING;
    w.n_chunks = 3;
    w.n_vectors = 0;
    cr_assert_eq(qt_store(q, &w, 1), 0);
    w = (struct queue_work){.job = j,
                            .from_status = STATUS_CHUNKING,
                            .to_status = STATUS_CHUNKS_STORED,
                            .chunks = all.chunks + 3,
                            .n_chunks = 3};
    cr_assert_eq(qt_store(q, &w, 1), 0);
    w = (struct queue_work){.job = j,
                            .from_status = STATUS_CHUNKS_STORED,
                            .to_status = STATUS_EMBEDDING_IN_PROGRESS,
                            .vectors = all.vectors,
                            .n_vectors = 4};
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(queue_stored_vectors(q->worker, j, &e), 4);
    cr_assert_eq(queue_count_chunks(q->worker, j, &e), 6);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.documents WHERE live_generation IS NOT NULL"), 0);
    w = (struct queue_work){.job = j,
                            .from_status = STATUS_EMBEDDING_IN_PROGRESS,
                            .to_status = STATUS_EMBEDDING_IN_PROGRESS,
                            .vectors = all.vectors + 4 * QT_DIM,
                            .n_vectors = 2,
                            .first_vector = 4};
    cr_assert_eq(qt_store(q, &w, 1), 0);
    w = (struct queue_work){
        .job = j, .from_status = STATUS_EMBEDDING_IN_PROGRESS, .to_status = STATUS_COMPLETE, .expected_chunks = 6};
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_STORED);
    cr_assert_eq(qt_int(q, "SELECT chunks FROM upload_pipeline.documents WHERE live_generation = 1"), 6);
    qt_close(q);
}

Test(store, a_document_whose_rows_are_not_all_there_is_never_completed)
{
    struct qt *q = qt_open("qt_store_miscount");
    int n;
    qt_submit(q, 1, 1, 1, 100);
    qt_submit(q, 1, 2, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, 2, &n);
    struct queue_work w[2] = {qt_work(q, &j[0], 3), qt_work(q, &j[1], 3)};

    w[0].n_vectors = 2;
    cr_assert_eq(qt_store(q, w, 2), 0);
    cr_assert_eq(w[0].outcome, QUEUE_MISCOUNT);
    cr_assert_eq(w[1].outcome, QUEUE_STORED);
    cr_assert_eq(qt_int(q, "SELECT state FROM upload_pipeline.upload_jobs WHERE id = %s", qt_id(q, &j[0].id)),
                 STATE_WORKING);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.documents WHERE live_generation IS NOT NULL"), 1);
    qt_close(q);
}

Test(store, a_new_attempt_clears_what_the_last_one_left_of_the_generation)
{
    struct qt *q = qt_open("qt_store_clear");
    struct error e;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 6);

    w.to_status = STATUS_CHUNKING;
    w.n_vectors = 0;
    cr_assert_eq(qt_store(q, &w, 1), 0);
    const struct queue_job *list[] = {j};
    cr_assert_eq(queue_hand_back(q->worker, list, 1, &e), 0);
    j = qt_claim_one(q);
    cr_assert_eq(j->status, STATUS_CHUNKING);
    cr_assert(j->has_parsed);
    w = qt_work(q, j, 4);
    w.set_parsed = false;
    w.clear_chunks = true;
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.document_chunks"), 4);
    cr_assert_eq(qt_int(q, "SELECT chunks FROM upload_pipeline.documents"), 4);
    qt_close(q);
}

Test(store, a_new_generation_replaces_the_visible_one_and_lists_it_as_stale)
{
    struct qt *q = qt_open("qt_store_regen");
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 3);

    cr_assert_eq(qt_store(q, &w, 1), 0);
    qt_run(q, "ALTER TABLE upload_pipeline.upload_jobs DISABLE TRIGGER ALL;"
              "UPDATE upload_pipeline.upload_jobs SET status = 1, state = 1, generation = 2");
    j = qt_claim_one(q);
    w = qt_work(q, j, 5);
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.documents WHERE live_generation = 2 AND chunks = 5"),
                 1);
    cr_assert_eq(qt_int(q, "SELECT generation FROM upload_pipeline.stale_generations"), 1);
    qt_close(q);
}

Test(store, a_zero_vector_is_refused_by_the_database_itself)
{
    struct qt *q = qt_open("qt_store_zero");
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 1);
    struct error e;

    memset((void *)w.vectors, 0, QT_DIM * sizeof(float));
    cr_assert_lt(queue_store(q->worker, &w, 1, QT_DIM, 60000, clock_ms() + 2000, &e), 0);
    cr_assert_eq(w.outcome, QUEUE_PENDING);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.document_chunks"), 0);
    qt_close(q);
}

Test(store, chunks_are_read_back_with_their_hash_checked)
{
    struct qt *q = qt_open("qt_store_read");
    struct queue_chunk *c;
    struct error e;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 5);

    w.to_status = STATUS_CHUNKS_STORED;
    w.n_vectors = 0;
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(queue_read_chunks(q->worker, q, j, 2, 2, &c, &e), 2);
    cr_assert_eq(c[0].ord, 2);
    cr_assert_str_eq(c[1].text, "chunk 3 of f1.md");
    cr_assert_str_eq(c[1].heading_path, "A > B");
    cr_assert_eq(c[1].byte_end, 40);
    qt_run(q, "UPDATE upload_pipeline.document_chunks SET text = 'flipped' WHERE ord = 3");
    cr_assert_lt(queue_read_chunks(q->worker, q, j, 2, 2, &c, &e), 0);
    cr_assert_str_eq(e.reason, "blob_corrupt");
    qt_close(q);
}

Test(store, a_cancelled_job_is_lost_to_its_worker)
{
    struct qt *q = qt_open("qt_store_cancel");
    struct uuid job = qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 3);

    db_test_run(q->api, talloc_asprintf(q, "SELECT cancel_job(%s)", qt_id(q, &job)));
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_LOST);
    cr_assert_eq(qt_int(q, "SELECT status FROM upload_pipeline.upload_jobs"), STATUS_CANCELLED);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.document_chunks"), 0);
    qt_close(q);
}

Test(store, a_deleted_document_is_lost_to_its_worker)
{
    struct qt *q = qt_open("qt_store_delete");
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 3);

    db_test_run(q->api, talloc_asprintf(q, "SELECT delete_document(%s)", qt_id(q, &j->document_id)));
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_LOST);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.documents"), 0);
    qt_close(q);
}

Test(store, when_the_canonical_document_goes_its_oldest_duplicate_takes_its_place)
{
    struct qt *q = qt_open("qt_store_promote");
    uint8_t same[SHA256_BYTES] = {9};
    struct queue_job *j;
    struct queue_work w;
    struct uuid canonical;

    for (int i = 0; i < 3; i++) {
        qt_submit(q, 1, i, 1, 100);
        j = qt_claim_one(q);
        w = qt_work(q, j, 2);
        w.parsed_sha256 = same;
        cr_assert_eq(qt_store(q, &w, 1), 0);
        cr_assert_eq(w.outcome, i == 0 ? QUEUE_STORED : QUEUE_DUPLICATE);
        if (i == 0)
            canonical = j->document_id;
    }
    db_test_run(q->api, talloc_asprintf(q, "SELECT delete_document(%s)", qt_id(q, &canonical)));
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 1 AND status = 1"), 1);
    j = qt_claim_one(q);
    cr_assert_eq(j->generation, 2);
    w = qt_work(q, j, 2);
    w.parsed_sha256 = same;
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_STORED);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.documents d JOIN upload_pipeline.documents c"
                           " ON c.document_id = d.duplicate_of WHERE c.live_generation = 2"),
                 1);
    qt_close(q);
}

Test(store, a_chunk_and_a_document_without_pages_have_none)
{
    struct qt *q = qt_open("qt_store_pageless");
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_chunk chunk;
    struct queue_work w = qt_work(q, j, 1);

    chunk = w.chunks[0];
    chunk.page = 0;
    w.chunks = &chunk;
    w.pages = 0;
    cr_assert_eq(qt_store(q, &w, 1), 0);
    cr_assert_eq(w.outcome, QUEUE_STORED);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.document_chunks WHERE page IS NULL"), 1);
    qt_close(q);
}
