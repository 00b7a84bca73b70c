/*
 * pg_array.c - a one-dimensional array parameter, grown element by element
 *
 * The buffer is the wire form itself: header (dimensions, has-nulls, element type, count, lower bound), then a length
 * and bytes for each element. The header is rewritten when the array is added.
 *
 * Diagnostics
 *   panics  an array over 1 GB; out of memory
 *
 * Depends on base/log.h.
 */
#include "base/log.h"
#include "db/pg_int.h"
#include "db/pg_wire.h"

#include <string.h>
#include <talloc.h>

#define HEADER_BYTES 20
#define MAX_BYTES    ((size_t)1 << 30)

struct pg_array {
    Oid element;
    int count;
    bool nulls;
    uint8_t *b;
    size_t n, room;
};

struct pg_array *pg_array_new(const void *talloc_ctx, Oid element_type)
{
    struct pg_array *a = pg_must(talloc_zero(talloc_ctx, struct pg_array));

    a->element = element_type;
    a->room = 512;
    a->b = pg_must(talloc_size(a, a->room));
    a->n = HEADER_BYTES;
    return a;
}

/* Room for an element of n bytes, its length already written. */
static uint8_t *grow(struct pg_array *a, size_t n)
{
    uint8_t *at;

    if (n > MAX_BYTES || a->n + n + 4 > MAX_BYTES)
        log_panic("pg", "array parameter too large");
    while (a->n + n + 4 > a->room) {
        a->room *= 2;
        a->b = pg_must(talloc_realloc_size(a, a->b, a->room));
    }
    at = a->b + a->n;
    wire_put_32(at, (uint32_t)n);
    a->n += n + 4;
    a->count++;
    return at + 4;
}

void pg_array_null(struct pg_array *a)
{
    wire_put_32(grow(a, 0) - 4, UINT32_MAX);
    a->nulls = true;
}

void pg_array_int8(struct pg_array *a, int64_t v)
{
    wire_put_64(grow(a, 8), (uint64_t)v);
}

void pg_array_int4(struct pg_array *a, int32_t v)
{
    wire_put_32(grow(a, 4), (uint32_t)v);
}

void pg_array_int2(struct pg_array *a, int16_t v)
{
    wire_put_16(grow(a, 2), (uint16_t)v);
}

void pg_array_uuid(struct pg_array *a, const struct uuid *u)
{
    memcpy(grow(a, sizeof u->b), u->b, sizeof u->b);
}

void pg_array_bytes(struct pg_array *a, const void *b, size_t n)
{
    uint8_t *at;

    if (a->element == PG_JSONB) {
        at = grow(a, n + 1);
        *at++ = 1; /* the version of jsonb's binary form */
    } else {
        at = grow(a, n);
    }
    if (n > 0)
        memcpy(at, b, n);
}

void pg_array_vector(struct pg_array *a, const float *v, int dim)
{
    wire_put_vector(grow(a, wire_vector_size(dim)), v, dim);
}

int pg_array_count(const struct pg_array *a)
{
    return a->count;
}

/* The array type over an element type; 0 leaves it to the statement's cast ($1::vector[]). */
static Oid array_type(Oid element)
{
    static const struct {
        Oid element, array;
    } types[] = {{PG_BOOL, 1000},        {PG_BYTEA, 1001}, {PG_INT2, 1005},   {PG_INT4, 1007},
                 {PG_TEXT, 1009},        {PG_INT8, 1016},  {PG_FLOAT4, 1021}, {PG_FLOAT8, 1022},
                 {PG_TIMESTAMPTZ, 1185}, {PG_UUID, 2951},  {PG_JSONB, 3807}};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].element == element)
            return types[i].array;
    return 0;
}

void pg_add_array(struct pg_params *p, const struct pg_array *a)
{
    uint8_t *b = a->b;

    if (p->n >= PG_MAX_PARAMS)
        log_panic("pg", "too many parameters");
    wire_put_32(b, a->count > 0); /* an empty array has no dimension */
    wire_put_32(b + 4, a->nulls);
    wire_put_32(b + 8, a->element);
    wire_put_32(b + 12, (uint32_t)a->count);
    wire_put_32(b + 16, 1);
    p->types[p->n] = array_type(a->element);
    p->values[p->n] = (const char *)b;
    p->lengths[p->n] = (int)(a->count > 0 ? a->n : 12);
    p->formats[p->n] = 1;
    p->n++;
}
