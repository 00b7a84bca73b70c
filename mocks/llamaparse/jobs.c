/*
 * jobs.c - what a job is now, and what it has cost
 *
 * Depends on common.
 */
#include "llamaparse/llamaparse.h"

#include <string.h>

int64_t job_int(const json_t *job, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(job, name));
}

const char *job_text(const json_t *job, const char *name)
{
    return json_string_value(json_object_get(job, name));
}

json_t *job_find(struct llamaparse *l, const char *id)
{
    json_t *job = json_object_get(l->jobs, id);

    return json_is_true(json_object_get(job, "lost")) ? NULL : job;
}

bool job_over(const json_t *job, int64_t now_ms)
{
    return now_ms >= job_int(job, "end_ms");
}

static const char *in_words_of_v2(const char *outcome)
{
    if (strcmp(outcome, "SUCCESS") == 0 || strcmp(outcome, "PARTIAL_SUCCESS") == 0)
        return "COMPLETED";
    return strcmp(outcome, "ERROR") == 0 ? "FAILED" : outcome;
}

const char *job_status(const json_t *job, int64_t now_ms, int version)
{
    const char *outcome = job_text(job, "outcome");

    if (job_over(job, now_ms))
        return version == 2 ? in_words_of_v2(outcome) : outcome;
    return version == 2 && now_ms >= job_int(job, "start_ms") ? "RUNNING" : "PENDING";
}

int64_t job_pages(const json_t *job)
{
    return (int64_t)json_array_size(json_object_get(job, "pages"));
}

int64_t job_good_pages(const json_t *job)
{
    int64_t n = 0;
    size_t i;
    json_t *page;

    json_array_foreach(json_object_get(job, "pages"), i, page) n += json_object_get(page, "error") == NULL;
    return n;
}

static void settle(struct llamaparse *l, json_t *job)
{
    int64_t all = job_pages(job);
    const char *outcome = job_text(job, "outcome");

    json_object_set_new(job, "settled", json_true());
    if (strcmp(outcome, "SUCCESS") != 0 && strcmp(outcome, "PARTIAL_SUCCESS") != 0)
        return;
    l->n_jobs++;
    l->n_failed_pages += all - job_good_pages(job);
    if (json_is_true(json_object_get(job, "cache_hit"))) {
        l->n_cached_pages += all;
        return;
    }
    l->n_pages += all;
    l->n_credits += all * job_int(job, "credits");
}

void jobs_settle(struct llamaparse *l, int64_t now_ms)
{
    const char *id;
    json_t *job;

    json_object_foreach(l->jobs, id, job)
    {
        if (!json_is_true(json_object_get(job, "settled")) && job_over(job, now_ms))
            settle(l, job);
    }
}
