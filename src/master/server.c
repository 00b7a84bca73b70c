/*
 * server.c - the control socket's server: who gets a connection, and how much of the master's time
 *
 * Its connections hang on an epoll set of their own, one source of the master's loop, so that a crowd of them is one
 * event there: it has a turn, and supervision has its turn again. Questions come after supervision.
 *
 * A turn: first the owners (root and our own user), then the others for TURN_US, then AT_ONCE who wait to be accepted.
 * A question that is there when its asker is accepted is answered at once: who comes in earnest waits for those before
 * him in the queue, and not for what they may want.
 *
 * Against the many: PER_UID connections of one user, CONNECTIONS_MAX in all; over that room.c says whose makes room. Who
 * comes again and again puts an end to none of his own that this turn accepted, since AT_ONCE is not above PER_UID: each is
 * looked at once more before. Against the busy: users other than the owners get a share of the time (payer.c), then their
 * sockets rest until the next window. Against the end of descriptors: callers never get the last FOR_CHILDREN, which the
 * start of a child needs; and one is kept in reserve, so that who comes when there is none is hung up on, and not found
 * waiting again at once.
 *
 * Who may: see proc/rights.h. The socket's mode keeps out who has no right at all; the peer is asked for again here, so
 * that a wrong chmod opens nothing. What a peer may is found when it connects: the kernel keeps its groups of then.
 *
 * Diagnostics
 *   warns   a refused caller; no descriptor left for callers
 *
 * Depends on base, core, proc.
 */
#include "master/connection.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/peer.h"
#include "core/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <talloc.h>
#include <unistd.h>

#define FOR_CHILDREN 16
#define AT_ONCE      PER_UID /* new connections in one turn */
#define TURN_US      2000    /* of callers who are not trusted, in one turn */
#define BREATH_MS    100     /* without a descriptor, not even the reserved one */

struct server {
    struct master *master;
    int highest;            /* descriptor that a caller may have */
    int fd, epoll, reserve; /* reserve: an open descriptor for the day when there is none; -1: in use */
    sd_event_source *source, *timer;
    struct connection *connections;
    struct payers payers;
    int64_t resume_ms;                            /* when sockets that rest are looked at again; 0: none rests */
    int64_t accept_ms;                            /* no connection is accepted before; 0: any time */
    struct epoll_event turn[CONNECTIONS_MAX + 1]; /* the present turn's, with NULL for connections that have gone */
    int turn_n;
};

struct master *server_master(const struct server *s)
{
    return s->master;
}

/* ---- life of a connection ---- */

static int connection_destroy(struct connection *c)
{
    struct server *s = c->server;
    struct connection **at = &s->connections;

    while (*at != NULL && *at != c)
        at = &(*at)->next;
    if (*at == c) {
        *at = c->next;
    }
    for (int i = 0; i < s->turn_n; i++)
        if (s->turn[i].data.ptr == c)
            s->turn[i].data.ptr = NULL;
    /* Closing is not enough: a child that was forked this moment and has not exec'd holds the connection, too. */
    (void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    close(c->fd);
    return 0;
}

void server_watch(struct connection *c, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};

    if (c->watched == events)
        return;
    c->watched = events;
    (void)epoll_ctl(c->server->epoll, EPOLL_CTL_MOD, c->fd, &e);
}

static struct connection *connection_new(struct server *s, int fd, uid_t uid, int right, bool owner)
{
    struct connection *c = talloc_zero(s, struct connection);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};

    if (c == NULL || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) != 0) {
        talloc_free(c);
        return NULL;
    }
    *c = (struct connection){
        .server = s, .fd = fd, .uid = uid, .right = right, .owner = owner, .watched = EPOLLIN, .next = s->connections};
    s->connections = c;
    talloc_set_destructor(c, connection_destroy);
    connection_begin(c);
    return c;
}

/* ---- accepting ---- */

/* Takes fd: a connection, whose first question may be answered already, or a caller who is hung up on. */
static void take_in(struct server *s, int fd, uid_t uid, bool owner)
{
    int right = rights_of_peer(&s->master->rights, fd);
    struct connection *c;

    if (right == RIGHTS_NONE) {
        log_warn("control", "caller refused", "uid", LOG_I(uid), NULL);
        connection_refuse(s->master, fd);
        close(fd);
        return;
    }
    talloc_free(room_made_by(s->connections, uid));
    c = connection_new(s, fd, uid, right, owner);
    if (c == NULL)
        close(fd);
    else if (!connection_step(c, EPOLLIN))
        talloc_free(c);
}

static void greet(struct server *s, int fd)
{
    int64_t began = clock_ns(), until;
    uid_t uid = (uid_t)-1;
    bool known = peer_credentials(fd, &uid, NULL, NULL), owner = known && peer_uid_is_owner(uid);

    if (known && (owner || payers_may(&s->payers, uid, clock_ms(), &until)))
        take_in(s, fd, uid, owner);
    else
        close(fd);
    if (!owner)
        payers_charge(&s->payers, uid, (clock_ns() - began) / 1000, clock_ms());
}

static void hang_up(int fd)
{
    log_warn("control", "descriptors are short: a caller is hung up on", NULL);
    close(fd);
}

/* Nobody waits whom we cannot hear: with the reserved descriptor one caller is taken, to be hung up on. */
static void hang_up_on_one(struct server *s)
{
    int fd;

    log_warn("control", "descriptors are short: a caller is hung up on", NULL);
    if (s->reserve >= 0)
        close(s->reserve);
    fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        close(fd);
    else
        s->accept_ms = clock_ms() + BREATH_MS;
    s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void watch_listener(struct server *s, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};

    (void)epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->fd, &e);
}

static void accept_some(struct server *s)
{
    int64_t until_ns = clock_ns() + TURN_US * 1000;

    for (int i = 0; i < AT_ONCE && s->accept_ms == 0 && clock_ns() < until_ns; i++) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd > s->highest)
            hang_up(fd);
        else if (fd >= 0)
            greet(s, fd);
        else if (errno == EMFILE || errno == ENFILE)
            hang_up_on_one(s);
        else if (errno == ENOBUFS || errno == ENOMEM)
            s->accept_ms = clock_ms() + BREATH_MS;
        else if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
    if (s->accept_ms != 0)
        watch_listener(s, 0);
}

/* ---- a turn ---- */

static void serve(struct server *s, struct connection *c, uint32_t events)
{
    int64_t began = clock_ns();
    uid_t uid = c->uid;
    bool owner = c->owner;

    if (!connection_step(c, events))
        talloc_free(c);
    if (!owner)
        payers_charge(&s->payers, uid, (clock_ns() - began) / 1000, clock_ms());
}

/* Whether it may be served now; otherwise it rests, if only for the next turn. */
static bool may_serve(struct server *s, struct connection *c, uint32_t events, int64_t until_ns)
{
    int64_t resume;

    if (payers_may(&s->payers, c->uid, clock_ms(), &resume))
        return clock_ns() < until_ns;
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
        talloc_free(c);
        return false;
    }
    server_watch(c, 0);
    s->resume_ms = resume;
    return false;
}

static void serve_owners(struct server *s)
{
    for (int i = 0; i < s->turn_n; i++) {
        struct connection *c = s->turn[i].data.ptr;

        if (c == NULL || (void *)c == s || !c->owner)
            continue;
        s->turn[i].data.ptr = NULL;
        serve(s, c, s->turn[i].events);
    }
}

static void serve_others(struct server *s)
{
    int64_t until_ns = clock_ns() + TURN_US * 1000;

    for (int i = 0; i < s->turn_n; i++) {
        struct connection *c = s->turn[i].data.ptr;

        if (c != NULL && (void *)c != s && may_serve(s, c, s->turn[i].events, until_ns))
            serve(s, c, s->turn[i].events);
    }
}

/* Ends what is late, wakes what has rested, and says when to look again. */
static void look_at_clock(struct server *s)
{
    int64_t now = clock_ms(), next = INT64_MAX;
    bool resume = s->resume_ms != 0 && now >= s->resume_ms;
    struct connection *after;

    if (s->accept_ms != 0 && now >= s->accept_ms) {
        s->accept_ms = 0;
        watch_listener(s, EPOLLIN);
    }
    if (resume)
        s->resume_ms = 0;
    for (struct connection *c = s->connections; c != NULL; c = after) {
        after = c->next;
        if (now >= c->deadline_ms) {
            talloc_free(c);
            continue;
        }
        if (resume && c->watched == 0)
            server_watch(c, c->reply != NULL ? EPOLLOUT : EPOLLIN);
        if (c->deadline_ms < next)
            next = c->deadline_ms;
    }
    if (s->resume_ms != 0 && s->resume_ms < next)
        next = s->resume_ms;
    if (s->accept_ms != 0 && s->accept_ms < next)
        next = s->accept_ms;
    sd_event_source_set_time(s->timer, next == INT64_MAX ? UINT64_MAX : (uint64_t)next * 1000);
    sd_event_source_set_enabled(s->timer, next == INT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int handle_turn(sd_event_source *src, int fd, uint32_t events, void *arg)
{
    struct server *s = arg;
    bool more_wait = false;

    (void)src;
    (void)events;
    s->turn_n = epoll_wait(fd, s->turn, CONNECTIONS_MAX + 1, 0);
    for (int i = 0; i < s->turn_n; i++)
        more_wait = more_wait || s->turn[i].data.ptr == s;
    serve_owners(s);
    serve_others(s);
    s->turn_n = 0;
    if (more_wait)
        accept_some(s);
    look_at_clock(s);
    return 0;
}

static int handle_clock(sd_event_source *src, uint64_t due_us, void *arg)
{
    (void)src;
    (void)due_us;
    look_at_clock(arg);
    return 0;
}

/* ---- start and end ---- */

static int server_destroy(struct server *s)
{
    while (s->connections != NULL)
        talloc_free(s->connections);
    sd_event_source_disable_unref(s->source);
    sd_event_source_disable_unref(s->timer);
    if (s->epoll >= 0)
        close(s->epoll);
    if (s->reserve >= 0)
        close(s->reserve);
    close(s->fd);
    return 0;
}

static int highest_for_callers(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur > INT_MAX)
        return INT_MAX;
    return (int)r.rlim_cur - 1 - FOR_CHILDREN;
}

int server_start(struct master *m, int listen_fd, struct error *e)
{
    struct server *s = talloc_zero(m, struct server);
    struct epoll_event listener = {.events = EPOLLIN, .data.ptr = s};
    int r;

    if (s == NULL)
        return reason_error(e, REASON_os_error, ENOMEM, "out of memory");
    *s = (struct server){.master = m, .fd = listen_fd, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    s->highest = highest_for_callers();
    talloc_set_destructor(s, server_destroy);
    r = s->epoll < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, listen_fd, &listener) != 0 ? -errno : 0;
    if (r >= 0)
        r = sd_event_add_io(m->event, &s->source, s->epoll, EPOLLIN, handle_turn, s);
    if (r >= 0)
        r = sd_event_add_time(m->event, &s->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, handle_clock, s);
    if (r < 0) {
        talloc_free(s);
        return reason_error(e, REASON_os_error, -r, "control socket: %s", strerror(-r));
    }
    /* Questions come after supervision. */
    sd_event_source_set_priority(s->source, SD_EVENT_PRIORITY_IDLE);
    sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
    m->server = s;
    return 0;
}

void server_stop(struct master *m)
{
    TALLOC_FREE(m->server);
}
