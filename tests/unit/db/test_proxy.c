/* test_proxy.c - see test_proxy.h */
#include "test_proxy.h"
#include "db_test.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <talloc.h>
#include <unistd.h>

#define MAX_PAIRS 16
#define PORT      "5432"

struct pair {
    int client, server; /* -1: free */
    bool doomed;        /* a COMMIT is under way: the server's answer ends it */
};

struct proxy {
    atomic_int mode;
    atomic_bool quit, up, want_up;
    bool tcp;
    int port;
    int listener;
    char dir[40], path[80];
    char *url;
    struct pair pairs[MAX_PAIRS];
    void (*at_cut)(void *arg);
    void *at_cut_arg;
    pthread_t thread;
};

static int connect_unix(const char *dir, const char *port)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof a.sun_path, "%s/.s.PGSQL.%s", dir, port);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int connect_tcp(const char *host, const char *port)
{
    struct addrinfo *a = NULL;
    int fd = -1;

    if (getaddrinfo(host, port, NULL, &a) != 0)
        return -1;
    fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(a);
    return fd;
}

static int connect_server(void)
{
    PQconninfoOption *o = PQconninfoParse(db_test_url(), NULL);
    const char *host = "/var/run/postgresql", *port = PORT;
    int fd;

    for (PQconninfoOption *i = o; i->keyword != NULL; i++) {
        if (strcmp(i->keyword, "host") == 0 && i->val != NULL)
            host = i->val;
        if (strcmp(i->keyword, "port") == 0 && i->val != NULL)
            port = i->val;
    }
    fd = *host == '/' ? connect_unix(host, port) : connect_tcp(host, port);
    PQconninfoFree(o);
    return fd;
}

static void listen_now(struct proxy *x)
{
    struct sockaddr_un u = {.sun_family = AF_UNIX};
    struct sockaddr_in t = {.sin_family = AF_INET, .sin_port = htons((uint16_t)x->port)};
    socklen_t n = sizeof t;
    int one = 1;

    t.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    x->listener = socket(x->tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(u.sun_path, sizeof u.sun_path, "%s", x->path);
    setsockopt(x->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (x->tcp ? bind(x->listener, (struct sockaddr *)&t, sizeof t)
               : bind(x->listener, (struct sockaddr *)&u, sizeof u))
        abort();
    if (listen(x->listener, 16) != 0)
        abort();
    if (x->tcp && x->port == 0) {
        getsockname(x->listener, (struct sockaddr *)&t, &n);
        x->port = ntohs(t.sin_port);
    }
    x->up = true;
}

static void close_pair(struct pair *p)
{
    if (p->client >= 0)
        close(p->client);
    if (p->server >= 0)
        close(p->server);
    *p = (struct pair){-1, -1, false};
}

static void unlisten_now(struct proxy *x)
{
    close(x->listener);
    x->listener = -1;
    unlink(x->path);
    for (int i = 0; i < MAX_PAIRS; i++)
        close_pair(&x->pairs[i]);
    x->up = false;
}

static void accept_one(struct proxy *x)
{
    int fd = accept4(x->listener, NULL, NULL, SOCK_CLOEXEC);

    for (int i = 0; fd >= 0 && i < MAX_PAIRS; i++) {
        if (x->pairs[i].client < 0) {
            x->pairs[i] = (struct pair){fd, connect_server(), false};
            return;
        }
    }
    if (fd >= 0)
        close(fd);
}

static void write_all(int fd, const char *b, ssize_t n, bool drip)
{
    for (ssize_t at = 0; at < n;) {
        ssize_t k = send(fd, b + at, drip ? 1 : (size_t)(n - at), MSG_NOSIGNAL);
        if (k <= 0)
            return;
        at += k;
        if (drip)
            usleep(20000);
    }
}

static void cut(struct proxy *x, struct pair *p)
{
    if (p->server >= 0)
        close(p->server);
    p->server = -1;
    if (x->at_cut != NULL)
        x->at_cut(x->at_cut_arg);
    close_pair(p);
}

static void relay_up(struct proxy *x, struct pair *p)
{
    char b[65536];
    ssize_t n = recv(p->client, b, sizeof b, 0);

    if (n <= 0) {
        close_pair(p);
        return;
    }
    if (x->mode == PROXY_MUTE)
        return;
    if (memmem(b, (size_t)n, "COMMIT", 6) != NULL) {
        if (x->mode == PROXY_CUT_BEFORE) {
            cut(x, p);
            return;
        }
        p->doomed = x->mode == PROXY_CUT_AFTER;
    }
    write_all(p->server, b, n, false);
}

static void relay_down(struct proxy *x, struct pair *p)
{
    char b[65536];
    ssize_t n = recv(p->server, b, x->mode == PROXY_DRIP ? 1 : sizeof b, 0);

    if (p->doomed) {
        cut(x, p);
        return;
    }
    if (n <= 0) {
        close_pair(p);
        return;
    }
    if (x->mode == PROXY_REKEY) {
        static const char key_data[] = {'K', 0, 0, 0, 12};
        char *at = memmem(b, (size_t)n, key_data, sizeof key_data);
        if (at != NULL && at + 9 <= b + n)
            at[7] ^= 0x55;
    }
    if (x->mode != PROXY_MUTE)
        write_all(p->client, b, n, x->mode == PROXY_DRIP);
}

static void serve_once(struct proxy *x)
{
    struct pollfd fds[1 + 2 * MAX_PAIRS];

    fds[0] = (struct pollfd){.fd = x->listener, .events = POLLIN};
    for (int i = 0; i < MAX_PAIRS; i++) {
        fds[1 + 2 * i] = (struct pollfd){.fd = x->pairs[i].client, .events = POLLIN};
        fds[2 + 2 * i] = (struct pollfd){.fd = x->pairs[i].server, .events = POLLIN};
    }
    if (poll(fds, 1 + 2 * MAX_PAIRS, 5) <= 0)
        return;
    for (int i = 0; i < MAX_PAIRS; i++) {
        if (fds[1 + 2 * i].revents != 0)
            relay_up(x, &x->pairs[i]);
        if (fds[2 + 2 * i].revents != 0 && x->pairs[i].server == fds[2 + 2 * i].fd)
            relay_down(x, &x->pairs[i]);
    }
    if (fds[0].revents != 0)
        accept_one(x);
}

static void *serve(void *arg)
{
    struct proxy *x = arg;

    while (!x->quit) {
        if (x->want_up && !x->up)
            listen_now(x);
        else if (!x->want_up && x->up)
            unlisten_now(x);
        serve_once(x);
    }
    unlisten_now(x);
    return NULL;
}

static void await(struct proxy *x, bool up)
{
    x->want_up = up;
    while (x->up != up)
        usleep(1000);
}

struct proxy *proxy_start(const void *talloc_ctx, bool tcp, enum proxy_mode mode)
{
    struct proxy *x = talloc_zero(talloc_ctx, struct proxy);
    char port[16];

    for (int i = 0; i < MAX_PAIRS; i++)
        x->pairs[i] = (struct pair){-1, -1, false};
    x->tcp = tcp;
    x->mode = mode;
    snprintf(x->dir, sizeof x->dir, "/tmp/dm-proxy-XXXXXX");
    cr_assert_not_null(mkdtemp(x->dir));
    snprintf(x->path, sizeof x->path, "%s/.s.PGSQL." PORT, x->dir);
    x->listener = -1;
    x->want_up = true;
    cr_assert_eq(pthread_create(&x->thread, NULL, serve, x), 0);
    await(x, true);
    snprintf(port, sizeof port, "%d", x->port);
    x->url = db_test_url_with(x, "host", tcp ? "localhost" : x->dir, "port", tcp ? port : PORT, NULL);
    return x;
}

void proxy_set(struct proxy *x, enum proxy_mode mode)
{
    x->mode = mode;
}

void proxy_at_cut(struct proxy *x, void (*fn)(void *arg), void *arg)
{
    x->at_cut_arg = arg;
    x->at_cut = fn;
}

void proxy_down(struct proxy *x)
{
    await(x, false);
}

void proxy_up(struct proxy *x)
{
    await(x, true);
}

const char *proxy_url(struct proxy *x)
{
    return x->url;
}

void proxy_stop(struct proxy **x)
{
    (*x)->quit = true;
    pthread_join((*x)->thread, NULL);
    rmdir((*x)->dir);
    talloc_free(*x);
    *x = NULL;
}
