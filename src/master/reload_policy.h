/*
 * reload_policy.h - when a new configuration goes on, when it is taken back: the decisions of a reload, without means
 *
 * The pools whose children see a change are gone through one after another. In each, one child is replaced first, the
 * canary; the pool's other children follow when it has proven itself, and then it is the next pool's turn. reload.c
 * tells what it sees (struct reload_view), asks reload_step() after every event, and carries out its one answer.
 *
 *   IDLE --begin--> CANARY --proven--> ROLLING --all replaced--> CANARY of the next pool ... --> commit --> IDLE
 *                     |                   |
 *                     +---- trouble ------+--> BACK --the former are there again--> IDLE
 *
 *   - Proven is a canary that is ready and has finished a job or a request, or has rested for idle_ms.
 *   - Trouble is a canary that dies, that does not prove itself in time, or that meets something which the changed keys
 *     answer for; and, later, a child of the new configuration that dies before it was ready, or no progress.
 *   - What happens after a child was ready and trusted is everyday life: pool_policy.h.
 *   - A stop ends the reload where it stands.
 *
 * Pure: no clock, no process. Depends on base.
 */
#ifndef MASTER_RELOAD_POLICY_H
#define MASTER_RELOAD_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* X(NAME, "name", what it does) */
#define RELOAD_STATES(X)                                                                                               \
    X(IDLE, "idle", "no reload runs")                                                                                  \
    X(CANARY, "canary", "the first child with the new configuration is on trial")                                      \
    X(ROLLING, "rolling", "the other children are replaced")                                                           \
    X(BACK, "back", "the former configuration comes back")

#define X_STATE(NAME, ...) RELOAD_##NAME,
enum reload_state { RELOAD_STATES(X_STATE) RELOAD_STATE_MAX_ };
#undef X_STATE
const char *reload_state_name(enum reload_state s);
const char *reload_state_help(enum reload_state s);

enum reload_action {
    RELOAD_WAIT,
    RELOAD_SEND_CANARY, /* replace one child of the pool at hand */
    RELOAD_TRUST,       /* whoever starts in the pool at hand gets the new configuration; replace the others */
    RELOAD_COMMIT,      /* all is done: the new configuration is the one */
    RELOAD_TAKE_BACK,   /* whoever starts gets the former one; replace those that have the new one */
    RELOAD_OVER,        /* the former one is back */
};

/* Why it was taken back. */
#define RELOAD_TROUBLES(X)                                                                                             \
    X(NONE, "")                                                                                                        \
    X(CANARY_DIED, "the first child with the new configuration died")                                                  \
    X(CANARY_LATE, "the first child with the new configuration was not ready in time")                                 \
    X(CANARY_IDLE, "the first child with the new configuration neither finished a job nor rested in time")             \
    X(CANARY_FAULT, "the first child with the new configuration met a fault of it")                                    \
    X(CHILD_DIED, "a child with the new configuration died before it was ready")                                       \
    X(STUCK, "the children could not be replaced in time")

#define X_TROUBLE(NAME, text) RELOAD_TROUBLE_##NAME,
enum reload_trouble { RELOAD_TROUBLES(X_TROUBLE) };
#undef X_TROUBLE
const char *reload_trouble_text(enum reload_trouble t);

struct reload_limits {
    int64_t ready_ms;  /* a child becomes ready in this time, or is killed */
    int64_t idle_ms;   /* a canary that rests so long is proven */
    int64_t trial_ms;  /* a canary that is ready is proven by then, or never */
    int64_t retire_ms; /* a child that retires is gone by then */
};

struct reload_plan {
    enum reload_state state;
    enum reload_trouble trouble;
    int at, n_pools;  /* the pool at hand, of those to be gone through */
    bool sent;        /* the canary is on its way */
    int64_t since_ms; /* of state and pool */
    int64_t moved_ms; /* last progress */
    int last_left;    /* children to be replaced, as last seen */
};

/* What the pool at hand looks like; of all touched pools in BACK. Retiring children count there only, as long as they
 * have the new configuration. */
struct reload_view {
    int places;  /* children that it should have now */
    int former;  /* present children, starting or up, with the former configuration (in BACK: with the new one) */
    int fresh;   /* up with the new one (in BACK: with the former) */
    int pending; /* starting, or waiting to be started */
    struct {
        bool up;
        int64_t up_ms;   /* since when */
        int64_t idle_ms; /* how long it has had nothing to do; 0: it has */
        bool done;       /* it has finished a job or a request */
        bool fault;      /* it met something that the changed keys answer for */
    } canary;
};

/* n_pools may be 0: then the first step commits. */
void reload_begin(struct reload_plan *p, int n_pools, int64_t now_ms);
/* A child of the new configuration is gone, and nobody had asked it to go. */
void reload_child_died(struct reload_plan *p, bool canary, bool was_ready);
/* One action at most; *wake_ms is lowered to when to ask again. */
enum reload_action reload_step(struct reload_plan *p, const struct reload_view *v, const struct reload_limits *l,
                               int64_t now_ms, int64_t *wake_ms);

#endif
