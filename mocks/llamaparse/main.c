/*
 * docmill-mock-llamaparse - parsing jobs as LlamaParse v1 and v2 work them, files, webhooks, limits and accounts
 *
 * Errors are FastAPI's ({"detail": ...}); a refusal for too many requests has no Retry-After, as the service's has
 * none.
 *
 * Depends on base, common.
 */
#include "common/faults.h"
#include "common/money.h"
#include "llamaparse/llamaparse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define PORT             8001
#define MAX_BODY         (512u << 20)
#define PICO_PER_TENTH   125000000LL /* a credit is 0.00125 dollars */
#define UPLOADS          50
#define UPLOADS_SPAN_MS  10000
#define FILES            50
#define FILES_SPAN_MS    5000
#define FREE_REQUESTS    20
#define FREE_SPAN_MS     60000
#define DEFAULT_JOB_MS   1000
#define DEFAULT_PAGES    3
#define DEFAULT_LANGUAGE "en"

static struct llamaparse state;

void detail(struct mock_request *q, struct mock_answer *a, int status, const char *text)
{
    answer_json(q, a, status, json_pack("{s:s}", "detail", text));
}

/* ---- flags ---- */

static int take_number(int64_t *where, const char *value, struct error *e)
{
    char *end;

    *where = strtoll(value, &end, 10);
    if (*value == '\0' || *end != '\0' || *where < 0)
        return error_set(e, -EINVAL, ERR_PERMANENT, "bad_value", "%s: a whole number is wanted", value);
    return 0;
}

static int take_key(void *s, const char *v, struct error *e)
{
    struct llamaparse *l = s;

    if (l->n_keys == MAX_KEYS)
        return error_set(e, -EINVAL, ERR_PERMANENT, "bad_value", "--key: at most %d", MAX_KEYS);
    l->keys[l->n_keys++] = v;
    return 0;
}

static int take_region(void *s, const char *v, struct error *e)
{
    if (strcmp(v, "na") != 0 && strcmp(v, "eu") != 0)
        return error_set(e, -EINVAL, ERR_PERMANENT, "bad_value", "--region %s: na or eu is wanted", v);
    ((struct llamaparse *)s)->region = v;
    return 0;
}

static int take_job_ms(void *s, const char *v, struct error *e)
{
    return take_number(&((struct llamaparse *)s)->job_ms, v, e);
}

static int take_page_ms(void *s, const char *v, struct error *e)
{
    return take_number(&((struct llamaparse *)s)->page_ms, v, e);
}

static int take_pages(void *s, const char *v, struct error *e)
{
    return take_number(&((struct llamaparse *)s)->pages, v, e);
}

static int take_uploads(void *s, const char *v, struct error *e)
{
    return take_number(&((struct llamaparse *)s)->upload_limit, v, e);
}

static int take_credits(void *s, const char *v, struct error *e)
{
    int r = take_number(&((struct llamaparse *)s)->credits, v, e);

    ((struct llamaparse *)s)->credits *= 10;
    return r;
}

static int take_language(void *s, const char *v, struct error *e)
{
    (void)e;
    ((struct llamaparse *)s)->language = v;
    return 0;
}

#define SWITCH(name, field)                                                                                            \
    static int name(void *s, const char *v, struct error *e)                                                           \
    {                                                                                                                  \
        (void)v;                                                                                                       \
        (void)e;                                                                                                       \
        ((struct llamaparse *)s)->field = true;                                                                        \
        return 0;                                                                                                      \
    }
SWITCH(take_free, free_plan)
SWITCH(take_generate, generate)
SWITCH(take_tables, tables)
SWITCH(take_report, report_credits)
SWITCH(take_strict, strict_webhooks)

static const struct mock_option options[] = {
    {"key", "KEY", "the only key that is right (may be repeated; default: any llx-...)", take_key},
    {"region", "na|eu", "only this region's keys: llx-eu-... are Europe's", take_region},
    {"job-ms", "MS", "a job takes so long (1000)", take_job_ms},
    {"page-ms", "MS", "and so much longer for each page (0)", take_page_ms},
    {"generate", NULL, "make the text up, even of files that can be read", take_generate},
    {"pages", "N", "pages of a text that is made up (3)", take_pages},
    {"language", "L", "and its language: en, de, ru, zh", take_language},
    {"tables", NULL, "with a table on each page", take_tables},
    {"upload-limit", "N", "submissions in 10 seconds, at most 256; 0: any number (50)", take_uploads},
    {"free-plan", NULL, "20 submissions a minute, five jobs at once", take_free},
    {"credits", "N", "credits that the account has; then 402", take_credits},
    {"report-credits", NULL, "tell credits in job_metadata, where the service says 0", take_report},
    {"strict-webhooks", NULL, "webhooks by https and a domain name only", take_strict},
    {0},
};

/* ---- who may, and how often ---- */

static bool region_is_right(const struct llamaparse *l, const char *key)
{
    bool eu = strncmp(key, "llx-eu-", 7) == 0;

    return l->region == NULL || eu == (strcmp(l->region, "eu") == 0);
}

static bool authorised(const struct llamaparse *l, struct mock_request *q, struct mock_answer *a)
{
    const char *key = mock_bearer(q);
    bool right = key != NULL && l->n_keys == 0 && strncmp(key, "llx-", 4) == 0;

    for (int i = 0; key != NULL && i < l->n_keys; i++)
        right = right || strcmp(l->keys[i], key) == 0;
    if (right && region_is_right(l, key))
        return true;
    detail(q, a, 401, key == NULL ? "Not authenticated" : "Invalid API Key");
    return false;
}

/* Called locked: the knob's limit on all requests. */
static bool requests_left(struct llamaparse *l, int64_t now)
{
    struct fault_limits limits = fault_limits_of(mock_faults(l->mock));

    if (l->limits_generation != limits.generation + 1)
        bucket_init(&l->requests, limits.requests_per_minute, now);
    l->limits_generation = limits.generation + 1;
    if (limits.requests_per_minute == 0)
        return true;
    bucket_fill(&l->requests, now);
    if (bucket_wait_ms(&l->requests, 1) != 0)
        return false;
    l->requests.left--;
    return true;
}

static bool within_limits(struct llamaparse *l, struct mock_request *q, struct mock_answer *a, bool upload, bool files)
{
    int64_t now = mock_now_ms(l->mock);
    bool in;

    mock_lock(l->mock);
    in = requests_left(l, now) && (!upload || window_take(&l->uploads, now)) &&
         (!files || window_take(&l->files_window, now)) &&
         (!upload || !l->free_plan || window_take(&l->free_requests, now));
    l->n_refused += !in;
    mock_unlock(l->mock);
    if (!in)
        detail(q, a, 429, "Rate limit exceeded");
    return in;
}

static bool has_credits(struct llamaparse *l, struct mock_request *q, struct mock_answer *a)
{
    bool left;

    mock_lock(l->mock);
    jobs_settle(l, mock_now_ms(l->mock));
    left = l->credits < 0 || l->n_credits < l->credits;
    mock_unlock(l->mock);
    if (left && fault_strikes(q, FAULT_QUOTA) == NULL)
        return true;
    detail(q, a, 402, "You've exceeded the maximum number of credits for your plan.");
    return false;
}

/* ---- routes ---- */

static const char *after(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(path, prefix, n) == 0 && (path[n] == '\0' || path[n] == '/') ? path + n : NULL;
}

static bool is_upload(const struct mock_request *q)
{
    static const char *const paths[] = {"/api/v1/parsing/upload", "/api/parsing/upload", "/api/v2/parse",
                                        "/api/v2/parse/upload"};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (mock_is(q, "POST", paths[i]))
            return true;
    return false;
}

static void route(struct llamaparse *l, struct mock_request *q, struct mock_answer *a)
{
    const char *rest;

    if (mock_is(q, "POST", "/api/v1/parsing/upload") || mock_is(q, "POST", "/api/parsing/upload"))
        submit_v1(l, q, a);
    else if (mock_is(q, "POST", "/api/v2/parse") || mock_is(q, "POST", "/api/v2/parse/upload"))
        submit_v2(l, q, a, strcmp(q->path, "/api/v2/parse/upload") == 0);
    else if (strcmp(q->method, "GET") == 0 &&
             (after(q->path, "/api/v1/parsing/job") || after(q->path, "/api/parsing/job")))
        serve_job(l, q, a);
    else if (after(q->path, "/api/v2/parse") != NULL)
        serve_v2(l, q, a);
    else if ((rest = after(q->path, "/api/v1/beta/files")) != NULL || (rest = after(q->path, "/api/v1/files")) != NULL)
        serve_files(l, q, a, rest);
    else
        detail(q, a, 404, "Not Found");
}

static void serve(void *s, struct mock_request *q, struct mock_answer *a)
{
    struct llamaparse *l = s;
    bool upload = is_upload(q), files = mock_is(q, "POST", "/api/v1/beta/files") || mock_is(q, "POST", "/api/v1/files");

    if (authorised(l, q, a) && within_limits(l, q, a, upload, files) && (!upload || has_credits(l, q, a)))
        route(l, q, a);
}

static void fail(void *s, struct mock_request *q, struct mock_answer *a, int status, const char *code)
{
    static const struct {
        int status;
        const char *text;
    } known[] = {{401, "Invalid API Key"},
                 {402, "You've exceeded the maximum number of credits for your plan."},
                 {403, "Forbidden"},
                 {404, "Job not found"},
                 {409, "Conflict"},
                 {429, "Rate limit exceeded"},
                 {500, "Internal Server Error"}};
    const char *page = "<html><body>Bad gateway</body></html>";

    (void)s;
    if (status >= 502) {
        answer_bytes(q, a, status, "text/html", page, strlen(page));
        return;
    }
    for (size_t i = 0; code == NULL && i < sizeof known / sizeof *known; i++)
        if (known[i].status == status)
            code = known[i].text;
    detail(q, a, status, code != NULL ? code : "Error");
}

/* Called locked. {"job_ms": N, "page_ms": N, "upload_limit": N} for the jobs to come. */
static void change_settings(struct llamaparse *l, const struct mock_request *q)
{
    json_t *what = json_loadb(q->body, q->body_len, 0, NULL);
    const struct {
        const char *name;
        int64_t *where;
    } settings[] = {{"job_ms", &l->job_ms}, {"page_ms", &l->page_ms}, {"upload_limit", &l->upload_limit}};

    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const json_t *v = json_object_get(what, settings[i].name);

        if (json_is_integer(v) && json_integer_value(v) >= 0)
            *settings[i].where = (int64_t)json_integer_value(v);
    }
    json_decref(what);
    if (l->uploads.max != (int)l->upload_limit)
        l->uploads = (struct window){.max = (int)l->upload_limit, .span_ms = UPLOADS_SPAN_MS};
}

static bool control(void *s, struct mock_request *q, struct mock_answer *a)
{
    struct llamaparse *l = s;
    json_t *out;

    bool jobs = strcmp(q->path, "/__jobs") == 0;

    if (!jobs && strcmp(q->path, "/__webhooks") != 0)
        return false;
    mock_lock(l->mock);
    if (!jobs && strcmp(q->method, "DELETE") == 0)
        json_array_clear(l->sent);
    if (jobs && strcmp(q->method, "PUT") == 0)
        change_settings(l, q);
    if (jobs)
        out = json_pack("{s:o, s:I, s:I, s:I}", "jobs", json_deep_copy(l->jobs), "job_ms", (json_int_t)l->job_ms,
                        "page_ms", (json_int_t)l->page_ms, "upload_limit", (json_int_t)l->upload_limit);
    else
        out = json_pack("{s:o, s:o}", "sent", json_deep_copy(l->sent), "waiting", json_deep_copy(l->outbox));
    mock_unlock(l->mock);
    answer_json(q, a, 200, out);
    return true;
}

/* ---- counts and state ---- */

static json_t *usage(void *s)
{
    struct llamaparse *l = s;
    char usd[48];

    jobs_settle(l, mock_now_ms(l->mock));
    pico_usd_print(l->n_credits * PICO_PER_TENTH, usd, sizeof usd);
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:s, s:I}", "jobs", (json_int_t)l->n_jobs, "pages",
                     (json_int_t)l->n_pages, "failed_pages", (json_int_t)l->n_failed_pages, "cached_pages",
                     (json_int_t)l->n_cached_pages, "credits", (double)l->n_credits / 10, "cost_usd", usd,
                     "rate_limited", (json_int_t)l->n_refused);
}

static void usage_reset(void *s)
{
    struct llamaparse *l = s;

    jobs_settle(l, mock_now_ms(l->mock));
    l->n_jobs = l->n_pages = l->n_failed_pages = l->n_cached_pages = l->n_credits = l->n_refused = 0;
}

static json_t *save(void *s)
{
    struct llamaparse *l = s;

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:[I, I, I, I, I]}", "jobs", json_deep_copy(l->jobs), "files",
                     json_deep_copy(l->files), "cache", json_deep_copy(l->cache), "outbox", json_deep_copy(l->outbox),
                     "sent", json_deep_copy(l->sent), "counts", (json_int_t)l->n_jobs, (json_int_t)l->n_pages,
                     (json_int_t)l->n_failed_pages, (json_int_t)l->n_cached_pages, (json_int_t)l->n_credits);
}

static void load_one(json_t **where, const json_t *kept, const char *name)
{
    const json_t *v = json_object_get(kept, name);

    if (v == NULL)
        return;
    json_decref(*where);
    *where = json_deep_copy(v);
}

static void load(void *s, const json_t *kept)
{
    struct llamaparse *l = s;
    json_int_t n[5] = {0};

    load_one(&l->jobs, kept, "jobs");
    load_one(&l->files, kept, "files");
    load_one(&l->cache, kept, "cache");
    load_one(&l->outbox, kept, "outbox");
    load_one(&l->sent, kept, "sent");
    (void)json_unpack(json_object_get(kept, "counts"), "[I, I, I, I, I]", &n[0], &n[1], &n[2], &n[3], &n[4]);
    l->n_jobs = n[0];
    l->n_pages = n[1];
    l->n_failed_pages = n[2];
    l->n_cached_pages = n[3];
    l->n_credits = n[4];
}

static int start(struct mock *m, void *s, struct error *e)
{
    struct llamaparse *l = s;

    l->mock = m;
    l->jobs = json_object();
    l->files = json_object();
    l->cache = json_object();
    l->outbox = json_array();
    l->sent = json_array();
    l->uploads = (struct window){.max = (int)l->upload_limit, .span_ms = UPLOADS_SPAN_MS};
    l->files_window = (struct window){.max = FILES, .span_ms = FILES_SPAN_MS};
    l->free_requests = (struct window){.max = FREE_REQUESTS, .span_ms = FREE_SPAN_MS};
    return events_start(l, e);
}

static void stop(void *s)
{
    events_stop(s);
}

int main(int argc, char **argv)
{
    static const struct mock_program program = {
        .name = "docmill-mock-llamaparse",
        .purpose = "parses documents as LlamaParse does",
        .port = PORT,
        .family = FAULTS_LLAMAPARSE,
        .max_body = MAX_BODY,
        .options = options,
        .state = &state,
        .start = start,
        .stop = stop,
        .serve = serve,
        .control = control,
        .fail = fail,
        .usage = usage,
        .usage_reset = usage_reset,
        .save = save,
        .load = load,
    };

    state.job_ms = DEFAULT_JOB_MS;
    state.upload_limit = UPLOADS;
    state.pages = DEFAULT_PAGES;
    state.credits = -1;
    state.language = DEFAULT_LANGUAGE;
    return mock_main(&program, argc, argv);
}
