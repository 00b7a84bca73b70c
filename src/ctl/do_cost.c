/*
 * do_cost.c - docmillctl cost: what outside services cost
 *
 * Amounts are decimals as the daemon says them; nothing is computed here.
 *
 * Depends on base.
 */
#include "core/reason.h"
#include "ctl/lists.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX     5000

#define SUM_COLUMNS                                                                                                    \
    {"TOKENS", TABLE_RIGHT, false}, {"PAGES", TABLE_RIGHT, false}, {"REQUESTS", TABLE_RIGHT, false},                   \
    {                                                                                                                  \
        "USD", TABLE_RIGHT, false                                                                                      \
    }

/* What a grouping shows: the columns and the members of a row that fill the first of them. */
static const struct grouping {
    const char *name;
    int n_keys;
    const char *keys[2];
    struct table_column columns[6];
} groupings[] = {
    {"day", 1, {"day"}, {{"DAY (UTC)", TABLE_LEFT, false}, SUM_COLUMNS}},
    {"user", 1, {"user_id"}, {{"USER", TABLE_LEFT, false}, SUM_COLUMNS}},
    {"document",
     2,
     {"document_id", "filename"},
     {{"DOCUMENT", TABLE_LEFT, false}, {"FILE", TABLE_LEFT, true}, SUM_COLUMNS}},
    {"provider", 2, {"provider", "model"}, {{"PROVIDER", TABLE_LEFT, false}, {"MODEL", TABLE_LEFT, true}, SUM_COLUMNS}},
};

static const struct grouping *grouping_of(const struct ctl *c)
{
    const char *by = args_option(&c->args, "by");

    for (size_t i = 0; i < sizeof groupings / sizeof groupings[0]; i++)
        if (strcmp(by != NULL ? by : "day", groupings[i].name) == 0)
            return &groupings[i];
    return NULL;
}

static void add_row(struct table *t, const struct grouping *g, const json_t *row)
{
    for (int i = 0; i < g->n_keys; i++)
        table_cell(t, ctl_string(row, g->keys[i]));
    table_cell(t, ctl_string(row, "tokens"));
    table_cell(t, ctl_string(row, "pages"));
    table_cell(t, ctl_string(row, "requests"));
    table_cell(t, ctl_string(row, "cost_usd"));
}

static void show(struct ctl *c, const struct grouping *g, const json_t *body)
{
    struct table *t = table_new(c->mem, g->columns, g->n_keys + 4);
    int64_t unknown = 0;
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(body, "rows"), i, row)
    {
        add_row(t, g, row);
        unknown += ctl_int(row, "unknown");
    }
    if (table_rows(t) > 0) {
        table_print(t, stdout, c->width);
        putchar('\n');
    }
    printf("%s USD from %s to %s (UTC)%s\n", ctl_string(body, "total_usd"), ctl_string(body, "from"),
           ctl_string(body, "to"), json_is_true(json_object_get(body, "all")) ? ", all users" : "");
    if (unknown > 0)
        fprintf(stderr, "%" PRId64 " requests may have cost something that nobody knows: their workers died\n",
                unknown);
    if (json_is_true(json_object_get(body, "more")))
        fputs("(there are more lines; -n N shows them)\n", stderr);
}

static char *target_of(struct ctl *c, const struct grouping *g, int64_t limit)
{
    char *target = talloc_asprintf(c->mem, "/v1/cost?by=%s&limit=%" PRId64, g->name, limit);
    static const char *const days[] = {"from", "to"};

    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++)
        if (args_option(&c->args, days[i]) != NULL)
            target =
                talloc_asprintf_append(target, "&%s=%s", days[i], client_escape(c, args_option(&c->args, days[i])));
    if (args_option(&c->args, "all") != NULL)
        target = talloc_strdup_append(target, "&all=1");
    return target;
}

int do_cost(struct ctl *c)
{
    const struct grouping *g = grouping_of(c);
    struct error e = {0};
    json_t *body = NULL;
    int64_t limit = 0;
    int rc;

    if (g == NULL)
        reason_error(&e, REASON_bad_request, EINVAL, "--by is day, user, document or provider");
    if (g == NULL || args_number(&c->args, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX, &limit, &e) != 0)
        return ctl_usage(c, &e);
    rc = client_call(c, "GET", target_of(c, g, limit), &body);
    if (rc != CTL_OK)
        return rc;
    if (c->json)
        ctl_print_json(c, body);
    else
        show(c, g, body);
    json_decref(body);
    return rc;
}
