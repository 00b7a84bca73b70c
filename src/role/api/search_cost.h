/*
 * search_cost.h - what the embeddings service took for a search, into the ledger
 *
 * One row for each request that was answered, by the user who asked first; no document has a part in it. Written beside
 * the search, which does not wait for it. Depends on base, core, db, proc.
 */
#ifndef API_SEARCH_COST_H
#define API_SEARCH_COST_H

#include "api/api.h"

/* claims: the user's; model lives as long as the process; price: picodollars a token. estimated: the service did not say
 * how many. */
void search_cost_settle(struct api *api, const char *claims, const char *model, int64_t price, int64_t tokens,
                        bool estimated);

#endif
