/*
 * docmilld_online.c - `docmilld -t --online`: what the file alone cannot say
 *
 * Asks the server what it grants and the machine what it has, and holds the pools against both, each at its largest and
 * with room for successors. The schema's version is looked at, too. A check that cannot be made has failed. Changes
 * nothing anywhere.
 *
 * Memory is max_memory of each child, or what an idle one is known to need; what parsers need comes on top and is not
 * counted. The control groups are those of whoever asks: under systemd-run they are the unit's.
 *
 * Depends on base, core, db.
 */
#include "docmilld.h"

#include "base/memory.h"
#include "core/conf.h"
#include "core/conf_agree.h"
#include "db/migrate.h"
#include "db/pg.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#define MB_BYTES (INT64_C(1024) * 1024)

/* Private memory of a child that has done nothing yet, rounded up. */
static const int64_t idle_bytes[] = {
    [POOL_COORDINATOR] = 4 * MB_BYTES, [POOL_API] = 8 * MB_BYTES, [POOL_WORKER] = 8 * MB_BYTES};

/* $1 node, $2 grace in ms -> what the server grants, the login role's limit, the database's (-1: none), what the other
 * living nodes may need. */
static const char grants_sql[] =
    "SELECT current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8\n"
    "    - coalesce(current_setting('reserved_connections', true)::int8, 0),\n"
    "  (SELECT rolconnlimit::int8 FROM pg_roles WHERE rolname = session_user),\n"
    "  (SELECT datconnlimit::int8 FROM pg_database WHERE datname = current_database()),\n"
    "  (SELECT coalesce(sum(n.connections), 0)::int8 FROM upload_pipeline.nodes n\n"
    "   WHERE n.name <> $1 AND NOT n.said_goodbye AND n.heartbeat_at > now() - $2 * interval '1 millisecond')";

static int fault(const char *fmt, ...) PRINTF_LIKE(1, 2);
static int fault(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("error: ", stdout);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
    return 1;
}

static int explain(const char *what, const struct error *e)
{
    (void)fault("%s: %s", what, e->message);
    if (e->hint[0] != '\0')
        printf("       %s\n", e->hint);
    return 1;
}

static int64_t least(int64_t a, int64_t b)
{
    return b >= 0 && b < a ? b : a;
}

static int judge_connections(const struct conf *c, const PGresult *r)
{
    int64_t server = pg_get_int(r, 0, 0), others = pg_get_int(r, 0, 3), need = conf_connections(c);
    int64_t granted = least(least(server, pg_get_int(r, 0, 1)), pg_get_int(r, 0, 2));

    printf("online: connections: this node may need %" PRId64 ", the other living nodes %" PRId64
           "; the server grants %" PRId64 "\n",
           need, others, granted);
    if (need + others <= granted)
        return 0;
    (void)fault("pools: %" PRId64 " connections to the database and %" PRId64
                " of other nodes are more than the %" PRId64 " that it grants",
                need, others, granted);
    puts("       Lower max of the pools or api.db_connections, raise max_connections, or use a pooler "
         "(database.url, database.direct_url).");
    return 1;
}

static int check_connections(const struct conf *c, struct pg *p)
{
    struct error e = {0};
    struct pg_params params;
    PGresult *r;
    int n;

    if (pg_pooled(p)) {
        puts("online: connections: database.url leads through a pooler; what it grants is not known here");
        return 0;
    }
    pg_params_init(&params, c);
    pg_add_text(&params, c->node_name);
    pg_add_int8(&params, c->node_grace);
    r = pg_exec(p, grants_sql, &params, 0, &e);
    if (r == NULL)
        return explain("connections", &e);
    n = judge_connections(c, r);
    PQclear(r);
    return n;
}

static int check_database(const struct conf *c)
{
    struct error e = {0};
    int version = 0, n;
    struct pg *p = pg_new(c, &(struct pg_options){.url = c->database_url,
                                                  .role = "docmill_worker",
                                                  .application = "docmilld -t",
                                                  .connect_timeout_ms = c->database_connect_timeout,
                                                  .statement_timeout_ms = c->database_statement_timeout});

    if (pg_connect(p, &e) != 0)
        n = explain("database.url", &e);
    else if (migrate_check(p, &version, &e) != 0)
        n = explain("schema", &e);
    else
        n = check_connections(c, p);
    pg_free(&p);
    return n;
}

static int check_memory(const struct conf *c)
{
    int64_t need = 0, have;
    char where[300];

    for (int i = 0; i < c->n_pools; i++) {
        const struct pool_conf *o = &c->pools[i];
        int64_t each = o->max_memory > 0 ? o->max_memory : idle_bytes[o->role];
        need += each * conf_pool_children(o);
    }
    have = memory_limit_bytes("", where, sizeof where);
    if (have == 0)
        return fault("memory: what this machine has could not be read");
    printf("online: memory: the pools may need %" PRId64 " MB; %s has %" PRId64 " MB\n", need / MB_BYTES, where,
           have / MB_BYTES);
    if (need <= have)
        return 0;
    (void)fault("pools: %" PRId64 " MB of memory at their largest are more than the %" PRId64 " MB of %s",
                need / MB_BYTES, have / MB_BYTES, where);
    puts("       Lower max or max_memory of the pools.");
    return 1;
}

int docmilld_online(const char *path)
{
    struct conf *c = docmilld_load(path);
    int n;

    if (c == NULL)
        return EXIT_CONF;
    n = check_database(c) + check_memory(c);
    if (n == 0)
        puts("online: good");
    talloc_free(c);
    return n == 0 ? EXIT_OK : EXIT_CONF;
}
