/*
 * stores.h - blob store objects that are in one hand at a time
 *
 * An upload writes in the event loop and is synced on a helper thread, and talloc contexts must not be shared between
 * threads: so each upload takes a store object of its own and gives it back. A few are kept for reuse.
 *
 * Depends on base, core, blob.
 */
#ifndef API_STORES_H
#define API_STORES_H

#include "api/helper.h"
#include "blob/blob.h"

struct stores;

struct stores *stores_new(const void *talloc_parent, const struct conf *conf);
void stores_free(struct stores **s);

struct blob_store *stores_take(struct stores *s, struct error *e) MUST_CHECK; /* NULL with *e */
void stores_give(struct stores *s, struct blob_store **store);

/* Whoever waits for an object store on a helper thread waits no longer. */
void stores_stop(struct stores *s);

/* Starts a probe on a helper thread if the last one is old; the answer is kept. */
void stores_probe(struct stores *s, struct helper *helper);
/* An operation has failed: probe soon. */
void stores_doubt(struct stores *s);
/* 1: it could be written, 0: it could not (why says so), -1: not tried yet. */
int stores_state(const struct stores *s, const char **why);

#endif
