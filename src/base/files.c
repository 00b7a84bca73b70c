/*
 * files.c - see files.h
 *
 * Owns no descriptor beyond a call. A temporary file that could not be finished is removed.
 */
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

static int fail(struct error *e, int err, const char *what, const char *path)
{
    return error_set(e, err, ERR_RECOVERABLE, "file_error", "cannot %s %s: %s", what, path, strerror(err));
}

static int check_regular(int fd, const char *path, size_t max_bytes, struct error *e)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return fail(e, errno, "read", path);
    if (S_ISDIR(st.st_mode))
        return fail(e, EISDIR, "read", path);
    if (!S_ISREG(st.st_mode))
        return error_set(e, EINVAL, ERR_RECOVERABLE, "file_error", "cannot read %s: not a regular file", path);
    if (st.st_size > 0 && (uintmax_t)st.st_size > max_bytes)
        return error_set(e, EFBIG, ERR_PERMANENT, "file_error", "cannot read %s: larger than %zu bytes", path,
                         max_bytes);
    return 0;
}

/* Size is not taken from fstat: files of /proc say 0, and a file may grow while it is read. */
static int read_all(int fd, const char *path, char *buf, size_t size, size_t *n, struct error *e)
{
    *n = 0;
    while (*n < size) {
        ssize_t r = read(fd, buf + *n, size - *n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return fail(e, errno, "read", path);
        if (r == 0)
            return 0;
        *n += (size_t)r;
    }
    return error_set(e, EFBIG, ERR_PERMANENT, "file_error", "cannot read %s: larger than %zu bytes", path, size - 1);
}

int file_read(const void *talloc_parent, const char *path, size_t max_bytes, char **out, size_t *n, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char *buf = NULL;
    int rc;

    *out = NULL;
    if (fd < 0)
        return fail(e, errno, "open", path);
    rc = check_regular(fd, path, max_bytes, e);
    if (rc == 0) {
        buf = talloc_size(talloc_parent, max_bytes + 1);
        rc = buf == NULL ? fail(e, ENOMEM, "read", path) : read_all(fd, path, buf, max_bytes + 1, n, e);
    }
    close(fd);
    if (rc != 0) {
        talloc_free(buf);
        return rc;
    }
    buf[*n] = '\0';
    *out = talloc_realloc_size(talloc_parent, buf, *n + 1);
    return 0;
}

int file_write_all(int fd, const void *data, size_t n)
{
    const char *p = data;

    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -errno;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

int file_sync_parent(const char *path, struct error *e)
{
    char dir[PATH_MAX];
    char *slash;
    int fd, rc = 0;

    if ((size_t)snprintf(dir, sizeof dir, "%s", path) >= sizeof dir)
        return fail(e, ENAMETOOLONG, "sync the directory of", path);
    slash = strrchr(dir, '/');
    if (slash == NULL)
        strcpy(dir, ".");
    else
        slash[slash == dir ? 1 : 0] = '\0';
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(e, errno, "open the directory", dir);
    if (fsync(fd) != 0)
        rc = fail(e, errno, "sync the directory", dir);
    close(fd);
    return rc;
}

/* Fills and syncs the temporary file; closes fd in every case. */
static int fill(int fd, const char *path, const void *data, size_t n, mode_t mode, struct error *e)
{
    int rc = file_write_all(fd, data, n);

    if (rc == 0 && fchmod(fd, mode) != 0)
        rc = -errno;
    if (rc == 0 && fsync(fd) != 0)
        rc = -errno;
    if (close(fd) != 0 && rc == 0)
        rc = -errno;
    return rc == 0 ? 0 : fail(e, -rc, "write", path);
}

int file_write_atomic(const char *path, const void *data, size_t n, mode_t mode, struct error *e)
{
    char beside[PATH_MAX];
    int fd, rc;

    if ((size_t)snprintf(beside, sizeof beside, "%s.new-XXXXXX", path) >= sizeof beside)
        return fail(e, ENAMETOOLONG, "write", path);
    fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0)
        return fail(e, errno, "write beside", path);
    rc = fill(fd, path, data, n, mode, e);
    if (rc == 0 && rename(beside, path) != 0)
        rc = fail(e, errno, "rename to", path);
    if (rc != 0) {
        unlink(beside);
        return rc;
    }
    return file_sync_parent(path, e);
}

static int make_one(const char *path, mode_t mode)
{
    struct stat st;

    if (mkdir(path, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return errno;
    if (stat(path, &st) != 0)
        return errno;
    return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
}

int file_mkdirs(const char *path, mode_t mode, struct error *e)
{
    char part[PATH_MAX];
    int err;

    if (*path == '\0')
        return fail(e, ENOENT, "make the directory", path);
    if ((size_t)snprintf(part, sizeof part, "%s", path) >= sizeof part)
        return fail(e, ENAMETOOLONG, "make the directory", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        err = make_one(part, mode);
        if (err != 0)
            return fail(e, err, "make the directory", part);
        *slash = '/';
    }
    err = make_one(part, mode);
    return err == 0 ? 0 : fail(e, err, "make the directory", part);
}
