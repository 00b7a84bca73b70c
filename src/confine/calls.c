/*
 * calls.c - seccomp: the system calls a role may make
 *
 * Allow-lists, one table with a column of roles. What is not on a role's list fails with ENOSYS: the C libraries of
 * different releases try newer calls first and take older ways when those are absent, and a call that a library makes
 * unexpectedly shall cost an error and not the process.
 *
 * On nobody's list, on purpose: ptrace and process_vm_*, bpf, io_uring, perf, userfaultfd, keys, mounts and namespaces,
 * chroot, modules, clocks, identities, personality. What only some may do: listen (the master), accept (api), execute
 * (the master and workers), start processes (the same), send signals.
 *
 * Some calls are allowed for some arguments only:
 *   socket         Unix, IPv4 and IPv6
 *   clone          coordinator and api: threads; master and workers: whatever makes no namespace. clone3 hides its flags
 *                  from seccomp, so it does not exist.
 *   mmap, mprotect nothing writable and executable, nothing that becomes executable later
 *   kill           workers: process groups (their parsers'), and not everybody; tgkill: the process itself,
 *                  workers: not the master. (Landlock of version 6 forbids signals to all other processes.)
 *   prctl          what the start of a process and of a parser's sandbox needs
 *   ioctl          sizes and modes of what is open
 *   prlimit64      the process itself: another's limits are a way to kill it
 *
 * A worker's list contains what docmill-sandbox and the parsers need, since they inherit it; sandbox/calls.c takes most of
 * that away again.
 *
 * Depends on base, core.
 */
#include "confine/confine_int.h"

#include "core/reason.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CAW (C | A | W)

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define NEW_NAMESPACES                                                                                                 \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#define LOW_32   0xffffffffu
#define NEGATIVE 0x80000000u
#define PID_BITS 22 /* of the largest pid */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

struct call_row {
    int call;
    unsigned roles;
};

/* clang-format off */
#define ROW(name, roles) {SCMP_SYS(name), roles}
static const struct call_row calls[] = {
    /* what is open */
    ROW(read, CAW), ROW(readv, CAW), ROW(pread64, CAW), ROW(preadv, CAW), ROW(write, CAW), ROW(writev, CAW),
    ROW(pwrite64, CAW), ROW(pwritev, CAW), ROW(pwritev2, CAW), ROW(lseek, CAW), ROW(close, CAW), ROW(close_range, CAW), ROW(dup, CAW),
    ROW(dup2, CAW), ROW(dup3, CAW), ROW(pipe, CAW), ROW(pipe2, CAW), ROW(fcntl, CAW), ROW(fadvise64, CAW),
    ROW(sendfile, A), ROW(copy_file_range, A | W), ROW(ftruncate, A | W), ROW(fallocate, A | W), ROW(flock, A | W),
    ROW(fsync, A | W), ROW(fdatasync, A | W),
    /* waiting */
    ROW(poll, CAW), ROW(ppoll, CAW), ROW(select, CAW), ROW(pselect6, CAW), ROW(epoll_create, W), ROW(epoll_create1, CAW),
    ROW(epoll_ctl, CAW), ROW(epoll_wait, CAW), ROW(epoll_pwait, CAW), ROW(epoll_pwait2, CAW), ROW(eventfd2, CAW),
    ROW(timerfd_create, CAW), ROW(timerfd_settime, CAW), ROW(timerfd_gettime, CAW), ROW(signalfd4, CAW),
    ROW(timer_create, W), ROW(timer_settime, W), ROW(timer_delete, W), /* pandoc's run-time system */
    /* files; landlock decides which */
    ROW(open, CAW), ROW(openat, CAW), ROW(stat, CAW), ROW(fstat, CAW), ROW(lstat, CAW), ROW(newfstatat, CAW),
    ROW(statx, CAW), ROW(access, CAW), ROW(faccessat, CAW), ROW(faccessat2, CAW), ROW(readlink, CAW),
    ROW(readlinkat, CAW), ROW(getcwd, CAW), ROW(getdents64, CAW), ROW(statfs, CAW), ROW(fstatfs, CAW), ROW(umask, M),
    ROW(mkdir, A | W), ROW(mkdirat, A | W), ROW(rmdir, A | W), ROW(unlink, A | W), ROW(unlinkat, A | W),
    ROW(rename, A | W), ROW(renameat, A | W), ROW(renameat2, A | W), ROW(link, A | W), ROW(linkat, A | W),
    ROW(symlinkat, A | W), ROW(utimensat, A | W), ROW(chdir, W), ROW(chmod, M), ROW(fchmod, A | W), ROW(fchmodat, M), ROW(chown, M), ROW(setxattr, M),
    /* memory; mmap and mprotect below */
    ROW(brk, CAW), ROW(munmap, CAW), ROW(mremap, CAW), ROW(madvise, CAW), ROW(memfd_create, M),
    /* the process itself */
    ROW(exit, CAW), ROW(exit_group, CAW), ROW(arch_prctl, CAW), ROW(set_tid_address, CAW), ROW(set_robust_list, CAW),
    ROW(rseq, CAW), ROW(futex, CAW), ROW(membarrier, CAW), ROW(sched_yield, CAW), ROW(sched_getaffinity, CAW),
    ROW(rt_sigaction, CAW), ROW(rt_sigprocmask, CAW), ROW(rt_sigreturn, CAW), ROW(rt_sigpending, CAW),
    ROW(rt_sigtimedwait, CAW), ROW(sigaltstack, CAW), ROW(restart_syscall, CAW), ROW(getpid, CAW), ROW(gettid, CAW),
    ROW(getppid, CAW), ROW(getpgid, CAW), ROW(getpgrp, CAW), ROW(getuid, CAW), ROW(geteuid, CAW), ROW(getgid, CAW),
    ROW(getegid, CAW), ROW(getresuid, CAW), ROW(getresgid, CAW), ROW(getgroups, CAW), ROW(getrlimit, CAW),
    ROW(getrusage, CAW), ROW(times, CAW), ROW(getrandom, CAW), ROW(getcpu, CAW),
    /* time, and the machine's name and size */
    ROW(clock_gettime, CAW), ROW(clock_getres, CAW), ROW(clock_nanosleep, CAW), ROW(nanosleep, CAW),
    ROW(gettimeofday, CAW), ROW(time, CAW), ROW(uname, CAW), ROW(sysinfo, CAW),
    /* the network; socket below */
    ROW(connect, CAW), ROW(sendto, CAW), ROW(recvfrom, CAW), ROW(sendmsg, CAW), ROW(recvmsg, CAW), ROW(sendmmsg, CAW),
    ROW(recvmmsg, CAW), ROW(shutdown, CAW), ROW(getsockname, CAW), ROW(getpeername, CAW), ROW(getsockopt, CAW),
    ROW(setsockopt, CAW), ROW(socketpair, CAW), ROW(accept, A), ROW(accept4, A), ROW(bind, M), ROW(listen, M),
    /* other processes; clone, kill below */
    ROW(execve, W), ROW(execveat, M), ROW(wait4, W), ROW(waitid, W), ROW(pidfd_open, W), ROW(setpgid, W), ROW(kill, M),
    ROW(pidfd_send_signal, M), ROW(setsid, M),
    /* shutting a child or a parser in */
    ROW(landlock_create_ruleset, W), ROW(landlock_add_rule, W), ROW(landlock_restrict_self, W), ROW(seccomp, W),
};
#undef ROW

/* A prctl option; 4 is PR_SET_DUMPABLE, which may take it away only. */
static const struct call_row prctls[] = {
    {PR_SET_NAME, CAW}, {PR_GET_NAME, CAW}, {PR_SET_VMA, CAW}, {PR_GET_DUMPABLE, CAW}, {PR_SET_PDEATHSIG, W},
    {PR_SET_NO_NEW_PRIVS, W}, {PR_GET_NO_NEW_PRIVS, W}, {PR_SET_SECCOMP, W}, {PR_GET_SECCOMP, W}, {PR_SET_TIMERSLACK, W},
    {PR_CAPBSET_READ, M}, /* libcap asks while a child is loaded */
};

static const int families[] = {AF_UNIX, AF_INET, AF_INET6};
static const unsigned long ioctls[] = {TCGETS, FIONREAD, FIONBIO, FIOCLEX};
/* clang-format on */

static int allow_if(scmp_filter_ctx f, int call, unsigned argument, scmp_datum_t mask, scmp_datum_t value)
{
    struct scmp_arg_cmp cmp = {.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};

    return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, call, 1, &cmp);
}

static int allow_memory(scmp_filter_ctx f)
{
    static const int bits[] = {0, PROT_WRITE, PROT_EXEC};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof bits / sizeof *bits; i++)
        rc = allow_if(f, SCMP_SYS(mmap), 2, PROT_WRITE | PROT_EXEC, (scmp_datum_t)bits[i]);
#ifdef __aarch64__ /* the loader marks branch targets so */
    for (size_t i = 0; rc == 0 && i < sizeof bits / sizeof *bits; i++)
        rc = allow_if(f, SCMP_SYS(mprotect), 2, PROT_WRITE | PROT_EXEC, (scmp_datum_t)bits[i]);
#else
    if (rc == 0)
        rc = allow_if(f, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
#endif
    return rc;
}

/* Everything but one number, among those with this sign: whatever differs from it in one of its low bits. */
static int allow_but(scmp_filter_ctx f, int call, unsigned sign, unsigned number)
{
    int rc = 0;

    for (unsigned bit = 1; rc == 0 && bit < 1u << PID_BITS; bit <<= 1)
        rc = allow_if(f, call, 0, NEGATIVE | bit, sign | (~number & bit));
    return rc;
}

static int allow_processes(scmp_filter_ctx f, unsigned roles)
{
    int rc;

    if (roles & (M | W))
        rc = allow_if(f, SCMP_SYS(clone), 0, NEW_NAMESPACES, 0);
    else
        rc = allow_if(f, SCMP_SYS(clone), 0, THREAD_FLAGS, THREAD_FLAGS);
    if (rc == 0 && roles == W)
        rc = allow_but(f, SCMP_SYS(kill), NEGATIVE, (unsigned)-1);
    /* Whoever inherits the filter aborts by tgkill, and is not yet known. */
    if (rc == 0 && (roles & M))
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 0);
    else if (rc == 0 && roles == W)
        rc = allow_but(f, SCMP_SYS(tgkill), 0, (unsigned)getppid());
    else if (rc == 0)
        rc = allow_if(f, SCMP_SYS(tgkill), 0, LOW_32, (scmp_datum_t)getpid());
    if (rc == 0)
        rc = allow_if(f, SCMP_SYS(prlimit64), 0, LOW_32, 0);
    return rc;
}

static int allow_prctl(scmp_filter_ctx f, unsigned roles)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof prctls / sizeof *prctls; i++)
        if (prctls[i].roles & roles)
            rc = allow_if(f, SCMP_SYS(prctl), 0, LOW_32, (scmp_datum_t)prctls[i].call);
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 2,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_32, PR_SET_DUMPABLE), SCMP_A1(SCMP_CMP_EQ, 0, 0));
    return rc;
}

static int allow_some(scmp_filter_ctx f, unsigned roles)
{
    int rc = allow_memory(f);

    for (size_t i = 0; rc == 0 && i < sizeof families / sizeof *families; i++)
        rc = allow_if(f, SCMP_SYS(socket), 0, LOW_32, (scmp_datum_t)families[i]);
    for (size_t i = 0; rc == 0 && i < sizeof ioctls / sizeof *ioctls; i++)
        rc = allow_if(f, SCMP_SYS(ioctl), 1, LOW_32, ioctls[i]);
    if (rc == 0)
        rc = allow_prctl(f, roles);
    return rc == 0 ? allow_processes(f, roles) : rc;
}

static int build(scmp_filter_ctx f, unsigned roles)
{
    int rc = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

    if (rc == 0)
        rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree rather than a list */
    for (size_t i = 0; rc == 0 && i < sizeof calls / sizeof *calls; i++)
        if (calls[i].roles & roles)
            rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i].call, 0);
    return rc == 0 ? allow_some(f, roles) : rc;
}

int confine_calls(enum confine_role role, struct error *e)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int rc;

    if (f == NULL)
        return reason_error(e, REASON_os_error, ENOMEM, "out of memory");
    rc = build(f, confine_bits(role));
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    return rc == 0 ? 0 : reason_error(e, REASON_sandbox_refused, -rc, "seccomp: %s", strerror(-rc));
}
