/*
 * migrate.h - the schema's versions
 *
 * sql/NNNN_name.up.sql and .down.sql are embedded in the binary with their SHA-256. Each is applied in one transaction
 * under the migration advisory lock, and recorded in upload_pipeline.schema_migrations (version, name, checksum,
 * min_binary, applied_at). A recorded checksum that differs from the embedded one is an error: somebody edited history.
 * Down refuses while rows would be lost, unless told to drop them.
 *
 * Depends on base, core, db/pg.
 */
#ifndef DB_MIGRATE_H
#define DB_MIGRATE_H

#include "db/pg.h"

#include <stdio.h>

/* What this binary needs: it runs on schema versions in [MIGRATE_MIN, MIGRATE_MAX]. */
int migrate_max(void);
int migrate_up(struct pg *p, FILE *out, struct error *e) MUST_CHECK;
int migrate_down(struct pg *p, int to_version, bool drop_data, FILE *out, struct error *e) MUST_CHECK;
int migrate_status(struct pg *p, FILE *out, struct error *e) MUST_CHECK;
/* Version in the database (0: none), refused with a hint if this binary cannot run on it. */
int migrate_check(struct pg *p, int *version, struct error *e) MUST_CHECK;

#endif
