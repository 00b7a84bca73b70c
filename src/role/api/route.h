/*
 * route.h - every path the API answers, once
 *
 * ROUTES gives method, path, parameters it knows, flags, handlers and the line of help; from it come the dispatch, the
 * answer of GET /v1, the Allow header and the tests. In a path `{id}` stands for one segment that must be a UUID, and
 * `{token}` for one that is a secret: route_shown() is what of a path may be logged.
 *
 * Handlers (request.h): `begin` when the headers are in, `data` for each piece of a body, `end` when everything is in.
 * A handler without `begin` and `data` takes no body.
 *
 * Depends on base, core; the table's functions stand in the handler files.
 */
#ifndef API_ROUTE_H
#define API_ROUTE_H

#include "api/request.h"

enum route_flags {
    ROUTE_OPEN = 1, /* answered without an identity */
};

struct route {
    const char *method, *path, *params;
    unsigned flags;
    int (*begin)(struct request *r, struct error *e);
    int (*data)(struct request *r, const void *p, size_t n, struct error *e);
    int (*end)(struct request *r, struct error *e);
    const char *help;
};

/* Finds the route. *id is filled if its path has {id}; token if it has {token}, "" if that is too long. Errors: not_found, method_not_allowed (allow then lists the
 * methods that the path answers), bad_request (the id is no UUID). */
int route_find(const char *method, const char *path, const struct route **out, struct uuid *id,
               char token[REQUEST_TOKEN_MAX + 1], char allow[64], struct error *e) MUST_CHECK;
const char *route_shown(const char *path);
const struct route *route_table(int *n);

#endif
