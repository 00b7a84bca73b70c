/*
 * fs.c - the fs blob backend: one directory, shared by all nodes of a database
 *
 *   root/tmp/<random>             half-written; a killed process leaves one, blob_sweep removes it
 *   root/<user>/<aa>/<sha256>     a blob; aa are the first two digits; files 0600, directories 0700
 *
 * A commit syncs the file, renames it and syncs its directory. A directory's own entry must be durable too, and that
 * another process made the directory does not mean that it synced the parent: so this process syncs the parents of each
 * directory once itself, before it first answers for a blob in it. Directories are never removed. A rename over an
 * existing blob puts the same bytes there again, and heals it if the disk had spoilt them.
 *
 * A commit, or a touch, holds the blob's directory by a shared flock, the remover (fs_idle.c) by an exclusive one: so a
 * blob that was looked at and found idle cannot be committed again before it is removed. A commit sets the file's time
 * under that lock: the idle time begins at the rename, not at the last byte.
 *
 * Everything is opened relative to the root's descriptor, with O_NOFOLLOW: paths hold only hex digits and dashes.
 *
 * Diagnostics: errno mapped by blob_error(). Depends on base, core.
 */
#include "base/clock.h"
#include "blob/backend.h"
#include "blob/fs_int.h"
#include "core/reason.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#define TMP_DIR      "tmp"
#define LOCK_WAIT_MS 2000 /* a remover holds a directory for a moment only */

struct fs_writer {
    struct fs_store *store;
    int fd;
    char tmp_name[UUID_TEXT_LEN + 1];
    bool named; /* tmp_name exists */
};

void fs_path_of(struct fs_path *p, const struct uuid *user, const uint8_t sha256[SHA256_BYTES])
{
    char hex[SHA256_HEX_LEN + 1];

    hex_encode(sha256, SHA256_BYTES, hex);
    uuid_format(user, p->user);
    snprintf(p->dir, sizeof p->dir, "%s/%.2s", p->user, hex);
    snprintf(p->file, sizeof p->file, "%s/%s", p->dir, hex);
}

static int store_destroy(struct fs_store *s)
{
    if (s->tmp_fd >= 0)
        close(s->tmp_fd);
    if (s->root_fd >= 0)
        close(s->root_fd);
    return 0;
}

/* Makes the last component of the root if its parent is there. */
static int open_root(const char *path)
{
    int fd = open(path, FS_DIR_FLAGS);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -1;
    return open(path, FS_DIR_FLAGS);
}

static void *fs_open(const void *parent, const struct conf *c, struct error *e)
{
    struct fs_store *s;
    const char *root = c->blob_fs_root;

    if (root == NULL || root[0] != '/') {
        reason_error(e, REASON_blob_broken, EINVAL, "blob.backend is fs, but blob.fs.root is not an absolute path");
        return NULL;
    }
    s = talloc_zero(parent, struct fs_store);
    if (s == NULL) {
        blob_error(e, ENOMEM, "cannot open the blob store");
        return NULL;
    }
    s->root_fd = s->tmp_fd = -1;
    talloc_set_destructor(s, store_destroy);
    s->root_fd = open_root(root);
    if (s->root_fd >= 0 && mkdirat(s->root_fd, TMP_DIR, 0700) < 0 && errno != EEXIST)
        goto failed;
    if (s->root_fd >= 0)
        s->tmp_fd = openat(s->root_fd, TMP_DIR, FS_DIR_FLAGS | O_NOFOLLOW);
    if (s->tmp_fd < 0)
        goto failed;
    return s;
failed:
    /* A root that is not there is a broken store, not an absent blob. */
    blob_error(e, errno == ENOENT ? EIO : errno, "cannot open the directory blob.fs.root");
    error_hint(e, "%s must be a directory that docmill's user may write", root);
    talloc_free(s);
    return NULL;
}

static int writer_destroy(struct fs_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    if (w->named)
        unlinkat(w->store->tmp_fd, w->tmp_name, 0);
    return 0;
}

static void *fs_begin(const void *parent, void *store, const struct uuid *user, struct error *e)
{
    struct fs_writer *w = talloc_zero(parent, struct fs_writer);
    struct uuid id;

    (void)user;
    if (w == NULL) {
        blob_error(e, ENOMEM, "cannot begin a blob");
        return NULL;
    }
    w->store = store;
    w->fd = -1;
    talloc_set_destructor(w, writer_destroy);
    uuid_v4(&id);
    uuid_format(&id, w->tmp_name);
    w->fd = openat(w->store->tmp_fd, w->tmp_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (w->fd < 0) {
        blob_error(e, errno == ENOENT ? EIO : errno, "cannot begin a blob");
        TALLOC_FREE(w);
        return NULL;
    }
    w->named = true;
    return w;
}

static int fs_write(void *writer, const void *p, size_t n, struct error *e)
{
    struct fs_writer *w = writer;
    const char *at = p;

    while (n > 0) {
        ssize_t put = write(w->fd, at, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return blob_error(e, errno, "cannot write a blob");
        at += put;
        n -= (size_t)put;
    }
    return 0;
}

static int fs_peek(const void *writer)
{
    const struct fs_writer *w = writer;

    return w->fd;
}

static struct synced_dir *synced_slot(struct fs_store *s, const struct uuid *user, uint8_t prefix)
{
    unsigned h = prefix;

    for (size_t i = 0; i < sizeof user->b; i++)
        h = h * 31 + user->b[i];
    return &s->synced[h % FS_SYNCED_SLOTS];
}

int fs_sync_dir(int at, const char *path)
{
    int fd = openat(at, path, FS_DIR_FLAGS | O_NOFOLLOW);
    int rc;

    if (fd < 0)
        return -errno;
    rc = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

/* Makes user/aa, and makes sure that the way to it will survive a power cut. */
static int make_dirs(struct fs_store *s, const struct fs_path *p, const struct uuid *user, uint8_t prefix)
{
    struct synced_dir *slot = synced_slot(s, user, prefix);
    int rc;

    if (slot->used && slot->prefix == prefix && uuid_equal(&slot->user, user))
        return 0;
    if (mkdirat(s->root_fd, p->user, 0700) < 0 && errno != EEXIST)
        return -errno;
    if (mkdirat(s->root_fd, p->dir, 0700) < 0 && errno != EEXIST)
        return -errno;
    rc = fs_sync_dir(s->root_fd, p->user);
    if (rc == 0 && fsync(s->root_fd) < 0)
        rc = -errno;
    if (rc == 0)
        *slot = (struct synced_dir){.user = *user, .prefix = prefix, .used = true};
    return rc;
}

/* 0, or -errno; where the file system has no such locks nothing is removed, and nothing needs to be held. */
static int lock_shared(int fd)
{
    int64_t until = clock_ms() + LOCK_WAIT_MS;

    while (flock(fd, LOCK_SH | LOCK_NB) < 0) {
        if (errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP || errno == EINVAL)
            return 0;
        if ((errno != EWOULDBLOCK && errno != EINTR) || clock_ms() >= until)
            return errno == EWOULDBLOCK ? -EAGAIN : -errno;
        usleep(1000);
    }
    return 0;
}

/* The directory, held against removers; a descriptor, whose closing lets go. */
static int hold_dir(struct fs_store *s, const char *dir)
{
    int fd = openat(s->root_fd, dir, FS_DIR_FLAGS | O_NOFOLLOW);
    int rc = fd < 0 ? -errno : lock_shared(fd);

    if (rc < 0 && fd >= 0)
        close(fd);
    return rc < 0 ? rc : fd;
}

/* Its time begins now, whenever its last byte was written; then it gets its name. */
static int give_name(struct fs_writer *w, const struct fs_path *p)
{
    struct fs_store *s = w->store;
    int dir = hold_dir(s, p->dir);
    int rc = dir < 0 ? dir : 0;

    if (rc == 0 && utimensat(s->tmp_fd, w->tmp_name, NULL, AT_SYMLINK_NOFOLLOW) < 0)
        rc = -errno;
    if (rc == 0 && renameat(s->tmp_fd, w->tmp_name, s->root_fd, p->file) < 0)
        rc = -errno;
    if (rc == 0) {
        w->named = false;
        flock(dir, LOCK_UN);
        rc = fsync(dir) < 0 ? -errno : 0;
    }
    if (dir >= 0)
        close(dir);
    return rc;
}

static int fs_commit(void *writer, const struct uuid *user, const uint8_t sha256[SHA256_BYTES], struct error *e)
{
    struct fs_writer *w = writer;
    struct fs_store *s = w->store;
    struct fs_path p;
    int rc;

    fs_path_of(&p, user, sha256);
    if (fsync(w->fd) < 0)
        return blob_error(e, errno, "cannot sync a blob");
    rc = close(w->fd) < 0 ? -errno : 0;
    w->fd = -1;
    if (rc == 0)
        rc = make_dirs(s, &p, user, sha256[0]);
    if (rc == 0)
        rc = give_name(w, &p);
    if (rc == -ENOENT) {
        /* Somebody removed a directory under us, or swept a file that was still in use: not an absent blob. The
         * memory of synced directories may be wrong, so it is dropped. */
        memset(s->synced, 0, sizeof s->synced);
        rc = -EAGAIN;
    }
    return rc < 0 ? blob_error(e, -rc, "cannot store a blob") : 0;
}

static int fs_fetch(void *store, const struct uuid *user, const uint8_t sha256[SHA256_BYTES], struct error *e)
{
    struct fs_store *s = store;
    struct fs_path p;
    int fd;

    fs_path_of(&p, user, sha256);
    fd = openat(s->root_fd, p.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    return fd < 0 ? blob_error(e, errno, "cannot open a blob") : fd;
}

static int fs_touch(void *store, const struct uuid *user, const uint8_t sha256[SHA256_BYTES], struct error *e)
{
    struct fs_store *s = store;
    struct fs_path p;
    int dir, rc = 0;

    fs_path_of(&p, user, sha256);
    dir = hold_dir(s, p.dir);
    if (dir < 0)
        return blob_error(e, -dir, "cannot touch a blob");
    if (utimensat(s->root_fd, p.file, NULL, AT_SYMLINK_NOFOLLOW) < 0)
        rc = blob_error(e, errno, "cannot touch a blob");
    close(dir);
    return rc;
}

static int probe_named(struct fs_store *s, const char *from, const char *to)
{
    static const char text[] = "docmill probe\n";
    char back[sizeof text] = "";
    int fd = openat(s->tmp_fd, from, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = 0;

    if (fd < 0)
        return -errno;
    errno = EIO; /* for a short write or read */
    if (write(fd, text, sizeof text) != (ssize_t)sizeof text || fsync(fd) < 0 ||
        renameat(s->tmp_fd, from, s->tmp_fd, to) < 0 || fsync(s->tmp_fd) < 0 ||
        pread(fd, back, sizeof back, 0) != (ssize_t)sizeof back || memcmp(back, text, sizeof text) != 0)
        rc = -errno;
    close(fd);
    return rc;
}

static int fs_probe(void *store, struct error *e)
{
    struct fs_store *s = store;
    char from[UUID_TEXT_LEN + 1], to[UUID_TEXT_LEN + 1];
    struct uuid id;
    int rc;

    uuid_v4(&id);
    uuid_format(&id, from);
    uuid_v4(&id);
    uuid_format(&id, to);
    rc = probe_named(s, from, to);
    unlinkat(s->tmp_fd, from, 0);
    if (unlinkat(s->tmp_fd, to, 0) < 0 && rc == 0)
        rc = -errno;
    return rc < 0 ? blob_error(e, rc == -ENOENT ? EIO : -rc, "the blob store failed its probe") : 0;
}

/* The store's own time: the modification time of a file made just now. */
int fs_now_ms(struct fs_store *s, int64_t *now_ms)
{
    char name[UUID_TEXT_LEN + 1];
    struct uuid id;
    struct stat st;
    int fd, rc = 0;

    uuid_v4(&id);
    uuid_format(&id, name);
    fd = openat(s->tmp_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        rc = -errno;
    else
        *now_ms = fs_time_ms(&st);
    close(fd);
    unlinkat(s->tmp_fd, name, 0);
    return rc;
}

/* 1 if the file was old and is gone now. Files that vanish meanwhile (committed, aborted) are not ours to count. */
static int sweep_one(int dir_fd, const char *name, int64_t before_ms)
{
    struct stat st;

    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISREG(st.st_mode) || fs_time_ms(&st) > before_ms)
        return 0;
    if (unlinkat(dir_fd, name, 0) < 0)
        return errno == ENOENT ? 0 : -errno;
    return 1;
}

static int sweep_dir(DIR *d, int64_t before_ms)
{
    int count = 0;

    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(d);
        if (entry == NULL)
            return errno != 0 ? -errno : count;
        if (entry->d_name[0] == '.')
            continue;
        int rc = sweep_one(dirfd(d), entry->d_name, before_ms);
        if (rc < 0)
            return rc;
        count += rc;
    }
}

static int fs_sweep(void *store, int64_t age_ms, struct error *e)
{
    struct fs_store *s = store;
    int64_t now_ms = 0;
    int rc = fs_now_ms(s, &now_ms);
    int fd = -1;
    DIR *d = NULL;

    if (rc == 0) {
        fd = openat(s->tmp_fd, ".", FS_DIR_FLAGS); /* its own position, unlike a dup */
        d = fd < 0 ? NULL : fdopendir(fd);
        rc = d == NULL ? -errno : sweep_dir(d, now_ms - age_ms);
    }
    if (d != NULL)
        closedir(d);
    else if (fd >= 0)
        close(fd);
    return rc < 0 ? blob_error(e, rc == -ENOENT ? EIO : -rc, "cannot sweep the blob store") : rc;
}

const struct blob_backend blob_fs = {
    .name = "fs",
    .open = fs_open,
    .begin = fs_begin,
    .write = fs_write,
    .peek = fs_peek,
    .commit = fs_commit,
    .fetch = fs_fetch,
    .touch = fs_touch,
    .list = fs_list,
    .remove_idle = fs_remove_idle,
    .belongs = fs_belongs,
    .probe = fs_probe,
    .sweep = fs_sweep,
};
