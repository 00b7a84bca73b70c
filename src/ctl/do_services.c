/*
 * do_services.c - docmillctl breakers, errors: the outside services and what went wrong, over control.sock
 *
 * Depends on base, core, proc/control.
 */
#include "core/reason.h"
#include "ctl/lists.h"
#include "proc/breaker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- breakers ---- */

static void rate_cell(struct table *t, const json_t *service, const char *key)
{
    const json_t *v = json_object_get(service, key);
    char text[32];

    snprintf(text, sizeof text, json_number_value(v) < 10 ? "%.2f" : "%.0f", json_number_value(v));
    table_cell(t, json_is_number(v) ? text : "-");
}

/* Why it is not as it should be, in words; "" if nothing is to be said. */
static void describe(const json_t *s, char *out, size_t size)
{
    const json_t *probe = json_object_get(s, "probe_in_ms");
    char until[24];

    out[0] = '\0';
    if (ctl_string(s, "why")[0] != '\0') {
        snprintf(out, size, "%s", ctl_string(s, "why"));
        if (json_is_integer(probe)) {
            size_t n = strlen(out);
            ctl_span((json_integer_value(probe) + 999) / 1000 * 1000, until);
            snprintf(out + n, size - n, "; tried again in %s", until);
        }
    } else if (ctl_int(s, "pause_ms") > 0) {
        ctl_span((ctl_int(s, "pause_ms") + 999) / 1000 * 1000, until);
        snprintf(out, size, "pauses for %s, as the service asked", until);
    }
}

static void show_services(struct ctl *c, const json_t *services)
{
    static const struct table_column columns[] = {
        {"SERVICE", TABLE_LEFT, false},  {"BREAKER", TABLE_LEFT, false},  {"FOR", TABLE_RIGHT, false},
        {"REQ/MIN", TABLE_RIGHT, false}, {"TOK/MIN", TABLE_RIGHT, false}, {"LAST MIN", TABLE_RIGHT, false},
        {"SENT", TABLE_RIGHT, false},    {"FAILED", TABLE_RIGHT, false},  {"REFUSED", TABLE_RIGHT, false},
        {"WHY", TABLE_LEFT, true},
    };
    struct table *t = table_new(c->mem, columns, (int)(sizeof columns / sizeof columns[0]));
    json_t *s;
    size_t i;

    json_array_foreach(services, i, s)
    {
        char down[24], why[160];

        ctl_span(ctl_int(s, "down_ms"), down);
        describe(s, why, sizeof why);
        table_cell(t, ctl_string(s, "service"));
        table_cell(t, ctl_string(s, "state"));
        table_cell(t, ctl_int(s, "down_ms") > 0 ? down : "");
        rate_cell(t, s, "requests_per_minute");
        rate_cell(t, s, "tokens_per_minute");
        table_cell_number(t, ctl_int(s, "accepted_last_minute"));
        table_cell_number(t, ctl_int(s, "requests"));
        table_cell_number(t, ctl_int(s, "failures"));
        table_cell_number(t, ctl_int(s, "refused"));
        table_cell(t, why);
    }
    table_print(t, stdout, c->width);
}

static int change(struct ctl *c, const char *order, const char *service)
{
    struct error e = {0};
    json_t *body = NULL, *args;
    int rc;

    if (breaker_order_parse(order) < 0) {
        (void)reason_error(&e, REASON_bad_request, EINVAL, "\"%.40s\" is no order; it may be open, close or probe",
                           order);
        return ctl_usage(c, &e);
    }
    args = json_pack("{s:s, s:s}", "service", service, "order", order);
    rc = ctl_control(c, "breaker", args, &body, &e);
    json_decref(args);
    if (rc != CTL_OK)
        return ctl_fail(c, rc, &e);
    if (c->json)
        ctl_print_json(c, body);
    else
        printf("%s: %s%s\n", service, ctl_string(body, "state"),
               json_is_true(json_object_get(body, "held")) ? ", until you say otherwise" : "");
    json_decref(body);
    return rc;
}

int do_breakers(struct ctl *c)
{
    struct error e = {0};
    json_t *body = NULL;
    int rc;

    if (c->args.n_words == 1 && breaker_order_parse(c->args.words[0]) >= 0) {
        (void)reason_error(&e, REASON_bad_request, EINVAL, "SERVICE is missing");
        return ctl_usage(c, &e);
    }
    if (c->args.n_words == 1) {
        (void)reason_error(&e, REASON_bad_request, EINVAL,
                           "\"%.40s\" is no order; it may be open, close or probe, with the service behind it",
                           c->args.words[0]);
        return ctl_usage(c, &e);
    }
    if (c->args.n_words == 2)
        return change(c, c->args.words[0], c->args.words[1]);
    rc = ctl_control(c, "breakers", NULL, &body, &e);
    if (rc != CTL_OK)
        return ctl_fail(c, rc, &e);
    if (c->json)
        ctl_print_json(c, body);
    else
        show_services(c, json_object_get(body, "services"));
    json_decref(body);
    return rc;
}

/* ---- errors ---- */

static void show_errors(struct ctl *c, const json_t *errors, int64_t limit)
{
    static const struct table_column columns[] = {
        {"AGO", TABLE_RIGHT, false},   {"TIMES", TABLE_RIGHT, false}, {"WHERE", TABLE_LEFT, false},
        {"REASON", TABLE_LEFT, false}, {"MESSAGE", TABLE_LEFT, true},
    };
    struct table *t = table_new(c->mem, columns, (int)(sizeof columns / sizeof columns[0]));
    json_t *v;
    size_t i;

    if (json_array_size(errors) == 0) {
        puts("no errors");
        return;
    }
    json_array_foreach(errors, i, v)
    {
        char ago[24];

        if ((int64_t)i == limit)
            break;
        ctl_span(ctl_int(v, "ago_ms"), ago);
        table_cell(t, ago);
        table_cell_number(t, ctl_int(v, "times"));
        table_cell(t, ctl_string(v, "module"));
        table_cell(t, ctl_string(v, "reason"));
        table_cell(t, ctl_string(v, "message"));
    }
    table_print(t, stdout, c->width);
}

int do_errors(struct ctl *c)
{
    struct error e = {0};
    json_t *body = NULL, *errors;
    int64_t limit = 0;
    int rc;

    if (args_number(&c->args, "limit", LIST_DEFAULT, 1, LIST_MAX, &limit, &e) != 0)
        return ctl_usage(c, &e);
    rc = ctl_control(c, "errors", NULL, &body, &e);
    if (rc != CTL_OK)
        return ctl_fail(c, rc, &e);
    errors = json_object_get(body, "errors");
    if (c->json) {
        while ((int64_t)json_array_size(errors) > limit)
            json_array_remove(errors, json_array_size(errors) - 1);
        ctl_print_json(c, errors);
    } else {
        show_errors(c, errors, limit);
    }
    json_decref(body);
    return rc;
}
