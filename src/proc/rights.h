/*
 * rights.h - who may do what over the Unix sockets of run_dir
 *
 * Root and the daemon's own user have every right. Others have those of their groups: control.read_group,
 * control.group and control.admin_group give read, operate and admin, and each includes those before it. What a right
 * is needed for stands beside each verb (CONTROL_VERBS). The groups' numbers are looked up once, since a directory may
 * take its time; whose groups a peer has, the kernel says.
 *
 * Depends on base, core, proc/control.
 */
#ifndef PROC_RIGHTS_H
#define PROC_RIGHTS_H

#include "base/error.h"
#include "core/conf.h"
#include "proc/control.h"

#include <sys/types.h>

#define RIGHTS_NONE (-1)

struct rights {
    gid_t group[CONTROL_RIGHT_MAX_]; /* (gid_t)-1: no group has it */
    char name[CONTROL_RIGHT_MAX_][65];
};

/* start_failed if a group that the configuration names is not there; *r then gives nobody more than before. */
int rights_look_up(const struct conf *c, struct rights *r, struct error *e) MUST_CHECK;
/* The highest right that the peer of a connected socket has, or RIGHTS_NONE. */
int rights_of_peer(const struct rights *r, int fd);
/* Says that verb wants a right that is more than have, and who has it. Returns -EPERM. */
int rights_refuse(const struct rights *r, const char *verb, int have, enum control_right wanted, struct error *e);
/* The numbers of the groups that have any right, each once; how many. */
int rights_groups(const struct rights *r, gid_t out[CONTROL_RIGHT_MAX_]);

#endif
