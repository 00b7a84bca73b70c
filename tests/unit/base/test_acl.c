/* test_acl.c - a file for several groups */
#include "base/acl.h"
#include "fork_test.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRANGER 54321

static bool opens(const char *path, gid_t group)
{
    int status = 1;
    pid_t pid = fork_mortal();

    if (pid == 0) {
        if (setgroups(1, &group) != 0 || setresgid(STRANGER, STRANGER, STRANGER) != 0 ||
            setresuid(STRANGER, STRANGER, STRANGER) != 0)
            _exit(2);
        _exit(open(path, O_RDWR | O_CLOEXEC) < 0);
    }
    waitpid(pid, &status, 0);
    return status == 0;
}

Test(acl, the_named_groups_may_and_nobody_else)
{
    char path[] = "/tmp/acl-XXXXXX";
    int fd = mkstemp(path);
    int bad = acl_allow_groups(path, (gid_t[]){300, 100, 200}, 3);

    cr_assert_geq(fd, 0);
    cr_assert(bad == 0 || bad == -EOPNOTSUPP, "%d", bad);
    if (bad == 0 && geteuid() == 0) {
        cr_assert(opens(path, 100));
        cr_assert(opens(path, 200));
        cr_assert(opens(path, 300));
        cr_assert_not(opens(path, 400));
    }
    unlink(path);
}

Test(acl, what_is_not_there_and_too_many_groups_are_errors)
{
    gid_t many[ACL_GROUPS_MAX + 1] = {0};

    cr_assert_eq(acl_allow_groups("/no/such/file", many, 1), -ENOENT);
    cr_assert_eq(acl_allow_groups("/tmp", many, ACL_GROUPS_MAX + 1), -EINVAL);
}
