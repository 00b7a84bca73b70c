/*
 * do_reload.c - docmillctl reload: the configuration anew, and how that went
 *
 * The daemon begins and answers at once; this program asks until it is over, so that the exit code tells. A daemon that
 * cannot be reached for a moment is asked again, for PATIENCE_MS; one that is gone ends the wait.
 *
 * Depends on base, core, proc/control.
 */
#include "base/clock.h"
#include "core/reason.h"
#include "ctl/lists.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define ROUND_FIRST_MS 20
#define ROUND_CAP_MS   250
#define PATIENCE_MS    3000

/* ---- what it says ---- */

static void show_changes(struct ctl *c, const json_t *changes)
{
    static const struct table_column columns[] = {
        {"KEY", TABLE_LEFT, false}, {"FROM", TABLE_LEFT, false}, {"TO", TABLE_LEFT, false}, {"WHEN", TABLE_LEFT, true}};
    struct table *t = table_new(c->mem, columns, (int)(sizeof columns / sizeof columns[0]));
    json_t *v;
    size_t i;

    if (json_array_size(changes) == 0) {
        puts("no key changes");
        return;
    }
    json_array_foreach(changes, i, v)
    {
        table_cell(t, ctl_string(v, "key"));
        table_cell(t, ctl_string(v, "from"));
        table_cell(t, ctl_string(v, "to"));
        table_cell(t, json_is_true(json_object_get(v, "needs_restart")) ? "after a restart of the daemon" : "now");
    }
    table_print(t, stdout, c->width);
}

static void show_pools(const json_t *pools, bool planned)
{
    json_t *v;
    size_t i;

    json_array_foreach(pools, i, v)
    {
        const char *fate = ctl_string(v, "fate");
        int64_t n = ctl_int(v, "children");

        printf("pool %s: ", ctl_string(v, "pool"));
        if (strcmp(fate, "replaced") == 0)
            printf("%" PRId64 " %s %s replaced\n", n, n == 1 ? "child" : "children",
                   planned ? (n == 1 ? "is" : "are") : (n == 1 ? "was" : "were"));
        else if (strcmp(fate, "new") == 0)
            puts("new");
        else if (strcmp(fate, "gone") == 0)
            printf("gone; %" PRId64 " %s what is in hand\n", n, n == 1 ? "child finishes" : "children finish");
        else
            puts("other limits; its children stay");
    }
}

static void show_secrets(const json_t *r)
{
    char span[24];

    if (ctl_int(r, "former_secrets_ms") <= 0)
        return;
    ctl_span(ctl_int(r, "former_secrets_ms"), span);
    printf("callers' former secrets are accepted for %s still (reload.secret_grace)\n", span);
}

static void show_report(struct ctl *c, const json_t *r)
{
    const char *outcome = ctl_string(r, "outcome");
    bool planned = strcmp(outcome, "planned") == 0;

    show_changes(c, json_object_get(r, "changes"));
    if (planned || strcmp(outcome, "done") == 0)
        show_pools(json_object_get(r, "pools"), planned);
    if (planned) {
        printf("plan %s: docmillctl reload --plan %s carries it out, and nothing else\n", ctl_string(r, "plan"),
               ctl_string(r, "plan"));
    } else if (strcmp(outcome, "done") == 0) {
        show_secrets(r);
        printf("reload %" PRId64 " done in %" PRId64 " ms\n", ctl_int(r, "number"), ctl_int(r, "took_ms"));
    } else {
        printf("reload %" PRId64 ": nothing to do now\n", ctl_int(r, "number"));
    }
}

/* ---- waiting ---- */

struct waiting {
    struct ctl *c;
    json_t *args; /* of reload-status */
    int64_t until_ms, lost_ms;
    char shown[64]; /* the step that was told last */
};

static void tell_step(struct waiting *w, const json_t *r)
{
    char step[64];

    snprintf(step, sizeof step, "%s%s%s", ctl_string(r, "state"), ctl_string(r, "pool")[0] != '\0' ? " " : "",
             ctl_string(r, "pool"));
    if (w->c->json || w->c->width == 0 || strcmp(step, w->shown) == 0 || strcmp(ctl_string(r, "state"), "over") == 0)
        return;
    snprintf(w->shown, sizeof w->shown, "%s", step);
    fprintf(stderr, "%s ...\n", step);
}

/* One question. True: it is over, one way or the other, with *rc. */
static bool ask(struct waiting *w, json_t **report, int *rc, struct error *e)
{
    json_t *r = NULL;

    *rc = ctl_control(w->c, "reload-status", w->args, &r, e);
    if (*rc == CTL_UNREACHABLE || *rc == CTL_TIMEOUT) {
        if (w->lost_ms == 0)
            w->lost_ms = clock_ms();
        return clock_ms() - w->lost_ms >= PATIENCE_MS;
    }
    w->lost_ms = 0;
    if (*rc != CTL_OK)
        return true;
    if (strcmp(ctl_string(r, "outcome"), "running") != 0) {
        *report = r;
        return true;
    }
    tell_step(w, r);
    json_decref(r);
    return false;
}

static int wait_for_end(struct waiting *w, json_t **report, struct error *e)
{
    int64_t round_ms = ROUND_FIRST_MS;
    int rc;

    while (!ask(w, report, &rc, e)) {
        if (w->until_ms > 0 && clock_ms() >= w->until_ms) {
            reason_error(e, REASON_control_timeout, ETIMEDOUT, "the reload is not over in the time given; it goes on");
            return CTL_TIMEOUT;
        }
        poll(NULL, 0, (int)round_ms);
        round_ms = round_ms * 3 / 2 < ROUND_CAP_MS ? round_ms * 3 / 2 : ROUND_CAP_MS;
    }
    return rc;
}

static int failed(struct ctl *c, const json_t *r)
{
    const json_t *why = json_object_get(r, "error");
    struct error e = {0};
    bool refused = strcmp(ctl_string(r, "outcome"), "refused") == 0;

    (void)error_set(&e, ECANCELED, ERR_PERMANENT, ctl_string(why, "reason"), "%s", ctl_string(why, "message"));
    if (ctl_string(why, "hint")[0] != '\0')
        error_hint(&e, "%s", ctl_string(why, "hint"));
    return ctl_fail(c, refused ? CTL_REFUSED : CTL_FAILED, &e);
}

static int follow(struct ctl *c, const json_t *begun, int64_t limit_ms)
{
    char number[24];
    struct waiting w = {.c = c, .until_ms = limit_ms > 0 ? clock_ms() + limit_ms : 0};
    struct error e = {0};
    json_t *report = NULL;
    int rc;

    snprintf(number, sizeof number, "%" PRId64, ctl_int(begun, "number"));
    w.args = json_pack("{s:s}", "number", number);
    rc = wait_for_end(&w, &report, &e);
    json_decref(w.args);
    if (rc != CTL_OK)
        return ctl_fail(c, rc, &e);
    if (c->json)
        ctl_print_json(c, report);
    else if (json_is_true(json_object_get(report, "ok")))
        show_report(c, report);
    if (!json_is_true(json_object_get(report, "ok")))
        rc = failed(c, report);
    json_decref(report);
    return rc;
}

int do_reload(struct ctl *c)
{
    const char *plan = args_option(&c->args, "plan"), *timeout = args_option(&c->args, "timeout");
    struct error e = {0};
    json_t *args, *body = NULL;
    int64_t limit_ms = 0;
    int rc;

    if (timeout != NULL && ctl_parse_duration(timeout, &limit_ms) != 0) {
        reason_error(&e, REASON_bad_request, EINVAL, "--timeout: \"%.40s\" is no time; 90, 90s, 5m or 1h are", timeout);
        return ctl_usage(c, &e);
    }
    args = json_pack("{s:s, s:s}", "mode", args_option(&c->args, "dry-run") != NULL ? "plan" : "run", "plan",
                     plan != NULL ? plan : "");
    rc = ctl_control(c, "reload", args, &body, &e);
    json_decref(args);
    if (rc != CTL_OK)
        return ctl_fail(c, rc, &e);
    rc = follow(c, body, limit_ms);
    json_decref(body);
    return rc;
}
