/*
 * confine.c - the order of shutting in; see confine.h
 *
 * Diagnostics (as struct error, final for the process): sandbox_refused where the kernel has no landlock of version 2 or
 * no seccomp, or something around us forbids both, as some containers do.
 *
 * Depends on base, core.
 */
#include "confine/confine_int.h"

#include "core/reason.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#if defined(__SANITIZE_ADDRESS__) || defined(DOCMILL_COVERAGE)
#define PARTIAL true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PARTIAL true
#endif
#endif
#ifndef PARTIAL
#define PARTIAL false
#endif

static const char *const role_names[] = {
#define X_ROW(NAME, text) text,
    CONFINE_ROLES(X_ROW)
#undef X_ROW
};

int confine_role_parse(const char *name, enum confine_role *out)
{
    for (int i = 0; i < CONFINE_ROLE_MAX_; i++)
        if (strcmp(name, role_names[i]) == 0) {
            *out = (enum confine_role)i;
            return 0;
        }
    return -EINVAL;
}

unsigned confine_bits(enum confine_role role)
{
    return role == CONFINE_MASTER ? M | C | A | W : 1u << role;
}

bool confine_is_partial(void)
{
    return PARTIAL;
}

static int hint_off(int rc, struct error *e)
{
    error_hint(e,
               "Where the kernel or a container cannot be told to allow it, sandbox.processes = false goes without.");
    return rc;
}

int confine_enter(enum confine_role role, const struct conf *c, int exe_fd, struct error *e)
{
    int rc;

    if (!c->sandbox_processes)
        return 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return hint_off(reason_error(e, REASON_sandbox_refused, errno, "no-new-privileges: %s", strerror(errno)), e);
    if (PARTIAL)
        return 0;
    rc = confine_files(role, c, exe_fd, e);
    if (rc == 0)
        rc = confine_calls(role, e);
    return rc == 0 ? 0 : hint_off(rc, e);
}
