/*
 * do_workers.c - docmillctl workers, pools: the daemon's processes one by one, and by pool
 *
 * Both are views of the control verb `status`; processor time and memory are asked of the kernel (usage.h).
 *
 * Depends on base, core, proc/control.
 */
#include "core/reason.h"
#include "ctl/status.h"
#include "ctl/usage.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <talloc.h>

static int64_t done_of(const json_t *child)
{
    return ctl_int(child, strcmp(ctl_string(child, "role"), "api") == 0 ? "requests" : "jobs_done");
}

static bool pool_known(const json_t *status, const char *name)
{
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(status, "pools"), i, v)
    {
        if (strcmp(ctl_string(v, "name"), name) == 0)
            return true;
    }
    return false;
}

/* Those of the pools that were named; without names: of those that do documents' work. */
static bool chosen(const struct ctl *c, const json_t *child)
{
    for (int i = 0; i < c->args.n_words; i++)
        if (strcmp(ctl_string(child, "pool"), c->args.words[i]) == 0)
            return true;
    return c->args.n_words == 0 &&
           (args_option(&c->args, "all") != NULL || strcmp(ctl_string(child, "role"), "worker") == 0);
}

/* The child as status tells it, with what the kernel says. */
static json_t *with_usage(const json_t *child)
{
    json_t *j = json_copy((json_t *)child);
    struct usage u;

    usage_of(child, &u);
    json_object_set_new(j, "cpu_ms", u.cpu_ms >= 0 ? json_integer(u.cpu_ms) : json_null());
    json_object_set_new(j, "memory_bytes", u.bytes >= 0 ? json_integer(u.bytes) : json_null());
    return j;
}

static json_t *rows_of(const struct ctl *c, const json_t *status)
{
    json_t *rows = json_array();
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(status, "children"), i, v)
    {
        if (chosen(c, v))
            json_array_append_new(rows, with_usage(v));
    }
    return rows;
}

static const char *cpu_text(struct ctl *c, const json_t *row)
{
    return json_is_integer(json_object_get(row, "cpu_ms"))
               ? talloc_asprintf(c->mem, "%.1fs", (double)ctl_int(row, "cpu_ms") / 1000)
               : "-";
}

static const char *bytes_text(struct ctl *c, const json_t *row)
{
    char text[24];

    ctl_bytes(ctl_int(row, "memory_bytes"), text);
    return json_is_integer(json_object_get(row, "memory_bytes")) ? talloc_strdup(c->mem, text) : "-";
}

static void add_worker(struct ctl *c, struct table *t, const json_t *v)
{
    char since[24], job[64];

    ctl_span(ctl_int(v, "since_ms"), since);
    status_job_of(v, job);
    table_cell(t, ctl_string(v, "pool"));
    table_cell(t, ctl_int(v, "pid") > 0 ? talloc_asprintf(c->mem, "%" PRId64, ctl_int(v, "pid")) : "-");
    table_cell(t, ctl_string(v, "phase"));
    table_cell(t, ctl_string(v, "stage")[0] != '\0' ? ctl_string(v, "stage") : "-");
    table_cell(t, job[0] != '\0' ? job : "-");
    table_cell(t, since);
    table_cell_number(t, done_of(v));
    table_cell_number(t, ctl_int(v, "jobs_failed"));
    table_cell(t, cpu_text(c, v));
    table_cell(t, bytes_text(c, v));
    table_cell(t, ctl_string(v, "note")[0] != '\0' ? ctl_string(v, "note")
                  : ctl_int(v, "pid") == 0         ? ctl_string(v, "last_death")
                                                   : "");
}

int do_workers(struct ctl *c)
{
    static const struct table_column columns[] = {
        {"POOL", TABLE_LEFT, false},    {"PID", TABLE_RIGHT, false},    {"PHASE", TABLE_LEFT, false},
        {"STAGE", TABLE_LEFT, true},    {"JOB", TABLE_LEFT, true},      {"FOR", TABLE_RIGHT, false},
        {"DONE", TABLE_RIGHT, false},   {"FAILED", TABLE_RIGHT, false}, {"CPU", TABLE_RIGHT, false},
        {"MEMORY", TABLE_RIGHT, false}, {"NOTE", TABLE_LEFT, true},
    };
    struct error e = {0};
    json_t *s = NULL, *rows, *v;
    struct table *t;
    size_t i;
    int rc = ctl_control(c, "status", NULL, &s, &e);

    for (int k = 0; rc == CTL_OK && k < c->args.n_words; k++) {
        if (pool_known(s, c->args.words[k]))
            continue;
        reason_error(&e, REASON_not_found, ENOENT, "there is no pool \"%.40s\"", c->args.words[k]);
        error_hint(&e, "docmillctl pools lists them.");
        rc = CTL_REFUSED;
    }
    if (rc != CTL_OK) {
        json_decref(s);
        return ctl_fail(c, rc, &e);
    }
    rows = rows_of(c, s);
    if (c->json) {
        ctl_print_json(c, rows);
    } else {
        status_show_paused(json_object_get(s, "paused"), stdout);
        t = table_new(c->mem, columns, sizeof columns / sizeof columns[0]);
        json_array_foreach(rows, i, v)
        {
            add_worker(c, t, v);
        }
        table_print(t, stdout, c->width);
    }
    json_decref(rows);
    json_decref(s);
    return rc;
}

/* ---- pools ---- */

/* Sums over a pool's children, into its object. */
static json_t *pool_with_sums(const json_t *pool, const json_t *status)
{
    json_t *j = json_copy((json_t *)pool);
    int64_t in_hand = 0, done = 0, failed = 0, cpu = 0, bytes = 0;
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(status, "children"), i, v)
    {
        struct usage u;
        if (strcmp(ctl_string(v, "pool"), ctl_string(pool, "name")) != 0)
            continue;
        usage_of(v, &u);
        in_hand += ctl_int(v, "in_hand");
        done += done_of(v);
        failed += ctl_int(v, "jobs_failed");
        cpu += u.cpu_ms > 0 ? u.cpu_ms : 0;
        bytes += u.bytes > 0 ? u.bytes : 0;
    }
    json_object_set_new(j, "in_hand", json_integer(in_hand));
    json_object_set_new(j, "done", json_integer(done));
    json_object_set_new(j, "jobs_failed", json_integer(failed));
    json_object_set_new(j, "cpu_ms", json_integer(cpu));
    json_object_set_new(j, "memory_bytes", json_integer(bytes));
    return j;
}

static char *add_note(char *note, const char *words)
{
    return talloc_asprintf_append(note, "%s%s", note[0] != '\0' ? ", " : "", words);
}

/* What is out of the ordinary, in words. */
static const char *pool_note(struct ctl *c, const json_t *pool)
{
    static const struct {
        const char *key, *words;
    } counts[] = {{"starting", "starting"}, {"backoff", "waiting to start"}, {"retiring", "retiring"}};
    char *note = talloc_strdup(c->mem, "");

    if (json_is_integer(json_object_get(pool, "failed_ms_ago")))
        note = add_note(note, talloc_asprintf(c->mem, "FAILED: %s; docmillctl reset %s", ctl_string(pool, "fault"),
                                              ctl_string(pool, "name")));
    if (json_is_true(json_object_get(pool, "drained")))
        note = add_note(note, "DRAINED");
    if (json_is_true(json_object_get(pool, "scaled")))
        note = add_note(note, "scaled by hand");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (ctl_int(pool, counts[i].key) > 0)
            note = add_note(note,
                            talloc_asprintf(c->mem, "%" PRId64 " %s", ctl_int(pool, counts[i].key), counts[i].words));
    return note;
}

/* "3", or "3 (1-8)" of a pool whose size follows its work. */
static const char *size_text(struct ctl *c, const json_t *pool)
{
    int64_t min = ctl_int(pool, "min"), max = ctl_int(pool, "max");

    if (min == max)
        return talloc_asprintf(c->mem, "%" PRId64, ctl_int(pool, "size"));
    return talloc_asprintf(c->mem, "%" PRId64 " (%" PRId64 "-%" PRId64 ")", ctl_int(pool, "size"), min, max);
}

static void add_pool(struct ctl *c, struct table *t, const json_t *v)
{
    table_cell(t, ctl_string(v, "name"));
    table_cell(t, ctl_string(v, "role"));
    table_cell(t, size_text(c, v));
    table_cell_number(t, ctl_int(v, "ready"));
    table_cell_number(t, ctl_int(v, "busy"));
    table_cell_number(t, ctl_int(v, "in_hand"));
    table_cell_number(t, ctl_int(v, "done"));
    table_cell_number(t, ctl_int(v, "jobs_failed"));
    table_cell_number(t, ctl_int(v, "restarts"));
    table_cell(t, cpu_text(c, v));
    table_cell(t, bytes_text(c, v));
    table_cell(t, pool_note(c, v));
}

int do_pools(struct ctl *c)
{
    static const struct table_column columns[] = {
        {"POOL", TABLE_LEFT, false},   {"ROLE", TABLE_LEFT, false},    {"SIZE", TABLE_RIGHT, false},
        {"READY", TABLE_RIGHT, false}, {"BUSY", TABLE_RIGHT, false},   {"HELD", TABLE_RIGHT, false},
        {"DONE", TABLE_RIGHT, false},  {"FAILED", TABLE_RIGHT, false}, {"RESTARTS", TABLE_RIGHT, false},
        {"CPU", TABLE_RIGHT, false},   {"MEMORY", TABLE_RIGHT, false}, {"NOTE", TABLE_LEFT, true},
    };
    struct error e = {0};
    json_t *s = NULL, *rows, *v;
    struct table *t;
    size_t i;
    int rc = ctl_control(c, "status", NULL, &s, &e);

    if (rc != CTL_OK)
        return ctl_fail(c, rc, &e);
    rows = json_array();
    json_array_foreach(json_object_get(s, "pools"), i, v)
    {
        json_array_append_new(rows, pool_with_sums(v, s));
    }
    if (c->json) {
        ctl_print_json(c, rows);
    } else {
        status_show_paused(json_object_get(s, "paused"), stdout);
        t = table_new(c->mem, columns, sizeof columns / sizeof columns[0]);
        json_array_foreach(rows, i, v)
        {
            add_pool(c, t, v);
        }
        table_print(t, stdout, c->width);
    }
    json_decref(rows);
    json_decref(s);
    return rc;
}
