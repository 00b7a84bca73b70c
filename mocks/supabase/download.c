/*
 * download.c - an object's bytes, whole or by range
 *
 * Depends on common.
 */
#include "common/faults.h"
#include "supabase/supabase.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

/* bytes=A-B, A-, -N; -1: cannot be satisfied; 0: no range, or none that is understood. */
static int range_of(const char *text, size_t len, size_t *from, size_t *to)
{
    char *end;

    if (text == NULL || strncmp(text, "bytes=", 6) != 0 || strchr(text, ',') != NULL)
        return 0;
    text += 6;
    if (*text == '-') {
        size_t n = strtoull(text + 1, NULL, 10);

        if (n == 0 || len == 0)
            return -1;
        *from = n < len ? len - n : 0;
        *to = len - 1;
        return 1;
    }
    if (!isdigit((unsigned char)*text))
        return 0;
    *from = strtoull(text, &end, 10);
    *to = end[0] == '-' && isdigit((unsigned char)end[1]) ? strtoull(end + 1, NULL, 10) : len - 1;
    if (*from >= len || *to < *from)
        return -1;
    *to = *to < len ? *to : len - 1;
    return 1;
}

static void put_headers(struct mock_request *q, struct mock_answer *a, const struct object *o)
{
    time_t seconds = (time_t)(o->updated_ms / 1000);
    char date[64];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    answer_header(q, a, "ETag", "\"%s\"", o->etag);
    answer_header(q, a, "Last-Modified", "%s", date);
    answer_header(q, a, "Cache-Control", "%s", o->cache_control);
    answer_header(q, a, "Accept-Ranges", "bytes");
}

void download(struct supabase *s, struct mock_request *q, struct mock_answer *a, const struct object *o)
{
    const char *match = mock_header(q, "if-none-match");
    size_t from = 0, to = o->len > 0 ? o->len - 1 : 0;
    int range = range_of(mock_header(q, "range"), o->len, &from, &to);

    put_headers(q, a, o);
    if (match != NULL && strstr(match, o->etag) != NULL) {
        answer_bytes(q, a, 304, NULL, "", 0);
        return;
    }
    if (range < 0) {
        answer_bytes(q, a, 416, NULL, "", 0);
        return;
    }
    answer_bytes(q, a, range > 0 ? 206 : 200, o->type, o->data + from, o->len > 0 ? to - from + 1 : 0);
    if (range > 0)
        answer_header(q, a, "Content-Range", "bytes %zu-%zu/%zu", from, to, o->len);
    s->bytes_out += (int64_t)a->body_len;
}

void download_spoil(struct mock_request *q, struct mock_answer *a)
{
    char *bytes;

    if (a->status >= 300 || a->body_len == 0 || fault_strikes(q, FAULT_WRONG_BYTES) == NULL)
        return;
    bytes = talloc_memdup(q, a->body, a->body_len);
    bytes[a->body_len / 2] = (char)(bytes[a->body_len / 2] ^ 1);
    a->body = bytes;
}
