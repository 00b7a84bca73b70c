/*
 * calls.c - seccomp: the system calls a parser may make
 *
 * An allow-list; what is not on it fails with ENOSYS, so that the C library takes its older ways. Not on it, on
 * purpose: sockets, io_uring, ptrace and process_vm_*, signals to others, fork and vfork, mounts and namespaces, bpf,
 * keys, memfd_create (what it makes could be executed past landlock), and every call that changes a file.
 *
 * Some calls are allowed for some arguments only:
 *   open, openat  read-only, neither creating nor truncating (landlock of Debian 12 cannot forbid truncation)
 *   fcntl         no F_SETOWN or F_SETSIG: they send signals to any process of the same user
 *   ioctl         TCGETS, which isatty() asks
 *   tgkill        the process itself: abort() and raise() use it
 *   prlimit64     pid 0, itself: another's limits are a way to kill it
 *   clone         threads, in profiles that may have them; clone3 hides its flags from seccomp, so it does not exist
 *   mprotect etc. any: loaders need executable pages
 *
 * Depends on nothing.
 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define OPEN_REFUSED (O_ACCMODE | O_CREAT | O_TRUNC)

static const int always[] = {
    /* reading, and writing to what is already open */
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(write), SCMP_SYS(writev),
    SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
    SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
    SCMP_SYS(fadvise64), SCMP_SYS(getdents64),
    /* looking at files; landlock decides what can be opened */
    SCMP_SYS(stat), SCMP_SYS(fstat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(access),
    SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd),
    /* memory */
    SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise),
    /* the process itself */
    SCMP_SYS(execve), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(arch_prctl), SCMP_SYS(set_tid_address),
    SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(futex), SCMP_SYS(membarrier), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid),
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getrlimit), SCMP_SYS(getrusage),
    SCMP_SYS(times), SCMP_SYS(getrandom),
    /* time, and the machine's name and size */
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(uname), SCMP_SYS(sysinfo)};

/* What the run-time system of pandoc needs for its threads and timers. */
static const int with_threads[] = {SCMP_SYS(epoll_create),   SCMP_SYS(epoll_create1),  SCMP_SYS(epoll_ctl),
                                   SCMP_SYS(epoll_wait),     SCMP_SYS(epoll_pwait),    SCMP_SYS(eventfd2),
                                   SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime)};

static int allow_all(scmp_filter_ctx f, const int *calls, size_t n)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
    return rc;
}

static int allow_fcntl(scmp_filter_ctx f)
{
    static const unsigned commands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof commands / sizeof *commands; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, commands[i]));
    return rc;
}

static int allow_some(scmp_filter_ctx f)
{
    int rc = allow_fcntl(f);

    if (rc == 0)
        rc =
            seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(open), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, OPEN_REFUSED, O_RDONLY));
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, OPEN_REFUSED, O_RDONLY));
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, TCGETS));
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff, (scmp_datum_t)getpid()));
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff, 0));
    return rc;
}

static int build(scmp_filter_ctx f, const struct sandbox_profile *p)
{
    int rc = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

    if (rc == 0)
        rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree rather than a list */
    if (rc == 0)
        rc = allow_all(f, always, sizeof always / sizeof *always);
    if (rc == 0)
        rc = allow_some(f);
    if (rc == 0 && p->threads)
        rc = allow_all(f, with_threads, sizeof with_threads / sizeof *with_threads);
    if (rc == 0 && p->threads)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, THREAD_FLAGS, THREAD_FLAGS));
    return rc;
}

int sandbox_limit_calls(const struct sandbox_profile *p, const char **what)
{
    scmp_filter_ctx f;
    int rc;

    *what = "build the system-call filter";
    f = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (f == NULL)
        return -ENOMEM;
    rc = build(f, p);
    if (rc == 0) {
        *what = "load the system-call filter";
        rc = seccomp_load(f);
    }
    seccomp_release(f);
    return rc;
}
