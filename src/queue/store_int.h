/*
 * store_int.h - one try of storing the work of many documents; private to src/queue
 *
 *   store.c         the transaction: fence, contents, chunks, jobs, costs
 *   store_spaces.c  what concerns embedding spaces: vectors, visibility, fill jobs
 */
#ifndef QUEUE_STORE_INT_H
#define QUEUE_STORE_INT_H

#include "queue/queue.h"

/* Which spaces a collection has while the transaction lasts; 0: none. */
struct store_collection {
    int16_t id, live, next;
};

/* The state of one try: which of the caller's works still take part. */
struct store_try {
    struct pg *p;
    void *ctx;
    struct queue_work *work;
    int n;
    bool *in; /* takes part in this try */
    int dimension;
    int64_t stage_deadline_ms;
    struct store_collection *collections;
    int n_collections;
    struct error *e;
};

/* store.c */
bool store_brings_rows(const struct store_try *a, const bool *duplicate, int i);

/* store_spaces.c. Each returns 0 or a negative code. */
struct pg_array *store_collections(const struct store_try *a); /* of those that take part, each once, in order */
int store_check_spaces(struct store_try *a) MUST_CHECK;        /* after the fence: who has a retired space is out */
int store_vectors(struct store_try *a, const bool *duplicate) MUST_CHECK;
int store_finish(struct store_try *a, const bool *duplicate) MUST_CHECK; /* makes visible what is whole */

#endif
