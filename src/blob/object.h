/*
 * object.h - inside of the object stores (s3, supabase): what they share, and what each has to do
 *
 *   object.c       a blob backend over object_ops: spooling, naming, touching, probing
 *   object_idle.c  listing and removing what is idle; whose store it is
 *   object_net.c   requests with retries; from an answer to a reason
 *   s3.c, s3_parts.c, sigv4.c, xml.c      S3
 *   supabase.c                            Supabase Storage
 *
 * Nothing here runs in an event loop: every call may wait, with deadlines, and ticks meanwhile. Opening, beginning and
 * writing touch the local spool only.
 */
#ifndef BLOB_OBJECT_H
#define BLOB_OBJECT_H

#include "blob/backend.h"
#include "http/http.h"

#include <stdbool.h>

#define OBJECT_KEY_BYTES  256 /* with the NUL; without the configured prefix */
#define OBJECT_PAGE       1000
#define OBJECT_TRIES      4
#define OBJECT_STALE_MS   (INT64_C(20) * 60 * 1000) /* above the 15 minutes for which a store takes a signature */
#define OBJECT_MARKER_DIR "removing"
#define OBJECT_PROBE_DIR  ".probe"

/* The way to the service: one engine, made when it is first needed. */
struct object_net {
    const struct conf *conf;
    struct http_engine *http;
    struct blob_hooks hooks;
};

struct object_entry {
    char key[OBJECT_KEY_BYTES];
    int64_t age_ms; /* by the store's clock */
};

struct object_ops {
    const char *name;
    void *(*open)(const void *parent, struct object_net *net, const struct conf *c, struct error *e);
    /* The whole of fd under key. only_new: -EEXIST (blob_busy) instead of replacing, where the store can tell. */
    int (*put)(void *state, const char *key, int fd, int64_t len, const uint8_t sha256[SHA256_BYTES], bool only_new,
               struct error *e);
    int (*get)(void *state, const char *key, int fd, struct error *e);
    /* Makes it young again where it is. NULL: the store cannot. */
    int (*touch)(void *state, const char *key, struct error *e);
    /* One request, never repeated. 0 also if there is none. */
    int (*remove)(void *state, const char *key, struct error *e);
    /* Keys beginning with prefix and after `after`, in order; at most max. more: there are further ones. */
    int (*list)(void *state, const char *prefix, const char *after, struct object_entry *out, int max, bool *more,
                struct error *e);
    int (*sweep)(void *state, int64_t age_ms, struct error *e); /* NULL: nothing is left half done */
    char *(*url)(void *state, const void *ctx, const char *key, int expires_s, struct error *e);
};

struct object_store {
    const struct object_ops *ops;
    void *state;
    struct object_net net;
    const char *spool;
};

extern const struct object_ops object_s3, object_supabase;

void object_key(char out[OBJECT_KEY_BYTES], const struct uuid *user, const uint8_t sha256[SHA256_BYTES]);
int object_spool(const char *dir, struct error *e) MUST_CHECK; /* an unlinked file's descriptor */
/* 1: somebody is removing this blob right now, 0: nobody, or negative. Takes away the marks of who died over it. */
int object_marked(struct object_store *s, const struct uuid *user, const uint8_t sha256[SHA256_BYTES],
                  struct error *e) MUST_CHECK;

int object_list(void *store, char cursor[BLOB_CURSOR_BYTES], int64_t idle_ms, struct blob_name *names, int max,
                struct error *e) MUST_CHECK;
int object_remove_idle(void *store, const struct blob_name *name, int64_t idle_ms, int64_t not_after_ms,
                       struct error *e) MUST_CHECK;
int object_belongs(void *store, const struct uuid *database, struct error *e) MUST_CHECK;
int object_sweep(void *store, int64_t age_ms, struct error *e) MUST_CHECK;

/* One request; 0 with any answer. Fills in deadlines. */
int object_exchange(struct object_net *net, const void *ctx, struct http_request *q, struct http_response *r,
                    struct error *e) MUST_CHECK;
/* Whether it makes sense to send it again; if so, has waited a little. `try_no` counts from 0. */
bool object_again(struct object_net *net, const struct http_response *r, int try_no);
void object_pause(struct object_net *net, int64_t ms);
/* From a request without an answer to a reason of the blob_* family; returns the code. */
int object_unanswered(const struct http_response *r, const char *doing, struct error *e);
/* From a status and the store's own code to one. */
int object_refused(const char *store, int status, const char *code, const char *doing, struct error *e);
/* "2013-05-24T00:00:00.000Z", or "Fri, 24 May 2013 00:00:00 GMT": milliseconds since 1970, or -1. */
int64_t object_time_ms(const char *text);
/* The store's clock at this answer; this machine's where the answer has none. */
int64_t object_now_ms(const struct http_response *r);

/* The text of the first <tag> at or after `at`, decoded; returns what stands behind it. NULL if there is none before
 * `end` (a tag such as "</Contents>", or NULL), or if it does not fit. */
const char *xml_text(const char *at, const char *end, const char *tag, char *out, size_t size);

#endif
