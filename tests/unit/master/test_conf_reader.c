/*
 * test_conf_reader.c - a helper reads the configuration, and one that hangs or dies costs its time and no more
 */
#include "master/conf_reader.h"

#include "base/clock.h"
#include "core/reason.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

static sd_event *event;
static void *ctx;
static struct conf_reader *reader;
static struct conf_reading got;
static int n_done;
static char path[64];

static void start(void)
{
    ctx = talloc_new(NULL);
    cr_assert_geq(sd_event_new(&event), 0);
    reader = conf_reader_new(ctx, event);
    n_done = 0;
}

static void stop(void)
{
    talloc_free(ctx);
    sd_event_unref(event);
    if (path[0] != '\0')
        unlink(path);
}

TestSuite(conf_reader, .init = start, .fini = stop);

static void done(void *arg, const struct conf_reading *r)
{
    (void)arg;
    got = *r;
    n_done++;
}

static void write_conf(const char *more)
{
    FILE *f;

    if (path[0] == '\0') {
        strcpy(path, "/tmp/docmill-reader-XXXXXX");
        close(mkstemp(path));
    }
    f = fopen(path, "w");
    fprintf(
        f,
        "database = { url = \"host=/x password=secret\" };\nblob = { backend = \"fs\"; fs = { root = \"/b\"; }; };\n"
        "embedder = { name = \"builtin\" };\n%s",
        more);
    fclose(f);
}

static struct conf *load_any(const void *parent, const char *file, const struct conf *running, struct error *e)
{
    (void)running;
    return conf_load(parent, file, e);
}

static struct conf *hang(const void *parent, const char *file, const struct conf *running, struct error *e)
{
    (void)parent;
    (void)file;
    (void)running;
    (void)e;
    while (pause() != 0)
        ;
    return NULL;
}

static struct conf *crash(const void *parent, const char *file, const struct conf *running, struct error *e)
{
    (void)parent;
    (void)file;
    (void)running;
    (void)e;
    abort();
}

/* Refuses if it finds a descriptor that is not its own. */
static struct conf *look_around(const void *parent, const char *file, const struct conf *running, struct error *e)
{
    int n = 0;

    (void)running;
    for (int fd = 3; fd < 1000; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    if (n == 2)
        return conf_load(parent, file, e);
    (void)reason_error(e, REASON_internal, EIO, "%d descriptors", n);
    return NULL;
}

static void run(conf_reader_load load, int64_t limit_ms)
{
    struct conf_reader_job job = {.path = path, .limit_ms = limit_ms, .load = load, .done = done, .key = "k"};
    struct error e = {0};
    int64_t until = clock_ms() + 10000;
    int before = n_done;

    cr_assert_eq(conf_reader_start(reader, &job, &e), 0, "%s", e.message);
    while (n_done == before && clock_ms() < until)
        cr_assert_geq(sd_event_run(event, 100000), 0);
    cr_assert_eq(n_done, before + 1);
}

Test(conf_reader, what_was_read_arrives)
{
    write_conf("queue = { claim_batch = 7; };");
    run(load_any, 5000);
    cr_assert_not_null(got.conf, "%s", got.error.message);
    cr_expect_eq(got.conf->queue_claim_batch, 7);
    cr_expect_str_eq(got.conf->database_url, "host=/x password=secret");
    cr_expect_not(conf_reader_is_busy(reader));
}

Test(conf_reader, the_same_values_have_the_same_digest_and_others_another)
{
    uint8_t first[SHA256_BYTES];

    write_conf("queue = { claim_batch = 7; };");
    run(load_any, 5000);
    memcpy(first, got.digest, sizeof first);
    write_conf("# the same, told otherwise\nqueue: { claim_batch = 7 };");
    run(load_any, 5000);
    cr_expect_arr_eq(got.digest, first, sizeof first);
    write_conf("queue = { claim_batch = 8; };");
    run(load_any, 5000);
    cr_expect_arr_neq(got.digest, first, sizeof first);
}

Test(conf_reader, a_fault_is_told_with_its_place)
{
    char want[100];

    write_conf("queue = { claim_batch = 0; };");
    run(load_any, 5000);
    cr_assert_null(got.conf);
    snprintf(want, sizeof want, "%s:4: queue.claim_batch", path);
    cr_expect_not_null(strstr(got.error.message, want), "%s", got.error.message);
    cr_expect_str_eq(got.error.reason, "bad_config");
}

Test(conf_reader, one_that_hangs_is_given_up_in_time)
{
    struct conf_reader_job job = {.path = path, .limit_ms = 1000, .load = load_any, .done = done};
    int64_t began = clock_ms();
    struct error e = {0};

    run(hang, 200);
    cr_assert_null(got.conf);
    cr_expect_str_eq(got.error.reason, "control_timeout");
    cr_expect_lt(clock_ms() - began, 5000);
    if (conf_reader_is_busy(reader))
        cr_expect_eq(conf_reader_start(reader, &job, &e), -EBUSY);
    for (int i = 0; i < 50 && conf_reader_is_busy(reader); i++)
        cr_assert_geq(sd_event_run(event, 100000), 0);
    cr_expect_not(conf_reader_is_busy(reader), "killed, and reaped");
    cr_expect_eq(n_done, 1, "told once");
}

Test(conf_reader, one_that_dies_is_told)
{
    run(crash, 5000);
    cr_assert_null(got.conf);
    cr_expect_str_eq(got.error.reason, "start_failed");
    cr_expect_not_null(strstr(got.error.message, "signal 6"), "%s", got.error.message);
}

Test(conf_reader, it_holds_nothing_of_the_masters)
{
    write_conf("");
    run(look_around, 5000);
    cr_expect_not_null(got.conf, "%s", got.error.message);
}
