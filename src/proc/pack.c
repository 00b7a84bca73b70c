/*
 * pack.c - see pack.h
 *
 * Arrays and maps are written with a 16-bit count that pack_end() fills in, so nobody counts members by hand.
 *
 * Impossible (and therefore a sticky fault, not a crash): ending what was not opened, a map with a key and no value.
 *
 * Depends on base.
 */
#include "proc/pack.h"

#include "core/reason.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <msgpack.h>
#include <string.h>
#include <talloc.h>

#define PACK_FIRST_BYTES 4096

/* ---- writer ---- */

void pack_init(struct pack *p, uint8_t *buf, size_t size)
{
    *p = (struct pack){.buf = buf, .size = size};
}

void pack_init_growing(struct pack *p, const void *talloc_parent, size_t max)
{
    *p = (struct pack){.parent = talloc_parent, .max = max};
    p->size = max < PACK_FIRST_BYTES ? max : PACK_FIRST_BYTES;
    p->buf = talloc_size(talloc_parent, p->size);
    p->failed = p->buf == NULL;
}

static bool pack_room(struct pack *p, size_t n)
{
    size_t want = p->size;
    uint8_t *bigger;

    if (p->failed)
        return false;
    if (n <= p->size - p->len)
        return true;
    while (want - p->len < n && want < p->max)
        want = want > p->max / 2 ? p->max : want * 2;
    if (p->parent == NULL || want - p->len < n) {
        p->failed = true;
        return false;
    }
    bigger = talloc_realloc_size(p->parent, p->buf, want);
    if (bigger == NULL) {
        p->failed = true;
        return false;
    }
    p->buf = bigger;
    p->size = want;
    return true;
}

static int pack_write(void *data, const char *bytes, size_t n)
{
    struct pack *p = data;

    if (!pack_room(p, n))
        return -1;
    memcpy(p->buf + p->len, bytes, n);
    p->len += n;
    return 0;
}

/* Counts the value that is about to be written in what encloses it. */
static msgpack_packer pack_member(struct pack *p)
{
    msgpack_packer pk;

    if (p->depth > 0)
        p->open[p->depth - 1].members++;
    msgpack_packer_init(&pk, p, pack_write);
    return pk;
}

static void pack_open(struct pack *p, bool map)
{
    const char head[3] = {map ? (char)0xde : (char)0xdc, 0, 0};

    (void)pack_member(p);
    if (p->depth == PACK_DEPTH) {
        p->failed = true;
        return;
    }
    p->open[p->depth].at = p->len + 1;
    p->open[p->depth].members = 0;
    p->open[p->depth].map = map;
    p->depth++;
    (void)pack_write(p, head, sizeof head);
}

void pack_array(struct pack *p)
{
    pack_open(p, false);
}

void pack_map(struct pack *p)
{
    pack_open(p, true);
}

void pack_end(struct pack *p)
{
    uint32_t n;

    if (p->depth == 0)
        p->failed = true;
    if (p->failed)
        return;
    p->depth--;
    n = p->open[p->depth].members;
    if (p->open[p->depth].map && n % 2 != 0)
        p->failed = true;
    if (p->open[p->depth].map)
        n /= 2;
    if (n > UINT16_MAX)
        p->failed = true;
    if (p->failed)
        return;
    p->buf[p->open[p->depth].at] = (uint8_t)(n >> 8);
    p->buf[p->open[p->depth].at + 1] = (uint8_t)(n & 0xff);
}

void pack_int(struct pack *p, int64_t v)
{
    msgpack_packer pk = pack_member(p);

    msgpack_pack_int64(&pk, v);
}

void pack_uint(struct pack *p, uint64_t v)
{
    msgpack_packer pk = pack_member(p);

    msgpack_pack_uint64(&pk, v);
}

void pack_double(struct pack *p, double v)
{
    msgpack_packer pk = pack_member(p);

    msgpack_pack_double(&pk, v);
}

void pack_bool(struct pack *p, bool v)
{
    msgpack_packer pk = pack_member(p);

    if (v)
        msgpack_pack_true(&pk);
    else
        msgpack_pack_false(&pk);
}

void pack_nil(struct pack *p)
{
    msgpack_packer pk = pack_member(p);

    msgpack_pack_nil(&pk);
}

void pack_str_n(struct pack *p, const char *s, size_t n)
{
    msgpack_packer pk = pack_member(p);

    msgpack_pack_str(&pk, n);
    msgpack_pack_str_body(&pk, s, n);
}

void pack_str(struct pack *p, const char *s)
{
    if (s == NULL)
        pack_nil(p);
    else
        pack_str_n(p, s, strlen(s));
}

void pack_uuid(struct pack *p, const struct uuid *u)
{
    msgpack_packer pk = pack_member(p);

    msgpack_pack_bin(&pk, sizeof u->b);
    msgpack_pack_bin_body(&pk, u->b, sizeof u->b);
}

int pack_end_frame(struct pack *p)
{
    return p->failed || p->depth != 0 || p->len > INT_MAX ? -EMSGSIZE : (int)p->len;
}

void pack_put_int(struct pack *p, const char *key, int64_t v)
{
    pack_str(p, key);
    pack_int(p, v);
}

void pack_put_bool(struct pack *p, const char *key, bool v)
{
    pack_str(p, key);
    pack_bool(p, v);
}

void pack_put_str(struct pack *p, const char *key, const char *v)
{
    pack_str(p, key);
    pack_str(p, v);
}

/* ---- reader ---- */

void unpack_init(struct unpack *u, const uint8_t *buf, size_t n)
{
    *u = (struct unpack){.buf = buf, .n = n};
}

void unpack_fail(struct unpack *u, const char *fault)
{
    if (u->fault == NULL)
        u->fault = fault;
}

enum unpack_type unpack_peek(const struct unpack *u)
{
    uint8_t c;

    if (u->fault != NULL)
        return UNPACK_BAD;
    if (u->at == u->n)
        return UNPACK_END;
    c = u->buf[u->at];
    if (c <= 0x7f || c >= 0xe0 || (c >= 0xcc && c <= 0xd3))
        return UNPACK_INT;
    if (c <= 0x8f || c == 0xde || c == 0xdf)
        return UNPACK_MAP;
    if (c <= 0x9f || c == 0xdc || c == 0xdd)
        return UNPACK_ARRAY;
    if (c <= 0xbf || (c >= 0xd9 && c <= 0xdb))
        return UNPACK_STR;
    if (c == 0xc0)
        return UNPACK_NIL;
    if (c == 0xc2 || c == 0xc3)
        return UNPACK_BOOL;
    if (c >= 0xc4 && c <= 0xc6)
        return UNPACK_BIN;
    if (c == 0xca || c == 0xcb)
        return UNPACK_DOUBLE;
    return UNPACK_BAD; /* 0xc1, and extension types, which no frame of ours uses */
}

/* Takes n bytes; NULL and a fault if there are fewer. */
static const uint8_t *unpack_take(struct unpack *u, size_t n)
{
    const uint8_t *p;

    if (u->fault != NULL)
        return NULL;
    if (u->n - u->at < n) {
        unpack_fail(u, "the message ends too early");
        return NULL;
    }
    p = u->buf + u->at;
    u->at += n;
    return p;
}

/* A big-endian number of 1, 2, 4 or 8 bytes. */
static uint64_t unpack_be(struct unpack *u, size_t width)
{
    const uint8_t *p = unpack_take(u, width);
    uint64_t v = 0;

    for (size_t i = 0; p != NULL && i < width; i++)
        v = v << 8 | p[i];
    return v;
}

static uint8_t unpack_head(struct unpack *u, enum unpack_type want, const char *fault)
{
    if (unpack_peek(u) != want) {
        unpack_fail(u, unpack_peek(u) == UNPACK_END ? "the message ends too early" : fault);
        return 0;
    }
    return u->buf[u->at++];
}

/* Each member takes at least one byte: a count beyond the rest of the buffer is a lie. */
static uint32_t unpack_count(struct unpack *u, uint64_t n, size_t bytes_each)
{
    if (u->fault == NULL && n > (u->n - u->at) / bytes_each)
        unpack_fail(u, "a count is larger than the message");
    return u->fault == NULL ? (uint32_t)n : 0;
}

uint32_t unpack_array(struct unpack *u)
{
    uint8_t c = unpack_head(u, UNPACK_ARRAY, "an array was expected");

    return unpack_count(u, c == 0xdc ? unpack_be(u, 2) : c == 0xdd ? unpack_be(u, 4) : c & 0x0fu, 1);
}

uint32_t unpack_map(struct unpack *u)
{
    uint8_t c = unpack_head(u, UNPACK_MAP, "a map was expected");

    return unpack_count(u, c == 0xde ? unpack_be(u, 2) : c == 0xdf ? unpack_be(u, 4) : c & 0x0fu, 2);
}

static int64_t sign_extend(uint64_t v, int bytes)
{
    int unused = 64 - 8 * bytes;

    return (int64_t)(v << unused) >> unused;
}

/* Any integer; *negative says how to read the answer's bits. */
static uint64_t unpack_number(struct unpack *u, bool *negative)
{
    uint8_t c = unpack_head(u, UNPACK_INT, "an integer was expected");
    int64_t s = 0;

    *negative = false;
    if (c <= 0x7f)
        return c;
    if (c >= 0xcc && c <= 0xcf)
        return unpack_be(u, (size_t)1 << (c - 0xcc));
    if (c >= 0xd0 && c <= 0xd3)
        s = sign_extend(unpack_be(u, (size_t)1 << (c - 0xd0)), 1 << (c - 0xd0));
    else
        s = sign_extend(c, 1); /* 0xe0 to 0xff: -32 to -1 */
    *negative = s < 0;
    return (uint64_t)s;
}

int64_t unpack_int(struct unpack *u)
{
    bool negative;
    uint64_t v = unpack_number(u, &negative);

    if (!negative && v > INT64_MAX)
        unpack_fail(u, "an integer is out of range");
    return u->fault == NULL ? (int64_t)v : 0;
}

int64_t unpack_int_in(struct unpack *u, int64_t lo, int64_t hi)
{
    int64_t v = unpack_int(u);

    if (u->fault == NULL && (v < lo || v > hi))
        unpack_fail(u, "an integer is out of range");
    return u->fault == NULL ? v : 0;
}

int32_t unpack_i32(struct unpack *u)
{
    return (int32_t)unpack_int_in(u, INT32_MIN, INT32_MAX);
}

uint64_t unpack_uint(struct unpack *u)
{
    bool negative;
    uint64_t v = unpack_number(u, &negative);

    if (negative)
        unpack_fail(u, "an integer is out of range");
    return u->fault == NULL ? v : 0;
}

double unpack_double(struct unpack *u)
{
    uint8_t c = unpack_head(u, UNPACK_DOUBLE, "a floating-point number was expected");
    uint64_t bits = c != 0 ? unpack_be(u, c == 0xca ? 4 : 8) : 0;
    double d = 0;

    if (c == 0xca) {
        uint32_t bits32 = (uint32_t)bits;
        float f;
        memcpy(&f, &bits32, sizeof f);
        return (double)f;
    }
    memcpy(&d, &bits, sizeof d);
    return d;
}

bool unpack_bool(struct unpack *u)
{
    return unpack_head(u, UNPACK_BOOL, "true or false was expected") == 0xc3;
}

void unpack_nil(struct unpack *u)
{
    (void)unpack_head(u, UNPACK_NIL, "nil was expected");
}

const char *unpack_str(struct unpack *u, size_t *n)
{
    uint8_t c = unpack_head(u, UNPACK_STR, "a string was expected");
    const uint8_t *p;

    *n = 0;
    if (u->fault != NULL)
        return NULL;
    *n = c >= 0xd9 ? (size_t)unpack_be(u, (size_t)1 << (c - 0xd9)) : c & 0x1fu;
    p = unpack_take(u, *n);
    if (p == NULL)
        *n = 0;
    return (const char *)p;
}

void unpack_str_copy(struct unpack *u, char *out, size_t size)
{
    size_t n;
    const char *s = unpack_str(u, &n);

    if (s != NULL && (n >= size || memchr(s, '\0', n) != NULL))
        unpack_fail(u, "a string is too long or holds a NUL");
    out[0] = '\0';
    if (s == NULL || u->fault != NULL)
        return;
    memcpy(out, s, n);
    out[n] = '\0';
}

static const uint8_t *unpack_bin(struct unpack *u, size_t *n)
{
    uint8_t c = unpack_head(u, UNPACK_BIN, "bytes were expected");

    *n = c != 0 ? (size_t)unpack_be(u, (size_t)1 << (c - 0xc4)) : 0;
    return unpack_take(u, *n);
}

void unpack_uuid(struct unpack *u, struct uuid *out)
{
    size_t n;
    const uint8_t *p = unpack_bin(u, &n);

    memset(out, 0, sizeof *out);
    if (p != NULL && n != sizeof out->b)
        unpack_fail(u, "an identifier is not 16 bytes long");
    if (p != NULL && u->fault == NULL)
        memcpy(out->b, p, sizeof out->b);
}

static void unpack_skip_at(struct unpack *u, int depth)
{
    size_t n;
    bool negative;

    if (depth > PACK_DEPTH) {
        unpack_fail(u, "the message is nested too deep");
        return;
    }
    switch (unpack_peek(u)) {
    case UNPACK_NIL:
    case UNPACK_BOOL:
        u->at++;
        return;
    case UNPACK_INT:
        (void)unpack_number(u, &negative);
        return;
    case UNPACK_DOUBLE:
        (void)unpack_double(u);
        return;
    case UNPACK_STR:
        (void)unpack_str(u, &n);
        return;
    case UNPACK_BIN:
        (void)unpack_bin(u, &n);
        return;
    case UNPACK_ARRAY:
        for (uint32_t left = unpack_array(u); left > 0 && u->fault == NULL; left--)
            unpack_skip_at(u, depth + 1);
        return;
    case UNPACK_MAP:
        for (uint32_t left = unpack_map(u); left > 0 && u->fault == NULL; left--) {
            unpack_skip_at(u, depth + 1);
            unpack_skip_at(u, depth + 1);
        }
        return;
    case UNPACK_END:
        unpack_fail(u, "the message ends too early");
        return;
    case UNPACK_BAD:
        unpack_fail(u, "a type that docmill does not use");
        return;
    }
}

void unpack_skip(struct unpack *u)
{
    unpack_skip_at(u, 1);
}

int unpack_close(struct unpack *u, struct error *e)
{
    if (u->fault == NULL && u->at != u->n)
        unpack_fail(u, "bytes are left over after the message");
    if (u->fault == NULL)
        return 0;
    return reason_error(e, REASON_bad_frame, EPROTO, "Malformed message: %s (byte %zu of %zu).", u->fault, u->at, u->n);
}
