/*
 * do_audit.c - docmillctl audit: who told the daemon to do what
 *
 * Depends on base.
 */
#include "core/reason.h"
#include "ctl/lists.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define LIMIT_DEFAULT 50
#define LIMIT_MAX     5000

/* The user's name, if this machine knows it: records of other nodes may mean other people, so the number stands too. */
static const char *user_of(struct ctl *c, const json_t *row)
{
    const json_t *uid = json_object_get(row, "uid");
    const struct passwd *pw;

    if (!json_is_integer(uid))
        return "-";
    pw = getpwuid((uid_t)json_integer_value(uid));
    return pw != NULL ? talloc_asprintf(c->mem, "%" PRId64 " (%s)", (int64_t)json_integer_value(uid), pw->pw_name)
                      : talloc_asprintf(c->mem, "%" PRId64, (int64_t)json_integer_value(uid));
}

static void show(struct ctl *c, const json_t *list)
{
    static const struct table_column columns[] = {
        {"AT", TABLE_LEFT, false},       {"AGO", TABLE_RIGHT, false}, {"NODE", TABLE_LEFT, false},
        {"USER", TABLE_LEFT, false},     {"VERB", TABLE_LEFT, false}, {"RESULT", TABLE_LEFT, false},
        {"ARGUMENTS", TABLE_LEFT, true},
    };
    struct table *t = table_new(c->mem, columns, (int)(sizeof columns / sizeof columns[0]));
    const json_t *row;
    size_t i;

    json_array_foreach(list, i, row)
    {
        char *arguments = json_dumps(json_object_get(row, "arguments"), JSON_ENCODE_ANY | JSON_COMPACT);
        char ago[24];
        ctl_age(ctl_string(row, "at"), ago);
        table_cell(t, ctl_string(row, "at"));
        table_cell(t, ago);
        table_cell(t, ctl_string(row, "node"));
        table_cell(t, user_of(c, row));
        table_cell(t, ctl_string(row, "verb"));
        table_cell(t, ctl_string(row, "result"));
        table_cell(t, arguments != NULL ? arguments : "");
        free(arguments);
    }
    if (table_rows(t) > 0)
        table_print(t, stdout, c->width);
    else
        puts("nothing is recorded");
}

int do_audit(struct ctl *c)
{
    const char *since = args_option(&c->args, "since");
    struct error e = {0};
    json_t *body = NULL;
    int64_t limit = 0, within_ms = 0;
    char *target;
    int rc;

    if (args_number(&c->args, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX, &limit, &e) != 0)
        return ctl_usage(c, &e);
    if (since != NULL && (ctl_parse_duration(since, &within_ms) != 0 || within_ms == 0)) {
        reason_error(&e, REASON_bad_request, EINVAL, "--since takes a time as 90s, 5m, 1h or 7d, not \"%.40s\"", since);
        return ctl_usage(c, &e);
    }
    target = talloc_asprintf(c->mem, "/v1/audit?limit=%" PRId64, limit);
    if (since != NULL)
        target = talloc_asprintf_append(target, "&within_ms=%" PRId64, within_ms);
    rc = client_call(c, "GET", target, &body);
    if (rc != CTL_OK)
        return rc;
    if (c->json)
        ctl_print_json(c, body);
    else
        show(c, json_object_get(body, "audit"));
    json_decref(body);
    return rc;
}
