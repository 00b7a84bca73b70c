/*
 * fs_idle.c - the fs blob backend: which blobs have been idle, and removing them
 *
 * Idle is what was not committed or touched for a while: the file's modification time against a file made now, so that
 * only the file system's clock counts. A listing goes through user/aa/sha256 in the order of strcmp; its cursor is the
 * last path that is done, "user/aa/g" for a whole directory (g comes after every hex digit). What does not look like a
 * blob's path is not touched.
 *
 * A removal holds the directory by an exclusive flock while it looks and removes; who commits meanwhile waits, and
 * whoever holds it (a commit) makes the removal a "kept". Where a directory's flock is one node's own (NFS), the look and
 * the removal are two calls in a row to the others; where there is none at all, nothing is removed.
 *
 * The root's symbolic link .database names the database that the store belongs to: made in one step, read in one.
 *
 * Diagnostics: errno mapped by blob_error(). Depends on base, core.
 */
#include "blob/fs_int.h"
#include "base/clock.h"
#include "blob/backend.h"
#include "core/reason.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <talloc.h>
#include <unistd.h>

#define DIRS_A_CALL 2048 /* so that a call stays short where most blobs are young */
#define DATABASE    ".database"

/* ---- names in order ---- */

struct entry {
    char name[SHA256_HEX_LEN + 1];
};

static bool is_hex(const char *s, size_t n)
{
    return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

static bool is_user(const char *s)
{
    struct uuid u;
    char back[UUID_TEXT_LEN + 1];

    if (uuid_parse(s, &u) != 0)
        return false;
    uuid_format(&u, back);
    return strcmp(back, s) == 0;
}

static bool is_prefix(const char *s)
{
    return is_hex(s, 2);
}

static bool is_hash(const char *s)
{
    return is_hex(s, SHA256_HEX_LEN);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* The names in a directory that are `wanted` and not before `from`, sorted: a talloc child of ctx. Returns how many,
 * or -errno; a directory that is not there is empty. */
static int read_names(const void *ctx, int at, const char *path, bool (*wanted)(const char *), const char *from,
                      struct entry **out)
{
    int fd = openat(at, path, FS_DIR_FLAGS | O_NOFOLLOW);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct entry *names = NULL;
    const struct dirent *entry;
    int n = 0, err;

    *out = NULL;
    if (d == NULL) {
        err = errno;
        if (fd >= 0)
            close(fd);
        return err == ENOENT || err == ENOTDIR ? 0 : -err;
    }
    while (errno = 0, (entry = readdir(d)) != NULL) {
        if (!wanted(entry->d_name) || strcmp(entry->d_name, from) < 0)
            continue;
        if ((size_t)n >= talloc_array_length(names))
            names = talloc_realloc(ctx, names, struct entry, (unsigned)n * 2 + 64);
        if (names == NULL) {
            errno = ENOMEM;
            break;
        }
        snprintf(names[n++].name, sizeof names->name, "%.64s", entry->d_name);
    }
    err = errno;
    closedir(d);
    if (err != 0)
        return -err;
    if (names == NULL)
        return 0;
    qsort(names, (size_t)n, sizeof *names, by_name);
    *out = names;
    return n;
}

/* ---- the walk ---- */

struct walk {
    struct fs_store *store;
    void *ctx;
    char *cursor;
    int64_t before_ms;
    struct blob_name *names;
    int n, max;
    int dirs;
};

static bool walk_full(const struct walk *w)
{
    return w->n >= w->max || w->dirs >= DIRS_A_CALL;
}

/* Is this file, in its directory, idle? */
static int take_file(struct walk *w, const char *user, const char *path, const char *hash)
{
    struct blob_name *name = &w->names[w->n];
    struct stat st;

    if (fstatat(w->store->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISREG(st.st_mode) || fs_time_ms(&st) > w->before_ms)
        return 0;
    if (uuid_parse(user, &name->user) == 0 && hex_decode(hash, SHA256_HEX_LEN, name->sha256) == 0)
        w->n++;
    return 0;
}

static int walk_files(struct walk *w, const char *user, const char *prefix)
{
    char dir[UUID_TEXT_LEN + 4], path[BLOB_CURSOR_BYTES];
    struct entry *files;
    int n, rc = 0;

    snprintf(dir, sizeof dir, "%.36s/%.2s", user, prefix);
    n = read_names(w->ctx, w->store->root_fd, dir, is_hash, "", &files);
    for (int i = 0; rc == 0 && i < n && w->n < w->max; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i].name);
        if (strcmp(path, w->cursor) <= 0)
            continue;
        rc = take_file(w, user, path, files[i].name);
        snprintf(w->cursor, BLOB_CURSOR_BYTES, "%s", path);
    }
    TALLOC_FREE(files);
    if (n < 0 || rc < 0)
        return n < 0 ? n : rc;
    w->dirs++;
    if (w->n < w->max)
        snprintf(w->cursor, BLOB_CURSOR_BYTES, "%s/g", dir);
    return 0;
}

static int walk_dirs(struct walk *w, const char *user)
{
    bool begun = strncmp(w->cursor, user, UUID_TEXT_LEN) == 0;
    char from[3];
    struct entry *dirs;
    int n, rc = 0;

    snprintf(from, sizeof from, "%.2s", begun ? w->cursor + UUID_TEXT_LEN + 1 : "");
    n = read_names(w->ctx, w->store->root_fd, user, is_prefix, from, &dirs);
    for (int i = 0; rc == 0 && dirs != NULL && i < n && !walk_full(w); i++)
        rc = walk_files(w, user, dirs[i].name);
    TALLOC_FREE(dirs);
    return n < 0 ? n : rc;
}

/* 1: to the end, 0: not yet, or -errno. */
static int walk_users(struct walk *w)
{
    char from[UUID_TEXT_LEN + 1];
    struct entry *users;
    int n, i, rc = 0;

    snprintf(from, sizeof from, "%.36s", w->cursor);
    n = read_names(w->ctx, w->store->root_fd, ".", is_user, from, &users);
    for (i = 0; rc == 0 && users != NULL && i < n && !walk_full(w); i++)
        rc = walk_dirs(w, users[i].name);
    if (n < 0 || rc < 0)
        return n < 0 ? n : rc;
    return !walk_full(w);
}

int fs_list(void *store, char cursor[BLOB_CURSOR_BYTES], int64_t idle_ms, struct blob_name *names, int max,
            struct error *e)
{
    struct walk w = {.store = store, .ctx = talloc_new(NULL), .cursor = cursor, .names = names, .max = max};
    int64_t now_ms = 0;
    int rc = fs_now_ms(store, &now_ms);

    w.before_ms = now_ms - idle_ms;
    if (cursor[0] != '\0' && (strnlen(cursor, BLOB_CURSOR_BYTES) < UUID_TEXT_LEN + 4 || cursor[UUID_TEXT_LEN] != '/'))
        cursor[0] = '\0'; /* not ours: from the start */
    if (rc == 0)
        rc = walk_users(&w);
    talloc_free(w.ctx);
    if (rc < 0)
        return blob_error(e, rc == -ENOENT ? EIO : -rc, "cannot list the blob store");
    if (rc == 1)
        cursor[0] = '\0';
    return w.n;
}

/* ---- removing ---- */

/* With the directory held: 1 if the file was idle and is gone. */
static int remove_held(struct fs_store *s, const struct fs_path *p, int64_t before_ms, int64_t not_after_ms)
{
    struct stat st;

    if (fstatat(s->root_fd, p->file, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISREG(st.st_mode) || fs_time_ms(&st) > before_ms || clock_ms() > not_after_ms)
        return 0;
    if (unlinkat(s->root_fd, p->file, 0) < 0)
        return errno == ENOENT ? 0 : -errno;
    return 1;
}

int fs_remove_idle(void *store, const struct blob_name *name, int64_t idle_ms, int64_t not_after_ms, struct error *e)
{
    struct fs_store *s = store;
    struct fs_path p;
    int64_t now_ms = 0;
    int dir, rc;

    fs_path_of(&p, &name->user, name->sha256);
    rc = fs_now_ms(s, &now_ms); /* before the look: what is committed later is younger */
    if (rc < 0)
        return blob_error(e, rc == -ENOENT ? EIO : -rc, "cannot remove a blob");
    dir = openat(s->root_fd, p.dir, FS_DIR_FLAGS | O_NOFOLLOW);
    if (dir < 0)
        return errno == ENOENT ? 0 : blob_error(e, errno, "cannot remove a blob");
    if (flock(dir, LOCK_EX | LOCK_NB) < 0)
        rc = errno == EWOULDBLOCK ? 0 : -errno;
    else
        rc = remove_held(s, &p, now_ms - idle_ms, not_after_ms);
    close(dir); /* not synced: what comes back after a power cut is found again */
    return rc < 0 ? blob_error(e, -rc, "cannot remove a blob") : rc;
}

/* ---- whose store it is ---- */

int fs_belongs(void *store, const struct uuid *database, struct error *e)
{
    struct fs_store *s = store;
    char mine[UUID_TEXT_LEN + 1], found[UUID_TEXT_LEN + 2];
    ssize_t n;

    uuid_format(database, mine);
    if (symlinkat(mine, s->root_fd, DATABASE) == 0)
        return fsync(s->root_fd) < 0 ? blob_error(e, errno, "cannot write whose the blob store is") : 0;
    if (errno != EEXIST)
        return blob_error(e, errno, "cannot write whose the blob store is");
    n = readlinkat(s->root_fd, DATABASE, found, sizeof found - 1);
    if (n < 0)
        return blob_error(e, errno == ENOENT ? EAGAIN : errno, "cannot read whose the blob store is");
    found[n] = '\0';
    if (strcmp(found, mine) == 0)
        return 0;
    reason_error(e, REASON_blob_denied, EEXIST, "the blob store belongs to the database %s, this one is %s", found,
                 mine);
    error_hint(e, "give each database a blob store of its own; if this database takes the other's place, remove the "
                  "link " DATABASE " in the store");
    return -EEXIST;
}
