/*
 * parse_remote.c - documents that LlamaParse parses: submit, wait, ask, fetch
 *
 * A submission is written down before its request is sent, under a token of its own that the callback brings back; the
 * service's name for it as soon as it is known. While the service works the job waits in the database and is nobody's: a
 * callback or the time of the next poll makes it claimable, and whichever worker claims it asks how far it is and
 * fetches the text. A request that may have arrived without an answer is followed by another submission, since nobody
 * can ask the service whether it has the first.
 *
 * Callbacks of the HTTP engine only record; parse_remote_collect() writes.
 *
 * Logs: submissions made a second time. Depends on base, core, blob, http, proc, provider, queue.
 */
#include "worker/parse_remote.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "core/reason.h"
#include "queue/submit.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define PROVIDER      "llamaparse"
#define SERVICE_TRIES 6
#define CONNECT_MS    10000
#define SUBMIT_MS     (10 * 60 * 1000)
#define STATUS_MS     (30 * 1000)
#define RESULT_MS     (5 * 60 * 1000)
#define SLOW_BYTES    1024 /* a second, for SLOW_MS: given up */
#define SLOW_MS       (30 * 1000)
#define LEAST_JOB_S   120 /* a limit below it is refused by the service */
#define MOST_AT_ONCE  16
#define BYTES_A_PAGE  20000
#define MOST_NOTED    1000 /* failed pages of a document */

struct remote {
    struct remote *next;
    struct outside *o;
    struct parse_remote *pr; /* gone when given_up */
    struct passage *p;
    enum llamaparse_step step;
    struct outside_call call;
    struct submission submission;
    struct blob_view raw; /* while it is submitted */
    bool raw_open, under_way, answered, given_up;
    bool held; /* the database is being told about it: nothing is sent, whoever ticks meanwhile */
    char token[2 * SUBMIT_TOKEN_BYTES + 1], url[LLAMAPARSE_MAX_WEBHOOK_URL + 1];
    struct llamaparse_answer answer;
    bool unsent; /* it could not be asked for; `answer` says why */
};

struct parse_remote {
    struct outside *o;
    struct llamaparse_endpoint endpoint;
    struct remote *list;
    int n, moved;
    bool closed;
    bool sending; /* opening a file may tick, and a tick sends */
};

/* ---- which documents ---- */

bool parse_remote_wanted(const struct conf *c)
{
    return strstr(c->parser_order, PROVIDER) != NULL;
}

/* Markdown and plain text need no parser. The first of parser.order parses; the next one when that is out of service. */
bool parse_remote_takes(struct worker *w, enum sniff_type type)
{
    const struct conf *c = w->conf;
    bool first;

    if (w->outside == NULL || w->outside->parse == NULL || type == SNIFF_TEXT || type == SNIFF_MARKDOWN)
        return false;
    if (strstr(c->parser_order, "local") == NULL)
        return true;
    first = strncmp(c->parser_order + strspn(c->parser_order, ", "), PROVIDER, strlen(PROVIDER)) == 0;
    if (!first)
        return !parse_supported(c, type);
    return !parse_supported(c, type) || c->parser_fallback_after == 0 ||
           services_down_ms(w->child.services, SERVICE_LLAMAPARSE, clock_ms()) < c->parser_fallback_after ||
           services_closed_for(w->child.services, SERVICE_LLAMAPARSE, clock_ms()) == 0; /* one may try it again */
}

/* The service's own limit, which has a least; ours may be shorter. */
static int service_limit_s(const struct conf *c)
{
    int64_t s = c->llamaparse_job_timeout / 1000;

    return s < LEAST_JOB_S ? LEAST_JOB_S : (int)s;
}

struct parse_remote *parse_remote_new(struct outside *o, struct error *e)
{
    const struct conf *c = o->w->conf;
    struct parse_remote *pr = talloc_zero(o, struct parse_remote);

    pr->o = o;
    pr->endpoint =
        (struct llamaparse_endpoint){.api = strcmp(c->llamaparse_api, "v2") == 0 ? LLAMAPARSE_V2 : LLAMAPARSE_V1,
                                     .base_url = c->llamaparse_base_url,
                                     .api_key = c->llamaparse_api_key,
                                     .tier = c->llamaparse_tier,
                                     .version = c->llamaparse_version,
                                     .languages = c->llamaparse_language,
                                     .max_pages = (int)c->limits_max_pages,
                                     .job_timeout_s = service_limit_s(c)};
    if (llamaparse_check(&pr->endpoint, e) != 0) {
        talloc_free(pr);
        return NULL;
    }
    return pr;
}

/* ---- the list ---- */

static void close_raw(struct remote *r)
{
    if (r->raw_open)
        blob_unview(&r->raw);
    r->raw_open = false;
}

static void unlink_remote(struct remote *r)
{
    struct remote **at = &r->pr->list;

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    r->pr->n--;
}

/* Off the list; a request under way is given up, and what it points to lives until it has ended. */
static void let_go(struct remote *r)
{
    unlink_remote(r);
    r->p = NULL;
    r->given_up = true;
    if (r->under_way) {
        talloc_steal(r->o, r);
        outside_give_up(r->o, &r->call);
        return;
    }
    outside_give_up(r->o, &r->call);
    close_raw(r);
    talloc_free(r);
}

void parse_remote_free(struct parse_remote **prp)
{
    struct parse_remote *pr = *prp;

    if (pr == NULL)
        return;
    while (pr->list != NULL) {
        struct passage *p = pr->list->p;
        let_go(pr->list);
        if (p != NULL)
            pipeline_forget(p->h);
    }
    talloc_free(pr);
    *prp = NULL;
}

bool parse_remote_busy(const struct parse_remote *pr)
{
    return pr->list != NULL;
}

bool parse_remote_room(const struct parse_remote *pr)
{
    return pr->n < MOST_AT_ONCE;
}

int64_t parse_remote_next_ms(const struct parse_remote *pr)
{
    int64_t next = INT64_MAX;

    if (pr->moved > 0)
        return 0;
    for (const struct remote *r = pr->list; r != NULL; r = r->next) {
        if (r->under_way || r->answered)
            continue;
        if (pr->closed) /* behind the gate with it */
            return 0;
        if (r->call.not_before_ms < next)
            next = r->call.not_before_ms;
    }
    return next;
}

/* ---- requests ---- */

/* From the engine. */
static void handle_answer(void *arg, const struct http_response *response)
{
    struct remote *r = arg;
    struct rate_head head;

    if (r->given_up) {
        outside_abandoned(r->o, &r->call);
        close_raw(r);
        talloc_free(r);
        return;
    }
    ratehead_of(response, &head);
    llamaparse_judge(r, &r->pr->endpoint, r->step, response, &head, &r->answer);
    outside_answered(r->pr->o, &r->call, response, &r->answer.verdict, &head, 0);
    r->under_way = false;
    r->answered = true;
    r->pr->moved++;
    if (r->step == LLAMAPARSE_SUBMIT)
        close_raw(r);
}

static int open_raw(struct remote *r, struct error *e)
{
    const struct queue_job *j = r->p->h->job;
    int rc;

    if (r->raw_open)
        return 0;
    rc = blob_view(r->p->w->blobs, &j->user_id, j->sha256, j->bytes, &r->raw, e);
    r->raw_open = rc == 0;
    return rc;
}

static int fill(struct remote *r, const void *ctx, struct http_request *q, struct error *e)
{
    struct llamaparse_endpoint *ep = talloc_memdup(ctx, &r->pr->endpoint, sizeof *ep);
    const struct conf *c = r->p->w->conf;
    const struct queue_job *j = r->p->h->job;
    int rc;

    if (r->step == LLAMAPARSE_STATUS)
        return llamaparse_status(ctx, ep, r->submission.external_id, q, e);
    if (r->step == LLAMAPARSE_RESULT)
        return llamaparse_result(ctx, ep, r->submission.external_id, q, e);
    if ((rc = open_raw(r, e)) != 0)
        return rc;
    ep->do_not_cache = r->submission.anew;
    struct llamaparse_file file = {.fd = r->raw.fd,
                                   .size = j->bytes,
                                   .filename = j->filename,
                                   .content_type = j->content_type,
                                   .webhook_url = r->url[0] != '\0' ? r->url : NULL,
                                   .webhook_secret = c->llamaparse_webhook_secret,
                                   .webhook_token = r->token};
    return llamaparse_submit(ctx, ep, &file, q, e);
}

static int start(struct remote *r, struct error *e)
{
    static const int64_t total_ms[] = {
        [LLAMAPARSE_SUBMIT] = SUBMIT_MS, [LLAMAPARSE_STATUS] = STATUS_MS, [LLAMAPARSE_RESULT] = RESULT_MS};
    struct http_request q = {0};
    int rc = fill(r, r, &q, e);

    if (rc != 0)
        return rc;
    q.connect_ms = CONNECT_MS;
    q.total_ms = total_ms[r->step];
    q.low_speed_bytes = SLOW_BYTES;
    q.low_speed_ms = SLOW_MS;
    q.max_response = (size_t)r->p->w->conf->parser_max_output;
    q.response_fd = -1;
    q.done = handle_answer;
    q.arg = r;
    r->call.http = http_start(r->pr->o->http, &q, e);
    if (r->call.http == NULL)
        return e->code;
    r->under_way = true;
    return 0;
}

static void send_one(struct remote *r)
{
    enum outside_turn turn = outside_ask(r->pr->o, &r->call, SERVICE_LLAMAPARSE, 0);

    if (turn == OUTSIDE_CLOSED)
        r->pr->closed = true;
    if (turn != OUTSIDE_GO)
        return;
    memset(&r->answer, 0, sizeof r->answer);
    if (start(r, &r->answer.verdict.error) != 0) { /* it cannot be asked for: the same as a refusal */
        outside_give_up(r->pr->o, &r->call);
        r->answer.verdict.act = PROVIDER_ITEM;
        r->unsent = true;
        r->answered = true;
        r->pr->moved++;
    }
}

void parse_remote_send(struct parse_remote *pr)
{
    if (pr->sending)
        return;
    pr->sending = true;
    for (struct remote *r = pr->list; r != NULL && !pr->closed; r = r->next)
        if (!r->under_way && !r->answered && !r->held)
            send_one(r);
    pr->sending = false;
}

/* ---- the database ---- */

static void next_step(struct remote *r, enum llamaparse_step step)
{
    r->step = step;
    r->answered = false;
    r->call.not_before_ms = 0;
    r->call.tries = 0;
}

static int new_token(struct remote *r, struct error *e)
{
    uint8_t random[SUBMIT_TOKEN_BYTES];
    const char *base = r->p->w->conf->llamaparse_webhook_url;
    size_t n;

    if (RAND_bytes(random, sizeof random) != 1)
        return reason_error(e, REASON_os_error, EIO, "no random numbers");
    hex_encode(random, sizeof random, r->token);
    r->url[0] = '\0';
    if (base == NULL)
        return 0;
    n = strlen(base);
    while (n > 0 && base[n - 1] == '/')
        n--;
    if (snprintf(r->url, sizeof r->url, "%.*s/v1/webhooks/" PROVIDER "/%s", (int)n, base, r->token) >=
        (int)sizeof r->url)
        return reason_error(e, REASON_bad_config, ENAMETOOLONG, "llamaparse.webhook_url is too long");
    return 0;
}

/* ---- what it costs ---- */

static int end_submission(struct remote *r, const char *outcome, int pages, struct error *e)
{
    return submit_end(r->p->w->pg, &r->submission, outcome, pages, outside_give_up_ms(r->p->w), e);
}

/* By pages, as far as they are known before the file was parsed: an earlier attempt may have counted them. */
static int64_t deadline_ms(const struct remote *r)
{
    const struct conf *c = r->p->w->conf;

    return c->llamaparse_job_timeout + r->p->h->job->pages * c->llamaparse_page_timeout;
}

static void name_act(const struct remote *r, char act[COST_ACT_MAX])
{
    snprintf(act, COST_ACT_MAX, "submission:%lld", (long long)r->submission.id);
}

/* Pages are known when it is parsed; until then a guess by size, above what most documents have. */
static int64_t guess_pages(const struct remote *r)
{
    int64_t pages = r->p->h->job->pages > 0 ? r->p->h->job->pages : r->p->h->job->bytes / BYTES_A_PAGE + 1;

    return pages < r->p->w->conf->limits_max_pages ? pages : r->p->w->conf->limits_max_pages;
}

/* 1: it may be sent, 0: a budget stands in the way and the job has been written, or negative. */
static int reserve(struct remote *r, struct error *e)
{
    struct paid *paid = &r->pr->o->paid;
    const struct conf *c = r->p->w->conf;
    int64_t pages = guess_pages(r);
    char act[COST_ACT_MAX];
    struct error why;
    int rc;

    name_act(r, act);
    rc = paid_reserve(paid, r->p->h->job, PROVIDER, c->llamaparse_tier, COST_pages, pages, paid_for_pages(paid, pages),
                      deadline_ms(r) + c->queue_stage_deadline, true, r->submission.serial > 1, act, &why, e);
    if (rc != 0)
        return rc;
    rc = end_submission(r, "not_sent", 0, e);
    return rc < 0 ? rc : pipeline_fail(r->p->w, r->p->h, &why, e);
}

/* What the service's answer is charged with. Its memory of the same file is free, unless what it remembers is our own
 * submission whose answer was lost: that one was paid for and is nowhere else in the ledger. */
static int settle(struct remote *r, int pages, struct error *e)
{
    bool from_memory = r->answer.cache_hit && (r->submission.serial == 1 || r->submission.anew);
    struct paid *paid = &r->pr->o->paid;
    struct cost_line line = {.job = r->p->h->job,
                             .provider = PROVIDER,
                             .model = r->p->w->conf->llamaparse_tier,
                             .unit = COST_pages,
                             .quantity = pages,
                             .cost = from_memory ? 0 : paid_for_pages(paid, pages),
                             .repeated = r->submission.serial > 1,
                             .note = from_memory ? "from the service's memory" : NULL};

    name_act(r, line.act);
    return paid_settle(paid, &line, e);
}

/* Nothing was paid, as far as anybody can know. */
static int give_back(struct remote *r, struct error *e)
{
    char act[COST_ACT_MAX];

    name_act(r, act);
    return paid_give_back(&r->pr->o->paid, act, e);
}

/* Writes down what is about to be sent, or learns what was. 1: it goes on here, 0: it is nobody's now, or negative. */
static int begin(struct remote *r, struct error *e)
{
    struct hand *h = r->p->h;
    struct worker *w = r->p->w;
    uint8_t hash[SHA256_BYTES];
    int verdict;

    if (new_token(r, e) != 0)
        return e->code;
    sha256_of(r->token, strlen(r->token), hash);
    verdict = submit_begin(w->pg, h->job, h->status, PROVIDER, hash, (int)w->conf->llamaparse_max_jobs,
                           outside_give_up_ms(w), &r->submission, e);
    if (verdict < 0)
        return verdict;
    if (verdict == SUBMIT_LOST || verdict == SUBMIT_BUSY) {
        verdict == SUBMIT_LOST ? hand_over(w, h, false, true) : hand_leave(w, h);
        return 0;
    }
    h->status = STATUS_PARSE_QUEUED;
    h->progress_ms = clock_ms();
    if (verdict == SUBMIT_BEGUN && r->submission.serial > 1 && !r->submission.anew)
        log_warn("worker", "submitted again: an earlier request was not answered", "serial",
                 LOG_I(r->submission.serial), NULL);
    next_step(r, verdict == SUBMIT_KNOWN ? LLAMAPARSE_STATUS : LLAMAPARSE_SUBMIT);
    return verdict == SUBMIT_KNOWN ? 1 : reserve(r, e);
}

int parse_remote_add(struct parse_remote *pr, struct passage *p, struct error *e)
{
    struct remote *r = talloc_zero(pr, struct remote);
    int rc;

    r->o = pr->o;
    r->pr = pr;
    r->p = p;
    r->next = pr->list;
    pr->list = r;
    pr->n++;
    r->held = true;
    rc = begin(r, e);
    if (rc != 1) {
        let_go(r);
        return rc;
    }
    r->held = false;
    p->step = PASSAGE_PARSING;
    p->h->passage = p;
    hand_stage(p->w, p->h, STATUS_PARSE_QUEUED, p->w->conf->queue_stage_deadline);
    return 1;
}

/* It is nobody's now, or written: the passage goes. */
static int drop(struct remote *r)
{
    struct passage *p = r->p;

    let_go(r);
    p->h->passage = NULL;
    talloc_free(p->ctx);
    return 1;
}

static int fail(struct remote *r, const struct error *why, struct error *e)
{
    struct error copy = *why;
    int rc = end_submission(r, r->unsent && r->step == LLAMAPARSE_SUBMIT ? "not_sent" : copy.reason, 0, e);

    if (rc == 0)
        rc = give_back(r, e);
    if (rc == 0)
        rc = pipeline_fail(r->p->w, r->p->h, &copy, e);
    return rc < 0 ? rc : drop(r);
}

/* Behind the gate; what was not sent, or is not known to have arrived, is over. */
static int gate(struct remote *r, const char *reason, struct error *e)
{
    struct worker *w = r->p->w;
    struct hand *h = r->p->h;
    int rc = 0;

    r->held = true;
    if (r->step == LLAMAPARSE_SUBMIT)
        rc = end_submission(r, r->answer.verdict.unsure ? "unanswered" : "not_sent", 0, e);
    if (rc == 0 && r->step == LLAMAPARSE_SUBMIT && !r->answer.verdict.unsure)
        rc = give_back(r, e);
    if (rc == 0)
        rc = queue_gate(w->pg, h->job, h->status, STATUS_PARSE_QUEUED, reason, outside_give_up_ms(w), e);
    if (rc < 0)
        return rc;
    hand_leave(w, h);
    return drop(r);
}

static int64_t poll_ms(const struct remote *r)
{
    const struct conf *c = r->p->w->conf;

    return backoff_ms(c->llamaparse_poll_first, c->llamaparse_poll_cap, (unsigned)r->submission.polls);
}

/* What the database says of a submission that the service works on. */
static int process_waiting(struct remote *r, int verdict)
{
    if (verdict < 0)
        return verdict;
    if (verdict == SUBMIT_HEARD) {
        next_step(r, LLAMAPARSE_STATUS);
        return 1;
    }
    if (verdict == SUBMIT_LOST)
        hand_over(r->p->w, r->p->h, false, true);
    else
        hand_leave(r->p->w, r->p->h);
    return drop(r);
}

static int process_submitted(struct remote *r, struct error *e)
{
    struct worker *w = r->p->w;

    snprintf(r->submission.external_id, sizeof r->submission.external_id, "%s", r->answer.job_id);
    return process_waiting(r, submit_answered(w->pg, r->p->h->job, &r->submission, r->answer.job_id, poll_ms(r),
                                              deadline_ms(r), outside_give_up_ms(w), e));
}

static int process_pending(struct remote *r, struct error *e)
{
    struct worker *w = r->p->w;
    struct error why;

    if (r->submission.left_ms == 0) { /* asked once more after its deadline, and still not done */
        reason_error(&why, REASON_stage_deadline, ETIMEDOUT, "LlamaParse did not finish before the job's deadline.");
        return fail(r, &why, e);
    }
    return process_waiting(r, submit_wait(w->pg, r->p->h->job, &r->submission, poll_ms(r), outside_give_up_ms(w), e));
}

/* Partial success is a success; which pages are missing is kept with the job, and an event says so. */
static int note_failed_pages(struct remote *r, struct error *e)
{
    json_t *list = json_array();
    char *text;
    int rc;

    for (int i = 0; i < r->answer.n_pages && json_array_size(list) < MOST_NOTED; i++) {
        const struct llamaparse_page *page = &r->answer.pages[i];
        if (page->error != NULL)
            json_array_append_new(list, json_pack("{s:i, s:s}", "page", page->number, "error", page->error));
    }
    text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    if (text == NULL)
        return reason_error(e, REASON_internal, ENOMEM, NULL);
    rc = submit_note_pages(r->p->w->pg, r->p->h->job, text, outside_give_up_ms(r->p->w), e);
    free(text);
    return rc;
}

/* The text is here; the pipeline takes it. */
static int process_result(struct remote *r, struct error *e)
{
    struct passage *p = r->p;
    int pages = r->answer.page_count > 0 ? (int)r->answer.page_count : r->answer.n_pages, rc;

    rc = settle(r, pages, e);
    if (rc == 0 && r->answer.n_failed > 0)
        rc = note_failed_pages(r, e);
    if (rc < 0)
        return rc;
    p->outside_text = talloc_steal(p->ctx, r->answer.text);
    p->outside_len = r->answer.len;
    p->pages = pages;
    p->submission = r->submission;
    p->partial = r->answer.n_failed > 0;
    p->step = PASSAGE_TEXT;
    let_go(r);
    return 1;
}

int parse_remote_finish(struct passage *p, struct error *e)
{
    return submit_end(p->w->pg, &p->submission, p->partial ? "partial" : "complete", p->pages, outside_give_up_ms(p->w),
                      e);
}

static int process_ok(struct remote *r, struct error *e)
{
    switch (r->step) {
    case LLAMAPARSE_SUBMIT:
        return process_submitted(r, e);
    case LLAMAPARSE_STATUS:
        next_step(r, LLAMAPARSE_RESULT);
        return 1;
    case LLAMAPARSE_RESULT:
        return process_result(r, e);
    }
    return 0;
}

/* The service failed. What was certainly not sent is sent again; of what may have arrived another submission is made. A
 * job that it has already is asked for later: it is paid for. */
static int process_retry(struct remote *r, struct error *e)
{
    bool tired = r->call.tries >= SERVICE_TRIES;
    int rc;

    if (r->step != LLAMAPARSE_SUBMIT && tired && r->submission.left_ms != 0) {
        struct worker *w = r->p->w;
        return process_waiting(r,
                               submit_wait(w->pg, r->p->h->job, &r->submission, poll_ms(r), outside_give_up_ms(w), e));
    }
    if (tired)
        return fail(r, &r->answer.verdict.error, e);
    if (r->step == LLAMAPARSE_SUBMIT && r->answer.verdict.unsure) {
        unsigned tries = r->call.tries;
        int64_t not_before_ms = r->call.not_before_ms;
        r->held = true;
        rc = begin(r, e);
        if (rc != 1)
            return rc == 0 ? drop(r) : rc;
        r->held = false;
        r->call.tries = tries;
        r->call.not_before_ms = not_before_ms;
    }
    r->answered = false;
    return 1;
}

static int process_answer(struct remote *r, struct error *e)
{
    switch (r->answer.verdict.act) {
    case PROVIDER_OK:
        return process_ok(r, e);
    case PROVIDER_PENDING:
        return process_pending(r, e);
    case PROVIDER_RETRY:
        return process_retry(r, e);
    case PROVIDER_WAIT:
    case PROVIDER_OPEN:
    case PROVIDER_CONFIG:
        r->answered = false; /* its turn comes again, or the breaker is open now */
        return 1;
    default:
        return fail(r, &r->answer.verdict.error, e);
    }
}

static int collect_one(struct remote *r, struct error *e)
{
    struct error why;

    if (r->p->h->over)
        return drop(r);
    if (r->answered)
        return process_answer(r, e);
    if (r->under_way)
        return 0;
    if (r->pr->closed)
        return gate(r, "service_closed", e);
    if (hand_check_deadline(r->p->w, r->p->h, &why) != 0)
        return gate(r, "service_slow", e);
    return 0;
}

int parse_remote_collect(struct parse_remote *pr, struct error *e)
{
    int moved = 0;

    pr->moved = 0;
    for (struct remote *r = pr->list, *next; r != NULL; r = next) {
        int rc;
        next = r->next;
        rc = collect_one(r, e);
        if (rc < 0)
            return rc;
        moved += rc;
    }
    if (pr->list == NULL || services_closed_for(pr->o->w->child.services, SERVICE_LLAMAPARSE, clock_ms()) == 0)
        pr->closed = false;
    parse_remote_send(pr);
    return moved;
}
