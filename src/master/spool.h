/*
 * spool.h - audit records that are not written to the database yet, in a file that outlives the master
 *
 * A ring of places in run_dir, one for each record that may wait; a place holds a frame of the channel and its checksum.
 * A record is there before its verb is answered, and a number in the head says up to which all are in the database.
 * Nothing is synced: what the kernel has outlives the process, and run_dir does not outlive the kernel.
 *
 * Depends on base, proc.
 */
#ifndef MASTER_SPOOL_H
#define MASTER_SPOOL_H

#include "proc/channel.h"

#include <stddef.h>

#define SPOOL_RECORDS    1024
#define SPOOL_FILE       "audit.spool"
#define SPOOL_SLOT_BYTES 1024 /* never across a page: a write that is cut short leaves a record out and no other */

struct spool;

/* What a former life left in dir, in order, and a new file, which takes the former one's place with spool_commit(). What
 * cannot be opened is NULL: said, and all of the rest does nothing. */
struct spool *spool_open(const void *talloc_parent, const char *dir, struct msg_audit **left, int *n);
void spool_put(struct spool *s, const struct msg_audit *m); /* at its seq; one that is SPOOL_RECORDS older is gone */
void spool_commit(struct spool *s);
void spool_written(struct spool *s, int64_t seq);      /* up to this one they need not be kept */
void spool_close(struct spool **s, bool nothing_left); /* the file goes if nothing is */

/* The records in these bytes, in order, that are whole and not known to be written; for another boot their time is now.
 * Into out, of SPOOL_RECORDS. */
int spool_read(const uint8_t *bytes, size_t n, const char *boot, int64_t now_ms, struct msg_audit *out);

#endif
