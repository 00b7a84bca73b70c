/*
 * peer.h - who is at the other end of a Unix socket, as the kernel says it
 *
 * The kernel keeps who connected, with the groups of that moment, so no directory is asked and nothing waits. Who comes
 * over anything but a Unix socket is nobody. What the answers allow is said in proc/rights.h.
 *
 * Diagnostics: none; what cannot be found out is a no. Depends on libc.
 */
#ifndef BASE_PEER_H
#define BASE_PEER_H

#include <stdbool.h>
#include <sys/types.h>

/* Of a connected Unix socket; false if it is none. Any pointer may be NULL. */
bool peer_credentials(int fd, uid_t *uid, gid_t *gid, pid_t *pid);
/* The number of a group, to be found once: it asks the system's directory, which may take its time. (gid_t)-1: name is
 * NULL or there is no such group. */
gid_t peer_group(const char *name);
/* Root, or the user that this process runs as. */
bool peer_is_owner(int fd);
bool peer_uid_is_owner(uid_t uid);
/* By its primary or a further group; group (gid_t)-1: no group. */
bool peer_in_group(int fd, gid_t group);

#endif
