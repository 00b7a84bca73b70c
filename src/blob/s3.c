/*
 * s3.c - blobs in S3 or what speaks like it
 *
 * Every request is signed with the SHA-256 of its payload, so the store itself refuses bytes that were damaged on the
 * way. Objects above blob.s3.part_size go in parts. The address is path style (https://host/bucket/key), which every
 * store knows, or host style (https://bucket.host/key).
 *
 * A store that finds our clock wrong says what its own is; the difference is kept and the request made again.
 *
 * Diagnostics: reasons of the blob_* family. Depends on base, core, http.
 */
#include "blob/s3.h"
#include "core/reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

#define MAX_GET ((size_t)64 * 1024 * 1024 * 1024)

/* ---- one request ---- */

struct s3_request s3_request(const char *method, const char *key, const char *doing)
{
    return (struct s3_request){.method = method, .key = key, .doing = doing, .fd = -1, .response_fd = -1};
}

static char *path_of(struct s3 *s, const void *ctx, const char *key)
{
    size_t n = strlen(s->root);
    char *whole, *encoded;

    if (key == NULL) /* "/bucket" without the slash, as other clients say it: one server signs it only so */
        return talloc_strndup(ctx, s->root, n > 1 ? n - 1 : n);
    whole = talloc_asprintf(ctx, "%s%s", s->prefix, key);
    encoded = whole != NULL ? sigv4_encode(ctx, whole, 1) : NULL;
    return encoded != NULL ? talloc_asprintf(ctx, "%s%s", s->root, encoded) : NULL;
}

static void payload_hash(const struct s3_request *q, char hex[SHA256_HEX_LEN + 1])
{
    uint8_t sum[SHA256_BYTES];

    if (q->sha256 == NULL)
        sha256_of(q->body != NULL ? q->body : "", q->body_len, sum);
    hex_encode(q->sha256 != NULL ? q->sha256 : sum, SHA256_BYTES, hex);
}

/* Signs and sends once. -ENOMEM, or what object_exchange() says. */
static int exchange(struct s3 *s, const void *ctx, const struct s3_request *q, struct http_response *r, struct error *e)
{
    void *tmp = talloc_new(ctx);
    char hash[SHA256_HEX_LEN + 1], date[SIGV4_DATE_BYTES];
    struct http_header headers[8];
    struct sigv4_request sign = {.method = q->method, .host = s->host, .payload_sha256 = hash};
    struct http_request h = {.method = q->method,
                             .body = q->body,
                             .body_len = q->body_len,
                             .body_fd = q->fd,
                             .body_fd_offset = q->fd_offset,
                             .body_fd_len = q->fd_len,
                             .max_response = q->response_fd >= 0 ? MAX_GET : 0,
                             .response_fd = q->response_fd,
                             .once = q->once,
                             .headers = headers};
    char *query, *authorization;
    int rc = -ENOMEM;

    payload_hash(q, hash);
    sign.time_s = (int64_t)time(NULL) + s->skew_s;
    sigv4_date(sign.time_s, date);
    sign.path = path_of(s, tmp, q->key);
    memcpy(sign.query, q->query, sizeof q->query);
    memcpy(sign.headers, q->headers, sizeof q->headers);
    sign.n_query = q->n_query;
    sign.n_headers = q->n_headers;
    for (int i = 0; i < q->n_headers; i++)
        headers[h.n_headers++] = (struct http_header){q->headers[i].name, q->headers[i].value, false};
    query = sign.path != NULL ? sigv4_query(tmp, &sign) : NULL;
    authorization = query != NULL ? sigv4_authorization(tmp, &s->key, &sign) : NULL;
    if (authorization != NULL) {
        headers[h.n_headers++] = (struct http_header){"authorization", authorization, true};
        headers[h.n_headers++] = (struct http_header){"x-amz-content-sha256", hash, false};
        headers[h.n_headers++] = (struct http_header){"x-amz-date", date, false};
        if (s->key.token != NULL)
            headers[h.n_headers++] = (struct http_header){"x-amz-security-token", s->key.token, true};
        h.url =
            talloc_asprintf(tmp, "%s://%s%s%s%s", s->scheme, s->host, sign.path, query[0] != '\0' ? "?" : "", query);
        rc = object_exchange(s->net, ctx, &h, r, e);
    } else {
        reason_error(&r->error, REASON_os_error, ENOMEM, "out of memory");
    }
    talloc_free(tmp);
    return rc;
}

static bool clock_corrected(struct s3 *s, const struct http_response *r, const char *code)
{
    const char *date = http_response_header(r, "Date");
    int64_t theirs = date != NULL ? object_time_ms(date) : -1;

    if (strcmp(code, "RequestTimeTooSkewed") != 0 || theirs < 0)
        return false;
    s->skew_s = theirs / 1000 - (int64_t)time(NULL);
    return true;
}

int s3_send(struct s3 *s, const void *ctx, const struct s3_request *q, struct http_response *r, struct error *e)
{
    char code[64] = "";
    bool corrected = false;

    for (int i = 0;; i++) {
        int rc = exchange(s, ctx, q, r, NULL);

        if (rc == 0 && r->status / 100 == 2)
            return 0;
        if (rc != 0 || xml_text(r->body, NULL, "Code", code, sizeof code) == NULL)
            code[0] = '\0';
        if (!corrected && clock_corrected(s, r, code))
            corrected = true;
        else if (q->once || !object_again(s->net, r, i))
            return rc != 0 ? object_unanswered(r, q->doing, e) : object_refused("S3", r->status, code, q->doing, e);
        TALLOC_FREE(r->memory);
    }
}

/* For answers that nobody reads. */
static int send_only(struct s3 *s, const struct s3_request *q, struct error *e)
{
    void *ctx = talloc_new(s);
    struct http_response r;
    int rc = s3_send(s, ctx, q, &r, e);

    talloc_free(ctx);
    return rc;
}

/* ---- objects ---- */

static int s3_put(void *state, const char *key, int fd, int64_t len, const uint8_t sha256[SHA256_BYTES], bool only_new,
                  struct error *e)
{
    struct s3 *s = state;
    struct s3_request q = s3_request("PUT", key, "cannot store a blob");

    if (len > s->part_bytes)
        return s3_put_parts(s, key, fd, len, e);
    q.fd = fd;
    q.fd_len = len;
    q.sha256 = sha256;
    q.headers[q.n_headers++] = (struct sigv4_field){"content-type", "application/octet-stream"};
    if (only_new)
        q.headers[q.n_headers++] = (struct sigv4_field){"if-none-match", "*"};
    return send_only(s, &q, e);
}

static int s3_get(void *state, const char *key, int fd, struct error *e)
{
    struct s3_request q = s3_request("GET", key, "cannot read a blob");

    q.response_fd = fd;
    return send_only(state, &q, e);
}

/* A copy onto itself, which is a new object with a new time. Above 5 GB it is refused, and the bytes are put again. */
static int s3_touch(void *state, const char *key, struct error *e)
{
    struct s3 *s = state;
    void *ctx = talloc_new(s);
    struct s3_request q = s3_request("PUT", key, "cannot touch a blob");
    char *whole = talloc_asprintf(ctx, "%s%s", s->prefix, key), *path = sigv4_encode(ctx, whole, 1);
    struct http_response r;
    char code[64];
    int rc;

    q.headers[q.n_headers++] =
        (struct sigv4_field){"x-amz-copy-source", talloc_asprintf(ctx, "/%s/%s", s->net->conf->blob_s3_bucket, path)};
    q.headers[q.n_headers++] = (struct sigv4_field){"x-amz-metadata-directive", "REPLACE"};
    q.headers[q.n_headers++] = (struct sigv4_field){"content-type", "application/octet-stream"};
    rc = s3_send(s, ctx, &q, &r, e);
    if (rc == 0 && xml_text(r.body, NULL, "Code", code, sizeof code) != NULL) /* a copy may fail after it said 200 */
        rc = object_refused("S3", r.status, code, q.doing, e);
    talloc_free(ctx);
    return rc;
}

static int s3_remove(void *state, const char *key, struct error *e)
{
    struct s3_request q = s3_request("DELETE", key, "cannot remove a blob");
    int rc;

    q.once = true;
    rc = send_only(state, &q, e);
    return rc == -ENOENT ? 0 : rc;
}

int s3_read_list(const char *prefix, const struct http_response *r, struct object_entry *out, int max, bool *more)
{
    int64_t now_ms = object_now_ms(r), at_ms;
    char key[1100], when[64], truncated[8] = "";
    size_t skip = strlen(prefix);
    int n = 0;

    for (const char *p = strstr(r->body, "<Contents>"); p != NULL && n < max; p = strstr(p + 1, "<Contents>")) {
        if (xml_text(p, "</Contents>", "Key", key, sizeof key) == NULL ||
            xml_text(p, "</Contents>", "LastModified", when, sizeof when) == NULL)
            return -EPROTO;
        at_ms = object_time_ms(when);
        if (at_ms < 0 || strncmp(key, prefix, skip) != 0)
            return -EPROTO;
        snprintf(out[n].key, sizeof out[n].key, "%.*s", OBJECT_KEY_BYTES - 1, key + skip);
        out[n++].age_ms = now_ms > at_ms ? now_ms - at_ms : 0; /* Date is in whole seconds */
    }
    if (xml_text(r->body, NULL, "IsTruncated", truncated, sizeof truncated) == NULL)
        return -EPROTO;
    *more = strcmp(truncated, "true") == 0;
    return n;
}

static int s3_list(void *state, const char *prefix, const char *after, struct object_entry *out, int max, bool *more,
                   struct error *e)
{
    struct s3 *s = state;
    void *ctx = talloc_new(s);
    struct s3_request q = s3_request("GET", NULL, "cannot list the blob store");
    struct http_response r;
    int rc;

    q.query[q.n_query++] = (struct sigv4_field){"list-type", "2"};
    q.query[q.n_query++] = (struct sigv4_field){"max-keys", talloc_asprintf(ctx, "%d", max)};
    q.query[q.n_query++] = (struct sigv4_field){"prefix", talloc_asprintf(ctx, "%s%s", s->prefix, prefix)};
    if (after[0] != '\0')
        q.query[q.n_query++] = (struct sigv4_field){"start-after", talloc_asprintf(ctx, "%s%s", s->prefix, after)};
    rc = s3_send(s, ctx, &q, &r, e);
    if (rc == 0 && (rc = s3_read_list(s->prefix, &r, out, max, more)) < 0)
        reason_error(e, REASON_blob_broken, EPROTO, "%s: S3's list is not understood", q.doing);
    talloc_free(ctx);
    return rc;
}

static char *s3_url(void *state, const void *ctx, const char *key, int expires_s, struct error *e)
{
    struct s3 *s = state;
    void *tmp = talloc_new(NULL);
    struct sigv4_request q = {.method = "GET", .host = s->host, .time_s = (int64_t)time(NULL) + s->skew_s};
    char *signed_path = NULL, *url = NULL;

    q.path = path_of(s, tmp, key);
    if (q.path != NULL)
        signed_path = sigv4_presign(tmp, &s->key, &q, expires_s);
    if (signed_path != NULL)
        url = talloc_asprintf(ctx, "%s://%s%s", s->scheme, s->host, signed_path);
    if (url == NULL)
        blob_error(e, ENOMEM, "cannot make a URL");
    talloc_free(tmp);
    return url;
}

/* ---- opening ---- */

/* "https://host[:port][/path]": taken apart; the scheme's own port is left out, as clients do. A path is rare: Supabase's
 * S3 has one. */
static int split_endpoint(struct s3 *s, const struct conf *c, struct error *e)
{
    const char *endpoint = c->blob_s3_endpoint, *at;
    char *host, *path;
    size_t n;

    if (endpoint == NULL)
        endpoint = talloc_asprintf(s, "https://s3.%s.amazonaws.com", c->blob_s3_region);
    at = endpoint != NULL ? strstr(endpoint, "://") : NULL;
    if (at == NULL)
        return reason_error(e, REASON_blob_broken, EINVAL, "blob.s3.endpoint is no address");
    s->scheme = talloc_strndup(s, endpoint, (size_t)(at - endpoint));
    n = strcspn(at + 3, "/");
    host = talloc_strndup(s, at + 3, n);
    path = talloc_strdup(s, at + 3 + n);
    n = strlen(path);
    if (n > 0 && path[n - 1] == '/')
        path[n - 1] = '\0';
    n = strlen(host);
    if (strcmp(s->scheme, "https") == 0 && n > 4 && strcmp(host + n - 4, ":443") == 0)
        host[n - 4] = '\0';
    if (strcmp(s->scheme, "http") == 0 && n > 3 && strcmp(host + n - 3, ":80") == 0)
        host[n - 3] = '\0';
    if (strcmp(c->blob_s3_style, "host") == 0)
        s->host = talloc_asprintf(s, "%s.%s", c->blob_s3_bucket, host);
    else
        s->host = host;
    if (strcmp(c->blob_s3_style, "host") == 0)
        s->root = talloc_asprintf(s, "%s/", path);
    else
        s->root = talloc_asprintf(s, "%s/%s/", path, c->blob_s3_bucket);
    return 0;
}

static void *s3_open_state(const void *parent, struct object_net *net, const struct conf *c, struct error *e)
{
    struct s3 *s = talloc_zero(parent, struct s3);

    if (s == NULL) {
        blob_error(e, ENOMEM, "cannot open the blob store");
        return NULL;
    }
    s->net = net;
    s->key = (struct sigv4_key){.access = c->blob_s3_access_key,
                                .secret = c->blob_s3_secret_key,
                                .token = c->blob_s3_session_token,
                                .region = c->blob_s3_region};
    s->prefix = c->blob_prefix;
    s->part_bytes = c->blob_s3_part_size;
    if (split_endpoint(s, c, e) != 0)
        TALLOC_FREE(s);
    return s;
}

const struct object_ops object_s3 = {
    .name = "s3",
    .open = s3_open_state,
    .put = s3_put,
    .get = s3_get,
    .touch = s3_touch,
    .remove = s3_remove,
    .list = s3_list,
    .sweep = s3_sweep,
    .url = s3_url,
};
