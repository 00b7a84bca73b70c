/*
 * payer.c - how much of the master's time each user of the control socket has had
 *
 * Pure: times come in. A table of the users of one window; if there are more than it holds, the rest share what all may
 * have together.
 *
 * Depends on nothing.
 */
#include "master/connection.h"

static void begin_window(struct payers *p, int64_t now_ms)
{
    if (now_ms - p->window_ms < PAYER_WINDOW_MS)
        return;
    p->window_ms = now_ms;
    p->together_us = 0;
    p->n = 0;
}

static int find(const struct payers *p, uid_t uid)
{
    for (int i = 0; i < p->n; i++)
        if (p->of[i].uid == uid)
            return i;
    return -1;
}

void payers_charge(struct payers *p, uid_t uid, int64_t us, int64_t now_ms)
{
    int i;

    begin_window(p, now_ms);
    p->together_us += us;
    i = find(p, uid);
    if (i < 0 && p->n < PAYERS) {
        i = p->n++;
        p->of[i].uid = uid;
        p->of[i].spent_us = 0;
    }
    if (i >= 0)
        p->of[i].spent_us += us;
}

bool payers_may(struct payers *p, uid_t uid, int64_t now_ms, int64_t *until_ms)
{
    int i;

    begin_window(p, now_ms);
    *until_ms = p->window_ms + PAYER_WINDOW_MS;
    i = find(p, uid);
    return p->together_us < PAYER_TOGETHER_US && (i < 0 || p->of[i].spent_us < PAYER_EACH_US);
}
