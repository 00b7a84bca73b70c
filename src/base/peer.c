/* peer.c - see peer.h */
#include "base/peer.h"

#include <grp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEER_GROUPS_MAX 256

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

static bool in_group(int fd, gid_t own, gid_t group)
{
    gid_t groups[PEER_GROUPS_MAX];
    socklen_t n = sizeof groups;

    if (own == group)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) != 0)
        return false;
    for (size_t i = 0; i < n / sizeof groups[0]; i++)
        if (groups[i] == group)
            return true;
    return false;
}

gid_t peer_group(const char *name)
{
    const struct group *g = name != NULL ? getgrnam(name) : NULL;

    return g != NULL ? g->gr_gid : (gid_t)-1;
}

bool peer_is_operator(int fd, gid_t group)
{
    uid_t uid;
    gid_t gid;

    if (!peer_credentials(fd, &uid, &gid, NULL))
        return false;
    if (uid == 0 || uid == geteuid())
        return true;
    return group != (gid_t)-1 && in_group(fd, gid, group);
}
