/*
 * paid.h - what a worker's requests to outside services cost; private to src/role/worker
 *
 * With a budget, the cost of what is about to be asked for is reserved first; without one only the ledger is written.
 * Prices are the configuration's: a service's answers say what was used, never what it costs.
 */
#ifndef WORKER_PAID_H
#define WORKER_PAID_H

#include "queue/cost.h"
#include "worker/worker.h"

struct paid {
    struct worker *w;
    struct cost_limits limits;
    bool limited;
    int64_t page_price; /* picodollars */
};

int paid_open(struct paid *p, struct worker *w, struct error *e) MUST_CHECK;
/* What does not fit into 64 bits is nine million dollars: no budget lets it through. */
int64_t paid_times(int64_t each, int64_t n);
int64_t paid_for_pages(const struct paid *p, int64_t pages);

/* One document's next step. act: its name, so that it can be settled. 1: reserved, or there is no budget; 0: refused,
 * *why says it; or negative. */
int paid_reserve(struct paid *p, const struct queue_job *j, const char *provider, const char *model,
                 enum cost_unit unit, int64_t quantity, int64_t cost, int64_t hold_ms, bool outlives, bool repeated,
                 const char *act, struct error *why, struct error *e) MUST_CHECK;
/* Writes a line by itself: what it paid for is not stored with it. */
int paid_settle(struct paid *p, const struct cost_line *line, struct error *e) MUST_CHECK;
int paid_give_back(struct paid *p, const char *act, struct error *e) MUST_CHECK;

#endif
