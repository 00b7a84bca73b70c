/*
 * embed_micro.c - micro-batches: formed, sent, answered
 *
 * Texts of all orders of a target, oldest first, are packed into micro-batches; several are under way at once. What goes
 * into one, and what is sent after one was refused, the packer says. Callbacks of the engine put vectors where they
 * belong and write nothing to the database.
 *
 * Depends on base, core, http, proc, provider.
 */
#include "worker/embed_int.h"

#include "base/clock.h"
#include "core/reason.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <talloc.h>

static const struct pack_result again = {.act = PROVIDER_RETRY, .item = -1}; /* packed anew */

#define SERVICE_TRIES 6 /* a micro-batch that fails so often while the service answers others is looked into */

static const struct queue_chunk *text_of(const struct embed_remote *r, const struct pack_item *item)
{
    const struct order *o = embed_order_of(r, item->owner);

    return o == NULL ? NULL : embed_chunk_of(o, (int)item->id);
}

/* From the packer, while an answer is taken in. */
void embed_text_ended(void *arg, const struct pack_item *item, enum reason bad)
{
    struct embed_remote *r = arg;
    struct order *o = embed_order_of(r, item->owner);

    if (bad == REASON_NONE || o == NULL || o->failed)
        return;
    o->failed = true;
    o->why = r->why;
    if (o->why.code == 0)
        reason_error(&o->why, bad, EBADMSG, NULL);
}

/* The texts of all orders, oldest first, as far as their windows go. */
static void feed(struct embed_remote *r)
{
    for (struct order *o = r->orders; o != NULL; o = o->next) {
        while (!o->failed && o->packed < o->granted) {
            const struct queue_chunk *c = embed_chunk_of(o, o->packed);
            struct pack_item item = {
                .id = (uint64_t)o->packed, .owner = o->serial, .tokens = c->tokens, .bytes = c->text_len};
            if (packer_add(o->target->packer, &item) != 0)
                return; /* no memory now: tried again at the next turn */
            o->packed++;
        }
    }
}

static void count_under_way(struct embed_remote *r, const struct pack_batch *b, int by)
{
    for (int i = 0; i < b->n; i++) {
        struct order *o = embed_order_of(r, b->items[i].owner);
        if (o != NULL)
            o->under_way += by;
    }
}

static void micro_unlink(struct micro **list, struct micro *m)
{
    while (*list != m)
        list = &(*list)->next;
    *list = m->next;
}

static void micro_wait(struct embed_remote *r, struct micro *m)
{
    m->next = r->ready;
    r->ready = m;
}

/* Tells the packer how it ended, and forgets it. */
static void micro_end(struct embed_remote *r, struct micro *m, const struct pack_result *result,
                      const struct error *why)
{
    r->why = why == NULL ? (struct error){0} : *why;
    while (packer_done(m->target->packer, m->batch->id, result) == -ENOMEM)
        (void)poll(NULL, 0, 10); /* it is paid for, and memory comes back */
    talloc_free(m);
}

static void keep(struct embed_remote *r, const struct pack_batch *b, const float *vectors, const uint8_t *bad,
                 bool with_map)
{
    for (int i = 0; i < b->n; i++) {
        struct order *o = b->items[i].dropped ? NULL : embed_order_of(r, b->items[i].owner);
        int place;
        if (o == NULL || (with_map && bad[i]))
            continue;
        place = (int)(b->items[i].id % (uint64_t)o->window);
        memcpy(o->vectors + (size_t)place * (size_t)o->dimension, vectors + (size_t)i * (size_t)o->dimension,
               (size_t)o->dimension * sizeof *vectors);
        o->have[place] = 1;
    }
}

/* What the answer means for the texts. */
static void act(struct embed_remote *r, struct micro *m, const float *vectors, const uint8_t *bad,
                const struct openai_outcome *got)
{
    const struct provider_verdict *v = &got->verdict;
    struct pack_result result = {.act = v->act, .reason = v->reason, .item = v->item};

    if (v->use_float)
        m->target->endpoint.want_float = true;
    if (v->act == PROVIDER_ITEM && got->n_bad > 0)
        result.item_bad = bad;
    if (v->act == PROVIDER_OK || result.item_bad != NULL)
        keep(r, m->batch, vectors, bad, result.item_bad != NULL);
    if (v->act == PROVIDER_RETRY && m->call.tries >= SERVICE_TRIES) { /* it answers others: is it a text of these? */
        result.act = PROVIDER_ITEM;
        result.item = -1;
    }
    if (v->use_float)
        result.act = PROVIDER_RETRY;
    if (provider_act_is_failure(result.act) || result.act == PROVIDER_WAIT) {
        micro_wait(r, m); /* as it is, when its time has come */
        return;
    }
    micro_end(r, m, &result, &v->error);
}

/* From the engine: reads the vectors, writes nothing to the database. */
static void handle_answer(void *arg, const struct http_response *response)
{
    struct micro *m = arg;
    struct embed_remote *r = m->r;
    struct openai_outcome got;
    struct rate_head head;
    float *vectors;
    uint8_t *bad;
    bool refused;
    void *ctx;

    if (r == NULL) {
        outside_abandoned(m->o, &m->call);
        talloc_free(m);
        return;
    }
    ctx = talloc_new(r);
    vectors = talloc_array(ctx, float, (unsigned)(m->batch->n * m->target->endpoint.dimension));
    bad = talloc_zero_array(ctx, uint8_t, (unsigned)m->batch->n);
    ratehead_of(response, &head);
    openai_judge(&m->target->endpoint, response, &head, m->batch->n, vectors, bad, &got);
    refused = got.verdict.act == PROVIDER_CONFIG && embed_refuse_target(m->target, &got.verdict.error);
    if (refused) /* the service is well */
        got.verdict.act = PROVIDER_OK;
    outside_answered(r->o, &m->call, response, &got.verdict, &head,
                     got.total_tokens >= 0 ? got.total_tokens : m->tokens);
    micro_unlink(&r->under_way, m);
    r->n_under_way--;
    r->moved++;
    count_under_way(r, m->batch, -1);
    if (got.total_tokens > 0)
        embed_charge(r, m->batch, got.total_tokens);
    else if (response->status / 100 == 2) /* charged all the same, whatever it answered */
        embed_charge(r, m->batch, m->tokens);
    if (refused)
        micro_end(r, m, &again, NULL); /* dropped with their documents */
    else
        act(r, m, vectors, bad, &got);
    talloc_free(ctx);
}

/* 0: under way, or negative: these texts cannot be asked for; *bad says which, or -1. */
static int start(struct embed_remote *r, struct micro *m, int *bad, struct error *e)
{
    const struct conf *c = r->o->w->conf;
    void *ctx = talloc_new(m);
    struct embed_input *in = talloc_array(ctx, struct embed_input, (unsigned)m->batch->n);
    struct http_request q = {0};
    int rc;

    *bad = -1;
    for (int i = 0; i < m->batch->n; i++) {
        const struct queue_chunk *chunk = text_of(r, &m->batch->items[i]);
        in[i] = (struct embed_input){chunk->text, chunk->text_len};
    }
    rc = openai_request(ctx, &m->target->endpoint, in, m->batch->n, &q, bad, e);
    if (rc != 0)
        return rc;
    q.connect_ms = c->openai_timeout < 10000 ? c->openai_timeout : 10000;
    q.total_ms = c->openai_timeout;
    q.done = handle_answer;
    q.arg = m;
    m->call.http = http_start(r->o->http, &q, e);
    if (m->call.http == NULL)
        return e->code;
    count_under_way(r, m->batch, 1);
    m->next = r->under_way;
    r->under_way = m;
    r->n_under_way++;
    return 0;
}

static bool has_dropped(const struct pack_batch *b)
{
    for (int i = 0; i < b->n; i++)
        if (b->items[i].dropped)
            return true;
    return false;
}

/* Sends one, or says why not. m is on no list. */
static enum outside_turn send_one(struct embed_remote *r, struct micro *m)
{
    struct pack_result result = {.act = PROVIDER_ITEM, .reason = REASON_embed_refused};
    enum outside_turn turn = outside_ask(r->o, &m->call, SERVICE_EMBEDDER, m->tokens);
    struct error why;

    if (turn != OUTSIDE_GO) {
        micro_wait(r, m);
        return turn;
    }
    if (start(r, m, &result.item, &why) != 0) {
        outside_give_up(r->o, &m->call);
        r->moved++;
        micro_end(r, m, &result, &why);
    }
    return OUTSIDE_GO;
}

/* Of the target whose documents are the most urgent: what fills a new space waits for what somebody uploaded. */
static const struct pack_batch *next_batch(struct embed_remote *r, struct embed_target **target)
{
    int64_t now = clock_ms();

    for (int after = 0, lane; after < INT_MAX; after = lane) {
        const struct pack_batch *b;
        lane = INT_MAX;
        for (struct embed_target *t = r->targets; t != NULL; t = t->next) {
            int of = embed_lane(t);
            lane = of > after && of < lane ? of : lane;
        }
        for (*target = r->targets; *target != NULL; *target = (*target)->next)
            if ((*target)->refused_until_ms <= now && embed_lane(*target) == lane &&
                (b = packer_next((*target)->packer, true)) != NULL)
                return b;
    }
    return NULL;
}

/* One whose time has come; while one waits for its turn, what comes is packed into fuller ones. */
static struct micro *next_micro(struct embed_remote *r)
{
    struct embed_target *target;
    const struct pack_batch *b;
    int64_t now = clock_ms();
    struct micro *m;

    for (m = r->ready; m != NULL; m = m->next) {
        if (m->call.not_before_ms > now)
            continue;
        micro_unlink(&r->ready, m);
        return m;
    }
    if (r->ready != NULL || (b = next_batch(r, &target)) == NULL)
        return NULL;
    m = talloc_zero(r, struct micro);
    m->o = r->o;
    m->r = r;
    m->target = target;
    m->batch = b;
    for (int i = 0; i < b->n; i++)
        m->tokens += b->items[i].tokens;
    return m;
}

void embed_remote_send(struct embed_remote *r)
{
    feed(r);
    while (r->n_under_way < r->most_under_way && !r->closed) {
        struct micro *m = next_micro(r);
        enum outside_turn turn;
        if (m == NULL)
            return;
        if (has_dropped(m->batch)) { /* packed anew without them */
            outside_give_up(r->o, &m->call);
            micro_end(r, m, &again, NULL);
            continue;
        }
        turn = send_one(r, m);
        r->closed = turn == OUTSIDE_CLOSED;
        if (turn != OUTSIDE_GO)
            return;
    }
}
