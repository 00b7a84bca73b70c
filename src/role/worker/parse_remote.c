/*
 * parse_remote.c - documents that LlamaParse parses: submit, wait, ask, fetch
 *
 * A submission is written down before its request is sent, under a token of its own that the callback brings back; the
 * service's name for it as soon as it is known. While the service works the job waits in the database and is nobody's: a
 * callback or the time of the next poll makes it claimable, and whichever worker claims it asks how far it is and
 * fetches the text. A request that may have arrived without an answer is followed by another submission, since nobody
 * can ask the service whether it has the first.
 *
 * Here: which documents, the list of those in hand, and what follows from an answer. parse_request.c sends,
 * parse_submission.c writes. Callbacks of the HTTP engine only record; parse_remote_collect() writes.
 *
 * Depends on base, core, proc, provider.
 */
#include "worker/parse_remote_int.h"

#include "base/clock.h"
#include "core/reason.h"

#include <string.h>
#include <talloc.h>

#define SERVICE_TRIES 6
#define LEAST_JOB_S   120 /* a limit below it is refused by the service */
#define MOST_AT_ONCE  16

/* ---- which documents ---- */

bool parse_remote_wanted(const struct conf *c)
{
    return strstr(c->parser_order, PARSER_NAME) != NULL;
}

/* It works, or has not been away for long, or may be tried again now. */
static bool worth_waiting(struct worker *w)
{
    int64_t now = clock_ms();

    return w->conf->parser_fallback_after == 0 ||
           services_down_ms(w->child.services, SERVICE_LLAMAPARSE, now) < w->conf->parser_fallback_after ||
           services_closed_for(w->child.services, SERVICE_LLAMAPARSE, now) == 0;
}

/* Markdown and plain text need no parser. The first of parser.order parses; the next one when that is out of service. */
enum parse_place parse_remote_place(struct worker *w, enum sniff_type type, bool visible)
{
    const struct conf *c = w->conf;

    if (w->outside == NULL || w->outside->parse == NULL || type == SNIFF_TEXT || type == SNIFF_MARKDOWN)
        return PARSE_HERE;
    if (strstr(c->parser_order, "local") == NULL || !parse_supported(c, type))
        return PARSE_THERE;
    if (!parser_is_first(c, PARSER_NAME))
        return PARSE_HERE;
    return worth_waiting(w) ? PARSE_THERE : visible ? PARSE_LATER : PARSE_INSTEAD;
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

static void unlink_remote(struct remote *r)
{
    struct remote **at = &r->pr->list;

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    r->pr->n--;
}

void remote_let_go(struct remote *r)
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
    remote_close_raw(r);
    talloc_free(r);
}

void parse_remote_free(struct parse_remote **prp)
{
    struct parse_remote *pr = *prp;

    if (pr == NULL)
        return;
    while (pr->list != NULL) {
        struct passage *p = pr->list->p;
        remote_let_go(pr->list);
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

void remote_next_step(struct remote *r, enum llamaparse_step step)
{
    r->step = step;
    r->answered = false;
    r->call.not_before_ms = 0;
    r->call.tries = 0;
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
    rc = remote_begin(r, e);
    if (rc != 1) {
        remote_let_go(r);
        return rc;
    }
    r->held = false;
    p->step = PASSAGE_PARSING;
    p->h->passage = p;
    hand_stage(p->w, p->h, STATUS_PARSE_QUEUED, p->w->conf->queue_stage_deadline);
    return 1;
}

int remote_drop(struct remote *r)
{
    struct passage *p = r->p;

    remote_let_go(r);
    p->h->passage = NULL;
    talloc_free(p->ctx);
    return 1;
}

/* ---- answers ---- */

static int process_ok(struct remote *r, struct error *e)
{
    switch (r->step) {
    case LLAMAPARSE_SUBMIT:
        return remote_submitted(r, e);
    case LLAMAPARSE_STATUS:
        remote_next_step(r, LLAMAPARSE_RESULT);
        return 1;
    case LLAMAPARSE_RESULT:
        return remote_result(r, e);
    }
    return 0;
}

/* The service failed. What was certainly not sent is sent again; of what may have arrived another submission is made. A
 * job that it has already is asked for later: it is paid for. */
static int process_retry(struct remote *r, struct error *e)
{
    bool tired = r->call.tries >= SERVICE_TRIES;
    int rc;

    if (r->step != LLAMAPARSE_SUBMIT && tired && r->submission.left_ms != 0)
        return remote_wait(r, e);
    if (tired)
        return remote_fail(r, &r->answer.verdict.error, e);
    if (r->step == LLAMAPARSE_SUBMIT && r->answer.verdict.unsure) {
        unsigned tries = r->call.tries;
        int64_t not_before_ms = r->call.not_before_ms;
        r->held = true;
        rc = remote_begin(r, e);
        if (rc != 1)
            return rc == 0 ? remote_drop(r) : rc;
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
        return remote_pending(r, e);
    case PROVIDER_RETRY:
        return process_retry(r, e);
    case PROVIDER_WAIT:
    case PROVIDER_OPEN:
    case PROVIDER_CONFIG:
        r->answered = false; /* its turn comes again, or the breaker is open now */
        return 1;
    default:
        return remote_fail(r, &r->answer.verdict.error, e);
    }
}

static int collect_one(struct remote *r, struct error *e)
{
    struct error why;

    if (r->p->h->over)
        return remote_drop(r);
    if (r->answered)
        return process_answer(r, e);
    if (r->under_way)
        return 0;
    if (r->pr->closed)
        return remote_gate(r, "service_closed", e);
    if (hand_check_deadline(r->p->w, r->p->h, &why) != 0)
        return remote_gate(r, "service_slow", e);
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
