/* problem.c - see problem.h */
#include "api/problem.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define RETRY_SOON_S  2  /* a short overload, a database that comes back */
#define RETRY_LATER_S 10 /* something must finish or be freed first */

static int retry_after(enum reason r, int status)
{
    if (status == 429 || status == 507)
        return RETRY_LATER_S;
    if (status == 503)
        return r == REASON_not_ready ? RETRY_LATER_S : RETRY_SOON_S;
    return 0;
}

struct problem problem_of(const struct error *e)
{
    enum reason r = reason_parse(e->reason);

    if (r == REASON_NONE || reason_http(r) == 0)
        r = REASON_internal;
    return (struct problem){.reason = r, .status = reason_http(r), .retry_after_s = retry_after(r, reason_http(r))};
}

/* What services behind us say may name hosts, paths and roles: that is for the operator. */
static bool for_the_operator(enum reason r)
{
    const char *name = reason_name(r);

    return reason_class(r) == ERR_INTERNAL || strncmp(name, "db_", 3) == 0 || strncmp(name, "blob_", 5) == 0 ||
           strncmp(name, "http_", 5) == 0 || (strncmp(name, "provider_", 9) == 0 && r != REASON_provider_away);
}

json_t *problem_json(const struct error *e, const char *correlation)
{
    struct problem p = problem_of(e);
    const char *name = reason_name(p.reason);
    const char *detail = for_the_operator(p.reason) ? reason_sentence(p.reason) : e->message;
    char type[80];
    json_t *j = json_object();

    snprintf(type, sizeof type, "urn:docmill:%s", name);
    json_object_set_new(j, "type", json_string(type));
    json_object_set_new(j, "title", json_string(reason_sentence(p.reason)));
    json_object_set_new(j, "status", json_integer(p.status));
    if (json_object_set_new(j, "detail", json_string(detail)) != 0) /* cut in the middle of a character */
        json_object_set_new(j, "detail", json_string(reason_sentence(p.reason)));
    if (e->hint[0] != '\0')
        json_object_set_new(j, "hint", json_string(e->hint));
    if (correlation != NULL)
        json_object_set_new(j, "correlation_id", json_string(correlation));
    return j;
}
