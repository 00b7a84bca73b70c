/* answer.c - see answer.h */
#include "api/answer.h"
#include "base/hash.h"
#include "core/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const lanes[] = {[LANE_INTERACTIVE] = "interactive", [LANE_BULK] = "bulk"};

#define N_LANES ((int)(sizeof lanes / sizeof lanes[0]))

static const struct {
    int actor;
    const char *name;
} actors[] = {
    {ACTOR_WORKER, "worker"},
    {ACTOR_WEBHOOK, "webhook"},
    {ACTOR_RESCUE, "rescue"},
    {ACTOR_OPERATOR, "operator"},
};

const char *lane_name(int64_t lane)
{
    return lane > 0 && lane < N_LANES ? lanes[lane] : NULL;
}

int lane_parse(const char *name)
{
    for (int i = 1; i < N_LANES; i++)
        if (strcmp(lanes[i], name) == 0)
            return i;
    return -EINVAL;
}

static const char *actor_name(int64_t actor)
{
    for (size_t i = 0; i < sizeof actors / sizeof actors[0]; i++)
        if (actors[i].actor == actor)
            return actors[i].name;
    return NULL;
}

static json_t *named(const char *name, int64_t number)
{
    return name != NULL ? json_string(name) : json_sprintf("unknown(%" PRId64 ")", number);
}

/* 0 stands before the first status and state, in a document's first event. */
json_t *answer_status(int64_t status)
{
    if (status == 0)
        return json_null();
    return named(status_name((int)status), status);
}

json_t *answer_state(int64_t state)
{
    if (state == 0)
        return json_null();
    return named(state_name((int)state), state);
}

json_t *answer_uuid(const struct uuid *u)
{
    char text[UUID_TEXT_LEN + 1];

    uuid_format(u, text);
    return json_string(text);
}

json_t *answer_time(int64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm t;
    char text[40];

    if (gmtime_r(&seconds, &t) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &t) == 0)
        return json_null();
    return json_sprintf("%s.%03dZ", text, (int)(unix_ms % 1000));
}

static json_t *hex_value_of(const PGresult *r, int row, int col)
{
    size_t n = 0;
    const uint8_t *p = pg_get_bytes(r, row, col, &n);
    char text[2 * SHA256_BYTES + 1];

    if (p == NULL || n > SHA256_BYTES)
        return json_null();
    hex_encode(p, n, text);
    return json_string(text);
}

/* jsonb in binary form begins with its version, 1. */
static json_t *json_value_of(const PGresult *r, int row, int col)
{
    size_t n = 0;
    const uint8_t *p = pg_get_bytes(r, row, col, &n);
    json_t *j = NULL;

    if (p != NULL && n > 1 && p[0] == 1)
        j = json_loadb((const char *)p + 1, n - 1, JSON_DECODE_ANY, NULL);
    return j != NULL ? j : json_null();
}

static json_t *hops_value_of(const PGresult *r, int row, int col)
{
    json_t *pairs = json_value_of(r, row, col);
    json_t *list = json_array();
    json_t *pair;
    size_t i;

    json_array_foreach(pairs, i, pair)
    {
        json_t *status = answer_status(json_integer_value(json_array_get(pair, 0)));
        json_array_append_new(list, json_pack("{s:o, s:O}", "status", status, "ms", json_array_get(pair, 1)));
    }
    json_decref(pairs);
    return list;
}

static json_t *value_of(const PGresult *r, int row, int col, enum answer_kind kind)
{
    struct uuid u;
    int64_t n;

    if (pg_is_null(r, row, col))
        return json_null();
    switch (kind) {
    case AS_UUID:
        pg_get_uuid(r, row, col, &u);
        return answer_uuid(&u);
    case AS_TEXT:
        return json_string(pg_get_text(r, row, col));
    case AS_INT:
        return json_integer(pg_get_int(r, row, col));
    case AS_FLOAT:
        return json_real(pg_get_float(r, row, col));
    case AS_BOOL:
        return json_boolean(pg_get_bool(r, row, col));
    case AS_TIME:
        return answer_time(pg_get_time_ms(r, row, col));
    case AS_STATUS:
        return answer_status(pg_get_int(r, row, col));
    case AS_STATE:
        return answer_state(pg_get_int(r, row, col));
    case AS_LANE:
        n = pg_get_int(r, row, col);
        return named(lane_name(n), n);
    case AS_ACTOR:
        n = pg_get_int(r, row, col);
        return named(actor_name(n), n);
    case AS_HEX:
        return hex_value_of(r, row, col);
    case AS_JSON:
        return json_value_of(r, row, col);
    case AS_HOPS:
        return hops_value_of(r, row, col);
    case AS_NOTHING:
        break;
    }
    return NULL;
}

void answer_add_row(json_t *object, const PGresult *r, int row, int first, const struct answer_column *cols, int n)
{
    for (int i = 0; i < n; i++)
        if (cols[i].kind != AS_NOTHING)
            json_object_set_new(object, cols[i].name, value_of(r, row, first + i, cols[i].kind));
}
