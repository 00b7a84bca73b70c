/*
 * source.c - what is sent: bytes, a file, or the parts of a form
 *
 * Files are read with pread at an offset of the call's own, so that one descriptor can be in several requests, and
 * again from the start when libcurl has to send once more. Bytes are not copied. Every length is known beforehand:
 * nothing is sent in chunks.
 *
 * Diagnostics
 *   os_error  (as the call's end) the file ends before its announced length, or cannot be read
 *
 * Depends on core/reason.h, libcurl.
 */
#include "core/reason.h"
#include "http/http_int.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

static size_t handle_read(char *to, size_t size, size_t n, void *arg)
{
    struct http_source *s = arg;
    size_t want = size * n;
    ssize_t got;

    if ((int64_t)want > s->len - s->at)
        want = (size_t)(s->len - s->at);
    if (want == 0)
        return 0;
    if (s->fd < 0) {
        memcpy(to, s->data + s->at, want);
        got = (ssize_t)want;
    } else {
        do
            got = pread(s->fd, to, want, s->from + s->at);
        while (got < 0 && errno == EINTR);
    }
    if (got <= 0) {
        http_call_stop(s->call, HTTP_STOP_SOURCE, got < 0 ? errno : ENODATA);
        return CURL_READFUNC_ABORT;
    }
    s->at += got;
    return (size_t)got;
}

static int handle_seek(void *arg, curl_off_t offset, int origin)
{
    struct http_source *s = arg;

    if (origin != SEEK_SET || offset < 0 || offset > s->len)
        return CURL_SEEKFUNC_FAIL;
    s->at = offset;
    return CURL_SEEKFUNC_OK;
}

static int set_parts(struct http_call *c, const struct http_request *q)
{
    c->mime = curl_mime_init(c->easy);
    c->sources = talloc_zero_array(c, struct http_source, (unsigned)q->n_parts);
    if (c->mime == NULL || c->sources == NULL)
        return -ENOMEM;
    for (int i = 0; i < q->n_parts; i++) {
        const struct http_part *from = &q->parts[i];
        struct http_source *s = &c->sources[i];
        curl_mimepart *part = curl_mime_addpart(c->mime);

        *s = (struct http_source){
            .call = c, .data = from->data, .fd = from->data != NULL ? -1 : from->fd, .len = (int64_t)from->len};
        if (part == NULL || curl_mime_name(part, from->name) != CURLE_OK ||
            curl_mime_filename(part, from->filename) != CURLE_OK ||
            curl_mime_type(part, from->content_type) != CURLE_OK ||
            curl_mime_data_cb(part, s->len, handle_read, handle_seek, NULL, s) != CURLE_OK)
            return -ENOMEM;
    }
    return curl_easy_setopt(c->easy, CURLOPT_MIMEPOST, c->mime) == CURLE_OK ? 0 : -ENOMEM;
}

static void set_bytes(struct http_call *c, const char *body, size_t len)
{
    curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, body);
}

static int set_file(struct http_call *c, const struct http_request *q)
{
    c->sources = talloc_zero(c, struct http_source);
    if (c->sources == NULL)
        return -ENOMEM;
    *c->sources = (struct http_source){.call = c, .fd = q->body_fd, .from = q->body_fd_offset, .len = q->body_fd_len};
    curl_easy_setopt(c->easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(c->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body_fd_len);
    curl_easy_setopt(c->easy, CURLOPT_READFUNCTION, handle_read);
    curl_easy_setopt(c->easy, CURLOPT_READDATA, c->sources);
    curl_easy_setopt(c->easy, CURLOPT_SEEKFUNCTION, handle_seek);
    curl_easy_setopt(c->easy, CURLOPT_SEEKDATA, c->sources);
    return 0;
}

int http_source_set(struct http_call *c, const struct http_request *q, struct error *e)
{
    int rc = 0;

    if ((q->body != NULL) + (q->body_fd >= 0) + (q->n_parts > 0) > 1)
        return reason_error(e, REASON_bad_request, EINVAL, "a request with more than one body");
    if (q->n_parts > 0)
        rc = set_parts(c, q);
    else if (q->body_fd >= 0)
        rc = set_file(c, q);
    else if (q->body != NULL)
        set_bytes(c, q->body, q->body_len);
    else if (strcmp(q->method, "POST") == 0 || strcmp(q->method, "PUT") == 0)
        set_bytes(c, "", 0);
    return rc == 0 ? 0 : reason_error(e, REASON_os_error, rc, "out of memory");
}
