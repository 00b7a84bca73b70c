/*
 * scoreboard.c - see scoreboard.h
 *
 * The memfd is a head of whole pages and then SCORE_SLOTS slots, each a whole number of pages. A child maps all of it
 * read-only and its own slot writable, so that no error of it spoils another's. One that was taken over could map the
 * rest as well: nothing there is believed further than that a child may be ended for it. The file is sealed against
 * resizing, so that no child can make the master fault. Pages that were never written cost nothing.
 *
 * A slot's sequence number is odd while its owner writes. A reader copies between two equal even numbers, and gives up
 * after READ_TRIES: the owner was killed, or is preempted, in the middle. Whatever is copied is cut to be safe to use:
 * text is terminated, counts are within their arrays.
 *
 * Diagnostics
 *   panics  score_begin inside score_begin, score_end without it (our bug)
 *
 * Depends on base, core.
 */
#include "proc/scoreboard.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/reason.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fcntl.h>

#define BOARD_MAGIC 0x646d5342u /* "dmSB" */
#define SLOT_MAGIC  0x646d534cu /* "dmSL" */
#define PAGE_BYTES  4096u
#define READ_TRIES  100

struct board_head {
    uint32_t magic;
    uint32_t slot_bytes;
    uint32_t slots;
    struct log_levels levels;
    _Atomic uint32_t totals_seq; /* odd while the master writes */
    struct totals totals;
    struct score_living living; /* under the same number */
};

struct board_slot {
    _Atomic uint32_t seq;
    struct score_data data;
    _Atomic uint32_t traced; /* enum trace_state; a trace comes from a handler, which may interrupt a writer of data */
    struct score_trace trace;
};

enum trace_state { TRACE_NONE, TRACE_BEGUN, TRACE_PART, TRACE_WHOLE };

#define HEAD_BYTES  (((sizeof(struct board_head) + PAGE_BYTES - 1) / PAGE_BYTES) * PAGE_BYTES)
#define SLOT_BYTES  (((sizeof(struct board_slot) + PAGE_BYTES - 1) / PAGE_BYTES) * PAGE_BYTES)
#define BOARD_BYTES (HEAD_BYTES + SLOT_BYTES * SCORE_SLOTS)

struct scoreboard {
    int fd;
    uint8_t *map;               /* all of it; read-only in a child */
    uint32_t totals_seq;        /* master: what it wrote last into the head */
    struct score_living living; /* master: what it wrote last of that */
    struct board_slot *own;     /* child: writable view of its slot */
};

static struct board_slot *slot_of(const struct scoreboard *b, int slot)
{
    return (struct board_slot *)(void *)(b->map + HEAD_BYTES + SLOT_BYTES * (size_t)slot);
}

static struct scoreboard *board_fail(struct scoreboard *b, struct error *e, const char *what)
{
    (void)reason_error(e, REASON_os_error, errno, "scoreboard: %s: %s", what, strerror(errno));
    scoreboard_free(&b);
    return NULL;
}

static void write_head(struct scoreboard *b)
{
    struct board_head *head = (struct board_head *)(void *)b->map;

    head->magic = BOARD_MAGIC;
    head->slot_bytes = SLOT_BYTES;
    head->slots = SCORE_SLOTS;
}

struct scoreboard *scoreboard_create(struct error *e)
{
    struct scoreboard *b = calloc(1, sizeof *b);

    if (b == NULL)
        return board_fail(b, e, "memory");
    b->fd = memfd_create("docmill-scoreboard", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (b->fd < 0 || ftruncate(b->fd, (off_t)BOARD_BYTES) != 0)
        return board_fail(b, e, "memfd");
    if (fcntl(b->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return board_fail(b, e, "seal");
    b->map = mmap(NULL, BOARD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
    if (b->map == MAP_FAILED) {
        b->map = NULL;
        return board_fail(b, e, "map");
    }
    write_head(b);
    return b;
}

static bool board_valid(const struct scoreboard *b, int slot)
{
    const struct board_head *head = (const struct board_head *)(const void *)b->map;

    return head->magic == BOARD_MAGIC && head->slot_bytes == SLOT_BYTES && head->slots == SCORE_SLOTS &&
           slot_of(b, slot)->data.magic == SLOT_MAGIC;
}

struct scoreboard *scoreboard_attach(int fd, int slot, struct error *e)
{
    struct scoreboard *b = calloc(1, sizeof *b);
    struct stat st;
    void *own;

    if (b == NULL)
        return board_fail(b, e, "memory");
    b->fd = fd;
    if (fstat(fd, &st) != 0)
        return board_fail(b, e, "descriptor");
    errno = EINVAL;
    if (st.st_size != (off_t)BOARD_BYTES || slot < 0 || slot >= SCORE_SLOTS)
        return board_fail(b, e, "not a scoreboard of this version, or no such slot");
    b->map = mmap(NULL, BOARD_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    if (b->map == MAP_FAILED) {
        b->map = NULL;
        return board_fail(b, e, "map");
    }
    errno = EINVAL;
    if (!board_valid(b, slot))
        return board_fail(b, e, "not a scoreboard of this version, or the slot was not given out");
    own =
        mmap(NULL, SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(HEAD_BYTES + SLOT_BYTES * (size_t)slot));
    if (own == MAP_FAILED)
        return board_fail(b, e, "map slot");
    b->own = own;
    return b;
}

struct log_levels *scoreboard_log_levels(const struct scoreboard *b)
{
    return &((struct board_head *)(void *)b->map)->levels;
}

int scoreboard_fd(const struct scoreboard *b)
{
    return b->fd;
}

void scoreboard_free(struct scoreboard **b)
{
    if (*b == NULL)
        return;
    if ((*b)->own != NULL)
        munmap((*b)->own, SLOT_BYTES);
    if ((*b)->map != NULL)
        munmap((*b)->map, BOARD_BYTES);
    if ((*b)->fd >= 0)
        close((*b)->fd);
    free(*b);
    *b = NULL;
}

void scoreboard_reset(struct scoreboard *b, int slot, int pool)
{
    struct board_slot *s = slot_of(b, slot);

    write_head(b); /* should a child have spoilt it, the next one is to start all the same */
    memset(&s->data, 0, sizeof s->data);
    memset(&s->trace, 0, sizeof s->trace);
    atomic_store_explicit(&s->traced, TRACE_NONE, memory_order_relaxed);
    s->data.magic = SLOT_MAGIC;
    s->data.pool = pool;
    s->data.storage_ok = -1;
    atomic_store_explicit(&s->seq, 0, memory_order_release);
}

/* A time, an age or an amount with which one can reckon without going over. */
static int64_t sane(int64_t v)
{
    return v < 0 ? 0 : v > INT64_MAX / 4 ? INT64_MAX / 4 : v;
}

static void make_safe(struct score_data *d)
{
    int64_t *const amounts[] = {&d->started_ms,       &d->since_ms,         &d->beat_ms,
                                &d->busy_deadline_ms, &d->private_bytes,    &d->fresh_bytes,
                                &d->written_ms,       &d->queue_counted_ms, &d->oldest_queued_ms};

    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++)
        *amounts[i] = sane(*amounts[i]);
    d->note[sizeof d->note - 1] = '\0';
    d->differs[sizeof d->differs - 1] = '\0';
    if (d->phase < SCORE_FREE || d->phase > SCORE_DRAINING)
        d->phase = SCORE_FREE;
    if (d->n_in_hand < 0)
        d->n_in_hand = 0;
    if (d->stage < 0 || d->stage >= STATUS_MAX_)
        d->stage = 0;
}

int scoreboard_read(const struct scoreboard *b, int slot, struct score_data *out)
{
    const struct board_slot *s = slot_of(b, slot);
    int r = -EAGAIN;

    for (int i = 0; i < READ_TRIES && r != 0; i++) {
        uint32_t before = atomic_load_explicit(&s->seq, memory_order_acquire);
        memcpy(out, &s->data, sizeof *out);
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 && before == atomic_load_explicit(&s->seq, memory_order_relaxed))
            r = 0;
    }
    make_safe(out);
    return r;
}

void scoreboard_pulse(const struct scoreboard *b, int slot, struct score_pulse *out)
{
    const volatile struct score_data *d = &slot_of(b, slot)->data;

    out->phase = (enum score_phase)d->phase;
    out->beat_ms = sane(d->beat_ms);
    out->busy_deadline_ms = sane(d->busy_deadline_ms);
    out->progress = d->progress;
}

enum score_traced scoreboard_trace(const struct scoreboard *b, int slot, struct score_trace *out)
{
    const struct board_slot *s = slot_of(b, slot);
    uint32_t traced = atomic_load_explicit(&s->traced, memory_order_acquire);

    if (traced != TRACE_PART && traced != TRACE_WHOLE)
        return SCORE_TRACE_NONE;
    memcpy(out, &s->trace, sizeof *out);
    if (out->n < 0)
        out->n = 0;
    if (out->n > SCORE_TRACE_FRAMES)
        out->n = SCORE_TRACE_FRAMES;
    for (int i = 0; i < out->n; i++)
        for (size_t k = 0; k < SCORE_MODULE_BYTES; k++)
            if (k == SCORE_MODULE_BYTES - 1 || out->frames[i].module[k] < '!' || out->frames[i].module[k] > '~')
                out->frames[i].module[k] = '\0';
    if (out->n == 0)
        return SCORE_TRACE_NONE;
    return traced == TRACE_WHOLE ? SCORE_TRACE_WHOLE : SCORE_TRACE_PART;
}

struct score_trace *score_trace_begin(struct scoreboard *b)
{
    uint32_t was = atomic_load_explicit(&b->own->traced, memory_order_relaxed);

    if (was == TRACE_BEGUN || !atomic_compare_exchange_strong_explicit(&b->own->traced, &was, TRACE_BEGUN,
                                                                       memory_order_acquire, memory_order_relaxed))
        return NULL;
    b->own->trace.n = 0;
    return &b->own->trace;
}

void score_trace_part(struct scoreboard *b)
{
    atomic_store_explicit(&b->own->traced, TRACE_PART, memory_order_release);
}

void score_trace_end(struct scoreboard *b)
{
    atomic_store_explicit(&b->own->traced, TRACE_WHOLE, memory_order_release);
}

struct totals *scoreboard_totals_begin(struct scoreboard *b)
{
    struct board_head *head = (struct board_head *)(void *)b->map;

    atomic_store_explicit(&head->totals_seq, ++b->totals_seq, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    return &head->totals;
}

void scoreboard_totals_end(struct scoreboard *b)
{
    struct board_head *head = (struct board_head *)(void *)b->map;

    atomic_store_explicit(&head->totals_seq, ++b->totals_seq, memory_order_release);
}

static void read_slots(const struct scoreboard *b, struct score_data *slots)
{
    for (int i = 0; i < SCORE_SLOTS; i++) {
        if (slot_of(b, i)->data.magic == SLOT_MAGIC)
            (void)scoreboard_read(b, i, &slots[i]); /* torn: each number by itself is whole */
        else if (slots[i].pid != 0)
            slots[i].pid = 0; /* memory that nothing was written to stays untouched */
    }
}

int scoreboard_read_all(const struct scoreboard *b, struct totals *t, struct score_data *slots)
{
    const struct board_head *head = (const struct board_head *)(const void *)b->map;
    int r = -EAGAIN;

    for (int i = 0; i < READ_TRIES && r != 0; i++) {
        uint32_t before = atomic_load_explicit(&head->totals_seq, memory_order_acquire);
        *t = head->totals;
        read_slots(b, slots);
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 && before == atomic_load_explicit(&head->totals_seq, memory_order_relaxed))
            r = 0;
    }
    for (int p = 0; p < CONF_MAX_POOLS; p++) /* every child can write there */
        t->pools[p].name[sizeof t->pools[p].name - 1] = '\0';
    return r;
}

void scoreboard_set_living(struct scoreboard *b, int slot, int64_t serial, int64_t next_serial, int deaths_owed)
{
    if (slot >= 0)
        b->living.serials[slot] = serial;
    b->living.next_serial = next_serial;
    b->living.deaths_owed = deaths_owed;
    (void)scoreboard_totals_begin(b);
    ((struct board_head *)(void *)b->map)->living = b->living; /* all of it: a child may have spoilt what was there */
    scoreboard_totals_end(b);
}

int scoreboard_living(const struct scoreboard *b, struct score_living *out)
{
    const struct board_head *head = (const struct board_head *)(const void *)b->map;

    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load_explicit(&head->totals_seq, memory_order_acquire);
        *out = head->living;
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 && before == atomic_load_explicit(&head->totals_seq, memory_order_relaxed))
            return 0;
    }
    return -EAGAIN;
}

struct score_data *score_begin(struct scoreboard *b)
{
    uint32_t seq = atomic_load_explicit(&b->own->seq, memory_order_relaxed);

    if (seq % 2 != 0)
        log_panic("scoreboard", "score_begin inside score_begin");
    atomic_store_explicit(&b->own->seq, seq + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    return &b->own->data;
}

void score_end(struct scoreboard *b)
{
    uint32_t seq = atomic_load_explicit(&b->own->seq, memory_order_relaxed);

    if (seq % 2 == 0)
        log_panic("scoreboard", "score_end without score_begin");
    atomic_store_explicit(&b->own->seq, seq + 1, memory_order_release);
}

void score_beat(struct scoreboard *b)
{
    struct score_data *d = score_begin(b);

    d->beat_ms = clock_ms();
    score_end(b);
}

void score_phase(struct scoreboard *b, enum score_phase phase, const char *note)
{
    int64_t now = clock_ms();
    struct score_data *d = score_begin(b);
    size_t n = note != NULL ? strnlen(note, sizeof d->note - 1) : 0;

    if (d->phase != (int32_t)phase)
        d->since_ms = now;
    d->phase = (int32_t)phase;
    d->beat_ms = now;
    if (n > 0)
        memcpy(d->note, note, n);
    d->note[n] = '\0';
    score_end(b);
}

void score_stage(struct scoreboard *b, int status, int64_t busy_for_ms)
{
    int64_t now = clock_ms();
    struct score_data *d = score_begin(b);

    d->stage = status;
    d->since_ms = now;
    d->beat_ms = now;
    d->busy_deadline_ms = busy_for_ms > 0 ? now + busy_for_ms : 0;
    score_end(b);
}

static int bucket_of(int64_t took_ms)
{
    int i = 0;

    while (i < SCORE_HIST_BUCKETS - 1 && took_ms >= (int64_t)1 << i)
        i++;
    return i;
}

void score_stage_done(struct scoreboard *b, int status, int64_t took_ms, uint64_t n)
{
    struct score_data *d;

    if (status <= 0 || status >= STATUS_MAX_)
        return;
    d = score_begin(b);
    d->stage_count[status] += n;
    d->stage_hist[status][bucket_of(took_ms)] += n;
    d->stage_sum_ms[status] += (uint64_t)(took_ms > 0 ? took_ms : 0) * n;
    d->progress++;
    d->beat_ms = clock_ms();
    score_end(b);
}

void score_fault(struct scoreboard *b, int reason)
{
    struct score_data *d = score_begin(b);

    d->fault = reason;
    score_end(b);
}
