/*
 * db_test.h - what the database tests share
 *
 * They need a PostgreSQL server of their own, with pgvector: DOCMILL_TEST_PG_URL names a superuser's connection to it.
 * Without it every test fails, since a test that is skipped tests nothing; scripts/test starts such a server.
 */
#ifndef DB_TEST_H
#define DB_TEST_H

#include "db/pg.h"

#define DB_TEST_TIMEOUT_MS 5000

const char *db_test_url(void);
/* The test server's URL with keys replaced: pairs of keyword and value, NULL at the end; value NULL: removed. */
char *db_test_url_with(const void *talloc_ctx, ...) __attribute__((sentinel));
/* A connection object, 5 s for everything; url NULL: DOCMILL_TEST_PG_URL. */
struct pg *db_test_pg(const char *url);
struct pg *db_test_pg_timeouts(const char *url, int64_t connect_ms, int64_t statement_ms);
/* Makes an empty database of that name, dropping an old one; its URL. */
char *db_test_database(const void *talloc_ctx, const char *name);
/* The same with all migrations applied; the first one to ask makes a template that the others copy. */
char *db_test_migrated(const void *talloc_ctx, const char *name);
/* Runs SQL that must succeed. */
void db_test_run(struct pg *p, const char *sql);
/* One number from SQL that must succeed. */
int64_t db_test_int(struct pg *p, const char *sql);

#endif
