/* test_walk.c - which worker walks the blob store, how far it got, and which blobs are named */
#include "queue_test.h"

#include "queue/walk.h"

#include <string.h>
#include <talloc.h>

Test(walk, a_step_is_given_to_one_and_the_next_begins_where_it_ended)
{
    struct qt *q = qt_open("qt_walk_step");
    struct queue_walk a = {0}, b = {0};
    struct error e;

    cr_assert_eq(queue_walk_take(q->worker, 60000, &a, &e), 1, "%s", e.message);
    cr_assert_str_eq(a.cursor, "");
    cr_assert_eq(queue_walk_take(q->other, 60000, &b, &e), 0, "it is taken");
    strcpy(a.cursor, "somewhere");
    cr_assert_eq(queue_walk_done(q->worker, &a, 0, &e), 0, "%s", e.message);
    cr_assert_eq(queue_walk_take(q->other, 60000, &b, &e), 1);
    cr_assert_str_eq(b.cursor, "somewhere");
    cr_assert(uuid_equal(&a.database, &b.database));
    b.cursor[0] = '\0';
    cr_assert_eq(queue_walk_done(q->other, &b, 60000, &e), 0);
    cr_assert_eq(queue_walk_take(q->worker, 60000, &a, &e), 0, "the next walk is not due yet");
    qt_close(q);
}

Test(walk, a_step_whose_worker_died_is_due_again_and_the_late_one_changes_nothing)
{
    struct qt *q = qt_open("qt_walk_late");
    struct queue_walk a = {0}, b = {0};
    struct error e;

    cr_assert_eq(queue_walk_take(q->worker, 0, &a, &e), 1, "%s", e.message);
    cr_assert_eq(queue_walk_take(q->other, 60000, &b, &e), 1, "its time is over");
    strcpy(a.cursor, "far away");
    cr_assert_eq(queue_walk_done(q->worker, &a, 0, &e), 0);
    cr_assert_eq(qt_int(q, "SELECT count(*) FROM upload_pipeline.blob_walk WHERE cursor = ''"), 1);
    cr_assert_eq(queue_walk_take(q->worker, 60000, &a, &e), 0);
    qt_close(q);
}

static struct queue_blob blob(int user, const char *hash_of)
{
    struct queue_blob b = {.user = qt_user(user), .named = true};

    sha256_of(hash_of, strlen(hash_of), b.sha256);
    return b;
}

Test(walk, a_blob_is_named_by_its_own_users_file_or_parsed_text_and_by_nothing_else)
{
    struct qt *q = qt_open("qt_walk_named");
    struct queue_blob blobs[5] = {blob(1, "raw"), blob(1, "parsed"), blob(2, "raw"), blob(2, "parsed"),
                                  blob(1, "none")};
    struct error e;

    qt_submit(q, 1, 1, 1, 100);
    qt_submit(q, 2, 2, 1, 100);
    qt_run(q, "UPDATE upload_pipeline.documents SET sha256 = sha256('raw'), parsed_sha256 = sha256('parsed')"
              " WHERE user_id = (SELECT user_id FROM upload_pipeline.documents ORDER BY created_at LIMIT 1)");
    cr_assert_eq(queue_blobs_named(q->worker, blobs, 5, &e), 0, "%s", e.message);
    cr_assert(blobs[0].named);
    cr_assert(blobs[1].named);
    cr_assert_not(blobs[2].named);
    cr_assert_not(blobs[3].named);
    cr_assert_not(blobs[4].named);
    qt_close(q);
}

/* Without a policy that shows all rows, every blob would look like a leftover. */
Test(walk, who_may_not_see_all_documents_may_not_walk)
{
    struct qt *q = qt_open("qt_walk_denied");
    struct queue_blob b = blob(1, "raw");
    struct queue_walk walk;
    struct error e;

    cr_assert_lt(queue_walk_take(q->api, 60000, &walk, &e), 0);
    qt_run(q, "REVOKE SELECT ON upload_pipeline.documents FROM docmill_worker");
    cr_assert_lt(queue_blobs_named(q->worker, &b, 1, &e), 0);
    cr_assert_str_eq(e.reason, "db_error");
    cr_assert(b.named, "nothing is known of it");
    qt_close(q);
}
