/*
 * blob.h - where bytes are kept: a small table of functions a backend
 *
 * A blob is named by user and SHA-256: key user/sha256[:2]/sha256, made here from ids, never from a client's text.
 * Writing is streaming: the store computes size and SHA-256 itself; commit makes the bytes durable (written beside,
 * synced, renamed, directories synced) and only then returns the name. The same bytes twice are one blob. Reading
 * checks: the whole content is hashed again and a difference is blob_corrupt, before the caller may believe a byte.
 *
 * Removing. A name is its content, so the same name may come again at any moment: while one process removes what nobody
 * names any more, another may commit the same bytes for a new document. Hence one promise, which each backend keeps by
 * its own means: bytes that were committed, or put, are not removed before they have been idle for the time that the
 * remover names (by the store's own clock; a commit or a put of the same bytes begins it anew). What removes, and why
 * that is enough, is in role/worker/leftovers.c.
 *
 * Errors map to reasons: blob_absent, blob_denied, blob_busy, blob_full, blob_broken, blob_corrupt.
 *
 * Depends on base, core, http.
 */
#ifndef BLOB_BLOB_H
#define BLOB_BLOB_H

#include "base/hash.h"
#include "base/uuid.h"
#include "core/conf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blob_store;
struct blob_writer;

struct blob_store *blob_open(const void *talloc_parent, const struct conf *c, struct error *e) MUST_CHECK;

/* While a store is waited for (object stores; blob_open, blob_begin and blob_write never wait): tick comes at least every
 * 100 ms, and stop ends the waiting with the reason `draining`. Either may be NULL. */
struct blob_hooks {
    void (*tick)(void *arg);
    bool (*stop)(void *arg);
    void *arg;
};
void blob_set_hooks(struct blob_store *s, const struct blob_hooks *hooks);
/* Whether the configured store is reached over a network, so that calls take their time. */
bool blob_is_remote(const struct conf *c);

/* Streaming write. abort removes everything that was written; commit frees the writer in either case and, on success,
 * fills hash and size. A writer that is neither (a killed process) leaves a file that blob_sweep removes. */
struct blob_writer *blob_begin(struct blob_store *s, const struct uuid *user, struct error *e) MUST_CHECK;
int blob_write(struct blob_writer *w, const void *p, size_t n, struct error *e) MUST_CHECK;
/* The hash of what was written: the last word, nothing can be written after it. */
const uint8_t *blob_writer_hash(struct blob_writer *w);
int blob_commit(struct blob_writer **w, uint8_t sha256[SHA256_BYTES], int64_t *size, struct error *e) MUST_CHECK;
void blob_abort(struct blob_writer **w);
/* The running size. */
int64_t blob_written(const struct blob_writer *w);
/* The bytes so far, for a look at them before the commit: the writer's own descriptor, to be read with pread only. */
int blob_writer_fd(const struct blob_writer *w);

/* In one call, for derived text; no write at all if the blob is already there with the right size and hash, but its
 * idle time begins anew. */
int blob_put(struct blob_store *s, const struct uuid *user, const void *p, size_t n, uint8_t sha256[SHA256_BYTES],
             struct error *e) MUST_CHECK;

/* A verified read-only view of a whole blob. fs maps the file; others download into an unlinked file. size: as
 * recorded, or -1 when only the hash is known. */
struct blob_view {
    const char *data; /* page aligned; not NUL-terminated; NULL if size is 0 */
    size_t size;
    int fd; /* readable, at offset 0; for handing to a parser */
};
int blob_view(struct blob_store *s, const struct uuid *user, const uint8_t sha256[SHA256_BYTES], int64_t size,
              struct blob_view *v, struct error *e) MUST_CHECK;
void blob_unview(struct blob_view *v);

/* A URL by which anybody can read the blob for expires_s, without a key: a talloc child of ctx. NULL with *e; fs has
 * none. */
char *blob_url(struct blob_store *s, const void *ctx, const struct uuid *user, const uint8_t sha256[SHA256_BYTES],
               int expires_s, struct error *e) MUST_CHECK;

/* ---- removing what nobody names ---- */

struct blob_name {
    struct uuid user;
    uint8_t sha256[SHA256_BYTES];
};

#define BLOB_CURSOR_BYTES 128 /* with the NUL */

/* The next names of blobs that have been idle for idle_ms, in an order of the store's own that does not change; `cursor`
 * ("" at first) is moved on, and is "" again after the last. At most max; fewer do not mean the end. Returns how many. */
int blob_list(struct blob_store *s, char cursor[BLOB_CURSOR_BYTES], int64_t idle_ms, struct blob_name *names, int max,
              struct error *e) MUST_CHECK;
/* Removes a blob if it is still idle for idle_ms, and only before not_after_ms of the monotonic clock. 1: removed,
 * 0: kept, or not there. */
int blob_remove_idle(struct blob_store *s, const struct blob_name *name, int64_t idle_ms, int64_t not_after_ms,
                     struct error *e) MUST_CHECK;
/* A store belongs to the first database that says so. -EEXIST (blob_denied): it is another's. */
int blob_belongs(struct blob_store *s, const struct uuid *database, struct error *e) MUST_CHECK;
/* Writes, syncs and removes a small blob: is the store usable? */
int blob_probe(struct blob_store *s, struct error *e) MUST_CHECK;
/* Removes abandoned half-written files older than age_ms (by the store's own clock); returns how many. */
int blob_sweep(struct blob_store *s, int64_t age_ms, struct error *e) MUST_CHECK;

#endif
