/* pg_wire.c - see pg_wire.h. Depends on nothing. */
#include "db/pg_wire.h"

#include <errno.h>
#include <string.h>

void wire_put_16(uint8_t *out, uint16_t v)
{
    out[0] = (uint8_t)(v >> 8);
    out[1] = (uint8_t)v;
}

void wire_put_32(uint8_t *out, uint32_t v)
{
    v = __builtin_bswap32(v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    memcpy(out, &v, sizeof v);
}

void wire_put_64(uint8_t *out, uint64_t v)
{
    wire_put_32(out, (uint32_t)(v >> 32));
    wire_put_32(out + 4, (uint32_t)v);
}

void wire_put_f32(uint8_t *out, float v)
{
    uint32_t bits;

    memcpy(&bits, &v, sizeof bits);
    wire_put_32(out, bits);
}

size_t wire_vector_size(int dim)
{
    return 4 + 4 * (size_t)dim;
}

void wire_put_vector(uint8_t *out, const float *v, int dim)
{
    wire_put_16(out, (uint16_t)dim);
    wire_put_16(out + 2, 0);
    for (int i = 0; i < dim; i++)
        wire_put_f32(out + 4 + 4 * (size_t)i, v[i]);
}

static uint64_t get_bits(const uint8_t *b, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | b[i];
    return v;
}

int wire_get_int(const uint8_t *b, size_t n, int64_t *out)
{
    switch (n) {
    case 2:
        *out = (int16_t)get_bits(b, n);
        return 0;
    case 4:
        *out = (int32_t)get_bits(b, n);
        return 0;
    case 8:
        *out = (int64_t)get_bits(b, n);
        return 0;
    default:
        return -EINVAL;
    }
}

int wire_get_float(const uint8_t *b, size_t n, double *out)
{
    uint64_t wide;
    uint32_t narrow;
    float f;

    if (n == 8) {
        wide = get_bits(b, n);
        memcpy(out, &wide, sizeof *out);
        return 0;
    }
    if (n != 4)
        return -EINVAL;
    narrow = (uint32_t)get_bits(b, n);
    memcpy(&f, &narrow, sizeof f);
    *out = (double)f;
    return 0;
}

int wire_get_bool(const uint8_t *b, size_t n, bool *out)
{
    if (n != 1 || b[0] > 1)
        return -EINVAL;
    *out = b[0] == 1;
    return 0;
}

int wire_get_time_ms(const uint8_t *b, size_t n, int64_t *out)
{
    int64_t us;

    if (n != 8)
        return -EINVAL;
    us = (int64_t)get_bits(b, n);
    if (us == INT64_MAX || us == INT64_MIN) {
        *out = us;
        return 0;
    }
    *out = us / 1000 - (us % 1000 < 0) + WIRE_EPOCH_MS; /* rounded down, also before 2000 */
    return 0;
}
