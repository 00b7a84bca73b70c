/*
 * pg_params.c - parameters of a statement, in PostgreSQL's binary formats
 *
 * Encoded values belong to the params' talloc context; text_n and bytea are only pointed to.
 *
 * Diagnostics
 *   panics  more than PG_MAX_PARAMS parameters; a value over 1 GB; out of memory
 *
 * Depends on base/log.h.
 */
#include "base/log.h"
#include "db/pg_int.h"
#include "db/pg_wire.h"

#include <string.h>
#include <talloc.h>

#define MAX_VALUE_BYTES ((size_t)1 << 30) /* PostgreSQL takes no larger field */

void pg_params_init(struct pg_params *p, const void *talloc_ctx)
{
    p->ctx = talloc_ctx;
    p->n = 0;
}

static void add(struct pg_params *p, Oid type, const void *value, size_t n)
{
    if (p->n >= PG_MAX_PARAMS || n > MAX_VALUE_BYTES)
        log_panic("pg", "too many parameters, or one too large");
    p->types[p->n] = type;
    p->values[p->n] = value;
    p->lengths[p->n] = (int)n;
    p->formats[p->n] = 1;
    p->n++;
}

static void add_copy(struct pg_params *p, Oid type, const void *value, size_t n)
{
    add(p, type, pg_must(talloc_memdup(p->ctx, value, n > 0 ? n : 1)), n);
}

void pg_add_null(struct pg_params *p, Oid type)
{
    add(p, type, NULL, 0);
}

void pg_add_int8(struct pg_params *p, int64_t v)
{
    uint8_t b[8];

    wire_put_64(b, (uint64_t)v);
    add_copy(p, PG_INT8, b, sizeof b);
}

void pg_add_int4(struct pg_params *p, int32_t v)
{
    uint8_t b[4];

    wire_put_32(b, (uint32_t)v);
    add_copy(p, PG_INT4, b, sizeof b);
}

void pg_add_int2(struct pg_params *p, int16_t v)
{
    uint8_t b[2];

    wire_put_16(b, (uint16_t)v);
    add_copy(p, PG_INT2, b, sizeof b);
}

void pg_add_bool(struct pg_params *p, bool v)
{
    uint8_t b = v;

    add_copy(p, PG_BOOL, &b, 1);
}

void pg_add_text(struct pg_params *p, const char *s)
{
    if (s == NULL)
        pg_add_null(p, PG_TEXT);
    else
        add_copy(p, PG_TEXT, s, strlen(s));
}

void pg_add_jsonb(struct pg_params *p, const char *json)
{
    size_t n;
    char *b;

    if (json == NULL) {
        pg_add_null(p, PG_JSONB);
        return;
    }
    n = strlen(json);
    b = pg_must(talloc_size(p->ctx, n + 1));
    b[0] = 1; /* the version of jsonb's binary form */
    memcpy(b + 1, json, n);
    add(p, PG_JSONB, b, n + 1);
}

void pg_add_uuid(struct pg_params *p, const struct uuid *u)
{
    if (u == NULL)
        pg_add_null(p, PG_UUID);
    else
        add_copy(p, PG_UUID, u->b, sizeof u->b);
}

void pg_add_bytea(struct pg_params *p, const void *b, size_t n)
{
    add(p, PG_BYTEA, b == NULL ? "" : b, n);
}

void pg_add_vector(struct pg_params *p, const struct pg *pg, const float *v, int dim)
{
    uint8_t *b = pg_must(talloc_size(p->ctx, wire_vector_size(dim)));

    wire_put_vector(b, v, dim);
    add(p, pg_vector_type(pg), b, wire_vector_size(dim));
}
