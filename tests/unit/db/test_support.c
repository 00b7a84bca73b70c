/* test_support.c - see db_test.h */
#include "db_test.h"

#include "base/hash.h"
#include "db/migrate.h"
#include "db/migrate_int.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

const char *db_test_url(void)
{
    const char *url = getenv("DOCMILL_TEST_PG_URL");

    cr_assert(url != NULL && *url != '\0', "DOCMILL_TEST_PG_URL is not set: these tests need a PostgreSQL server");
    return url;
}

static char *append_pair(char *text, const char *key, const char *value)
{
    text = talloc_asprintf_append(text, "%s='", key);
    for (const char *c = value; *c != '\0'; c++)
        text = talloc_asprintf_append(text, *c == '\'' || *c == '\\' ? "\\%c" : "%c", *c);
    return talloc_asprintf_append(text, "' ");
}

/* Whether the pairs speak of key; *value is what they say. */
static bool replaced(const char *key, const char **value, va_list pairs)
{
    const char *k;
    va_list at;
    bool found = false;

    va_copy(at, pairs);
    while ((k = va_arg(at, const char *)) != NULL) {
        const char *v = va_arg(at, const char *);
        if (strcmp(k, key) == 0) {
            *value = v;
            found = true;
        }
    }
    va_end(at);
    return found;
}

char *db_test_url_with(const void *talloc_ctx, ...)
{
    PQconninfoOption *o = PQconninfoParse(db_test_url(), NULL);
    char *text = talloc_strdup(talloc_ctx, "");
    va_list pairs;

    cr_assert_not_null(o);
    va_start(pairs, talloc_ctx);
    for (PQconninfoOption *i = o; i->keyword != NULL; i++) {
        const char *value = i->val;
        replaced(i->keyword, &value, pairs);
        if (value != NULL)
            text = append_pair(text, i->keyword, value);
    }
    va_end(pairs);
    PQconninfoFree(o);
    return text;
}

struct pg *db_test_pg_timeouts(const char *url, int64_t connect_ms, int64_t statement_ms)
{
    struct pg_options o = {.url = url == NULL ? db_test_url() : url,
                           .application = "docmill test",
                           .connect_timeout_ms = connect_ms,
                           .statement_timeout_ms = statement_ms};

    return pg_new(NULL, &o);
}

struct pg *db_test_pg(const char *url)
{
    return db_test_pg_timeouts(url, DB_TEST_TIMEOUT_MS, DB_TEST_TIMEOUT_MS);
}

void db_test_run(struct pg *p, const char *sql)
{
    struct error e = {0};

    cr_assert_eq(pg_run(p, sql, NULL, 0, &e), 0, "%s: %s", sql, e.message);
}

int64_t db_test_int(struct pg *p, const char *sql)
{
    struct error e = {0};
    PGresult *r = pg_exec(p, sql, NULL, 0, &e);
    int64_t n;

    cr_assert_not_null(r, "%s: %s", sql, e.message);
    n = pg_get_int(r, 0, 0);
    PQclear(r);
    return n;
}

static void create(struct pg *p, const char *name, const char *template)
{
    db_test_run(p, talloc_asprintf(p, "DROP DATABASE IF EXISTS %s WITH (FORCE)", name));
    db_test_run(p, talloc_asprintf(p, "CREATE DATABASE %s TEMPLATE %s STRATEGY file_copy", name, template));
}

char *db_test_database(const void *talloc_ctx, const char *name)
{
    struct pg *p = db_test_pg_timeouts(NULL, 20000, 60000);

    create(p, name, "template0");
    pg_free(&p);
    return db_test_url_with(talloc_ctx, "dbname", name, NULL);
}

static void fill_template(const char *name)
{
    char *url = db_test_url_with(NULL, "dbname", name, NULL);
    struct pg *p = db_test_pg_timeouts(url, 20000, 60000);
    FILE *null = fopen("/dev/null", "w");
    struct error e;

    cr_assert_eq(migrate_up(p, null, &e), 0, "%s", e.message);
    fclose(null);
    pg_free(&p);
    talloc_free(url);
}

/* Named by what the migrations say, since a server may outlive them. It gets its name when it is whole. */
static const char *template_name(struct pg *p)
{
    char *sums = talloc_strdup(p, "");
    uint8_t hash[SHA256_BYTES];

    for (int i = 0; i < migrate_embedded.n; i++)
        sums = talloc_strdup_append(sums, migrate_embedded.list[i].checksum);
    sha256_of(sums, strlen(sums), hash);
    return talloc_asprintf(p, "dm_migrated_%02x%02x%02x%02x", hash[0], hash[1], hash[2], hash[3]);
}

char *db_test_migrated(const void *talloc_ctx, const char *name)
{
    struct pg *p = db_test_pg_timeouts(NULL, 20000, 60000);
    const char *template = template_name(p), *raw = talloc_asprintf(p, "%s_raw", template);
    const char *exists = talloc_asprintf(p, "SELECT count(*) FROM pg_database WHERE datname = '%s'", template);

    if (db_test_int(p, exists) == 0) {
        db_test_run(p, "SELECT pg_advisory_lock(7236591)");
        if (db_test_int(p, exists) == 0) {
            create(p, raw, "template0");
            fill_template(raw);
            db_test_run(p, talloc_asprintf(p, "ALTER DATABASE %s RENAME TO %s", raw, template));
        }
        db_test_run(p, "SELECT pg_advisory_unlock(7236591)");
    }
    create(p, name, template);
    pg_free(&p);
    return db_test_url_with(talloc_ctx, "dbname", name, NULL);
}
