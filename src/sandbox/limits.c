/*
 * limits.c - the profiles, death with the parent, no new privileges, resource limits
 *
 * The address space is limited here as well, so what follows in the same process has to live within it: it is small.
 *
 * Depends on nothing.
 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define OPEN_FILES_MAX 64

static const struct sandbox_profile profiles[] = {
#define X_ROW(NAME, text, threads, dir) {text, threads, dir},
    SANDBOX_PROFILES(X_ROW)
#undef X_ROW
};

const struct sandbox_profile *sandbox_profile_find(const char *name)
{
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++)
        if (strcmp(profiles[i].name, name) == 0)
            return &profiles[i];
    return NULL;
}

int sandbox_limit_process(pid_t parent, int64_t memory_bytes, int64_t cpu_seconds, const char **what)
{
    const rlim_t memory = (rlim_t)memory_bytes, cpu = (rlim_t)cpu_seconds;
    /* The soft limit of CPU time kills by a signal that says so; the hard one, a second later, by SIGKILL. */
    const struct {
        int which;
        rlim_t soft, hard;
        const char *what;
    } limits[] = {
        {RLIMIT_CORE, 0, 0, "limit core files"},
        {RLIMIT_FSIZE, 0, 0, "limit file sizes"},
        {RLIMIT_MEMLOCK, 0, 0, "limit locked memory"},
        {RLIMIT_NOFILE, OPEN_FILES_MAX, OPEN_FILES_MAX, "limit open files"},
        {RLIMIT_CPU, cpu, cpu + 1, "limit CPU time"},
        {RLIMIT_AS, memory, memory, "limit the address space"},
    };

    *what = "die with the parent";
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    if (getppid() != parent) /* it died before we asked */
        return -ESRCH;
    *what = "forgo new privileges";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit now, l = {limits[i].soft, limits[i].hard};
        *what = limits[i].what;
        if (getrlimit((__rlimit_resource_t)limits[i].which, &now) < 0)
            return -errno;
        /* A limit that is already tighter stays. */
        l.rlim_max = l.rlim_max > now.rlim_max ? now.rlim_max : l.rlim_max;
        l.rlim_cur = l.rlim_cur > l.rlim_max ? l.rlim_max : l.rlim_cur;
        if (setrlimit((__rlimit_resource_t)limits[i].which, &l) < 0)
            return -errno;
    }
    return 0;
}
