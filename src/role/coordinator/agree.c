/*
 * agree.c - whether this node has the configuration that the others have
 *
 * What must agree stands in core/conf_agree.h; the database says who differs (sql/0013). A node that differs claims
 * nothing, leads nothing and takes no uploads until the others follow it or it follows them. Known before the
 * coordinator says that it is ready, so that no worker of a daemon that starts claims what it should not; then with
 * every heartbeat.
 *
 * Warns and raises: that this node differs, in what and from whom; on the leader, which nodes differ.
 *
 * Depends on core, proc.
 */
#include "coordinator/coordinator.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"

#include <stdio.h>
#include <string.h>

const char agree_sql[] = "SELECT agrees, coalesce(keys, ''), coalesce(others, ''), missing FROM node_agreement($1, $2)";

void agree_params(struct coordinator *c, struct pg_params *p)
{
    pg_add_text(p, c->conf->node_name);
    pg_add_int8(p, c->conf->node_grace);
}

static void tell_differs(struct coordinator *c, const char *keys, const char *others)
{
    char text[220];

    snprintf(text, sizeof text, "%.100s differs from the configuration of node %.60s", keys, others);
    if (strcmp(text, c->differs) == 0)
        return;
    memcpy(c->differs, text, sizeof text);
    log_warn("coordinator", "this node claims nothing: its configuration differs", "keys", keys, "nodes", others,
             "hint", "give all nodes the same; docs/decisions.md says who is taken for right", NULL);
    services_raise(c->child.services, "configuration", reason_name(REASON_config_differs), text, clock_ms());
}

/* Others that differ say so themselves; here it is said for whoever looks at the leader only. */
static void tell_strays(struct coordinator *c, const char *strays)
{
    char text[220];

    if (!c->leader)
        return;
    snprintf(text, sizeof text, "%.200s", strays);
    if (strcmp(text, c->strays) == 0)
        return;
    memcpy(c->strays, text, sizeof text);
    if (*strays == '\0')
        return;
    snprintf(text, sizeof text, "other nodes differ and claim nothing: %.160s", strays);
    log_warn("coordinator", "other nodes differ in their configuration and claim nothing", "nodes", strays, NULL);
    services_raise(c->child.services, "configuration", reason_name(REASON_config_differs), text, clock_ms());
}

bool agree_read(struct coordinator *c, const PGresult *r)
{
    bool differed = services_differs(c->child.services), agrees = PQntuples(r) == 0 || pg_get_bool(r, 0, 0);
    struct score_data *s;

    c->missing = PQntuples(r) > 0 ? pg_get_int(r, 0, 3) : 0;
    if (agrees) {
        c->differs[0] = '\0';
        tell_strays(c, PQntuples(r) > 0 ? pg_get_text(r, 0, 2) : "");
    } else {
        tell_differs(c, pg_get_text(r, 0, 1), pg_get_text(r, 0, 2));
    }
    services_set_differs(c->child.services, !agrees);
    s = score_begin(c->child.score);
    snprintf(s->differs, sizeof s->differs, "%.*s", (int)sizeof s->differs - 1, c->differs);
    score_end(c->child.score);
    if (agrees && differed)
        log_info("coordinator", "this node's configuration agrees with the others' again", NULL);
    return agrees != !differed;
}
