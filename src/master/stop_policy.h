/*
 * stop_policy.h - in which order the daemon goes, and when patience ends
 *
 * TERM drains: api and workers first ("the front"), the coordinator last, so that somebody is there to hand back jobs.
 * A second TERM shortens the rest to STOP_FAST_MS. QUIT kills at once. Of the limit a reserve is kept for the
 * coordinator, to release what killed workers held. Pure: time and counts come in, one action goes out.
 *
 * Depends on nothing.
 */
#ifndef MASTER_STOP_POLICY_H
#define MASTER_STOP_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define STOP_FAST_MS    2000
#define STOP_GIVE_UP_MS 5000 /* after KILL to everything */
#define STOP_RESERVE_MS 2000 /* of the limit, for the coordinator; at most a quarter of it */

enum stop_mode { STOP_NONE, STOP_DRAIN, STOP_FAST, STOP_NOW };

enum stop_action { STOP_WAIT, STOP_DRAIN_FRONT, STOP_KILL_FRONT, STOP_DRAIN_COORD, STOP_KILL_ALL, STOP_DONE };

struct stop_plan {
    enum stop_mode mode;
    int64_t front_by_ms, all_by_ms;
    bool front_told, front_killed, coord_told, all_killed;
};

struct stop_view {
    int front_alive, coord_alive;
    int deaths_unanswered; /* that a coordinator which can work has yet to release */
};

/* Begins to stop, or hurries; a milder mode than the present one changes nothing. */
void stop_begin(struct stop_plan *p, enum stop_mode mode, int64_t limit_ms, int64_t now_ms);
/* At most one action; what it names is marked as done. *wake_ms is lowered to when to ask again. */
enum stop_action stop_step(struct stop_plan *p, const struct stop_view *v, int64_t now_ms, int64_t *wake_ms);
/* How long a child of the front, or the coordinator, may take from now on; never negative. */
int64_t stop_front_limit_ms(const struct stop_plan *p, int64_t now_ms);
int64_t stop_coord_limit_ms(const struct stop_plan *p, int64_t now_ms);

#endif
