/* status_parts.h - parts of what `status` and `health` answer; each writes one member into the open map */
#ifndef MASTER_STATUS_PARTS_H
#define MASTER_STATUS_PARTS_H

#include "master/master_int.h"
#include "proc/pack.h"

/* How long ago; 0 for a time that never was, or that lies ahead. */
static inline int64_t status_age(int64_t now, int64_t at)
{
    return at > 0 && at <= now ? now - at : 0;
}

/* Of the coordinator's slot; d NULL: there is none. */
void status_put_queue(struct pack *p, const struct score_data *d, int64_t now);
void status_put_totals(struct pack *p, const struct master_totals *t);
void status_put_services_down(struct pack *p, struct master *m);
void status_put_paused(struct pack *p, const struct master *m);

/* What a living child has counted, to what those before it had. */
void status_add_living(struct master_totals *t, const struct score_data *d);

#endif
