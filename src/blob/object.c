/*
 * object.c - the object stores' blob backend: spool here, name there
 *
 * Bytes are spooled into an unlinked local file while they are hashed, since a store takes a size and a hash before it
 * takes the bytes; only when they are whole are they sent, under their final name, in one step to every reader. They are
 * durable when the store says so. What is read comes into an unlinked file and is checked by blob.c like any other.
 *
 * Diagnostics: reasons of the blob_* family. Depends on base, core, http.
 */
#include "blob/object.h"
#include "core/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#define WAIT_REMOVAL_MS   250
#define WAIT_REMOVAL_MORE 60 /* times */

struct object_writer {
    struct object_store *store;
    int fd;
    int64_t size;
};

void object_key(char out[OBJECT_KEY_BYTES], const struct uuid *user, const uint8_t sha256[SHA256_BYTES])
{
    char u[UUID_TEXT_LEN + 1], hex[SHA256_HEX_LEN + 1];

    uuid_format(user, u);
    hex_encode(sha256, SHA256_BYTES, hex);
    snprintf(out, OBJECT_KEY_BYTES, "%s/%.2s/%s", u, hex, hex);
}

int object_spool(const char *dir, struct error *e)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0)
        return fd;
    blob_error(e, errno == ENOENT ? EIO : errno, "cannot make a temporary file in blob.spool");
    return -EIO;
}

static int store_destroy(struct object_store *s)
{
    http_free(&s->net.http);
    return 0;
}

static void *object_open(const void *parent, const struct object_ops *ops, const struct conf *c, struct error *e)
{
    struct object_store *s = talloc_zero(parent, struct object_store);

    if (s == NULL) {
        blob_error(e, ENOMEM, "cannot open the blob store");
        return NULL;
    }
    talloc_set_destructor(s, store_destroy);
    s->ops = ops;
    s->net.conf = c;
    s->spool = c->blob_spool;
    s->state = ops->open(s, &s->net, c, e);
    if (s->state == NULL)
        TALLOC_FREE(s);
    return s;
}

static void *s3_open(const void *parent, const struct conf *c, struct error *e)
{
    return object_open(parent, &object_s3, c, e);
}

static void *supabase_open(const void *parent, const struct conf *c, struct error *e)
{
    return object_open(parent, &object_supabase, c, e);
}

static void object_hooks(void *store, const struct blob_hooks *hooks)
{
    ((struct object_store *)store)->net.hooks = *hooks;
}

/* ---- writing ---- */

static int writer_destroy(struct object_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    return 0;
}

static void *object_begin(const void *parent, void *store, const struct uuid *user, struct error *e)
{
    struct object_writer *w = talloc_zero(parent, struct object_writer);

    (void)user;
    if (w == NULL) {
        blob_error(e, ENOMEM, "cannot begin a blob");
        return NULL;
    }
    w->store = store;
    w->fd = object_spool(w->store->spool, e);
    talloc_set_destructor(w, writer_destroy);
    if (w->fd < 0)
        TALLOC_FREE(w);
    return w;
}

static int object_write(void *writer, const void *p, size_t n, struct error *e)
{
    struct object_writer *w = writer;
    const char *at = p;

    while (n > 0) {
        ssize_t put = write(w->fd, at, n);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return blob_error(e, errno, "cannot spool a blob");
        at += put;
        n -= (size_t)put;
        w->size += put;
    }
    return 0;
}

static int object_peek(const void *writer)
{
    return ((const struct object_writer *)writer)->fd;
}

/* A blob that is put while somebody removes it may be gone afterwards, so it is put again when the removal is over. */
static int object_commit(void *writer, const struct uuid *user, const uint8_t sha256[SHA256_BYTES], struct error *e)
{
    struct object_writer *w = writer;
    struct object_store *s = w->store;
    char key[OBJECT_KEY_BYTES];
    int rc, waits = 0;

    object_key(key, user, sha256);
    do {
        rc = s->ops->put(s->state, key, w->fd, w->size, sha256, false, e);
        if (rc == 0)
            rc = object_marked(s, user, sha256, e);
        if (rc <= 0)
            return rc;
        while (rc == 1 && waits++ < WAIT_REMOVAL_MORE) {
            object_pause(&s->net, WAIT_REMOVAL_MS);
            rc = object_marked(s, user, sha256, e);
        }
    } while (rc == 0);
    return rc < 0 ? rc
                  : reason_error(e, REASON_blob_busy, EBUSY, "the same bytes are being removed from the blob store");
}

/* ---- reading ---- */

static int object_fetch(void *store, const struct uuid *user, const uint8_t sha256[SHA256_BYTES], struct error *e)
{
    struct object_store *s = store;
    char key[OBJECT_KEY_BYTES];
    int fd = object_spool(s->spool, e), rc;

    if (fd < 0)
        return fd;
    object_key(key, user, sha256);
    rc = s->ops->get(s->state, key, fd, e);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

static int object_touch(void *store, const struct uuid *user, const uint8_t sha256[SHA256_BYTES], struct error *e)
{
    struct object_store *s = store;
    char key[OBJECT_KEY_BYTES];
    int rc;

    if (s->ops->touch == NULL)
        return reason_error(e, REASON_blob_absent, ENOENT, "this blob store cannot touch a blob");
    object_key(key, user, sha256);
    rc = s->ops->touch(s->state, key, e);
    if (rc == 0)
        rc = object_marked(s, user, sha256, e);
    return rc == 1 ? reason_error(e, REASON_blob_absent, ENOENT, "the blob is being removed") : rc;
}

static char *object_url(void *store, const void *ctx, const struct uuid *user, const uint8_t sha256[SHA256_BYTES],
                        int expires_s, struct error *e)
{
    struct object_store *s = store;
    char key[OBJECT_KEY_BYTES];

    object_key(key, user, sha256);
    return s->ops->url(s->state, ctx, key, expires_s, e);
}

/* ---- does it work? ---- */

static int probe_with(struct object_store *s, int fd, int back, struct error *e)
{
    static const char text[] = "docmill probe\n";
    char key[OBJECT_KEY_BYTES], id_text[UUID_TEXT_LEN + 1], found[sizeof text] = "";
    uint8_t sha256[SHA256_BYTES];
    struct uuid id;
    struct error other;
    int rc, removed;

    uuid_v4(&id);
    uuid_format(&id, id_text);
    snprintf(key, sizeof key, OBJECT_PROBE_DIR "/%s", id_text);
    sha256_of(text, sizeof text, sha256);
    if (pwrite(fd, text, sizeof text, 0) != (ssize_t)sizeof text)
        return blob_error(e, ENOSPC, "the blob store failed its probe");
    rc = s->ops->put(s->state, key, fd, sizeof text, sha256, false, e);
    if (rc < 0)
        return rc == -ENOENT ? reason_error(e, REASON_blob_broken, EIO, "the blob store did not take a probe") : rc;
    if (rc == 0)
        rc = s->ops->get(s->state, key, back, e);
    if (rc == 0 &&
        (pread(back, found, sizeof found, 0) != (ssize_t)sizeof found || memcmp(found, text, sizeof text) != 0))
        rc = reason_error(e, REASON_blob_broken, EIO, "the blob store did not give back what was put into it");
    removed = s->ops->remove(s->state, key, rc == 0 ? e : &other); /* what stays is swept */
    if (rc == 0)
        rc = removed;
    if (rc == -ENOENT) /* no blob is absent: the bucket or the way to it is wrong */
        return reason_error(e, REASON_blob_broken, EIO, "the blob store did not keep what was put into it");
    return rc;
}

static int object_probe(void *store, struct error *e)
{
    struct object_store *s = store;
    int fd = object_spool(s->spool, e), back, rc;

    if (fd < 0)
        return fd;
    back = object_spool(s->spool, e);
    rc = back < 0 ? back : probe_with(s, fd, back, e);
    if (back >= 0)
        close(back);
    close(fd);
    return rc;
}

#define OBJECT_BACKEND(spelled, opener)                                                                                \
    {                                                                                                                  \
        .name = spelled, .open = opener, .hooks = object_hooks, .begin = object_begin, .write = object_write,          \
        .peek = object_peek, .commit = object_commit, .fetch = object_fetch, .touch = object_touch,                    \
        .list = object_list, .remove_idle = object_remove_idle, .belongs = object_belongs, .probe = object_probe,      \
        .sweep = object_sweep, .url = object_url                                                                       \
    }

const struct blob_backend blob_s3 = OBJECT_BACKEND("s3", s3_open);
const struct blob_backend blob_supabase = OBJECT_BACKEND("supabase", supabase_open);
