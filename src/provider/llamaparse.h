/*
 * llamaparse.h - LlamaParse: a file goes out, a job runs there, its Markdown comes back; v1 and v2
 *
 * Three requests: submit (the file with all that is asked for it), status, result. Each fills a struct http_request; one
 * reader turns any answer into one struct: job, status, error, pages, cost, and a verdict on what to do next.
 *
 * The result's pages become one text with a form feed before each page but the first, as normalise() reads page breaks;
 * a page that failed or is absent is empty, so that page n of the text is page n of the file. Partial success is a
 * success with page errors.
 *
 * A submission whose answer did not arrive may have been made all the same: the verdict is `unsure`, and submitting
 * again may be paid for twice.
 *
 * No socket, no clock, no configuration. Depends on base, core, http (its structs).
 */
#ifndef PROVIDER_LLAMAPARSE_H
#define PROVIDER_LLAMAPARSE_H

#include "http/http.h"
#include "provider/llamaparse_tables.h"
#include "provider/ratehead.h"
#include "provider/verdict.h"

#include <jansson.h>

#define LLAMAPARSE_BASE_NA "https://api.cloud.llamaindex.ai"
#define LLAMAPARSE_BASE_EU "https://api.cloud.eu.llamaindex.ai"

/* What v1 is told to put between pages of a whole text; its own "---" is also a rule in a text. */
#define LLAMAPARSE_PAGE_MARK "\n\n[[docmill-page-break]]\n\n"

#define LLAMAPARSE_TOKEN_HEADER    "X-Docmill-Token" /* of webhooks, carries the job's own token */
#define LLAMAPARSE_ID              80                /* room for a job's id with its NUL */
#define LLAMAPARSE_MAX_PAGE        100000            /* no page has a higher number */
#define LLAMAPARSE_MAX_WEBHOOK_URL 199

enum llamaparse_api { LLAMAPARSE_V1 = 1, LLAMAPARSE_V2 = 2 };

/* Filled by the caller from its configuration; strings are borrowed. */
struct llamaparse_endpoint {
    enum llamaparse_api api;
    const char *base_url; /* NULL: the one of the region */
    bool europe;
    const char *api_key;
    const char *organization_id, *project_id; /* NULL: the key's own */
    const char *tier, *version;               /* version NULL: "latest" */
    const char *languages;                    /* "en,de"; NULL: not sent */
    int max_pages;                            /* 0: not sent */
    bool do_not_cache;
    int job_timeout_s, job_timeout_page_s; /* the service's own limit on the job, 0: not sent */
    bool allow_private;
};

struct llamaparse_file {
    int fd; /* read from offset 0, `size` bytes, until the request has ended */
    int64_t size;
    const char *filename, *content_type;
    const char *target_pages; /* "1-3,7", counted from 1 in both interfaces; NULL: all */
    const char *webhook_url;  /* NULL: no webhook */
    const char *webhook_secret, *webhook_token;
};

struct llamaparse_page {
    int number;        /* from 1 */
    const char *error; /* NULL: none */
};

struct llamaparse_answer {
    struct provider_verdict verdict;
    enum llamaparse_status status;
    char job_id[LLAMAPARSE_ID]; /* "" if it does not say */
    char error_code[64];        /* "" if none */
    char error_message[256];    /* redacted */
    /* of a result */
    char *text; /* talloc child of ctx, NUL behind len; form feeds between pages */
    size_t len;
    struct llamaparse_page *pages; /* those the answer lists, in order of their number */
    int n_pages, n_failed;
    int64_t page_count;    /* pages that are charged, as the service counts; -1: it does not say */
    int64_t credits_milli; /* thousandths of credits billed; -1: not said, and 0 is said before billing */
    bool cache_hit;
};

/* Whether requests can be made of it: reason bad_config. */
int llamaparse_check(const struct llamaparse_endpoint *ep, struct error *e) MUST_CHECK;

/* Each fills *q but for deadlines, done and arg; what it points to belongs to ctx, ep or file. bad_config, internal. */
int llamaparse_submit(const void *ctx, const struct llamaparse_endpoint *ep, const struct llamaparse_file *file,
                      struct http_request *q, struct error *e) MUST_CHECK;
int llamaparse_status(const void *ctx, const struct llamaparse_endpoint *ep, const char *job_id, struct http_request *q,
                      struct error *e) MUST_CHECK;
/* The pages, each with its own error. */
int llamaparse_result(const void *ctx, const struct llamaparse_endpoint *ep, const char *job_id, struct http_request *q,
                      struct error *e) MUST_CHECK;

/* Any answer to any of them. */
void llamaparse_judge(const void *ctx, const struct llamaparse_endpoint *ep, enum llamaparse_step step,
                      const struct http_response *r, const struct rate_head *h, struct llamaparse_answer *a);

bool llamaparse_is_id(const char *id); /* fit to be put into an address */

/* How long a job with so many pages (0: unknown) may take there before it is given up. */
int64_t llamaparse_deadline_ms(const struct llamaparse_endpoint *ep, int pages);

#endif
