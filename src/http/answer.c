/*
 * answer.c - what comes back: status, headers, body, and their limits while they arrive
 *
 * A body is refused as soon as its announced length is over the limit, and at the first byte over it when no length was
 * announced or the announced one was a lie. Interim answers (1xx) are forgotten; trailers are no headers.
 *
 * Diagnostics: none of its own; it sets the call's `stop`. Depends on base/clock.h, libcurl.
 */
#include "base/clock.h"
#include "http/http_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>
#include <unistd.h>

#define MAX_HEADER_BYTES  131072
#define MAX_HEADERS       500
#define MAX_REFUSAL_BYTES 1048576 /* of an answer that was to go to a file, and is none of 2xx */

static long status_of(struct http_call *c)
{
    long status = 0;

    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static void add_header(struct http_call *c, const char *line, size_t n)
{
    struct http_answer *a = c->answer;
    const char *colon = memchr(line, ':', n);
    size_t name_len = colon != NULL ? (size_t)(colon - line) : 0;
    struct http_header *h;

    if (name_len == 0 || line[0] == ' ' || line[0] == '\t')
        return;
    n -= name_len + 1;
    for (colon++; n > 0 && (*colon == ' ' || *colon == '\t'); colon++)
        n--;
    if (a->n_headers == a->room_headers) {
        a->room_headers = a->room_headers == 0 ? 16 : 2 * a->room_headers;
        a->headers = talloc_realloc(a, a->headers, struct http_header, (unsigned)a->room_headers);
    }
    if (a->headers == NULL) {
        a->n_headers = a->room_headers = 0;
        http_call_stop(c, HTTP_STOP_MEMORY, ENOMEM);
        return;
    }
    h = &a->headers[a->n_headers++];
    h->name = talloc_strndup(a->headers, line, name_len);
    h->value = talloc_strndup(a->headers, colon, n);
    h->secret = false;
    if (h->name == NULL || h->value == NULL)
        http_call_stop(c, HTTP_STOP_MEMORY, ENOMEM);
}

/* libcurl knows the length only after the callback of the last header. */
static size_t announced_bytes(const struct http_answer *a)
{
    for (int i = 0; i < a->n_headers; i++)
        if (strcasecmp(a->headers[i].name, "Content-Length") == 0)
            return strtoull(a->headers[i].value, NULL, 10);
    return 0;
}

/* The blank line behind the headers. */
static void headers_end(struct http_call *c)
{
    long status = status_of(c);

    if (status < 200)
        return;
    c->answer->headers_done = true;
    c->answered_ms = c->answered_ms != 0 ? c->answered_ms : clock_ms();
    if (c->q.response_fd >= 0 && status / 100 != 2 && c->q.max_response > MAX_REFUSAL_BYTES)
        c->q.max_response = MAX_REFUSAL_BYTES; /* the limit was a file's, this goes to memory */
    if (!c->head && status != 204 && status != 304 && announced_bytes(c->answer) > c->q.max_response)
        http_call_stop(c, HTTP_STOP_TOO_LARGE, EFBIG);
}

void http_answer_line(struct http_call *c, const char *line, size_t n)
{
    struct http_answer *a = c->answer;

    a->header_bytes += n;
    if (a->header_bytes > MAX_HEADER_BYTES || a->n_headers > MAX_HEADERS) {
        http_call_stop(c, HTTP_STOP_HEADERS, EFBIG);
        return;
    }
    while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == '\n' || line[n - 1] == ' '))
        n--;
    if (n >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        TALLOC_FREE(a->headers);
        a->n_headers = a->room_headers = 0;
        a->headers_done = false;
    } else if (n == 0) {
        headers_end(c);
    } else if (!a->headers_done) {
        add_header(c, line, n);
    }
}

static size_t handle_header(char *line, size_t size, size_t n, void *arg)
{
    struct http_call *c = arg;

    http_answer_line(c, line, size * n);
    return c->stop == HTTP_STOP_NONE ? size * n : 0;
}

static bool append(struct http_answer *a, const char *p, size_t n)
{
    if (a->len + n + 1 > a->room) {
        size_t room = a->room == 0 ? 4096 : 2 * a->room;

        while (room < a->len + n + 1)
            room *= 2;
        char *body = talloc_realloc_size(a, a->body, room);
        if (body == NULL)
            return false;
        a->body = body;
        a->room = room;
    }
    memcpy(a->body + a->len, p, n);
    a->len += n;
    a->body[a->len] = '\0';
    return true;
}

static bool write_out(struct http_call *c, const char *p, size_t n)
{
    struct http_answer *a = c->answer;

    while (n > 0) {
        ssize_t put = pwrite(c->q.response_fd, p, n, (off_t)a->len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            http_call_stop(c, HTTP_STOP_SINK, put < 0 ? errno : EIO);
            return false;
        }
        p += put;
        n -= (size_t)put;
        a->len += (size_t)put;
    }
    return true;
}

static size_t handle_body(char *p, size_t size, size_t n, void *arg)
{
    struct http_call *c = arg;
    struct http_answer *a = c->answer;

    n *= size;
    if (c->stop != HTTP_STOP_NONE)
        return 0;
    if (n > c->q.max_response - a->len) {
        http_call_stop(c, HTTP_STOP_TOO_LARGE, EFBIG);
        return 0;
    }
    if (c->q.response_fd >= 0 && status_of(c) / 100 == 2)
        return write_out(c, p, n) ? n : 0;
    if (!append(a, p, n)) {
        http_call_stop(c, HTTP_STOP_MEMORY, ENOMEM);
        return 0;
    }
    return n;
}

void http_answer_set(struct http_call *c)
{
    curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, handle_header);
    curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, handle_body);
    curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
}

const char *http_response_header(const struct http_response *r, const char *name)
{
    for (int i = r->n_headers - 1; i >= 0; i--)
        if (strcasecmp(r->headers[i].name, name) == 0)
            return r->headers[i].value;
    return NULL;
}
