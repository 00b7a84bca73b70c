/* test_peer.c - who is at the other end */
#include "base/peer.h"
#include "fork_test.h"

#include <criterion/criterion.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRANGER       54321
#define STRANGER_GROUP 54321
#define MANY_GROUPS    1000

/* The server's end of a connection whose other end was made by uid, with these groups. */
static int connect_with(uid_t uid, gid_t primary, const gid_t *further, size_t n_further)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t n = sizeof(sa_family_t); /* an abstract name of the kernel's choice */
    int fd;
    pid_t pid;

    cr_assert_eq(bind(listener, (struct sockaddr *)&a, n), 0);
    cr_assert_eq(listen(listener, 1), 0);
    n = sizeof a;
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&a, &n), 0);
    pid = fork_mortal();
    if (pid == 0) {
        int s = socket(AF_UNIX, SOCK_STREAM, 0);
        if (setgroups(n_further, further) != 0 || setresgid(primary, primary, primary) != 0 ||
            setresuid(uid, uid, uid) != 0)
            _exit(1);
        _exit(connect(s, (struct sockaddr *)&a, n) != 0);
    }
    fd = accept(listener, NULL, NULL);
    close(listener);
    waitpid(pid, NULL, 0);
    cr_assert_geq(fd, 0);
    return fd;
}

static int connect_as(uid_t uid, gid_t primary, gid_t further)
{
    return connect_with(uid, primary, &further, 1);
}

Test(peer, root_and_the_own_user_own_and_a_stranger_does_not)
{
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert(peer_is_owner(pair[0]));
    if (geteuid() != 0)
        return;
    cr_assert_not(peer_is_owner(connect_as(STRANGER, STRANGER_GROUP, STRANGER_GROUP)));
}

Test(peer, groups_are_the_primary_and_the_further_ones)
{
    if (geteuid() != 0)
        return;
    cr_assert(peer_in_group(connect_as(STRANGER, 1, STRANGER_GROUP), 1));
    cr_assert(peer_in_group(connect_as(STRANGER, STRANGER_GROUP, 1), 1));
    cr_assert_not(peer_in_group(connect_as(STRANGER, STRANGER_GROUP, STRANGER_GROUP), 1));
    cr_assert_not(peer_in_group(connect_as(STRANGER, STRANGER_GROUP, STRANGER_GROUP), (gid_t)-1));
}

Test(peer, groups_are_found_among_very_many)
{
    gid_t many[MANY_GROUPS];
    int fd;

    if (geteuid() != 0)
        return;
    for (int i = 0; i < MANY_GROUPS; i++)
        many[i] = (gid_t)(1000 + i);
    fd = connect_with(STRANGER, STRANGER_GROUP, many, MANY_GROUPS);
    cr_assert(peer_in_group(fd, 1000 + MANY_GROUPS - 1));
    cr_assert_not(peer_in_group(fd, 1000 + MANY_GROUPS));
}

Test(peer, a_group_that_is_not_there_has_no_number)
{
    cr_assert_eq(peer_group("no-such-group"), (gid_t)-1);
    cr_assert_eq(peer_group(NULL), (gid_t)-1);
    cr_assert_eq(peer_group("root"), 0);
}

Test(peer, nobody_is_anybody_over_anything_but_a_unix_socket)
{
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    int pipes[2];
    uid_t uid = 77;

    cr_assert_not(peer_is_owner(tcp));
    cr_assert_not(peer_credentials(tcp, &uid, NULL, NULL));
    cr_assert_eq(uid, 77);
    cr_assert_eq(pipe(pipes), 0);
    cr_assert_not(peer_is_owner(pipes[0]));
    cr_assert_not(peer_in_group(pipes[0], 0));
}
