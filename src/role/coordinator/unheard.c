/*
 * unheard.c - claims that nobody has heard of: committed after the death of the child, or the node, that asked
 *
 * A worker's jobs are released as soon as its death is known. A claim that is on its way then, in a socket, in a proxy
 * or in a commit, belongs to the dead one when it is through, however long that takes; it would rest until its deadline.
 * So what is looked for is not what a certain child may have left, but every job of this node whose owner does not live.
 * The master says in the scoreboard who does. Nothing has to be remembered, so the coordinator may die at any moment;
 * and a statement of it that is late itself does no harm, since it says up to which number it knows the children.
 *
 * While deaths wait for their release nothing is taken: the evidence may have a document to blame.
 *
 * What is left of a node's former life, or of a node that was taken for dead and forgotten, is the leader's to find.
 *
 * Depends on base, db, queue, proc.
 */
#include "coordinator/coordinator.h"

#include "base/log.h"

#include <talloc.h>

#define UNHEARD_MS 1000
#define NOBODYS_MS 2000

void unheard_params(struct coordinator *c, struct pg_params *p)
{
    const struct rescue_limits limits = coord_limits(c);
    struct score_living *l = talloc_zero(c->running_ctx, struct score_living);
    int n = 0;

    if (l == NULL)
        log_panic("coordinator", "out of memory");
    if (scoreboard_living(c->child.score, l) != 0 || l->deaths_owed > 0)
        l->next_serial = 0; /* that is nobody: not now */
    for (int i = 0; i < SCORE_SLOTS; i++)
        if (l->serials[i] != 0)
            l->serials[n++] = l->serials[i];
    rescue_unheard_params(p, c->running_ctx, c->child.incarnation, l->next_serial, l->serials, n, &limits);
}

static void tell(struct coordinator *c, const PGresult *r, const char *what)
{
    int64_t n = pg_get_int(r, 0, 0);

    if (n == 0)
        return;
    log_info("coordinator", what, "jobs", LOG_I(n), NULL);
    tasks_wake_workers(c);
}

void unheard_got(struct coordinator *c, const PGresult *r)
{
    tell(c, r, "jobs that a child was given after its death are queued again");
    tasks_again_in(c, TASK_UNHEARD, UNHEARD_MS);
}

void unheard_nobodys_params(struct coordinator *c, struct pg_params *p)
{
    const struct rescue_limits limits = coord_limits(c);

    rescue_nobodys_params(p, c->running_ctx, c->child.incarnation, c->conf->node_grace, &limits);
}

void unheard_got_nobodys(struct coordinator *c, const PGresult *r)
{
    tell(c, r, "jobs that a node was given after its end are queued again");
    tasks_again_in(c, TASK_NOBODYS, NOBODYS_MS);
}
