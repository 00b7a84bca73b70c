/*
 * embed_orders.c - which documents want vectors, and their texts
 *
 * Depends on base, core, provider, queue.
 */
#include "worker/embed_int.h"

#include "base/clock.h"
#include "core/reason.h"
#include "provider/embedder.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <talloc.h>

#define DEFAULT_TOKENS 200000             /* of a request, where the service names no limit */
#define LOAD_SLICE     512                /* chunk texts read from the database at once */
#define WINDOW_BYTES   (64 * 1024 * 1024) /* of vectors that a document holds in memory */
#define BODY_SPARE     2                  /* bytes of a request for each byte of text, at worst */

/* ---- targets ---- */

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

/* The configuration no longer has what the old space needs: its documents wait for a node that does. */
static struct embed_target *refused(struct embed_target *t, struct error *e)
{
    struct error why = *e;

    (void)error_set(e, ENOTSUP, ERR_RECOVERABLE, "provider_config", "vectors of model %s, dimension %d: %s",
                    t->space.model, t->space.dimension, why.message);
    talloc_free(t);
    return NULL;
}

static struct embed_target *target_new(struct embed_remote *r, const struct queue_space *space, struct error *e)
{
    struct embed_target *t = talloc_zero(r, struct embed_target);
    struct pack_limits limits = limits_of(r, r->o->w->conf);
    int most;

    t->r = r;
    t->space = *space;
    t->endpoint = r->endpoint;
    t->endpoint.model = t->space.model;
    t->endpoint.dimension = space->dimension;
    if (openai_check(&t->endpoint, e) != 0 || embedder_price(r->o->w->conf, space->model, &t->price, e) != 0)
        return refused(t, e);
    most = WINDOW_BYTES / (int)sizeof(float) / space->dimension;
    t->window = embed_window(r) < most ? embed_window(r) : most;
    t->packer = packer_new(t, &limits, embed_text_ended, r);
    t->next = r->targets;
    r->targets = t;
    return t;
}

struct embed_target *embed_target_of(struct embed_remote *r, const struct queue_space *space, struct error *e)
{
    struct embed_target *t = r->targets;

    while (t != NULL && t->space.space != space->space)
        t = t->next;
    return t != NULL ? t : target_new(r, space, e);
}

int embed_lane(const struct embed_target *t)
{
    int lane = INT_MAX;

    for (const struct order *o = t->r->orders; o != NULL; o = o->next)
        if (o->target == t && o->p->h->job->lane < lane)
            lane = o->p->h->job->lane;
    return lane;
}

/* How many models the configuration asks the service for. */
static int models_wanted(const struct conf *c)
{
    int n = 0;

    for (int i = 0; i <= c->n_collections; i++) {
        bool seen = embedder_is_builtin(embedder_identity(c, i).model);
        for (int k = 0; k < i && !seen; k++)
            seen = strcmp(embedder_identity(c, k).model, embedder_identity(c, i).model) == 0;
        n += !seen;
    }
    return n;
}

bool embed_refuse_target(struct embed_target *t, const struct error *why)
{
    struct worker *w = t->r->o->w;
    int64_t now = clock_ms();

    if (embed_lane(t) < QUEUE_LANE_FILL && models_wanted(w->conf) < 2)
        return false;
    if (t->refused_until_ms <= now)
        services_raise(w->child.services, "embedder", reason_name(REASON_provider_config), why->message, now);
    t->refused_until_ms = now + w->conf->breaker_account_open;
    t->refused = *why;
    for (struct order *o = t->r->orders; o != NULL; o = o->next) {
        if (o->target != t || o->failed)
            continue;
        o->failed = true;
        o->why = *why;
    }
    return true;
}

/* ---- the list ---- */

struct order *embed_order_of(const struct embed_remote *r, uint32_t serial)
{
    struct order *o = r->orders;

    while (o != NULL && o->serial != serial)
        o = o->next;
    return o;
}

void embed_order_add(struct embed_remote *r, struct order *o)
{
    *r->last_order = o;
    r->last_order = &o->next;
    r->n_orders++;
}

void embed_order_remove(struct embed_remote *r, struct order *o)
{
    struct order **at = &r->orders;

    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
    if (r->last_order == &o->next)
        r->last_order = at;
    r->n_orders--;
    (void)packer_drop(o->target->packer, o->serial);
    o->p->h->passage = NULL;
}

/* ---- texts ---- */

const struct queue_chunk *embed_chunk_of(const struct order *o, int ord)
{
    if (o->p->chunks != NULL)
        return &o->p->chunks[ord];
    for (int i = 0; i < o->n_slices; i++)
        if (ord >= o->slices[i].first && ord < o->slices[i].first + o->slices[i].n)
            return &o->slices[i].chunks[ord - o->slices[i].first];
    return NULL;
}

int embed_load_texts(struct embed_remote *r, struct order *o, struct error *e)
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
