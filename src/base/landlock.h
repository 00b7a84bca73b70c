/*
 * landlock.h - which files a process may touch: the kernel's landlock, from its second version on (Debian 12)
 *
 * begin, allow..., enforce; or begin, allow..., drop. What newer versions add is taken as it comes: truncation, device
 * ioctls, signals to processes outside. A rule names a file or a directory with all that is below it. Rights that are
 * enforced hold for the calling thread, its later children and whatever they execute, and can only become fewer.
 *
 * Functions return 0 or a negative errno. Depends on libc.
 */
#ifndef BASE_LANDLOCK_H
#define BASE_LANDLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define LANDLOCK_LEAST_VERSION 2

/* What a rule may allow. */
enum landlock_right {
    LANDLOCK_READ = 1,  /* files and directories */
    LANDLOCK_WRITE = 2, /* existing files, truncation too */
    LANDLOCK_CHANGE =
        4, /* make and remove files, directories, sockets and symbolic links; rename and link among them */
    LANDLOCK_EXECUTE = 8
};

struct landlock {
    int fd, version;
};

/* *net: TCP is forbidden altogether, from version 4 on. *scoped: so are signals to and abstract sockets of processes
 * outside, from version 6 on. -EOPNOTSUPP: the kernel's landlock is too old, or there is none. */
struct landlock_also {
    bool net, signals, abstract;
};
int landlock_begin(struct landlock *l, const struct landlock_also *also);
int landlock_allow(struct landlock *l, const char *path, unsigned rights);
int landlock_allow_if_there(struct landlock *l, const char *path, unsigned rights); /* NULL, or absent: 0 */
/* A program may be executed: it, and the loader that its ELF header names. Scripts are refused (-ENOEXEC): their
 * interpreter would be a third program. */
int landlock_allow_program(struct landlock *l, const char *path);
int landlock_enforce(struct landlock *l); /* wants no-new-privileges; closes l */
void landlock_drop(struct landlock *l);

#endif
