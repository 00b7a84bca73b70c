/*
 * submit.c - a submission becomes a job
 *
 * v1 sends the parameters as form fields; v2 as JSON, by itself or as the field `configuration`. v2's are brought into
 * v1's names, so that both are checked and worked by the same code.
 *
 * Depends on common.
 */
#include "common/faults.h"
#include "common/multipart.h"
#include "llamaparse/llamaparse.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define CACHE_MS       (48LL * 3600 * 1000)
#define CACHED_MS      50
#define FREE_AT_ONCE   5
#define MAX_SORTED     1000
#define START_FRACTION 5 /* a job runs from a fifth of its time on */

/* ---- what is asked for ---- */

static void put_param(struct submission *s, const char *name, json_t *value)
{
    const char *before = param_text(s, name);

    /* a repeated field is a list: language */
    if (before != NULL)
        json_object_set_new(s->params, name, json_sprintf("%s,%s", before, json_string_value(value)));
    else
        json_object_set(s->params, name, value);
    json_decref(value);
}

static void take_parts(struct mock_request *q, struct submission *s, const struct part *parts, int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(parts[i].name, "file") != 0) {
            put_param(s, parts[i].name, mock_text(parts[i].data, parts[i].len));
            continue;
        }
        s->data = parts[i].data;
        s->len = parts[i].len;
        s->name = parts[i].filename != NULL ? parts[i].filename : "file";
        s->type = parts[i].type;
    }
    json_array_append_new(q->kept, s->params);
}

/* A v2 value as v1's form would have it: text as it is, the rest as JSON. */
static void take_v2(struct submission *s, const json_t *from, const char *name, const char *as)
{
    const json_t *v = json_object_get(from, name);
    char *text;

    if (v == NULL || json_is_null(v))
        return;
    if (json_is_string(v)) {
        json_object_set(s->params, as, (json_t *)(uintptr_t)v);
        return;
    }
    text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    json_object_set_new(s->params, as, json_string(text));
    free(text);
}

/* v2 counts target pages from 1. */
static void take_v2_pages(struct mock_request *q, struct submission *s, const json_t *ranges)
{
    const char *text = json_string_value(json_object_get(ranges, "target_pages"));
    char *out = talloc_strdup(q, "");

    take_v2(s, ranges, "max_pages", "max_pages");
    while (text != NULL && *text != '\0') {
        if (*text >= '0' && *text <= '9') {
            char *end;

            out = talloc_asprintf_append(out, "%lld", strtoll(text, &end, 10) - 1);
            text = end;
        } else {
            out = talloc_asprintf_append(out, "%c", *text++);
        }
    }
    if (*out != '\0')
        json_object_set_new(s->params, "target_pages", json_string(out));
}

static void take_configuration(struct mock_request *q, struct submission *s, const json_t *c)
{
    const json_t *timeouts =
        json_object_get(json_object_get(json_object_get(c, "processing_control"), "timeouts"), "base_in_seconds");

    take_v2(s, c, "tier", "tier");
    take_v2(s, c, "version", "version");
    take_v2(s, c, "source_url", "input_url");
    take_v2(s, c, "disable_cache", "do_not_cache");
    take_v2(s, c, "webhook_configurations", "webhook_configurations");
    take_v2_pages(q, s, json_object_get(c, "page_ranges"));
    if (json_is_integer(timeouts))
        json_object_set_new(s->params, "job_timeout_in_seconds",
                            json_sprintf("%lld", (long long)json_integer_value(timeouts)));
}

/* The bytes of a file that was uploaded before; false: there is none of that id. */
static bool take_file(struct llamaparse *l, struct mock_request *q, struct submission *s, const char *id)
{
    json_t *file;

    mock_lock(l->mock);
    file = json_deep_copy(json_object_get(l->files, id));
    mock_unlock(l->mock);
    if (file == NULL)
        return false;
    json_array_append_new(q->kept, file);
    s->name = json_string_value(json_object_get(file, "name"));
    s->type = json_string_value(json_object_get(file, "file_type"));
    s->data = json_string_value(json_object_get(file, "data"));
    s->len = json_string_length(json_object_get(file, "data"));
    return true;
}

/* ---- the job ---- */

static json_t *wanted_pages(const struct submission *s, json_t *all)
{
    int64_t max = param_int(s, "max_pages", 0);
    json_t *pages = json_array(), *page;
    size_t i;

    json_array_foreach(all, i, page)
    {
        if (params_page_wanted(s, (int64_t)i) && (max == 0 || (int64_t)json_array_size(pages) < max))
            json_array_append(pages, page);
    }
    json_decref(all);
    return pages;
}

static void fail_job(json_t *job, const char *code, const char *message)
{
    json_object_set_new(job, "outcome", json_string("ERROR"));
    json_object_set_new(job, "error_code", json_string(code));
    json_object_set_new(job, "error_message", json_string(message));
    json_object_set_new(job, "pages", json_array());
}

static bool version_is_known(const char *v)
{
    return v == NULL || strcmp(v, "latest") == 0 || (strlen(v) == 10 && v[4] == '-' && v[7] == '-');
}

static void fail_pages(json_t *job, const json_t *rule)
{
    json_t *pages = json_object_get(job, "pages"), *page;
    int64_t n = fault_int(rule, "pages", 1);
    size_t i = json_array_size(pages);

    json_object_set_new(job, "outcome", json_string("PARTIAL_SUCCESS"));
    json_object_set_new(job, "error_code", json_string("ERROR_DURING_PROCESSING"));
    json_object_set_new(job, "error_message",
                        json_sprintf("%d of %d pages failed", (int)(n < (int64_t)i ? n : (int64_t)i), (int)i));
    while (i-- > 0 && n-- > 0) {
        page = json_array_get(pages, i);
        json_object_set_new(page, "error", json_string("page could not be parsed"));
        json_object_set_new(page, "text", json_string(""));
        json_object_set_new(page, "md", json_string(""));
    }
}

/* The faults that decide how the job ends. True if it never does. */
static bool bend_job(struct mock_request *q, json_t *job)
{
    const json_t *rule;

    if ((rule = fault_strikes(q, FAULT_JOB_ERROR)) != NULL)
        fail_job(job, fault_text(rule, "code", "ERROR_DURING_PROCESSING"), "an error occurred while parsing");
    if ((rule = fault_strikes(q, FAULT_JOB_PARTIAL)) != NULL)
        fail_pages(job, rule);
    if (fault_strikes(q, FAULT_JOB_CANCELLED) != NULL)
        json_object_set_new(job, "outcome", json_string("CANCELLED"));
    if ((rule = fault_strikes(q, FAULT_UNKNOWN_STATUS)) != NULL)
        json_object_set_new(job, "outcome", json_string(fault_text(rule, "status", "ARCHIVED")));
    if (fault_strikes(q, FAULT_EMPTY_RESULT) != NULL)
        json_object_set_new(job, "pages", json_array());
    if (fault_strikes(q, FAULT_JOB_LOST) != NULL)
        json_object_set_new(job, "lost", json_true());
    return fault_strikes(q, FAULT_JOB_STUCK) != NULL;
}

/* The same file with the same parameters, less those that say whom to tell. */
static json_t *cache_key(const struct submission *s)
{
    json_t *same = json_copy(s->params);
    char *text, hash[65], file[65];
    json_t *key;

    json_object_del(same, "webhook_url");
    json_object_del(same, "webhook_configurations");
    text = json_dumps(same, JSON_SORT_KEYS);
    mock_sha256_hex(text, strlen(text), hash);
    mock_sha256_hex(s->data != NULL ? s->data : s->source, s->data != NULL ? s->len : strlen(s->source), file);
    key = json_sprintf("%s %s", file, hash);
    free(text);
    json_decref(same);
    return key;
}

/* Called locked. Remembers the job, and says whether one like it has been done within two days. */
static bool take_from_cache(struct llamaparse *l, const struct submission *s, const char *id, int64_t now)
{
    json_t *key = cache_key(s), *at = json_object_get(l->cache, json_string_value(key));
    const json_t *before = json_object_get(l->jobs, json_string_value(at));
    bool hit = before != NULL && now - job_int(before, "created_ms") < CACHE_MS && job_over(before, now) &&
               strcmp(job_text(before, "outcome"), "SUCCESS") == 0 && !param_true(s, "do_not_cache") &&
               !param_true(s, "invalidate_cache");

    if (!hit)
        json_object_set_new(l->cache, json_string_value(key), json_string(id));
    json_decref(key);
    return hit;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Called locked. On the free plan five jobs are worked at once; the next waits for the first of them to end. */
static int64_t queue_until(const struct llamaparse *l, int64_t now)
{
    int64_t ends[MAX_SORTED];
    size_t n = 0;
    const char *id;
    json_t *job;

    json_object_foreach(l->jobs, id, job)
    {
        if (n < MAX_SORTED && !job_over(job, now))
            ends[n++] = job_int(job, "end_ms");
    }
    if (!l->free_plan || n < FREE_AT_ONCE)
        return now;
    qsort(ends, n, sizeof *ends, compare);
    return ends[n - FREE_AT_ONCE];
}

/* Called locked. */
static void set_times(struct llamaparse *l, struct mock_request *q, const struct submission *s, json_t *job, bool stuck)
{
    int64_t now = q->started_ms, begin = queue_until(l, now), timeout = param_int(s, "job_timeout_in_seconds", 0),
            pages = (int64_t)json_array_size(json_object_get(job, "pages")), takes = l->job_ms + l->page_ms * pages,
            end;

    if (json_is_true(json_object_get(job, "cache_hit")))
        takes = takes < CACHED_MS ? takes : CACHED_MS;
    timeout += pages * param_int(s, "job_timeout_extra_time_per_page_in_seconds", 0);
    end = stuck ? FOREVER_MS : begin + takes;
    if (timeout > 0 && end > now + timeout * 1000) {
        end = now + timeout * 1000;
        fail_job(job, "EXPIRED", "the job was not done in time");
    }
    json_object_set_new(job, "start_ms", json_integer(stuck ? end : begin + takes / START_FRACTION));
    json_object_set_new(job, "end_ms", json_integer(end));
}

static void keep_text(json_t *job, const char *name, const struct submission *s, const char *param,
                      const char *otherwise)
{
    const char *v = param_text(s, param);

    json_object_set_new(job, name, json_string(v != NULL ? v : otherwise));
}

static json_t *make_job(struct llamaparse *l, struct mock_request *q, const struct submission *s)
{
    const char *error_code = NULL;
    json_t *pages = text_pages(l, s, &error_code), *job;
    char id[37];
    bool stuck;

    mock_uuid(l->mock, q->number, "job", id);
    job = json_pack("{s:s, s:i, s:s, s:I, s:s, s:I}", "id", id, "version", s->version, "name",
                    s->name != NULL ? s->name : s->source, "created_ms", (json_int_t)q->started_ms, "outcome",
                    "SUCCESS", "credits", (json_int_t)params_price(s));
    if (job == NULL)
        abort();
    keep_text(job, "tier", s, "tier", "");
    keep_text(job, "separator", s, "page_separator", "\n\n---\n\n");
    keep_text(job, "prefix", s, "page_prefix", "");
    keep_text(job, "suffix", s, "page_suffix", "");
    if (pages != NULL)
        json_object_set_new(job, "pages", wanted_pages(s, pages));
    else
        fail_job(job, error_code, "the file could not be parsed");
    if (!version_is_known(param_text(s, "version")))
        fail_job(job, "INVALID_TIER_VERSION_COMBINATION", "there is no such version of this tier");
    stuck = bend_job(q, job);
    mock_lock(l->mock);
    if (take_from_cache(l, s, id, q->started_ms))
        json_object_set_new(job, "cache_hit", json_true());
    set_times(l, q, s, job, stuck);
    mock_unlock(l->mock);
    return job;
}

/* The job as it is to be kept and told of; a new reference that belongs to the request. NULL: refused. */
static const json_t *submit(struct llamaparse *l, struct mock_request *q, struct mock_answer *a, struct submission *s)
{
    bool early;
    json_t *job;

    s->source = param_text(s, "input_url") != NULL ? param_text(s, "input_url") : param_text(s, "input_s3_path");
    if (params_check(l, q, a, s) < 0)
        return NULL;
    job = make_job(l, q, s);
    json_array_append_new(q->kept, job);
    json_object_set_new(q->summary, "job", json_string(job_text(job, "id")));
    json_object_set_new(q->summary, "file", json_string(job_text(job, "name")));
    json_object_set_new(q->summary, "pages", json_integer((json_int_t)json_array_size(json_object_get(job, "pages"))));
    early = fault_strikes(q, FAULT_WEBHOOK_EARLY) != NULL;
    if (early) {
        json_object_set_new(job, "start_ms", json_integer(q->started_ms));
        json_object_set_new(job, "end_ms", json_integer(q->started_ms));
    }
    mock_lock(l->mock);
    json_object_set_new(l->jobs, job_text(job, "id"), json_deep_copy(job));
    mock_changed(l->mock);
    mock_unlock(l->mock);
    events_plan(l, q, s, job);
    if (early)
        events_send_now(l, job_text(job, "id"));
    return job;
}

void submit_v1(struct llamaparse *l, struct mock_request *q, struct mock_answer *a)
{
    struct submission s = {.version = 1, .params = json_object()};
    struct part *parts;
    int n = multipart_parse(q, &parts);
    const json_t *job;

    take_parts(q, &s, parts, n);
    if (n < 0) {
        detail(q, a, 400, "There was an error parsing the body");
        return;
    }
    job = submit(l, q, a, &s);
    if (job != NULL)
        answer_json(q, a, 200,
                    json_pack("{s:s, s:s, s:n, s:n}", "id", job_text(job, "id"), "status",
                              job_status(job, q->started_ms, 1), "error_code", "error_message"));
}

static json_t *configuration_of(struct mock_request *q, struct submission *s, bool upload)
{
    struct part *parts;
    int n;

    if (!upload) {
        json_array_append_new(q->kept, s->params);
        return json_loadb(q->body, q->body_len, 0, NULL);
    }
    n = multipart_parse(q, &parts);
    take_parts(q, s, parts, n);
    return n < 0 || param_text(s, "configuration") == NULL ? NULL : json_loads(param_text(s, "configuration"), 0, NULL);
}

void submit_v2(struct llamaparse *l, struct mock_request *q, struct mock_answer *a, bool upload)
{
    struct submission s = {.version = 2, .params = json_object()};
    json_t *c = configuration_of(q, &s, upload);
    const char *file = json_string_value(json_object_get(c, "file_id"));
    const json_t *job;

    if (!json_is_object(c)) {
        json_decref(c);
        detail(q, a, 400, "The configuration is not a JSON object");
        return;
    }
    json_array_append_new(q->kept, c);
    take_configuration(q, &s, c);
    if (file != NULL && !take_file(l, q, &s, file)) {
        detail(q, a, 404, "File not found");
        return;
    }
    job = submit(l, q, a, &s);
    if (job != NULL)
        answer_json(q, a, 200, job_v2(job, q->started_ms, false));
}
