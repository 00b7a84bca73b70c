/* test_pg_url.c - the TLS policy and libpq's parameters; needs no server */
#include "db/pg_int.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

TestSuite(pg_url, .timeout = 20);

struct rule {
    const char *url, *sslmode; /* sslmode NULL: refused; "": left to libpq */
};

static const struct rule rules[] = {
    {"", ""},
    {"host=/run/postgresql", ""},
    {"host=@abstract", ""},
    {"host=localhost", ""},
    {"host=127.0.0.1 sslmode=disable", "disable"},
    {"host=127.9.9.9", ""},
    {"host=::1", ""},
    {"postgresql://u@[::1]/x?sslmode=prefer", "prefer"},
    {"postgresql://u@db.example.com/x", "verify-full"},
    {"postgresql://u@db.example.com/x?sslmode=verify-full", "verify-full"},
    {"postgresql://u@db.example.com/x?sslmode=verify-ca", NULL},
    {"postgresql://u@db.example.com/x?sslmode=require", NULL},
    {"postgresql://u@db.example.com/x?sslmode=disable", NULL},
    {"host=10.0.0.1", "verify-full"},
    {"host=10.0.0.1 sslmode=prefer", NULL},
    {"host=localhost,db.example.com sslmode=disable", NULL},
    {"host=localhost,db.example.com", "verify-full"},
    {"host=/tmp hostaddr=10.0.0.1 sslmode=disable", NULL},
    {"host=db.example.com hostaddr=127.0.0.1 sslmode=disable", "disable"},
    {"host=localhost.example.com sslmode=disable", NULL},
    {"host=127.0.0.1.example.com sslmode=disable", NULL},
    {"service=elsewhere sslmode=disable", NULL},
    {"service=elsewhere", "verify-full"},
};

Test(pg_url, tls_is_verified_for_every_host_that_is_not_this_machine)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct pg_options o = {.url = rules[i].url};
        struct error e = {0};
        struct pg_target *t = pg_target_make(NULL, &o, &e);
        const char *mode = t == NULL ? NULL : pg_target_get(t, "sslmode");

        if (rules[i].sslmode == NULL) {
            cr_assert_null(t, "%s", rules[i].url);
            cr_assert(strstr(e.hint, "verify-full") != NULL);
        } else if (*rules[i].sslmode == '\0') {
            cr_assert(t != NULL && mode == NULL, "%s: %s", rules[i].url, e.message);
        } else {
            cr_assert(t != NULL && mode != NULL && strcmp(mode, rules[i].sslmode) == 0, "%s: %s", rules[i].url,
                      e.message);
        }
        talloc_free(t);
    }
}

Test(pg_url, a_host_of_the_environment_counts)
{
    struct pg_options o = {.url = "dbname=x sslmode=disable"};
    struct error e = {0};

    setenv("PGHOST", "db.example.com", 1);
    cr_assert_null(pg_target_make(NULL, &o, &e));
    unsetenv("PGHOST");
}

Test(pg_url, the_urls_own_parameters_win)
{
    struct pg_options o = {.url = "keepalives_idle=99 application_name=theirs", .application = "ours"};
    struct pg_target *t = pg_target_make(NULL, &o, NULL);

    cr_assert_str_eq(pg_target_get(t, "keepalives_idle"), "99");
    cr_assert_str_eq(pg_target_get(t, "tcp_user_timeout"), "9000");
    cr_assert_str_eq(pg_target_get(t, "application_name"), "ours");
    cr_assert_str_eq(pg_target_get(t, "client_encoding"), "UTF8");
    talloc_free(t);
}

Test(pg_url, secrets_are_removed_from_any_text)
{
    struct pg_options o = {.url = "postgresql://u:p%40ss@/x"};
    struct pg_target *t = pg_target_make(NULL, &o, NULL);
    char text[] = "no p@ss for p@ssp@ss or pp@ss@ss";

    pg_scrub(t, text);
    cr_assert(strstr(text, "p@ss") == NULL, "%s", text);
    talloc_free(t);
}
