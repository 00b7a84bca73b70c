/*
 * embed_remote.c - vectors from an embeddings service, in micro-batches over documents
 *
 * An order is one document whose chunk rows are durable and whose vectors are wanted, in one embedding space. Vectors are
 * put where they belong as they come and stored in order of their chunks: what stands in the database is always a prefix,
 * so that whoever goes on after a crash asks for nothing twice but what was under way. An order holds vectors for a
 * window of chunks only, however large its document is.
 *
 * A text that cannot be embedded fails its own document. While the service is out of service, or slower than the stage's
 * deadline allows, documents wait behind a gate in the database instead of in hand.
 *
 * Depends on base, core, http, proc, provider, queue.
 */
#include "worker/embed_int.h"

#include "base/clock.h"
#include "core/reason.h"
#include "provider/embedder.h"
#include "queue/submit.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

#define MOST_ORDERS 64

/* Whether requests can be made for every model that the configuration wants. */
static int check_wanted(const struct embed_remote *r, const struct conf *c, struct error *e)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i <= c->n_collections; i++) {
        struct embedder_identity want = embedder_identity(c, i);
        struct openai_endpoint endpoint = r->endpoint;
        endpoint.model = want.model;
        endpoint.dimension = want.dimension;
        if (!embedder_is_builtin(want.model))
            rc = openai_check(&endpoint, e);
    }
    return rc;
}

struct embed_remote *embed_remote_new(struct outside *o, struct error *e)
{
    const struct conf *c = o->w->conf;
    struct embed_remote *r = talloc_zero(o, struct embed_remote);

    r->o = o;
    r->last_order = &r->orders;
    r->endpoint = (struct openai_endpoint){
        .kind = (enum openai_kind)openai_kind_parse(c->openai_kind),
        .base_url = c->openai_base_url,
        .api_key = c->openai_api_key,
        .organization = c->openai_organization,
        .project = c->openai_project,
    };
    r->can = openai_capabilities(r->endpoint.kind);
    r->most_under_way = (int)c->openai_in_flight;
    if (check_wanted(r, c, e) != 0)
        TALLOC_FREE(r);
    return r;
}

int embed_window(const struct embed_remote *r)
{
    int64_t items = r->o->w->conf->embedder_batch_items;

    if (r->can->items > 0 && items > r->can->items)
        items = r->can->items;
    return (r->most_under_way + 1) * (int)items;
}

void embed_remote_free(struct embed_remote **rp)
{
    struct embed_remote *r = *rp;

    if (r == NULL)
        return;
    while (r->orders != NULL) {
        struct passage *p = r->orders->p;
        r->unclaimed_tokens += r->orders->paid_tokens;
        embed_order_remove(r, r->orders);
        talloc_free(p->ctx);
    }
    embed_tell_unclaimed(r);
    for (struct micro *m = r->under_way, *next; m != NULL; m = next) {
        next = m->next;
        m->r = NULL; /* its end frees it */
        talloc_steal(r->o, m);
        outside_give_up(m->o, &m->call);
    }
    for (struct micro *m = r->ready; m != NULL; m = m->next)
        outside_give_up(r->o, &m->call);
    for (struct embed_target *t = r->targets; t != NULL; t = t->next)
        packer_free(&t->packer);
    talloc_free(r);
    *rp = NULL;
}

int embed_remote_add(struct embed_remote *r, struct passage *p, const struct queue_space *space, struct error *e)
{
    struct embed_target *t = embed_target_of(r, space, e);
    struct order *o;
    int left = p->n_chunks - p->first_vector;

    if (t == NULL)
        return e->code;
    if (t->refused_until_ms > clock_ms()) {
        *e = t->refused;
        return e->code != 0 ? e->code : -ENOTSUP;
    }
    o = talloc_zero(p->ctx, struct order);
    o->p = p;
    o->target = t;
    o->serial = ++r->serial;
    o->dimension = space->dimension;
    o->total = p->n_chunks;
    o->packed = o->stored = o->freed = p->first_vector;
    o->loaded = p->chunks != NULL ? o->total : o->stored;
    o->granted = o->stored;
    o->window = left < 1 ? 1 : left < t->window ? left : t->window;
    o->vectors = talloc_array(o, float, (unsigned)(o->window * o->dimension));
    o->have = talloc_zero_array(o, uint8_t, (unsigned)o->window);
    if (o->vectors == NULL || o->have == NULL)
        return reason_error(e, REASON_internal, ENOMEM, "no memory for %d vectors", o->window);
    embed_order_add(r, o);
    p->step = PASSAGE_EMBEDDING;
    p->embed_began_ms = clock_ms();
    return 0;
}

bool embed_remote_busy(const struct embed_remote *r)
{
    return r->orders != NULL || r->under_way != NULL;
}

/* Enough waiting for the micro-batches after the ones under way is enough. What fills a new space does not keep out what
 * somebody uploaded. */
bool embed_remote_room(const struct embed_remote *r, bool to_fill)
{
    int64_t items = 0;
    int orders = 0;

    for (const struct embed_target *t = r->targets; t != NULL; t = t->next)
        if (to_fill || embed_lane(t) < QUEUE_LANE_FILL)
            items += packer_items(t->packer);
    for (const struct order *o = r->orders; o != NULL; o = o->next)
        orders += to_fill || o->p->h->job->lane < QUEUE_LANE_FILL;
    return orders < MOST_ORDERS && items < 2 * (int64_t)embed_window(r);
}

int64_t embed_remote_next_ms(const struct embed_remote *r)
{
    int64_t next = INT64_MAX;

    if (r->moved > 0)
        return 0;
    if (r->closed) { /* those of whom nothing is under way go behind the gate */
        for (const struct order *o = r->orders; o != NULL; o = o->next)
            if (o->under_way == 0)
                return 0;
        return next;
    }
    for (const struct micro *m = r->ready; m != NULL; m = m->next)
        if (r->n_under_way < r->most_under_way && m->call.not_before_ms < next)
            next = m->call.not_before_ms;
    return next;
}

/* ---- what came back ---- */

/* Behind the gate until the service can take more. */
static int gate(struct embed_remote *r, struct order *o, const char *reason, struct error *e)
{
    struct passage *p = o->p;
    int rc = embed_close_account(r, o, e);

    if (rc == 0)
        rc = queue_gate(r->o->w->pg, p->h->job, p->h->status, STATUS_EMBEDDING_IN_PROGRESS, reason,
                        outside_give_up_ms(r->o->w), e);
    if (rc < 0)
        return rc;
    embed_order_remove(r, o);
    hand_leave(r->o->w, p->h);
    talloc_free(p->ctx);
    return 1;
}

static int fail(struct embed_remote *r, struct order *o, struct error *e)
{
    struct passage *p = o->p;
    struct error why = o->why;
    int rc = embed_close_account(r, o, e);

    if (rc < 0)
        return rc;
    embed_order_remove(r, o);
    rc = pipeline_fail(r->o->w, p->h, &why, e);
    talloc_free(p->ctx);
    return rc < 0 ? rc : 1;
}

/* The vectors that continue what is stored, into the batch. 1: some, 0: none. */
static int store(struct embed_remote *r, struct order *o)
{
    struct worker *w = r->o->w;
    struct passage *p = o->p;
    struct batch_item *it;
    int first = o->stored, place = first % o->window, n = 0;
    bool last;

    while (first + n < o->total && place + n < o->window && o->have[place + n])
        n++;
    last = first + n == o->total;
    if (n == 0 && !last)
        return 0;
    memset(o->have + place, 0, (size_t)n);
    o->stored += n;
    it = batch_add(w, p->h, last ? p->ctx : talloc_new(NULL));
    it->work.first_vector = first;
    it->work.n_vectors = n;
    it->work.vectors = o->vectors + (size_t)place * (size_t)o->dimension;
    it->work.to_status = last ? STATUS_COMPLETE : STATUS_EMBEDDING_IN_PROGRESS;
    it->work.expected_chunks = o->total;
    w->batch_chunks += n;
    if (o->paid_tokens > 0 && (last || !r->o->paid.limited || o->stored == o->granted)) {
        o->line = embed_line_of(o, false);
        it->work.costs = &o->line;
        it->work.n_costs = 1;
        embed_name_act(o);
    }
    if (last) {
        hand_stage_done(w, &p->work, STATUS_EMBEDDING_IN_PROGRESS, p->embed_began_ms);
        memcpy(it->work.hops, p->work.hops, sizeof it->work.hops);
        it->work.n_hops = p->work.n_hops;
        embed_order_remove(r, o);
    }
    return 1;
}

static int collect_order(struct embed_remote *r, struct order *o, struct error *e)
{
    struct passage *p = o->p;
    int rc;

    if (p->h->over) { /* the lease was lost, or the counts did not match: it is written already */
        if ((rc = embed_close_account(r, o, e)) < 0)
            return rc;
        embed_order_remove(r, o);
        talloc_free(p->ctx);
        return 1;
    }
    o->freed = o->stored;
    if (!o->failed && p->chunks == NULL && (rc = embed_load_texts(r, o, e)) < 0)
        return rc;
    if (!o->failed && (rc = embed_grant(r, o, e)) < 0)
        return rc;
    if (!o->failed && hand_check_deadline(r->o->w, p->h, &o->why) != 0)
        o->slow = true;
    if (o->under_way > 0)
        return o->failed || o->slow ? 0 : store(r, o);
    if (o->failed)
        return fail(r, o, e);
    if ((rc = store(r, o)) != 0)
        return rc;
    if (r->closed)
        return gate(r, o, "service_closed", e);
    return o->slow ? gate(r, o, "service_slow", e) : 0;
}

int embed_remote_collect(struct embed_remote *r, struct error *e)
{
    int moved = 0;

    r->moved = 0;
    for (struct order *o = r->orders, *next; o != NULL; o = next) {
        int rc;
        next = o->next;
        if (batch_full(r->o->w)) {
            r->moved++; /* the rest in the next round */
            break;
        }
        rc = collect_order(r, o, e);
        if (rc < 0)
            return rc;
        moved += rc;
    }
    embed_tell_unclaimed(r);
    if (r->orders == NULL || services_closed_for(r->o->w->child.services, SERVICE_EMBEDDER, clock_ms()) == 0)
        r->closed = false;
    embed_remote_send(r);
    return moved;
}
