/* test_pg_values.c - parameters, arrays and results: what goes to the server comes back the same */
#include "db_test.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include <talloc.h>

TestSuite(pg_values, .timeout = 20);

Test(pg_values, every_parameter_type_round_trips)
{
    struct pg *p = db_test_pg(NULL);
    struct pg_params q;
    struct uuid u, got;
    struct error e;
    PGresult *r;
    size_t n;

    uuid_v4(&u);
    pg_params_init(&q, p);
    pg_add_int8(&q, INT64_MIN);
    pg_add_int4(&q, INT32_MIN);
    pg_add_int2(&q, -32768);
    pg_add_bool(&q, true);
    pg_add_float8(&q, -0.1);
    pg_add_text(&q, "gr\xc3\xbc\xc3\x9f dich; --'");
    pg_add_text_n(&q, "abcdef", 3);
    pg_add_jsonb(&q, "{\"a\": [1, 2]}");
    pg_add_uuid(&q, &u);
    pg_add_bytea(&q, "\0\1\377", 3);
    pg_add_text(&q, NULL);
    r = pg_exec(p, "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $1 = -9223372036854775808, $5 = -0.1::float8",
                &q, 0, &e);
    cr_assert_not_null(r, "%s", e.message);
    cr_assert_eq(pg_get_int(r, 0, 0), INT64_MIN);
    cr_assert_eq(pg_get_int(r, 0, 1), INT32_MIN);
    cr_assert_eq(pg_get_int(r, 0, 2), -32768);
    cr_assert(pg_get_bool(r, 0, 3));
    cr_assert_eq(pg_get_float(r, 0, 4), -0.1);
    cr_assert_str_eq(pg_get_text(r, 0, 5), "gr\xc3\xbc\xc3\x9f dich; --'");
    cr_assert_str_eq(pg_get_text(r, 0, 6), "abc");
    cr_assert_str_eq(pg_get_text(r, 0, 7), "{\"a\": [1, 2]}");
    pg_get_uuid(r, 0, 8, &got);
    cr_assert(uuid_equal(&u, &got));
    cr_assert_arr_eq(pg_get_bytes(r, 0, 9, &n), "\0\1\377", 3);
    cr_assert_eq(n, 3);
    cr_assert(pg_is_null(r, 0, 10));
    cr_assert_null(pg_get_text(r, 0, 10));
    cr_assert(pg_get_bool(r, 0, 11));
    cr_assert(pg_get_bool(r, 0, 12));
    PQclear(r);
    pg_free(&p);
}
