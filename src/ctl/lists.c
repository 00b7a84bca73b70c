/* lists.c - see lists.h */
#include "ctl/lists.h"
#include "core/reason.h"

#include <inttypes.h>
#include <string.h>
#include <talloc.h>

/* One page appended to all; *after is where the next one begins, NULL at the end. */
static int fetch_page(struct ctl *c, const char *path, const char *name, int64_t limit, const char **after, json_t *all)
{
    char *target = talloc_asprintf(c->mem, "%slimit=%" PRId64 "%s%s", path, limit, *after != NULL ? "&after=" : "",
                                   *after != NULL ? *after : "");
    json_t *body = NULL;
    const char *next;
    int rc = client_call(c, "GET", target, &body);

    if (rc != CTL_OK)
        return rc;
    json_array_extend(all, json_object_get(body, name));
    next = json_string_value(json_object_get(body, "next"));
    *after = next != NULL ? client_escape(c, next) : NULL;
    json_decref(body);
    return CTL_OK;
}

static int fetch(struct ctl *c, const char *path, const char *name, int64_t limit, json_t *all, bool *more)
{
    const char *after = NULL;
    int rc;

    do {
        int64_t want = limit - (int64_t)json_array_size(all);
        rc = fetch_page(c, path, name, want < LIST_PAGE ? want : LIST_PAGE, &after, all);
    } while (rc == CTL_OK && after != NULL && (int64_t)json_array_size(all) < limit);
    *more = after != NULL;
    return rc;
}

int list_show(struct ctl *c, const char *path, const char *name, const struct table_column *columns, int n_columns,
              void (*add_row)(struct table *t, const json_t *row))
{
    json_t *all = json_array();
    struct table *t = table_new(c->mem, columns, n_columns);
    struct error e = {0};
    int64_t limit = 0;
    bool more = false;
    json_t *row;
    size_t i;
    int rc;

    if (args_number(&c->args, "limit", LIST_DEFAULT, 1, LIST_MAX, &limit, &e) != 0) {
        json_decref(all);
        return ctl_usage(c, &e);
    }
    rc = fetch(c, path, name, limit, all, &more);
    if (rc == CTL_OK && c->json) {
        ctl_print_json(c, all);
    } else if (rc == CTL_OK) {
        json_array_foreach(all, i, row)
        {
            add_row(t, row);
        }
        if (table_rows(t) > 0)
            table_print(t, stdout, c->width);
        else
            fprintf(stderr, "no %s\n", name);
        if (more)
            fprintf(stderr, "(the newest %" PRId64 "; -n N shows more)\n", limit);
    }
    json_decref(all);
    return rc;
}

void show_fields(const json_t *object, const struct show_field *fields, int n)
{
    int width = 0;

    for (int i = 0; i < n; i++)
        if ((int)strlen(fields[i].label) > width)
            width = (int)strlen(fields[i].label);
    for (int i = 0; i < n; i++) {
        const json_t *v = json_object_get(object, fields[i].key);
        if (v == NULL || json_is_null(v))
            continue;
        printf("%-*s  ", width, fields[i].label);
        if (json_is_string(v))
            text_print(stdout, json_string_value(v), 0);
        else
            ctl_put_json(stdout, v, JSON_ENCODE_ANY | JSON_COMPACT);
        putchar('\n');
    }
}

int job_id_of(struct ctl *c, const char *id, const char **job)
{
    struct error e = {0};
    json_t *body = NULL;
    int rc = client_try(c, "GET", talloc_asprintf(c->mem, "/v1/documents/%s", client_escape(c, id)), &body, &e);

    *job = id; /* no document: then it should be a job, and the next request tells */
    if (rc == CTL_OK)
        *job = talloc_strdup(c->mem, ctl_string(body, "job_id"));
    json_decref(body);
    if (rc == CTL_REFUSED && strcmp(e.reason, "not_found") == 0)
        return CTL_OK;
    return rc == CTL_OK ? rc : ctl_fail(c, rc, &e);
}
