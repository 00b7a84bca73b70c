/* rates.c - see rates.h */
#include "ctl/rates.h"
#include "ctl/ctl.h"

#include <string.h>
#include <talloc.h>

#define UNKNOWN (-1.0)
#define WEIGHT  0.5 /* of the newest look */

struct rates *rates_new(const void *talloc_ctx)
{
    struct rates *r = talloc_zero(talloc_ctx, struct rates);

    if (r != NULL)
        r->done_s = r->failed_s = UNKNOWN;
    return r;
}

/* What went back belongs to another count (a child died between two looks): nothing is known. */
static double step(double before, int64_t from, int64_t to, int64_t ms)
{
    double now = (double)(to - from) * 1000 / (double)ms;

    if (to < from || ms <= 0)
        return UNKNOWN;
    return before < 0 ? now : before + (now - before) * WEIGHT;
}

static const struct rates_child *former(const struct rates_child *list, int n, int64_t serial)
{
    for (int i = 0; i < n; i++)
        if (list[i].serial == serial)
            return &list[i];
    return NULL;
}

static void look_at(struct rates_child *c, const struct rates_child *was, int64_t ms)
{
    c->done_s = c->cpu_percent = UNKNOWN;
    if (was == NULL)
        return;
    c->done_s = step(was->done_s, was->done, c->done, ms);
    if (was->used.cpu_ms >= 0 && c->used.cpu_ms >= 0)
        c->cpu_percent = step(was->cpu_percent, was->used.cpu_ms * 100, c->used.cpu_ms * 100, ms * 1000);
}

static void look_at_children(struct rates *r, const json_t *status, int64_t ms)
{
    const json_t *list = json_object_get(status, "children"), *v;
    int n = (int)json_array_size(list) + 1;
    struct rates_child *now = talloc_zero_array(r, struct rates_child, (unsigned)n);
    size_t i;

    json_array_foreach(list, i, v)
    {
        now[i].serial = ctl_int(v, "serial");
        now[i].done = ctl_int(v, strcmp(ctl_string(v, "role"), "api") == 0 ? "requests" : "jobs_done");
        usage_of(v, &now[i].used);
    }
    now[n - 1].serial = 0; /* a child's is 1 at least */
    usage_of(status, &now[n - 1].used);
    for (int k = 0; k < n; k++)
        look_at(&now[k], ms > 0 ? former(r->children, r->n_children, now[k].serial) : NULL, ms);
    talloc_free(r->children);
    r->children = now;
    r->n_children = n;
}

static void look_at_totals(struct rates *r, const json_t *totals, int64_t ms)
{
    const json_t *stages = json_object_get(totals, "stages");
    int64_t done = ctl_int(totals, "jobs_done"), failed = ctl_int(totals, "jobs_failed");

    r->done_s = ms > 0 ? step(r->done_s, r->done, done, ms) : UNKNOWN;
    r->failed_s = ms > 0 ? step(r->failed_s, r->failed, failed, ms) : UNKNOWN;
    r->done = done;
    r->failed = failed;
    for (int s = 1; s < STATUS_MAX_; s++) {
        int64_t n = ctl_int(stages, status_name(s));
        r->stages_s[s] = ms > 0 ? step(r->stages_s[s], r->stages[s], n, ms) : UNKNOWN;
        r->stages[s] = n;
    }
}

void rates_look(struct rates *r, const json_t *status, int64_t now_ms)
{
    int64_t incarnation = ctl_int(status, "incarnation");
    int64_t ms = r->at_ms > 0 && incarnation == r->incarnation ? now_ms - r->at_ms : 0;

    look_at_children(r, status, ms);
    look_at_totals(r, json_object_get(status, "totals"), ms);
    r->incarnation = incarnation;
    r->at_ms = now_ms;
}
