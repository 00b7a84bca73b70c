/*
 * api.c - the api child: HTTP in, one SQL call each, JSON out
 *
 * Owns the event loop and everything in it. READY is said when the sockets are served, not when the database answers:
 * while it is away every request is told so at once, which is better than a closed port. Whether requests can succeed
 * is in the scoreboard (db_ok, storage_ok, note) and in /readyz.
 *
 * DRAIN: no new connections, requests in flight are finished, then BYE and exit 0; what has not finished shortly
 * before the limit is answered 503 draining.
 *
 * Diagnostics
 *   fatal   a configuration that cannot be read, no listening socket, no blob store object
 *   exits   when the master is gone
 *
 * Depends on base, core, db, http, blob, proc, libsystemd.
 */
#include "api/api.h"
#include "api/collections.h"
#include "api/embed.h"
#include "api/httpd.h"
#include "api/ready.h"
#include "api/stores.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "db/pg_meter.h"
#include "proc/logs.h"
#include "provider/embedder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <talloc.h>
#include <unistd.h>

#define TICK_MS         1000
#define DRAIN_TICK_MS   20
#define DRAIN_MARGIN_MS 500 /* before the master's limit: time for the last answers */
#define BUSY_REQUESTS   32  /* in flight at once: a pool that may grow gets another child */
#define EXIT_FATAL      70

void api_wake_workers(struct api *api, int lane)
{
    const struct channel_msg m = {.kind = CHANNEL_WAKE, .wake = {.lane = lane}};

    (void)channel_send(api->child.channel, &m); /* a hint: workers poll too */
}

/* ---- state that others see ---- */

static const char *note_of(const struct api *a, bool database, int storage)
{
    if (a->draining)
        return "draining";
    if (!database)
        return dbpool_untried(a->db) ? "connects to the database" : "the database does not answer";
    return storage == 0 ? "the blob store does not work" : "";
}

static void process_score(struct api *a)
{
    const char *why = "";
    bool database = dbpool_ok(a->db);
    int storage = stores_state(a->stores, &why);
    int in_flight = httpd_in_flight(a->http);
    struct score_data *d = score_begin(a->child.score);

    d->beat_ms = clock_ms();
    if (!a->draining)
        d->phase = in_flight >= BUSY_REQUESTS ? SCORE_BUSY : SCORE_READY;
    d->db_ok = database;
    d->storage_ok = storage;
    snprintf(d->note, sizeof d->note, "%s", note_of(a, database, storage));
    score_end(a->child.score);
}

/* ---- drain ---- */

static void process_drain(struct api *a)
{
    httpd_drain(a->http);
    if (httpd_in_flight(a->http) == 0 || clock_ms() >= a->drain_by_ms)
        sd_event_exit(a->event, 0);
}

static void begin_drain(struct api *a, int64_t limit_ms)
{
    int64_t by = clock_ms() + limit_ms - DRAIN_MARGIN_MS;

    if (!a->draining || by < a->drain_by_ms)
        a->drain_by_ms = by;
    if (!a->draining)
        log_info("api", "draining", "in_flight", LOG_I(httpd_in_flight(a->http)), NULL);
    a->draining = true;
    score_phase(a->child.score, SCORE_DRAINING, "draining");
    process_drain(a);
    sd_event_source_set_time(a->tick_source, (uint64_t)clock_ms() * 1000);
}

/* ---- events ---- */

static int handle_tick(sd_event_source *s, uint64_t usec, void *arg)
{
    struct api *a = arg;

    (void)usec;
    process_score(a);
    child_look_at_memory(&a->child);
    log_tick();
    dbpool_tick(a->db);
    ready_tick(a->ready);
    httpd_tick(a->http);
    stores_probe(a->stores, a->helper);
    if (a->draining)
        process_drain(a);
    sd_event_source_set_time(s, (uint64_t)(clock_ms() + (a->draining ? DRAIN_TICK_MS : TICK_MS)) * 1000);
    sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    return 0;
}

static void process_message(struct api *a, const struct channel_msg *m)
{
    const struct channel_msg pong = {.kind = CHANNEL_PONG};

    switch (m->kind) {
    case CHANNEL_DRAIN:
        begin_drain(a, m->drain.limit_ms);
        break;
    case CHANNEL_PING:
        (void)channel_send(a->child.channel, &pong);
        break;
    case CHANNEL_LOG:
        logs_take(m);
        break;
    case CHANNEL_WAKE: /* for workers */
        break;
    default:
        log_warn("api", "message that is not for an api child", "kind", LOG_I(m->kind), NULL);
    }
}

static int handle_channel(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
    struct api *a = arg;
    struct channel_msg m;
    struct error e = {0};
    int rc;

    (void)s;
    (void)revents;
    while ((rc = channel_recv(fd, &m, &e)) == 0)
        process_message(a, &m);
    if (rc == -EPIPE)
        sd_event_exit(a->event, EXIT_FATAL); /* no master, no service */
    else if (rc == -EPROTO)
        log_warn("api", "bad message from the master", "error", e.message, NULL);
    return 0;
}

/* ---- life ---- */

/* Connections, uploads and lingering sockets may be more than the usual 1024 descriptors. */
static void raise_descriptor_limit(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return;
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0)
        log_warn("api", "cannot raise the limit of open descriptors", "error", strerror(errno), NULL);
}

static int open_loop(struct api *a, struct error *e)
{
    int rc = sd_event_new(&a->event);

    if (rc >= 0)
        rc = sd_event_add_io(a->event, &a->channel_source, a->child.channel, EPOLLIN, handle_channel, a);
    if (rc >= 0)
        rc = sd_event_add_time(a->event, &a->tick_source, CLOCK_MONOTONIC, 0, 1000, handle_tick, a);
    return rc < 0 ? reason_error(e, REASON_internal, rc, "cannot make the event loop: %s", strerror(-rc)) : 0;
}

static int open_parts(struct api *a, struct error *e)
{
    int rc = open_loop(a, e);

    if (rc != 0)
        return rc;
    if (a->child.n_listen == 0)
        return reason_error(e, REASON_internal, EINVAL, "the master handed over no listening socket");
    a->stores = stores_new(a, a->conf);
    a->helper = helper_new(a, a->event, blob_is_remote(a->conf) ? HELPER_THREADS_NET : HELPER_THREADS, e);
    if (a->helper == NULL)
        return e->code;
    a->db = dbpool_new(a, a->event, a->conf, e);
    if (a->db == NULL)
        return e->code;
    if (embedder_outside(a->conf)) {
        a->embed = embed_new(a, e);
        if (a->embed == NULL)
            return e->code;
    }
    a->collections = collections_new(a);
    a->ready = ready_new(a);
    a->http = httpd_new(a, e);
    return a->http == NULL ? e->code : 0;
}

/* Requests first, then what they wait for. */
static void close_parts(struct api *a)
{
    httpd_free(&a->http);
    if (a->stores != NULL)
        stores_stop(a->stores);
    helper_free(&a->helper);
    embed_free(&a->embed);
    ready_free(&a->ready);
    dbpool_free(&a->db);
    stores_free(&a->stores);
    a->tick_source = sd_event_source_disable_unref(a->tick_source);
    a->channel_source = sd_event_source_disable_unref(a->channel_source);
    a->event = sd_event_unref(a->event);
}

static void api_free(struct api *a)
{
    close_parts(a);
    child_end(&a->child);
    talloc_free(a);
}

static int api_run(struct api *a)
{
    int rc;

    child_say_ready(&a->child);
    score_phase(a->child.score, SCORE_READY, "");
    rc = sd_event_loop(a->event);
    if (rc < 0)
        log_error("api", "the event loop failed", "error", strerror(-rc), NULL);
    return rc < 0 ? EXIT_FATAL : rc;
}

int api_main(void)
{
    struct api *a = talloc_zero(NULL, struct api);
    struct error e = {0};
    int rc;

    if (a == NULL)
        return EXIT_FATAL;
    rc = child_begin(&a->child, "api", &e);
    if (rc == 0) {
        a->conf = a->child.conf;
        a->child.db_waits = &pg_meter()->waits;
        a->child.db_connects = &pg_meter()->connects;
        raise_descriptor_limit();
        rc = open_parts(a, &e);
    }
    if (rc != 0) {
        child_say_fatal(&a->child, &e);
        api_free(a);
        return EXIT_FATAL;
    }
    rc = api_run(a);
    close_parts(a);
    if (rc == 0)
        child_say_bye(&a->child);
    api_free(a);
    return rc;
}
