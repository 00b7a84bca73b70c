/*
 * embed_int.h - the inside of embed_remote; private to src/role/worker
 *
 *   embed_remote.c  its life, what it is asked, and what becomes of a document whose vectors have come
 *   embed_orders.c  which documents want vectors, and their texts
 *   embed_micro.c   micro-batches: formed, sent, answered
 *   embed_cost.c    what it costs
 *
 * A target is one embedding space: its model and dimension, its packer. The service, its pace and its circuit breaker
 * are the same for all of them.
 */
#ifndef WORKER_EMBED_INT_H
#define WORKER_EMBED_INT_H

#include "provider/packer.h"
#include "worker/outside.h"

struct slice {
    void *ctx;
    int first, n;
    struct queue_chunk *chunks;
};

struct order {
    struct order *next;
    uint32_t serial; /* its name in the packer */
    struct passage *p;
    struct embed_target *target;
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

/* An embedding space that vectors are asked for. */
struct embed_target {
    struct embed_target *next;
    struct embed_remote *r;
    struct queue_space space;
    struct openai_endpoint endpoint;
    struct packer *packer;
    int window;               /* most chunks of a document whose vectors are held */
    int64_t price;            /* picodollars a token */
    int64_t refused_until_ms; /* the service does not take this model; others go on */
    struct error refused;
};

/* A micro-batch on its way: waiting for its turn, or under way. */
struct micro {
    struct micro *next;
    struct outside *o;
    struct embed_remote *r; /* NULL: given up */
    struct embed_target *target;
    struct outside_call call;
    const struct pack_batch *batch;
    int64_t tokens;
};

struct embed_remote {
    struct outside *o;
    const struct openai_capabilities *can;
    struct openai_endpoint endpoint; /* of the service: without model and dimension */
    struct embed_target *targets;
    struct order *orders, **last_order;
    struct micro *ready, *under_way;
    uint32_t serial;
    int n_orders, n_under_way, most_under_way;
    int64_t unclaimed_tokens; /* paid for documents that went another way meanwhile */
    bool closed;              /* the service is out of service */
    int moved;                /* answers since the last collect */
    struct error why;         /* of the answer that is being taken in */
};

/* embed_remote.c */
int embed_window(const struct embed_remote *r); /* chunks that are enough for all that may be under way, and one more */

/* embed_orders.c */
struct embed_target *embed_target_of(struct embed_remote *r, const struct queue_space *space, struct error *e);
int embed_lane(const struct embed_target *t); /* of its most urgent document; above every lane: it has none */
struct order *embed_order_of(const struct embed_remote *r, uint32_t serial);
void embed_order_add(struct embed_remote *r, struct order *o);
/* Takes it off the list. Its passage lives until the caller frees it or hands it on. */
void embed_order_remove(struct embed_remote *r, struct order *o);
const struct queue_chunk *embed_chunk_of(const struct order *o, int ord);
/* Texts of a document that an earlier attempt chunked, as far as the window goes. */
int embed_load_texts(struct embed_remote *r, struct order *o, struct error *e) MUST_CHECK;

/* The service does not take the model, which is no matter of the other targets: false if there is no other. */
bool embed_refuse_target(struct embed_target *t, const struct error *why);

/* embed_micro.c */
extern pack_ended embed_text_ended;

/* embed_cost.c */
struct cost_line embed_line_of(struct order *o, bool dropped);
void embed_name_act(struct order *o); /* a name of its own for what is paid for next */
/* The next of its texts may be asked for, up to the window's end. With a budget that is reserved for first. */
int embed_grant(struct embed_remote *r, struct order *o, struct error *e) MUST_CHECK;
/* It goes another way: what was paid is written down, what was only reserved is given back. */
int embed_close_account(struct embed_remote *r, struct order *o, struct error *e) MUST_CHECK;
/* What an answer says it took, to the documents that its texts are of. */
void embed_charge(struct embed_remote *r, const struct pack_batch *b, int64_t total);
/* What is in no ledger is at least in the log. */
void embed_tell_unclaimed(struct embed_remote *r);

#endif
