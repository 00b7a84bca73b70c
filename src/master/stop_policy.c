/*
 * stop_policy.c - see stop_policy.h
 *
 * Depends on nothing.
 */
#include "master/stop_policy.h"

void stop_begin(struct stop_plan *p, enum stop_mode mode, int64_t limit_ms, int64_t now_ms)
{
    int64_t reserve;

    if (mode <= p->mode)
        return;
    if (mode == STOP_FAST && limit_ms > STOP_FAST_MS)
        limit_ms = STOP_FAST_MS;
    if (p->mode != STOP_NONE && now_ms + limit_ms > p->all_by_ms)
        limit_ms = p->all_by_ms > now_ms ? p->all_by_ms - now_ms : 0;
    reserve = limit_ms / 4 < STOP_RESERVE_MS ? limit_ms / 4 : STOP_RESERVE_MS;
    p->mode = mode;
    p->all_by_ms = now_ms + limit_ms;
    p->front_by_ms = p->all_by_ms - reserve;
    p->front_told = p->coord_told = false; /* the new limit has to be said */
}

static void wake_at(int64_t *wake_ms, int64_t at_ms)
{
    if (at_ms < *wake_ms)
        *wake_ms = at_ms;
}

static enum stop_action once(bool *done, enum stop_action a)
{
    if (*done)
        return STOP_WAIT;
    *done = true;
    return a;
}

static enum stop_action step_front(struct stop_plan *p, int64_t now_ms, int64_t *wake_ms)
{
    if (now_ms >= p->front_by_ms) {
        wake_at(wake_ms, p->all_by_ms);
        return once(&p->front_killed, STOP_KILL_FRONT);
    }
    wake_at(wake_ms, p->front_by_ms);
    return once(&p->front_told, STOP_DRAIN_FRONT);
}

static enum stop_action step_coord(struct stop_plan *p, const struct stop_view *v, int64_t now_ms, int64_t *wake_ms)
{
    int64_t release_by = p->all_by_ms - (p->all_by_ms - p->front_by_ms) / 2;

    if (now_ms >= p->all_by_ms)
        return once(&p->all_killed, STOP_KILL_ALL);
    wake_at(wake_ms, p->all_by_ms);
    if (!p->coord_told && v->deaths_unanswered > 0 && now_ms < release_by) {
        wake_at(wake_ms, release_by);
        return STOP_WAIT;
    }
    return once(&p->coord_told, STOP_DRAIN_COORD);
}

enum stop_action stop_step(struct stop_plan *p, const struct stop_view *v, int64_t now_ms, int64_t *wake_ms)
{
    if (p->mode == STOP_NONE)
        return STOP_WAIT;
    if (v->front_alive == 0 && v->coord_alive == 0)
        return STOP_DONE;
    if (p->all_killed) { /* a child that does not even die (it hangs in the kernel) does not keep us */
        wake_at(wake_ms, p->all_by_ms + STOP_GIVE_UP_MS);
        return now_ms >= p->all_by_ms + STOP_GIVE_UP_MS ? STOP_DONE : STOP_WAIT;
    }
    if (p->mode == STOP_NOW)
        return once(&p->all_killed, STOP_KILL_ALL);
    if (v->front_alive > 0 && now_ms < p->all_by_ms)
        return step_front(p, now_ms, wake_ms);
    return step_coord(p, v, now_ms, wake_ms);
}

/* A child is told a little less than it has, so that it ends itself before it is ended. */
static int64_t say_less(int64_t left_ms)
{
    int64_t margin = left_ms / 4 < 500 ? left_ms / 4 : 500;

    return left_ms > margin ? left_ms - margin : 0;
}

int64_t stop_front_limit_ms(const struct stop_plan *p, int64_t now_ms)
{
    return say_less(p->front_by_ms - now_ms);
}

int64_t stop_coord_limit_ms(const struct stop_plan *p, int64_t now_ms)
{
    return say_less(p->all_by_ms - now_ms);
}
