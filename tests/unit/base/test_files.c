/*
 * test_files.c - whole files: read with a cap, written to the last byte
 */
#include "base/files.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

static char dir[64];
static char path[256];
static struct error err;
static void *ctx;

static void start(void)
{
    strcpy(dir, "/tmp/docmill-files-XXXXXX");
    cr_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/file", dir);
    ctx = talloc_new(NULL);
}

static void stop(void)
{
    char command[128];

    talloc_free(ctx);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

TestSuite(files, .init = start, .fini = stop);

static void put(const char *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    cr_assert_geq(fd, 0);
    cr_assert_eq(file_write_all(fd, bytes, n), 0);
    cr_assert_eq(close(fd), 0);
}

Test(files, what_was_written_is_read)
{
    char *text;
    size_t n;

    put("a\0b", 3);
    cr_assert_eq(file_read(ctx, path, 3, &text, &n, &err), 0, "%s", err.message);
    cr_expect_eq(n, 3);
    cr_expect_eq(memcmp(text, "a\0b\0", 4), 0);
    put("", 0);
    cr_assert_eq(file_read(ctx, path, 0, &text, &n, &err), 0);
    cr_expect_eq(n, 0);
}

Test(files, a_file_over_the_cap_is_refused)
{
    char *text;
    size_t n;

    put("abcd", 4);
    cr_expect_eq(file_read(ctx, path, 3, &text, &n, &err), -EFBIG);
    cr_expect_str_eq(err.reason, "file_error");
    cr_expect_null(text);
    cr_expect_eq(file_read(ctx, "/proc/self/maps", 10, &text, &n, &err), -EFBIG); /* says size 0 */
}

Test(files, a_file_of_proc_is_read_though_it_says_size_0)
{
    char *text;
    size_t n;

    cr_assert_eq(file_read(ctx, "/proc/self/comm", 100, &text, &n, &err), 0, "%s", err.message);
    cr_expect_gt(n, 1);
}

Test(files, what_is_no_regular_file_is_refused_at_once, .timeout = 10)
{
    char *text;
    size_t n;

    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(file_read(ctx, path, 10, &text, &n, &err), -EINVAL);
    cr_expect(strstr(err.message, "not a regular file") != NULL, "%s", err.message);
    cr_expect_eq(file_read(ctx, dir, 10, &text, &n, &err), -EISDIR);
    cr_expect_eq(file_read(ctx, "/dev/zero", 10, &text, &n, &err), -EINVAL);
    cr_expect_eq(file_read(ctx, "/nonexistent/x", 10, &text, &n, &err), -ENOENT);
    cr_expect(strstr(err.message, "/nonexistent/x") != NULL, "%s", err.message);
}

Test(files, a_path_beyond_every_limit_is_an_error)
{
    static char big[9000];
    char *text;
    size_t n;

    memset(big, 'a', sizeof big - 1);
    cr_expect_eq(file_read(ctx, big, 10, &text, &n, &err), -ENAMETOOLONG);
}

Test(files, write_all_reports_the_error)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    cr_expect_eq(file_write_all(fd, "x", 1), -ENOSPC);
    close(fd);
    cr_expect_eq(file_write_all(-1, "x", 1), -EBADF);
    cr_expect_eq(file_write_all(-1, "", 0), 0);
}
