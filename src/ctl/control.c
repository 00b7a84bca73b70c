/*
 * control.c - a call to the supervisor over control.sock, and the exit code of its failure
 *
 * Depends on base, core, proc/control.
 */
#include "proc/control.h"

#include "core/reason.h"
#include "ctl/ctl.h"

#include <talloc.h>

#define CALL_TIMEOUT_MS 5000

static const char *socket_of(const struct ctl *c)
{
    return talloc_asprintf(c->mem, "%s/" CONTROL_SOCKET, c->run_dir);
}

static int exit_of(const struct error *e)
{
    switch (reason_parse(e->reason)) {
    case REASON_not_running:
        return CTL_UNREACHABLE;
    case REASON_forbidden:
    case REASON_bad_request:
    case REASON_not_found:
    case REASON_conflict:
        return CTL_REFUSED;
    case REASON_control_timeout:
        return CTL_TIMEOUT;
    default:
        return CTL_SERVER;
    }
}

int ctl_control(struct ctl *c, const char *verb, const json_t *args, json_t **body, struct error *e)
{
    int rc = control_call(socket_of(c), verb, args, CALL_TIMEOUT_MS, body, e);

    if (rc == 0)
        return CTL_OK;
    if (reason_parse(e->reason) == REASON_not_running)
        error_hint(e, "Start it (systemctl start docmill), or name its directory with --run-dir.");
    return exit_of(e);
}
