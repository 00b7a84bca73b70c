/*
 * pg_meter.h - how long this process waited for the database, and how often it connected
 *
 * For the process as a whole, from a statement's start to its answer, waiting and event-driven alike; reconnecting on the
 * way is part of the wait. One thread writes it, as one thread uses connections.
 *
 * Depends on base.
 */
#ifndef DB_PG_METER_H
#define DB_PG_METER_H

#include "base/histogram.h"

struct pg_meter {
    struct histogram waits;
    uint64_t connects;
};

const struct pg_meter *pg_meter(void); /* lives as long as the process */

#endif
