/*
 * test_objects.c - the object stores when something goes wrong: what is tried again, what is said, what is left behind
 */
#include "base/clock.h"
#include "core/reason.h"
#include "fork_test.h"
#include "object_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

static void tear_down(void)
{
    fixture_close();
}

TestSuite(objects, .fini = tear_down, .timeout = 60);

static uint8_t hash[SHA256_BYTES];

static int put(const char *text)
{
    return blob_put(store, &user, text, strlen(text), hash, &err);
}

static int commit(const char *text)
{
    struct blob_writer *w = blob_begin(store, &user, &err);

    cr_assert_eq(blob_write(w, text, strlen(text), &err), 0);
    return blob_commit(&w, hash, NULL, &err);
}

static int view(void)
{
    struct blob_view v;
    int rc = blob_view(store, &user, hash, -1, &v, &err);

    if (rc == 0)
        blob_unview(&v);
    return rc;
}

static int count(const char *what)
{
    char *state = fixture_state();
    int n = 0;

    for (const char *p = state; (p = strstr(p, what)) != NULL; p++)
        n++;
    talloc_free(state);
    return n;
}

static void expect_reason(int rc, enum reason r)
{
    cr_expect_lt(rc, 0);
    cr_expect_str_eq(err.reason, reason_name(r), "%s", err.message);
    cr_expect_null(strstr(err.message, "secret"), "%s", err.message);
    cr_expect_null(strstr(err.message, "service-key"), "%s", err.message);
}

static void fails_and_recovers(enum kind k)
{
    fixture_open(k);
    fixture_control("{\"fail\": [{\"status\": 503, \"code\": \"SlowDown\", \"times\": 2}]}");
    cr_expect_eq(commit("a"), 0, "%s", err.message);
    fixture_control("{\"fail\": [{\"status\": 0, \"times\": 1}]}");
    cr_expect_eq(view(), 0, "%s", err.message);
    fixture_control("{\"fail\": [{\"status\": 500, \"code\": \"InternalError\", \"times\": 2, \"act\": true}]}");
    cr_expect_eq(commit("b"), 0, "%s", err.message);
    cr_expect_eq(view(), 0, "%s", err.message);
}

Test(objects, s3_is_asked_again_when_it_is_busy_or_hangs_up)
{
    fails_and_recovers(KIND_S3);
}

Test(objects, supabase_is_asked_again_when_it_is_busy_or_hangs_up)
{
    fails_and_recovers(KIND_SUPABASE);
}

static void says(enum kind k, int status, const char *code, enum reason r)
{
    char text[200];

    snprintf(text, sizeof text, "{\"fail\": [{\"status\": %d, \"code\": \"%s\", \"times\": 99}]}", status, code);
    fixture_control(text);
    expect_reason(commit("x"), r);
    if (k == KIND_S3)
        cr_expect_not_null(strstr(err.message, code), "%s", err.message);
}

Test(objects, what_s3_answers_is_denied_busy_full_or_broken)
{
    fixture_open(KIND_S3);
    says(KIND_S3, 403, "AccessDenied", REASON_blob_denied);
    says(KIND_S3, 403, "SignatureDoesNotMatch", REASON_blob_denied);
    says(KIND_S3, 503, "SlowDown", REASON_blob_busy);
    says(KIND_S3, 400, "RequestTimeout", REASON_blob_busy);
    says(KIND_S3, 404, "NoSuchBucket", REASON_blob_broken);
    says(KIND_S3, 403, "QuotaExceeded", REASON_blob_full);
    says(KIND_S3, 507, "", REASON_blob_full);
    says(KIND_S3, 418, "Teapot", REASON_blob_broken);
    says(KIND_S3, 301, "", REASON_blob_broken);
    says(KIND_S3, 404, "", REASON_blob_broken);
    says(KIND_S3, 404, "NoSuchKey", REASON_blob_absent);
}

Test(objects, what_supabase_answers_is_read_from_the_body)
{
    fixture_open(KIND_SUPABASE);
    says(KIND_SUPABASE, 403, "AccessDenied", REASON_blob_denied);
    says(KIND_SUPABASE, 429, "SlowDown", REASON_blob_busy);
    says(KIND_SUPABASE, 404, "NoSuchBucket", REASON_blob_broken);
    says(KIND_SUPABASE, 403, "Strange", REASON_blob_denied);
    says(KIND_SUPABASE, 413, "EntityTooLarge", REASON_blob_full);
    says(KIND_SUPABASE, 500, "InternalError", REASON_blob_busy);
    says(KIND_SUPABASE, 404, "not_found", REASON_blob_absent);
    says(KIND_SUPABASE, 404, "Bucket not found", REASON_blob_broken);
}

Test(objects, a_wrong_key_is_denied_and_not_tried_again)
{
    fixture_open(KIND_S3);
    conf.blob_s3_secret_key = "wrongsecret";
    fixture_reopen();
    expect_reason(commit("x"), REASON_blob_denied);
    cr_expect_eq(count("\"method\""), 1);
    conf.blob_s3_access_key = "AKIDOTHER";
    fixture_reopen();
    expect_reason(commit("x"), REASON_blob_denied);
    cr_expect_not_null(strstr(err.message, "InvalidAccessKeyId"));
}

Test(objects, a_wrong_service_key_is_denied)
{
    fixture_open(KIND_SUPABASE);
    conf.blob_supabase_key = "other";
    fixture_reopen();
    expect_reason(commit("x"), REASON_blob_denied);
}

Test(objects, a_store_that_is_not_there_is_broken_not_absent)
{
    fixture_open(KIND_S3);
    conf.blob_s3_endpoint = "http://127.0.0.1:1";
    fixture_reopen();
    expect_reason(commit("x"), REASON_blob_broken);
    expect_reason(view(), REASON_blob_broken);
    conf.blob_s3_bucket = "other";
    expect_reason(blob_probe(store, &err), REASON_blob_broken);
}

Test(objects, a_private_address_needs_the_configurations_leave)
{
    fixture_open(KIND_S3);
    conf.http_allow_private = "none";
    fixture_reopen();
    expect_reason(commit("x"), REASON_blob_broken);
    cr_expect_not_null(strstr(err.hint, "http.allow_private"));
    cr_expect_eq(count("\"method\""), 0);
}

Test(objects, a_clock_that_is_wrong_is_corrected_by_the_stores)
{
    fixture_open(KIND_S3);
    fixture_control("{\"clock\": 7200}");
    cr_expect_eq(commit("x"), 0, "%s", err.message);
    cr_expect_eq(view(), 0, "%s", err.message);
    cr_expect_eq(blob_probe(store, &err), 0, "%s", err.message);
}

Test(objects, no_request_waits_for_leave_to_send)
{
    fixture_open(KIND_S3);
    cr_expect_eq(commit("x"), 0);
    cr_expect_eq(count("\"expect\": null"), count("\"method\""));
}

/* ---- large blobs ---- */

static int commit_large(size_t n)
{
    char *bytes = calloc(1, n);
    struct blob_writer *w = blob_begin(store, &user, &err);
    int rc;

    cr_assert_eq(blob_write(w, bytes, n, &err), 0);
    rc = blob_commit(&w, hash, NULL, &err);
    free(bytes);
    return rc;
}

Test(objects, only_a_blob_above_the_part_size_goes_in_parts)
{
    fixture_open(KIND_S3);
    cr_expect_eq(commit_large(5 * MB), 0, "%s", err.message);
    cr_expect_eq(count("partNumber"), 0);
    cr_expect_eq(commit_large(5 * MB + 1), 0, "%s", err.message);
    cr_expect_eq(count("partNumber="), 2);
    cr_expect_eq(count("\"uploads\": []"), 1);
}

Test(objects, a_part_that_fails_takes_the_others_away)
{
    fixture_open(KIND_S3);
    fixture_control(
        "{\"fail\": [{\"path\": \"partNumber=2\", \"status\": 403, \"code\": \"AccessDenied\", \"times\": 9}]}");
    expect_reason(commit_large(11 * MB), REASON_blob_denied);
    cr_expect_eq(count("\"uploads\": []"), 1, "nothing is left half done");
    expect_reason(view(), REASON_blob_absent);
}

Test(objects, parts_that_nobody_completed_are_swept_when_they_are_old)
{
    fixture_open(KIND_S3);
    fixture_control("{\"fail\": [{\"method\": \"DELETE\", \"status\": 403, \"code\": \"AccessDenied\", \"times\": 99},"
                    "{\"path\": \"partNumber=2\", \"status\": 403, \"code\": \"AccessDenied\", \"times\": 9}]}");
    expect_reason(commit_large(11 * MB), REASON_blob_denied);
    cr_expect_eq(count("\"uploads\": []"), 0);
    fixture_control("{\"fail\": []}");
    cr_expect_eq(blob_sweep(store, 3600000, &err), 0, "%s", err.message);
    fixture_older(7200);
    cr_expect_eq(blob_sweep(store, 3600000, &err), 1, "%s", err.message);
    cr_expect_eq(count("\"uploads\": []"), 1);
}

Test(objects, a_store_that_cannot_list_uploads_is_swept_without)
{
    fixture_open(KIND_S3);
    fixture_control("{\"fail\": [{\"path\": \"uploads\", \"status\": 501, \"code\": \"NotImplemented\"}]}");
    cr_expect_eq(blob_sweep(store, 1000, &err), 0, "%s", err.message);
}

/* ---- removals beside commits ---- */

static void put_mark(void)
{
    char hex[SHA256_HEX_LEN + 1], text[300];

    hex_encode(hash, SHA256_BYTES, hex);
    snprintf(text, sizeof text,
             "{\"put\": \"pre fix/removing/11111111-2222-3333-4444-555555555555/%s/x\", \"text\": \"\"}", hex);
    fixture_control(text);
}

static int ticks;
static int64_t stop_at_ms;

/* After a while the removal is over: what it removed, and its mark, are gone. */
static void end_removal(void *arg)
{
    (void)arg;
    if (++ticks == 15)
        fixture_control("{\"older\": 100000}"); /* an old mark is nobody's */
}

static bool should_stop(void *arg)
{
    (void)arg;
    return stop_at_ms != 0 && clock_ms() >= stop_at_ms;
}

Test(objects, s3_what_is_put_while_it_is_removed_is_put_again)
{
    struct blob_hooks hooks = {.tick = end_removal};
    int puts;

    fixture_open(KIND_S3);
    cr_assert_eq(commit("same"), 0, "%s", err.message);
    put_mark();
    puts = count("\"PUT\"");
    blob_set_hooks(store, &hooks);
    cr_expect_eq(commit("same"), 0, "%s", err.message);
    cr_expect_geq(ticks, 15);
    cr_expect_eq(count("\"PUT\""), puts + 2, "put, seen the mark, put again");
    cr_expect_eq(view(), 0);
}

Test(objects, supabase_what_is_put_while_it_is_removed_is_put_again)
{
    struct blob_hooks hooks = {.tick = end_removal};
    int puts;

    fixture_open(KIND_SUPABASE);
    cr_assert_eq(commit("same"), 0, "%s", err.message);
    put_mark();
    puts = count("\"x-upsert\"");
    blob_set_hooks(store, &hooks);
    cr_expect_eq(commit("same"), 0, "%s", err.message);
    cr_expect_geq(ticks, 15);
    cr_expect_eq(count("\"x-upsert\""), puts + 2, "put, seen the mark, put again");
    cr_expect_eq(view(), 0);
}

/* Two removers go on without a pause, their removals arrive late, and whatever was committed must stay for its time. */
static void commits_beside_removers(enum kind k)
{
    struct blob_name name = {.user = {{0}}};
    pid_t removers[2];
    int64_t until;
    int lost = 0, commits = 0;

    fixture_open(k);
    cr_assert_eq(commit("contended"), 0, "%s", err.message);
    name.user = user;
    memcpy(name.sha256, hash, sizeof hash);
    fixture_control("{\"late\": {\"DELETE\": 0.5}}");
    for (int i = 0; i < 2; i++) {
        removers[i] = fork_mortal();
        if (removers[i] != 0)
            continue;
        store = blob_open(NULL, &conf, &err);
        for (until = clock_ms() + 20000; clock_ms() < until;)
            if (blob_remove_idle(store, &name, 1000, clock_ms() + 60000, &err) < 0)
                _exit(1);
        _exit(0);
    }
    srand((unsigned)getpid());
    for (until = clock_ms() + 8000; clock_ms() < until; commits++) {
        cr_assert_eq(commit("contended"), 0, "%s", err.message);
        poll(NULL, 0, 700); /* longer than a removal is late, shorter than the idle time */
        lost += view() != 0;
        poll(NULL, 0, 200 + rand() % 1400);
    }
    for (int i = 0; i < 2; i++) {
        kill(removers[i], SIGKILL);
        waitpid(removers[i], NULL, 0);
    }
    cr_expect_eq(lost, 0, "%d of %d were lost", lost, commits);
    cr_expect_geq(count("\"DELETE\""), 4, "there were removals");
}

Test(objects, s3_what_was_committed_stays_beside_removals_of_the_same)
{
    commits_beside_removers(KIND_S3);
}

Test(objects, supabase_what_was_committed_stays_beside_removals_of_the_same)
{
    commits_beside_removers(KIND_SUPABASE);
}

Test(objects, a_put_of_what_is_being_removed_does_not_rely_on_it)
{
    struct blob_hooks hooks = {.tick = end_removal};

    fixture_open(KIND_S3);
    cr_assert_eq(put("same"), 0, "%s", err.message);
    put_mark();
    blob_set_hooks(store, &hooks);
    cr_expect_eq(put("same"), 0, "%s", err.message);
    cr_expect_geq(ticks, 15);
}

Test(objects, a_removal_without_an_answer_leaves_its_mark)
{
    struct blob_name name = {.user = user};

    fixture_open(KIND_S3);
    cr_assert_eq(commit("x"), 0);
    name.user = user;
    memcpy(name.sha256, hash, sizeof hash);
    fixture_older(1000);
    fixture_control("{\"fail\": [{\"method\": \"DELETE\", \"status\": 0, \"times\": 1}]}");
    expect_reason(blob_remove_idle(store, &name, 1000, clock_ms() + 60000, &err), REASON_blob_busy);
    cr_expect_eq(count("\"pre fix/removing/"), 1);
    fixture_older(3600);
    cr_expect_eq(blob_sweep(store, 1000, &err), 1, "%s", err.message);
    cr_expect_eq(count("\"pre fix/removing/"), 0);
}

Test(objects, a_removal_leaves_no_mark)
{
    struct blob_name name;

    fixture_open(KIND_S3);
    cr_assert_eq(commit("x"), 0);
    name.user = user;
    memcpy(name.sha256, hash, sizeof hash);
    fixture_older(1000);
    cr_expect_eq(blob_remove_idle(store, &name, 1000, clock_ms() + 60000, &err), 1, "%s", err.message);
    cr_expect_eq(count("\"objects\": {}"), 1);
}

Test(objects, who_waits_ticks_and_can_be_stopped)
{
    struct blob_hooks hooks = {.tick = end_removal, .stop = should_stop};
    int64_t begun = clock_ms();

    fixture_open(KIND_S3);
    fixture_control("{\"fail\": [{\"status\": 503, \"code\": \"SlowDown\", \"times\": 99}]}");
    blob_set_hooks(store, &hooks);
    stop_at_ms = clock_ms() + 200;
    cr_expect_lt(commit("x"), 0);
    cr_expect_gt(ticks, 1);
    cr_expect_lt(clock_ms() - begun, 2500);
}

Test(objects, what_somebody_else_keeps_in_the_bucket_is_passed_over)
{
    char cursor[BLOB_CURSOR_BYTES] = "";
    struct blob_name names[8];
    int n = 0, turns = 0;

    fixture_open(KIND_S3);
    cr_assert_eq(commit("x"), 0);
    fixture_control("{\"put\": \"pre fix/11111111-2222-3333-4444-555555555555/aa/not-a-hash\", \"text\": \"\"}");
    fixture_control(
        "{\"put\": \"pre fix/0000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000\", \"text\": \"\"}");
    fixture_control("{\"put\": \"other\", \"text\": \"\"}");
    fixture_control("{\"put\": \"pre fix/zzz\", \"text\": \"\"}");
    do {
        int rc = blob_list(store, cursor, 0, names + n, 1, &err);
        cr_assert_geq(rc, 0, "%s", err.message);
        n += rc;
    } while (cursor[0] != '\0' && turns++ < 20);
    cr_expect_eq(n, 1);
    cr_expect_lt(turns, 20);
}
