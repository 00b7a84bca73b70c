/*
 * child.c - see child.h
 *
 * One loop over four descriptors: output, errors, the sandbox's status pipe, and the process itself. No wait is longer
 * than SLICE_MS, so that the caller beats; the wall deadline is by the monotonic clock.
 *
 * That nothing was executed is known from the status pipe, which closes without a word at a successful execve. An exit
 * status could not tell: a command can exit with any.
 *
 * Depends on base; shares the numbers of sandbox/sandbox.h by value, since it links nothing of it.
 */
#include "provider/child.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLICE_MS      100
#define READ_BYTES    65536
#define STATUS_FD     3  /* SANDBOX_STATUS_FD */
#define FIRST_SAFE_FD 10 /* above every number that the child's descriptors take */
#define CPU_SPARE_S   1
#define FIXED_ARGS    5

enum { OUT, ERR, STATUS, N_PIPES };

struct child {
    const struct child_spec *s;
    struct child_outcome *o;
    pid_t pid;
    int pid_fd;
    int input;           /* our own reading of the file: an offset of its own */
    int ours[N_PIPES];   /* ends that we read; -1 when at their end */
    int theirs[N_PIPES]; /* ends that the child gets */
    size_t room;         /* of o->out */
    size_t said_n;
    char status[400];
    size_t status_n;
    bool exited, ended; /* ended: o->end is decided, the child has to go */
    int rc;             /* our own failure */
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Away from the low numbers, so that the dup2s of the child overwrite no source. */
static int lift(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_SAFE_FD);
    int saved = errno;

    close(fd);
    errno = saved;
    return high;
}

static int open_ends(struct child *c)
{
    char path[40];
    int ends[2];

    snprintf(path, sizeof path, "/proc/self/fd/%d", c->s->input_fd);
    c->input = open(path, O_RDONLY | O_CLOEXEC);
    if (c->input < 0 || (c->input = lift(c->input)) < 0)
        return -errno;
    for (int i = 0; i < N_PIPES; i++) {
        if (pipe2(ends, O_CLOEXEC) < 0)
            return -errno;
        c->ours[i] = lift(ends[0]);
        c->theirs[i] = lift(ends[1]);
        if (c->ours[i] < 0 || c->theirs[i] < 0)
            return -errno;
        if (fcntl(c->ours[i], F_SETFL, O_NONBLOCK) < 0)
            return -errno;
    }
    return 0;
}

static void close_theirs(struct child *c)
{
    for (int i = 0; i < N_PIPES; i++)
        close_fd(&c->theirs[i]);
    close_fd(&c->input);
}

/* docmill-sandbox PROFILE PARENT_PID MEMORY_BYTES CPU_SECONDS COMMAND ARGUMENT... */
static int spawn_with(struct child *c, posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes)
{
    static char *const no_environment[] = {NULL};
    char parent[24], memory[24], cpu[24];
    const char *argv[FIXED_ARGS + 32] = {c->s->sandbox, c->s->profile, parent, memory, cpu};
    int n = FIXED_ARGS;

    snprintf(parent, sizeof parent, "%d", (int)getpid());
    snprintf(memory, sizeof memory, "%lld", (long long)c->s->max_memory);
    snprintf(cpu, sizeof cpu, "%lld", (long long)(c->s->timeout_ms / 1000 + CPU_SPARE_S));
    for (int i = 0; c->s->argv[i] != NULL; i++) {
        if (n == (int)(sizeof argv / sizeof *argv) - 1)
            return E2BIG;
        argv[n++] = c->s->argv[i];
    }
    return posix_spawn(&c->pid, c->s->sandbox, files, attributes, (char *const *)(uintptr_t)argv, no_environment);
}

/* A process group of its own, no blocked and no ignored signals. 0 or an errno. */
static int spawn(struct child *c)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int rc = posix_spawn_file_actions_init(&files);

    if (rc != 0)
        return rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc != 0) {
        posix_spawn_file_actions_destroy(&files);
        return rc;
    }
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    rc = posix_spawn_file_actions_adddup2(&files, c->input, STDIN_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, c->theirs[OUT], STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, c->theirs[ERR], STDERR_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, c->theirs[STATUS], STATUS_FD);
    if (rc == 0)
        rc = spawn_with(c, &files, &attributes);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static void end_as(struct child *c, enum child_end end)
{
    if (!c->ended)
        c->o->end = end;
    c->ended = true;
}

static void process_output(struct child *c, size_t from)
{
    struct child_outcome *o = c->o;

    if ((int64_t)o->out_len > c->s->max_output)
        end_as(c, CHILD_OUTPUT_CAP);
    if (c->s->max_pages == 0)
        return;
    for (const char *p = o->out + from, *end = o->out + o->out_len; (p = memchr(p, '\f', (size_t)(end - p))) != NULL;
         p++)
        o->pages++;
    if (o->pages > c->s->max_pages)
        end_as(c, CHILD_PAGE_CAP);
}

static ssize_t read_output(struct child *c)
{
    struct child_outcome *o = c->o;
    ssize_t got;

    if (c->room - o->out_len < READ_BYTES) {
        size_t room = c->room == 0 ? 2 * READ_BYTES : 2 * c->room;
        char *grown = realloc(o->out, room);
        if (grown == NULL) {
            errno = ENOMEM;
            return -1;
        }
        o->out = grown;
        c->room = room;
    }
    got = read(c->ours[OUT], o->out + o->out_len, READ_BYTES);
    if (got > 0) {
        o->out_len += (size_t)got;
        process_output(c, o->out_len - (size_t)got);
    }
    return got;
}

/* Keeps the last CHILD_STDERR_BYTES. */
static ssize_t read_errors(struct child *c)
{
    char piece[CHILD_STDERR_BYTES];
    ssize_t got = read(c->ours[ERR], piece, sizeof piece);
    size_t n = got > 0 ? (size_t)got : 0, keep;

    if (n == 0)
        return got;
    keep = CHILD_STDERR_BYTES - n < c->said_n ? CHILD_STDERR_BYTES - n : c->said_n;
    memmove(c->o->said, c->o->said + c->said_n - keep, keep);
    memcpy(c->o->said + keep, piece, n);
    c->said_n = keep + n;
    c->o->said[c->said_n] = '\0';
    return got;
}

static ssize_t read_status(struct child *c)
{
    size_t left = sizeof c->status - 1 - c->status_n;
    ssize_t got = left == 0 ? 0 : read(c->ours[STATUS], c->status + c->status_n, left);

    if (got > 0)
        c->status_n += (size_t)got;
    return got;
}

/* Reads what is there; closes our end at the pipe's. */
static void process_pipe(struct child *c, int which)
{
    ssize_t got;

    do {
        got = which == OUT ? read_output(c) : which == ERR ? read_errors(c) : read_status(c);
    } while ((got < 0 && errno == EINTR) || (got > 0 && c->exited && !c->ended));
    if (got < 0 && errno != EAGAIN) {
        c->rc = -errno;
        end_as(c, CHILD_CANCELLED);
    }
    if (got == 0 || (got < 0 && errno != EAGAIN))
        close_fd(&c->ours[which]);
}

static void process_time(struct child *c, int64_t deadline_ms)
{
    if (c->s->tick != NULL)
        c->s->tick(c->s->arg);
    if (c->s->cancelled != NULL && c->s->cancelled(c->s->arg))
        end_as(c, CHILD_CANCELLED);
    if (clock_ms() >= deadline_ms)
        end_as(c, CHILD_TIMEOUT);
}

/* Until the process is gone and what it wrote is read, or it has to go. */
static void supervise(struct child *c, int64_t deadline_ms)
{
    int64_t next_tick_ms = clock_ms() + SLICE_MS;

    while (!c->ended && !c->exited) {
        struct pollfd fds[N_PIPES + 1];
        int64_t now_ms = clock_ms();
        int64_t until_ms = next_tick_ms < deadline_ms ? next_tick_ms : deadline_ms;

        for (int i = 0; i < N_PIPES; i++)
            fds[i] = (struct pollfd){.fd = c->ours[i], .events = POLLIN};
        fds[N_PIPES] = (struct pollfd){.fd = c->pid_fd, .events = POLLIN};
        if (poll(fds, N_PIPES + 1, until_ms > now_ms ? (int)(until_ms - now_ms) : 0) < 0 && errno != EINTR) {
            c->rc = -errno;
            end_as(c, CHILD_CANCELLED);
            return;
        }
        c->exited = fds[N_PIPES].revents != 0;
        for (int i = 0; i < N_PIPES; i++)
            if (c->ours[i] >= 0 && (fds[i].revents != 0 || c->exited) && !c->ended)
                process_pipe(c, i);
        if (clock_ms() >= next_tick_ms || clock_ms() >= deadline_ms) {
            if (!c->exited)
                process_time(c, deadline_ms);
            next_tick_ms = clock_ms() + SLICE_MS;
        }
    }
}

static int64_t ms_of(const struct timeval *t)
{
    return (int64_t)t->tv_sec * 1000 + t->tv_usec / 1000;
}

/* The group is killed while its leader is not reaped yet, so that its number cannot be another's. */
static void reap(struct child *c)
{
    struct rusage use = {0};
    int status = 0;

    kill(-c->pid, SIGKILL);
    while (wait4(c->pid, &status, 0, &use) < 0)
        if (errno != EINTR) {
            c->rc = c->rc == 0 ? -errno : c->rc;
            break;
        }
    c->o->cpu_ms = ms_of(&use.ru_utime) + ms_of(&use.ru_stime);
    c->o->max_rss_bytes = (int64_t)use.ru_maxrss * 1024;
    if (c->ended)
        return;
    if (c->status_n > 0) {
        c->o->end = CHILD_REFUSED;
        c->o->refusal = (unsigned char)c->status[0];
        snprintf(c->o->said, sizeof c->o->said, "%s", c->status + 1);
    } else if (WIFSIGNALED(status)) {
        c->o->end = CHILD_SIGNALED;
        c->o->status = WTERMSIG(status);
    } else {
        c->o->end = CHILD_EXITED;
        c->o->status = WEXITSTATUS(status);
    }
}

static void run_started(struct child *c, int64_t deadline_ms)
{
    c->pid_fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    if (c->pid_fd < 0) {
        c->rc = -errno;
        end_as(c, CHILD_CANCELLED);
    } else {
        supervise(c, deadline_ms);
    }
    reap(c);
}

int child_run(const struct child_spec *s, struct child_outcome *o)
{
    struct child c = {.s = s, .o = o, .pid_fd = -1, .input = -1, .ours = {-1, -1, -1}, .theirs = {-1, -1, -1}};
    int64_t began_ms = clock_ms();

    *o = (struct child_outcome){0};
    c.rc = open_ends(&c);
    if (c.rc == 0) {
        int err = spawn(&c);
        close_theirs(&c);
        if (err == 0) {
            run_started(&c, began_ms + s->timeout_ms);
        } else {
            o->end = CHILD_NO_SANDBOX;
            o->status = err;
        }
    }
    close_theirs(&c);
    for (int i = 0; i < N_PIPES; i++)
        close_fd(&c.ours[i]);
    close_fd(&c.pid_fd);
    o->took_ms = clock_ms() - began_ms;
    if (c.rc < 0) {
        free(o->out);
        *o = (struct child_outcome){0};
    }
    return c.rc;
}
