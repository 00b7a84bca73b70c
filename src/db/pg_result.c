/*
 * pg_result.c - reading a result's values
 *
 * Binary by rule; the results of several statements at once come as text, and numbers, booleans, UUIDs and text are
 * read from that too. A column that does not hold what the reader reads is our bug, SQL and C disagreeing: panic,
 * rather than a number that was made up.
 *
 * Depends on base/log.h, base/uuid.h, libpq.
 */
#include "base/log.h"
#include "db/pg_int.h"
#include "db/pg_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OID_TYPE 26

struct value {
    const uint8_t *b;
    size_t n;
    bool null, text;
    Oid type;
};

static struct value value_at(const PGresult *r, int row, int col)
{
    struct value v = {.null = true};

    if (row < 0 || row >= PQntuples(r) || col < 0 || col >= PQnfields(r))
        log_panic("pg", "a result was read outside of its rows or columns");
    if (PQgetisnull(r, row, col))
        return v;
    v.null = false;
    v.text = PQfformat(r, col) == 0;
    v.type = PQftype(r, col);
    v.b = (const uint8_t *)PQgetvalue(r, row, col);
    v.n = (size_t)PQgetlength(r, row, col);
    return v;
}

static void must(int code, const PGresult *r, int col)
{
    if (code == 0)
        return;
    log_error("pg", "a column has another type than its reader", "column", PQfname(r, col), "type",
              LOG_I(PQftype(r, col)), NULL);
    log_panic("pg", "result and reader disagree");
}

bool pg_is_null(const PGresult *r, int row, int col)
{
    return value_at(r, row, col).null;
}

int64_t pg_get_int(const PGresult *r, int row, int col)
{
    struct value v = value_at(r, row, col);
    int64_t out = 0;
    char *end;

    if (v.null)
        return 0;
    if (!v.text) {
        must(v.type != PG_INT8 && v.type != PG_INT4 && v.type != PG_INT2 && v.type != OID_TYPE, r, col);
        must(wire_get_int(v.b, v.n, &out), r, col);
        return v.type == OID_TYPE ? (uint32_t)out : out;
    }
    errno = 0;
    out = strtoll((const char *)v.b, &end, 10);
    must(errno != 0 || v.n == 0 || *end != '\0', r, col);
    return out;
}

double pg_get_float(const PGresult *r, int row, int col)
{
    struct value v = value_at(r, row, col);
    double out = 0;
    char *end;

    if (v.null)
        return 0;
    if (!v.text) {
        must(v.type != PG_FLOAT8 && v.type != PG_FLOAT4, r, col);
        must(wire_get_float(v.b, v.n, &out), r, col);
        return out;
    }
    out = strtod((const char *)v.b, &end);
    must(v.n == 0 || *end != '\0', r, col);
    return out;
}

bool pg_get_bool(const PGresult *r, int row, int col)
{
    struct value v = value_at(r, row, col);
    bool out = false;

    if (v.null)
        return false;
    if (!v.text) {
        must(v.type != PG_BOOL, r, col);
        must(wire_get_bool(v.b, v.n, &out), r, col);
        return out;
    }
    must(v.n != 1 || (v.b[0] != 't' && v.b[0] != 'f'), r, col);
    return v.b[0] == 't';
}

void pg_get_uuid(const PGresult *r, int row, int col, struct uuid *out)
{
    struct value v = value_at(r, row, col);

    memset(out, 0, sizeof *out);
    if (v.null)
        return;
    if (v.text) {
        must(uuid_parse((const char *)v.b, out), r, col);
        return;
    }
    must(v.type != PG_UUID || v.n != sizeof out->b, r, col);
    memcpy(out->b, v.b, sizeof out->b);
}

/* The types whose binary form is not text. */
static bool is_number(Oid type)
{
    return type == PG_BOOL || type == PG_INT8 || type == PG_INT2 || type == PG_INT4 || type == PG_FLOAT4 ||
           type == PG_FLOAT8 || type == PG_TIMESTAMPTZ || type == PG_UUID || type == PG_BYTEA;
}

const char *pg_get_text(const PGresult *r, int row, int col)
{
    struct value v = value_at(r, row, col);

    if (v.null)
        return NULL;
    if (!v.text && v.type == PG_JSONB) {
        must(v.n == 0 || v.b[0] != 1, r, col);
        v.b++; /* the version of jsonb's binary form */
    } else {
        must(!v.text && is_number(v.type), r, col);
    }
    return (const char *)v.b;
}

const uint8_t *pg_get_bytes(const PGresult *r, int row, int col, size_t *n)
{
    struct value v = value_at(r, row, col);

    *n = v.null ? 0 : v.n;
    must(!v.null && v.text && v.type == PG_BYTEA, r, col);
    return v.null ? NULL : v.b;
}

int64_t pg_get_time_ms(const PGresult *r, int row, int col)
{
    struct value v = value_at(r, row, col);
    int64_t out = 0;

    if (v.null)
        return 0;
    must(v.text || v.type != PG_TIMESTAMPTZ ? -EINVAL : wire_get_time_ms(v.b, v.n, &out), r, col);
    return out;
}
