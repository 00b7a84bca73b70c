/*
 * test_fs_idle.c - what is listed as idle and removed, and that what was committed meanwhile is neither
 */
#include "base/clock.h"
#include "blob/blob.h"
#include "core/reason.h"
#include "fork_test.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#define HOUR_MS  (3600 * 1000LL)
#define NO_LIMIT INT64_MAX

static char root[64];
static struct conf conf;
static struct blob_store *store;
static struct error err;

static void setup(void)
{
    strcpy(root, "/tmp/docmill-idle-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    conf = (struct conf){.blob_backend = "fs", .blob_fs_root = root};
    store = blob_open(NULL, &conf, &err);
    cr_assert_not_null(store, "%s", err.message);
}

static void teardown(void)
{
    char cmd[100];

    talloc_free(store);
    snprintf(cmd, sizeof cmd, "rm -rf %s", root);
    cr_assert_eq(system(cmd), 0);
}

TestSuite(idle, .init = setup, .fini = teardown);

static struct uuid user_no(int n)
{
    struct uuid u = {{0}};

    u.b[0] = (uint8_t)n;
    return u;
}

static void path_of(const struct blob_name *name, char path[300], bool dir_only)
{
    char hex[SHA256_HEX_LEN + 1], u[UUID_TEXT_LEN + 1];

    hex_encode(name->sha256, SHA256_BYTES, hex);
    uuid_format(&name->user, u);
    snprintf(path, 300, "%s/%s/%.2s/%s", root, u, hex, dir_only ? "" : hex);
}

/* A blob of a user, put away for two hours. */
static struct blob_name old_blob(int user, int content)
{
    struct blob_name name = {.user = user_no(user)};
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {0}};
    char text[32], path[300];

    snprintf(text, sizeof text, "content %d", content);
    cr_assert_eq(blob_put(store, &name.user, text, strlen(text), name.sha256, &err), 0, "%s", err.message);
    clock_gettime(CLOCK_REALTIME, &times[1]);
    times[1].tv_sec -= 7200;
    path_of(&name, path, false);
    cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
    return name;
}

static bool there(const struct blob_name *name)
{
    char path[300];

    path_of(name, path, false);
    return access(path, F_OK) == 0;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct blob_name));
}

/* Everything that is idle, listed `max` at a time. */
static int list_all(struct blob_name *all, int cap, int max)
{
    char cursor[BLOB_CURSOR_BYTES] = "";
    int total = 0, calls = 0;

    do {
        struct blob_name *names = calloc((size_t)max, sizeof *names);
        int n = blob_list(store, cursor, HOUR_MS, names, max, &err);
        cr_assert(n >= 0 && n <= max && total + n <= cap, "%s", err.message);
        memcpy(all + total, names, (size_t)n * sizeof *names);
        free(names);
        total += n;
        cr_assert_lt(++calls, 1000, "the walk ends");
    } while (cursor[0] != '\0');
    return total;
}

Test(idle, a_listing_in_pieces_of_any_size_finds_each_idle_blob_once)
{
    struct blob_name want[60], found[200];
    static const int sizes[] = {1, 2, 7, 60, 61, 200};

    for (int i = 0; i < 60; i++)
        want[i] = old_blob(i % 3, i);
    qsort(want, 60, sizeof want[0], by_bytes);
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        cr_assert_eq(list_all(found, 200, sizes[k]), 60, "pieces of %d", sizes[k]);
        qsort(found, 60, sizeof found[0], by_bytes);
        cr_assert_arr_eq(found, want, sizeof want);
    }
}

Test(idle, young_blobs_and_strange_files_are_not_listed)
{
    struct blob_name young = old_blob(1, 1), found[10];
    char path[300], cmd[1000];

    cr_assert_eq(blob_put(store, &young.user, "content 1", 9, young.sha256, &err), 0);
    path_of(&young, path, true);
    snprintf(cmd, sizeof cmd, "touch -d '3 hours ago' %s/readme %s/%s; mkdir -p %s/lost+found/aa", path, root, "note",
             root);
    cr_assert_eq(system(cmd), 0);
    cr_assert_eq(list_all(found, 10, 10), 0);
}

Test(idle, a_cursor_that_is_not_of_this_store_begins_anew)
{
    struct blob_name one = old_blob(1, 1), names[4];
    char cursor[BLOB_CURSOR_BYTES] = "nonsense";

    cr_assert_eq(blob_list(store, cursor, HOUR_MS, names, 4, &err), 1);
    cr_assert_arr_eq(names, &one, sizeof one);
    cr_assert_eq(cursor[0], '\0');
}

Test(idle, an_idle_blob_is_removed_and_again_is_harmless)
{
    struct blob_name name = old_blob(1, 1);
    struct blob_view v;

    cr_assert_eq(blob_remove_idle(store, &name, HOUR_MS, NO_LIMIT, &err), 1, "%s", err.message);
    cr_assert_lt(blob_view(store, &name.user, name.sha256, -1, &v, &err), 0);
    cr_assert_str_eq(err.reason, "blob_absent");
    cr_assert_eq(blob_remove_idle(store, &name, HOUR_MS, NO_LIMIT, &err), 0);
    name.user = user_no(77);
    cr_assert_eq(blob_remove_idle(store, &name, HOUR_MS, NO_LIMIT, &err), 0, "a user without a directory");
}

Test(idle, putting_or_committing_the_same_bytes_begins_the_idle_time_anew)
{
    struct blob_name name = old_blob(1, 1);
    struct blob_writer *w;

    cr_assert_eq(blob_put(store, &name.user, "content 1", 9, name.sha256, &err), 0);
    cr_assert_eq(blob_remove_idle(store, &name, HOUR_MS, NO_LIMIT, &err), 0);
    cr_assert(there(&name));
    name = old_blob(1, 2);
    w = blob_begin(store, &name.user, &err);
    cr_assert_eq(blob_write(w, "content 2", 9, &err), 0);
    cr_assert_arr_eq(blob_writer_hash(w), name.sha256, SHA256_BYTES);
    cr_assert_lt(blob_write(w, "more", 4, &err), 0, "nothing after the hash");
    cr_assert_eq(blob_commit(&w, name.sha256, NULL, &err), 0);
    cr_assert_eq(blob_remove_idle(store, &name, HOUR_MS, NO_LIMIT, &err), 0);
    cr_assert(there(&name));
}

Test(idle, the_idle_time_begins_at_the_commit_not_at_the_last_byte)
{
    struct blob_name name = {.user = user_no(1)};
    struct blob_writer *w = blob_begin(store, &name.user, &err);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000}};

    cr_assert_eq(blob_write(w, "slow", 4, &err), 0);
    cr_assert_eq(futimens(blob_writer_fd(w), times), 0);
    cr_assert_eq(blob_commit(&w, name.sha256, NULL, &err), 0);
    cr_assert_eq(blob_remove_idle(store, &name, HOUR_MS, NO_LIMIT, &err), 0);
    cr_assert(there(&name));
}

Test(idle, a_removal_that_comes_too_late_keeps_the_blob)
{
    struct blob_name name = old_blob(1, 1);

    cr_assert_eq(blob_remove_idle(store, &name, HOUR_MS, clock_ms() - 1, &err), 0);
    cr_assert(there(&name));
}

Test(idle, a_removal_does_not_wait_for_a_commit_and_a_commit_waits_for_a_removal)
{
    struct blob_name name = old_blob(1, 1);
    char dir[300];
    int fd, status;
    int64_t began;
    pid_t pid;

    path_of(&name, dir, true);
    fd = open(dir, O_RDONLY | O_DIRECTORY);
    cr_assert_eq(flock(fd, LOCK_SH), 0); /* as a commit does */
    cr_assert_eq(blob_remove_idle(store, &name, HOUR_MS, NO_LIMIT, &err), 0);
    cr_assert(there(&name));
    cr_assert_eq(flock(fd, LOCK_EX), 0); /* as a removal does */
    pid = fork_mortal();
    if (pid == 0) {
        usleep(200000);
        flock(fd, LOCK_UN);
        _exit(0);
    }
    began = clock_ms();
    cr_assert_eq(blob_put(store, &name.user, "content 1", 9, name.sha256, &err), 0, "%s", err.message);
    cr_assert_geq(clock_ms() - began, 150);
    waitpid(pid, &status, 0);
    close(fd);
}

Test(idle, a_directory_that_stays_held_makes_a_commit_busy)
{
    struct blob_name name = old_blob(1, 1);
    struct blob_writer *w = blob_begin(store, &name.user, &err);
    char dir[300];
    int fd;

    path_of(&name, dir, true);
    fd = open(dir, O_RDONLY | O_DIRECTORY);
    cr_assert_eq(flock(fd, LOCK_EX), 0);
    cr_assert_eq(blob_write(w, "content 1", 9, &err), 0);
    cr_assert_lt(blob_commit(&w, name.sha256, NULL, &err), 0);
    cr_assert_str_eq(err.reason, "blob_busy");
    close(fd);
}

/* The remover removes whatever it may, the other one puts the same bytes again and again: what was put is there. */
Test(idle, bytes_that_were_put_are_there_however_often_they_are_removed, .timeout = 30)
{
    struct blob_name name = old_blob(1, 1);
    int64_t until = clock_ms() + 1500;
    int removed = 0, rounds = 0, status;
    pid_t pid = fork_mortal();

    if (pid == 0) {
        struct blob_store *mine = blob_open(NULL, &conf, &err);
        for (;;)
            if (blob_remove_idle(mine, &name, 20, NO_LIMIT, &err) < 0)
                _exit(1);
    }
    while (clock_ms() < until) {
        int64_t put_ms;
        bool gone = !there(&name);
        removed += gone;
        put_ms = clock_ms();
        cr_assert_eq(blob_put(store, &name.user, "content 1", 9, name.sha256, &err), 0, "%s", err.message);
        bool is_there = there(&name);
        if (clock_ms() - put_ms < 15)
            cr_assert(is_there, "round %d", rounds);
        usleep((useconds_t)(rounds++ % 3 * 15000)); /* at once, before it is idle, after it */
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    cr_assert_gt(removed, 0, "some were removed in between");
}

Test(idle, a_store_belongs_to_the_first_database_that_says_so)
{
    struct uuid mine, other;

    uuid_v4(&mine);
    uuid_v4(&other);
    cr_assert_eq(blob_belongs(store, &mine, &err), 0, "%s", err.message);
    cr_assert_eq(blob_belongs(store, &mine, &err), 0);
    cr_assert_eq(blob_belongs(store, &other, &err), -EEXIST);
    cr_assert_str_eq(err.reason, "blob_denied");
    cr_assert_eq(blob_belongs(store, &mine, &err), 0);
}
