/*
 * results.c - jobs and their results as v1 and v2 answer them
 *
 * v1's credits are 0, as the service's are: it bills later. --report-credits tells them.
 *
 * Depends on common.
 */
#include "common/faults.h"
#include "llamaparse/llamaparse.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define PAGE_WIDTH  612
#define PAGE_HEIGHT 792
#define PROJECT     "00000000-0000-4000-8000-000000000001"

/* ---- items: blocks of a page's markdown ---- */

static const char *kind_of(const char *md, size_t *level)
{
    *level = strspn(md, "#");
    if (*level > 0 && *level <= 6 && md[*level] == ' ')
        return "heading";
    return *md == '|' ? "table" : "text";
}

static json_t *one_item(const char *p, size_t n, int version)
{
    char *md = talloc_strndup(NULL, p, n);
    size_t level;
    const char *kind = kind_of(md, &level), *value = strcmp(kind, "heading") == 0 ? md + level + 1 : md;
    json_t *item = json_pack("{s:s, s:s, s:s}", "type", kind, "md", md, "value", value);

    if (strcmp(kind, "heading") == 0)
        json_object_set_new(item, version == 2 ? "level" : "lvl", json_integer((json_int_t)level));
    if (version == 1)
        json_object_set_new(item, "bBox",
                            json_pack("{s:f, s:f, s:f, s:f}", "x", 72.0, "y", 72.0, "w", 468.0, "h", 648.0));
    talloc_free(md);
    return item;
}

static json_t *items_of(const char *md, int version)
{
    json_t *items = json_array();

    while (*md != '\0') {
        const char *end = strstr(md, "\n\n");
        size_t n = end != NULL ? (size_t)(end - md) : strlen(md);

        if (n > 0)
            json_array_append_new(items, one_item(md, n, version));
        md += n;
        md += strspn(md, "\n");
    }
    return items;
}

/* ---- v1 ---- */

json_t *result_v1_pages(const json_t *job)
{
    json_t *pages = json_array(), *page;
    size_t i;

    json_array_foreach(json_object_get(job, "pages"), i, page)
    {
        const json_t *error = json_object_get(page, "error");
        json_t *out = json_pack(
            "{s:O, s:O, s:O, s:[], s:[], s:o, s:s, s:i, s:i, s:[], s:b}", "page", json_object_get(page, "page"), "text",
            json_object_get(page, "text"), "md", json_object_get(page, "md"), "images", "charts", "items",
            items_of(json_string_value(json_object_get(page, "md")), 1), "status", error != NULL ? "ERROR" : "OK",
            "width", PAGE_WIDTH, "height", PAGE_HEIGHT, "links", "triggeredAutoMode", 0);

        if (error != NULL)
            json_object_set(out, "error", (json_t *)(uintptr_t)error);
        json_array_append_new(pages, out);
    }
    return pages;
}

static json_t *metadata_of(bool report_credits, const json_t *job)
{
    bool hit = json_is_true(json_object_get(job, "cache_hit"));
    int64_t pages = job_pages(job), tenths = hit || !report_credits ? 0 : pages * job_int(job, "credits");

    return json_pack("{s:f, s:f, s:I, s:i, s:b}", "credits_used", (double)tenths / 10, "job_credits_usage",
                     (double)tenths / 10, "job_pages", (json_int_t)pages, "job_auto_mode_triggered_pages", 0,
                     "job_is_cache_hit", hit);
}

static char *replaced(const void *ctx, const char *text, const char *number)
{
    const char *mark = strcasestr(text, "{pageNumber}");

    return mark == NULL ? talloc_strdup(ctx, text)
                        : talloc_asprintf(ctx, "%.*s%s%s", (int)(mark - text), text, number, mark + 12);
}

char *result_joined(const void *ctx, const json_t *job, const char *what)
{
    char *all = talloc_strdup(ctx, "");
    json_t *page;
    size_t i;

    json_array_foreach(json_object_get(job, "pages"), i, page)
    {
        char *number = talloc_asprintf(all, "%lld", (long long)job_int(page, "page"));

        if (i > 0)
            all = talloc_strdup_append_buffer(all, replaced(ctx, job_text(job, "separator"), number));
        all = talloc_strdup_append_buffer(all, replaced(ctx, job_text(job, "prefix"), number));
        all = talloc_strdup_append_buffer(all, job_text(page, what));
        all = talloc_strdup_append_buffer(all, replaced(ctx, job_text(job, "suffix"), number));
    }
    return all;
}

static void answer_status(struct mock_request *q, struct mock_answer *a, const json_t *job)
{
    const char *status = job_status(job, mock_now_ms(q->mock), 1);
    json_t *out = json_pack("{s:s, s:s}", "id", job_text(job, "id"), "status", status);

    if (strcmp(status, "ERROR") == 0 || strcmp(status, "PARTIAL_SUCCESS") == 0) {
        json_object_set(out, "error_code", json_object_get(job, "error_code"));
        json_object_set(out, "error_message", json_object_get(job, "error_message"));
    }
    answer_json(q, a, 200, out);
}

static bool result_is_there(struct mock_request *q, const json_t *job)
{
    const char *outcome = job_text(job, "outcome");

    return job_over(job, mock_now_ms(q->mock)) &&
           (strcmp(outcome, "SUCCESS") == 0 || strcmp(outcome, "PARTIAL_SUCCESS") == 0) &&
           fault_strikes(q, FAULT_RESULT_MISSING) == NULL;
}

static void answer_result(struct llamaparse *l, struct mock_request *q, struct mock_answer *a, const json_t *job,
                          const char *type)
{
    bool raw = strncmp(type, "raw/", 4) == 0;

    type += raw ? 4 : 0;
    if (!result_is_there(q, job)) {
        detail(q, a, 404, "Result not found");
    } else if (strcmp(type, "json") == 0) {
        answer_json(q, a, 200,
                    json_pack("{s:o, s:o, s:O}", "pages", result_v1_pages(job), "job_metadata",
                              metadata_of(l->report_credits, job), "file_name", json_object_get(job, "name")));
    } else if (strcmp(type, "markdown") == 0 || strcmp(type, "text") == 0) {
        const char *joined = result_joined(q, job, strcmp(type, "text") == 0 ? "text" : "md");

        if (raw)
            answer_bytes(q, a, 200, "text/plain; charset=utf-8", joined, strlen(joined));
        else
            answer_json(q, a, 200,
                        json_pack("{s:s, s:o}", type, joined, "job_metadata", metadata_of(l->report_credits, job)));
    } else {
        detail(q, a, 404, "Result type not found");
    }
}

/* A copy of the job, which belongs to the request; NULL with a 404 made. */
static const json_t *take_job(struct llamaparse *l, struct mock_request *q, struct mock_answer *a, const char *id)
{
    json_t *job;

    mock_lock(l->mock);
    job = json_deep_copy(job_find(l, id));
    mock_unlock(l->mock);
    if (job == NULL)
        detail(q, a, 404, "Job not found");
    else
        json_array_append_new(q->kept, job);
    return job;
}

/* /api/v1/parsing/job/{id}[/result/{type}] */
void serve_job(struct llamaparse *l, struct mock_request *q, struct mock_answer *a)
{
    const char *rest = strstr(q->path, "/job/") + 5;
    size_t n = strcspn(rest, "/");
    const json_t *job = take_job(l, q, a, talloc_strndup(q, rest, n));

    if (job == NULL)
        return;
    rest += n;
    if (*rest == '\0')
        answer_status(q, a, job);
    else if (strncmp(rest, "/result/", 8) == 0)
        answer_result(l, q, a, job, rest + 8);
    else
        detail(q, a, 404, "Not Found");
}

/* ---- v2 ---- */

json_t *job_v2(const json_t *job, int64_t now_ms, bool usage)
{
    bool failed = job_over(job, now_ms) && strcmp(job_text(job, "outcome"), "ERROR") == 0;
    double credits =
        json_is_true(json_object_get(job, "cache_hit")) ? 0 : (double)(job_pages(job) * job_int(job, "credits")) / 10;
    json_t *out =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "id", job_text(job, "id"), "project_id", PROJECT, "status",
                  job_status(job, now_ms, 2), "name", job_text(job, "name"), "tier", job_text(job, "tier"),
                  "created_at", mock_time_text(job_int(job, "created_ms")), "updated_at", mock_time_text(now_ms));

    json_object_set_new(out, "error_message",
                        failed ? json_sprintf("%s: %s", job_text(job, "error_code"), job_text(job, "error_message"))
                               : json_null());
    json_object_set_new(out, "usage",
                        usage && job_over(job, now_ms) ? json_pack("{s:f}", "credits", credits) : json_null());
    return out;
}

/* One page of `markdown`, `text` or `items`. */
static json_t *page_v2(const json_t *page, const char *what)
{
    const json_t *number = json_object_get(page, "page"), *error = json_object_get(page, "error");

    if (strcmp(what, "text") == 0)
        return json_pack("{s:O, s:O}", "page_number", number, "text", json_object_get(page, "text"));
    if (error != NULL)
        return json_pack("{s:O, s:O, s:b}", "page_number", number, "error", error, "success", 0);
    if (strcmp(what, "markdown") == 0)
        return json_pack("{s:O, s:O, s:b}", "page_number", number, "markdown", json_object_get(page, "md"), "success",
                         1);
    return json_pack("{s:O, s:o, s:i, s:i, s:b}", "page_number", number, "items",
                     items_of(json_string_value(json_object_get(page, "md")), 2), "page_width", PAGE_WIDTH,
                     "page_height", PAGE_HEIGHT, "success", 1);
}

static json_t *pages_v2(const json_t *job, const char *what)
{
    json_t *pages = json_array(), *page;
    size_t i;

    json_array_foreach(json_object_get(job, "pages"), i, page) json_array_append_new(pages, page_v2(page, what));
    return json_pack("{s:o}", "pages", pages);
}

static bool is_in_list(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = list; p != NULL && (p = strstr(p, word)) != NULL; p += n)
        if ((p == list || p[-1] == ',') && (p[n] == ',' || p[n] == '\0'))
            return true;
    return false;
}

static void answer_v2(struct mock_request *q, struct mock_answer *a, const json_t *job)
{
    static const char *const parts[] = {"markdown", "text", "items"};
    int64_t now = mock_now_ms(q->mock);
    const char *expand = mock_arg(q, "expand");
    json_t *out = json_pack("{s:o}", "job", job_v2(job, now, is_in_list(expand, "usage")));

    if (result_is_there(q, job)) {
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            if (is_in_list(expand, parts[i]))
                json_object_set_new(out, parts[i], pages_v2(job, parts[i]));
        if (is_in_list(expand, "markdown_full"))
            json_object_set_new(out, "markdown_full", json_string(result_joined(q, job, "md")));
        if (is_in_list(expand, "text_full"))
            json_object_set_new(out, "text_full", json_string(result_joined(q, job, "text")));
        if (is_in_list(expand, "job_metadata") || is_in_list(expand, "metadata"))
            json_object_set_new(out, "job_metadata", metadata_of(true, job));
    }
    answer_json(q, a, 200, out);
}

static void answer_list(struct llamaparse *l, struct mock_request *q, struct mock_answer *a)
{
    json_t *items = json_array(), *job;
    const char *id;

    mock_lock(l->mock);
    json_object_foreach(l->jobs, id, job)
    {
        if (job_find(l, id) != NULL)
            json_array_append_new(items, job_v2(job, mock_now_ms(l->mock), false));
    }
    mock_unlock(l->mock);
    answer_json(q, a, 200, json_pack("{s:o, s:n}", "items", items, "next_page_token"));
}

static void cancel(struct llamaparse *l, struct mock_request *q, struct mock_answer *a, const char *id)
{
    int64_t now = mock_now_ms(l->mock);
    json_t *job, *out = NULL;

    mock_lock(l->mock);
    job = job_find(l, id);
    if (job != NULL && !job_over(job, now)) {
        json_object_set_new(job, "outcome", json_string("CANCELLED"));
        json_object_set_new(job, "end_ms", json_integer(now));
        events_forget(l, id);
        out = job_v2(job, now, false);
    }
    mock_unlock(l->mock);
    if (out != NULL)
        answer_json(q, a, 200, out);
    else
        detail(q, a, 409, "The job is already over");
}

/* /api/v2/parse/{id}[/cancel], and the list */
void serve_v2(struct llamaparse *l, struct mock_request *q, struct mock_answer *a)
{
    const char *rest = q->path + strlen("/api/v2/parse");
    const json_t *job;
    char *id;

    if (*rest == '\0') {
        answer_list(l, q, a);
        return;
    }
    rest++;
    if (strcmp(rest, "versions") == 0) {
        answer_json(q, a, 200,
                    json_pack("{s:[s], s:[s], s:[s], s:[s]}", "fast", "2026-09-07", "cost_effective", "2026-09-07",
                              "agentic", "2026-09-07", "agentic_plus", "2026-09-07"));
        return;
    }
    id = talloc_strndup(q, rest, strcspn(rest, "/"));
    job = take_job(l, q, a, id);
    if (job == NULL)
        return;
    if (strcmp(q->method, "GET") == 0) {
        answer_v2(q, a, job);
    } else if (strcmp(q->method, "DELETE") == 0) {
        mock_lock(l->mock);
        jobs_settle(l, mock_now_ms(l->mock));
        json_object_del(l->jobs, id);
        mock_unlock(l->mock);
        answer_json(q, a, 200, json_pack("{s:s}", "id", id));
    } else {
        cancel(l, q, a, id);
    }
}
