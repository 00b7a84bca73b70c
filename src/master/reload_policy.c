/*
 * reload_policy.c - see reload_policy.h
 *
 * Pure. Called by reload.c only.
 *
 * Depends on base.
 */
#include "master/reload_policy.h"

#include <string.h>

#define MARGIN_MS 5000 /* beyond what the children's own limits allow */
#define LOOK_MS   100  /* a child on trial is looked at so often */

const char *reload_state_name(enum reload_state s)
{
#define X_NAME(NAME, name, help) [RELOAD_##NAME] = (name),
    static const char *const names[RELOAD_STATE_MAX_] = {RELOAD_STATES(X_NAME)};
#undef X_NAME

    return names[s];
}

const char *reload_state_help(enum reload_state s)
{
#define X_HELP(NAME, name, help) [RELOAD_##NAME] = (help),
    static const char *const texts[RELOAD_STATE_MAX_] = {RELOAD_STATES(X_HELP)};
#undef X_HELP

    return texts[s];
}

const char *reload_trouble_text(enum reload_trouble t)
{
#define X_TEXT(NAME, text) [RELOAD_TROUBLE_##NAME] = (text),
    static const char *const texts[] = {RELOAD_TROUBLES(X_TEXT)};
#undef X_TEXT

    return texts[t];
}

static void enter(struct reload_plan *p, enum reload_state state, int64_t now_ms)
{
    p->state = state;
    p->since_ms = p->moved_ms = now_ms;
    p->last_left = -1;
    p->sent = false;
}

void reload_begin(struct reload_plan *p, int n_pools, int64_t now_ms)
{
    *p = (struct reload_plan){.n_pools = n_pools};
    enter(p, RELOAD_CANARY, now_ms);
}

void reload_child_died(struct reload_plan *p, bool canary, bool was_ready)
{
    if (p->trouble != RELOAD_TROUBLE_NONE)
        return;
    if (p->state == RELOAD_CANARY && canary)
        p->trouble = RELOAD_TROUBLE_CANARY_DIED;
    else if ((p->state == RELOAD_CANARY || p->state == RELOAD_ROLLING) && !was_ready)
        p->trouble = RELOAD_TROUBLE_CHILD_DIED;
}

static void wake_at(int64_t *wake_ms, int64_t at_ms)
{
    if (at_ms < *wake_ms)
        *wake_ms = at_ms;
}

static enum reload_action take_back(struct reload_plan *p, enum reload_trouble why, int64_t now_ms)
{
    if (p->trouble == RELOAD_TROUBLE_NONE)
        p->trouble = why;
    enter(p, RELOAD_BACK, now_ms);
    return RELOAD_TAKE_BACK;
}

/* Has it shown what it can? What is missing is told by *late: it has had its time. */
static bool is_proven(const struct reload_plan *p, const struct reload_view *v, const struct reload_limits *l,
                      int64_t now_ms, enum reload_trouble *late, int64_t *wake_ms)
{
    int64_t by = v->canary.up ? v->canary.up_ms + l->trial_ms : p->since_ms + l->ready_ms + l->retire_ms + MARGIN_MS;

    *late = RELOAD_TROUBLE_NONE;
    if (v->canary.up && (v->canary.done || v->canary.idle_ms >= l->idle_ms))
        return true;
    if (now_ms >= by)
        *late = v->canary.up ? RELOAD_TROUBLE_CANARY_IDLE : RELOAD_TROUBLE_CANARY_LATE;
    wake_at(wake_ms, by);
    wake_at(wake_ms, now_ms + LOOK_MS);
    return false;
}

static enum reload_action step_canary(struct reload_plan *p, const struct reload_view *v, const struct reload_limits *l,
                                      int64_t now_ms, int64_t *wake_ms)
{
    enum reload_trouble late;

    if (p->at == p->n_pools) {
        enter(p, RELOAD_IDLE, now_ms);
        return RELOAD_COMMIT;
    }
    if (v->places == 0) { /* nobody is there to go ahead, nor anybody to follow */
        enter(p, RELOAD_ROLLING, now_ms);
        return RELOAD_TRUST;
    }
    if (!p->sent) {
        p->sent = true;
        return RELOAD_SEND_CANARY;
    }
    if (v->canary.fault)
        return take_back(p, RELOAD_TROUBLE_CANARY_FAULT, now_ms);
    if (is_proven(p, v, l, now_ms, &late, wake_ms)) {
        enter(p, RELOAD_ROLLING, now_ms);
        return RELOAD_TRUST;
    }
    return late != RELOAD_TROUBLE_NONE ? take_back(p, late, now_ms) : RELOAD_WAIT;
}

/* Whether all places have whom they should have; *late: nothing has moved for too long. */
static bool all_replaced(struct reload_plan *p, const struct reload_view *v, const struct reload_limits *l,
                         int64_t now_ms, bool *late, int64_t *wake_ms)
{
    int left = v->former + v->pending;
    int64_t by;

    if (p->last_left < 0 || left < p->last_left)
        p->moved_ms = now_ms;
    p->last_left = left;
    by = p->moved_ms + l->ready_ms + l->retire_ms + MARGIN_MS;
    *late = now_ms >= by;
    if (left > 0)
        wake_at(wake_ms, by);
    return left == 0 && v->fresh >= v->places;
}

static enum reload_action step_rolling(struct reload_plan *p, const struct reload_view *v,
                                       const struct reload_limits *l, int64_t now_ms, int64_t *wake_ms)
{
    bool late;

    if (!all_replaced(p, v, l, now_ms, &late, wake_ms))
        return late ? take_back(p, RELOAD_TROUBLE_STUCK, now_ms) : RELOAD_WAIT;
    p->at++;
    enter(p, RELOAD_CANARY, now_ms);
    wake_at(wake_ms, now_ms);
    return RELOAD_WAIT;
}

static enum reload_action step_back(struct reload_plan *p, const struct reload_view *v, const struct reload_limits *l,
                                    int64_t now_ms, int64_t *wake_ms)
{
    bool late;

    /* Late or not: the children start with the former configuration, whenever they can. */
    if (!all_replaced(p, v, l, now_ms, &late, wake_ms) && !late)
        return RELOAD_WAIT;
    enter(p, RELOAD_IDLE, now_ms);
    return RELOAD_OVER;
}

enum reload_action reload_step(struct reload_plan *p, const struct reload_view *v, const struct reload_limits *l,
                               int64_t now_ms, int64_t *wake_ms)
{
    if ((p->state == RELOAD_CANARY || p->state == RELOAD_ROLLING) && p->trouble != RELOAD_TROUBLE_NONE)
        return take_back(p, p->trouble, now_ms);
    switch (p->state) {
    case RELOAD_IDLE:
        return RELOAD_WAIT;
    case RELOAD_CANARY:
        return step_canary(p, v, l, now_ms, wake_ms);
    case RELOAD_ROLLING:
        return step_rolling(p, v, l, now_ms, wake_ms);
    case RELOAD_BACK:
        return step_back(p, v, l, now_ms, wake_ms);
    case RELOAD_STATE_MAX_:
        break;
    }
    return RELOAD_WAIT;
}
