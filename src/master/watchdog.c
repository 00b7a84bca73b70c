/*
 * watchdog.c - feeds systemd's watchdog, while pools can serve
 *
 * Life alone is not enough: a master whose loop turns over nothing but dead pools is as useless as one that hangs, and
 * a restart may mend it. So it is fed while some pool has a child that is ready. Not a restart's business, and fed:
 * a start that still waits for its database, a stop, and pools of which an operator wants no child. One pool's trouble
 * never stops the others.
 *
 * Diagnostics
 *   error   when feeding has ended: what follows is systemd's
 *
 * Depends on base.
 */
#include "master/master_int.h"

#include "base/log.h"
#include "core/reason.h"

#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define FEEDS_PER_PERIOD 3

static bool can_serve(const struct master *m)
{
    bool wanted = false;

    if (m->stop.mode != STOP_NONE || !m->ready)
        return true;
    for (int i = 0; i < m->n_slots; i++) {
        if (child_role(&m->slots[i]) == POOL_COORDINATOR)
            continue;
        if (slot_has_ready_child(&m->slots[i]))
            return true;
        wanted = wanted || pools_target(m, m->slots[i].pool) > 0;
    }
    return !wanted;
}

static int handle_feed(sd_event_source *src, uint64_t usec, void *arg)
{
    struct master *m = arg;
    bool good = can_serve(m);

    (void)usec;
    if (good)
        sd_notify(0, "WATCHDOG=1");
    else if (++m->hungry == 2) /* once may be a moment between two children */
        log_error("master", "no pool can serve: the watchdog is not fed", NULL);
    if (good)
        m->hungry = 0;
    sd_event_source_set_time_relative(src, m->watchdog_usec / FEEDS_PER_PERIOD);
    return 0;
}

int watchdog_start(struct master *m, struct error *e)
{
    int r = sd_watchdog_enabled(0, &m->watchdog_usec);

    if (r == 0)
        return 0;
    if (r > 0)
        r = sd_event_add_time_relative(m->event, &m->watchdog, CLOCK_MONOTONIC, 0, 0, handle_feed, m);
    if (r >= 0)
        r = sd_event_source_set_enabled(m->watchdog, SD_EVENT_ON);
    return r >= 0 ? 0 : reason_error(e, REASON_os_error, -r, "watchdog: %s", strerror(-r));
}
