/*
 * do_reparse.c - docmillctl reparse: documents that are parsed again
 *
 * Named ones one by one; those that a fallback parsed in portions, until there is none or no room for more.
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

static int reparse_named(struct ctl *c)
{
    json_t *all = json_array();
    int rc = CTL_OK;

    for (int i = 0; i < c->args.n_words && rc == CTL_OK; i++) {
        json_t *j = NULL;
        rc = client_call(c, "POST",
                         talloc_asprintf(c->mem, "/v1/documents/%s/reparse", client_escape(c, c->args.words[i])), &j);
        if (rc == CTL_OK && !c->json)
            printf("document %s is parsed again: job %s\n", c->args.words[i], ctl_string(j, "job_id"));
        if (rc == CTL_OK)
            json_array_append(all, j);
        json_decref(j);
    }
    if (rc == CTL_OK && c->json)
        ctl_print_json(c, all);
    json_decref(all);
    return rc;
}

static int reparse_fallbacks(struct ctl *c)
{
    const char *path = args_option(&c->args, "all") != NULL ? "/v1/reparse?all=1" : "/v1/reparse";
    int64_t begun = 0, portion, remaining = 0;
    json_t *shown;

    do {
        json_t *j = NULL;
        int rc = client_call(c, "POST", path, &j);
        if (rc != CTL_OK)
            return rc;
        portion = ctl_int(j, "begun");
        remaining = ctl_int(j, "remaining");
        begun += portion;
        json_decref(j);
    } while (portion > 0 && remaining > 0);
    if (c->json) {
        shown = json_pack("{s:I, s:I}", "begun", (json_int_t)begun, "remaining", (json_int_t)remaining);
        ctl_print_json(c, shown);
        json_decref(shown);
        return CTL_OK;
    }
    printf("%" PRId64 " document%s parsed again\n", begun, begun == 1 ? " is" : "s are");
    if (remaining > 0)
        printf("%" PRId64 " more wait for room: ask again when some of these are done\n", remaining);
    return CTL_OK;
}

int do_reparse(struct ctl *c)
{
    bool fallback = args_option(&c->args, "fallback") != NULL;
    struct error e = {0};

    if (fallback == (c->args.n_words > 0) || (!fallback && args_option(&c->args, "all") != NULL)) {
        (void)reason_error(&e, REASON_bad_request, EINVAL, "give either documents or --fallback");
        return ctl_usage(c, &e);
    }
    return fallback ? reparse_fallbacks(c) : reparse_named(c);
}
