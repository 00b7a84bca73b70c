/*
 * oom.c - see oom.h
 *
 * Depends on libc.
 */
#include "base/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int oom_raise(int score)
{
    char text[16] = "";
    int rc = 0;
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (read(fd, text, sizeof text - 1) < 0) {
        rc = -errno;
    } else if (atoi(text) < score) {
        int n = snprintf(text, sizeof text, "%d", score);
        if (pwrite(fd, text, (size_t)n, 0) != n)
            rc = -errno;
    }
    close(fd);
    return rc;
}
