/*
 * rundir.c - the run directory: its lock, control.sock, api.sock; and the API's TCP sockets
 *
 * run_dir/docmilld.lock is locked (flock) as long as the master lives; the kernel frees it with the process, so there
 * is no stale lock. Who holds it owns the sockets beside it and may replace what a dead master left.
 *
 * control.sock is for root, our own user and the groups of control.*: the kernel refuses others at connect, and the
 * server asks again who the peer is. api.sock is 0666: there the caller's uid is the identity, and every user of the machine may have one.
 *
 * Sockets that systemd holds for us (held.c) are used again.
 *
 * Each place of an api pool has a TCP socket of its own by SO_REUSEPORT, which outlives its children. Since any process of our uid
 * could then share the port unseen, a bind without SO_REUSEPORT shows first that the port is free.
 *
 * Depends on base, core, proc.
 */
#include "master/master_int.h"

#include "base/acl.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "proc/control.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define API_SOCKET     "api.sock"
#define LOCK_FILE      "docmilld.lock"
#define LISTEN_BACKLOG 1024
#define PORT_WAIT_MS   3000 /* the children of a master that was just killed need a moment to go */

static int make_dir(const char *path, struct error *e)
{
    struct stat st;

    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return reason_error(e, REASON_start_failed, errno, "run_dir %s: %s", path, strerror(errno));
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return reason_error(e, REASON_start_failed, ENOTDIR, "run_dir %s is no directory.", path);
    if ((st.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH) { /* our sockets could be replaced by anybody's */
        (void)reason_error(e, REASON_start_failed, EPERM, "Everybody may write to run_dir %s.", path);
        error_hint(e, "Take that right away: chmod o-w %s", path);
        return -EPERM;
    }
    return 0;
}

static void name_holder(int fd, const char *path, struct error *e)
{
    char pid[32] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);

    pid[n > 0 ? (int)strcspn(pid, "\n") : 0] = '\0';
    (void)reason_error(e, REASON_already_running, EBUSY, "Another docmilld (pid %s) holds %s.",
                       pid[0] != '\0' ? pid : "unknown", path);
    error_hint(e, "Stop it with `docmillctl stop`, or give this one a run_dir of its own.");
}

int rundir_take(struct master *m, struct error *e)
{
    char path[160], pid[32];
    int fd, n;
    int r = make_dir(m->conf->run_dir, e);

    if (r != 0)
        return r;
    snprintf(path, sizeof path, "%s/%s", m->conf->run_dir, LOCK_FILE);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return reason_error(e, REASON_start_failed, errno, "%s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            name_holder(fd, path, e);
        else
            (void)reason_error(e, REASON_start_failed, errno, "lock %s: %s", path, strerror(errno));
        close(fd);
        return -EBUSY;
    }
    n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n)
        log_warn("rundir", "lock file not written", "path", path, "error", strerror(errno), NULL);
    m->lock_fd = fd;
    return 0;
}

/* A listening Unix socket in run_dir: the one that systemd kept over a restart, or a new one. Whatever else lies there
 * was left by a master that is gone: we hold the lock. */
static int listen_unix(struct master *m, const char *name, mode_t mode, struct error *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path, sizeof a.sun_path, "%s/%s", m->conf->run_dir, name);
    mode_t before;
    int fd, bound;

    if (n < 0 || (size_t)n >= sizeof a.sun_path)
        return reason_error(e, REASON_start_failed, ENAMETOOLONG, "run_dir %s is too long for a socket.",
                            m->conf->run_dir);
    fd = held_unix(m, a.sun_path);
    if (fd >= 0)
        return fd;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return reason_error(e, REASON_start_failed, errno, "socket: %s", strerror(errno));
    unlink(a.sun_path);
    before = umask(0177); /* nobody gets in before it has its mode */
    bound = bind(fd, (struct sockaddr *)&a, sizeof a);
    umask(before);
    if (bound != 0 || chmod(a.sun_path, mode) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        int err = errno;
        close(fd);
        return reason_error(e, REASON_start_failed, err, "%s: %s", a.sun_path, strerror(err));
    }
    held_store(m, fd);
    return fd;
}

/* One group is the socket's own. Several, or one that we are no member of, want an access control list; without those
 * every user may connect, and the server, which asks the kernel for the peer's groups, refuses. */
static int give_to_groups(const struct conf *c, const struct rights *r, struct error *e)
{
    char path[160];
    gid_t groups[CONTROL_RIGHT_MAX_];
    int n = rights_groups(r, groups);
    int bad;

    snprintf(path, sizeof path, "%s/%s", c->run_dir, CONTROL_SOCKET);
    if (n == 0 || (n == 1 && chown(path, (uid_t)-1, groups[0]) == 0))
        return 0;
    bad = acl_allow_groups(path, groups, n);
    if (bad == 0)
        return 0;
    log_warn("rundir", "no access control lists here: every user may open the control socket, and is refused there",
             "path", path, "error", strerror(-bad), NULL);
    if (chmod(path, 0666) != 0)
        return reason_error(e, REASON_start_failed, errno, "%s: %s", path, strerror(errno));
    return 0;
}

int rundir_listen_control(struct master *m, struct rights *r, struct error *e)
{
    /* The one look-up of the groups: the name service may ask the network, and a master that runs waits for nobody. */
    int bad = rights_look_up(m->conf, r, e);
    int fd = bad != 0 ? bad : listen_unix(m, CONTROL_SOCKET, 0660, e);

    if (fd < 0)
        return fd;
    bad = give_to_groups(m->conf, r, e);
    if (bad == 0)
        return fd;
    close(fd);
    return bad;
}

/* ---- TCP ---- */

static int tcp_socket(int family, const struct sockaddr *a, socklen_t n, bool shared)
{
    const int on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, a, n) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        int err = errno;
        close(fd);
        return -err;
    }
    return fd;
}

/* Shows that the port is free, waiting a little for the dying. */
static int claim_port(int family, const struct sockaddr *a, socklen_t n)
{
    int64_t until = clock_ms() + PORT_WAIT_MS;
    int fd;

    while ((fd = tcp_socket(family, a, n, false)) == -EADDRINUSE && clock_ms() < until)
        poll(NULL, 0, 50);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

static void name_address(struct master *m, const struct sockaddr *a, socklen_t n)
{
    char host[80], port[16];

    if (getnameinfo(a, n, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf(m->listen_address, sizeof m->listen_address, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host,
                 port);
}

/* One of docmill.socket's serves several slots where there are fewer of them: they were bound by root, so that none of
 * ours can stand beside them. */
static int share_activated(const struct master *m)
{
    int n = 0, nth;

    for (int i = 0; i < m->n_slots; i++)
        n += m->slots[i].listen_tcp >= 0;
    nth = n > 0 ? n % m->activated : 0;
    for (int i = 0; i < m->n_slots; i++)
        if (m->slots[i].listen_tcp >= 0 && nth-- == 0)
            return fcntl(m->slots[i].listen_tcp, F_DUPFD_CLOEXEC, 3);
    return -EADDRINUSE;
}

/* What systemd holds for us goes to the first slots. */
static int take_held(struct master *m, const struct sockaddr *a)
{
    bool stored;
    int n = 0;

    for (int i = 0; i < m->n_slots; i++) {
        struct child_slot *s = &m->slots[i];

        if (m->conf->pools[s->pool].role != POOL_API || s->policy.place != PLACE_HELD)
            continue;
        s->listen_tcp = held_tcp(m, a, &stored);
        if (s->listen_tcp < 0)
            break;
        m->activated += !stored;
        n++;
    }
    return n;
}

static int listen_tcp(struct master *m, struct error *e)
{
    struct sockaddr_storage a;
    socklen_t n;
    int r;

    if (conf_parse_listen(m->conf->api_listen, &a, &n) != 0)
        return reason_error(e, REASON_start_failed, EINVAL, "api.listen is \"%s\"; it must be address:port.",
                            m->conf->api_listen);
    r = take_held(m, (struct sockaddr *)&a) > 0 ? 0 : claim_port(a.ss_family, (struct sockaddr *)&a, n);
    if (r != 0)
        return reason_error(e, REASON_start_failed, -r, "api.listen %s: %s", m->conf->api_listen, strerror(-r));
    for (int i = 0; r == 0 && i < m->n_slots; i++) {
        struct child_slot *s = &m->slots[i];
        if (m->conf->pools[s->pool].role == POOL_API && s->policy.place == PLACE_HELD && s->listen_tcp < 0)
            r = rundir_listen_slot(m, s, e);
    }
    if (r == 0)
        name_address(m, (struct sockaddr *)&a, n);
    return r;
}

int rundir_listen_slot(struct master *m, struct child_slot *s, struct error *e)
{
    struct sockaddr_storage a;
    socklen_t n;
    int fd;

    if (m->conf->api_listen == NULL || m->conf->api_listen[0] == '\0')
        return 0;
    fd = conf_parse_listen(m->conf->api_listen, &a, &n);
    if (fd == 0)
        fd = m->activated > 0 ? share_activated(m) : tcp_socket(a.ss_family, (struct sockaddr *)&a, n, true);
    if (fd < 0)
        return reason_error(e, REASON_start_failed, -fd, "api.listen %s: %s", m->conf->api_listen, strerror(-fd));
    if (m->activated == 0)
        held_store(m, fd);
    s->listen_tcp = fd;
    return 0;
}

/* For good: connections that wait there are refused, and those of a next life are not to wait there either. */
void rundir_close_slot(struct master *m, struct child_slot *s)
{
    if (s->listen_tcp < 0)
        return;
    held_forget(m, s->listen_tcp);
    close(s->listen_tcp);
    s->listen_tcp = -1;
}

int rundir_listen_api(struct master *m, struct error *e)
{
    bool any = false;

    for (int i = 0; i < m->conf->n_pools; i++)
        any = any || (m->conf->pools[i].role == POOL_API && m->conf->pools[i].max > 0);
    if (!any)
        return 0;
    m->listen_unix = listen_unix(m, API_SOCKET, 0666, e);
    if (m->listen_unix < 0)
        return m->listen_unix;
    return m->conf->api_listen == NULL || m->conf->api_listen[0] == '\0' ? 0 : listen_tcp(m, e);
}

void rundir_close_api(struct master *m)
{
    for (int i = 0; i < m->n_slots; i++) {
        if (m->slots[i].listen_tcp >= 0)
            close(m->slots[i].listen_tcp);
        m->slots[i].listen_tcp = -1;
    }
    if (m->listen_unix >= 0)
        close(m->listen_unix);
    m->listen_unix = -1;
}

static void remove_file(const struct conf *c, const char *name)
{
    char path[160];

    snprintf(path, sizeof path, "%s/%s", c->run_dir, name);
    unlink(path);
}

void rundir_leave(struct master *m)
{
    rundir_close_api(m);
    if (m->lock_fd < 0)
        return;
    if (!m->sockets_stored) { /* else they are listened to until the next start; systemd removes them with run_dir */
        remove_file(m->conf, API_SOCKET);
        remove_file(m->conf, CONTROL_SOCKET);
    }
    close(m->lock_fd); /* the lock file stays: removing it would let two masters lock two files of one name */
    m->lock_fd = -1;
}
