/* test_fork.c - children of unit tests die with the test */
#include "fork_test.h"

#include <criterion/criterion.h>
#include <sys/wait.h>

Test(fork, a_child_dies_with_the_test_that_made_it, .timeout = 20)
{
    int status, ready[2];
    pid_t test, child;

    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    cr_assert_eq(pipe(ready), 0);
    test = fork_mortal();
    if (test == 0) {
        child = fork_mortal();
        if (child == 0)
            _exit(write(ready[1], &(pid_t){getpid()}, sizeof(pid_t)) < 0 || pause());
        pause();
    }
    cr_assert_eq(read(ready[0], &child, sizeof child), (ssize_t)sizeof child);
    cr_assert_eq(kill(test, SIGKILL), 0);
    cr_assert_eq(waitpid(test, &status, 0), test);
    cr_assert_eq(waitpid(child, &status, 0), child, "it came to us");
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ready[0]);
    close(ready[1]);
}
