/*
 * logs.h - the log as the configuration says: format, limit of repeats, file
 *
 * log.file is opened by the master and stands in for standard error, which its children inherit; a new one (USR1, after
 * logrotate moved the old) reaches them over their channel as a descriptor, so that no child has to be able to open it.
 *
 * log.format = "auto" is the journal's fields where standard error is the journal's stream (a systemd unit), else
 * logfmt.
 *
 * Depends on base, core.
 */
#ifndef PROC_LOGS_H
#define PROC_LOGS_H

#include "core/conf.h"
#include "proc/channel.h"

/* In every process, as soon as it has its configuration. */
void logs_apply(const struct conf *c, const char *process);
/* Master, before the first child: the file, or standard error so that it never makes anybody wait. */
int logs_open(const struct conf *c, struct error *e) MUST_CHECK;
/* Master: the file anew. A descriptor for the children, to be closed; negative: all stays as it was. */
int logs_reopen(const struct conf *c, struct error *e) MUST_CHECK;
/* Child: what the master sent. */
void logs_take(const struct channel_msg *m);

#endif
