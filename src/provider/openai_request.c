/*
 * openai_request.c - the embeddings request: address, headers, JSON
 *
 * The body is written by hand, in two passes (how long, then the bytes), since it is nearly all the caller's text: what
 * JSON wants escaped is looked up in a table, runs between are copied. The text is checked to be UTF-8 first, so the
 * body is valid JSON whatever it holds.
 *
 * Depends on base, core, http (its structs).
 */
#include "provider/openai.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#define MAX_HEADERS 6

/* An answer's longest decimal number with its comma, and what stands around each vector and around them all. */
#define NUMBER_BYTES 32
#define ITEM_BYTES   256
#define FRAME_BYTES  65536

static const struct {
    const char *model;
    int dimension;
    bool can_be_shortened;
} models[] = {
    {"text-embedding-3-small", 1536, true},
    {"text-embedding-3-large", 3072, true},
    {"text-embedding-ada-002", 1536, false},
};

int openai_native_dimension(const char *model)
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (strcmp(models[i].model, model) == 0)
            return models[i].dimension;
    return 0;
}

static bool sends_dimensions(const struct openai_endpoint *ep)
{
    if (ep->shorten != OPENAI_SHORTEN_AUTO)
        return ep->shorten == OPENAI_SHORTEN_ALWAYS;
    if (!openai_capabilities(ep->kind)->dimensions)
        return false;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (strcmp(models[i].model, ep->model) == 0)
            return models[i].can_be_shortened && models[i].dimension != ep->dimension;
    return false;
}

static bool has_control(const char *s)
{
    for (; s != NULL && *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

static int check_dimension(const struct openai_endpoint *ep, struct error *e)
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        if (strcmp(models[i].model, ep->model) != 0 || models[i].dimension == ep->dimension)
            continue;
        if (!models[i].can_be_shortened || ep->dimension > models[i].dimension || ep->shorten == OPENAI_SHORTEN_NEVER)
            return reason_error(e, REASON_bad_config, EINVAL, "%s gives vectors of %d dimensions, not of %d", ep->model,
                                models[i].dimension, ep->dimension);
    }
    return 0;
}

int openai_check(const struct openai_endpoint *ep, struct error *e)
{
    const struct openai_capabilities *can = openai_capabilities(ep->kind);
    const char *base = ep->base_url;

    if (base == NULL || (strncmp(base, "https://", 8) != 0 && strncmp(base, "http://", 7) != 0) ||
        strpbrk(base, "?#@ ") != NULL || has_control(base))
        return reason_error(e, REASON_bad_config, EINVAL,
                            "the embedder's base URL must be http:// or https://, without query, user or password");
    if (ep->model == NULL || ep->model[0] == '\0' || !utf8_valid(ep->model, strlen(ep->model), NULL))
        return reason_error(e, REASON_bad_config, EINVAL, "the embedder has no model");
    if (ep->dimension < 1)
        return reason_error(e, REASON_bad_config, EINVAL, "the embedder has no dimension");
    if (can->auth != OPENAI_AUTH_NONE && (ep->api_key == NULL || ep->api_key[0] == '\0'))
        return reason_error(e, REASON_bad_config, EINVAL, "the embedder %s needs a key", can->name);
    if (has_control(ep->api_key) || has_control(ep->organization) || has_control(ep->project))
        return reason_error(e, REASON_bad_config, EINVAL,
                            "the embedder's key, organization or project holds a line end or a control character");
    return check_dimension(ep, e);
}

static char *append_encoded(char *s, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (; s != NULL && *text != '\0'; text++)
        s = strchr(plain, *text) != NULL ? talloc_asprintf_append_buffer(s, "%c", *text)
                                         : talloc_asprintf_append_buffer(s, "%%%02X", (unsigned char)*text);
    return s;
}

static size_t without_tail(const char *s, size_t n, const char *tail)
{
    size_t k = strlen(tail);

    return n >= k && memcmp(s + n - k, tail, k) == 0 ? n - k : n;
}

static size_t without_slashes(const char *s, size_t n)
{
    while (n > 0 && s[n - 1] == '/')
        n--;
    return n;
}

static char *make_url(const void *ctx, const struct openai_endpoint *ep)
{
    const struct openai_capabilities *can = openai_capabilities(ep->kind);
    size_t n = without_slashes(ep->base_url, strlen(ep->base_url));
    char *url;

    if (ep->kind != OPENAI_GENERIC)
        n = without_slashes(ep->base_url, without_tail(ep->base_url, n, "/v1"));
    if (ep->kind == OPENAI_AZURE)
        n = without_slashes(ep->base_url, without_tail(ep->base_url, n, "/openai"));
    url = talloc_strndup(ctx, ep->base_url, n);
    if (url == NULL)
        return NULL;
    if (ep->kind != OPENAI_AZURE || ep->api_version == NULL)
        return talloc_strdup_append_buffer(url, can->path);
    url = append_encoded(talloc_strdup_append_buffer(url, "/openai/deployments/"), ep->model);
    url = url == NULL ? NULL : talloc_strdup_append_buffer(url, "/embeddings?api-version=");
    return append_encoded(url, ep->api_version);
}

static int make_headers(const void *ctx, const struct openai_endpoint *ep, struct http_request *q)
{
    struct http_header *h = talloc_zero_array(ctx, struct http_header, MAX_HEADERS);
    int n = 0;

    if (h == NULL)
        return -ENOMEM;
    h[n++] = (struct http_header){"Content-Type", "application/json", false};
    h[n++] = (struct http_header){"Accept", "application/json", false};
    if (ep->api_key != NULL && ep->api_key[0] != '\0') {
        bool plain = openai_capabilities(ep->kind)->auth == OPENAI_AUTH_API_KEY;
        char *value = plain ? talloc_strdup(h, ep->api_key) : talloc_asprintf(h, "Bearer %s", ep->api_key);
        if (value == NULL)
            return -ENOMEM;
        h[n++] = (struct http_header){plain ? "api-key" : "Authorization", value, true};
    }
    if (ep->organization != NULL)
        h[n++] = (struct http_header){"OpenAI-Organization", ep->organization, false};
    if (ep->project != NULL)
        h[n++] = (struct http_header){"OpenAI-Project", ep->project, false};
    q->headers = h;
    q->n_headers = n;
    return 0;
}

/* What stands for a byte in a JSON string: how long it is. */
static size_t escaped_length(unsigned char c)
{
    if (c == '"' || c == '\\' || c == '\n' || c == '\t' || c == '\r')
        return 2;
    return c < 0x20 ? 6 : 1;
}

static size_t json_length(const char *s, size_t n)
{
    size_t len = 2;

    for (size_t i = 0; i < n; i++)
        len += escaped_length((unsigned char)s[i]);
    return len;
}

static char *put_escaped(char *p, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";

    *p++ = '\\';
    if (c >= 0x20)
        *p++ = (char)c;
    else if (c == '\n' || c == '\t' || c == '\r')
        *p++ = c == '\n' ? 'n' : c == '\t' ? 't' : 'r';
    else {
        p[0] = 'u';
        p[1] = p[2] = '0';
        p[3] = hex[c >> 4];
        p[4] = hex[c & 15];
        p += 5;
    }
    return p;
}

static char *put_json(char *p, const char *s, size_t n)
{
    size_t from = 0;

    *p++ = '"';
    for (size_t i = 0; i <= n; i++) {
        if (i < n && escaped_length((unsigned char)s[i]) == 1)
            continue;
        memcpy(p, s + from, i - from);
        p += i - from;
        if (i < n)
            p = put_escaped(p, (unsigned char)s[i]);
        from = i + 1;
    }
    *p++ = '"';
    return p;
}

static char *put(char *p, const char *text)
{
    return stpcpy(p, text);
}

static int make_body(const void *ctx, const struct openai_endpoint *ep, const struct embed_input *in, int n,
                     bool base64, struct http_request *q)
{
    size_t model = strlen(ep->model), len = 128 + json_length(ep->model, model);
    char options[96] = "", *body, *p;

    for (int i = 0; i < n; i++)
        len += json_length(in[i].text, in[i].len) + 1;
    p = put(options, base64 ? ",\"encoding_format\":\"base64\"" : ",\"encoding_format\":\"float\"");
    if (sends_dimensions(ep))
        snprintf(p, sizeof options - (size_t)(p - options), ",\"dimensions\":%d", ep->dimension);
    body = talloc_size(ctx, len);
    if (body == NULL)
        return -ENOMEM;
    p = put(body, "{\"model\":");
    p = put_json(p, ep->model, model);
    p = put(p, ",\"input\":[");
    for (int i = 0; i < n; i++) {
        if (i > 0)
            *p++ = ',';
        p = put_json(p, in[i].text, in[i].len);
    }
    p = put(p, "]");
    p = put(p, options);
    p = put(p, "}");
    q->body = body;
    q->body_len = (size_t)(p - body);
    return 0;
}

static int check_inputs(const struct embed_input *in, int n, int *bad_item, struct error *e)
{
    size_t at = 0;

    if (n < 1)
        return reason_error(e, REASON_internal, EINVAL, "an embeddings request without a text");
    for (int i = 0; i < n; i++) {
        if (bad_item != NULL)
            *bad_item = i;
        if (in[i].len == 0)
            return reason_error(e, REASON_embed_refused, EINVAL, "text %d of the batch is empty", i);
        if (!utf8_valid(in[i].text, in[i].len, &at))
            return reason_error(e, REASON_embed_refused, EINVAL, "text %d of the batch is no UTF-8 at byte %zu", i, at);
    }
    if (bad_item != NULL)
        *bad_item = -1;
    return 0;
}

int openai_request(const void *ctx, const struct openai_endpoint *ep, const struct embed_input *in, int n,
                   struct http_request *q, int *bad_item, struct error *e)
{
    bool base64 = openai_capabilities(ep->kind)->base64 && !ep->want_float;
    int rc;

    *q = (struct http_request){.method = "POST", .body_fd = -1, .response_fd = -1, .allow_private = ep->allow_private};
    if (bad_item != NULL)
        *bad_item = -1;
    rc = openai_check(ep, e);
    if (rc < 0)
        return rc;
    rc = check_inputs(in, n, bad_item, e);
    if (rc < 0)
        return rc;
    q->url = make_url(ctx, ep);
    rc = q->url == NULL ? -ENOMEM : make_headers(ctx, ep, q);
    if (rc == 0)
        rc = make_body(ctx, ep, in, n, base64, q);
    if (rc < 0)
        return reason_error(e, REASON_internal, rc, "out of memory");
    /* Whatever was asked for, numbers may come; more than this is no answer to the request. */
    q->max_response = (size_t)n * ((size_t)ep->dimension * NUMBER_BYTES + ITEM_BYTES) + FRAME_BYTES;
    return 0;
}
