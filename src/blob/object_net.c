/*
 * object_net.c - requests to an object store: deadlines, retries, and what an answer means
 *
 * What may help is tried again a few times with growing pauses, here and nowhere above: a busy store, a lost
 * connection. Everything an object store answers becomes absent, denied, busy, full or broken by one table, by the
 * store's own code first, since Supabase says 400 to nearly everything.
 *
 * Depends on base/clock.h, core/reason.h, http.
 */
#include "base/clock.h"
#include "base/httpdate.h"
#include "blob/object.h"
#include "core/reason.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define FIRST_BYTE_MS 60000
#define LOW_BYTES     1000
#define LOW_MS        30000
#define PAUSE_MS      200
#define PAUSE_CAP_MS  3000

static const struct {
    const char *code; /* of the store, or a status */
    enum reason reason;
    int err;
} meanings[] = {
    {"NoSuchKey", REASON_blob_absent, ENOENT},
    {"NoSuchBucket", REASON_blob_broken, ENXIO},
    {"NoSuchUpload", REASON_blob_busy, EAGAIN}, /* somebody swept it: begin again */
    {"not_found", REASON_blob_absent, ENOENT},
    {"Object not found", REASON_blob_absent, ENOENT},
    {"Bucket not found", REASON_blob_broken, ENXIO},
    {"AccessDenied", REASON_blob_denied, EACCES},
    {"InvalidAccessKeyId", REASON_blob_denied, EACCES},
    {"SignatureDoesNotMatch", REASON_blob_denied, EACCES},
    {"ExpiredToken", REASON_blob_denied, EACCES},
    {"InvalidJWT", REASON_blob_denied, EACCES},
    {"InvalidSignature", REASON_blob_denied, EACCES},
    {"Unauthorized", REASON_blob_denied, EACCES},
    {"RequestTimeTooSkewed", REASON_blob_denied, EACCES},
    {"SlowDown", REASON_blob_busy, EAGAIN},
    {"TooManyRequests", REASON_blob_busy, EAGAIN},
    {"RequestTimeout", REASON_blob_busy, EAGAIN},
    {"InternalError", REASON_blob_busy, EAGAIN},
    {"ServiceUnavailable", REASON_blob_busy, EAGAIN},
    {"DatabaseTimeout", REASON_blob_busy, EAGAIN},
    {"ResourceLocked", REASON_blob_busy, EAGAIN},
    {"KeyAlreadyExists", REASON_blob_busy, EEXIST},
    {"ResourceAlreadyExists", REASON_blob_busy, EEXIST},
    {"PreconditionFailed", REASON_blob_busy, EEXIST},
    {"XAmzContentSHA256Mismatch", REASON_blob_busy, EAGAIN}, /* damaged on the way */
    {"BadDigest", REASON_blob_busy, EAGAIN},
    {"NotImplemented", REASON_blob_broken, ENOSYS},
    {"QuotaExceeded", REASON_blob_full, ENOSPC},
    {"EntityTooLarge", REASON_blob_full, EFBIG},
    {"401", REASON_blob_denied, EACCES},
    {"403", REASON_blob_denied, EACCES},
    {"404", REASON_blob_broken, ENXIO}, /* of a wrong address, or somebody in between: no blob is given up for that */
    {"409", REASON_blob_busy, EEXIST},
    {"412", REASON_blob_busy, EEXIST},
    {"429", REASON_blob_busy, EAGAIN},
    {"500", REASON_blob_busy, EAGAIN},
    {"501", REASON_blob_broken, ENOSYS},
    {"502", REASON_blob_busy, EAGAIN},
    {"503", REASON_blob_busy, EAGAIN},
    {"504", REASON_blob_busy, EAGAIN},
    {"507", REASON_blob_full, ENOSPC},
};

static int find_meaning(const char *code)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (strcmp(code, meanings[i].code) == 0)
            return (int)i;
    return -1;
}

int object_refused(const char *store, int status, const char *code, const char *doing, struct error *e)
{
    char number[16], shown[64];
    int i = find_meaning(code);
    size_t n = 0;

    snprintf(number, sizeof number, "%d", status);
    if (i < 0)
        i = find_meaning(number);
    for (; code[n] != '\0' && n + 1 < sizeof shown; n++)
        shown[n] = isalnum((unsigned char)code[n]) || strchr("_-. ", code[n]) != NULL ? code[n] : '?';
    shown[n] = '\0';
    return reason_error(e, i < 0 ? REASON_blob_broken : meanings[i].reason, i < 0 ? EIO : meanings[i].err,
                        "%s: %s answered %d%s%s", doing, store, status, n > 0 ? " " : "", shown);
}

int object_unanswered(const struct http_response *r, const char *doing, struct error *e)
{
    static const struct {
        enum reason from, to;
    } map[] = {{REASON_http_unreachable, REASON_blob_broken},
               {REASON_http_timeout, REASON_blob_busy},
               {REASON_http_broken, REASON_blob_busy},
               {REASON_http_refused, REASON_blob_broken},
               {REASON_http_too_large, REASON_blob_corrupt},
               {REASON_cancelled, REASON_draining},
               {REASON_draining, REASON_draining}};
    struct error from = r->error;
    enum reason to = REASON_blob_broken;

    if (strcmp(from.reason, reason_name(REASON_os_error)) == 0)
        return blob_error(e, -from.code, doing); /* of the spool */
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
        if (strcmp(from.reason, reason_name(map[i].from)) == 0)
            to = map[i].to;
    reason_error(e, to, from.code, "%s: %s", doing, from.message);
    if (from.hint[0] != '\0')
        error_hint(e, "%s", from.hint);
    return from.code;
}

static int engine(struct object_net *net, struct error *e)
{
    struct http_options o;

    if (net->http != NULL)
        return 0;
    http_options_of(net->conf, &o);
    net->http = http_new(NULL, &o, e);
    return net->http != NULL ? 0 : -EIO;
}

int object_exchange(struct object_net *net, const void *ctx, struct http_request *q, struct http_response *r,
                    struct error *e)
{
    *r = (struct http_response){0};
    if (engine(net, &r->error) != 0) {
        if (e != NULL)
            *e = r->error;
        return r->error.code;
    }
    q->first_byte_ms = FIRST_BYTE_MS;
    q->total_ms = net->conf->blob_timeout;
    q->low_speed_bytes = LOW_BYTES;
    q->low_speed_ms = LOW_MS;
    return http_fetch(net->http, ctx, q, net->hooks.tick, net->hooks.stop, net->hooks.arg, r, e);
}

void object_pause(struct object_net *net, int64_t ms)
{
    int64_t until = clock_ms() + ms, left;

    while ((left = until - clock_ms()) > 0 && (net->hooks.stop == NULL || !net->hooks.stop(net->hooks.arg))) {
        struct timespec t = {.tv_nsec = (left < 50 ? left : 50) * 1000000};

        nanosleep(&t, NULL);
        if (net->hooks.tick != NULL)
            net->hooks.tick(net->hooks.arg);
    }
}

bool object_again(struct object_net *net, const struct http_response *r, int try_no)
{
    static const enum reason may[] = {REASON_http_unreachable, REASON_http_timeout, REASON_http_broken};
    bool again = r->status == 429 || r->status == 500 || (r->status >= 502 && r->status <= 504);

    for (size_t i = 0; i < sizeof may / sizeof may[0]; i++)
        again = again || (r->status == 0 && strcmp(r->error.reason, reason_name(may[i])) == 0);
    if (!again || try_no + 1 >= OBJECT_TRIES || r->total_ms > net->conf->blob_timeout / OBJECT_TRIES)
        return false;
    object_pause(net, backoff_ms(PAUSE_MS, PAUSE_CAP_MS, (unsigned)try_no));
    return net->hooks.stop == NULL || !net->hooks.stop(net->hooks.arg);
}

int64_t object_time_ms(const char *text)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t ms = 0;

    if (rest == NULL) {
        int64_t s = httpdate_parse(text);
        return s < 0 ? -1 : s * 1000;
    }
    if (*rest == '.') {
        for (int64_t unit = 100; isdigit((unsigned char)*++rest); unit /= 10)
            ms += (*rest - '0') * unit;
    }
    return (int64_t)timegm(&tm) * 1000 + ms;
}

int64_t object_now_ms(const struct http_response *r)
{
    const char *date = http_response_header(r, "Date");
    int64_t ms = date != NULL ? object_time_ms(date) : -1;

    return ms >= 0 ? ms : (int64_t)time(NULL) * 1000;
}
