/*
 * test_fs.c - the fs blob store: what is written is durable, checked and findable; what fails says why
 *
 * Each test runs in a process of its own (criterion forks), so limits, ids and mounts may be changed freely.
 */
#include "blob/backend.h"
#include "blob/blob.h"
#include "core/reason.h"
#include "fork_test.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

static char root[64];
static struct conf conf;
static struct blob_store *store;
static struct error err;
static struct uuid user;

static void open_store(void)
{
    conf = (struct conf){.blob_backend = "fs", .blob_fs_root = root};
    store = blob_open(NULL, &conf, &err);
    cr_assert_not_null(store, "%s", err.message);
    cr_assert_eq(uuid_parse("11111111-2222-3333-4444-555555555555", &user), 0);
}

static void setup(void)
{
    strcpy(root, "/tmp/docmill-blob-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    open_store();
}

static void teardown(void)
{
    char cmd[100];

    talloc_free(store);
    snprintf(cmd, sizeof cmd, "rm -rf %s", root);
    cr_assert_eq(system(cmd), 0);
}

TestSuite(fs, .init = setup, .fini = teardown);

static int files_in(const char *sub)
{
    char path[300];
    int n = 0;

    snprintf(path, sizeof path, "%s/%s", root, sub);
    DIR *d = opendir(path);
    if (d == NULL)
        return -1;
    for (struct dirent *f; (f = readdir(d)) != NULL;)
        n += f->d_name[0] != '.';
    closedir(d);
    return n;
}

static void path_of(const uint8_t sha[SHA256_BYTES], char path[300])
{
    char hex[SHA256_HEX_LEN + 1], u[UUID_TEXT_LEN + 1];

    hex_encode(sha, SHA256_BYTES, hex);
    uuid_format(&user, u);
    snprintf(path, 300, "%s/%s/%.2s/%s", root, u, hex, hex);
}

Test(fs, a_committed_blob_reads_back_whole_and_alone)
{
    uint8_t sha[SHA256_BYTES], want[SHA256_BYTES];
    int64_t size = 0;
    struct blob_view v;
    char byte;
    struct blob_writer *w = blob_begin(store, &user, &err);

    cr_assert_not_null(w);
    cr_assert_eq(files_in("tmp"), 1);
    cr_assert_eq(blob_write(w, "hello ", 6, &err), 0);
    cr_assert_eq(blob_write(w, "world", 5, &err), 0);
    cr_assert_eq(blob_written(w), 11);
    cr_assert_eq(blob_commit(&w, sha, &size, &err), 0, "%s", err.message);
    cr_assert_null(w);
    sha256_of("hello world", 11, want);
    cr_assert_arr_eq(sha, want, sizeof sha);
    cr_assert_eq(size, 11);
    cr_assert_eq(files_in("tmp"), 0);
    cr_assert_eq(blob_view(store, &user, sha, 11, &v, &err), 0, "%s", err.message);
    cr_assert_eq(v.size, 11);
    cr_assert_eq((uintptr_t)v.data % 4096, 0);
    cr_assert_arr_eq(v.data, "hello world", 11);
    cr_assert_eq(read(v.fd, &byte, 1), 1);
    cr_assert_eq(byte, 'h');
    blob_unview(&v);
    cr_assert_eq(v.fd, -1);
}

Test(fs, files_are_private_and_lie_under_user_and_hash)
{
    uint8_t sha[SHA256_BYTES];
    struct stat st;
    char path[300];

    cr_assert_eq(blob_put(store, &user, "abc", 3, sha, &err), 0);
    path_of(sha, path);
    cr_assert_eq(stat(path, &st), 0, "%s", path);
    cr_assert_eq(st.st_mode & 07777, 0600);
    *strrchr(path, '/') = '\0';
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0700);
}

Test(fs, the_same_bytes_twice_are_one_blob_and_put_does_not_write_again)
{
    uint8_t sha[SHA256_BYTES];
    struct stat a, b;
    char path[300];

    cr_assert_eq(blob_put(store, &user, "abc", 3, sha, &err), 0);
    path_of(sha, path);
    cr_assert_eq(stat(path, &a), 0);
    cr_assert_eq(blob_put(store, &user, "abc", 3, sha, &err), 0);
    cr_assert_eq(stat(path, &b), 0);
    cr_assert_eq(a.st_ino, b.st_ino);

    struct blob_writer *w = blob_begin(store, &user, &err);
    cr_assert_eq(blob_write(w, "abc", 3, &err), 0);
    cr_assert_eq(blob_commit(&w, sha, NULL, &err), 0);
    cr_assert_eq(stat(path, &b), 0);
    cr_assert_eq(b.st_nlink, 1);
    *strrchr(path, '/') = '\0';
    cr_assert_eq(files_in(path + strlen(root) + 1), 1);
}

Test(fs, another_user_does_not_see_it)
{
    uint8_t sha[SHA256_BYTES];
    struct uuid other = user;
    struct blob_view v;

    other.b[0] ^= 1;
    cr_assert_eq(blob_put(store, &user, "abc", 3, sha, &err), 0);
    cr_assert_lt(blob_view(store, &other, sha, 3, &v, &err), 0);
    cr_assert_str_eq(err.reason, "blob_absent");
}

Test(fs, an_empty_blob_is_a_blob)
{
    uint8_t sha[SHA256_BYTES];
    struct blob_view v;

    cr_assert_eq(blob_put(store, &user, "", 0, sha, &err), 0);
    cr_assert_eq(blob_view(store, &user, sha, 0, &v, &err), 0, "%s", err.message);
    cr_assert_null(v.data);
    cr_assert_eq(v.size, 0);
    blob_unview(&v);
}

static void spoil(const uint8_t sha[SHA256_BYTES], off_t at, off_t cut)
{
    char path[300];
    int fd;

    path_of(sha, path);
    fd = open(path, O_WRONLY);
    cr_assert_geq(fd, 0);
    if (cut >= 0)
        cr_assert_eq(ftruncate(fd, cut), 0);
    else
        cr_assert_eq(pwrite(fd, "!", 1, at), 1);
    close(fd);
}

static void big_blob(uint8_t sha[SHA256_BYTES], size_t n)
{
    char *p = malloc(n);

    memset(p, 'x', n);
    cr_assert_eq(blob_put(store, &user, p, n, sha, &err), 0);
    free(p);
}

Test(fs, a_changed_byte_is_corrupt_in_small_and_in_mapped_blobs)
{
    static const size_t sizes[] = {100, 3 * 1024 * 1024};
    uint8_t sha[SHA256_BYTES];
    struct blob_view v;

    for (int i = 0; i < 2; i++) {
        big_blob(sha, sizes[i]);
        cr_assert_eq(blob_view(store, &user, sha, (int64_t)sizes[i], &v, &err), 0);
        blob_unview(&v);
        spoil(sha, (off_t)sizes[i] - 1, -1);
        cr_assert_lt(blob_view(store, &user, sha, (int64_t)sizes[i], &v, &err), 0);
        cr_assert_str_eq(err.reason, "blob_corrupt");
        cr_assert_eq(v.fd, -1);
    }
}

Test(fs, a_cut_file_is_corrupt_also_when_the_size_is_not_known)
{
    uint8_t sha[SHA256_BYTES];
    struct blob_view v;

    big_blob(sha, 5000);
    spoil(sha, 0, 4000);
    cr_assert_lt(blob_view(store, &user, sha, 5000, &v, &err), 0);
    cr_assert_str_eq(err.reason, "blob_corrupt");
    cr_assert_lt(blob_view(store, &user, sha, -1, &v, &err), 0);
    cr_assert_str_eq(err.reason, "blob_corrupt");
}

Test(fs, putting_the_bytes_again_heals_a_spoilt_blob)
{
    uint8_t sha[SHA256_BYTES];
    struct blob_view v;

    big_blob(sha, 5000);
    spoil(sha, 7, -1);
    big_blob(sha, 5000);
    cr_assert_eq(blob_view(store, &user, sha, 5000, &v, &err), 0);
    blob_unview(&v);
}

Test(fs, abort_and_a_freed_store_leave_nothing)
{
    struct blob_writer *w = blob_begin(store, &user, &err);

    cr_assert_eq(blob_write(w, "x", 1, &err), 0);
    blob_abort(&w);
    cr_assert_null(w);
    cr_assert_eq(files_in("tmp"), 0);
    w = blob_begin(store, &user, &err);
    cr_assert_eq(blob_write(w, "x", 1, &err), 0);
    TALLOC_FREE(store);
    cr_assert_eq(files_in("tmp"), 0);
}

Test(fs, sweep_removes_what_a_killed_process_left_and_nothing_younger)
{
    pid_t pid = fork_mortal();
    if (pid == 0) {
        struct blob_writer *w = blob_begin(store, &user, &err);
        _exit(blob_write(w, "x", 1, &err) == 0 ? 0 : 1);
    }
    waitpid(pid, NULL, 0);
    cr_assert_eq(files_in("tmp"), 1);
    cr_assert_eq(blob_sweep(store, 60000, &err), 0);
    cr_assert_eq(files_in("tmp"), 1);
    usleep(30000);
    cr_assert_eq(blob_sweep(store, 1, &err), 1, "%s", err.message);
    cr_assert_eq(files_in("tmp"), 0);
    cr_assert_eq(blob_sweep(store, 1, &err), 0);
}

Test(fs, a_writer_whose_file_was_swept_is_told_to_try_again)
{
    uint8_t sha[SHA256_BYTES];
    struct blob_writer *w = blob_begin(store, &user, &err);

    cr_assert_eq(blob_write(w, "x", 1, &err), 0);
    usleep(30000);
    cr_assert_eq(blob_sweep(store, 1, &err), 1);
    cr_assert_lt(blob_commit(&w, sha, NULL, &err), 0);
    cr_assert_str_eq(err.reason, "blob_busy");
}

Test(fs, probe_succeeds_and_leaves_nothing)
{
    cr_assert_eq(blob_probe(store, &err), 0, "%s", err.message);
    cr_assert_eq(files_in("tmp"), 0);
}

Test(fs, a_symlink_in_place_of_a_blob_is_not_followed)
{
    uint8_t sha[SHA256_BYTES];
    struct blob_view v;
    char path[300];

    cr_assert_eq(blob_put(store, &user, "abc", 3, sha, &err), 0);
    path_of(sha, path);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink("/etc/passwd", path), 0);
    cr_assert_lt(blob_view(store, &user, sha, 3, &v, &err), 0);
    cr_assert_str_eq(err.reason, "blob_broken");
}

Test(fs, a_full_disk_is_blob_full_and_leaves_nothing)
{
    static char chunk[8192];
    uint8_t sha[SHA256_BYTES];
    int rc = 0;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        cr_skip_test("needs the right to mount");
    TALLOC_FREE(store);
    cr_assert_eq(mount("tmpfs", root, "tmpfs", 0, "size=64k"), 0);
    open_store();
    struct blob_writer *w = blob_begin(store, &user, &err);
    for (int i = 0; rc == 0 && i < 100; i++)
        rc = blob_write(w, chunk, sizeof chunk, &err);
    cr_assert_lt(rc, 0);
    cr_assert_str_eq(err.reason, "blob_full");
    cr_assert_eq(err.cls, ERR_RECOVERABLE);
    blob_abort(&w);
    cr_assert_eq(files_in("tmp"), 0);
    cr_assert_eq(mount("tmpfs", root, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
    cr_assert_lt(blob_put(store, &user, "abc", 3, sha, &err), 0);
    cr_assert_str_eq(err.reason, "blob_denied");
    cr_assert_lt(blob_probe(store, &err), 0);
    cr_assert_str_eq(err.reason, "blob_denied");
    TALLOC_FREE(store);
    cr_assert_eq(umount(root), 0);
}

Test(fs, a_directory_of_somebody_else_is_blob_denied)
{
    uint8_t sha[SHA256_BYTES];

    if (geteuid() != 0)
        cr_skip_test("needs to change its user");
    cr_assert_eq(seteuid(65534), 0);
    cr_assert_lt(blob_put(store, &user, "abc", 3, sha, &err), 0);
    cr_assert_str_eq(err.reason, "blob_denied");
    cr_assert_null(blob_open(NULL, &conf, &err));
    cr_assert_str_eq(err.reason, "blob_denied");
    cr_assert_eq(seteuid(0), 0);
}

Test(fs, a_root_without_a_parent_is_broken_not_absent)
{
    struct conf c = {.blob_backend = "fs", .blob_fs_root = "/nonexistent/blobs"};

    cr_assert_null(blob_open(NULL, &c, &err));
    cr_assert_str_eq(err.reason, "blob_broken");
}

Test(fs, each_errno_has_its_reason)
{
    static const struct {
        int err;
        const char *reason;
    } rows[] = {{ENOENT, "blob_absent"},  {EACCES, "blob_denied"}, {EROFS, "blob_denied"},
                {ENOSPC, "blob_full"},    {EDQUOT, "blob_full"},   {EIO, "blob_broken"},
                {ENOTDIR, "blob_broken"}, {EMFILE, "blob_busy"},   {ESTALE, "blob_busy"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_eq(blob_error(&err, rows[i].err, "x"), -rows[i].err);
        cr_assert_str_eq(err.reason, rows[i].reason);
    }
}

Test(fs, writers_of_the_same_bytes_at_once_do_not_disturb_each_other)
{
    enum { CHILDREN = 8, ROUNDS = 20 };
    uint8_t sha[SHA256_BYTES];
    struct blob_view v;
    int status, bad = 0;

    for (int i = 0; i < CHILDREN; i++)
        if (fork_mortal() == 0) {
            for (int k = 0; k < ROUNDS; k++) {
                struct blob_writer *w = blob_begin(store, &user, &err);
                if (w == NULL || blob_write(w, &k, sizeof k, &err) < 0 || blob_commit(&w, sha, NULL, &err) < 0 ||
                    blob_view(store, &user, sha, sizeof k, &v, &err) < 0)
                    _exit(1);
            }
            _exit(0);
        }
    while (wait(&status) > 0)
        bad += status != 0;
    cr_assert_eq(bad, 0);
    cr_assert_eq(files_in("tmp"), 0);
}
