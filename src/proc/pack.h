/*
 * pack.h - msgpack, written into a bounded buffer and read without trust
 *
 * Writer and reader of docmill's frames. Both are sticky: after the first fault every call does nothing, and the fault
 * is asked for once, at the end (pack_end_frame, unpack_close). Arrays and maps count their own members.
 *
 * The writer stands on msgpack-c's packer. The reader is a cursor of our own: msgpack-c's unpacker allocates what a
 * header announces before the bytes are there, so that five bytes could ask for gigabytes.
 *
 * Depends on base.
 */
#ifndef PROC_PACK_H
#define PROC_PACK_H

#include "base/error.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACK_DEPTH 8 /* nested arrays and maps */

struct pack {
    uint8_t *buf;
    size_t size, len;
    size_t max;         /* with grow: the most it may become */
    const void *parent; /* talloc owner of a growing buffer; NULL: buf is the caller's and fixed */
    bool failed;
    int depth;
    struct {
        size_t at; /* where the 16-bit count stands */
        uint32_t members;
        bool map;
    } open[PACK_DEPTH];
};

void pack_init(struct pack *p, uint8_t *buf, size_t size);
void pack_init_growing(struct pack *p, const void *talloc_parent, size_t max);
void pack_array(struct pack *p);
void pack_map(struct pack *p);
void pack_end(struct pack *p); /* closes the innermost array or map */
void pack_int(struct pack *p, int64_t v);
void pack_uint(struct pack *p, uint64_t v);
void pack_double(struct pack *p, double v);
void pack_bool(struct pack *p, bool v);
void pack_nil(struct pack *p);
void pack_str(struct pack *p, const char *s); /* NULL: nil */
void pack_str_n(struct pack *p, const char *s, size_t n);
void pack_uuid(struct pack *p, const struct uuid *u); /* 16 bytes of bin */
/* Bytes written, or -EMSGSIZE: it did not fit, or something was left open. */
int pack_end_frame(struct pack *p) MUST_CHECK;

/* Members of a map. */
void pack_put_int(struct pack *p, const char *key, int64_t v);
void pack_put_bool(struct pack *p, const char *key, bool v);
void pack_put_str(struct pack *p, const char *key, const char *v);

enum unpack_type {
    UNPACK_END,
    UNPACK_NIL,
    UNPACK_BOOL,
    UNPACK_INT,
    UNPACK_DOUBLE,
    UNPACK_STR,
    UNPACK_BIN,
    UNPACK_ARRAY,
    UNPACK_MAP,
    UNPACK_BAD
};

struct unpack {
    const uint8_t *buf;
    size_t n, at;
    const char *fault; /* NULL: none so far; a static text */
};

void unpack_init(struct unpack *u, const uint8_t *buf, size_t n);
enum unpack_type unpack_peek(const struct unpack *u);
uint32_t unpack_array(struct unpack *u); /* number of members that follow, never more than there are bytes */
uint32_t unpack_map(struct unpack *u);   /* number of pairs that follow */
int64_t unpack_int(struct unpack *u);
int64_t unpack_int_in(struct unpack *u, int64_t lo, int64_t hi);
int32_t unpack_i32(struct unpack *u);
uint64_t unpack_uint(struct unpack *u);
double unpack_double(struct unpack *u);
bool unpack_bool(struct unpack *u);
void unpack_nil(struct unpack *u);
const char *unpack_str(struct unpack *u, size_t *n); /* points into the buffer, not terminated */
/* Terminated; a fault if it does not fit or holds a NUL. */
void unpack_str_copy(struct unpack *u, char *out, size_t size);
void unpack_uuid(struct unpack *u, struct uuid *out);
void unpack_skip(struct unpack *u); /* one value, nested at most PACK_DEPTH deep */
void unpack_fail(struct unpack *u, const char *fault);
/* 0, or -EPROTO with *e (may be NULL): the first fault, or bytes left over. */
int unpack_close(struct unpack *u, struct error *e) MUST_CHECK;

#endif
