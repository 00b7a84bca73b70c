/*
 * files.c - see files.h
 *
 * Owns no descriptor beyond a call.
 */
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
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
