/*
 * llamaparse_request.c - the three requests, for both interfaces
 *
 * v1 takes form fields, objects as JSON text and pages counted from 0; v2 takes one field `configuration` with all of it
 * as JSON, pages counted from 1. JSON is jansson's.
 *
 * Depends on base, core, http (its structs).
 */
#include "provider/llamaparse.h"
#include "base/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define MAX_PARTS    24
#define SMALL_ANSWER (1u << 20)
#define BIG_ANSWER   (256u << 20)

static const char *const wanted_events[] = {"parse.success", "parse.error", "parse.partial_success", "parse.cancelled"};

static bool has_control(const char *s)
{
    for (; s != NULL && *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

int llamaparse_check(const struct llamaparse_endpoint *ep, struct error *e)
{
    const char *base = ep->base_url;

    if (ep->api != LLAMAPARSE_V1 && ep->api != LLAMAPARSE_V2)
        return reason_error(e, REASON_bad_config, EINVAL, "LlamaParse has the interfaces v1 and v2 only");
    if (base != NULL && ((strncmp(base, "https://", 8) != 0 && strncmp(base, "http://", 7) != 0) ||
                         strpbrk(base, "?#@ ") != NULL || has_control(base)))
        return reason_error(e, REASON_bad_config, EINVAL,
                            "LlamaParse's base URL must be http:// or https://, without query, user or password");
    if (ep->api_key == NULL || ep->api_key[0] == '\0' || has_control(ep->api_key))
        return reason_error(e, REASON_bad_config, EINVAL, "LlamaParse needs a key, of one line");
    if (ep->tier == NULL || llamaparse_page_price(ep->tier) < 0)
        return reason_error(e, REASON_bad_config, EINVAL, "LlamaParse has no tier \"%.40s\"",
                            ep->tier == NULL ? "" : ep->tier);
    return 0;
}

bool llamaparse_is_id(const char *id)
{
    size_t n = strlen(id);

    if (n == 0 || n >= LLAMAPARSE_ID || strspn(id, ".") == n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)id[i]) && strchr("-_.", id[i]) == NULL)
            return false;
    return true;
}

static char *append_query(char *url, const char *name, const char *value)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    if (url == NULL || value == NULL)
        return url;
    url = talloc_asprintf_append_buffer(url, "%c%s=", strchr(url, '?') == NULL ? '?' : '&', name);
    for (; url != NULL && *value != '\0'; value++)
        url = strchr(plain, *value) != NULL ? talloc_asprintf_append_buffer(url, "%c", *value)
                                            : talloc_asprintf_append_buffer(url, "%%%02X", (unsigned char)*value);
    return url;
}

static char *make_url(const void *ctx, const struct llamaparse_endpoint *ep, const char *path)
{
    const char *base = ep->base_url != NULL ? ep->base_url : ep->europe ? LLAMAPARSE_BASE_EU : LLAMAPARSE_BASE_NA;
    size_t n = strlen(base);
    char *url;

    while (n > 0 && base[n - 1] == '/')
        n--;
    url = talloc_asprintf(ctx, "%.*s%s", (int)n, base, path);
    url = append_query(url, "organization_id", ep->organization_id);
    return append_query(url, "project_id", ep->project_id);
}

/* What every request has. */
static int begin(const void *ctx, const struct llamaparse_endpoint *ep, const char *method, const char *path,
                 struct http_request *q, struct error *e)
{
    struct http_header *h;
    int rc = llamaparse_check(ep, e);

    *q = (struct http_request){.method = method, .body_fd = -1, .response_fd = -1, .allow_private = ep->allow_private};
    if (rc < 0)
        return rc;
    h = talloc_zero_array(ctx, struct http_header, 2);
    q->url = make_url(ctx, ep, path);
    if (h == NULL || q->url == NULL)
        return reason_error(e, REASON_internal, ENOMEM, "out of memory");
    h[0] = (struct http_header){"Authorization", talloc_asprintf(h, "Bearer %s", ep->api_key), true};
    h[1] = (struct http_header){"Accept", "application/json", false};
    q->headers = h;
    q->n_headers = 2;
    q->max_response = SMALL_ANSWER;
    return h[0].value == NULL ? reason_error(e, REASON_internal, ENOMEM, "out of memory") : 0;
}

static bool is_address(const char *host, size_t n)
{
    return n > 0 && (host[0] == '[' || strspn(host, "0123456789.") >= n);
}

/* The service calls https and names only, and forgets longer addresses. One that is itself called by http is a stand-in
 * and may call back alike. */
static int check_webhook(const struct llamaparse_endpoint *ep, const char *url, struct error *e)
{
    bool plain = ep->allow_private || (ep->base_url != NULL && strncmp(ep->base_url, "http://", 7) == 0);
    const char *host = url + (strncmp(url, "https://", 8) == 0 ? 8 : 7);

    if (strlen(url) > LLAMAPARSE_MAX_WEBHOOK_URL || has_control(url))
        return reason_error(e, REASON_bad_config, EINVAL, "LlamaParse's webhook address is longer than %d bytes",
                            LLAMAPARSE_MAX_WEBHOOK_URL);
    if (strncmp(url, "https://", 8) != 0 && !(plain && strncmp(url, "http://", 7) == 0))
        return reason_error(e, REASON_bad_config, EINVAL, "LlamaParse's webhook address must begin with https://");
    if (!plain && is_address(host, strcspn(host, ":/")))
        return reason_error(e, REASON_bad_config, EINVAL, "LlamaParse calls no webhook by its IP address");
    return 0;
}

static json_t *make_webhooks(const struct llamaparse_file *file)
{
    json_t *events = json_array(), *headers = json_object();

    for (size_t i = 0; i < sizeof wanted_events / sizeof *wanted_events; i++)
        json_array_append_new(events, json_string(wanted_events[i]));
    if (file->webhook_token != NULL)
        json_object_set_new(headers, LLAMAPARSE_TOKEN_HEADER, json_string(file->webhook_token));
    return json_pack("[{s:s, s:o, s:o, s:s, s:s*}]", "webhook_url", file->webhook_url, "webhook_events", events,
                     "webhook_headers", headers, "webhook_output_format", "json", "webhook_signing_secret",
                     file->webhook_secret);
}

/* "1-3,7" as v1 counts: "0-2,6". NULL if it is no such list. */
static char *count_from_zero(const void *ctx, const char *pages)
{
    char *out = talloc_strdup(ctx, ""), *end;

    for (const char *p = pages; out != NULL && *p != '\0';) {
        long v = strtol(p, &end, 10);
        if (!isdigit((unsigned char)*p) || v < 1 || v > LLAMAPARSE_MAX_PAGE || strchr(",-", *end) == NULL ||
            (*end != '\0' && !isdigit((unsigned char)end[1])))
            return NULL;
        out = talloc_asprintf_append_buffer(out, "%ld%.1s", v - 1, end);
        p = *end == '\0' ? end : end + 1;
    }
    return *pages == '\0' ? NULL : out;
}

struct parts {
    struct http_part *list;
    int n;
    bool lost; /* memory */
};

static void add_field(struct parts *p, const char *name, const char *value)
{
    if (value == NULL) {
        p->lost = true;
        return;
    }
    if (p->n < MAX_PARTS)
        p->list[p->n++] = (struct http_part){.name = name, .data = value, .len = strlen(value), .fd = -1};
}

static void add_number(struct parts *p, const char *name, int v)
{
    if (v > 0)
        add_field(p, name, talloc_asprintf(p->list, "%d", v));
}

/* JSON as text that belongs to the parts; takes the object. */
static void add_json(struct parts *p, const char *name, json_t *object)
{
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);

    add_field(p, name, text == NULL ? NULL : talloc_strdup(p->list, text));
    free(text);
    json_decref(object);
}

/* Quotes, slashes and control characters of a name do not go into a header of the form. */
static void add_file(struct parts *p, const struct llamaparse_file *file)
{
    const char *given = file->filename == NULL || file->filename[0] == '\0' ? "file" : file->filename;
    bool fine = utf8_valid(given, strlen(given), NULL);
    char *name = talloc_strdup(p->list, fine ? given : "file");

    for (char *c = name; c != NULL && *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || strchr("\"\\/\x7f", *c) != NULL)
            *c = '_';
    if (name == NULL)
        p->lost = true;
    else if (p->n < MAX_PARTS)
        p->list[p->n++] = (struct http_part){.name = "file",
                                             .filename = name,
                                             .content_type = file->content_type != NULL ? file->content_type
                                                                                        : "application/octet-stream",
                                             .fd = file->fd,
                                             .len = (size_t)file->size};
}

static void add_languages_v1(struct parts *p, const char *list)
{
    while (list != NULL && *list != '\0') {
        size_t n = strcspn(list, ", ");
        if (n > 0 && p->n < MAX_PARTS / 2)
            add_field(p, "language", talloc_strndup(p->list, list, n));
        list += n + (list[n] != '\0');
    }
}

static int fill_v1(struct parts *p, const struct llamaparse_endpoint *ep, const struct llamaparse_file *file,
                   struct error *e)
{
    char *pages = file->target_pages == NULL ? NULL : count_from_zero(p->list, file->target_pages);

    if (file->target_pages != NULL && pages == NULL)
        return reason_error(e, REASON_bad_request, EINVAL, "\"%.40s\" is no list of pages", file->target_pages);
    add_field(p, "tier", ep->tier);
    add_field(p, "version", ep->version == NULL ? "latest" : ep->version);
    add_field(p, "page_separator", LLAMAPARSE_PAGE_MARK);
    if (pages != NULL)
        add_field(p, "target_pages", pages);
    add_number(p, "max_pages", ep->max_pages);
    if (ep->do_not_cache)
        add_field(p, "do_not_cache", "true");
    add_number(p, "job_timeout_in_seconds", ep->job_timeout_s);
    add_number(p, "job_timeout_extra_time_per_page_in_seconds", ep->job_timeout_page_s);
    add_languages_v1(p, ep->languages);
    if (file->webhook_url != NULL)
        add_json(p, "webhook_configurations", make_webhooks(file));
    return 0;
}

static json_t *languages_v2(const char *list)
{
    json_t *a = json_array();

    while (*list != '\0') {
        size_t n = strcspn(list, ", ");
        if (n > 0)
            json_array_append_new(a, json_stringn(list, n));
        list += n + (list[n] != '\0');
    }
    return a;
}

static void set_timeouts_v2(json_t *c, const struct llamaparse_endpoint *ep)
{
    json_t *t;

    if (ep->job_timeout_s <= 0 && ep->job_timeout_page_s <= 0)
        return;
    t = json_object();
    if (ep->job_timeout_s > 0)
        json_object_set_new(t, "base_in_seconds", json_integer(ep->job_timeout_s));
    if (ep->job_timeout_page_s > 0)
        json_object_set_new(t, "extra_time_per_page_in_seconds", json_integer(ep->job_timeout_page_s));
    json_object_set_new(c, "processing_control", json_pack("{s:o}", "timeouts", t));
}

static int fill_v2(struct parts *p, const struct llamaparse_endpoint *ep, const struct llamaparse_file *file,
                   struct error *e)
{
    json_t *c, *range;

    if (file->target_pages != NULL && count_from_zero(p->list, file->target_pages) == NULL)
        return reason_error(e, REASON_bad_request, EINVAL, "\"%.40s\" is no list of pages", file->target_pages);
    c = json_pack("{s:s, s:s, s:s}", "tier", ep->tier, "version", ep->version == NULL ? "latest" : ep->version,
                  "client_name", "docmill");
    range = json_object();
    if (file->target_pages != NULL)
        json_object_set_new(range, "target_pages", json_string(file->target_pages));
    if (ep->max_pages > 0)
        json_object_set_new(range, "max_pages", json_integer(ep->max_pages));
    if (json_object_size(range) > 0)
        json_object_set(c, "page_ranges", range);
    json_decref(range);
    if (ep->do_not_cache)
        json_object_set_new(c, "disable_cache", json_true());
    if (ep->languages != NULL && ep->languages[0] != '\0')
        json_object_set_new(c, "processing_options",
                            json_pack("{s:{s:o}}", "ocr_parameters", "languages", languages_v2(ep->languages)));
    set_timeouts_v2(c, ep);
    if (file->webhook_url != NULL)
        json_object_set_new(c, "webhook_configurations", make_webhooks(file));
    add_json(p, "configuration", c);
    return 0;
}

int llamaparse_submit(const void *ctx, const struct llamaparse_endpoint *ep, const struct llamaparse_file *file,
                      struct http_request *q, struct error *e)
{
    struct parts p = {0};
    int rc = begin(ctx, ep, "POST", ep->api == LLAMAPARSE_V1 ? "/api/v1/parsing/upload" : "/api/v2/parse/upload", q, e);

    if (rc == 0 && file->webhook_url != NULL)
        rc = check_webhook(ep, file->webhook_url, e);
    if (rc < 0)
        return rc;
    p.list = talloc_zero_array(ctx, struct http_part, MAX_PARTS);
    if (p.list == NULL)
        return reason_error(e, REASON_internal, ENOMEM, "out of memory");
    rc = ep->api == LLAMAPARSE_V1 ? fill_v1(&p, ep, file, e) : fill_v2(&p, ep, file, e);
    if (rc < 0)
        return rc;
    add_file(&p, file);
    if (p.lost)
        return reason_error(e, REASON_internal, ENOMEM, "out of memory");
    q->parts = p.list;
    q->n_parts = p.n;
    return 0;
}

static int get_job(const void *ctx, const struct llamaparse_endpoint *ep, const char *job_id, const char *tail,
                   struct http_request *q, struct error *e)
{
    char *path;

    if (!llamaparse_is_id(job_id))
        return reason_error(e, REASON_internal, EINVAL, "\"%.40s\" is no job of LlamaParse", job_id);
    path = talloc_asprintf(ctx, ep->api == LLAMAPARSE_V1 ? "/api/v1/parsing/job/%s%s" : "/api/v2/parse/%s%s", job_id,
                           tail);
    return path == NULL ? reason_error(e, REASON_internal, ENOMEM, "out of memory") : begin(ctx, ep, "GET", path, q, e);
}

int llamaparse_status(const void *ctx, const struct llamaparse_endpoint *ep, const char *job_id, struct http_request *q,
                      struct error *e)
{
    return get_job(ctx, ep, job_id, "", q, e);
}

int llamaparse_result(const void *ctx, const struct llamaparse_endpoint *ep, const char *job_id, struct http_request *q,
                      struct error *e)
{
    int rc =
        get_job(ctx, ep, job_id,
                ep->api == LLAMAPARSE_V1 ? "/result/json" : "?expand=markdown&expand=job_metadata&expand=usage", q, e);

    q->max_response = BIG_ANSWER;
    return rc;
}

/* Of the service's own: 30 minutes and 5 a page at most. Ours is a little more than the job's, for its queue. */
int64_t llamaparse_deadline_ms(const struct llamaparse_endpoint *ep, int pages)
{
    const int64_t queue_s = 120, unknown_pages = 100;
    int64_t base = ep->job_timeout_s > 0 ? ep->job_timeout_s : 600;
    int64_t each = ep->job_timeout_page_s > 0 ? ep->job_timeout_page_s : 30;
    int64_t n = pages > 0 ? pages : unknown_pages;

    if (base > 7200)
        base = 7200;
    if (each > 300)
        each = 300;
    if (n > LLAMAPARSE_MAX_PAGE)
        n = LLAMAPARSE_MAX_PAGE;
    return (base + each * n + queue_s) * 1000;
}
