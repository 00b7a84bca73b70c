/*
 * pg_url.c - from the configured connection string to libpq's parameters
 *
 * Takes a URI or key=value string apart with libpq's own parser, adds what every docmill connection has (UTF-8,
 * keepalives, a bound on unacknowledged data, the application's name) where the string does not say otherwise, and
 * applies the TLS policy: to a host that is not this machine only verify-full. A service name may hide any host, so
 * it counts as remote; for a Unix socket libpq ignores sslmode anyway.
 *
 * Diagnostics
 *   db_unavailable (-EINVAL)  the string cannot be parsed (libpq's message is withheld: it quotes the string, and with
 *                             it the password); an sslmode below verify-full for a remote host
 *
 * Depends on core/reason.h, libpq.
 */
#include "core/reason.h"
#include "db/pg_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define KEEPALIVE_IDLE_S     "10"
#define KEEPALIVE_INTERVAL_S "3"
#define KEEPALIVE_COUNT      "3"
#define USER_TIMEOUT_MS      "9000"

const char *pg_target_get(const struct pg_target *t, const char *key)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->keys[i], key) == 0)
            return t->values[i];
    return NULL;
}

void pg_target_set(struct pg_target *t, const char *key, const char *value)
{
    const char *copy = pg_must(talloc_strdup(t, value));

    for (int i = 0; i < t->n; i++) {
        if (strcmp(t->keys[i], key) == 0) {
            t->values[i] = copy;
            return;
        }
    }
    if (t->n + 1 >= t->room) {
        t->room = t->room * 2 + 16;
        t->keys = pg_must(talloc_realloc(t, t->keys, const char *, (unsigned)t->room));
        t->values = pg_must(talloc_realloc(t, t->values, const char *, (unsigned)t->room));
    }
    t->keys[t->n] = pg_must(talloc_strdup(t, key));
    t->values[t->n++] = copy;
    t->keys[t->n] = t->values[t->n] = NULL;
}

static void set_if_unset(struct pg_target *t, const char *key, const char *value)
{
    if (pg_target_get(t, key) == NULL)
        pg_target_set(t, key, value);
}

/* Empty, a socket's path, an abstract socket: libpq uses a Unix socket. */
static bool is_socket(const char *host)
{
    return *host == '\0' || *host == '/' || *host == '@';
}

bool pg_host_is_name(const char *host)
{
    struct in6_addr six;
    struct in_addr four;

    return !is_socket(host) && inet_pton(AF_INET, host, &four) != 1 && inet_pton(AF_INET6, host, &six) != 1 &&
           strchr(host, '%') == NULL; /* an IPv6 address with its scope */
}

static bool is_loopback(const char *host)
{
    struct in6_addr six;
    struct in_addr four;

    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six);
    return strcasecmp(host, "localhost") == 0;
}

/* Whether all hosts that the connection may go to are this machine; also finds out whether a name needs resolving. */
static bool look_at_hosts(struct pg_target *t)
{
    const char *list = t->hostaddrs != NULL && *t->hostaddrs != '\0' ? t->hostaddrs : t->hosts;
    char *copy, *rest, *host;
    bool local = pg_target_get(t, "service") == NULL && getenv("PGSERVICE") == NULL;

    if (list == NULL)
        return local; /* libpq's default: the Unix socket */
    rest = copy = pg_must(talloc_strdup(t, list));
    while ((host = strsep(&rest, ",")) != NULL) {
        if (is_socket(host))
            continue;
        local = local && is_loopback(host);
        t->names = t->names || pg_host_is_name(host);
    }
    talloc_free(copy);
    return local;
}

static int check_tls(struct pg_target *t, bool local, struct error *e)
{
    const char *mode = pg_target_get(t, "sslmode");
    int code;

    if (local)
        return 0;
    if (mode == NULL) {
        pg_target_set(t, "sslmode", "verify-full");
        return 0;
    }
    if (strcmp(mode, "verify-full") == 0)
        return 0;
    code = reason_error(e, REASON_db_unavailable, EINVAL,
                        "the database URL asks for sslmode=%s on a host that is not this machine", mode);
    error_hint(e,
               "Use sslmode=verify-full with sslrootcert=FILE (the server's certificate authority), or leave sslmode "
               "out: verify-full is the default.");
    return code;
}

static void add_defaults(struct pg_target *t, const struct pg_options *o)
{
    pg_target_set(t, "client_encoding", "UTF8");
    if (o->application != NULL)
        pg_target_set(t, "application_name", o->application);
    set_if_unset(t, "keepalives", "1");
    set_if_unset(t, "keepalives_idle", KEEPALIVE_IDLE_S);
    set_if_unset(t, "keepalives_interval", KEEPALIVE_INTERVAL_S);
    set_if_unset(t, "keepalives_count", KEEPALIVE_COUNT);
    set_if_unset(t, "tcp_user_timeout", USER_TIMEOUT_MS);
}

struct pg_target *pg_target_make(const void *talloc_parent, const struct pg_options *o, struct error *e)
{
    struct pg_target *t = pg_must(talloc_zero(talloc_parent, struct pg_target));
    char *quoting = NULL;
    PQconninfoOption *parsed = PQconninfoParse(o->url == NULL ? "" : o->url, &quoting);

    PQfreemem(quoting);
    if (parsed == NULL) {
        reason_error(e, REASON_db_unavailable, EINVAL, "the database URL is not a connection string that libpq knows");
        error_hint(e, "postgresql://user@host/database?sslmode=verify-full, or host=/run/postgresql dbname=docmill; "
                      "special characters in a password are %%-encoded in a URI.");
        talloc_free(t);
        return NULL;
    }
    for (const PQconninfoOption *i = parsed; i->keyword != NULL; i++)
        if (i->val != NULL)
            pg_target_set(t, i->keyword, i->val);
    PQconninfoFree(parsed);
    t->hosts = pg_target_get(t, "host");
    if (t->hosts == NULL)
        t->hosts = getenv("PGHOST");
    t->hostaddrs = pg_target_get(t, "hostaddr");
    if (t->hostaddrs == NULL)
        t->hostaddrs = getenv("PGHOSTADDR");
    t->ports = pg_target_get(t, "port");
    t->secrets[0] = pg_target_get(t, "password");
    t->secrets[1] = pg_target_get(t, "sslpassword");
    if (check_tls(t, look_at_hosts(t), e) != 0) {
        talloc_free(t);
        return NULL;
    }
    add_defaults(t, o);
    return t;
}

int pg_check_url(const char *url, struct error *e)
{
    struct error own;
    struct pg_target *t;

    e = e == NULL ? &own : e;
    t = pg_target_make(NULL, &(struct pg_options){.url = url}, e);
    talloc_free(t);
    return t != NULL ? 0 : e->code;
}
