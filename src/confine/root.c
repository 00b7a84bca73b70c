/*
 * root.c - a daemon that root started by hand becomes `user` before it does anything else
 *
 * The unit starts docmilld as its user, and this file has nothing to do. For good means: real, effective and saved ids;
 * no group but that user's own, and whatever group was root's; an empty bounding set; and proof that there is no way
 * back. run_dir is made and given away before, since only root may make one in /run.
 *
 * Diagnostics (as struct error): start_failed, with the key to change.
 *
 * Depends on base, core.
 */
#include "confine/confine.h"

#include "core/reason.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Not through a link that somebody put there: what is given away has to be a directory of root's or the user's. */
static int give_run_dir(const char *path, const struct passwd *u, struct error *e)
{
    struct stat st;

    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return reason_error(e, REASON_start_failed, errno, "run_dir %s: %s", path, strerror(errno));
    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return reason_error(e, REASON_start_failed, ENOTDIR, "run_dir %s is no directory.", path);
    if (st.st_uid == u->pw_uid)
        return 0;
    if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return reason_error(e, REASON_start_failed, EPERM,
                            "run_dir %s belongs to somebody else, or anybody may write to it.", path);
    if (lchown(path, u->pw_uid, u->pw_gid) != 0)
        return reason_error(e, REASON_start_failed, errno, "run_dir %s: %s", path, strerror(errno));
    return 0;
}

static int drop_ids(const struct passwd *u, struct error *e)
{
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EPERM) /* EPERM: it was never ours to drop */
            return reason_error(e, REASON_start_failed, errno, "capabilities: %s", strerror(errno));
    if (setgroups(0, NULL) != 0 || setresgid(u->pw_gid, u->pw_gid, u->pw_gid) != 0 ||
        setresuid(u->pw_uid, u->pw_uid, u->pw_uid) != 0)
        return reason_error(e, REASON_start_failed, errno, "user \"%s\": %s", u->pw_name, strerror(errno));
    if (setuid(0) == 0 || setgid(0) == 0 || getuid() != u->pw_uid || geteuid() != u->pw_uid || getgroups(0, NULL) != 0)
        return reason_error(e, REASON_start_failed, EPERM, "user \"%s\": there is a way back to root.", u->pw_name);
    return 0;
}

int confine_from_root(const struct conf *c, struct error *e)
{
    const struct passwd *u;
    int rc;

    if (geteuid() != 0 && getuid() != 0)
        return 0;
    errno = 0;
    u = getpwnam(c->user);
    if (u == NULL || u->pw_uid == 0 || u->pw_gid == 0) {
        rc = reason_error(e, REASON_start_failed, EINVAL,
                          u == NULL ? "user: there is no user \"%s\"." : "user: \"%s\" is root.", c->user);
        error_hint(e, "docmilld does not run as root. Name an ordinary user, or start it as one.");
        return rc;
    }
    rc = give_run_dir(c->run_dir, u, e);
    if (rc == 0)
        rc = drop_ids(u, e);
    if (rc == 0 && (setenv("HOME", u->pw_dir, 1) != 0 || setenv("USER", u->pw_name, 1) != 0 ||
                    setenv("LOGNAME", u->pw_name, 1) != 0))
        rc = reason_error(e, REASON_os_error, ENOMEM, "out of memory");
    return rc;
}
