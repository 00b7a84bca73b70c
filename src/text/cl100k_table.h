/*
 * cl100k_table.h - the ranks of cl100k_base as read-only data inside the program
 *
 * The build makes the bytes of struct cl100k_table from data/cl100k_base.tiktoken (cmake/embed_cl100k.c) and the linker
 * puts them into .rodata: nothing is read or allocated at start, and all processes share the pages that any of them
 * has touched. An open-addressed hash finds a token by its bytes: a slot is 0, or the rank + 1 in its low bits and a
 * fingerprint of the hash above them, so that few other tokens' bytes are ever looked at.
 *
 * Diagnostics: none. Private to src/text and the program that makes the table. Depends on nothing.
 */
#ifndef TEXT_CL100K_TABLE_H
#define TEXT_CL100K_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CL100K_TOKENS      100256u /* the ordinary ones: text never becomes a special token */
#define CL100K_MAX_BYTES   128u    /* of the longest token */
#define CL100K_SLOTS       (1u << 18)
#define CL100K_RANK_BITS   17
#define CL100K_FINGERPRINT (UINT32_MAX << CL100K_RANK_BITS)

struct cl100k_table {
    uint32_t slots[CL100K_SLOTS];
    uint32_t starts[CL100K_TOKENS + 1]; /* of each rank's bytes in `bytes` */
    uint8_t bytes[];
};

static inline uint64_t cl100k_load_8(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t cl100k_load_4(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* n > 0. Reads no byte behind p[n - 1]. The table is made on the machine type that it is for. */
static inline uint64_t cl100k_hash(const uint8_t *p, size_t n)
{
    uint64_t a, h = n * 0x9E3779B97F4A7C15u;

    for (; n > 16; n -= 8, p += 8)
        h = (h ^ cl100k_load_8(p)) * 0xD6E8FEB86659FD93u, h ^= h >> 32;
    if (n > 8) {
        h = (h ^ cl100k_load_8(p)) * 0xD6E8FEB86659FD93u, h ^= h >> 32;
        a = cl100k_load_8(p + n - 8);
    } else if (n >= 4) {
        a = cl100k_load_4(p) | (uint64_t)cl100k_load_4(p + n - 4) << 32;
    } else {
        a = p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16;
    }
    h = (h ^ a) * 0xD6E8FEB86659FD93u;
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93u;
    return h ^ h >> 29;
}

static inline uint32_t cl100k_slot_of(uint64_t hash)
{
    return (uint32_t)hash & (CL100K_SLOTS - 1);
}

static inline uint32_t cl100k_fingerprint(uint64_t hash)
{
    return (uint32_t)(hash >> 32) & CL100K_FINGERPRINT;
}

#endif
