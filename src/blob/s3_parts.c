/*
 * s3_parts.c - a large blob in parts, and what was never completed
 *
 * Every part is signed with its own hash. Nothing is visible before the last request; whatever fails takes the parts
 * away again, and what a killed process left is found by the sweep. Completing may fail after it said 200: its body is
 * read.
 *
 * Diagnostics: reasons of the blob_* family. Depends on base, core, http.
 */
#include "blob/s3.h"
#include "core/reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#define MAX_PARTS 10000

struct parts {
    struct s3 *s;
    const char *key;
    int fd;
    char id[1024];
    char *done; /* XML so far */
};

/* Of a stretch of the file, in pieces. */
static int hash_stretch(int fd, int64_t from, int64_t len, uint8_t out[SHA256_BYTES])
{
    struct sha256 *sha = sha256_new();
    char some[65536];

    while (sha != NULL && len > 0) {
        ssize_t got = pread(fd, some, len < (int64_t)sizeof some ? (size_t)len : sizeof some, from);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            sha256_free(&sha);
            return got < 0 ? -errno : -ENODATA;
        }
        sha256_update(sha, some, (size_t)got);
        from += got;
        len -= got;
    }
    if (sha == NULL)
        return -ENOMEM;
    sha256_final(sha, out);
    sha256_free(&sha);
    return 0;
}

static int begin(struct parts *p, struct error *e)
{
    void *ctx = talloc_new(p->s);
    struct s3_request q = s3_request("POST", p->key, "cannot begin a large blob");
    struct http_response r;
    int rc;

    q.query[q.n_query++] = (struct sigv4_field){"uploads", ""};
    q.headers[q.n_headers++] = (struct sigv4_field){"content-type", "application/octet-stream"};
    q.body = "";
    rc = s3_send(p->s, ctx, &q, &r, e);
    if (rc == 0 && xml_text(r.body, NULL, "UploadId", p->id, sizeof p->id) == NULL)
        rc = reason_error(e, REASON_blob_broken, EPROTO, "%s: S3 names no upload", q.doing);
    talloc_free(ctx);
    return rc;
}

/* An ETag as it is put into XML: what is not harmless there is no ETag. */
static bool good_etag(const char *etag)
{
    return etag != NULL && strlen(etag) < 200 && strpbrk(etag, "<>&") == NULL;
}

static int put_part(struct parts *p, int number, int64_t from, int64_t len, struct error *e)
{
    void *ctx = talloc_new(p->s);
    struct s3_request q = s3_request("PUT", p->key, "cannot store a part of a blob");
    struct http_response r;
    uint8_t sha256[SHA256_BYTES];
    const char *etag;
    int rc = hash_stretch(p->fd, from, len, sha256);

    if (rc < 0) {
        talloc_free(ctx);
        return blob_error(e, -rc, "cannot read the spooled blob");
    }
    q.query[q.n_query++] = (struct sigv4_field){"partNumber", talloc_asprintf(ctx, "%d", number)};
    q.query[q.n_query++] = (struct sigv4_field){"uploadId", p->id};
    q.fd = p->fd;
    q.fd_offset = from;
    q.fd_len = len;
    q.sha256 = sha256;
    rc = s3_send(p->s, ctx, &q, &r, e);
    etag = rc == 0 ? http_response_header(&r, "ETag") : NULL;
    if (rc == 0 && !good_etag(etag))
        rc = reason_error(e, REASON_blob_broken, EPROTO, "%s: S3 gives no ETag", q.doing);
    if (rc == 0)
        p->done =
            talloc_asprintf_append(p->done, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", number, etag);
    talloc_free(ctx);
    return rc;
}

static int complete(struct parts *p, struct error *e)
{
    void *ctx = talloc_new(p->s);
    struct s3_request q = s3_request("POST", p->key, "cannot complete a large blob");
    struct http_response r;
    char code[64];
    int rc;

    q.query[q.n_query++] = (struct sigv4_field){"uploadId", p->id};
    q.headers[q.n_headers++] = (struct sigv4_field){"content-type", "application/xml"};
    q.body = talloc_asprintf(ctx, "<CompleteMultipartUpload>%s</CompleteMultipartUpload>", p->done);
    q.body_len = q.body != NULL ? strlen(q.body) : 0;
    rc = s3_send(p->s, ctx, &q, &r, e);
    if (rc == 0 && xml_text(r.body, NULL, "Code", code, sizeof code) != NULL)
        rc = object_refused("S3", r.status, code, q.doing, e);
    talloc_free(ctx);
    return rc;
}

static int abandon(struct s3 *s, const char *key, const char *id, struct error *e)
{
    void *ctx = talloc_new(s);
    struct s3_request q = s3_request("DELETE", key, "cannot take away the parts of a blob");
    struct http_response r;
    int rc;

    q.query[q.n_query++] = (struct sigv4_field){"uploadId", id};
    rc = s3_send(s, ctx, &q, &r, e);
    talloc_free(ctx);
    return rc == -EAGAIN ? 0 : rc; /* gone already */
}

int s3_put_parts(struct s3 *s, const char *key, int fd, int64_t len, struct error *e)
{
    int64_t size = s->part_bytes > len / MAX_PARTS + 1 ? s->part_bytes : len / MAX_PARTS + 1;
    struct parts *p = talloc_zero(s, struct parts);
    int rc, number = 1;

    if (p == NULL)
        return blob_error(e, ENOMEM, "cannot store a large blob");
    *p = (struct parts){.s = s, .key = key, .fd = fd, .done = talloc_strdup(p, "")};
    rc = begin(p, e);
    if (rc != 0) {
        talloc_free(p);
        return rc;
    }
    for (int64_t from = 0; rc == 0 && from < len; from += size)
        rc = put_part(p, number++, from, len - from < size ? len - from : size, e);
    if (rc == 0)
        rc = complete(p, e);
    if (rc != 0)
        (void)abandon(s, key, p->id, NULL); /* else the sweep finds it */
    talloc_free(p);
    return rc;
}

/* ---- what was never completed ---- */

static int sweep_listed(struct s3 *s, const struct http_response *r, int64_t age_ms, struct error *e)
{
    int64_t now_ms = object_now_ms(r);
    size_t skip = strlen(s->prefix);
    char key[1100], id[1024], when[64];
    int count = 0;

    for (const char *p = strstr(r->body, "<Upload>"); p != NULL; p = strstr(p + 1, "<Upload>")) {
        int64_t at_ms;
        int rc;

        if (xml_text(p, "</Upload>", "Key", key, sizeof key) == NULL ||
            xml_text(p, "</Upload>", "UploadId", id, sizeof id) == NULL ||
            xml_text(p, "</Upload>", "Initiated", when, sizeof when) == NULL)
            return reason_error(e, REASON_blob_broken, EPROTO, "S3's list of uploads is not understood");
        at_ms = object_time_ms(when);
        if (at_ms < 0 || now_ms - at_ms < age_ms || strncmp(key, s->prefix, skip) != 0)
            continue;
        if ((rc = abandon(s, key + skip, id, e)) != 0)
            return rc;
        count++;
    }
    return count;
}

/* One page: the next sweep finds the rest. A store that cannot list them has its own way with them, or none. */
int s3_sweep(void *state, int64_t age_ms, struct error *e)
{
    struct s3 *s = state;
    void *ctx = talloc_new(s);
    struct s3_request q = s3_request("GET", NULL, "cannot list unfinished uploads");
    struct http_response r;
    int rc;

    q.query[q.n_query++] = (struct sigv4_field){"uploads", ""};
    q.query[q.n_query++] = (struct sigv4_field){"prefix", s->prefix};
    rc = s3_send(s, ctx, &q, &r, e);
    if (rc == 0)
        rc = sweep_listed(s, &r, age_ms, e);
    talloc_free(ctx);
    return rc == -ENOSYS ? 0 : rc;
}
