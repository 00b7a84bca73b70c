/* peer.c - see peer.h */
#include "base/peer.h"

#include <errno.h>
#include <grp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEER_GROUPS 64 /* that are asked for without allocating */

bool peer_credentials(int fd, uid_t *uid, gid_t *gid, pid_t *pid)
{
    struct ucred cred;
    socklen_t n = sizeof cred;
    int family = 0;
    socklen_t family_n = sizeof family;

    /* Any socket answers SO_PEERCRED, with nobody in it. */
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &family_n) != 0 || family != AF_UNIX ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0)
        return false;
    if (uid != NULL)
        *uid = cred.uid;
    if (gid != NULL)
        *gid = cred.gid;
    if (pid != NULL)
        *pid = cred.pid;
    return true;
}

static bool has(const gid_t *groups, socklen_t bytes, gid_t group)
{
    for (size_t i = 0; i < bytes / sizeof groups[0]; i++)
        if (groups[i] == group)
            return true;
    return false;
}

/* Of a user with more groups than usual: the kernel has said in n how much room they take. */
static bool in_many_groups(int fd, socklen_t n, gid_t group)
{
    gid_t *groups = malloc(n);
    bool found = groups != NULL && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) == 0 && has(groups, n, group);

    free(groups);
    return found;
}

gid_t peer_group(const char *name)
{
    const struct group *g = name != NULL ? getgrnam(name) : NULL;

    return g != NULL ? g->gr_gid : (gid_t)-1;
}

bool peer_uid_is_owner(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

bool peer_is_owner(int fd)
{
    uid_t uid;

    return peer_credentials(fd, &uid, NULL, NULL) && peer_uid_is_owner(uid);
}

bool peer_in_group(int fd, gid_t group)
{
    gid_t own, groups[PEER_GROUPS];
    socklen_t n = sizeof groups;

    if (group == (gid_t)-1 || !peer_credentials(fd, NULL, &own, NULL))
        return false;
    if (own == group)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) == 0)
        return has(groups, n, group);
    return errno == ERANGE && in_many_groups(fd, n, group);
}
