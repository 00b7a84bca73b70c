/*
 * pg_resolve.c - host names to addresses, without blocking
 *
 * libpq calls getaddrinfo inside PQconnectPoll, which can wait for a dead name server much longer than any deadline of
 * ours. So names are looked up beforehand by getaddrinfo_a (a thread of glibc's) and handed to libpq as hostaddr; host
 * stays, since certificates and the password file are checked against it. A name with several addresses becomes
 * several hosts, which libpq tries in turn, as it would have.
 *
 * A look-up that is still running when its deadline passes cannot be taken back (gai_cancel mostly refuses), and glibc
 * goes on writing to its memory. It stays with the connection, and the next attempt waits for the same look-up instead
 * of starting another; a connection that is freed leaves it behind. So there is at most one a connection.
 *
 * Depends on base/clock.h, core/reason.h, glibc.
 */
#include "base/clock.h"
#include "core/reason.h"
#include "db/pg_int.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define MAX_HOSTS   16
#define POLL_CAP_MS 16

/* Its own talloc root: see above. */
struct pg_resolver {
    int n;
    struct gaicb requests[MAX_HOSTS]; /* ar_name NULL: this host needs no look-up */
    const char *hosts[MAX_HOSTS], *ports[MAX_HOSTS];
    struct addrinfo hints;
    int64_t wait_ms; /* until the next look at it */
};

static bool running(struct pg_resolver *r)
{
    for (int i = 0; i < r->n; i++)
        if (r->requests[i].ar_name != NULL && gai_error(&r->requests[i]) == EAI_INPROGRESS)
            return true;
    return false;
}

static void free_results(struct pg_resolver *r)
{
    for (int i = 0; i < r->n; i++)
        if (r->requests[i].ar_result != NULL)
            freeaddrinfo(r->requests[i].ar_result);
    talloc_free(r);
}

void pg_resolve_leave(struct pg *p)
{
    struct pg_resolver *r = p->resolver;

    p->resolver = NULL;
    if (r == NULL)
        return;
    for (int i = 0; i < r->n; i++)
        if (r->requests[i].ar_name != NULL)
            gai_cancel(&r->requests[i]);
    if (!running(r))
        free_results(r);
}

/* Splits a comma-separated list into at most MAX_HOSTS parts; their number, or -E2BIG. */
static int split(void *ctx, const char *list, const char **parts)
{
    char *rest = pg_must(talloc_strdup(ctx, list)), *part;
    int n = 0;

    while ((part = strsep(&rest, ",")) != NULL) {
        if (n == MAX_HOSTS)
            return -E2BIG;
        parts[n++] = part;
    }
    return n;
}

int pg_resolve_start(struct pg *p, struct error *e)
{
    struct pg_resolver *r = p->resolver;
    struct gaicb *list[MAX_HOSTS];
    int n = 0, n_ports;

    if (r != NULL) { /* an earlier attempt's, for the same hosts */
        r->wait_ms = 1;
        return 0;
    }
    r = pg_must(talloc_zero(NULL, struct pg_resolver));
    r->n = split(r, p->target->hosts, r->hosts);
    n_ports = p->target->ports == NULL ? 0 : split(r, p->target->ports, r->ports);
    if (r->n < 0 || n_ports < 0 || (n_ports > 1 && n_ports != r->n)) {
        talloc_free(r);
        return reason_error(e, REASON_db_unavailable, EINVAL,
                            "the database URL names more than %d hosts, or not one port for each", MAX_HOSTS);
    }
    for (int i = n_ports; i < r->n; i++)
        r->ports[i] = n_ports == 1 ? r->ports[0] : "";
    r->hints = (struct addrinfo){.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    for (int i = 0; i < r->n; i++) {
        if (!pg_host_is_name(r->hosts[i]))
            continue;
        r->requests[i].ar_name = r->hosts[i];
        r->requests[i].ar_request = &r->hints;
        list[n++] = &r->requests[i];
    }
    r->wait_ms = 1;
    if (getaddrinfo_a(GAI_NOWAIT, list, n, NULL) != 0) {
        talloc_free(r);
        return reason_error(e, REASON_db_unavailable, EAGAIN, "no look-up of the database's host could be started");
    }
    p->resolver = r;
    return 0;
}

struct lists {
    char *host, *addr, *port;
    int n;
};

static void add_host(struct lists *l, const char *host, const char *addr, const char *port)
{
    const char *comma = l->n++ == 0 ? "" : ",";

    l->host = pg_must(talloc_asprintf_append(l->host, "%s%s", comma, host));
    l->addr = pg_must(talloc_asprintf_append(l->addr, "%s%s", comma, addr));
    l->port = pg_must(talloc_asprintf_append(l->port, "%s%s", comma, port));
}

/* All addresses of one name; the last look-up error is kept for the case that nothing is left. */
static void add_addresses(struct lists *l, struct pg_resolver *r, int i, struct error *e)
{
    int failed = gai_error(&r->requests[i]);
    char text[NI_MAXHOST];

    if (failed != 0) {
        reason_error(e, REASON_db_unavailable, EHOSTUNREACH, "no address for the database host %s: %s", r->hosts[i],
                     gai_strerror(failed));
        return;
    }
    for (const struct addrinfo *a = r->requests[i].ar_result; a != NULL; a = a->ai_next)
        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
            add_host(l, r->hosts[i], text, r->ports[i]);
}

int pg_resolve_poll(struct pg *p, struct error *e)
{
    struct pg_resolver *r = p->resolver;
    struct lists l = {.n = 0};

    if (running(r)) {
        p->resolve_at_ms = clock_ms() + r->wait_ms;
        r->wait_ms = r->wait_ms * 2 < POLL_CAP_MS ? r->wait_ms * 2 : POLL_CAP_MS;
        return -EAGAIN;
    }
    l.host = pg_must(talloc_strdup(r, ""));
    l.addr = pg_must(talloc_strdup(r, ""));
    l.port = pg_must(talloc_strdup(r, ""));
    for (int i = 0; i < r->n; i++) {
        if (r->requests[i].ar_name == NULL)
            add_host(&l, r->hosts[i], "", r->ports[i]);
        else
            add_addresses(&l, r, i, e);
    }
    if (l.n > 0) {
        pg_target_set(p->target, "host", l.host);
        pg_target_set(p->target, "hostaddr", l.addr);
        pg_target_set(p->target, "port", l.port);
    }
    p->resolver = NULL;
    free_results(r);
    return l.n > 0 ? 0 : e->code;
}
