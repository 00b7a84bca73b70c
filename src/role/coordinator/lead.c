/*
 * lead.c - which node leads, and what begins and ends with that
 *
 * Whoever holds the leader's lock leads, as long as its configuration is the one that nodes agree on (agree.c). The leader
 * alone has the tasks of `leaders`; a session that is lost ends them with the lock.
 *
 * Depends on base, db, proc.
 */
#include "coordinator/coordinator.h"

#include "base/clock.h"
#include "base/log.h"
#include "db/locks.h"

#define LEADER_EVERY_MS 2000

/* $1: may it? A session that holds the lock twice would have to give it back twice. */
const char lead_sql[] = "SELECT $1 AND pg_try_advisory_lock(1684865026, 0)";
const char lead_resign_sql[] = "SELECT pg_advisory_unlock(1684865026, 0)";

_Static_assert(LOCK_CLASS_LEADER == 1684865026, "keyspace of locks.h");

void lead_params(struct coordinator *c, struct pg_params *p)
{
    pg_add_bool(p, c->differs[0] == '\0' && !c->leader);
}

/* Done by the leader alone, from when it begins to lead. */
static const enum coord_task leaders[] = {TASK_DEAD_NODES, TASK_NOBODYS,     TASK_SWEEP,  TASK_WANT,
                                          TASK_SPACES,     TASK_COST,        TASK_BUDGET, TASK_TIDY,
                                          TASK_PARTITIONS, TASK_FORGET_AUDIT};

/* What the leader's configuration wants is not begun while nodes are away that may come back with another one. They are
 * back, or known to be dead, before long; agree_read() says when. */
static void want_spaces(struct coordinator *c)
{
    c->collection = 0;
    c->want_owed = c->missing > 0;
    if (c->want_owed)
        c->due_ms[TASK_WANT] = INT64_MAX;
    else
        tasks_want(c, TASK_WANT);
}

void lead_got(struct coordinator *c, const PGresult *r)
{
    struct score_data *s;
    bool already = c->leader;

    c->leader = already || pg_get_bool(r, 0, 0);
    s = score_begin(c->child.score);
    s->is_leader = c->leader;
    score_end(c->child.score);
    if (!c->leader) {
        tasks_again_in(c, TASK_LEADER, LEADER_EVERY_MS);
        return;
    }
    if (!already)
        log_info("coordinator", "leading", NULL);
    for (size_t i = 0; i < sizeof leaders / sizeof leaders[0]; i++)
        tasks_want(c, leaders[i]);
    want_spaces(c);
}

void lead_got_agree(struct coordinator *c, const PGresult *r)
{
    bool changed = agree_read(c, r);

    if (!c->set_up) {
        tasks_want(c, TASK_LISTEN);
        return;
    }
    if (changed && c->differs[0] == '\0') {
        tasks_want(c, TASK_LEADER);
        tasks_wake_workers(c);
    }
    if (c->leader && c->differs[0] != '\0')
        tasks_want(c, TASK_RESIGN);
    else if (c->leader && c->want_owed && c->missing == 0)
        want_spaces(c);
}

void lead_got_resign(struct coordinator *c, const PGresult *r)
{
    struct score_data *s;

    (void)r;
    log_info("coordinator", "leading no longer", NULL);
    c->leader = false;
    s = score_begin(c->child.score);
    s->is_leader = 0;
    score_end(c->child.score);
    for (size_t i = 0; i < sizeof leaders / sizeof leaders[0]; i++)
        c->due_ms[leaders[i]] = INT64_MAX;
    tasks_again_in(c, TASK_LEADER, LEADER_EVERY_MS);
}
