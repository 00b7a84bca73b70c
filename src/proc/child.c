/*
 * child.c - see child.h
 *
 * Runs before anything else in a role: no library handle is open yet. What the master handed over is checked, not
 * trusted: a wrong descriptor or a missing variable is named and ends the child, never guessed.
 *
 * Diagnostics
 *   fatal   started by hand, a descriptor that is not what it should be, a configuration that cannot be read
 *   exits   silently (70) when the master died before the death signal was set: nobody is left to be told
 *
 * Depends on base, core, confine.
 */
#include "proc/child.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/oom.h"
#include "confine/confine.h"
#include "core/reason.h"
#include "proc/trace.h"
#include "proc/logs.h"
#include "proc/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <talloc.h>
#include <unistd.h>

#define LOOK_EVERY_MS 2000

/* A number of the environment in [lo, hi]. */
static int env_number(const char *name, int64_t lo, int64_t hi, int64_t *out, struct error *e)
{
    const char *text = getenv(name);
    char *end = NULL;
    long long v;

    if (text == NULL || *text == '\0')
        return reason_error(e, REASON_start_failed, EINVAL,
                            "%s is not set: `docmilld --child` is for the master's use only.", name);
    errno = 0;
    v = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || v < lo || v > hi)
        return reason_error(e, REASON_start_failed, EINVAL, "%s is \"%s\", not a number from %lld to %lld.", name, text,
                            (long long)lo, (long long)hi);
    *out = v;
    return 0;
}

static void set_signals(void)
{
    sigset_t none;

    /* A terminal's ^C, ^\ and hang-up reach the whole group: the master decides what they mean. */
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void tie_to_master(int64_t master_pid)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != (pid_t)master_pid)
        _exit(70);
}

static int check_channel(int fd, struct error *e)
{
    int type = 0;
    socklen_t n = sizeof type;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0 || type != SOCK_SEQPACKET)
        return reason_error(e, REASON_start_failed, EINVAL, "Descriptor %d is not the master's channel.", fd);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return reason_error(e, REASON_os_error, errno, "channel: %s", strerror(errno));
    return 0;
}

/* DOCMILL_LISTEN names what the descriptors from CHILD_FD_LISTEN on are: "tcp,unix". */
static int take_listeners(struct child *c, struct error *e)
{
    char text[64];
    char *save = NULL;

    snprintf(text, sizeof text, "%s", getenv("DOCMILL_LISTEN") != NULL ? getenv("DOCMILL_LISTEN") : "");
    for (char *w = strtok_r(text, ",", &save); w != NULL; w = strtok_r(NULL, ",", &save)) {
        int fd = CHILD_FD_LISTEN + c->n_listen;

        if (c->n_listen == CHILD_MAX_LISTEN || (strcmp(w, "tcp") != 0 && strcmp(w, "unix") != 0))
            return reason_error(e, REASON_start_failed, EINVAL, "DOCMILL_LISTEN names \"%s\".", w);
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
            return reason_error(e, REASON_start_failed, errno, "Listening socket %d: %s", fd, strerror(errno));
        c->listen_kind[c->n_listen++] = strcmp(w, "tcp") == 0 ? CHILD_LISTEN_TCP : CHILD_LISTEN_UNIX;
    }
    return 0;
}

static int take_conf(struct child *c, struct error *e)
{
    int64_t pool = 0;
    int r;

    c->conf = conf_import(NULL, CHILD_FD_CONF, e);
    close(CHILD_FD_CONF);
    if (c->conf == NULL)
        return e != NULL && e->code != 0 ? e->code : -EINVAL;
    logs_apply(c->conf, c->role);
    r = env_number("DOCMILL_POOL", 0, c->conf->n_pools - 1, &pool, e);
    if (r != 0)
        return r;
    c->pool = &c->conf->pools[pool];
    return 0;
}

static int take_services(struct child *c, struct error *e)
{
    fcntl(CHILD_FD_SERVICES, F_SETFD, FD_CLOEXEC);
    c->services = services_attach(CHILD_FD_SERVICES, c->conf, e);
    return c->services != NULL ? 0 : e != NULL && e->code != 0 ? e->code : -EINVAL;
}

static int take_slot(struct child *c, struct error *e)
{
    struct score_data *d;
    int64_t now = clock_ms();

    fcntl(CHILD_FD_SCORE, F_SETFD, FD_CLOEXEC);
    c->score = scoreboard_attach(CHILD_FD_SCORE, c->slot, e);
    if (c->score == NULL)
        return e != NULL && e->code != 0 ? e->code : -EINVAL;
    log_use_levels(scoreboard_log_levels(c->score));
    d = score_begin(c->score);
    d->pid = (int32_t)getpid();
    d->phase = SCORE_STARTING;
    d->started_ms = now;
    d->since_ms = now;
    d->beat_ms = now;
    score_end(c->score);
    return 0;
}

/* Before the process becomes non-dumpable: it may not do it any more then. */
static void raise_oom_score(const char *role)
{
    static const struct {
        const char *role;
        int score;
    } scores[] = {{"coordinator", OOM_COORDINATOR}, {"api", OOM_API}, {"worker", OOM_WORKER}};

    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++)
        if (strcmp(role, scores[i].role) == 0)
            (void)oom_raise(scores[i].score); /* a wish: nothing else depends on it */
}

/* The last step, before anything from outside is read and before there is a second thread. */
static int shut_in(struct child *c, struct error *e)
{
    enum confine_role role;

    if (confine_role_parse(c->role, &role) != 0)
        return reason_error(e, REASON_internal, EINVAL, "There is no sandbox for the role %s.", c->role);
    return confine_enter(role, c->conf, -1, e);
}

int child_begin(struct child *c, const char *role, struct error *e)
{
    int64_t slot = 0, master = 0;
    char title[16];
    int r;

    *c = (struct child){.role = role, .channel = CHILD_FD_CHANNEL, .memory.fd = -1};
    log_init(role, LOG_LVL_INFO);
    r = env_number("DOCMILL_MASTER_PID", 1, INT32_MAX, &master, e);
    if (r != 0)
        return r;
    tie_to_master(master);
    set_signals();
    raise_oom_score(role);
#ifndef __SANITIZE_ADDRESS__ /* the leak checker has to trace its own process */
    prctl(PR_SET_DUMPABLE, 0);
#endif
    snprintf(title, sizeof title, "docmill-%.7s", role);
    prctl(PR_SET_NAME, title);
    r = check_channel(CHILD_FD_CHANNEL, e);
    if (r == 0)
        r = env_number("DOCMILL_SLOT", 0, SCORE_SLOTS - 1, &slot, e);
    if (r == 0)
        r = env_number("DOCMILL_SERIAL", 1, INT64_MAX, &c->serial, e);
    if (r == 0)
        r = env_number("DOCMILL_INCARNATION", 0, INT64_MAX, &c->incarnation, e);
    c->slot = (int)slot;
    if (r == 0)
        r = take_listeners(c, e);
    if (r == 0)
        r = take_slot(c, e);
    if (r == 0) {
        trace_install(c->score);
        r = take_conf(c, e);
    }
    if (r == 0)
        r = take_services(c, e);
    if (r == 0)
        memory_watch_open(&c->memory);
    if (r == 0)
        r = shut_in(c, e);
    return r;
}

void child_end(struct child *c)
{
    if (c->score != NULL && c->conf != NULL) { /* what it counted last */
        c->looked_ms = 0;
        child_look_at_memory(c);
    }
    memory_watch_close(&c->memory);
    log_flush();
    log_use_levels(NULL);
    services_free(&c->services);
    trace_uninstall();
    scoreboard_free(&c->score);
    talloc_free(c->conf);
    c->conf = NULL;
    c->pool = NULL;
}

void child_look_at_memory(struct child *c)
{
    struct score_data *d;
    int64_t bytes;

    struct usage u;
    bool weighed = memory_watch_due(&c->memory, clock_ms(), &bytes);

    if (!weighed && clock_ms() - c->looked_ms < LOOK_EVERY_MS)
        return;
    c->looked_ms = clock_ms();
    usage_read(&u);
    d = score_begin(c->score);
    if (weighed)
        d->private_bytes = bytes;
    if (weighed && d->fresh_bytes == 0)
        d->fresh_bytes = bytes;
    d->user_us = u.user_us;
    d->system_us = u.system_us;
    d->descriptors = u.descriptors;
    d->log_dropped = log_dropped();
    if (c->db_waits != NULL)
        d->db_waits = *c->db_waits;
    if (c->db_connects != NULL)
        d->db_connects = *c->db_connects;
    score_end(c->score);
}

void child_say_ready(struct child *c)
{
    const struct channel_msg m = {.kind = CHANNEL_READY};

    trace_look_at_modules();
    child_look_at_memory(c);            /* the master holds a memory limit against what a fresh child uses */
    (void)channel_send(c->channel, &m); /* the channel of a starting child is empty: it cannot be full */
}

void child_say_bye(struct child *c)
{
    const struct channel_msg m = {.kind = CHANNEL_BYE};

    (void)channel_send(c->channel, &m);
}

void child_say_fatal(struct child *c, const struct error *e)
{
    struct channel_msg m = {.kind = CHANNEL_FATAL};

    snprintf(m.fatal.reason, sizeof m.fatal.reason, "%s", e->reason);
    snprintf(m.fatal.message, sizeof m.fatal.message, "%.250s%s%.140s", e->message, e->hint[0] != '\0' ? "; " : "",
             e->hint);
    log_error("child", "cannot go on", "reason", e->reason, "error", e->message, "hint", e->hint, NULL);
    (void)channel_send(c->channel, &m);
}
