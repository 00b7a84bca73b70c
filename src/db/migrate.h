/*
 * migrate.h - the schema's versions
 *
 * sql/NNNN_name.up.sql and .down.sql are embedded in the binary with their SHA-256. Each is applied in one transaction
 * under the migration advisory lock, and recorded in upload_pipeline.schema_migrations (version, name, checksum,
 * min_binary, applied_at). A recorded checksum that differs from the embedded one is an error: somebody edited history.
 * Down refuses while rows would be lost, unless told to drop them. Lines of an up file that the runner reads:
 *   -- min_binary: N     binaries whose newest migration is N can run on the schema that this one leaves
 *   -- lookup: A B       tables whose rows the migrations themselves write; going down need not keep those
 *
 * Which schema a binary runs on: at least that of its own newest migration, and beyond that only what says, by
 * min_binary, that it leaves older binaries working.
 *
 * Depends on base, core, db/pg.
 */
#ifndef DB_MIGRATE_H
#define DB_MIGRATE_H

#include "db/pg.h"

#include <stdio.h>

int migrate_max(void); /* the newest migration that this binary carries */

/* p is a connection of a role that may create roles and tables. What happens is told on out, a line a step. Two that
 * run at once wait for each other; the second finds nothing left to do. */
int migrate_up(struct pg *p, FILE *out, struct error *e) MUST_CHECK;
int migrate_down(struct pg *p, int to_version, bool drop_data, FILE *out, struct error *e) MUST_CHECK;
int migrate_status(struct pg *p, FILE *out, struct error *e) MUST_CHECK;
/* Version in the database (0: none), refused (not_ready) with a hint if this binary cannot run on it. Any role that may
 * use the schema can ask. */
int migrate_check(struct pg *p, int *version, struct error *e) MUST_CHECK;
/* The same for one who has read it: the newest version that is applied and the highest min_binary. */
int migrate_judge(int version, int min_binary, struct error *e) MUST_CHECK;

#endif
