/*
 * follow.h - which events of a page are new, and from where the next page has to begin
 *
 * Ids become visible in another order than they were given out. Up to `base` everything has been seen that there will
 * ever be; above it, what was seen is remembered. Each round reads all events after base, in pages, and tells
 * follow_round() what came with the first: the highest id given out (`last`) and the transactions that may still bring one
 * up to there (`writers`, words). When none of a round's writers is left in a later round, that later round has read
 * everything up to the former's `last`, which is then the base.
 *
 * Pure. Depends on jansson and talloc.
 */
#ifndef CTL_FOLLOW_H
#define CTL_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

struct follow {
    int64_t base;
    int64_t pending; /* becomes the base when none of `waited_for` is left; -1: nothing is pending */
    char *waited_for;
    int64_t *seen; /* above base, in ascending order */
    int n_seen;
};

struct follow *follow_new(const void *talloc_ctx, int64_t base);
/* Whether the event is new; from now on it is not. */
bool follow_see(struct follow *f, int64_t id);
/* After all pages of a round; last and writers came with its first. */
void follow_round(struct follow *f, int64_t last, const char *writers);

#endif
