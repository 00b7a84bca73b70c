/*
 * log_sink.c - where lines go: standard error, or the journal's socket
 *
 * Nothing waits. A pipe or terminal that others share gets an open file of our own (by /proc/self/fd), with O_NONBLOCK
 * that nobody else feels; where that is refused, poll(2) and RWF_NOWAIT leave a small window on kernels before 6.5 and
 * only while several processes fill the same pipe. The journal's socket is written without being connected: it may be
 * stopped, full or made anew, and the next line finds it. While nobody listens there at all, lines go to standard
 * error. A file on disk is written as files are: the kernel takes it into its memory.
 *
 * Owns the journal's descriptor. Depends on libc.
 */
#include "base/log_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL_BUFFER_BYTES (1024 * 1024)

static enum log_format format = LOG_LOGFMT;
static int journal_fd = -1;
static struct sockaddr_un journal_address;
static _Atomic int torn; /* the last line was written in part */

void log_own_stderr(void)
{
    struct stat st;
    int fd;

    if (fstat(STDERR_FILENO, &st) != 0 || !(S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
        return;
    fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0)
        (void)log_adopt(fd);
}

int log_adopt(int fd)
{
    int r = dup2(fd, STDERR_FILENO) < 0 ? -errno : 0;

    close(fd);
    return r;
}

int log_set_format(enum log_format f, const char *journal)
{
    const int size = JOURNAL_BUFFER_BYTES;

    if (f != LOG_JOURNALD) {
        format = f;
        return 0;
    }
    if (strlen(journal) >= sizeof journal_address.sun_path)
        return -ENAMETOOLONG;
    journal_address.sun_family = AF_UNIX;
    snprintf(journal_address.sun_path, sizeof journal_address.sun_path, "%s", journal);
    if (journal_fd < 0)
        journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (journal_fd < 0)
        return -errno;
    setsockopt(journal_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    format = LOG_JOURNALD;
    return 0;
}

static ssize_t write_now(const char *text, size_t n)
{
    struct iovec v = {.iov_base = (char *)(uintptr_t)text, .iov_len = n};
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    struct stat st;
    ssize_t r;

    if (fstat(STDERR_FILENO, &st) != 0)
        return -1;
    if (S_ISSOCK(st.st_mode))
        return send(STDERR_FILENO, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (S_ISFIFO(st.st_mode)) {
        r = pwritev2(STDERR_FILENO, &v, 1, -1, RWF_NOWAIT);
        if (r >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL))
            return r;
    }
    if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0)
        return -1;
    return write(STDERR_FILENO, text, n);
}

/* A line that follows one that was written in part begins on a line of its own. */
static bool write_stderr(struct log_line *l)
{
    ssize_t n;

    if (torn && l->len < sizeof l->text) {
        memmove(l->text + 1, l->text, l->len);
        l->text[0] = '\n';
        l->len++;
    }
    n = write_now(l->text, l->len);
    if (n <= 0)
        return false;
    torn = (size_t)n < l->len;
    return !torn;
}

bool log_sink_write(const struct log_record *r)
{
    struct log_line l;

    if (format != LOG_JOURNALD) {
        log_line_make(&l, r, format);
        return write_stderr(&l);
    }
    log_line_make(&l, r, LOG_JOURNALD);
    if (sendto(journal_fd, l.text, l.len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&journal_address,
               sizeof journal_address) == (ssize_t)l.len)
        return true;
    if (errno != ENOENT && errno != ECONNREFUSED && errno != EACCES)
        return false;
    log_line_make(&l, r, LOG_LOGFMT);
    return write_stderr(&l);
}
