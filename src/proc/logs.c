/*
 * logs.c - see logs.h
 *
 * Diagnostics
 *   start_failed   log.file cannot be opened
 *   warns          the journal cannot be written to: logfmt it is
 *
 * Depends on base, core.
 */
#include "proc/logs.h"

#include "base/log.h"
#include "core/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* systemd names the stream that it gave us, so that we can tell it from what came in its place. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t device, inode;
    struct stat st;

    return stream != NULL && sscanf(stream, "%ju:%ju", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

static enum log_format format_of(const struct conf *c)
{
    if (strcmp(c->log_format, "json") == 0)
        return LOG_JSON;
    if (strcmp(c->log_format, "journald") == 0)
        return LOG_JOURNALD;
    return strcmp(c->log_format, "auto") == 0 && stderr_is_journal() ? LOG_JOURNALD : LOG_LOGFMT;
}

void logs_apply(const struct conf *c, const char *process)
{
    enum log_level level = LOG_LVL_INFO;
    int r;

    (void)log_level_parse(c->log_level, &level); /* the table of keys allows nothing else */
    log_init(process, level);
    log_set_burst((int)c->log_burst);
    r = log_set_format(format_of(c), c->log_journal);
    if (r != 0)
        log_warn("log", "the journal cannot be written to", "path", c->log_journal, "error", strerror(-r), NULL);
}

static int open_file(const struct conf *c, struct error *e)
{
    int fd = open(c->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

    if (fd < 0)
        return reason_error(e, REASON_start_failed, errno, "log.file %s: %s", c->log_file, strerror(errno));
    return fd;
}

int logs_open(const struct conf *c, struct error *e)
{
    int fd, r;

    if (c->log_file == NULL) {
        log_own_stderr();
        return 0;
    }
    fd = open_file(c, e);
    if (fd < 0)
        return fd;
    r = log_adopt(fd);
    return r == 0 ? 0 : reason_error(e, REASON_start_failed, -r, "log.file %s: %s", c->log_file, strerror(-r));
}

int logs_reopen(const struct conf *c, struct error *e)
{
    int fd = c->log_file != NULL ? open_file(c, e) : -ENOENT, kept, r;

    if (c->log_file == NULL)
        return reason_error(e, REASON_bad_request, ENOENT, "There is no log.file to open anew.");
    if (fd < 0)
        return fd;
    kept = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (kept < 0) {
        r = errno;
        close(fd);
        return reason_error(e, REASON_os_error, r, "log.file: %s", strerror(r));
    }
    r = log_adopt(fd);
    if (r == 0)
        return kept;
    close(kept);
    return reason_error(e, REASON_os_error, -r, "log.file: %s", strerror(-r));
}

void logs_take(const struct channel_msg *m)
{
    if (m->fd >= 0)
        (void)log_adopt(m->fd);
}
