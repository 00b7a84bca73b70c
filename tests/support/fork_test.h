/*
 * fork_test.h - children of unit tests, which die with the test
 *
 * A test that is killed (its time is over, somebody stops the suite) reaps nobody; a child that works in a loop would
 * then work for ever.
 */
#ifndef FORK_TEST_H
#define FORK_TEST_H

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* As fork(). To be called from the thread that lives as long as the test: the first. */
static inline pid_t fork_mortal(void)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent))
        _exit(127);
    return pid;
}

#endif
