/*
 * run.c - the master's life: start-up order, signals, the loop, what systemd is told, the end
 *
 * Order: signals blocked, run_dir locked, scoreboard, slots, listening sockets, control socket, sandbox, loop. Nothing is forked
 * before everything that can refuse has agreed. READY=1 goes to systemd when every pool has a child that is ready, or,
 * so that a database that is down does not fail the start, after supervise.ready_timeout; STATUS says which.
 *
 * Signals: TERM and INT drain, again: fast; QUIT kills at once; HUP reads the configuration anew; USR1 opens log.file
 * anew.
 *
 * Diagnostics
 *   fatal   whatever refuses during start-up (exit status 1, with the reason)
 *
 * Depends on base, core, proc.
 */
#include "master/master.h"

#include "base/clock.h"
#include "base/log.h"
#include "confine/confine.h"
#include "core/reason.h"
#include "master/master_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <systemd/sd-daemon.h>
#include <talloc.h>
#include <unistd.h>

/* ---- signals ---- */

static int handle_stop(sd_event_source *src, const struct signalfd_siginfo *si, void *arg)
{
    struct master *m = arg;

    (void)src;
    log_info("master", "signal", "signal", sigabbrev_np((int)si->ssi_signo), "from_pid", LOG_I(si->ssi_pid), NULL);
    if (si->ssi_signo == SIGQUIT)
        supervise_stop(m, STOP_NOW);
    else
        supervise_stop(m, m->stop.mode == STOP_NONE ? STOP_DRAIN : STOP_FAST);
    return 0;
}

static int handle_hup(sd_event_source *src, const struct signalfd_siginfo *si, void *arg)
{
    (void)src;
    (void)si;
    reload_hup(arg);
    return 0;
}

static int handle_usr1(sd_event_source *src, const struct signalfd_siginfo *si, void *arg)
{
    (void)src;
    (void)si;
    logfile_reopen(arg);
    return 0;
}

static int watch_signals(struct master *m, struct error *e)
{
    static const int stops[] = {SIGTERM, SIGINT, SIGQUIT};
    int r = sd_event_add_signal(m->event, NULL, SIGHUP, handle_hup, m);

    if (r >= 0)
        r = sd_event_add_signal(m->event, NULL, SIGUSR1, handle_usr1, m);
    for (size_t i = 0; r >= 0 && i < sizeof stops / sizeof stops[0]; i++)
        r = sd_event_add_signal(m->event, NULL, stops[i], handle_stop, m);
    return r >= 0 ? 0 : reason_error(e, REASON_os_error, -r, "signals: %s", strerror(-r));
}

static void block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* an inherited SIG_IGN would reap behind our back */
}

/* ---- systemd ---- */

static bool every_pool_ready(const struct master *m, char *text, size_t size)
{
    bool all = true;
    size_t n = 0;

    for (int p = 0; p < m->conf->n_pools; p++) {
        int ready = 0;

        if (pool_is_gone(m, p))
            continue;
        for (int i = 0; i < m->n_slots; i++)
            if (m->slots[i].pool == p && slot_has_ready_child(&m->slots[i]) && m->slots[i].policy.place == PLACE_HELD)
                ready++;
        all = all && (ready > 0 || pools_target(m, p) == 0);
        if (n < size)
            n += (size_t)snprintf(text + n, size - n, "%s%s %d/%d", n > 0 ? ", " : "", m->conf->pools[p].name, ready,
                                  pools_target(m, p));
    }
    return all;
}

static void name_paused(const struct master *m, char *out, size_t size)
{
    uint32_t mask = services_paused(m->services);
    size_t n = 0;

    out[0] = '\0';
    for (int i = 0; i < PAUSE_MAX_ && n < size; i++)
        if (mask & PAUSE_BIT(i))
            n += (size_t)snprintf(out + n, size - n, "%s%s", n == 0 ? ", PAUSED: " : " ", pause_name((enum pause)i));
}

/* Tells systemd when something has changed, and only then. */
static void process_notify(struct master *m)
{
    char pools[160], paused[80], text[260];
    bool all = every_pool_ready(m, pools, sizeof pools);

    name_paused(m, paused, sizeof paused);
    snprintf(text, sizeof text, "%s%s: ready are %s",
             m->stop.mode != STOP_NONE ? "stopping"
             : reload_runs(m)          ? "reloading"
             : all                     ? "running"
                                       : "degraded",
             paused, pools);
    reload_add_words(m, text, sizeof text);
    if (strcmp(text, m->status_text) != 0) {
        memcpy(m->status_text, text, sizeof text);
        sd_notifyf(0, "STATUS=%s", text);
    }
    if (m->stop.mode != STOP_NONE && !m->stopping) {
        m->stopping = true;
        sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRId64,
                   (m->stop.all_by_ms - clock_ms() + STOP_GIVE_UP_MS) * 1000);
    }
    if (m->ready || m->stop.mode != STOP_NONE)
        return;
    if (all || clock_ms() - m->started_ms >= m->limits.ready_ms) {
        m->ready = true;
        log_event(all ? LOG_LVL_INFO : LOG_LVL_WARN, "master", all ? "ready" : "up, but not every pool is ready",
                  "pools", pools, "listen", m->listen_address, "after_ms", LOG_I(clock_ms() - m->started_ms), NULL);
        sd_notify(0, "READY=1");
    }
}

static int handle_post(sd_event_source *src, void *arg)
{
    struct master *m = arg;

    (void)src;
    supervise_process(m);
    process_notify(m);
    log_tick();
    return 0;
}

/* ---- start and end ---- */

static int null_stdin(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (fd != STDIN_FILENO) {
        dup2(fd, STDIN_FILENO);
        close(fd);
    }
    return 0;
}

static int64_t new_incarnation(void)
{
    int64_t v = 0;

    if (getrandom(&v, sizeof v, 0) != (ssize_t)sizeof v)
        v = clock_ns() ^ ((int64_t)getpid() << 40);
    return v & INT64_MAX;
}

static int master_start(struct master *m, struct error *e)
{
    int fd, r;

    held_take(m);
    r = rundir_take(m, e);
    if (r == 0)
        audit_begin(m);
    if (r == 0 && (r = sd_event_new(&m->event)) < 0)
        return reason_error(e, REASON_os_error, -r, "event loop: %s", strerror(-r));
    if (r >= 0)
        r = watch_signals(m, e);
    if (r == 0 && (m->board = scoreboard_create(e)) == NULL)
        return -EINVAL;
    if (r == 0)
        log_share_levels(scoreboard_log_levels(m->board));
    memory_watch_open(&m->memory);
    if (r == 0 && (m->services = services_create(m->conf, e)) == NULL)
        return -EINVAL;
    if (r == 0)
        r = supervise_init(m, e);
    if (r == 0)
        reload_init(m, m->reload.path);
    if (r == 0)
        r = rundir_listen_api(m, e);
    if (r != 0)
        return r;
    fd = rundir_listen_control(m, &m->rights, e);
    if (fd < 0)
        return fd;
    held_drop_rest(m);
    r = server_start(m, fd, e);
    if (r == 0)
        r = watchdog_start(m, e);
    if (r == 0 && (r = sd_event_add_post(m->event, NULL, handle_post, m)) < 0)
        return reason_error(e, REASON_os_error, -r, "event loop: %s", strerror(-r));
    return r < 0 ? r : confine_enter(CONFINE_MASTER, m->conf, m->exe_fd, e);
}

static void master_end(struct master *m)
{
    server_stop(m);
    reload_end(m);
    audit_end(m);
    for (int i = 0; i < m->n_slots; i++)
        if (m->slots[i].pid != 0) {
            log_error("master", "left behind: a child that did not die", "child", LOG_I(m->slots[i].pid), NULL);
            m->slots[i].pid_source = sd_event_source_disable_unref(m->slots[i].pid_source);
            m->slots[i].channel_source = sd_event_source_disable_unref(m->slots[i].channel_source);
        }
    memory_watch_close(&m->memory);
    log_use_levels(NULL);
    if (m->board != NULL)
        scoreboard_free(&m->board);
    services_free(&m->services);
    sd_event_source_unref(m->timer);
    sd_event_source_unref(m->watchdog);
    death_end(m);
    sd_event_unref(m->event);
    rundir_leave(m);
}

int master_run(const struct master_options *o)
{
    struct master *m = talloc_zero(NULL, struct master);
    struct error e = {0};
    int r;

    if (m == NULL)
        log_panic("master", "out of memory");
    *m = (struct master){.conf = o->conf,
                         .exe_fd = o->exe_fd,
                         .incarnation = new_incarnation(),
                         .next_serial = 1,
                         .started_ms = clock_ms(),
                         .lock_fd = -1,
                         .log_fd = -1,
                         .listen_unix = -1,
                         .reload = {.path = o->conf_path}};
    death_init(m);
    block_signals();
#ifndef __SANITIZE_ADDRESS__ /* the leak checker has to trace its own process */
    prctl(PR_SET_DUMPABLE, 0);
#endif
    if (null_stdin() != 0)
        log_warn("master", "standard input stays open", NULL);
    r = master_start(m, &e);
    if (r == 0) {
        log_info("master", "starting", "version", DOCMILL_VERSION, "node", o->conf->node_name, "children",
                 LOG_I(m->n_slots), "listen", m->listen_address, NULL);
        supervise_process(m); /* the first children; from here on, events lead */
        r = sd_event_loop(m->event);
        log_info("master", "stopped", "deaths", LOG_I(m->totals.deaths), NULL);
        if (m->failed)
            r = -ECANCELED;
    } else {
        log_error("master", "cannot start", "reason", e.reason, "error", e.message, "hint", e.hint, NULL);
    }
    master_end(m);
    log_flush();
    talloc_free(m);
    return r == 0 ? 0 : 1;
}
