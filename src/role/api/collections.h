/*
 * collections.h - which embedding space each collection is searched in, as the database said lately
 *
 * A search must know its collection's model before it can embed the text. What the database said is believed for a few
 * seconds; the statement that searches checks it once more, and a flip that came between makes the handler ask again.
 *
 * Depends on base, core, db.
 */
#ifndef API_COLLECTIONS_H
#define API_COLLECTIONS_H

#include "api/request.h"

struct collections;

struct collection_space {
    char collection[32];
    char model[65];
    int version, dimension; /* 0: the collection has no space yet */
};

struct collections *collections_new(const void *talloc_parent);
/* NULL: not known, or not lately; then ask. Valid until the loop goes on. */
const struct collection_space *collections_known(const struct request *r, const char *name);
/* Asks the database, then calls next, which finds all there are, and not_found or not_ready for the others. */
int collections_ask(struct request *r, request_next next, struct error *e) MUST_CHECK;
/* After collections_ask(): the collection of that name, or NULL with *e. */
const struct collection_space *collections_get(const struct request *r, const char *name, struct error *e);
/* The parameter `collection`, or "default". */
const char *collections_named(const struct request *r);
/* DM002 and DM004 of a statement that names one. */
void collections_sqlstate(const char *sqlstate, struct error *e);

#endif
