/*
 * parse_request.c - the requests to LlamaParse for documents in hand, each in its turn
 *
 * The file of a submission stays open until its answer has come. What cannot even be asked for counts as a refusal.
 *
 * Depends on base, blob, http, provider.
 */
#include "worker/parse_remote_int.h"

#include <string.h>
#include <talloc.h>

#define CONNECT_MS 10000
#define SUBMIT_MS  (10 * 60 * 1000)
#define STATUS_MS  (30 * 1000)
#define RESULT_MS  (5 * 60 * 1000)
#define SLOW_BYTES 1024 /* a second, for SLOW_MS: given up */
#define SLOW_MS    (30 * 1000)

void remote_close_raw(struct remote *r)
{
    if (r->raw_open)
        blob_unview(&r->raw);
    r->raw_open = false;
}

/* From the engine. */
static void handle_answer(void *arg, const struct http_response *response)
{
    struct remote *r = arg;
    struct rate_head head;

    if (r->given_up) {
        outside_abandoned(r->o, &r->call);
        remote_close_raw(r);
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
        remote_close_raw(r);
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
