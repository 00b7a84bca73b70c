/*
 * request.c - a request as it was received, and the answer's parts
 *
 * Depends on common, jansson.
 */
#include "common/mock_int.h"
#include "common/request.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

static int request_destroy(struct mock_request *q)
{
    json_decref(q->headers);
    json_decref(q->args);
    json_decref(q->summary);
    json_decref(q->faults);
    json_decref(q->kept);
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *url_decode(const void *ctx, const char *s, size_t n, bool plus_is_space)
{
    char *out = talloc_array(ctx, char, (unsigned)n + 1), *p = out;

    for (size_t i = 0; i < n; i++) {
        if (s[i] == '%' && i + 2 < n && hex_digit(s[i + 1]) >= 0 && hex_digit(s[i + 2]) >= 0) {
            *p++ = (char)(hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]));
            i += 2;
        } else {
            *p++ = plus_is_space && s[i] == '+' ? ' ' : s[i];
        }
    }
    *p = '\0';
    return out;
}

static json_t *any_string(const char *s)
{
    return mock_text(s, strlen(s));
}

static void put_arg(struct mock_request *q, const char *name, const char *value)
{
    const char *before = mock_arg(q, name);

    if (before != NULL)
        value = talloc_asprintf(q, "%s,%s", before, value);
    json_object_set_new(q->args, name, any_string(value));
}

static void take_args(struct mock_request *q)
{
    const char *p = q->query;

    while (*p != '\0') {
        size_t n = strcspn(p, "&"), eq = strcspn(p, "=&");
        char *name = url_decode(q, p, eq, true), *value;

        value = eq < n ? url_decode(q, p + eq + 1, n - eq - 1, true) : talloc_strdup(q, "");
        put_arg(q, name, value);
        p += n + (p[n] == '&');
    }
}

struct mock_request *request_new(struct mock *m, const char *uri)
{
    struct mock_request *q = talloc_zero(NULL, struct mock_request);
    size_t n = strcspn(uri, "?");

    q->mock = m;
    q->uri = talloc_strdup(q, uri);
    q->path = url_decode(q, uri, n, false);
    q->query = q->uri + n + (uri[n] == '?');
    q->headers = json_object();
    q->args = json_object();
    q->summary = json_object();
    q->faults = json_array();
    q->kept = json_array();
    q->body = "";
    q->started_ms = mock_now_ms(m);
    talloc_set_destructor(q, request_destroy);
    take_args(q);
    return q;
}

void request_header(struct mock_request *q, const char *name, const char *value)
{
    char *lower = talloc_strdup(q, name);

    for (char *p = lower; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 32);
    json_object_set_new(q->headers, lower, any_string(value));
}

const char *mock_header(const struct mock_request *q, const char *name)
{
    return json_string_value(json_object_get(q->headers, name));
}

const char *mock_arg(const struct mock_request *q, const char *name)
{
    return json_string_value(json_object_get(q->args, name));
}

const char *mock_bearer(const struct mock_request *q)
{
    const char *h = mock_header(q, "authorization");

    return h != NULL && strncasecmp(h, "Bearer ", 7) == 0 ? h + 7 : NULL;
}

bool mock_is(const struct mock_request *q, const char *method, const char *path)
{
    return strcmp(q->method, method) == 0 && strcmp(q->path, path) == 0;
}

void answer_bytes(struct mock_request *q, struct mock_answer *a, int status, const char *type, const void *p, size_t n)
{
    a->status = status;
    a->type = type != NULL ? talloc_strdup(q, type) : NULL;
    a->body = talloc_memdup(q, p, n);
    a->body_len = n;
}

void answer_json(struct mock_request *q, struct mock_answer *a, int status, json_t *owned)
{
    char *text = json_dumps(owned, JSON_COMPACT | JSON_ENCODE_ANY);

    answer_bytes(q, a, status, "application/json", text != NULL ? text : "null", text != NULL ? strlen(text) : 4);
    free(text);
    json_decref(owned);
}

void answer_header(struct mock_request *q, struct mock_answer *a, const char *name, const char *fmt, ...)
{
    va_list ap;
    char *value;

    va_start(ap, fmt);
    value = talloc_vasprintf(q, fmt, ap);
    va_end(ap);
    json_object_set_new(a->headers, name, any_string(value));
}
