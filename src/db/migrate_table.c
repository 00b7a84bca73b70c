/*
 * migrate_table.c - upload_pipeline.schema_migrations, and what stands in the schema's tables
 *
 * Called by migrate.c, inside its transaction, always with a struct error. Tables are looked into with row_security
 * off, so that a policy makes the look fail instead of showing an empty table.
 *
 * Depends on base/clock.h, core/reason.h, db/pg.h.
 */
#include "base/clock.h"
#include "core/reason.h"
#include "db/migrate_int.h"
#include "db/pg_int.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

#define COUNT_DEADLINE_MS (10 * 60 * 1000)

static const char ensure_sql[] =
    "CREATE SCHEMA IF NOT EXISTS upload_pipeline;"
    " CREATE TABLE IF NOT EXISTS upload_pipeline.schema_migrations ("
    "   version int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, min_binary int NOT NULL,"
    "   applied_at timestamptz NOT NULL DEFAULT now());"
    " GRANT SELECT ON upload_pipeline.schema_migrations TO PUBLIC";

static const char tables_sql[] =
    "SELECT c.oid::regclass::text, c.relname::text FROM pg_catalog.pg_class c"
    " WHERE c.relnamespace = 'upload_pipeline'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
    "   AND c.relname <> 'schema_migrations' ORDER BY c.relname";

int migrate_table_ensure(struct pg *p, struct error *e)
{
    return pg_run(p, ensure_sql, NULL, 0, e);
}

int migrate_table_exists(struct pg *p, bool *exists, struct error *e)
{
    PGresult *r = pg_exec(p, "SELECT to_regclass('upload_pipeline.schema_migrations') IS NOT NULL", NULL, 0, e);

    if (r == NULL)
        return e->code;
    *exists = pg_get_bool(r, 0, 0);
    PQclear(r);
    return 0;
}

static int compare(const struct migration_set *set, int row, int version, const char *checksum, struct error *e)
{
    int code;

    if (version != row + 1)
        return reason_error(e, REASON_conflict, EINVAL, "migration %d is recorded as applied, but %d is not", version,
                            row + 1);
    if (version > set->n || strcmp(checksum, set->list[version - 1].checksum) == 0)
        return 0;
    code = reason_error(e, REASON_conflict, EINVAL,
                        "migration %d (%s) was applied with another text (checksum %.12s, "
                        "here %.12s)",
                        version, set->list[version - 1].name, checksum, set->list[version - 1].checksum);
    error_hint(e, "A migration is never edited once it was applied: put the change into a new one, or use the binary "
                  "that made this database.");
    return code;
}

int migrate_table_read(struct pg *p, const struct migration_set *set, struct migrate_state *out, struct error *e)
{
    PGresult *r = pg_exec(p,
                          "SELECT version, checksum, min_binary FROM upload_pipeline.schema_migrations "
                          "ORDER BY version",
                          NULL, 0, e);
    int code = 0;

    *out = (struct migrate_state){0, 0};
    if (r == NULL)
        return e->code;
    for (int i = 0; i < PQntuples(r) && code == 0; i++) {
        int min_binary = (int)pg_get_int(r, i, 2);

        out->version = (int)pg_get_int(r, i, 0);
        if (min_binary > out->min_binary)
            out->min_binary = min_binary;
        code = compare(set, i, out->version, pg_get_text(r, i, 1), e);
    }
    PQclear(r);
    return code;
}

/* Whether a space-separated list of some migration names the table. */
static bool is_lookup(const struct migration_set *set, const char *table)
{
    size_t n = strlen(table);

    for (int i = 0; i < set->n; i++) {
        for (const char *at = set->list[i].lookup; (at = strstr(at, table)) != NULL; at += n)
            if ((at == set->list[i].lookup || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
                return true;
    }
    return false;
}

/* Locks one table and looks whether it is empty. `quoted` is its name as SQL, from the server. */
static int refuse_rows(struct pg *p, const char *quoted, struct error *e)
{
    int64_t deadline_ms = clock_ms() + COUNT_DEADLINE_MS;
    char *lock = talloc_asprintf(NULL, "LOCK TABLE %s IN ACCESS EXCLUSIVE MODE", quoted);
    char *look = talloc_asprintf(lock, "SELECT EXISTS (SELECT 1 FROM %s)", quoted);
    int code = pg_run(p, pg_must(lock), NULL, deadline_ms, e);
    PGresult *r = code != 0 ? NULL : pg_exec(p, pg_must(look), NULL, deadline_ms, e);

    talloc_free(lock);
    if (r == NULL)
        return e->code;
    if (pg_get_bool(r, 0, 0)) {
        code = reason_error(e, REASON_conflict, ENOTEMPTY, "table %s holds rows that going down would lose", quoted);
        error_hint(e, "Take a backup; then say --drop-data to go down all the same.");
    }
    PQclear(r);
    return code;
}

int migrate_table_no_rows(struct pg *p, const struct migration_set *set, struct error *e)
{
    int code = pg_run(p, "SET LOCAL row_security = off", NULL, 0, e);
    PGresult *r = code != 0 ? NULL : pg_exec(p, tables_sql, NULL, 0, e);

    if (r == NULL)
        return e->code;
    for (int i = 0; i < PQntuples(r) && code == 0; i++)
        if (!is_lookup(set, pg_get_text(r, i, 1)))
            code = refuse_rows(p, pg_get_text(r, i, 0), e);
    PQclear(r);
    return code;
}

int migrate_table_add(struct pg *p, const struct migration *m, struct error *e)
{
    static const char sql[] = "INSERT INTO upload_pipeline.schema_migrations (version, name, checksum, min_binary) "
                              "VALUES ($1, $2, $3, $4)";
    void *ctx = talloc_new(NULL);
    struct pg_params q;
    int code;

    pg_params_init(&q, ctx);
    pg_add_int4(&q, m->version);
    pg_add_text(&q, m->name);
    pg_add_text(&q, m->checksum);
    pg_add_int4(&q, m->min_binary);
    code = pg_run(p, sql, &q, 0, e);
    talloc_free(ctx);
    return code;
}

int migrate_table_remove(struct pg *p, int version, struct error *e)
{
    void *ctx = talloc_new(NULL);
    struct pg_params q;
    int code;

    pg_params_init(&q, ctx);
    pg_add_int4(&q, version);
    code = pg_run(p, "DELETE FROM upload_pipeline.schema_migrations WHERE version = $1", &q, 0, e);
    talloc_free(ctx);
    return code;
}
