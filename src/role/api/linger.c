/* linger.c - see linger.h */
#include "api/linger.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <talloc.h>
#include <unistd.h>

LIST_HEAD(linger_list, linger_one);

struct linger_one {
    LIST_ENTRY(linger_one) entry;
    struct lingerers *all;
    sd_event_source *io, *timer;
    int fd;
    int64_t left_bytes;
};

struct lingerers {
    sd_event *event;
    struct linger_list list;
    int n;
};

struct lingerers *linger_new(const void *talloc_parent, sd_event *event)
{
    struct lingerers *l = talloc_zero(talloc_parent, struct lingerers);

    if (l == NULL)
        log_panic("linger", "out of memory");
    l->event = event;
    LIST_INIT(&l->list);
    return l;
}

static void linger_end(struct linger_one *o)
{
    LIST_REMOVE(o, entry);
    o->all->n--;
    sd_event_source_disable_unref(o->io);
    sd_event_source_disable_unref(o->timer);
    close(o->fd);
    talloc_free(o);
}

static int handle_bytes(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
    struct linger_one *o = arg;
    char drop[65536];
    ssize_t n = recv(fd, drop, sizeof drop, MSG_DONTWAIT);

    (void)s;
    (void)revents;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n > 0)
        o->left_bytes -= n;
    if (n <= 0 || o->left_bytes <= 0)
        linger_end(o);
    return 0;
}

static int handle_timeout(sd_event_source *s, uint64_t usec, void *arg)
{
    (void)s;
    (void)usec;
    linger_end(arg);
    return 0;
}

void linger_add(struct lingerers *l, int fd)
{
    struct linger_one *o = fd >= 0 && l->n < LINGER_MAX ? talloc_zero(l, struct linger_one) : NULL;

    if (o == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    o->all = l;
    o->fd = fd;
    o->left_bytes = LINGER_MAX_BYTES;
    LIST_INSERT_HEAD(&l->list, o, entry);
    l->n++;
    if (sd_event_add_io(l->event, &o->io, fd, EPOLLIN, handle_bytes, o) < 0 ||
        sd_event_add_time(l->event, &o->timer, CLOCK_MONOTONIC, (uint64_t)(clock_ms() + LINGER_MS) * 1000, 0,
                          handle_timeout, o) < 0)
        linger_end(o);
}

void linger_free(struct lingerers **l)
{
    if (*l == NULL)
        return;
    while (!LIST_EMPTY(&(*l)->list))
        linger_end(LIST_FIRST(&(*l)->list));
    talloc_free(*l);
    *l = NULL;
}
