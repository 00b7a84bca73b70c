/* test_support.c - see db_test.h */
#include "db_test.h"

#include <criterion/criterion.h>
#include <stdlib.h>

const char *db_test_url(void)
{
    const char *url = getenv("DOCMILL_TEST_PG_URL");

    cr_assert(url != NULL && *url != '\0', "DOCMILL_TEST_PG_URL is not set: these tests need a PostgreSQL server");
    return url;
}

struct pg *db_test_pg(const char *url)
{
    struct pg_options o = {.url = url == NULL ? db_test_url() : url,
                           .application = "docmill test",
                           .connect_timeout_ms = 5000,
                           .statement_timeout_ms = 5000};

    return pg_new(NULL, &o);
}
