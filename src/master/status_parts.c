/*
 * status_parts.c - parts of what `status` and `health` answer: queue, totals, pauses, outside services
 *
 * The shapes are in proc/control.h. Depends on base, core, proc.
 */
#include "master/status_parts.h"

#include "base/clock.h"
#include "core/state.h"
#include "proc/control.h"

#define STATUS_WHY_BYTES 240

/* Paused work is no fault: health stays ok, and says so. */
void status_put_paused(struct pack *p, const struct master *m)
{
    uint32_t mask = services_paused(m->services);
    int64_t now = clock_ms();

    pack_str(p, "paused");
    pack_array(p);
    for (int i = 0; i < PAUSE_MAX_; i++) {
        int64_t since = services_paused_since(m->services, (enum pause)i);
        if (!(mask & PAUSE_BIT(i)))
            continue;
        pack_map(p);
        pack_put_str(p, "name", pause_name((enum pause)i));
        pack_put_str(p, "rests", pause_title((enum pause)i));
        pack_put_int(p, "for_ms", since <= now ? now - since : 0);
        pack_end(p);
    }
    pack_end(p);
}

void status_put_queue(struct pack *p, const struct score_data *d, int64_t now)
{
    pack_str(p, "queue");
    if (d == NULL || d->queue_counted_ms == 0) {
        pack_nil(p);
        return;
    }
    pack_map(p);
    pack_put_int(p, "age_ms", status_age(now, d->queue_counted_ms));
    pack_put_bool(p, "leader", d->is_leader == 1);
    pack_put_int(p, "schema_version", d->schema_version);
    pack_put_int(p, "oldest_queued_ms", d->oldest_queued_ms);
    pack_str(p, "by_status");
    pack_map(p);
    for (int i = 1; i < STATUS_MAX_; i++)
        pack_put_int(p, status_name(i), d->queue_by_status[i]);
    pack_end(p);
    pack_str(p, "by_state");
    pack_map(p);
    for (int i = 1; i < STATE_MAX_; i++)
        pack_put_int(p, state_name(i), d->queue_by_state[i]);
    pack_end(p);
    pack_end(p);
}

void status_add_living(struct master_totals *t, const struct score_data *d)
{
    t->claims += d->claims;
    t->jobs_done += d->jobs_done;
    t->jobs_failed += d->jobs_failed;
    t->jobs_lost += d->jobs_lost;
    t->requests += d->requests;
    for (int i = 0; i < STATUS_MAX_; i++)
        t->stages[i] += d->stage_count[i];
}

void status_put_totals(struct pack *p, const struct master_totals *t)
{
    pack_str(p, "totals");
    pack_map(p);
    pack_put_int(p, "starts", (int64_t)t->starts);
    pack_put_int(p, "deaths", (int64_t)t->deaths);
    pack_put_int(p, "claims", (int64_t)t->claims);
    pack_put_int(p, "jobs_done", (int64_t)t->jobs_done);
    pack_put_int(p, "jobs_failed", (int64_t)t->jobs_failed);
    pack_put_int(p, "jobs_lost", (int64_t)t->jobs_lost);
    pack_put_int(p, "requests", (int64_t)t->requests);
    pack_str(p, "stages");
    pack_map(p);
    for (int i = 1; i < STATUS_MAX_; i++)
        pack_put_int(p, status_name(i), (int64_t)t->stages[i]);
    pack_end(p);
    pack_end(p);
}

void status_put_services_down(struct pack *p, struct master *m)
{
    char text[STATUS_WHY_BYTES];

    pack_str(p, "services_down");
    pack_array(p);
    for (int v = 0; v < SERVICE_MAX_; v++) {
        if (!service_trouble(m, (enum service)v, text, sizeof text))
            continue;
        pack_map(p);
        pack_put_str(p, "service", service_name((enum service)v));
        pack_put_str(p, "why", text);
        pack_end(p);
    }
    pack_end(p);
}
