/*
 * packer.h - micro-batches: which texts go into one embeddings request, and what to send after one failed
 *
 * Texts of all documents in hand queue in order of arrival and are packed together up to the limits of items, tokens
 * and bytes; one longer than an input may be (its count may be an estimate) goes alone, so that it costs one request to
 * learn that it is refused. Several batches may be under way.
 *
 * After each batch the caller says how it ended (a verdict's act):
 *   OK            its items are embedded
 *   ITEM          with a map: the marked vectors were unusable; those items are sent again, at most PACK_STRIKES times
 *                 in all, the others are embedded. Without: the service refuses something in it. Alone it is bad; else
 *                 the named item is set apart once, or the batch is halved. A bad item among n costs at most
 *                 2 * log2(n) requests more
 *   SPLIT_TOKENS, SPLIT_ITEMS  halved (alone: bad), and fewer tokens or items are packed from now on. What was learnt is
 *                 tried anew after some successes, ever more of them
 *   anything else the same batch waits to be sent again, before new ones; when is the caller's to say
 * Each item ends exactly once: embedded, bad with a reason, or dropped by the caller.
 *
 * Pure: sends nothing, reads no clock. Depends on base, core.
 */
#ifndef PROVIDER_PACKER_H
#define PROVIDER_PACKER_H

#include "provider/verdict.h"

#include <stddef.h>
#include <stdint.h>

#define PACK_STRIKES 3 /* unusable vectors of one text before it is bad */

struct pack_item {
    uint64_t id;    /* the caller's */
    uint32_t owner; /* the document's, for packer_drop() */
    int64_t tokens;
    size_t bytes;
    int strikes;  /* the packer's */
    bool dropped; /* the caller dropped it while it was under way: its vector is of no use */
};

struct pack_limits {
    int64_t items, tokens, bytes; /* of one batch; 0: any number */
    int64_t input_tokens;         /* an item of more goes alone; 0: none does */
};

struct pack_batch {
    uint64_t id;
    int n, tries; /* tries: how often it was sent before and came back unchanged */
    const struct pack_item *items;
};

struct pack_result {
    enum provider_act act;
    enum reason reason;      /* of what becomes bad */
    int item;                /* ITEM: the one that the service names, or -1 */
    const uint8_t *item_bad; /* ITEM: a byte an item, 1 where the vector was unusable; NULL: nothing came */
};

/* REASON_NONE: embedded. Called from packer_done() only; may add and drop. */
typedef void pack_ended(void *arg, const struct pack_item *item, enum reason bad);

struct packer;

struct packer *packer_new(const void *talloc_parent, const struct pack_limits *limits, pack_ended *ended, void *arg);
void packer_free(struct packer **p);
int packer_add(struct packer *p, const struct pack_item *item) MUST_CHECK; /* 0, -ENOMEM */
/* The next batch to send, valid until packer_done(); NULL if there is none. Without flush an unfilled one stays. */
const struct pack_batch *packer_next(struct packer *p, bool flush);
/* 0; -ENOENT: no such batch is under way; -ENOMEM: nothing has changed, call it again. */
int packer_done(struct packer *p, uint64_t batch, const struct pack_result *r) MUST_CHECK;
/* Takes all items of the owner out; how many. They do not end. Those under way are marked. */
int packer_drop(struct packer *p, uint32_t owner);

/* Items that have not ended, under way or not. */
int64_t packer_items(const struct packer *p);

#endif
