/* test_rights.c - what a peer may do, by its groups */
#include "fork_test.h"
#include "proc/rights.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRANGER  54321
#define READERS   61
#define OPERATORS 62
#define ADMINS    63

static const struct rights by_groups = {
    .group = {[CONTROL_READ] = READERS, [CONTROL_OPERATE] = OPERATORS, [CONTROL_ADMIN] = ADMINS},
    .name = {[CONTROL_READ] = "watch", [CONTROL_OPERATE] = "ops", [CONTROL_ADMIN] = "adm"},
};
static const struct rights by_nobody = {.group = {(gid_t)-1, (gid_t)-1, (gid_t)-1}};

/* The right of a user with these groups. */
static int right_of(const struct rights *r, const gid_t *groups, size_t n)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t len = sizeof(sa_family_t);
    int fd, right;
    pid_t pid;

    cr_assert_eq(bind(listener, (struct sockaddr *)&a, len), 0);
    cr_assert_eq(listen(listener, 1), 0);
    len = sizeof a;
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    pid = fork_mortal();
    if (pid == 0) {
        int s = socket(AF_UNIX, SOCK_STREAM, 0);
        if (setgroups(n, groups) != 0 || setresgid(STRANGER, STRANGER, STRANGER) != 0 ||
            setresuid(STRANGER, STRANGER, STRANGER) != 0)
            _exit(1);
        _exit(connect(s, (struct sockaddr *)&a, len) != 0);
    }
    fd = accept(listener, NULL, NULL);
    right = rights_of_peer(r, fd);
    close(fd);
    close(listener);
    waitpid(pid, NULL, 0);
    return right;
}

Test(rights, each_group_has_its_right_and_the_highest_counts)
{
    if (geteuid() != 0)
        return;
    cr_assert_eq(right_of(&by_groups, (gid_t[]){READERS}, 1), CONTROL_READ);
    cr_assert_eq(right_of(&by_groups, (gid_t[]){OPERATORS}, 1), CONTROL_OPERATE);
    cr_assert_eq(right_of(&by_groups, (gid_t[]){ADMINS}, 1), CONTROL_ADMIN);
    cr_assert_eq(right_of(&by_groups, (gid_t[]){READERS, OPERATORS}, 2), CONTROL_OPERATE);
    cr_assert_eq(right_of(&by_groups, (gid_t[]){77}, 1), RIGHTS_NONE);
    cr_assert_eq(right_of(&by_nobody, (gid_t[]){READERS, OPERATORS, ADMINS}, 3), RIGHTS_NONE);
}

Test(rights, the_own_user_has_all)
{
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert_eq(rights_of_peer(&by_nobody, pair[0]), CONTROL_ADMIN);
}

Test(rights, a_refusal_names_the_right_and_who_has_it)
{
    struct error e = {0};

    cr_assert_eq(rights_refuse(&by_groups, "breaker", CONTROL_READ, CONTROL_OPERATE, &e), -EPERM);
    cr_assert_str_eq(e.reason, "forbidden");
    cr_assert_str_eq(e.message, "\"breaker\" wants the right operate; you have read.");
    cr_assert_not_null(strstr(e.hint, "ops (control.group) or adm (control.admin_group)"), "%s", e.hint);
    cr_assert_eq(rights_refuse(&by_nobody, "stop", RIGHTS_NONE, CONTROL_ADMIN, &e), -EPERM);
    cr_assert_str_eq(e.message, "\"stop\" wants the right admin; you have none.");
    cr_assert_not_null(strstr(e.hint, "control.admin_group may name a group"), "%s", e.hint);
}

Test(rights, a_group_that_is_not_there_is_named)
{
    struct conf c = {.control_group = (char *)"root", .control_read_group = (char *)"no-such-group"};
    struct rights r;
    struct error e = {0};

    cr_assert_eq(rights_look_up(&c, &r, &e), -EINVAL);
    cr_assert_str_eq(e.message, "control.read_group: there is no group \"no-such-group\".");
    c.control_read_group = NULL;
    cr_assert_eq(rights_look_up(&c, &r, &e), 0);
    cr_assert_eq(r.group[CONTROL_OPERATE], 0);
    cr_assert_eq(r.group[CONTROL_READ], (gid_t)-1);
}

Test(rights, groups_are_listed_once)
{
    struct rights same = by_groups;
    gid_t out[CONTROL_RIGHT_MAX_];

    same.group[CONTROL_ADMIN] = OPERATORS;
    cr_assert_eq(rights_groups(&same, out), 2);
    cr_assert_eq(rights_groups(&by_nobody, out), 0);
}
