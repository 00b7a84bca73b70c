/*
 * migrate_int.h - inside of migrate.h: the runner over any set of migrations
 *
 * The binary's own set is made by cmake/embed_sql.cmake; tests bring others.
 */
#ifndef DB_MIGRATE_INT_H
#define DB_MIGRATE_INT_H

#include "db/migrate.h"

struct migration {
    int version; /* 1, 2, 3, without gaps */
    int min_binary;
    const char *name, *checksum, *up, *down;
    const char *lookup; /* tables, separated by spaces, whose rows the migrations themselves write */
};

struct migration_set {
    const struct migration *list;
    int n;
};

extern const struct migration_set migrate_embedded;

/* What a database has. */
struct migrate_state {
    int version;    /* the newest one applied; 0: none */
    int min_binary; /* the highest demand of those applied */
};

/* migrate_table.c: schema_migrations. Reading compares every checksum that the set knows. */
int migrate_table_ensure(struct pg *p, struct error *e) MUST_CHECK;
int migrate_table_exists(struct pg *p, bool *exists, struct error *e) MUST_CHECK;
int migrate_table_read(struct pg *p, const struct migration_set *set, struct migrate_state *out,
                       struct error *e) MUST_CHECK;
int migrate_table_add(struct pg *p, const struct migration *m, struct error *e) MUST_CHECK;
int migrate_table_remove(struct pg *p, int version, struct error *e) MUST_CHECK;
/* 0 if every table is empty, lookup tables left aside; conflict, naming one that is not. Locks them all. */
int migrate_table_no_rows(struct pg *p, const struct migration_set *set, struct error *e) MUST_CHECK;

/* migrate.c */
int migrate_set_up(struct pg *p, const struct migration_set *set, FILE *out, struct error *e) MUST_CHECK;
int migrate_set_down(struct pg *p, const struct migration_set *set, int to_version, bool drop_data, FILE *out,
                     struct error *e) MUST_CHECK;
int migrate_set_status(struct pg *p, const struct migration_set *set, FILE *out, struct error *e) MUST_CHECK;
int migrate_set_check(struct pg *p, const struct migration_set *set, int oldest, int *version,
                      struct error *e) MUST_CHECK;

#endif
