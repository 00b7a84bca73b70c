/*
 * llamaparse.h - the parsing mock: its state, its jobs, and its parts
 *
 * A job is a JSON object in `jobs`, so that it is kept over a restart as it is. Its end is decided when it is
 * submitted: the pages, the outcome and the time are all in it, and what it is now follows from the clock. Keys:
 *
 *   id, version (1 or 2), name, tier, created_ms, start_ms, end_ms (from when it runs, from when it is over)
 *   outcome       SUCCESS, PARTIAL_SUCCESS, ERROR, CANCELLED, or a word that nobody documented
 *   error_code, error_message
 *   pages         [{"page": 1, "text": "...", "md": "...", "error": "..." if it failed}]
 *   credits       of one page, in tenths
 *   separator, prefix, suffix, cache_hit, lost, no_result, settled (its pages are counted)
 *
 * Everything in struct llamaparse is touched only under the mock's lock, but for what flags set.
 */
#ifndef MOCKS_LLAMAPARSE_LLAMAPARSE_H
#define MOCKS_LLAMAPARSE_LLAMAPARSE_H

#include "common/limits.h"
#include "common/mock.h"

#include <pthread.h>

#define MAX_KEYS   8
#define FOREVER_MS (1LL << 52)

struct llamaparse {
    struct mock *mock;
    /* flags */
    const char *keys[MAX_KEYS];
    int n_keys;
    const char *region; /* NULL: any key's */
    bool free_plan, generate, report_credits, strict_webhooks;
    int64_t pages, credits; /* credits in tenths that the account has; -1: no end */
    const char *language;
    bool tables;
    /* limits, and flags that PUT /__jobs changes */
    int64_t job_ms, page_ms, upload_limit;
    struct window uploads, files_window, free_requests;
    struct bucket requests;
    unsigned limits_generation;
    /* data */
    json_t *jobs, *files, *cache; /* by id; by id; file and parameters -> job's id */
    json_t *outbox;               /* deliveries to come */
    json_t *sent;                 /* deliveries made */
    /* counts */
    int64_t n_jobs, n_pages, n_failed_pages, n_cached_pages, n_credits, n_refused;
    /* events.c */
    pthread_t sender;
    bool sender_runs;
    int sending;
};

/* What a submission asks for, of v1 or v2, in v1's names; all its texts live as long as the request. */
struct submission {
    int version;
    json_t *params; /* name: text as sent */
    const char *name, *type, *data;
    size_t len;
    const char *source; /* a URL instead of a file */
};

/* main.c */
void detail(struct mock_request *q, struct mock_answer *a, int status, const char *text);

/* params.c: 0, or -1 with the answer made */
int params_check(struct llamaparse *l, struct mock_request *q, struct mock_answer *a,
                 const struct submission *s) MUST_CHECK;
const char *param_text(const struct submission *s, const char *name);
bool param_true(const struct submission *s, const char *name);
int64_t param_int(const struct submission *s, const char *name, int64_t otherwise);
/* Tenths of a credit a page. */
int64_t params_price(const struct submission *s);
/* Is the page (from 0) among the target pages? */
bool params_page_wanted(const struct submission *s, int64_t page);

/* submit.c */
void submit_v1(struct llamaparse *l, struct mock_request *q, struct mock_answer *a);
void submit_v2(struct llamaparse *l, struct mock_request *q, struct mock_answer *a, bool upload);

/* text.c: the pages of a file, a new array; NULL with an error code of the service */
json_t *text_pages(const struct llamaparse *l, const struct submission *s, const char **error_code);
/* generate.c: pages made up from the seed and a hash */
json_t *generate_pages(const struct llamaparse *l, const char *hash);

/* jobs.c: called locked */
json_t *job_find(struct llamaparse *l, const char *id); /* borrowed; NULL: unknown or lost */
/* The status now, in the words of v1 or of v2. */
const char *job_status(const json_t *job, int64_t now_ms, int version);
bool job_over(const json_t *job, int64_t now_ms);
void jobs_settle(struct llamaparse *l, int64_t now_ms); /* counts the pages of those that are over */
int64_t job_int(const json_t *job, const char *name);
const char *job_text(const json_t *job, const char *name);
/* All, which are what is billed; and those that did not fail. */
int64_t job_pages(const json_t *job);
int64_t job_good_pages(const json_t *job);

/* results.c */
void serve_job(struct llamaparse *l, struct mock_request *q, struct mock_answer *a);
void serve_v2(struct llamaparse *l, struct mock_request *q, struct mock_answer *a);
json_t *result_v1_pages(const json_t *job);
char *result_joined(const void *ctx, const json_t *job, const char *what);
json_t *job_v2(const json_t *job, int64_t now_ms, bool usage);

/* files.c */
void serve_files(struct llamaparse *l, struct mock_request *q, struct mock_answer *a, const char *rest);

/* events.c */
int events_start(struct llamaparse *l, struct error *e) MUST_CHECK;
void events_stop(struct llamaparse *l);
/* Plans the deliveries of a new job, with the faults that strike its submission. Not locked. */
void events_plan(struct llamaparse *l, struct mock_request *q, const struct submission *s, json_t *job);
/* A cancelled job tells nobody anything more. Called locked. */
void events_forget(struct llamaparse *l, const char *job_id);
/* Sends what is due of this job now, and waits for it. Not locked. */
void events_send_now(struct llamaparse *l, const char *job_id);

#endif
