/*
 * acl.h - a file that its owner and several groups may read and write, and nobody else
 *
 * A mode has room for one group; a POSIX access control list has room for more, and the owner may name groups that he
 * is no member of. Written by its extended attribute, whose form is the kernel's interface (linux/posix_acl_xattr.h).
 *
 * Diagnostics: none. Depends on libc.
 */
#ifndef BASE_ACL_H
#define BASE_ACL_H

#include <sys/types.h>

#define ACL_GROUPS_MAX 8

/* 0 or -errno; -EOPNOTSUPP where the file system has no access control lists. */
int acl_allow_groups(const char *path, const gid_t *groups, int n);

#endif
