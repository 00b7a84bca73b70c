/*
 * do_jobs.c - docmillctl jobs, job, retry, cancel: the caller's jobs
 *
 * Depends on base, core.
 */
#include "core/reason.h"
#include "core/state.h"
#include "ctl/lists.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

static void add_row(struct table *t, const json_t *j)
{
    char age[24];

    ctl_age(ctl_string(j, "created_at"), age);
    table_cell(t, ctl_string(j, "job_id"));
    table_cell(t, ctl_string(j, "status"));
    table_cell(t, ctl_string(j, "state"));
    table_cell_number(t, ctl_int(j, "attempt"));
    table_cell(t, age);
    table_cell(t, ctl_string(j, "filename"));
    table_cell(t, ctl_string(j, "error_reason"));
}

int do_jobs(struct ctl *c)
{
    static const struct table_column columns[] = {
        {"JOB", TABLE_LEFT, false},  {"STATUS", TABLE_LEFT, false}, {"STATE", TABLE_LEFT, false},
        {"TRY", TABLE_RIGHT, false}, {"AGE", TABLE_RIGHT, false},   {"FILE", TABLE_LEFT, true},
        {"ERROR", TABLE_LEFT, true},
    };
    const char *state = args_option(&c->args, "state");
    const char *path = "/v1/jobs?";
    struct error e = {0};

    if (state != NULL && state_parse(state) < 0) {
        reason_error(&e, REASON_bad_request, EINVAL, "there is no state \"%.40s\"", state);
        return ctl_usage(c, &e);
    }
    if (state != NULL)
        path = talloc_asprintf(c->mem, "/v1/jobs?state=%s&", state);
    return list_show(c, path, "jobs", columns, (int)(sizeof columns / sizeof columns[0]), add_row);
}

/* "parsed 4 ms, chunking 1 ms": the stages that one transaction passed; those that took no time are left out. */
static char *hops_text(struct ctl *c, const json_t *hops)
{
    char *text = talloc_strdup(c->mem, "");
    json_t *hop;
    size_t i;

    json_array_foreach(hops, i, hop)
    {
        if (ctl_int(hop, "ms") > 0)
            text = talloc_asprintf_append(text, "%s%s %" PRId64 " ms", text[0] != '\0' ? ", " : "",
                                          ctl_string(hop, "status"), (int64_t)ctl_int(hop, "ms"));
    }
    return text;
}

/* "uploaded > parse_queued", or the state if only that changed. */
static void add_event(struct ctl *c, struct table *t, const json_t *v)
{
    const char *from = ctl_string(v, "from_status");
    const char *to = ctl_string(v, "to_status");
    bool moved = strcmp(from, to) != 0;
    const char *at = ctl_string(v, "at");

    table_cell(t, strlen(at) > 11 ? talloc_strndup(c->mem, at + 11, 12) : at);
    table_cell(t, ctl_string(v, "actor"));
    table_cell(t, moved && from[0] != '\0' ? talloc_asprintf(c->mem, "%s > %s", from, to) : to);
    table_cell(t, ctl_string(v, "to_state"));
    table_cell_number(t, ctl_int(v, "attempt"));
    table_cell(t,
               ctl_string(v, "reason")[0] != '\0' ? ctl_string(v, "reason") : hops_text(c, json_object_get(v, "hops")));
}

static void show_events(struct ctl *c, const json_t *events)
{
    static const struct table_column columns[] = {
        {"TIME (UTC)", TABLE_LEFT, false}, {"BY", TABLE_LEFT, false},   {"STATUS", TABLE_LEFT, true},
        {"STATE", TABLE_LEFT, false},      {"TRY", TABLE_RIGHT, false}, {"HOW", TABLE_LEFT, true},
    };
    struct table *t = table_new(c->mem, columns, (int)(sizeof columns / sizeof columns[0]));
    json_t *v;
    size_t i;

    json_array_foreach(events, i, v)
    {
        add_event(c, t, v);
    }
    if (table_rows(t) > 0) {
        putchar('\n');
        table_print(t, stdout, c->width);
    }
}

int do_job(struct ctl *c)
{
    static const struct show_field fields[] = {
        {"filename", "file"},
        {"job_id", "job"},
        {"document_id", "document"},
        {"status", "status"},
        {"state", "state"},
        {"progress", "progress %"},
        {"attempt", "attempt"},
        {"crashes", "crashes"},
        {"lane", "lane"},
        {"run_at", "not before"},
        {"deadline", "deadline"},
        {"error_reason", "error"},
        {"error_message", ""},
        {"error_hint", "hint"},
        {"correlation_id", "correlation"},
        {"parsed_by", "parsed by"},
        {"parsed_instead_of", "instead of"},
        {"evidence", "evidence"},
        {"created_at", "made"},
        {"updated_at", "changed"},
    };
    const char *id = NULL;
    json_t *j = NULL;
    int rc = job_id_of(c, c->args.words[0], &id);

    if (rc == CTL_OK)
        rc = client_call(c, "GET", talloc_asprintf(c->mem, "/v1/jobs/%s", client_escape(c, id)), &j);
    if (rc != CTL_OK)
        return rc;
    if (c->json) {
        ctl_print_json(c, j);
    } else {
        show_fields(j, fields, (int)(sizeof fields / sizeof fields[0]));
        show_events(c, json_object_get(j, "events"));
    }
    json_decref(j);
    return rc;
}

static int move_job(struct ctl *c, const char *verb, const char *past)
{
    const char *id = NULL;
    json_t *j = NULL;
    int rc = job_id_of(c, c->args.words[0], &id);

    if (rc == CTL_OK)
        rc = client_call(c, "POST", talloc_asprintf(c->mem, "/v1/jobs/%s/%s", client_escape(c, id), verb), &j);
    if (rc != CTL_OK)
        return rc;
    if (c->json)
        ctl_print_json(c, j);
    else
        printf("%s job %s: %s, %s\n", past, ctl_string(j, "job_id"), ctl_string(j, "status"), ctl_string(j, "state"));
    json_decref(j);
    return rc;
}

int do_retry(struct ctl *c)
{
    return move_job(c, "retry", "restarted");
}

int do_cancel(struct ctl *c)
{
    return move_job(c, "cancel", "cancelled");
}
