/*
 * answer.h - rows of the database as JSON, by a table of columns
 *
 * Column i of the table describes column i of the result. Statuses, states and lanes are shown by name; an unknown
 * number is shown as "unknown(N)", never guessed. Times are RFC 3339 in UTC with milliseconds. NULL is null.
 *
 * Depends on base, core, db.
 */
#ifndef API_ANSWER_H
#define API_ANSWER_H

#include "db/pg.h"

#include <jansson.h>

enum answer_kind {
    AS_UUID,
    AS_TEXT,
    AS_INT,
    AS_FLOAT,
    AS_BOOL,
    AS_TIME,
    AS_STATUS,
    AS_STATE,
    AS_LANE,
    AS_ACTOR,
    AS_HEX,
    AS_JSON,
    AS_HOPS,    /* [[status, ms], ...] as [{"status", "ms"}, ...] */
    AS_NOTHING, /* read by the handler itself */
};

struct answer_column {
    const char *name;
    enum answer_kind kind;
};

/* Adds columns [first, first + n) of the row to an object. */
void answer_add_row(json_t *object, const PGresult *r, int row, int first, const struct answer_column *cols, int n);
json_t *answer_status(int64_t status);
json_t *answer_state(int64_t state);
json_t *answer_uuid(const struct uuid *u);
json_t *answer_time(int64_t unix_ms);

/* Lanes, as stored: the lower number is served first. */
enum { LANE_INTERACTIVE = 1, LANE_BULK = 2 };
const char *lane_name(int64_t lane); /* NULL if unknown */
int lane_parse(const char *name);    /* number, or -EINVAL */

#endif
