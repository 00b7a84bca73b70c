/*
 * api.h - the api child: what its parts share
 *
 * api.c owns it and the loop; httpd.c and the handlers borrow. One a process.
 */
#ifndef API_API_H
#define API_API_H

#include "api/dbpool.h"
#include "api/helper.h"
#include "blob/blob.h"
#include "core/conf.h"
#include "proc/child.h"

#include <systemd/sd-event.h>

struct collections;
struct embed;
struct httpd;
struct ready;
struct stores;

struct api {
    struct child child;
    const struct conf *conf;
    sd_event *event;
    struct dbpool *db;
    struct embed *embed; /* NULL: there is no embeddings service */
    struct collections *collections;
    struct helper *helper;
    struct stores *stores;
    struct ready *ready;
    struct httpd *http;
    struct {
        int64_t held_bytes; /* bodies of callbacks in memory */
        int64_t complained_ms, complaints;
    } hooks;
    bool draining;
    int64_t drain_by_ms;
    sd_event_source *tick_source, *channel_source;
};

/* Tells the master that there is work, so that an idle worker looks at once. */
void api_wake_workers(struct api *api, int lane);

#endif
