/*
 * test_packer.c - micro-batches: packing, halving, and that each item ends exactly once whatever happens
 *
 * The last tests let a made-up service refuse, fail and forget at random, by a fixed seed.
 */
#include "provider/packer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define MOST 3000

static int embedded[MOST], ended_bad[MOST];
static enum reason why[MOST];

static void on_ended(void *arg, const struct pack_item *item, enum reason bad)
{
    (void)arg;
    if (bad == REASON_NONE)
        embedded[item->id]++;
    else
        ended_bad[item->id]++;
    why[item->id] = bad;
}

static struct packer *packer(int64_t items, int64_t tokens)
{
    struct pack_limits l = {.items = items, .tokens = tokens, .input_tokens = 1000};

    return packer_new(NULL, &l, on_ended, NULL);
}

static void add(struct packer *p, uint64_t id, uint32_t owner, int64_t tokens)
{
    cr_assert_eq(packer_add(p, &(struct pack_item){.id = id, .owner = owner, .tokens = tokens, .bytes = 10}), 0);
}

static void done(struct packer *p, const struct pack_batch *b, enum provider_act act, int item, const uint8_t *bad)
{
    struct pack_result r = {act, REASON_embed_refused, item, bad};

    cr_assert_eq(packer_done(p, b->id, &r), 0);
}

Test(packer, texts_of_several_documents_share_a_batch_up_to_the_limits)
{
    struct packer *p = packer(3, 100);
    const struct pack_batch *b;

    for (unsigned i = 0; i < 5; i++)
        add(p, i, i / 2, 10);
    b = packer_next(p, false);
    cr_assert(b->n == 3 && b->items[0].id == 0 && b->items[2].id == 2 && b->items[2].owner == 1);
    cr_assert_null(packer_next(p, false), "the rest is not a full batch");
    b = packer_next(p, true);
    cr_assert(b->n == 2 && b->items[0].id == 3);
    cr_assert_null(packer_next(p, true));
    cr_assert_eq(packer_items(p), 5, "both are under way");
    add(p, 5, 9, 60);
    add(p, 6, 9, 60);
    b = packer_next(p, false);
    cr_assert(b->n == 1 && b->items[0].id == 5, "the tokens are full, though the items are not");
    packer_free(&p);
}

Test(packer, a_text_over_the_inputs_limit_goes_alone)
{
    struct packer *p = packer(10, 0);
    const struct pack_batch *b;

    add(p, 0, 0, 5);
    add(p, 1, 0, 1001);
    add(p, 2, 0, 5);
    b = packer_next(p, false);
    cr_assert(b->n == 1 && b->items[0].id == 0);
    b = packer_next(p, false);
    cr_assert(b->n == 1 && b->items[0].id == 1);
    cr_assert_null(packer_next(p, false));
    packer_free(&p);
}

Test(packer, what_failed_waits_unchanged_and_goes_before_new_items)
{
    struct packer *p = packer(2, 0);
    const struct pack_batch *b;

    for (unsigned i = 0; i < 4; i++)
        add(p, i, 0, 1);
    b = packer_next(p, false);
    done(p, b, PROVIDER_WAIT, -1, NULL);
    cr_assert_eq(packer_items(p), 4, "none has ended");
    b = packer_next(p, false);
    cr_assert(b->n == 2 && b->items[0].id == 0 && b->tries == 1);
    done(p, b, PROVIDER_OK, -1, NULL);
    cr_assert(embedded[0] == 1 && embedded[1] == 1 && packer_items(p) == 2);
    cr_assert_eq(packer_done(p, 999, &(struct pack_result){.act = PROVIDER_OK}), -ENOENT);
    packer_free(&p);
}

Test(packer, the_item_that_the_service_names_is_set_apart_at_once)
{
    struct packer *p = packer(100, 0);
    const struct pack_batch *b;

    for (unsigned i = 0; i < 100; i++)
        add(p, i, 0, 1);
    b = packer_next(p, false);
    done(p, b, PROVIDER_ITEM, 42, NULL);
    b = packer_next(p, false);
    cr_assert(b->n == 1 && b->items[0].id == 42);
    done(p, b, PROVIDER_ITEM, 0, NULL);
    cr_assert(ended_bad[42] == 1 && why[42] == REASON_embed_refused);
    b = packer_next(p, false);
    cr_assert_eq(b->n, 99);
    done(p, b, PROVIDER_OK, -1, NULL);
    cr_assert_eq(packer_items(p), 0);
    packer_free(&p);
}

Test(packer, an_unusable_vector_is_asked_for_three_times)
{
    static const uint8_t second[] = {0, 1, 0}, one[] = {1};
    struct packer *p = packer(3, 0);
    const struct pack_batch *b;

    for (unsigned i = 0; i < 3; i++)
        add(p, i, 0, 1);
    b = packer_next(p, false);
    done(p, b, PROVIDER_ITEM, -1, second);
    cr_assert(embedded[0] == 1 && embedded[2] == 1 && embedded[1] == 0 && ended_bad[1] == 0);
    b = packer_next(p, false);
    cr_assert(b->n == 1 && b->items[0].id == 1);
    done(p, b, PROVIDER_ITEM, -1, one);
    b = packer_next(p, false);
    done(p, b, PROVIDER_ITEM, -1, one);
    cr_assert(ended_bad[1] == 1 && packer_items(p) == 0);
    packer_free(&p);
}

Test(packer, a_service_s_smaller_limit_is_learnt_and_tried_anew_later)
{
    struct packer *p = packer(256, 0);
    const struct pack_batch *b;
    int requests = 0, refused = 0;

    for (unsigned i = 0; i < MOST; i++)
        add(p, i, 0, 1);
    while ((b = packer_next(p, true)) != NULL) {
        requests++;
        refused += b->n > 32;
        done(p, b, b->n > 32 ? PROVIDER_SPLIT_ITEMS : PROVIDER_OK, -1, NULL);
    }
    for (int i = 0; i < MOST; i++)
        cr_assert_eq(embedded[i], 1);
    cr_assert_leq(refused, 6, "%d of %d", refused, requests);
    cr_assert_geq(refused, 4, "and it tried to send more again");
    packer_free(&p);
}

Test(packer, too_many_tokens_halve_by_tokens)
{
    struct packer *p = packer(10, 1000);
    const struct pack_batch *b;

    add(p, 0, 0, 700);
    for (unsigned i = 1; i < 4; i++)
        add(p, i, 0, 100);
    b = packer_next(p, true);
    cr_assert_eq(b->n, 4);
    done(p, b, PROVIDER_SPLIT_TOKENS, -1, NULL);
    b = packer_next(p, false);
    cr_assert(b->n == 1 && b->items[0].id == 0, "%d", b->n);
    done(p, b, PROVIDER_SPLIT_TOKENS, -1, NULL);
    cr_assert_eq(ended_bad[0], 1, "alone it is too long");
    b = packer_next(p, false);
    cr_assert_eq(b->n, 3);
    for (unsigned i = 4; i < 8; i++)
        add(p, i, 0, i == 7 ? 1 : 250);
    b = packer_next(p, true);
    cr_assert_eq(b->n, 3, "250 tokens three times are just what it takes now");
    packer_free(&p);
}

Test(packer, an_owner_s_items_can_be_dropped_wherever_they_are)
{
    struct packer *p = packer(2, 0);
    const struct pack_batch *flying, *b;

    for (unsigned i = 0; i < 6; i++)
        add(p, i, i % 2, 1);
    b = packer_next(p, false);
    done(p, b, PROVIDER_RETRY, -1, NULL);
    b = packer_next(p, false);
    flying = packer_next(p, false);
    done(p, b, PROVIDER_RETRY, -1, NULL);
    cr_assert_eq(packer_drop(p, 1), 3, "one waits, one flies, one is new");
    cr_assert_eq(packer_items(p), 3);
    done(p, flying, PROVIDER_OK, -1, NULL);
    cr_assert(embedded[2] == 1 && embedded[3] == 0);
    while ((b = packer_next(p, true)) != NULL)
        done(p, b, PROVIDER_OK, -1, NULL);
    cr_assert(embedded[0] == 1 && embedded[4] == 1 && embedded[1] == 0 && embedded[5] == 0);
    packer_free(&p);
}

Test(packer, what_was_dropped_under_way_is_not_sent_again)
{
    static const enum provider_act acts[] = {PROVIDER_ITEM, PROVIDER_RETRY, PROVIDER_SPLIT_ITEMS};
    static const uint8_t second[] = {0, 1};

    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        struct packer *p = packer(2, 0);
        const struct pack_batch *b;
        add(p, 0, 0, 1);
        add(p, 1, 1, 1);
        b = packer_next(p, false);
        cr_assert_eq(packer_drop(p, 1), 1);
        cr_assert(b->items[1].dropped);
        done(p, b, acts[i], -1, acts[i] == PROVIDER_ITEM ? second : NULL);
        while ((b = packer_next(p, true)) != NULL) {
            cr_assert(b->n == 1 && b->items[0].id == 0);
            done(p, b, PROVIDER_OK, -1, NULL);
        }
        cr_assert(embedded[0] == (int)i + 1 && embedded[1] == 0 && ended_bad[1] == 0);
        packer_free(&p);
    }
}

static int log2_up(int n)
{
    int k = 0;

    while ((1 << k) < n)
        k++;
    return k;
}

Test(packer, a_bad_item_costs_at_most_twice_the_logarithm_of_the_batch)
{
    for (int n = 1; n <= 256; n += n < 20 ? 1 : 37)
        for (int bad = 0; bad < n; bad += 1 + n / 9) {
            struct packer *p = packer(n, 0);
            const struct pack_batch *b;
            int requests = 0;
            memset(embedded, 0, sizeof embedded);
            memset(ended_bad, 0, sizeof ended_bad);
            for (int i = 0; i < n; i++)
                add(p, (uint64_t)i, 0, 1);
            while ((b = packer_next(p, true)) != NULL) {
                bool has = false;
                requests++;
                for (int i = 0; i < b->n; i++)
                    has = has || b->items[i].id == (uint64_t)bad;
                done(p, b, has ? PROVIDER_ITEM : PROVIDER_OK, -1, NULL);
            }
            cr_assert_leq(requests, 1 + 2 * log2_up(n), "%d items: %d requests", n, requests);
            for (int i = 0; i < n; i++)
                cr_assert(embedded[i] == (i != bad) && ended_bad[i] == (i == bad));
            packer_free(&p);
        }
}

Test(packer, a_service_that_names_the_wrong_item_costs_one_request_more)
{
    struct packer *p = packer(100, 0);
    const struct pack_batch *b;
    int requests = 0;

    for (unsigned i = 0; i < 100; i++)
        add(p, i, 0, 1);
    while ((b = packer_next(p, true)) != NULL) {
        bool has = b->items[b->n - 1].id == 99;
        requests++;
        done(p, b, has ? PROVIDER_ITEM : PROVIDER_OK, has ? 0 : -1, NULL);
    }
    cr_assert_leq(requests, 2 + 1 + 2 * log2_up(99), "%d requests", requests);
    cr_assert(ended_bad[99] == 1 && embedded[0] == 1 && embedded[98] == 1);
    packer_free(&p);
}

/* What the made-up service answers: bad items by their id, limits of its own, failures by chance. */
static enum provider_act answer(const struct pack_batch *b, int *item, uint8_t *map, bool *mapped)
{
    int64_t tokens = 0;
    bool poison = false;

    *item = -1;
    *mapped = false;
    for (int i = 0; i < b->n; i++) {
        tokens += b->items[i].tokens;
        map[i] = b->items[i].id % 53 == 7;
        *mapped = *mapped || map[i] != 0;
        if (b->items[i].id % 61 == 5) {
            poison = true;
            *item = random() % 3 == 0 ? i : random() % 3 == 0 ? (int)(random() % 300) : -1;
        }
    }
    if (random() % 10 == 0)
        return (enum provider_act[]){PROVIDER_WAIT, PROVIDER_RETRY, PROVIDER_OPEN, PROVIDER_CONFIG}[random() % 4];
    if (b->n > 40)
        return PROVIDER_SPLIT_ITEMS;
    if (tokens > 2000 && b->n > 1)
        return PROVIDER_SPLIT_TOKENS;
    return poison || *mapped ? PROVIDER_ITEM : PROVIDER_OK;
}

Test(packer, whatever_the_service_does_each_item_ends_once)
{
    struct packer *p = packer(64, 3000);
    const struct pack_batch *flying[8];
    uint8_t map[64];
    int n_flying = 0, added = 0, item, rounds = 0;
    bool mapped, dropped_any = false;

    srandom(11);
    while (added < MOST || packer_items(p) > 0) {
        cr_assert_lt(++rounds, 200000);
        for (int k = 0; k < 20 && added < MOST; k++, added++)
            add(p, (uint64_t)added, (uint32_t)added / 10, 1 + random() % 120);
        while (n_flying < 8 && (flying[n_flying] = packer_next(p, random() % 2 == 0)) != NULL)
            n_flying++;
        if (n_flying == 0)
            continue;
        int pick = (int)(random() % n_flying);
        const struct pack_batch *b = flying[pick];
        enum provider_act act = answer(b, &item, map, &mapped);
        bool poison = act == PROVIDER_ITEM && !(mapped && item < 0);
        for (int i = 0; i < b->n && poison; i++)
            mapped = mapped && b->items[i].id % 61 != 5;
        cr_assert_leq(b->n, 64);
        done(p, b, act, item, act == PROVIDER_ITEM && mapped ? map : NULL);
        flying[pick] = flying[--n_flying];
        if (rounds == 30)
            dropped_any = packer_drop(p, 3) >= 0;
    }
    cr_assert(dropped_any);
    for (int i = 0; i < MOST; i++) {
        cr_assert_leq(embedded[i] + ended_bad[i], 1, "item %d ended %d times", i, embedded[i] + ended_bad[i]);
        if (i / 10 != 3)
            cr_assert_eq(embedded[i] + ended_bad[i], 1, "item %d was lost", i);
        if (i % 53 != 7 && i % 61 != 5)
            cr_assert_eq(ended_bad[i], 0, "item %d is good", i);
    }
    packer_free(&p);
}
