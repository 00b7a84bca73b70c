/*
 * test_files.c - whole files: read with a cap, replaced as a whole, directories made
 */
#include "base/files.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <dirent.h>
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

static size_t entries(void)
{
    DIR *d = opendir(dir);
    size_t n = 0;

    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 2;
}

Test(files, what_was_written_is_read_and_nothing_is_left_beside)
{
    struct stat st;
    char *text;
    size_t n;

    cr_assert_eq(file_write_atomic(path, "a\0b", 3, 0640, &err), 0, "%s", err.message);
    cr_assert_eq(file_read(ctx, path, 3, &text, &n, &err), 0, "%s", err.message);
    cr_expect_eq(n, 3);
    cr_expect_eq(memcmp(text, "a\0b\0", 4), 0);
    cr_expect_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0640);
    cr_assert_eq(file_write_atomic(path, "", 0, 0600, &err), 0);
    cr_assert_eq(file_read(ctx, path, 0, &text, &n, &err), 0);
    cr_expect_eq(n, 0);
    cr_expect_eq(entries(), 1);
}

Test(files, a_file_over_the_cap_is_refused)
{
    char *text;
    size_t n;

    cr_assert_eq(file_write_atomic(path, "abcd", 4, 0600, &err), 0);
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

Test(files, a_failed_replacement_leaves_the_old_file_and_nothing_beside)
{
    char target[300];

    snprintf(target, sizeof target, "%s/sub", dir);
    cr_assert_eq(mkdir(target, 0755), 0);
    cr_expect_lt(file_write_atomic(target, "x", 1, 0600, &err), 0); /* a file does not replace a directory */
    cr_expect_eq(entries(), 1);
    snprintf(target, sizeof target, "%s/none/file", dir);
    cr_expect_eq(file_write_atomic(target, "x", 1, 0600, &err), -ENOENT);
    cr_expect_eq(entries(), 1);
}

Test(files, directories_are_made_as_deep_as_asked_and_again_without_complaint)
{
    char deep[300];
    struct stat st;

    snprintf(deep, sizeof deep, "%s/a//b/c/", dir);
    cr_expect_eq(file_mkdirs(deep, 0750, &err), 0, "%s", err.message);
    cr_expect_eq(file_mkdirs(deep, 0750, &err), 0);
    cr_expect_eq(stat(deep, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0750);
    cr_assert_eq(file_write_atomic(path, "x", 1, 0600, &err), 0);
    snprintf(deep, sizeof deep, "%s/file/b", dir);
    cr_expect_eq(file_mkdirs(deep, 0750, &err), -ENOTDIR);
    cr_expect_eq(file_mkdirs(path, 0750, &err), -ENOTDIR);
    cr_expect_eq(file_mkdirs("", 0750, &err), -ENOENT);
    cr_expect_eq(file_mkdirs("/", 0750, &err), 0);
}

Test(files, a_name_without_a_directory_is_in_the_current_one)
{
    cr_assert_eq(chdir(dir), 0);
    cr_expect_eq(file_write_atomic("here", "x", 1, 0600, &err), 0, "%s", err.message);
    cr_expect_eq(access(path, F_OK), -1);
    cr_expect_eq(access("here", F_OK), 0);
    cr_expect_eq(file_sync_parent("/etc", &err), 0);
}

Test(files, a_path_beyond_every_limit_is_an_error)
{
    static char big[9000];
    char *text;
    size_t n;

    memset(big, 'a', sizeof big - 1);
    cr_expect_eq(file_read(ctx, big, 10, &text, &n, &err), -ENAMETOOLONG);
    cr_expect_eq(file_write_atomic(big, "x", 1, 0600, &err), -ENAMETOOLONG);
    cr_expect_eq(file_mkdirs(big, 0700, &err), -ENAMETOOLONG);
    cr_expect_eq(file_sync_parent(big, &err), -ENAMETOOLONG);
}

Test(files, write_all_reports_the_error)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    cr_expect_eq(file_write_all(fd, "x", 1), -ENOSPC);
    close(fd);
    cr_expect_eq(file_write_all(-1, "x", 1), -EBADF);
    cr_expect_eq(file_write_all(-1, "", 0), 0);
}
