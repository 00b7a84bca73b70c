/*
 * do_pools.c - docmillctl recycle, restart, reset, scale, drain: what an operator tells a pool, over control.sock
 *
 * Depends on base, core, proc/control.
 */
#include "core/reason.h"
#include "ctl/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void show_pool(const json_t *p)
{
    int64_t left = (int64_t)ctl_int(p, "ready") + (int64_t)ctl_int(p, "retiring");

    if (json_is_true(json_object_get(p, "drained"))) {
        printf("%s: drained", ctl_string(p, "pool"));
        if (left > 0)
            printf(", %" PRId64 " still finishing", left);
        putchar('\n');
        return;
    }
    printf("%s: %" PRId64 " of %" PRId64 " ready", ctl_string(p, "pool"), (int64_t)ctl_int(p, "ready"),
           (int64_t)ctl_int(p, "size"));
    if (ctl_int(p, "to_replace") > 0)
        printf(", %" PRId64 " to be replaced", (int64_t)ctl_int(p, "to_replace"));
    if (ctl_int(p, "retiring") > 0)
        printf(", %" PRId64 " finishing", (int64_t)ctl_int(p, "retiring"));
    putchar('\n');
}

/* Takes args. */
static int order(struct ctl *c, const char *verb, json_t *args)
{
    struct error e = {0};
    json_t *body = NULL, *pools, *v;
    size_t i;
    int rc = ctl_control(c, verb, args, &body, &e);

    json_decref(args);
    if (rc != CTL_OK)
        return ctl_fail(c, rc, &e);
    pools = json_object_get(body, "pools");
    if (c->json)
        ctl_print_json(c, body);
    else if (pools == NULL)
        show_pool(body);
    else
        json_array_foreach(pools, i, v) show_pool(v);
    json_decref(body);
    return rc;
}

int do_recycle(struct ctl *c)
{
    return order(c, "recycle", json_pack("{s:s}", "pool", c->args.words[0]));
}

int do_restart(struct ctl *c)
{
    return order(c, "restart", json_pack("{s:s}", "pool", c->args.words[0]));
}

int do_reset(struct ctl *c)
{
    return order(c, "reset", json_pack("{s:s}", "pool", c->args.words[0]));
}

int do_scale(struct ctl *c)
{
    return order(c, "scale", json_pack("{s:s, s:s}", "pool", c->args.words[0], "size", c->args.words[1]));
}

int do_drain(struct ctl *c)
{
    bool cancel = c->args.n_words > 0 && strcmp(c->args.words[0], "cancel") == 0;
    int at = cancel ? 1 : 0;
    const char *pool = c->args.n_words > at ? c->args.words[at] : "";
    struct error e = {0};

    if (c->args.n_words > at + 1) {
        (void)reason_error(&e, REASON_bad_request, EINVAL, "one pool at a time, or all without a name");
        return ctl_usage(c, &e);
    }
    return order(c, "drain", json_pack("{s:s, s:s}", "pool", pool, "order", cancel ? "cancel" : "begin"));
}
