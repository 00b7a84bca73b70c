/*
 * pauses.c - what operators have paused: from the table into the word that this node's workers look at
 *
 * Read before the coordinator says that it is ready, so that no worker of a daemon that starts claims what rests; then
 * at every notice of a change, and every few seconds in case a notice was lost. Without the database the word stays as
 * it was.
 *
 * Warns: a pause that this version does not know (it is left alone). Depends on core, proc.
 */
#include "coordinator/coordinator.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/pause.h"

const char pauses_sql[] =
    "SELECT name, greatest((extract(epoch FROM now() - since) * 1000)::int8, 0) FROM pauses ORDER BY since, name";

static void tell(uint32_t before, uint32_t after)
{
    for (int i = 0; i < PAUSE_MAX_; i++) {
        if ((before ^ after) & PAUSE_BIT(i))
            log_warn("coordinator", after & PAUSE_BIT(i) ? "paused by an operator" : "resumed by an operator", "what",
                     pause_name((enum pause)i), NULL);
    }
}

bool pauses_read(struct coordinator *c, const PGresult *r)
{
    uint32_t mask = 0, before = services_paused(c->child.services);
    int64_t since[PAUSE_MAX_] = {0};
    int unknown = 0;

    for (int i = 0; i < PQntuples(r); i++) {
        int p = pause_parse(pg_get_text(r, i, 0));
        if (p < 0) {
            if (++unknown > c->pauses_unknown)
                log_warn("coordinator", "a pause that this version does not know is not kept", "what",
                         pg_get_text(r, i, 0), NULL);
            continue;
        }
        mask |= PAUSE_BIT(p);
        since[p] = clock_ms() - pg_get_int(r, i, 1);
    }
    c->pauses_unknown = unknown;
    services_set_paused(c->child.services, mask, since);
    tell(before, mask);
    return mask != before;
}
