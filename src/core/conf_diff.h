/*
 * conf_diff.h - what a new configuration would change: which keys, who sees them, what has to wait for a restart
 *
 * A key with CF_RELOAD applies at once; every other one keeps its value until the daemon is restarted, and so does a
 * connection string in which more than the password changes. Pools may come, go and be resized; `collections` belong to
 * the keys of the embedding and wait. A value that is a secret shows as *** on both sides.
 *
 * Pure: both configurations come in, nothing is read. Depends on base, core/conf.
 */
#ifndef CORE_CONF_DIFF_H
#define CORE_CONF_DIFF_H

#include "core/conf.h"

struct conf_change {
    const char *name;      /* "queue.claim_batch", "pools.workers", "collections" */
    const char *from, *to; /* as `docmilld -T` prints them, secrets masked */
    unsigned roles;        /* enum conf_roles: who sees it */
    bool restart;          /* keeps its value until the daemon is restarted */
};

enum conf_pool_fate {
    CONF_POOL_KEPT,
    CONF_POOL_RESIZED,  /* its children stay; how many there are or how long they live changes */
    CONF_POOL_REPLACED, /* its children see something new: all are replaced */
    CONF_POOL_NEW,
    CONF_POOL_GONE,
};

struct conf_pool_change {
    const struct pool_conf *from, *to; /* within the two configurations; NULL: new, gone */
    enum conf_pool_fate fate;
};

struct conf_diff {
    const struct conf *running;
    int n_changes;
    struct conf_change *changes; /* in the order of the table, pools and collections last */
    int n_restart;               /* of them */
    unsigned roles;              /* that see a change which applies; CR_MASTER: the master itself */
    int n_pools;
    struct conf_pool_change pools[2 * CONF_MAX_POOLS]; /* those of `to` in their order, then those that go */
};

/* Never NULL; refers to both configurations. Free with talloc_free. */
struct conf_diff *conf_diff_make(const void *talloc_parent, const struct conf *from, const struct conf *to);

/* Gives `next` the values of `running` where a change has to wait for a restart. */
void conf_keep_fixed(struct conf *next, const struct conf *running);
/* What the reload replaces of the secrets that docmill verifies by (CF_VERIFY) stays accepted for grace_ms from now;
 * what was kept before goes on being kept until its time is over. A secret that is removed is not accepted any more. */
void conf_keep_former(struct conf *next, const struct conf *running, int64_t grace_ms, int64_t now_ms);

/* Of which roles the children that accept a former secret of `running` have to be told that it is accepted no more. */
unsigned conf_former_dropped(const struct conf *next, const struct conf *running, int64_t now_ms);
/* The children of these roles are replaced, whatever changes. */
void conf_diff_touch(struct conf_diff *d, unsigned roles);

/* Reads path for a daemon that runs with `running`. What would be in effect is checked too, since keys that keep their
 * value may not go with new ones. NULL with *e set. */
struct conf *conf_load_next(const void *talloc_parent, const char *path, const struct conf *running,
                            struct error *e) MUST_CHECK;

#endif
