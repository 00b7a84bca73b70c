/*
 * reload.h - another configuration for a daemon that runs: parse, validate, prepare, replace, commit, or all as it was
 *
 * HUP and the verb `reload` begin one; the answer comes by `reload-status`. A helper process reads and checks the file
 * (conf_reader.h). Keys that need a restart keep their value and are named. The rest is in effect for the master at
 * once and for children as they are replaced, pool by pool, the first of each on trial (reload_policy.h). If that goes
 * wrong the former configuration is the one again, and those that had the new one are replaced once more.
 *
 * While children are replaced master.conf is the new configuration and reload.former the one before; who starts gets
 * what reload_conf_of() says. Both list the pools alike (pool_slots.c).
 */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include "base/error.h"
#include "core/conf_diff.h"
#include "master/conf_reader.h"
#include "master/reload_policy.h"

#include <stdbool.h>
#include <stdint.h>

#define RELOAD_KEPT       16 /* last reports */
#define RELOAD_PLAN_CHARS 16 /* of the digest that stands for a plan */

struct master;
struct slot_death;
struct child_slot;
struct pack;
struct control_request;

/* X(NAME, "word", it is a success, what it means) */
#define RELOAD_OUTCOMES(X)                                                                                             \
    X(RUNNING, "running", false, "it is not over")                                                                     \
    X(DONE, "done", true, "the new configuration is in effect")                                                        \
    X(UNCHANGED, "unchanged", true, "nothing changes without a restart")                                               \
    X(PLANNED, "planned", true, "what would happen; nothing did")                                                      \
    X(REFUSED, "refused", false, "the configuration is not good; nothing happened")                                    \
    X(TAKEN_BACK, "taken-back", false, "the former configuration is in effect again")                                  \
    X(ABANDONED, "abandoned", false, "the daemon stops")

#define X_OUTCOME(NAME, ...) RELOAD_END_##NAME,
enum reload_outcome { RELOAD_OUTCOMES(X_OUTCOME) RELOAD_OUTCOME_MAX_ };
#undef X_OUTCOME

struct reload_pool {
    char name[32];
    const char *role;
    enum conf_pool_fate fate;
    int children; /* that are replaced, started or ended */
};

struct reload_report {
    uint64_t number;
    bool dry_run, by_signal;
    char expected[RELOAD_PLAN_CHARS + 1]; /* plan that the caller has seen, "": any */
    char plan[RELOAD_PLAN_CHARS + 1];     /* "": not read yet */
    enum reload_outcome outcome;
    enum reload_state state; /* as last seen */
    char at[32];             /* the pool at hand */
    int64_t began_ms, ended_ms;
    struct error error;
    struct conf_diff *diff; /* NULL: not read */
    int n_pools;
    struct reload_pool pools[CONF_MAX_POOLS * 2];
    int64_t grace_ms; /* how long replaced secrets of callers are accepted still; 0: none was replaced, or not at all */
};

struct reload {
    struct conf_reader *reader;
    const char *path;
    uint8_t key[CONF_READER_KEY_BYTES]; /* digests mean something in this master's life only */
    uint64_t number, generation;        /* given out last */
    uint64_t last_real;                 /* number of the last that was no dry run; 0: none */
    bool again;                         /* HUP came while one ran */
    struct reload_report *report;       /* of the one that runs */
    struct reload_report *kept[RELOAD_KEPT];
    char *pending; /* keys that the file has otherwise, and that wait for a restart; NULL: none */

    /* while children are replaced; next is NULL otherwise */
    struct conf *former, *next, *own; /* own: the present one, if a reload brought it */
    uint64_t former_generation, next_generation;
    struct reload_plan plan;
    int pools[CONF_MAX_POOLS]; /* in the order in which they are gone through */
    bool is_new[CONF_MAX_POOLS];
    char trouble[200]; /* what went wrong, of a child */
    bool choose;       /* a canary is to be chosen */
    int canary;        /* slot; -1: none yet */
    int64_t canary_rests_ms;
};

/* reload.c */
void reload_init(struct master *m, const char *path);
void reload_end(struct master *m);
/* Begins one; *number is its own. conflict: one runs, or the daemon stops. */
int reload_start(struct master *m, bool dry_run, bool by_signal, const char *expected, uint64_t *number,
                 struct error *e) MUST_CHECK;
void reload_hup(struct master *m);
void reload_abandon(struct master *m); /* the daemon stops */

/* reload_roll.c */
void reload_process(struct master *m, int64_t now, int64_t *wake);
void reload_child_gone(struct master *m, struct child_slot *s, const struct slot_death *d); /* before it is forgotten */
/* What a child that starts in s is to have. */
const struct conf *reload_conf_of(const struct master *m, const struct child_slot *s, uint64_t *generation);

/* reload.c, for reload_roll.c */
void reload_finish(struct master *m, enum reload_outcome outcome, const struct error *e);
void reload_commit(struct master *m);
void reload_restore(struct master *m); /* the former configuration is the one again */
void reload_forget_next(struct master *m);

/* reload_report.c */
void reload_describe(struct master *m, struct reload_report *r, const struct conf_diff *d);
void reload_log_changes(const struct reload_report *r);
void reload_log_end(struct master *m, const struct reload_report *r);
bool reload_outcome_is_good(enum reload_outcome o);
bool reload_runs(const struct master *m); /* one that is no dry run */
void reload_add_words(const struct master *m, char *text,
                      size_t size);                             /* to systemd's STATUS: how the last one failed */
void reload_put_status(struct pack *p, const struct master *m); /* members of `status` */
int verb_reload(struct master *m, const struct control_request *r, struct pack *p, struct error *e) MUST_CHECK;
int verb_reload_status(struct master *m, const struct control_request *r, struct pack *p, struct error *e) MUST_CHECK;

#endif
