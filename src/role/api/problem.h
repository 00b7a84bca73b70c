/*
 * problem.h - a struct error as an HTTP answer: problem+json of RFC 7807
 *
 * The mapping is the table in core/reason.h and nothing else. A reason that is never an answer (http 0) or not in the
 * table is our bug: it is answered as `internal`. What an internal error, the database or the blob store says is for
 * the log, not for the client.
 *
 * Pure. Depends on base, core.
 */
#ifndef API_PROBLEM_H
#define API_PROBLEM_H

#include "base/error.h"
#include "core/reason.h"

#include <jansson.h>

struct problem {
    enum reason reason;
    int status;        /* HTTP */
    int retry_after_s; /* 0: no such header */
};

struct problem problem_of(const struct error *e);
/* type, title, status, detail, hint (if there is one), correlation_id (if not NULL) */
json_t *problem_json(const struct error *e, const char *correlation);

#endif
