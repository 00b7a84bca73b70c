/*
 * held.c - listening sockets that systemd holds for us
 *
 * Two kinds come as descriptors from 3 on: those of docmill.socket (socket activation), and those that this daemon's
 * former life put into the descriptor store and that are still there after a restart, with the connections that came
 * meanwhile. They are used where the address is the one configured; what is left over is closed, and removed from the
 * store, since connections would wait there for nobody. What is new is put into the store; without systemd nothing of
 * this happens.
 *
 * Diagnostics
 *   warns   a socket that is not what the configuration names
 *
 * Depends on base.
 */
#include "master/master_int.h"

#include "base/log.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <talloc.h>
#include <unistd.h>

#define STORE_PREFIX "docmill-" /* of the names of what we stored; docmill.socket's have its FileDescriptorName */

struct held_socket {
    int fd; /* -1: closed */
    bool used, stored;
    char name[32];
};

struct held {
    int n;
    struct held_socket *sockets;
    unsigned next_name;
};

static struct held_socket *add(struct held *h, int fd, const char *name, bool stored)
{
    struct held_socket *s;
    int at = 0;

    while (at < h->n && h->sockets[at].fd >= 0)
        at++;
    if (at == h->n) {
        h->sockets = talloc_realloc(h, h->sockets, struct held_socket, (unsigned)h->n + 1);
        if (h->sockets == NULL)
            log_panic("master", "out of memory");
        h->n++;
    }
    s = &h->sockets[at];
    *s = (struct held_socket){.fd = fd, .stored = stored};
    snprintf(s->name, sizeof s->name, "%s", name);
    return s;
}

static void free_names(char **names)
{
    for (char **p = names; p != NULL && *p != NULL; p++)
        free(*p);
    free(names);
}

/* Numbers of names that are in the store are not given again. */
static void note_name(struct held *h, const char *name)
{
    const char *dash = strrchr(name, '-');
    unsigned long k = dash != NULL ? strtoul(dash + 1, NULL, 10) : 0;

    if (k < 1000000 && k >= h->next_name)
        h->next_name = (unsigned)k + 1;
}

void held_take(struct master *m)
{
    struct held *h = talloc_zero(m, struct held);
    char **names = NULL;
    int n = sd_listen_fds_with_names(1, &names);

    if (h == NULL)
        log_panic("master", "out of memory");
    m->held = h;
    for (int i = 0; i < n; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        add(h, fd, names[i], strncmp(names[i], STORE_PREFIX, sizeof STORE_PREFIX - 1) == 0);
        note_name(h, names[i]);
        fcntl(fd, F_SETFL, O_NONBLOCK);
    }
    free_names(names);
}

static bool same_address(const struct sockaddr *a, const struct sockaddr_storage *b)
{
    if (a->sa_family != b->ss_family)
        return false;
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *x = (const struct sockaddr_in *)a, *y = (const struct sockaddr_in *)b;
        return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
    }
    if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *x = (const struct sockaddr_in6 *)a, *y = (const struct sockaddr_in6 *)b;
        return x->sin6_port == y->sin6_port && memcmp(&x->sin6_addr, &y->sin6_addr, sizeof x->sin6_addr) == 0;
    }
    return false;
}

static bool is_tcp_at(int fd, const struct sockaddr *a)
{
    struct sockaddr_storage b = {0};
    socklen_t n = sizeof b;

    return sd_is_socket(fd, a->sa_family, SOCK_STREAM, 1) > 0 && getsockname(fd, (struct sockaddr *)&b, &n) == 0 &&
           same_address(a, &b);
}

int held_tcp(struct master *m, const struct sockaddr *a, bool *stored)
{
    for (int i = 0; i < m->held->n; i++) {
        struct held_socket *s = &m->held->sockets[i];
        int fd = s->fd;

        if (fd < 0 || s->used || !is_tcp_at(fd, a))
            continue;
        s->used = true;
        *stored = s->stored;
        return fd;
    }
    return -1;
}

int held_unix(struct master *m, const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0 || !S_ISSOCK(st.st_mode)) /* nobody could reach it any more */
        return -1;
    for (int i = 0; i < m->held->n; i++) {
        struct held_socket *s = &m->held->sockets[i];
        int fd = s->fd;

        if (fd < 0 || s->used || sd_is_socket_unix(fd, SOCK_STREAM, 1, path, 0) <= 0)
            continue;
        s->used = true;
        m->sockets_stored = m->sockets_stored || s->stored;
        return fd;
    }
    return -1;
}

void held_store(struct master *m, int fd)
{
    char name[32], text[80];

    snprintf(name, sizeof name, STORE_PREFIX "%u", m->held->next_name++);
    snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s", name);
    if (sd_pid_notify_with_fds(0, 0, text, &fd, 1) <= 0)
        return;
    m->sockets_stored = true;
    add(m->held, fd, name, true)->used = true;
}

void held_forget(struct master *m, int fd)
{
    for (int i = 0; i < m->held->n; i++) {
        struct held_socket *s = &m->held->sockets[i];

        if (s->fd != fd)
            continue;
        if (s->stored)
            sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", s->name);
        s->fd = -1;
    }
}

void held_drop_rest(struct master *m)
{
    for (int i = 0; i < m->held->n; i++) {
        struct held_socket *s = &m->held->sockets[i];
        int fd;

        if (s->fd < 0 || s->used)
            continue;
        if (!s->stored)
            log_warn("rundir", "a socket of docmill.socket is not what api.listen names; it is not used", "name",
                     s->name, "listen", m->conf->api_listen != NULL ? m->conf->api_listen : "", NULL);
        fd = s->fd;
        held_forget(m, fd);
        close(fd);
    }
}
