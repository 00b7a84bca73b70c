/*
 * streams.c - see streams.h
 *
 * Depends on base/error, base/clock.
 */
#include "base/streams.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void streams_hold(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return; /* without /dev/null nothing can be done about it */
}

int streams_flush(struct error *e)
{
    bool failed = ferror(stdout) != 0; /* of something that was written out before: its errno is gone */
    int why;

    errno = 0;
    failed = fflush(stdout) != 0 || failed;
    why = errno;
    if (!failed)
        return 0;
    return error_set(e, why != 0 ? why : EIO, ERR_RECOVERABLE, "file_error", "cannot write to standard output: %s",
                     why != 0 ? strerror(why) : "a part of it was refused");
}

bool streams_rest(int64_t ms)
{
    int64_t until = clock_ms() + ms;
    struct pollfd out = {.fd = STDOUT_FILENO};

    do {
        int64_t left = until - clock_ms();
        if (poll(&out, 1, left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left) > 0)
            return false;
    } while (clock_ms() < until);
    return true;
}
