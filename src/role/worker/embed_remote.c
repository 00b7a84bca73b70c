/*
 * embed_remote.c - vectors from an embeddings service, in micro-batches over documents
 *
 * An order is one document whose chunk rows are durable and whose vectors are wanted. Texts of all orders, oldest
 * first, are packed into micro-batches; several are under way at once. Vectors are put where they belong as they come
 * and stored in order of their chunks: what stands in the database is always a prefix, so that whoever goes on after a
 * crash asks for nothing twice but what was under way. An order holds vectors for a window of chunks only, however
 * large its document is.
 *
 * What goes into a micro-batch, and what is sent after one was refused, the packer says; a text that cannot be embedded
 * fails its own document. While the service is out of service, or slower than the stage's deadline allows, documents
 * wait behind a gate in the database instead of in hand.
 *
 * Depends on base, core, http, proc, provider, queue.
 */
#include "worker/outside.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "provider/packer.h"
#include "queue/submit.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <talloc.h>

#define DEFAULT_TOKENS 200000 /* of a request, where the service names no limit */
#define SERVICE_TRIES  6      /* a micro-batch that fails so often while the service answers others is looked into */
#define LOAD_SLICE     512    /* chunk texts read from the database at once */
#define MOST_ORDERS    64
#define WINDOW_BYTES   (64 * 1024 * 1024) /* of vectors that a document holds in memory */
#define BODY_SPARE     2                  /* bytes of a request for each byte of text, at worst */

struct slice {
    void *ctx;
    int first, n;
    struct queue_chunk *chunks;
};

struct order {
    struct order *next;
    uint32_t serial; /* its name in the packer */
    struct passage *p;
    int dimension, total, window;
    int packed; /* chunks before this one are with the packer, have come or are stored */
    int loaded; /* texts are at hand for chunks before this one */
    int stored; /* vectors before this one are stored or in the batch */
    int freed;  /* and before this one stored for certain: their places in the window are free */
    int under_way;
    float *vectors; /* of chunk i at i % window */
    uint8_t *have;
    int granted;         /* chunks before this one may be asked for, as far as a budget goes */
    int64_t paid_tokens; /* answered, and not in the ledger yet */
    char act[COST_ACT_MAX];
    int n_acts;
    struct cost_line line; /* of the store that is in the batch */
    struct slice slices[8];
    int n_slices;
    bool failed, slow;
    struct error why;
};

/* A micro-batch on its way: waiting for its turn, or under way. */
struct micro {
    struct micro *next;
    struct outside *o;
    struct embed_remote *r; /* NULL: given up */
    struct outside_call call;
    const struct pack_batch *batch;
    int64_t tokens;
};

struct embed_remote {
    struct outside *o;
    struct openai_endpoint endpoint;
    const struct openai_capabilities *can;
    struct order *orders, **last_order;
    struct packer *packer;
    struct micro *ready, *under_way;
    uint32_t serial;
    int n_orders, n_under_way, most_under_way, window;
    int64_t unclaimed_tokens; /* paid for documents that went another way meanwhile */
    bool closed;              /* the service is out of service */
    int moved;                /* answers since the last collect */
    struct error why;         /* of the answer that is being taken in */
};

/* ---- orders ---- */

static pack_ended text_ended;

static struct pack_limits limits_of(const struct embed_remote *r, const struct conf *c)
{
    struct pack_limits l = {.items = c->embedder_batch_items,
                            .tokens = r->can->request_tokens > 0 ? r->can->request_tokens : DEFAULT_TOKENS,
                            .bytes = r->can->body_bytes / BODY_SPARE,
                            .input_tokens = r->can->input_tokens};

    if (r->can->items > 0 && l.items > r->can->items)
        l.items = r->can->items;
    return l;
}

struct embed_remote *embed_remote_new(struct outside *o, struct error *e)
{
    struct pack_limits limits;
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
        .model = c->openai_model,
        .dimension = (int)c->embedder_dimension,
    };
    r->can = openai_capabilities(r->endpoint.kind);
    if (openai_check(&r->endpoint, e) != 0) {
        talloc_free(r);
        return NULL;
    }
    r->most_under_way = (int)c->openai_in_flight;
    limits = limits_of(r, c);
    r->window = (r->most_under_way + 1) * (int)limits.items;
    if (r->window > WINDOW_BYTES / (int)sizeof(float) / r->endpoint.dimension)
        r->window = WINDOW_BYTES / (int)sizeof(float) / r->endpoint.dimension;
    r->packer = packer_new(r, &limits, text_ended, r);
    return r;
}

/* Takes it off the list. Its passage lives until the caller frees it or hands it on. */
static void order_remove(struct embed_remote *r, struct order *o)
{
    struct order **at = &r->orders;

    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
    if (r->last_order == &o->next)
        r->last_order = at;
    r->n_orders--;
    (void)packer_drop(r->packer, o->serial);
    o->p->h->passage = NULL;
}

/* What is in no ledger is at least in the log. */
static void tell_unclaimed(struct embed_remote *r)
{
    if (r->unclaimed_tokens > 0)
        log_warn("worker", "tokens were paid for documents that went another way", "tokens", LOG_I(r->unclaimed_tokens),
                 NULL);
    r->unclaimed_tokens = 0;
}

void embed_remote_free(struct embed_remote **rp)
{
    struct embed_remote *r = *rp;

    if (r == NULL)
        return;
    while (r->orders != NULL) {
        struct passage *p = r->orders->p;
        r->unclaimed_tokens += r->orders->paid_tokens;
        order_remove(r, r->orders);
        talloc_free(p->ctx);
    }
    tell_unclaimed(r);
    for (struct micro *m = r->under_way, *next; m != NULL; m = next) {
        next = m->next;
        m->r = NULL; /* its end frees it */
        talloc_steal(r->o, m);
        outside_give_up(m->o, &m->call);
    }
    for (struct micro *m = r->ready; m != NULL; m = m->next)
        outside_give_up(r->o, &m->call);
    packer_free(&r->packer);
    talloc_free(r);
    *rp = NULL;
}

int embed_remote_add(struct embed_remote *r, struct passage *p, const struct queue_space *space, struct error *e)
{
    struct order *o = talloc_zero(p->ctx, struct order);
    int left = p->n_chunks - p->first_vector;

    o->p = p;
    o->serial = ++r->serial;
    o->dimension = space->dimension;
    o->total = p->n_chunks;
    o->packed = o->stored = o->freed = p->first_vector;
    o->loaded = p->chunks != NULL ? o->total : o->stored;
    o->granted = o->stored;
    o->window = left < 1 ? 1 : left < r->window ? left : r->window;
    o->vectors = talloc_array(o, float, (unsigned)(o->window * o->dimension));
    o->have = talloc_zero_array(o, uint8_t, (unsigned)o->window);
    if (o->vectors == NULL || o->have == NULL)
        return reason_error(e, REASON_internal, ENOMEM, "no memory for %d vectors", o->window);
    *r->last_order = o;
    r->last_order = &o->next;
    r->n_orders++;
    p->step = PASSAGE_EMBEDDING;
    p->embed_began_ms = clock_ms();
    return 0;
}

bool embed_remote_busy(const struct embed_remote *r)
{
    return r->orders != NULL || r->under_way != NULL;
}

/* Enough waiting for the micro-batches after the ones under way is enough. */
bool embed_remote_room(const struct embed_remote *r)
{
    return r->n_orders < MOST_ORDERS && packer_items(r->packer) < 2 * (int64_t)r->window;
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

/* ---- texts ---- */

static const struct queue_chunk *chunk_of(const struct order *o, int ord)
{
    if (o->p->chunks != NULL)
        return &o->p->chunks[ord];
    for (int i = 0; i < o->n_slices; i++)
        if (ord >= o->slices[i].first && ord < o->slices[i].first + o->slices[i].n)
            return &o->slices[i].chunks[ord - o->slices[i].first];
    return NULL;
}

/* Texts of a document that an earlier attempt chunked, as far as the window goes. */
static int load_texts(struct embed_remote *r, struct order *o, struct error *e)
{
    int room = (int)(sizeof o->slices / sizeof *o->slices), kept = 0;

    for (int i = 0; i < o->n_slices; i++) {
        if (o->slices[i].first + o->slices[i].n <= o->freed)
            talloc_free(o->slices[i].ctx);
        else
            o->slices[kept++] = o->slices[i];
    }
    o->n_slices = kept;
    while (o->loaded < o->total && o->loaded < o->freed + o->window && o->n_slices < room) {
        struct slice *s = &o->slices[o->n_slices];
        int want = o->total - o->loaded < LOAD_SLICE ? o->total - o->loaded : LOAD_SLICE, n;
        s->ctx = talloc_new(o);
        s->first = o->loaded;
        n = queue_read_chunks(r->o->w->pg, s->ctx, o->p->h->job, s->first, want, &s->chunks, e);
        if (n < 0)
            return n;
        if (n != want) {
            o->failed = true;
            reason_error(&o->why, REASON_count_mismatch, EIO, NULL);
            return 0;
        }
        s->n = n;
        o->loaded += n;
        o->n_slices++;
    }
    return 0;
}

/* ---- micro-batches ---- */

static struct order *order_of(const struct embed_remote *r, uint32_t serial)
{
    struct order *o = r->orders;

    while (o != NULL && o->serial != serial)
        o = o->next;
    return o;
}

static const struct queue_chunk *text_of(const struct embed_remote *r, const struct pack_item *item)
{
    const struct order *o = order_of(r, item->owner);

    return o == NULL ? NULL : chunk_of(o, (int)item->id);
}

/* From the packer, while an answer is taken in. */
static void text_ended(void *arg, const struct pack_item *item, enum reason bad)
{
    struct embed_remote *r = arg;
    struct order *o = order_of(r, item->owner);

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
            const struct queue_chunk *c = chunk_of(o, o->packed);
            struct pack_item item = {
                .id = (uint64_t)o->packed, .owner = o->serial, .tokens = c->tokens, .bytes = c->text_len};
            if (packer_add(r->packer, &item) != 0)
                return; /* no memory now: tried again at the next turn */
            o->packed++;
        }
    }
}

static void count_under_way(struct embed_remote *r, const struct pack_batch *b, int by)
{
    for (int i = 0; i < b->n; i++) {
        struct order *o = order_of(r, b->items[i].owner);
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
    while (packer_done(r->packer, m->batch->id, result) == -ENOMEM)
        (void)poll(NULL, 0, 10); /* it is paid for, and memory comes back */
    talloc_free(m);
}

static void keep(struct embed_remote *r, const struct pack_batch *b, const float *vectors, const uint8_t *bad,
                 bool with_map)
{
    for (int i = 0; i < b->n; i++) {
        struct order *o = b->items[i].dropped ? NULL : order_of(r, b->items[i].owner);
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
        r->endpoint.want_float = true;
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

/* What the answer says it took, to the documents that its texts are of. */
static void charge(struct embed_remote *r, const struct pack_batch *b, int64_t total)
{
    int64_t *weights = talloc_array(r, int64_t, 2 * (unsigned)b->n), *parts = weights + b->n;

    for (int i = 0; i < b->n; i++)
        weights[i] = b->items[i].tokens;
    cost_divide(total, weights, b->n, parts);
    for (int i = 0; i < b->n; i++) {
        struct order *o = order_of(r, b->items[i].owner);
        if (o != NULL)
            o->paid_tokens += parts[i];
        else
            r->unclaimed_tokens += parts[i];
    }
    talloc_free(weights);
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
    void *ctx;

    if (r == NULL) {
        outside_abandoned(m->o, &m->call);
        talloc_free(m);
        return;
    }
    ctx = talloc_new(r);
    vectors = talloc_array(ctx, float, (unsigned)(m->batch->n * r->endpoint.dimension));
    bad = talloc_zero_array(ctx, uint8_t, (unsigned)m->batch->n);
    ratehead_of(response, &head);
    openai_judge(&r->endpoint, response, &head, m->batch->n, vectors, bad, &got);
    outside_answered(r->o, &m->call, response, &got.verdict, &head,
                     got.total_tokens >= 0 ? got.total_tokens : m->tokens);
    micro_unlink(&r->under_way, m);
    r->n_under_way--;
    r->moved++;
    count_under_way(r, m->batch, -1);
    if (got.total_tokens > 0)
        charge(r, m->batch, got.total_tokens);
    else if (response->status / 100 == 2) /* charged all the same, whatever it answered */
        charge(r, m->batch, m->tokens);
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
    rc = openai_request(ctx, &r->endpoint, in, m->batch->n, &q, bad, e);
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

/* One whose time has come; while one waits for its turn, what comes is packed into fuller ones. */
static struct micro *next_micro(struct embed_remote *r)
{
    const struct pack_batch *b;
    int64_t now = clock_ms();
    struct micro *m;

    for (m = r->ready; m != NULL; m = m->next) {
        if (m->call.not_before_ms > now)
            continue;
        micro_unlink(&r->ready, m);
        return m;
    }
    if (r->ready != NULL || (b = packer_next(r->packer, true)) == NULL)
        return NULL;
    m = talloc_zero(r, struct micro);
    m->o = r->o;
    m->r = r;
    m->batch = b;
    for (int i = 0; i < b->n; i++)
        m->tokens += b->items[i].tokens;
    return m;
}

void embed_remote_send(struct embed_remote *r)
{
    static const struct pack_result again = {.act = PROVIDER_RETRY, .item = -1};

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

/* ---- what it costs ---- */

static struct cost_line line_of(struct embed_remote *r, struct order *o, bool dropped)
{
    struct cost_line l = {.job = o->p->h->job,
                          .provider = service_name(SERVICE_EMBEDDER),
                          .model = r->endpoint.model,
                          .unit = COST_tokens,
                          .quantity = o->paid_tokens,
                          .cost = paid_for_tokens(&r->o->paid, o->paid_tokens),
                          .dropped = dropped};

    memcpy(l.act, o->act, sizeof l.act);
    o->paid_tokens = 0;
    return l;
}

/* A name of its own for what is paid for next. */
static void name_act(struct order *o)
{
    char job[UUID_TEXT_LEN + 1];

    uuid_format(&o->p->h->job->id, job);
    snprintf(o->act, sizeof o->act, "e:%s:%lld:%d", job, (long long)o->p->h->job->lease, o->n_acts++);
}

/* The next of its texts may be asked for, up to the window's end. With a budget that is reserved for first. */
static int grant(struct embed_remote *r, struct order *o, struct error *e)
{
    int end = o->freed + o->window < o->loaded ? o->freed + o->window : o->loaded, rc;
    int64_t tokens = 0;

    if (o->granted >= end || (o->granted > o->stored && r->o->paid.limited))
        return 0;
    if (o->act[0] == '\0' || r->o->paid.limited)
        name_act(o);
    for (int i = o->granted; i < end; i++)
        tokens += chunk_of(o, i)->tokens;
    rc = paid_reserve(&r->o->paid, o->p->h->job, service_name(SERVICE_EMBEDDER), r->endpoint.model, COST_tokens, tokens,
                      paid_for_tokens(&r->o->paid, tokens), r->o->w->conf->queue_stage_deadline, false, false, o->act,
                      &o->why, e);
    if (rc < 0)
        return rc;
    if (rc == 0)
        o->failed = true; /* by the budget, which costs no attempt */
    else
        o->granted = end;
    return 0;
}

/* It goes another way: what was paid is written down, what was only reserved is given back. */
static int close_account(struct embed_remote *r, struct order *o, struct error *e)
{
    if (o->act[0] == '\0')
        return 0;
    if (o->paid_tokens == 0)
        return paid_give_back(&r->o->paid, o->act, e);
    struct cost_line line = line_of(r, o, true);
    return paid_settle(&r->o->paid, &line, e);
}

/* ---- what came back ---- */

/* Behind the gate until the service can take more. */
static int gate(struct embed_remote *r, struct order *o, const char *reason, struct error *e)
{
    struct passage *p = o->p;
    int rc = close_account(r, o, e);

    if (rc == 0)
        rc = queue_gate(r->o->w->pg, p->h->job, p->h->status, STATUS_EMBEDDING_IN_PROGRESS, reason,
                        outside_give_up_ms(r->o->w), e);
    if (rc < 0)
        return rc;
    order_remove(r, o);
    hand_leave(r->o->w, p->h);
    talloc_free(p->ctx);
    return 1;
}

static int fail(struct embed_remote *r, struct order *o, struct error *e)
{
    struct passage *p = o->p;
    struct error why = o->why;
    int rc = close_account(r, o, e);

    if (rc < 0)
        return rc;
    order_remove(r, o);
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
        o->line = line_of(r, o, false);
        it->work.costs = &o->line;
        it->work.n_costs = 1;
        name_act(o);
    }
    if (last) {
        hand_stage_done(w, &p->work, STATUS_EMBEDDING_IN_PROGRESS, p->embed_began_ms);
        memcpy(it->work.hops, p->work.hops, sizeof it->work.hops);
        it->work.n_hops = p->work.n_hops;
        order_remove(r, o);
    }
    return 1;
}

static int collect_order(struct embed_remote *r, struct order *o, struct error *e)
{
    struct passage *p = o->p;
    int rc;

    if (p->h->over) { /* the lease was lost, or the counts did not match: it is written already */
        if ((rc = close_account(r, o, e)) < 0)
            return rc;
        order_remove(r, o);
        talloc_free(p->ctx);
        return 1;
    }
    o->freed = o->stored;
    if (!o->failed && p->chunks == NULL && (rc = load_texts(r, o, e)) < 0)
        return rc;
    if (!o->failed && (rc = grant(r, o, e)) < 0)
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
    tell_unclaimed(r);
    if (r->orders == NULL || services_closed_for(r->o->w->child.services, SERVICE_EMBEDDER, clock_ms()) == 0)
        r->closed = false;
    embed_remote_send(r);
    return moved;
}
