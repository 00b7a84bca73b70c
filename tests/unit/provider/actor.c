/*
 * actor.c - plays a parser in the tests: well, badly, or on the attack
 *
 * The part is the name it is called by, since a parser's arguments are fixed: the tests make symbolic links to it.
 * Built without sanitizers, as it lives under a limited address space.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int play_hang(void)
{
    signal(SIGTERM, SIG_IGN);
    printf("begun\n");
    fflush(stdout);
    while (sleep(1000) == 0)
        ;
    return 0;
}

/* Ends what it says, but not itself. */
static int play_linger(void)
{
    printf("all said\n");
    fflush(stdout);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    return play_hang();
}

static int play_spin(void)
{
    for (volatile unsigned n = 1; n != 0; n |= 1)
        ;
    return 0;
}

static int play_memory(void)
{
    for (;;) {
        char *p = malloc(1 << 20);
        if (p == NULL) {
            fprintf(stderr, "Out of memory\n");
            return 1;
        }
        memset(p, 1, 1 << 20);
    }
}

static int play_output(void)
{
    static char block[65536];

    memset(block, 'x', sizeof block);
    while (write(STDOUT_FILENO, block, sizeof block) > 0)
        ;
    return 0;
}

static int play_pages(void)
{
    while (printf("page\f") > 0)
        ;
    return 0;
}

static int play_crash(void)
{
    raise(SIGSEGV);
    return 0;
}

static int play_abort(void)
{
    abort();
}

static int play_killed(void)
{
    return raise(SIGKILL);
}

/* What a wrongly believed exit status or message would turn into "not the file's fault". */
static int play_pretend(void)
{
    if (write(3, "Rforged\n", 8) > 0)
        printf("descriptor 3 is open\n");
    fprintf(stderr, "Rcannot use landlock: Operation not supported\n");
    return 125;
}

static int play_noise(void)
{
    for (int i = 0; i < 100000; i++)
        fprintf(stderr, "Syntax Warning: line %d of a great many\n", i);
    printf("quiet at last\n");
    return 0;
}

static int play_echo(void)
{
    char block[4096];
    ssize_t n;

    while ((n = read(STDIN_FILENO, block, sizeof block)) > 0)
        if (write(STDOUT_FILENO, block, (size_t)n) != n)
            return 1;
    return 0;
}

static int play_look(void)
{
    extern char **environ;
    int open_fds = 0;

    for (int fd = 0; fd < 64; fd++)
        open_fds += fcntl(fd, F_GETFD) >= 0;
    printf("descriptors %d\n", open_fds);
    for (char **e = environ; *e != NULL; e++)
        printf("%s\n", *e);
    return 0;
}

static void report(const char *what, long rc)
{
    printf("%s %s\n", rc < 0 ? "refused" : "DONE", what);
    fflush(stdout);
}

/* Refused by the system-call filter itself: what landlock or the kernel refuse as well must not hide a hole in it. */
static void report_call(const char *what, long rc)
{
    int by = errno;

    printf("%s %s (%s)\n", rc < 0 && by == ENOSYS ? "refused" : "DONE", what, rc < 0 ? strerror(by) : "success");
    fflush(stdout);
}

static void try_files(void)
{
    report("read /etc/passwd", open("/etc/passwd", O_RDONLY));
    report("read /proc/self/status", open("/proc/self/status", O_RDONLY));
    report("read /proc/PARENT/environ", open("/proc/self/../1/environ", O_RDONLY));
    report("list /", open("/", O_RDONLY | O_DIRECTORY));
    report("list /tmp", open("/tmp", O_RDONLY | O_DIRECTORY));
    report_call("write /tmp", open("/tmp/docmill-actor-was-here", O_WRONLY | O_CREAT, 0600));
    report_call("write /dev/shm", open("/dev/shm/docmill-actor-was-here", O_WRONLY | O_CREAT, 0600));
    report_call("write own program", open("/proc/self/exe", O_WRONLY));
    report_call("truncate by open", open("/etc/ld.so.cache", O_RDONLY | O_TRUNC));
    report_call("truncate", truncate("/etc/ld.so.cache", 0));
    report_call("mkdir", mkdir("/tmp/docmill-actor-was-here", 0700));
    report_call("unlink", unlink("/tmp/docmill-actor-was-here"));
    report_call("symlink", symlink("/etc/passwd", "/tmp/docmill-actor-was-here"));
    report_call("chmod", chmod("/tmp", 01777));
    report_call("memfd", memfd_create("x", 0));
}

static void try_network(void)
{
    report_call("socket inet", socket(AF_INET, SOCK_STREAM, 0));
    report_call("socket unix", socket(AF_UNIX, SOCK_STREAM, 0));
    report_call("socket netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    int pair[2];
    report_call("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    struct io_uring_params ring = {0};
    report_call("io_uring", syscall(SYS_io_uring_setup, 4, &ring));
}

static void try_others(pid_t parent)
{
    struct rlimit old;
    struct rlimit tight = {0, 0};
    char byte;
    struct iovec mine = {&byte, 1}, theirs = {(void *)report, 1};

    report_call("kill parent", kill(parent, 0));
    report_call("kill group", kill(0, 0));
    report_call("tgkill parent", syscall(SYS_tgkill, parent, parent, 0));
    report_call("tkill parent", syscall(SYS_tkill, parent, 0));
    siginfo_t info = {.si_code = SI_QUEUE};
    report_call("sigqueue parent", syscall(SYS_rt_sigqueueinfo, parent, SIGUSR1, &info));
    report_call("pidfd_open parent", syscall(SYS_pidfd_open, parent, 0));
    int ends[2];
    if (pipe(ends) == 0) {
        report_call("F_SETOWN parent", fcntl(ends[0], F_SETOWN, parent));
        report_call("F_SETSIG", fcntl(ends[0], F_SETSIG, SIGKILL));
    }
    report_call("ptrace", ptrace(PTRACE_ATTACH, parent, NULL, NULL));
    report_call("ptrace me", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    report_call("process_vm_readv", process_vm_readv(parent, &mine, 1, &theirs, 1, 0));
    report_call("process_vm_writev", process_vm_writev(parent, &mine, 1, &theirs, 1, 0));
    report_call("prlimit parent", prlimit(parent, RLIMIT_CPU, NULL, &old));
    report_call("prlimit parent tighter", prlimit(parent, RLIMIT_NOFILE, &tight, NULL));
    report_call("setpriority parent", setpriority(PRIO_PROCESS, (id_t)parent, 19));
    struct sched_param param = {0};
    report_call("sched_setscheduler parent", sched_setscheduler(parent, SCHED_IDLE, &param));
}

/* fork() and its kin; a child that was made ends at once. */
static void try_processes(void)
{
    static char *const args[] = {"true", NULL};
    long pid = syscall(SYS_fork);

    if (pid == 0)
        _exit(0);
    report_call("fork", pid);
    pid = syscall(SYS_vfork);
    if (pid == 0)
        _exit(0);
    report_call("vfork", pid);
    pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    report_call("clone", pid);
    unsigned long long args3[8] = {[4] = SIGCHLD};
    pid = syscall(SYS_clone3, args3, sizeof args3);
    if (pid == 0)
        _exit(0);
    report_call("clone3", pid);
    report_call("unshare", unshare(CLONE_NEWUSER));
    report("execve sh", execve("/bin/sh", args, NULL));
    report("execve true", execve("/bin/true", args, NULL));
}

static void try_kernel(void)
{
    static char attr[120];

    report_call("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
    report_call("umount", umount2("/proc", MNT_DETACH));
    report_call("chroot", chroot("/tmp"));
    report_call("bpf", syscall(SYS_bpf, 0, attr, sizeof attr));
    report_call("perf_event_open", syscall(SYS_perf_event_open, attr, 0, -1, -1, 0));
    report_call("userfaultfd", syscall(SYS_userfaultfd, 0));
    report_call("keyctl", syscall(SYS_keyctl, 0, -3, 0, 0, 0));
    report_call("add_key", syscall(SYS_add_key, "user", "x", "y", 1, -3));
    report_call("seccomp", syscall(SYS_seccomp, 0, 0, NULL));
    report_call("setuid", setuid(0));
    report_call("personality", syscall(SYS_personality, 0xffffffff));
    report_call("prctl dumpable", prctl(PR_SET_DUMPABLE, 1));
    report_call("prctl pdeathsig", prctl(PR_SET_PDEATHSIG, 0));
    report_call("name_to_handle_at", syscall(SYS_name_to_handle_at, AT_FDCWD, "/", attr, attr, 0));
    report_call("inotify", syscall(SYS_inotify_init1, 0));
    report_call("shmget", syscall(SYS_shmget, 0, 4096, 0600));
}

static int play_attack(void)
{
    try_files();
    try_network();
    try_others(getppid());
    try_processes();
    try_kernel();
    return 0;
}

static const struct {
    const char *name;
    int (*play)(void);
} parts[] = {{"hang", play_hang},     {"linger", play_linger},   {"spin", play_spin},   {"memory", play_memory},
             {"output", play_output}, {"pages", play_pages},     {"crash", play_crash}, {"abort", play_abort},
             {"killed", play_killed}, {"pretend", play_pretend}, {"noise", play_noise}, {"echo", play_echo},
             {"look", play_look},     {"attack", play_attack}};

int main(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;

    for (size_t i = 0; slash != NULL && i < sizeof parts / sizeof *parts; i++)
        if (strcmp(slash + 1, parts[i].name) == 0)
            return parts[i].play();
    return 99;
}
