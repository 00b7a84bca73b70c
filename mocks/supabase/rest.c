/*
 * rest.c - Supabase Storage's own protocol, below /storage/v1
 *
 * Errors have the habit of the service: {"statusCode": "404", ...} under a 400, whatever the code says; only 429 and 5xx
 * are on the status line too (--honest-status: all are).
 *
 * Depends on common.
 */
#include "common/faults.h"
#include "common/multipart.h"
#include "base/hash.h"
#include "supabase/supabase.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define MAX_PREFIXES 1000
#define KEY_BYTES    1024
#define UPLOAD_S     7200

void rest_error(struct supabase *s, struct mock_request *q, struct mock_answer *a, int status, const char *code,
                const char *error, const char *message)
{
    bool on_line = s->honest_status || status == 429 || status >= 500;

    answer_json(q, a, on_line ? status : 400,
                json_pack("{s:o, s:s, s:s, s:s}", "statusCode", json_sprintf("%d", status), "error", error, "code",
                          code, "message", message));
}

static void no_object(struct supabase *s, struct mock_request *q, struct mock_answer *a)
{
    rest_error(s, q, a, 404, "NoSuchKey", "not_found", "Object not found");
}

/* ---- tokens of signed URLs: expiry, dot, MAC of what it is for ---- */

static char *make_token(const struct supabase *s, const void *ctx, const char *what, const char *path, int64_t until_s)
{
    char *text = talloc_asprintf(ctx, "%s %s %lld", what, path, (long long)until_s), hex[65];
    char *secret = talloc_asprintf(ctx, "docmill %llu", (unsigned long long)mock_seed(s->mock));
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)text, strlen(text), mac, &n);
    hex_encode(mac, 32, hex);
    return talloc_asprintf(ctx, "%lld.%s", (long long)until_s, hex);
}

static bool token_is_right(const struct supabase *s, struct mock_request *q, const char *what, const char *path)
{
    const char *token = mock_arg(q, "token");
    int64_t until = token != NULL ? strtoll(token, NULL, 10) : 0;

    return token != NULL && until * 1000 > mock_now_ms(s->mock) &&
           strcmp(token, make_token(s, q, what, path, until)) == 0;
}

static bool signed_or_refused(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *what,
                              const char *path)
{
    if (token_is_right(s, q, what, path))
        return true;
    rest_error(s, q, a, 400, "InvalidJWT", "InvalidJWT", "\"exp\" claim timestamp check failed");
    return false;
}

static bool authorised(struct supabase *s, struct mock_request *q, struct mock_answer *a)
{
    const char *key = mock_bearer(q);
    bool right = key != NULL && *key != '\0' && s->n_keys == 0;

    for (int i = 0; key != NULL && i < s->n_keys; i++)
        right = right || strcmp(s->keys[i], key) == 0;
    if (!right && key == NULL)
        rest_error(s, q, a, 400, "InvalidRequest", "Error", "headers must have required property 'authorization'");
    else if (!right)
        rest_error(s, q, a, 403, "AccessDenied", "Unauthorized", "Invalid Compact JWS");
    return right;
}

/* ---- bucket and key ---- */

static bool key_is_right(const char *key)
{
    static const char marks[] = "_/!.*'() &$=@;:+,?-";

    if (*key == '\0' || strlen(key) > KEY_BYTES)
        return false;
    for (const char *p = key; *p != '\0'; p++)
        if (!((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
              strchr(marks, *p) != NULL))
            return false;
    return true;
}

/* "bucket/key..."; false with the answer made. */
static bool split(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *path, char **bucket,
                  const char **key)
{
    size_t n = strcspn(path, "/");

    *bucket = talloc_strndup(q, path, n);
    *key = path + n + (path[n] == '/');
    if (bucket_find(s, *bucket) == NULL)
        rest_error(s, q, a, 404, "NoSuchBucket", "Bucket not found", "Bucket not found");
    else if (**key != '\0' && !key_is_right(*key))
        rest_error(s, q, a, 400, "InvalidKey", "InvalidKey", talloc_asprintf(q, "Invalid key: %s", *key));
    else
        return true;
    return false;
}

/* ---- upload ---- */

static json_t *metadata_of(struct mock_request *q)
{
    const char *text = mock_header(q, "x-metadata");
    json_t *v = text != NULL ? json_string(text) : NULL, *metadata;
    size_t n = 0;
    char *bytes;

    if (v == NULL)
        return NULL;
    bytes = bytes_from_json(q, v, &n);
    metadata = json_loadb(bytes, n, 0, NULL);
    json_decref(v);
    return metadata;
}

static struct object upload_of(struct mock_request *q, const char *bucket, const char *key)
{
    struct object o = {.bucket = bucket,
                       .key = key,
                       .type = mock_header(q, "content-type"),
                       .cache_control = mock_header(q, "cache-control"),
                       .metadata = metadata_of(q),
                       .data = q->body,
                       .len = q->body_len,
                       .created_ms = q->started_ms,
                       .updated_ms = q->started_ms};
    struct part *parts;
    int n = multipart_parse(q, &parts);

    for (int i = 0; i < n; i++) {
        if (parts[i].filename == NULL && *parts[i].name != '\0')
            continue;
        o.data = parts[i].data;
        o.len = parts[i].len;
        o.type = parts[i].type;
    }
    return o;
}

static bool may_upload(struct supabase *s, struct mock_request *q, struct mock_answer *a, const struct object *o,
                       bool upsert)
{
    if ((int64_t)o->len > s->max_object)
        rest_error(s, q, a, 413, "EntityTooLarge", "Payload too large", "The object exceeded the maximum allowed size");
    else if (s->only_type != NULL && (o->type == NULL || strncmp(o->type, s->only_type, strlen(s->only_type)) != 0))
        rest_error(s, q, a, 415, "InvalidMimeType", "invalid_mime_type",
                   talloc_asprintf(q, "mime type %s is not supported", o->type != NULL ? o->type : ""));
    else if (!upsert && object_find(s, o->bucket, o->key) != NULL)
        rest_error(s, q, a, 409, "KeyAlreadyExists", "Duplicate", "The resource already exists");
    else
        return true;
    return false;
}

static void upload(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket,
                   const char *key, bool upsert)
{
    struct object o = upload_of(q, bucket, key);
    bool lose = fault_strikes(q, FAULT_LOSE_OBJECT) != NULL;
    char id[37];

    mock_lock(s->mock);
    if (*key == '\0') {
        rest_error(s, q, a, 400, "InvalidKey", "InvalidKey", "Invalid key: ");
    } else if (may_upload(s, q, a, &o, upsert)) {
        mock_uuid(s->mock, q->number, "object", id);
        if (!lose)
            snprintf(id, sizeof id, "%s", object_put(s, &o, q->number)->id);
        s->puts++;
        s->bytes_in += (int64_t)o.len;
        answer_json(q, a, 200, json_pack("{s:s, s:o}", "Id", id, "Key", json_sprintf("%s/%s", bucket, key)));
    }
    mock_unlock(s->mock);
    json_decref(o.metadata);
}

static bool wants_upsert(const struct mock_request *q)
{
    const char *v = mock_header(q, "x-upsert");

    return v != NULL && strcmp(v, "true") == 0;
}

/* ---- one object ---- */

static void get(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket, const char *key)
{
    const struct object *o;

    mock_lock(s->mock);
    s->gets++;
    o = object_find(s, bucket, key);
    if (o != NULL)
        download(s, q, a, o);
    mock_unlock(s->mock);
    if (o == NULL)
        no_object(s, q, a);
    else if (a->status == 416)
        rest_error(s, q, a, 416, "InvalidRange", "InvalidRange", "The requested range cannot be satisfied");
    else
        download_spoil(q, a);
}

static json_t *info_of(const struct object *o)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:o, s:o, s:O?}", "name", o->key, "id", o->id, "version",
                     o->etag, "bucket_id", o->bucket, "size", (json_int_t)o->len, "content_type", o->type,
                     "cache_control", o->cache_control, "etag", o->etag, "last_modified", mock_time_text(o->updated_ms),
                     "created_at", mock_time_text(o->created_ms), "metadata", o->metadata);
}

static void info(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket, const char *key)
{
    const struct object *o;
    json_t *out;

    mock_lock(s->mock);
    s->gets++;
    o = object_find(s, bucket, key);
    out = o != NULL ? info_of(o) : NULL;
    mock_unlock(s->mock);
    if (out == NULL)
        no_object(s, q, a);
    else
        answer_json(q, a, 200, out);
}

static void delete_one(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket,
                       const char *key)
{
    bool was;

    mock_lock(s->mock);
    was = object_delete(s, bucket, key);
    s->deletes++;
    mock_unlock(s->mock);
    if (was)
        answer_json(q, a, 200, json_pack("{s:s}", "message", "Successfully deleted"));
    else
        no_object(s, q, a);
}

static void delete_many(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket)
{
    json_t *what = json_loadb(q->body, q->body_len, 0, NULL), *list = json_object_get(what, "prefixes"), *name,
           *gone = json_array();
    size_t i;

    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > MAX_PREFIXES) {
        rest_error(s, q, a, 400, "InvalidRequest", "Error", "body/prefixes must NOT have more than 1000 items");
    } else {
        mock_lock(s->mock);
        s->deletes++;
        json_array_foreach(list, i, name)
        {
            const char *key = json_string_value(name);
            const struct object *o = key != NULL ? object_find(s, bucket, key) : NULL;

            if (o == NULL)
                continue;
            json_array_append_new(gone, info_of(o));
            object_delete(s, bucket, key);
        }
        mock_unlock(s->mock);
        answer_json(q, a, 200, json_incref(gone));
    }
    json_decref(gone);
    json_decref(what);
}

/* ---- signed URLs ---- */

/* One path signed, or null with a reason in a list. */
static json_t *signed_url(struct supabase *s, struct mock_request *q, const char *bucket, const char *key,
                          int64_t seconds)
{
    char *path = talloc_asprintf(q, "%s/%s", bucket, key);
    bool there;

    mock_lock(s->mock);
    there = object_find(s, bucket, key) != NULL;
    mock_unlock(s->mock);
    return there ? json_sprintf("/object/sign/%s?token=%s", path,
                                make_token(s, q, "get", path, mock_now_ms(s->mock) / 1000 + seconds))
                 : NULL;
}

static void sign_many(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket,
                      const json_t *paths, int64_t seconds)
{
    json_t *list = json_array(), *path;
    size_t i;

    json_array_foreach(paths, i, path)
    {
        json_t *url = signed_url(s, q, bucket, json_string_value(path), seconds);

        json_array_append_new(list, json_pack("{s:o, s:O, s:o}", "error",
                                              url != NULL ? json_null()
                                                          : json_string("Either the object does not "
                                                                        "exist or you do not have "
                                                                        "access to it"),
                                              "path", path, "signedURL", url != NULL ? url : json_null()));
    }
    answer_json(q, a, 200, list);
}

static void sign(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket, const char *key)
{
    json_t *what = json_loadb(q->body, q->body_len, 0, NULL), *paths = json_object_get(what, "paths"), *url;
    int64_t seconds = (int64_t)json_integer_value(json_object_get(what, "expiresIn"));

    if (seconds < 1)
        rest_error(s, q, a, 400, "InvalidRequest", "Error", "body must have required property 'expiresIn'");
    else if (*key == '\0' && json_is_array(paths))
        sign_many(s, q, a, bucket, paths, seconds);
    else if ((url = signed_url(s, q, bucket, key, seconds)) == NULL)
        no_object(s, q, a);
    else
        answer_json(q, a, 200, json_pack("{s:o}", "signedURL", url));
    json_decref(what);
}

static void sign_upload(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket,
                        const char *key)
{
    char *path = talloc_asprintf(q, "%s/%s", bucket, key),
         *token = make_token(s, q, "put", path, mock_now_ms(s->mock) / 1000 + UPLOAD_S);

    answer_json(
        q, a, 200,
        json_pack("{s:o, s:s}", "url", json_sprintf("/object/upload/sign/%s?token=%s", path, token), "token", token));
}

/* ---- buckets and lists ---- */

static json_t *shown(const struct bucket_of *b)
{
    return json_pack("{s:s, s:s, s:b, s:s}", "id", b->name, "name", b->name, "public", b->public, "owner", "");
}

static void serve_buckets(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *name)
{
    json_t *list = json_array();

    if (*name == '\0') {
        for (int i = 0; i < s->n_buckets; i++)
            json_array_append_new(list, shown(&s->buckets[i]));
        answer_json(q, a, 200, list);
        return;
    }
    json_decref(list);
    if (bucket_find(s, name + 1) == NULL)
        rest_error(s, q, a, 404, "NoSuchBucket", "Bucket not found", "Bucket not found");
    else
        answer_json(q, a, 200, shown(bucket_find(s, name + 1)));
}

static void list(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *bucket, bool v2)
{
    json_t *what = json_loadb(q->body, q->body_len, 0, NULL);

    mock_lock(s->mock);
    s->lists++;
    answer_json(q, a, 200, v2 ? rest_list_v2(s, bucket, what) : rest_list(s, bucket, what));
    mock_unlock(s->mock);
    json_decref(what);
}

/* ---- routes ---- */

enum route {
    R_PUBLIC,
    R_SIGNED,
    R_SIGNED_UPLOAD,
    R_SIGN_UPLOAD,
    R_SIGN,
    R_LIST,
    R_LIST2,
    R_INFO_PUBLIC,
    R_INFO,
    R_GET,
    R_UPLOAD,
    R_UPDATE,
    R_DELETE
};

static const struct {
    const char *methods, *prefix; /* behind /object/ */
    enum route route;
    bool open; /* no key is needed */
} routes[] = {
    {"GET HEAD", "public/", R_PUBLIC, true},
    {"GET HEAD", "sign/", R_SIGNED, true},
    {"PUT", "upload/sign/", R_SIGNED_UPLOAD, true},
    {"POST", "upload/sign/", R_SIGN_UPLOAD, false},
    {"POST", "sign/", R_SIGN, false},
    {"POST", "list/", R_LIST, false},
    {"POST", "list-v2/", R_LIST2, false},
    {"GET HEAD", "info/public/", R_INFO_PUBLIC, true},
    {"GET HEAD", "info/authenticated/", R_INFO, false},
    {"GET HEAD", "info/", R_INFO, false},
    {"GET HEAD", "authenticated/", R_GET, false},
    {"GET HEAD", "", R_GET, false},
    {"POST", "", R_UPLOAD, false},
    {"PUT", "", R_UPDATE, false},
    {"DELETE", "", R_DELETE, false},
};

static void run(struct supabase *s, struct mock_request *q, struct mock_answer *a, enum route route, const char *path)
{
    const char *key;
    char *bucket;

    if (!split(s, q, a, path, &bucket, &key))
        return;
    switch (route) {
    case R_PUBLIC:
    case R_INFO_PUBLIC:
        if (!bucket_find(s, bucket)->public)
            rest_error(s, q, a, 404, "NoSuchBucket", "Bucket not found", "Bucket not found");
        else if (route == R_PUBLIC)
            get(s, q, a, bucket, key);
        else
            info(s, q, a, bucket, key);
        return;
    case R_SIGNED:
        if (signed_or_refused(s, q, a, "get", path))
            get(s, q, a, bucket, key);
        return;
    case R_SIGNED_UPLOAD:
        if (signed_or_refused(s, q, a, "put", path))
            upload(s, q, a, bucket, key, wants_upsert(q));
        return;
    case R_SIGN_UPLOAD:
        sign_upload(s, q, a, bucket, key);
        return;
    case R_SIGN:
        sign(s, q, a, bucket, key);
        return;
    case R_LIST:
    case R_LIST2:
        list(s, q, a, bucket, route == R_LIST2);
        return;
    case R_INFO:
        info(s, q, a, bucket, key);
        return;
    case R_GET:
        get(s, q, a, bucket, key);
        return;
    case R_UPLOAD:
        upload(s, q, a, bucket, key, wants_upsert(q));
        return;
    case R_UPDATE:
        upload(s, q, a, bucket, key, true);
        return;
    case R_DELETE:
        if (*key == '\0')
            delete_many(s, q, a, bucket);
        else
            delete_one(s, q, a, bucket, key);
        return;
    }
}

void serve_rest(struct supabase *s, struct mock_request *q, struct mock_answer *a, const char *rest)
{
    if (strcmp(rest, "/bucket") == 0 || strncmp(rest, "/bucket/", 8) == 0) {
        if (authorised(s, q, a))
            serve_buckets(s, q, a, rest + 7);
        return;
    }
    for (size_t i = 0; strncmp(rest, "/object/", 8) == 0 && i < sizeof routes / sizeof *routes; i++) {
        size_t n = strlen(routes[i].prefix);

        if (strstr(routes[i].methods, q->method) == NULL || strncmp(rest + 8, routes[i].prefix, n) != 0)
            continue;
        if (routes[i].open || authorised(s, q, a))
            run(s, q, a, routes[i].route, rest + 8 + n);
        return;
    }
    rest_error(s, q, a, 404, "NotFound", "Not Found", talloc_asprintf(q, "Route %s:%s not found", q->method, q->path));
}
