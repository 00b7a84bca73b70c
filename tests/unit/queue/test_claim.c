/* test_claim.c - taking jobs and giving them back */
#include "queue_test.h"

#include <stdio.h>
#include <string.h>

Test(claim, two_workers_never_get_the_same_job)
{
    struct qt *q = qt_open("qt_claim_two");
    int n1, n2;

    for (int i = 0; i < 10; i++)
        qt_submit(q, 1, i, 1, 100);
    struct queue_job *a = qt_claim(q, q->worker, 1, 6, &n1);
    struct queue_job *b = qt_claim(q, q->other, 2, 6, &n2);
    cr_assert_eq(n1, 6);
    cr_assert_eq(n2, 4);
    for (int i = 0; i < n1; i++)
        for (int k = 0; k < n2; k++)
            cr_assert(!uuid_equal(&a[i].id, &b[k].id));
    qt_close(q);
}

Test(claim, a_claim_raises_lease_and_attempt_and_brings_the_document)
{
    struct qt *q = qt_open("qt_claim_fields");
    struct uuid job = qt_submit(q, 1, 5, 2, 12345);
    struct queue_job *j = qt_claim_one(q);

    cr_assert(uuid_equal(&j->id, &job));
    cr_assert_eq(j->lease, 1);
    cr_assert_eq(j->attempt, 1);
    cr_assert_eq(j->status, STATUS_UPLOADED);
    cr_assert_eq(j->bytes, 12345);
    cr_assert_eq(j->lane, 2);
    cr_assert_eq(j->generation, 1);
    cr_assert_str_eq(j->filename, "f5.md");
    cr_assert_str_eq(j->content_type, "text/markdown");
    cr_assert(!j->has_parsed);
    cr_assert(!j->suspect);
    cr_assert_eq(j->n_page_starts, 1);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 2 AND owner_node = 7"
                           " AND owner_child = 1 AND deadline > now() + interval '50 s'"),
                 1);
    qt_close(q);
}

Test(claim, the_interactive_lane_goes_before_the_bulk_lane)
{
    struct qt *q = qt_open("qt_claim_lane");
    int n;

    for (int i = 0; i < 5; i++)
        qt_submit(q, 1, i, 2, 100);
    qt_submit(q, 2, 100, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, 2, &n);
    cr_assert_eq(j[0].lane, 1);
    cr_assert_eq(j[1].lane, 2);
    qt_close(q);
}

Test(claim, a_users_backlog_does_not_hold_up_another_user)
{
    struct qt *q = qt_open("qt_claim_fair");
    struct uuid b = qt_user(2);
    int n, at = -1;

    for (int i = 0; i < 20; i++)
        qt_submit(q, 1, i, 1, 100);
    qt_claim(q, q->worker, 1, 5, &n); /* the lane's clock is at A's fifth job */
    qt_submit(q, 2, 100, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, 16, &n);
    for (int i = 0; i < n; i++)
        if (uuid_equal(&j[i].user_id, &b))
            at = i;
    cr_assert(at == 0 || at == 1, "B waits behind %d of A's", at);
    qt_close(q);
}

Test(claim, a_pool_claims_only_its_lanes_and_stages)
{
    struct qt *q = qt_open("qt_claim_filter");
    struct queue_owner o = {7, 1};
    struct queue_filter bulk = {.lane_min = 2, .lane_max = 2};
    struct queue_filter embed = {.lane_min = 1, .lane_max = 2, .stages = 1u << STATUS_CHUNKS_STORED};
    struct queue_job *jobs;
    struct error e;

    qt_submit(q, 1, 1, 1, 100);
    cr_assert_eq(queue_claim(q->worker, q, &o, &bulk, 5, 1000, &jobs, &e), 0);
    cr_assert_eq(queue_claim(q->worker, q, &o, &embed, 5, 1000, &jobs, &e), 0);
    qt_close(q);
}

Test(claim, handing_back_gives_the_attempt_back_and_only_by_lease)
{
    struct qt *q = qt_open("qt_hand_back");
    struct error e;

    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_job stale = *j;
    const struct queue_job *list[] = {&stale};
    stale.lease--;
    cr_assert_eq(queue_hand_back(q->worker, list, 1, &e), 0);
    cr_assert_eq(qt_int(q, "SELECT state FROM upload_pipeline.upload_jobs"), STATE_WORKING);
    list[0] = j;
    cr_assert_eq(queue_hand_back(q->worker, list, 1, &e), 0);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.upload_jobs WHERE state = 1 AND attempt = 0"
                           " AND owner_node IS NULL AND deadline IS NULL"),
                 1);
    qt_close(q);
}

Test(claim, reclaim_gives_back_what_is_not_in_hand_and_breaks_its_lease)
{
    struct qt *q = qt_open("qt_reclaim");
    struct queue_owner o = {7, 1};
    struct error e;
    int n;

    qt_submit(q, 1, 1, 1, 100);
    qt_submit(q, 1, 2, 1, 100);
    struct queue_job *j = qt_claim(q, q->worker, 1, 2, &n);
    cr_assert_eq(queue_reclaim(q->worker, &o, &j[0].id, 1, &e), 0);
    cr_assert_eq(qt_int(q, "SELECT state FROM upload_pipeline.upload_jobs WHERE id = %s", qt_id(q, &j[0].id)), 2);
    cr_assert_eq(qt_int(q, "SELECT state FROM upload_pipeline.upload_jobs WHERE id = %s", qt_id(q, &j[1].id)), 1);
    cr_assert_eq(qt_int(q, "SELECT lease FROM upload_pipeline.upload_jobs WHERE id = %s", qt_id(q, &j[1].id)), 2);
    cr_assert_eq(qt_int(q, "SELECT attempt FROM upload_pipeline.upload_jobs WHERE id = %s", qt_id(q, &j[1].id)), 0);
    qt_close(q);
}

Test(claim, a_space_is_read_once_it_exists_and_named_if_not)
{
    struct qt *q = qt_open("qt_space");
    struct queue_space s;
    struct error e;

    cr_assert_eq(queue_read_space(q->worker, 1, &s, &e), 0);
    cr_assert_str_eq(s.model, "builtin");
    cr_assert_eq(s.dimension, QT_DIM);
    cr_assert_lt(queue_read_space(q->worker, 99, &s, &e), 0);
    cr_assert(strstr(e.message, "99") != NULL);
    qt_close(q);
}

Test(claim, where_the_pages_begin_comes_with_the_job_that_was_parsed_before)
{
    struct qt *q = qt_open("qt_claim_pages");
    static const uint32_t starts[] = {0, 10, 25};
    struct error e;
    qt_submit(q, 1, 1, 1, 100);
    struct queue_job *j = qt_claim_one(q);
    struct queue_work w = qt_work(q, j, 3);

    w.to_status = STATUS_CHUNKING;
    w.pages = 3;
    w.page_starts = starts;
    w.n_page_starts = 3;
    cr_assert_eq(qt_store(q, &w, 1), 0);
    const struct queue_job *list[] = {j};
    cr_assert_eq(queue_hand_back(q->worker, list, 1, &e), 0);
    j = qt_claim_one(q);
    cr_assert(j->has_parsed);
    cr_assert_eq(j->pages, 3);
    cr_assert_eq(j->n_page_starts, 3);
    cr_assert_arr_eq(j->page_starts, starts, sizeof starts);
    cr_assert_eq(memcmp(j->parsed_sha256, w.parsed_sha256, SHA256_BYTES), 0);
    qt_close(q);
}

Test(claim, page_starts_that_nobody_wrote_come_as_none_and_never_as_made_up_numbers)
{
    static const char *const corrupt[] = {"{-1}", "{0,-5}", "{0,9,3}"};
    struct qt *q = qt_open("qt_corrupt_pages");

    qt_submit(q, 1, 1, 1, 100);
    for (size_t i = 0; i < sizeof corrupt / sizeof corrupt[0]; i++) {
        qt_run(q, "UPDATE upload_pipeline.upload_jobs SET state = 1, owner_node = NULL, owner_child = NULL");
        qt_run(q, "UPDATE upload_pipeline.documents SET page_starts = '%s'", corrupt[i]);
        cr_assert_eq(qt_claim_one(q)->n_page_starts, 0, "%s", corrupt[i]);
    }
    qt_close(q);
}

Test(claim, a_dead_database_is_an_error_not_an_empty_queue)
{
    struct qt *q = qt_open("qt_claim_dead");
    struct queue_owner o = {7, 1};
    struct queue_filter f = {.lane_min = 1, .lane_max = 2};
    struct queue_job *jobs;
    struct queue_space s;
    struct error e;

    qt_run(q, "ALTER TABLE upload_pipeline.upload_jobs RENAME TO gone");
    qt_run(q, "ALTER TABLE upload_pipeline.embedding_spaces RENAME TO gone2");
    cr_assert_lt(queue_claim(q->worker, q, &o, &f, 5, 1000, &jobs, &e), 0);
    cr_assert_lt(queue_read_space(q->worker, 1, &s, &e), 0);
    cr_assert_eq(e.cls, ERR_INTERNAL);
    qt_close(q);
}

/* The runs of lanes that are left, as text: "1-1 3-9". */
static const char *runs(uint32_t paused, int min, int max, uint32_t *stages)
{
    static char out[80];
    struct queue_filter whole = {.stages = *stages, .lane_min = min, .lane_max = max}, part;
    int lane = min;
    size_t n = 0;

    out[0] = '\0';
    while (queue_unpaused(paused, &whole, &lane, &part)) {
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%d-%d", n > 0 ? " " : "", part.lane_min, part.lane_max);
        *stages = part.stages;
    }
    return out;
}

Test(claim, a_paused_lane_leaves_runs_on_both_sides)
{
    uint32_t stages = 0;

    cr_assert_str_eq(runs(0, 0, 32767, &stages), "0-32767");
    cr_assert_eq(stages, 0, "nothing paused: nothing changed");
    cr_assert_str_eq(runs(PAUSE_BIT(PAUSE_BULK), 0, 32767, &stages), "0-1 3-32767");
    cr_assert_str_eq(runs(PAUSE_BIT(PAUSE_BULK), 1, 2, &stages), "1-1");
    cr_assert_str_eq(runs(PAUSE_BIT(PAUSE_BULK), 2, 2, &stages), "");
    cr_assert_str_eq(runs(PAUSE_BIT(PAUSE_ALL), 0, 32767, &stages), "");
}

Test(claim, a_paused_stage_leaves_the_others_of_the_pool)
{
    uint32_t stages = 0;

    cr_assert_str_eq(runs(PAUSE_BIT(PAUSE_EMBED), 0, 9, &stages), "0-9");
    cr_assert(stages & 1u << STATUS_UPLOADED);
    cr_assert_not(stages & 1u << STATUS_CHUNKS_STORED);
    stages = 1u << STATUS_UPLOADED;
    cr_assert_str_eq(runs(PAUSE_BIT(PAUSE_EMBED), 0, 9, &stages), "0-9");
    cr_assert_eq(stages, 1u << STATUS_UPLOADED);
    cr_assert_str_eq(runs(PAUSE_BIT(PAUSE_PARSE), 0, 9, &stages), "",
                     "a pool that does only what rests claims nothing");
}
