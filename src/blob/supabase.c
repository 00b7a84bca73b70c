/*
 * supabase.c - blobs in Supabase Storage, by its own interface
 *
 * The key is the project's service key: it goes into two headers and nowhere else. Storage answers 400 to much that is
 * something else and says what in the body, so the body's code decides before the status. A listing shows one folder at a
 * time, in order of name; walking user/aa/hash is done here, folder by folder, at most FOLDERS of them a call.
 *
 * Storage has no way to make an object young where it is; the bytes are put again (x-upsert).
 *
 * Diagnostics: reasons of the blob_* family. Depends on base, core, http, jansson.
 */
#include "blob/object.h"
#include "blob/sigv4.h"
#include "core/reason.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define MAX_GET ((size_t)64 * 1024 * 1024 * 1024)
#define PAGE    1000
#define FOLDERS 300

struct supabase {
    struct object_net *net;
    const char *base; /* https://ref.supabase.co/storage/v1 */
    const char *bucket, *prefix;
    const char *authorization, *key;
};

struct call {
    const char *method, *path, *doing;
    const char *body; /* JSON, or */
    int fd;           /* a file */
    int64_t fd_len;
    int response_fd;
    bool once, upsert;
};

static json_t *body_of(const struct http_response *r)
{
    return r->body != NULL ? json_loadb(r->body, r->len, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

/* {"statusCode":"404","error":"...","code":"NoSuchKey","message":"..."}: code, else error, else statusCode. */
static void read_code(const struct http_response *r, char *code, size_t size)
{
    static const char *const fields[] = {"code", "error", "statusCode"};
    json_t *j = body_of(r);
    const char *text = NULL;

    for (size_t i = 0; i < 3 && text == NULL; i++)
        text = json_string_value(json_object_get(j, fields[i]));
    snprintf(code, size, "%.60s", text != NULL ? text : "");
    json_decref(j);
}

/* The status that the body names, where the code itself says nothing. */
static int status_in(const struct http_response *r)
{
    json_t *j = body_of(r), *v = json_object_get(j, "statusCode");
    int status = json_is_string(v) ? atoi(json_string_value(v)) : (int)json_integer_value(v);

    json_decref(j);
    return status >= 400 && status <= 599 ? status : r->status;
}

static int send_call(struct supabase *s, const void *ctx, const struct call *c, struct http_response *r,
                     struct error *e)
{
    struct http_header headers[4] = {
        {"Authorization", s->authorization, true},
        {"apikey", s->key, true},
        {"Content-Type", c->body != NULL ? "application/json" : "application/octet-stream", false},
        {"x-upsert", "true", false}};
    char code[64];

    for (int i = 0;; i++) {
        struct http_request q = {.method = c->method,
                                 .headers = headers,
                                 .n_headers = c->upsert ? 4 : 3,
                                 .url = talloc_asprintf(ctx, "%s%s", s->base, c->path),
                                 .body = c->body,
                                 .body_len = c->body != NULL ? strlen(c->body) : 0,
                                 .body_fd = c->fd,
                                 .body_fd_len = c->fd_len,
                                 .response_fd = c->response_fd,
                                 .once = c->once,
                                 .max_response = c->response_fd >= 0 ? MAX_GET : 0};
        int rc = object_exchange(s->net, ctx, &q, r, NULL);

        if (rc == 0 && r->status / 100 == 2)
            return 0;
        if (rc == 0)
            r->status = status_in(r);
        if (!c->once && object_again(s->net, r, i)) {
            TALLOC_FREE(r->memory);
            continue;
        }
        if (rc != 0)
            return object_unanswered(r, c->doing, e);
        read_code(r, code, sizeof code);
        return object_refused("Supabase Storage", r->status, code, c->doing, e);
    }
}

static char *object_path(struct supabase *s, const void *ctx, const char *kind, const char *key)
{
    char *whole = talloc_asprintf(ctx, "%s%s", s->prefix, key);

    return talloc_asprintf(ctx, "/object/%s%s/%s", kind, sigv4_encode(ctx, s->bucket, 0), sigv4_encode(ctx, whole, 1));
}

static struct call new_call(const char *method, const char *path, const char *doing)
{
    return (struct call){.method = method, .path = path, .doing = doing, .fd = -1, .response_fd = -1};
}

static int supabase_put(void *state, const char *key, int fd, int64_t len, const uint8_t sha256[SHA256_BYTES],
                        bool only_new, struct error *e)
{
    struct supabase *s = state;
    void *ctx = talloc_new(s);
    struct call c = new_call("POST", object_path(s, ctx, "", key), "cannot store a blob");
    struct http_response r;
    int rc;

    (void)sha256; /* nothing to say it to; reading checks */
    c.fd = fd;
    c.fd_len = len;
    c.upsert = !only_new;
    rc = send_call(s, ctx, &c, &r, e);
    talloc_free(ctx);
    return rc;
}

static int supabase_get(void *state, const char *key, int fd, struct error *e)
{
    struct supabase *s = state;
    void *ctx = talloc_new(s);
    struct call c = new_call("GET", object_path(s, ctx, "authenticated/", key), "cannot read a blob");
    struct http_response r;
    int rc;

    c.response_fd = fd;
    rc = send_call(s, ctx, &c, &r, e);
    talloc_free(ctx);
    return rc;
}

static int supabase_remove(void *state, const char *key, struct error *e)
{
    struct supabase *s = state;
    void *ctx = talloc_new(s);
    struct call c = new_call("DELETE", object_path(s, ctx, "", key), "cannot remove a blob");
    struct http_response r;
    int rc;

    c.once = true;
    rc = send_call(s, ctx, &c, &r, e);
    talloc_free(ctx);
    return rc == -ENOENT ? 0 : rc;
}

/* ---- listing ---- */

struct walk {
    struct supabase *s;
    const char *prefix, *after;
    struct object_entry *out;
    int n, max, folders;
    bool cut;
};

/* One page of a folder ("" or "a/b", without the configured prefix): the JSON array, or NULL. */
static json_t *list_page(struct supabase *s, const char *folder, int offset, int64_t *now_ms, struct error *e)
{
    void *ctx = talloc_new(s);
    struct call c = new_call("POST", talloc_asprintf(ctx, "/object/list/%s", sigv4_encode(ctx, s->bucket, 0)),
                             "cannot list the blob store");
    json_t *ask = json_pack("{s:o, s:i, s:i, s:{s:s, s:s}}", "prefix", json_sprintf("%s%s", s->prefix, folder), "limit",
                            PAGE, "offset", offset, "sortBy", "column", "name", "order", "asc"),
           *page = NULL;
    char *text = ask != NULL ? json_dumps(ask, JSON_COMPACT) : NULL;
    struct http_response r;

    c.body = text;
    if (text == NULL)
        blob_error(e, ENOMEM, c.doing);
    else if (send_call(s, ctx, &c, &r, e) == 0) {
        page = json_loadb(r.body, r.len, 0, NULL);
        *now_ms = object_now_ms(&r);
        if (!json_is_array(page)) {
            json_decref(page);
            page = NULL;
            reason_error(e, REASON_blob_broken, EPROTO, "%s: Supabase Storage's list is not understood", c.doing);
        }
    }
    json_decref(ask);
    free(text);
    talloc_free(ctx);
    return page;
}

static int walk_folder(struct walk *w, const char *folder, int depth, struct error *e);

/* Whether something below this folder can be wanted. */
static bool may_hold(const struct walk *w, const char *path)
{
    size_t n = strlen(path), p = strlen(w->prefix);

    if (strncmp(path, w->prefix, n < p ? n : p) != 0)
        return false;
    return strncmp(w->after, path, n) == 0 || strcmp(path, w->after) > 0;
}

static int take_entry(struct walk *w, const json_t *entry, const char *folder, int64_t now_ms, int depth,
                      struct error *e)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *when = json_string_value(json_object_get(entry, "updated_at"));
    char path[OBJECT_KEY_BYTES];
    int64_t at_ms = when != NULL ? object_time_ms(when) : -1;

    if (name == NULL || strchr(name, '/') != NULL ||
        snprintf(path, sizeof path, "%s%s%s", folder, folder[0] != '\0' ? "/" : "", name) >= (int)sizeof path)
        return 0; /* nobody's blob */
    if (!json_is_string(json_object_get(entry, "id")))
        return depth < 4 && may_hold(w, path) ? walk_folder(w, path, depth + 1, e) : 0;
    if (at_ms < 0)
        return reason_error(e, REASON_blob_broken, EPROTO, "Supabase Storage's list names no time");
    if (strcmp(path, w->after) <= 0 || strncmp(path, w->prefix, strlen(w->prefix)) != 0)
        return 0;
    if (w->n == w->max) {
        w->cut = true;
        return 0;
    }
    memcpy(w->out[w->n].key, path, sizeof path);
    w->out[w->n++].age_ms = now_ms > at_ms ? now_ms - at_ms : 0; /* Date is in whole seconds */
    return 0;
}

static int walk_folder(struct walk *w, const char *folder, int depth, struct error *e)
{
    size_t n = PAGE;
    int rc = 0;

    for (int offset = 0; n == PAGE && !w->cut && rc == 0; offset += PAGE) {
        int64_t now_ms = 0;
        json_t *page, *entry;
        size_t i;

        if (w->n > 0 && w->folders >= FOLDERS) {
            w->cut = true; /* a call stays short; the last key found says where to go on */
            break;
        }
        w->folders++;
        page = list_page(w->s, folder, offset, &now_ms, e);
        if (page == NULL)
            return -EIO;
        n = json_array_size(page);
        json_array_foreach(page, i, entry)
        {
            rc = take_entry(w, entry, folder, now_ms, depth, e);
            if (rc != 0 || w->cut)
                break;
        }
        json_decref(page);
    }
    return rc;
}

static int supabase_list(void *state, const char *prefix, const char *after, struct object_entry *out, int max,
                         bool *more, struct error *e)
{
    struct walk w = {.s = state, .prefix = prefix, .after = after, .out = out, .max = max};
    char folder[OBJECT_KEY_BYTES];
    char *slash;
    int depth = 0, rc;

    snprintf(folder, sizeof folder, "%s", prefix);
    slash = strrchr(folder, '/');
    *(slash != NULL ? slash : folder) = '\0';
    for (const char *p = folder; *p != '\0'; p++)
        depth += *p == '/';
    rc = walk_folder(&w, folder, depth, e);
    *more = w.cut;
    return rc < 0 ? rc : w.n;
}

/* ---- URLs, opening ---- */

static char *supabase_url(void *state, const void *ctx, const char *key, int expires_s, struct error *e)
{
    struct supabase *s = state;
    void *tmp = talloc_new(s);
    struct call c = new_call("POST", object_path(s, tmp, "sign/", key), "cannot make a URL");
    struct http_response r;
    char *url = NULL;
    json_t *j = NULL;
    const char *path;

    c.body = talloc_asprintf(tmp, "{\"expiresIn\":%d}", expires_s);
    if (send_call(s, tmp, &c, &r, e) == 0) {
        j = json_loadb(r.body, r.len, 0, NULL);
        path = json_string_value(json_object_get(j, "signedURL"));
        if (path != NULL && path[0] == '/')
            url = talloc_asprintf(ctx, "%s%s", s->base, path);
        else
            reason_error(e, REASON_blob_broken, EPROTO, "%s: Supabase Storage gives none", c.doing);
        json_decref(j);
    }
    talloc_free(tmp);
    return url;
}

static void *supabase_open_state(const void *parent, struct object_net *net, const struct conf *c, struct error *e)
{
    struct supabase *s = talloc_zero(parent, struct supabase);
    size_t n = c->blob_supabase_url != NULL ? strlen(c->blob_supabase_url) : 0;

    if (s == NULL || n == 0) {
        blob_error(e, s == NULL ? ENOMEM : EINVAL, "cannot open the blob store");
        talloc_free(s);
        return NULL;
    }
    while (n > 0 && c->blob_supabase_url[n - 1] == '/')
        n--;
    s->net = net;
    s->base = talloc_asprintf(s, "%.*s/storage/v1", (int)n, c->blob_supabase_url);
    s->bucket = c->blob_supabase_bucket;
    s->prefix = c->blob_prefix;
    s->key = c->blob_supabase_key;
    s->authorization = talloc_asprintf(s, "Bearer %s", c->blob_supabase_key);
    return s;
}

const struct object_ops object_supabase = {
    .name = "supabase",
    .open = supabase_open_state,
    .put = supabase_put,
    .get = supabase_get,
    .remove = supabase_remove,
    .list = supabase_list,
    .url = supabase_url,
};
