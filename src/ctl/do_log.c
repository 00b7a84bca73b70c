/*
 * do_log.c - docmillctl log level: how much each module of the daemon's log tells
 *
 * Depends on base, core, proc/control.
 */
#include "base/log.h"
#include "core/reason.h"
#include "ctl/lists.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* "info; http debug, pg debug" would be hard to read: a table, of all modules or of those that differ. */
static void show(struct ctl *c, const json_t *levels, const char *only)
{
    static const struct table_column columns[] = {{"MODULE", TABLE_LEFT, false}, {"LEVEL", TABLE_LEFT, false}};
    struct table *t = table_new(c->mem, columns, sizeof columns / sizeof columns[0]);
    const json_t *v;
    size_t i;

    if (only == NULL) {
        table_cell(t, "all");
        table_cell(t, ctl_string(levels, "level"));
    }
    json_array_foreach(json_object_get(levels, "modules"), i, v)
    {
        bool own = json_is_true(json_object_get(v, "own"));
        if (only != NULL && strcmp(only, ctl_string(v, "module")) != 0)
            continue;
        table_cell(t, ctl_string(v, "module"));
        table_cell(t, own || only != NULL ? ctl_string(v, "level") : "as all");
    }
    table_print(t, stdout, c->width);
}

static bool known(const json_t *levels, const char *module)
{
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(levels, "modules"), i, v)
    {
        if (strcmp(ctl_string(v, "module"), module) == 0)
            return true;
    }
    return false;
}

static bool is_level(const char *word)
{
    enum log_level ignored;

    return strcmp(word, "default") == 0 || log_level_parse(word, &ignored) == 0;
}

static int set(struct ctl *c, const char *module, const char *level)
{
    struct error e = {0};
    json_t *args = json_pack("{s:s, s:s}", "module", module, "level", level), *body = NULL;
    int rc = ctl_control(c, "log_level", args, &body, &e);

    json_decref(args);
    if (rc != CTL_OK)
        return ctl_fail(c, rc, &e);
    if (c->json)
        ctl_print_json(c, body);
    else
        show(c, body, strcmp(module, "all") == 0 ? NULL : module);
    json_decref(body);
    return rc;
}

static int list(struct ctl *c, const char *module)
{
    struct error e = {0};
    json_t *body = NULL;
    int rc = ctl_control(c, "log_levels", NULL, &body, &e);

    if (rc == CTL_OK && module != NULL && !known(body, module)) {
        reason_error(&e, REASON_not_found, ENOENT, "\"%.40s\" is no level, and no module of the log", module);
        error_hint(&e, "docmillctl log level lists the modules; levels are debug, info, warn and error.");
        json_decref(body);
        rc = CTL_REFUSED;
    }
    if (rc != CTL_OK)
        return ctl_fail(c, rc, &e);
    if (c->json)
        ctl_print_json(c, body);
    else
        show(c, body, module);
    json_decref(body);
    return rc;
}

int do_log(struct ctl *c)
{
    const char *const *w = c->args.words; /* w[0] is `level` */

    if (c->args.n_words == 3)
        return set(c, w[1], w[2]);
    if (c->args.n_words == 2 && is_level(w[1]))
        return set(c, "all", w[1]);
    return list(c, c->args.n_words == 2 ? w[1] : NULL);
}
