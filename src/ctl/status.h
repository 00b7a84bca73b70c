/* status.h - what the verbs that show the daemon's state share: status, workers, pools, top, health */
#ifndef CTL_STATUS_H
#define CTL_STATUS_H

#include "ctl/ctl.h"
#include "ctl/text.h"

#include <stdio.h>

/* Parts of the answer of the control verb `status`, a line or more each. */
void status_show_head(const json_t *status, FILE *out);
void status_show_paused(const json_t *paused, FILE *out);
void status_show_queue(const json_t *queue, FILE *out);
void status_show_services_down(const json_t *down, FILE *out);
void status_show_reload(const json_t *status, FILE *out);
void status_show_deaths(const json_t *deaths, FILE *out); /* the newest few, that first */

/* The first job that a child holds and how many more, "" if none. */
void status_job_of(const json_t *child, char out[64]);

/* ---- again and again ---- */

struct watch {
    int64_t every_ms;
    bool screen; /* drawn over the former page, else one page after the other */
    int64_t lost_ms;
};

/* From --interval (1 s). A usage error's exit code, or CTL_OK. */
int watch_begin(struct ctl *c, struct watch *w);
/* Asks for status; NULL, with the words why in *e, if the daemon does not answer now. Exits are for the first time
 * only: *rc is then not CTL_OK. */
json_t *watch_ask(struct ctl *c, struct watch *w, int *rc, struct error *e);
/* "no answer for 12s: ..." */
void watch_show_lost(const struct watch *w, const struct error *e, FILE *out);

#endif
