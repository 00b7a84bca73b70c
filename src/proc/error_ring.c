/*
 * error_ring.c - see error_ring.h
 *
 * A writer takes a number, marks the slot odd, writes, and marks it whole if it is still his: a writer that slept for a
 * whole lap gives up. Should his bytes have mixed with those of the one who overtook him, the checksum tells.
 *
 * Depends on base.
 */
#include "proc/error_ring.h"

#include "base/utf8.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define READ_TRIES 20
#define SAME_AMONG 16 /* so many of the newest are looked at for the same error */

static uint64_t checksum(const struct error_text *t, uint64_t seq)
{
    const unsigned char *p = (const unsigned char *)t;
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seq;

    for (size_t i = 0; i < sizeof *t; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

/* Terminated, valid UTF-8, no control characters; the rest of the field is zero. */
static void clean(char *s, size_t size)
{
    size_t n;

    s[size - 1] = '\0';
    n = strlen(s);
    for (size_t i = 0; i < n;) {
        uint32_t cp = 0;
        int used = utf8_decode(s + i, n - i, &cp);

        if (used < 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0)) {
            size_t bad = used < 0 ? (size_t)-used : (size_t)used;
            memset(s + i, '?', bad);
            used = (int)bad;
        }
        i += (size_t)used;
    }
    memset(s + n, 0, size - n);
}

static void clean_text(struct error_text *t)
{
    clean(t->module, sizeof t->module);
    clean(t->reason, sizeof t->reason);
    clean(t->message, sizeof t->message);
}

static bool read_slot(const struct error_slot *s, struct error_seen *out, uint64_t *seq)
{
    for (int i = 0; i < READ_TRIES; i++) {
        *seq = atomic_load_explicit(&s->seq, memory_order_acquire);
        if (*seq == 0 || *seq % 2 != 0)
            return false;
        memcpy(&out->text, &s->text, sizeof out->text);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&s->seq, memory_order_relaxed) != *seq)
            continue;
        if (atomic_load_explicit(&s->checksum, memory_order_relaxed) != checksum(&out->text, *seq))
            return false;
        out->first_ms = atomic_load_explicit(&s->first_ms, memory_order_relaxed);
        out->last_ms = atomic_load_explicit(&s->last_ms, memory_order_relaxed);
        out->times = atomic_load_explicit(&s->times, memory_order_relaxed);
        return true;
    }
    return false;
}

/* Counts up an entry that says the same. */
static bool count_same(struct error_ring *r, const struct error_text *t, int64_t now)
{
    uint64_t n = atomic_load_explicit(&r->n, memory_order_acquire);

    for (uint64_t i = 0; i < SAME_AMONG && i < n; i++) {
        struct error_slot *s = &r->slots[(n - 1 - i) % ERROR_RING_ENTRIES];
        struct error_seen seen;
        uint64_t seq;

        if (!read_slot(s, &seen, &seq) || memcmp(&seen.text, t, sizeof *t) != 0 ||
            now - seen.last_ms > ERROR_RING_SAME_MS)
            continue;
        atomic_fetch_add_explicit(&s->times, 1, memory_order_relaxed);
        atomic_store_explicit(&s->last_ms, now, memory_order_relaxed);
        return true;
    }
    return false;
}

void error_ring_raise(struct error_ring *r, const char *module, const char *reason, const char *message, int64_t now_ms)
{
    struct error_text t;
    struct error_slot *s;
    uint64_t n, seq;

    memset(&t, 0, sizeof t);
    snprintf(t.module, sizeof t.module, "%s", module);
    snprintf(t.reason, sizeof t.reason, "%s", reason);
    snprintf(t.message, sizeof t.message, "%s", message);
    clean_text(&t);
    if (count_same(r, &t, now_ms))
        return;
    n = atomic_fetch_add_explicit(&r->n, 1, memory_order_acq_rel);
    s = &r->slots[n % ERROR_RING_ENTRIES];
    seq = 2 * n + 1;
    atomic_store_explicit(&s->seq, seq, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    memcpy(&s->text, &t, sizeof t);
    atomic_store_explicit(&s->first_ms, now_ms, memory_order_relaxed);
    atomic_store_explicit(&s->last_ms, now_ms, memory_order_relaxed);
    atomic_store_explicit(&s->times, 1, memory_order_relaxed);
    atomic_store_explicit(&s->checksum, checksum(&t, seq + 1), memory_order_relaxed);
    atomic_compare_exchange_strong_explicit(&s->seq, &seq, seq + 1, memory_order_release, memory_order_relaxed);
}

bool error_ring_read(const struct error_ring *r, int i, struct error_seen *out)
{
    uint64_t n = atomic_load_explicit(&r->n, memory_order_acquire), seq;
    bool whole;

    if (i < 0 || i >= ERROR_RING_ENTRIES || (uint64_t)i >= n)
        return false;
    n -= 1 + (uint64_t)i;
    whole = read_slot(&r->slots[n % ERROR_RING_ENTRIES], out, &seq) && seq == 2 * n + 2;
    if (whole)
        clean_text(&out->text);
    return whole;
}
