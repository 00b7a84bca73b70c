/*
 * backend.h - what a blob backend has to do
 *
 * blob.c owns the hashing, the size and the check on reading; a backend only moves bytes. It never sees a name that a
 * client chose: the key is made of the user's id and the SHA-256.
 *
 * Private to src/blob.
 */
#ifndef BLOB_BACKEND_H
#define BLOB_BACKEND_H

#include "blob/blob.h"

struct blob_backend {
    const char *name; /* as blob.backend spells it */
    /* Makes the backend's own state, a talloc child of parent. */
    void *(*open)(const void *parent, const struct conf *c, struct error *e);
    void (*hooks)(void *store, const struct blob_hooks *hooks); /* NULL: nothing is waited for */
    /* A place for bytes that has no key yet: a talloc child of parent, whose destructor removes what was written. */
    void *(*begin)(const void *parent, void *store, const struct uuid *user, struct error *e);
    int (*write)(void *writer, const void *p, size_t n, struct error *e);
    int (*peek)(const void *writer); /* a readable descriptor of what was written, kept by the writer */
    /* Makes the bytes durable under their key, over whatever was there. */
    int (*commit)(void *writer, const struct uuid *user, const uint8_t sha256[SHA256_BYTES], struct error *e);
    /* A readable local descriptor, at offset 0, of the bytes under the key; they are not checked yet. */
    int (*fetch)(void *store, const struct uuid *user, const uint8_t sha256[SHA256_BYTES], struct error *e);
    /* Begins the blob's idle time anew. An error (blob_absent) if it is not there; a backend that cannot do it says so
     * always, and the bytes are written again. */
    int (*touch)(void *store, const struct uuid *user, const uint8_t sha256[SHA256_BYTES], struct error *e);
    /* See blob_list. The cursor is the backend's own text: a path, or the key after which a listing goes on. */
    int (*list)(void *store, char cursor[BLOB_CURSOR_BYTES], int64_t idle_ms, struct blob_name *names, int max,
                struct error *e);
    /* See blob_remove_idle. To look and to remove must be one step to every commit and touch: a lock (fs), or a removal
     * on condition of the version that was looked at. */
    int (*remove_idle)(void *store, const struct blob_name *name, int64_t idle_ms, int64_t not_after_ms,
                       struct error *e);
    int (*belongs)(void *store, const struct uuid *database, struct error *e);
    int (*probe)(void *store, struct error *e);
    int (*sweep)(void *store, int64_t age_ms, struct error *e);
    /* NULL: there are none. */
    char *(*url)(void *store, const void *ctx, const struct uuid *user, const uint8_t sha256[SHA256_BYTES],
                 int expires_s, struct error *e);
};

extern const struct blob_backend blob_fs, blob_s3, blob_supabase;

/* The reason that an errno of the store stands for, in one place. `doing` is a phrase: "cannot write a blob". */
int blob_error(struct error *e, int err, const char *doing);

#endif
