/*
 * db_test.h - what the database tests share
 *
 * They need a PostgreSQL server of their own: DOCMILL_TEST_PG_URL names a superuser's connection to it. Without it
 * every test fails, since a test that is skipped tests nothing; scripts/test starts such a server.
 */
#ifndef DB_TEST_H
#define DB_TEST_H

#include "db/pg.h"

/* A connection object to the test server, 5 s for everything; url NULL: DOCMILL_TEST_PG_URL. */
struct pg *db_test_pg(const char *url);
const char *db_test_url(void);

#endif
