/*
 * route.c - see route.h
 *
 * A linear walk: the table is short, and a request costs a database call anyway.
 */
#include "api/route.h"
#include "api/handlers.h"
#include "core/reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct route routes[] = {
    {"POST",   "/v1/documents",        "filename lane collection", 0, upload_begin, upload_data, upload_end,
     "Upload one file as the raw body. 202: accepted; 200: it was there already."},
    {"GET",    "/v1/documents",        "parsed_by fallback limit after", 0, NULL, NULL, documents_list,
     "The caller's documents, newest first; parsed_by=NAME: by that parser; fallback=1: by one that took another's place."},
    {"GET",    "/v1/documents/{id}",   "", 0, NULL, NULL, documents_get,
     "One document with its job's status and progress."},
    {"DELETE", "/v1/documents/{id}",   "", 0, NULL, NULL, documents_delete,
     "Remove a document with everything made of it."},
    {"POST",   "/v1/documents/{id}/reparse", "", 0, NULL, NULL, documents_reparse,
     "Parse a complete document again; what can be found of it now stays until the new version is whole."},
    {"POST",   "/v1/reparse",          "all limit", 0, NULL, NULL, reparse_all,
     "Parse again up to limit of the caller's documents that a fallback parsed; all=1, for operators: of all users."},
    {"GET",    "/v1/jobs",             "state limit after", 0, NULL, NULL, jobs_list,
     "The caller's jobs, newest first; state=NAME picks one state."},
    {"GET",    "/v1/jobs/{id}",        "", 0, NULL, NULL, jobs_get,
     "One job with the events it went through."},
    {"POST",   "/v1/jobs/{id}/retry",  "", 0, NULL, NULL, jobs_retry,
     "Start a failed or cancelled job again."},
    {"POST",   "/v1/jobs/{id}/cancel", "", 0, NULL, NULL, jobs_cancel,
     "Cancel a job that has not ended."},
    {"GET",    "/v1/events",           "after before limit all follow", 0, NULL, NULL, events_list,
     "What happened to the caller's documents, newest first, or on from after=ID; all=1, for operators: to everybody's."},
    {"GET",    "/v1/search",           "q limit collection", 0, NULL, NULL, search_get,
     "The passages nearest to the text q, in one collection."},
    {"POST",   "/v1/webhooks/llamaparse/{token}", "", ROUTE_OPEN, webhook_begin, webhook_data, webhook_end,
     "For LlamaParse: something happened to a document that was given to it."},
    {"GET",    "/v1/cost",             "from to by all limit", 0, NULL, NULL, cost_get,
     "What outside services cost from one UTC day to another, by=day, user, document or provider; all=1, for operators: of all users."},
    {"GET",    "/v1/spaces",           "", 0, NULL, NULL, spaces_get,
     "For operators: the collections' embedding spaces, and how far a new one is filled."},
    {"POST",   "/v1/spaces/retry",     "collection", 0, NULL, NULL, spaces_retry,
     "For operators: try the documents again that could not be embedded for a collection's space."},
    {"POST",   "/v1/spaces/flip",      "collection", 0, NULL, NULL, spaces_flip,
     "For operators: let a collection change to its new space without the documents that could not be embedded."},
    {"GET",    "/v1/pauses",           "", 0, NULL, NULL, pauses_get,
     "For operators: what is paused, since when and by whom."},
    {"POST",   "/v1/pause",            "what", 0, NULL, NULL, pauses_pause,
     "For operators: claim no more work of a stage, of a lane, or none at all, on every node."},
    {"POST",   "/v1/resume",           "what", 0, NULL, NULL, pauses_resume,
     "For operators: end a pause; what=all ends every one."},
    {"GET",    "/v1/audit",            "within_ms limit", 0, NULL, NULL, audit_get,
     "For operators: who told the daemon to do what, newest first; within_ms: only of the last so many milliseconds."},
    {"GET",    "/v1/stats",            "", 0, NULL, NULL, stats_get,
     "Counts of the caller's documents by status."},
    {"GET",    "/v1",                  "", 0, NULL, NULL, routes_get,
     "This list."},
    {"GET",    "/livez",               "", ROUTE_OPEN, NULL, NULL, livez_get,
     "200 while the process runs."},
    {"GET",    "/readyz",              "", ROUTE_OPEN, NULL, NULL, readyz_get,
     "200 while database, blob store and pools can serve, else 503 with the reasons."},
    {"GET",    "/metrics",             "", ROUTE_OPEN, NULL, NULL, metrics_get,
     "For operators: counters and states of this node, as Prometheus text or OpenMetrics; see metrics.token and metrics.allow."},
};
/* clang-format on */

#define N_ROUTES ((int)(sizeof routes / sizeof routes[0]))

const struct route *route_table(int *n)
{
    *n = N_ROUTES;
    return routes;
}

/* Whether path fits the pattern; *segment and *len are what stands at {id} or {token}. */
static bool path_fits(const char *pattern, const char *path, const char **segment, size_t *len)
{
    while (*pattern != '\0') {
        if (*pattern == '{') {
            *segment = path;
            *len = strcspn(path, "/");
            if (*len == 0)
                return false;
            path += *len;
            pattern += strcspn(pattern, "}") + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

const char *route_shown(const char *path)
{
    for (int i = 0; i < N_ROUTES; i++) {
        const char *mark = strstr(routes[i].path, "{token}");
        if (mark != NULL && strncmp(path, routes[i].path, (size_t)(mark - routes[i].path)) == 0)
            return routes[i].path;
    }
    return path;
}

static bool method_fits(const char *have, const char *want)
{
    return strcmp(have, want) == 0 || (strcmp(have, "GET") == 0 && strcmp(want, "HEAD") == 0);
}

static int parse_id(const char *id, size_t len, struct uuid *out, struct error *e)
{
    char text[UUID_TEXT_LEN + 1] = "";

    if (len == UUID_TEXT_LEN)
        memcpy(text, id, len);
    if (uuid_parse(text, out) != 0) {
        reason_error(e, REASON_bad_request, EINVAL, "The id is not a UUID.");
        error_hint(e, "Ids are as the upload answered them: 36 characters, hex digits and hyphens.");
        return -EINVAL;
    }
    return 0;
}

static int take_segment(const struct route *r, const char *text, size_t len, struct uuid *id,
                        char token[REQUEST_TOKEN_MAX + 1], struct error *e)
{
    if (strstr(r->path, "{id}") != NULL)
        return parse_id(text, len, id, e);
    if (text != NULL && len <= REQUEST_TOKEN_MAX)
        snprintf(token, REQUEST_TOKEN_MAX + 1, "%.*s", (int)len, text);
    return 0;
}

int route_find(const char *method, const char *path, const struct route **out, struct uuid *id,
               char token[REQUEST_TOKEN_MAX + 1], char allow[64], struct error *e)
{
    bool known = false;

    allow[0] = token[0] = '\0';
    for (int i = 0; i < N_ROUTES; i++) {
        const char *text = NULL;
        size_t len = 0;

        if (!path_fits(routes[i].path, path, &text, &len))
            continue;
        if (method_fits(routes[i].method, method)) {
            *out = &routes[i];
            return take_segment(&routes[i], text, len, id, token, e);
        }
        snprintf(allow + strlen(allow), 64 - strlen(allow), "%s%s", known ? ", " : "", routes[i].method);
        known = true;
    }
    if (known) {
        reason_error(e, REASON_method_not_allowed, EPERM, "This path does not answer %.15s.", method);
        error_hint(e, "It answers %s.", allow);
        return -EPERM;
    }
    reason_error(e, REASON_not_found, ENOENT, "There is no such path.");
    error_hint(e, "GET /v1 lists the paths.");
    return -ENOENT;
}
