/*
 * room.c - which connection of the control socket makes room for one more
 *
 * Pure. A user who has PER_UID gives up his own oldest. When there are CONNECTIONS_MAX, the oldest of the user who has
 * most goes; of users who have as many, the one whose oldest is oldest. The owners (root and our own user) are spared
 * then: they are two at the most, so there is always someone else. The oldest answers no one: what had come from it
 * before this turn has been looked at.
 *
 * Depends on nothing.
 */
#include "master/connection.h"

#include <stddef.h>

struct holder {
    uid_t uid;
    bool owner;
    int n;
    struct connection *oldest;
};

static struct holder *holder_of(struct holder *h, int *n, const struct connection *c)
{
    for (int i = 0; i < *n; i++)
        if (h[i].uid == c->uid)
            return &h[i];
    h[*n] = (struct holder){.uid = c->uid, .owner = c->owner};
    return &h[(*n)++];
}

/* The list is newest first, so whoever is met last is oldest. */
struct connection *room_made_by(struct connection *list, uid_t uid)
{
    struct holder holders[CONNECTIONS_MAX];
    struct holder *most = NULL;
    int n = 0, all = 0;

    for (struct connection *c = list; c != NULL && all < CONNECTIONS_MAX; c = c->next, all++) {
        struct holder *h = holder_of(holders, &n, c);

        h->n++;
        h->oldest = c;
        if (h->uid == uid && h->n == PER_UID)
            most = h;
    }
    if (most != NULL || all < CONNECTIONS_MAX)
        return most != NULL ? most->oldest : NULL;
    for (int i = 0; i < n; i++)
        if (!holders[i].owner && (most == NULL || holders[i].n >= most->n))
            most = &holders[i];
    return most != NULL ? most->oldest : NULL;
}
