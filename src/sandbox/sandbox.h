/*
 * sandbox.h - a process shuts itself in before it becomes a parser
 *
 * Called once each, in this order, by docmill-sandbox: sandbox_limit_process, sandbox_limit_files, sandbox_limit_calls.
 * Each can only take rights away; all of it outlives execve and holds for whatever is executed. A failure is final: the
 * caller must not go on to execute anything.
 *
 * Functions return 0 or a negative errno and, on failure, a phrase in *what.
 *
 * Depends on nothing of docmill.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* X(NAME, "name", threads, data directory that it may read) */
#define SANDBOX_PROFILES(X)                                                                                            \
    X(PDF, "pdf", false, "/usr/share/poppler")                                                                         \
    X(HTML, "html", false, NULL)                                                                                       \
    X(OFFICE, "office", true, "/usr/share/pandoc")

struct sandbox_profile {
    const char *name;
    bool threads; /* may start threads; nothing may start processes */
    const char *data_dir;
};

const struct sandbox_profile *sandbox_profile_find(const char *name); /* NULL if unknown */

/* How docmill-sandbox tells its parent that nothing was executed: one record on this descriptor, which closes at a
 * successful execve. A parser cannot write it, so it cannot pretend to have been refused. */
#define SANDBOX_STATUS_FD 3
enum sandbox_refusal { SANDBOX_REFUSED = 'R', SANDBOX_MISSING = 'M', SANDBOX_BAD_USE = 'U' };

/* Death with the parent, no new privileges, resource limits. */
int sandbox_limit_process(pid_t parent, int64_t memory_bytes, int64_t cpu_seconds, const char **what);
/* Files: read libraries, the profile's data and the command; execute the command and its loader; write nowhere. */
int sandbox_limit_files(const struct sandbox_profile *p, const char *command, const char **what);
/* System calls: an allow-list. Others fail with ENOSYS. */
int sandbox_limit_calls(const struct sandbox_profile *p, const char **what);

#endif
