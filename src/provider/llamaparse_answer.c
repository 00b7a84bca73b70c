/*
 * llamaparse_answer.c - any answer of LlamaParse into one struct, with a verdict
 *
 * Both interfaces are read alike: v2 wraps the job in "job", names failed pages by "success": false and has no error
 * code but in its message; v1 has the status beside the id, and a page's error in the page. JSON is jansson's, with NULs
 * allowed in strings, since they occur in texts of PDFs.
 *
 * Depends on base, core, http (its structs).
 */
#include "provider/llamaparse.h"
#include "provider/redact.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define MOST_CREDITS 1e12

static const char *string_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s == NULL ? "" : s;
}

static void bad_answer(struct llamaparse_answer *a, const char *why)
{
    a->verdict.act = PROVIDER_RETRY;
    a->verdict.reason = REASON_parse_bad_answer;
    reason_error(&a->verdict.error, REASON_parse_bad_answer, EBADMSG, "LlamaParse's answer cannot be used: %s.", why);
}

/* FastAPI's {"detail": "words"} and {"detail": [{loc, msg}]}, flattened: "body.tier: Input should be ...; ..." */
static void read_detail(const json_t *root, const char *body, size_t len, char *out, size_t room)
{
    const json_t *detail = json_object_get(root, "detail"), *each, *part;
    size_t i, k, n = 0;

    out[0] = '\0';
    if (json_is_string(detail))
        snprintf(out, room, "%s", json_string_value(detail));
    else if (root == NULL)
        snprintf(out, room, "%.*s", (int)(len < room ? strnlen(body, len) : room - 1), body);
    json_array_foreach(detail, i, each)
    {
        json_array_foreach(json_object_get(each, "loc"), k, part) if (n < room && json_is_string(part)) n +=
            (size_t)snprintf(out + n, room - n, "%s%s", k == 0 ? "" : ".", json_string_value(part));
        if (n < room)
            n += (size_t)snprintf(out + n, room - n, ": %s; ", string_of(each, "msg"));
    }
}

static void judge_fault(const struct llamaparse_endpoint *ep, enum llamaparse_step step, const struct http_response *r,
                        const struct rate_head *h, struct llamaparse_answer *a)
{
    struct provider_verdict *v = &a->verdict;
    const char *body = r->body == NULL ? "" : r->body;
    size_t len = r->body == NULL ? 0 : r->len;
    json_t *root = json_loadb(body, len, JSON_ALLOW_NUL, NULL);
    char detail[2048];
    const struct llamaparse_fault_row *row;

    read_detail(root, body, len, detail, sizeof detail);
    json_decref(root);
    row = llamaparse_fault_of(r->status, step, detail);
    v->act = row->act;
    v->reason = row->reason;
    v->wait_ms = h->retry_after_ms;
    v->unsure = step == LLAMAPARSE_SUBMIT && r->status >= 500;
    redact(ep->api_key, detail, strlen(detail), a->error_message, sizeof a->error_message);
    reason_error(&v->error, v->reason, EPROTO, "%s Status %d%s%s", reason_sentence(v->reason), r->status,
                 a->error_message[0] == '\0' ? "." : ": ", a->error_message);
    if (v->act == PROVIDER_OPEN || v->act == PROVIDER_CONFIG)
        error_hint(&v->error, "Documents that need it wait; put it right, then `docmillctl breakers probe`.");
}

static void judge_silence(enum llamaparse_step step, const struct http_response *r, struct llamaparse_answer *a)
{
    struct provider_verdict *v = &a->verdict;
    bool refused = strcmp(r->error.reason, "http_refused") == 0;

    v->act = refused ? PROVIDER_CONFIG : PROVIDER_RETRY;
    v->reason = refused ? REASON_provider_config : REASON_provider_failed;
    v->unsure = step == LLAMAPARSE_SUBMIT && r->sent;
    reason_error(&v->error, v->reason, r->error.code == 0 ? EIO : r->error.code, "LlamaParse: %.300s",
                 r->error.message);
}

static void judge_status(struct llamaparse_answer *a, const char *said)
{
    struct provider_verdict *v = &a->verdict;
    const struct llamaparse_code_row *row;

    v->act = llamaparse_status_act(a->status);
    if (a->status == LLAMAPARSE_UNKNOWN)
        reason_error(&v->error, REASON_parse_bad_answer, EPROTO,
                     "LlamaParse names a status that docmill does not know: %.40s", said);
    if (v->act != PROVIDER_NEW_JOB)
        return;
    row = llamaparse_code_of(a->error_code, a->error_message);
    if (a->status == LLAMAPARSE_ERROR || a->status == LLAMAPARSE_FAILED)
        v->act = row->act;
    v->reason = v->act == PROVIDER_NEW_JOB ? REASON_parse_job_failed : row->reason;
    reason_error(&v->error, v->reason, EPROTO, "%s Status %s%s%s%s%s", reason_sentence(v->reason),
                 llamaparse_status_name(a->status), a->error_code[0] == '\0' ? "" : ", ", a->error_code,
                 a->error_message[0] == '\0' ? "." : ": ", a->error_message);
}

/* The job's part of an answer. 0, or -EBADMSG with the verdict set. */
static int read_job(const struct llamaparse_endpoint *ep, const json_t *root, struct llamaparse_answer *a)
{
    const json_t *job = json_object_get(root, "job");
    const char *id, *status, *message;
    char said[40];

    if (!json_is_object(job))
        job = root;
    id = string_of(job, "id");
    status = string_of(job, "status");
    message = string_of(job, "error_message");
    if (!llamaparse_is_id(id) || status[0] == '\0') {
        bad_answer(a, "it names no job and status");
        return -EBADMSG;
    }
    snprintf(a->job_id, sizeof a->job_id, "%s", id);
    redact(ep->api_key, string_of(job, "error_code"), strlen(string_of(job, "error_code")), a->error_code,
           sizeof a->error_code);
    redact(ep->api_key, message, strlen(message), a->error_message, sizeof a->error_message);
    a->status = llamaparse_status_parse(status);
    redact(ep->api_key, status, strlen(status), said, sizeof said);
    judge_status(a, said);
    return 0;
}

static int64_t thousandths(const json_t *v)
{
    double d = json_number_value(v);

    return json_is_number(v) && d >= 0 && d <= MOST_CREDITS ? llround(d * 1000) : -1;
}

static void read_costs(const json_t *root, struct llamaparse_answer *a)
{
    const json_t *meta = json_object_get(root, "job_metadata"), *pages = json_object_get(meta, "job_pages");
    const json_t *usage = json_object_get(json_object_get(root, "job"), "usage");
    int64_t credits = thousandths(json_object_get(usage, "credits"));

    if (credits < 0)
        credits = thousandths(json_object_get(meta, "job_credits_usage"));
    if (credits <= 0 && thousandths(json_object_get(meta, "credits_used")) >= 0)
        credits = thousandths(json_object_get(meta, "credits_used"));
    a->credits_milli = credits;
    if (json_is_integer(pages) && json_integer_value(pages) >= 0 && json_integer_value(pages) <= LLAMAPARSE_MAX_PAGE)
        a->page_count = json_integer_value(pages);
    a->cache_hit = json_is_true(json_object_get(meta, "job_is_cache_hit"));
}

struct page {
    int number, place;
    const char *text, *error;
    size_t len;
};

static int by_number(const void *x, const void *y)
{
    const struct page *a = x, *b = y;

    return a->number != b->number ? (a->number > b->number) - (a->number < b->number)
                                  : (a->place > b->place) - (a->place < b->place);
}

/* A page of either interface. Its error is told by the page: words, "success": false, or a status of failure. */
static struct page read_page(const json_t *object, int place)
{
    static const char *const texts[] = {"markdown", "md", "text"};
    const json_t *number = json_object_get(object, "page");
    struct page p = {.number = place + 1, .place = place, .text = ""};
    const char *status = string_of(object, "status"), *error = string_of(object, "error");

    if (number == NULL)
        number = json_object_get(object, "page_number");
    if (json_is_integer(number))
        p.number = json_integer_value(number) < 1 || json_integer_value(number) > LLAMAPARSE_MAX_PAGE
                       ? 0
                       : (int)json_integer_value(number);
    for (size_t i = 0; i < sizeof texts / sizeof *texts && p.len == 0; i++) {
        const json_t *text = json_object_get(object, texts[i]);
        p.text = json_is_string(text) ? json_string_value(text) : "";
        p.len = json_is_string(text) ? json_string_length(text) : 0;
    }
    if (error[0] != '\0')
        p.error = error;
    else if (json_is_false(json_object_get(object, "success")) || strcasecmp(status, "ERROR") == 0 ||
             strcasecmp(status, "FAILED") == 0)
        p.error = "the page failed";
    return p;
}

/* One text of them all: a form feed before each page but the first, absent ones too; form feeds within are line ends. */
static int join(const void *ctx, const struct page *pages, int n, struct llamaparse_answer *a)
{
    size_t room = 1, len = 0;
    char *out;
    int at = 1;

    for (int i = 0; i < n; i++)
        room += pages[i].len + 1;
    if (n > 0)
        room += (size_t)pages[n - 1].number;
    out = talloc_size(ctx, room);
    if (out == NULL)
        return -ENOMEM;
    for (int i = 0; i < n; i++) {
        for (; at < pages[i].number; at++)
            out[len++] = '\f';
        if (i > 0 && pages[i].number == pages[i - 1].number)
            out[len++] = '\n';
        if (pages[i].error == NULL)
            for (size_t k = 0; k < pages[i].len; k++)
                out[len++] = (char)(pages[i].text[k] == '\f' ? '\n' : pages[i].text[k]);
    }
    out[len] = '\0';
    a->text = out;
    a->len = len;
    return 0;
}

/* Pages as a result lists them, into text and pages. 0, -EBADMSG (no list of pages), -ENOMEM. */
static int read_pages(const void *ctx, const json_t *list, struct llamaparse_answer *a)
{
    int n = (int)json_array_size(list), rc = -EBADMSG;
    struct page *pages;

    if (!json_is_array(list) || json_array_size(list) > LLAMAPARSE_MAX_PAGE)
        return -EBADMSG;
    pages = talloc_zero_array(ctx, struct page, (unsigned)n + 1);
    a->pages = talloc_zero_array(ctx, struct llamaparse_page, (unsigned)n + 1);
    if (pages == NULL || a->pages == NULL)
        return -ENOMEM;
    for (int i = 0; i < n; i++) {
        const json_t *each = json_array_get(list, (size_t)i);
        pages[i] = read_page(each, i);
        if (!json_is_object(each) || pages[i].number < 1)
            goto out;
    }
    qsort(pages, (size_t)n, sizeof *pages, by_number);
    for (int i = 0; i < n; i++) {
        char words[REDACT_SHOWN];
        a->pages[i].number = pages[i].number;
        if (pages[i].error == NULL)
            continue;
        redact(NULL, pages[i].error, strlen(pages[i].error), words, sizeof words);
        a->pages[i].error = talloc_strdup(a->pages, words);
        a->n_failed++;
    }
    a->n_pages = n;
    rc = join(ctx, pages, n, a);
out:
    talloc_free(pages);
    return rc;
}

/* A whole text: the marks that v1 was told to write become form feeds. */
static int read_whole(const void *ctx, const json_t *text, struct llamaparse_answer *a)
{
    const char *p = json_string_value(text), *end = p + json_string_length(text);
    const size_t mark = sizeof LLAMAPARSE_PAGE_MARK - 1;
    char *out = talloc_size(ctx, (size_t)(end - p) + 1);

    if (out == NULL)
        return -ENOMEM;
    while (p < end) {
        bool page = (size_t)(end - p) >= mark && memcmp(p, LLAMAPARSE_PAGE_MARK, mark) == 0;
        out[a->len++] = (char)(page ? '\f' : *p == '\f' ? '\n' : *p);
        p += page ? mark : 1;
    }
    out[a->len] = '\0';
    a->text = out;
    return 0;
}

static const json_t *first_of(const json_t *root, const char *const *keys)
{
    const json_t *v = NULL;

    for (; *keys != NULL && v == NULL; keys++) {
        v = json_object_get(root, *keys);
        if (json_is_null(v))
            v = NULL;
    }
    return v;
}

/* Our own key, should a page's error quote it, wherever in a word. */
static void redact_pages(const struct llamaparse_endpoint *ep, struct llamaparse_answer *a)
{
    for (int i = 0; i < a->n_pages; i++) {
        char words[REDACT_SHOWN];
        if (a->pages[i].error == NULL)
            continue;
        redact(ep->api_key, a->pages[i].error, strlen(a->pages[i].error), words, sizeof words);
        a->pages[i].error = talloc_strdup(a->pages, words);
    }
}

static void read_result(const void *ctx, const struct llamaparse_endpoint *ep, const json_t *root,
                        struct llamaparse_answer *a)
{
    static const char *const lists[] = {"pages", NULL}, *const wholes[] = {"markdown_full", "markdown", "text", NULL};
    const json_t *list = first_of(root, lists), *whole = first_of(root, wholes);
    int rc = -EBADMSG;

    if (list == NULL && json_is_object(whole))
        list = json_object_get(whole, "pages");
    if (json_is_array(list))
        rc = read_pages(ctx, list, a);
    else if (json_is_string(whole))
        rc = read_whole(ctx, whole, a);
    if (rc < 0) {
        bad_answer(a, rc == -ENOMEM ? "there is no memory for it" : "it holds no pages");
        return;
    }
    redact_pages(ep, a);
    a->verdict.act = PROVIDER_OK;
    if (a->page_count < 0 && a->n_pages > 0)
        a->page_count = a->n_pages;
    if (a->n_pages > 0 && a->n_failed == a->n_pages) {
        a->verdict.act = PROVIDER_NEW_JOB;
        a->verdict.reason = REASON_parse_job_failed;
        reason_error(&a->verdict.error, REASON_parse_job_failed, EPROTO, "LlamaParse failed on every page: %.200s",
                     a->pages[0].error);
    }
}

static void judge_body(const void *ctx, const struct llamaparse_endpoint *ep, enum llamaparse_step step,
                       const json_t *root, struct llamaparse_answer *a)
{
    if (!json_is_object(root)) {
        bad_answer(a, "it is no JSON object");
        return;
    }
    read_costs(root, a);
    if (step != LLAMAPARSE_RESULT || json_is_object(json_object_get(root, "job")))
        if (read_job(ep, root, a) < 0)
            return;
    if (step == LLAMAPARSE_SUBMIT && a->verdict.act == PROVIDER_PENDING)
        a->verdict.act = PROVIDER_OK;
    if (step == LLAMAPARSE_RESULT && (a->verdict.act == PROVIDER_OK))
        read_result(ctx, ep, root, a);
}

void llamaparse_judge(const void *ctx, const struct llamaparse_endpoint *ep, enum llamaparse_step step,
                      const struct http_response *r, const struct rate_head *h, struct llamaparse_answer *a)
{
    json_t *root;

    *a = (struct llamaparse_answer){.verdict = {.wait_ms = -1, .item = -1}, .page_count = -1, .credits_milli = -1};
    if (r->status == 0) {
        judge_silence(step, r, a);
    } else if (r->status < 200 || r->status > 299) {
        judge_fault(ep, step, r, h, a);
    } else {
        root = r->body == NULL ? NULL : json_loadb(r->body, r->len, JSON_ALLOW_NUL, NULL);
        judge_body(ctx, ep, step, root, a);
        json_decref(root);
        if (step == LLAMAPARSE_SUBMIT &&
            a->verdict.act == PROVIDER_RETRY) /* accepted, under a name that nobody heard */
            a->verdict.unsure = true;
    }
}
