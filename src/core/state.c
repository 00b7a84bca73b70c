/*
 * state.c - lookups over the table in state.h
 *
 * Pure. Paths are found by walking at most STATUS_MAX_ forward edges depth first; the graph is small and acyclic but
 * for the edges that leave an end, which are never walked through.
 *
 * Depends on nothing.
 */
#include "core/state.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct status_row {
    const char *name;
    int progress;
    unsigned legal;
    const char *meaning;
};

#define X_ROW(NAME, text, n, prog, legal_mask, mean)                                                                   \
    [n] = {.name = #text, .progress = (prog), .legal = (legal_mask), .meaning = (mean)},
static const struct status_row status_rows[STATUS_MAX_] = {STATUSES(X_ROW)};
#undef X_ROW

/* In lower case, which the preprocessor cannot make; a test compares them with the table. */
static const char *const state_names[STATE_MAX_] = {
    [STATE_QUEUED] = "queued",         [STATE_WORKING] = "working",         [STATE_WAITING] = "waiting",
    [STATE_PARKED] = "parked",         [STATE_RETRYABLE] = "retryable",     [STATE_DONE] = "done",
    [STATE_DEADLETTER] = "deadletter", [STATE_QUARANTINED] = "quarantined", [STATE_CANCELLED] = "cancelled",
};

#define X_ENDS(NAME, n, claimable, end, meaning) [n] = (end),
static const bool state_ends[STATE_MAX_] = {STATES(X_ENDS)};
#undef X_ENDS

struct edge {
    int from, to;
    unsigned actors;
};

#define X_EDGE(FROM, TO, who, ...) {STATUS_##FROM, STATUS_##TO, who},
static const struct edge edges[] = {EDGES(X_EDGE) LATER_EDGES(X_EDGE)};
#undef X_EDGE

#define N_EDGES (sizeof edges / sizeof edges[0])

static const struct status_row *status_row(int status)
{
    return status > 0 && status < STATUS_MAX_ && status_rows[status].name != NULL ? &status_rows[status] : NULL;
}

const char *status_name(int status)
{
    const struct status_row *r = status_row(status);

    return r != NULL ? r->name : NULL;
}

const char *state_name(int state)
{
    return state > 0 && state < STATE_MAX_ ? state_names[state] : NULL;
}

int status_parse(const char *name)
{
    for (int i = 1; i < STATUS_MAX_; i++)
        if (strcmp(status_rows[i].name, name) == 0)
            return i;
    return -EINVAL;
}

int state_parse(const char *name)
{
    for (int i = 1; i < STATE_MAX_; i++)
        if (strcmp(state_names[i], name) == 0)
            return i;
    return -EINVAL;
}

int status_progress(int status)
{
    const struct status_row *r = status_row(status);

    return r != NULL ? r->progress : -1;
}

bool status_is_end(int status)
{
    const struct status_row *r = status_row(status);

    return r != NULL && (r->legal & (LEGAL_DONE | LEGAL_FAILED | LEGAL_CANCEL)) != 0;
}

bool state_is_end(int state)
{
    return state > 0 && state < STATE_MAX_ && state_ends[state];
}

bool state_legal(int status, int state)
{
    const struct status_row *r = status_row(status);

    return r != NULL && state > 0 && state < STATE_MAX_ && (r->legal & STATE_BIT(state)) != 0;
}

bool edge_allowed(int from, int to, unsigned actors)
{
    for (size_t i = 0; i < N_EDGES; i++)
        if (edges[i].from == from && edges[i].to == to && (edges[i].actors & actors) != 0)
            return true;
    return false;
}

bool path_allowed(int from, int to, unsigned actors)
{
    if (edge_allowed(from, to, actors))
        return true;
    if (status_is_end(from))
        return false;
    for (size_t i = 0; i < N_EDGES; i++)
        if (edges[i].from == from && (edges[i].actors & actors) != 0 && !status_is_end(edges[i].to) &&
            path_allowed(edges[i].to, to, actors))
            return true;
    return false;
}

int status_failure_of(int status)
{
    switch ((enum job_status)status) {
    case STATUS_UPLOADED:
    case STATUS_PARSE_QUEUED:
    case STATUS_PARSED:
        return STATUS_FAILED_PARSE;
    case STATUS_PARSE_VALIDATED:
    case STATUS_CHUNKING:
        return STATUS_FAILED_CHUNKING;
    default:
        return STATUS_FAILED_EMBEDDING;
    }
}
