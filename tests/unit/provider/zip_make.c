/* zip_make.c - see zip_make.h; aborts when memory is gone */
#include "zip_make.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct entry {
    const char *name;
    const void *bytes;
    size_t stored;
    uint64_t unpacked;
    uint32_t crc;
    uint16_t method, flags;
};

static void put(unsigned char **buf, size_t *n, const void *p, size_t len)
{
    /* Room is the next power of two above the length, so that it needs no record. */
    size_t room = *n == 0 ? 0 : (size_t)2 << (63 - __builtin_clzl(*n));
    size_t want = *n + len + 1 > 64 ? (size_t)2 << (63 - __builtin_clzl(*n + len + 1)) : 128;

    if (want > room) {
        *buf = realloc(*buf, want);
        if (*buf == NULL)
            abort();
    }
    if (len > 0)
        memcpy(*buf + *n, p, len);
    *n += len;
}

static void put_le(unsigned char **buf, size_t *n, uint64_t v, int bytes)
{
    unsigned char b[8];

    for (int i = 0; i < bytes; i++)
        b[i] = (unsigned char)(v >> (8 * i));
    put(buf, n, b, (size_t)bytes);
}

/* The fields that local header and directory share, from "version needed" to the lengths. */
static void put_common(unsigned char **buf, size_t *n, const struct entry *e, uint16_t extra)
{
    put_le(buf, n, 20, 2);
    put_le(buf, n, e->flags, 2);
    put_le(buf, n, e->method, 2);
    put_le(buf, n, 0x58210000, 4); /* a time and a date */
    put_le(buf, n, e->crc, 4);
    put_le(buf, n, e->stored, 4);
    put_le(buf, n, e->unpacked > 0xfffffffe ? 0xffffffff : e->unpacked, 4);
    put_le(buf, n, strlen(e->name), 2);
    put_le(buf, n, extra, 2);
}

static void add(struct zip_maker *z, const struct entry *e)
{
    size_t offset = z->n;
    uint16_t extra = e->unpacked > 0xfffffffe ? 12 : 0;

    put_le(&z->data, &z->n, 0x04034b50, 4);
    put_common(&z->data, &z->n, e, 0);
    put(&z->data, &z->n, e->name, strlen(e->name));
    put(&z->data, &z->n, e->bytes, e->stored);

    put_le(&z->directory, &z->dir_n, 0x02014b50, 4);
    put_le(&z->directory, &z->dir_n, 20, 2);
    put_common(&z->directory, &z->dir_n, e, extra);
    put_le(&z->directory, &z->dir_n, 0, 2 + 2 + 2); /* comment, disk, internal */
    put_le(&z->directory, &z->dir_n, 0, 4);         /* external */
    put_le(&z->directory, &z->dir_n, offset, 4);
    put(&z->directory, &z->dir_n, e->name, strlen(e->name));
    if (extra > 0) {
        put_le(&z->directory, &z->dir_n, 1, 2);
        put_le(&z->directory, &z->dir_n, 8, 2);
        put_le(&z->directory, &z->dir_n, e->unpacked, 8);
    }
    z->entries++;
}

static uint32_t crc_of(const void *p, size_t n)
{
    return (uint32_t)crc32(0, p, (uInt)n);
}

void zip_add_claiming(struct zip_maker *z, const char *name, const void *p, size_t n, uint64_t unpacked, uint16_t flags)
{
    add(z, &(struct entry){
               .name = name, .bytes = p, .stored = n, .unpacked = unpacked, .crc = crc_of(p, n), .flags = flags});
}

void zip_add(struct zip_maker *z, const char *name, const void *p, size_t n)
{
    zip_add_claiming(z, name, p, n, n, 0);
}

void zip_add_deflated(struct zip_maker *z, const char *name, const void *p, size_t n, int64_t claimed)
{
    z_stream s = {0};
    size_t room = compressBound((uLong)n) + 64;
    unsigned char *out = malloc(room);

    if (out == NULL || deflateInit2(&s, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    s.next_in = (unsigned char *)(uintptr_t)p;
    s.avail_in = (uInt)n;
    s.next_out = out;
    s.avail_out = (uInt)room;
    if (deflate(&s, Z_FINISH) != Z_STREAM_END)
        abort();
    add(z, &(struct entry){.name = name,
                           .bytes = out,
                           .stored = s.total_out,
                           .unpacked = claimed < 0 ? n : (uint64_t)claimed,
                           .crc = crc_of(p, n),
                           .method = 8});
    deflateEnd(&s);
    free(out);
}

const void *zip_finish(struct zip_maker *z, size_t *n)
{
    size_t offset = z->n;

    put(&z->data, &z->n, z->directory, z->dir_n);
    put_le(&z->data, &z->n, 0x06054b50, 4);
    put_le(&z->data, &z->n, 0, 4);
    put_le(&z->data, &z->n, z->entries & 0xffff, 2);
    put_le(&z->data, &z->n, z->entries & 0xffff, 2);
    put_le(&z->data, &z->n, z->dir_n, 4);
    put_le(&z->data, &z->n, offset, 4);
    put_le(&z->data, &z->n, z->comment, 2);
    for (uint16_t i = 0; i < z->comment; i++)
        put_le(&z->data, &z->n, ' ', 1);
    *n = z->n;
    return z->data;
}

void zip_drop(struct zip_maker *z)
{
    free(z->data);
    free(z->directory);
    *z = (struct zip_maker){0};
}
