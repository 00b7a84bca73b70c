/*
 * spawn.c - fork and exec of one child
 *
 * A child is exec'd from the executable that the master holds open, with exactly the descriptors and the environment it
 * may have: 3 the channel, 4 its configuration, 5 the scoreboard, 6 the services, from 7 on listening sockets. Everything that can fail
 * or allocate is done before fork; between fork and exec only async-signal-safe calls are made.
 *
 * Diagnostics (as struct error): start_failed. In the child, after fork: exit status 127, with a line on stderr.
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/clock.h"
#include "core/reason.h"
#include "proc/child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#define MAX_FDS (4 + CHILD_MAX_LISTEN)
#define MAX_ENV 64

/* What a child inherits of our environment; secrets that we were given by it stay here. */
/* clang-format off */
static const char *const env_passed[] = {
    "PATH", "HOME", "TZ", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "PGPASSFILE", "PGSYSCONFDIR", "PGSERVICEFILE",
    "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "SSL_CERT_FILE", "SSL_CERT_DIR", "ASAN_OPTIONS", "LSAN_OPTIONS",
    "UBSAN_OPTIONS", "GCOV_PREFIX", "GCOV_PREFIX_STRIP", "JOURNAL_STREAM",
};
/* clang-format on */

static const unsigned conf_roles[] = {[POOL_COORDINATOR] = CR_COORD, [POOL_API] = CR_API, [POOL_WORKER] = CR_WORKER};

struct launch {
    char *argv[5];
    char *envp[MAX_ENV];
    int n_env;
    int fds[MAX_FDS]; /* to become 3, 4, 5, ... */
    int n_fds;
    int exe_fd;
    pid_t master;
};

static void env_add(struct launch *l, char *text)
{
    if (text != NULL && l->n_env < MAX_ENV - 1)
        l->envp[l->n_env++] = text;
}

static void build_env(struct launch *l, const struct master *m, const struct child_slot *s, const char *listening)
{
    for (size_t i = 0; i < sizeof env_passed / sizeof env_passed[0]; i++) {
        const char *v = getenv(env_passed[i]);
        if (v != NULL)
            env_add(l, talloc_asprintf(l, "%s=%s", env_passed[i], v));
    }
    env_add(l, talloc_asprintf(l, "DOCMILL_SLOT=%d", s->index));
    env_add(l, talloc_asprintf(l, "DOCMILL_SERIAL=%" PRId64, s->serial));
    env_add(l, talloc_asprintf(l, "DOCMILL_POOL=%d", s->pool));
    env_add(l, talloc_asprintf(l, "DOCMILL_INCARNATION=%" PRId64, m->incarnation));
    env_add(l, talloc_asprintf(l, "DOCMILL_MASTER_PID=%d", (int)getpid()));
    env_add(l, talloc_asprintf(l, "DOCMILL_LISTEN=%s", listening));
}

static void build_argv(struct launch *l, const struct master *m, const struct child_slot *s)
{
    const struct pool_conf *p = &m->conf->pools[s->pool];

    l->argv[0] = talloc_strdup(l, "docmilld");
    l->argv[1] = talloc_strdup(l, "--child");
    l->argv[2] = talloc_strdup(l, conf_pool_role_name(p->role));
    l->argv[3] = talloc_asprintf(l, "%s/%d", p->name, s->number); /* for ps */
}

/* The new child's side of things. Never returns. */
static _Noreturn void become_child(const struct launch *l)
{
    static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGPIPE};
    static const char complaint[] = "docmilld: a child could not be exec'd\n";
    sigset_t none;
    int high[MAX_FDS];
    int exe = fcntl(l->exe_fd, F_DUPFD_CLOEXEC, 3 + 2 * MAX_FDS);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != l->master)
        _exit(70);
    for (int sig = 1; sig < SIGRTMIN; sig++)
        signal(sig, SIG_DFL);
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* First out of the way, then into place: a source may sit where a target belongs. */
    for (int i = 0; i < l->n_fds; i++)
        high[i] = fcntl(l->fds[i], F_DUPFD_CLOEXEC, 3 + MAX_FDS);
    for (int i = 0; i < l->n_fds; i++)
        if (high[i] < 0 || dup2(high[i], 3 + i) < 0)
            _exit(127);
    syscall(SYS_close_range, 3 + l->n_fds, ~0u, CLOSE_RANGE_CLOEXEC);
    syscall(SYS_execveat, exe, "", l->argv, l->envp, AT_EMPTY_PATH);
    if (write(STDERR_FILENO, complaint, sizeof complaint - 1) < 0)
        _exit(126);
    _exit(127);
}

static int open_pidfd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int launch_child(struct launch *l, struct child_slot *s, struct error *e)
{
    pid_t pid = fork();

    if (pid < 0)
        return reason_error(e, REASON_start_failed, errno, "fork: %s", strerror(errno));
    if (pid == 0)
        become_child(l);
    s->pidfd = open_pidfd(pid);
    if (s->pidfd < 0) {
        int err = errno;
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) /* it is dying: not for long */
            ;
        return reason_error(e, REASON_start_failed, err, "pidfd_open: %s", strerror(err));
    }
    s->pid = pid;
    return 0;
}

int spawn_child(struct master *m, struct child_slot *s, struct error *e)
{
    const struct pool_conf *p = &m->conf->pools[s->pool];
    struct launch *l = talloc_zero(NULL, struct launch);
    const char *listening = "";
    int pair[2] = {-1, -1}, conf_fd, r = 0;

    if (l == NULL)
        return reason_error(e, REASON_os_error, ENOMEM, "out of memory");
    conf_fd = conf_export(reload_conf_of(m, s, &s->generation), conf_roles[p->role], e);
    if (conf_fd < 0)
        r = conf_fd;
    else if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        r = reason_error(e, REASON_start_failed, errno, "socketpair: %s", strerror(errno));
    if (r == 0) {
        s->serial = m->next_serial++;
        l->exe_fd = m->exe_fd;
        l->master = getpid();
        l->fds[l->n_fds++] = pair[1];
        l->fds[l->n_fds++] = conf_fd;
        l->fds[l->n_fds++] = scoreboard_fd(m->board);
        l->fds[l->n_fds++] = services_fd(m->services);
        if (p->role == POOL_API && s->listen_tcp >= 0)
            l->fds[l->n_fds++] = s->listen_tcp;
        if (p->role == POOL_API && m->listen_unix >= 0)
            l->fds[l->n_fds++] = m->listen_unix;
        if (p->role == POOL_API)
            listening = s->listen_tcp >= 0 && m->listen_unix >= 0 ? "tcp,unix"
                        : s->listen_tcp >= 0                      ? "tcp"
                        : m->listen_unix >= 0                     ? "unix"
                                                                  : "";
        build_argv(l, m, s);
        build_env(l, m, s, listening);
        scoreboard_reset(m->board, s->index, s->pool);
        r = launch_child(l, s, e);
    }
    if (r == 0) {
        s->channel = pair[0];
        pair[0] = -1;
    }
    close_fd(&conf_fd);
    close_fd(&pair[0]);
    close_fd(&pair[1]);
    talloc_free(l);
    return r;
}
