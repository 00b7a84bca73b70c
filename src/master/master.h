/*
 * master.h - the supervisor: starts, watches and ends the children, and answers on the control socket
 *
 * Depends on base, core, proc.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "core/conf.h"

#include <stdint.h>

struct master_options {
    const struct conf *conf;
    const char *conf_path; /* what it was read from, and is read from again; absolute */
    int exe_fd;            /* what children are exec'd from: the daemon's own executable, held open */
};

/* Runs until stopped. Returns the exit status: 0 stopped as asked, 1 could not start (logged). */
int master_run(const struct master_options *o);

#endif
