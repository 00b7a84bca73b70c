/*
 * zip_make.h - makes archives for tests, honest or lying: stored or already deflated entries, any claimed size
 *
 * zip_add() until done, then zip_finish() gives the bytes, valid until zip_drop(), which also readies the maker for
 * the next archive. No checks: a lying archive is what some tests want.
 */
#ifndef ZIP_MAKE_H
#define ZIP_MAKE_H

#include <stddef.h>
#include <stdint.h>

struct zip_maker {
    unsigned char *data, *directory;
    size_t n, dir_n;
    unsigned entries;
    uint16_t comment; /* bytes of comment after the end record */
};

void zip_add(struct zip_maker *z, const char *name, const void *p, size_t n);
/* A stored entry whose directory claims another unpacked size and flags (bit 0: encrypted). */
void zip_add_claiming(struct zip_maker *z, const char *name, const void *p, size_t n, uint64_t unpacked,
                      uint16_t flags);
/* A deflated entry; claimed < 0: the true size. */
void zip_add_deflated(struct zip_maker *z, const char *name, const void *p, size_t n, int64_t claimed);
const void *zip_finish(struct zip_maker *z, size_t *n);
void zip_drop(struct zip_maker *z);

#endif
