/*
 * conf_reader.c - see conf_reader.h
 *
 * The helper is forked, not exec'd: it needs the running configuration to compare with, and the environment that the
 * daemon was started in. It closes everything else first, allocates freely (the master has no threads), and answers by
 * a verdict of fixed size in one memfd and the configuration, sealed, in the other. The master believes the verdict's
 * bytes as far as they are text that ends, and the configuration as far as conf_import() does.
 *
 * Diagnostics (as struct error): what conf_load_next() says, file:line included; control_timeout (it took too long);
 * start_failed (no helper, or it died).
 *
 * Depends on base, core, libsystemd.
 */
#include "master/conf_reader.h"

#include "base/clock.h"
#include "base/hmac.h"
#include "core/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#define VERDICT_MAGIC 0x646d7264u

struct verdict {
    uint32_t magic;
    int32_t good;
    uint8_t digest[SHA256_BYTES];
    struct error error; /* plain bytes, arrays of text */
};

struct conf_reader {
    sd_event *event;
    struct conf_reader_job job;
    pid_t pid; /* 0: none */
    int pidfd, verdict_fd, conf_fd;
    bool answered; /* done() was called: the helper is only waited for */
    sd_event_source *exit_source, *timer;
};

/* ---- the helper ---- */

/* The digest is over what is exported: every value that a process of the daemon sees, and nothing else. */
static bool digest_of(int fd, const uint8_t key[CONF_READER_KEY_BYTES], uint8_t out[SHA256_BYTES])
{
    struct stat st;
    struct hmac_piece piece;
    void *p;
    bool good;

    if (fstat(fd, &st) != 0 || st.st_size <= 0)
        return false;
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return false;
    piece = (struct hmac_piece){p, (size_t)st.st_size};
    good = hmac_sha256(key, CONF_READER_KEY_BYTES, &piece, 1, out);
    munmap(p, (size_t)st.st_size);
    return good;
}

static void close_others(int a, int b)
{
    unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);

    if (low > 3)
        syscall(SYS_close_range, 3u, low - 1, 0);
    if (high > low + 1)
        syscall(SYS_close_range, low + 1, high - 1, 0);
    syscall(SYS_close_range, high + 1, ~0u, 0);
}

static _Noreturn void be_helper(const struct conf_reader *r, pid_t master)
{
    static struct verdict v;
    struct conf *c;
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != master)
        _exit(70);
    prctl(PR_SET_NAME, "docmill-conf");
    for (int sig = 1; sig < SIGRTMIN; sig++)
        signal(sig, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    close_others(r->verdict_fd, r->conf_fd);
    c = r->job.load(NULL, r->job.path, r->job.running, &v.error);
    v.good = c != NULL && conf_export_into(c, CR_ALL, r->conf_fd, &v.error) == 0;
    if (v.good && !digest_of(r->conf_fd, r->job.key, v.digest)) {
        v.good = false;
        (void)reason_error(&v.error, REASON_internal, EIO, "the configuration's digest could not be made");
    }
    v.magic = VERDICT_MAGIC;
    _exit(pwrite(r->verdict_fd, &v, sizeof v, 0) == (ssize_t)sizeof v ? 0 : 71);
}

/* ---- the master ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void forget(struct conf_reader *r)
{
    r->exit_source = sd_event_source_disable_unref(r->exit_source);
    r->timer = sd_event_source_disable_unref(r->timer);
    close_fd(&r->pidfd);
    close_fd(&r->verdict_fd);
    close_fd(&r->conf_fd);
    r->pid = 0;
}

static void answer(struct conf_reader *r, const struct conf_reading *reading)
{
    if (r->answered)
        return;
    r->answered = true;
    r->job.done(r->job.arg, reading);
}

static void read_answer(struct conf_reader *r, int status, struct conf_reading *out)
{
    struct verdict v;

    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || pread(r->verdict_fd, &v, sizeof v, 0) != (ssize_t)sizeof v ||
        v.magic != VERDICT_MAGIC) {
        (void)reason_error(
            &out->error, REASON_start_failed, EIO, "The helper that reads the configuration died (%s %d).",
            WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        return;
    }
    memcpy(out->digest, v.digest, sizeof out->digest);
    if (v.good == 1) {
        out->conf = conf_import(r, r->conf_fd, &out->error);
        return;
    }
    v.error.message[sizeof v.error.message - 1] = v.error.hint[sizeof v.error.hint - 1] = '\0';
    v.error.reason[sizeof v.error.reason - 1] = '\0';
    out->error = v.error;
    if (out->error.code == 0)
        (void)reason_error(&out->error, REASON_internal, EIO, "The configuration was refused without a reason.");
}

static int handle_exit(sd_event_source *src, int fd, uint32_t events, void *arg)
{
    struct conf_reader *r = arg;
    struct conf_reading reading = {0};
    int status;

    (void)src;
    (void)fd;
    (void)events;
    if (waitpid(r->pid, &status, WNOHANG) != r->pid)
        return 0;
    if (!r->answered)
        read_answer(r, status, &reading);
    forget(r);
    answer(r, &reading);
    return 0;
}

/* A helper in a system call that does not end is not gone after a kill; it is waited for beside the loop. */
static int handle_late(sd_event_source *src, uint64_t due_us, void *arg)
{
    struct conf_reader *r = arg;
    struct conf_reading reading = {0};

    (void)src;
    (void)due_us;
    kill(r->pid, SIGKILL);
    (void)reason_error(&reading.error, REASON_control_timeout, ETIMEDOUT,
                       "The configuration %s could not be read within %lld ms.", r->job.path,
                       (long long)r->job.limit_ms);
    error_hint(&reading.error, "Does it, a file that it includes, or a secret's file lie on a file system that hangs?");
    answer(r, &reading);
    return 0;
}

static int destroy(struct conf_reader *r)
{
    if (r->pid != 0)
        kill(r->pid, SIGKILL); /* its end is its parent's business no more: it cannot be waited for here */
    forget(r);
    return 0;
}

struct conf_reader *conf_reader_new(const void *talloc_parent, sd_event *event)
{
    struct conf_reader *r = talloc_zero(talloc_parent, struct conf_reader);

    if (r == NULL)
        abort();
    r->event = event;
    r->pidfd = r->verdict_fd = r->conf_fd = -1;
    talloc_set_destructor(r, destroy);
    return r;
}

bool conf_reader_is_busy(const struct conf_reader *r)
{
    return r->pid != 0;
}

static int fork_helper(struct conf_reader *r)
{
    pid_t master = getpid(), pid = fork();

    if (pid == 0)
        be_helper(r, master);
    if (pid < 0)
        return -errno;
    r->pid = pid;
    r->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    return r->pidfd >= 0 ? 0 : -errno;
}

static int watch(struct conf_reader *r)
{
    int rc = sd_event_add_io(r->event, &r->exit_source, r->pidfd, EPOLLIN, handle_exit, r);

    if (rc >= 0)
        rc = sd_event_add_time(r->event, &r->timer, CLOCK_MONOTONIC, (uint64_t)(clock_ms() + r->job.limit_ms) * 1000,
                               1000, handle_late, r);
    return rc < 0 ? rc : 0;
}

int conf_reader_start(struct conf_reader *r, const struct conf_reader_job *job, struct error *e)
{
    int rc = 0;

    if (r->pid != 0)
        return reason_error(e, REASON_conflict, EBUSY, "The helper that read the configuration before still hangs.");
    r->job = *job;
    r->answered = false;
    r->verdict_fd = memfd_create("docmill-verdict", MFD_CLOEXEC);
    r->conf_fd = memfd_create("docmill-conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (r->verdict_fd < 0 || r->conf_fd < 0)
        rc = -errno;
    if (rc == 0)
        rc = fork_helper(r);
    if (rc == 0)
        rc = watch(r);
    if (rc == 0)
        return 0;
    if (r->pid != 0) {
        kill(r->pid, SIGKILL);
        while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR) /* it is dying: not for long */
            ;
    }
    forget(r);
    return reason_error(e, REASON_start_failed, -rc, "The configuration cannot be read: %s", strerror(-rc));
}
