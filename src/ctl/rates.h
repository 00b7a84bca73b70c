/*
 * rates.h - how fast things go, from two looks at the daemon's status
 *
 * A child is known by its serial; one that is new, and all of a daemon that was restarted, have no rate before the second
 * look. Rates are smoothed over some looks, so that a number can be read.
 *
 * Depends on jansson, talloc.
 */
#ifndef CTL_RATES_H
#define CTL_RATES_H

#include "core/state.h"
#include "ctl/usage.h"

#include <jansson.h>
#include <stdint.h>

struct rates_child {
    int64_t serial, done;
    struct usage used;
    double done_s, cpu_percent; /* below 0: not known yet */
};

struct rates {
    int64_t incarnation, at_ms; /* of the last look; at_ms 0: there was none */
    int64_t done, failed;
    int64_t stages[STATUS_MAX_];
    double done_s, failed_s; /* below 0: not known yet */
    double stages_s[STATUS_MAX_];
    struct rates_child *children; /* in the order of status, the master behind them */
    int n_children;
};

struct rates *rates_new(const void *talloc_ctx);
/* Takes a look: the status as it was at now_ms, by a clock that only goes forward. */
void rates_look(struct rates *r, const json_t *status, int64_t now_ms);

#endif
