/*
 * services.c - see services.h
 *
 * The memory begins with a head that the master writes once and a child checks. Policies are not in it: each process
 * takes them from its own configuration.
 *
 * Depends on base, core.
 */
#include "proc/services.h"

#include "core/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define AREA_MAGIC     0x646d5356u /* "dmSV" */
#define MS_NS          INT64_C(1000000)
#define MOST_NODES     100000
#define DEFAULT_WINDOW 30000

enum counter { COUNT_REQUESTS, COUNT_FAILURES, COUNT_REFUSED, COUNT_WAITED, COUNT_WAITED_MS, COUNTERS };

struct shared_service {
    _Alignas(64) struct limit limit;
    _Alignas(64) struct breaker breaker;
    _Atomic int64_t counters[COUNTERS];
};

struct area {
    uint32_t magic, bytes, services;
    _Atomic int32_t nodes; /* 0: not counted yet */
    struct shared_service services_of[SERVICE_MAX_];
    struct error_ring errors;
    _Atomic uint32_t differs;
    _Atomic uint32_t paused;
    _Atomic int64_t paused_since[PAUSE_MAX_];
};

struct services {
    int fd;
    struct area *area;
    struct limit_policy limits[SERVICE_MAX_];
    struct breaker_policy breakers[SERVICE_MAX_];
};

/* ---- names ---- */

struct service_row {
    const char *name, *title;
};
#define X_ROW(NAME, name, title, ...) [SERVICE_##NAME] = {name, title},
static const struct service_row rows[SERVICE_MAX_] = {SERVICES(X_ROW)};
#undef X_ROW

const char *service_name(enum service v)
{
    return rows[v].name;
}

const char *service_title(enum service v)
{
    return rows[v].title;
}

int service_parse(const char *name)
{
    for (int i = 0; i < SERVICE_MAX_; i++)
        if (strcmp(rows[i].name, name) == 0)
            return i;
    return -EINVAL;
}

/* ---- the memory ---- */

static void set_policies(struct services *s, const struct conf *c)
{
    static const struct conf none = {.openai_timeout = 60000,
                                     .breaker_failures = 5,
                                     .breaker_rate = 50,
                                     .breaker_window = DEFAULT_WINDOW,
                                     .breaker_open = 500,
                                     .breaker_open_cap = 1500,
                                     .breaker_account_open = 60000};

    if (c == NULL)
        c = &none;
#define X_POLICY(NAME, name, title, requests, tokens, start, lease)                                                    \
    s->limits[SERVICE_##NAME] =                                                                                        \
        (struct limit_policy){.per_minute = {requests, tokens}, .start_per_minute = (start), .nodes = 1};              \
    s->breakers[SERVICE_##NAME] = (struct breaker_policy){.failures = c->breaker_failures,                             \
                                                          .rate_percent = c->breaker_rate,                             \
                                                          .window_ms = c->breaker_window,                              \
                                                          .open_ms = c->breaker_open,                                  \
                                                          .open_cap_ms = c->breaker_open_cap,                          \
                                                          .account_open_ms = c->breaker_account_open,                  \
                                                          .lease_ms = (lease)};
    SERVICES(X_POLICY)
#undef X_POLICY
}

static struct services *fail(struct services *s, struct error *e, const char *what)
{
    (void)reason_error(e, REASON_os_error, errno, "services: %s: %s", what, strerror(errno));
    services_free(&s);
    return NULL;
}

static struct services *map(struct services *s, struct error *e)
{
    void *p = mmap(NULL, sizeof(struct area), PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);

    if (p == MAP_FAILED)
        return fail(s, e, "map");
    s->area = p;
    return s;
}

static void write_head(struct services *s)
{
    s->area->magic = AREA_MAGIC;
    s->area->bytes = sizeof(struct area);
    s->area->services = SERVICE_MAX_;
}

struct services *services_create(const struct conf *conf, struct error *e)
{
    struct services *s = calloc(1, sizeof *s);

    if (s == NULL)
        return fail(s, e, "memory");
    set_policies(s, conf);
    s->fd = memfd_create("docmill-services", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (s->fd < 0 || ftruncate(s->fd, (off_t)sizeof(struct area)) != 0)
        return fail(s, e, "memfd");
    if (fcntl(s->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return fail(s, e, "seal");
    s = map(s, e);
    if (s != NULL)
        write_head(s);
    return s;
}

struct services *services_attach(int fd, const struct conf *conf, struct error *e)
{
    struct services *s = calloc(1, sizeof *s);
    struct stat st;

    if (s == NULL)
        return fail(s, e, "memory");
    set_policies(s, conf);
    s->fd = fd;
    if (fstat(fd, &st) != 0)
        return fail(s, e, "descriptor");
    errno = EINVAL;
    if (st.st_size != (off_t)sizeof(struct area))
        return fail(s, e, "not the services of this version");
    s = map(s, e);
    errno = EINVAL;
    if (s != NULL &&
        (s->area->magic != AREA_MAGIC || s->area->bytes != sizeof(struct area) || s->area->services != SERVICE_MAX_))
        return fail(s, e, "not the services of this version");
    return s;
}

void services_apply(struct services *s, const struct conf *conf)
{
    set_policies(s, conf);
}

int services_fd(const struct services *s)
{
    return s->fd;
}

void services_free(struct services **s)
{
    if (*s == NULL)
        return;
    if ((*s)->area != NULL)
        munmap((*s)->area, sizeof(struct area));
    if ((*s)->fd >= 0)
        close((*s)->fd);
    free(*s);
    *s = NULL;
}

/* ---- requests ---- */

int services_nodes(const struct services *s)
{
    int32_t n = atomic_load_explicit(&s->area->nodes, memory_order_relaxed);

    return n < 1 ? 1 : n > MOST_NODES ? MOST_NODES : n;
}

static struct limit_policy limit_policy(const struct services *s, enum service v)
{
    struct limit_policy p = s->limits[v];

    p.nodes = services_nodes(s);
    return p;
}

static void add(struct services *s, enum service v, enum counter c, int64_t n)
{
    atomic_fetch_add_explicit(&s->area->services_of[v].counters[c], n, memory_order_relaxed);
}

int64_t services_closed_for(const struct services *s, enum service v, int64_t now_ms)
{
    int64_t wait = 0;

    return breaker_peek(&s->area->services_of[v].breaker, now_ms, &wait) == BREAKER_WAIT ? wait : 0;
}

static int64_t kept_waiting(struct service_permit *permit, bool breaker, int64_t wait_ms)
{
    permit->breaker = breaker;
    permit->reserved = permit->ticket.at_ns != 0;
    return wait_ms > 0 ? wait_ms : 1;
}

int64_t services_ask(struct services *s, struct service_permit *permit, enum service v, int64_t tokens,
                     int64_t max_wait_ms, int64_t now_ms)
{
    struct shared_service *x = &s->area->services_of[v];
    struct limit_policy policy = limit_policy(s, v);
    int64_t wait_ms = services_closed_for(s, v, now_ms), wait_ns;

    if (!permit->asked)
        *permit = (struct service_permit){.service = v, .asked = true, .asked_ms = now_ms};
    if (wait_ms > 0) { /* its time is kept by nobody while the service is away */
        limit_give_back(&x->limit, &permit->ticket);
        return kept_waiting(permit, true, wait_ms);
    }
    wait_ns = limit_take(&x->limit, &policy, tokens, now_ms * MS_NS, max_wait_ms * MS_NS, &permit->ticket);
    if (wait_ns > 0)
        return kept_waiting(permit, false, (wait_ns + MS_NS - 1) / MS_NS);
    if (breaker_ask(&x->breaker, &s->breakers[v], now_ms, &permit->lease, &wait_ms) == BREAKER_WAIT) {
        limit_give_back(&x->limit, &permit->ticket);
        return kept_waiting(permit, true, wait_ms);
    }
    permit->granted = true;
    permit->reserved = permit->breaker = false;
    add(s, v, COUNT_REQUESTS, 1);
    if (now_ms > permit->asked_ms) {
        add(s, v, COUNT_WAITED, 1);
        add(s, v, COUNT_WAITED_MS, now_ms - permit->asked_ms);
    }
    return 0;
}

static void raise_opened(struct services *s, enum service v, const struct service_result *r, int64_t now_ms)
{
    struct breaker_view view;
    char text[sizeof((struct error_text *)0)->message];

    breaker_look(&s->area->services_of[v].breaker, &s->breakers[v], now_ms, &view);
    snprintf(text, sizeof text, "%s is out of service: %s%s%s", rows[v].title, breaker_cause_words(view.cause),
             r->message != NULL ? "; " : "", r->message != NULL ? r->message : "");
    services_raise(s, rows[v].name, r->reason != NULL ? r->reason : breaker_cause_name(view.cause), text, now_ms);
}

enum breaker_change services_done(struct services *s, struct service_permit *permit, const struct service_result *r,
                                  int64_t now_ms)
{
    enum service v = permit->service;
    struct shared_service *x = &s->area->services_of[v];
    struct limit_policy policy = limit_policy(s, v);
    enum breaker_change change;

    if (!permit->granted) {
        services_drop(s, permit, now_ms);
        return BREAKER_UNCHANGED;
    }
    if (r->outcome == OUTCOME_FAILED)
        add(s, v, COUNT_FAILURES, 1);
    if (r->outcome == OUTCOME_LIMITED)
        add(s, v, COUNT_REFUSED, 1);
    if (r->outcome != OUTCOME_QUOTA && r->outcome != OUTCOME_SPENDING) /* those 429s say nothing about the pace */
        (void)limit_learn(&x->limit, &policy, &r->answer, now_ms * MS_NS);
    change = breaker_report(&x->breaker, &s->breakers[v], &permit->lease, r->outcome, now_ms);
    if (change == BREAKER_OPENED)
        raise_opened(s, v, r, now_ms);
    *permit = (struct service_permit){0};
    return change;
}

void services_drop(struct services *s, struct service_permit *permit, int64_t now_ms)
{
    struct shared_service *x = &s->area->services_of[permit->service];

    if (permit->asked)
        limit_give_back(&x->limit, &permit->ticket);
    if (permit->granted && permit->lease.word != 0)
        (void)breaker_report(&x->breaker, &s->breakers[permit->service], &permit->lease, OUTCOME_ABANDONED, now_ms);
    *permit = (struct service_permit){0};
}

int64_t services_down_ms(struct services *s, enum service v, int64_t now_ms)
{
    return breaker_down_ms(&s->area->services_of[v].breaker, now_ms);
}

/* ---- errors ---- */

void services_raise(struct services *s, const char *module, const char *reason, const char *message, int64_t now_ms)
{
    error_ring_raise(&s->area->errors, module, reason, message, now_ms);
}

bool services_error(const struct services *s, int i, struct error_seen *out)
{
    return error_ring_read(&s->area->errors, i, out);
}

/* ---- coordinator and master ---- */

void services_set_nodes(struct services *s, int nodes, int64_t settle_ms, int64_t now_ms)
{
    int32_t before = atomic_exchange_explicit(&s->area->nodes, nodes < 1 ? 1 : nodes, memory_order_relaxed);

    if (before != 0 || nodes <= 1)
        return;
    for (int v = 0; v < SERVICE_MAX_; v++) /* the others still use what is now ours */
        if (s->limits[v].per_minute[LIMIT_REQUESTS] > 0 || s->limits[v].per_minute[LIMIT_TOKENS] > 0)
            limit_hold(&s->area->services_of[v].limit, (now_ms + settle_ms) * MS_NS);
}

void services_child_died(struct services *s, pid_t pid, int64_t now_ms)
{
    write_head(s); /* should it have spoilt that, the next one is to start all the same */
    for (int v = 0; v < SERVICE_MAX_; v++)
        breaker_forget(&s->area->services_of[v].breaker, pid, now_ms);
}

enum breaker_change services_order(struct services *s, enum service v, enum breaker_order order, int64_t now_ms)
{
    return breaker_order(&s->area->services_of[v].breaker, order, now_ms);
}

void services_set_differs(struct services *s, bool differs)
{
    atomic_store_explicit(&s->area->differs, differs, memory_order_release);
}

bool services_differs(const struct services *s)
{
    return atomic_load_explicit(&s->area->differs, memory_order_acquire) != 0;
}

void services_set_paused(struct services *s, uint32_t mask, const int64_t since_ms[PAUSE_MAX_])
{
    for (int i = 0; i < PAUSE_MAX_; i++)
        atomic_store_explicit(&s->area->paused_since[i], since_ms[i], memory_order_relaxed);
    atomic_store_explicit(&s->area->paused, mask, memory_order_release);
}

uint32_t services_paused(const struct services *s)
{
    return atomic_load_explicit(&s->area->paused, memory_order_acquire) & (PAUSE_BIT(PAUSE_MAX_) - 1);
}

int64_t services_paused_since(const struct services *s, enum pause p)
{
    int64_t since_ms = atomic_load_explicit(&s->area->paused_since[p], memory_order_relaxed);

    return since_ms > 0 ? since_ms : 0;
}

void services_look(struct services *s, enum service v, int64_t now_ms, struct service_view *out)
{
    struct shared_service *x = &s->area->services_of[v];
    struct limit_policy policy = limit_policy(s, v);
    int64_t counters[COUNTERS], hold = atomic_load_explicit(&x->limit.hold_ns, memory_order_relaxed) / MS_NS;

    *out = (struct service_view){0};
    for (int i = 0; i < COUNTERS; i++)
        counters[i] = atomic_load_explicit(&x->counters[i], memory_order_relaxed);
    breaker_look(&x->breaker, &s->breakers[v], now_ms, &out->breaker);
    for (int b = 0; b < LIMIT_BUCKETS; b++)
        out->rate[b] = limit_rate(&x->limit, &policy, (enum limit_bucket)b);
    out->accepted = limit_accepted(&x->limit, now_ms * MS_NS);
    out->hold_ms = hold > now_ms ? hold - now_ms : 0;
    out->requests = counters[COUNT_REQUESTS];
    out->failures = counters[COUNT_FAILURES];
    out->refused = counters[COUNT_REFUSED];
    out->waited = counters[COUNT_WAITED];
    out->waited_ms = counters[COUNT_WAITED_MS];
}
