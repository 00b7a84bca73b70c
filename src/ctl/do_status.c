/*
 * do_status.c - docmillctl status [--watch]
 *
 * Watched on a terminal, each page is drawn over the former one; the terminal's settings are not touched, so ^C just
 * ends it. Elsewhere pages follow each other, with --json one line each. A daemon that goes away is waited for.
 *
 * Depends on base, core, proc/control.
 */
#include "base/clock.h"
#include "core/reason.h"
#include "ctl/screen.h"
#include "ctl/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define EVERY_MS       1000
#define LEAST_EVERY_MS 100
#define DEATHS_SHOWN   5

/* ---- parts ---- */

void status_show_head(const json_t *s, FILE *out)
{
    char up[24];

    ctl_span(ctl_int(s, "uptime_ms"), up);
    fprintf(out, "docmill %s on %s: %s%s, up %s (pid %" PRId64 ", %s)\n", ctl_string(s, "version"),
            ctl_string(s, "node"), ctl_string(s, "state"),
            json_is_true(json_object_get(s, "ready")) ? "" : ", NOT READY (see docmillctl health)", up,
            ctl_int(s, "pid"), ctl_string(s, "run_dir"));
}

/* What an operator has paused, where it cannot be overlooked. */
void status_show_paused(const json_t *paused, FILE *out)
{
    json_t *v;
    size_t i;

    json_array_foreach(paused, i, v)
    {
        char since[24];
        ctl_span(ctl_int(v, "for_ms"), since);
        fprintf(out, "PAUSED    %s, for %s, on all nodes: docmillctl resume %s\n", ctl_string(v, "rests"), since,
                ctl_string(v, "name"));
    }
}

/* One line of counts that are not zero; `nothing` stands for none, NULL leaves the line out. */
static void show_counts(const char *label, const json_t *counts, const char *nothing, FILE *out)
{
    const char *key;
    json_t *v;
    bool any = false;

    json_object_foreach((json_t *)counts, key, v)
    {
        if (json_integer_value(v) == 0)
            continue;
        if (any)
            fputs(", ", out);
        else
            fprintf(out, "%-10s", label);
        fprintf(out, "%s %" PRId64, key, (int64_t)json_integer_value(v));
        any = true;
    }
    if (any)
        fputc('\n', out);
    else if (nothing != NULL)
        fprintf(out, "%-10s%s\n", label, nothing);
}

void status_show_queue(const json_t *queue, FILE *out)
{
    char age[24];

    if (!json_is_object(queue)) {
        fputs("queue     not counted yet (is the coordinator connected?)\n", out);
        return;
    }
    show_counts("queue", json_object_get(queue, "by_state"), "empty", out);
    show_counts("documents", json_object_get(queue, "by_status"), NULL, out);
    if (ctl_int(queue, "oldest_queued_ms") <= 0)
        return;
    ctl_span(ctl_int(queue, "oldest_queued_ms"), age);
    fprintf(out, "oldest    %s in the queue\n", age);
}

void status_show_services_down(const json_t *down, FILE *out)
{
    json_t *v;
    size_t i;

    json_array_foreach(down, i, v)
    {
        fputs("service   ", out);
        text_print(out, ctl_string(v, "why"), 0);
        fputc('\n', out);
    }
}

/* What runs is not what the file says, or is being changed. */
void status_show_reload(const json_t *status, FILE *out)
{
    const json_t *last = json_object_get(status, "reload");
    const char *pending = ctl_string(status, "restart_pending"), *error = ctl_string(last, "error");

    if (strcmp(ctl_string(last, "outcome"), "running") == 0)
        fprintf(out, "reload    %" PRId64 " runs\n", ctl_int(last, "number"));
    if (error[0] != '\0') {
        fprintf(out, "reload    %" PRId64 " failed: ", ctl_int(last, "number"));
        text_print(out, error, 0);
        fputc('\n', out);
    }
    if (pending[0] != '\0')
        fprintf(out, "restart   is needed for %s\n", pending);
}

void status_job_of(const json_t *child, char out[64])
{
    const json_t *jobs = json_object_get(child, "jobs");
    int64_t n = ctl_int(child, "in_hand");
    const char *first = ctl_string(json_array_get(jobs, 0), "job_id");

    if (n <= 0 || first[0] == '\0')
        out[0] = '\0';
    else if (n == 1)
        snprintf(out, 64, "%.40s", first);
    else
        snprintf(out, 64, "%.40s +%" PRId64, first, n - 1);
}

static void show_children(struct ctl *c, const json_t *children, FILE *out)
{
    static const struct table_column columns[] = {
        {"POOL", TABLE_LEFT, false},    {"SLOT", TABLE_RIGHT, false},   {"PID", TABLE_RIGHT, false},
        {"PHASE", TABLE_LEFT, false},   {"FOR", TABLE_RIGHT, false},    {"STAGE", TABLE_LEFT, false},
        {"HELD", TABLE_RIGHT, false},   {"DONE", TABLE_RIGHT, false},   {"FAILED", TABLE_RIGHT, false},
        {"MEMORY", TABLE_RIGHT, false}, {"STARTS", TABLE_RIGHT, false}, {"NOTE", TABLE_LEFT, true},
    };
    struct table *t = table_new(c->mem, columns, (int)(sizeof columns / sizeof columns[0]));
    json_t *v;
    size_t i;

    json_array_foreach(children, i, v)
    {
        bool api = strcmp(ctl_string(v, "role"), "api") == 0;
        char since[24];
        char memory[24];
        ctl_span(ctl_int(v, "since_ms"), since);
        ctl_bytes(ctl_int(v, "private_bytes"), memory);
        table_cell(t, ctl_string(v, "pool"));
        table_cell_number(t, ctl_int(v, "slot"));
        table_cell_number(t, ctl_int(v, "pid"));
        table_cell(t, ctl_string(v, "phase"));
        table_cell(t, since);
        table_cell(t, ctl_string(v, "stage"));
        table_cell_number(t, ctl_int(v, "in_hand"));
        table_cell_number(t, ctl_int(v, api ? "requests" : "jobs_done"));
        table_cell_number(t, ctl_int(v, "jobs_failed"));
        table_cell(t, ctl_int(v, "private_bytes") > 0 ? memory : "-");
        table_cell_number(t, ctl_int(v, "starts"));
        table_cell(t, ctl_string(v, "note"));
    }
    table_print(t, out, c->width);
}

void status_show_deaths(const json_t *deaths, FILE *out)
{
    size_t n = json_array_size(deaths); /* of which the last one is the newest */

    if (n > 0)
        fputs("\nlast deaths\n", out);
    for (size_t i = 0; i < n && i < DEATHS_SHOWN; i++) {
        const json_t *v = json_array_get(deaths, n - 1 - i);
        char ago[24];
        ctl_span(ctl_int(v, "ago_ms"), ago);
        fprintf(out, "  %s ago  %s/%" PRId64 "  pid %" PRId64 "  ", ago, ctl_string(v, "pool"), ctl_int(v, "slot"),
                ctl_int(v, "pid"));
        text_print(out, ctl_string(v, "cause"), 0);
        fputc('\n', out);
    }
}

static void show(struct ctl *c, const json_t *s, FILE *out)
{
    status_show_head(s, out);
    status_show_paused(json_object_get(s, "paused"), out);
    status_show_queue(json_object_get(s, "queue"), out);
    status_show_services_down(json_object_get(s, "services_down"), out);
    status_show_reload(s, out);
    fputc('\n', out);
    show_children(c, json_object_get(s, "children"), out);
    status_show_deaths(json_object_get(s, "deaths"), out);
}

/* ---- again and again ---- */

int watch_begin(struct ctl *c, struct watch *w)
{
    const char *text = args_option(&c->args, "interval");
    struct error e = {0};

    *w = (struct watch){.every_ms = EVERY_MS, .screen = !c->json && screen_possible()};
    if (text == NULL || (ctl_parse_duration(text, &w->every_ms) == 0 && w->every_ms >= LEAST_EVERY_MS))
        return CTL_OK;
    reason_error(&e, REASON_bad_request, EINVAL,
                 "--interval must be a time of at least %dms, such as 500ms or 2s, not \"%.40s\"", LEAST_EVERY_MS,
                 text);
    return ctl_usage(c, &e);
}

json_t *watch_ask(struct ctl *c, struct watch *w, int *rc, struct error *e)
{
    json_t *s = NULL;

    *rc = ctl_control(c, "status", NULL, &s, e);
    if (*rc == CTL_OK) {
        w->lost_ms = 0;
        return s;
    }
    if (*rc == CTL_REFUSED) /* waiting changes nothing */
        return NULL;
    *rc = CTL_OK;
    if (w->lost_ms == 0)
        w->lost_ms = clock_ms();
    return NULL;
}

void watch_show_lost(const struct watch *w, const struct error *e, FILE *out)
{
    char span[24];

    ctl_span(clock_ms() - w->lost_ms, span);
    fprintf(out, "no answer for %s: ", span);
    text_print(out, e->message, 0);
    fputc('\n', out);
}

/* The page, as text of the caller's. */
static char *page_of(struct ctl *c, const struct watch *w, const json_t *s, const struct error *e)
{
    char *page = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&page, &size);

    if (out == NULL)
        return NULL;
    if (s == NULL) {
        if (w->screen)
            fputc(SCREEN_REVERSE, out);
        watch_show_lost(w, e, out);
    } else {
        show(c, s, out);
    }
    fclose(out);
    return page;
}

static void watch_print(struct ctl *c, const struct watch *w, const json_t *s, const struct error *e)
{
    char *page;

    if (c->json) {
        if (s != NULL)
            ctl_put_json(stdout, s, JSON_COMPACT);
        else
            watch_show_lost(w, e, stderr);
        if (s != NULL)
            fputc('\n', stdout);
    } else if ((page = page_of(c, w, s, e)) != NULL) {
        if (w->screen)
            screen_draw(page, 1);
        else
            fprintf(stdout, "%s\n", page);
        free(page);
    }
    fflush(stdout);
}

static int watch(struct ctl *c)
{
    void *whole = c->mem;
    struct watch w;
    bool first = true;
    int rc = watch_begin(c, &w);

    if (rc == CTL_OK && w.screen)
        fputs("\033[2J", stdout);
    fflush(stdout);
    for (; rc == CTL_OK && !ferror(stdout); first = false) {
        int64_t next_ms = clock_ms() + w.every_ms;
        struct error e = {0};
        json_t *s;
        c->mem = talloc_new(whole);
        if (w.screen)
            screen_size(&(int){0}, &c->width);
        s = watch_ask(c, &w, &rc, &e);
        if (s == NULL && (first || rc != CTL_OK)) /* who mistyped a directory is told at once */
            rc = ctl_fail(c, rc != CTL_OK ? rc : CTL_UNREACHABLE, &e);
        else
            watch_print(c, &w, s, &e);
        json_decref(s);
        talloc_free(c->mem);
        if (rc == CTL_OK && next_ms > clock_ms() && !ctl_rest(next_ms - clock_ms()))
            rc = CTL_FAILED;
    }
    c->mem = whole;
    return rc;
}

int do_status(struct ctl *c)
{
    struct error e = {0};
    json_t *s = NULL;
    int rc;

    if (args_option(&c->args, "watch") != NULL)
        return watch(c);
    rc = ctl_control(c, "status", NULL, &s, &e);
    if (rc != CTL_OK)
        return ctl_fail(c, rc, &e);
    if (c->json)
        ctl_print_json(c, s);
    else
        show(c, s, stdout);
    json_decref(s);
    return rc;
}
