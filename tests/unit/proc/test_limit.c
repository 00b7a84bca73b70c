/*
 * test_limit.c - the pace towards a service: held against simulated services, in virtual time
 *
 * Each sender is what a worker's request slot is: asks, waits, sends, learns from the answer, asks again; so the demand
 * is always larger than what is allowed. Services count by windows or by buckets, with headers, with Retry-After, with
 * both or with neither. What must come out: nearly all of the allowance used, and hardly a refusal.
 */
#include "proc/limit.h"

#include <criterion/criterion.h>
#include <string.h>

#define MS     INT64_C(1000000)
#define SEC    (1000 * MS)
#define MINUTE (60 * SEC)

#define MOST_SENDERS 32
#define MAX_WAIT     (30 * SEC)

/* ---- a service ---- */

enum kind { WINDOW, BUCKET };

struct service {
    enum kind kind;
    double allowed[LIMIT_BUCKETS]; /* a minute; tokens 0: not counted */
    bool headers, retry_after;
    double others; /* of the bucket, what somebody else with the same key takes all the time */
    int failing;   /* per cent of what it lets in ends without an answer or with 503, by turns */
    int64_t phase; /* of its windows */
    /* state */
    int64_t window;
    double used[LIMIT_BUCKETS], level[LIMIT_BUCKETS];
    int64_t at;
    int served;
};

static void pass_time(struct service *s, int64_t now)
{
    int64_t window = (now + s->phase) / MINUTE;

    for (int b = 0; b < LIMIT_BUCKETS; b++) {
        if (s->at == 0)
            s->level[b] = s->allowed[b];
        s->level[b] += s->allowed[b] * (1 - s->others) * (double)(now - s->at) / (double)MINUTE * (s->at != 0);
        if (s->level[b] > s->allowed[b])
            s->level[b] = s->allowed[b];
        if (window != s->window)
            s->used[b] = 0;
    }
    s->window = window;
    s->at = now;
}

static double left(const struct service *s, int b)
{
    return s->kind == WINDOW ? s->allowed[b] - s->used[b] : s->level[b];
}

static void serve(struct service *s, int64_t now, int64_t tokens, struct limit_answer *a)
{
    const double need[LIMIT_BUCKETS] = {1, (double)tokens};
    bool ok = true;

    pass_time(s, now);
    for (int b = 0; b < LIMIT_BUCKETS; b++)
        ok = ok && (s->allowed[b] == 0 || left(s, b) >= need[b]);
    *a = (struct limit_answer)LIMIT_ANSWER_SILENT;
    a->status = ok ? 200 : 429;
    a->tokens = tokens;
    for (int b = 0; b < LIMIT_BUCKETS; b++) {
        int64_t window_left = (s->window + 1) * MINUTE - s->phase - now;
        double lacks = need[b] - left(s, b);

        if (s->allowed[b] == 0)
            continue;
        if (ok) {
            s->used[b] += need[b];
            s->level[b] -= need[b];
        }
        if (s->headers) {
            a->limit[b] = (int64_t)s->allowed[b];
            a->remaining[b] = (int64_t)left(s, b);
            a->reset_ms[b] = s->kind == WINDOW ? window_left / MS
                                               : (int64_t)((s->allowed[b] - s->level[b]) * 60000.0 / s->allowed[b]);
        }
        if (!ok && s->retry_after && lacks > 0) {
            int64_t wait = s->kind == WINDOW ? window_left : (int64_t)(lacks * (double)MINUTE / s->allowed[b]);
            int64_t seconds = (wait + SEC - 1) / SEC * 1000;
            if (seconds > a->retry_after_ms)
                a->retry_after_ms = seconds;
        }
    }
    if (ok && (s->served++ * 37) % 100 < s->failing)
        a->status = s->served % 2 == 0 ? 0 : 503;
}

/* ---- senders ---- */

enum phase { ASKS, ARRIVES, HEARS };

struct sender {
    enum phase phase;
    int64_t wake;
    int node;
    int64_t tokens;
    struct limit_ticket ticket;
    struct limit_answer answer;
};

struct sim {
    struct service service;
    struct limit_policy policy;
    int nodes, senders; /* senders of all nodes together */
    int64_t tokens_from, tokens_to, trip_ms;
    int64_t warm, end; /* counted is what arrives between */
    /* state and result */
    struct limit limits[4];
    struct sender all[MOST_SENDERS];
    uint64_t random;
    int64_t sent, accepted, refused, tokens_accepted;
    int64_t by_node[4];
};

static int64_t pick(struct sim *s, int64_t from, int64_t to)
{
    s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return from + (int64_t)((s->random >> 33) % (uint64_t)(to - from + 1));
}

static void step(struct sim *s, struct sender *x, int64_t now)
{
    struct limit *l = &s->limits[x->node];
    int64_t wait;

    switch (x->phase) {
    case ASKS:
        if (x->tokens == 0)
            x->tokens = s->tokens_to > 0 ? pick(s, s->tokens_from, s->tokens_to) : 0;
        wait = limit_take(l, &s->policy, x->tokens, now, MAX_WAIT, &x->ticket);
        x->wake = now + wait + (wait > 0 ? pick(s, 0, 3) * MS : pick(s, 2, s->trip_ms) * MS);
        x->phase = wait > 0 ? ASKS : ARRIVES;
        return;
    case ARRIVES:
        serve(&s->service, now, x->tokens, &x->answer);
        if (now >= s->warm) {
            s->sent++;
            s->accepted += x->answer.status != 429;
            s->refused += x->answer.status == 429;
            s->tokens_accepted += x->answer.status == 200 ? x->tokens : 0;
            s->by_node[x->node] += x->answer.status == 200;
        }
        x->phase = HEARS;
        x->wake = now + pick(s, 2, s->trip_ms) * MS;
        return;
    case HEARS:
        limit_learn(l, &s->policy, &x->answer, now);
        x->ticket = (struct limit_ticket){0};
        if (x->answer.status == 200)
            x->tokens = 0; /* else the same again */
        x->phase = ASKS;
        x->wake = now;
        return;
    }
}

static void run(struct sim *s, uint64_t seed)
{
    s->random = seed;
    s->policy.nodes = s->nodes;
    if (s->policy.start_per_minute == 0)
        s->policy.start_per_minute = 600;
    for (int i = 0; i < s->senders; i++)
        s->all[i] = (struct sender){.node = i % s->nodes, .wake = 3600 * SEC + pick(s, 0, 500) * MS};
    s->warm += 3600 * SEC;
    s->end += 3600 * SEC;
    for (;;) {
        struct sender *next = &s->all[0];

        for (int i = 1; i < s->senders; i++)
            if (s->all[i].wake < next->wake)
                next = &s->all[i];
        if (next->wake >= s->end)
            return;
        step(s, next, next->wake);
    }
}

static double minutes(const struct sim *s)
{
    return (double)(s->end - s->warm) / (double)MINUTE;
}

static void expect_good(const struct sim *s, const char *name)
{
    double used = (double)s->accepted / (s->service.allowed[LIMIT_REQUESTS] * minutes(s));
    double refused = s->sent > 0 ? (double)s->refused / (double)s->sent : 0;

    cr_log_info("%s: used %.2f %%, refused %.2f %% of %ld", name, used * 100, refused * 100, (long)s->sent);
    cr_expect_geq(used, 0.95, "%s: only %.2f %% of the allowance was used", name, used * 100);
    cr_expect_lt(refused, 0.01, "%s: %.2f %% refused", name, refused * 100);
}

/* ---- a configured limit ---- */

Test(limit, a_fixed_window_is_filled_and_hardly_ever_refuses)
{
    static const int allowed[] = {20, 60, 600, 3000};
    static const int64_t phases[] = {0, 17, 42};

    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 3; k++) {
            struct sim s = {.service = {.kind = WINDOW, .allowed = {allowed[i]}, .phase = phases[k] * SEC},
                            .policy = {.per_minute = {allowed[i]}},
                            .nodes = 1,
                            .senders = 24,
                            .trip_ms = 80,
                            .end = 10 * MINUTE};
            run(&s, 7);
            expect_good(&s, "window");
        }
}

Test(limit, two_nodes_share_a_configured_limit_evenly)
{
    struct sim s = {.service = {.kind = WINDOW, .allowed = {600}, .phase = 5 * SEC},
                    .policy = {.per_minute = {600}},
                    .nodes = 2,
                    .senders = 24,
                    .trip_ms = 80,
                    .end = 10 * MINUTE};
    run(&s, 3);
    expect_good(&s, "two nodes");
    cr_expect_geq((double)s.by_node[0] / (double)s.accepted, 0.48);
    cr_expect_geq((double)s.by_node[1] / (double)s.accepted, 0.48);
}

/* ---- a limit told by headers ---- */

Test(limit, a_bucket_that_tells_its_limit_is_used_without_a_setting)
{
    struct sim s = {.service = {.kind = BUCKET, .allowed = {500}, .headers = true, .retry_after = true},
                    .nodes = 1,
                    .senders = 24,
                    .trip_ms = 80,
                    .end = 10 * MINUTE};
    run(&s, 11);
    expect_good(&s, "bucket with headers");
}

Test(limit, two_nodes_halve_what_the_headers_tell)
{
    struct sim s = {.service = {.kind = BUCKET, .allowed = {500}, .headers = true, .retry_after = true},
                    .nodes = 2,
                    .senders = 24,
                    .trip_ms = 80,
                    .end = 10 * MINUTE};
    run(&s, 12);
    expect_good(&s, "bucket with headers, two nodes");
}

Test(limit, a_window_that_tells_its_limit_is_used_without_a_setting)
{
    struct sim s = {.service = {.kind = WINDOW, .allowed = {500}, .headers = true, .phase = 31 * SEC},
                    .nodes = 1,
                    .senders = 24,
                    .trip_ms = 80,
                    .end = 10 * MINUTE};
    run(&s, 13);
    expect_good(&s, "window with headers");
}

Test(limit, tokens_are_paced_as_requests_are)
{
    struct sim s = {.service = {.kind = BUCKET, .allowed = {3000, 1000000}, .headers = true, .retry_after = true},
                    .nodes = 2,
                    .senders = 16,
                    .trip_ms = 200,
                    .tokens_from = 20000,
                    .tokens_to = 90000,
                    .end = 20 * MINUTE};
    double used;

    run(&s, 14);
    used = (double)s.tokens_accepted / (1000000 * minutes(&s));
    cr_expect_geq(used, 0.95, "only %.2f %% of the tokens were used", used * 100);
    cr_expect_lt((double)s.refused / (double)s.sent, 0.01, "%ld of %ld refused", (long)s.refused, (long)s.sent);
}

Test(limit, batches_that_do_not_divide_a_window_of_tokens_wait_for_the_next_one)
{
    struct sim s = {.service = {.kind = WINDOW, .allowed = {3000, 1000000}, .headers = true, .phase = 20 * SEC},
                    .nodes = 1,
                    .senders = 8,
                    .trip_ms = 200,
                    .tokens_from = 300000,
                    .tokens_to = 300000,
                    .end = 60 * MINUTE};

    run(&s, 15);
    cr_expect_geq((double)s.tokens_accepted / (900000 * minutes(&s)), 0.95, "%ld tokens", (long)s.tokens_accepted);
    cr_expect_lt((double)s.refused / (double)s.sent, 0.02, "%ld of %ld refused", (long)s.refused, (long)s.sent);
}

/* ---- a limit that is only felt ---- */

Test(limit, a_service_that_says_only_Retry_After_is_learned)
{
    struct sim s = {.service = {.kind = BUCKET, .allowed = {300}, .retry_after = true},
                    .nodes = 1,
                    .senders = 8,
                    .trip_ms = 80,
                    .warm = 5 * MINUTE,
                    .end = 125 * MINUTE};
    run(&s, 21);
    expect_good(&s, "bucket with Retry-After");
}

Test(limit, a_service_that_says_nothing_is_learned)
{
    static const int allowed[] = {20, 120, 1200};

    for (int i = 0; i < 3; i++) {
        struct sim s = {.service = {.kind = WINDOW, .allowed = {allowed[i]}, .phase = 23 * SEC},
                        .nodes = 1,
                        .senders = 8,
                        .trip_ms = 80,
                        .warm = 5 * MINUTE,
                        .end = 185 * MINUTE};
        run(&s, 22);
        expect_good(&s, "window, silent");
    }
}

Test(limit, a_silent_service_that_fails_half_of_the_time_is_learned)
{
    struct sim s = {.service = {.kind = WINDOW, .allowed = {300}, .phase = 23 * SEC, .failing = 50},
                    .nodes = 1,
                    .senders = 8,
                    .trip_ms = 80,
                    .warm = 15 * MINUTE,
                    .end = 195 * MINUTE};
    run(&s, 24);
    expect_good(&s, "window, silent, failing");
}

Test(limit, two_nodes_learn_a_silent_limit_together)
{
    struct sim s = {.service = {.kind = WINDOW, .allowed = {120}, .phase = 23 * SEC},
                    .nodes = 2,
                    .senders = 16,
                    .trip_ms = 80,
                    .warm = 10 * MINUTE,
                    .end = 190 * MINUTE};
    run(&s, 23);
    expect_good(&s, "window, silent, two nodes");
}

/* ---- others, pauses, lateness ---- */

Test(limit, others_who_use_the_same_key_are_made_room_for)
{
    struct sim s = {.service = {.kind = BUCKET, .allowed = {600}, .headers = true, .retry_after = true, .others = 0.5},
                    .nodes = 1,
                    .senders = 8,
                    .trip_ms = 80,
                    .warm = 10 * MINUTE,
                    .end = 130 * MINUTE};

    run(&s, 31);
    cr_expect_geq((double)s.accepted / (300 * minutes(&s)), 0.95, "%ld accepted", (long)s.accepted);
    cr_expect_lt((double)s.refused / (double)s.sent, 0.01, "%ld of %ld refused", (long)s.refused, (long)s.sent);
}

static const struct limit_policy sixty = {.per_minute = {60}, .nodes = 1};

Test(limit, after_a_pause_those_who_waited_go_one_after_the_other)
{
    struct limit l = {0};
    struct limit_ticket t[12] = {0};
    struct limit_answer refused = LIMIT_ANSWER_SILENT;
    int64_t t0 = 1000 * SEC, at[12];

    for (int i = 0; i < 6; i++) /* half of them had their times before the pause was ordered */
        (void)limit_take(&l, &sixty, 0, t0, MAX_WAIT, &t[i]);
    refused.status = 429;
    refused.retry_after_ms = 10000;
    cr_assert(limit_learn(&l, &sixty, &refused, t0));
    cr_assert(!limit_learn(&l, &sixty, &refused, t0 + MS), "the same refusal, told again");
    for (int i = 0; i < 12; i++)
        at[i] = t0 + 2 * MS + limit_take(&l, &sixty, 0, t0 + 2 * MS, 2 * MINUTE, &t[i]);
    for (int i = 0; i < 12; i++) {
        cr_expect_geq(at[i], t0 + 10 * SEC, "%d goes in the pause", i);
        for (int k = 0; k < i; k++)
            cr_expect(at[i] - at[k] >= SEC || at[k] - at[i] >= SEC, "%d and %d go together", i, k);
    }
}

static void refuse(struct limit *l, const struct limit_policy *p, int64_t retry_after_ms, int64_t now)
{
    struct limit_answer a = LIMIT_ANSWER_SILENT;

    a.status = 429;
    a.retry_after_ms = retry_after_ms;
    (void)limit_learn(l, p, &a, now);
}

static void accept_some(struct limit *l, const struct limit_policy *p, int n, int64_t now)
{
    struct limit_answer a = LIMIT_ANSWER_SILENT;

    a.status = 200;
    for (int i = 0; i < n; i++)
        (void)limit_learn(l, p, &a, now);
}

Test(limit, a_pause_soon_after_the_start_leaves_a_configured_pace_as_it_is)
{
    static const struct limit_policy p = {.per_minute = {600}, .nodes = 1};
    struct limit l = {0};
    int64_t t0 = 1000 * SEC, rate = limit_rate(&l, &p, LIMIT_REQUESTS);

    limit_hold(&l, t0);          /* as for a node that joins others */
    accept_some(&l, &p, 20, t0); /* two seconds' worth; they say nothing of what is allowed in a minute */
    refuse(&l, &p, 3000, t0 + 2 * SEC);
    cr_expect_eq(limit_rate(&l, &p, LIMIT_REQUESTS), rate);
    refuse(&l, &p, 3000, t0 + 7 * SEC);
    cr_expect_lt(limit_rate(&l, &p, LIMIT_REQUESTS), rate, "refused again, so it is the pace");
    cr_expect_geq(limit_rate(&l, &p, LIMIT_REQUESTS), rate / 2);
}

Test(limit, a_refusal_without_a_word_halves_a_configured_pace_at_most)
{
    static const struct limit_policy p = {.per_minute = {600}, .nodes = 1};
    struct limit l = {0};
    int64_t t0 = 1000 * SEC, rate = limit_rate(&l, &p, LIMIT_REQUESTS);

    accept_some(&l, &p, 20, t0);
    refuse(&l, &p, -1, t0 + 2 * SEC);
    cr_expect_lt(limit_rate(&l, &p, LIMIT_REQUESTS), rate);
    cr_expect_geq(limit_rate(&l, &p, LIMIT_REQUESTS), rate / 2);
}

Test(limit, a_limit_that_is_configured_too_high_is_found)
{
    struct sim s = {.service = {.kind = BUCKET, .allowed = {60}, .retry_after = true},
                    .policy = {.per_minute = {600}},
                    .nodes = 1,
                    .senders = 8,
                    .trip_ms = 80,
                    .warm = 15 * MINUTE,
                    .end = 135 * MINUTE};
    run(&s, 41);
    expect_good(&s, "configured too high");
}

Test(limit, who_comes_too_late_for_his_time_gets_another)
{
    struct limit l = {0};
    struct limit_ticket t[10] = {0};
    int64_t t0 = 1000 * SEC;
    int gone = 0;

    for (int i = 0; i < 10; i++)
        (void)limit_take(&l, &sixty, 0, t0, MAX_WAIT, &t[i]);
    for (int i = 0; i < 10; i++) /* all wake up a minute late, at once */
        gone += limit_take(&l, &sixty, 0, t0 + MINUTE, MAX_WAIT, &t[i]) == 0;
    cr_assert_leq(gone, 2);
}

Test(limit, what_is_given_back_goes_to_the_next)
{
    struct limit l = {0};
    struct limit_ticket t[3] = {0};
    int64_t t0 = 1000 * SEC, second;

    (void)limit_take(&l, &sixty, 0, t0, MAX_WAIT, &t[0]);
    second = limit_take(&l, &sixty, 0, t0, MAX_WAIT, &t[1]);
    limit_give_back(&l, &t[1]);
    cr_assert_eq(t[1].at_ns, 0);
    cr_assert_eq(limit_take(&l, &sixty, 0, t0, MAX_WAIT, &t[2]), second);
}

Test(limit, a_day_s_allowance_is_no_pace_and_is_waited_for_when_it_is_used_up)
{
    const struct limit_policy unset = {.start_per_minute = 600, .nodes = 1};
    struct limit l = {0};
    struct limit_ticket t = {0};
    struct limit_answer a = LIMIT_ANSWER_SILENT;
    int64_t t0 = 1000 * SEC, wait;

    a.status = 200;
    a.limit[LIMIT_REQUESTS] = 200; /* a day; one comes back every 432 s */
    a.remaining[LIMIT_REQUESTS] = 199;
    a.reset_ms[LIMIT_REQUESTS] = 432000;
    limit_learn(&l, &unset, &a, t0);
    cr_assert_eq(limit_take(&l, &unset, 0, t0, MAX_WAIT, &t), 0);
    cr_assert_geq(limit_rate(&l, &unset, LIMIT_REQUESTS), 600000);
    a.remaining[LIMIT_REQUESTS] = 0;
    a.reset_ms[LIMIT_REQUESTS] = 86400000;
    limit_learn(&l, &unset, &a, t0);
    memset(&t, 0, sizeof t);
    wait = limit_take(&l, &unset, 0, t0, 600 * SEC, &t);
    cr_assert(wait > 2 * SEC && wait <= 600 * SEC, "%ld", (long)wait);
}

Test(limit, a_service_that_is_overloaded_and_says_when_is_left_alone_until_then)
{
    struct limit l = {0};
    struct limit_ticket t = {0};
    struct limit_answer a = LIMIT_ANSWER_SILENT;
    int64_t t0 = 1000 * SEC;

    a.status = 503;
    a.retry_after_ms = 7000;
    cr_assert(!limit_learn(&l, &sixty, &a, t0));
    cr_assert_eq(limit_take(&l, &sixty, 0, t0, MAX_WAIT, &t), 7 * SEC);
    a.retry_after_ms = 1000000000; /* nobody is believed for longer than this */
    limit_learn(&l, &sixty, &a, t0);
    memset(&t, 0, sizeof t);
    cr_assert_leq(limit_take(&l, &sixty, 0, t0, 3600 * SEC, &t), LIMIT_MOST_HOLD_MS * MS);
}

Test(limit, whatever_a_mad_child_wrote_nobody_crashes_over_it)
{
    uint64_t x = 7;

    for (int round = 0; round < 3000; round++) {
        struct limit l;
        struct limit_ticket t = {0};
        struct limit_answer a = LIMIT_ANSWER_SILENT;

        for (size_t i = 0; i < sizeof l; i++) {
            x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
            ((unsigned char *)&l)[i] = (unsigned char)(x >> 56);
        }
        cr_assert_geq(limit_take(&l, &sixty, 100, 1000 * SEC, MAX_WAIT, &t), 0);
        limit_give_back(&l, &t);
        a.status = round % 2 == 0 ? 200 : 429;
        limit_learn(&l, &sixty, &a, 1000 * SEC);
        cr_assert_geq(limit_rate(&l, &sixty, LIMIT_REQUESTS), 0);
        cr_assert_geq(limit_accepted(&l, 1000 * SEC), 0);
    }
}
