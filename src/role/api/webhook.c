/*
 * webhook.c - POST /v1/webhooks/llamaparse/{token}: a service says that something happened to a document
 *
 *   headers  a token that cannot be one, or a body that is too large, is refused before a byte is read
 *   body     kept in memory: HOOK_BODY_MAX at most, HOOK_HELD_MAX for all together
 *   end      hook.h: is it to be believed, what does it say? A large body on a helper thread
 *   then     one SQL call (sql/0002, hear_webhook) writes down the event's id and puts the job that waits into the queue,
 *            in one transaction; only then it is answered, and workers are woken
 *
 * The caller has no identity but the token in the address, which is looked up by its SHA-256 and never logged. An answer
 * of 2xx says that it is durable, or that there is nothing to do. What is lost here polling makes good for.
 *
 * Diagnostics
 *   warns  a signature or token that does not fit, an event about another job: once a minute, with how many there were
 *
 * Depends on base, core, db, queue, provider.
 */
#include "api/answer.h"
#include "api/api.h"
#include "api/handlers.h"
#include "api/hook.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"
#include "queue/submit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

#define HOOK_BODY_MAX     (8 << 20) /* an event is small; v1 can send the whole result */
#define FIRST_BYTES       4096      /* of a body */
#define HOOK_HELD_MAX     (32 << 20)
#define HOOK_INLINE_MAX   65536 /* a larger body is read by a helper thread */
#define COMPLAIN_EVERY_MS 60000
#define PROVIDER          "llamaparse"

/* X(verdict of hear_webhook, status): what sql/0002 says about each. */
#define VERDICTS(X)                                                                                                    \
    X(taken, 200)                                                                                                      \
    X(early, 200)                                                                                                      \
    X(duplicate, 200)                                                                                                  \
    X(late, 200)                                                                                                       \
    X(noted, 200)                                                                                                      \
    X(unknown, 404)                                                                                                    \
    X(foreign, 409)

struct hook {
    struct api *api;
    struct hook_in in;
    char *body;
    size_t room;
    /* filled by whoever reads it */
    int rc;
    struct error error;
    struct hook_news news;
};

static int hook_destroy(struct hook *h)
{
    h->api->hooks.held_bytes -= (int64_t)h->room;
    return 0;
}

/* Strangers can cause these as often as they like. */
static void complain(struct api *api, const char *reason, const char *what)
{
    int64_t now = clock_ms();

    api->hooks.complaints++;
    if (api->hooks.complained_ms != 0 && now - api->hooks.complained_ms < COMPLAIN_EVERY_MS)
        return;
    log_warn("webhook", "a callback was refused", "service", PROVIDER, "reason", reason, "error", what, "since_last",
             LOG_I(api->hooks.complaints), NULL);
    api->hooks.complained_ms = now;
    api->hooks.complaints = 0;
}

/* ---- headers and body ---- */

static int too_large(struct error *e)
{
    return reason_error(e, REASON_body_too_large, EFBIG, "The body is larger than %d bytes.", HOOK_BODY_MAX);
}

static int grow(struct hook *h, size_t room, struct error *e)
{
    char *body;

    if (h->api->hooks.held_bytes + (int64_t)(room - h->room) > HOOK_HELD_MAX)
        return reason_error(e, REASON_overloaded, EBUSY, "Too many large callbacks arrive at once.");
    body = talloc_realloc_size(h, h->body, room);
    if (body == NULL)
        return reason_error(e, REASON_internal, ENOMEM, "out of memory");
    h->api->hooks.held_bytes += (int64_t)(room - h->room);
    h->body = body;
    h->room = room;
    return 0;
}

static void copy_headers(const struct request *r, struct hook *h)
{
    for (int i = 0; i < HOOK_HEADER_MAX_; i++)
        h->in.headers[i] = talloc_strdup(h, r->header(r, hook_header_name((enum hook_header)i)));
}

int webhook_begin(struct request *r, struct error *e)
{
    struct hook *h;

    if (strlen(r->token) != 2 * (size_t)SUBMIT_TOKEN_BYTES)
        return reason_error(e, REASON_not_found, ENOENT, NULL);
    if (r->headers.content_length > HOOK_BODY_MAX)
        return too_large(e);
    h = talloc_zero(r, struct hook);
    if (h == NULL)
        return reason_error(e, REASON_internal, ENOMEM, "out of memory");
    h->api = r->api;
    talloc_set_destructor(h, hook_destroy);
    r->work = h;
    h->in.token = talloc_strdup(h, r->token);
    (void)conf_accepted(r->api->conf, &r->api->conf->llamaparse_webhook_secret, clock_ms(), h->in.secrets);
    copy_headers(r, h);
    return grow(h, FIRST_BYTES, e); /* by what arrives, not by what is announced: announcing costs a stranger nothing */
}

int webhook_data(struct request *r, const void *p, size_t n, struct error *e)
{
    struct hook *h = r->work;
    size_t room = h->room;
    int rc = 0;

    if (h->in.len + n > HOOK_BODY_MAX)
        return too_large(e);
    while (room < h->in.len + n + 1)
        room *= 2;
    if (room > h->room)
        rc = grow(h, room, e);
    if (rc != 0)
        return rc;
    memcpy(h->body + h->in.len, p, n);
    h->in.len += n;
    return 0;
}

/* ---- what it says ---- */

static const char *event_type_of(const struct hook *h)
{
    return h->news.event_type[0] != '\0' ? h->news.event_type : "result";
}

static int heard_rows(struct request *r, const PGresult *res, struct error *e)
{
#define X_ROW(name, status) {#name, status},
    static const struct {
        const char *name;
        int status;
    } verdicts[] = {VERDICTS(X_ROW)};
#undef X_ROW
    const struct hook *h = r->work;
    const char *verdict = PQntuples(res) == 1 ? pg_get_text(res, 0, 0) : "";
    size_t i = 0;

    while (i < sizeof verdicts / sizeof *verdicts && strcmp(verdict, verdicts[i].name) != 0)
        i++;
    if (i == sizeof verdicts / sizeof *verdicts)
        return reason_error(e, REASON_internal, EPROTO, "the database gave a verdict that is not known: %s", verdict);
    log_debug("webhook", "callback", "service", PROVIDER, "event", event_type_of(h), "verdict", verdict, NULL);
    if (verdicts[i].status == 404)
        return reason_error(e, REASON_not_found, ENOENT, NULL);
    if (verdicts[i].status == 409) {
        reason_error(e, REASON_conflict, EBUSY, "The event is about another job than the one this address is for.");
        complain(r->api, e->reason, e->message);
        return -EBUSY;
    }
    if (strcmp(verdict, "taken") == 0)
        api_wake_workers(r->api, LANE_INTERACTIVE);
    request_answer(r, 200, json_pack("{s:s}", "verdict", verdict));
    return 0;
}

/* It may run twice: the second time it is a duplicate, and that is answered alike. */
static int tell_queue(struct request *r, struct hook *h, struct error *e)
{
    json_t *detail = json_pack("{s:s, s:I, s:b}", "event", event_type_of(h), "bytes", (json_int_t)h->in.len, "signed",
                               h->in.secrets[0] != NULL);
    char *text = json_dumps(detail, JSON_COMPACT);
    struct pg_params *p = request_sql(r, submit_hear_sql, true);

    pg_add_text(p, PROVIDER);
    pg_add_bytea(p, h->news.token_sha256, SHA256_BYTES);
    pg_add_text(p, h->news.nonce);
    pg_add_text(p, h->news.external_id[0] != '\0' ? h->news.external_id : NULL);
    pg_add_bool(p, h->news.to_fetch);
    pg_add_jsonb(p, talloc_strdup(h, text != NULL ? text : "{}"));
    free(text);
    json_decref(detail);
    return request_wait_db(r, heard_rows, NULL, e);
}

static void hook_work(void *arg)
{
    struct hook *h = arg;

    h->rc = hook_read(&h->in, &h->news, &h->error);
}

static int hook_worked(struct request *r, struct error *e)
{
    struct hook *h = r->work;

    if (h->rc == 0)
        return tell_queue(r, h, e);
    *e = h->error;
    if (reason_http(reason_parse(e->reason)) == 401)
        complain(r->api, e->reason, e->message);
    return h->rc;
}

int webhook_end(struct request *r, struct error *e)
{
    struct hook *h = r->work;
    int rc = dbpool_check(r->api->db, e);

    if (rc != 0)
        return rc;
    h->body[h->in.len] = '\0';
    h->in.body = h->body;
    h->in.now = (int64_t)time(NULL);
    if (h->in.len > HOOK_INLINE_MAX)
        return request_wait_work(r, hook_work, h, hook_worked, e);
    hook_work(h);
    return hook_worked(r, e);
}
