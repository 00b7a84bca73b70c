/*
 * pg_wire.h - PostgreSQL's binary formats: big-endian numbers, written and read with their length checked
 *
 * Readers return 0, or -EINVAL when the length or the content is not what the format allows. They never read beyond n.
 */
#ifndef DB_PG_WIRE_H
#define DB_PG_WIRE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_EPOCH_MS 946684800000LL /* 2000-01-01 in Unix milliseconds: where timestamptz counts from */

void wire_put_16(uint8_t *out, uint16_t v);
void wire_put_32(uint8_t *out, uint32_t v);
void wire_put_64(uint8_t *out, uint64_t v);
void wire_put_f32(uint8_t *out, float v);
/* pgvector: dimension, a zero, the components. out has room for wire_vector_size(dim). */
size_t wire_vector_size(int dim);
void wire_put_vector(uint8_t *out, const float *v, int dim);

int wire_get_int(const uint8_t *b, size_t n, int64_t *out) MUST_CHECK;  /* of 2, 4 or 8 bytes */
int wire_get_float(const uint8_t *b, size_t n, double *out) MUST_CHECK; /* of 4 or 8 bytes */
int wire_get_bool(const uint8_t *b, size_t n, bool *out) MUST_CHECK;
int wire_get_time_ms(const uint8_t *b, size_t n, int64_t *out) MUST_CHECK; /* infinity: INT64_MAX, INT64_MIN */

#endif
