/*
 * files.c - landlock: which files the parser may read and execute
 *
 * Works from landlock's second version on (Debian 12) and takes what newer ones add: truncation, TCP, device ioctls,
 * abstract sockets and signals. (Version 2 cannot forbid truncation; calls.c does, by open's flags.) Execution is
 * granted to two files only, the command and the loader that its ELF header names.
 *
 * The numbers are the kernel's; they are spelled here since the headers of the build machine may be older.
 *
 * Depends on nothing.
 */
#include "sandbox/sandbox.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LL_LEAST_VERSION 2
#define LL_VERSION_FLAG  1u
#define LL_RULE_BENEATH  1
#define LL_EXECUTE       (1ull << 0)
#define LL_READ_FILE     (1ull << 2)
#define LL_READ_DIR      (1ull << 3)
#define LL_FS_2          ((1ull << 14) - 1) /* everything that version 2 knows */
#define LL_FS_TRUNCATE   (1ull << 14)       /* version 3 */
#define LL_FS_IOCTL_DEV  (1ull << 15)       /* version 5 */
#define LL_NET_ALL       3ull               /* version 4: bind and connect TCP */
#define LL_SCOPE_ALL     3ull               /* version 6: abstract sockets, signals */
#define LOADER_PATH_MAX  256

struct ll_ruleset {
    uint64_t fs, net, scoped;
};

struct ll_beneath {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

/* Where libraries are, on the layouts of Debian and Fedora; absent ones are skipped. */
static const char *const library_paths[] = {"/usr/lib", "/usr/lib64", "/usr/local/lib",
                                            "/lib",     "/lib64",     "/etc/ld.so.cache"};

static int rule(int set, int fd, uint64_t allowed)
{
    struct ll_beneath r = {.allowed = allowed, .fd = fd};

    return syscall(SYS_landlock_add_rule, set, LL_RULE_BENEATH, &r, 0) < 0 ? -errno : 0;
}

static int allow_path(int set, const char *path, uint64_t allowed)
{
    struct stat st;
    int rc = 0;
    int fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        rc = -errno;
    if (rc == 0) /* the kernel refuses directory rights on a file */
        rc = rule(set, fd, S_ISDIR(st.st_mode) ? allowed : allowed & ~LL_READ_DIR);
    close(fd);
    return rc;
}

static int allow_if_there(int set, const char *path, uint64_t allowed)
{
    int rc = path == NULL ? 0 : allow_path(set, path, allowed);

    return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
}

/* The loader's path from the ELF header; "" for a static program. Scripts are refused: their interpreter would be a
 * third program. */
static int find_loader(const char *command, char loader[LOADER_PATH_MAX])
{
    Elf64_Ehdr head;
    Elf64_Phdr ph;
    int rc = 0;
    int fd = open(command, O_RDONLY | O_CLOEXEC);

    loader[0] = '\0';
    if (fd < 0)
        return -errno;
    if (pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64)
        rc = -ENOEXEC;
    for (int i = 0; rc == 0 && i < head.e_phnum; i++) {
        if (pread(fd, &ph, sizeof ph, (off_t)(head.e_phoff + (size_t)i * sizeof ph)) != (ssize_t)sizeof ph)
            rc = -ENOEXEC;
        else if (ph.p_type == PT_INTERP) {
            ssize_t n = ph.p_filesz < LOADER_PATH_MAX ? pread(fd, loader, ph.p_filesz, (off_t)ph.p_offset) : -1;
            if (n != (ssize_t)ph.p_filesz)
                rc = -ENOEXEC;
            loader[n > 0 ? n : 0] = '\0';
            break;
        }
    }
    close(fd);
    return rc;
}

static int make_ruleset(void)
{
    struct ll_ruleset r = {.fs = LL_FS_2};
    size_t size = offsetof(struct ll_ruleset, net);
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_VERSION_FLAG);

    if (version < 0)
        return -errno;
    if (version < LL_LEAST_VERSION)
        return -EOPNOTSUPP;
    if (version >= 3)
        r.fs |= LL_FS_TRUNCATE;
    if (version >= 4) {
        r.net = LL_NET_ALL;
        size = offsetof(struct ll_ruleset, scoped);
    }
    if (version >= 5)
        r.fs |= LL_FS_IOCTL_DEV;
    if (version >= 6) {
        r.scoped = LL_SCOPE_ALL;
        size = sizeof r;
    }
    int set = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
    return set < 0 ? -errno : set;
}

static int add_rules(int set, const struct sandbox_profile *p, const char *command, const char **what)
{
    char loader[LOADER_PATH_MAX];
    int rc;

    *what = "read the command";
    rc = find_loader(command, loader);
    if (rc == 0)
        rc = allow_path(set, command, LL_READ_FILE | LL_EXECUTE);
    if (rc == 0 && loader[0] != '\0')
        rc = allow_path(set, loader, LL_READ_FILE | LL_EXECUTE);
    if (rc < 0)
        return rc;
    *what = "allow what the command reads";
    for (size_t i = 0; rc == 0 && i < sizeof library_paths / sizeof *library_paths; i++)
        rc = allow_if_there(set, library_paths[i], LL_READ_FILE | LL_READ_DIR);
    if (rc == 0)
        rc = allow_if_there(set, p->data_dir, LL_READ_FILE | LL_READ_DIR);
    return rc;
}

int sandbox_limit_files(const struct sandbox_profile *p, const char *command, const char **what)
{
    int set, rc;

    *what = "use landlock";
    set = make_ruleset();
    if (set < 0)
        return set;
    rc = add_rules(set, p, command, what);
    if (rc == 0) {
        *what = "enforce landlock";
        if (syscall(SYS_landlock_restrict_self, set, 0) < 0)
            rc = -errno;
    }
    close(set);
    return rc;
}
