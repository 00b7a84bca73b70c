/*
 * embed.h - vectors of queries, where the embedder is an outside service
 *
 * One a process, in its event loop, over one HTTP engine. The same text asked for by several at once is asked of the
 * service once; the latest vectors are kept, so a repeated query costs nothing. Each request goes through the node's
 * pace and circuit breaker (proc/services.h) and has until search.timeout, with all its tries. `done` comes exactly
 * once, never from within embed_ask().
 *
 * Each model and dimension has an endpoint and kept vectors of its own; the service behind them is one.
 *
 * Errors: provider_away (the breaker is open), provider_limited (its turn is too far away), http_*, provider_*,
 * embed_bad_answer, bad_request (the service takes no such text), overloaded.
 *
 * Diagnostics: warns when the service goes out of service, and says when it is back, once each.
 * Fatal: an HTTP engine that stops working ends the loop.
 *
 * What a request took goes into the ledger (search_cost.h).
 *
 * Depends on base, core, db, http, text, provider, proc, outside, libsystemd.
 */
#ifndef API_EMBED_H
#define API_EMBED_H

#include "base/error.h"

struct api;
struct embed;
struct embed_wait;

/* v: NULL on error; it lives until the call returns. retry_after_s: 0 if there is nothing to say. */
typedef void (*embed_done)(void *arg, const float *v, const struct error *e, int retry_after_s);

/* Of api->conf and api->child.services. */
struct embed *embed_new(struct api *api, struct error *e) MUST_CHECK;
/* Nobody may wait any more. */
void embed_free(struct embed **m);
/* The vector if it is known already: valid until the loop goes on. */
const float *embed_known(struct embed *m, const char *model, int dimension, const char *text);
/* text and claims are copied; claims say who pays, if a request is made for it. */
struct embed_wait *embed_ask(struct embed *m, const char *model, int dimension, const char *text, const char *claims,
                             embed_done done, void *arg, struct error *e) MUST_CHECK;
/* done will not come. */
void embed_forget(struct embed_wait **w);

#endif
