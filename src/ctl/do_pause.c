/*
 * do_pause.c - docmillctl pause, resume: a stage, a lane or all work rests, on every node
 *
 * Depends on base, core.
 */
#include "core/pause.h"
#include "core/reason.h"
#include "ctl/lists.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

static int list(struct ctl *c)
{
    static const struct table_column columns[] = {{"PAUSED", TABLE_LEFT, false},
                                                  {"WHAT RESTS", TABLE_LEFT, true},
                                                  {"FOR", TABLE_RIGHT, false},
                                                  {"BY UID", TABLE_RIGHT, false}};
    json_t *body = NULL;
    const json_t *rows, *v;
    size_t i;
    int rc = client_call(c, "GET", "/v1/pauses", &body);

    if (rc != CTL_OK)
        return rc;
    rows = json_object_get(body, "paused");
    if (c->json) {
        ctl_print_json(c, rows);
    } else if (json_array_size(rows) == 0) {
        puts("nothing is paused");
    } else {
        struct table *t = table_new(c->mem, columns, sizeof columns / sizeof columns[0]);
        json_array_foreach(rows, i, v)
        {
            int p = pause_parse(ctl_string(v, "name"));
            char age[24];
            ctl_age(ctl_string(v, "since"), age);
            table_cell(t, ctl_string(v, "name"));
            table_cell(t, p < 0 ? "?" : pause_title((enum pause)p));
            table_cell(t, age);
            table_cell_number(t, ctl_int(v, "uid"));
        }
        table_print(t, stdout, c->width);
    }
    json_decref(body);
    return rc;
}

static bool is_paused(const json_t *rows, const char *name)
{
    const json_t *v;
    size_t i;

    json_array_foreach(rows, i, v)
    {
        if (strcmp(ctl_string(v, "name"), name) == 0)
            return true;
    }
    return false;
}

/* Who resumes a part while all rests would wait for nothing to happen. */
static void warn_of_all(struct ctl *c, const char *what)
{
    struct error ignored = {0};
    json_t *body = NULL;

    if (strcmp(what, "all") != 0 && client_try(c, "GET", "/v1/pauses", &body, &ignored) == CTL_OK &&
        is_paused(json_object_get(body, "paused"), "all"))
        fputs("docmillctl: all work is paused besides: docmillctl resume all\n", stderr);
    json_decref(body);
}

static int set(struct ctl *c, const char *verb)
{
    const char *what = c->args.words[0];
    bool pause = strcmp(verb, "pause") == 0;
    int p = pause_parse(what);
    struct error e = {0};
    json_t *body = NULL;
    bool changed;
    int rc;

    if (p < 0) {
        char words[120];
        pause_words(words, sizeof words);
        reason_error(&e, REASON_bad_request, EINVAL, "\"%.40s\" cannot be paused; it may be %s", what, words);
        return ctl_usage(c, &e);
    }
    rc = client_call(c, "POST", talloc_asprintf(c->mem, "/v1/%s?what=%s", verb, what), &body);
    if (rc != CTL_OK)
        return rc;
    changed = json_is_true(json_object_get(body, "changed"));
    if (c->json)
        ctl_print_json(c, body);
    else if (pause)
        printf("%s %s on all nodes; what is in hand finishes its stage\n", pause_title((enum pause)p),
               changed ? "is paused" : "was paused already,");
    else if (p == PAUSE_ALL)
        puts(changed ? "nothing is paused any more" : "nothing was paused");
    else
        printf("%s %s\n", pause_title((enum pause)p), changed ? "goes on" : "was not paused");
    if (!pause)
        warn_of_all(c, what);
    json_decref(body);
    return rc;
}

int do_pause(struct ctl *c)
{
    return c->args.n_words == 0 ? list(c) : set(c, "pause");
}

int do_resume(struct ctl *c)
{
    return set(c, "resume");
}
