/*
 * test_services.c - what a node's processes share: permits from beginning to end, and real processes killed amid them
 */
#include "base/clock.h"
#include "fork_test.h"
#include "proc/services.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define T0 INT64_C(5000000)

/* 60 requests and 6,000,000 tokens a minute to the embedder, 6 requests to LlamaParse. */
static const struct conf conf = {.openai_requests_per_minute = 60,
                                 .openai_tokens_per_minute = 6000000,
                                 .openai_timeout = 10000,
                                 .llamaparse_requests_per_minute = 6,
                                 .breaker_failures = 3,
                                 .breaker_rate = 50,
                                 .breaker_window = 30000,
                                 .breaker_open = 1000,
                                 .breaker_open_cap = 8000,
                                 .breaker_account_open = 40000};

static struct services *make(const struct conf *c)
{
    struct error e = {0};
    struct services *s = services_create(c, &e);

    cr_assert_not_null(s, "%s", e.message);
    return s;
}

static enum breaker_change done(struct services *s, struct service_permit *p, enum breaker_outcome o, int status,
                                int64_t now)
{
    struct service_result r = {
        .outcome = o, .answer = LIMIT_ANSWER_SILENT, .reason = "db_error", .message = "so it said"};

    r.answer.status = status;
    return services_done(s, p, &r, now);
}

/* ---- permits ---- */

Test(services, requests_go_one_after_the_other_each_at_its_own_time)
{
    struct services *s = make(&conf);
    struct service_permit p[8];
    int64_t waits[8];

    memset(p, 0, sizeof p);
    for (int i = 0; i < 8; i++) {
        waits[i] = services_ask(s, &p[i], SERVICE_EMBEDDER, 1, 60000, T0);
        cr_assert(i == 0 || (waits[i] > waits[i - 1] + (i == 1 ? 700 : 1000) && p[i].reserved), "%d: %ld", i,
                  (long)waits[i]);
    }
    cr_assert_eq(waits[0], 0);
    for (int i = 1; i < 8; i++) {
        cr_assert_gt(services_ask(s, &p[i], SERVICE_EMBEDDER, 1, 60000, T0 + waits[i] - 2), 0);
        cr_assert_eq(services_ask(s, &p[i], SERVICE_EMBEDDER, 1, 60000, T0 + waits[i]), 0);
    }
    services_free(&s);
    cr_assert_null(s);
}

Test(services, nothing_is_kept_for_whom_the_wait_is_too_long)
{
    struct services *s = make(&conf);
    struct service_permit p[4];
    struct service_view v;

    memset(p, 0, sizeof p);
    for (int i = 0; i < 2; i++)
        (void)services_ask(s, &p[i], SERVICE_LLAMAPARSE, 0, 60000, T0);
    for (int i = 2; i < 4; i++) {
        int64_t wait = services_ask(s, &p[i], SERVICE_LLAMAPARSE, 0, 5000, T0);
        cr_assert(!p[i].reserved && !p[i].breaker && wait >= 14000 && wait <= 19000, "%ld", (long)wait);
    }
    services_drop(s, &p[1], T0); /* gives its time back */
    cr_assert_leq(services_ask(s, &p[2], SERVICE_LLAMAPARSE, 0, 11000, T0), 11000);
    cr_assert(p[2].reserved);
    services_look(s, SERVICE_LLAMAPARSE, T0, &v);
    cr_assert_eq(v.rate[LIMIT_REQUESTS], 5850);
    services_free(&s);
}

Test(services, tokens_are_paid_for)
{
    struct services *s = make(&conf);
    struct service_permit a = {0}, b = {0};

    cr_assert_eq(services_ask(s, &a, SERVICE_EMBEDDER, 600000, 60000, T0), 0);
    cr_assert_geq(services_ask(s, &b, SERVICE_EMBEDDER, 1, 60000, T0), 5900);
    services_free(&s);
}

Test(services, an_open_breaker_keeps_nobody_s_time_and_tells_when_to_come_back)
{
    struct services *s = make(&conf);
    struct service_permit p = {0}, waiting = {0};
    struct error_seen e;
    int64_t now = T0, wait;

    for (int i = 0; i < 3; i++, now += 1100) {
        cr_assert_eq(services_ask(s, &p, SERVICE_EMBEDDER, 1, 60000, now), 0);
        cr_assert_eq(done(s, &p, OUTCOME_FAILED, 500, now), i < 2 ? BREAKER_UNCHANGED : BREAKER_OPENED);
    }
    now -= 1100;
    wait = services_ask(s, &waiting, SERVICE_EMBEDDER, 1, 60000, now);
    cr_assert(waiting.breaker && !waiting.reserved && wait >= 500 && wait <= 1000, "%ld", (long)wait);
    cr_assert_eq(services_closed_for(s, SERVICE_EMBEDDER, now), wait);
    cr_assert_eq(services_closed_for(s, SERVICE_LLAMAPARSE, now), 0, "the other one is not concerned");
    cr_assert_eq(services_down_ms(s, SERVICE_EMBEDDER, now + 100), 100);
    cr_assert(services_error(s, 0, &e));
    cr_assert_str_eq(e.text.module, "embedder");
    cr_assert_str_eq(e.text.reason, "db_error");
    cr_assert_str_eq(e.text.message, "embeddings service is out of service: too many requests failed; so it said");
    now += 1100;
    cr_assert_eq(services_ask(s, &waiting, SERVICE_EMBEDDER, 1, 60000, now), 0);
    cr_assert_neq(waiting.lease.word, 0, "it is the probe");
    cr_assert_eq(done(s, &waiting, OUTCOME_OK, 200, now + 50), BREAKER_CLOSED_NOW);
    cr_assert_eq(services_down_ms(s, SERVICE_EMBEDDER, now + 50), 0);
    services_free(&s);
}

Test(services, a_time_that_was_kept_is_given_back_when_the_breaker_opens)
{
    struct services *s = make(&conf);
    struct service_permit p[3] = {0};
    int64_t wait;

    (void)services_ask(s, &p[0], SERVICE_EMBEDDER, 1, 60000, T0);
    wait = services_ask(s, &p[1], SERVICE_EMBEDDER, 1, 60000, T0);
    cr_assert(wait > 0 && p[1].reserved);
    services_order(s, SERVICE_EMBEDDER, BREAKER_ORDER_OPEN, T0);
    cr_assert_gt(services_ask(s, &p[1], SERVICE_EMBEDDER, 1, 60000, T0), 0);
    cr_assert(p[1].breaker && !p[1].reserved);
    services_order(s, SERVICE_EMBEDDER, BREAKER_ORDER_CLOSE, T0);
    cr_assert_eq(services_ask(s, &p[2], SERVICE_EMBEDDER, 1, 60000, T0), wait, "it is the next one's");
    services_free(&s);
}

Test(services, a_probe_that_is_dropped_lets_the_next_one_try)
{
    struct services *s = make(&conf);
    struct service_permit p = {0}, q = {0};
    int64_t now = T0;

    cr_assert_eq(services_ask(s, &p, SERVICE_EMBEDDER, 1, 60000, now), 0);
    cr_assert_eq(done(s, &p, OUTCOME_KEY, 401, now), BREAKER_OPENED);
    now += 40001;
    cr_assert_eq(services_ask(s, &p, SERVICE_EMBEDDER, 1, 60000, now), 0);
    cr_assert_gt(services_ask(s, &q, SERVICE_EMBEDDER, 1, 60000, now), 0);
    services_drop(s, &p, now);
    memset(&q, 0, sizeof q);
    cr_assert_eq(services_ask(s, &q, SERVICE_EMBEDDER, 1, 60000, now), 0);
    cr_assert_neq(q.lease.word, 0);
    services_free(&s);
}

Test(services, waiting_and_refusals_are_counted)
{
    struct services *s = make(&conf);
    struct service_permit p = {0};
    struct service_view v;

    (void)services_ask(s, &p, SERVICE_EMBEDDER, 1, 60000, T0);
    done(s, &p, OUTCOME_LIMITED, 429, T0 + 10);
    services_look(s, SERVICE_EMBEDDER, T0 + 20, &v);
    cr_assert_geq(v.hold_ms, 900, "after a refusal nobody goes for a while: %ld", (long)v.hold_ms);
    cr_assert_gt(services_ask(s, &p, SERVICE_EMBEDDER, 1, 60000, T0 + 20), 900);
    cr_assert_eq(services_ask(s, &p, SERVICE_EMBEDDER, 1, 60000, T0 + 4020), 0, "%ld",
                 (long)services_ask(s, &p, SERVICE_EMBEDDER, 1, 60000, T0 + 4020));
    done(s, &p, OUTCOME_OK, 200, T0 + 4050);
    services_look(s, SERVICE_EMBEDDER, T0 + 4060, &v);
    cr_assert_eq(v.requests, 2);
    cr_assert_eq(v.refused, 1);
    cr_assert_eq(v.waited, 1);
    cr_assert_eq(v.waited_ms, 4000);
    services_free(&s);
}

/* ---- nodes ---- */

Test(services, a_node_that_joins_others_holds_still_and_takes_its_share)
{
    struct services *s = make(&conf);
    struct service_permit p = {0};
    struct service_view v;
    int64_t wait;

    services_set_nodes(s, 3, 6000, T0);
    services_look(s, SERVICE_EMBEDDER, T0, &v);
    cr_assert_eq(v.rate[LIMIT_REQUESTS], 19500, "%ld", (long)v.rate[LIMIT_REQUESTS]);
    wait = services_ask(s, &p, SERVICE_EMBEDDER, 1, 60000, T0);
    cr_assert_eq(wait, 6000);
    services_set_nodes(s, 1, 6000, T0 + 6000);
    services_look(s, SERVICE_EMBEDDER, T0 + 6000, &v);
    cr_assert_eq(v.rate[LIMIT_REQUESTS], 58500);
    cr_assert_eq(services_ask(s, &p, SERVICE_EMBEDDER, 1, 60000, T0 + 6000), 0, "it held still once");
    services_set_nodes(s, 2, 6000, T0 + 6001);
    services_look(s, SERVICE_EMBEDDER, T0 + 6001, &v);
    cr_assert_eq(v.hold_ms, 0, "those who are there already only make room");
    services_free(&s);
}

Test(services, a_node_alone_begins_at_once)
{
    struct services *s = make(&conf);
    struct service_permit p = {0};

    services_set_nodes(s, 1, 6000, T0);
    cr_assert_eq(services_ask(s, &p, SERVICE_EMBEDDER, 1, 60000, T0), 0);
    services_free(&s);
}

/* ---- the memory ---- */

Test(services, what_is_no_such_memory_is_refused)
{
    struct error e = {0};
    struct services *s = make(&conf), *other;
    int wrong = memfd_create("wrong", MFD_CLOEXEC);

    cr_assert_null(services_attach(wrong, &conf, &e));
    wrong = memfd_create("wrong", MFD_CLOEXEC);
    cr_assert_eq(ftruncate(wrong, lseek(services_fd(s), 0, SEEK_END)), 0);
    cr_assert_null(services_attach(wrong, &conf, &e), "right size, wrong content");
    cr_assert_neq(ftruncate(services_fd(s), 10), 0, "no child can make the others fault");
    cr_assert_neq(ftruncate(services_fd(s), 100000000), 0);
    other = services_attach(dup(services_fd(s)), NULL, &e);
    cr_assert_not_null(other, "%s", e.message);
    services_raise(other, "test", "internal", "seen by all", T0);
    struct error_seen seen;
    cr_assert(services_error(s, 0, &seen));
    services_free(&other);
    services_free(&s);
}

Test(services, whatever_a_mad_child_wrote_can_be_shown)
{
    struct services *s = make(&conf);
    size_t n = (size_t)lseek(services_fd(s), 0, SEEK_END);
    unsigned char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, services_fd(s), 0);
    uint64_t x = 1;

    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < n; i++) {
            x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
            p[i] = (unsigned char)(x >> 56);
        }
        for (int v = 0; v < SERVICE_MAX_; v++) {
            struct service_view view;
            services_look(s, (enum service)v, T0, &view);
            cr_assert_geq(view.hold_ms, 0);
            cr_assert_geq(view.rate[LIMIT_REQUESTS], 0);
            services_child_died(s, 1, T0);
            services_order(s, (enum service)v, BREAKER_ORDER_CLOSE, T0);
        }
        for (int i = 0; i < ERROR_RING_ENTRIES; i++) {
            struct error_seen seen;
            cr_assert(!services_error(s, i, &seen), "no checksum is right by chance");
        }
    }
    munmap(p, n);
    services_free(&s);
}

/* ---- processes at the same time ---- */

#define TOGETHER 4
#define TIMES    200000
#define TAKEN    2000000

struct arena {
    _Atomic int here; /* who waits at the start */
    struct limit limit;
    struct breaker breaker;
    _Atomic int64_t clock;
    _Atomic uint8_t probes[TIMES];
};

/* Several processes do the same, beginning together. */
static void together(void (*work)(struct arena *), struct arena *a)
{
    pid_t pids[TOGETHER];

    for (int i = 0; i < TOGETHER; i++) {
        pids[i] = fork_mortal();
        if (pids[i] == 0) {
            alarm(20);
            a->here++;
            while (a->here < TOGETHER)
                sched_yield();
            work(a);
            _exit(0);
        }
    }
    for (int i = 0; i < TOGETHER; i++) {
        int status = -1;
        cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
        cr_assert_eq(status, 0);
    }
}

static struct arena *arena(void)
{
    struct arena *a = mmap(NULL, sizeof *a, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    cr_assert_neq(a, MAP_FAILED);
    return a;
}

static const struct limit_policy thousand = {.per_minute = {1000}, .nodes = 1};

static void take_many(struct arena *a)
{
    for (int i = 0; i < TAKEN; i++) {
        struct limit_ticket t = {0};
        (void)limit_take(&a->limit, &thousand, 0, T0 * 1000000, INT64_MAX / 4, &t);
    }
}

Test(services, no_two_processes_are_given_the_same_time, .timeout = 30)
{
    struct arena *a = arena();
    struct limit_ticket one = {0};
    int64_t first;

    (void)limit_take(&a->limit, &thousand, 0, T0 * 1000000, 0, &one);
    first = a->limit.next_ns[LIMIT_REQUESTS];
    together(take_many, a);
    cr_assert_eq(a->limit.next_ns[LIMIT_REQUESTS] - first, one.paid_ns[LIMIT_REQUESTS] * TOGETHER * TAKEN);
    munmap(a, sizeof *a);
}

static const struct breaker_policy quick = {.failures = 1,
                                            .rate_percent = 1,
                                            .window_ms = 10,
                                            .open_ms = 1,
                                            .open_cap_ms = 1,
                                            .account_open_ms = 1,
                                            .lease_ms = 100};

/* Each lease is over when the clock moves on, and who becomes the probe moves it. */
static void probe_many(struct arena *a)
{
    for (int64_t t = a->clock; t < TIMES; t = a->clock) {
        struct breaker_lease lease;
        int64_t wait;

        if (breaker_ask(&a->breaker, &quick, T0 + 100 * (t + 1), &lease, &wait) != BREAKER_PROBE)
            continue;
        a->probes[t]++;
        atomic_compare_exchange_strong(&a->clock, &t, t + 1);
    }
}

Test(services, one_process_at_a_time_is_the_probe, .timeout = 30)
{
    struct arena *a = arena();
    int64_t twice = 0;

    breaker_order(&a->breaker, BREAKER_ORDER_OPEN, T0);
    breaker_order(&a->breaker, BREAKER_ORDER_PROBE, T0);
    together(probe_many, a);
    for (int i = 0; i < TIMES; i++)
        twice += a->probes[i] != 1;
    cr_assert_eq(twice, 0, "%ld times without exactly one probe", (long)twice);
    munmap(a, sizeof *a);
}

/* ---- processes that are killed ---- */

#define CHILDREN 6
#define ROUNDS   40

struct tally {
    _Atomic int64_t granted;
};

/* Asks as fast as it can, in real time, until it is killed; each grant is an answer of the service, now and then bad. */
static _Noreturn void hammer(struct services *s, struct tally *tally, unsigned seed)
{
    for (unsigned i = seed;; i++) {
        struct service_permit p = {0};
        int64_t wait;

        while ((wait = services_ask(s, &p, SERVICE_EMBEDDER, 1, 50, clock_ms())) > 0)
            if (p.breaker)
                usleep(1000);
        tally->granted++;
        done(s, &p, i % 5 == 0 ? OUTCOME_FAILED : OUTCOME_OK, i % 5 == 0 ? 500 : 200, clock_ms());
        if (i % 7 == 0)
            services_raise(s, "test", "internal", i % 2 == 0 ? "even and rather long, so that it can be torn" : "odd",
                           clock_ms());
        if (i % 50 == 0)
            services_order(s, SERVICE_EMBEDDER, BREAKER_ORDER_CLOSE, clock_ms());
    }
}

Test(services, processes_killed_anywhere_leave_nothing_locked_torn_or_lost, .timeout = 30)
{
    struct conf fast = conf;
    struct tally *tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct services *s;
    int64_t began, took, expected;
    unsigned killed = 0;
    pid_t pids[CHILDREN];

    fast.openai_requests_per_minute = 120000; /* 2 a millisecond */
    fast.openai_tokens_per_minute = 0;
    s = make(&fast);
    began = clock_ms();
    for (unsigned i = 0; i < CHILDREN; i++)
        if ((pids[i] = fork_mortal()) == 0)
            hammer(s, tally, i);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned i = round % CHILDREN;

        usleep(10000 + 997 * (round % 13));
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
        services_child_died(s, pids[i], clock_ms());
        killed++;
        if ((pids[i] = fork_mortal()) == 0)
            hammer(s, tally, round);
    }
    for (unsigned i = 0; i < CHILDREN; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
        services_child_died(s, pids[i], clock_ms());
    }
    took = clock_ms() - began;
    expected = took * 1950 / 1000;
    cr_expect_leq(tally->granted, expected + 600 + killed, "%ld in %ld ms: more than the limit", (long)tally->granted,
                  (long)took);
    cr_expect_geq(tally->granted, took / 50, "%ld in %ld ms", (long)tally->granted, (long)took);
    /* whole: one can go on at once */
    services_order(s, SERVICE_EMBEDDER, BREAKER_ORDER_CLOSE, clock_ms());
    for (int i = 0; i < 100; i++) {
        struct service_permit p = {0};
        int64_t until = clock_ms() + 1000;

        while (services_ask(s, &p, SERVICE_EMBEDDER, 1, 50, clock_ms()) > 0)
            cr_assert_lt(clock_ms(), until, "time is kept for the dead");
        done(s, &p, OUTCOME_OK, 200, clock_ms());
    }
    for (int i = 0, whole = 0; i < ERROR_RING_ENTRIES; i++) {
        struct error_seen e;
        if (!services_error(s, i, &e))
            continue;
        whole++;
        if (strcmp(e.text.module, "embedder") == 0)
            continue;
        cr_expect(strcmp(e.text.message, "even and rather long, so that it can be torn") == 0 ||
                      strcmp(e.text.message, "odd") == 0,
                  "torn: %s", e.text.message);
    }
    services_free(&s);
    munmap(tally, sizeof *tally);
}

Test(services, pauses_are_seen_by_all_and_what_is_no_pause_by_nobody)
{
    struct services *s = make(&conf);
    int64_t since[PAUSE_MAX_] = {0};

    cr_assert_eq(services_paused(s), 0);
    since[PAUSE_EMBED] = T0;
    services_set_paused(s, PAUSE_BIT(PAUSE_EMBED) | 0x80000000u, since);
    cr_assert_eq(services_paused(s), PAUSE_BIT(PAUSE_EMBED));
    cr_assert_eq(services_paused_since(s, PAUSE_EMBED), T0);
    services_free(&s);
}
