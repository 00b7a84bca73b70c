/*
 * ready.h - whether this API child could serve a request now: database (a write), blob store, pools, agreement
 *
 * Answered from what is known, never by asking: a poll that comes hard costs nothing. Being polled is what keeps the
 * write going, once in READY_EVERY_MS and with a deadline of its own; who is not polled writes nothing and relies on the
 * database pool's own questions.
 *
 * Depends on base, core, proc, and the API's parts.
 */
#ifndef API_READY_H
#define API_READY_H

#include <stdbool.h>

#define READY_EVERY_MS    2000  /* between writes while polls come */
#define READY_DEADLINE_MS 3000  /* of a write */
#define READY_DEMAND_MS   30000 /* polls that come less often find what was known last */

struct api;
struct ready;

struct ready_view {
    bool ready, draining;
    const char *database, *storage, *pools, *configuration; /* "ok", or what is wrong */
};

struct ready *ready_new(struct api *api);
void ready_free(struct ready **r);
void ready_tick(struct ready *r); /* every second */
/* Somebody polls. */
void ready_look(struct ready *r, struct ready_view *out);

#endif
