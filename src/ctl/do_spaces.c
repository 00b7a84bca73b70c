/*
 * do_spaces.c - docmillctl spaces: embedding spaces, and what an operator decides about them
 *
 * Depends on base, core.
 */
#include "core/reason.h"
#include "ctl/lists.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

static const struct table_column columns[] = {
    {"COLLECTION", TABLE_LEFT, false}, {"SPACE", TABLE_RIGHT, false}, {"MODEL", TABLE_LEFT, true},
    {"DIM", TABLE_RIGHT, false},       {"STATE", TABLE_LEFT, false},  {"DOCUMENTS", TABLE_RIGHT, false},
    {"FAILED", TABLE_RIGHT, false},
};

static void add_number(struct ctl *c, struct table *t, const json_t *row, const char *key)
{
    table_cell(t, talloc_asprintf(c->mem, "%" PRId64, ctl_int(row, key)));
}

static void add_row(struct ctl *c, struct table *t, const json_t *row)
{
    table_cell(t, ctl_string(row, "collection"));
    add_number(c, t, row, "space");
    table_cell(t, ctl_string(row, "model"));
    add_number(c, t, row, "dimension");
    table_cell(t, ctl_string(row, "state"));
    if (strcmp(ctl_string(row, "state"), "retired") == 0)
        table_cell(t, "-");
    else
        table_cell(t, talloc_asprintf(c->mem, "%" PRId64 " of %" PRId64, ctl_int(row, "documents_in"),
                                      ctl_int(row, "documents")));
    add_number(c, t, row, "failed");
}

/* What wants a decision. */
static void tell_failed(const json_t *row)
{
    const char *name = ctl_string(row, "collection");
    bool building = strcmp(ctl_string(row, "state"), "building") == 0;

    if (ctl_int(row, "failed") == 0)
        return;
    printf("\n%s: %" PRId64 " documents could not be embedded for space %" PRId64 " (%s); %s.\n", name,
           ctl_int(row, "failed"), ctl_int(row, "space"), ctl_string(row, "failed_reason"),
           building ? "it is not searched before that is decided" : "searches do not find them");
    printf("  docmillctl spaces retry --collection %s\n", name);
    if (building)
        printf("  docmillctl spaces flip --without-failed --collection %s\n", name);
}

static int show(struct ctl *c)
{
    json_t *body = NULL, *list;
    const json_t *row;
    struct table *t;
    size_t i;
    int rc = client_call(c, "GET", "/v1/spaces", &body);

    if (rc != CTL_OK)
        return rc;
    list = json_object_get(body, "spaces");
    if (c->json) {
        ctl_print_json(c, list);
    } else {
        t = table_new(c->mem, columns, sizeof columns / sizeof columns[0]);
        json_array_foreach(list, i, row)
        {
            add_row(c, t, row);
        }
        table_print(t, stdout, c->width);
        json_array_foreach(list, i, row)
        {
            tell_failed(row);
        }
    }
    json_decref(body);
    return rc;
}

static int decide(struct ctl *c, const char *order, const char *member, const char *words)
{
    const char *name = args_option(&c->args, "collection");
    json_t *body = NULL;
    char *target = talloc_asprintf(c->mem, "/v1/spaces/%s?collection=%s", order,
                                   client_escape(c, name != NULL ? name : "default"));
    int rc = client_call(c, "POST", target, &body);

    if (rc != CTL_OK)
        return rc;
    if (c->json)
        ctl_print_json(c, body);
    else
        printf("%s: %" PRId64 " documents %s\n", ctl_string(body, "collection"), ctl_int(body, member), words);
    json_decref(body);
    return rc;
}

int do_spaces(struct ctl *c)
{
    const char *order = c->args.n_words > 0 ? c->args.words[0] : "";
    bool without = args_option(&c->args, "without-failed") != NULL;
    struct error e;

    if (order[0] == '\0' && !without)
        return show(c);
    if (strcmp(order, "retry") == 0 && !without)
        return decide(c, order, "tried_again", "are tried again");
    if (strcmp(order, "flip") == 0 && without)
        return decide(c, order, "left_out", "are left out; it changes over as soon as the others are done");
    if (strcmp(order, "flip") == 0)
        reason_error(&e, REASON_bad_request, EINVAL,
                     "flip needs --without-failed: with all documents a space is changed by itself");
    else
        reason_error(&e, REASON_bad_request, EINVAL, "the orders are retry, and flip with --without-failed");
    return ctl_usage(c, &e);
}
