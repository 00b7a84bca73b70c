/*
 * landlock.c - see landlock.h
 *
 * The numbers are the kernel's interface; they are spelled here since the headers of the build machine may be older.
 * (Version 2 cannot forbid truncation; who has to, does it by open's flags.)
 *
 * Depends on libc.
 */
#include "base/landlock.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LL_VERSION_FLAG  1u
#define LL_RULE_BENEATH  1
#define LL_EXECUTE       (1ull << 0)
#define LL_WRITE_FILE    (1ull << 1)
#define LL_READ_FILE     (1ull << 2)
#define LL_READ_DIR      (1ull << 3)
#define LL_REMOVE_DIR    (1ull << 4)
#define LL_REMOVE_FILE   (1ull << 5)
#define LL_MAKE_DIR      (1ull << 7)
#define LL_MAKE_REG      (1ull << 8)
#define LL_MAKE_SOCK     (1ull << 9)
#define LL_MAKE_SYM      (1ull << 12)
#define LL_REFER         (1ull << 13)
#define LL_FS_2          ((1ull << 14) - 1) /* everything that version 2 knows */
#define LL_TRUNCATE      (1ull << 14)       /* version 3 */
#define LL_IOCTL_DEV     (1ull << 15)       /* version 5 */
#define LL_NET_ALL       3ull               /* version 4: bind and connect TCP */
#define LL_SCOPE_SOCKETS 1ull               /* version 6 */
#define LL_SCOPE_SIGNALS 2ull
#define LL_OF_FILES      (LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE)
#define LOADER_PATH_MAX  256

struct ll_ruleset {
    uint64_t fs, net, scoped;
};

struct ll_beneath {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

int landlock_begin(struct landlock *l, const struct landlock_also *also)
{
    struct ll_ruleset r = {.fs = LL_FS_2};
    size_t size = offsetof(struct ll_ruleset, net);
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_VERSION_FLAG);

    *l = (struct landlock){-1, (int)version};
    if (version < 0)
        return errno == ENOSYS ? -EOPNOTSUPP : -errno;
    if (version < LANDLOCK_LEAST_VERSION)
        return -EOPNOTSUPP;
    if (version >= 3)
        r.fs |= LL_TRUNCATE;
    if (version >= 4) {
        r.net = also->net ? LL_NET_ALL : 0;
        size = offsetof(struct ll_ruleset, scoped);
    }
    if (version >= 5)
        r.fs |= LL_IOCTL_DEV;
    if (version >= 6) {
        r.scoped = (also->signals ? LL_SCOPE_SIGNALS : 0) | (also->abstract ? LL_SCOPE_SOCKETS : 0);
        size = sizeof r;
    }
    l->fd = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
    return l->fd < 0 ? -errno : 0;
}

static uint64_t rights_of(const struct landlock *l, unsigned rights, bool dir)
{
    uint64_t all = 0;

    if (rights & LANDLOCK_READ)
        all |= LL_READ_FILE | LL_READ_DIR;
    if (rights & LANDLOCK_WRITE)
        all |= LL_WRITE_FILE | LL_TRUNCATE;
    if (rights & LANDLOCK_CHANGE)
        all |= LL_REMOVE_DIR | LL_REMOVE_FILE | LL_MAKE_DIR | LL_MAKE_REG | LL_MAKE_SOCK | LL_MAKE_SYM | LL_REFER;
    if (rights & LANDLOCK_EXECUTE)
        all |= LL_EXECUTE;
    if (l->version < 3)
        all &= ~LL_TRUNCATE;
    return dir ? all : all & LL_OF_FILES; /* the kernel refuses directory rights on a file */
}

int landlock_allow(struct landlock *l, const char *path, unsigned rights)
{
    struct ll_beneath r = {0};
    struct stat st;
    int rc = 0;

    r.fd = open(path, O_PATH | O_CLOEXEC);
    if (r.fd < 0)
        return -errno;
    if (fstat(r.fd, &st) < 0)
        rc = -errno;
    if (rc == 0) {
        r.allowed = rights_of(l, rights, S_ISDIR(st.st_mode));
        if (syscall(SYS_landlock_add_rule, l->fd, LL_RULE_BENEATH, &r, 0) < 0)
            rc = -errno;
    }
    close(r.fd);
    return rc;
}

int landlock_allow_if_there(struct landlock *l, const char *path, unsigned rights)
{
    int rc = path == NULL ? 0 : landlock_allow(l, path, rights);

    return rc == -ENOENT || rc == -ENOTDIR || rc == -EACCES ? 0 : rc;
}

static int read_interpreter(int fd, const Elf64_Phdr *ph, char loader[LOADER_PATH_MAX])
{
    ssize_t n = ph->p_filesz < LOADER_PATH_MAX ? pread(fd, loader, ph->p_filesz, (off_t)ph->p_offset) : -1;

    loader[n > 0 ? n : 0] = '\0';
    return n == (ssize_t)ph->p_filesz ? 0 : -ENOEXEC;
}

/* The loader's path from the ELF header; "" for a static program. */
static int find_loader(const char *program, char loader[LOADER_PATH_MAX])
{
    Elf64_Ehdr head;
    Elf64_Phdr ph;
    int rc = 0;
    int fd = open(program, O_RDONLY | O_CLOEXEC);

    loader[0] = '\0';
    if (fd < 0)
        return -errno;
    if (pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64)
        rc = -ENOEXEC;
    for (int i = 0; rc == 0 && i < head.e_phnum; i++) {
        if (pread(fd, &ph, sizeof ph, (off_t)(head.e_phoff + (size_t)i * sizeof ph)) != (ssize_t)sizeof ph) {
            rc = -ENOEXEC;
        } else if (ph.p_type == PT_INTERP) {
            rc = read_interpreter(fd, &ph, loader);
            break;
        }
    }
    close(fd);
    return rc;
}

int landlock_allow_program(struct landlock *l, const char *path)
{
    char loader[LOADER_PATH_MAX];
    int rc = find_loader(path, loader);

    if (rc == 0)
        rc = landlock_allow(l, path, LANDLOCK_READ | LANDLOCK_EXECUTE);
    if (rc == 0 && loader[0] != '\0')
        rc = landlock_allow(l, loader, LANDLOCK_READ | LANDLOCK_EXECUTE);
    return rc;
}

int landlock_enforce(struct landlock *l)
{
    int rc = syscall(SYS_landlock_restrict_self, l->fd, 0) < 0 ? -errno : 0;

    landlock_drop(l);
    return rc;
}

void landlock_drop(struct landlock *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}
