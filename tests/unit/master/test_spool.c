/* test_spool.c - records that wait for the database, in a file: what the next master finds there */
#include "master/spool.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#define FILE_BYTES ((size_t)SPOOL_SLOT_BYTES * (SPOOL_RECORDS + 1))

static char *make_dir(void)
{
    char *dir = talloc_strdup(NULL, "/tmp/dm-spool-XXXXXX");

    cr_assert_not_null(mkdtemp(dir));
    return dir;
}

static void drop_dir(char *dir)
{
    unlink(talloc_asprintf(dir, "%s/" SPOOL_FILE, dir));
    unlink(talloc_asprintf(dir, "%s/" SPOOL_FILE ".new", dir));
    cr_assert_eq(rmdir(dir), 0);
    talloc_free(dir);
}

static struct msg_audit record(int64_t seq)
{
    return (struct msg_audit){.seq = seq,
                              .at_ms = 1000 + seq,
                              .incarnation = 77,
                              .number = seq,
                              .uid = 5,
                              .verb = "scale",
                              .arguments = "{\"pool\":\"workers\"}",
                              .result = "done"};
}

/* A new master's view. */
static struct spool *next_life(char *dir, struct msg_audit **left, int *n)
{
    struct spool *s = spool_open(dir, dir, left, n);

    cr_assert_not_null(s);
    return s;
}

static struct spool *first_life(char *dir, int64_t first, int64_t last)
{
    struct msg_audit *left;
    int n;
    struct spool *s = next_life(dir, &left, &n);

    cr_assert_eq(n, 0);
    spool_commit(s);
    for (int64_t seq = first; seq <= last; seq++) {
        struct msg_audit m = record(seq);
        spool_put(s, &m);
    }
    return s;
}

static void abandon(struct spool **s) /* as a kill does */
{
    spool_close(s, false);
}

Test(spool, what_is_not_known_to_be_written_is_found_whole_and_in_order)
{
    char *dir = make_dir();
    struct spool *s = first_life(dir, 1, 5);
    struct msg_audit *left, m;
    int n;

    spool_written(s, 2);
    abandon(&s);
    cr_assert_null(s);
    s = next_life(dir, &left, &n);
    cr_assert_eq(n, 3);
    for (int i = 0; i < n; i++) {
        m = record(3 + i);
        cr_assert_eq(memcmp(&left[i], &m, sizeof m), 0, "record %d", i);
    }
    abandon(&s); /* killed before it has taken them over */
    s = next_life(dir, &left, &n);
    cr_assert_eq(n, 3, "the former file is there until the new one has all");
    spool_commit(s);
    abandon(&s);
    s = next_life(dir, &left, &n);
    cr_assert_eq(n, 0);
    spool_commit(s);
    spool_close(&s, true);
    cr_assert_neq(access(talloc_asprintf(dir, "%s/" SPOOL_FILE, dir), F_OK), 0);
    drop_dir(dir);
}

Test(spool, places_are_used_again)
{
    char *dir = make_dir();
    struct spool *s = first_life(dir, 1, SPOOL_RECORDS);
    struct msg_audit *left;
    int n;

    spool_written(s, 10);
    for (int64_t seq = SPOOL_RECORDS + 1; seq <= SPOOL_RECORDS + 10; seq++) {
        struct msg_audit m = record(seq);
        spool_put(s, &m);
    }
    abandon(&s);
    s = next_life(dir, &left, &n);
    cr_assert_eq(n, SPOOL_RECORDS);
    cr_assert_eq(left[0].seq, 11);
    cr_assert_eq(left[n - 1].seq, SPOOL_RECORDS + 10);
    abandon(&s);
    drop_dir(dir);
}

static size_t bytes_of(char *dir, uint8_t *bytes)
{
    int fd = open(talloc_asprintf(dir, "%s/" SPOOL_FILE, dir), O_RDONLY);
    ssize_t n = read(fd, bytes, FILE_BYTES);

    cr_assert(n > 0);
    close(fd);
    return (size_t)n;
}

Test(spool, a_record_that_is_cut_short_or_spoilt_is_left_out_and_no_other)
{
    static uint8_t bytes[FILE_BYTES];
    static struct msg_audit out[SPOOL_RECORDS];
    char *dir = make_dir();
    struct spool *s = first_life(dir, 1, 3);
    size_t n = bytes_of(dir, bytes);

    cr_assert_eq(n, 5 * SPOOL_SLOT_BYTES, "the head, and places 0 to 3");
    bytes[SPOOL_SLOT_BYTES * 3 + 100] ^= 1;
    cr_assert_eq(spool_read(bytes, n, "another", 5000, out), 2);
    cr_assert_eq(out[0].seq, 1);
    cr_assert_eq(out[1].seq, 3);
    cr_assert_eq(spool_read(bytes, n - 1, "another", 5000, out), 1, "the last one is not whole");
    cr_assert_eq(spool_read(bytes, 10, "another", 5000, out), 0);
    bytes[0] ^= 1;
    cr_assert_eq(spool_read(bytes, n, "another", 5000, out), 0, "no such file");
    abandon(&s);
    drop_dir(dir);
}

Test(spool, times_of_another_boot_or_of_the_future_are_now)
{
    static uint8_t bytes[FILE_BYTES];
    static struct msg_audit out[SPOOL_RECORDS];
    char *dir = make_dir();
    struct spool *s = first_life(dir, 1, 1);
    size_t n = bytes_of(dir, bytes);
    char boot[41] = "";

    memcpy(boot, bytes + 8, 40);
    cr_assert_eq(spool_read(bytes, n, boot, 5000, out), 1);
    cr_assert_eq(out[0].at_ms, 1001);
    cr_assert_eq(spool_read(bytes, n, boot, 900, out), 1);
    cr_assert_eq(out[0].at_ms, 900);
    cr_assert_eq(spool_read(bytes, n, "another", 5000, out), 1);
    cr_assert_eq(out[0].at_ms, 5000);
    abandon(&s);
    drop_dir(dir);
}

Test(spool, without_a_place_for_it_records_are_kept_in_memory_only)
{
    struct msg_audit *left, m = record(1);
    int n;
    struct spool *s = spool_open(NULL, "/nonexistent", &left, &n);

    cr_assert_null(s);
    cr_assert_eq(n, 0);
    spool_put(s, &m);
    spool_written(s, 1);
    spool_commit(s);
    spool_close(&s, true);
}
