/* test_pg_values.c - parameters, arrays and results: what goes to the server comes back the same */
#include "db_test.h"
#include "fork_test.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

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
    pg_add_text(&q, "-0.1");
    pg_add_text(&q, "gr\xc3\xbc\xc3\x9f dich; --'");
    pg_add_text(&q, "abc");
    pg_add_jsonb(&q, "{\"a\": [1, 2]}");
    pg_add_uuid(&q, &u);
    pg_add_bytea(&q, "\0\1\377", 3);
    pg_add_text(&q, NULL);
    r = pg_exec(
        p,
        "SELECT $1, $2, $3, $4, $5::float8, $6, $7, $8, $9, $10, $11, $1 = -9223372036854775808, $5::float8 = -0.1::float8",
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

static struct pg *with_vector(void)
{
    struct pg *p = db_test_pg(NULL);

    db_test_run(p, "SELECT pg_advisory_lock(4711)"); /* tests run side by side; two CREATE EXTENSION collide */
    db_test_run(p, "CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public");
    db_test_run(p, "SELECT pg_advisory_unlock_all()");
    pg_close(p);
    cr_assert_eq(pg_connect(p, NULL), 0);
    cr_assert_neq(pg_vector_type(p), 0);
    return p;
}

Test(pg_values, arrays_of_every_type_go_through_unnest)
{
    struct pg *p = db_test_pg(NULL);
    struct pg_array *i8 = pg_array_new(p, PG_INT8), *i4 = pg_array_new(p, PG_INT4), *i2 = pg_array_new(p, PG_INT2),
                    *uu = pg_array_new(p, PG_UUID), *tx = pg_array_new(p, PG_TEXT), *by = pg_array_new(p, PG_BYTEA),
                    *js = pg_array_new(p, PG_JSONB);
    struct pg_params q;
    struct uuid u[300], got;
    struct error e = {0};
    char text[20];
    PGresult *r;
    size_t n;

    for (int i = 0; i < 300; i++) {
        uuid_v4(&u[i]);
        pg_array_int8(i8, i * INT64_C(-10000000000));
        pg_array_int4(i4, -i);
        pg_array_int2(i2, (int16_t)i);
        pg_array_uuid(uu, &u[i]);
        snprintf(text, sizeof text, "t%d,{\"\\", i);
        if (i % 3 == 0)
            pg_array_null(tx);
        else
            pg_array_bytes(tx, text, strlen(text));
        pg_array_bytes(by, "\0x", (size_t)(i % 3));
        snprintf(text, sizeof text, "{\"i\": %d}", i);
        pg_array_bytes(js, text, strlen(text));
    }
    cr_assert_eq(pg_array_count(tx), 300);
    pg_params_init(&q, p);
    pg_add_array(&q, i8);
    pg_add_array(&q, i4);
    pg_add_array(&q, i2);
    pg_add_array(&q, uu);
    pg_add_array(&q, tx);
    pg_add_array(&q, by);
    pg_add_array(&q, js);
    r = pg_exec(p,
                "SELECT a, b, c, d, e, f, g, (g ->> 'i')::int FROM unnest($1, $2, $3, $4, $5, $6, $7)"
                " AS t(a, b, c, d, e, f, g)",
                &q, 0, &e);
    cr_assert_not_null(r, "%s", e.message);
    cr_assert_eq(PQntuples(r), 300);
    for (int i = 0; i < 300; i++) {
        cr_assert_eq(pg_get_int(r, i, 0), i * INT64_C(-10000000000));
        cr_assert_eq(pg_get_int(r, i, 1), -i);
        cr_assert_eq(pg_get_int(r, i, 2), i);
        pg_get_uuid(r, i, 3, &got);
        cr_assert(uuid_equal(&u[i], &got));
        snprintf(text, sizeof text, "t%d,{\"\\", i);
        if (i % 3 == 0)
            cr_assert_null(pg_get_text(r, i, 4));
        else
            cr_assert_str_eq(pg_get_text(r, i, 4), text);
        cr_assert_arr_eq(pg_get_bytes(r, i, 5, &n), "\0x", (size_t)(i % 3));
        cr_assert_eq(n, (size_t)(i % 3));
        snprintf(text, sizeof text, "{\"i\": %d}", i);
        cr_assert_str_eq(pg_get_text(r, i, 6), text);
        cr_assert_eq(pg_get_int(r, i, 7), i);
    }
    PQclear(r);
    pg_free(&p);
}

Test(pg_values, an_empty_array_and_an_array_of_nulls)
{
    struct pg *p = db_test_pg(NULL);
    struct pg_array *none = pg_array_new(p, PG_INT4), *nulls = pg_array_new(p, PG_INT4);
    struct pg_params q;
    struct error e = {0};
    PGresult *r;

    pg_array_null(nulls);
    pg_array_int4(nulls, 5);
    pg_array_null(nulls);
    pg_params_init(&q, p);
    pg_add_array(&q, none);
    pg_add_array(&q, nulls);
    r = pg_exec(p, "SELECT cardinality($1), cardinality($2), $2[1] IS NULL, $2[2], $1 = '{}'", &q, 0, &e);
    cr_assert_not_null(r, "%s", e.message);
    cr_assert_eq(pg_get_int(r, 0, 0), 0);
    cr_assert_eq(pg_get_int(r, 0, 1), 3);
    cr_assert(pg_get_bool(r, 0, 2));
    cr_assert_eq(pg_get_int(r, 0, 3), 5);
    cr_assert(pg_get_bool(r, 0, 4));
    PQclear(r);
    pg_free(&p);
}

Test(pg_values, vectors_alone_and_in_arrays)
{
    enum { ROWS = 20, DIM = 1536 };
    struct pg *p = with_vector();
    struct pg_array *a = pg_array_new(p, pg_vector_type(p));
    struct pg_params q;
    struct error e = {0};
    float v[DIM];
    PGresult *r;

    db_test_run(p, "CREATE TEMP TABLE t (ord int, v vector(1536))");
    for (int i = 0; i < ROWS; i++) {
        for (int d = 0; d < DIM; d++)
            v[d] = (float)i + (float)d / 1024;
        pg_array_vector(a, v, DIM);
    }
    pg_params_init(&q, p);
    pg_add_array(&q, a);
    cr_assert_eq(
        pg_run(p, "INSERT INTO t SELECT ord - 1, v FROM unnest($1::vector[]) WITH ORDINALITY AS u(v, ord)", &q, 0, &e),
        0, "%s", e.message);
    pg_params_init(&q, p);
    pg_add_vector(&q, p, v, DIM); /* the last row */
    pg_add_text(&q, talloc_asprintf(p, "%.9g", (double)v[DIM - 1]));
    r = pg_exec(p, "SELECT ord, v = $1, (v::real[])[1536] = $2::float4, v <-> $1 FROM t ORDER BY v <-> $1 LIMIT 1", &q,
                0, &e);
    cr_assert_not_null(r, "%s", e.message);
    cr_assert_eq(pg_get_int(r, 0, 0), ROWS - 1);
    cr_assert(pg_get_bool(r, 0, 1));
    cr_assert(pg_get_bool(r, 0, 2));
    cr_assert_eq(pg_get_float(r, 0, 3), 0);
    PQclear(r);
    pg_free(&p);
}

Test(pg_values, times_are_unix_milliseconds)
{
    struct pg *p = db_test_pg(NULL);
    struct error e = {0};
    PGresult *r =
        pg_exec(p,
                "SELECT '2024-02-29 12:00:00.123999+00'::timestamptz, '1969-12-31 23:59:59.9999+00'::timestamptz,"
                " 'infinity'::timestamptz, '-infinity'::timestamptz, NULL::timestamptz,"
                " '1999-12-31 23:59:59.9995+00'::timestamptz",
                NULL, 0, &e);

    cr_assert_not_null(r, "%s", e.message);
    cr_assert_eq(pg_get_time_ms(r, 0, 0), 1709208000123);
    cr_assert_eq(pg_get_time_ms(r, 0, 1), -1);
    cr_assert_eq(pg_get_time_ms(r, 0, 2), INT64_MAX);
    cr_assert_eq(pg_get_time_ms(r, 0, 3), INT64_MIN);
    cr_assert_eq(pg_get_time_ms(r, 0, 4), 0);
    cr_assert_eq(pg_get_time_ms(r, 0, 5), 946684799999);
    PQclear(r);
    pg_free(&p);
}

/* How a child ends that reads column 0 of row 0 as a number. (criterion's .signal leaks, which would hide our leaks.)
 */
static int signal_of_reading(const char *sql)
{
    struct pg *p = db_test_pg(NULL);
    PGresult *r = pg_exec(p, sql, NULL, 0, NULL);
    int status;
    pid_t child;

    cr_assert_not_null(r);
    child = fork_mortal();
    if (child == 0) {
        pg_get_int(r, 0, 0);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    PQclear(r);
    pg_free(&p);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

Test(pg_values, a_reader_of_the_wrong_type_panics)
{
    cr_assert_eq(signal_of_reading("SELECT 1::int8"), 0);
    cr_assert_eq(signal_of_reading("SELECT 'abc'::text"), SIGABRT);
    cr_assert_eq(signal_of_reading("SELECT 'ab'::text"), SIGABRT); /* as long as an int2 */
    cr_assert_eq(signal_of_reading("SELECT 1.5::float8"), SIGABRT);
    cr_assert_eq(signal_of_reading("SELECT sum(1::int8)"), SIGABRT);
}

Test(pg_values, a_cell_that_is_not_there_panics)
{
    cr_assert_eq(signal_of_reading("SELECT 1 WHERE false"), SIGABRT);
}
