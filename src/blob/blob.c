/*
 * blob.c - the blob store: hashing, checking, and the choice of a backend
 *
 * Size and SHA-256 are computed here as bytes pass, whatever the backend. A view is hashed whole before the caller sees
 * a byte of it. Small blobs are read into private memory, so what was hashed is what is used; larger ones are mapped,
 * which is safe as blobs are replaced by rename and never written in place.
 *
 * Diagnostics: struct error with a reason of the blob_* family; nothing is logged.
 *
 * Depends on base, core.
 */
#include "blob/blob.h"
#include "blob/backend.h"
#include "core/reason.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

/* Up to here a copy costs less than the page faults of a mapping. */
#define VIEW_COPY_MAX_BYTES (1024 * 1024)

static const struct blob_backend *const backends[] = {&blob_fs, &blob_s3, &blob_supabase};

struct blob_store {
    const struct blob_backend *ops;
    void *state;
};

struct blob_writer {
    struct blob_store *store;
    struct uuid user;
    void *state;
    struct sha256 *sha;
    int64_t size;
    bool hashed; /* hash is final */
    uint8_t hash[SHA256_BYTES];
};

int blob_error(struct error *e, int err, const char *doing)
{
    enum reason r;

    switch (err) {
    case ENOENT:
        r = REASON_blob_absent;
        break;
    case EACCES:
    case EPERM:
    case EROFS:
        r = REASON_blob_denied;
        break;
    case ENOSPC:
    case EDQUOT:
        r = REASON_blob_full;
        break;
    case EAGAIN:
    case EINTR:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ESTALE:
    case ETIMEDOUT:
        r = REASON_blob_busy;
        break;
    default:
        r = REASON_blob_broken;
    }
    return reason_error(e, r, err, "%s: %s", doing, strerror(err));
}

struct blob_store *blob_open(const void *talloc_parent, const struct conf *c, struct error *e)
{
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        if (c->blob_backend == NULL || strcmp(c->blob_backend, backends[i]->name) != 0)
            continue;
        struct blob_store *s = talloc_zero(talloc_parent, struct blob_store);
        if (s == NULL) {
            blob_error(e, ENOMEM, "cannot open the blob store");
            return NULL;
        }
        s->ops = backends[i];
        s->state = s->ops->open(s, c, e);
        if (s->state == NULL)
            TALLOC_FREE(s);
        return s;
    }
    reason_error(e, REASON_blob_broken, EINVAL, "blob.backend \"%s\" is not known",
                 c->blob_backend == NULL ? "" : c->blob_backend);
    return NULL;
}

void blob_set_hooks(struct blob_store *s, const struct blob_hooks *hooks)
{
    if (s->ops->hooks != NULL)
        s->ops->hooks(s->state, hooks);
}

bool blob_is_remote(const struct conf *c)
{
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++)
        if (c->blob_backend != NULL && strcmp(c->blob_backend, backends[i]->name) == 0)
            return backends[i]->hooks != NULL;
    return false;
}

char *blob_url(struct blob_store *s, const void *ctx, const struct uuid *user, const uint8_t sha256[SHA256_BYTES],
               int expires_s, struct error *e)
{
    if (s->ops->url != NULL)
        return s->ops->url(s->state, ctx, user, sha256, expires_s, e);
    reason_error(e, REASON_blob_denied, ENOTSUP, "the blob store %s gives out no URLs", s->ops->name);
    return NULL;
}

static int writer_destroy(struct blob_writer *w)
{
    sha256_free(&w->sha);
    return 0;
}

struct blob_writer *blob_begin(struct blob_store *s, const struct uuid *user, struct error *e)
{
    struct blob_writer *w = talloc_zero(s, struct blob_writer);

    if (w == NULL) {
        blob_error(e, ENOMEM, "cannot begin a blob");
        return NULL;
    }
    talloc_set_destructor(w, writer_destroy);
    w->store = s;
    w->user = *user;
    w->sha = sha256_new();
    if (w->sha == NULL) {
        blob_error(e, ENOMEM, "cannot begin a blob");
        TALLOC_FREE(w);
        return NULL;
    }
    w->state = s->ops->begin(w, s->state, user, e);
    if (w->state == NULL)
        TALLOC_FREE(w);
    return w;
}

int blob_write(struct blob_writer *w, const void *p, size_t n, struct error *e)
{
    int rc;

    if (w->hashed)
        return reason_error(e, REASON_internal, EINVAL, "a blob was written to after its hash was taken");
    rc = w->store->ops->write(w->state, p, n, e);
    if (rc < 0)
        return rc;
    sha256_update(w->sha, p, n);
    w->size += (int64_t)n;
    return 0;
}

const uint8_t *blob_writer_hash(struct blob_writer *w)
{
    if (!w->hashed)
        sha256_final(w->sha, w->hash);
    w->hashed = true;
    return w->hash;
}

int blob_commit(struct blob_writer **w, uint8_t sha256[SHA256_BYTES], int64_t *size, struct error *e)
{
    struct blob_writer *one = *w;
    int rc;

    memcpy(sha256, blob_writer_hash(one), SHA256_BYTES);
    rc = one->store->ops->commit(one->state, &one->user, sha256, e);
    if (rc == 0 && size != NULL)
        *size = one->size;
    TALLOC_FREE(*w);
    return rc;
}

void blob_abort(struct blob_writer **w)
{
    TALLOC_FREE(*w);
}

int64_t blob_written(const struct blob_writer *w)
{
    return w->size;
}

int blob_writer_fd(const struct blob_writer *w)
{
    return w->store->ops->peek(w->state);
}

/* Is the blob there, whole, and will it stay? Any doubt is "no": then it is written again. Its idle time begins anew
 * before it is looked at: what is seen then stays. */
static bool already_there(struct blob_store *s, const struct uuid *user, const uint8_t sha256[SHA256_BYTES], size_t n)
{
    struct blob_view v;

    if (s->ops->touch(s->state, user, sha256, NULL) < 0 || blob_view(s, user, sha256, (int64_t)n, &v, NULL) < 0)
        return false;
    blob_unview(&v);
    return true;
}

int blob_put(struct blob_store *s, const struct uuid *user, const void *p, size_t n, uint8_t sha256[SHA256_BYTES],
             struct error *e)
{
    struct blob_writer *w;
    int rc;

    sha256_of(p, n, sha256);
    if (already_there(s, user, sha256, n))
        return 0;
    w = blob_begin(s, user, e);
    if (w == NULL)
        return -EIO;
    rc = blob_write(w, p, n, e);
    if (rc < 0) {
        blob_abort(&w);
        return rc;
    }
    return blob_commit(&w, sha256, NULL, e);
}

/* Reads n bytes into fresh private memory. */
static void *view_copy(int fd, size_t n)
{
    char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t have = 0;

    if (p == MAP_FAILED)
        return MAP_FAILED;
    while (have < n) {
        ssize_t got = pread(fd, p + have, n - have, (off_t)have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            int saved = got == 0 ? EIO : errno;
            munmap(p, n);
            errno = saved;
            return MAP_FAILED;
        }
        have += (size_t)got;
    }
    (void)mprotect(p, n, PROT_READ);
    return p;
}

static int view_corrupt(struct error *e, const char *what)
{
    return reason_error(e, REASON_blob_corrupt, EBADMSG, "a stored blob %s", what);
}

static int view_open(struct blob_view *v, int64_t size, const uint8_t sha256[SHA256_BYTES], struct error *e)
{
    struct stat st;
    uint8_t found[SHA256_BYTES];
    void *p = NULL;

    if (fstat(v->fd, &st) < 0)
        return blob_error(e, errno, "cannot read a blob");
    if (!S_ISREG(st.st_mode) || (size >= 0 && st.st_size != size))
        return view_corrupt(e, "does not have the size that was recorded for it");
    if (st.st_size > 0) {
        size_t n = (size_t)st.st_size;
        p = n <= VIEW_COPY_MAX_BYTES ? view_copy(v->fd, n) : mmap(NULL, n, PROT_READ, MAP_PRIVATE, v->fd, 0);
        if (p == MAP_FAILED)
            return blob_error(e, errno, "cannot read a blob");
        v->data = p;
        v->size = n;
    }
    sha256_of(v->data == NULL ? "" : v->data, v->size, found);
    if (memcmp(found, sha256, SHA256_BYTES) != 0)
        return view_corrupt(e, "does not have the SHA-256 that was recorded for it");
    return 0;
}

int blob_view(struct blob_store *s, const struct uuid *user, const uint8_t sha256[SHA256_BYTES], int64_t size,
              struct blob_view *v, struct error *e)
{
    int rc;

    *v = (struct blob_view){.fd = -1};
    rc = s->ops->fetch(s->state, user, sha256, e);
    if (rc < 0)
        return rc;
    v->fd = rc;
    rc = view_open(v, size, sha256, e);
    if (rc < 0)
        blob_unview(v);
    return rc;
}

void blob_unview(struct blob_view *v)
{
    if (v->data != NULL)
        munmap((void *)(uintptr_t)v->data, v->size);
    if (v->fd >= 0)
        close(v->fd);
    *v = (struct blob_view){.fd = -1};
}

int blob_list(struct blob_store *s, char cursor[BLOB_CURSOR_BYTES], int64_t idle_ms, struct blob_name *names, int max,
              struct error *e)
{
    return s->ops->list(s->state, cursor, idle_ms, names, max, e);
}

int blob_remove_idle(struct blob_store *s, const struct blob_name *name, int64_t idle_ms, int64_t not_after_ms,
                     struct error *e)
{
    return s->ops->remove_idle(s->state, name, idle_ms, not_after_ms, e);
}

int blob_belongs(struct blob_store *s, const struct uuid *database, struct error *e)
{
    return s->ops->belongs(s->state, database, e);
}

int blob_probe(struct blob_store *s, struct error *e)
{
    return s->ops->probe(s->state, e);
}

int blob_sweep(struct blob_store *s, int64_t age_ms, struct error *e)
{
    return s->ops->sweep(s->state, age_ms, e);
}
