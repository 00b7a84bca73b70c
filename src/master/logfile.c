/*
 * logfile.c - log.file anew (USR1), in the master and in every child
 *
 * The file is opened once, here; each child gets the descriptor over its channel. What a full channel refuses is owed
 * and sent again. A child that starts meanwhile inherits the new file.
 *
 * Diagnostics
 *   warns   the file cannot be opened: the old one is written to as before
 *
 * Depends on base, proc.
 */
#include "master/master_int.h"

#include "base/log.h"
#include "proc/logs.h"

#include <errno.h>
#include <unistd.h>

#define AGAIN_MS 100

static void close_file(struct master *m)
{
    if (m->log_fd >= 0)
        close(m->log_fd);
    m->log_fd = -1;
}

void logfile_reopen(struct master *m)
{
    struct error e = {0};
    int fd = logs_reopen(m->conf, &e);

    if (fd < 0) {
        log_warn("master", "the log is not opened anew", "reason", e.reason, "error", e.message, NULL);
        return;
    }
    close_file(m);
    m->log_fd = fd;
    for (int i = 0; i < m->n_slots; i++)
        m->slots[i].log_owed = m->slots[i].pid != 0;
    log_info("master", "log opened anew", "file", m->conf->log_file, NULL);
}

void logfile_process(struct master *m, int64_t now, int64_t *wake)
{
    bool owed = false;

    if (m->log_fd < 0)
        return;
    for (int i = 0; i < m->n_slots; i++) {
        struct child_slot *s = &m->slots[i];
        const struct channel_msg msg = {.kind = CHANNEL_LOG, .fd = m->log_fd};

        if (s->log_owed && s->pid != 0)
            s->log_owed = channel_send(s->channel, &msg) == -EAGAIN;
        owed = owed || (s->log_owed && s->pid != 0);
    }
    if (!owed)
        close_file(m);
    else if (now + AGAIN_MS < *wake)
        *wake = now + AGAIN_MS;
}
