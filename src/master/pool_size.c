/*
 * pool_size.c - see pool_size.h
 *
 * Pure. Called by pools.c only. Depends on nothing.
 */
#include "master/pool_size.h"

static int within(int n, const struct pool_range *r)
{
    if (n < r->min)
        n = r->min;
    return n > r->max ? r->max : n;
}

void pool_size_begin(struct pool_size *s, const struct pool_range *r)
{
    *s = (struct pool_size){.size = within(r->spare, r)};
}

void pool_size_fit(struct pool_size *s, const struct pool_range *r)
{
    s->size = within(s->size, r);
}

static void grow(struct pool_size *s, const struct pool_range *r, const struct pool_load *l, int64_t now_ms)
{
    int enough = within(l->busy + r->spare, r);

    if (enough > s->size) {
        s->size = enough;
        s->grown_ms = now_ms;
    }
    if (!l->waits || l->busy < l->held) {
        if (now_ms - s->grown_ms > 2 * SIZE_UP_MS)
            s->step = 0; /* the rush is over: the next one begins small */
        return;
    }
    if (l->held < s->size || now_ms - s->grown_ms < SIZE_UP_MS)
        return;
    s->step = s->step == 0 ? 1 : s->step * 2 > SIZE_UP_MOST ? SIZE_UP_MOST : s->step * 2;
    s->size = within(s->size + s->step, r);
    s->grown_ms = now_ms;
}

/* Says in *wake_ms when it wants to be asked again, if that is soon. */
static void shrink(struct pool_size *s, const struct pool_range *r, const struct pool_load *l, int64_t now_ms,
                   int64_t *wake_ms)
{
    int64_t due_ms;

    if (l->idle <= r->spare || l->waits || s->size <= r->min) {
        s->idle_since_ms = 0;
        return;
    }
    if (s->idle_since_ms == 0)
        s->idle_since_ms = now_ms;
    due_ms = s->shrunk_ms + r->idle_ms / SIZE_DOWN_PART;
    if (due_ms < s->idle_since_ms + r->idle_ms)
        due_ms = s->idle_since_ms + r->idle_ms;
    if (now_ms >= due_ms) {
        s->size--;
        s->shrunk_ms = now_ms;
    } else if (due_ms < *wake_ms) {
        *wake_ms = due_ms;
    }
}

void pool_size_step(struct pool_size *s, const struct pool_range *r, const struct pool_load *l, int64_t now_ms,
                    int64_t *wake_ms)
{
    s->size = within(s->size, r);
    if (r->min == r->max)
        return;
    grow(s, r, l, now_ms);
    shrink(s, r, l, now_ms, wake_ms);
    if (now_ms + SIZE_LOOK_MS < *wake_ms)
        *wake_ms = now_ms + SIZE_LOOK_MS;
}
