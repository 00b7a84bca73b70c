/* server.c - see server.h */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_REQUEST (64UL * 1024 * 1024)

static void die(const char *what)
{
    perror(what);
    abort();
}

/* Whether fd became readable before the server stopped. */
static bool readable(struct server *s, int fd, int ms)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = s->stop_pipe[0], .events = POLLIN}};

    while (poll(fds, 2, ms) < 0)
        if (errno != EINTR)
            die("poll");
    return fds[1].revents == 0 && fds[0].revents != 0;
}

static long receive(struct peer *p, char *to, size_t n)
{
    if (p->tls != NULL)
        return server_tls_read(p, to, n);
    return readable(p->server, p->fd, SERVER_PATIENCE_MS) ? recv(p->fd, to, n, 0) : -1;
}

void peer_send(struct peer *p, const void *data, size_t n)
{
    const char *at = data;

    while (n > 0) {
        long put = p->tls != NULL ? server_tls_write(p, at, n) : send(p->fd, at, n, MSG_NOSIGNAL);
        if (put <= 0)
            return;
        at += put;
        n -= (size_t)put;
    }
}

void peer_write(struct peer *p, const char *text)
{
    peer_send(p, text, strlen(text));
}

void peer_answer(struct peer *p, const char *body)
{
    char head[128];

    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", strlen(body));
    peer_write(p, head);
    peer_write(p, body);
}

bool peer_pause(struct peer *p, int ms)
{
    struct pollfd fds[2] = {{.fd = p->fd, .events = POLLRDHUP}, {.fd = p->server->stop_pipe[0], .events = POLLIN}};

    return poll(fds, 2, ms) == 0;
}

void peer_reset(struct peer *p)
{
    struct linger l = {.l_onoff = 1, .l_linger = 0};

    setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close(p->fd);
    p->fd = -1;
}

bool peer_read_exactly(struct peer *p, char *to, size_t n)
{
    while (n > 0) {
        long got = receive(p, to, n);
        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

bool peer_read_headers(struct peer *p)
{
    free(p->request);
    p->request = calloc(1, 65536);
    p->len = 0;
    while (p->len < 65535 && peer_read_exactly(p, p->request + p->len, 1)) {
        p->len++;
        if (p->len >= 4 && memcmp(p->request + p->len - 4, "\r\n\r\n", 4) == 0) {
            p->header_len = p->len;
            return true;
        }
    }
    return false;
}

static void record(struct peer *p)
{
    struct server *s = p->server;

    pthread_mutex_lock(&s->lock);
    if (s->n_requests < SERVER_MAX) {
        char *copy = malloc(p->len + 1);
        memcpy(copy, p->request, p->len + 1);
        s->request_lens[s->n_requests] = p->len;
        s->requests[s->n_requests] = copy;
    }
    s->n_requests++;
    pthread_mutex_unlock(&s->lock);
}

bool peer_read(struct peer *p)
{
    const char *length;
    size_t n;

    if (!peer_read_headers(p))
        return false;
    length = strcasestr(p->request, "\r\ncontent-length:");
    n = length != NULL ? strtoul(length + 17, NULL, 10) : 0;
    if (n > MAX_REQUEST)
        abort();
    p->request = realloc(p->request, p->len + n + 1);
    if (!peer_read_exactly(p, p->request + p->len, n))
        return false;
    p->len += n;
    p->request[p->len] = '\0';
    record(p);
    return true;
}

static void *serve(void *arg)
{
    struct peer *p = arg;

    if (!p->server->tls || server_tls_accept(p) == 0)
        p->server->handler(p);
    if (p->tls != NULL)
        server_tls_close(p);
    if (p->fd >= 0)
        close(p->fd);
    free(p->request);
    free(p);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct server *s = arg;
    int on = 1;

    while (readable(s, s->listener, -1)) {
        struct peer *p = calloc(1, sizeof *p);
        p->server = s;
        p->fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pthread_mutex_lock(&s->lock);
        p->no = s->n_connections++;
        pthread_mutex_unlock(&s->lock);
        if (p->fd < 0 || p->no >= SERVER_MAX || pthread_create(&s->threads[p->no], NULL, serve, p) != 0)
            die("a connection too many");
        s->intact++;
    }
    return NULL;
}

void server_start(struct server *s, void (*handler)(struct peer *p))
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;

    s->handler = handler;
    pthread_mutex_init(&s->lock, NULL);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pipe(s->stop_pipe) < 0 || bind(s->listener, (struct sockaddr *)&a, len) < 0 || listen(s->listener, 64) < 0 ||
        getsockname(s->listener, (struct sockaddr *)&a, &len) < 0)
        die("server");
    s->port = ntohs(a.sin_port);
    if (pthread_create(&s->accepter, NULL, accept_all, s) != 0)
        die("pthread_create");
}

void server_start_tls(struct server *s, void (*handler)(struct peer *p), bool h2)
{
    s->tls = true;
    s->h2 = h2;
    if (server_tls_set_up(s) != 0)
        die("TLS");
    server_start(s, handler);
}

void server_stop(struct server *s)
{
    close(s->stop_pipe[1]);
    pthread_join(s->accepter, NULL);
    for (int i = 0; i < s->intact; i++)
        pthread_join(s->threads[i], NULL);
    close(s->stop_pipe[0]);
    close(s->listener);
    for (int i = 0; i < SERVER_MAX; i++)
        free(s->requests[i]);
    if (s->tls)
        server_tls_free(s);
}
