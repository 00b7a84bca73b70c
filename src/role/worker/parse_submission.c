/*
 * parse_submission.c - what is written of a submission: that it is made, named, waited for, paid for, ended
 *
 * Each step is one statement of queue/submit.h, told to the database before anything follows from it.
 *
 * Logs: submissions made a second time. Depends on base, core, queue.
 */
#include "worker/parse_remote_int.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "core/reason.h"
#include "queue/submit.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define BYTES_A_PAGE 20000
#define MOST_NOTED   1000 /* failed pages of a document */

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
    if (snprintf(r->url, sizeof r->url, "%.*s/v1/webhooks/%s/%s", (int)n, base, PARSER_NAME, r->token) >=
        (int)sizeof r->url)
        return reason_error(e, REASON_bad_config, ENAMETOOLONG, "llamaparse.webhook_url is too long");
    return 0;
}

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
    rc = paid_reserve(paid, r->p->h->job, PARSER_NAME, c->llamaparse_tier, COST_pages, pages,
                      paid_for_pages(paid, pages), deadline_ms(r) + c->queue_stage_deadline, true,
                      r->submission.serial > 1, act, &why, e);
    if (rc != 0)
        return rc;
    rc = end_submission(r, "not_sent", 0, e);
    return rc < 0 ? rc : pipeline_fail(r->p->w, r->p->h, &why, e);
}

/* What the ledger says beside the pages: v1 tells the credits only once they are billed, which may be later. */
static const char *note_of(struct remote *r, bool from_memory)
{
    int64_t credits = r->answer.credits_milli;

    if (from_memory)
        return "from the service's memory";
    return credits > 0 ? talloc_asprintf(r, "%" PRId64 ".%03" PRId64 " credits billed", credits / 1000, credits % 1000)
                       : NULL;
}

/* What the service's answer is charged with. Its memory of the same file is free, unless what it remembers is our own
 * submission whose answer was lost: that one was paid for and is nowhere else in the ledger. */
static int settle(struct remote *r, int pages, struct error *e)
{
    bool from_memory = r->answer.cache_hit && (r->submission.serial == 1 || r->submission.anew);
    struct paid *paid = &r->pr->o->paid;
    struct cost_line line = {.job = r->p->h->job,
                             .provider = PARSER_NAME,
                             .model = r->p->w->conf->llamaparse_tier,
                             .unit = COST_pages,
                             .quantity = pages,
                             .cost = from_memory ? 0 : paid_for_pages(paid, pages),
                             .repeated = r->submission.serial > 1,
                             .note = note_of(r, from_memory)};

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
int remote_begin(struct remote *r, struct error *e)
{
    struct hand *h = r->p->h;
    struct worker *w = r->p->w;
    uint8_t hash[SHA256_BYTES];
    int verdict;

    if (new_token(r, e) != 0)
        return e->code;
    sha256_of(r->token, strlen(r->token), hash);
    verdict = submit_begin(w->pg, h->job, h->status, PARSER_NAME, hash, (int)w->conf->llamaparse_max_jobs,
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
    remote_next_step(r, verdict == SUBMIT_KNOWN ? LLAMAPARSE_STATUS : LLAMAPARSE_SUBMIT);
    return verdict == SUBMIT_KNOWN ? 1 : reserve(r, e);
}

int remote_fail(struct remote *r, const struct error *why, struct error *e)
{
    struct error copy = *why;
    int rc = end_submission(r, r->unsent && r->step == LLAMAPARSE_SUBMIT ? "not_sent" : copy.reason, 0, e);

    if (rc == 0)
        rc = give_back(r, e);
    if (rc == 0)
        rc = pipeline_fail(r->p->w, r->p->h, &copy, e);
    return rc < 0 ? rc : remote_drop(r);
}

/* Behind the gate; what was not sent, or is not known to have arrived, is over. */
int remote_gate(struct remote *r, const char *reason, struct error *e)
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
    return remote_drop(r);
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
        remote_next_step(r, LLAMAPARSE_STATUS);
        return 1;
    }
    if (verdict == SUBMIT_LOST)
        hand_over(r->p->w, r->p->h, false, true);
    else
        hand_leave(r->p->w, r->p->h);
    return remote_drop(r);
}

int remote_wait(struct remote *r, struct error *e)
{
    struct worker *w = r->p->w;

    return process_waiting(r, submit_wait(w->pg, r->p->h->job, &r->submission, poll_ms(r), outside_give_up_ms(w), e));
}

int remote_submitted(struct remote *r, struct error *e)
{
    struct worker *w = r->p->w;

    snprintf(r->submission.external_id, sizeof r->submission.external_id, "%s", r->answer.job_id);
    return process_waiting(r, submit_answered(w->pg, r->p->h->job, &r->submission, r->answer.job_id, poll_ms(r),
                                              deadline_ms(r), outside_give_up_ms(w), e));
}

int remote_pending(struct remote *r, struct error *e)
{
    struct error why;

    if (r->submission.left_ms == 0) { /* asked once more after its deadline, and still not done */
        reason_error(&why, REASON_stage_deadline, ETIMEDOUT, "LlamaParse did not finish before the job's deadline.");
        return remote_fail(r, &why, e);
    }
    return remote_wait(r, e);
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
int remote_result(struct remote *r, struct error *e)
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
    p->parsed_by = PARSER_NAME;
    p->step = PASSAGE_TEXT;
    remote_let_go(r);
    return 1;
}

int parse_remote_finish(struct passage *p, struct error *e)
{
    return submit_end(p->w->pg, &p->submission, p->partial ? "partial" : "complete", p->pages, outside_give_up_ms(p->w),
                      e);
}
