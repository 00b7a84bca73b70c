/*
 * node.c - this node in the database: its session, its name's lock, its row and heartbeat
 *
 * Fatal: another master holds this node's name; the connection is a transaction pooler; the schema is missing or not
 * for this version. Warns: the node was taken for dead. Depends on base, core, db, queue, proc.
 */
#include "coordinator/coordinator.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/conf_agree.h"
#include "core/reason.h"
#include "db/locks.h"
#include "db/migrate.h"
#include "queue/rescue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NODES_SETTLE_MS 500 /* longer than a heartbeat takes to be written */
#define LOCK_WAIT_MS    5000
#define LOCK_WAIT_MAX   15000
#define LOCK_EVERY_MS   100

/* ---- statements ---- */

/* $1 node name. The same backend must answer twice, and the lock must stand in its own list of locks. */
const char node_session_sql[] =
    "SELECT pg_try_advisory_lock(1684865027, hashtext($1)), pg_backend_pid(),\n"
    "  EXISTS (SELECT FROM pg_settings WHERE name = 'server_version_num' AND setting::int >= 150000)";
/* $1 node name -> incarnation, heartbeat in us, its age in ms, whether it said goodbye, session and host of the lock's
 * holder */
const char node_holder_sql[] =
    "SELECT n.incarnation, (extract(epoch FROM n.heartbeat_at) * 1000000)::bigint,\n"
    "  (extract(epoch FROM now() - n.heartbeat_at) * 1000)::bigint, n.said_goodbye, coalesce(l.pid, 0),\n"
    "  coalesce(host(a.client_addr), '')\n"
    "FROM upload_pipeline.nodes n\n"
    "LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.classid = 1684865027 AND l.objid = hashtext(n.name)::oid\n"
    "  AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())\n"
    "LEFT JOIN pg_stat_activity a ON a.pid = l.pid\n"
    "WHERE n.name = $1";
const char node_schema_sql[] =
    "SELECT pg_backend_pid(), (SELECT max(version) FROM upload_pipeline.schema_migrations),\n"
    "  EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()\n"
    "          AND classid = 1684865027 AND granted),\n"
    "  (SELECT max(min_binary) FROM upload_pipeline.schema_migrations)";
/* Of $1, the node's name: how many others live, $3 being the grace in ms. They share the outside services with it. */
#define OTHERS_LIVE                                                                                                    \
    "(SELECT count(*) FROM nodes o WHERE o.name <> $1 AND NOT o.said_goodbye\n"                                        \
    "  AND o.heartbeat_at > now() - $3 * interval '1 millisecond')"
/* $1 name, $2 incarnation, $3 grace in ms, $4 version, $5 fingerprint, $6 what must agree, $7 connections -> the
 * incarnation before, whether it said goodbye, others. It has had its configuration since then also over a death that nobody noticed. */
const char node_register_sql[] =
    "WITH old AS (SELECT incarnation, said_goodbye FROM nodes WHERE name = $1),\n"
    "n AS (INSERT INTO nodes (name, incarnation, version, fingerprint, agreed, connections)\n"
    "  VALUES ($1, $2, $4, $5, $6::text::jsonb, $7)\n"
    "  ON CONFLICT (name) DO UPDATE SET incarnation = $2, version = $4, started_at = now(), heartbeat_at = now(),\n"
    "    said_goodbye = false, fingerprint = $5, agreed = $6::text::jsonb, connections = $7,\n"
    "    agreed_at = CASE WHEN nodes.fingerprint = $5 AND (nodes.incarnation = $2 OR (NOT nodes.said_goodbye\n"
    "      AND nodes.heartbeat_at > now() - $3 * interval '1 millisecond')) THEN nodes.agreed_at ELSE now() END)\n"
    "SELECT coalesce((SELECT incarnation FROM old), 0), coalesce((SELECT said_goodbye FROM old), false),\n" OTHERS_LIVE;
const char node_listen_sql[] = "LISTEN docmill_wake";
const char node_heartbeat_sql[] = "UPDATE nodes SET heartbeat_at = now() WHERE name = $1 AND incarnation = $2\n"
                                  "RETURNING " OTHERS_LIVE;
const char node_goodbye_sql[] =
    "UPDATE nodes SET said_goodbye = true, heartbeat_at = now() WHERE name = $1 AND incarnation = $2";

_Static_assert(LOCK_CLASS_NODE == 1684865027, "keyspace of locks.h");

/* ---- parameters ---- */

void node_add_name(struct coordinator *c, struct pg_params *p)
{
    pg_add_text(p, c->conf->node_name);
}

void node_add_me(struct coordinator *c, struct pg_params *p)
{
    pg_add_text(p, c->conf->node_name);
    pg_add_int8(p, c->child.incarnation);
}

void node_add_alive(struct coordinator *c, struct pg_params *p)
{
    node_add_me(c, p);
    pg_add_int8(p, c->conf->node_grace);
}

void node_add_register(struct coordinator *c, struct pg_params *p)
{
    char fingerprint[CONF_FINGERPRINT_MAX + 1];
    const char *agreed;

    node_add_alive(c, p);
    pg_add_text(p, DOCMILL_VERSION);
    agreed = conf_agreement(c->running_ctx, c->conf, fingerprint);
    if (agreed == NULL)
        log_panic("coordinator", "out of memory");
    pg_add_text(p, fingerprint);
    pg_add_text(p, agreed);
    pg_add_int4(p, conf_connections(c->conf));
}

void node_add_former(struct coordinator *c, struct pg_params *p)
{
    struct rescue_limits l = coord_limits(c);

    rescue_former_params(p, c->running_ctx, c->conf->node_name, c->former, !c->former_polite, &l);
}

/* ---- answers ---- */

static void set_fatal(struct coordinator *c, enum reason r, int code, const char *text, const char *hint)
{
    reason_error(&c->fatal_error, r, code, "%s", text);
    error_hint(&c->fatal_error, "%s", hint);
    c->fatal = c->fatal_error.message;
}

void node_got_session(struct coordinator *c, const PGresult *r)
{
    c->backend_pid = (int)pg_get_int(r, 0, 1);
    if (!pg_get_bool(r, 0, 0)) {
        if (c->lock_since_ms == 0)
            c->lock_since_ms = clock_ms();
        tasks_want(c, TASK_HOLDER);
        return;
    }
    c->lock_since_ms = c->holder = 0;
    tasks_want(c, TASK_SCHEMA);
}

/* A heartbeat that moves is a living master's. One that stands still may be that of a session which has just ended, or
 * whose end the server has not noticed yet: its name is free before long. */
static bool holder_lives(struct coordinator *c, const PGresult *r)
{
    int64_t incarnation, beat_us;
    bool moved;

    if (PQntuples(r) == 0 || pg_get_bool(r, 0, 3))
        return false;
    incarnation = pg_get_int(r, 0, 0);
    beat_us = pg_get_int(r, 0, 1);
    moved = c->holder == incarnation && beat_us > c->holder_beat_us && incarnation != c->child.incarnation;
    c->holder = incarnation;
    c->holder_beat_us = beat_us;
    return moved;
}

/* How long to look on before the master hears of it: the heartbeat of a living holder moves meanwhile. */
static int64_t lock_wait_ms(const struct coordinator *c)
{
    int64_t two = 2 * c->conf->node_heartbeat + 1000;

    return two < LOCK_WAIT_MS ? LOCK_WAIT_MS : two > LOCK_WAIT_MAX ? LOCK_WAIT_MAX : two;
}

void node_got_holder(struct coordinator *c, const PGresult *r)
{
    static const char hint[] = "give each master its own node.name, or stop the other one";
    char text[240];

    if (holder_lives(c, r)) {
        const char *host = pg_get_text(r, 0, 5);
        snprintf(text, sizeof text, "another master with this node name lives: \"%s\" is held by session %lld%s%s",
                 c->conf->node_name, (long long)pg_get_int(r, 0, 4), *host != '\0' ? " from " : "", host);
        set_fatal(c, REASON_node_taken, EEXIST, text, hint);
        return;
    }
    if (clock_ms() - c->lock_since_ms < lock_wait_ms(c)) {
        tasks_again_in(c, TASK_SESSION, LOCK_EVERY_MS);
        return;
    }
    snprintf(text, sizeof text, "another master with this node name, \"%s\", is connected to the database",
             c->conf->node_name);
    set_fatal(c, REASON_conflict, EEXIST, text, hint);
}

void node_got_schema(struct coordinator *c, const PGresult *r)
{
    struct score_data *s;
    int version = (int)pg_get_int(r, 0, 1);

    if (pg_pooled(c->pg) || (int)pg_get_int(r, 0, 0) != c->backend_pid || !pg_get_bool(r, 0, 2)) {
        set_fatal(c, REASON_conflict, EPROTO, "the database connection changes its session: it is a transaction pooler",
                  "set database.direct_url to the server itself");
        return;
    }
    if (migrate_judge(version, (int)pg_get_int(r, 0, 3), &c->fatal_error) != 0) {
        c->fatal = c->fatal_error.message;
        return;
    }
    s = score_begin(c->child.score);
    s->schema_version = version;
    score_end(c->child.score);
    tasks_want(c, TASK_REGISTER);
}

/* The outside services are shared between the live nodes. One that joins holds still until the others have noticed. */
static void count_nodes(struct coordinator *c, int64_t others)
{
    services_set_nodes(c->child.services, (int)others + 1, c->conf->node_heartbeat + NODES_SETTLE_MS, clock_ms());
}

void node_got_register(struct coordinator *c, const PGresult *r)
{
    int64_t before = pg_get_int(r, 0, 0);

    count_nodes(c, pg_get_int(r, 0, 2));
    if (before != c->child.incarnation) { /* if it is ours, the session was lost: what was still to be taken still is */
        c->former = before;
        c->former_polite = pg_get_bool(r, 0, 1);
    }
    tasks_want(c, c->former != 0 ? TASK_FORMER : TASK_AGREE);
}

void node_got_former(struct coordinator *c, const PGresult *r)
{
    int64_t n = pg_get_int(r, 0, 0);

    if (n > 0)
        log_info("coordinator", "jobs of this node's former life are queued again", "jobs", LOG_I(n), NULL);
    c->former = 0;
    tasks_want(c, TASK_AGREE);
}

void node_got_listen(struct coordinator *c, const PGresult *r)
{
    (void)r;
    c->collection = 0;
    tasks_want(c, TASK_PAUSES);
}

/* A row that is gone was taken by a leader that thought us dead: without one nobody would notice our true death. */
void node_got_heartbeat(struct coordinator *c, const PGresult *r)
{
    struct score_data *s;

    if (PQntuples(r) == 0) {
        log_warn("coordinator", "this node was taken for dead; it registers again", NULL);
        c->set_up = false;
        tasks_want(c, TASK_REGISTER);
        return;
    }
    count_nodes(c, pg_get_int(r, 0, 0));
    s = score_begin(c->child.score);
    s->written_ms = clock_ms();
    score_end(c->child.score);
    tasks_want(c, TASK_AGREE);
    tasks_again_in(c, TASK_HEARTBEAT, c->conf->node_heartbeat);
}

void node_got_goodbye(struct coordinator *c, const PGresult *r)
{
    (void)r;
    c->gone = true;
}
