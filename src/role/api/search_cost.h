/*
 * search_cost.h - what the embeddings service took for a search, into the ledger
 *
 * One row for each request that was answered, by the user who asked first; no document has a part in it. Written beside
 * the search, which does not wait for it. Depends on base, core, db, proc.
 */
#ifndef API_SEARCH_COST_H
#define API_SEARCH_COST_H

#include "api/api.h"

/* Of api->conf: picodollars a token. bad_config if it is no amount. */
int search_cost_price(const struct conf *c, int64_t *picodollars, struct error *e) MUST_CHECK;
/* claims: the user's. estimated: the service did not say how many. */
void search_cost_settle(struct api *api, const char *claims, int64_t price, int64_t tokens, bool estimated);

#endif
