/*
 * deadline.c - connect, first byte, whole and low speed, by the monotonic clock
 *
 * Looked at after every event and whenever the earliest is due. Waiting for a connection of a busy host counts towards
 * the whole only. The first byte's time begins with the last byte of the request that left, and starts anew while
 * more leave. Speed is measured in slices of a quarter of its time, and not between the request's last
 * byte and the answer's first, where silence is the server's thinking.
 *
 * Depends on libcurl.
 */
#include "http/http_int.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

/* When to look at the transfers' counters again while something flows. */
#define LOOK_MS 1000

/* Whether the kernel got rid of some of what it has to send: a large body waits there long after libcurl is done. */
static bool still_leaving(struct http_call *c)
{
    int queued = 0;
    bool moved;

    if (ioctl(c->fd, SIOCOUTQ, &queued) < 0)
        return false;
    moved = queued != c->queued;
    c->queued = queued;
    return moved;
}

static void count(struct http_call *c, int64_t now)
{
    curl_off_t up = 0, down = 0;

    curl_easy_getinfo(c->easy, CURLINFO_SIZE_UPLOAD_T, &up);
    curl_easy_getinfo(c->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
    if (up != c->up || (c->answered_ms == 0 && still_leaving(c)))
        c->progress_ms = now;
    c->up = up;
    c->down = down;
}

static bool request_sent(struct http_call *c)
{
    curl_off_t all = 0;

    curl_easy_getinfo(c->easy, CURLINFO_CONTENT_LENGTH_UPLOAD_T, &all);
    return c->up >= all;
}

/* Returns when the running slice ends. */
static int64_t check_speed(struct http_call *c, int64_t now)
{
    struct http_speed *s = &c->speed;
    int64_t slice = c->q.low_speed_ms / HTTP_SPEED_SLICES;

    slice = slice > 0 ? slice : 1;
    if (c->answered_ms == 0 && request_sent(c)) {
        s->slice_at_ms = 0;
        return now + LOOK_MS;
    }
    if (s->slice_at_ms == 0) {
        s->slice_at_ms = now;
        s->bytes[0] = c->up + c->down;
        s->n = 1;
    }
    while (now >= s->slice_at_ms + slice && c->stop == HTTP_STOP_NONE) {
        if (s->n == HTTP_SPEED_SLICES + 1) {
            memmove(s->bytes, s->bytes + 1, HTTP_SPEED_SLICES * sizeof s->bytes[0]);
            s->n--;
        }
        s->bytes[s->n++] = c->up + c->down;
        s->slice_at_ms += slice;
        if (s->n == HTTP_SPEED_SLICES + 1 &&
            (s->bytes[HTTP_SPEED_SLICES] - s->bytes[0]) * 1000 < c->q.low_speed_bytes * c->q.low_speed_ms)
            http_call_stop(c, HTTP_STOP_LOW_SPEED, ETIMEDOUT);
    }
    return s->slice_at_ms + slice;
}

static void check_at(struct http_call *c, int64_t now, int64_t at, enum http_stop why, int64_t *due)
{
    if (now >= at)
        http_call_stop(c, why, ETIMEDOUT);
    if (at < *due)
        *due = at;
}

int64_t http_deadline_check(struct http_call *c, int64_t now)
{
    int64_t due = c->started_ms + c->q.total_ms, at;

    if (c->sends > 0)
        count(c, now);
    if (c->sends == 0 && c->connecting_ms != 0)
        check_at(c, now, c->connecting_ms + c->q.connect_ms, HTTP_STOP_CONNECT, &due);
    else if (c->sends > 0 && c->answered_ms == 0)
        check_at(c, now, c->progress_ms + c->q.first_byte_ms, HTTP_STOP_FIRST_BYTE, &due);
    if (c->sends > 0 && c->q.low_speed_bytes > 0 && c->q.low_speed_ms > 0) {
        at = check_speed(c, now);
        due = at < due ? at : due;
    }
    check_at(c, now, c->started_ms + c->q.total_ms, HTTP_STOP_TOTAL, &due);
    return due;
}
