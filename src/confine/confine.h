/*
 * confine.h - docmill's own processes shut themselves in
 *
 * confine_enter() is the last step of a process's start, before it reads a byte from outside and before it has a second
 * thread: no new privileges, then landlock, then seccomp. What a master gives up its children never have; each child
 * then gives up what only others need. confine_from_root() comes first of all in a daemon that root started by hand.
 *
 * A build with a sanitizer or coverage counters is not confined beyond no-new-privileges: both write files and trace
 * processes of their own when they end. confine_is_partial() tells.
 *
 * Depends on base, core.
 */
#ifndef CONFINE_CONFINE_H
#define CONFINE_CONFINE_H

#include "base/error.h"
#include "core/conf.h"

/* X(NAME, "name") - the order is that of the bits in the tables of calls.c and paths.c */
#define CONFINE_ROLES(X)                                                                                               \
    X(MASTER, "master")                                                                                                \
    X(COORDINATOR, "coordinator")                                                                                      \
    X(API, "api")                                                                                                      \
    X(WORKER, "worker")

enum confine_role {
#define X_ROW(NAME, text) CONFINE_##NAME,
    CONFINE_ROLES(X_ROW)
#undef X_ROW
        CONFINE_ROLE_MAX_
};

int confine_role_parse(const char *name, enum confine_role *out); /* 0 or -EINVAL */

/* exe_fd: the master's, of what its children are exec'd from; else -1. Nothing, if conf's sandbox.processes is false. On
 * failure the process must not go on. */
int confine_enter(enum confine_role role, const struct conf *c, int exe_fd, struct error *e) MUST_CHECK;
bool confine_is_partial(void);

/* For root only, nothing for others: becomes conf's `user`, for good, with no group but that user's own and no
 * capability, and gives it run_dir. */
int confine_from_root(const struct conf *c, struct error *e) MUST_CHECK;

#endif
