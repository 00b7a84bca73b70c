/* multipart.c - see multipart.h */
#include "common/multipart.h"

#include <string.h>
#include <strings.h>
#include <talloc.h>

#define MAX_PARTS 200

/* Names and types that are not UTF-8 are made so: what is kept of them is JSON. */
static char *clean(const void *ctx, const char *s, size_t n)
{
    json_t *v = mock_text(s, n);
    char *out = talloc_strdup(ctx, json_string_value(v));

    json_decref(v);
    return out;
}

/* The value of name="..." or name=... in a header; NULL if it is not there. */
static char *parameter(const void *ctx, const char *header, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = header; (p = strcasestr(p, name)) != NULL; p += n) {
        if (p[n] != '=' || (p > header && p[-1] != ' ' && p[-1] != ';'))
            continue;
        p += n + 1;
        return *p == '"' ? clean(ctx, p + 1, strcspn(p + 1, "\"")) : clean(ctx, p, strcspn(p, "; \r\n"));
    }
    return NULL;
}

static void take_header(void *ctx, struct part *part, const char *line)
{
    if (strncasecmp(line, "Content-Disposition:", 20) == 0) {
        part->name = parameter(ctx, line, "name");
        part->filename = parameter(ctx, line, "filename");
    } else if (strncasecmp(line, "Content-Type:", 13) == 0) {
        line += 13 + strspn(line + 13, " ");
        part->type = clean(ctx, line, strlen(line));
    }
}

/* Headers up to the empty line; where the data begins, or NULL. */
static const char *take_headers(void *ctx, struct part *part, const char *p, const char *end)
{
    while (p < end) {
        const char *stop = memmem(p, (size_t)(end - p), "\r\n", 2);

        if (stop == NULL)
            return NULL;
        if (stop == p)
            return p + 2;
        take_header(ctx, part, talloc_strndup(ctx, p, (size_t)(stop - p)));
        p = stop + 2;
    }
    return NULL;
}

int multipart_parse(struct mock_request *q, struct part **parts)
{
    const char *type = mock_header(q, "content-type"), *p = q->body, *end = q->body + q->body_len;
    char *boundary =
        type != NULL && strncasecmp(type, "multipart/form-data", 19) == 0 ? parameter(q, type, "boundary") : NULL;
    char *mark;
    size_t len;
    int n = 0;

    *parts = talloc_zero_array(q, struct part, MAX_PARTS);
    if (boundary == NULL)
        return -1;
    mark = talloc_asprintf(q, "\r\n--%s", boundary);
    len = strlen(mark);
    if (q->body_len < len || memcmp(p, mark + 2, len - 2) != 0)
        return -1;
    p += len - 2;
    while (end - p >= 2 && memcmp(p, "--", 2) != 0) {
        struct part *part = &(*parts)[n];
        const char *stop;

        if (n == MAX_PARTS || memcmp(p, "\r\n", 2) != 0)
            return -1;
        part->data = take_headers(q, part, p + 2, end);
        stop = part->data != NULL ? memmem(part->data, (size_t)(end - part->data), mark, len) : NULL;
        if (stop == NULL || part->name == NULL)
            return -1;
        part->len = (size_t)(stop - part->data);
        p = stop + len;
        n++;
    }
    return end - p >= 2 ? n : -1;
}

const struct part *multipart_find(const struct part *parts, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(parts[i].name, name) == 0)
            return &parts[i];
    return NULL;
}
