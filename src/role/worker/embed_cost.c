/*
 * embed_cost.c - what vectors from a service cost: reserved before they are asked for, in the ledger with their rows
 *
 * Depends on base, proc, queue.
 */
#include "worker/embed_int.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

void embed_charge(struct embed_remote *r, const struct pack_batch *b, int64_t total)
{
    int64_t *weights = talloc_array(r, int64_t, 2 * (unsigned)b->n), *parts = weights + b->n;

    for (int i = 0; i < b->n; i++)
        weights[i] = b->items[i].tokens;
    cost_divide(total, weights, b->n, parts);
    for (int i = 0; i < b->n; i++) {
        struct order *o = embed_order_of(r, b->items[i].owner);
        if (o != NULL)
            o->paid_tokens += parts[i];
        else
            r->unclaimed_tokens += parts[i];
    }
    talloc_free(weights);
}

struct cost_line embed_line_of(struct order *o, bool dropped)
{
    struct cost_line l = {.job = o->p->h->job,
                          .provider = service_name(SERVICE_EMBEDDER),
                          .model = o->target->endpoint.model,
                          .unit = COST_tokens,
                          .quantity = o->paid_tokens,
                          .cost = paid_times(o->target->price, o->paid_tokens),
                          .dropped = dropped};

    memcpy(l.act, o->act, sizeof l.act);
    o->paid_tokens = 0;
    return l;
}

void embed_name_act(struct order *o)
{
    char job[UUID_TEXT_LEN + 1];

    uuid_format(&o->p->h->job->id, job);
    snprintf(o->act, sizeof o->act, "e:%s:%lld:%d", job, (long long)o->p->h->job->lease, o->n_acts++);
}

int embed_grant(struct embed_remote *r, struct order *o, struct error *e)
{
    int end = o->freed + o->window < o->loaded ? o->freed + o->window : o->loaded, rc;
    int64_t tokens = 0;

    if (o->granted >= end || (o->granted > o->stored && r->o->paid.limited))
        return 0;
    if (o->act[0] == '\0' || r->o->paid.limited)
        embed_name_act(o);
    for (int i = o->granted; i < end; i++)
        tokens += embed_chunk_of(o, i)->tokens;
    rc = paid_reserve(&r->o->paid, o->p->h->job, service_name(SERVICE_EMBEDDER), o->target->endpoint.model, COST_tokens,
                      tokens, paid_times(o->target->price, tokens), r->o->w->conf->queue_stage_deadline, false, false,
                      o->act, &o->why, e);
    if (rc < 0)
        return rc;
    if (rc == 0)
        o->failed = true; /* by the budget, which costs no attempt */
    else
        o->granted = end;
    return 0;
}

int embed_close_account(struct embed_remote *r, struct order *o, struct error *e)
{
    if (o->act[0] == '\0')
        return 0;
    if (o->paid_tokens == 0)
        return paid_give_back(&r->o->paid, o->act, e);
    struct cost_line line = embed_line_of(o, true);
    return paid_settle(&r->o->paid, &line, e);
}

void embed_tell_unclaimed(struct embed_remote *r)
{
    if (r->unclaimed_tokens > 0)
        log_warn("worker", "tokens were paid for documents that went another way", "tokens", LOG_I(r->unclaimed_tokens),
                 NULL);
    r->unclaimed_tokens = 0;
}
