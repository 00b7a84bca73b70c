/*
 * migrate.c - applies migrations, undoes them, says where a database stands
 *
 * One transaction a step: take the lock, read what is applied (somebody else may have been at it), check it against
 * the binary, do the next one, record it. Nothing is decided on what was read before the lock. A commit whose answer
 * was lost is settled by looking again, which the next step does anyway.
 *
 * Diagnostics
 *   conflict   checksum differs, a gap, a migration that this binary does not know, rows that would be lost
 *   not_ready  (check) no schema, one too old, or one that needs a newer binary
 *   db_*       from the database; the message begins with the migration that failed
 *
 * Depends on base/clock.h, core/reason.h, db/pg.h, db/locks.h.
 */
#include "base/clock.h"
#include "core/reason.h"
#include "db/locks.h"
#include "db/migrate_int.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#define LOCK_DEADLINE_MS (15 * 60 * 1000LL)
#define STEP_DEADLINE_MS (6 * 60 * 60 * 1000LL)
#define COMMIT_TRIES     3

/* Takes the lock for this transaction, however long another migration needs, and says so if it has to wait. */
static int take_lock(struct pg *p, FILE *out, struct error *e)
{
    void *ctx = talloc_new(NULL);
    struct pg_params q;
    PGresult *r;
    bool got;
    int code = 0;

    pg_params_init(&q, ctx);
    pg_add_int4(&q, LOCK_CLASS_MIGRATE);
    r = pg_exec(p,
                "SELECT pg_try_advisory_xact_lock($1, 0), set_config('statement_timeout', '0', true),"
                " set_config('lock_timeout', '0', true)",
                &q, 0, e);
    got = r != NULL && pg_get_bool(r, 0, 0);
    code = r == NULL ? e->code : 0;
    PQclear(r);
    if (code == 0 && !got) {
        fprintf(out, "waiting for another migration to finish\n");
        fflush(out);
        code = pg_run(p, "SELECT pg_advisory_xact_lock($1, 0)", &q, clock_ms() + LOCK_DEADLINE_MS, e);
    }
    talloc_free(ctx);
    return code;
}

/* Begins a step: transaction, lock, what is applied. Rolled back on failure. */
static int begin_step(struct pg *p, const struct migration_set *set, FILE *out, struct migrate_state *have,
                      struct error *e)
{
    int code = pg_begin(p, e);

    if (code == 0)
        code = take_lock(p, out, e);
    if (code == 0)
        code = migrate_table_ensure(p, e);
    if (code == 0)
        code = migrate_table_read(p, set, have, e);
    if (code != 0)
        pg_rollback(p);
    return code;
}

/* Runs one migration's text, and puts back what it may have set for the transaction. */
static int run_text(struct pg *p, const struct migration *m, const char *sql, struct error *e)
{
    struct error why;
    int code = pg_run(p, sql, NULL, clock_ms() + STEP_DEADLINE_MS, &why);

    if (code != 0) {
        *e = why;
        snprintf(e->message, sizeof e->message, "migration %d (%s): %.440s", m->version, m->name, why.message);
        return code;
    }
    return pg_run(p,
                  "SELECT set_config('role', 'none', true), set_config('search_path', 'upload_pipeline, public', true)",
                  NULL, 0, e);
}

/* Ends a step. *again: the answer was lost, look what happened. */
static int commit_step(struct pg *p, int *tries, bool *again, struct error *e)
{
    int code = pg_commit(p, again, e);

    if (code != 0 && *again && ++*tries < COMMIT_TRIES)
        return 0;
    *again = false;
    return code;
}

static int newer_than_binary(const struct migrate_state *have, const struct migration_set *set, struct error *e)
{
    int code = reason_error(e, REASON_conflict, EINVAL, "the database has migration %d, this binary knows %d",
                            have->version, set->n);

    error_hint(e, "Use the newer docmill that made it.");
    return code;
}

/* One migration up. *more says whether there may be another. */
static int step_up(struct pg *p, const struct migration_set *set, FILE *out, int *tries, bool *more, struct error *e)
{
    struct migrate_state have;
    const struct migration *m;
    int64_t began_ms = clock_ms();
    bool again;
    int code = begin_step(p, set, out, &have, e);

    *more = false;
    if (code != 0)
        return code;
    if (have.version >= set->n) {
        pg_rollback(p);
        return have.version > set->n ? newer_than_binary(&have, set, e) : 0;
    }
    m = &set->list[have.version];
    code = run_text(p, m, m->up, e);
    if (code == 0)
        code = migrate_table_add(p, m, e);
    if (code != 0) {
        pg_rollback(p);
        return code;
    }
    code = commit_step(p, tries, &again, e);
    if (code == 0 && !again)
        fprintf(out, "up   %4d %s (%" PRId64 " ms)\n", m->version, m->name, clock_ms() - began_ms);
    *more = code == 0;
    return code;
}

int migrate_set_up(struct pg *p, const struct migration_set *set, FILE *out, struct error *e)
{
    struct error own;
    bool more = true;
    int tries = 0, code = 0;

    e = e == NULL ? &own : e;
    while (code == 0 && more)
        code = step_up(p, set, out, &tries, &more, e);
    pg_close(p); /* a later use sees the types that the migrations made */
    return code;
}

static int step_down(struct pg *p, const struct migration_set *set, int to_version, bool drop_data, FILE *out,
                     int *tries, bool *more, struct error *e)
{
    struct migrate_state have;
    const struct migration *m;
    bool again;
    int code = begin_step(p, set, out, &have, e);

    *more = false;
    if (code != 0)
        return code;
    if (have.version <= to_version || have.version > set->n) {
        pg_rollback(p);
        return have.version > set->n ? newer_than_binary(&have, set, e) : 0;
    }
    m = &set->list[have.version - 1];
    if (!drop_data)
        code = migrate_table_no_rows(p, set, e);
    if (code == 0)
        code = run_text(p, m, m->down, e);
    if (code == 0)
        code = migrate_table_remove(p, m->version, e);
    if (code != 0) {
        pg_rollback(p);
        return code;
    }
    code = commit_step(p, tries, &again, e);
    if (code == 0 && !again)
        fprintf(out, "down %4d %s\n", m->version, m->name);
    *more = code == 0;
    return code;
}

int migrate_set_down(struct pg *p, const struct migration_set *set, int to_version, bool drop_data, FILE *out,
                     struct error *e)
{
    struct error own;
    bool more = true;
    int tries = 0, code = 0;

    e = e == NULL ? &own : e;
    while (code == 0 && more)
        code = step_down(p, set, to_version < 0 ? 0 : to_version, drop_data, out, &tries, &more, e);
    pg_close(p);
    return code;
}

/* What is applied, read in one statement or two, without a lock: good for a look. */
static int look(struct pg *p, const struct migration_set *set, struct migrate_state *have, struct error *e)
{
    bool exists = false;
    int code = migrate_table_exists(p, &exists, e);

    *have = (struct migrate_state){0, 0};
    return code != 0 || !exists ? code : migrate_table_read(p, set, have, e);
}

int migrate_set_status(struct pg *p, const struct migration_set *set, FILE *out, struct error *e)
{
    static const char sql[] = "SELECT version, name, checksum, to_char(applied_at, 'YYYY-MM-DD HH24:MI:SSOF')"
                              " FROM upload_pipeline.schema_migrations ORDER BY version";
    struct migrate_state have;
    struct error own;
    PGresult *r;
    int code;

    e = e == NULL ? &own : e;
    code = look(p, set, &have, e);
    if (code != 0 && strcmp(e->reason, "conflict") != 0)
        return code; /* a conflict is shown below */
    if (have.version > 0) {
        r = pg_exec(p, sql, NULL, 0, e);
        if (r == NULL)
            return e->code;
        for (int i = 0; i < PQntuples(r); i++) {
            int64_t v = pg_get_int(r, i, 0);
            const char *note = v < 1 || v > set->n                                            ? "unknown here"
                               : strcmp(pg_get_text(r, i, 2), set->list[v - 1].checksum) != 0 ? "other text"
                                                                                              : "applied";
            fprintf(out, "%4" PRId64 "  %-12s  %-24s  %s\n", v, note, pg_get_text(r, i, 3), pg_get_text(r, i, 1));
        }
        PQclear(r);
    }
    for (int i = have.version; i < set->n; i++)
        fprintf(out, "%4d  %-12s  %-24s  %s\n", set->list[i].version, "pending", "", set->list[i].name);
    return code;
}

static int judge(const struct migration_set *set, int oldest, const struct migrate_state *have, struct error *e)
{
    int code;

    if (have->version < oldest) {
        code = have->version == 0 ? reason_error(e, REASON_not_ready, ENOENT, "the database has no docmill schema")
                                  : reason_error(e, REASON_not_ready, ESTALE,
                                                 "the database's schema is version %d, this binary "
                                                 "needs %d",
                                                 have->version, oldest);
        error_hint(e, "Run `docmilld migrate up`.");
        return code;
    }
    if (have->min_binary <= set->n)
        return 0;
    code = reason_error(e, REASON_not_ready, ENOTSUP,
                        "the database's schema is version %d and needs a docmill "
                        "that knows migration %d; this one knows %d",
                        have->version, have->min_binary, set->n);
    error_hint(e, "Install the newer docmill on this node too.");
    return code;
}

int migrate_set_check(struct pg *p, const struct migration_set *set, int oldest, int *version, struct error *e)
{
    struct migrate_state have;
    struct error own;
    int code;

    e = e == NULL ? &own : e;
    *version = 0;
    code = look(p, set, &have, e);
    if (code != 0)
        return code;
    *version = have.version;
    return judge(set, oldest, &have, e);
}

int migrate_max(void)
{
    return migrate_embedded.n;
}

int migrate_up(struct pg *p, FILE *out, struct error *e)
{
    return migrate_set_up(p, &migrate_embedded, out, e);
}

int migrate_down(struct pg *p, int to_version, bool drop_data, FILE *out, struct error *e)
{
    return migrate_set_down(p, &migrate_embedded, to_version, drop_data, out, e);
}

int migrate_status(struct pg *p, FILE *out, struct error *e)
{
    return migrate_set_status(p, &migrate_embedded, out, e);
}

int migrate_check(struct pg *p, int *version, struct error *e)
{
    return migrate_set_check(p, &migrate_embedded, migrate_embedded.n, version, e);
}

int migrate_judge(int version, int min_binary, struct error *e)
{
    return judge(&migrate_embedded, migrate_embedded.n, &(struct migrate_state){version, min_binary}, e);
}
